#pragma once
// Policies of MTA-STS, fetched by libcurl (RFC 8461 section 3.3). See docs/direct.md. Not among what
// postroad/postroad.hpp includes: needs the component postroad::mta_sts.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/dns.hpp>
#include <postroad/net/sts_cache.hpp>
#include <postroad/net/worker.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace postroad::net {

struct https_policies_options {
    /// Where policies are kept, so that a restart forgets none; empty: in memory only. One process at a time.
    std::string file = {};
    /// PEM certificates to trust instead of the system's.
    std::string ca_file = {};
    /// For a whole fetch (RFC 8461 section 3.3 suggests a minute).
    duration timeout = std::chrono::seconds(50);
    /// Fetches at a time.
    std::size_t at_a_time = 16;
    /// For tests.
    std::uint16_t port = 443;
    /// Whether a server of policies may be where is_public() says no.
    bool private_addresses = false;
    /// For tests: what CURLOPT_RESOLVE takes, "mta-sts.example.org:443:127.0.0.1".
    std::vector<std::string> addresses = {};
};

/// An sts_source. Copies share the cache and a thread. What is under way when the last one is destroyed is dropped.
class https_policies {
public:
    /// Throws error(errc::storage_failed) when the file cannot be read or written.
    explicit https_policies(https_policies_options options = {})
        : handle_(std::make_shared<handle>(std::move(options))) {}

    void operator()(const std::string& domain, const sts_record& record, sts_handler done) const {
        handle_->to->ask(domain, record, std::move(done));
    }

private:
    struct fetch {
        std::string domain = {};
        std::string id = {};
        std::string body = {};
        bool private_addresses = false;
        std::vector<sts_handler> waiting = {};
    };
    // Of libcurl's types some are void.
    template <auto Free>
    struct freed {
        template <class T>
        void operator()(T* p) const noexcept {
            Free(p);
        }
    };

    struct core {
        explicit core(https_policies_options o) : options(std::move(o)) {
            static const auto global = curl_global_init(CURL_GLOBAL_DEFAULT);
            multi.reset(curl_multi_init());
            if (global != CURLE_OK || !multi) throw error(errc::tls_configuration, "libcurl cannot be set up");
            for (const auto& a : options.addresses) {
                auto* const longer = curl_slist_append(addresses.get(), a.c_str());
                if (!longer) throw std::bad_alloc();
                (void)addresses.release();
                addresses.reset(longer);
            }
            load();
        }
        core(const core&) = delete;
        core& operator=(const core&) = delete;
        ~core() {
            for (auto& [easy, f] : running) {
                curl_multi_remove_handle(multi.get(), easy);
                curl_easy_cleanup(easy);
            }
        }

        static sts_cache::time today() {
            return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        }

        // The file is written anew at the start, and then lines are added.
        void load() {
            if (options.file.empty()) return;
            const auto now = today();
            if (std::ifstream old{options.file, std::ios::binary}) {
                for (std::string text; std::getline(old, text);) (void)cache.read_line(text + "\n", now);
            }
            const auto fresh = options.file + ".new";
            std::ofstream out{fresh, std::ios::binary | std::ios::trunc};
            out << cache.text(now) << std::flush;
            if (!out || std::rename(fresh.c_str(), options.file.c_str()) != 0)
                throw error(errc::storage_failed, "the file of policies cannot be written: " + options.file);
        }
        void keep(const std::string& domain) {
            if (options.file.empty()) return;
            std::ofstream out{options.file, std::ios::binary | std::ios::app};
            out << cache.line(domain);
        }

        void ask(const std::string& domain, const sts_record& record, sts_handler&& done) {
            std::optional<sts_policy> policy;
            {
                const std::scoped_lock lock(mutex);
                const auto now = today();
                policy = cache.find(domain, now);
                if (cache.wants_fetch(domain, record, now)) {
                    auto& f = want(domain, record);
                    // What only grows old is used meanwhile.
                    if (!policy || !cache.is_current(domain, record)) {
                        f.waiting.push_back(std::move(done));
                        return;
                    }
                }
            }
            done(std::move(policy));
        }
        fetch& want(const std::string& domain, const sts_record& record) {
            auto& f = wanted[domain];
            if (!f) {
                f = std::make_unique<fetch>();
                f->domain = domain;
                f->id = record.id;
                f->private_addresses = options.private_addresses;
                line.push_back(f.get());
                curl_multi_wakeup(multi.get());
            }
            return *f;
        }

        void run() {
            while (!stopped()) {
                begin();
                int left = 0;
                curl_multi_perform(multi.get(), &left);
                bool ended = false;
                while (const auto* m = curl_multi_info_read(multi.get(), &left))
                    if (m->msg == CURLMSG_DONE) {
                        end(m->easy_handle, m->data.result);
                        ended = true;
                    }
                // Whoever waits in line may begin in its place.
                if (!ended) curl_multi_poll(multi.get(), nullptr, 0, 60'000, nullptr);
            }
        }
        void begin() {
            const std::scoped_lock lock(mutex);
            while (!line.empty() && running.size() < options.at_a_time) {
                auto* const f = line.front();
                line.pop_front();
                std::unique_ptr<CURL, freed<&curl_easy_cleanup>> easy(curl_easy_init());
                if (!easy) throw std::bad_alloc();
                set_up(easy.get(), *f);
                curl_multi_add_handle(multi.get(), easy.get());
                running.emplace(easy.release(), f);
            }
        }
        void set_up(CURL* easy, fetch& f) const {
            const auto url =
                "https://mta-sts." + f.domain + ":" + std::to_string(options.port) + "/.well-known/mta-sts.txt";
            const auto ms = std::chrono::ceil<std::chrono::milliseconds>(options.timeout).count();
            curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
            curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
            curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(ms));
            curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
            curl_easy_setopt(easy, CURLOPT_PROXY, "");
            curl_easy_setopt(easy, CURLOPT_USERAGENT, "postroad/" POSTROAD_VERSION_STRING);
            curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &core::take);
            curl_easy_setopt(easy, CURLOPT_WRITEDATA, &f);
            curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &core::open);
            curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &f);
            if (addresses) curl_easy_setopt(easy, CURLOPT_RESOLVE, addresses.get());
            if (!options.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
        }
        static std::size_t take(const char* octets, std::size_t, std::size_t n, void* to) {
            auto& f = *static_cast<fetch*>(to);
            if (f.body.size() + n > max_sts_policy) return 0;
            f.body.append(octets, n);
            return n;
        }
        // Strangers say where the request goes.
        static curl_socket_t open(void* of, curlsocktype, curl_sockaddr* to) {
            char text[INET6_ADDRSTRLEN] = "";
            const void* octets = nullptr;
            if (to->family == AF_INET)
                octets = &reinterpret_cast<const sockaddr_in*>(&to->addr)->sin_addr;
            else if (to->family == AF_INET6)
                octets = &reinterpret_cast<const sockaddr_in6*>(&to->addr)->sin6_addr;
            if (!octets || !::inet_ntop(to->family, octets, text, sizeof text)) return CURL_SOCKET_BAD;
            if (!static_cast<const fetch*>(of)->private_addresses && !is_public(text)) return CURL_SOCKET_BAD;
            return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
        }
        static bool is_plain_text(const char* type) {
            const std::string_view text = type ? type : "";
            constexpr std::string_view wanted = "text/plain";
            const auto rest = text.substr(std::min(text.size(), wanted.size()));
            return postroad::detail::equal_ignoring_case(text.substr(0, wanted.size()), wanted) &&
                   (rest.empty() || rest.front() == ';' || rest.front() == ' ');
        }
        void end(CURL* easy, CURLcode result) {
            long status = 0;
            const char* type = nullptr;
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
            const bool good = result == CURLE_OK && status == 200 && is_plain_text(type);
            curl_multi_remove_handle(multi.get(), easy);
            std::vector<sts_handler> waiting;
            std::optional<sts_policy> policy;
            {
                const std::scoped_lock lock(mutex);
                auto* const f = running.at(easy);
                running.erase(easy);
                const auto now = today();
                auto found = good ? read_sts_policy(f->body) : std::nullopt;
                if (found) {
                    cache.fetched(f->domain, f->id, *std::move(found), now);
                    keep(f->domain);
                } else {
                    cache.failed(f->domain, now);
                }
                policy = cache.find(f->domain, now);
                waiting = std::move(f->waiting);
                wanted.erase(wanted.find(f->domain));
            }
            curl_easy_cleanup(easy);
            for (const auto& done : waiting) done(policy);
        }
        bool stopped() {
            const std::scoped_lock lock(mutex);
            return stops;
        }
        void stop() {
            const std::scoped_lock lock(mutex);
            stops = true;
            curl_multi_wakeup(multi.get());
        }

        const https_policies_options options;
        std::unique_ptr<curl_slist, freed<&curl_slist_free_all>> addresses;
        std::unique_ptr<CURLM, freed<&curl_multi_cleanup>> multi;
        std::mutex mutex;
        sts_cache cache;
        std::map<std::string, std::unique_ptr<fetch>, std::less<>> wanted;
        std::deque<fetch*> line;
        std::map<CURL*, fetch*> running;
        bool stops = false;
    };

    // What the copies share; the thread has the core for itself in the end.
    struct handle {
        explicit handle(https_policies_options o)
            : to(std::make_shared<core>(std::move(o))), thread([c = to] { c->run(); }) {}
        handle(const handle&) = delete;
        handle& operator=(const handle&) = delete;
        ~handle() { to->stop(); }
        std::shared_ptr<core> to;
        worker thread;
    };

    std::shared_ptr<handle> handle_;
};

}  // namespace postroad::net

#pragma once
// Policies of MTA-STS, fetched by libcurl (RFC 8461 section 3.3). See docs/direct.md. Not among what
// postroad/postroad.hpp includes: needs the component postroad::mta_sts.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/https.hpp>
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

#include <curl/curl.h>
#include <unistd.h>

namespace postroad::net {

struct https_policies_options {
    /// Where policies are kept, so that a restart forgets none; empty: in memory only. One process at a time.
    std::string file = {};
    /// PEM certificates to trust instead of the system's.
    std::string ca_file = {};
    /// From a question to its answer (RFC 8461 section 3.3 suggests a minute for a fetch). Whoever waits in line for
    /// three quarters of it is answered by what is in force, if anything.
    duration timeout = std::chrono::seconds(50);
    /// Fetches at a time, at least 1; a quarter of them, or one, for policies that are in force and only grow old. As
    /// many as a mailer asks for at a time: policy hosts that do not answer keep nobody else waiting.
    std::size_t at_a_time = 256;
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
    /// Throws error(errc::storage_failed) when the file cannot be read or written, error(errc::invalid_option) for
    /// options that could never fetch anything.
    explicit https_policies(https_policies_options options = {})
        : handle_(std::make_shared<handle>(std::move(options))) {}

    void operator()(const std::string& domain, const sts_record& record, sts_handler done) const {
        handle_->to->ask(domain, record, std::move(done));
    }

private:
    // A file that is smaller is not written anew when it has doubled.
    static constexpr std::size_t least_rewritten = 64 * 1024;

    struct fetch {
        std::string domain = {};
        std::string id = {};
        std::string body = {};
        std::vector<sts_handler> waiting = {};
        time_point due = never;  // when whoever waits must have an answer
    };
    struct core {
        explicit core(https_policies_options o) : options(std::move(o)), addresses(detail::list_of(options.addresses)) {
            if (options.at_a_time == 0 || options.timeout <= duration::zero())
                throw error(errc::invalid_option, "nothing is fetched at no time, or none at a time");
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

        // The file is written anew at the start and when it has doubled; between, lines are added.
        void load() {
            if (options.file.empty()) return;
            const auto now = today();
            if (std::ifstream old{options.file, std::ios::binary}) {
                for (std::string text; std::getline(old, text);) (void)cache.read_line(text + "\n", now);
            }
            if (!write_anew(cache.text(now)))
                throw error(errc::storage_failed, "the file of policies cannot be written: " + options.file);
        }
        bool write_anew(const std::string& text) {
            const auto fresh = options.file + ".new";
            std::ofstream out{fresh, std::ios::binary | std::ios::trunc};
            out << text << std::flush;
            if (!out || std::rename(fresh.c_str(), options.file.c_str()) != 0) return false;
            in_file = at_first = text.size();
            return true;
        }
        // By the thread that fetches only, without the mutex: whoever asks must not wait for a disk.
        void keep(const std::string& text) {
            if (options.file.empty()) return;
            if (in_file + text.size() > 2 * std::max(at_first, least_rewritten)) {
                std::unique_lock lock(mutex);
                const auto all = cache.text(today());
                lock.unlock();
                if (write_anew(all)) return;
            }
            std::ofstream out{options.file, std::ios::binary | std::ios::app};
            out << text;
            in_file += text.size();
        }

        void ask(const std::string& domain, const sts_record& record, sts_handler&& done) {
            std::optional<sts_policy> policy;
            {
                const std::scoped_lock lock(mutex);
                const auto now = today();
                policy = cache.find(domain, now);
                if (cache.wants_fetch(domain, record, now)) {
                    // What only grows old is used meanwhile.
                    const bool waits = !policy || !cache.is_current(domain, record);
                    auto& f = want(domain, record, waits ? line : later);
                    if (waits) {
                        f.waiting.push_back(std::move(done));
                        return;
                    }
                }
            }
            done(std::move(policy));
        }
        fetch& want(const std::string& domain, const sts_record& record, std::deque<fetch*>& where) {
            auto& f = wanted[domain];
            const bool is_new = !f;
            if (is_new) {
                f = std::make_unique<fetch>();
                f->domain = domain;
            }
            // Somebody comes to wait for what nobody was in a hurry for.
            const bool moves = !is_new && &where == &line && std::erase(later, f.get()) > 0;
            if (is_new || moves) {
                f->id = record.id;
                if (&where == &line) f->due = after(clock::now(), options.timeout);
                where.push_back(f.get());
                curl_multi_wakeup(multi.get());
            }
            return *f;
        }

        void run() {
            while (!stopped()) {
                const auto next = end_of_line();
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
                if (!ended) curl_multi_poll(multi.get(), nullptr, 0, static_cast<int>(next.count()), nullptr);
            }
        }
        // A quarter of its time is needed for a fetch that may succeed.
        time_point leaves_line(const fetch& f) const { return f.due - options.timeout / 4; }
        // Answers those whose time in line is over; returns how long the next ones have.
        std::chrono::milliseconds end_of_line() {
            std::vector<std::pair<std::vector<sts_handler>, std::optional<sts_policy>>> told;
            std::chrono::milliseconds next = std::chrono::minutes(1);
            {
                const std::scoped_lock lock(mutex);
                const auto now = clock::now();
                while (!line.empty() && leaves_line(*line.front()) <= now) {
                    auto* const f = line.front();
                    line.pop_front();
                    told.emplace_back(std::move(f->waiting), cache.find(f->domain, today()));
                    wanted.erase(wanted.find(f->domain));
                }
                if (!line.empty())
                    next =
                        std::min(next, std::chrono::ceil<std::chrono::milliseconds>(leaves_line(*line.front()) - now));
            }
            for (const auto& [waiting, policy] : told)
                for (const auto& done : waiting) done(policy);
            return next;
        }
        void begin() {
            const std::scoped_lock lock(mutex);
            while (!line.empty() && running.size() < options.at_a_time) begin(line);
            while (!later.empty() && running.size() < std::max<std::size_t>(1, options.at_a_time / 4)) begin(later);
        }
        void begin(std::deque<fetch*>& first) {
            auto* const f = first.front();
            first.pop_front();
            detail::curl_easy easy(curl_easy_init());
            if (!easy) throw std::bad_alloc();
            set_up(easy.get(), *f);
            curl_multi_add_handle(multi.get(), easy.get());
            running.emplace(easy.release(), f);
        }
        void set_up(CURL* easy, fetch& f) const {
            const auto url =
                "https://mta-sts." + f.domain + ":" + std::to_string(options.port) + "/.well-known/mta-sts.txt";
            detail::prepare(easy, url, options, addresses.get());
            if (f.due != never) {
                const auto left = std::chrono::ceil<std::chrono::milliseconds>(f.due - clock::now());
                curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<long>(1, left.count())));
            }
            curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &core::take);
            curl_easy_setopt(easy, CURLOPT_WRITEDATA, &f);
        }
        static std::size_t take(const char* octets, std::size_t, std::size_t n, void* to) {
            auto& f = *static_cast<fetch*>(to);
            if (f.body.size() + n > max_sts_policy) return 0;
            f.body.append(octets, n);
            return n;
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
            sts_finding finding;
            std::string text;
            {
                const std::scoped_lock lock(mutex);
                auto* const f = running.at(easy);
                running.erase(easy);
                const auto now = today();
                auto found = good ? read_sts_policy(f->body, &finding.why) : std::nullopt;
                if (found) {
                    cache.fetched(f->domain, f->id, *std::move(found), now);
                    text = cache.line(f->domain);
                } else {
                    cache.failed(f->domain, now);
                    if (!good) finding.why = why_not(result, status);
                    finding.failure = failure_of(result, status);
                }
                finding.policy = cache.find(f->domain, now);
                waiting = std::move(f->waiting);
                wanted.erase(wanted.find(f->domain));
            }
            curl_easy_cleanup(easy);
            if (!text.empty()) keep(text);
            for (const auto& done : waiting) done(finding);
        }
        // Of a fetch that brought no policy.
        static sts_failure failure_of(CURLcode result, long status) {
            if (result == CURLE_PEER_FAILED_VERIFICATION) return sts_failure::certificate_error;
            // A policy that is too long is cut off by us.
            const bool answered = result == CURLE_OK || result == CURLE_WRITE_ERROR;
            return answered && status == 200 ? sts_failure::invalid : sts_failure::fetch_error;
        }
        static std::string why_not(CURLcode result, long status) {
            if (result == CURLE_WRITE_ERROR) return "more than " + std::to_string(max_sts_policy) + " octets";
            if (result != CURLE_OK) return curl_easy_strerror(result);
            return status == 200 ? "it is not text/plain" : "status " + std::to_string(status);
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
        detail::curl_list addresses;
        detail::curl_multi multi = detail::make_curl_multi();
        std::mutex mutex;
        sts_cache cache;
        std::map<std::string, std::unique_ptr<fetch>, std::less<>> wanted;
        std::deque<fetch*> line;   // somebody waits for them
        std::deque<fetch*> later;  // nobody does
        std::map<CURL*, fetch*> running;
        std::size_t in_file = 0;   // octets
        std::size_t at_first = 0;  // when it was written anew
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

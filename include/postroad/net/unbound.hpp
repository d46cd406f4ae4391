#pragma once
// Looks names up by libunbound: asks the servers of the DNS itself, validates with DNSSEC, keeps a cache. See
// docs/direct.md. Not among what postroad/postroad.hpp includes: needs the component postroad::mx.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/dns.hpp>
#include <postroad/net/worker.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unbound.h>
#include <unistd.h>

namespace postroad::net {

/// Where names are looked up, and whom DNSSEC trusts.
struct unbound_options {
    /// Resolvers that are asked instead of the servers of the DNS: addresses, "192.0.2.1" or "192.0.2.1@5353". They
    /// must pass DNSSEC on; with one that does not, every signed domain is bogus: then set `validate` to false. One on
    /// this machine may be asked, too.
    std::vector<std::string> forward_to = {};
    /// Zones and who has them, as the address of a server: {"corp.example", "10.0.0.1@53"}.
    std::vector<std::pair<std::string, std::string>> stubs = {};
    /// Whether signatures are looked at. Without, all is dns_trust::insecure, and there is no DANE.
    bool validate = true;
    /// A file of DS or DNSKEY records to trust. Empty: that of the root, where systems have it.
    std::string anchors_file = {};
    /// Options of unbound.conf, such as {"cache-max-ttl", "3600"}.
    std::vector<std::pair<std::string, std::string>> more = {};
    /// What has no answer by then failed.
    duration timeout = std::chrono::seconds(20);
};

/// A resolver of its own, and its cache. Answers come on a thread of its own. Any thread may ask. What is under way
/// when it is destroyed is dropped.
class unbound {
public:
    /// Throws error(errc::invalid_option) for what libunbound does not take.
    explicit unbound(unbound_options options = {})
        : core_(std::make_shared<core>(std::move(options))), thread_([c = core_] { c->run(); }) {}
    unbound(const unbound&) = delete;
    unbound& operator=(const unbound&) = delete;
    ~unbound() { core_->stop(); }

    void ask(const std::string& name, record_type type, dns_handler done) { core_->ask(name, type, std::move(done)); }

    /// Questions that libunbound still works on, also those that were given up.
    std::size_t under_way() const { return core_->under_way(); }
    /// False: no answer is ever secure, since it is told not to validate, or has nobody to trust.
    bool validates() const noexcept { return core_->validates; }

private:
    struct call {
        dns_handler done = {};
        time_point due = never;
    };
    struct core {
        explicit core(unbound_options o) : options(std::move(o)), context(ub_ctx_create()) {
            if (!context) throw std::bad_alloc();
            ub_ctx_async(context.get(), 1);  // a thread, not a process
            // It asks nobody on this machine, unless told.
            if (std::ranges::any_of(options.forward_to, is_local) ||
                std::ranges::any_of(options.stubs, [](const auto& s) { return is_local(s.second); }))
                check(ub_ctx_set_option(context.get(), "do-not-query-localhost:", "no"), "forward_to");
            for (const auto& [name, value] : options.more)
                check(ub_ctx_set_option(context.get(), (name + ":").c_str(), value.c_str()), name);
            for (const auto& address : options.forward_to)
                check(ub_ctx_set_fwd(context.get(), address.c_str()), "forward_to");
            for (const auto& [zone, address] : options.stubs)
                check(ub_ctx_set_stub(context.get(), zone.c_str(), address.c_str(), 0), "stubs");
            if (options.validate) trust();
            if (::pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) throw error({errno, std::generic_category()}, {});
        }
        ~core() {
            for (const int end : wake)
                if (end >= 0) ::close(end);
        }
        core(const core&) = delete;
        core& operator=(const core&) = delete;

        static bool is_local(const std::string& address) {
            return address.starts_with("127.") || address == "::1" || address.starts_with("::1@");
        }
        static void check(int failed, const std::string& what) {
            if (failed != 0)
                throw error(errc::invalid_option, "libunbound does not take " + what + ": " + ub_strerror(failed));
        }
        void trust() {
            auto file = options.anchors_file;
            for (const auto* usual : {"/usr/share/dns/root.key", "/var/lib/unbound/root.key", "/etc/unbound/root.key",
                                      "/usr/local/etc/unbound/root.key", "/opt/homebrew/etc/unbound/root.key"})
                if (file.empty() && std::ifstream(usual)) file = usual;
            if (file.empty()) return;
            if (!std::ifstream(file)) throw error(errc::invalid_option, "the file of anchors cannot be read: " + file);
            check(ub_ctx_add_ta_file(context.get(), file.c_str()), "the file of anchors " + file);
            validates = true;
        }

        void ask(const std::string& name, record_type type, dns_handler&& done) {
            std::uint64_t serial = 0;
            ticket* with_libunbound = nullptr;
            {
                const std::scoped_lock lock(mutex);
                serial = ++last_call;
                calls.emplace(serial, call{std::move(done), after(clock::now(), options.timeout)});
                with_libunbound = &tickets.emplace(serial, ticket{this, serial}).first->second;
                // The thread sleeps until the first of them is due; this one is due later.
                if (calls.size() == 1) wake_up();
            }
            const int failed = ub_resolve_async(context.get(), (name + ".").c_str(), static_cast<int>(type), 1,
                                                with_libunbound, &core::answered, nullptr);
            if (failed == 0) return;
            forget(serial);
            end(serial, {.why = ub_strerror(failed)});
        }

        // What libunbound has of a call, until it answers.
        struct ticket {
            core* owner;
            std::uint64_t serial;
        };
        static void answered(void* data, int failed, ub_result* result) {
            const auto t = *static_cast<ticket*>(data);
            t.owner->forget(t.serial);
            dns_answer a;
            if (failed != 0)
                a.why = ub_strerror(failed);
            else
                a = read(*result);
            ub_resolve_free(result);
            t.owner->end(t.serial, std::move(a));
        }
        void forget(std::uint64_t serial) {
            const std::scoped_lock lock(mutex);
            tickets.erase(serial);
        }
        std::size_t under_way() {
            const std::scoped_lock lock(mutex);
            return tickets.size();
        }
        static dns_answer read(const ub_result& r) {
            dns_answer a{.status = dns_status::failed,
                         .trust = r.bogus    ? dns_trust::bogus
                                  : r.secure ? dns_trust::secure
                                             : dns_trust::insecure,
                         .records = {},
                         .canonical = postroad::detail::in_lower_case(r.canonname ? r.canonname : ""),
                         .valid_until = after(clock::now(), std::chrono::seconds(r.ttl)),
                         .why = {}};
            if (a.canonical.ends_with('.')) a.canonical.pop_back();
            if (r.bogus) {
                a.why = r.why_bogus ? escaped(r.why_bogus) : "DNSSEC: bogus";
            } else if (r.havedata) {
                a.status = dns_status::found;
                for (std::size_t i = 0; r.data[i]; ++i)
                    a.records.emplace_back(r.data[i], static_cast<std::size_t>(r.len[i]));
            } else if (r.nxdomain) {
                a.status = dns_status::no_name;
            } else if (r.rcode == 0) {
                a.status = dns_status::no_data;
            } else {
                a.why = r.rcode == 2 ? "SERVFAIL" : r.rcode == 5 ? "REFUSED" : "RCODE " + std::to_string(r.rcode);
            }
            return a;
        }
        void end(std::uint64_t serial, dns_answer&& a) {
            dns_handler done;
            {
                const std::scoped_lock lock(mutex);
                const auto found = calls.find(serial);
                if (found == calls.end()) return;
                done = std::move(found->second.done);
                calls.erase(found);
            }
            done(std::move(a));
        }

        void run() {
            pollfd on[] = {{ub_fd(context.get()), POLLIN, 0}, {wake[0], POLLIN, 0}};
            while (!stopped()) {
                if (::poll(on, 2, patience()) < 0 && errno != EINTR) return;
                if (on[1].revents != 0) {
                    char octets[64];
                    (void)!::read(wake[0], octets, sizeof octets);
                }
                if (on[0].revents != 0) ub_process(context.get());
                give_up();
            }
        }
        // In ms, until the first call is due. They are due in the order of their numbers.
        int patience() {
            const std::scoped_lock lock(mutex);
            if (calls.empty()) return -1;
            const auto left = between(clock::now(), calls.begin()->second.due);
            return static_cast<int>(
                std::clamp<long long>(std::chrono::ceil<std::chrono::milliseconds>(left).count(), 0, 60'000));
        }
        void give_up() {
            for (;;) {
                std::uint64_t late = 0;
                {
                    const std::scoped_lock lock(mutex);
                    if (calls.empty() || calls.begin()->second.due > clock::now()) return;
                    late = calls.begin()->first;
                }
                // An answer that comes yet finds nobody.
                end(late, {.why = "no answer in time"});
            }
        }
        bool stopped() {
            const std::scoped_lock lock(mutex);
            return stops;
        }
        void stop() {
            const std::scoped_lock lock(mutex);
            stops = true;
            wake_up();
        }
        void wake_up() noexcept { (void)!::write(wake[1], "", 1); }

        struct deleter {
            void operator()(ub_ctx* c) const noexcept { ub_ctx_delete(c); }
        };
        unbound_options options;
        bool validates = false;
        std::mutex mutex;
        std::map<std::uint64_t, call> calls;
        std::map<std::uint64_t, ticket> tickets;
        std::uint64_t last_call = 0;
        bool stops = false;
        int wake[2] = {-1, -1};
        std::unique_ptr<ub_ctx, deleter> context;
    };

    std::shared_ptr<core> core_;
    worker thread_;
};

static_assert(dns_resolver<unbound>);

}  // namespace postroad::net

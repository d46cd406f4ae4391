#pragma once
// A DNS for tests: what it answers is written down. See docs/direct.md.

#include <postroad/core/config.hpp>
#include <postroad/net/dns.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::testing {

/// Answers at once, on the thread that asks. Of a name that is not written down it says that it does not exist, or that
/// it has no such records where it has others. Every function may be called on any thread, also between questions.
class scripted_resolver {
public:
    scripted_resolver() = default;

    // Records, one more each time. Names are absolute, without the last dot.

    scripted_resolver& mx(const std::string& name, std::uint16_t preference, std::string_view host);
    /// `text`: an address of IPv4 or IPv6.
    scripted_resolver& address(const std::string& name, std::string_view text);
    /// Of one string of up to 255 octets, or several.
    scripted_resolver& txt(const std::string& name, std::string_view text);
    /// `data` are octets, not hexadecimal.
    scripted_resolver& tlsa(const std::string& name, unsigned char usage, unsigned char selector,
                            unsigned char matching, std::string_view data);
    /// Any octets, also what is no RDATA of that type.
    scripted_resolver& record(const std::string& name, net::record_type type, std::string rdata);

    /// Questions for that name and type fail, as a server does that says SERVFAIL.
    scripted_resolver& fail(const std::string& name, net::record_type type);
    /// `name` is an alias of `target`.
    scripted_resolver& alias(const std::string& name, const std::string& target);
    /// All answers about `name` and what is below it are signed, or bogus; also that it does not exist.
    scripted_resolver& sign(const std::string& name, net::dns_trust trust = net::dns_trust::secure);
    /// What answers say from now on; an hour at first.
    scripted_resolver& ttl(std::chrono::seconds time);
    /// Takes all back that was written down about `name`.
    scripted_resolver& forget(const std::string& name);

    /// "MX example.org", in order.
    std::vector<std::string> questions() const;

    void ask(const std::string& name, net::record_type type, net::dns_handler done);

private:
    struct entry {
        std::map<net::record_type, std::vector<std::string>> records = {};
        std::map<net::record_type, bool> fails = {};
        std::string alias = {};
    };
    net::dns_answer answer(const std::string& name, net::record_type type) const;
    net::dns_trust trust(std::string_view name) const;

    mutable std::mutex mutex_;
    std::map<std::string, entry, std::less<>> names_;
    std::map<std::string, net::dns_trust, std::less<>> signed_;
    std::chrono::seconds ttl_ = std::chrono::hours(1);
    std::vector<std::string> asked_;
};

static_assert(net::dns_resolver<scripted_resolver>);

}  // namespace postroad::testing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/testing/impl/scripted_resolver.ipp>
#endif

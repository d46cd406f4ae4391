#pragma once
// From answers of the DNS to the servers of a domain (RFC 5321 section 5), without I/O. See docs/direct.md.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/net/dns.hpp>
#include <postroad/net/mta_sts.hpp>
#include <postroad/net/tls_report.hpp>
#include <postroad/transport/policy.hpp>
#include <postroad/transport/provider_rules.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::transport {

/// What a sender has decided about all domains.
struct mx_rules {
    /// Names and addresses of this host: who finds them among the servers of a domain stops there (RFC 5321 section
    /// 5.1).
    std::vector<std::string> own = {};
    std::uint16_t port = 25;
    net::address_family family = net::address_family::any;
    /// Whether mail may go where net::is_public() says no.
    bool private_addresses = false;
    /// Whether TLSA records are asked for, where all that leads to them is signed (RFC 7672).
    bool dane = true;
    /// Whether the record of MTA-STS is asked for (RFC 8461).
    bool mta_sts = false;
    /// security::starttls: of a server that nobody else demands more of, a certificate that is verified.
    security floor = security::opportunistic;
    /// The first that fits decides.
    provider_rules providers = known_providers();
};

/// The search for the servers of one domain: questions come out, answers go in, then there is a location or an error.
class mx_lookup {
public:
    /// How many servers of a domain, and addresses of all of them, are used; of many each server has its part.
    static constexpr std::size_t max_servers = 20;
    static constexpr std::size_t max_addresses = 40;

    struct question {
        std::string name = {};
        net::record_type type = net::record_type::mx;
        friend bool operator==(const question&, const question&) = default;
    };

    /// `domain` in A-labels and lower case, or an address literal in brackets. Servers of equal preference are in an
    /// order that depends on `seed`. `rules` outlive it.
    mx_lookup(std::string domain, const mx_rules& rules, std::uint64_t seed);

    /// The next question; none: answers are awaited, or it is done. Several may be under way.
    std::optional<question> poll();
    /// The answer to one of them.
    void answered(const question& q, net::dns_answer a);
    /// All are answered.
    bool done() const noexcept { return asked_ == 0 && questions_.empty(); }
    /// Once it is done: what its record of MTA-STS says. Nothing: nobody needs its policy.
    const std::optional<net::sts_record>& sts() const noexcept { return sts_; }
    /// Once it is done: mail goes only to servers that the policy names, with a certificate of theirs that is verified.
    void enforce(net::sts_policy policy) { policy_ = std::move(policy); }
    /// Once it is done. An error is permanent (errc::domain_unknown, domain_takes_no_mail, mail_loop, private_address)
    /// where the DNS says so, else errc::resolve_failed.
    located result();
    /// Once there is a location: the group of the rule for its provider; mostly empty.
    const std::string& group() const noexcept { return group_; }
    /// After result(): what is wrong with the policies of the domain, for reports (RFC 8460 section 4.3).
    const std::vector<net::policy_failure>& failures() const noexcept { return failures_; }

private:
    // One server of the domain.
    struct host {
        std::string name = {};
        std::uint16_t preference = 0;
        bool secure = false;                        // what led to its name is signed
        std::size_t missing = 0;                    // answers about its addresses
        std::vector<std::string> addresses = {};    // that are not refused
        std::vector<std::string> signed_ones = {};  // of these, those from signed answers
        std::string canonical = {};                 // in a signed answer
        bool alias = false;
        std::string described = {};  // the name that has TLSA records: `name`, or what it stands for
        bool own = false;
        bool not_public = false;
        bool other_family = false;  // its addresses are of the one that mail does not leave by
        bool unknown = false;       // it could not be found out
        std::vector<std::string> tlsa = {};
        bool verified = false;  // by its name and the CAs
        std::string why = {};
    };

    void literal(std::string_view text);
    void fail(errc e, std::string why);
    // For reports: what is signed, and cannot be believed.
    void untrusted(const std::string& server, const std::string& why) {
        failures_.push_back(
            {.result = net::tls_result::dnssec_invalid, .mx_host = server, .reason = why.empty() ? "bogus" : why});
    }
    void servers(net::dns_answer& a);
    void policy_record(const net::dns_answer& a);
    void stop_at_own();
    void take_addresses(host& h, const net::dns_answer& a);
    void address_of(host& h, net::dns_answer& a);
    void find_tlsa(host& h);
    void ask(host& h, std::string name, net::record_type type);
    void ask_tlsa(host& h, const std::string& base) { ask(h, tlsa_name(base), net::record_type::tlsa); }
    net::address_family family_for(const host& h) const;
    std::string why_family(const host& h) const;
    bool is_other_family(host& h, const question& q, const net::dns_answer& a);
    void alias_of(host& h, const net::dns_answer& a);
    void tlsa_of(host& h, const question& q, net::dns_answer& a);
    void share_addresses();
    void choose();
    void obey_policy();
    void demand_certificates();
    void nothing_left();
    std::string site_name() const;
    void limit(location& where);
    bool is_own(std::string_view name_or_address) const;
    void ask(std::string name, net::record_type type) { questions_.push_back({std::move(name), type}); }
    void until(time_point t) noexcept { valid_until_ = std::min(valid_until_, t); }
    std::string tlsa_name(const std::string& base) const;

    std::string domain_;
    const mx_rules* rules_;
    std::uint64_t seed_;
    std::deque<question> questions_;
    std::size_t asked_ = 0;
    std::vector<host> hosts_;                              // best first
    std::vector<std::pair<question, std::size_t>> about_;  // whom questions are about
    std::optional<net::sts_record> sts_;
    std::optional<net::sts_policy> policy_;
    std::vector<net::policy_failure> failures_;
    std::string not_named_;  // servers that the policy leaves out
    time_point valid_until_ = never;
    errc error_ = {};
    std::string why_;
    std::string group_;
};

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/mx_lookup.ipp>
#endif

#pragma once
// How TLS with the servers of domains went, counted and told (RFC 8460). No I/O and no clock: days come in, since
// counts outlive the process. See docs/tls.md.

#include <postroad/core/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::net {

/// What was asked of the TLS of a session (RFC 8460 section 4.2).
enum class tls_policy_type : unsigned char { tlsa, sts, no_policy_found };
POSTROAD_DECL std::string_view to_string(tls_policy_type t) noexcept;

/// Why a session did not get the TLS that was asked of it (RFC 8460 section 4.3).
enum class tls_result : unsigned char {
    starttls_not_supported,
    certificate_host_mismatch,
    certificate_expired,
    certificate_not_trusted,
    validation_failure,  ///< anything else
    tlsa_invalid,
    dnssec_invalid,
    dane_required,
    sts_policy_fetch_error,
    sts_policy_invalid,
    sts_webpki_invalid,
};
POSTROAD_DECL std::string_view to_string(tls_result r) noexcept;

/// The policy that a session was under, as the report says it.
struct tls_policy {
    tls_policy_type type = tls_policy_type::no_policy_found;
    /// The domain that has the policy, in A-labels: of TLSA records the server's name.
    std::string domain = {};
    /// Lines of the policy of MTA-STS, or TLSA records as text.
    std::vector<std::string> text = {};
    /// Names of servers in the policy of MTA-STS, with "*.".
    std::vector<std::string> mx_hosts = {};
    friend auto operator<=>(const tls_policy&, const tls_policy&) = default;  // NOLINT(modernize-use-nullptr): it is 0
};

/// One kind of failure. Empty: not known, and left out.
struct tls_failure {
    tls_result result = tls_result::validation_failure;
    std::string sending_ip = {};
    std::string mx_host = {};
    std::string mx_helo = {};  ///< one name
    std::string receiving_ip = {};
    std::string information = {};  ///< for people, or a URL
    std::string reason = {};       ///< of the TLS library
    friend auto operator<=>(const tls_failure&,
                            const tls_failure&) = default;  // NOLINT(modernize-use-nullptr): it is 0
};

/// What went wrong before there was a session: a policy was not found, or lets no server pass.
struct policy_failure {
    tls_result result = tls_result::dnssec_invalid;
    std::string mx_host = {};  ///< whose TLSA records it is about; empty: the domain
    std::string reason = {};
    friend bool operator==(const policy_failure&, const policy_failure&) = default;
};

/// Sessions under one policy.
struct tls_counts {
    std::uint64_t successes = 0;
    std::uint64_t failures = 0;
    std::map<tls_failure, std::uint64_t> details = {};
    friend bool operator==(const tls_counts&, const tls_counts&) = default;
};

/// Who reports.
struct tls_reporter {
    std::string organization = {};
    std::string contact = {};    ///< an address that people read
    std::string submitter = {};  ///< the domain that reports, in A-labels
};

using report_day = std::chrono::sys_days;

/// What is told to one domain about one day, UTC.
struct tls_report {
    std::string domain = {};
    report_day day = {};
    std::map<tls_policy, tls_counts> policies = {};
    friend bool operator==(const tls_report&, const tls_report&) = default;
};

/// "1764288000.4f1c@out.example.com": equal for equal reports, so that one that comes twice is known.
POSTROAD_DECL std::string report_id(const tls_report& r, const tls_reporter& who);
/// RFC 8460 section 4.4, one line.
POSTROAD_DECL std::string to_json(const tls_report& r, const tls_reporter& who);
/// "submitter!domain!begin!end!id.json.gz" (RFC 8460 section 5.1).
POSTROAD_DECL std::string report_file_name(const tls_report& r, const tls_reporter& who);

/// Counts sessions by day, domain, policy and failure. One thread at a time.
class tls_results {
public:
    /// Domains of all days; others are not counted.
    static constexpr std::size_t max_domains = 100'000;
    /// Policies of a domain on a day; others are not counted. Kinds of failures under one; others are in the sum.
    static constexpr std::size_t max_policies = 20;
    static constexpr std::size_t max_details = 100;

    /// A session for mail to `domain` (A-labels, lower case): a connection counts once, however many messages it has.
    void count(const std::string& domain, const tls_policy& policy, const std::optional<tls_failure>& failed,
               report_day today);
    /// What is over, oldest day first.
    std::vector<std::pair<report_day, std::string>> ended(report_day today) const;
    /// Null: nothing was counted.
    const tls_report* find(const std::string& domain, report_day day) const;
    /// It was told, or nobody wants to hear it.
    void forget(const std::string& domain, report_day day);
    std::size_t size() const noexcept { return all_.size(); }

    /// All of it as lines, for a file.
    std::string text() const;
    /// Adds what a line of text() says. False: it is none, and nothing happened.
    bool read_line(std::string_view line);

private:
    tls_counts* counts_of(const std::string& domain, const tls_policy& policy, report_day day);

    std::map<std::pair<report_day, std::string>, tls_report> all_;
};

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/tls_report.ipp>
#include <postroad/net/impl/tls_results.ipp>
#endif

#pragma once
// Counts for reports how TLS goes with the servers of domains (RFC 8460), by watching a mailer. See docs/tls.md.

#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/net/mta_sts.hpp>
#include <postroad/net/tls_report.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::net {

struct tls_watch_options {
    /// The address that we are seen to come from; readers of reports look for it.
    std::string sending_ip = {};
    /// For tests; none: the calendar.
    std::function<report_day()> today = {};
};

/// Is told by the transport where domains are, and by the mailer, as one of its observers, what happens there. A
/// session counts once for each domain that has mail on it; one that fails before it has any, for each domain that is
/// at that server. Thread-safe; several mailers may have one. Of tls_results::max_domains domains at a time; one that
/// was not located for a day makes room for others.
class tls_watch final : public observer {
public:
    /// Domains at one server for which a failure counts.
    static constexpr std::size_t max_domains_at_server = 100;

    explicit tls_watch(tls_watch_options options = {}) : options_(std::move(options)) {}

    /// Where a domain is, what is demanded there, and the policy of MTA-STS that was found.
    void located(const std::string& domain, const std::vector<endpoint>& servers,
                 const std::optional<sts_policy>& policy);
    /// What failed while it was looked for: each counts as a session that failed, since none could be as it should.
    void failed(const std::string& domain, const std::optional<sts_policy>& policy,
                const std::vector<policy_failure>& failures);
    void on(const observation& o) override;

    /// Calls f with what was counted; nothing is counted meanwhile.
    void use(const std::function<void(tls_results&)>& f);

private:
    struct session {
        std::string server = {};
        std::string address = {};
        std::string helo = {};
        bool tls = false;
        bool offers_tls = false;
        std::string doubt = {};  // what is wrong with its certificate, though nobody asks for a good one
        std::set<std::string> counted = {};
    };
    struct place {
        report_day seen = {};  // when it was located last
        std::vector<std::string> servers = {};
        tls_policy policy = {};                            // where no record of TLSA is
        std::map<std::string, tls_policy> by_server = {};  // where one is
        // In mode testing: what fails is told, and sent all the same.
        std::optional<sts_policy> tested = {};
    };

    void make_room(report_day day);
    void leave(const std::string& domain);
    void carries(session& s, const std::string& domain);
    static std::optional<tls_failure> broken(const sts_policy& tested, const session& s);
    void failed(const session& s, tls_result why, std::string_view text);
    void count(const session& s, const std::string& domain, std::optional<tls_failure> f);
    report_day today() const;

    std::mutex mutex_;
    tls_watch_options options_;
    tls_results results_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, session> sessions_;  // by mailer and connection
    std::map<std::string, place> places_;                                  // by domain
    std::map<std::string, std::set<std::string>> at_server_;               // domains, by "name:port"
    report_day made_room_ = {};
};

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/tls_watch.ipp>
#endif

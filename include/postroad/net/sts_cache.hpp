#pragma once
// Policies of MTA-STS that are in force (RFC 8461 section 5.1). No I/O and no clock: times are seconds since 1970,
// since policies outlive the process.

#include <postroad/core/config.hpp>
#include <postroad/net/mta_sts.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace postroad::net {

/// Whoever saw a policy obeys it until it ends, whatever the DNS says meanwhile; so it must not be forgotten.
class sts_cache {
public:
    using time = std::chrono::sys_seconds;
    static constexpr std::size_t max_entries = 100'000;
    /// After a fetch that failed none is tried for so long.
    static constexpr auto retry_after = std::chrono::minutes(5);

    /// What is in force.
    std::optional<sts_policy> find(std::string_view domain, time now) const;
    /// Whether the policy is to be fetched: it is new or changed, or has half its time behind it.
    bool wants_fetch(std::string_view domain, const sts_record& record, time now) const;
    /// Whether what is in force, if anything, is what the record speaks of.
    bool is_current(std::string_view domain, const sts_record& record) const;
    void fetched(std::string_view domain, std::string id, sts_policy policy, time now);
    /// What there was stays in force.
    void failed(std::string_view domain, time now);

    /// As a line with its end, for a file to which lines are added; empty for a domain without a policy. The last line
    /// of a domain counts.
    std::string line(std::string_view domain) const;
    /// False: it is no such line, and nothing happened. What has ended is left out.
    bool read_line(std::string_view line, time now);
    /// All that is in force.
    std::string text(time now) const;
    std::size_t size() const noexcept { return all_.size(); }

private:
    struct entry {
        std::string id = {};
        std::optional<sts_policy> policy = {};
        time until = {};
        time failed_at = {};  // 0: it did not
    };
    entry& of(std::string_view domain, time now);

    std::map<std::string, entry, std::less<>> all_;
};

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/sts_cache.ipp>
#endif

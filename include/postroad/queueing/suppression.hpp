#pragma once
// Addresses that must not get mail: a list of them in memory, and what puts them in. See docs/suppression.md.

#include <postroad/core/config.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/delivery_report.hpp>
#include <postroad/queueing/suppression_list.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace postroad::suppression {

/// A list that can be kept: by hand, by reports, by files. On any thread.
template <class S>
concept store = list<S> && requires(S& s, const S& c, const address& a, const scope& of, std::span<const entry> all,
                                    time now, std::function<bool(const entry&)> f) {
    // All of them or none; one of the same address and scope takes the place of the one before. How many are new. A
    // list without an id, as in "News <>", is refused with error(errc::invalid_option).
    { s.add(all, now) } -> std::same_as<std::size_t>;
    // The entry of just that scope. Whether there was one.
    { s.remove(a, of) } -> std::same_as<bool>;
    // There is no such mailbox (see is_hard_bounce): counted, and suppressed when that has happened often enough.
    // `source` is for people. Whether it is suppressed now.
    { s.bounced(a, std::string_view(), now) } -> std::same_as<bool>;
    // Calls `f` for each entry, perhaps also those that are over, until it returns false. `f` must not call the store.
    { c.each(f) } -> std::same_as<void>;
};

/// How local parts are compared. RFC 5321 section 2.4: case counts. Nearly all servers ignore it.
enum class local_parts : unsigned char {
    as_they_are,
    ignoring_case,  ///< as far as ASCII has two cases
};

struct options {
    local_parts compared = local_parts::as_they_are;
    /// So many hard bounces suppress an address; 0: none do.
    unsigned bounces = 3;
    /// A bounce counts for so long.
    std::chrono::seconds bounces_within = std::chrono::hours(90 * 24);
};

namespace detail {
POSTROAD_DECL bool counts(const entry& e, const scope& of, time now);
/// As it is stored: with the id of the list alone, in lower case.
POSTROAD_DECL scope reduced(scope of);
POSTROAD_DECL bool has_list_id(const scope& of);
/// The same of an entry; throws error(errc::invalid_option) for a list without an id.
POSTROAD_DECL entry reduced(entry e);
}  // namespace detail

/// What makes two addresses one (RFC 5321 section 2.4): the local part without needless quotes, the domain as A-labels
/// in lower case.
POSTROAD_DECL std::string key_of(const address& a, local_parts compared);

/// Whether a report, or a reply (see reported()), says that there is no such mailbox or domain: 5.1.1, 5.1.2, 5.1.10,
/// or no status and words that say it; and no words that it was taken for spam, as some servers mean by 5.1.1.
POSTROAD_DECL bool is_hard_bounce(const reported_recipient& r);

/// A list in memory. An entry takes about 300 octets.
class memory {
public:
    explicit memory(options o = {}) : options_(o) {}

    POSTROAD_DECL std::optional<entry> find(const address& a, const scope& of, time now) const;
    POSTROAD_DECL std::size_t add(std::span<const entry> all, time now);
    POSTROAD_DECL bool remove(const address& a, const scope& of);
    POSTROAD_DECL bool bounced(const address& a, std::string_view source, time now);
    POSTROAD_DECL void each(const std::function<bool(const entry&)>& f) const;
    POSTROAD_DECL std::size_t size() const;

private:
    struct strikes {
        unsigned count = 0;
        time last = {};
    };

    std::size_t add_one(entry e, time now);
    void forget(time now);

    options options_;
    mutable std::shared_mutex mutex_;  // guards what follows
    std::unordered_multimap<std::string, entry> all_;
    std::unordered_map<std::string, strikes> bounces_;
    std::size_t forget_at_ = 1000;  // so many of both
};

/// What a report that came back says, put into a store: complaints are suppressed, hard bounces counted. Returns how
/// many recipients are suppressed now.
///
/// Anybody may send a report: give only those that came to an address which nobody else knows (verp_address), or that
/// your server has authenticated. What is no address is left out.
template <store S>
std::size_t suppress_reported(S& s, const delivery_report& report, const scope& of, time now) {
    std::size_t suppressed = 0;
    const auto source = "report of " + (report.reporting_mta.empty() ? "an unnamed server" : report.reporting_mta);
    for (const auto& r : report.recipients) {
        error_code ec;
        const auto a = address::parse(r.address(), ec);
        if (ec) continue;
        // auth-failure is about mail that somebody else sent in our name (RFC 6591).
        if (!report.feedback_type.empty() && report.feedback_type != "not-spam" &&
            report.feedback_type != "auth-failure") {
            const entry e{.address = a, .of = of, .why = reason::complaint, .source = source};
            s.add({&e, 1}, now);
            ++suppressed;
        } else if (report.feedback_type.empty() && is_hard_bounce(r)) {
            suppressed += s.bounced(a, source, now) ? 1 : 0;
        }
    }
    return suppressed;
}

}  // namespace postroad::suppression

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/queueing/impl/suppression.ipp>
#endif

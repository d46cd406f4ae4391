#pragma once
// What is known of domains: at which site each is, since when, and what waits for the answer. No I/O and no clock.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/id_table.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/engine/sites.hpp>
#include <postroad/queueing/job.hpp>
#include <postroad/transport/policy.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace postroad::engine {

/// Questions that are under way at a time.
inline constexpr std::size_t max_questions = 256;
/// A question without an answer for so long has failed.
inline constexpr duration question_timeout = std::chrono::minutes(1);
/// An answer is good for so long at least, also one that is a refusal for good.
inline constexpr duration least_validity = std::chrono::minutes(1);
/// A domain that cannot be located rests so long, then twice as long with each further failure, up to longest_rest.
inline constexpr duration first_domain_rest = std::chrono::seconds(1);
/// When so many domains in a row cannot be located, it is the one who answers: one is asked at a time, and all of them
/// are one trouble.
inline constexpr unsigned many_failures = 20;

using question_id = std::uint64_t;

/// What route() names: where recipients go, as the transport says.
struct domain {
    std::string name = {};
    site* at = nullptr;  // null: not located, or no longer
    time_point valid_until = time_point::min();
    question_id question = 0;       // that is under way; 0: none
    bool wants_answer = false;      // its question waits for others
    time_point overdue_at = never;  // when it will have waited for its answer for longest_stay
    bool overdue = false;
    id_table<bool> waiting = {};   // deliveries that wait for a location, or for resume()
    std::size_t held = 0;          // deliveries, wherever they are
    std::size_t sent_back = 0;     // that wait in the queue for its location
    unsigned failures = 0;         // in a row
    std::uint64_t counted_in = 0;  // the row of failures of all domains that it is counted in
    time_point rests_until = time_point::min();
    error_code error = {};
    std::string why = {};
    time_point since = never;  // of its trouble
    bool listed = false;       // among those that may be forgotten
    time_point rested_at = time_point::min();
};

class domains {
public:
    /// `lasts`: the queue does, so what waits for an answer may wait there.
    explicit domains(bool lasts) noexcept : lasts_(lasts) {}

    /// The domain of that name; made if it is new.
    POSTROAD_DECL domain& of(std::string_view name);
    domain* find(std::string_view name) {
        const auto found = all_.find(name);
        return found == all_.end() ? nullptr : &found->second;
    }
    std::size_t size() const noexcept { return all_.size(); }
    template <class F>
    void each(F&& f) {
        for (auto& entry : all_) f(entry.second);
    }

    static bool is_located(const domain& d, time_point now) noexcept { return d.at && d.valid_until > now; }

    /// The location is to be asked for. next_question() says when.
    POSTROAD_DECL void want(domain& d, time_point now);
    /// The next domain to ask for, by its new question; none: not now.
    POSTROAD_DECL domain* next_question(time_point now);
    /// Whom an answer is for; null: nobody, it comes a second time or too late.
    POSTROAD_DECL domain* answered(question_id q);
    /// A question whose time is over; asked until there is none.
    POSTROAD_DECL domain* unanswered(time_point now);
    /// In a queue that lasts, a domain that has waited for its answer for longest_stay, and waits on; each once, asked
    /// until there is none.
    POSTROAD_DECL domain* overdue(time_point now);
    POSTROAD_DECL void found(domain& d, site& at, time_point valid_until, time_point now);
    POSTROAD_DECL void not_found(domain& d, error_code ec, std::string why, time_point now);
    POSTROAD_DECL void end_rests();

    time_point wakeup() const noexcept {
        return std::min(asked_.empty() ? never : asked_.front().first, waits_.empty() ? never : waits_.begin()->first);
    }

    POSTROAD_DECL void rest(domain& d, time_point now);
    /// Forgets what was not needed for `forget_after`; `gone(site)` is told where it was.
    template <class Gone>
    void forget_idle(time_point now, Gone&& gone) {
        while (domain* const d = next_idle(now)) {
            site* const at = d->at;
            if (d == last_) last_ = nullptr;
            all_.erase(all_.find(d->name));
            if (at && --at->domains == 0) gone(*at);
        }
    }

    POSTROAD_DECL void add_troubles(std::vector<queueing::trouble>& to, time_point now) const;

private:
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>()(s); }
    };
    void end_row() noexcept;
    domain* next_idle(time_point now);
    void list(domain& d, time_point at);

    bool lasts_;
    std::unordered_map<std::string, domain, hash, std::equal_to<>> all_;  // they stay where they are
    domain* last_ = nullptr;                                              // that of() gave out: many send to one
    id_map<domain*> questions_;
    ring<std::pair<time_point, question_id>> asked_;  // when their time is over, in order
    ring<domain*> wanted_;
    std::set<std::pair<time_point, domain*>> waits_;  // until they are overdue
    std::set<std::pair<time_point, domain*>> idle_;
    question_id last_question_ = 0;
    unsigned failures_ = 0;  // of different domains, in a row
    std::uint64_t row_ = 1;  // tells it from those before
};

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/domains.ipp>
#endif

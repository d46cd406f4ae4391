#pragma once
// What is known of sites and their servers: which of them may be opened, which rests after a failure and how long, what
// it taught, and when nobody needs it any more. No I/O and no clock.

#include <postroad/core/agenda.hpp>
#include <postroad/core/algorithm.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/engine/pace.hpp>
#include <postroad/engine/verdict.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/queueing/inspection.hpp>
#include <postroad/transport/policy.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::engine {

using pooling::connection_id;
using pooling::host_id;

/// After its first failure a server rests so long, then twice as long with each further one.
inline constexpr duration first_rest = std::chrono::milliseconds(250);
inline constexpr duration longest_rest = std::chrono::minutes(15);
/// The longest where the queue does not last: somebody waits.
inline constexpr duration longest_rest_of_direct = std::chrono::seconds(5);
/// A server that failed is passed over so long while another of its site works.
inline constexpr duration pause_after_failure = std::chrono::seconds(60);
/// After a refused login; doubles up to longest_rest.
inline constexpr duration first_login_rest = std::chrono::minutes(1);
/// When nothing is heard from a server so long, the next one may be tried beside it.
inline constexpr duration silence = std::chrono::seconds(2);
/// Failures in a row of one server after which what waits is judged, where the queue does not last, unless one is
/// enough.
inline constexpr unsigned enough_failures = 3;
/// Where a message was on each of those connections, which may be what broke it: not before it went on for so long.
inline constexpr duration patience_with_breaks = std::chrono::seconds(30);
/// Nothing waits so long for a site that does not work: it goes back to the queue until the rest is over.
inline constexpr duration longest_stay = std::chrono::seconds(10);
/// What nobody needs is forgotten so long after it was used.
inline constexpr duration forget_after = std::chrono::minutes(10);
/// How long lessons are heeded: that TLS does not work, and all others. Twice as long each time that the same is taught
/// again after that, up to longest_lesson.
inline constexpr duration tls_lesson = std::chrono::minutes(10);
inline constexpr duration other_lesson = std::chrono::hours(1);
inline constexpr duration longest_lesson = std::chrono::hours(24);

/// Which message was on a connection, and which try of it that was.
struct carried_job {
    job_id id = 0;
    std::size_t attempt = 0;
};

/// One server of a site.
struct server {
    endpoint at = {};
    long credit = 0;  // smooth weighted round robin
    time_point rests_until = time_point::min();
    time_point failed_at = time_point::min();
    unsigned failures = 0;  // in a row
    bool gave_up = false;   // no use in asking it again for what waits now
    bool worked = false;    // it answered to a MAIL, and went on, since its last failure
    bool is_busy = false;   // it had worked, and has asked for time since, at each opening
    carried_job broken_by = {};
    std::size_t opening = 0;
    time_point opening_since = time_point::min();
    std::array<time_point, 4> taught = {};  // until when each lesson is true
    std::array<unsigned, 4> times = {};     // how often each was taught
    smtp::auth_habits auth = {};            // true until
    time_point auth_until = time_point::min();
    engine::pace pace = {};

    /// Nothing is known of it: one connection at a time is opened.
    bool is_cold() const noexcept { return !worked; }
};

/// Senders whose MAIL was refused for a reason that may be the sender's or the client's.
struct refused_senders {
    std::map<std::string, bool, std::less<>> all = {};  // whether another sender's MAIL was accepted since
};

/// What a reply asked for: to be left alone until then.
struct asked_rest {
    time_point until = time_point::min();
    smtp::closed why = {};
};

/// Sites that share limits.
struct provider {
    host_id id = 0;
    std::size_t sites = 0;
    std::size_t open = 0;  // connections
    std::size_t held = 0;  // deliveries
    postroad::limits limits = {};
    // All of it, or what is sent on behalf of a tenant: what one is told is no other's.
    asked_rest rest = {};
    time_point rests_since = never;
    // The last answer of a server that had no time, and since when none had; `never` where the last one had.
    smtp::closed put_off = {};
    time_point put_off_since = never;
    std::map<std::string, asked_rest, std::less<>> tenants = {};
};

/// Sites that share a pace, of one provider or of several.
struct stream {
    host_id id = 0;
    std::size_t sites = 0;
    rate pace = {};
};

/// Servers that are interchangeable.
struct site {
    host_id id = 0;
    std::string name = {};
    std::string provider_name = {};  // empty: none but itself
    engine::provider* group = nullptr;
    engine::provider alone = {};  // where it is its own
    std::string stream_name = {};
    engine::stream* stream = nullptr;  // mostly none
    std::vector<server> servers = {};
    std::vector<connection_id> connections = {};
    std::size_t opening = 0;
    std::size_t coming = 0;  // once an evicted connection of another site is gone
    std::size_t open = 0;
    std::size_t idle = 0;       // of those that are open
    bool hungry = false;        // waits for the pool's limit over all sites
    bool limited = false;       // waits for a limit of its own
    bool untried = false;       // waits until fewer are silent
    bool changed = false;       // has something new
    std::size_t warm = 0;       // connections that are opened before there is a message
    std::size_t held = 0;       // deliveries
    std::size_t sent_back = 0;  // deliveries that wait in the queue for the end of its trouble
    std::size_t domains = 0;    // that are here

    // What keeps it from working; `since` is never where nothing does.
    smtp::closed trouble = {};
    ruling what = ruling::settled;
    time_point since = never;
    time_point login_rests_until = time_point::min();
    unsigned logins_refused = 0;
    refused_senders refused = {};

    time_point rings_at = never;
    bool listed = false;  // among those that may be forgotten
    time_point rested_at = time_point::min();

    pooling::place place() const noexcept {
        pooling::place at{id, group->id, group->limits};
        at.works = works();
        if (!stream) return at;
        at.stream = stream->id;
        at.stream_pace = stream->pace;
        return at;
    }
    /// Connections that are not on their way out.
    std::size_t live() const noexcept { return opening + open; }
    bool in_trouble() const noexcept { return since != never; }
    bool works() const noexcept {
        return postroad::detail::any_of(servers, [](const server& v) { return v.worked; });
    }
    /// Its provider is left alone.
    bool rests(time_point now) const noexcept { return group->rest.until > now; }
};

class sites {
public:
    /// `lasts`: the queue does, so nobody waits for an answer.
    explicit sites(bool lasts) noexcept : lasts_(lasts) {}

    /// The site of that name, with those servers. Null: it is known with others, and has connections to them. `before`:
    /// where the last answer of the same domain said, or null; mostly it is that one, which need not be looked for.
    POSTROAD_DECL site* place(transport::location&& where, time_point now, site* before = nullptr);
    /// What is left of a site without that server, for what that one cannot take. Null: nothing.
    POSTROAD_DECL site* without(const site& s, std::size_t server, time_point now);
    site* find(host_id id) noexcept {
        const auto found = sites_.find(id);
        return found == sites_.end() ? nullptr : &found->second;
    }
    std::size_t size() const noexcept { return sites_.size(); }
    template <class F>
    void each(F&& f) {
        for (auto& entry : sites_) f(entry.second);
    }

    /// Something arrived there, or may go that could not before: next_changed() gives it out, once.
    void change(site& s) {
        if (!std::exchange(s.changed, true)) changed_.push_back(s.id);
    }
    site* next_changed() {
        while (!changed_.empty())
            if (site* const s = find(changed_.pop_front())) {
                s->changed = false;
                return s;
            }
        return nullptr;
    }

    /// The server that a new connection may be opened to; none: not now. It rings when that changes by time alone.
    POSTROAD_DECL std::optional<std::size_t> may_open(site& s, time_point now);
    /// Whether a connection beside the one that is being opened may be, since nothing is heard from that.
    POSTROAD_DECL bool is_silent(const site& s, time_point now) const noexcept;
    POSTROAD_DECL void opening(site& s, std::size_t server, time_point now);
    /// The opening has come to an end, in whatever way.
    static void opened(site& s, std::size_t server) noexcept { --s.servers[server].opening; }
    /// A server answered to MAIL, and goes on: it works.
    POSTROAD_DECL void worked(site& s, std::size_t server) noexcept;
    /// An opening failed. `others`: the server has connections that work. `enough`: so many failures in a row say that
    /// it will say the same again; of one that worked and asks for time (4yz), `enough_failures` at least. Returns
    /// whether every server of the site has failed what waits there.
    POSTROAD_DECL bool failed(site& s, std::size_t server, const smtp::closed& why, ruling what, bool others,
                              unsigned enough, time_point now);
    /// A connection, which was ready at that time, ended with its first message after the server had answered to MAIL:
    /// a failed opening, unless that message is what ends connections. Returns as failed() does.
    POSTROAD_DECL bool broke(site& s, std::size_t server, const smtp::closed& why, carried_job by, time_point ready_at,
                             time_point now);
    /// What waits was told; each server may be asked again for what comes.
    POSTROAD_DECL void told(site& s) noexcept;
    /// When a connection may be opened, at the earliest; in the past if now.
    POSTROAD_DECL time_point rests_until(const site& s) const noexcept;
    /// Whether what waits there stays in vain: nothing is open, and nothing will be before `longest_stay` is over.
    POSTROAD_DECL bool is_stuck(const site& s, time_point now) const noexcept;
    /// Ends all rests: somebody says that it is worth a try.
    POSTROAD_DECL void end_rests();

    /// The provider of a site said that it, or a tenant, is to be left alone. Whether that is new.
    POSTROAD_DECL bool rest_provider(site& s, const smtp::closed& why, time_point until, time_point now);
    POSTROAD_DECL bool rest_tenant(site& s, const std::string& tenant, const smtp::closed& why, time_point until,
                                   time_point now);
    /// Until when what a tenant sends there is left alone, and why; in the past if it is not.
    POSTROAD_DECL static const asked_rest& rest_of(const site& s, const std::string& tenant) noexcept;

    /// A sender's MAIL was refused, or accepted, where the reply may be about the sender or the client.
    POSTROAD_DECL ruling sender_refused(site& s, const std::string& sender);
    POSTROAD_DECL void sender_accepted(site& s, const std::string& sender);

    POSTROAD_DECL void learn(site& s, std::size_t server, smtp::lesson l, time_point now) noexcept;
    POSTROAD_DECL void learn(site& s, std::size_t server, const smtp::auth_habits& a, time_point now);
    /// Whether it may get a message ahead of the replies to another.
    POSTROAD_DECL bool overlaps(const site& s, std::size_t server, time_point now) const noexcept;
    POSTROAD_DECL transport::lessons lessons(const site& s, std::size_t server, time_point now) const;

    /// Calls for that site at that time, unless it does so earlier.
    POSTROAD_DECL void ring(site& s, time_point at);
    /// A site that rings; asked until there is none.
    POSTROAD_DECL site* rung(time_point now);
    time_point wakeup() const noexcept { return rings_.empty() ? never : rings_.begin()->first; }

    /// It has nothing to do; forget_idle() looks at it later.
    POSTROAD_DECL void rest(site& s, time_point now);
    /// Forgets what was not needed for `forget_after`. `ask(place)` says time_point::min(), or when to ask again.
    template <class Ask>
    void forget_idle(time_point now, Ask&& ask) {
        while (site* const s = next_idle(now)) {
            const auto again = std::max(ask(s->place()), lesson_ends(*s));
            if (again <= now)
                erase(*s);
            else if (again != never)  // else when it was used again
                list(*s, again);
        }
    }

    /// A server answered to a transaction, and had time for it or not; `why` says that it had not.
    POSTROAD_DECL static void had_time(site& s) noexcept;
    POSTROAD_DECL static void put_off(site& s, smtp::closed&& why, time_point now);

    /// `left_alone_until`: what the scheduler says of a place, see scheduling_traits.
    POSTROAD_DECL void add_troubles(std::vector<queueing::trouble>& to, time_point now,
                                    const std::function<time_point(pooling::place)>& left_alone_until) const;

private:
    duration rest_after(unsigned failures, std::uint64_t salt) const noexcept;
    static bool same_servers(const site& s, const std::vector<endpoint>& servers);
    static std::size_t choose(site& s, const std::vector<bool>& usable);
    site* named(std::string_view name);
    site* next_idle(time_point now);
    time_point lesson_ends(const site& s) const noexcept;
    void list(site& s, time_point at);
    void erase(site& s);

    bool lasts_;
    id_map<site> sites_;
    std::map<std::string, host_id, std::less<>> by_name_;
    std::map<std::string, provider, std::less<>> providers_;
    std::map<std::string, stream, std::less<>> streams_;
    postroad::ring<host_id> changed_;  // ring() is a bell here
    agenda rings_;
    agenda idle_;
    host_id last_id_ = 0;
};

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/sites.ipp>
#endif

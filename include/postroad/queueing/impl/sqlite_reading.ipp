#pragma once
// What comes from the file into memory: jobs that are due.

#include <postroad/queueing/impl/sqlite.ipp>

namespace postroad::queueing::detail {

// Jobs that are due, from the file into memory, as many as are wanted.
inline void sqlite_store::load() {
    time_point horizon;
    {
        const std::scoped_lock lock(mutex_);
        if (!sends_ || (!load_ && !wants_more())) return;
        loading_ = true;
        load_ = false;
        horizon = horizon_;
    }
    bool failed = false;
    bool more = false;
    try {
        if (discover_) discover();
        for (auto& [of, l] : shelf_.lanes()) {
            more = load_delayed(of, l, horizon) || more;
            more = load_fresh(of, l) || more;
        }
    } catch (const error& e) {
        failed = true;
        met(e);
    }
    const std::scoped_lock lock(mutex_);
    begins_ = begins_ && !shelf_.any_ready();
    loading_ = false;
    tell_ = true;
    load_ = load_ || more || failed;
    failing_ = failing_ || failed;
}

// The lanes of what is there. Only this thread adds some.
inline void sqlite_store::discover() {
    // What is in no class would be found by nobody.
    for (auto found = file_.backlog().misplaced(); !found.empty(); found = file_.backlog().misplaced())
        transaction([&] {
            for (const auto place : found) file_.hold(place);
        });
    for (unsigned of = 0; of < classes; ++of) {
        const auto next = file_.backlog().next(first_place(of));
        if (!next || *next >= first_place(classes)) break;
        of = class_at(*next);
        const std::scoped_lock lock(mutex_);
        shelf_.discovered(class_at(*next));
    }
    discover_ = false;
}

inline bool sqlite_store::is_in_memory(job_id id) {
    const std::scoped_lock lock(mutex_);
    return shelf_.holds_id(id);
}

inline bool sqlite_store::in_memory(std::int64_t place) const {
    const std::scoped_lock lock(mutex_);
    return shelf_.holds(place);
}

inline std::size_t sqlite_store::room_in(const sqlite_shelf::lane& l) const {
    const std::scoped_lock lock(mutex_);
    // Whoever has nothing yet gets the first before the others are read.
    return begins_ ? std::min(l.room(), slice) : l.room();
}

// Whether it ended early, since somebody waits.
inline bool sqlite_store::load_delayed(std::uint8_t of, sqlite_shelf::lane& l, time_point horizon) {
    const auto room = room_in(l);
    // What is due at once has 0, and comes before what is fresh also when nobody has asked yet.
    const auto until = std::max(file_.clocks.stored(horizon), std::int64_t{0});
    auto earliest = never;
    std::vector<std::int64_t> due;
    file_.backlog().each_delayed(of, [&](std::int64_t place, std::int64_t when) {
        if (in_memory(place)) return true;
        if (when > until || due.size() == room) {
            earliest = file_.clocks.steady(when);
            return false;
        }
        due.push_back(place);
        return true;
    });
    const bool all = load_some(due) == due.size();
    const std::scoped_lock lock(mutex_);
    l.earliest = earliest;
    for (const auto& c : changes_)
        if (c.due && class_at(c.at.place) == of) expect(c.at, *c.due);
    return !all;
}

// Whether it ended early, since somebody waits.
inline bool sqlite_store::load_fresh(std::uint8_t of, sqlite_shelf::lane& l) {
    const auto room = room_in(l);
    {
        const std::scoped_lock lock(mutex_);
        if (!l.hungry()) return false;
    }
    const auto last = file_.left().place;
    const auto found = file_.backlog().fresh(of, l.cursor, room);
    const auto n = load_some(found.places, &l.cursor);
    const std::scoped_lock lock(mutex_);
    if (n < found.places.size()) return true;
    // What is held or over in front of those to come is not walked past again.
    l.cursor = found.seen;
    // What another process stored meanwhile is behind that.
    l.more = found.more || file_.left().place != last;
    if (!l.more) l.cursor = std::max(l.cursor, first_place(of) + last);
    return false;
}

// As many of these as may be while somebody waits, and some in any case; where the last was is noted at `cursor`,
// so that it does not come again should the next one fail. Returns how many.
inline std::size_t sqlite_store::load_some(const std::vector<std::int64_t>& places, std::int64_t* cursor) {
    std::size_t n = 0;
    for (const auto place : places) {
        if (n >= slice && somebody_waits()) break;
        load_if_readable(place);
        ++n;
        if (!cursor) continue;
        const std::scoped_lock lock(mutex_);
        *cursor = place;
    }
    return n;
}

// What cannot be read does not stop the others, and nobody is told that all is well.
inline void sqlite_store::load_if_readable(std::int64_t place) {
    try {
        if (!in_memory(place)) load_one(place);
    } catch (const error& e) {
        if (e.code() != errc::storage_damaged) throw;
        met(e);
    }
}

inline void sqlite_store::met(const error& e) {
    const std::scoped_lock lock(mutex_);
    if (e.code() == errc::storage_damaged) damaged_ = tell_ = true;
}

inline void sqlite_store::load_one(std::int64_t place) {
    auto found = file_.read(place);
    if (!found) return;
    // What makes no sense is put where somebody will see it.
    if (!found->damage.empty()) return transaction([&] { file_.hold(place); });
    auto& j = found->what;
    // Another has its id, since it was stored from memory.
    if (is_in_memory(j.id)) return transaction([&] { file_.hold(place); });
    if (found->state == filed_job::sending) interrupt(j);
    sqlite_shelf::entry known;
    bool to_cache = false;
    {
        const std::scoped_lock lock(mutex_);
        to_cache = shelf_.recall(j, found->at, known, read_at_once);
    }
    if (to_cache) {
        try {
            j.mail = std::make_shared<const mail_object>(mail_object{
                j.mail->envelope, content::restored(found->facts, source::memory(file_.octets(found->at)))});
        } catch (const error& e) {
            if (e.code() != errc::storage_damaged) throw;
            transaction([&] { file_.hold(place); });
            throw;
        }
    }
    const std::scoped_lock lock(mutex_);
    shelf_.put(std::move(j), std::move(known));
}

// The process that sent it ended before it could say what became of it.
inline void sqlite_store::interrupt(job& j) {
    name_recipients(j);
    for (auto& r : j.result.recipients)
        if (r.status != status::accepted && r.status != status::rejected)
            r = {.address = std::move(r.address), .status = status::in_doubt, .where = phase::content};
    j.error = errc::in_doubt;
    j.result.details = {.where = phase::content, .explanation = "the process that sent it ended before the reply"};
    j.interrupted = true;
}

// Those who wait here are told that this process does not send it.
inline void sqlite_store::abandon() {
    const std::scoped_lock lock(mutex_);
    abandoned_ = shelf_.abandon([&](job& j, std::int64_t place) {
        try {
            if (auto found = file_.read(place)) j = std::move(found->what);
        } catch (const error&) {
            // Then its recipients may not be named.
        }
    });
    sends_ = false;
}

}  // namespace postroad::queueing::detail

#pragma once
// Looking after what is in the file, on any thread.

#include <postroad/queueing/impl/sqlite.ipp>

namespace postroad::queueing::detail {

inline sqlite_store::~sqlite_store() {
    stop();
    // What a fork does not know of is not open while there may be one.
    const auto no_fork = fork_register::get().hold();
    fork_register::get().remove(*this);
    view_.close();
    view_.open();
    file_.close();
}

inline void sqlite_store::list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) {
    if (out.size() >= limit) return;
    const auto leased = leased_places();
    view_.each(
        which, now, [&](std::int64_t place) { return leased.contains(place); },
        [&](job_info&& info) {
            out.push_back(std::move(info));
            return out.size() < limit;
        });
}

// The file says it all; what this process has asked for before is in it.
inline stored_page sqlite_store::page(const job_filter& which, std::size_t limit, std::int64_t after, time_point now) {
    (void)leased_places();
    return view_.page(which, limit, after, now);
}

inline std::size_t sqlite_store::retry_now(const job_filter& which, time_point now) {
    auto states = meant_by(which);
    states.reset(bit_of(job_state::waiting)).reset(bit_of(job_state::sending));
    return change_matching(which, states, now, [&](const filed_job& f) {
        return f.at.failed ? file_.begin_anew(f) : file_.retry(f.at.place);
    });
}

inline std::size_t sqlite_store::hold(const job_filter& which, time_point now) {
    state_set states;
    states.set(bit_of(job_state::waiting)).set(bit_of(job_state::delayed));
    return change_matching(which, states & meant_by(which), now,
                           [&](const filed_job& f) { return file_.hold(f.at.place); });
}

inline std::vector<job> sqlite_store::drop(const job_filter& which, time_point now) {
    return drop(which, meant_by(which), now, wish::of_somebody);
}

inline std::uint64_t sqlite_store::compact() {
    std::uint64_t given_back = 0;
    bool more = true;
    ask([&] {
        if (file_.shrinks()) return;
        given_back = file_.free();
        file_.write_anew();
    });
    while (more)
        ask([&] {
            const auto had = file_.free();
            if (had > 0) transaction([&] { file_.shrink(); });
            const auto has = file_.free();
            if (has < had) given_back += had - has;
            more = has > 0 && has < had;
            if (!more) file_.make_room();
        });
    return given_back;
}

inline std::vector<job> sqlite_store::take_parts(job_id whole) {
    try {
        return drop({.whole = whole}, not_over(), time_point{});
    } catch (const error&) {
        return {};  // they stay where they are
    }
}

inline std::vector<job> sqlite_store::take_all(const std::vector<job_id>& ids) {
    try {
        (void)leased_places();
        return drop(view_.places(ids), {}, not_over(), time_point{});
    } catch (const error&) {
        return {};  // they stay where they are
    }
}

inline std::vector<job> sqlite_store::overdue(const std::vector<job_id>& ids) {
    std::vector<job> found;
    try {
        (void)leased_places();
        auto places = view_.places(ids);
        for (const auto id : ids)
            std::ranges::copy(view_.places({.whole = id}, not_over(), {}), std::back_inserter(places));
        ask([&] {
            const auto now = file_.clocks.stored(clock::now());
            for (const auto place : places) {
                if (is_leased(place)) continue;
                auto f = file_.read(place);
                const bool waits = f && f->what.mail && f->state != filed_job::sending && f->state != filed_job::failed;
                if (waits && f->deadline && *f->deadline <= now) found.push_back(std::move(f->what));
            }
        });
    } catch (const error&) {
        found.clear();  // they are reported once they are taken out
    }
    return found;
}

inline std::optional<job> sqlite_store::take(job_id id) {
    {
        const std::scoped_lock lock(mutex_);
        if (shelf_.leased(id)) return {};
    }
    try {
        auto found = drop({.id = id}, not_over(), time_point{});
        if (!found.empty()) return std::move(found.front());
    } catch (const error&) {
        // It stays where it is.
    }
    return {};
}

inline bool sqlite_store::is_leased(std::int64_t place) const {
    const std::scoped_lock lock(mutex_);
    return shelf_.is_leased(place);
}

// Of jobs for which the dispatcher answers. All that was asked for before is in the file.
inline std::unordered_set<std::int64_t> sqlite_store::leased_places() {
    std::unique_lock lock(mutex_);
    if (stopping_) throw error(errc::shut_down, "the queue was stopped");
    if (busy_ || !inbox_.empty() || !changes_.empty()) {
        lock.unlock();
        ask([] {});
        lock.lock();
    }
    return shelf_.leased_places();
}

// Calls `act` for those of the places that are in these states, match and are not leased. Some at a time, so that
// others get their turn; `done`, for how many it was true, grows with each time, whatever comes of the next.
template <class F>
void sqlite_store::change_places(const std::vector<std::int64_t>& places, const job_filter& which, state_set states,
                                 time_point now, F act, std::size_t& done) {
    for (auto rest = std::span(places); !rest.empty();)
        ask([&] { done += change_slice(rest, which, states, now, act); });
}

template <class F>
std::size_t sqlite_store::change_matching(const job_filter& which, state_set states, time_point now, F act) {
    std::size_t done = 0;
    (void)leased_places();
    change_places(view_.places(which, states, now), which, states, now, std::move(act), done);
    return done;
}

// The first of these places, which are taken off.
template <class F>
std::size_t sqlite_store::change_slice(std::span<const std::int64_t>& places, const job_filter& which, state_set states,
                                       time_point now, F& act) {
    std::unordered_set<std::int64_t> changed;
    std::int64_t more = 0;
    std::size_t n = 0;
    auto aside = set_aside();
    try {
        transaction([&] {
            const auto had = file_.now().jobs;
            for (const auto place : places.first(std::min(slice, places.size()))) {
                if (n >= least && somebody_waits()) break;
                ++n;
                if (is_leased(place)) continue;
                auto found = file_.read(place);
                if (!found) continue;
                const auto info = file_.info(*found, now);
                if (info.state == job_state::sending || !states.test(bit_of(info.state))) continue;
                if (which.matches(info) && act(*found)) changed.insert(place);
            }
            more = file_.now().jobs - had;
        });
    } catch (...) {
        set_back(std::move(aside), {});
        throw;
    }
    set_back(std::move(aside), changed);
    places = places.subspan(n);
    const std::scoped_lock lock(mutex_);
    held_ += more;
    return changed.size();
}

inline std::vector<job> sqlite_store::drop(const job_filter& which, state_set states, time_point now, wish by) {
    (void)leased_places();
    return drop(view_.places(which, states, now), which, states, now, by);
}

// At its deadline it failed; otherwise nobody wants it any more. In the words of the last attempt.
inline void sqlite_store::take_out(const filed_job& f, std::int64_t now) {
    const auto tell = [&](const std::string& progress) {
        if (f.at.submitter != 0 && f.at.submitter != self_) file_.tell(f.at.place, progress);
    };
    if (!f.what.mail) {
        tell(written_progress({.error = errc::storage_damaged}));
        return void(file_.erase(f.at));
    }
    job j{.id = f.what.id, .mail = f.what.mail, .result = f.what.result, .tenant = f.what.tenant, .tag = f.what.tag};
    j.whole = f.what.whole;
    const bool late = f.state != filed_job::failed && f.deadline && *f.deadline <= now;
    j.error = late ? errc::timed_out : errc::cancelled;
    if (late) j.result.details = given_up_waiting();
    const auto progress = written_progress(j);
    tell(progress);
    file_.record(f.at, progress, keys_of(j));
    if (!late) return void(file_.erase(f.at));
    (void)file_.retry(f.at.place);  // fail() takes what is waiting only, and it may be held
    (void)file_.fail(f.at, progress);
}

inline std::vector<job> sqlite_store::drop(const std::vector<std::int64_t>& places, const job_filter& which,
                                           state_set states, time_point now, wish by) {
    std::vector<job> dropped;
    std::size_t done = 0;
    const auto wall =
        by == wish::of_somebody ? std::numeric_limits<std::int64_t>::min() : file_.clocks.stored(clock::now());
    const auto erase = [&](filed_job& f) {
        take_out(f, wall);
        dropped.push_back(std::move(f.what));
        return true;
    };
    try {
        change_places(places, which, states, now, erase, done);
    } catch (const error&) {
        // Those of the slices before are gone, and somebody may wait for them.
        if (done == 0) throw;
        dropped.erase(dropped.begin() + static_cast<std::ptrdiff_t>(done), dropped.end());
    }
    const std::scoped_lock lock(mutex_);
    for (auto& j : dropped) shelf_.taken(j);
    return dropped;
}

// What is in memory and not leased cannot be leased meanwhile.
inline std::vector<job> sqlite_store::set_aside() {
    const std::scoped_lock lock(mutex_);
    loading_ = true;
    return shelf_.set_aside();
}

inline void sqlite_store::set_back(std::vector<job> all, const std::unordered_set<std::int64_t>& changed) {
    const std::scoped_lock lock(mutex_);
    shelf_.set_back(std::move(all), changed);
    loading_ = false;
    load_ = tell_ = true;
}

}  // namespace postroad::queueing::detail

#pragma once
// What goes into the file: new jobs, and what became of those that were leased.

#include <postroad/queueing/impl/sqlite.ipp>

#include <new>

namespace postroad::queueing::detail {

inline void sqlite_store::write(std::vector<job>& jobs, std::vector<pending>& changes) {
    // A report goes with what it is about, or before it: after a crash between the two nobody would make it.
    const auto n =
        std::stable_partition(jobs.begin(), jobs.end(), [](const job& j) { return j.reports; }) - jobs.begin();
    std::vector<spot> spots(jobs.size());
    std::vector<error_code> refused(jobs.size());
    const auto [ec, changes_ec, why, changes_why] =
        write_what_fits({jobs, spots, refused}, static_cast<std::size_t>(n), changes);
    if (ec || changes_ec) file_.make_room();
    {
        const std::scoped_lock lock(mutex_);
        failing_ = static_cast<bool>(changes_ec);
        note_unwritten(changes_ec, changes_why);
        // What is over cannot be stored any more, and nothing else can begin.
        damaged_ = damaged_ || changes_ec == errc::storage_damaged;
    }
    if (!changes_ec) written(changes);
    if (ec) {
        std::fill(refused.begin() + n, refused.end(), ec);
        for (auto& j : std::span(jobs).subspan(static_cast<std::size_t>(n))) j.result.details.explanation = why;
    }
    if (changes_ec) std::fill_n(refused.begin(), n, changes_ec);
    if (changes_ec && keep_reports(std::span(jobs).first(static_cast<std::size_t>(n)))) {
        jobs.erase(jobs.begin(), jobs.begin() + n);
        spots.erase(spots.begin(), spots.begin() + n);
        refused.erase(refused.begin(), refused.begin() + n);
    }
    written(jobs, spots, refused);
}

inline void sqlite_store::note_unwritten(error_code ec, const std::string& why) {
    if (!ec) return unwritten_.reset();
    tell_ = true;
    if (!unwritten_) unwritten_since_ = file_.clocks.steady(file_.clocks.now());
    unwritten_ = {.name = options_.path, .error = ec, .why = why, .next_try = poll_interval};
}

// All at once, or what of it there is room for.
inline sqlite_store::came_of sqlite_store::write_what_fits(const arrivals& all, std::size_t n,
                                                           std::vector<pending>& changes) {
    const auto reports = all.first(n);
    const auto messages = all.behind(n);
    auto last = attempt(all, changes);
    came_of c{.messages = last.ec, .changes = last.ec, .why = last.why};
    if (last.had_too_much() && !messages.jobs.empty() && !(changes.empty() && reports.jobs.empty())) {
        // What ends jobs may fit where a message does not.
        last = attempt(reports, changes);
        c.changes = last.ec;
        if (last.began) {
            auto alone = attempt(messages, {});
            c.messages = alone.ec;
            c.why = std::move(alone.why);
        }
    }
    c.changes_why = std::move(last.why);
    if (last.had_too_much() && !reports.jobs.empty() && !changes.empty()) write_unreported(changes);
    return c;
}

// What no report is about may fit without one.
inline void sqlite_store::write_unreported(std::vector<pending>& changes) {
    const auto failed =
        std::stable_partition(changes.begin(), changes.end(), [](const pending& c) { return !c.failed; });
    std::vector<pending> rest(std::make_move_iterator(failed), std::make_move_iterator(changes.end()));
    changes.erase(failed, changes.end());
    if (!attempt({}, changes).ec) written(changes);
    std::ranges::move(rest, std::back_inserter(changes));
}

inline sqlite_store::attempted sqlite_store::attempt(const arrivals& some, std::span<pending> changes) {
    attempted a;
    if (some.jobs.empty() && changes.empty()) return a;
    a.began = false;
    try {
        transaction([&] {
            a.began = true;
            for (auto& c : changes) write_change(c);
            for (std::size_t i = 0; i < some.jobs.size(); ++i)
                some.refused[i] = file_.insert(some.jobs[i], some.jobs[i].waiter ? self_ : 0, some.spots[i]);
        });
    } catch (const error& e) {
        a.ec = e.code();
        a.why = e.details().explanation;
    } catch (const std::bad_alloc&) {
        a.ec = errc::storage_failed;
    }
    return a;
}

// Until there is room for them; false if the queue ends before.
inline bool sqlite_store::keep_reports(std::span<job> some) {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return false;
    std::ranges::move(some, std::back_inserter(reports_));
    return true;
}

inline void sqlite_store::write_change(pending& c) {
    if (c.what == change_of::collect) return file_.collected(c.id);
    // A sender that is none any more changes nothing.
    c.took = sends();
    if (!c.took) return;
    const auto place = c.at.place;
    if (c.what == change_of::mark) {
        c.took = file_.mark(place);
        return;
    }
    if (c.what == change_of::divide) {
        c.took = file_.divide(c.at, c.parts);
        c.gone = !c.took;
        return;
    }
    const bool over = c.what == change_of::settle;
    const bool awaited_elsewhere = c.at.submitter != 0 && c.at.submitter != self_;
    if (awaited_elsewhere && (over || c.state == filed_job::in_doubt)) file_.tell(place, c.progress);
    if (over) file_.record(c.at, c.progress, c.keys);
    if (over) {
        c.gone = c.failed ? file_.fail(c.at, c.progress) : file_.erase(c.at);
        return;
    }
    c.took = file_.bring_back(place, c.state, c.due, c.deadline, c.progress);
    if (c.took) return;
    const auto found = file_.read(place);
    c.late = found && found->state == filed_job::failed;
    c.dropped = !found || c.late;
}

inline void sqlite_store::written(std::vector<job>& jobs, const std::vector<spot>& spots,
                                  const std::vector<error_code>& refused) {
    std::vector<std::pair<std::function<void(error_code)>, error_code>> answers;
    std::vector<std::pair<job, error_code>> failed;
    {
        const std::scoped_lock lock(mutex_);
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            auto& j = jobs[i];
            const auto why = refused[i];
            if (auto stored = std::exchange(j.stored, {})) answers.emplace_back(std::move(stored), why);
            if (!why) {
                remember(std::move(j), spots[i]);
                continue;
            }
            leave(1);
            failed.emplace_back(std::move(j), why);
        }
    }
    for (auto& [j, why] : failed) tell_later(std::move(j), why);
    for (auto& [stored, why] : answers) said_.push_back([f = std::move(stored), ec = why] { f(ec); });
}

// The usual road: what was written goes on from memory, without being read.
inline void sqlite_store::remember(job&& j, const spot& at) {
    const bool is_timed = j.due != time_point::min();
    const auto later = [&](const job& of) { return file_.read_later(of.mail->envelope, of.mail->content.known(), at); };
    const bool ready = shelf_.stored(std::move(j), at, {.sends = sends_, .discovers = discover_}, later);
    tell_ = tell_ || ready || is_timed;
}

inline void sqlite_store::written(std::vector<pending>& changes) {
    std::vector<job> cancelled;
    written(changes, cancelled);
    for (auto& j : cancelled) {
        const auto why = j.error;
        tell_later(std::move(j), why);
    }
}

inline void sqlite_store::written(std::vector<pending>& changes, std::vector<job>& cancelled) {
    const std::scoped_lock lock(mutex_);
    for (auto& c : changes) {
        if (c.what == change_of::collect) {
            --uncollected_;
            continue;
        }
        if (c.what == change_of::divide) {
            divided(c, cancelled);
            continue;
        }
        // What is no part was taken off when it was settled; should another have taken it out before, it was counted
        // with what others did.
        if (c.what == change_of::settle && c.at.whole == 0) {
            if (!c.gone) leave(-1);
        } else if (c.gone) {
            leave(1);
            tell_ = true;
        }
        tell_ = tell_ || c.what == change_of::mark || c.due;
        if (c.due) expect(c.at, *c.due);
        if (c.what == change_of::mark) {
            (c.took ? marked_ : revoked_).push_back(c.id);
            // What comes behind the mark says what becomes of it.
            if (c.took || shelf_.is_leaving(c.id)) continue;
        }
        if (c.dropped) {
            auto* const known = shelf_.find(c.id);
            if (known && known->waiter) {
                auto& j = cancelled.emplace_back();
                j.result = std::move(c.result);
                if (c.late) j.result.details = given_up_waiting();
                j.error = c.late ? errc::timed_out : errc::cancelled;
                j.waiter = std::move(known->waiter);
            }
        }
        if (c.what == change_of::back && !c.dropped)
            shelf_.came_back(c.id, c.at);
        else
            shelf_.left(c.id, c.at);
    }
    changes.clear();
}

// Its parts come by load(); who waits for it here is remembered.
inline void sqlite_store::divided(pending& c, std::vector<job>& cancelled) {
    load_ = tell_ = true;
    if (c.took) return shelf_.divided(c.id, c.at, c.parts);
    auto* const known = shelf_.find(c.id);
    // Somebody else dropped it, or holds it.
    if (known && known->waiter && c.gone) {
        auto& j = cancelled.emplace_back();
        j.error = errc::cancelled;
        j.result.recipients.resize(known->recipients);
        for (const auto& p : c.parts)
            for (std::size_t i = 0; i < p.places.size(); ++i)
                j.result.recipients[p.places[i]].address = p.mail->envelope.recipients[i].str();
        j.waiter = std::move(known->waiter);
    }
    shelf_.came_back(c.id, c.at);
}

// Whether it is a leased job, which alone can be changed.
inline bool sqlite_store::change(job_id id, pending c) {
    const std::scoped_lock lock(mutex_);
    auto* const known = shelf_.leased(id);
    if (!known) return false;
    c.id = id;
    change(*known, std::move(c));
    return true;
}

inline void sqlite_store::change(sqlite_shelf::entry& known, pending c) {
    c.at = known.at;
    c.behind = arrived_;
    if (c.what != change_of::mark) known.where = sqlite_shelf::location::leaving;
    changes_.push_back(std::move(c));
    changed_.notify_one();
}

inline void sqlite_store::bring_back(job&& j, std::int64_t state, std::optional<std::int64_t> due) {
    pending c{.what = change_of::back,
              .id = j.id,
              .state = state,
              .due = due,
              .deadline = file_.deadline_of(j),
              .progress = written_progress(j)};
    if (j.waiter) {
        name_recipients(j);
        c.result = std::move(j.result);
    }
    const std::scoped_lock lock(mutex_);
    auto* const known = shelf_.leased(j.id);
    if (!known) {
        // Its mark was refused: somebody else dropped it, or holds it.
        j.result = std::move(c.result);
        tasks_.push_back({arrived_, [this, gone = std::make_shared<job>(std::move(j))] {
                              tell_later(std::move(*gone), errc::cancelled);
                          }});
        changed_.notify_one();
        return;
    }
    known->keep(std::move(j));
    if (c.due) expect(known->at, *c.due);
    change(*known, std::move(c));
}

inline void sqlite_store::expect(const spot& at, std::int64_t due) {
    shelf_.expect(class_at(at.place), file_.clocks.steady(due));
}

inline void sqlite_store::hand_out(std::vector<job_id>& from, std::vector<job_id>& out) {
    const std::scoped_lock lock(mutex_);
    out.insert(out.end(), from.begin(), from.end());
    from.clear();
}

}  // namespace postroad::queueing::detail

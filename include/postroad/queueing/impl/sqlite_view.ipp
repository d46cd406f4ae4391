#pragma once

#include <postroad/queueing/impl/sqlite_selection.ipp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

/// Looks at the file beside the thread that writes, and keeps nobody from writing. On any thread.
class sqlite_view {
public:
    sqlite_view(std::string path, const calendar& clocks, std::shared_ptr<stored_parts> parts)
        : path_(std::move(path)), is_(file_identity::of(path_)), clocks_(clocks), parts_(std::move(parts)) {}

    /// The places of jobs of those states that match, oldest first.
    std::vector<std::int64_t> places(const job_filter& which, state_set states, time_point now) {
        std::vector<std::int64_t> found;
        look([&](connection& c) {
            sqlite_selection(c.file, which, states, clocks_.stored(now)).each([&](std::int64_t place) {
                found.push_back(place);
                return true;
            });
        });
        return found;
    }
    std::vector<std::int64_t> places(const std::vector<job_id>& ids) {
        std::vector<std::int64_t> found;
        look([&](connection& c) {
            for (const auto id : ids)
                c.with_id.each(
                    [&] {
                        found.push_back(c.with_id.number(0));
                        return true;
                    },
                    id);
        });
        return found;
    }
    /// Calls `f(place, info)` for jobs that match, oldest first, until it returns false. `skip(place)` says which are
    /// passed over.
    template <class Skip, class F>
    void each(const job_filter& which, time_point now, Skip skip, F f) {
        look([&](connection& c) {
            sqlite_selection(c.file, which, meant_by(which), clocks_.stored(now)).each([&](std::int64_t place) {
                if (skip(place)) return true;
                const auto found = c.rows.read(place);
                if (!found) return true;
                auto info = c.rows.info(*found, now);
                return !which.matches(info) || f(std::move(info));
            });
        });
    }
    stored_page page(const job_filter& which, std::size_t limit, std::int64_t after, time_point now) {
        stored_page found;
        look([&](connection& c) {
            sqlite_selection of(c.file, which, meant_by(which), clocks_.stored(now));
            found.next = of.each_behind(after, limit, [&](std::int64_t place) {
                auto f = c.rows.read(place);
                if (!f) return;
                auto info = c.rows.info(*f, now);
                if (which.matches(info)) found.jobs.push_back(copied(std::move(info), *std::move(f)));
            });
        });
        return found;
    }
    /// Adds all but those at `left_out`.
    template <class Places>
    void count(time_point now, const Places& left_out, queue_counts& counts) {
        look([&](connection& c) {
            std::array<std::int64_t, job_states> n = {};
            auto& waiting = n[bit_of(job_state::waiting)];
            // What waits, of which there may be many, is what is left of all.
            waiting = c.all.find().value_or(0);
            const auto add = [&](job_state s, std::int64_t some) {
                n[bit_of(s)] += some;
                waiting -= some;
            };
            c.others.each([&] {
                add(c.rows.shown(c.others.number(0), std::nullopt, now), c.others.number(1));
                return true;
            });
            add(job_state::delayed, c.delayed.find(clocks_.stored(now)).value_or(0));
            for (const auto place : left_out)
                c.one.each(
                    [&] {
                        --n[bit_of(c.rows.shown(c.one.number(0), sqlite_rows::time_at(c.one, 1), now))];
                        return false;
                    },
                    place);
            for (std::size_t i = 0; i < job_states; ++i)
                counts.by_state[i] += static_cast<std::size_t>(std::max(n[i], std::int64_t{0}));
            if (const auto first = c.oldest.find())
                counts.oldest = std::max(counts.oldest, age(clocks_.steady(*first), now));
        });
    }

    /// Nobody looks until open() is called, which is what the next one does with it.
    void close() {
        mutex_.lock();
        on_.reset();
    }
    void open() { mutex_.unlock(); }

private:
    struct connection {
        connection(const std::string& path, const calendar& clocks, const std::shared_ptr<stored_parts>& parts)
            : file(path, SQLITE_OPEN_READONLY), rows(file, clocks, parts) {}
        database file;
        sqlite_rows rows;
        statement all{file, "SELECT jobs + failed + more FROM totals"};
        statement others{
            file,
            "SELECT state, count(*) FROM jobs INDEXED BY lines WHERE state BETWEEN 1 AND 3 GROUP BY state "
            "UNION ALL SELECT -1, count(*) FROM jobs INDEXED BY lines WHERE state < 0 UNION ALL SELECT -1, "
            "count(*) FROM jobs INDEXED BY lines WHERE state > 4 UNION ALL SELECT 4, failed FROM totals"};
        statement delayed{file,
                          "SELECT count(*) FROM jobs INDEXED BY lines WHERE state = 0 AND (due IS NOT NULL) = 1 AND "
                          "due > ?"};
        statement with_id{file, "SELECT place FROM jobs INDEXED BY ids WHERE id = ?"};
        statement one{file, "SELECT state, due FROM jobs WHERE place = ?"};
        statement oldest{file, oldest_of_all()};

        // Of each part of the index the first, but of what failed.
        static std::string oldest_of_all() {
            std::string arms;
            for (const char state : {'0', '1', '2', '3'})
                for (const char half : {'0', '1'})
                    ((((arms += arms.empty() ? "" : " UNION ALL ") +=
                       "SELECT min(submitted) AS first FROM jobs INDEXED BY lines WHERE state = ") += state) +=
                     " AND (due IS NOT NULL) = ") += half;
            return "SELECT first FROM (SELECT min(first) AS first FROM (" + arms + ")) WHERE first IS NOT NULL";
        }
    };

    static stored_mail copied(job_info&& info, filed_job&& f) {
        const auto at = [](std::int64_t t) {
            return journal_time(std::chrono::duration_cast<journal_time::duration>(std::chrono::nanoseconds(t)));
        };
        const auto perhaps = [&](std::optional<std::int64_t> t) { return t ? std::optional(at(*t)) : std::nullopt; };
        return {.info = std::move(info),
                .mail = std::move(f.what.mail),
                .place = f.at.place,
                .cut = f.cut,
                .idempotency_key = std::move(f.what.idempotency_key),
                .queued = at(f.submitted),
                .due = perhaps(f.due),
                .give_up = perhaps(f.deadline),
                .failed = perhaps(f.failed_at)};
    }
    template <class F>
    void look(F f) {
        const std::scoped_lock lock(mutex_);
        if (file_identity::of(path_) != is_)
            throw error(errc::storage_failed, "the queue '" + escaped(path_, 1000) + "' was moved or deleted");
        if (!on_) on_ = std::make_unique<connection>(path_, clocks_, parts_);
        const snapshot now(on_->file);
        f(*on_);
    }

    const std::string path_;
    const std::optional<file_identity> is_;
    const calendar& clocks_;
    const std::shared_ptr<stored_parts> parts_;
    std::mutex mutex_;
    std::unique_ptr<connection> on_;
};

}  // namespace postroad::queueing::detail

#pragma once

#include <postroad/message/fields.hpp>
#include <postroad/queueing/failed.hpp>
#include <postroad/queueing/impl/sqlite_backlog.ipp>
#include <postroad/queueing/impl/sqlite_connection.ipp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

namespace postroad::queueing::detail {

/// For how long what is over stays in the file.
struct keeping {
    std::chrono::seconds keys = {};
    std::chrono::seconds failed = {};
    std::int64_t most_failed = 0;  // the oldest go first
    kept_content content = kept_content::whole;
    std::chrono::seconds journal = {};  // 0: none is written
    std::int64_t most_entries = 0;      // likewise
};

/// The file: what is stored, and how. Everything throws `error`: errc::storage_failed and its neighbours. For one
/// thread.
class sqlite_file {
public:
    /// What the file says of itself.
    struct counters {
        std::int64_t epoch = 0;   // of its senders
        std::int64_t jobs = 0;    // messages that are not over
        std::int64_t failed = 0;  // jobs that are, and are kept
        std::int64_t more = 0;    // jobs that are not over, beyond one for each message: parts
        std::int64_t place = 0;   // the last that was given
        std::int64_t part = 0;    // the next to be given
        std::int64_t entry = 0;   // the last of the journal
        friend bool operator==(const counters&, const counters&) = default;
    };

    sqlite_file(const std::string& path, const keeping& kept)
        : kept_(kept), path_(path), is_(file_identity::of(path)), parts_(std::make_shared<stored_parts>(path)) {}
    /// Before all else.
    void open() { left_ = now_ = read_counters(); }

    calendar clocks;

    /// Within a transaction: as they are. Outside: as they were left.
    counters& now() noexcept { return now_; }
    /// As the last transaction of this process left them.
    const counters& left() const noexcept { return left_; }
    /// Reads what others did, outside a transaction.
    void look() {
        now_ = read_counters();
        try {
            refuse_if_older();
        } catch (const error&) {
            now_ = left_;
            throw;
        }
    }
    /// What others did is taken note of.
    void noticed() noexcept { left_ = now_; }
    /// Until it is needed again.
    void close() noexcept { on_.reset(); }
    /// Why nothing can be stored, where it is not there any more under its name; otherwise empty.
    std::string gone() const { return has_moved() ? moved() : std::string(); }
    // These two on any thread.
    bool is_there() const { return file_identity::of(path_) == is_ && !is_emptied(); }
    std::string moved() const {
        return "the queue '" + escaped(path_, 1000) +
               (is_emptied()
                    ? "' was emptied while it is open: end the processes that have it open, and put a copy back"
                    : "', its -wal or its -shm was moved, deleted or replaced while it is open: put it back, "
                      "or end the processes that have it open");
    }
    /// Another number than the last time: other processes wrote.
    std::int64_t version_seen() { return sql().data_version.find().value_or(0); }
    const std::shared_ptr<stored_parts>& contents() const noexcept { return parts_; }

    /// All that `f` does, or nothing.
    template <class F>
    void transaction(F f) {
        try {
            sql().begin.run();
            refuse_if_moved();
            now_ = read_counters();
            refuse_if_older();
            const auto found = now_;
            f();
            if (now_ != found)
                sql().set_counters.run(now_.epoch, now_.jobs, now_.failed, now_.more, now_.place, now_.part,
                                       now_.entry);
            sql().commit.run();
            refuse_if_moved();
        } catch (...) {
            // Some errors have ended it already.
            if (on_ && sqlite3_get_autocommit(on_->file.get()) == 0)
                sqlite3_exec(on_->file.get(), "ROLLBACK", nullptr, nullptr, nullptr);
            now_ = left_;
            throw;
        }
        left_ = now_;
    }
    /// What the log holds is in the file as well after this, and its room can be used again.
    void make_room() noexcept {
        if (on_) sqlite3_wal_checkpoint_v2(on_->file.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    }

    /// Whether it can give back room a little at a time.
    bool shrinks() { return on().file.number("PRAGMA auto_vacuum") == 2; }
    /// Octets that are free in it.
    std::uint64_t free() { return static_cast<std::uint64_t>(on().file.number("PRAGMA freelist_count")) * page_size(); }
    std::uint64_t page_size() { return static_cast<std::uint64_t>(on().file.number("PRAGMA page_size")); }
    /// Whether so much is free that some should be given back, though the file may grow again.
    bool has_much_free() {
        static constexpr std::int64_t worth_it = 1024;  // pages
        auto& file = on().file;
        const auto pages = file.number("PRAGMA freelist_count");
        return pages > worth_it && pages > file.number("PRAGMA page_count") / 4 && shrinks();
    }
    /// Gives back some of it; within a transaction.
    void shrink() { on().file.execute("PRAGMA incremental_vacuum(256)"); }
    /// Writes it anew, so that it can.
    void write_anew() {
        refuse_if_moved();
        on().file.execute("PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
    }

    // ---- within a transaction

    /// Stores a job, or says why not; what keeps all jobs out is thrown. `submitter` wants to know its outcome.
    error_code insert(const job& j, std::int64_t submitter, spot& at) {
        expire_in_time();
        if (!j.idempotency_key.empty() && sql().key_until.find(j.idempotency_key).value_or(0) > clocks.now())
            return errc::already_queued;
        const auto known = j.mail->content.known();
        at = {.part = now_.part, .size = static_cast<std::int64_t>(known.size), .submitter = submitter};
        journal_heading heading;
        if (const auto ec = insert_parts(j.mail->content, heading)) return ec;
        at.place = first_place(j.traffic_class) + ++now_.place;
        const auto& e = j.mail->envelope;
        const auto text = queueing::written(e);
        const lasting same{.place = at.place,
                           .id = static_cast<std::int64_t>(j.id),
                           .part = at.part,
                           .size = at.size,
                           .facts = sqlite_rows::bits_of(known),
                           .tenant = j.tenant,
                           .tag = j.tag,
                           .envelope = text};
        sql().insert.run(at.place, due_of(j), j.traffic_class, j.id,
                         sensible(j.submitted == time_point::min() ? clocks.now() : clocks.stored(j.submitted)),
                         deadline_of(j), at.submitter, at.part, at.size, same.facts, j.tenant, j.tag, j.idempotency_key,
                         text, domain_of(e), same.sum(), heading.subject, heading.message_id);
        ++now_.jobs;
        // Not of one that is refused.
        if (!j.idempotency_key.empty())
            sql().set_key.run(j.idempotency_key, clocks.stored(after(clock::now(), kept_.keys)));
        return {};
    }
    /// Writes down what became of a job that is erased, or fails, next; `keys` are those of the job.
    void record(const spot& at, const std::string& progress, std::vector<std::uint64_t> keys) {
        if (!keeps_journal() || at.failed) return;
        on().journal.add(at.place, clocks.now(), progress, std::move(keys), now_.entry);
        expire_in_time();
    }
    bool keeps_journal() const noexcept {
        return kept_.journal > std::chrono::seconds::zero() && kept_.most_entries > 0;
    }
    /// Whether its message is over with it.
    bool erase(const spot& at) {
        if (sql().erase_job.run(at.place) == 0) return false;
        // Other parts need the content.
        if (at.whole == 0 || !sql().by_whole.find(at.whole))
            sql().erase_parts.run(at.part, at.part + parts_of(at.size));
        else if (!at.failed && kept_.content != kept_content::whole)
            cut(at);  // what is left of its message may all have failed
        if (!at.failed) return ends(at);
        --now_.failed;
        return false;
    }
    /// It is over, and stays for a while. Whether its message is over with it.
    bool fail(const spot& at, const std::string& progress) {
        if (kept_.failed <= std::chrono::seconds::zero()) return erase(at);
        if (sql().fail.run(clocks.now(), progress, at.place) == 0) return false;
        if (kept_.content != kept_content::whole) cut(at);
        if (++now_.failed > kept_.most_failed) erase_failed(std::numeric_limits<std::int64_t>::max(), 1);
        expire_in_time();
        return ends(at);
    }
    /// In place of the job come parts of it, with new ids; false if it is gone. They share its content, and are one
    /// message.
    bool divide(const spot& at, std::vector<job>& parts) {
        const auto facts = sql().facts.find(at.place).value_or(0);
        for (auto& p : parts) {
            const auto place = first_place(p.traffic_class) + ++now_.place;
            p.id = static_cast<job_id>(part_id(place));
            const auto& e = p.mail->envelope;
            const auto text = written_part(p) + queueing::written(e);
            const lasting same{.place = place,
                               .id = part_id(place),
                               .part = at.part,
                               .size = at.size,
                               .facts = facts,
                               .tenant = p.tenant,
                               .tag = p.tag,
                               .envelope = text};
            if (sql().divide.run(place, p.id, text, written_progress(p), p.whole, domain_of(e), same.sum(), at.place) ==
                0)
                return false;
        }
        sql().erase_job.run(at.place);
        now_.more += static_cast<std::int64_t>(parts.size()) - 1;
        return true;
    }
    // These say whether the job is there, and may be changed so.
    bool mark(std::int64_t place) { return sql().mark.run(clocks.now(), place) > 0; }
    bool bring_back(std::int64_t place, std::int64_t state, std::optional<std::int64_t> due,
                    std::optional<std::int64_t> deadline, const std::string& progress) {
        return sql().back.run(state, due, deadline, progress, place) > 0;
    }
    bool retry(std::int64_t place) { return sql().retry.run(place) > 0; }
    bool hold(std::int64_t place) { return sql().hold.run(place) > 0; }
    /// One that failed goes again as if it were new, to those that did not get it.
    bool begin_anew(const filed_job& f) {
        const bool alone = f.at.whole == 0 || !sql().goes_on.find(f.at.whole);
        if (sql().begin_anew.run(sensible(clocks.now()), written_progress(begun_anew(f.what)), f.at.place) == 0)
            return false;
        --now_.failed;
        ++(alone ? now_.jobs : now_.more);
        return true;
    }
    /// Keeps an outcome for the process that wants to know it.
    void tell(std::int64_t place, const std::string& progress) {
        sql().tell.run(clocks.now(), progress, place);
        expire_in_time();
    }
    void collected(job_id id) { sql().collect.run(id); }
    /// How long what is over stays is for who sends to say: those who only submit or look may know another time.
    void begin_sending() noexcept { sends_ = true; }
    void end_sending() noexcept { sends_ = false; }
    /// Forgets some of what is over: keys, what failed, and outcomes that nobody collected for an hour.
    void expire() {
        static constexpr std::size_t slice = 50;
        const auto now = over();
        sql().expire_keys.run(now.keys, slice);
        sql().expire_outcomes.run(now.outcomes, slice);
        if (!sends_) return;
        erase_failed(now.failed, slice);
        on().journal.erase(now.journal, kept_.most_entries, now_.entry, slice);
    }

    // ---- reading; none of these within another

    /// Whether expire() has something to do.
    bool any_over() {
        const auto now = over();
        return sql().any_over.find(now.failed, now.keys, now.outcomes).value_or(0) != 0 ||
               on().journal.any_over(now.journal, kept_.most_entries, left_.entry);
    }
    /// Some outcomes that were kept for `submitter`.
    std::vector<job> told(std::int64_t submitter, std::size_t most) {
        std::vector<job> all;
        auto& row = sql().told;
        row.each(
            [&] {
                job j{.id = static_cast<job_id>(row.number(0))};
                try {
                    j.mail = std::make_shared<const mail_object>(mail_object{.envelope = read_envelope(row.text(1))});
                    read_part(row.text(1), j);
                    read_progress(row.text(2), j);
                } catch (const error& e) {
                    j.error = e.code();
                }
                all.push_back(std::move(j));
                return true;
            },
            submitter, most);
        return all;
    }
    /// What waits. Not to be kept.
    sqlite_backlog backlog() { return sqlite_backlog(sql()); }
    std::optional<filed_job> read(std::int64_t place) { return on().rows.read(place); }
    job_info info(const filed_job& f, time_point now) { return on().rows.info(f, now); }
    mail_ptr read_later(envelope e, const content::facts& facts, const spot& at) {
        return on().rows.read_later(std::move(e), facts, at);
    }
    /// All of a content. A page between the root and it may lead elsewhere, so that a part is not found.
    std::string octets(const spot& at) {
        auto all = octets(at.part, parts_of(at.size));
        if (all.size() != static_cast<std::size_t>(at.size))
            on().file.refuse(errc::storage_damaged, "a stored message is damaged");
        return all;
    }
    /// Of so many parts what is there.
    std::string octets(std::int64_t first, std::int64_t parts) {
        std::string all;
        auto& row = sql().part;
        for (auto part = first; part < first + parts; ++part)
            row.each(
                [&] {
                    const auto octets = row.text(0);
                    if (!row.null(1) && row.number(1) != sum_of(octets))
                        on().file.refuse(errc::storage_damaged, "a stored message is damaged");
                    all += octets;
                    return false;
                },
                part);
        return all;
    }

    std::optional<std::int64_t> due_of(const job& j) const {
        return j.due == time_point::min() ? std::nullopt : std::optional(clocks.stored(j.due));
    }
    std::optional<std::int64_t> deadline_of(const job& j) const {
        return j.deadline == never ? std::nullopt : std::optional(sensible(clocks.stored(j.deadline)));
    }

private:
    /// What is older is over.
    struct last_times {
        std::int64_t keys = 0;
        std::int64_t outcomes = 0;
        std::int64_t failed = 0;
        std::int64_t journal = 0;
    };
    last_times over() const {
        const time_point now(std::chrono::nanoseconds(clocks.now()));
        const auto before = [&](std::chrono::seconds kept) {
            return std::max(after(now, -kept), time_point()).time_since_epoch().count();
        };
        return {.keys = clocks.now(),
                .outcomes = before(std::chrono::hours(1)),
                .failed = before(kept_.failed),
                .journal = before(kept_.journal)};
    }
    // What ends goes as others come: more of it than they are.
    void expire_in_time() {
        static constexpr unsigned often = 25;
        if (++since_expired_ < often) return;
        since_expired_ = 0;
        expire();
    }
    void erase_failed(std::int64_t until, std::size_t most) {
        std::vector<std::int64_t> found;
        auto& row = sql().failed_until;
        row.each(
            [&] {
                found.push_back(row.number(0));
                return true;
            },
            until, most);
        for (const auto place : found)
            if (const auto f = read(place)) erase(f->at);
    }
    // The parts of a message share their content, so it is cut with the last of them.
    void cut(const spot& at) {
        std::vector<std::int64_t> places{at.place};
        if (at.whole != 0) {
            if (sql().goes_on.find(at.whole)) return;
            places.clear();
            auto& row = sql().parts_of_whole;
            row.each(
                [&] {
                    places.push_back(row.number(0));
                    return true;
                },
                at.whole);
        }
        std::string header;
        if (kept_.content == kept_content::header && at.size > 0) {
            const auto begun = octets(at.part, 1);
            header = postroad::detail::split_at_empty_line(begun).header;
        }
        sql().erase_parts.run(at.part, at.part + parts_of(at.size));
        const auto left = content::from_text(std::move(header));
        if (!left.text().empty()) sql().insert_part.run(at.part, blob{left.text()}, sum_of(left.text()));
        for (const auto place : places) cut(place, at.part, left.known());
    }
    void cut(std::int64_t place, std::int64_t part, const content::facts& left) {
        lasting same{.place = place,
                     .part = part,
                     .size = static_cast<std::int64_t>(left.size),
                     .facts = sqlite_rows::bits_of(left)};
        std::int64_t sum = 0;
        auto& row = sql().lasting_of;
        row.each(
            [&] {
                same.id = row.number(0);
                same.tenant = row.text(1);
                same.tag = row.text(2);
                same.envelope = row.text(3);
                sum = same.sum();
                return false;
            },
            place);
        sql().cut.run(same.size, same.facts, sum, place);
    }
    // A job is not to be sent any more. Whether all of its message is over.
    bool ends(const spot& at) {
        if (at.whole != 0 && sql().goes_on.find(at.whole)) {
            --now_.more;
            return false;
        }
        --now_.jobs;
        return true;
    }

    counters read_counters() {
        counters c;
        bool found = false;
        auto& row = sql().counters;
        row.each([&] {
            c = {row.number(0), row.number(1), row.number(2), row.number(3),
                 row.number(4), row.number(5), row.number(6)};
            found = true;
            return false;
        });
        if (!found) on().file.refuse(errc::storage_damaged, "its table `totals` is empty");
        const auto is_counted = [](std::int64_t n) { return n >= 0 && n < first_place(1); };
        const auto is_sum = [](std::int64_t n) { return n > -first_place(1) && n < first_place(1); };
        if (!is_counted(c.epoch) || !is_counted(c.place) || !is_counted(c.entry) || c.part < 0 ||
            c.part > most_octets || !is_sum(c.jobs) || !is_sum(c.failed) || !is_sum(c.more))
            on().file.refuse(errc::storage_damaged, "its table `totals` makes no sense");
        return c;
    }

    error_code insert_parts(const content& c, journal_heading& heading) {
        if (!c.streams()) {
            if (keeps_journal()) heading = heading_of(c.text());
            for (auto rest = c.text(); !rest.empty();) {
                const auto part = rest.substr(0, sqlite_part);
                sql().insert_part.run(now_.part++, blob{part}, sum_of(part));
                rest.remove_prefix(part.size());
            }
            return {};
        }
        const auto first = now_.part;
        std::string part;
        content::reader from(c);
        for (auto next = from.peek(); !next.empty(); next = from.peek()) {
            const auto n = std::min(next.size(), sqlite_part - part.size());
            part += next.substr(0, n);
            from.consume(n);
            if (part.size() < sqlite_part && !from.peek().empty()) continue;
            if (now_.part == first && keeps_journal()) heading = heading_of(part);
            sql().insert_part.run(now_.part++, blob{part}, sum_of(part));
            part.clear();
        }
        if (from.failed()) sql().erase_parts.run(first, now_.part);
        return from.failure();
    }

    sqlite_connection& on() {
        if (on_) return *on_;
        if (!is_there()) refuse_moved();
        clocks.look();
        on_ = std::make_unique<sqlite_connection>(path_, clocks, parts_);
        (void)on_->sql.counters.find();
        has_octets_ = true;
        beside_ = files_beside::of(path_);
        return *on_;
    }
    sqlite_statements& sql() { return on().sql; }

    // These only grow, unless a copy was put back over the file; what is known here is not true of it then.
    void refuse_if_older() {
        if (now_.epoch < left_.epoch || now_.place < left_.place || now_.part < left_.part || now_.entry < left_.entry)
            on().file.refuse(errc::storage_damaged,
                             "it is older than it was, as if a copy had been put back over it: end the processes that "
                             "have it open first, and put it back without its -wal");
    }
    // What is written then is written into nothing.
    void refuse_if_moved() const {
        if (has_moved()) refuse_moved();
    }
    [[noreturn]] void refuse_moved() const { throw error(errc::storage_failed, moved()); }
    // SQLite would go on with what it remembers of it, and write nothing that lasts.
    bool is_emptied() const {
        struct ::stat found {};
        return has_octets_ && ::stat(path_.c_str(), &found) == 0 && found.st_size == 0;
    }
    bool has_moved() const { return !is_there() || (on_ && files_beside::of(path_) != beside_); }

    const keeping kept_;
    const std::string path_;
    const std::optional<file_identity> is_;
    std::atomic<bool> has_octets_ = false;  // once it was open
    files_beside beside_;
    std::shared_ptr<stored_parts> parts_;
    std::unique_ptr<sqlite_connection> on_;
    counters now_;
    counters left_;
    unsigned since_expired_ = 0;  // changes
    bool sends_ = false;
};

}  // namespace postroad::queueing::detail

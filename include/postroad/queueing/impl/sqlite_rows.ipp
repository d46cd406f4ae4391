#pragma once

#include <postroad/core/random.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/queueing/impl/sqlite_database.ipp>
#include <postroad/queueing/impl/sqlite_fork.ipp>
#include <postroad/queueing/inspection.hpp>
#include <postroad/queueing/stored_job.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::queueing::detail {

inline constexpr std::size_t sqlite_part = std::size_t{1} << 20;
// What is older makes no sense, but for a machine that starts without knowing the time: it says so then.
inline constexpr std::int64_t year_2000 = 946'684'800'000'000'000;
inline std::int64_t sensible(std::int64_t stored) noexcept { return std::max(stored, year_2000); }
inline constexpr std::int64_t most_octets = std::int64_t{1} << 50;  // of a content

// Places: the traffic class, then the order of arrival, so that those of a class lie together, oldest first.
inline constexpr unsigned classes = 256;
inline std::int64_t first_place(unsigned of) noexcept { return static_cast<std::int64_t>(of) << 54; }
inline std::uint8_t class_at(std::int64_t place) noexcept { return static_cast<std::uint8_t>(place >> 54); }
/// The id of a part of a message: no other job has one of these.
inline std::int64_t part_id(std::int64_t place) noexcept { return std::int64_t{1} << 62 | place; }
inline std::int64_t parts_of(std::int64_t size) noexcept {
    return (size + static_cast<std::int64_t>(sqlite_part) - 1) / static_cast<std::int64_t>(sqlite_part);
}
/// The domain of the first recipient, in lower case.
inline std::string domain_of(const envelope& e) {
    if (e.recipients.empty()) return {};
    auto domain = e.recipients.front().str();
    domain.erase(0, domain.rfind('@') + 1);
    return postroad::detail::in_lower_case(std::move(domain));
}

/// A number that says whether octets are as they were, beside a bad disk; no proof against somebody who wants to
/// deceive.
inline std::int64_t sum_of(std::string_view octets, std::int64_t before = 0) noexcept {
    auto sum = postroad::detail::scrambled(static_cast<std::uint64_t>(before) ^ octets.size());
    while (!octets.empty()) {
        std::uint64_t word = 0;
        const auto n = std::min(octets.size(), sizeof word);
        std::memcpy(&word, octets.data(), n);
        sum = postroad::detail::scrambled(sum ^ word);
        octets.remove_prefix(n);
    }
    return static_cast<std::int64_t>(sum);
}
inline std::int64_t sum_of(std::int64_t number, std::int64_t before) noexcept {
    return static_cast<std::int64_t>(postroad::detail::scrambled(static_cast<std::uint64_t>(before ^ number)));
}
/// What of a row never changes.
struct lasting {
    std::int64_t place = 0;
    std::int64_t id = 0;
    std::int64_t part = 0;
    std::int64_t size = 0;
    std::int64_t facts = 0;
    std::string_view tenant = {};
    std::string_view tag = {};
    std::string_view envelope = {};

    std::int64_t sum() const noexcept {
        std::int64_t all = 0;
        for (const auto n : {place, id, part, size, facts}) all = sum_of(n, all);
        for (const auto text : {tenant, tag, envelope}) all = sum_of(text, all);
        return all;
    }
};

/// Steady time as nanoseconds since 1970, and back. The offset is kept while the clocks agree, so that a time comes
/// back exactly as it was. Where the wall clock is set, what is stored moves with it.
class calendar {
public:
    /// Whether the wall clock was set since the last time.
    bool look() noexcept { return look(now(), clock::now()); }
    bool look(std::int64_t wall, time_point steady) noexcept {
        const auto found = wall - nanoseconds(steady.time_since_epoch());
        const auto had = offset_.load();
        if (found <= had + tolerance && found >= had - tolerance) return false;
        offset_.store(found);
        return true;
    }
    std::int64_t stored(time_point t) const noexcept {
        return after(t, std::chrono::nanoseconds(offset_)).time_since_epoch().count();
    }
    time_point steady(std::int64_t stored) const noexcept {
        if (stored == last) return never;
        return time_point(
            between(time_point(std::chrono::nanoseconds(offset_)), time_point(std::chrono::nanoseconds(stored))));
    }
    std::int64_t now() const noexcept { return nanoseconds(net::wall_clock_now().time_since_epoch()); }

private:
    static constexpr std::int64_t tolerance = 20'000'000;
    static constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
    static std::int64_t nanoseconds(auto d) noexcept {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
    }
    std::atomic<std::int64_t> offset_ = 0;
};

/// Reads contents while they are sent. Outlives the queue with them.
class stored_parts final : keeps_open {
public:
    explicit stored_parts(std::string path) : path_(std::move(path)), is_(file_identity::of(path_)) {
        fork_register::get().add(*this);
    }
    ~stored_parts() {
        const auto no_fork = fork_register::get().hold();
        fork_register::get().remove(*this);
        read_.reset();
        file_.reset();
    }

    std::string read(std::int64_t part) {
        const std::scoped_lock lock(mutex_);
        if (!read_) {
            // In another one that number may be somebody else's.
            if (file_identity::of(path_) != is_)
                throw error(errc::changed_file, "the queue '" + escaped(path_, 1000) + "' was moved or deleted");
            file_.emplace(path_, SQLITE_OPEN_READONLY);
            read_.emplace(*file_, "SELECT octets, sum FROM parts WHERE part = ?");
        }
        std::optional<std::string> found;
        read_->each(
            [&] {
                found = read_->text(0);
                if (!read_->null(1) && read_->number(1) != sum_of(*found))
                    throw error(errc::changed_file, "a stored message is damaged");
                return false;
            },
            part);
        if (!found) throw error(errc::changed_file, "a stored message was dropped while it was sent");
        return *std::move(found);
    }

    static source open(std::shared_ptr<stored_parts> from, std::int64_t first, std::int64_t size) {
        return source::generated(static_cast<std::uint64_t>(size), [from, first, size]() -> source::read_function {
            return [from, next = first, end = first + parts_of(size), octets = std::string(),
                    at = std::size_t{0}](std::span<char> room) mutable {
                if (at == octets.size() && next < end) {
                    octets = from->read(next++);
                    at = 0;
                }
                const auto n = octets.copy(room.data(), room.size(), at);
                at += n;
                return n;
            };
        });
    }

private:
    void close_for_fork() override {
        mutex_.lock();
        read_.reset();
        file_.reset();
    }
    void forked_in_parent() override { mutex_.unlock(); }
    void forked_in_child() override { mutex_.unlock(); }

    std::mutex mutex_;
    std::string path_;
    std::optional<file_identity> is_;
    std::optional<database> file_;
    std::optional<statement> read_;
};

/// Where a job is in the file.
struct spot {
    std::int64_t place = 0;
    std::int64_t part = 0;  // the first of its content
    std::int64_t size = 0;
    std::int64_t submitter = 0;
    job_id whole = 0;     // of a part of a divided message
    bool failed = false;  // it is over, and is kept
};

/// A job as it is in the file.
struct filed_job {
    enum state : std::int64_t { waiting, sending, held, in_doubt, failed };

    job what = {};
    spot at = {};
    std::int64_t state = waiting;
    std::optional<std::int64_t> due = {};
    content::facts facts = {};
    std::int64_t traffic_class = 0;
    std::int64_t submitted = 0;
    std::optional<std::int64_t> deadline = {};
    std::optional<std::int64_t> whole = {};
    std::optional<std::int64_t> failed_at = {};
    bool cut = false;         // its content is not whole any more
    std::string damage = {};  // why it makes no sense, if it does not; then it has no mail
};

/// The jobs as a connection reads them, each as if a stranger had written it.
class sqlite_rows {
public:
    sqlite_rows(database& file, const calendar& clocks, std::shared_ptr<stored_parts> parts)
        : clocks_(clocks),
          parts_(std::move(parts)),
          row_(file,
               "SELECT state, due, class, id, submitted, deadline, submitter, part, size, facts, tenant, tag, key, "
               "envelope, progress, whole, failed, sum, cut FROM jobs WHERE place = ?"),
          with_id_(file, "SELECT count(*) FROM jobs WHERE id = ?"),
          octets_in_(file, "SELECT total(length(octets)) FROM parts WHERE part >= ? AND part < ?") {}

    /// Nothing if nothing is there. Its content is read while it is sent.
    std::optional<filed_job> read(std::int64_t place) {
        std::optional<filed_job> result;
        row_.each(
            [&] {
                result = read_row(place);
                return false;
            },
            place);
        if (result) check(*result);
        return result;
    }
    job_info info(const filed_job& f, time_point now) const {
        auto all = describe(f.what, shown(f.state, f.due, now), now);
        if (f.failed_at) all.failed = age(clocks_.steady(*f.failed_at), now);
        if (!f.damage.empty()) all.error = f.damage;
        return all;
    }
    job_state shown(std::int64_t state, std::optional<std::int64_t> due, time_point now) const {
        switch (state) {
            case filed_job::waiting: return due && clocks_.steady(*due) > now ? job_state::delayed : job_state::waiting;
            case filed_job::sending: return job_state::sending;
            case filed_job::in_doubt: return job_state::in_doubt;
            case filed_job::failed: return job_state::failed;
            default: return job_state::held;
        }
    }
    mail_ptr read_later(envelope e, const content::facts& facts, const spot& at) const {
        return std::make_shared<const mail_object>(
            mail_object{std::move(e), content::restored(facts, stored_parts::open(parts_, at.part, at.size))});
    }

    static std::optional<std::int64_t> time_at(const statement& row, int column) {
        return row.null(column) ? std::nullopt : std::optional(row.number(column));
    }
    static std::int64_t bits_of(const content::facts& f) noexcept {
        return std::int64_t{f.eight_bit} | std::int64_t{f.eight_bit_header} << 1 | std::int64_t{f.leading_dots} << 2 |
               std::int64_t{f.binary} << 3 | static_cast<std::int64_t>(f.longest_line) << 4;
    }

private:
    static content::facts facts_of(std::int64_t size, std::int64_t bits) noexcept {
        return {.size = static_cast<std::uint64_t>(size),
                .longest_line = static_cast<std::uint64_t>(bits >> 4),
                .eight_bit = (bits & 1) != 0,
                .eight_bit_header = (bits & 2) != 0,
                // Looked for, whatever the row says: a dot that is not doubled ends a message, and begins commands.
                .leading_dots = true,
                .binary = (bits & 8) != 0};
    }
    // As if a stranger had written it.
    void check(filed_job& r) {
        const auto found = [&](bool bad, const char* what) {
            if (!bad || !r.damage.empty()) return;
            r.damage = std::string("a stored job cannot be read: ") + what;
        };
        const auto& of = r.at;
        found(r.state < filed_job::waiting || r.state > filed_job::failed, "its state is none");
        found(of.place < 0 || of.place >= first_place(classes) || r.traffic_class != of.place >> 54,
              "its class is not its place's");
        found(static_cast<std::int64_t>(r.what.id) <= 0, "its id is not positive");
        found(with_id_.find(static_cast<std::int64_t>(r.what.id)) != 1, "another has the same id");
        found(r.submitted < year_2000 || (r.deadline && *r.deadline < year_2000), "its times are none");
        found(static_cast<job_id>(r.whole.value_or(0)) != r.what.whole, "it is a part of two messages");
        // Absurd ones may reach into the contents of others.
        const bool whole = of.part >= 0 && of.size >= 0 && of.size <= most_octets && of.part <= most_octets &&
                           octets_in_.find(of.part, of.part + parts_of(of.size)) == of.size;
        found(!whole, "its content is not there, or not whole");
        if (!whole) r.at.size = 0;
        found(r.facts.longest_line > r.facts.size, "its longest line is longer than all of it");
        if (!r.damage.empty()) r.what.mail = {};
    }

    filed_job read_row(std::int64_t place) const {
        const auto& row = row_;
        filed_job r{.at = {.place = place, .part = row.number(7), .size = row.number(8), .submitter = row.number(6)},
                    .state = row.number(0),
                    .due = time_at(row, 1),
                    .facts = facts_of(row.number(8), row.number(9)),
                    .traffic_class = row.number(2),
                    .submitted = row.number(4),
                    .deadline = time_at(row, 5),
                    .whole = time_at(row, 15),
                    .failed_at = time_at(row, 16),
                    .cut = !row.null(18)};
        auto& j = r.what;
        j.id = static_cast<job_id>(row.number(3));
        j.submitted = clocks_.steady(row.number(4));
        if (r.due) j.due = clocks_.steady(*r.due);
        if (!row.null(5)) j.deadline = clocks_.steady(row.number(5));
        j.traffic_class = static_cast<std::uint8_t>(row.number(2));
        j.tenant = row.text(10);
        j.tag = row.text(11);
        j.idempotency_key = row.text(12);
        r.at.failed = r.state == filed_job::failed;
        const lasting same{.place = place,
                           .id = row.number(3),
                           .part = row.number(7),
                           .size = row.number(8),
                           .facts = row.number(9),
                           .tenant = row.text(10),
                           .tag = row.text(11),
                           .envelope = row.text(13)};
        if (!row.null(17) && row.number(17) != same.sum())
            r.damage = "a stored job cannot be read: it is not as it was stored";
        try {
            j.mail = read_later(read_envelope(row.text(13)), r.facts, r.at);
            read_part(row.text(13), j);
            r.at.whole = j.whole;
            if (!row.null(14)) read_progress(row.text(14), j);
        } catch (const error& e) {
            j.mail = {};
            if (r.damage.empty()) r.damage = e.details().explanation;
        }
        return r;
    }

    const calendar& clocks_;
    std::shared_ptr<stored_parts> parts_;
    statement row_;
    statement with_id_;
    statement octets_in_;
};

}  // namespace postroad::queueing::detail

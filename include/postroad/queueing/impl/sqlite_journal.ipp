#pragma once

#include <postroad/queueing/impl/sqlite_rows.ipp>
#include <postroad/queueing/journal.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

// Entries are numbered without gaps, in the order of their times. So many of them are a segment. Once one is full, its
// keys are written together, which costs little for each: an index of SQLite's own would be changed at a place of its
// own for each key of each message. Who searches reads the keys of the last, and for each full segment one row.
inline constexpr std::int64_t journal_segment = 4096;

// A row for all keys of which the highest octet is the same: eight octets each, the highest 52 bits of the key and the
// place of the entry in its segment.
inline constexpr std::uint64_t journal_places = journal_segment - 1;
inline std::int64_t common_bucket(std::uint64_t key) noexcept { return static_cast<std::int64_t>(key >> 56); }
// A row of its own for one that many entries have: the places, two octets each.
inline constexpr std::size_t journal_many = 16;
inline std::int64_t own_bucket(std::uint64_t key) noexcept {
    return static_cast<std::int64_t>(key >> 2 | std::uint64_t{1} << 62);
}
// And one that names those.
inline constexpr std::int64_t list_bucket = -1;
// Octets in one row: more would not stand beside the others, but on pages of their own.
inline constexpr std::size_t journal_piece = 896;

template <class T>
std::string as_octets(const std::vector<T>& all) {
    std::string octets(all.size() * sizeof(T), '\0');
    if (!all.empty()) std::memcpy(octets.data(), all.data(), octets.size());
    return octets;
}
template <class T>
std::vector<T> from_octets(std::string_view octets) {
    std::vector<T> all(octets.size() / sizeof(T));
    if (!all.empty()) std::memcpy(all.data(), octets.data(), all.size() * sizeof(T));
    return all;
}

/// What of an entry is stored, beside its keys.
struct journal_row {
    std::int64_t entry = 0;
    std::int64_t id = 0;
    std::int64_t settled = 0;
    std::int64_t submitted = 0;
    std::optional<std::int64_t> tried = {};
    std::int64_t traffic_class = 0;
    std::int64_t size = 0;
    std::string tenant = {};
    std::string tag = {};
    std::string subject = {};
    std::string message_id = {};
    std::string envelope = {};
    std::string progress = {};

    std::int64_t sum() const noexcept {
        std::int64_t all = 0;
        for (const auto n : {entry, id, settled, submitted, tried.value_or(0), traffic_class, size})
            all = sum_of(n, all);
        for (const std::string_view text : {tenant, tag, subject, message_id, envelope, progress})
            all = sum_of(text, all);
        return all;
    }
};

/// Writes entries, within transactions of the queue.
class journal_writer {
public:
    explicit journal_writer(database& file) : file_(file) {}

    /// A job that is in the file, and is not to be any more. `last` is the number of the last entry.
    void add(std::int64_t place, std::int64_t now, const std::string& progress, std::vector<std::uint64_t> keys,
             std::int64_t& last) {
        auto row = row_of(place);
        if (!row) return;
        row->entry = last + 1;
        row->progress = progress;
        if (!row->message_id.empty()) keys.push_back(key_of(journal_key::message_id, row->message_id));
        // They are searched by their times, so those never go back.
        if (last != last_) last_settled_ = settled_.find(last).value_or(0);
        row->settled = last_settled_ = std::max(now, last_settled_);
        insert_.run(row->entry, row->id, row->settled, row->submitted, row->tried, row->traffic_class, row->size,
                    row->tenant, row->tag, row->subject, row->message_id, row->envelope, row->progress, row->sum(),
                    blob{as_octets(keys)});
        last_ = last = row->entry;
        if (last % journal_segment == journal_segment - 1) index(last / journal_segment);
    }
    /// Whether erase() would find something.
    bool any_over(std::int64_t until, std::int64_t most, std::int64_t last) {
        const auto first = oldest();
        return first && (first->second <= until || last - first->first >= most);
    }
    /// Erases what is not later than `until`, and what is more than `most`, but not more than `some` at a time.
    void erase(std::int64_t until, std::int64_t most, std::int64_t last, std::int64_t some) {
        const auto first = oldest();
        if (!first) return;
        auto end = first->first;
        over_.each(
            [&] {
                if (over_.number(1) > until && last - over_.number(0) < most) return false;
                end = over_.number(0) + 1;
                return true;
            },
            some);
        if (end == first->first) return;
        erase_.run(end);
        while (const auto segment = listed_.find(list_bucket)) {
            if ((*segment + 1) * journal_segment > end) break;
            forget(*segment);
        }
    }

private:
    std::optional<journal_row> row_of(std::int64_t place) {
        std::optional<journal_row> found;
        job_.each(
            [&] {
                found = {.id = job_.number(0),
                         .submitted = job_.number(1),
                         .tried = sqlite_rows::time_at(job_, 2),
                         .traffic_class = job_.number(3),
                         .size = job_.number(4),
                         .tenant = std::string(job_.text(5)),
                         .tag = std::string(job_.text(6)),
                         .subject = std::string(job_.text(7)),
                         .message_id = std::string(job_.text(8)),
                         .envelope = std::string(job_.text(9))};
                return false;
            },
            place);
        return found;
    }
    std::optional<std::pair<std::int64_t, std::int64_t>> oldest() {
        std::optional<std::pair<std::int64_t, std::int64_t>> found;
        oldest_.each([&] {
            found.emplace(oldest_.number(0), oldest_.number(1));
            return false;
        });
        return found;
    }

    void index(std::int64_t segment) {
        std::vector<std::pair<std::uint64_t, std::uint16_t>> all;
        const auto first = segment * journal_segment;
        keys_.each(
            [&] {
                const auto place = static_cast<std::uint16_t>(keys_.number(0) - first);
                for (const auto key : from_octets<std::uint64_t>(keys_.text(1))) all.emplace_back(key, place);
                return true;
            },
            first, first + journal_segment);
        std::ranges::sort(all);
        std::map<std::int64_t, std::vector<std::uint64_t>> common;
        std::vector<std::int64_t> own;
        for (auto at = all.begin(); at != all.end();) {
            const auto key = at->first;
            const auto end = std::find_if(at, all.end(), [&](const auto& other) { return other.first != key; });
            if (static_cast<std::size_t>(end - at) > journal_many) {
                std::vector<std::uint16_t> places;
                for (; at != end; ++at) places.push_back(at->second);
                own.push_back(own_bucket(key));
                put(own.back(), segment, as_octets(places));
            } else {
                auto& to = common[common_bucket(key)];
                for (; at != end; ++at) to.push_back((key & ~journal_places) | at->second);
            }
        }
        for (const auto& [bucket, found] : common) put(bucket, segment, as_octets(found));
        put(list_bucket, segment, as_octets(own));
    }
    // At least one row.
    void put(std::int64_t bucket, std::int64_t segment, std::string_view octets) {
        std::int64_t piece = 0;
        do {
            set_.run(bucket, segment, piece++, blob{octets.substr(0, journal_piece)});
            octets.remove_prefix(std::min(octets.size(), journal_piece));
        } while (!octets.empty());
    }
    void forget(std::int64_t segment) {
        std::vector<std::int64_t> own;
        found_.each(
            [&] {
                const auto some = from_octets<std::int64_t>(found_.text(0));
                own.insert(own.end(), some.begin(), some.end());
                return true;
            },
            list_bucket, segment);
        for (const auto bucket : own) erase_found_.run(bucket, segment);
        for (std::int64_t bucket = list_bucket; bucket < 256; ++bucket) erase_found_.run(bucket, segment);
    }

    database& file_;
    statement job_{file_,
                   "SELECT id, submitted, tried, class, size, tenant, tag, subject, message_id, envelope FROM jobs "
                   "WHERE place = ?"};
    statement insert_{file_, "INSERT INTO journal VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    statement settled_{file_, "SELECT settled FROM journal WHERE entry = ?"};
    statement oldest_{file_, "SELECT entry, settled FROM journal ORDER BY entry LIMIT 1"};
    statement over_{file_, "SELECT entry, settled FROM journal ORDER BY entry LIMIT ?"};
    statement erase_{file_, "DELETE FROM journal WHERE entry < ?"};
    statement keys_{file_, "SELECT entry, keys FROM journal WHERE entry >= ? AND entry < ? ORDER BY entry"};
    statement set_{file_, "REPLACE INTO journal_keys VALUES(?, ?, ?, ?)"};
    statement listed_{file_, "SELECT segment FROM journal_keys WHERE bucket = ? ORDER BY segment LIMIT 1"};
    statement found_{file_, "SELECT found FROM journal_keys WHERE bucket = ? AND segment = ?"};
    statement erase_found_{file_, "DELETE FROM journal_keys WHERE bucket = ? AND segment = ?"};
    std::int64_t last_ = -1;  // of which the time is known
    std::int64_t last_settled_ = 0;
};

/// Finds entries, over a connection that only reads. All of one page as it was at one time.
class journal_search {
public:
    explicit journal_search(database& file) : file_(file) {}

    journal_page find(const journal_filter& which, std::size_t limit, std::int64_t from) {
        const snapshot now(file_);
        const auto first = first_.find();
        const auto last = last_.find();
        journal_page page;
        if (!first || !last || limit == 0) return page;
        range in{.first = *first, .last = from > 0 ? std::min(from, *last) : *last};
        if (which.since) in.first = std::max(in.first, at_or_after(*which.since, *first, *last));
        if (which.before) in.last = std::min(in.last, at_or_after(*which.before, *first, *last) - 1);
        const auto add = [&](std::int64_t entry) {
            if (page.entries.size() == limit) {
                page.next = entry;
                return false;
            }
            auto found = read(entry);
            // One that cannot be read is shown to who would have seen it.
            if (found && (found->recipients.empty() || which.matches(*found)))
                page.entries.push_back(*std::move(found));
            return true;
        };
        each(keys_of(which), in, last.value(), add);
        return page;
    }

private:
    struct range {
        std::int64_t first = 0;
        std::int64_t last = 0;
    };

    // Calls `f(entry)` for those that have these keys, the last first, until it returns false.
    template <class F>
    void each(const std::vector<std::uint64_t>& keys, const range& in, std::int64_t last, F f) {
        if (keys.empty()) {
            all_.each([&] { return f(all_.number(0)); }, in.last, in.first);
            return;
        }
        const auto indexed = (last + 1) / journal_segment * journal_segment;
        if (!each_unindexed(keys, {.first = std::max(in.first, indexed), .last = in.last}, f)) return;
        if (in.first >= indexed) return;
        const auto first = in.first / journal_segment;
        // A page of what many have is in the last segments; what is rare may be anywhere.
        std::int64_t some = 1;
        for (auto to = std::min(in.last, indexed - 1) / journal_segment; to >= first; to -= some) {
            some = std::min({2 * some, most_segments, to - first + 1});
            const auto found = entries_of(keys, to - some + 1, to);
            for (auto i = found.size(); i-- > 0;)
                if (found[i] >= in.first && found[i] <= in.last && !f(found[i])) return;
        }
    }
    template <class F>
    bool each_unindexed(const std::vector<std::uint64_t>& keys, const range& in, F f) {
        bool more = true;
        unindexed_.each(
            [&] {
                const auto has = from_octets<std::uint64_t>(unindexed_.text(1));
                const auto is_there = [&](std::uint64_t key) { return std::ranges::find(has, key) != has.end(); };
                if (std::ranges::all_of(keys, is_there)) more = f(unindexed_.number(0));
                return more;
            },
            in.last, in.first);
        return more;
    }
    // Those of these segments that have all keys.
    std::vector<std::int64_t> entries_of(const std::vector<std::uint64_t>& keys, std::int64_t from, std::int64_t to) {
        auto all = entries_of(keys.front(), from, to);
        for (const auto other : std::span(keys).subspan(1)) {
            if (all.empty()) break;
            const auto others = entries_of(other, from, to);
            std::vector<std::int64_t> both;
            std::set_intersection(all.begin(), all.end(), others.begin(), others.end(), std::back_inserter(both));
            all = std::move(both);
        }
        return all;
    }
    std::vector<std::int64_t> entries_of(std::uint64_t key, std::int64_t from, std::int64_t to) {
        std::vector<std::int64_t> all;
        found_.each(
            [&] {
                const auto first = found_.number(0) * journal_segment;
                if (found_.number(1) == own_bucket(key)) {
                    for (const auto place : from_octets<std::uint16_t>(found_.text(2))) all.push_back(first + place);
                } else {
                    for (const auto one : from_octets<std::uint64_t>(found_.text(2)))
                        if (((one ^ key) & ~journal_places) == 0)
                            all.push_back(first + static_cast<std::int64_t>(one & journal_places));
                }
                return true;
            },
            common_bucket(key), own_bucket(key), from, to);
        // Where it has a row of its own in some segments only.
        if (!std::ranges::is_sorted(all)) std::ranges::sort(all);
        return all;
    }
    // The first entry that is not earlier; one behind the last if there is none.
    std::int64_t at_or_after(journal_time t, std::int64_t first, std::int64_t last) {
        const auto when = std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
        while (first <= last) {
            const auto middle = first + (last - first) / 2;
            // One that is not there was erased, as were those before.
            if (settled_.find(middle).value_or(0) < when)
                first = middle + 1;
            else
                last = middle - 1;
        }
        return first;
    }

    std::optional<journal_entry> read(std::int64_t entry) {
        std::optional<journal_row> found;
        std::int64_t sum = 0;
        auto& r = row_;
        r.each(
            [&] {
                found = {.entry = entry,
                         .id = r.number(0),
                         .settled = r.number(1),
                         .submitted = r.number(2),
                         .tried = sqlite_rows::time_at(r, 3),
                         .traffic_class = r.number(4),
                         .size = r.number(5),
                         .tenant = std::string(r.text(6)),
                         .tag = std::string(r.text(7)),
                         .subject = std::string(r.text(8)),
                         .message_id = std::string(r.text(9)),
                         .envelope = std::string(r.text(10)),
                         .progress = std::string(r.text(11))};
                sum = r.number(12);
                return false;
            },
            entry);
        if (!found) return {};
        if (sum != found->sum())
            return journal_entry{.number = entry, .error = "this entry cannot be read: it is not as it was stored"};
        try {
            return entry_of(*found);
        } catch (const error& e) {
            return journal_entry{.number = entry, .error = e.details().explanation};
        }
    }
    static journal_time time_of(std::int64_t stored) {
        return journal_time(std::chrono::duration_cast<journal_time::duration>(std::chrono::nanoseconds(stored)));
    }
    static journal_entry entry_of(const journal_row& r) {
        job j{.id = static_cast<job_id>(r.id),
              .mail = std::make_shared<const mail_object>(mail_object{.envelope = read_envelope(r.envelope)})};
        read_part(r.envelope, j);
        read_progress(r.progress, j);
        auto shown = describe(j, job_state::failed, time_point::min());
        return {.number = r.entry,
                .id = j.id,
                .whole = j.whole,
                .queued = time_of(r.submitted),
                .tried = r.tried ? std::optional(time_of(*r.tried)) : std::nullopt,
                .settled = time_of(r.settled),
                .traffic_class = static_cast<std::uint8_t>(r.traffic_class),
                .octets = static_cast<std::uint64_t>(r.size),
                .attempts = j.result.attempts,
                .tenant = r.tenant,
                .tag = r.tag,
                .sender = std::move(shown.sender),
                .message_id = r.message_id,
                .subject = decoded_subject(r.subject),
                .recipients = std::move(shown.recipients),
                .server = std::move(j.result.details.host),
                .error = std::move(shown.error)};
    }

    static constexpr std::int64_t most_segments = 64;  // that are read together

    database& file_;
    statement first_{file_, "SELECT entry FROM journal ORDER BY entry LIMIT 1"};
    statement last_{file_, "SELECT entry FROM journal ORDER BY entry DESC LIMIT 1"};
    statement settled_{file_, "SELECT settled FROM journal WHERE entry = ?"};
    statement all_{file_, "SELECT entry FROM journal WHERE entry <= ? AND entry >= ? ORDER BY entry DESC"};
    statement unindexed_{file_, "SELECT entry, keys FROM journal WHERE entry <= ? AND entry >= ? ORDER BY entry DESC"};
    statement found_{file_,
                     "SELECT segment, bucket, found FROM journal_keys WHERE bucket IN (?, ?) AND segment BETWEEN ? AND "
                     "? ORDER BY bucket, segment, piece"};
    statement row_{file_,
                   "SELECT id, settled, submitted, tried, class, size, tenant, tag, subject, message_id, envelope, "
                   "progress, sum FROM journal WHERE entry = ?"};
};

}  // namespace postroad::queueing::detail

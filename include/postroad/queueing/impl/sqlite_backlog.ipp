#pragma once
// What waits in the file of a queue, for who leases it.

#include <postroad/queueing/impl/sqlite_schema.ipp>
#include <postroad/queueing/impl/sqlite_statements.ipp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace postroad::queueing::detail {

/// Jobs by their places, in the order in which they are to be sent. Everything throws `error`; nothing of it is called
/// within another.
class sqlite_backlog {
public:
    explicit sqlite_backlog(sqlite_statements& sql) : sql_(sql) {}

    /// The place of the first job at or behind `place`.
    std::optional<std::int64_t> next(std::int64_t place) { return sql_.next_class.find(place); }
    /// Some that are in no class, and may be sent as far as they know.
    std::vector<std::int64_t> misplaced() {
        std::vector<std::int64_t> found;
        auto& row = sql_.misplaced;
        row.each(
            [&] {
                found.push_back(row.number(0));
                return true;
            },
            first_place(classes));
        return found;
    }
    struct walk {
        std::vector<std::int64_t> places = {};
        std::int64_t seen = 0;  // how far it went
        bool more = false;      // there may be some behind that
    };
    /// Fresh jobs of a class behind `place`, oldest first, and not past more than a number of others at a time.
    walk fresh(std::uint8_t of, std::int64_t place, std::size_t most) {
        static constexpr std::int64_t farthest = 4096;
        walk found{.seen = place};
        std::int64_t passed = 0;
        auto& row = sql_.fresh;
        row.each(
            [&] {
                found.seen = row.number(0);
                if (row.number(1) == 1) found.places.push_back(found.seen);
                return ++passed < farthest && found.places.size() < most;
            },
            place, first_place(of + 1u), farthest);
        found.more = passed == farthest || found.places.size() == most;
        return found;
    }
    /// Calls `f(place, due)` for what waits for a time, the earliest first, until it returns false.
    template <class F>
    void each_delayed(std::uint8_t of, F f) {
        auto& row = sql_.delayed;
        row.each([&] { return f(row.number(0), row.number(1)); }, of);
    }
    /// How far somebody has looked at each job, and then at each that an index has.
    struct looked_at {
        static constexpr auto none = std::numeric_limits<std::int64_t>::min();
        std::int64_t place = none;
        std::int64_t id = none;
        bool has_all_jobs = false;
    };
    /// Whether the next `most` behind `from`, which moves on, are where the indexes say, and are there at all: one that
    /// is in no index, or in nothing else, would wait for ever. At the end `from` is empty.
    bool well_kept(std::optional<looked_at>& from, std::size_t most) {
        bool well = true;
        std::size_t n = 0;
        if (!from->has_all_jobs) {
            auto& row = sql_.kept;
            row.each(
                [&] {
                    from->place = row.number(0);
                    well = row.number(1) == 1;
                    ++n;
                    return well;
                },
                from->place, most);
            if (n < most) from = looked_at{.has_all_jobs = true};
            return well;
        }
        auto& row = sql_.there;
        row.each(
            [&] {
                from->id = row.number(0);
                from->place = row.number(1);
                well = row.number(2) == 1;
                ++n;
                return well;
            },
            from->id, from->place, most);
        if (n < most) from.reset();
        return well;
    }

private:
    sqlite_statements& sql_;
};

}  // namespace postroad::queueing::detail

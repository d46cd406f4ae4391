#pragma once

#include <postroad/queueing/impl/sqlite_rows.ipp>

#include <algorithm>
#include <array>
#include <bitset>
#include <compare>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

using state_set = std::bitset<job_states>;
inline constexpr std::size_t bit_of(job_state s) noexcept { return static_cast<std::size_t>(s); }

/// The states that a filter means. What failed is over: only a filter that names its state, or its id, means it.
inline state_set meant_by(const job_filter& which) {
    state_set all;
    if (which.state) return all.set(bit_of(*which.state));
    all.set();
    return which.id || which.whole ? all : all.reset(bit_of(job_state::failed));
}

/// Where a job stands among others, which is the order of the indexes for one value: by age, then by place.
struct job_rank {
    static constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
    static constexpr auto highest = std::numeric_limits<std::int64_t>::max();
    std::int64_t submitted = lowest;
    std::int64_t place = lowest;
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy takes its zero for a pointer
    friend auto operator<=>(const job_rank&, const job_rank&) = default;

    /// The next one; none behind the last.
    std::optional<job_rank> next() const {
        if (place < highest) return job_rank{submitted, place + 1};
        if (submitted < highest) return job_rank{submitted + 1, lowest};
        return {};
    }
};

/// The jobs that an index has for a condition, in the order of their ranks. Some are read ahead: the more, the more of
/// them were of use.
class sqlite_run {
public:
    struct source {
        const char* index = "";
        std::string condition = {};  // which the index answers
        std::string also = {};       // which it does not
        const char* order = "submitted, place";
    };
    sqlite_run(database& file, const source& from, std::string value = {})
        : file_(&file),
          found_(" FROM jobs INDEXED BY " + std::string(from.index) + " WHERE " + from.condition),
          also_(from.also.empty() ? "" : " AND " + from.also),
          order_(from.order) {
        if (!value.empty()) value_.all.push_back(std::move(value));
    }

    /// The first that is not before `from`, which only grows; none: there is no more.
    std::optional<job_rank> seek(job_rank from) {
        const auto found = std::lower_bound(ahead_.begin() + at_, ahead_.end(), from) - ahead_.begin();
        if (std::exchange(at_, found) != found) ++used_;
        if (is_at_end() && !ended_) read_ahead(from);
        return is_at_end() ? std::nullopt : std::optional(ahead_[static_cast<std::size_t>(at_)]);
    }
    /// Whether the index has fewer.
    bool has_fewer_than(std::int64_t n) const {
        statement counted(*file_, "SELECT count(*) FROM (SELECT 1" + found_ + " LIMIT " + std::to_string(n) + ')');
        return counted.find(value_).value_or(0) < n;
    }

private:
    bool is_at_end() const { return at_ == std::ssize(ahead_); }
    void read_ahead(job_rank from) {
        if (!ranks_)
            ranks_.emplace(*file_, "SELECT submitted, place" + found_ + also_ +
                                       " AND (submitted, place) >= (?, ?) ORDER BY " + order_ + " LIMIT ?");
        most_ = used_ > 1 ? std::min(most_ * 2, most) : std::max(most_ / 2, least);
        ahead_.clear();
        ended_ = true;
        std::ptrdiff_t read = 0;
        ranks_->each(
            [&] {
                const job_rank next{ranks_->number(0), ranks_->number(1)};
                // An index that is damaged would lead back.
                if (next >= from && (ahead_.empty() || next > ahead_.back())) ahead_.push_back(next);
                ended_ = ++read < most_;
                return true;
            },
            value_, from.submitted, from.place, most_);
        used_ = at_ = 0;
    }

    // Fewer would cost as much: it is the statement that takes time.
    static constexpr std::ptrdiff_t least = 16;
    static constexpr std::ptrdiff_t most = 256;
    database* file_;
    std::string found_;
    std::string also_;
    const char* order_;
    texts value_;
    std::optional<statement> ranks_;
    std::vector<job_rank> ahead_;
    std::ptrdiff_t at_ = 0;    // in `ahead_`
    std::ptrdiff_t used_ = 0;  // how often it was gone on in `ahead_`
    std::ptrdiff_t most_ = least;
    bool ended_ = false;
};

/// Which rows a filter means. Each member that says something has an index, in which the jobs of a value are in one
/// order; those that all of them have are found by going on, in each in turn, to where the others are. So what is
/// looked at is a few times what the rarest member has at most, and mostly far less.
class sqlite_selection {
public:
    sqlite_selection(database& file, const job_filter& which, state_set states, std::int64_t now)
        : file_(file), states_(states), now_(std::to_string(now)) {
        const auto line_sources = lines();
        for (const auto& l : line_sources)
            of_states_ += (of_states_.empty() ? "(" : " OR ") + l.condition + (l.also.empty() ? "" : " AND " + l.also);
        of_states_ += ')';
        if (states_.none()) return;
        if (which.id) by_number({"ids", "id = "}, *which.id);
        if (which.whole) by_number({"wholes", "whole = "}, *which.whole);
        if (!which.tag.empty()) by_text({"tags", "tag = ?"}, which.tag);
        if (!which.tenant.empty()) by_text({"tenants", "tenant = ?"}, which.tenant);
        if (!which.domain.empty()) by_text({"domains", "domain = ?"}, postroad::detail::in_lower_case(which.domain));
        if (which.id || which.whole) return;  // so few that their states are looked at
        for (const auto& l : line_sources) lines_.emplace_back(file_, rarer(l));
        // Where none is named that of a row mostly is one, and the row is read next anyhow.
        if (!which.state && !runs_.empty())
            state_.emplace(file_, "SELECT " + of_states_ + " FROM jobs WHERE place = ?");
    }

    /// Calls `f(place)` for each, oldest first, until it returns false.
    template <class F>
    void each(F f) {
        if (states_.none()) return;
        for (auto at = first_common({}); at && f(at->place);) {
            const auto next = at->next();
            at = next ? first_common(*next) : std::nullopt;
        }
    }

    /// The same in the order of their places, behind `after`, at most so many. Says behind which place to go on, which
    /// may be before so many were found: the rows that are looked at are bounded.
    template <class F>
    std::optional<std::int64_t> each_behind(std::int64_t after, std::size_t most, F f) {
        if (states_.none() || most == 0) return {};
        return has_few() ? each_of_few(after, most, f) : each_of_next(after, most, f);
    }

private:
    using source = sqlite_run::source;

    void by_number(source from, job_id n) {
        from.condition += std::to_string(static_cast<std::int64_t>(n));
        from.also = of_states_;
        conditions_ += from.condition + " AND ";
        runs_.emplace_back(file_, from);
    }
    void by_text(const source& from, const std::string& value) {
        runs_.emplace_back(file_, from, value);
        conditions_ += from.condition + " AND ";
        values_.all.push_back(value);
    }

    // The first that is not before `from` and that each run has.
    std::optional<job_rank> first_common(job_rank from) {
        const auto all = runs_.size() + (lines_.empty() ? 0 : 1);
        for (std::size_t agreed = 0, i = 0; agreed < all; i = (i + 1) % all) {
            const auto found = i < runs_.size() ? runs_[i].seek(from) : first_of_lines(from);
            if (!found) return {};
            agreed = *found == from ? agreed + 1 : 1;
            from = *found;
        }
        return from;
    }
    std::optional<job_rank> first_of_lines(job_rank from) {
        if (state_ && state_->find(from.place).value_or(0) != 0) return from;
        std::optional<job_rank> first;
        for (auto& line : lines_)
            if (const auto found = line.seek(from); found && (!first || *found < *first)) first = found;
        return first;
    }

    bool has_few() const {
        const auto is_short = [](const sqlite_run& r) { return r.has_fewer_than(few); };
        return std::ranges::any_of(runs_, is_short) || (!lines_.empty() && std::ranges::all_of(lines_, is_short));
    }
    template <class F>
    std::optional<std::int64_t> each_of_few(std::int64_t after, std::size_t most, F f) {
        std::vector<std::int64_t> places;
        each([&](std::int64_t place) {
            if (place > after) places.push_back(place);
            return true;
        });
        std::ranges::sort(places);
        const bool more = places.size() > most;
        if (more) places.resize(most);
        for (const auto place : places) f(place);
        return more ? std::optional(places.empty() ? after : places.back()) : std::nullopt;
    }
    template <class F>
    std::optional<std::int64_t> each_of_next(std::int64_t after, std::size_t most, F f) {
        statement next(file_, "SELECT place, " + conditions_ + of_states_ +
                                  " FROM jobs NOT INDEXED WHERE place > ? ORDER BY place LIMIT ?");
        std::size_t looked_at = 0;
        std::size_t found = 0;
        next.each(
            [&] {
                after = next.number(0);
                ++looked_at;
                if (next.number(1) == 0) return true;
                f(after);
                return ++found < most;
            },
            values_, after, slice);
        return found == most || looked_at == slice ? std::optional(after) : std::nullopt;
    }

    // The parts of the index `lines` that hold the states, each in the order of age.
    std::vector<source> lines() const {
        std::vector<source> all;
        const auto add = [&](const std::string& state, std::string also = {}) {
            all.push_back({"lines", "state = " + state + " AND (due IS NOT NULL) = 1", std::move(also)});
        };
        const auto add_fresh = [&](const std::string& state) {
            // The same order as the other, and the one of the index.
            all.push_back({"lines", "state = " + state + " AND (due IS NOT NULL) = 0", {}, "submitted, due, place"});
        };
        const auto has = [&](job_state s) { return states_.test(bit_of(s)); };
        if (has(job_state::waiting)) add_fresh("0");
        if (has(job_state::waiting) && has(job_state::delayed)) {
            add("0");
        } else {
            if (has(job_state::waiting)) add("0", "due <= " + now_);
            if (has(job_state::delayed)) add("0", "due > " + now_);
        }
        static constexpr std::array<std::pair<job_state, const char*>, 4> others = {
            {{job_state::sending, "1"}, {job_state::held, "2"}, {job_state::in_doubt, "3"}, {job_state::failed, "4"}}};
        for (const auto& [s, number] : others) {
            if (!has(s)) continue;
            add_fresh(number);
            add(number);
        }
        // What makes no sense is to be held.
        if (has(job_state::held)) {
            all.push_back({"lines", "state < 0"});
            all.push_back({"lines", "state > 4"});
        }
        return all;
    }
    // Of those that wait for a time, few may be due, or few may not: these are found by that.
    source rarer(const source& line) const {
        static const std::string of_classes =
            "class IN (WITH RECURSIVE c(n) AS (SELECT min(class) FROM jobs INDEXED BY delayed WHERE due IS NOT NULL "
            "UNION ALL SELECT (SELECT min(class) FROM jobs INDEXED BY delayed WHERE due IS NOT NULL AND class > n) "
            "FROM "
            "c WHERE n IS NOT NULL) SELECT n FROM c WHERE n IS NOT NULL) AND ";
        if (line.also.empty()) return line;
        source by_time{"delayed", of_classes + line.also, "state = 0"};
        return sqlite_run(file_, by_time).has_fewer_than(few) ? by_time : line;
    }

    static constexpr std::int64_t few = 1000;
    static constexpr std::size_t slice = 10'000;
    database& file_;
    state_set states_;
    std::string now_;
    std::string of_states_;   // as SQL
    std::string conditions_;  // the others; each with an AND behind it
    texts values_;            // of these
    std::vector<sqlite_run> runs_;
    std::vector<sqlite_run> lines_;   // together one more
    std::optional<statement> state_;  // whether that of a row is one of them
};

}  // namespace postroad::queueing::detail

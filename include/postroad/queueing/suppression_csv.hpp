#pragma once
// Lists of addresses that must not get mail as CSV (RFC 4180), in and out. See docs/suppression.md.

#include <postroad/core/config.hpp>
#include <postroad/queueing/suppression.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::suppression {

/// Octets of a row at most.
inline constexpr std::size_t max_csv_row = 10'000;

/// The first row of what is exported.
inline constexpr std::string_view csv_header = "address,tenant,list,reason,source,added,until\r\n";

/// With its line end. Times are in UTC: `2026-03-01T12:00:00Z`.
POSTROAD_DECL std::string csv_row(const entry& e);

/// A row: an entry, or what is wrong with it.
struct csv_line {
    std::size_t line = 0;  ///< where it begins, counted from 1
    std::optional<entry> what = {};
    std::string fault = {};  ///< printable
};

/// Reads CSV in pieces. The first row may name columns: those of csv_header, or `email` for the address, in any order;
/// others are left out. Without such a row the address is the first column. Commas, semicolons or tabs stand between
/// them, which the first row shows.
class csv_reader {
public:
    /// What columns do not say, or an empty field.
    explicit csv_reader(entry defaults = {}) : defaults_(std::move(defaults)) {}

    void push(std::string_view octets) { buffer_.append(octets); }
    /// That was all.
    void end() noexcept { ended_ = true; }
    /// The next row, if it is whole. Throws nothing but std::bad_alloc.
    POSTROAD_DECL std::optional<csv_line> next();

private:
    enum column : std::size_t { address, tenant, list, reason, source, added, until, columns };
    using fields = std::vector<std::string>;

    bool begin();
    csv_line refuse_endless();
    bool skip_line();
    std::optional<std::size_t> end_of_row() const;
    void drop(std::size_t size);
    fields split(std::string_view row) const;
    void look_at_first(std::string_view row);
    bool is_header(const fields& all);
    csv_line read(const fields& all) const;

    entry defaults_;
    std::string buffer_;
    std::size_t at_ = 0;  // of the buffer
    std::size_t line_ = 1;
    std::array<std::optional<std::size_t>, columns> where_ = {0};
    char separator_ = ',';
    bool begun_ = false;
    bool ended_ = false;
    bool skips_line_ = false;  // what is left of one without an end
};

/// What became of the rows.
struct imported {
    std::size_t added = 0;
    std::size_t known = 0;   ///< were there already, and are as the file has them
    std::size_t faults = 0;  ///< rows that were left out
};

/// Puts CSV into a store, some rows at a time: what was put in stays when a later piece cannot be had. `fault` is
/// called with each csv_line that is left out.
template <store S, class Fault>
class csv_import {
public:
    csv_import(S& to, entry defaults, Fault fault) : to_(to), reader_(std::move(defaults)), fault_(std::move(fault)) {}

    void push(std::string_view octets, time now) {
        reader_.push(octets);
        take(now);
    }
    imported end(time now) {
        reader_.end();
        take(now);
        store_all(now);
        return done_;
    }

private:
    static constexpr std::size_t at_once = 1000;

    void take(time now) {
        while (auto row = reader_.next()) {
            if (row->what) {
                waiting_.push_back(std::move(*row->what));
                if (waiting_.size() == at_once) store_all(now);
            } else {
                ++done_.faults;
                fault_(*row);
            }
        }
    }
    void store_all(time now) {
        const auto added = to_.add(waiting_, now);
        done_.added += added;
        done_.known += waiting_.size() - added;
        waiting_.clear();
    }

    S& to_;
    csv_reader reader_;
    Fault fault_;
    std::vector<entry> waiting_;
    imported done_;
};

}  // namespace postroad::suppression

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/queueing/impl/suppression_csv.ipp>
#endif

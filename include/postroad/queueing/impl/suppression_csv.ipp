#pragma once

#include <postroad/core/number.hpp>
#include <postroad/queueing/suppression_csv.hpp>

#include <postroad/message/fields.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/queueing/suppression.hpp>

#include <algorithm>
#include <cstdio>

namespace postroad::suppression {
namespace detail {

inline std::string quoted_field(std::string_view text) {
    if (text.find_first_of(",;\t\"\r\n ") == text.npos) return std::string(text);
    std::string result = "\"";
    for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
    return result + '"';
}

/// "2026-03-01T12:00:00Z"
inline std::string written(time t) {
    const std::chrono::hh_mm_ss clock(t - std::chrono::floor<std::chrono::days>(t));
    std::array<char, 32> text{};
    const int size =
        std::snprintf(text.data(), text.size(), "T%02d:%02d:%02dZ", static_cast<int>(clock.hours().count()),
                      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
    return date_of(t) + std::string(text.data(), static_cast<std::size_t>(std::max(size, 0)));
}

/// So many digits, which are taken off.
inline std::optional<int> taken_digits(std::string_view& text, std::size_t n) {
    if (text.size() < n || text.starts_with('-')) return {};
    const auto value = postroad::detail::whole_number<int>(text.substr(0, n));
    if (value) text.remove_prefix(n);
    return value;
}

/// "2026-03-01", also with "T12:00:00Z" or " 12:00:00".
inline std::optional<time> read_time(std::string_view text) {
    int parts[6] = {};
    static constexpr std::string_view before[6] = {"", "-", "-", "T ", ":", ":"};
    for (std::size_t i = 0; i < 6; ++i) {
        if (i == 3 && text.empty()) break;
        if (i > 0 && (text.empty() || before[i].find(text.front()) == std::string_view::npos)) return {};
        if (i > 0) text.remove_prefix(1);
        const auto found = taken_digits(text, i == 0 ? 4 : 2);
        if (!found) return {};
        parts[i] = *found;
    }
    const auto date = std::chrono::year{parts[0]} / parts[1] / parts[2];
    if (!date.ok() || parts[3] > 23 || parts[4] > 59 || parts[5] > 59 || (!text.empty() && text != "Z")) return {};
    return std::chrono::sys_days(date) + std::chrono::hours(parts[3]) + std::chrono::minutes(parts[4]) +
           std::chrono::seconds(parts[5]);
}

}  // namespace detail

POSTROAD_DECL std::string csv_row(const entry& e) {
    using detail::quoted_field;
    return quoted_field(e.address.str()) + ',' + quoted_field(e.of.tenant) + ',' + quoted_field(e.of.list) + ',' +
           std::string(to_string(e.why)) + ',' + quoted_field(e.source) + ',' + detail::written(e.added) + ',' +
           (e.until ? detail::written(*e.until) : "") + "\r\n";
}

// Of the row at the beginning of what is there, behind its line end; nothing if it may go on, or is too long.
POSTROAD_DECL std::optional<std::size_t> csv_reader::end_of_row() const {
    bool in_quotes = false;
    bool begins = true;  // a field
    for (auto i = at_; i < buffer_.size() && i < at_ + max_csv_row; ++i) {
        const char c = buffer_[i];
        if (c == '\n' && !in_quotes) return i + 1;
        // behind a quote that ends: another one goes on
        const bool is_quote = c == '"' && (begins || in_quotes);
        if (is_quote) in_quotes = !in_quotes;
        begins = is_quote ? !in_quotes : c == separator_;
    }
    return ended_ && !in_quotes && buffer_.size() < at_ + max_csv_row ? std::optional(buffer_.size()) : std::nullopt;
}

POSTROAD_DECL void csv_reader::drop(std::size_t size) {
    const auto gone = std::string_view(buffer_).substr(at_, size);
    line_ += static_cast<std::size_t>(std::ranges::count(gone, '\n'));
    at_ += size;
    // Not for each row: what is left would be moved as often.
    if (at_ < buffer_.size() / 2) return;
    buffer_.erase(0, at_);
    at_ = 0;
}

POSTROAD_DECL csv_reader::fields csv_reader::split(std::string_view row) const {
    fields all(1);
    bool in_quotes = false;
    bool begins = true;
    for (std::size_t i = 0; i < row.size(); ++i) {
        const char c = row[i];
        if (in_quotes && c == '"' && i + 1 < row.size() && row[i + 1] == '"') {
            all.back() += row[++i];
        } else if (c == '"' && (begins || in_quotes)) {
            in_quotes = !in_quotes;
            begins = false;
        } else if (c == separator_ && !in_quotes) {
            all.emplace_back();
            begins = true;
        } else {
            all.back() += c;
            begins = false;
        }
    }
    for (auto& f : all) f = postroad::detail::trimmed(f);
    return all;
}

POSTROAD_DECL void csv_reader::look_at_first(std::string_view row) {
    std::size_t from = 0;
    // Behind the first field, if it is quoted.
    if (row.starts_with('"'))
        for (from = 1; from < row.size() && row[from] != '"'; ++from) continue;
    const auto first = row.find_first_of(",;\t", from);
    if (first != row.npos) separator_ = row[first];
}

POSTROAD_DECL bool csv_reader::is_header(const fields& all) {
    static constexpr std::array<std::string_view, columns> names{"address", "tenant", "list", "reason",
                                                                 "source",  "added",  "until"};
    const auto named = [&](std::string_view name) -> std::optional<std::size_t> {
        const auto found =
            std::ranges::find_if(all, [&](const auto& f) { return postroad::detail::equal_ignoring_case(f, name); });
        if (found == all.end()) return {};
        return static_cast<std::size_t>(found - all.begin());
    };
    auto at = named(names[address]);
    if (!at) at = named("email");
    if (!at) return false;
    where_[address] = at;
    for (std::size_t i = tenant; i < columns; ++i) where_[i] = named(names[i]);
    return true;
}

POSTROAD_DECL csv_line csv_reader::read(const fields& all) const {
    csv_line result;
    const auto field = [&](column c) -> const std::string& {
        static const std::string none;
        const auto at = where_[c];
        return at && *at < all.size() ? all[*at] : none;
    };
    auto e = defaults_;
    const auto wrong = [&](std::string what) {
        result.fault = std::move(what);
        return result;
    };
    error_code ec;
    std::string why;
    e.address = postroad::address::parse(field(address), ec, &why);
    if (ec || e.address.null())
        return wrong(field(address).empty() ? "there is no address"
                                            : '\'' + escaped(field(address), 100) + "': " + why);
    for (const auto& [c, to] :
         {std::pair{tenant, &e.of.tenant}, std::pair{list, &e.of.list}, std::pair{source, &e.source}}) {
        if (!postroad::detail::is_printable(field(c))) return wrong("'" + escaped(field(c), 100) + "' is no text");
        if (!field(c).empty()) *to = field(c);
    }
    if (!detail::has_list_id(e.of)) return wrong("the list '" + escaped(e.of.list, 100) + "' has no id");
    if (const auto& text = field(reason); !text.empty()) {
        const auto found = std::ranges::find(detail::reason_words, std::string_view(text));
        if (found == detail::reason_words.end())
            return wrong("'" + escaped(text, 100) +
                         "' is no reason: expected manual, hard_bounce, complaint or unsubscribed");
        e.why = static_cast<suppression::reason>(found - detail::reason_words.begin());
    }
    for (const auto c : {added, until}) {
        if (field(c).empty()) continue;
        const auto t = detail::read_time(field(c));
        if (!t)
            return wrong("'" + escaped(field(c), 100) + "' is no time: expected 2026-03-01 or 2026-03-01T12:00:00Z");
        if (c == added)
            e.added = *t;
        else
            e.until = t;
    }
    result.what = std::move(e);
    return result;
}

// Rows behind one without an end are no part of it, whatever its quotes say.
POSTROAD_DECL csv_line csv_reader::refuse_endless() {
    csv_line result{.line = line_};
    result.fault = "a quote is not closed, or it is longer than " + std::to_string(max_csv_row) + " octets";
    skips_line_ = true;
    return result;
}

// Whether all of it is there.
POSTROAD_DECL bool csv_reader::skip_line() {
    const auto end = std::min(buffer_.find('\n', at_), buffer_.size() - 1) + 1;
    skips_line_ = buffer_[end - 1] != '\n';
    drop(end - at_);
    return !skips_line_;
}

// Whether the first row is known.
POSTROAD_DECL bool csv_reader::begin() {
    const auto left = std::string_view(buffer_).substr(at_);
    if (!ended_ && left.size() < max_csv_row && left.find('\n') == left.npos) return false;
    if (at_ == 0 && left.starts_with("\xef\xbb\xbf")) at_ += 3;
    const auto first = std::string_view(buffer_).substr(at_);
    look_at_first(first.substr(0, first.find('\n')));
    const auto end = end_of_row();
    if (!end && !ended_ && buffer_.size() < at_ + max_csv_row) return false;
    begun_ = true;
    if (end && is_header(split(std::string_view(buffer_).substr(at_, *end - at_)))) drop(*end - at_);
    return true;
}

POSTROAD_DECL std::optional<csv_line> csv_reader::next() {
    if (!begun_ && !begin()) return {};
    while (at_ < buffer_.size()) {
        if (skips_line_ && !skip_line()) return {};
        if (at_ == buffer_.size()) return {};
        const auto end = end_of_row();
        if (!end && !ended_ && buffer_.size() < at_ + max_csv_row) return {};
        if (!end) return refuse_endless();
        const auto all = split(std::string_view(buffer_).substr(at_, *end - at_));
        const auto line = line_;
        drop(*end - at_);
        if (all.size() == 1 && all.front().empty()) continue;
        auto result = read(all);
        result.line = line;
        return result;
    }
    return {};
}

}  // namespace postroad::suppression

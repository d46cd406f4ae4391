#pragma once

#include <postroad/core/number.hpp>
#include <postroad/core/percent.hpp>
#include <postroad/queueing/stored_job.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace postroad::queueing {
namespace detail {

using postroad::detail::percent_decoded;
using postroad::detail::percent_encoded;

class line_writer {
public:
    template <class... Values>
    void add(std::string_view key, const Values&... values) {
        text_ += key;
        (add_value(values), ...);
        text_ += '\n';
    }
    std::string take() { return std::move(text_); }

private:
    void add_value(std::string_view value) { (text_ += ' ') += percent_encoded(value); }
    void add_value(std::int64_t value) { (text_ += ' ') += std::to_string(value); }

    std::string text_;
};

/// One line, taken apart. What it lacks, or cannot be, throws.
class stored_line {
public:
    explicit stored_line(std::string_view line) : line_(line) {
        for (auto rest = line;;) {
            const auto end = rest.find(' ');
            words_.push_back(rest.substr(0, end));
            if (end == std::string_view::npos) return;
            rest.remove_prefix(end + 1);
        }
    }

    std::string_view key() const { return words_.front(); }
    std::size_t values() const { return words_.size() - 1; }
    /// The value at `i`, counted from 1.
    std::string text(std::size_t i) const {
        if (i >= words_.size()) fail("expected more values");
        return decoded(words_[i]);
    }
    std::string text_or_none(std::size_t i) const { return i < words_.size() ? text(i) : std::string(); }
    address mailbox(std::size_t i) const {
        error_code ec;
        std::string why;
        auto result = address::parse(text(i), ec, &why);
        if (ec) fail(why);
        return result;
    }
    address mailbox_or_null(std::size_t i) const { return text(i).empty() ? address() : mailbox(i); }
    std::int64_t number(std::size_t i, std::int64_t least, std::int64_t most) const {
        const auto value = postroad::detail::whole_number<std::int64_t>(text(i));
        if (!value || *value < least || *value > most)
            fail("expected a number from " + std::to_string(least) + " to " + std::to_string(most));
        return *value;
    }
    unsigned count(std::size_t i) const {
        // What is doubled for each of them, or counted on, stays a number.
        static constexpr std::int64_t most = 1'000'000;
        return static_cast<unsigned>(std::min(number(i, 0, std::numeric_limits<std::int64_t>::max()), most));
    }
    /// The value behind `name=`, decoded, wherever it stands.
    std::optional<std::string> named(std::string_view name) const {
        for (auto word : std::span(words_).subspan(1))
            if (word.starts_with(name) && word.substr(name.size()).starts_with('='))
                return decoded(word.substr(name.size() + 1));
        return {};
    }
    /// The enumerator of that name, of those up to `last`.
    template <class Enum>
    Enum one_of(std::size_t i, Enum last) const {
        const auto name = text(i);
        for (int e = 0; e <= static_cast<int>(last); ++e)
            if (to_string(static_cast<Enum>(e)) == name) return static_cast<Enum>(e);
        fail("a value is not known");
    }
    [[noreturn]] void fail(const std::string& why) const {
        throw error(errc::storage_damaged,
                    "a stored job cannot be read: " + why + " in \"" + escaped(line_, 200) + '"');
    }

private:
    std::string decoded(std::string_view word) const {
        auto value = percent_decoded(word);
        if (!value) fail("expected two hexadecimal digits behind each %");
        return *std::move(value);
    }

    std::string_view line_;
    std::vector<std::string_view> words_;
};

template <class F>
void for_each_line(std::string_view text, F f) {
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        if (end > 0) f(stored_line(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

inline std::string written(const notify& n) {
    std::string all;
    const auto add = [&](bool set, std::string_view name) {
        if (set) (all += all.empty() ? "" : ",") += name;
    };
    add(n.never, "never");
    add(n.success, "success");
    add(n.failure, "failure");
    add(n.delay, "delay");
    return all;
}

inline notify read_notify(const stored_line& line, std::string_view text) {
    notify n;
    while (!text.empty()) {
        const auto end = std::min(text.find(','), text.size());
        const auto word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (word == "never")
            n.never = true;
        else if (word == "success")
            n.success = true;
        else if (word == "failure")
            n.failure = true;
        else if (word == "delay")
            n.delay = true;
        else
            line.fail("a value of notify is not known");
    }
    return n;
}

inline void read_to(const stored_line& line, envelope& e) {
    e.recipients.push_back(line.mailbox(1));
    recipient_options asked;
    if (const auto when = line.named("notify")) asked.notify = read_notify(line, *when);
    if (auto original = line.named("original")) asked.original_recipient = *std::move(original);
    if (asked == recipient_options{} && e.recipient_options.empty()) return;
    e.recipient_options.resize(e.recipients.size() - 1);
    e.recipient_options.push_back(std::move(asked));
}

inline void read_by(const stored_line& line, mail_options& o) {
    deliver_by by{.within = std::chrono::seconds(line.number(1, -999'999'999, 999'999'999))};
    if (const auto late = line.text(2); late == "give_up")
        by.when_late = deliver_by::late::give_up;
    else if (late != "notify")
        line.fail("expected notify or give_up");
    by.trace = line.text_or_none(3) == "trace";
    o.deliver_by = by;
}

inline void read_option(const stored_line& line, mail_options& o) {
    // Seconds that fit in any duration.
    static constexpr std::int64_t most = 9'000'000'000;
    const auto key = line.key();
    if (key == "return") {
        const auto what = line.text(1);
        if (what != "full" && what != "headers") line.fail("expected full or headers");
        o.returned = what == "full" ? returned::full : returned::headers;
    } else if (key == "envelope-id") {
        o.envelope_id = line.text(1);
    } else if (key == "by") {
        read_by(line, o);
    } else if (key == "hold-for") {
        o.hold_for = std::chrono::seconds(line.number(1, 0, most));
    } else if (key == "hold-until") {
        o.hold_until = std::chrono::sys_seconds(std::chrono::seconds(line.number(1, -most, most)));
    } else if (key == "priority") {
        o.priority = static_cast<int>(line.number(1, -9, 9));
    } else if (key == "require-tls") {
        o.require_tls = true;
    } else if (key == "submitter") {
        o.submitter = line.mailbox_or_null(1);
    }
}

// By name where it is ours; what belongs to a library that is not here is told by its text, in the diagnostics.
inline std::string name_of(error_code ec) {
    if (ec.category() == error_category()) return std::string(to_string(static_cast<errc>(ec.value())));
    if (ec.category() == std::system_category() || ec.category() == std::generic_category()) return "system";
    return std::string(to_string(errc::connection_closed));
}
inline void write_error(line_writer& to, error_code ec) {
    const auto name = name_of(ec);
    name == "system" ? to.add("error", name, std::int64_t{ec.value()}) : to.add("error", name);
}

inline std::string short_name(error_code ec) {
    if (!ec) return {};
    const auto name = name_of(ec);
    return name == "system" ? name + ':' + std::to_string(ec.value()) : name;
}

inline error_code error_of_system(std::string_view digits) {
    // Of another system, or damaged: what cannot be an error number here says only that something went wrong.
    static constexpr int most = 100'000;
    const auto value = postroad::detail::whole_number<int>(digits);
    if (!value || *value < 1 || *value > most) return errc::connection_closed;
    return {*value, std::system_category()};
}
inline error_code error_named(std::string_view name) {
    static constexpr std::string_view of_system = "system:";
    if (name.starts_with(of_system)) return error_of_system(name.substr(of_system.size()));
    for (int value = 1; to_string(static_cast<errc>(value)) != "unknown"; ++value)
        if (to_string(static_cast<errc>(value)) == name) return static_cast<errc>(value);
    // Of a newer version: something went wrong, and the rest of the line is its own business.
    return errc::connection_closed;
}
inline error_code read_error(const stored_line& line) {
    const auto name = line.text(1);
    return name == "system" ? error_of_system(line.text(2)) : error_named(name);
}

inline recipient_outcome read_was(const stored_line& line, std::string address) {
    recipient_outcome r{.address = std::move(address),
                        .status = line.one_of(1, status::in_doubt),
                        .where = line.one_of(2, phase::idle)};
    if (line.values() < 3) return r;
    r.reply.code = static_cast<std::uint16_t>(line.number(3, 0, 999));
    const auto enhanced = line.text_or_none(4);
    if (!enhanced.empty() && enhanced != "-") {
        const auto* at = enhanced.data();
        const auto* const end = at + enhanced.size();
        const auto next = [&](auto& to, std::string_view behind) {
            const auto [after, ec] = std::from_chars(at, end, to);
            if (ec != std::errc() || !std::string_view(after, end).starts_with(behind))
                line.fail("expected an enhanced code");
            at = after + behind.size();
        };
        next(r.reply.enhanced.kind, ".");
        next(r.reply.enhanced.subject, ".");
        next(r.reply.enhanced.detail, "");
        if (!r.reply.enhanced) line.fail("expected an enhanced code");
    }
    r.reply.text = line.text_or_none(5);
    if (const auto name = line.text_or_none(6); !name.empty()) r.error = error_named(name);
    r.why = line.text_or_none(7);
    return r;
}

}  // namespace detail

POSTROAD_DECL std::string written(const envelope& e) {
    detail::line_writer to;
    if (!e.reverse_path.null()) to.add("from", e.reverse_path.str());
    for (std::size_t i = 0; i < e.recipients.size(); ++i) {
        std::string line = "to " + detail::percent_encoded(e.recipients[i].str());
        if (i < e.recipient_options.size()) {
            const auto& asked = e.recipient_options[i];
            if (asked.notify != notify{}) line += " notify=" + detail::written(asked.notify);
            if (!asked.original_recipient.empty())
                line += " original=" + detail::percent_encoded(asked.original_recipient);
        }
        to.add(line);
    }
    const auto& o = e.options;
    if (o.returned != returned::unsaid) to.add("return", o.returned == returned::full ? "full" : "headers");
    if (!o.envelope_id.empty()) to.add("envelope-id", o.envelope_id);
    if (o.deliver_by) {
        const auto* late = o.deliver_by->when_late == deliver_by::late::give_up ? "give_up" : "notify";
        const std::int64_t within = o.deliver_by->within.count();
        o.deliver_by->trace ? to.add("by", within, late, "trace") : to.add("by", within, late);
    }
    if (o.hold_for) to.add("hold-for", std::int64_t{o.hold_for->count()});
    if (o.hold_until) to.add("hold-until", std::int64_t{o.hold_until->time_since_epoch().count()});
    if (o.priority) to.add("priority", std::int64_t{*o.priority});
    if (o.require_tls) to.add("require-tls");
    if (o.submitter) to.add("submitter", o.submitter->str());
    return to.take();
}

POSTROAD_DECL envelope read_envelope(std::string_view text) {
    envelope e;
    detail::for_each_line(text, [&](const detail::stored_line& line) {
        if (line.key() == "from")
            e.reverse_path = line.mailbox_or_null(1);
        else if (line.key() == "to")
            detail::read_to(line, e);
        else
            detail::read_option(line, e.options);
    });
    if (e.recipients.empty()) throw error(errc::storage_damaged, "a stored job cannot be read: it has no recipient");
    if (!e.recipient_options.empty()) e.recipient_options.resize(e.recipients.size());
    return e;
}

POSTROAD_DECL std::string written_part(const job& j) {
    if (j.whole == 0) return {};
    std::string line = "part " + std::to_string(j.whole);
    for (const auto at : j.places) line += ' ' + std::to_string(at);
    return line + '\n';
}

POSTROAD_DECL void read_part(std::string_view text, job& j) {
    j.whole = 0;
    j.places.clear();
    detail::for_each_line(text, [&](const detail::stored_line& line) {
        if (line.key() != "part") return;
        j.whole = static_cast<job_id>(line.number(1, 1, std::numeric_limits<std::int64_t>::max()));
        if (!j.places.empty() || line.values() - 1 != j.mail->envelope.recipients.size())
            line.fail("expected a place for each recipient");
        for (std::size_t i = 2; i <= line.values(); ++i) {
            const auto least = j.places.empty() ? 0 : std::int64_t{j.places.back()} + 1;
            j.places.push_back(
                static_cast<std::uint32_t>(line.number(i, least, std::numeric_limits<std::uint32_t>::max())));
        }
    });
}

POSTROAD_DECL std::string written_progress(const job& j) {
    detail::line_writer to;
    const auto add_count = [&](std::string_view key, unsigned n) {
        if (n > 0) to.add(key, std::int64_t{n});
    };
    const auto add_text = [&](std::string_view key, const std::string& text) {
        if (!text.empty()) to.add(key, text);
    };
    add_count("attempts", j.result.attempts);
    add_count("waits", j.waits);
    add_count("returns", j.returns);
    add_count("doubts", j.doubts);
    if (j.error) detail::write_error(to, j.error);
    const auto& d = j.result.details;
    if (d.where != phase::prepare) to.add("where", to_string(d.where));
    add_text("host", d.host);
    add_text("explanation", d.explanation);
    add_text("reply", d.reply);
    for (const auto& r : j.result.recipients) {
        const auto add = [&](const auto&... more) { to.add("was", to_string(r.status), to_string(r.where), more...); };
        const auto replied = [&](const auto&... more) {
            add(std::int64_t{r.reply.code}, r.reply.enhanced ? to_string(r.reply.enhanced) : std::string("-"),
                r.reply.text, more...);
        };
        if (r.error || !r.why.empty())
            replied(detail::short_name(r.error), r.why);
        else
            r.reply == reply{} ? add() : replied();
    }
    return to.take();
}

POSTROAD_DECL void read_progress(std::string_view text, job& j) {
    name_recipients(j);
    auto& all = j.result.recipients;
    std::size_t next = 0;
    detail::for_each_line(text, [&](const detail::stored_line& line) {
        const auto key = line.key();
        auto& d = j.result.details;
        if (key == "attempts") j.result.attempts = line.count(1);
        if (key == "waits") j.waits = line.count(1);
        if (key == "returns") j.returns = line.count(1);
        if (key == "doubts") j.doubts = line.count(1);
        if (key == "error") j.error = detail::read_error(line);
        if (key == "where") d.where = line.one_of(1, phase::idle);
        if (key == "host") d.host = line.text(1);
        if (key == "explanation") d.explanation = line.text(1);
        if (key == "reply") d.reply = line.text(1);
        if (key != "was") return;
        if (next == all.size()) line.fail("expected as many as there are recipients");
        all[next] = detail::read_was(line, std::move(all[next].address));
        ++next;
    });
}

}  // namespace postroad::queueing

#pragma once

#include <postroad/core/transcript.hpp>

#include <algorithm>
#include <chrono>

namespace postroad {
namespace detail {

POSTROAD_DECL std::string seconds(duration d) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::max(d, duration::zero())).count();
    const auto fraction = std::to_string(ms % 1000);
    return std::to_string(ms / 1000) + '.' + std::string(3 - fraction.size(), '0') + fraction;
}

inline std::string shown(std::string_view text, bool redact, std::size_t limit) {
    return redact ? escaped(without_addresses(text), limit) : escaped(text, limit);
}

// What has no line of the protocol, in words.
inline std::string in_words(const observation& o) {
    std::string line(o.what == observed::tls_established ? "TLS" : to_string(o.what));
    if (o.what == observed::dialing) (line += ' ') += o.server;
    if (o.what == observed::outcome) {
        (line += ' ') += to_string(o.result);
    }
    if (o.what == observed::retry || o.what == observed::late) line += " in " + seconds(o.took) + " s";
    if (!o.text.empty()) (line += o.what == observed::outcome ? " " : ": ") += o.text;
    if (o.error) line += " (" + o.error.message() + ')';
    return line;
}

inline void append_json(std::string& to, std::string_view name, std::string_view value) {
    ((to += ",\"") += name) += "\":\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') to += '\\';
        to += c;
    }
    to += '"';
}

inline void append_json_number(std::string& to, std::string_view name, const std::string& number) {
    (((to += ",\"") += name) += "\":") += number;
}

}  // namespace detail

POSTROAD_DECL void transcript::on(const observation& o) noexcept try {
    if (options_.only_connection != 0 && o.connection != options_.only_connection) return;
    const std::scoped_lock lock(mutex_);
    if (first_ == never) first_ = o.time;
    switch (o.what) {
        case observed::command: return add(o, "C: ", o.text);
        case observed::content: return add(o, "C: ", '(' + std::to_string(o.octets) + " octets of content)");
        case observed::reply: {
            // The text without its enhanced code stands in its first line (RFC 2034).
            auto code = std::to_string(o.answer->code);
            auto text = std::string_view(o.answer->text);
            auto enhanced = o.answer->enhanced ? to_string(o.answer->enhanced) + ' ' : std::string();
            for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
                add(o, "S: ", std::string(code).append("-").append(enhanced).append(text.substr(0, end)));
                text.remove_prefix(end + 1);
            }
            return add(o, "S: ", code + ' ' + enhanced + std::string(text));
        }
        case observed::dialing:
        case observed::resolved:
        case observed::connected:
        case observed::tls_established:
        case observed::decision:
        case observed::retry:
        case observed::late:
        case observed::closed:
        case observed::outcome: return add(o, "-- ", detail::in_words(o));
    }
} catch (...) {
    // Without memory there is nothing to keep.
}

POSTROAD_DECL void transcript::add(const observation& o, std::string_view mark, std::string_view line) {
    if (options_.max_lines == 0) return;
    if (lines_.size() == options_.max_lines) {
        lines_.pop_front();
        ++dropped_;
    }
    auto text = detail::seconds(o.time - first_);
    if (text.size() < 9) text.insert(0, 9 - text.size(), ' ');
    if (o.connection != 0) text += " [" + std::to_string(o.connection) + ']';
    (text += ' ') += mark;
    lines_.push_back(text + detail::shown(line, options_.redact_addresses, options_.max_line));
}

POSTROAD_DECL std::string transcript::text() const {
    const std::scoped_lock lock(mutex_);
    std::string all;
    if (dropped_ > 0) all = "(" + std::to_string(dropped_) + " earlier lines were dropped)\n";
    for (const auto& line : lines_) (all += line) += '\n';
    return all;
}

POSTROAD_DECL void transcript::clear() {
    const std::scoped_lock lock(mutex_);
    lines_.clear();
    dropped_ = 0;
    first_ = never;
}

POSTROAD_DECL void json_lines::on(const observation& o) noexcept try {
    if (first_ == never) first_ = o.time;
    const auto text = [this](std::string_view t) {
        return detail::shown(t, options_.redact_addresses, options_.max_text);
    };
    std::string line = "{\"t\":" + detail::seconds(o.time - first_);
    detail::append_json(line, "what", to_string(o.what));
    if (o.connection != 0) detail::append_json_number(line, "connection", std::to_string(o.connection));
    if (o.message != 0) detail::append_json_number(line, "message", std::to_string(o.message));
    if (!o.server.empty()) detail::append_json(line, "server", escaped(o.server));
    detail::append_json(line, "phase", to_string(o.where));
    if (o.answer) {
        detail::append_json_number(line, "code", std::to_string(o.answer->code));
        if (o.answer->enhanced) detail::append_json(line, "enhanced", to_string(o.answer->enhanced));
    }
    if (o.what == observed::outcome) detail::append_json(line, "result", to_string(o.result));
    if (!o.text.empty())
        detail::append_json(line, "text", text(o.text));
    else if (o.answer && !o.answer->text.empty())
        detail::append_json(line, "text", text(o.answer->text));
    if (o.octets != 0) detail::append_json_number(line, "octets", std::to_string(o.octets));
    if (o.took != duration::zero()) detail::append_json_number(line, "took", detail::seconds(o.took));
    if (o.error) detail::append_json(line, "error", escaped(o.error.message()));
    write_(line += '}');
} catch (...) {
    // A log that cannot be written must not stop the mail.
}

}  // namespace postroad

#pragma once

#include <postroad/testing/detail/text.hpp>
#include <postroad/testing/fault.hpp>

#include <chrono>
#include <cstdint>

namespace postroad::testing {
namespace detail {

[[noreturn]] inline void refuse_fault(std::string_view text, std::string_view why) {
    throw error(errc::invalid_option, "fault \"" + escaped(text) + "\": " + std::string(why));
}

inline phase read_phase(std::string_view word, std::string_view whole) {
    for (const auto p : {phase::greeting, phase::hello, phase::starttls, phase::auth, phase::mail, phase::rcpt,
                         phase::data, phase::content, phase::reset, phase::quit, phase::idle})
        if (word == to_string(p)) return p;
    refuse_fault(whole,
                 "the phase must be greeting, hello, starttls, auth, mail, rcpt, data, content, reset, quit or idle");
}

inline std::string read_octets(std::string_view text, std::string_view whole) {
    std::string octets;
    bool add_line_end = !text.empty();
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            octets += text[i];
            continue;
        }
        unsigned char octet = 0;
        switch (++i < text.size() ? text[i] : '\0') {
            case 'r': octets += '\r'; break;
            case '\\': octets += '\\'; break;
            case 'n':
                octets += '\n';
                add_line_end = false;
                break;
            case 'c':
                if (i + 1 != text.size()) refuse_fault(whole, "\\c must come last");
                add_line_end = false;
                break;
            case 'x':
                if (i + 2 >= text.size() || !read_number(text.substr(i + 1, 2), octet, 16))
                    refuse_fault(whole, "\\x must be followed by two hexadecimal digits");
                octets += static_cast<char>(octet);
                i += 2;
                break;
            default: refuse_fault(whole, "\\ must be followed by r, n, c, \\ or xNN");
        }
    }
    return add_line_end ? octets + "\r\n" : octets;
}

inline void read_flag(std::string_view flag, std::string_view whole, fault& f) {
    std::uint32_t milliseconds = 0;
    if (flag == "drop") {
        f.then = then::drop;
    } else if (flag == "stall") {
        f.then = then::stall;
    } else if (flag == "early") {
        f.early = true;
    } else if (flag.starts_with("wait=") && read_number(flag.substr(5), milliseconds)) {
        f.wait = std::chrono::milliseconds(milliseconds);
    } else {
        refuse_fault(whole, "a flag must be drop, stall, early or wait=MS");
    }
}

}  // namespace detail

POSTROAD_DECL fault parse_fault(std::string_view text) {
    fault f;
    auto rest = text;
    auto where = detail::take_word(rest, ':');
    f.at = detail::read_phase(detail::take_word(where, '@'), text);
    f.match = where;
    if (!detail::read_number(detail::take_word(rest, ':'), f.nth))
        detail::refuse_fault(text, "PHASE must be followed by :NUMBER:");
    f.takes_effect = rest.starts_with('+');
    if (f.takes_effect) rest.remove_prefix(1);
    const auto reply = detail::take_word(rest, '|');
    if (reply != "=") f.send = detail::read_octets(reply, text);
    while (!rest.empty()) detail::read_flag(detail::take_word(rest, '|'), text, f);
    if (f.early && f.at != phase::content) detail::refuse_fault(text, "only at content can a reply be early");
    return f;
}

}  // namespace postroad::testing

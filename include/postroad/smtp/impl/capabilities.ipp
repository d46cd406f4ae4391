#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/core/number.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/smtp/capabilities.hpp>

#include <algorithm>

namespace postroad::smtp {
namespace detail::ehlo {

// Cuts the next word off `text`; empty at the end. Tabs and runs of spaces occur in the wild.
inline std::string_view next_word(std::string_view& text) noexcept {
    const auto start = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    text.remove_prefix(start);
    const auto word = text.substr(0, std::min(text.find_first_of(" \t\r\n"), text.size()));
    text.remove_prefix(word.size());
    return word;
}

inline std::string upper(std::string_view text) { return postroad::detail::in_upper_case(std::string(text)); }

template <class Number>
std::optional<Number> number_of(std::string_view text, std::size_t max_digits) noexcept {
    return text.size() > max_digits ? std::nullopt : postroad::detail::whole_number<Number>(text);
}

// RFC 4422 section 3.1: 1 to 20 of A-Z, 0-9, hyphen and underscore.
inline bool is_mechanism_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 20 && postroad::detail::all_of(name, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

inline void parse_mechanisms(capabilities& c, std::string_view words) {
    c.auth_listed = true;
    for (auto word = next_word(words); !word.empty(); word = next_word(words)) {
        if (c.auth.size() == capabilities::max_mechanisms) return;
        auto name = upper(word);
        if (is_mechanism_name(name) && !postroad::detail::contains(c.auth, name)) c.auth.push_back(std::move(name));
    }
}

inline void parse_limits(capabilities& c, std::string_view words) {
    for (auto word = next_word(words); !word.empty(); word = next_word(words)) {
        const auto equals = std::min(word.find('='), word.size());
        const auto name = upper(word.substr(0, equals));
        const auto value = number_of<std::uint32_t>(word.substr(std::min(equals + 1, word.size())), 6);
        if (!value || *value == 0) continue;
        if (name == "RCPTMAX") c.limits.rcptmax = value;
        if (name == "MAILMAX") c.limits.mailmax = value;
        if (name == "RCPTDOMAINMAX") c.limits.rcptdomainmax = value;
    }
}

inline void parse_size(capabilities& c, std::string_view words) {
    c.size_declaration = true;
    const auto value = number_of<std::uint64_t>(next_word(words), 20);
    if (value && *value != 0) c.size = value;
}

inline void parse_deliverby(capabilities& c, std::string_view words) {
    const auto minimum = number_of<std::uint32_t>(next_word(words), 9);
    c.deliverby = std::chrono::seconds(minimum.value_or(0));
}

inline void parse_future_release(capabilities& c, std::string_view words) {
    const auto interval = number_of<std::uint32_t>(next_word(words), 9);
    const auto datetime = next_word(words);
    // without its bounds the extension cannot be used: RFC 4865 section 3 has both as required
    if (!interval || datetime.empty()) return;
    c.futurerelease = capabilities::future_release{std::chrono::seconds(*interval), std::string(datetime)};
}

inline bool* flag(capabilities& c, std::string_view keyword) noexcept {
    if (keyword == "PIPELINING") return &c.pipelining;
    if (keyword == "8BITMIME") return &c.eight_bit_mime;
    if (keyword == "SMTPUTF8") return &c.smtputf8;
    if (keyword == "CHUNKING") return &c.chunking;
    if (keyword == "BINARYMIME") return &c.binarymime;
    if (keyword == "DSN") return &c.dsn;
    if (keyword == "STARTTLS") return &c.starttls;
    if (keyword == "ENHANCEDSTATUSCODES") return &c.enhanced_codes;
    if (keyword == "REQUIRETLS") return &c.requiretls;
    return nullptr;
}

}  // namespace detail::ehlo

POSTROAD_DECL void capabilities::parse_line(std::string_view line) {
    auto words = line;
    const auto keyword = detail::ehlo::upper(detail::ehlo::next_word(words));
    if (bool* f = detail::ehlo::flag(*this, keyword)) {
        *f = true;
    } else if (keyword == "AUTH") {
        detail::ehlo::parse_mechanisms(*this, words);
    } else if (keyword.starts_with("AUTH=")) {
        detail::ehlo::parse_mechanisms(*this, line.substr(line.find('=') + 1));
    } else if (keyword == "SIZE") {
        detail::ehlo::parse_size(*this, words);
    } else if (keyword == "LIMITS") {
        detail::ehlo::parse_limits(*this, words);
    } else if (keyword == "DELIVERBY") {
        detail::ehlo::parse_deliverby(*this, words);
    } else if (keyword == "FUTURERELEASE") {
        detail::ehlo::parse_future_release(*this, words);
    } else if (keyword == "MT-PRIORITY") {
        const auto profile = detail::ehlo::next_word(words);
        mt_priority = profile.empty() ? "MIXER" : std::string(profile);
    }
}

}  // namespace postroad::smtp

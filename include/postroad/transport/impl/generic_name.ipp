#pragma once

#include <postroad/core/hex.hpp>
#include <postroad/core/number.hpp>
#include <postroad/tls/names.hpp>
#include <postroad/transport/generic_name.hpp>

#include <algorithm>
#include <cctype>
#include <vector>

namespace postroad::transport {
namespace detail {

// The last two labels are whose it is: "mail.cable.example" is a name of its own.
inline std::string_view in_front_of_domain(std::string_view name) noexcept {
    const auto last = name.rfind('.');
    const auto dot = last == std::string_view::npos || last == 0 ? last : name.rfind('.', last - 1);
    return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}

// What stands between other characters: the runs of those that `is` takes.
template <class Is>
std::vector<std::string_view> runs(std::string_view text, Is is) {
    std::vector<std::string_view> all;
    for (auto at = text.begin(); at != text.end();) {
        const auto begin = std::find_if(at, text.end(), is);
        at = std::find_if_not(begin, text.end(), is);
        if (begin != at) all.emplace_back(begin, at);
    }
    return all;
}
inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
inline bool is_letter(char c) noexcept { return c >= 'a' && c <= 'z'; }

// Three octets of four are enough: many names leave one out.
inline bool has_numbers_of(std::string_view name, std::string_view octets) {
    constexpr std::size_t enough = 3;
    std::vector<int> found;
    for (const auto run : runs(name, is_digit)) found.push_back(postroad::detail::whole_number<int>(run).value_or(-1));
    std::vector<int> wanted;
    for (const char c : octets) wanted.push_back(static_cast<unsigned char>(c));
    for (int turned = 0; turned < 2; ++turned, std::ranges::reverse(wanted))
        for (std::size_t at = 0; at + enough <= wanted.size(); ++at) {
            const std::span part(wanted.data() + at, enough);
            if (std::search(found.begin(), found.end(), part.begin(), part.end()) != found.end()) return true;
        }
    return false;
}

// "203000113007", "cb007107", "2001-db8-0-..-7", each also from the end.
inline bool has_all_of(std::string_view name, std::string_view octets) {
    std::string together;
    for (const char c : name)
        if (is_digit(c) || is_letter(c)) together += c;
    std::string decimal;
    for (const char c : octets) {
        const auto text = std::to_string(static_cast<unsigned char>(c));
        decimal += std::string(3 - text.size(), '0') + text;
    }
    auto hex = postroad::detail::in_hex(octets);
    if (octets.size() == 4 && together.find(decimal) != std::string::npos) return true;
    if (together.find(hex) != std::string::npos) return true;
    std::ranges::reverse(hex);
    return octets.size() == 16 && together.find(hex) != std::string::npos;
}

// "2001-db8--7" for 2001:db8::7.
inline bool has_text_of(std::string_view name, std::string_view address) {
    std::string dashed(address);
    std::ranges::replace(dashed, ':', '-');
    return address.find(':') != std::string_view::npos && name.find(dashed) != std::string_view::npos;
}

}  // namespace detail

POSTROAD_DECL std::span<const generic_word> generic_words() noexcept {
    static constexpr std::string_view changing = "of addresses that change hands";
    static constexpr std::string_view dialing = "of dial-up connections";
    static constexpr std::string_view homes = "of homes and their lines";
    static constexpr std::string_view mobile = "of mobile devices";
    static constexpr std::string_view customers = "of customers who have not named their address";
    static constexpr std::string_view nobody = "of addresses that nobody has named";
    static constexpr generic_word all[] = {
        {"dynamic", changing},  {"dyn", changing},       {"dynip", changing},      {"dhcp", changing},
        {"pool", changing},     {"pools", changing},     {"dial", dialing},        {"dialup", dialing},
        {"dialin", dialing},    {"ppp", dialing},        {"pppoe", dialing},       {"dsl", homes},
        {"adsl", homes},        {"vdsl", homes},         {"xdsl", homes},          {"sdsl", homes},
        {"cable", homes},       {"catv", homes},         {"ftth", homes},          {"fttx", homes},
        {"broadband", homes},   {"residential", homes},  {"home", homes},          {"wifi", mobile},
        {"gprs", mobile},       {"umts", mobile},        {"lte", mobile},          {"mobile", mobile},
        {"cust", customers},    {"customer", customers}, {"customers", customers}, {"client", customers},
        {"clients", customers}, {"unassigned", nobody},  {"unallocated", nobody},  {"unused", nobody},
        {"generic", nobody},    {"unknown", nobody},
    };
    return all;
}

POSTROAD_DECL std::string why_generic(std::string_view name, std::string_view address) {
    const auto front = detail::in_front_of_domain(name);
    const auto octets = postroad::tls::address_octets(address);
    if ((octets.size() == 4 && detail::has_numbers_of(front, octets)) ||
        (!octets.empty() && (detail::has_all_of(front, octets) || detail::has_text_of(front, address))))
        return "it is made of the address";
    for (const auto word : detail::runs(front, detail::is_letter))
        for (const auto& known : generic_words())
            if (known.word == word) return '"' + std::string(word) + "\" stands in names " + std::string(known.of);
    return {};
}

}  // namespace postroad::transport

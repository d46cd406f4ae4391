#pragma once

#include <postroad/core/percent.hpp>
#include <postroad/message/address.hpp>
#include <postroad/net/impl/txt_record.ipp>
#include <postroad/net/tls_rpt.hpp>

#include <algorithm>
#include <string_view>

namespace postroad::net {
namespace detail {

// RFC 8460 section 3: in a URI ",", ";" and "!" are encoded; what no URI holds (RFC 3986 section 2) is none.
inline bool is_rpt_uri(std::string_view uri) noexcept {
    return uri.size() <= 2000 && std::ranges::all_of(uri, [](char c) {
               return c > ' ' && c < '\x7f' && std::string_view("\"<>\\^`{|},;!").find(c) == std::string_view::npos;
           });
}

// The address of a mailto: URI (RFC 6068) with one recipient.
inline std::optional<std::string> rpt_address(std::string_view uri) {
    const auto decoded = postroad::detail::percent_decoded(uri.substr(0, uri.find('?')));
    if (!decoded) return std::nullopt;
    error_code ec;
    const auto a = address::parse(*decoded, ec);
    if (ec || a.null() || a.domain().empty()) return std::nullopt;
    return a.str();
}

inline bool is_https_url(std::string_view uri) {
    uri.remove_prefix(std::string_view("https://").size());
    const auto host = uri.substr(0, uri.find_first_of("/?#"));
    // A user in it would be a password that anybody can read.
    return !host.empty() && host.front() != ':' && host.find('@') == std::string_view::npos;
}

inline bool starts_with_scheme(std::string_view uri, std::string_view scheme) {
    return postroad::detail::equal_ignoring_case(uri.substr(0, scheme.size()), scheme);
}

// False: it is no list of URIs.
inline bool add_places(std::string_view list, tls_rpt_record& to) {
    for (;;) {
        const auto uri = without_wsp(list.substr(0, list.find(',')));
        if (uri.find(':') == std::string_view::npos || !is_rpt_uri(uri)) return false;
        const bool room = to.mail.size() + to.https.size() < max_tls_rpt_places;
        if (starts_with_scheme(uri, "mailto:")) {
            auto a = rpt_address(uri.substr(7));
            if (a && room) to.mail.push_back(*std::move(a));
        } else if (starts_with_scheme(uri, "https://") && is_https_url(uri) && room) {
            to.https.emplace_back(uri);
        }
        const auto comma = list.find(',');
        if (comma == std::string_view::npos) return true;
        list.remove_prefix(comma + 1);
    }
}

inline std::optional<tls_rpt_record> rpt_fields(std::string_view fields) {
    std::optional<tls_rpt_record> record;
    const bool good = read_fields(fields, [&](std::string_view name, std::string_view value) {
        return name != "rua" || (!record && add_places(value, record.emplace()));
    });
    if (!good || (record && record->mail.empty() && record->https.empty())) return std::nullopt;
    return record;
}

}  // namespace detail

POSTROAD_DECL std::optional<tls_rpt_record> read_tls_rpt_record(const std::vector<std::string>& texts) {
    constexpr std::string_view version = "v=TLSRPTv1";
    const auto* const only = detail::only_record(texts, [&](std::string_view text) {
        return text.starts_with(version) && detail::without_wsp(text.substr(version.size())).starts_with(';');
    });
    return only ? detail::rpt_fields(std::string_view(*only).substr(version.size())) : std::nullopt;
}

}  // namespace postroad::net

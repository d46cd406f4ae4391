#pragma once
// Who a message goes to, when the caller gives one half of the envelope and the header the other.

#include <postroad/message/eml.hpp>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::python {

/// What the caller says of the envelope. The header says the rest, as parse_eml() reads it.
struct given_envelope {
    std::optional<std::string> sender = {};                   ///< one mailbox; empty: the null reverse path
    std::optional<std::vector<std::string>> recipients = {};  ///< lists of mailboxes
};

inline std::vector<mailbox> given_mailboxes(const char* which, const std::string& list) {
    try {
        return parse_mailboxes(list);
    } catch (const error& e) {
        throw error(errc::invalid_address, std::string(which) + ": " + e.details().explanation);
    }
}

inline address sender_address(const std::string& text) {
    if (text.empty() || text == "<>") return {};
    auto found = given_mailboxes("sender", text);
    if (found.size() != 1) throw error(errc::invalid_address, "sender: expected one address");
    return std::move(found.front().address);
}

inline std::vector<address> recipient_addresses(const std::vector<std::string>& lists) {
    postroad::detail::recipient_list result;
    for (const auto& list : lists)
        for (const auto& m : given_mailboxes("recipients", list)) result.add(m.address);
    return result.take();
}

/// The envelope that the fields `names` of the header make together with `rest`, a field for the half that was given.
inline envelope envelope_by(const std::string& text, std::initializer_list<std::string_view> names, const char* rest) {
    namespace detail = postroad::detail;
    const auto lines = detail::with_crlf(text);
    auto header = std::string_view(lines).substr(0, detail::scan_lines(lines).header_size);
    if (header.starts_with("From ")) header.remove_prefix(detail::find_octet(header, '\n') + 1);
    std::string fields = rest;
    for (const auto& f : detail::fields_that_count(detail::split_fields(header)))
        if (std::ranges::any_of(names, [&](auto name) { return detail::equal_ignoring_case(f.name, name); }))
            fields += std::string(f.name) + ':' + std::string(f.value) + "\r\n";
    return parse_eml(std::move(fields)).envelope;
}

inline mail_object parse_mail(std::string text, const given_envelope& given) {
    if (!given.sender && !given.recipients) return parse_eml(std::move(text));
    envelope e;
    e.reverse_path = given.sender ? sender_address(*given.sender)
                                  : envelope_by(text, {"Sender", "From"}, "To: a@a.invalid\r\n").reverse_path;
    e.recipients = given.recipients ? recipient_addresses(*given.recipients)
                                    : envelope_by(text, {"To", "Cc", "Bcc"}, "From: a@a.invalid\r\n").recipients;
    return parse_eml(std::move(text), {std::move(e)});
}

}  // namespace postroad::python

#pragma once
// What is sent and who gets it, when the caller gives one half of the envelope and the header the other.

#include <postroad/message/eml.hpp>

#include <optional>
#include <string>
#include <utility>
#include <variant>
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

/// A message that stands in a file.
struct message_file {
    std::string path = {};
};

/// What a caller gives as message.
using given_message = std::variant<std::string, message_file>;

inline eml_options options_of(const given_envelope& given) {
    eml_options o;
    if (given.sender) o.reverse_path = sender_address(*given.sender);
    if (given.recipients) o.recipients = recipient_addresses(*given.recipients);
    return o;
}

inline mail_object mail_of(given_message m, const given_envelope& given) {
    const auto options = options_of(given);
    if (const auto* file = std::get_if<message_file>(&m)) return read_eml(file->path, options);
    return parse_eml(std::move(std::get<std::string>(m)), options);
}

}  // namespace postroad::python

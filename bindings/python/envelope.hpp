#pragma once
// What is sent and who gets it, when the caller gives one half of the envelope and the header the other.

#include <postroad/message/dkim.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/message/message.hpp>
#include <postroad/message/recipient_list.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::python {

/// What the caller says of the envelope. The header says the rest, as parse_eml() reads it.
struct given_envelope {
    std::optional<std::string> sender = {};                   ///< one mailbox; empty: the null reverse path
    std::optional<std::vector<std::string>> recipients = {};  ///< one mailbox each
};

enum class how_many : unsigned char { any, one };

inline mailbox_list given_mailboxes(const std::string& where, const std::string& text, how_many n = how_many::any) {
    try {
        if (n == how_many::any) return parse_mailboxes(text);
        return {parse_mailbox(text)};
    } catch (const error& e) {
        throw error(errc::invalid_address, where + ": " + e.details().explanation);
    }
}

inline address sender_address(const std::string& text) {
    if (text.empty() || text == "<>") return {};
    return std::move(given_mailboxes("sender", text, how_many::one).front().address);
}

inline std::vector<address> recipient_addresses(const std::vector<std::string>& each) {
    postroad::detail::recipient_list result;
    for (std::size_t i = 0; i < each.size(); ++i) {
        const auto where = "recipients[" + std::to_string(i) + ']';
        result.add(given_mailboxes(where, each[i], how_many::one).front().address);
    }
    return result.take();
}

/// A message that stands in a file.
struct message_file {
    std::string path = {};
};

/// A message that was composed here, and how it is signed.
struct composed_message {
    postroad::message message = {};
    std::vector<dkim_signature> signatures = {};
};

/// What a caller gives as message.
using given_message = std::variant<std::string, message_file, composed_message>;

inline eml_options options_of(const given_envelope& given) {
    eml_options o;
    if (given.sender) o.reverse_path = sender_address(*given.sender);
    if (given.recipients) o.recipients = recipient_addresses(*given.recipients);
    return o;
}

inline mail_object frozen(composed_message m, const eml_options& options) {
    const auto now = std::chrono::system_clock::now();
    // a message whose recipients are all given needs none of its own
    if (options.recipients && !options.recipients->empty())
        m.message.bcc(mailbox{.address = options.recipients->front()});
    auto mail = m.message.freeze(now);
    if (options.reverse_path) mail.envelope.reverse_path = *options.reverse_path;
    if (options.recipients) mail.envelope.recipients = *options.recipients;
    if (mail.envelope.recipients.empty()) throw error(errc::no_recipients, "the envelope names no recipient");
    if (!m.signatures.empty()) mail.content = dkim_signer(std::move(m.signatures)).sign(mail.content, now);
    return mail;
}

inline mail_object mail_of(given_message m, const eml_options& options) {
    if (auto* composed = std::get_if<composed_message>(&m)) return frozen(std::move(*composed), options);
    try {
        if (const auto* file = std::get_if<message_file>(&m)) return read_eml(file->path, options);
        return parse_eml(std::move(std::get<std::string>(m)), options);
    } catch (const error& e) {
        // what the header lacks is an argument here
        auto d = e.details();
        for (const auto& [member, argument] : {std::pair{"reverse_path", "sender="}, {"recipients", "recipients="}})
            if (d.explanation.ends_with(std::string("; it may be given instead: ") + member))
                d.explanation.replace(d.explanation.size() - std::string_view(member).size(), std::string::npos,
                                      argument);
        // there is no argument for it; a field of the message says it as well
        if (constexpr std::string_view option = " or eml_options::charset"; d.explanation.ends_with(option))
            d.explanation.resize(d.explanation.size() - option.size());
        throw error(e.code(), std::move(d));
    }
}

inline mail_object mail_of(given_message m, const given_envelope& given) {
    return mail_of(std::move(m), options_of(given));
}

}  // namespace postroad::python

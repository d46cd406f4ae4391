#pragma once

#include <postroad/queueing/journal.hpp>

#include <postroad/core/random.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace postroad::queueing {
namespace detail {

inline constexpr std::size_t longest_heading = std::size_t{64} << 10;  // octets of a header that are looked through
inline constexpr std::size_t longest_subject = 500;
inline constexpr std::size_t longest_message_id = 1000;

inline std::string_view without_brackets(std::string_view id) noexcept {
    if (id.starts_with('<') && id.ends_with('>')) return id.substr(1, id.size() - 2);
    return id;
}
// Cut where a character begins.
inline void cut(std::string& text, std::size_t most) {
    if (text.size() <= most) return;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
    text.resize(most);
}

POSTROAD_DECL journal_heading heading_of(std::string_view content) {
    const auto header = postroad::detail::split_at_empty_line(content.substr(0, longest_heading)).header;
    const auto fields = postroad::detail::split_fields(header);
    const auto value = [&](std::string_view name, std::size_t most) {
        const auto* const found = postroad::detail::find_field(fields, name);
        return found ? postroad::detail::one_line(found->value.substr(0, most)) : std::string();
    };
    journal_heading all{.subject = value("Subject", 2 * longest_subject),
                        .message_id = value("Message-ID", longest_message_id)};
    all.message_id = without_brackets(postroad::detail::trimmed(all.message_id));
    return all;
}

POSTROAD_DECL std::string decoded_subject(std::string_view subject) {
    std::string all;
    auto text = subject;
    std::string space;  // between two encoded words it is not shown
    bool was_encoded = false;
    while (!text.empty()) {
        const auto spaces = std::min(text.find_first_not_of(' '), text.size());
        space = text.substr(0, spaces);
        text.remove_prefix(spaces);
        const auto end = std::min(text.find(' '), text.size());
        const auto word = text.substr(0, end);
        text.remove_prefix(end);
        const auto decoded = postroad::detail::decoded_word(word);
        if (!decoded || !was_encoded) all += space;
        all += decoded ? std::string_view(*decoded) : word;
        was_encoded = decoded.has_value();
    }
    if (!postroad::detail::is_printable(all)) all = escaped(subject, longest_subject);
    cut(all, longest_subject);
    return all;
}

POSTROAD_DECL std::uint64_t key_of(journal_key kind, std::string_view value) {
    auto sum = postroad::detail::scrambled(static_cast<std::uint64_t>(kind) << 32 | value.size());
    while (!value.empty()) {
        std::uint64_t word = 0;
        const auto n = std::min(value.size(), sizeof word);
        std::memcpy(&word, value.data(), n);
        sum = postroad::detail::scrambled(sum ^ word);
        value.remove_prefix(n);
    }
    return sum;
}

inline std::uint64_t key_of_address(journal_key kind, std::string_view address) {
    return key_of(kind, postroad::detail::in_lower_case(std::string(address)));
}

POSTROAD_DECL std::vector<std::uint64_t> keys_of(const job& j) {
    std::vector<std::uint64_t> all{key_of(j.id),
                                   key_of_address(journal_key::sender, j.mail->envelope.reverse_path.str())};
    if (j.whole != 0) all.push_back(key_of(j.whole));
    if (!j.tenant.empty()) all.push_back(key_of(journal_key::tenant, j.tenant));
    if (!j.tag.empty()) all.push_back(key_of(journal_key::tag, j.tag));
    const auto& to = j.mail->envelope.recipients;
    for (std::size_t i = 0; i < to.size(); ++i) {
        all.push_back(key_of_address(journal_key::recipient, to[i].str()));
        const auto& became = j.result.recipients;
        all.push_back(key_of(i < became.size() ? became[i].status : status::not_attempted));
    }
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

POSTROAD_DECL std::vector<std::uint64_t> keys_of(const journal_filter& which) {
    std::vector<std::uint64_t> all;
    if (which.id) all.push_back(key_of(*which.id));
    if (!which.message_id.empty()) all.push_back(key_of(journal_key::message_id, without_brackets(which.message_id)));
    if (!which.recipient.empty()) all.push_back(key_of_address(journal_key::recipient, which.recipient));
    if (!which.tag.empty()) all.push_back(key_of(journal_key::tag, which.tag));
    if (which.status && *which.status != status::accepted) all.push_back(key_of(*which.status));
    if (!which.sender.empty()) all.push_back(key_of_address(journal_key::sender, which.sender));
    if (!which.tenant.empty()) all.push_back(key_of(journal_key::tenant, which.tenant));
    if (which.status == status::accepted) all.push_back(key_of(*which.status));
    return all;
}

}  // namespace detail

POSTROAD_DECL bool journal_filter::matches(const journal_entry& e) const {
    using postroad::detail::equal_ignoring_case;
    if (id && *id != e.id && *id != e.whole) return false;
    if (!message_id.empty() && detail::without_brackets(message_id) != e.message_id) return false;
    if (!sender.empty() && !equal_ignoring_case(sender, e.sender)) return false;
    if ((!tenant.empty() && tenant != e.tenant) || (!tag.empty() && tag != e.tag)) return false;
    if ((since && e.settled < *since) || (before && e.settled >= *before)) return false;
    if (recipient.empty() && !status) return true;
    return std::ranges::any_of(e.recipients, [&](const recipient_outcome& r) {
        return (recipient.empty() || equal_ignoring_case(recipient, r.address)) && (!status || r.status == *status);
    });
}

}  // namespace postroad::queueing

#pragma once

#include <postroad/core/base64.hpp>
#include <postroad/core/error.hpp>
#include <postroad/message/dkim_check.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace postroad {
namespace detail {

/// More than any key needs: one of 16384 bits has 2.8 KiB.
inline constexpr std::size_t max_key_record = 8192;

using tag_list = std::vector<std::pair<std::string_view, std::string_view>>;

/// Of RFC 6376 section 3.2, with the spaces taken off each; nothing where a verifier must not use it.
inline std::optional<tag_list> parse_tags(std::string_view text) {
    tag_list tags;
    while (!trimmed(text).empty()) {
        const auto one = text.substr(0, text.find(';'));
        text.remove_prefix(std::min(one.size() + 1, text.size()));
        const auto equals = one.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        const auto name = trimmed(one.substr(0, equals));
        const auto is_name = [](char c) {
            return (to_lower(c) >= 'a' && to_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_';
        };
        if (name.empty() || !std::ranges::all_of(name, is_name)) return std::nullopt;
        if (std::ranges::any_of(tags, [&](const auto& t) { return t.first == name; })) return std::nullopt;
        tags.emplace_back(name, trimmed(one.substr(equals + 1)));
    }
    return tags;
}

inline std::string_view tag_of(const tag_list& tags, std::string_view name, std::string_view otherwise) noexcept {
    const auto found = std::ranges::find(tags, name, &tag_list::value_type::first);
    return found == tags.end() ? otherwise : found->second;
}

// Whether one of the words between colons is `wanted`.
inline bool lists_word(std::string_view words, std::string_view wanted) noexcept {
    while (!words.empty()) {
        const auto one = words.substr(0, words.find(':'));
        if (equal_ignoring_case(trimmed(one), wanted)) return true;
        words.remove_prefix(std::min(one.size() + 1, words.size()));
    }
    return false;
}

inline std::string without_spaces(std::string_view text) {
    std::string result;
    for (const char c : text)
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') result += c;
    return result;
}

inline std::string key_type(const dkim_key& key) { return key.algorithm().substr(0, key.algorithm().find('-')); }

// RFC 6376 wants RSAPublicKey, everybody writes SubjectPublicKeyInfo, which ends with it (22 to 24 octets before it).
inline bool same_key(std::string_view published, std::string_view ours) noexcept {
    return published == ours || (published.starts_with('\x30') && ours.ends_with(published) &&
                                 ours.size() - published.size() <= 24 && published.size() > 64);
}

/// Why no signature verifies with the record; empty where the key in it can be used.
inline std::string fault_of_record(const dkim_signature& s, const tag_list& tags) {
    if (tag_of(tags, "v", "DKIM1") != "DKIM1") return "v= is not DKIM1";
    if (tags.front().first != "v" && !tag_of(tags, "v", "").empty()) return "v= must be the first tag";
    const auto type = tag_of(tags, "k", "rsa");
    if (type != key_type(s.key))
        return "it is for keys of the type '" + escaped(type, 40) + "', and this one signs with " + s.key.algorithm();
    if (!lists_word(tag_of(tags, "h", "sha256"), "sha256")) return "h= does not allow SHA-256";
    const auto services = tag_of(tags, "s", "*");
    if (!lists_word(services, "*") && !lists_word(services, "email")) return "s= does not allow mail";
    const auto domain = s.identity.substr(s.identity.rfind('@') + 1);
    if (lists_word(tag_of(tags, "t", ""), "s") && !s.identity.empty() && !equal_ignoring_case(domain, s.domain))
        return "t=s allows no identity in a subdomain, such as '" + escaped(s.identity, 100) + "'";
    if (tag_of(tags, "p", "-") == "-") return "there is no key in it (p=)";
    if (tag_of(tags, "p", "").empty()) return "the key is revoked: p= is empty";
    return {};
}

/// What is wrong with the key itself.
inline std::string fault_of_key(std::string_view p, const std::string& ours) {
    const auto text = without_spaces(p);
    if (text.size() < ours.size() && ours.starts_with(text))
        return "the key is cut off after " + std::to_string(text.size()) + " of " + std::to_string(ours.size()) +
               " characters: a string of a TXT record has at most 255, and it needs several";
    std::string published;
    if (!base64_decode(text, published)) return "p= is not base64";
    std::string expected;
    if (!ours.empty() && (!base64_decode(ours, expected) || !same_key(published, expected)))
        return "it is the key of another pair: this private key does not belong to it";
    return {};
}

inline key_check::verdict judge(const dkim_signature& s, const txt_answer& found, std::string& why) {
    const auto refuse = [&](std::string text) {
        why = std::move(text);
        return key_check::bad;
    };
    if (!found.failure.empty()) {
        why = "the look-up failed: " + escaped(found.failure, 200);
        return key_check::unknown;
    }
    if (found.records.empty()) return refuse("there is no TXT record; publish the key there");
    if (found.records.size() > 1)
        return refuse("there are " + std::to_string(found.records.size()) + " TXT records; verifiers want exactly one");
    const auto& record = found.records.front();
    if (record.size() > max_key_record) return refuse("the record is longer than any key");
    const auto tags = parse_tags(record);
    if (record.find("\\;") != std::string::npos) return refuse("the record holds backslashes before its semicolons");
    if (!tags || tags->empty()) return refuse("the record is no list of tags: '" + escaped(record, 60) + '\'');
    auto fault = fault_of_record(s, *tags);
    const auto p = tag_of(*tags, "p", "");
    if (fault.empty()) fault = fault_of_key(p, s.key.public_key());
    if (!fault.empty()) return refuse(std::move(fault));
    if (lists_word(tag_of(*tags, "t", ""), "y")) {
        why = "t=y says that the domain only tests DKIM, and receivers may treat its mail as if it were not signed";
        return key_check::notice;
    }
    if (s.key.public_key().empty()) {
        why = "the public key of this private key is not known, so nobody can tell whether it is that one";
        return key_check::unknown;
    }
    // of 2048 bits it has 392 characters
    if (key_type(s.key) == "rsa" && s.key.public_key().size() < 390) {
        why = "an RSA key should have 2048 bits (RFC 8301 section 3.2)";
        return key_check::notice;
    }
    return key_check::good;
}

}  // namespace detail

POSTROAD_DECL std::string key_name(const dkim_signature& s) { return s.selector + "._domainkey." + s.domain; }

POSTROAD_DECL std::string key_record(const dkim_key& key) {
    if (key.public_key().empty()) return {};
    return "v=DKIM1; k=" + detail::key_type(key) + "; p=" + key.public_key();
}

POSTROAD_DECL key_check check_key(const dkim_signature& s, const txt_answer& found) {
    key_check result{.name = key_name(s), .record = key_record(s.key)};
    result.what = detail::judge(s, found, result.why);
    return result;
}

POSTROAD_DECL std::vector<key_check> check_keys(const dkim_signer& signer,
                                                const std::function<txt_answer(const std::string&)>& look_up) {
    std::vector<key_check> all;
    for (const auto& s : signer.signatures()) all.push_back(check_key(s, look_up(key_name(s))));
    return all;
}

}  // namespace postroad

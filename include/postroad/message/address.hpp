#pragma once
// Addresses: the ones an envelope holds, and the lists that header fields hold. See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postroad {

/// A mailbox as an envelope names it: `local@domain`, checked, without a display name (RFC 5321 section 4.1.2; UTF-8 as
/// in RFC 6531 section 3.3). Holds no control character whatever it was made from, so it cannot end a command line.
///
/// The local part is a dot-atom or a quoted string, the domain consists of labels of letters, digits and inner hyphens
/// (or UTF-8), or is an address literal: `[192.0.2.1]`, `[IPv6:2001:db8::1]`. Nothing is changed: case, quotes and
/// Unicode form stay as given.
class address {
public:
    static constexpr std::size_t max_local = 64;    ///< octets (RFC 5321 section 4.5.3.1.1)
    static constexpr std::size_t max_domain = 255;  ///< octets (RFC 5321 section 4.5.3.1.2)
    static constexpr std::size_t max_size = 254;    ///< octets; a path is 256 with its <> (RFC 5321 section 4.5.3.1.3)
    static constexpr std::size_t max_label = 63;    ///< characters (RFC 1035 section 2.3.4)

    /// The null reverse path `<>` (RFC 5321 section 4.5.5).
    address() = default;
    /// Throws `error` (errc::invalid_address) that names the octet, counted from 0.
    explicit address(std::string_view text);
    /// The same without an exception: on bad input `ec` is set, the result is null and `explanation` tells what is
    /// wrong. `postmaster` alone is an address too (RFC 5321 section 4.1.1.3).
    static address parse(std::string_view text, error_code& ec, std::string* explanation = nullptr);

    /// As given; empty for the null address. Never with `<>`.
    const std::string& str() const noexcept { return text_; }
    /// What stands before the `@`, quotes included.
    std::string_view local() const noexcept { return std::string_view(text_).substr(0, local_size_); }
    /// What stands behind the `@`; empty for `postmaster`.
    std::string_view domain() const noexcept {
        return std::string_view(text_).substr(local_size_ < text_.size() ? local_size_ + 1 : local_size_);
    }
    bool null() const noexcept { return text_.empty(); }
    /// Whether a server without SMTPUTF8 can take it.
    bool ascii() const noexcept;
    /// The domain for those who know ASCII only: a name as A-labels (RFC 5891; mapped as UTS 46 says, not
    /// transitional), what is ASCII as it is. Empty if the name has no such form.
    std::string ascii_domain() const;

    friend auto operator<=>(const address&, const address&) = default;

private:
    std::string text_;
    std::size_t local_size_ = 0;
};

/// An address with the name that people see. The name is plain text: without quotes, not encoded.
struct mailbox {
    std::string name = {};
    postroad::address address = {};
    friend bool operator==(const mailbox&, const mailbox&) = default;
};

using mailbox_list = std::vector<mailbox>;

/// Mailboxes under one name; none of them is allowed too: `undisclosed-recipients:;` (RFC 5322 section 3.4).
struct mailbox_group {
    std::string name = {};
    mailbox_list members = {};
    friend bool operator==(const mailbox_group&, const mailbox_group&) = default;
};

/// How deep comments may nest in a list of addresses.
inline constexpr std::size_t max_comment_depth = 32;

/// Which syntax a list of addresses may have.
enum class address_syntax : unsigned char {
    current,  ///< RFC 5322 section 3.4; also dots in display names
    /// and of section 4.4: spaces, comments and quotes around dots, routes, empty elements; and what other programs
    /// write: brackets and an `@` in names, a group without its end, dots where a local part needs quotes for them
    obsolete,
};

/// The mailboxes of an address list (RFC 5322 section 3.4), those of groups included, in order: `Ann <a@x.example>,
/// Team: b@x.example, c@x.example;`. Takes comments and folding. Encoded words in names are decoded when the list has
/// been read, so they cannot bring in an address; those in other charsets than UTF-8 and Latin-1 stay as they are, and
/// are written so again. Of a route only the address behind it counts. Throws `error` (errc::invalid_address) that
/// names the octet, counted from 0, and behind the first address which one it is, counted from 1. The result is empty
/// if the list is.
POSTROAD_DECL mailbox_list parse_mailboxes(std::string_view field_value,
                                           address_syntax syntax = address_syntax::current);

/// A list of addresses with its groups, which may be empty: `undisclosed-recipients:;`.
struct address_list {
    mailbox_list mailboxes = {};  ///< those of no group
    std::vector<mailbox_group> groups = {};
    friend bool operator==(const address_list&, const address_list&) = default;
};

/// The same as parse_mailboxes, with groups kept apart.
POSTROAD_DECL address_list parse_address_list(std::string_view field_value,
                                              address_syntax syntax = address_syntax::current);

/// One mailbox: `Ann <a@x.example>` or `a@x.example`. Also throws when there are more, or none: for what a stranger
/// gives as one.
POSTROAD_DECL mailbox parse_mailbox(std::string_view text, address_syntax syntax = address_syntax::current);

namespace detail {

struct fault {
    std::size_t at = 0;
    const char* what = nullptr;  // null: there is none
};

/// What keeps `text` from being a domain or an address literal.
POSTROAD_DECL fault domain_fault(std::string_view text) noexcept;
/// What keeps it from being an address; `local_size` becomes the size of the local part.
POSTROAD_DECL fault address_fault(std::string_view text, std::size_t& local_size) noexcept;
/// Moves `at` behind a dot-atom or a quoted string.
POSTROAD_DECL fault skip_local(std::string_view text, std::size_t& at) noexcept;
POSTROAD_DECL std::string explain(const fault& f, std::string_view text);

}  // namespace detail
}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/address.ipp>
#include <postroad/message/impl/mailbox_list.ipp>
#endif

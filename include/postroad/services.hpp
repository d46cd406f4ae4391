#pragma once
// Well-known services that take mail of their users. See docs/troubleshooting.md.

#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postroad {

/// How much a service takes, as it publishes it. 0: it says nothing.
struct service_limits {
    std::uint32_t messages_a_day = 0;
    std::uint32_t recipients_a_day = 0;
    std::uint32_t recipients_a_message = 0;
    std::uint32_t megabytes_a_message = 0;  ///< as they are sent: attachments take a third more
    std::string_view of = {};               ///< for whom, where that matters
    std::string_view source = {};           ///< the page that says so
    std::string_view seen = {};             ///< when: "2026-11-30"
};

/// How a service takes mail. Texts of static life.
struct service {
    std::string_view name = {};
    std::string_view host = {};
    std::uint16_t port = 587;
    postroad::security security = postroad::security::starttls;  ///< or implicit
    std::string_view domains =
        {};                      ///< of its users' mail addresses, separated by spaces; none where users bring theirs
    std::string_view hint = {};  ///< what the user name and the password are
    /// Where the service says so; or, where its pages say nothing, the row of Thunderbird's table.
    std::string_view source = {};
    service_limits limits = {};

    /// "smtps://smtp.gmail.com", without credentials.
    POSTROAD_DECL std::string url() const;
};

/// Sorted by name.
POSTROAD_DECL std::span<const service> services() noexcept;

/// The service that mail addresses of this domain belong to, or null.
POSTROAD_DECL const service* find_service_of(std::string_view domain);

/// What the service at `host`, "name" or "name:port", publishes of the size of messages, as a sentence. Empty where it
/// is none of these, or says nothing of it.
POSTROAD_DECL std::string published_size(std::string_view host);

namespace detail {
/// A URL as it is, that of the service of an address, or nothing.
POSTROAD_DECL std::optional<std::string> known_submission_url(std::string_view address_or_url);
}  // namespace detail

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/impl/services.ipp>
#endif

#pragma once
// A tree of parts of one's own. See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/message/content.hpp>
#include <postroad/message/part.hpp>
#include <postroad/message/source.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace postroad {

class message;

namespace detail {
class part_builder;

/// Whether a message within goes out in 8 bit where that can be, for the signatures in it.
inline bool stays_wide(const content& nested) noexcept { return nested.eight_bit() && !nested.eight_bit_header(); }
}  // namespace detail

/// A part, or parts within a multipart: what `message::body` takes where text(), html() and attach() do not make the
/// structure that is wanted. Everything is checked when it is made: errc::invalid_header, errc::invalid_message. A
/// value.
class body_part {
public:
    static constexpr std::size_t max_depth = 40;  ///< multiparts within one another

    /// Text in UTF-8, as text/plain unless p.type says otherwise, which names no other charset; lines end as in
    /// message::text.
    static body_part text(std::string_view lines, part p = {});
    /// Octets; p.name or p.type is needed.
    static body_part octets(source from, part p);
    /// A file, read while the message is sent. Throws errc::unreadable_file.
    static body_part file(const std::filesystem::path& path, part p = {});
    /// A whole message (message/rfc822).
    static body_part message(content nested, part p = {});
    /// Parts in "multipart/report; report-type=delivery-status", say; at least one. The boundary is made, and the
    /// `type` of multipart/related, which is that of its root (RFC 2387 section 3).
    static body_part multipart(std::string type, std::vector<body_part> parts);

private:
    friend class detail::part_builder;
    friend class postroad::message;
    enum class kind : unsigned char { text, octets, message, multipart };

    bool alone() const noexcept { return kind_ != kind::multipart; }
    bool stays_wide() const noexcept;

    kind kind_ = kind::text;
    part about_ = {};
    std::string text_ = {};
    source octets_ = {};
    content nested_ = {};
    std::vector<body_part> parts_ = {};
    std::size_t depth_ = 0;
};

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/body_part.ipp>
#endif

#pragma once
// What a message carries beside its text. See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/message/source.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad {

/// How a reader should show a part (RFC 2183).
enum class disposition : unsigned char {
    attachment,  ///< apart from the text
    in_line,     ///< within it
};

/// A part as `message::attach` takes it. Everything is checked when it is attached.
struct part {
    /// The media type, with parameters if it needs them: "text/csv; charset=utf-8". Empty: by the end of `name`.
    std::string type = {};
    /// The name of the file, UTF-8, at most max_file_name octets, without directories. May be empty.
    std::string name = {};
    /// For people, in UTF-8.
    std::string description = {};
    /// What a `cid:` URL in the HTML names, without `<>` (RFC 2392).
    std::string content_id = {};
    postroad::disposition disposition = postroad::disposition::attachment;
    /// Further fields of the part, names and values: Content-Language, Content-Location, X-... Each once, in ASCII or,
    /// where its grammar has room for it, UTF-8.
    std::vector<std::pair<std::string, std::string>> fields = {};

    static constexpr std::size_t max_file_name = 255;
};

/// The media type for files of that name, by what follows the last dot: of the system's tables (/etc/mime.types,
/// shared-mime-info), read once, or a small one of ours; "application/octet-stream" if none knows it.
POSTROAD_DECL std::string media_type_of(std::string_view file_name);

namespace detail {

/// Throws `error` (errc::invalid_header) that names what is wrong; `type` must be that of a leaf.
POSTROAD_DECL void check_part(const part& p);

/// The same of UTF-8 text; `kind` is how the type must begin. A text/ type without a charset gets that one; another is
/// refused, since the text is not in it.
POSTROAD_DECL void check_text_part(part& p, std::string_view kind);

/// The same but for the type.
POSTROAD_DECL void check_part_fields(const part& p);

/// `multipart/...` with its parameters but the boundary.
POSTROAD_DECL void check_multipart_type(const std::string& type);

/// What stands behind the last directory of a path.
POSTROAD_DECL std::string file_name_of(std::string_view path);

}  // namespace detail
}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/part.ipp>
#endif

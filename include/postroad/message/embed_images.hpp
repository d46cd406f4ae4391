#pragma once
// Images of an HTML text as parts of the message. See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/message/message.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace postroad {

/// Attaches to `to` what the `<img src="...">` of the HTML name, and returns the HTML with `cid:` URLs that show them:
/// `m.html(embed_images(m, html, "mail/images"))`. Those are `data:` URIs, which Outlook and Gmail do not show, and
/// files in `folder` by relative paths; each once. All other URLs stay, and without a folder all paths do.
///
/// A file is read while the message is sent, as with message::attach. Throws `error`: errc::unreadable_file for one
/// that is not there; errc::invalid_header for a path that leads out of the folder, by `..` or by a link, and for a
/// `data:` URI that is no image or not readable. The message is as it was then.
POSTROAD_DECL std::string embed_images(message& to, std::string_view html, const std::filesystem::path& folder = {});

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/embed_images.ipp>
#endif

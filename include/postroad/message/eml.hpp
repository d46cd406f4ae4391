#pragma once
// Messages that exist already, as files or in memory. See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/message/mail_object.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace postroad {

/// How a message that exists already is taken.
struct eml_options {
    /// Where failures are reported. When absent: Sender, or else the first mailbox of From; of a message that was
    /// resent the topmost Resent- fields: those that stand together, up to the first that repeats (RFC 5322 section
    /// 3.6.6). The null address is allowed.
    std::optional<address> reverse_path = {};
    /// Who gets it. When absent: To, Cc and Bcc, or of such a message the topmost Resent- fields.
    std::optional<std::vector<address>> recipients = {};
    /// When given, a Date of this time (UTC) and a Message-ID are put on top of the header where it has none. The
    /// latter is made as message::freeze() does, with the domain of From or else of the reverse path.
    std::optional<std::chrono::system_clock::time_point> complete_at = {};
    /// In what charset header fields are that are no UTF-8, where Content-Type does not tell: "windows-1252". Empty:
    /// then such fields are refused by name.
    std::string charset = {};
};

/// Takes `text` as it is, but with CRLF line ends (see content), and without what must not travel: every Bcc and
/// Resent-Bcc field, a leading "From " line of mbox files, and Return-Path (RFC 5321 section 4.4). Fields end at the
/// first empty line. Fields that are no UTF-8 become encoded words of their charset, if that is known. Nothing else is
/// looked at, so broken messages pass. Addresses of the header may be in obsolete syntax.
///
/// Duplicate recipients are dropped (domains compare without case). Throws `error`: errc::no_sender,
/// errc::no_recipients, errc::invalid_address (the explanation names the field), errc::invalid_message (a NUL),
/// errc::invalid_header (a field in octets of no known charset).
POSTROAD_DECL mail_object parse_eml(std::string text, const eml_options& options = {});

/// parse_eml of a file. One of more than 64 KiB streams, as message::attach() does: it is read once now, and again in
/// blocks while it is sent; if it has changed by then, the attempt fails. Also throws errc::unreadable_file,
/// errc::changed_file, and errc::invalid_message for a header of more than content::max_streamed_header octets.
POSTROAD_DECL mail_object read_eml(const std::filesystem::path& file, const eml_options& options = {});

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/eml.ipp>
#endif

#pragma once
// Messages that exist already, as files or in memory. See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/message/mail_object.hpp>

#include <filesystem>
#include <optional>
#include <string>

namespace postroad {

/// How a message that exists already is taken.
struct eml_options {
    /// Who gets it. When absent it is read from the header: the reverse path from Sender, or else the first mailbox of
    /// From; the recipients from To, Cc and Bcc. If the message was resent, from the topmost Resent- fields instead:
    /// those that stand together, up to the first that repeats (RFC 5322 section 3.6.6).
    std::optional<postroad::envelope> envelope = {};
};

/// Takes `text` as it is, but with CRLF line ends (see content), and without what must not travel: every Bcc and
/// Resent-Bcc field, a leading "From " line of mbox files, and Return-Path (RFC 5321 section 4.4). Fields end at the
/// first empty line; nothing else is looked at, so broken messages pass.
///
/// Duplicate recipients are dropped (domains compare without case). Throws `error`: errc::no_sender,
/// errc::no_recipients, errc::invalid_address (the explanation names the field), errc::invalid_message (a NUL).
POSTROAD_DECL mail_object parse_eml(std::string text, const eml_options& options = {});

/// parse_eml of a whole file, which is read into memory. Also throws errc::unreadable_file.
POSTROAD_DECL mail_object read_eml(const std::filesystem::path& file, const eml_options& options = {});

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/eml.ipp>
#endif

#pragma once
// What signs messages: DKIM is one model (message/dkim.hpp). See docs/messages.md.

#include <postroad/message/content.hpp>
#include <postroad/message/mail_object.hpp>

#include <chrono>
#include <concepts>

namespace postroad {

/// Signs whole messages. DKIM is one model; S/MIME or OpenPGP may be others.
template <class S>
concept message_signer = requires(const S s, const content& c, std::chrono::system_clock::time_point now) {
    // The content with a signature. Throws `error` when it cannot be signed.
    { s.sign(c, now) } -> std::same_as<content>;
};

/// Any message with a signature: one that was frozen, an `.eml` as parse_eml() gives it, or made by hand. Throws what
/// S.sign() throws.
template <message_signer S>
mail_object sign(mail_object mail, const S& signer, std::chrono::system_clock::time_point now) {
    mail.content = signer.sign(mail.content, now);
    return mail;
}

}  // namespace postroad

#pragma once
// Signing messages with DKIM (RFC 6376, 8301, 8463). See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/secret.hpp>
#include <postroad/message/canonical.hpp>
#include <postroad/message/content.hpp>
#include <postroad/message/signer.hpp>

#include <chrono>
#include <concepts>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace postroad {

/// A private key, or whoever holds it. Cheap to copy; may be used by several threads at once.
class dkim_key {
public:
    /// Signs a SHA-256 digest; called by any thread. A throw ends the signing.
    using function = std::function<std::string(std::span<const unsigned char, 32>)>;

    /// A key kept elsewhere, for the algorithm that the signature names: "rsa-sha256", "ed25519-sha256". `public_key`
    /// is base64 as `p=` of its record has it; only check_key() wants it.
    dkim_key(std::string algorithm, function sign, std::string public_key = {})
        : algorithm_(std::move(algorithm)), sign_(std::move(sign)), public_key_(std::move(public_key)) {}
    /// rsa-sha256 with a key in PEM, encrypted or not, in each form that OpenSSL writes. Throws `error`
    /// (errc::invalid_option) that says what is wrong with it; it needs 1024 bits or more, and 2048 are advised (RFC
    /// 8301 section 3.2). For Ed25519 see message/openssl_ed25519.hpp.
    static dkim_key rsa(const secret& pem, const secret& password = {});

    const std::string& algorithm() const noexcept { return algorithm_; }
    /// Base64; empty: unknown.
    const std::string& public_key() const noexcept { return public_key_; }
    std::string operator()(std::span<const unsigned char, 32> digest) const { return sign_(digest); }

private:
    std::string algorithm_;
    function sign_;
    std::string public_key_;
};

/// What a signature covers, by names of fields. Of From it is always each instance, and that there is no other.
struct dkim_fields {
    /// Signed where the message has them, each instance.
    std::vector<std::string> names = {};
    /// Of these, signed or not, nobody can add another where the message has one (RFC 6376 section 8.15).
    std::vector<std::string> oversigned = {};
    /// Of these nobody can add one even where the message has none. A submission server that adds Sender, or a list
    /// that adds List-Unsubscribe, breaks a signature with theirs.
    std::vector<std::string> kept_absent = {};

    /// For any sender: what readers are shown and act on, closed against a second one.
    static dkim_fields standard();
    /// For mail to discussion lists, which tag the Subject, answer to the list, and add their own List- fields. One
    /// that changes the body breaks the signature all the same.
    static dkim_fields mailing_list_safe();
    /// As `standard`, and nobody can add what the message does not have.
    static dkim_fields strict();
};

/// One signature. Defaults are for any sender.
struct dkim_signature {
    /// Whose signature it is (d=). That of the From address is what DMARC looks at. UTF-8 becomes A-labels.
    std::string domain = {};
    /// Where the public key is: `selector._domainkey.domain`.
    std::string selector = {};
    dkim_key key;
    canonicalization header = canonicalization::relaxed;
    canonicalization body = canonicalization::relaxed;
    /// For whom in the domain it is signed (i=): `@sub.example.com`, `ann@example.com`. Empty: the domain.
    std::string identity = {};
    /// How long it is valid, from `now` on (x=). Zero: for ever.
    std::chrono::seconds valid_for = {};
    dkim_fields fields = dkim_fields::standard();
};

/// Signs with one or several keys: RSA, and Ed25519 for those who know it (RFC 8463 section 5). The body is read once.
/// The fields stand on top of what they sign; nothing else changes, except that composed content is given the form that
/// every server takes (content::as) where that is possible, so that no relay must. Content that exists keeps each
/// octet: where it holds 8-bit octets, a server without 8BITMIME ends the signature. Bcc is not signed, because it is
/// not there.
class dkim_signer {
public:
    /// Throws `error` (errc::invalid_option) for a domain, selector, identity or field name that cannot stand in a
    /// signature.
    explicit dkim_signer(dkim_signature one) : dkim_signer(of(std::move(one))) {}
    explicit dkim_signer(std::vector<dkim_signature> all);

    /// Throws `error`: errc::invalid_message without exactly one From, or with a second of another field that may stand
    /// only once; errc::signing_failed; what reading the content may throw.
    content sign(const content& c, std::chrono::system_clock::time_point now) const;

    /// As they are made: domains in A-labels.
    const std::vector<dkim_signature>& signatures() const noexcept { return all_; }

private:
    static std::vector<dkim_signature> of(dkim_signature one) {
        std::vector<dkim_signature> all;
        all.push_back(std::move(one));
        return all;
    }

    std::vector<dkim_signature> all_;
};
static_assert(message_signer<dkim_signer>);

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/dkim.ipp>
#endif

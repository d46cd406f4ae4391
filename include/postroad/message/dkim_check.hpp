#pragma once
// Whether verifiers find the public key of a signature, and the right one (RFC 6376 section 3.6). See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/message/dkim.hpp>

#include <functional>
#include <string>
#include <vector>

namespace postroad {

/// What the DNS says of a name: its TXT records, the strings of each joined. Whoever can look up gives it; a
/// net::dns_resolver does with net::check_keys().
struct txt_answer {
    std::vector<std::string> records = {};  ///< none: there are none, or no such name
    /// For people, where nobody knows: no answer in time, SERVFAIL.
    std::string failure = {};
};

/// What a verifier makes of the published key.
struct key_check {
    enum class verdict : unsigned char {
        good,     ///< it is that of the private key
        notice,   ///< signatures verify, but `why` says what receivers may hold against them
        bad,      ///< no signature verifies, or none counts
        unknown,  ///< the look-up failed, or the public key of a dkim_key kept elsewhere was not given
    };
    using enum verdict;

    std::string name = {};  ///< where the record is: `selector._domainkey.domain`
    verdict what = verdict::unknown;
    std::string why = {};     ///< for people, with what to do; empty where it is good
    std::string record = {};  ///< what to publish there; empty where the public key is unknown
};

/// `selector._domainkey.domain`, of a signature of dkim_signer::signatures().
POSTROAD_DECL std::string key_name(const dkim_signature& s);

/// The record to publish at key_name(): `v=DKIM1; k=rsa; p=...`. A DNS server takes it in strings of 255 octets. Empty
/// where the public key is unknown.
POSTROAD_DECL std::string key_record(const dkim_key& key);

/// Holds one published key against the private one: that there is one record, not revoked, of this type, for mail and
/// SHA-256, for this identity, not in test mode, and the same key. Nothing in `found` is trusted.
POSTROAD_DECL key_check check_key(const dkim_signature& s, const txt_answer& found);

/// The same for each signature; `look_up` gets the name and may block.
POSTROAD_DECL std::vector<key_check> check_keys(const dkim_signer& signer,
                                                const std::function<txt_answer(const std::string&)>& look_up);

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/dkim_check.ipp>
#endif

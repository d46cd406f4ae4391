#pragma once

#include <postroad/core/base64.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/canonical.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/message/encrypted_key.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <optional>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/md.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>

namespace postroad {
namespace detail {

/// Names of the fields to sign, and the fields in that order: each instance from the bottom up, then one that must not
/// be there (RFC 6376 section 5.4.2).
struct signed_fields {
    std::vector<std::string> names;
    std::vector<std::string_view> fields;
};

inline bool lists_name(const std::vector<std::string>& list, std::string_view name) noexcept {
    return std::ranges::any_of(list, [&](const auto& n) { return equal_ignoring_case(n, name); });
}

inline signed_fields select_fields(const std::vector<header_field>& header, const dkim_fields& wanted) {
    std::vector<std::string> names = {"From"};
    for (const auto* list : {&wanted.names, &wanted.oversigned, &wanted.kept_absent})
        for (const auto& n : *list)
            if (!lists_name(names, n)) names.push_back(n);
    signed_fields result;
    for (const auto& name : names) {
        const bool oversigned = equal_ignoring_case(name, "From") || lists_name(wanted.oversigned, name);
        bool found = false;
        for (auto i = header.size(); i-- > 0;) {
            const auto& f = header[i];
            if (!equal_ignoring_case(f.name, name)) continue;
            found = true;
            result.names.push_back(name);
            result.fields.push_back(f.all);
        }
        if ((found && oversigned) || lists_name(wanted.kept_absent, name)) result.names.push_back(name);
    }
    return result;
}

inline void require_single_fields(const std::vector<header_field>& header) {
    // RFC 5322 section 3.6; a second one is shown by some readers and signed for others
    static constexpr std::string_view once[] = {"From",
                                                "Sender",
                                                "Reply-To",
                                                "To",
                                                "Cc",
                                                "Date",
                                                "Subject",
                                                "Message-ID",
                                                "In-Reply-To",
                                                "References",
                                                "MIME-Version",
                                                "Content-Type",
                                                "Content-Transfer-Encoding"};
    for (const auto name : once) {
        const auto count =
            std::ranges::count_if(header, [&](const auto& f) { return equal_ignoring_case(f.name, name); });
        if (count > 1) throw error(errc::invalid_message, std::string(name) + ": this field may stand only once");
        if (count == 0 && name == "From") throw error(errc::invalid_message, "From: a signature needs this field");
    }
}

/// Writes the tags of a DKIM-Signature in lines.
class tag_writer {
public:
    void tag(std::string_view name, std::string_view value) {
        if (text_.empty()) {
            text_ = "DKIM-Signature: ";
            column_ = text_.size();
        } else {
            text_ += ';';
            ++column_;
            gap(name.size() + 2 + value.size());
        }
        add(name);
        add("=");
        add(value);
    }
    // A list between colons, which may be folded behind each.
    void list(std::string_view name, const std::vector<std::string>& values) {
        tag(name, values.front());
        for (std::size_t i = 1; i < values.size(); ++i) {
            add(":");
            if (column_ + values[i].size() + 2 > preferred) fold();
            add(values[i]);
        }
    }
    // Base64, which may be folded anywhere.
    void folded(std::string_view value) {
        while (!value.empty()) {
            if (column_ + 1 >= preferred) fold();
            const auto n = std::min(preferred - column_ - 1, value.size());
            add(value.substr(0, n));
            value.remove_prefix(n);
        }
    }
    const std::string& text() const noexcept { return text_; }

private:
    static constexpr std::size_t preferred = 76;
    void add(std::string_view text) {
        text_ += text;
        column_ += text.size();
    }
    void gap(std::size_t wanted) {
        if (column_ + wanted > preferred) return fold();
        add(" ");
    }
    void fold() {
        text_ += "\r\n ";
        column_ = 1;
    }
    std::string text_;
    std::size_t column_ = 0;
};

// In dkim-quoted-printable (RFC 6376 section 2.11).
inline std::string quoted_identity(std::string_view identity) {
    std::string result;
    for (const char c : identity) {
        if (c > ' ' && c != ';' && c != '=')
            result += c;
        else
            append_hex(result, c);
    }
    return result;
}

inline std::string signature_field(const dkim_signature& s, const signed_fields& what, const sha256::value& body,
                                   std::chrono::system_clock::time_point now) {
    const auto word = [](canonicalization c) { return c == canonicalization::simple ? "simple" : "relaxed"; };
    const auto time = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch();
    tag_writer w;
    w.tag("v", "1");
    w.tag("a", s.key.algorithm());
    w.tag("c", std::string(word(s.header)) + '/' + word(s.body));
    w.tag("d", s.domain);
    w.tag("s", s.selector);
    if (!s.identity.empty()) w.tag("i", quoted_identity(s.identity));
    w.tag("t", std::to_string(time.count()));
    if (s.valid_for > s.valid_for.zero()) w.tag("x", std::to_string((time + s.valid_for).count()));
    w.list("h", what.names);
    w.tag("bh", base64_of(body));
    w.tag("b", "");
    sha256 hash;
    for (const auto f : what.fields) hash.add(canonical_field(f, s.header) + "\r\n");
    hash.add(canonical_field(w.text(), s.header));
    w.folded(base64_encode(s.key(hash.finish())));
    return w.text() + "\r\n";
}

[[noreturn]] inline void refuse_option(const std::string& why) { throw error(errc::invalid_option, "DKIM: " + why); }

/// Empty if it is none.
inline std::string dkim_domain(const std::string& domain) {
    error_code ec;
    const auto a = address::parse("x@" + domain, ec);
    return ec || domain.starts_with('[') ? std::string{} : a.ascii_domain();
}

inline void check_signature(dkim_signature& s) {
    auto domain = dkim_domain(s.domain);
    if (domain.empty()) refuse_option("'" + escaped(s.domain, 100) + "' is not a domain");
    s.domain = std::move(domain);
    if (s.selector.empty() || dkim_domain(s.selector) != s.selector)
        refuse_option("'" + escaped(s.selector, 100) + "' is not a selector: expected letters, digits, '-' and '.'");
    if (!is_token(s.key.algorithm())) refuse_option("expected the name of an algorithm");
    for (const auto* list : {&s.fields.names, &s.fields.oversigned, &s.fields.kept_absent})
        for (const auto& name : *list)
            if (!is_token(name)) refuse_option("'" + escaped(name, 100) + "' is not a field name");
    if (s.identity.empty()) return;
    const auto at = s.identity.rfind('@');
    error_code ec;
    (void)address::parse(at == 0 ? "x" + s.identity : s.identity, ec);
    const auto of = at == std::string::npos ? std::string{} : s.identity.substr(at + 1);
    const bool within = equal_ignoring_case(of, s.domain) ||
                        (of.size() > s.domain.size() && of[of.size() - s.domain.size() - 1] == '.' &&
                         equal_ignoring_case(std::string_view(of).substr(of.size() - s.domain.size()), s.domain));
    if (ec || !within || !is_ascii(s.identity))
        refuse_option("the identity '" + escaped(s.identity, 100) + "' is not within the domain");
}

/// An RSA key of mbedTLS. Signing changes its blinding, so one thread at a time.
class rsa_key {
public:
    rsa_key(const secret& pem, const secret& password) {
        mbedtls_pk_init(&key_);
        mbedtls_entropy_init(&entropy_);
        mbedtls_ctr_drbg_init(&random_);
        const char* why = load(pem, password);
        if (!why) return;
        release();
        refuse_option(why);
    }
    rsa_key(const rsa_key&) = delete;
    rsa_key& operator=(const rsa_key&) = delete;
    ~rsa_key() { release(); }

    // SubjectPublicKeyInfo in base64, as records have it.
    std::string public_key() {
        std::array<unsigned char, MBEDTLS_MPI_MAX_SIZE + 128> room{};
        const int size = mbedtls_pk_write_pubkey_der(&key_, room.data(), room.size());
        if (size <= 0) return {};
        const auto* octets = room.data() + room.size() - size;  // written from the end
        return base64_encode({reinterpret_cast<const char*>(octets), static_cast<std::size_t>(size)});
    }

    std::string sign(std::span<const unsigned char, 32> digest) {
        const std::lock_guard lock(one_at_a_time_);
        std::string result(MBEDTLS_PK_SIGNATURE_MAX_SIZE, '\0');
        std::size_t size = 0;
        auto* out = reinterpret_cast<unsigned char*>(result.data());
#if MBEDTLS_VERSION_MAJOR >= 3
        const int failed = mbedtls_pk_sign(&key_, MBEDTLS_MD_SHA256, digest.data(), digest.size(), out, result.size(),
                                           &size, mbedtls_ctr_drbg_random, &random_);
#else
        const int failed = mbedtls_pk_sign(&key_, MBEDTLS_MD_SHA256, digest.data(), digest.size(), out, &size,
                                           mbedtls_ctr_drbg_random, &random_);
#endif
        if (failed != 0) throw error(errc::signing_failed, "RSA signing failed");
        result.resize(size);
        return result;
    }

private:
    // Null, or why it cannot be used.
    const char* load(const secret& pem, const secret& password) {
        static constexpr std::size_t least_bits = 1024;
        if (mbedtls_ctr_drbg_seed(&random_, mbedtls_entropy_func, &entropy_, nullptr, 0) != 0)
            return "there is no randomness";
        const auto [given, why] = decrypted_key(pem, password);
        if (why) return why;
        // mbedTLS counts the NUL behind PEM, and takes DER without one
        const bool is_pem =
            given.reveal().starts_with('-') || given.reveal().find("-----BEGIN") != std::string_view::npos;
        const secret ended(std::string(given.reveal()) + '\0');
        const auto size = ended.reveal().size() - (is_pem ? 0 : 1);
        const auto* octets = as_octets(ended.reveal());
        const auto* with = password.empty() ? nullptr : as_octets(password.reveal());
#if MBEDTLS_VERSION_MAJOR >= 3
        const int failed = mbedtls_pk_parse_key(&key_, octets, size, with, password.reveal().size(),
                                                mbedtls_ctr_drbg_random, &random_);
#else
        const int failed = mbedtls_pk_parse_key(&key_, octets, size, with, password.reveal().size());
#endif
        if (failed == MBEDTLS_ERR_PK_PASSWORD_MISMATCH)
            return "the private key cannot be decrypted: is it this password?";
        if (failed == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG)
            return "expected an RSA key; for Ed25519 see ed25519_key() in postroad/message/openssl_ed25519.hpp";
        if (failed != 0) return "the private key is not readable: expected an RSA key in PEM";
        if (mbedtls_pk_get_type(&key_) != MBEDTLS_PK_RSA) return "expected an RSA key";
        if (mbedtls_pk_get_bitlen(&key_) < least_bits) return "an RSA key needs 1024 bits or more (RFC 8301)";
        return nullptr;
    }
    void release() {
        mbedtls_pk_free(&key_);
        mbedtls_ctr_drbg_free(&random_);
        mbedtls_entropy_free(&entropy_);
    }

    std::mutex one_at_a_time_;
    mbedtls_pk_context key_;
    mbedtls_entropy_context entropy_;
    mbedtls_ctr_drbg_context random_;
};

}  // namespace detail

POSTROAD_DECL dkim_key dkim_key::rsa(const secret& pem, const secret& password) {
    auto key = std::make_shared<detail::rsa_key>(pem, password);
    return {"rsa-sha256", [key](std::span<const unsigned char, 32> digest) { return key->sign(digest); },
            key->public_key()};
}

POSTROAD_DECL dkim_fields dkim_fields::standard() {
    return {.names = {"From",
                      "Sender",
                      "Reply-To",
                      "To",
                      "Cc",
                      "Subject",
                      "Date",
                      "Message-ID",
                      "In-Reply-To",
                      "References",
                      "MIME-Version",
                      "Content-Type",
                      "Content-Transfer-Encoding",
                      "Content-Disposition",
                      "List-Id",
                      "List-Help",
                      "List-Unsubscribe",
                      "List-Unsubscribe-Post",
                      "List-Subscribe",
                      "List-Post",
                      "List-Owner",
                      "List-Archive",
                      "Auto-Submitted"},
            .oversigned = {"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To",
                           "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
                           "List-Unsubscribe", "List-Unsubscribe-Post"}};
}

POSTROAD_DECL dkim_fields dkim_fields::mailing_list_safe() {
    return {.names = {"From", "To", "Cc", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version",
                      "Content-Type", "Content-Transfer-Encoding"},
            .oversigned = {"From", "Date", "Message-ID"}};
}

POSTROAD_DECL dkim_fields dkim_fields::strict() {
    auto all = standard();
    all.kept_absent = all.oversigned;
    return all;
}

POSTROAD_DECL dkim_signer::dkim_signer(std::vector<dkim_signature> all) : all_(std::move(all)) {
    if (all_.empty()) detail::refuse_option("expected a signature");
    for (auto& s : all_) detail::check_signature(s);
}

namespace detail {

// RFC 6376 section 5.3: as every server takes it, so that none writes it anew. What somebody has signed before, or has
// a part that nobody may change, stays as it is; so does what streams, since it would be in memory from then on.
inline content form_to_sign(const content& c) {
    if (!c.composed() && (c.streams() || has_signed_header(c))) return c;
    error_code ec;
    auto narrow = c.as(transfer::seven_bit, ec);
    return ec ? c : narrow;
}

}  // namespace detail

POSTROAD_DECL content dkim_signer::sign(const content& c, std::chrono::system_clock::time_point now) const {
    auto what = detail::form_to_sign(c);
    std::string header;
    std::optional<detail::body_hasher> hashers[2];
    for (const auto& s : all_) hashers[static_cast<std::size_t>(s.body)].emplace(s.body);
    bool in_header = true;
    content::reader r(what);
    for (auto next = r.peek(); !next.empty(); next = r.peek()) {
        auto body = next;
        if (in_header) {
            // an empty line may be cut by the end of a block
            const auto before = header.size();
            header += next;
            const auto from = before < 3 ? 0 : before - 3;
            const auto end = header.starts_with("\r\n") ? 0 : header.find("\r\n\r\n", from);
            in_header = end == std::string::npos;
            if (!in_header) {
                const auto size = header.starts_with("\r\n") ? std::size_t{2} : end + 4;
                body = next.substr(size - before);
                header.resize(size - 2);
            }
        }
        if (!in_header)
            for (auto& h : hashers)
                if (h) h->add(body);
        r.consume(next.size());
    }
    if (r.failed()) throw error(r.failure(), {.explanation = r.explanation()});
    std::optional<detail::sha256::value> hashes[2];
    for (std::size_t i = 0; i < 2; ++i)
        if (hashers[i]) hashes[i] = hashers[i]->finish();
    const auto fields = detail::split_fields(header);
    detail::require_single_fields(fields);
    std::string signatures;
    for (const auto& s : all_)
        signatures += detail::signature_field(s, detail::select_fields(fields, s.fields),
                                              *hashes[static_cast<std::size_t>(s.body)], now);
    return what.with_fields(signatures);
}

}  // namespace postroad

#pragma once

#include <postroad/tls/constraints.hpp>
#include <postroad/tls/dane.hpp>
#include <postroad/tls/impl/mbedtls_certificate.ipp>
#include <postroad/tls/impl/mbedtls_context.ipp>
#include <postroad/tls/mbedtls_engine.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <utility>

namespace postroad::tls {
namespace detail {

struct last_message {
    std::string_view octets;
    bool tls_1_3 = false;
};

// What came last, decrypted: a handshake message or an alert. mbedTLS keeps it when it fails.
inline last_message last_message_of(const mbedtls_ssl_context& ssl) noexcept {
#if MBEDTLS_VERSION_MAJOR >= 3
    const auto* at = ssl.MBEDTLS_PRIVATE(in_msg);
    const auto size = ssl.MBEDTLS_PRIVATE(in_msglen);
    const bool tls_1_3 = ssl.MBEDTLS_PRIVATE(tls_version) == MBEDTLS_SSL_VERSION_TLS1_3;
#else
    const auto* at = ssl.in_msg;
    const auto size = ssl.in_msglen;
    const bool tls_1_3 = false;
#endif
    return {at ? std::string_view(reinterpret_cast<const char*>(at), size) : std::string_view(), tls_1_3};
}

// The extensions that mbedTLS understands whatever they hold: RFC 5280 sections 4.2.1.3, .6, .9 and .12, and
// Netscape's.
inline bool mbedtls_reads(std::string_view oid) noexcept {
    static constexpr std::string_view known[] = {
        {"\x55\x1d\x0f", 3}, {"\x55\x1d\x11", 3}, {"\x55\x1d\x13", 3}, oid_purposes, oid_netscape_type};
    return std::find(std::begin(known), std::end(known), oid) != std::end(known);
}

/// Why mbedTLS cannot read a certificate of the server's; empty where that is not known.
inline std::string unreadable_reason(const last_message& m) {
    const auto all = certificates_of(m.octets, m.tls_1_3);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto parts = parts_of(all[i]);
        const std::string owner = i == 0 ? "has" : "comes with a CA that has";
        for (const auto oid : {parts.key_oid, parts.signature_oid})
            if (oid == oid_ed25519 || oid == oid_ed448)
                return owner + (oid == oid_ed25519 ? " an Ed25519" : " an Ed448") +
                       " key or signature, which mbedTLS does not read; the OpenSSL engine does";
        for (auto rest = parts.extensions; !rest.empty();)
            if (const auto e = next_extension(rest); e.critical && e.oid == oid_name_constraints)
                return "comes with a CA whose name constraints are critical, which mbedTLS does not read; the OpenSSL "
                       "engine obeys them";
            else if (e.critical && !mbedtls_reads(e.oid))
                return owner + " the critical extension " + oid_text(e.oid) +
                       ", which mbedTLS does not read; the OpenSSL engine knows more of them";
    }
    return {};
}

// What to do, where the error alone does not say it.
inline std::string hint(int rc, bool alert, std::string_view message) {
    static constexpr char protocol_version = 70;
    if (alert && message[1] == protocol_version && !mbedtls_has_tls_1_3)
        return "; this build of mbedTLS speaks TLS 1.2 only, perhaps the server wants TLS 1.3";
#if MBEDTLS_VERSION_MAJOR >= 3
    if (rc == MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION) return older_version_hint;
#else
    if (rc == MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION) return older_version_hint;
#endif
#if MBEDTLS_VERSION_MAJOR >= 3
    if (has_pss_bug && rc == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER)
        return "; mbedTLS before 3.6.7 fails with some TLS 1.2 servers that have an RSA certificate: update it, or set "
               "newest = tls::protocol::tls_1_2";
#endif
    return {};
}

}  // namespace detail

POSTROAD_DECL mbedtls_engine::mbedtls_engine(std::shared_ptr<const mbedtls_context> context, const endpoint& peer)
    : context_(std::move(context)),
      expected_(peer.name),
      lenient_(peer.security == security::opportunistic || !peer.tlsa.empty()),
      how_(peer.security),
      tlsa_(peer.tlsa) {
    const auto& parts = *context_->parts_;
    if (!parts.server_name.empty()) expected_ = parts.server_name;
    if (expected_.ends_with('.')) expected_.pop_back();
    server_ = expected_ + " at " + to_string(peer);
    mbedtls_ssl_init(&ssl_);
    setup();
}

POSTROAD_DECL mbedtls_engine::~mbedtls_engine() { mbedtls_ssl_free(&ssl_); }

POSTROAD_DECL void mbedtls_engine::setup() {
    const auto& parts = *context_->parts_;
    if (const int rc = mbedtls_ssl_setup(&ssl_, parts.client && lenient_ ? &parts.lenient : &parts.config))
        return fail(errc::tls_configuration, "TLS cannot be set up: " + detail::mbedtls_text(rc));
    mbedtls_ssl_set_bio(&ssl_, this, &send, &receive, nullptr);
    if (!parts.client) return;
    const bool named = is_host_name(expected_) && address_octets(expected_).empty();
    if (!named && address_octets(expected_).empty() && parts.verify == verification::full && !lenient_)
        return fail(errc::tls_configuration, detail::no_certificate_name(expected_));
    // SNI carries no address (RFC 6066 section 3). mbedTLS 3.6 refuses to verify without this call, so it is made
    // with nullptr too; verify() checks the name in either case.
    if (const int rc = mbedtls_ssl_set_hostname(&ssl_, named ? expected_.c_str() : nullptr))
        return fail(errc::tls_configuration, "TLS cannot be set up: " + detail::mbedtls_text(rc));
    if (parts.verify == verification::insecure_none) return;
    mbedtls_ssl_set_verify(&ssl_, &verify, this);
    // A session knows no records: each connection shows its certificates.
    if (tlsa_.empty()) offer_session();
}

// Within the same context only, so under the same CAs, pins and certificate of ours.
POSTROAD_DECL void mbedtls_engine::offer_session() {
    auto& parts = *context_->parts_;
    if (parts.resume == resumption::never) return;
    auto kept = parts.sessions.take(server_, detail::wall_clock());
    if (!kept) return;
    mbedtls_ssl_session session;
    mbedtls_ssl_session_init(&session);
    const auto text = kept->state.reveal();
    offered_ =
        mbedtls_ssl_session_load(&session, reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 0 &&
        mbedtls_ssl_set_session(&ssl_, &session) == 0;
    mbedtls_ssl_session_free(&session);
    if (!offered_) return;
    certificate_ = std::move(kept->certificate);
    offered_until_ = kept->valid_until;
}

POSTROAD_DECL void mbedtls_engine::keep_session(bool once) {
    auto& parts = *context_->parts_;
    if (!parts.client || !verified_ || !tlsa_.empty() || parts.resume == resumption::never) return;
    mbedtls_ssl_session session;
    mbedtls_ssl_session_init(&session);
    std::size_t size = 0;
    std::string text;
    bool saved = mbedtls_ssl_get_session(&ssl_, &session) == 0;
    if (saved) {
        mbedtls_ssl_session_save(&session, nullptr, 0, &size);
        text.resize(size);
        saved = mbedtls_ssl_session_save(&session, reinterpret_cast<unsigned char*>(text.data()), size, &size) == 0;
    }
    mbedtls_ssl_session_free(&session);
    if (saved)
        parts.sessions.put(server_,
                           {secret(std::move(text)), certificate_, once, resumed_ ? offered_until_ : valid_until_});
}

POSTROAD_DECL int mbedtls_engine::send(void* self, const unsigned char* data, std::size_t size) {
    try {
        static_cast<mbedtls_engine*>(self)->pending_.append(reinterpret_cast<const char*>(data), size);
        return static_cast<int>(size);
    } catch (const std::bad_alloc&) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
}

POSTROAD_DECL int mbedtls_engine::receive(void* self, unsigned char* to, std::size_t size) {
    auto& e = *static_cast<mbedtls_engine*>(self);
    if (!e.has_input()) return e.ended_ ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    size = std::min(size, e.in_.size() - e.in_used_);
    std::memcpy(to, e.in_.data() + e.in_used_, size);
    e.in_used_ += size;
    return static_cast<int>(size);
}

// Called for each certificate of the chain that was found, from its top down.
POSTROAD_DECL int mbedtls_engine::verify(void* self, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) {
    auto& e = *static_cast<mbedtls_engine*>(self);
    try {
        // mbedTLS falls back to the common name, and 2.28 does not look at addresses: names are checked here.
        if (!e.certificate_is_good(*certificate, depth, *flags)) *flags |= MBEDTLS_X509_BADCERT_OTHER;
        return 0;
    } catch (const std::bad_alloc&) {
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    }
}

POSTROAD_DECL bool mbedtls_engine::certificate_is_good(mbedtls_x509_crt& certificate, int depth, std::uint32_t flags) {
    const auto& wanted = context_->parts_->pins;
    const auto octets = detail::text_of(certificate.raw);
    const auto parts = detail::parts_of(octets);
    valid_until_ = std::min(valid_until_, detail::to_seconds(certificate.valid_to));
    if (!wanted.empty()) pins_.insert(pins_.begin(), detail::pin_of(parts.public_key));
    std::vector<std::string> problems;
    certificate_names names;
    // mbedTLS does not look at that of a CA, and takes any purpose for this one. OpenSSL does neither.
    if (context_->parts_->client && !detail::has_purpose(parts.extensions, detail::oid_server))
        flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    if (context_->parts_->client && depth == 0 && !detail::may_be_server(parts.extensions))
        flags |= MBEDTLS_X509_BADCERT_NS_CERT_TYPE;
    if (depth > 0) {
        if (const auto c = detail::find_extension(parts.extensions, detail::oid_name_constraints); !c.empty())
            constraints_.emplace_back(c);
    } else {
        name_checked_ = true;
        certificate_ = octets;
        names = detail::names_of(certificate);
        if (names_match(names, expected_))
            flags &= ~static_cast<std::uint32_t>(MBEDTLS_X509_BADCERT_CN_MISMATCH);
        else
            flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
        for (const auto& c : constraints_)
            if (auto why = constraint_violation(c, names, expected_); !why.empty())
                problems.push_back("comes with a CA that " + why);
        if (!wanted.empty() && !detail::any_pinned(wanted, pins_))
            problems.push_back(detail::pin_reason(wanted, pins_));
    }
    if (flags != 0) problems.insert(problems.begin(), detail::reasons(certificate, depth, flags, names, expected_));
    if (problems.empty()) return true;
    reasons_ = detail::joined(problems, ", and ") + (reasons_.empty() ? "" : "; " + reasons_);
    return false;
}

POSTROAD_DECL void mbedtls_engine::received(std::string_view ciphertext) {
    if (state_ == state::failed || peer_closed_) return;
    in_.erase(0, in_used_);
    in_used_ = 0;
    if (in_.size() + ciphertext.size() > input_limit)
        return fail(errc::tls_broken, "more than " + std::to_string(input_limit) + " octets wait to be decrypted");
    if (first_octets_.size() < 40) first_octets_ += ciphertext.substr(0, 40 - first_octets_.size());
    in_ += ciphertext;
}

POSTROAD_DECL std::string_view mbedtls_engine::output() const {
    if (sent_ == sending_.size()) {
        sending_.clear();
        sending_.swap(pending_);
        sent_ = 0;
    }
    return std::string_view(sending_).substr(sent_);
}

POSTROAD_DECL void mbedtls_engine::consumed(std::size_t n) noexcept {
    assert(n <= sending_.size() - sent_);
    sent_ += n;
}

POSTROAD_DECL progress mbedtls_engine::handshake() {
    while (state_ == state::handshaking) {
        const int rc = mbedtls_ssl_handshake(&ssl_);
        if (rc == 0) {
            established();
        } else if (rc != MBEDTLS_ERR_SSL_WANT_READ) {
            fail_handshake(rc);
        } else if (!has_input() && !ended_) {
            return progress::want_input;
        }
    }
    return state_ == state::failed ? progress::failed : progress::done;
}

POSTROAD_DECL void mbedtls_engine::established() {
    const auto& parts = *context_->parts_;
    // A full handshake shows a certificate to verify(); what goes on without was begun with a session we kept.
    resumed_ = offered_ && !name_checked_;
    if (const auto* certificate = mbedtls_ssl_get_peer_cert(&ssl_)) certificate_ = detail::text_of(certificate->raw);
    const auto flags = mbedtls_ssl_get_verify_result(&ssl_);
    if (parts.client) {
        verified_ = parts.verify == verification::full && flags == 0 && reasons_.empty() && (name_checked_ || resumed_);
        if (parts.verify == verification::full && !lenient_ && !verified_)
            return fail(errc::tls_certificate, "the certificate of " + expected_ + " was not verified");
        if (!verified_ && reasons_.empty() && parts.verify == verification::full)
            reasons_ = detail::usage_reason(flags);
        if (parts.verify == verification::full && !tlsa_.empty()) check_tlsa();
        if (state_ == state::failed) return;
    } else {
        verified_ = parts.trusted != 0;
    }
    state_ = state::established;
    if (!speaks_1_3()) keep_session(false);
}

// What the CAs say counts no more.
POSTROAD_DECL void mbedtls_engine::check_tlsa() {
    const auto records = usable_tlsa(tlsa_);
    verified_ = false;
    if (records.empty()) {
        reasons_ = "has TLSA records that cannot be used";
        return;
    }
    std::vector<std::string> chain;
    for (const auto* c = mbedtls_ssl_get_peer_cert(&ssl_); c; c = c->next) chain.emplace_back(detail::text_of(c->raw));
    const auto found = check_dane(records, chain, expected_);
    verified_ = found.by != nullptr;
    reasons_ = found.why;
    if (found.by) proof_ = to_string(*found.by);
    if (!verified_) fail(errc::tls_certificate, "certificate of " + expected_ + " " + reasons_);
}

POSTROAD_DECL bool mbedtls_engine::speaks_1_3() const noexcept {
    return std::string_view(mbedtls_ssl_get_version(&ssl_)) == "TLSv1.3";
}

POSTROAD_DECL read_result mbedtls_engine::read(char* to, std::size_t size) {
    assert(state_ != state::handshaking && size > 0);
    bool stands_still = false;
    while (state_ != state::failed && !peer_closed_) {
        const auto used = in_used_;
        const int rc = mbedtls_ssl_read(&ssl_, reinterpret_cast<unsigned char*>(to), size);
        if (rc > 0) {
            heard_ = true;
            return {.state = read_state::data, .size = static_cast<std::size_t>(rc)};
        }
        if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            peer_closed_ = true;
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
        } else if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            keep_session(true);
            stands_still = false;
#endif
        } else if (rc == MBEDTLS_ERR_SSL_WANT_READ) {
            // 3.6 also says so when it took a session ticket in and has not looked at it: only the next call does, and
            // goes on to what is behind it. So it is asked until it says so twice without taking anything.
            if (stands_still && in_used_ == used && !ended_) return {.state = read_state::want_input};
            stands_still = in_used_ == used;
        } else {
            fail_stream(rc);
        }
    }
    return {.state = peer_closed_ ? read_state::closed : read_state::failed};
}

POSTROAD_DECL std::size_t mbedtls_engine::write(std::string_view plaintext) {
    std::size_t taken = 0;
    while (state_ == state::established && taken < plaintext.size() && waiting() < output_limit) {
        const auto rest = plaintext.substr(taken);
        const int rc = mbedtls_ssl_write(&ssl_, reinterpret_cast<const unsigned char*>(rest.data()), rest.size());
        if (rc > 0) taken += static_cast<std::size_t>(rc);
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
        else if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            keep_session(true);
#endif
        else
            fail_stream(rc);
    }
    return taken;
}

POSTROAD_DECL void mbedtls_engine::close() {
    if (state_ != state::established) return;
    mbedtls_ssl_close_notify(&ssl_);
    state_ = state::closing;
}

POSTROAD_DECL void mbedtls_engine::fail(errc code, std::string explanation) {
    state_ = state::failed;
    error_ = code;
    explanation_ = std::move(explanation);
}

POSTROAD_DECL void mbedtls_engine::fail_handshake(int rc) {
    const auto& parts = *context_->parts_;
    const std::string peer = parts.client ? "the server" : "the client";
    if (offered_) context_->parts_->sessions.forget(server_);
    const auto message = detail::last_message_of(ssl_);
    // All bits: verification was not reached.
    const auto flags = mbedtls_ssl_get_verify_result(&ssl_);
    if (parts.client && parts.verify == verification::full && !lenient_ && flags != 0 && flags != 0xffffffffu) {
        if (reasons_.empty()) reasons_ = detail::usage_reason(flags);
        return fail(errc::tls_certificate, "certificate of " + expected_ + " " + reasons_);
    }
    // Said when a chain has more certificates than mbedTLS follows, and where there is no memory.
    if (parts.client && rc == MBEDTLS_ERR_X509_FATAL_ERROR && reasons_.empty() &&
        detail::certificates_of(message.octets, message.tls_1_3).size() > MBEDTLS_X509_MAX_INTERMEDIATE_CA)
        return fail(errc::tls_certificate, "certificate of " + expected_ + " comes with more than " +
                                               std::to_string(MBEDTLS_X509_MAX_INTERMEDIATE_CA) +
                                               " certificates above it; the OpenSSL engine follows more");
    if (const auto why = parts.client ? detail::unreadable_reason(message) : std::string(); !why.empty())
        return fail(errc::tls_certificate, "certificate of " + expected_ + " " + why);
    if (parts.client && detail::is_x509_error(rc))
        return fail(errc::tls_certificate,
                    "certificate of " + expected_ + " cannot be used: " + detail::mbedtls_text(rc));
    if (detail::is_in_the_clear(first_octets_))
        return fail(errc::tls_handshake, peer + ' ' + detail::answer_in_the_clear(first_octets_, how_));
    const bool alert = rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE && message.octets.size() >= 2;
    // Version and suite were agreed on before the server's certificate came.
    const bool ended_by_server = rc == MBEDTLS_ERR_SSL_CONN_EOF || rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE;
    const auto hint = parts.client && name_checked_ && ended_by_server
                          ? detail::client_certificate_hint(parts.own.raw.len != 0)
                          : detail::hint(rc, alert, message.octets);
    if (rc == MBEDTLS_ERR_SSL_CONN_EOF)
        return fail(errc::tls_handshake, peer + " closed the connection during the TLS handshake" + hint);
    // 2.28 puts none together; 3.6 puts together what its buffer holds.
    const bool pieces = rc == MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE || rc == MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
    fail(errc::tls_handshake, "TLS handshake with " + (parts.client ? expected_ : peer) + " failed: " +
                                  (alert    ? detail::alert_text(static_cast<unsigned char>(message.octets[1]))
                                   : pieces ? "it sends a message in pieces, mostly certificates of more than 16 KiB, "
                                              "which this mbedTLS does not put together; the OpenSSL engine does"
                                            : detail::mbedtls_text(rc)) +
                                  hint);
}

POSTROAD_DECL void mbedtls_engine::fail_stream(int rc) {
    if (rc == MBEDTLS_ERR_SSL_CONN_EOF || rc == 0)
        return fail(errc::tls_broken, "the connection ended without close_notify: something may be cut off");
    // In TLS 1.3 a server refuses the client's part of the handshake only here.
    if (context_->parts_->client && !heard_ && rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE && speaks_1_3() &&
        detail::last_message_of(ssl_).octets.size() >= 2)
        return fail(errc::tls_handshake,
                    expected_ + " ended the TLS handshake: " +
                        detail::alert_text(static_cast<unsigned char>(detail::last_message_of(ssl_).octets[1])) +
                        detail::client_certificate_hint(context_->parts_->own.raw.len != 0));
    fail(errc::tls_broken, "TLS broke: " + detail::mbedtls_text(rc));
}

POSTROAD_DECL tls::facts mbedtls_engine::facts() const {
    tls::facts result;
    if (state_ != state::established && state_ != state::closing) return result;
    if (const auto* text = mbedtls_ssl_get_version(&ssl_)) result.version = text;
    if (const auto* text = mbedtls_ssl_get_ciphersuite(&ssl_)) result.cipher = text;
    result.resumed = resumed_;
    result.verified = verified_;
    result.proof = proof_;
    if (!verified_) result.doubt = reasons_;
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    const auto* octets = reinterpret_cast<const unsigned char*>(certificate_.data());
    if (!certificate_.empty() && mbedtls_x509_crt_parse_der(&certificate, octets, certificate_.size()) == 0) {
        result.peer_subject = detail::name_text(certificate.subject);
        result.peer_issuer = detail::name_text(certificate.issuer);
        result.peer_expires = detail::date_text(certificate.valid_to);
    }
    mbedtls_x509_crt_free(&certificate);
    return result;
}

POSTROAD_DECL tls::channel_binding mbedtls_engine::channel_binding() {
    if (state_ != state::established) return {};
#ifdef MBEDTLS_SSL_KEYING_MATERIAL_EXPORT
    // In TLS 1.2 it would need the extended master secret, of which mbedTLS does not tell whether it is in use.
    if (speaks_1_3()) {
        std::string data(32, '\0');
        if (mbedtls_ssl_export_keying_material(&ssl_, reinterpret_cast<unsigned char*>(data.data()), data.size(),
                                               detail::exporter_label.data(), detail::exporter_label.size(), nullptr, 0,
                                               1) == 0)
            return {"tls-exporter", std::move(data)};
    }
#endif
    // The server binds to its own certificate, which is the first of our chain.
    const auto certificate =
        context_->parts_->client ? std::string_view(certificate_) : detail::text_of(context_->parts_->own.raw);
    auto data = detail::end_point_digest(certificate);
    if (data.empty()) return {};
    return {"tls-server-end-point", std::move(data)};
}

}  // namespace postroad::tls

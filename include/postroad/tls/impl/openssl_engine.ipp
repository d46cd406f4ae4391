#pragma once

#include <postroad/tls/dane.hpp>
#include <postroad/tls/detail/material.hpp>
#include <postroad/tls/impl/openssl_certificate.ipp>
#include <postroad/tls/impl/openssl_context.ipp>
#include <postroad/tls/openssl_engine.hpp>

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

namespace postroad::tls {

namespace detail {

// Of TLS 1.2: none that a stolen key gives away afterwards. Level 2 sees to the sizes of keys.
inline constexpr const char* strong_suites =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:!aNULL:!eNULL:!PSK:!SRP:!DSS:!AESCCM8";

}  // namespace detail

inline openssl_engine::openssl_engine(std::shared_ptr<const openssl_context> context, const endpoint& peer)
    : context_(std::move(context)),
      expected_(peer.name),
      lenient_(peer.security == security::opportunistic || !peer.tlsa.empty()),
      how_(peer.security),
      tlsa_(peer.tlsa) {
    const auto& parts = *context_->parts_;
    if (!parts.server_name.empty()) expected_ = parts.server_name;
    if (expected_.ends_with('.')) expected_.pop_back();
    server_ = expected_ + " at " + to_string(peer);
    ERR_clear_error();
    if (!setup()) fail(errc::tls_configuration, "TLS cannot be set up: " + detail::openssl_text());
}

inline openssl_engine::~openssl_engine() { SSL_free(ssl_); }

inline bool openssl_engine::setup() {
    const auto& parts = *context_->parts_;
    ssl_ = SSL_new(parts.context);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    if (!ssl_ || !in_ || !out_) {
        BIO_free(in_);
        BIO_free(out_);
        in_ = out_ = nullptr;
        return false;
    }
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_app_data(ssl_, this);
    if (!parts.client) {
        SSL_set_accept_state(ssl_);
        return true;
    }
    SSL_set_connect_state(ssl_);
    const bool address = !address_octets(expected_).empty();
    const bool named = is_host_name(expected_) && !address;
    if (!named && !address && parts.verify == verification::full && !lenient_) {
        fail(errc::tls_configuration, detail::no_certificate_name(expected_));
        return true;
    }
    // SNI carries no address (RFC 6066 section 3).
    if (named && SSL_set_tlsext_host_name(ssl_, expected_.c_str()) != 1) return false;
    // Where it is that or the clear, weak is better (RFC 7435).
    if (!lenient_ || !tlsa_.empty()) {
        if (SSL_set_cipher_list(ssl_, detail::strong_suites) != 1) return false;
        SSL_set_security_level(ssl_, std::max(2, SSL_get_security_level(ssl_)));
    }
    if (parts.verify == verification::insecure_none) return true;
    SSL_set_tlsext_status_type(ssl_, TLSEXT_STATUSTYPE_ocsp);
    // Without SSL_VERIFY_PEER what verify() says is noted, and the handshake goes on.
    if (lenient_) SSL_set_verify(ssl_, SSL_VERIFY_NONE, nullptr);
    // A session knows no records: each connection shows its certificates.
    if (tlsa_.empty()) offer_session();
    return true;
}

// Within the same context only, so under the same CAs, pins and certificate of ours.
inline void openssl_engine::offer_session() {
    auto& parts = *context_->parts_;
    if (parts.resume == resumption::never) return;
    auto kept = parts.sessions.take(server_, detail::wall_clock());
    if (!kept) return;
    const auto text = kept->state.reveal();
    const auto* octets = reinterpret_cast<const unsigned char*>(text.data());
    auto* session = d2i_SSL_SESSION(nullptr, &octets, static_cast<long>(text.size()));
    offered_ = session && SSL_set_session(ssl_, session) == 1;
    SSL_SESSION_free(session);
    ERR_clear_error();
    if (!offered_) return;
    certificate_ = std::move(kept->certificate);
    offered_until_ = kept->valid_until;
}

inline int openssl_engine::session_made(SSL* ssl, SSL_SESSION* session) {
    try {
        static_cast<openssl_engine*>(SSL_get_app_data(ssl))->keep_session(session);
    } catch (const std::bad_alloc&) {
        return 0;  // without it the next connection shakes hands in full
    }
    return 0;  // no reference is kept
}

inline void openssl_engine::keep_session(SSL_SESSION* session) {
    auto& parts = *context_->parts_;
    const bool resumed = offered_ && SSL_session_reused(ssl_);
    if (parts.verify != verification::full || !tlsa_.empty() || !(chain_good_ || resumed)) return;
    const int size = i2d_SSL_SESSION(session, nullptr);
    if (size <= 0) return;
    std::string text(static_cast<std::size_t>(size), '\0');
    auto* octets = reinterpret_cast<unsigned char*>(text.data());
    i2d_SSL_SESSION(session, &octets);
    parts.sessions.put(server_, {secret(std::move(text)), certificate_, SSL_version(ssl_) >= TLS1_3_VERSION,
                                 resumed ? offered_until_ : valid_until_});
}

inline openssl_engine& openssl_engine::of(X509_STORE_CTX* chain) {
    auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
    return *static_cast<openssl_engine*>(SSL_get_app_data(ssl));
}

inline int openssl_engine::verify(X509_STORE_CTX* chain, void*) {
    auto& e = of(chain);
    if (e.context_->parts_->verify == verification::insecure_none) return 1;
    try {
        e.chain_good_ = e.chain_is_good(chain);
        return e.chain_good_ ? 1 : 0;
    } catch (const std::bad_alloc&) {
        X509_STORE_CTX_set_error(chain, X509_V_ERR_OUT_OF_MEM);
        return 0;
    }
}

// Goes on after each objection, so that all of them are told.
inline int openssl_engine::collect(int good, X509_STORE_CTX* chain) {
    if (good) return 1;
    if (X509_STORE_CTX_get_error(chain) == X509_V_ERR_UNABLE_TO_GET_CRL && !detail::has_crl(chain)) {
        X509_STORE_CTX_set_error(chain, X509_V_OK);
        return 1;
    }
    try {
        of(chain).problems_.emplace_back(X509_STORE_CTX_get_error_depth(chain), X509_STORE_CTX_get_error(chain));
        return 1;
    } catch (const std::bad_alloc&) {
        return 0;
    }
}

// The server may bring what its CA says of its certificate today (RFC 6066 section 8). It need not, and whoever has
// stolen a key would not; so what says nothing, or cannot be read, is as good as none.
inline int openssl_engine::status_came(SSL* ssl, void*) {
    auto& e = *static_cast<openssl_engine*>(SSL_get_app_data(ssl));
    const unsigned char* octets = nullptr;
    const auto size = SSL_get_tlsext_status_ocsp_resp(ssl, &octets);
    auto* chain = SSL_get0_verified_chain(ssl);
    if (!octets || size <= 0 || sk_X509_num(chain) < 2) return 1;
    try {
        const bool bad = detail::says_revoked({reinterpret_cast<const char*>(octets), static_cast<std::size_t>(size)},
                                              sk_X509_value(chain, 0), sk_X509_value(chain, 1), chain,
                                              SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)));
        ERR_clear_error();
        if (!bad) return 1;
        e.reasons_ += (e.reasons_.empty() ? "" : "; ") + std::string(detail::revoked);
        e.chain_good_ = false;
        return e.lenient_ ? 1 : 0;
    } catch (const std::bad_alloc&) {
        return -1;
    }
}

inline bool openssl_engine::chain_is_good(X509_STORE_CTX* chain) {
    const auto& wanted = context_->parts_->pins;
    auto* own = X509_STORE_CTX_get0_cert(chain);
    certificate_ = detail::der_of(own);
    X509_STORE_CTX_set_verify_cb(chain, &collect);
    const bool verified = X509_verify_cert(chain) == 1 && problems_.empty();

    const auto* all = X509_STORE_CTX_get0_chain(chain);
    valid_until_ = detail::valid_until(all);
    // One reason may stand for several errors of OpenSSL; dates come before trust.
    const auto reasons_at = [&](int depth, X509* certificate) {
        std::vector<std::string> reasons;
        for (const bool untrusted : {false, true})
            for (const auto& [at, error] : problems_) {
                if (at != depth || detail::means_untrusted(error) != untrusted) continue;
                auto text = detail::reason(certificate, error);
                if (std::find(reasons.begin(), reasons.end(), text) == reasons.end())
                    reasons.push_back(std::move(text));
            }
        return reasons;
    };
    auto reasons = reasons_at(0, own);
    const auto names = detail::names_of(own);
    // OpenSSL does not ask whether a wildcard reaches into what a CA may not speak for; and this says more.
    for (int depth = 1; depth < sk_X509_num(all); ++depth)
        if (const auto why = detail::constraint_reason(sk_X509_value(all, depth), names, expected_); !why.empty()) {
            std::erase(reasons, detail::beyond_constraints);
            reasons.push_back("comes with a CA that " + why);
        }
    if (!names_match(names, expected_)) reasons.insert(reasons.begin(), names_reason(names, expected_));
    if (!wanted.empty()) {
        const auto presented = detail::pins_of(all);
        if (!detail::any_pinned(wanted, presented)) reasons.push_back(detail::pin_reason(wanted, presented));
    }
    reasons_ = detail::joined(reasons, ", and ");
    for (int depth = 1; depth < sk_X509_num(all); ++depth) {
        auto* ca = sk_X509_value(all, depth);
        if (const auto text = detail::joined(reasons_at(depth, ca), ", and "); !text.empty())
            reasons_ += (reasons_.empty() ? "" : "; ") +
                        ("comes with a CA \"" + detail::name_text(X509_get_subject_name(ca)) + "\" that " + text);
    }
    if (!verified && reasons_.empty()) reasons_ = detail::reason(own, X509_STORE_CTX_get_error(chain));
    if (reasons_.empty()) return true;
    // It chooses the alert that the server sees.
    X509_STORE_CTX_set_error(chain, problems_.empty() ? X509_V_ERR_HOSTNAME_MISMATCH : problems_.front().second);
    return false;
}

inline void openssl_engine::received(std::string_view ciphertext) {
    if (state_ == state::failed || peer_closed_ || ciphertext.empty()) return;
    if (BIO_ctrl_pending(in_) + ciphertext.size() > input_limit)
        return fail(errc::tls_broken, "more than " + std::to_string(input_limit) + " octets wait to be decrypted");
    if (first_octets_.size() < 40) first_octets_ += ciphertext.substr(0, 40 - first_octets_.size());
    if (BIO_write(in_, ciphertext.data(), static_cast<int>(ciphertext.size())) != static_cast<int>(ciphertext.size()))
        fail(errc::tls_broken, "no memory for what was received");
}

inline void openssl_engine::end_of_stream() noexcept {
    ended_ = true;
    if (in_) BIO_set_mem_eof_return(in_, 0);
}

inline std::string_view openssl_engine::output() const {
    if (sent_ == sending_.size() && out_) {
        sending_.resize(BIO_ctrl_pending(out_));
        sent_ = 0;
        if (!sending_.empty()) BIO_read(out_, sending_.data(), static_cast<int>(sending_.size()));
    }
    return std::string_view(sending_).substr(sent_);
}

inline void openssl_engine::consumed(std::size_t n) noexcept {
    assert(n <= sending_.size() - sent_);
    sent_ += n;
}

inline std::size_t openssl_engine::waiting() const noexcept { return sending_.size() - sent_ + BIO_ctrl_pending(out_); }

inline progress openssl_engine::handshake() {
    if (state_ == state::handshaking) {
        ERR_clear_error();
        const int rc = SSL_do_handshake(ssl_);
        if (rc == 1) {
            established();
        } else if (const int why = SSL_get_error(ssl_, rc); why == SSL_ERROR_WANT_READ && !ended_) {
            return progress::want_input;
        } else {
            fail_handshake(why);
        }
    }
    return state_ == state::failed ? progress::failed : progress::done;
}

inline void openssl_engine::established() {
    const auto& parts = *context_->parts_;
    state_ = state::established;
    resumed_ = SSL_session_reused(ssl_) == 1;
    if (!parts.client) {
        verified_ = parts.trusted != 0;
        if (auto* certificate = SSL_get0_peer_certificate(ssl_)) certificate_ = detail::der_of(certificate);
        return;
    }
    if (auto* certificate = SSL_get0_peer_certificate(ssl_)) certificate_ = detail::der_of(certificate);
    if (parts.verify == verification::insecure_none) return;
    verified_ = SSL_get_verify_result(ssl_) == X509_V_OK && reasons_.empty() && (chain_good_ || (offered_ && resumed_));
    if (!lenient_ && !verified_) fail(errc::tls_certificate, "the certificate of " + expected_ + " was not verified");
    if (!tlsa_.empty()) check_tlsa();
}

// What the CAs say counts no more.
inline void openssl_engine::check_tlsa() {
    const auto records = usable_tlsa(tlsa_);
    verified_ = false;
    if (records.empty()) {
        reasons_ = "has TLSA records that cannot be used";
        return;
    }
    std::vector<std::string> chain;
    const auto* all = SSL_get_peer_cert_chain(ssl_);
    chain.reserve(static_cast<std::size_t>(std::max(sk_X509_num(all), 0)));
    for (int i = 0; i < sk_X509_num(all); ++i) chain.push_back(detail::der_of(sk_X509_value(all, i)));
    const auto found = check_dane(records, chain, expected_);
    verified_ = found.by != nullptr;
    reasons_ = found.why;
    if (found.by) proof_ = to_string(*found.by);
    if (!verified_) fail(errc::tls_certificate, "certificate of " + expected_ + " " + reasons_);
}

inline read_result openssl_engine::read(char* to, std::size_t size) {
    assert(state_ != state::handshaking && size > 0);
    if (state_ != state::failed && !peer_closed_) {
        ERR_clear_error();
        std::size_t got = 0;
        const int rc = SSL_read_ex(ssl_, to, size, &got);
        if (rc == 1) {
            heard_ = true;
            return {.state = read_state::data, .size = got};
        }
        const int why = SSL_get_error(ssl_, rc);
        if (why == SSL_ERROR_WANT_READ && !ended_) return {.state = read_state::want_input};
        if (why == SSL_ERROR_ZERO_RETURN)
            peer_closed_ = true;
        else
            fail_stream(why);
    }
    return {.state = peer_closed_ ? read_state::closed : read_state::failed};
}

inline std::size_t openssl_engine::write(std::string_view plaintext) {
    std::size_t taken = 0;
    while (state_ == state::established && taken < plaintext.size() && waiting() < output_limit) {
        const auto rest = plaintext.substr(taken);
        ERR_clear_error();
        std::size_t put = 0;
        const int rc = SSL_write_ex(ssl_, rest.data(), rest.size(), &put);
        if (rc == 1)
            taken += put;
        else
            fail_stream(SSL_get_error(ssl_, rc));
    }
    return taken;
}

inline void openssl_engine::close() {
    if (state_ != state::established) return;
    ERR_clear_error();
    SSL_shutdown(ssl_);
    state_ = state::closing;
}

inline void openssl_engine::fail(errc code, std::string explanation) {
    state_ = state::failed;
    error_ = code;
    explanation_ = std::move(explanation);
}

inline void openssl_engine::fail_handshake(int why) {
    const auto& parts = *context_->parts_;
    const std::string peer = parts.client ? "the server" : "the client";
    if (offered_) context_->parts_->sessions.forget(server_);
    if (parts.client && parts.verify == verification::full && !lenient_ && !reasons_.empty())
        return fail(errc::tls_certificate, "certificate of " + expected_ + " " + reasons_);
    if (detail::is_in_the_clear(first_octets_))
        return fail(errc::tls_handshake, peer + ' ' + detail::answer_in_the_clear(first_octets_, how_));
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    const bool hung_up = ended_ && (why != SSL_ERROR_SSL || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING);
    const bool alert = why == SSL_ERROR_SSL && reason >= SSL_AD_REASON_OFFSET;
    // Version and suite were agreed on before the server's certificate came.
    const auto hint = parts.client && !offered_ && !certificate_.empty() && (hung_up || alert)
                          ? detail::client_certificate_hint(SSL_get_certificate(ssl_) != nullptr)
                      : reason == SSL_R_UNSUPPORTED_PROTOCOL ? std::string(detail::older_version_hint)
                                                             : std::string();
    if (hung_up) return fail(errc::tls_handshake, peer + " closed the connection during the TLS handshake" + hint);
    const auto what = alert ? detail::alert_text(reason - SSL_AD_REASON_OFFSET) : detail::openssl_text();
    ERR_clear_error();
    fail(errc::tls_handshake, "TLS handshake with " + (parts.client ? expected_ : peer) + " failed: " + what + hint);
}

inline void openssl_engine::fail_stream(int why) {
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (ended_ && (why != SSL_ERROR_SSL || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING))
        return fail(errc::tls_broken, "the connection ended without close_notify: something may be cut off");
    const bool alert = why == SSL_ERROR_SSL && reason >= SSL_AD_REASON_OFFSET;
    // In TLS 1.3 a server refuses the client's part of the handshake only here.
    if (context_->parts_->client && !heard_ && alert && SSL_version(ssl_) >= TLS1_3_VERSION)
        return fail(errc::tls_handshake,
                    expected_ + " ended the TLS handshake: " + detail::alert_text(reason - SSL_AD_REASON_OFFSET) +
                        detail::client_certificate_hint(SSL_get_certificate(ssl_) != nullptr));
    fail(errc::tls_broken, "TLS broke: " + detail::openssl_text());
}

inline tls::facts openssl_engine::facts() const {
    tls::facts result;
    if (state_ != state::established && state_ != state::closing) return result;
    result.version = SSL_get_version(ssl_);
    if (const char* text = SSL_get_cipher_name(ssl_)) result.cipher = text;
    result.resumed = resumed_;
    result.verified = verified_;
    result.proof = proof_;
    if (!verified_) result.doubt = reasons_;
    if (const auto certificate = certificate_.empty() ? nullptr : detail::certificate_of(certificate_)) {
        result.peer_subject = detail::name_text(X509_get_subject_name(certificate.get()));
        result.peer_issuer = detail::name_text(X509_get_issuer_name(certificate.get()));
        result.peer_expires = detail::date_text(X509_get0_notAfter(certificate.get()));
    }
    return result;
}

inline tls::channel_binding openssl_engine::channel_binding() {
    if (state_ != state::established) return {};
    if (SSL_version(ssl_) >= TLS1_3_VERSION) {
        std::string data(32, '\0');
        if (SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(data.data()), data.size(),
                                       detail::exporter_label.data(), detail::exporter_label.size(), nullptr, 0,
                                       1) == 1)
            return {"tls-exporter", std::move(data)};
        ERR_clear_error();
    }
    auto data = context_->parts_->client ? detail::end_point_digest(detail::certificate_of(certificate_).get())
                                         : detail::end_point_digest(SSL_get_certificate(ssl_));
    if (data.empty()) return {};
    return {"tls-server-end-point", std::move(data)};
}

}  // namespace postroad::tls

#pragma once
// TLS over OpenSSL 3, as a model of the engine concept. See docs/tls.md. Not among what postroad/postroad.hpp includes:
// needs the component postroad::openssl. Inline in every mode.

#include <postroad/core/endpoint.hpp>
#include <postroad/tls/engine.hpp>
#include <postroad/tls/names.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

static_assert(OPENSSL_VERSION_NUMBER >= 0x30000000L, "postroad: tls/openssl_engine.hpp needs OpenSSL 3.0 or later");

namespace postroad::tls {

/// What connections share: trusted CAs, our certificate, sessions to resume. Any number of engines on any number of
/// threads may use one.
class openssl_context {
public:
    /// For clients. Finds CAs as mbedtls_context does (OpenSSL's own places are not asked) and throws as it does.
    explicit openssl_context(const settings& options);

    /// For servers, as tests need one.
    static std::shared_ptr<const openssl_context> server(const server_settings& options);

    openssl_context(const openssl_context&) = delete;
    openssl_context& operator=(const openssl_context&) = delete;
    ~openssl_context();

    /// CAs in use, and those left out because they could not be read.
    std::size_t trusted() const noexcept;
    std::size_t skipped() const noexcept;
    /// Sessions that wait to be resumed, session_store::limit at most.
    std::size_t resumable() const;

private:
    friend class openssl_engine;
    struct parts;
    explicit openssl_context(std::unique_ptr<parts> p);
    std::unique_ptr<parts> parts_;
};

/// One connection over OpenSSL. Client or server as its context is. Not movable: OpenSSL keeps its address.
///
/// A client verifies inside the handshake, so no plaintext goes to a server that was not verified: the chain, dates,
/// key usage and name constraints by OpenSSL; the name, over the certificate's subjectAltName, and pins by us. Sends
/// SNI for a host name, never for an address; no ALPN; never renegotiates. Belongs to one thread at a time.
class openssl_engine {
public:
    using context_type = openssl_context;

    /// Most octets of ciphertext that may wait for handshake() or read(); one more fails the engine.
    static constexpr std::size_t input_limit = 256 * 1024;
    /// write() takes nothing while this much or more waits in output(), so output() stays below it plus one record.
    static constexpr std::size_t output_limit = 64 * 1024;

    /// `peer` is the server that is meant, a host name or an address literal; the server side ignores it. With
    /// security::opportunistic the certificate is looked at and taken in any case: facts() tells. With endpoint::tlsa
    /// these records decide, not the CAs. Does not throw for a bad name: the handshake then fails and says so.
    explicit openssl_engine(std::shared_ptr<const openssl_context> context, const endpoint& peer = {});
    openssl_engine(const openssl_engine&) = delete;
    openssl_engine& operator=(const openssl_engine&) = delete;
    ~openssl_engine();

    void received(std::string_view ciphertext);
    void end_of_stream() noexcept;
    std::string_view output() const;
    void consumed(std::size_t n) noexcept;
    [[nodiscard]] progress handshake();
    [[nodiscard]] read_result read(char* to, std::size_t size);
    [[nodiscard]] std::size_t write(std::string_view plaintext);
    void close();
    error_code error() const noexcept { return error_; }
    const std::string& explanation() const noexcept { return explanation_; }
    tls::facts facts() const;
    /// "tls-exporter" with TLS 1.3, else "tls-server-end-point".
    tls::channel_binding channel_binding();

private:
    friend class openssl_context;
    enum class state : unsigned char { handshaking, established, closing, failed };

    static openssl_engine& of(X509_STORE_CTX* chain);
    static int verify(X509_STORE_CTX* chain, void*);
    static int collect(int good, X509_STORE_CTX* chain);
    static int status_came(SSL* ssl, void*);
    static int session_made(SSL* ssl, SSL_SESSION* session);

    bool setup();
    void offer_session();
    void keep_session(SSL_SESSION* session);
    bool chain_is_good(X509_STORE_CTX* chain);
    void established();
    void check_tlsa();
    std::size_t waiting() const noexcept;
    void fail(errc code, std::string explanation);
    void fail_handshake(int why);
    void fail_stream(int why);

    std::shared_ptr<const openssl_context> context_;
    std::string expected_;
    std::string server_;  // the key to its sessions
    SSL* ssl_ = nullptr;
    BIO* in_ = nullptr;  // both belong to ssl_
    BIO* out_ = nullptr;
    state state_ = state::handshaking;
    bool lenient_ = false;
    security how_ = security::starttls;  // as the endpoint says it
    std::vector<std::string> tlsa_;
    bool ended_ = false;
    bool peer_closed_ = false;
    bool chain_good_ = false;
    bool offered_ = false;
    bool resumed_ = false;
    bool verified_ = false;
    bool heard_ = false;        // plaintext came
    std::string first_octets_;  // tells a server that talks in the clear from one that breaks TLS
    // What output() showed stays where it is while the socket writes from it.
    mutable std::string sending_;
    mutable std::size_t sent_ = 0;
    error_code error_;
    std::string explanation_;
    std::vector<std::pair<int, int>> problems_;  // depth and X509_V_ERR_... of what OpenSSL objects to
    std::string reasons_;                        // the same and ours, for people
    std::string proof_;                          // the TLSA record that describes the server
    std::string certificate_;                    // of the peer, DER
    // When the first certificate of the chain expires, and of the chain that an offered session comes from.
    std::chrono::sys_seconds valid_until_ = std::chrono::sys_seconds::max();
    std::chrono::sys_seconds offered_until_ = std::chrono::sys_seconds::max();
};

static_assert(engine<openssl_engine>);

}  // namespace postroad::tls

#include <postroad/tls/impl/openssl_engine.ipp>

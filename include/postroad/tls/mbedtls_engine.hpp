#pragma once
// TLS over mbedTLS 2.28 or 3.6, as a model of the engine concept. See docs/tls.md.

#include <postroad/core/endpoint.hpp>
#include <postroad/tls/engine.hpp>
#include <postroad/tls/names.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mbedtls/ssl.h>

namespace postroad::tls {

/// What connections share: trusted CAs, our certificate, random numbers, sessions to resume. Any number of engines on
/// any number of threads may use one.
class mbedtls_context {
public:
    /// For clients. Trusts the CAs that `options` name; else the file that the environment variable SSL_CERT_FILE
    /// names; else the first bundle found at the usual places. A certificate in a bundle that mbedTLS cannot read is
    /// left out and counted, not an error. Reads files. Throws error(errc::tls_configuration) when no CA is left or our
    /// certificate and key cannot be used, error(errc::contradiction) when two sources are given,
    /// error(errc::invalid_option) for a malformed pin.
    explicit mbedtls_context(const settings& options);

    /// For servers, as the test sink needs one.
    static std::shared_ptr<const mbedtls_context> server(const server_settings& options);

    mbedtls_context(const mbedtls_context&) = delete;
    mbedtls_context& operator=(const mbedtls_context&) = delete;
    ~mbedtls_context();

    /// CAs in use, and those left out because they could not be read.
    std::size_t trusted() const noexcept;
    std::size_t skipped() const noexcept;
    /// Sessions that wait to be resumed, session_store::limit at most.
    std::size_t resumable() const;

private:
    friend class mbedtls_engine;
    struct parts;
    explicit mbedtls_context(std::unique_ptr<parts> p);
    std::unique_ptr<parts> parts_;
};

/// One connection over mbedTLS. Client or server as its context is. Not movable: mbedTLS keeps its address.
///
/// A client verifies inside the handshake, so no plaintext goes to a server that was not verified: the chain and the
/// dates by mbedTLS; the name, over the certificate's subjectAltName, name constraints of CAs and pins by us. Sends SNI
/// for a host name, never for an address; no ALPN, since SMTP has no name there; never renegotiates. Needs about 45
/// KiB, and what is in flight. Belongs to one thread at a time.
class mbedtls_engine {
public:
    using context_type = mbedtls_context;

    /// Most octets of ciphertext that may wait for handshake() or read(); one more fails the engine.
    static constexpr std::size_t input_limit = 256 * 1024;
    /// write() takes nothing while this much or more waits in output(), so output() stays below it plus one record.
    static constexpr std::size_t output_limit = 64 * 1024;

    /// `peer` is the server that is meant, a host name or an address literal; the server side ignores it. With
    /// security::opportunistic the certificate is looked at and taken in any case: facts() tells. With endpoint::tlsa
    /// these records decide, not the CAs. Does not throw for a bad name: the handshake then fails and says so.
    explicit mbedtls_engine(std::shared_ptr<const mbedtls_context> context, const endpoint& peer = {});
    mbedtls_engine(const mbedtls_engine&) = delete;
    mbedtls_engine& operator=(const mbedtls_engine&) = delete;
    ~mbedtls_engine();

    void received(std::string_view ciphertext);
    void end_of_stream() noexcept { ended_ = true; }
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
    enum class state : unsigned char { handshaking, established, closing, failed };

    static int send(void* self, const unsigned char* data, std::size_t size);
    static int receive(void* self, unsigned char* to, std::size_t size);
    static int verify(void* self, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags);

    void setup();
    void offer_session();
    void keep_session(bool once);
    bool certificate_is_good(mbedtls_x509_crt& certificate, int depth, std::uint32_t flags);
    void established();
    void check_tlsa();
    bool speaks_1_3() const noexcept;
    bool has_input() const noexcept { return in_used_ < in_.size(); }
    std::size_t waiting() const noexcept { return sending_.size() - sent_ + pending_.size(); }
    void fail(errc code, std::string explanation);
    void fail_handshake(int rc);
    void fail_stream(int rc);

    std::shared_ptr<const mbedtls_context> context_;
    std::string expected_;
    std::string server_;  // the key to its sessions
    mbedtls_ssl_context ssl_;
    state state_ = state::handshaking;
    bool lenient_ = false;
    security how_ = security::starttls;  // as the endpoint says it
    std::vector<std::string> tlsa_;
    bool ended_ = false;
    bool peer_closed_ = false;
    bool name_checked_ = false;
    bool offered_ = false;
    bool resumed_ = false;
    bool verified_ = false;
    bool heard_ = false;  // plaintext came
    std::string in_;
    std::size_t in_used_ = 0;
    std::string first_octets_;  // tells a server that talks in the clear from one that breaks TLS
    // Two buffers: what output() showed stays where it is while the socket writes from it.
    mutable std::string sending_;
    mutable std::string pending_;
    mutable std::size_t sent_ = 0;
    error_code error_;
    std::string explanation_;
    std::string reasons_;  // what verify() found against the certificates, for people
    std::string proof_;    // the TLSA record that describes the server
    // Of the chain, from its top down.
    std::vector<std::string> constraints_;
    std::vector<std::string> pins_;
    std::string certificate_;  // of the peer, DER
    // When the first certificate of the chain expires, and of the chain that an offered session comes from.
    std::chrono::sys_seconds valid_until_ = std::chrono::sys_seconds::max();
    std::chrono::sys_seconds offered_until_ = std::chrono::sys_seconds::max();
};

static_assert(engine<mbedtls_engine>);

}  // namespace postroad::tls

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/tls/impl/mbedtls_engine.ipp>
#endif

#pragma once
// A mail server for tests, in the process that tests: real sockets, real TLS, faults on demand. See docs/testing.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/testing/certificates.hpp>
#include <postroad/testing/server_state.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::testing {

/// Where a sink listens, and who it says it is.
struct listen_options {
    std::uint16_t port = 0;  ///< of 127.0.0.1; 0 takes a free one
    bool ipv6 = false;       ///< on ::1 too, at the same port
    /// Signed by a CA of the sink's own. Only made for a server with TLS.
    certificate_options certificate = {.names = {"localhost"}, .addresses = {"127.0.0.1", "::1"}};
};

/// Listens from construction to stop(), on a thread of its own. Every function may be called on any thread but its own.
class sink {
public:
    /// Throws error: errc::storage_failed for the Maildir, errc::tls_configuration for the certificate, or the system's
    /// code when it cannot listen.
    explicit sink(server_options server = {}, listen_options where = {});
    sink(const sink&) = delete;
    sink& operator=(const sink&) = delete;
    ~sink();

    std::uint16_t port() const noexcept { return port_; }
    /// For a mailer: `smtp://localhost:PORT`, `smtps://` or `smtp+insecure://` as the options say; with the name and
    /// password of `user` if it is one of the server's users. Trust ca_pem().
    std::string url(std::string_view user = {}) const;
    /// The CA that signed the server's certificate; empty without TLS.
    const std::string& ca_pem() const noexcept { return ca_pem_; }
    /// Writes ca_pem() to a file. Throws error(errc::storage_failed).
    void write_ca(const std::string& path) const;

    /// Messages, violations, counts; faults while it runs; wait_for(). Stays usable after stop().
    server_state& state() noexcept { return *state_; }
    std::vector<stored> messages() const { return state_->messages(); }
    std::vector<std::string> violations() const { return state_->violations(); }
    bool wait_for(std::size_t messages, duration timeout) const { return state_->wait_for(messages, timeout); }

    /// Closes all connections at once, as a server does that is restarted. Goes on listening.
    void drop_connections();
    /// Closes all connections and stops listening. Idempotent.
    void stop();

private:
    struct engine_room;

    std::shared_ptr<server_state> state_;
    std::string ca_pem_;
    std::uint16_t port_ = 0;
    std::unique_ptr<engine_room> room_;
};

}  // namespace postroad::testing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/testing/impl/sink.ipp>
#endif

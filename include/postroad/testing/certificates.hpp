#pragma once
// Certificates for tests, made when the test runs: a CA of your own and what it signs. See docs/tls.md.

#include <postroad/core/config.hpp>

#include <string>
#include <vector>

namespace postroad::testing {

/// Whom a certificate is for (extended key usage).
enum class certificate_usage : unsigned char { server, client };

/// What a certificate says. The defaults make one that is valid from 2020 to 2099, for servers.
struct certificate_options {
    std::vector<std::string> names = {};        ///< dNSName of subjectAltName, octets as they are
    std::vector<std::string> addresses = {};    ///< iPAddress, as literals
    std::string common_name = "postroad test";  ///< no "," or "="
    certificate_usage usage = certificate_usage::server;
    std::string not_before = "20200101000000";  ///< YYYYMMDDhhmmss, UTC
    std::string not_after = "20991231235959";   ///< YYYYMMDDhhmmss, UTC
};

/// A certificate and its key, in PEM, of a server or a client.
struct server_identity {
    std::string certificate_pem = {};
    std::string key_pem = {};
};

/// A CA with an elliptic curve key (P-256). Keys are new each time: make one per test run, not per test.
struct authority {
    std::string ca_pem = {};  ///< give it to tls::settings::ca_pem
    std::string key_pem = {};

    /// A CA that signed itself. Throws error(errc::tls_configuration) when mbedTLS fails, as the others do.
    /// With `usages` what it signs is for these only (extended key usage).
    static authority create(const std::string& common_name = "postroad test CA",
                            const std::vector<certificate_usage>& usages = {});

    /// A CA below this one. Servers present its `ca_pem` behind their own certificate. With `permitted` it may speak
    /// for these domains and what is below them only (name constraints, not critical).
    authority intermediate(const std::string& common_name, const std::vector<std::string>& permitted = {},
                           const std::vector<certificate_usage>& usages = {}) const;

    /// A server's or client's certificate, signed by this CA.
    server_identity issue(const certificate_options& options) const;
};

/// A server's certificate that no CA signed.
POSTROAD_DECL server_identity self_signed(const certificate_options& options);

}  // namespace postroad::testing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/testing/impl/certificates.ipp>
#endif

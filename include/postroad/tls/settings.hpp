#pragma once
// What can be chosen about TLS, and what is told of a connection that uses it. See docs/tls.md.

#include <postroad/core/secret.hpp>

#include <string>
#include <vector>

namespace postroad::tls {

/// When TLS starts on a connection.
enum class start : unsigned char {
    immediately,  ///< with the first octet (RFC 8314 section 3)
    by_starttls,  ///< after STARTTLS, before anything of value is sent (RFC 3207)
    if_offered,   ///< after STARTTLS where the server offers it, else not at all (RFC 7435)
    never,        ///< not at all
};

/// What is asked of the server's certificate.
enum class verification : unsigned char {
    full,           ///< a chain to a trusted CA, dates, and the server's name (RFC 9525)
    insecure_none,  ///< nothing: whoever sits on the wire can read and change the mail
};

/// A version of TLS. Older ones are not offered (RFC 8996, RFC 8997).
enum class protocol : unsigned char { tls_1_2, tls_1_3 };

/// Whether a connection may go on with the keys of an earlier one to the same server, without certificates being sent
/// again (RFC 8446 section 2.2, RFC 5077, session ids of RFC 5246).
enum class resumption : unsigned char { allowed, never };

/// What a verified connection needs. The defaults verify against the system's CAs.
struct settings {
    /// A file of PEM certificates to trust instead of the system's.
    std::string ca_file = {};
    /// A folder: every file in it is read as `ca_file` is. One of `ca_file`, `ca_path` and `ca_pem` at most.
    std::string ca_path = {};
    /// PEM certificates to trust instead of the system's, as text.
    std::string ca_pem = {};
    /// Lists of revoked certificates (RFC 5280 section 5) in PEM, of any number of CAs: a file, or text. A certificate
    /// whose CA has one here must not be in it, and the list must be that CA's and not out of date.
    std::string crl_file = {};
    std::string crl_pem = {};
    /// The name to send (SNI) and to verify instead of the endpoint's: for a tunnel or an address.
    std::string server_name = {};
    verification verify = verification::full;
    /// base64(SHA-256(SubjectPublicKeyInfo)), as RFC 7469 section 2.4 has it. When there are any, the server's key or
    /// that of a CA in its chain must be among them, beside everything else that is verified.
    std::vector<std::string> pins = {};
    /// Raise it where TLS 1.2 must not be spoken.
    protocol oldest = protocol::tls_1_2;
    /// Lower it only for a server that cannot bear the newer one.
    protocol newest = protocol::tls_1_3;
    resumption resume = resumption::allowed;

    /// The certificate to show to a server that asks for one, with its chain, in PEM: a file, or text.
    std::string certificate_file = {};
    std::string certificate_pem = {};
    /// Its key in PEM: a file, or text. When neither is given it stands beside the certificate.
    std::string key_file = {};
    secret key_pem = {};
    /// Of an encrypted key.
    secret key_passphrase = {};
};

/// What the server's side needs; for test servers.
struct server_settings {
    std::string certificate_pem = {};  ///< with its chain
    std::string key_pem = {};
    /// CAs of clients' certificates: when given, a client must show one.
    std::string client_ca_pem = {};
    protocol newest = protocol::tls_1_3;
    resumption resume = resumption::allowed;
};

/// Of an established connection, for people: control characters are escaped.
struct facts {
    std::string version = {};       ///< "TLSv1.3"
    std::string cipher = {};        ///< the cipher suite, as the TLS library calls it
    std::string peer_subject = {};  ///< subject of the peer's certificate, empty when it sent none
    std::string peer_issuer = {};
    std::string peer_expires = {};  ///< "2030-01-31"
    bool resumed = false;           ///< with the keys of an earlier, verified connection
    bool verified = false;          ///< the peer is who it was meant to be
    std::string proof = {};         ///< the TLSA record that describes it, where one does: "3 1 1 8755cd52..."
    std::string doubt = {};         ///< why it is not verified, where that was looked at
};

/// What ties an authentication to this connection (RFC 5056).
struct channel_binding {
    std::string name = {};  ///< "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929); empty: there is none
    std::string data = {};  ///< octets
};

}  // namespace postroad::tls

#pragma once
// Two engines that talk to each other in memory, for the tests of this directory.

#include <doctest/doctest.h>

#include <postroad/testing/certificates.hpp>
#include <postroad/tls/policies.hpp>

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <mbedtls/version.h>

#if __has_include(<openssl/ssl.h>) && __has_include(<postroad/tls/openssl.hpp>)
#include <postroad/tls/openssl.hpp>
#define TLS_TEST_OPENSSL
#define ENGINES tls::mbedtls_engine, tls::openssl_engine
#define SIDES mbedtls_alone, mbedtls_to_openssl, openssl_to_mbedtls, openssl_alone
#else
#define ENGINES tls::mbedtls_engine
#define SIDES mbedtls_alone
#endif

namespace postroad::tls {

inline std::ostream& operator<<(std::ostream& out, progress p) {
    return out << (p == progress::done ? "done" : p == progress::want_input ? "want_input" : "failed");
}
inline std::ostream& operator<<(std::ostream& out, const read_result& r) {
    static constexpr const char* names[] = {"data", "want_input", "closed", "failed"};
    return out << names[static_cast<int>(r.state)] << " " << r.size;
}

}  // namespace postroad::tls

namespace tls_test {

using namespace postroad;

// Made once: keys take milliseconds each.
inline const testing::authority& ca() {
    static const auto made = testing::authority::create();
    return made;
}

inline const testing::server_identity& mail_example() {
    static const auto made = ca().issue({.names = {"mail.example.com"}});
    return made;
}

/// Trusts the CA of these tests, unless `options` names another.
template <class Engine>
std::shared_ptr<const typename Engine::context_type> client_context(tls::settings options = {}) {
    if (options.ca_pem.empty() && options.ca_file.empty() && options.ca_path.empty()) options.ca_pem = ca().ca_pem;
    return std::make_shared<typename Engine::context_type>(options);
}

template <class Engine>
std::shared_ptr<const typename Engine::context_type> server_context(const testing::server_identity& id,
                                                                    tls::server_settings options = {}) {
    options.certificate_pem = id.certificate_pem;
    options.key_pem = id.key_pem;
    return Engine::context_type::server(options);
}

/// Whether both sides of a pair of these engines may speak TLS 1.3.
template <class Engine>
constexpr bool has_tls_1_3 = true;
template <>
inline constexpr bool has_tls_1_3<tls::mbedtls_engine> = MBEDTLS_VERSION_MAJOR >= 3;

/// The versions that both engines speak.
template <class Client, class Server = Client>
std::vector<tls::protocol> versions() {
    if (!has_tls_1_3<Client> || !has_tls_1_3<Server>) return {tls::protocol::tls_1_2};
    return {tls::protocol::tls_1_2, tls::protocol::tls_1_3};
}

/// One engine against another.
template <class Client, class Server>
struct sides {
    using client = Client;
    using server = Server;
};
using mbedtls_alone = sides<tls::mbedtls_engine, tls::mbedtls_engine>;
#ifdef TLS_TEST_OPENSSL
using mbedtls_to_openssl = sides<tls::mbedtls_engine, tls::openssl_engine>;
using openssl_to_mbedtls = sides<tls::openssl_engine, tls::mbedtls_engine>;
using openssl_alone = sides<tls::openssl_engine, tls::openssl_engine>;
#endif

/// Moves what `from` wants to send into `to`, `step` octets at a time, and lets `react` see each piece.
template <class From, class To, class React>
void carry(From& from, To& to, std::size_t step, React react) {
    while (!from.output().empty()) {
        const auto piece = from.output().substr(0, step);
        to.received(piece);
        from.consumed(piece.size());
        react();
    }
}

/// All plaintext that waits in `e`; `last` is what ended the reading.
template <class Engine>
std::string read_all(Engine& e, tls::read_result* last = nullptr, std::size_t size = 4096) {
    std::string text, buffer(size, '\0');
    while (true) {
        const auto r = e.read(buffer.data(), buffer.size());
        if (r.state != tls::read_state::data) {
            if (last) *last = r;
            return text;
        }
        text.append(buffer, 0, r.size);
    }
}

template <class Client, class Server = Client>
struct pair {
    using client_contexts = std::shared_ptr<const typename Client::context_type>;
    using server_contexts = std::shared_ptr<const typename Server::context_type>;

    explicit pair(const testing::server_identity& id = mail_example(), const std::string& name = "mail.example.com",
                  client_contexts trusts = client_context<Client>())
        : client(std::move(trusts), {.name = name, .port = 465}), server(server_context<Server>(id)) {}
    pair(client_contexts clients, server_contexts servers,
         const endpoint& to = {.name = "mail.example.com", .port = 465})
        : client(std::move(clients), to), server(std::move(servers)) {}

    /// Runs both handshakes until neither moves. True when both are done.
    bool shake(std::size_t step = std::string::npos) {
        auto c = client.handshake();
        auto s = server.handshake();
        while (!client.output().empty() || !server.output().empty()) {
            carry(client, server, step, [&] { s = server.handshake(); });
            carry(server, client, step, [&] { c = client.handshake(); });
        }
        return c == tls::progress::done && s == tls::progress::done;
    }

    /// Sends a line each way, so that what follows a handshake (tickets, a late refusal) arrives.
    bool talk() {
        static_cast<void>(client.write("NOOP\r\n"));
        carry(client, server, std::string::npos, [] {});
        if (read_all(server) != "NOOP\r\n") {
            carry(server, client, std::string::npos, [] {});
            static_cast<void>(read_all(client));
            return false;
        }
        static_cast<void>(server.write("250 ok\r\n"));
        carry(server, client, std::string::npos, [] {});
        return read_all(client) == "250 ok\r\n";
    }

    Client client;
    Server server;
};

}  // namespace tls_test

#pragma once
// Two engines that talk to each other in memory, for the tests of this directory.

#include <postroad/testing/certificates.hpp>
#include <postroad/tls/policies.hpp>

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>

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

inline std::shared_ptr<const tls::mbedtls_context> client_context(tls::protocol newest = tls::protocol::tls_1_3) {
    return std::make_shared<tls::mbedtls_context>(tls::settings{.ca_pem = ca().ca_pem, .newest = newest});
}

inline std::shared_ptr<const tls::mbedtls_context> server_context(const testing::server_identity& id,
                                                                  tls::protocol newest = tls::protocol::tls_1_3) {
    return tls::mbedtls_context::server(id.certificate_pem, id.key_pem, newest);
}

/// Moves what `from` wants to send into `to`, `step` octets at a time, and lets `react` see each piece.
template <class React>
void carry(tls::mbedtls_engine& from, tls::mbedtls_engine& to, std::size_t step, React react) {
    while (!from.output().empty()) {
        const auto piece = from.output().substr(0, step);
        to.received(piece);
        from.consumed(piece.size());
        react();
    }
}

struct pair {
    explicit pair(const testing::server_identity& id = mail_example(), const std::string& name = "mail.example.com",
                  std::shared_ptr<const tls::mbedtls_context> trusts = client_context(),
                  tls::protocol server_newest = tls::protocol::tls_1_3)
        : client(std::move(trusts), name), server(server_context(id, server_newest), "") {}
    pair(std::shared_ptr<const tls::mbedtls_context> clients, std::shared_ptr<const tls::mbedtls_context> servers)
        : client(std::move(clients), "mail.example.com"), server(std::move(servers), "") {}

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

    tls::mbedtls_engine client, server;
};

/// All plaintext that waits in `e`; `last` is what ended the reading.
inline std::string read_all(tls::mbedtls_engine& e, tls::read_result* last = nullptr, std::size_t size = 4096) {
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

}  // namespace tls_test

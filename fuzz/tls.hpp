#pragma once
// What a server can send, into a client engine. The first octet chooses: below 128 the rest is the server's stream as
// it is, cut into pieces of that size; else a real server answers and the rest changes octets of what it sends.
#include <postroad/core/endpoint.hpp>
#include <postroad/testing/certificates.hpp>
#include <postroad/tls/engine.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace fuzz {

using namespace postroad;

template <class Engine>
struct fixture {
    testing::authority ca = testing::authority::create();
    testing::server_identity id = ca.issue({.names = {"mail.example.com"}});
    std::shared_ptr<const typename Engine::context_type> client =
        std::make_shared<typename Engine::context_type>(tls::settings{.ca_pem = ca.ca_pem});
    std::shared_ptr<const typename Engine::context_type> server =
        Engine::context_type::server({.certificate_pem = id.certificate_pem, .key_pem = id.key_pem});
};

inline void require(bool holds) {
    if (!holds) std::abort();
}

/// Goes on as far as the input allows, and checks what must hold of the engine after each step.
template <class Engine>
void use(Engine& client, std::string_view expected) {
    const auto p = client.handshake();
    require((p == tls::progress::failed) == static_cast<bool>(client.error()));
    require(client.explanation().empty() == !client.error());
    if (p != tls::progress::done) return;
    char text[300];
    while (true) {
        const auto r = client.read(text, sizeof text);
        if (r.state != tls::read_state::data) break;
        require(r.size > 0 && expected.find(std::string_view(text, r.size)) != expected.npos);
    }
    static_cast<void>(client.write("NOOP\r\n"));
    static_cast<void>(client.facts());
    static_cast<void>(client.channel_binding());
}

template <class Engine>
void raw(const fixture<Engine>& f, std::string_view stream, std::size_t step) {
    Engine client(f.client, {.name = "mail.example.com"});
    static_cast<void>(client.handshake());
    while (!stream.empty()) {
        const auto piece = stream.substr(0, step);
        stream.remove_prefix(piece.size());
        client.received(piece);
        use(client, {});
    }
    client.end_of_stream();
    use(client, {});
    // no octets without the server's key make a verified connection
    require(static_cast<bool>(client.error()));
}

template <class Engine>
void changed(const fixture<Engine>& f, std::string_view changes) {
    static constexpr std::string_view greeting = "220 mail.example.com ESMTP ready when you are\r\n";
    Engine client(f.client, {.name = "mail.example.com"}), server(f.server);
    bool greeted = false;
    static_cast<void>(client.handshake());
    while (!client.output().empty() || !server.output().empty()) {
        server.received(client.output());
        client.consumed(client.output().size());
        if (server.handshake() == tls::progress::done && !greeted) greeted = server.write(greeting) > 0;
        std::string octets(server.output());
        server.consumed(octets.size());
        if (changes.size() >= 3 && !octets.empty()) {
            const auto at = static_cast<std::size_t>(static_cast<unsigned char>(changes[0]) << 8 |
                                                     static_cast<unsigned char>(changes[1])) %
                            octets.size();
            octets[at] = static_cast<char>(octets[at] ^ changes[2]);
            changes.remove_prefix(3);
        }
        if (octets.empty()) break;
        client.received(octets);
        use(client, greeting);
    }
}

template <class Engine>
int run(const std::uint8_t* data, std::size_t size) {
    static const fixture<Engine> f;
    if (size == 0) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] < 128)
        raw(f, rest, data[0] + 1u);
    else
        changed(f, rest);
    return 0;
}

}  // namespace fuzz

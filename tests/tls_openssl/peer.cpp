// A client for check.py: talks through an engine to `openssl s_server -rev`, which sends each line back reversed.
//   peer PORT NAME CA_FILE [1.2] [twice]   prints "ok VERSION" (and "resumed") or "CODE: explanation"
//   peer version                           prints the version of mbedTLS
#include <postroad/tls/policies.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <arpa/inet.h>
#include <mbedtls/version.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

namespace tls = postroad::tls;

struct connection {
    tls::mbedtls_engine& engine;
    int socket;

    void flush() {
        while (!engine.output().empty()) {
            const auto octets = engine.output();
            const auto n = ::send(socket, octets.data(), octets.size(), MSG_NOSIGNAL);
            if (n <= 0) return;
            engine.consumed(static_cast<std::size_t>(n));
        }
    }
    void fill() {
        char octets[8192];
        const auto n = ::recv(socket, octets, sizeof octets, 0);
        if (n > 0)
            engine.received({octets, static_cast<std::size_t>(n)});
        else
            engine.end_of_stream();
    }
    bool handshake() {
        while (true) {
            const auto p = engine.handshake();
            flush();
            if (p != tls::progress::want_input) return p == tls::progress::done;
            fill();
        }
    }
    /// False when the stream ended or failed.
    bool read(std::string& text, std::size_t size) {
        while (text.size() < size) {
            char octets[5000];
            const auto r = engine.read(octets, sizeof octets);
            flush();
            if (r.state == tls::read_state::data)
                text.append(octets, r.size);
            else if (r.state == tls::read_state::want_input)
                fill();
            else
                return false;
        }
        return true;
    }
    bool write(std::string_view text) {
        while (!text.empty()) {
            const auto n = engine.write(text);
            if (n == 0 && engine.error()) return false;
            text.remove_prefix(n);
            flush();
        }
        return true;
    }
};

bool converse(connection& c) {
    if (!c.handshake()) return false;
    for (int i = 0; i < 200; ++i) {
        std::string line(static_cast<std::size_t>(1 + i * 37 % 3000), 'a');
        for (std::size_t k = 0; k < line.size(); ++k) line[k] = static_cast<char>('a' + k % 26);
        std::string expected(line.rbegin(), line.rend()), got;
        if (!c.write(line + "\n") || !c.read(got, line.size() + 1)) return false;
        if (got != expected + "\n") {
            std::printf("the text came back changed\n");
            std::exit(1);
        }
    }
    c.engine.close();
    c.flush();
    return true;
}

int run(const std::shared_ptr<const tls::mbedtls_context>& context, const char* port, const char* name) {
    tls::mbedtls_engine engine(context, {.name = name});
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection c{engine, ::socket(AF_INET, SOCK_STREAM, 0)};
    if (::connect(c.socket, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return 2;
    const bool good = converse(c);
    if (good)
        std::printf("ok %s%s\n", engine.facts().version.c_str(), engine.facts().resumed ? " resumed" : "");
    else
        std::printf("%s: %s\n", engine.error().message().c_str(), engine.explanation().c_str());
    ::close(c.socket);
    return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::printf("%s\n", MBEDTLS_VERSION_STRING);
        return 0;
    }
    const auto given = [&](std::string_view word) {
        return std::any_of(argv + 4, argv + argc, [&](const char* a) { return a == word; });
    };
    try {
        const auto context = std::make_shared<tls::mbedtls_context>(tls::settings{
            .ca_file = argv[3], .newest = given("1.2") ? tls::protocol::tls_1_2 : tls::protocol::tls_1_3});
        const int rc = run(context, argv[1], argv[2]);
        return rc == 0 && given("twice") ? run(context, argv[1], argv[2]) : rc;
    } catch (const postroad::error& e) {
        std::printf("%s: %s\n", e.code().message().c_str(), e.what());
        return 1;
    }
}

#include <doctest/doctest.h>
#include <postroad/testing/sink.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

using namespace postroad;
using namespace std::chrono_literals;
using testing::fault;
using testing::sink;

namespace {

// As plain as a client can be: none of our code carries its octets.
class client {
public:
    explicit client(std::uint16_t port, bool ipv6 = false) : fd_(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0)) {
        const ::timeval patience{.tv_sec = 60, .tv_usec = 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (ipv6) {
            ::sockaddr_in6 to{};
            to.sin6_family = AF_INET6;
            to.sin6_port = htons(port);
            to.sin6_addr = in6addr_loopback;
            connected_ = ::connect(fd_, reinterpret_cast<const ::sockaddr*>(&to), sizeof to) == 0;
        } else {
            ::sockaddr_in to{};
            to.sin_family = AF_INET;
            to.sin_port = htons(port);
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            connected_ = ::connect(fd_, reinterpret_cast<const ::sockaddr*>(&to), sizeof to) == 0;
        }
    }
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    ~client() { ::close(fd_); }

    bool connected() const { return connected_; }
    void send(std::string_view octets) { (void)::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL); }
    // Up to and with `end`, or what came before the connection ended.
    std::string read_until(std::string_view end) {
        while (buffer_.find(end) == std::string::npos) {
            char octets[4096];
            const auto n = ::recv(fd_, octets, sizeof octets, 0);
            if (n <= 0) return std::exchange(buffer_, {});
            buffer_.append(octets, static_cast<std::size_t>(n));
        }
        const auto size = buffer_.find(end) + end.size();
        auto text = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return text;
    }
    std::string say(std::string_view line) {
        send(std::string(line) + "\r\n");
        return read_until("\r\n");
    }
    std::string hello() {
        read_until("\r\n");
        send("EHLO c.example\r\n");
        return read_until("250 DSN\r\n");
    }

private:
    int fd_;
    bool connected_ = false;
    std::string buffer_;
};

const std::string commands = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";

}  // namespace

TEST_CASE("a client on a socket gets its message stored") {
    sink server;
    client c(server.port());
    CHECK(c.hello().find("PIPELINING") != std::string::npos);
    c.send(commands);
    CHECK(c.read_until("354 go ahead\r\n").substr(0, 3) == "250");
    CHECK(c.say("hello\r\n.") == "250 2.0.0 stored 1.1\r\n");
    CHECK(c.say("QUIT").substr(0, 3) == "221");
    CHECK(c.read_until("never") == "");
    CHECK(server.wait_for(1, 0s));
    REQUIRE(server.messages().size() == 1);
    CHECK(server.messages()[0].content == "hello\r\n");
    CHECK(server.violations().empty());
}

TEST_CASE("a sink listens on ::1 at the same port if it is told to") {
    sink server({}, {.ipv6 = true});
    client four(server.port());
    client six(server.port(), true);
    CHECK(four.read_until("\r\n") == "220 sink.example ESMTP\r\n");
    CHECK(six.read_until("\r\n") == "220 sink.example ESMTP\r\n");
}

TEST_CASE("a port that is taken is an error that says so") {
    sink first;
    CHECK_THROWS_WITH_AS(sink({}, {.port = first.port()}), doctest::Contains("the sink cannot listen"), error);
}

TEST_CASE("many clients at a time are served, each in its own turn") {
    sink server({.delay = 1ms});
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&] {
            client c(server.port());
            c.hello();
            for (int i = 0; i < 20; ++i) {
                c.send(commands);
                c.read_until("354 go ahead\r\n");
                c.say("x\r\n.");
            }
        });
    for (auto& t : threads) t.join();
    CHECK(server.state().counts().messages == 160);
    CHECK(server.violations().empty());
}

TEST_CASE("a drop closes the socket, and a stall is the client's to end") {
    sink server({.faults = {fault::drop(phase::greeting), fault::stall(phase::greeting, 2)}});
    client dropped(server.port());
    CHECK(dropped.read_until("\r\n") == "");
    { const client stalled(server.port()); }
    client third(server.port());
    CHECK(third.read_until("\r\n").substr(0, 3) == "220");
}

TEST_CASE("connections can be dropped while the server goes on") {
    sink server;
    client c(server.port());
    c.hello();
    server.drop_connections();
    CHECK(c.read_until("\r\n") == "");
    client next(server.port());
    CHECK(next.read_until("\r\n").substr(0, 3) == "220");
}

TEST_CASE("stop closes everything, can be repeated, and leaves the messages") {
    sink server;
    client c(server.port());
    c.hello();
    c.send(commands);
    c.read_until("354 go ahead\r\n");
    c.say("x\r\n.");
    server.stop();
    server.stop();
    server.drop_connections();
    CHECK(c.read_until("\r\n") == "");
    CHECK_FALSE(client(server.port()).connected());
    CHECK(server.messages().size() == 1);
    CHECK(server.state().counts().connections == 0);
}

TEST_CASE("the URL says how to reach the sink") {
    sink plain;
    CHECK(plain.url() == "smtp+insecure://localhost:" + std::to_string(plain.port()));
    CHECK(plain.ca_pem().empty());
    sink tls({.security = security::starttls, .users = {{"ann@x", "a:/?b"}}});
    CHECK(tls.url() == "smtp://localhost:" + std::to_string(tls.port()));
    CHECK(tls.url("nobody") == tls.url());
    CHECK(tls.url("ann@x") == "smtp://ann%40x:a%3A%2F%3Fb@localhost:" + std::to_string(tls.port()));
    CHECK(sink({.security = security::implicit}).url().starts_with("smtps://localhost:"));
    CHECK(sink({.security = security::opportunistic}).url().starts_with("smtp+opportunistic://localhost:"));
    CHECK(sink({.lmtp = true}).url().starts_with("lmtp+insecure://localhost:"));
    CHECK(sink({.security = security::starttls, .lmtp = true}).url().starts_with("lmtp://localhost:"));
    CHECK(tls.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    CHECK_THROWS_AS(tls.write_ca("/nowhere/ca.pem"), error);
}

TEST_CASE("octets in the clear to a server with implicit TLS end the connection") {
    sink server({.security = security::implicit});
    client c(server.port());
    c.send("EHLO c.example\r\n\r\n\r\n");
    CHECK(c.read_until("220").find("220") == std::string::npos);
    CHECK(server.state().counts().handshakes == 0);
}

#include <doctest/doctest.h>

#include <postroad/core/base64.hpp>
#include <postroad/net/tunnel.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace postroad;
using namespace std::string_literals;
using net::tunnel;
using state = net::tunnel::state;

namespace {

const endpoint mx{.name = "mx.example", .port = 25};
const net::proxy socks{.host = "proxy.example", .port = 1080};
const net::proxy socks_login{.host = "proxy.example", .port = 1080, .user = "ann", .password = secret("hunter2")};
const net::proxy http{.kind = net::proxy_kind::http_connect, .host = "proxy.example", .port = 3128};
const net::proxy http_login{
    .kind = net::proxy_kind::http_connect, .host = "::1", .port = 3128, .user = "ann", .password = secret("hunter2")};

const auto asks_plain = "\5\1\0"s;
const auto asks_login = "\5\2\0\2"s;
const auto login = "\1\3ann\7hunter2"s;
const auto request = "\5\1\0\3\012mx.example\0\x19"s;
const auto granted = "\5\0\0\1\0\0\0\0\0\0"s;

std::string taken(tunnel& t) {
    const std::string out(t.output());
    t.consumed(out.size());
    return out;
}

/// Gives what the proxy says octet by octet; returns what is the server's.
std::string dripped(tunnel& t, std::string_view text) {
    std::string rest;
    for (const char c : text) rest += t.received({&c, 1});
    return rest;
}

/// Talks with a proxy that says each of `answers` when it was asked. What is the server's.
std::string talk(tunnel& t, const std::vector<std::string>& asked, const std::vector<std::string>& answers) {
    std::string rest;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        CHECK(t.now() == state::opening);
        CHECK(taken(t) == asked.at(i));
        rest += t.received(answers[i]);
    }
    return rest;
}

std::string why(const tunnel& t) {
    CHECK(t.now() == state::failed);
    CHECK(t.error() == errc::proxy_failed);
    CHECK(t.error() == condition::transient);
    CHECK(t.output().empty());
    const auto& text = t.explanation();
    const auto at = text.find("opened no way to mx.example:25: ");
    CHECK(at != std::string::npos);
    for (const auto* word : {"hunter2", "ann", "YW5u"}) CHECK(text.find(word) == std::string::npos);
    return text.substr(at + 32);
}

const std::string connect_request = "CONNECT mx.example:25 HTTP/1.1\r\nHost: mx.example:25\r\n";

}  // namespace

TEST_CASE("SOCKS5 hands the name of the server to the proxy") {
    for (const bool drip : {false, true}) {
        CAPTURE(drip);
        tunnel t(socks, mx);
        CHECK(taken(t) == asks_plain);
        CHECK((drip ? dripped(t, "\5\0"s) : std::string(t.received("\5\0"s))) == "");
        CHECK(taken(t) == request);
        CHECK((drip ? dripped(t, granted) : std::string(t.received(granted))) == "");
        CHECK(t.now() == state::open);
        CHECK(t.output().empty());
        CHECK_FALSE(t.error());
    }
}

TEST_CASE("SOCKS5 says user and password only when it is asked for them (RFC 1929)") {
    tunnel asked(socks_login, mx);
    talk(asked, {asks_login, login, request}, {"\5\2"s, "\1\0"s, granted});
    CHECK(asked.now() == state::open);
    tunnel not_asked(socks_login, mx);
    talk(not_asked, {asks_login, request}, {"\5\0"s, granted});
    CHECK(not_asked.now() == state::open);
}

TEST_CASE("SOCKS5 hands addresses on as octets") {
    tunnel four(socks, {.name = "192.0.2.1", .port = 587});
    talk(four, {asks_plain}, {"\5\0"s});
    CHECK(taken(four) == "\5\1\0\1\xc0\0\2\1\2\x4b"s);
    tunnel six(socks, {.name = "2001:db8::1", .port = 65535});
    talk(six, {asks_plain}, {"\5\0"s});
    CHECK(taken(six) == "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff"s);
}

TEST_CASE("the reply of SOCKS5 may hold any kind of address") {
    for (const auto& reply : {"\5\0\0\1\1\2\3\4\5\6"s, "\5\0\0\3\0\5\6"s, "\5\0\0\3\3abc\5\6"s,
                              "\5\0\0\3\xff"s + std::string(257, 'x'), "\5\0\0\4"s + std::string(18, 'x')}) {
        tunnel t(socks, mx);
        CHECK(talk(t, {asks_plain, request}, {"\5\0"s, reply + "220 hello"}) == "220 hello");
        CHECK(t.now() == state::open);
    }
}

TEST_CASE("SOCKS5 that refuses or babbles fails") {
    struct row {
        const net::proxy& through;
        std::vector<std::string> answers;
        std::string why;
    };
    const row rows[] = {
        {socks, {"H"}, "it does not speak SOCKS5"},
        {socks, {"\4\0"s}, "it does not speak SOCKS5"},
        {socks, {"\5\xff"s}, "it wants a user and a password, or another authentication"},
        {socks, {"\5\2"s}, "it wants a user and a password, or another authentication"},
        {socks_login, {"\5\xff"s}, "it takes no user and password"},
        {socks_login, {"\5\1"s}, "it takes no user and password"},
        {socks_login, {"\5\2"s, "\1\1"s}, "it did not accept the user and password"},
        {socks_login, {"\5\2"s, "\1hunter2"s}, "it did not accept the user and password"},
        {socks_login, {"\5\2"s, "\5\0"s}, "it answered what is no SOCKS5 authentication"},
        {socks, {"\5\0"s, "\4\0"s}, "it answered what is no SOCKS5 reply"},
        {socks, {"\5\0"s, "\5\1"s}, "it did not reach the server: 1 (general failure)"},
        {socks, {"\5\0"s, "\5\2"s}, "it did not reach the server: 2 (not allowed by its rules)"},
        {socks, {"\5\0"s, "\5\5\0\1\0\0\0\0\0\0"s}, "it did not reach the server: 5 (connection refused)"},
        {socks, {"\5\0"s, "\5\x08"s}, "it did not reach the server: 8 (address type not supported)"},
        {socks, {"\5\0"s, "\5\x09"s}, "it did not reach the server: 9"},
        {socks, {"\5\0"s, "\5\0\0\2\0"s}, "its reply has an address of an unknown type"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.why);
        tunnel t(r.through, mx);
        for (const auto& a : r.answers) {
            CHECK(t.now() == state::opening);
            taken(t);
            CHECK(t.received(a) == "");
        }
        CHECK(why(t) == r.why);
        CHECK(t.received("more") == "more");
    }
}

TEST_CASE("a proxy that answers before it was asked skips no step") {
    const std::string early = "it answered before it was asked";
    tunnel unasked(socks, mx);
    unasked.received("\5\0"s);
    CHECK(why(unasked) == early);
    tunnel both(socks, mx);
    talk(both, {asks_plain}, {"\5\0"s + granted});
    CHECK(why(both) == early);
    tunnel skipped(socks_login, mx);
    talk(skipped, {asks_login}, {"\5\2\1\0"s});
    CHECK(why(skipped) == early);
    tunnel page(http, mx);
    page.received("HTTP/1.1 200 ok\r\n\r\n");
    CHECK(why(page) == early);
}

TEST_CASE("CONNECT names the server, and authenticates if there is a user") {
    tunnel plain(http, mx);
    CHECK(taken(plain) == connect_request + "\r\n");
    tunnel with_login(http_login, mx);
    CHECK(taken(with_login) ==
          connect_request + "Proxy-Authorization: Basic " + base64_encode("ann:hunter2") + "\r\n\r\n");
    tunnel six(http, {.name = "2001:db8::1", .port = 25});
    CHECK(taken(six) == "CONNECT [2001:db8::1]:25 HTTP/1.1\r\nHost: [2001:db8::1]:25\r\n\r\n");
}

TEST_CASE("CONNECT is open after 2yz, and what follows the answer is the server's") {
    for (const auto* answer : {"HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200\r\n\r\n",
                               "HTTP/1.1 204 \r\nContent-Length: 100\r\nX: y\r\n\r\n", "HTTP/1.1 200 ok\nX: y\n\n",
                               "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ok\r\n\r\n"}) {
        CAPTURE(answer);
        tunnel whole(http, mx);
        CHECK(talk(whole, {connect_request + "\r\n"}, {std::string(answer) + "220 mx\r\n"}) == "220 mx\r\n");
        CHECK(whole.now() == state::open);
        tunnel drip(http, mx);
        taken(drip);
        CHECK(dripped(drip, std::string(answer) + "220 mx\r\n") == "220 mx\r\n");
        CHECK(drip.now() == state::open);
    }
}

TEST_CASE("CONNECT that is refused fails with the code and without the words") {
    struct row {
        const net::proxy& through;
        std::string answer;
        std::string why;
    };
    const row rows[] = {
        {http, "HTTP/1.1 403 Forbidden\r\n\r\n<html>", "it answered 403 to CONNECT"},
        {http, "HTTP/1.1 101 Switching\r\n\r\n", "it answered 101 to CONNECT"},
        {http, "HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n", "it answered 302 to CONNECT"},
        {http, "HTTP/1.1 407 Who?\r\n\r\n", "it wants a user and a password (407)"},
        {http_login, "HTTP/1.1 407 ann:hunter2?\r\n\r\n", "it did not accept the user and password (407)"},
        {http_login, "HTTP/1.1 503 YW5uOmh1bnRlcjI=\r\n\r\n", "it answered 503 to CONNECT"},
        {http, "HTTP/2 200 ok\r\n\r\n", "its answer is not one of HTTP"},
        {http, "HTTP/1.1 2000 ok\r\n\r\n", "its answer is not one of HTTP"},
        {http, "HTTP/1.1 2x0 ok\r\n\r\n", "its answer is not one of HTTP"},
        {http, "HTTP/1.1 20\r\n\r\n", "its answer is not one of HTTP"},
        {http, "220 mx.example ESMTP\r\n\r\n", "its answer is not one of HTTP"},
        {http, "\r\n\r\n", "its answer is not one of HTTP"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.answer);
        tunnel t(r.through, mx);
        taken(t);
        CHECK(t.received(r.answer) == "");
        CHECK(why(t) == r.why);
    }
}

TEST_CASE("the answer to CONNECT is bounded") {
    const std::string start = "HTTP/1.1 200 ok\r\nX: ";
    const auto answer = [&](std::size_t size) {
        return start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n";
    };
    tunnel fits(http, mx);
    taken(fits);
    CHECK(fits.received(answer(tunnel::max_answer) + "220 mx") == "220 mx");
    CHECK(fits.now() == state::open);
    tunnel drip(http, mx);
    taken(drip);
    dripped(drip, answer(tunnel::max_answer));
    CHECK(drip.now() == state::open);
    for (const bool drips : {false, true}) {
        tunnel over(http, mx);
        taken(over);
        if (drips)
            dripped(over, answer(tunnel::max_answer + 1).substr(0, tunnel::max_answer));
        else
            over.received(answer(tunnel::max_answer + 1));
        CHECK(why(over) == "its answer is longer than 16384 octets");
    }
}

TEST_CASE("a stream that ends before the way is open fails") {
    tunnel t(http, mx);
    t.closed("it closed the connection");
    CHECK(why(t) == "it closed the connection");
    t.closed("again");
    CHECK(why(t) == "it closed the connection");
    tunnel open(socks, mx);
    talk(open, {asks_plain, request}, {"\5\0"s, granted});
    open.closed("it closed the connection");
    CHECK(open.now() == state::open);
}

TEST_CASE("a name that would break the line of CONNECT is refused") {
    for (const auto* name : {"", "a b", "mx.example\r\nX: y", "fe80::1%eth0", "mx/", "m\xc3\xbc.example"}) {
        CAPTURE(name);
        for (const auto& p : {socks, http}) CHECK_THROWS_AS(tunnel(p, {.name = name, .port = 25}), error);
    }
    CHECK_THROWS_AS(tunnel(socks, {.name = std::string(256, 'a'), .port = 25}), error);
}

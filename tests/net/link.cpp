#include <postroad/smtp/session.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <functional>
#include <string>

#include "session.hpp"

using namespace net_test;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0 = time_point{} + 1h;
constexpr std::size_t whole = std::string::npos;

tls_link client(session::options o, tls::start when, tls_link::engine_maker make = client_engine()) {
    return {session(std::move(o)), when, std::move(make)};
}
tls_link server(session::options o, tls::start when) { return {session(std::move(o)), when, server_engine()}; }

/// Takes up to `step` octets that `from` wants to write.
std::string next_piece(tls_link& from, std::size_t step) {
    std::array<std::string_view, 4> parts;
    const auto count = from.output(parts, t0);
    std::string piece;
    for (std::size_t i = 0; i < count; ++i) piece += parts[i];
    piece.resize(std::min(step, piece.size()));
    if (!piece.empty()) from.consumed(piece.size(), t0);
    return piece;
}

/// Two links, and everything that went over the wire from the first to the second.
struct wire {
    tls_link a, b;
    std::string seen = {};

    void carry(std::size_t step = whole) {
        for (bool moved = true; moved;) {
            moved = false;
            for (auto piece = next_piece(a, step); !piece.empty(); piece = next_piece(a, step)) {
                seen += piece;
                b.received(piece, t0);
                moved = true;
            }
            for (auto piece = next_piece(b, step); !piece.empty(); piece = next_piece(b, step)) {
                a.received(piece, t0);
                moved = true;
            }
        }
    }
    void start(std::size_t step = whole) {
        a.connected(t0);
        b.connected(t0);
        carry(step);
    }
};

wire established() {
    wire w{client({}, tls::start::immediately), server({}, tls::start::immediately)};
    w.start();
    REQUIRE(w.a.session().events == "started ");
    REQUIRE(w.b.session().events == "started ");
    return w;
}

const std::size_t steps[] = {whole, 1, 2, 7, 1000};

}  // namespace

TEST_CASE("without TLS octets pass as they are") {
    for (const auto step : steps) {
        CAPTURE(step);
        wire w{client({.greeting = "hello\n"}, tls::start::never),
               server({.greeting = "welcome\n"}, tls::start::never)};
        w.start(step);
        CHECK(w.a.session().heard == "welcome\n");
        CHECK(w.b.session().heard == "hello\n");
        CHECK(w.seen == "hello\n");
        CHECK(w.a.engine() == nullptr);
        CHECK(w.a.deadline() == never);
    }
}

TEST_CASE("implicit TLS is established before the session starts") {
    for (const auto step : steps) {
        CAPTURE(step);
        wire w{client({.greeting = "hello\n"}, tls::start::immediately),
               server({.greeting = "welcome\n"}, tls::start::immediately)};
        w.a.connected(t0);
        CHECK(w.a.session().events == "");
        w.b.connected(t0);
        w.carry(step);
        CHECK(w.a.session().events == "started ");
        CHECK(w.b.session().events == "started ");
        CHECK(w.a.session().heard == "welcome\n");
        CHECK(w.b.session().heard == "hello\n");
        CHECK(w.seen.find("hello") == std::string::npos);
        CHECK(w.a.engine() != nullptr);
    }
}

TEST_CASE("TLS starts behind STARTTLS, after the last octet in the clear") {
    for (const auto step : steps) {
        CAPTURE(step);
        wire w{client({.secret = "hello\n", .upgrade = upgrade::asks}, tls::start::by_starttls),
               server({.secret = "welcome\n", .upgrade = upgrade::grants}, tls::start::by_starttls)};
        w.start(step);
        CHECK(w.a.session().events == "started secured ");
        CHECK(w.b.session().events == "started secured ");
        CHECK(w.a.session().heard == "welcome\n");
        CHECK(w.b.session().heard == "hello\n");
        CHECK(w.seen.starts_with("STARTTLS\n"));
        CHECK(w.seen.find("hello") == std::string::npos);
    }
}

TEST_CASE("octets in the clear behind the reply to STARTTLS are an error, whole or later") {
    auto l = client({.secret = "hello\n", .upgrade = upgrade::asks}, tls::start::by_starttls);
    l.connected(t0);
    CHECK(next_piece(l, whole) == "STARTTLS\n");
    SUBCASE("in the same piece") {
        l.received("GO\nMAIL FROM:<eve@evil.example>\n", t0);
        CHECK(l.session().error == errc::tls_injection);
        CHECK(l.engine() == nullptr);
    }
    SUBCASE("in the next piece: it is taken for TLS, and is none") {
        l.received("GO\n", t0);
        l.received("MAIL FROM:<eve@evil.example>\n", t0);
        CHECK(l.session().error == errc::tls_handshake);
    }
    CHECK(l.done());
    CHECK(l.session().heard.find("hello") == std::string::npos);
}

TEST_CASE("a client that does not wait for the reply to STARTTLS is refused") {
    auto l = server({.upgrade = upgrade::grants}, tls::start::by_starttls);
    l.connected(t0);
    l.received("STARTTLS\n", t0);
    CHECK(l.engine() == nullptr);
    l.received("MAIL FROM:<eve@evil.example>\n", t0);
    CHECK(l.session().error == errc::tls_injection);
    CHECK(l.done());
}

TEST_CASE("a stream that ends without close_notify was cut") {
    auto w = established();
    w.a.broken(errc::connection_closed, "the peer closed the socket", t0);
    CHECK(w.a.session().error == errc::tls_broken);
    CHECK(w.a.session().events == "started closed ");
}

TEST_CASE("a stream that ends with close_notify is closed, also when the socket ends behind it") {
    auto w = established();
    w.b.session().say("that is all\n");
    w.b.session().received("BYE\n", t0);
    CHECK(w.b.done());
    w.carry();
    CHECK(w.a.session().heard == "that is all\n");
    CHECK(w.a.session().error == errc::connection_closed);
    w.a.broken(errc::connection_closed, "the peer closed the socket", t0);
    CHECK(w.a.session().events == "started closed ");
}

TEST_CASE("a plain stream that ends is closed with what broke it") {
    auto l = client({}, tls::start::never);
    l.connected(t0);
    SUBCASE("its end") {
        l.broken(errc::connection_closed, "the end", t0);
        CHECK(l.session().error == errc::connection_closed);
    }
    SUBCASE("an error") {
        l.broken(make_error_code(std::errc::connection_reset), "reset", t0);
        CHECK(l.session().error == std::errc::connection_reset);
    }
    CHECK(l.session().events == "started closed ");
    l.broken(errc::timed_out, "again", t0);
    l.received("more", t0);
    CHECK(l.session().events == "started closed ");
    CHECK(l.session().heard == "");
}

TEST_CASE("a connection that breaks while TLS is up passes on what broke it") {
    auto w = established();
    w.a.broken(make_error_code(std::errc::connection_reset), "reset", t0);
    CHECK(w.a.session().error == std::errc::connection_reset);
}

TEST_CASE("what is no TLS fails the handshake, and says so") {
    auto l = client({}, tls::start::immediately);
    l.connected(t0);
    l.received("220 mail.example.com ESMTP\r\n", t0);
    CHECK(l.session().error == errc::tls_handshake);
    CHECK(l.session().explanation != "");
    CHECK(l.session().events == "closed ");
    CHECK(l.done());
}

TEST_CASE("an end within the handshake fails it") {
    auto l = client({}, tls::start::immediately);
    l.connected(t0);
    CHECK(next_piece(l, whole) != "");
    l.broken(errc::connection_closed, "the end", t0);
    CHECK(l.session().error == errc::tls_handshake);
    CHECK(l.session().events == "closed ");
}

TEST_CASE("a certificate that nobody vouches for ends the client, and the server is told") {
    for (const auto step : steps) {
        CAPTURE(step);
        const auto other = testing::authority::create("other CA");
        wire w{client({.greeting = "hello\n"}, tls::start::immediately, client_engine(other.ca_pem)),
               server({.greeting = "welcome\n"}, tls::start::immediately)};
        w.start(step);
        CHECK(w.a.session().error == errc::tls_certificate);
        CHECK(w.a.session().events == "closed ");
        CHECK(w.a.done());
        CHECK(w.b.session().error == condition::tls);
        CHECK(w.b.session().heard == "");
        CHECK(next_piece(w.a, whole) == "");
    }
}

TEST_CASE("a handshake that comes first has to be over in time, and octets do not renew it") {
    // A record that announces 16 KiB of a ServerHello, of which little comes.
    for (const auto drip : {0, 1, 5, 6, 100}) {
        CAPTURE(drip);
        auto l = client({.patience = 1h}, tls::start::immediately);
        CHECK(l.deadline() == never);
        l.open_by(t0 + 30s);
        l.connected(t0);
        for (int i = 0; i < drip; ++i) {
            CHECK(l.deadline() == t0 + 30s);
            l.received(i < 6 ? std::string_view("\x16\x03\x03\x40\x00\x02", 6).substr(static_cast<std::size_t>(i), 1)
                             : std::string_view("\0", 1),
                       t0 + i * 100ms);
        }
        CHECK(l.deadline() == t0 + 30s);
        l.tick(t0 + 30s - 1ns);
        CHECK_FALSE(l.done());
        l.tick(t0 + 30s);
        CHECK(l.session().error == errc::timed_out);
        CHECK(l.deadline() == never);
    }
}

TEST_CASE("the deadline of the handshake ends with it") {
    wire w{client({.patience = 10min}, tls::start::immediately), server({}, tls::start::immediately)};
    w.a.open_by(t0 + 30s);
    w.b.open_by(t0 + 30s);
    w.start();
    CHECK(w.a.deadline() == t0 + 10min);
    CHECK(w.b.deadline() == never);
    w.a.tick(t0 + 30s);
    CHECK_FALSE(w.a.done());
}

TEST_CASE("without TLS from the start the session has its own deadlines from the beginning") {
    auto l = client({.patience = 10min}, tls::start::never);
    l.open_by(t0 + 30s);
    l.connected(t0);
    CHECK(l.deadline() == t0 + 10min);
}

TEST_CASE("a session that awaits a greeting has what is left of the time for getting there") {
    const auto greeting = [](postroad::security how, tls::start when) {
        using smtp_link = net::link<postroad::smtp::session, tls::mbedtls_engine>;
        smtp_link a(postroad::smtp::session({.server = {"mail.example", 587, how}, .client_name = "client.example"}),
                    when, client_engine());
        auto b = server({}, when);
        a.open_by(t0 + 30s);
        a.connected(t0 + 1s);
        b.connected(t0 + 1s);
        std::array<std::string_view, 1> part;
        for (bool moved = true; moved;) {
            moved = false;
            for (auto piece = next_piece(b, whole); !piece.empty(); piece = next_piece(b, whole)) {
                a.received(piece, t0 + 2s);
                moved = true;
            }
            while (a.output(part, t0 + 2s) != 0) {
                const std::string piece(part[0]);
                a.consumed(piece.size(), t0 + 2s);
                b.received(piece, t0 + 2s);
                moved = true;
            }
        }
        CHECK(a.deadline() == t0 + 30s);
        a.tick(t0 + 30s);
        CHECK(a.done());
        const auto e = a.session().poll();
        REQUIRE(e);
        CHECK(std::get<postroad::smtp::closed>(*e).details.where == phase::greeting);
    };
    greeting(security::insecure_none, tls::start::never);
    greeting(security::starttls, tls::start::by_starttls);
    greeting(security::implicit, tls::start::immediately);
}

TEST_CASE("an engine that cannot be made closes the session with the reason") {
    const auto fails = []() -> std::unique_ptr<tls::mbedtls_engine> {
        throw error(errc::tls_configuration, "there is no CA");
    };
    auto l = client({}, tls::start::immediately, fails);
    l.connected(t0);
    CHECK(l.session().error == errc::tls_configuration);
    CHECK(l.session().explanation == "there is no CA");
    CHECK(l.session().events == "closed ");
    CHECK(next_piece(l, whole) == "");
}

TEST_CASE("megabytes pass both ways through TLS, and what waits for the socket is bounded") {
    auto w = established();
    const auto there = pattern(3'000'000), back = pattern(2'000'001);
    w.a.session().say(there);
    std::array<std::string_view, 4> parts;
    REQUIRE(w.a.output(parts, t0) == 1);
    CHECK(parts[0].size() < tls::mbedtls_engine::output_limit + 17'000);
    w.b.session().say(back);
    w.carry(50'000);
    CHECK(w.b.session().heard == there);
    CHECK(w.a.session().heard == back);
}

TEST_CASE("what the peer sends behind the end is not read") {
    auto w = established();
    w.b.session().say("BYE\n");
    w.carry();
    CHECK(w.a.done());
    CHECK(w.a.session().heard == "BYE\n");
    w.a.received("\x17\x03\x03 garbage", t0);
    CHECK(w.a.session().events == "started ");
    CHECK_FALSE(w.a.session().error);
}

TEST_CASE("behind a proxy everything waits until the way is open, however the octets are cut") {
    const net::proxy p{.host = "proxy.example", .port = 1080};
    const std::string asks("\5\1\0", 3), method("\5\0", 2);
    const std::string granted("\5\0\0\1\0\0\0\0\0\0", 10);
    for (const auto step : steps) {
        CAPTURE(step);
        auto l = client({.greeting = "hello\n", .patience = 1h}, tls::start::never);
        l.through(net::tunnel(p, {.name = "mx.example", .port = 25}));
        l.open_by(t0 + 30s);
        CHECK(l.deadline() == t0 + 30s);
        l.connected(t0);
        CHECK(l.session().events == "");
        CHECK(next_piece(l, whole) == asks);
        const auto give = [&](const std::string& text) {
            for (std::size_t at = 0; at < text.size(); at += std::min(step, text.size() - at))
                l.received(std::string_view(text).substr(at, step), t0);
        };
        give(method);
        CHECK(next_piece(l, whole).ends_with(std::string("mx.example\0\x19", 12)));
        CHECK(l.session().events == "");
        give(granted + "welcome\n");
        CHECK(l.session().events == "started ");
        CHECK(l.session().heard == "welcome\n");
        CHECK(next_piece(l, whole) == "hello\n");
        CHECK(l.deadline() == t0 + 1h);
    }
}

TEST_CASE("a proxy that refuses, ends or keeps silent closes the session") {
    const net::proxy p{.kind = net::proxy_kind::http_connect, .host = "proxy.example", .port = 3128};
    struct row {
        std::string what;
        std::function<void(tls_link&)> happens;
        error_code error;
    };
    const auto reset = make_error_code(std::errc::connection_reset);
    const row rows[] = {
        {"refuses", [](tls_link& l) { l.received("HTTP/1.1 403 no\r\n\r\n", t0); }, errc::proxy_failed},
        {"ends", [](tls_link& l) { l.broken(errc::connection_closed, "the end", t0); }, errc::proxy_failed},
        {"breaks", [=](tls_link& l) { l.broken(reset, "proxy reset", t0); }, reset},
        {"keeps silent", [](tls_link& l) { l.tick(t0 + 30s); }, errc::timed_out},
    };
    for (const auto& r : rows)
        for (const auto when : {tls::start::never, tls::start::immediately}) {
            CAPTURE(r.what);
            auto l = client({}, when);
            l.through(net::tunnel(p, {.name = "mx.example", .port = 25}));
            l.open_by(t0 + 30s);
            l.connected(t0);
            next_piece(l, whole);
            l.tick(t0 + 30s - 1ns);
            CHECK_FALSE(l.done());
            r.happens(l);
            CHECK(l.session().error == r.error);
            CHECK(l.session().explanation.find("proxy") != std::string::npos);
            CHECK(l.session().events == "closed ");
            CHECK(next_piece(l, whole) == "");
            CHECK(l.engine() == nullptr);
        }
}

TEST_CASE("a session that wants to know of TLS is told before it goes on") {
    struct curious : session {
        using session::session;
        void channel_binding(std::string name, std::string data) {
            events += "binding ";
            bound = std::move(name) + '=' + std::move(data);
        }
        void tls_facts(const tls::facts& f) {
            events += "facts ";
            version = f.version;
        }
        std::string bound = {}, version = {};
    };
    static_assert(net::wire_session<curious>);
    using curious_link = net::link<curious, tls::mbedtls_engine>;
    for (const auto when : {tls::start::immediately, tls::start::by_starttls}) {
        CAPTURE(static_cast<int>(when));
        curious_link a(curious({.upgrade = when == tls::start::immediately ? upgrade::none : upgrade::asks}), when,
                       client_engine());
        curious_link b(curious({.upgrade = when == tls::start::immediately ? upgrade::none : upgrade::grants}), when,
                       server_engine());
        a.connected(t0);
        b.connected(t0);
        const auto carry = [](curious_link& from, curious_link& to) {
            std::array<std::string_view, 4> parts;
            std::string text;
            for (std::size_t n = from.output(parts, t0); n > 0; n = from.output(parts, t0)) {
                const std::string piece(parts[0]);
                from.consumed(piece.size(), t0);
                text += piece;
            }
            if (!text.empty()) to.received(text, t0);
            return !text.empty();
        };
        for (bool moved = true; moved;) {
            moved = carry(a, b);
            moved = carry(b, a) || moved;
        }
        for (const auto* l : {&a, &b}) {
            const auto& events = l->session().events;
            CHECK(events.find("facts ") != std::string::npos);
            CHECK(events.find("facts ") < events.find(when == tls::start::immediately ? "started " : "secured "));
            CHECK(l->session().version.starts_with("TLS"));
        }
        // The two ends of one connection bind to the same.
        CHECK(a.session().bound.starts_with("tls-"));
        CHECK(a.session().bound == b.session().bound);
    }
}

// Real sockets on 127.0.0.1. run() ends when nothing is pending; a bound of a minute turns a hang into a failure.
#include <doctest/doctest.h>

#include <postroad/net/connection.hpp>

#include <asio/io_context.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "refusing_port.hpp"
#include "session.hpp"

using namespace net_test;
using namespace std::chrono_literals;
using asio::ip::tcp;

namespace {

struct owner;
using connection = net::connection<session, tls::mbedtls_engine, owner>;

struct owner {
    void touched(connection& c, time_point now) {
        if (++touches == waits_at) return;
        c.turn(now, [&] {
            ++activities;
            if (on_activity) on_activity(c);
        });
    }
    void ended(connection& c) {
        ++ends;
        if (on_end) on_end(c);
    }
    int waits_at = 0;  // its turn comes later, this time
    int touches = 0;
    int activities = 0;
    int ends = 0;
    std::function<void(connection&)> on_activity = {};
    std::function<void(connection&)> on_end = {};
};

struct world {
    owner boss = {};
    std::unique_ptr<asio::io_context> io = std::make_unique<asio::io_context>(1);
    std::optional<tcp::acceptor> acceptor{std::in_place, *io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};

    endpoint here() const { return {.name = "127.0.0.1", .port = acceptor->local_endpoint().port()}; }

    std::shared_ptr<connection> make(session::options o, tls::start when = tls::start::never,
                                     tls_link::engine_maker engine = {}) {
        return std::make_shared<connection>(io->get_executor(),
                                            tls_link(session(std::move(o)), when, std::move(engine)), boss);
    }
    std::shared_ptr<connection> dial(session::options o, tls::start when = tls::start::never,
                                     tls_link::engine_maker engine = {}) {
        auto c = make(std::move(o), when, std::move(engine));
        c->dial(here(), {.timeout = 30s});
        return c;
    }

    /// Runs until nothing is pending.
    void run() {
        io->restart();
        io->run_for(1min);
        REQUIRE(io->stopped());
    }
    /// Runs until `true_now`, or nothing is pending.
    void run_until(const std::function<bool()>& true_now) {
        const auto start = std::chrono::steady_clock::now();
        io->restart();
        while (!true_now() && !io->stopped()) {
            io->run_one_for(1s);
            REQUIRE(std::chrono::steady_clock::now() - start < 1min);
        }
        REQUIRE(true_now());
    }
};

/// Accepts, sends `text` at once or when a line has come, and ends its stream. It reads on, since a socket that closes
/// with unread octets resets the connection.
void play(world& w, std::string text, bool after_line) {
    struct player : std::enable_shared_from_this<player> {
        player(asio::io_context& io, std::string t) : socket(io), says(std::move(t)) {}
        void speak() {
            asio::async_write(socket, asio::buffer(says), [self = shared_from_this()](error_code, std::size_t) {
                error_code ignored;
                self->socket.shutdown(tcp::socket::shutdown_send, ignored);
                self->drain();
            });
        }
        void drain() {
            socket.async_read_some(asio::buffer(waste), [self = shared_from_this()](error_code ec, std::size_t) {
                if (!ec) self->drain();
            });
        }
        tcp::socket socket;
        std::string says, heard = {};
        std::array<char, 4096> waste = {};
    };
    const auto p = std::make_shared<player>(*w.io, std::move(text));
    w.acceptor->async_accept(p->socket, [p, after_line](error_code ec) {
        if (ec) return;
        if (!after_line) return p->speak();
        asio::async_read_until(p->socket, asio::dynamic_buffer(p->heard), '\n', [p](error_code failed, std::size_t) {
            if (!failed) p->speak();
        });
    });
}

}  // namespace

TEST_CASE("a connection that is refused closes the session with the system's reason") {
    world w;
    const refusing_port nobody;
    const auto c = w.make({.greeting = "hello\n"});
    c->dial({.name = "127.0.0.1", .port = nobody.number()}, {.timeout = 30s});
    w.run();
    CHECK(c->session().error == std::errc::connection_refused);
    CHECK(c->session().error == condition::transient);
    CHECK(c->session().explanation.starts_with("cannot connect to 127.0.0.1:"));
    CHECK(c->session().events == "closed ");
    CHECK(w.boss.activities >= 1);
    CHECK(w.boss.ends == 1);
}

TEST_CASE("a name that cannot be looked up closes the session") {
    world w;
    const auto c = w.make({});
    c->dial({.name = "not a host name", .port = 25}, {.timeout = 30s});
    w.run();
    CHECK(c->session().error == errc::resolve_failed);
    CHECK(w.boss.ends == 1);
}

TEST_CASE("a server that does not take the connection in time is given up") {
    world w;
    w.acceptor->listen(0);
    // Linux takes one more than the backlog; what comes then gets no answer.
    std::list<tcp::socket> waiting;
    for (int i = 0; i < 8; ++i) {
        auto& s = waiting.emplace_back(*w.io, tcp::v4());
        s.async_connect(w.acceptor->local_endpoint(), [](error_code) {});
    }
    w.io->poll();
    const auto c = w.make({});
    c->dial(w.here(), {.timeout = 50ms});
    w.run_until([&] { return w.boss.ends == 1; });
    CHECK(c->session().error == errc::timed_out);
    CHECK(c->session().explanation.starts_with("cannot connect to 127.0.0.1:"));
    waiting.clear();
    w.run();
}

TEST_CASE("a name is looked up and octets pass both ways") {
    world w;
    play(w, "welcome\nBYE\n", true);
    const auto c = w.make({.greeting = "hello\n"});
    auto to = w.here();
    to.name = "localhost";
    c->dial(to, {.timeout = 30s});
    w.run();
    CHECK(c->session().events == "started ");
    CHECK(c->session().heard == "welcome\nBYE\n");
    CHECK_FALSE(c->session().error);
    CHECK(w.boss.ends == 1);
}

TEST_CASE("a peer that closes is an error in every state") {
    struct row {
        std::string name;
        std::string says;
        bool after_line;
        tls::start when;
        session::options options;
        errc error;
        std::string events;
    };
    const row rows[] = {
        {"at once", "", false, tls::start::never, {}, errc::connection_closed, "started closed "},
        {"after a word", "welc", false, tls::start::never, {}, errc::connection_closed, "started closed "},
        {"after the greeting",
         "x\n",
         true,
         tls::start::never,
         {.greeting = "hello\n"},
         errc::connection_closed,
         "started closed "},
        {"before the handshake", "", false, tls::start::immediately, {}, errc::tls_handshake, "closed "},
        {"within the handshake", "\x16\x03\x03", false, tls::start::immediately, {}, errc::tls_handshake, "closed "},
        {"garbage for a handshake",
         "220 hello\r\n",
         false,
         tls::start::immediately,
         {},
         errc::tls_handshake,
         "closed "},
        {"instead of the reply to STARTTLS",
         "",
         true,
         tls::start::by_starttls,
         {.upgrade = upgrade::asks},
         errc::connection_closed,
         "started closed "},
        {"behind the reply to STARTTLS",
         "GO\n",
         true,
         tls::start::by_starttls,
         {.upgrade = upgrade::asks},
         errc::tls_handshake,
         "started closed "},
    };
    for (const auto& r : rows) {
        CAPTURE(r.name);
        world w;
        play(w, r.says, r.after_line);
        const auto c = w.dial(r.options, r.when, client_engine());
        w.run();
        CHECK(c->session().error == r.error);
        CHECK(c->session().explanation != "");
        CHECK(c->session().events == r.events);
        CHECK(w.boss.ends == 1);
    }
}

TEST_CASE("a peer that resets the connection is an error") {
    world w;
    tcp::socket peer(*w.io);
    w.acceptor->async_accept(peer, [&](error_code) {
        peer.set_option(asio::socket_base::linger(true, 0));
        peer.close();
    });
    const auto c = w.dial({});
    w.run();
    CHECK(c->session().error == std::errc::connection_reset);
    CHECK(c->session().error == condition::transient);
    CHECK(w.boss.ends == 1);
}

TEST_CASE("a peer that never reads blocks the write, and the deadline of the session ends it") {
    for (const auto when : {tls::start::never, tls::start::immediately}) {
        CAPTURE(static_cast<int>(when));
        world w;
        tcp::socket peer(*w.io);
        w.acceptor->async_accept(peer, [](error_code) {});
        // Without TLS the session starts and has too much to say; with TLS the handshake gets no answer.
        const auto c = w.dial({.greeting = pattern(32'000'000), .patience = 50ms}, when, client_engine());
        if (when == tls::start::immediately) {
            w.run_until([&] { return peer.is_open() && peer.available() > 0; });
            CHECK(w.boss.ends == 0);
            c->abandon();
        }
        w.run();
        if (when == tls::start::never) {
            CHECK(c->session().error == errc::timed_out);
            CHECK(w.boss.ends == 1);
        }
    }
}

TEST_CASE("a write that blocked goes on when the peer reads") {
    world w;
    const auto text = pattern(8'000'000);
    auto server = w.make({}, tls::start::never);
    w.acceptor->async_accept([&](error_code ec, tcp::socket s) {
        REQUIRE_FALSE(ec);
        server->adopt(std::move(s));
    });
    const auto c = w.dial({.greeting = text + "BYE\n"});
    w.run_until([&] { return server->session().done(); });
    CHECK(server->session().heard.size() == text.size() + 4);
    CHECK(server->session().heard == text + "BYE\n");
    w.run();
    CHECK(c->session().error == errc::connection_closed);
    CHECK(w.boss.ends == 2);
}

TEST_CASE("two connections talk through TLS, from the start or behind STARTTLS") {
    const auto text = pattern(3'000'000);
    for (const auto when : {tls::start::immediately, tls::start::by_starttls}) {
        CAPTURE(static_cast<int>(when));
        const bool behind = when == tls::start::by_starttls;
        world w;
        const auto said = [&](std::string s, upgrade u) {
            return behind ? session::options{.secret = std::move(s), .upgrade = u}
                          : session::options{.greeting = std::move(s)};
        };
        auto server = w.make(said(text, upgrade::grants), when, server_engine());
        w.acceptor->async_accept([&](error_code ec, tcp::socket s) {
            REQUIRE_FALSE(ec);
            server->adopt(std::move(s));
        });
        const auto c = w.dial(said(text, upgrade::asks), when, client_engine());
        w.run_until(
            [&] { return c->session().heard.size() == text.size() && server->session().heard.size() == text.size(); });
        CHECK(c->session().heard == text);
        CHECK(server->session().heard == text);
        c->session().say("BYE\n");
        c->touch();
        w.run();
        CHECK_FALSE(server->session().error);
        CHECK(c->session().error == errc::connection_closed);
        CHECK(w.boss.ends == 2);
    }
}

TEST_CASE("what the owner gives the session in a turn goes out") {
    world w;
    play(w, "ok\nBYE\n", true);
    const auto c = w.make({});
    bool asked = false;
    w.boss.on_activity = [&](connection& active) {
        if (std::exchange(asked, true)) return;
        active.session().say("a question\n");
    };
    c->dial(w.here(), {.timeout = 30s});
    w.run();
    CHECK(c->session().heard == "ok\nBYE\n");
}

TEST_CASE("an owner whose turn comes later is told what arrived, and nothing is read until then") {
    world w;
    play(w, "one\n", false);
    w.boss.waits_at = 2;
    const auto c = w.dial({});
    w.run_until([&] { return w.boss.touches == 2; });
    CHECK(c->session().heard == "one\n");
    // The end of the stream is there by now.
    w.io->run_for(20ms);
    CHECK(w.boss.touches == 2);
    CHECK_FALSE(c->flush(clock::now()));
    CHECK(c->session().events == "started ");
    c->go_on();
    w.run();
    CHECK(c->session().events == "started closed ");
    CHECK(w.boss.ends == 1);
    c->go_on();
}

TEST_CASE("a session that throws ends, with what it threw") {
    for (const std::string where : {"started", "received", "tick", "output", "consumed"}) {
        CAPTURE(where);
        world w;
        const bool silent = where == "tick";  // both of them, until the patience is over
        play(w, "hello\n", silent);
        const auto c = w.dial({.greeting = silent ? "" : "a question\n",
                               .patience = silent ? duration(1ms) : duration::zero(),
                               .throws_in = where});
        w.run();
        CHECK(c->session().error == errc::policy_failed);
        CHECK(c->session().explanation == "thrown in " + where);
        CHECK(w.boss.ends == 1);
    }
}

TEST_CASE("the owner may let go of the connection in its last call") {
    world w;
    play(w, "BYE\n", false);
    auto c = w.make({});
    const std::weak_ptr<connection> watch = c;
    c->dial(w.here(), {.timeout = 30s});
    w.boss.on_end = [&](connection&) { c.reset(); };
    w.run();
    CHECK(w.boss.ends == 1);
    CHECK(watch.expired());
}

TEST_CASE("after the end nothing happens any more") {
    world w;
    play(w, "BYE\n", false);
    const auto c = w.dial({});
    w.run();
    const auto activities = w.boss.activities;
    c->session().say("too late");
    c->touch();
    c->abandon();
    w.run();
    CHECK(w.boss.activities == activities);
    CHECK(w.boss.ends == 1);
}

TEST_CASE("abandon closes the socket at once, tells nobody, and leaves nothing pending") {
    world w;
    tcp::socket peer(*w.io);
    error_code ended;
    char octet = 0;
    w.acceptor->async_accept(peer, [&](error_code) {
        peer.async_read_some(asio::buffer(&octet, 1), [&](error_code ec, std::size_t) { ended = ec; });
    });
    auto c = w.make({.patience = 30min});
    const std::weak_ptr<connection> watch = c;
    SUBCASE("before it is connected") {
        c->dial(w.here(), {.timeout = 1h});
        c->abandon();
        w.acceptor->cancel();
        c.reset();
        w.run();
    }
    SUBCASE("while it reads") {
        c->dial(w.here(), {.timeout = 1h});
        w.run_until([&] { return c->session().events == "started "; });
        c->abandon();
        c.reset();
        w.run();
        CHECK(ended == asio::error::eof);
    }
    SUBCASE("from within a turn") {
        w.boss.on_activity = [](connection& active) { active.abandon(); };
        c->dial(w.here(), {.timeout = 1h});
        c.reset();
        w.run();
        CHECK(ended == asio::error::eof);
    }
    CHECK(w.boss.ends == 0);
    CHECK(watch.expired());
}

TEST_CASE("a context that is destroyed with operations pending takes its connections along") {
    std::weak_ptr<connection> watch;
    const auto start = [&](world& w, session::options o, tls::start when, const endpoint& to) {
        auto c = w.make(std::move(o), when, client_engine());
        watch = c;
        c->dial(to, {.timeout = 1h});
        return c;
    };
    world w;
    std::optional<tcp::socket> peer(*w.io);
    w.acceptor->async_accept(*peer, [](error_code) {});
    SUBCASE("looking up") {
        auto to = w.here();
        to.name = "localhost";
        (void)start(w, {}, tls::start::never, to);
    }
    SUBCASE("connecting") { (void)start(w, {}, tls::start::never, w.here()); }
    SUBCASE("reading, with a deadline") {
        auto c = start(w, {.patience = 1h}, tls::start::never, w.here());
        w.run_until([&] { return c->session().events == "started "; });
    }
    SUBCASE("writing") {
        auto c = start(w, {.greeting = pattern(32'000'000), .patience = 1h}, tls::start::never, w.here());
        w.run_until([&] { return c->session().events == "started "; });
        w.io->poll();
    }
    SUBCASE("in the handshake") {
        auto c = start(w, {}, tls::start::immediately, w.here());
        w.run_until([&] { return peer->is_open() && peer->available() > 0; });
    }
    CHECK_FALSE(watch.expired());
    // Only the connection is left to the context.
    peer.reset();
    w.acceptor.reset();
    w.io.reset();
    CHECK(watch.expired());
    CHECK(w.boss.ends == 0);
}

// Ways to a server: by name, address, path or proxy, and what is said of those that lead nowhere.
#include <doctest/doctest.h>

#include <postroad/core/base64.hpp>
#include <postroad/net/connection.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy.hpp"
#include "refusing_port.hpp"
#include "scratch_folder.hpp"
#include "session.hpp"

using namespace net_test;
using namespace std::chrono_literals;
using asio::ip::tcp;
using local = asio::local::stream_protocol;

namespace {

struct owner;
using connection = net::connection<session, tls::mbedtls_engine, owner>;

struct owner {
    void touched(connection& c, time_point now) {
        c.turn(now, [] {});
    }
    void ended(connection&) { ++ends; }
    int ends = 0;
};

/// A server on 127.0.0.1 that says "welcome" and ends when it hears "BYE", and one client.
struct world {
    owner boss = {};
    asio::io_context io{1};
    tcp::acceptor acceptor{io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
    std::shared_ptr<connection> server = make({.greeting = "welcome\n"});
    std::optional<tcp::endpoint> seen = {};  // where the client came from

    std::uint16_t port() const { return acceptor.local_endpoint().port(); }

    std::shared_ptr<connection> make(session::options o, tls::start when = tls::start::never,
                                     tls_link::engine_maker engine = {}) {
        return std::make_shared<connection>(io.get_executor(), tls_link(session(std::move(o)), when, std::move(engine)),
                                            boss);
    }
    void serve() {
        acceptor.async_accept([this](error_code ec, tcp::socket s) {
            if (ec) return;
            seen = s.remote_endpoint();
            server->adopt(std::move(s));
        });
    }
    void run() {
        io.restart();
        io.run_for(1min);
        REQUIRE(io.stopped());
    }
    /// Runs until the client is over. What it ended with.
    error_code end_of(connection& c) {
        while (!c.session().done() && io.run_one_for(30s) > 0) {
        }
        REQUIRE(c.session().done());
        acceptor.cancel();
        run();
        return c.session().error;
    }
    /// Lets the client dial and the two talk.
    void talk(connection& c) {
        while (!c.session().done() && c.session().heard != "welcome\n" && io.run_one_for(30s) > 0) {
        }
        CHECK(c.session().heard == "welcome\n");
        c.session().say("BYE\n");
        c.touch();
        CHECK(end_of(c) == errc::connection_closed);
        CHECK(server->session().heard == "BYE\n");
        CHECK_FALSE(server->session().error);
    }
};

net::proxy proxy_at(std::uint16_t port, proxy_speaks how) {
    net::proxy p{.host = "127.0.0.1", .port = port};
    if (how == proxy_speaks::http) p.kind = net::proxy_kind::http_connect;
    if (how != proxy_speaks::socks5) {
        p.user = "ann";
        p.password = secret("hunter2");
    }
    return p;
}

net::dialing through(net::proxy p) {
    net::dialing d;
    d.proxy = std::move(p);
    return d;
}

int open_files() {
    int count = 0;
    for (int fd = 0; fd < 256; ++fd) count += ::fcntl(fd, F_GETFD) != -1 ? 1 : 0;
    return count;
}

/// Those that a program gets which this one starts.
int inherited_files() {
    int count = 0;
    for (int fd = 0; fd < 256; ++fd) {
        const int flags = ::fcntl(fd, F_GETFD);
        count += flags != -1 && (flags & FD_CLOEXEC) == 0 ? 1 : 0;
    }
    return count;
}

/// A listener whose backlog is full: an attempt to connect gets no answer.
struct silence {
    silence(asio::io_context& io, const tcp::endpoint& where) : acceptor(io, where.protocol()) {
        acceptor.set_option(tcp::acceptor::reuse_address(true));
        acceptor.bind(where);
        acceptor.listen(0);
        for (int i = 0; i < 8; ++i) {
            waiting.emplace_back(io, where.protocol()).async_connect(acceptor.local_endpoint(), [](error_code) {});
        }
        io.poll();
    }
    tcp::acceptor acceptor;
    std::list<tcp::socket> waiting = {};
};

}  // namespace

TEST_CASE("a Unix-domain socket is dialled by its path") {
    const scratch_folder dir;
    const auto path = (dir.path / "lmtp").string();
    world w;
    local::acceptor acceptor(w.io, local::endpoint(path));
    acceptor.async_accept([&](error_code ec, local::socket s) {
        REQUIRE_FALSE(ec);
        w.server->adopt(std::move(s));
    });
    const auto c = w.make({});
    // Neither proxy nor family concern it.
    auto how = through(proxy_at(1, proxy_speaks::socks5));
    how.local_addresses = {"192.0.2.1"};
    c->dial({.name = path}, how);
    w.talk(*c);
}

TEST_CASE("a path that leads nowhere is an error that names it") {
    const scratch_folder dir;
    world w;
    const auto gone = w.make({});
    gone->dial({.name = (dir.path / "gone").string()}, {});
    CHECK(w.end_of(*gone) == std::errc::no_such_file_or_directory);
    CHECK(gone->session().explanation.find("/gone: ") != std::string::npos);
    const auto long_one = w.make({});
    long_one->dial({.name = "/" + std::string(200, 'x')}, {});
    CHECK(w.end_of(*long_one) == std::errc::filename_too_long);
}

TEST_CASE("programs that are started get no socket of ours") {
    const scratch_folder dir;
    const auto path = (dir.path / "lmtp").string();
    world w;
    const local::acceptor acceptor(w.io, local::endpoint(path));
    for (const auto& to : {endpoint{.name = path}, endpoint{.name = "127.0.0.1", .port = w.port()}}) {
        CAPTURE(to.name);
        const auto all = open_files();
        const auto inherited = inherited_files();
        const auto c = w.make({});
        c->dial(to, {});
        while (open_files() == all && w.io.run_one_for(30s) > 0) {
        }
        CHECK(open_files() == all + 1);
        CHECK(inherited_files() == inherited);
    }
}

TEST_CASE("a connection comes from the local address of its family") {
    world w;
    w.serve();
    const auto c = w.make({});
    c->dial({.name = "127.0.0.1", .port = w.port()}, {.local_addresses = {"127.0.0.5", "::1"}});
    w.talk(*c);
    REQUIRE(w.seen);
    CHECK(w.seen->address().to_string() == "127.0.0.5");
}

TEST_CASE("a local address that is not of this machine, or of another family, is an error that says so") {
    world w;
    const auto alien = w.make({});
    alien->dial({.name = "127.0.0.1", .port = w.port()}, {.local_addresses = {"192.0.2.1"}});
    CHECK(w.end_of(*alien) == std::errc::address_not_available);
    CHECK(alien->session().explanation.ends_with("is the local address one of this machine?"));
    const auto other = w.make({});
    other->dial({.name = "127.0.0.1", .port = w.port()}, {.local_addresses = {"::1"}});
    CHECK(w.end_of(*other) == errc::resolve_failed);
    CHECK(other->session().explanation.ends_with("no address of a family that may be used"));
}

TEST_CASE("what cannot be dialled is thrown, and the connection is as it was") {
    world w;
    const auto c = w.make({});
    CHECK_THROWS_AS(c->dial({.name = "127.0.0.1", .port = w.port()}, {.timeout = 0s}), error);
    CHECK_THROWS_AS(c->dial({.name = "a b", .port = 25}, through(proxy_at(1, proxy_speaks::http))), error);
    w.run();
    CHECK(w.boss.ends == 0);
}

TEST_CASE("addresses that refuse or keep silent are passed over, and each is named in the end") {
    world w;
    SUBCASE("the second one answers") {
        w.serve();
        const auto c = w.make({});
        c->dial({.name = "mx.example", .port = w.port()}, {"127.0.0.2", "127.0.0.1"}, {});
        w.talk(*c);
    }
    SUBCASE("the first one keeps silent") {
        const silence quiet(w.io, {asio::ip::make_address("127.0.0.3"), w.port()});
        w.serve();
        const auto c = w.make({});
        const int before = open_files();
        c->dial({.name = "mx.example", .port = w.port()}, {"127.0.0.3", "127.0.0.1"}, {.attempt_delay = 10ms});
        while (c->session().heard != "welcome\n" && w.io.run_one_for(30s) > 0) {
        }
        CHECK(c->session().heard == "welcome\n");
        CHECK(open_files() == before + 2);  // both ends of the connection, and no socket of the other attempt
        c->abandon();
        w.server->abandon();
    }
    SUBCASE("all refuse") {
        w.acceptor.close();
        const auto c = w.make({});
        c->dial({.name = "mx.example", .port = 1}, {"127.0.0.1", "::1", "127.0.0.2"}, {});
        while (!c->session().done() && w.io.run_one_for(30s) > 0) {
        }
        CHECK(c->session().error);
        const auto& why = c->session().explanation;
        CHECK(why.starts_with("cannot connect to mx.example:1: 127.0.0.1: "));
        CHECK(why.find("; ::1: ") != std::string::npos);
        CHECK(why.find("; 127.0.0.2: ") != std::string::npos);
    }
    SUBCASE("one refuses, one keeps silent until the time is over") {
        const silence quiet(w.io, {asio::ip::make_address("127.0.0.3"), w.port()});
        const auto explanation = [&](duration timeout) {
            const auto c = w.make({});
            c->dial({.name = "mx.example", .port = w.port()}, {"127.0.0.2", "127.0.0.3"}, {.timeout = timeout});
            while (!c->session().done() && w.io.run_one_for(30s) > 0) {
            }
            CHECK(c->session().error == errc::timed_out);
            return c->session().explanation;
        };
        const std::string end = "; 127.0.0.3: no answer";
        auto said = explanation(50ms);
        // On a busy machine it may be over before the first one has refused.
        if (!said.ends_with(end)) said = explanation(10s);
        CHECK(said.ends_with(end));
    }
}

TEST_CASE("what is abandoned between attempts leaves nothing pending") {
    world w;
    const silence quiet(w.io, {asio::ip::make_address("127.0.0.3"), w.port()});
    auto c = w.make({});
    const std::weak_ptr<connection> watch = c;
    const int before = open_files();
    c->dial({.name = "mx.example", .port = w.port()}, {"127.0.0.3", "127.0.0.1"}, {.attempt_delay = 1h});
    w.io.poll();
    CHECK(open_files() == before + 1);
    c->abandon();
    c.reset();
    w.io.poll();
    CHECK(watch.expired());
    CHECK(open_files() == before);
}

TEST_CASE("a session runs through a proxy, which looks the name up") {
    for (const auto speaks : {proxy_speaks::socks5, proxy_speaks::socks5_with_login, proxy_speaks::http})
        for (const auto does : {proxy_does::grant, proxy_does::grant_with_first_words}) {
            CAPTURE(static_cast<int>(speaks));
            CAPTURE(static_cast<int>(does));
            world w;
            proxy_server p(speaks, w.port(), does);
            w.serve();
            const auto c = w.make({});
            c->dial({.name = "mx.invalid", .port = 25}, through(proxy_at(p.port(), speaks)));
            w.talk(*c);
            p.finish();
            CHECK(p.asked.find("mx.invalid") != std::string::npos);
            const bool login = p.asked.find("hunter2") != std::string::npos ||
                               p.asked.find(base64_encode("ann:hunter2")) != std::string::npos;
            CHECK(login == (speaks != proxy_speaks::socks5));
            // Nothing that was for the proxy reaches the server.
            CHECK(w.server->session().heard == "BYE\n");
        }
}

TEST_CASE("TLS is with the server behind the proxy, from the start or behind STARTTLS") {
    for (const auto when : {tls::start::immediately, tls::start::by_starttls})
        for (const auto speaks : {proxy_speaks::socks5, proxy_speaks::http}) {
            CAPTURE(static_cast<int>(when));
            const bool behind = when == tls::start::by_starttls;
            const auto said = [&](std::string s, upgrade u) {
                return behind ? session::options{.secret = std::move(s), .upgrade = u}
                              : session::options{.greeting = std::move(s)};
            };
            world w;
            w.server = w.make(said("welcome\n", upgrade::grants), when, server_engine());
            w.serve();
            proxy_server p(speaks, w.port());
            const auto c = w.make(said("", upgrade::asks), when, client_engine());
            c->dial({.name = "mail.example.com", .port = 25}, through(proxy_at(p.port(), speaks)));
            w.talk(*c);
            CHECK(c->wire().engine() != nullptr);
        }
}

TEST_CASE("a proxy that refuses, hangs up or keeps silent ends the session with its reason") {
    for (const auto speaks : {proxy_speaks::socks5, proxy_speaks::http})
        for (const auto does : {proxy_does::refuse, proxy_does::hang_up, proxy_does::keep_silent}) {
            CAPTURE(static_cast<int>(speaks));
            CAPTURE(static_cast<int>(does));
            world w;
            const proxy_server p(speaks, 1, does);
            const auto c = w.make({});
            auto how = through(proxy_at(p.port(), speaks));
            if (does == proxy_does::keep_silent) how.timeout = 50ms;
            c->dial({.name = "mx.invalid", .port = 25}, how);
            // A proxy that closes with our octets unread resets the connection.
            const auto ec = w.end_of(*c);
            CHECK((ec == (does == proxy_does::keep_silent ? errc::timed_out : errc::proxy_failed) ||
                   (does == proxy_does::hang_up && ec == std::errc::connection_reset)));
            CHECK(c->session().events == "closed ");
            CHECK(c->session().explanation.find("proxy") != std::string::npos);
            CHECK(c->session().explanation.find("hunter2") == std::string::npos);
        }
}

TEST_CASE("a proxy that is not there is named") {
    world w;
    const refusing_port nobody;
    const auto c = w.make({});
    c->dial({.name = "mx.invalid", .port = 25}, through(proxy_at(nobody.number(), proxy_speaks::socks5)));
    w.run();
    CHECK(c->session().error == std::errc::connection_refused);
    CHECK(c->session().explanation.starts_with("cannot connect to mx.invalid:25 through the proxy 127.0.0.1:"));
}

TEST_CASE("a process without a file descriptor left gets an error that says what to do") {
    world w;
    const auto c = w.make({});
    rlimit before = {};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    REQUIRE(next >= 0);
    ::close(next);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    c->dial({.name = "mx.example", .port = w.port()}, {"127.0.0.1", "127.0.0.2"}, {});
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(c->session().error == std::errc::too_many_files_open);
    CHECK(c->session().error == condition::transient);
    CHECK(c->session().explanation.ends_with("raise the limit of open files, or lower max_connections"));
    w.run();
    CHECK(w.boss.ends == 1);
}

TEST_CASE("the system is asked to look after a silent peer") {
    asio::io_context io;
    tcp::socket s(io, tcp::v4());
    const auto keep_alive = [&] {
        asio::socket_base::keep_alive option;
        s.get_option(option);
        return option.value();
    };
    net::ask_when_silent(s, 0s);
    CHECK_FALSE(keep_alive());
    net::ask_when_silent(s, 1500ms);
    CHECK(keep_alive());
#if defined(TCP_KEEPIDLE)
    int seconds = 0;
    socklen_t size = sizeof seconds;
    const auto idle = [&] {
        REQUIRE(::getsockopt(s.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, &size) == 0);
        return seconds;
    };
    CHECK(idle() == 2);
    net::ask_when_silent(s, duration::max());
    CHECK(idle() == 32767);
#endif
}

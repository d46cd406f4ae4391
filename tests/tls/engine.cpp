#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "pair.hpp"

using namespace tls_test;

namespace {

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
    return text;
}

/// Sends `text` through `from` to `to` with bounded output and input.
template <class From, class To>
std::string carried(From& from, To& to, std::string_view text, std::size_t step) {
    std::string got;
    while (!text.empty()) {
        text.remove_prefix(from.write(text));
        carry(from, to, step, [&] { got += read_all(to); });
        if (from.error() || to.error()) break;
    }
    return got;
}

}  // namespace

TEST_CASE_TEMPLATE("two engines shake hands and exchange text, however the octets are cut", E, ENGINES) {
    for (const auto newest : versions<E>())
        for (const std::size_t step :
             {std::string::npos, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{1000}}) {
            CAPTURE(step);
            pair<E> p(mail_example(), "mail.example.com", client_context<E>({.newest = newest}));
            REQUIRE(p.shake(step));
            CHECK(carried(p.client, p.server, "EHLO client.example\r\n", step) == "EHLO client.example\r\n");
            CHECK(carried(p.server, p.client, "250 mail.example.com\r\n", step) == "250 mail.example.com\r\n");
            CHECK_FALSE(p.client.error());
            CHECK(p.client.explanation().empty());
        }
}

TEST_CASE_TEMPLATE("facts tell version, cipher and the server's certificate", E, ENGINES) {
    pair<E> p(mail_example(), "mail.example.com", client_context<E>({.newest = tls::protocol::tls_1_2}));
    CHECK(p.client.facts().version.empty());
    REQUIRE(p.shake());
    const auto facts = p.client.facts();
    CHECK(facts.version == "TLSv1.2");
    CHECK(facts.cipher.find("ECDHE-ECDSA-") != std::string::npos);
    CHECK(facts.peer_subject == "CN=postroad test");
    CHECK(facts.peer_issuer == "CN=postroad test CA");
    CHECK(facts.peer_expires == "2099-12-31");
    CHECK(p.server.facts().peer_subject.empty());
}

#if MBEDTLS_VERSION_MAJOR >= 3
TEST_CASE_TEMPLATE("TLS 1.3 is spoken when both sides may", E, ENGINES) {
    pair<E> p;
    REQUIRE(p.shake());
    CHECK(p.client.facts().version == "TLSv1.3");
}
#endif

TEST_CASE_TEMPLATE("megabytes pass both ways unchanged", E, ENGINES) {
    pair<E> p;
    REQUIRE(p.shake());
    const auto text = pattern(3'000'000);
    CHECK(carried(p.client, p.server, text, 16'384) == text);
    CHECK(carried(p.server, p.client, text, 100'000) == text);
}

TEST_CASE_TEMPLATE("what fills a record of 16 KiB, or one octet more or less, passes whole", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    for (const auto newest : versions<client, server>()) {
        pair<client, server> p(client_context<client>({.newest = newest}), server_context<server>(mail_example()));
        REQUIRE(p.shake());
        for (const std::size_t size : {16'383u, 16'384u, 16'385u, 32'768u}) {
            CAPTURE(size);
            const auto text = pattern(size);
            CHECK(carried(p.client, p.server, text, std::string::npos) == text);
            CHECK(carried(p.server, p.client, text, 16'389) == text);
        }
        CHECK_FALSE(p.client.error());
    }
}

TEST_CASE_TEMPLATE("reading with one octet of room loses nothing", E, ENGINES) {
    pair<E> p;
    REQUIRE(p.shake());
    REQUIRE(p.server.write("250 ok\r\n") == 8);
    carry(p.server, p.client, 5, [] {});
    tls::read_result last;
    CHECK(read_all(p.client, &last, 1) == "250 ok\r\n");
    CHECK(last == tls::read_result{.state = tls::read_state::want_input});
}

TEST_CASE_TEMPLATE("write stops at the bound of the output and goes on when it was sent", E, ENGINES) {
    pair<E> p;
    REQUIRE(p.shake());
    const auto text = pattern(1'000'000);
    const auto taken = p.client.write(text);
    CHECK(taken < 100'000);
    CHECK(taken >= 4 * 16'000);
    CHECK(p.client.output().size() >= E::output_limit);
    CHECK(p.client.output().size() < E::output_limit + 17'000);
    CHECK(p.client.write("more") == 0);
    CHECK_FALSE(p.client.error());
    // one octet below the bound, one more record fits
    const auto above = p.client.output().size() - E::output_limit;
    p.server.received(p.client.output().substr(0, above));
    p.client.consumed(above);
    CHECK(p.client.write("more") == 0);
    p.server.received(p.client.output().substr(0, 1));
    p.client.consumed(1);
    CHECK(p.client.write("more") == 4);
    std::string got;
    carry(p.client, p.server, 50'000, [&] { got += read_all(p.server); });
    CHECK(got == text.substr(0, taken) + "more");
}

TEST_CASE_TEMPLATE("what output() showed stays in place while other calls add to it", E, ENGINES) {
    pair<E> p;
    REQUIRE(p.shake());
    REQUIRE(p.client.write("QUIT\r\n") == 6);
    const auto shown = p.client.output();
    const std::string copy(shown);
    for (int i = 0; i < 100; ++i) REQUIRE(p.client.write(pattern(300)) == 300);
    CHECK(p.client.output().data() == shown.data());
    CHECK(shown == copy);
    p.server.received(shown);
    p.client.consumed(shown.size());
    CHECK(read_all(p.server) == "QUIT\r\n");
    std::string got;
    carry(p.client, p.server, std::string::npos, [&] { got += read_all(p.server); });
    CHECK(got.size() == 30'000);
}

TEST_CASE_TEMPLATE("input that nobody reads fails the engine behind its bound", E, ENGINES) {
    constexpr auto limit = E::input_limit;
    pair<E> p;
    REQUIRE(p.shake());
    read_all(p.client);
    p.client.received(std::string(limit, 'x'));
    CHECK_FALSE(p.client.error());
    p.client.received("x");
    CHECK(p.client.error() == errc::tls_broken);
    CHECK(p.client.explanation() == "more than 262144 octets wait to be decrypted");
    char c;
    CHECK(p.client.read(&c, 1).state == tls::read_state::failed);
}

TEST_CASE_TEMPLATE("close_notify ends the stream for the peer", E, ENGINES) {
    pair<E> p;
    REQUIRE(p.shake());
    REQUIRE(p.client.write("QUIT\r\n") == 6);
    p.client.close();
    p.client.close();
    CHECK(p.client.write("late") == 0);
    CHECK_FALSE(p.client.error());
    carry(p.client, p.server, 3, [] {});
    p.server.end_of_stream();
    tls::read_result last;
    CHECK(read_all(p.server, &last) == "QUIT\r\n");
    CHECK(last.state == tls::read_state::closed);
    CHECK(read_all(p.server, &last).empty());
    CHECK(last.state == tls::read_state::closed);
    CHECK_FALSE(p.server.error());
}

TEST_CASE_TEMPLATE("attack 23: a stream that ends without close_notify is broken, not closed", E, ENGINES) {
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{6}}) {
        CAPTURE(cut);
        pair<E> p;
        REQUIRE(p.shake());
        REQUIRE(p.server.write("221 bye\r\n") == 9);
        if (cut) REQUIRE(p.server.output().size() > cut);
        const auto all = p.server.output();
        p.client.received(all.substr(0, all.size() - cut));
        p.client.end_of_stream();
        tls::read_result last;
        CHECK(read_all(p.client, &last) == (cut ? "" : "221 bye\r\n"));
        CHECK(last.state == tls::read_state::failed);
        CHECK(p.client.error() == errc::tls_broken);
        CHECK(p.client.explanation() == "the connection ended without close_notify: something may be cut off");
    }
}

TEST_CASE_TEMPLATE("a changed octet breaks the stream and leaves an alert to send", E, ENGINES) {
    pair<E> p;
    REQUIRE(p.shake());
    REQUIRE(p.server.write("250 2.0.0 queued\r\n") > 0);
    std::string octets(p.server.output());
    octets.back() = static_cast<char>(octets.back() ^ 1);
    p.client.received(octets);
    tls::read_result last;
    CHECK(read_all(p.client, &last).empty());
    CHECK(last.state == tls::read_state::failed);
    CHECK(p.client.error() == errc::tls_broken);
    CHECK_FALSE(p.client.output().empty());
    CHECK(p.client.write("x") == 0);
}

TEST_CASE_TEMPLATE("a lost record breaks the stream", E, ENGINES) {
    pair<E> p;
    REQUIRE(p.shake());
    REQUIRE(p.server.write("250-first\r\n") > 0);
    p.server.consumed(p.server.output().size());
    REQUIRE(p.server.write("250 second\r\n") > 0);
    carry(p.server, p.client, std::string::npos, [] {});
    CHECK(read_all(p.client).empty());
    CHECK(p.client.error() == errc::tls_broken);
}

TEST_CASE_TEMPLATE("a server that talks in the clear is told apart from one that breaks TLS", E, ENGINES) {
    const auto after = [](security how, const char* said) {
        E client(client_context<E>(), {.name = "mail.example.com", .security = how});
        REQUIRE(client.handshake() == tls::progress::want_input);
        client.received(said);
        CHECK(client.handshake() == tls::progress::failed);
        CHECK(client.error() == errc::tls_handshake);
        CHECK(client.handshake() == tls::progress::failed);
        return std::string(client.explanation());
    };
    CHECK(after(security::implicit, "220 mail.example.com ESMTP\r\n") ==
          "the server answered in the clear, \"220 mail.example.com ESMTP\\x0d\\x0a\": this port does not begin with "
          "TLS; smtp:// starts it by STARTTLS");
    CHECK(after(security::starttls, "500 what?\r\n") ==
          "the server agreed to STARTTLS and answered in the clear, \"500 what?\\x0d\\x0a\"");
    CHECK(after(security::implicit, "HTTP/1.1 400 Bad") == "the server answered in the clear, \"HTTP/1.1 400 Bad\"");
    CHECK(after(security::implicit, "* OK ready\r\n") == "the server answered in the clear, \"* OK ready\\x0d\\x0a\"");
}

TEST_CASE_TEMPLATE("a server that chooses a version of TLS that is too old is said to", E, ENGINES) {
    E client(client_context<E>(), {.name = "mail.example.com", .security = security::implicit});
    REQUIRE(client.handshake() == tls::progress::want_input);
    // ServerHello of TLS 1.0
    client.received(std::string("\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01", 11) + std::string(32, 'r') +
                    std::string("\x00\x00\x2f\x00", 4));
    CHECK(client.handshake() == tls::progress::failed);
    CHECK(client.explanation().find("wants a version of TLS older than is allowed") != std::string::npos);
}

TEST_CASE_TEMPLATE("garbage in the handshake is an error, and the name of the server is in it", E, ENGINES) {
    for (const auto& garbage :
         {std::string(5, '\0'), std::string(200, '\xff'), std::string("\x16\x03\x03\x00\x04\x02\x00\x00\x00", 9),
          std::string("\x15\x03\x03\x00\x02\x02\x28", 7)}) {
        E client(client_context<E>(), {.name = "mail.example.com"});
        REQUIRE(client.handshake() == tls::progress::want_input);
        client.received(garbage);
        CHECK(client.handshake() == tls::progress::failed);
        CHECK(client.error() == errc::tls_handshake);
        CHECK(client.explanation().starts_with("TLS handshake with mail.example.com failed: "));
        CHECK(client.facts().version.empty());
    }
}

TEST_CASE_TEMPLATE("a server that hangs up in the handshake is named as that", E, ENGINES) {
    for (const bool halfway : {false, true}) {
        CAPTURE(halfway);
        pair<E> p;
        REQUIRE(p.client.handshake() == tls::progress::want_input);
        carry(p.client, p.server, std::string::npos, [&] { CHECK(p.server.handshake() == tls::progress::want_input); });
        const auto flight = p.server.output();
        if (halfway) p.client.received(flight.substr(0, flight.size() / 2));
        p.client.end_of_stream();
        CHECK(p.client.handshake() == tls::progress::failed);
        CHECK(p.client.error() == errc::tls_handshake);
        CHECK(p.client.explanation() == "the server closed the connection during the TLS handshake");
    }
}

TEST_CASE_TEMPLATE("many handshakes at the same time share one context", E, ENGINES) {
    const auto clients = client_context<E>();
    std::vector<std::unique_ptr<pair<E>>> pairs;
    for (int i = 0; i < 100; ++i) {
        pairs.push_back(std::make_unique<pair<E>>(mail_example(), "mail.example.com", clients));
        REQUIRE(pairs.back()->client.handshake() == tls::progress::want_input);
    }
    for (auto& p : pairs)
        carry(p->client, p->server, std::string::npos, [&] { static_cast<void>(p->server.handshake()); });
    for (auto& p : pairs) CHECK(p->shake());
}

TEST_CASE_TEMPLATE("threads share one context", E, ENGINES) {
    const auto clients = client_context<E>();
    const auto servers = server_context<E>(mail_example());
    std::atomic<int> done = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] {
                for (int k = 0; k < 10; ++k) {
                    pair<E> p(clients, servers);
                    done += p.shake() && carried(p.client, p.server, "NOOP\r\n", 100) == "NOOP\r\n";
                }
            });
    }
    CHECK(done == 40);
}

TEST_CASE("a policy that stands for no TLS has an engine that does nothing") {
    tls::no_engine none(tls::insecure_none{}.make_context(), {.name = "mail.example.com"});
    CHECK(none.handshake() == tls::progress::failed);
    CHECK(none.error() == errc::tls_configuration);
    static_assert(std::is_empty_v<tls::insecure_none>);
}

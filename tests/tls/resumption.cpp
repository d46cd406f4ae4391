#include <doctest/doctest.h>

#include <postroad/tls/sessions.hpp>

#include <string>

#include "pair.hpp"

using namespace tls_test;

namespace {

const endpoint mail{.name = "mail.example.com", .port = 465};

/// Connects and talks. Returns whether the connection was resumed, and checks that both sides see it alike.
template <class S>
bool resumes(const std::shared_ptr<const typename S::client::context_type>& clients,
             const std::shared_ptr<const typename S::server::context_type>& servers, const endpoint& to = mail) {
    pair<typename S::client, typename S::server> p(clients, servers, to);
    REQUIRE(p.shake());
    REQUIRE(p.talk());
    const auto facts = p.client.facts();
    CHECK(facts.verified == (to.security != security::opportunistic || facts.doubt.empty()));
    CHECK(facts.peer_subject == "CN=postroad test");
    CHECK(facts.peer_expires == "2099-12-31");
    return facts.resumed;
}

tls::stored_session session_of(const std::string& state, bool once = true) {
    return {.state = secret(state), .certificate = "c", .once = once};
}

}  // namespace

TEST_CASE_TEMPLATE("a second connection to the same server resumes the first", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    for (const auto newest : versions<client, server>()) {
        CAPTURE(static_cast<int>(newest));
        const auto clients = client_context<client>({.newest = newest});
        const auto servers = server_context<server>(mail_example());
        CHECK_FALSE(resumes<S>(clients, servers));
        for (int i = 0; i < 3; ++i) CHECK(resumes<S>(clients, servers));
    }
}

TEST_CASE_TEMPLATE("a session of one server is not offered to another name or port", S, SIDES) {
    const auto clients = client_context<typename S::client>();
    const auto servers = server_context<typename S::server>(
        ca().issue({.names = {"mail.example.com", "mx.example.com"}, .addresses = {"192.0.2.1"}}));
    CHECK_FALSE(resumes<S>(clients, servers));
    CHECK_FALSE(resumes<S>(clients, servers, {.name = "mx.example.com", .port = 465}));
    CHECK_FALSE(resumes<S>(clients, servers, {.name = "mail.example.com", .port = 587}));
    CHECK_FALSE(resumes<S>(clients, servers, {.name = "192.0.2.1", .port = 465}));
    CHECK(resumes<S>(clients, servers));
}

TEST_CASE_TEMPLATE("attack 24: a session made under other settings is not resumed", S, SIDES) {
    using context = typename S::client::context_type;
    const auto servers = server_context<typename S::server>(mail_example());
    const auto trusting = client_context<typename S::client>({.verify = tls::verification::insecure_none});
    for (int i = 0; i < 2; ++i) {
        pair<typename S::client, typename S::server> p(trusting, servers, mail);
        REQUIRE(p.shake());
        CHECK(p.talk());
        CHECK_FALSE(p.client.facts().resumed);
        CHECK_FALSE(p.client.facts().verified);
    }
    CHECK(trusting->resumable() == 0);
    const auto other = testing::authority::create("other CA");
    const std::shared_ptr<const context> wrong = client_context<typename S::client>({.ca_pem = other.ca_pem});
    pair<typename S::client, typename S::server> refused(wrong, servers, mail);
    CHECK_FALSE(refused.shake());
    CHECK(wrong->resumable() == 0);
}

TEST_CASE_TEMPLATE("attack 24: an opportunistic connection leaves a session only when it was verified", S, SIDES) {
    const auto clients = client_context<typename S::client>();
    const auto stranger = testing::self_signed({.names = {"mail.example.com"}});
    const auto strangers = server_context<typename S::server>(stranger);
    endpoint to = mail;
    to.security = security::opportunistic;
    CHECK_FALSE(resumes<S>(clients, strangers, to));
    CHECK_FALSE(resumes<S>(clients, strangers, to));
    CHECK(clients->resumable() == 0);
    pair<typename S::client, typename S::server> strict(clients, strangers, mail);
    CHECK_FALSE(strict.shake());

    const auto servers = server_context<typename S::server>(mail_example());
    CHECK_FALSE(resumes<S>(clients, servers, to));
    CHECK(resumes<S>(clients, servers));
}

TEST_CASE_TEMPLATE("a server that has lost its keys shakes hands in full, and is verified anew", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    for (const auto newest : versions<client, server>()) {
        const auto clients = client_context<client>({.newest = newest});
        CHECK_FALSE(resumes<S>(clients, server_context<server>(mail_example())));
        CHECK_FALSE(resumes<S>(clients, server_context<server>(mail_example())));
        pair<client, server> p(clients, server_context<server>(testing::self_signed({.names = {"mail.example.com"}})),
                               mail);
        CHECK_FALSE(p.shake());
        CHECK(p.client.error() == errc::tls_certificate);
    }
}

TEST_CASE_TEMPLATE("resumption can be switched off on either side", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    for (const auto newest : versions<client, server>()) {
        const auto without = client_context<client>({.newest = newest, .resume = tls::resumption::never});
        const auto servers = server_context<server>(mail_example());
        for (int i = 0; i < 2; ++i) CHECK_FALSE(resumes<S>(without, servers));
        CHECK(without->resumable() == 0);

        const auto clients = client_context<client>({.newest = newest});
        const auto forgetful = server_context<server>(mail_example(), {.resume = tls::resumption::never});
        for (int i = 0; i < 2; ++i) CHECK_FALSE(resumes<S>(clients, forgetful));
    }
}

TEST_CASE_TEMPLATE("a ticket of TLS 1.3 is used once", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    if (versions<client, server>().size() < 2) return;
    const auto clients = client_context<client>();
    const auto servers = server_context<server>(mail_example());
    CHECK_FALSE(resumes<S>(clients, servers));
    const auto tickets = clients->resumable();
    REQUIRE(tickets > 0);
    std::vector<std::unique_ptr<client>> engines;
    for (std::size_t i = 0; i < tickets; ++i) {
        engines.push_back(std::make_unique<client>(clients, mail));
        CHECK(clients->resumable() == tickets - 1 - i);
    }
}

TEST_CASE("sessions are found by server, the newest first") {
    tls::session_store store;
    CHECK_FALSE(store.take("a"));
    store.put("a", session_of("1"));
    store.put("b", session_of("2"));
    store.put("a", session_of("3"));
    CHECK(store.take("a")->state == secret("3"));
    CHECK(store.take("a")->state == secret("1"));
    CHECK_FALSE(store.take("a"));
    CHECK(store.take("b")->certificate == "c");
    CHECK(store.size() == 0);
}

TEST_CASE("a session that may be used again stays, and gives way to a newer one") {
    tls::session_store store;
    store.put("a", session_of("1", false));
    CHECK(store.take("a")->state == secret("1"));
    store.put("a", session_of("2", false));
    CHECK(store.take("a")->state == secret("2"));
    CHECK(store.size() == 1);
    store.put("b", session_of("3"));
    store.forget("a");
    CHECK_FALSE(store.take("a"));
    CHECK(store.size() == 1);
}

TEST_CASE("the oldest session gives way at the limit") {
    tls::session_store store;
    for (std::size_t i = 0; i < tls::session_store::limit; ++i) store.put(std::to_string(i), session_of("x", false));
    CHECK(store.size() == tls::session_store::limit);
    CHECK(store.take("0"));
    store.put("one more", session_of("x"));
    CHECK(store.size() == tls::session_store::limit);
    CHECK_FALSE(store.take("0"));
    CHECK(store.take("1"));
    CHECK(store.take("one more"));
}

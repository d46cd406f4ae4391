#include <doctest/doctest.h>

#include <postroad/tls/sessions.hpp>

#include <atomic>
#include <chrono>
#include <ctime>
#include <string>

#include "pair.hpp"

using namespace tls_test;
using namespace std::chrono_literals;

namespace {

std::atomic<std::time_t> clock_is_ahead = 0;

}  // namespace

// What TLS libraries and session_store ask for the date. The one of this program goes before that of the system.
extern "C" std::time_t time(std::time_t* to) noexcept {
    std::timespec t{};
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += clock_is_ahead;
    if (to) *to = t.tv_sec;
    return t.tv_sec;
}

namespace {

const endpoint mail{.name = "mail.example.com", .port = 465};
constexpr std::chrono::sys_seconds today = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1};

/// Puts the clock forward while it lives.
struct later {
    explicit later(std::chrono::seconds by) { clock_is_ahead = by.count(); }
    later(const later&) = delete;
    later& operator=(const later&) = delete;
    ~later() { clock_is_ahead = 0; }
};

/// In the form of certificate_options.
std::string date_in(std::chrono::seconds by) {
    const auto then = std::time(nullptr) + by.count();
    std::tm t{};
    gmtime_r(&then, &t);
    char text[20];
    return {text, std::strftime(text, sizeof text, "%Y%m%d%H%M%S", &t)};
}

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

TEST_CASE_TEMPLATE("attack 24: a session ends with the first certificate of the chain that was verified for it", S,
                   SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    struct row {
        std::string not_after;
        std::chrono::seconds passes;
    };
    // The server's certificate expires, or that of the CA, at the end of 2099.
    for (const auto& r : {row{date_in(1h), 2h}, row{"21500101000000", std::chrono::years{75}}})
        for (const auto newest : versions<client, server>()) {
            CAPTURE(r.not_after);
            CAPTURE(static_cast<int>(newest));
            const auto clients = client_context<client>({.newest = newest});
            const auto servers =
                server_context<server>(ca().issue({.names = {"mail.example.com"}, .not_after = r.not_after}));
            // Tickets of a resumed connection last no longer.
            for (const bool resumed : {false, true, true}) {
                pair<client, server> p(clients, servers, mail);
                REQUIRE(p.shake());
                REQUIRE(p.talk());
                REQUIRE(p.client.facts().resumed == resumed);
            }
            CHECK(clients->resumable() > 0);
            const later now(r.passes);
            pair<client, server> p(clients, servers, mail);
            CHECK(clients->resumable() == 0);
            CHECK_FALSE(p.shake());
            CHECK(p.client.error() == errc::tls_certificate);
            CHECK(p.client.explanation().find("expired") != std::string::npos);
        }
}

TEST_CASE_TEMPLATE("attack 24: other CAs or pins are other settings, and nothing is resumed under them", S, SIDES) {
    const auto servers = server_context<typename S::server>(mail_example());
    const auto clients = client_context<typename S::client>();
    CHECK_FALSE(resumes<S>(clients, servers));
    CHECK(resumes<S>(clients, servers));
    const auto other = testing::authority::create("other CA");
    const std::string strange(43, 'A');
    for (const auto& s : {tls::settings{.ca_pem = other.ca_pem}, tls::settings{.pins = {strange + "="}}}) {
        pair<typename S::client, typename S::server> p(client_context<typename S::client>(s), servers, mail);
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
    CHECK_FALSE(store.take("a", today));
    store.put("a", session_of("1"));
    store.put("b", session_of("2"));
    store.put("a", session_of("3"));
    CHECK(store.take("a", today)->state == secret("3"));
    CHECK(store.take("a", today)->state == secret("1"));
    CHECK_FALSE(store.take("a", today));
    CHECK(store.take("b", today)->certificate == "c");
    CHECK(store.size() == 0);
}

TEST_CASE("a session that may be used again stays, and gives way to a newer one") {
    tls::session_store store;
    store.put("a", session_of("1", false));
    CHECK(store.take("a", today)->state == secret("1"));
    store.put("a", session_of("2", false));
    CHECK(store.take("a", today)->state == secret("2"));
    CHECK(store.size() == 1);
    store.put("b", session_of("3"));
    store.forget("a");
    CHECK_FALSE(store.take("a", today));
    CHECK(store.size() == 1);
}

TEST_CASE("a session is given out until its certificates expire") {
    tls::session_store store;
    auto session = session_of("1", false);
    session.valid_until = today;
    store.put("a", session);
    store.put("b", session);
    CHECK(store.take("a", today));
    CHECK_FALSE(store.take("a", today + 1s));
    CHECK(store.size() == 0);
}

TEST_CASE("the oldest session gives way at the limit") {
    tls::session_store store;
    for (std::size_t i = 0; i < tls::session_store::limit; ++i) store.put(std::to_string(i), session_of("x", false));
    CHECK(store.size() == tls::session_store::limit);
    CHECK(store.take("0", today));
    store.put("one more", session_of("x"));
    CHECK(store.size() == tls::session_store::limit);
    CHECK_FALSE(store.take("0", today));
    CHECK(store.take("1", today));
    CHECK(store.take("one more", today));
}

// The code of docs/tls.md.
#include <doctest/doctest.h>

#include <postroad/postroad.hpp>
#include <postroad/testing/certificates.hpp>
#include <postroad/tls/policies.hpp>

#include <memory>
#include <string>

//[by_port
/// TLS at once on port 465, by STARTTLS elsewhere, whatever the scheme says.
struct by_port {
    using axis = postroad::axis::tls;
    using engine_type = postroad::tls::mbedtls_engine;
    using context_type = postroad::tls::mbedtls_context;

    postroad::tls::settings options = {};

    postroad::tls::start starts(const postroad::endpoint& to) const {
        if (to.security == postroad::security::insecure_none)
            throw postroad::error(postroad::errc::contradiction, "by_port does not go without TLS");
        return to.port == 465 ? postroad::tls::start::immediately : postroad::tls::start::by_starttls;
    }

    std::shared_ptr<const context_type> make_context() const { return std::make_shared<context_type>(options); }
};

static_assert(postroad::tls::tls_policy<by_port>);
//]

TEST_CASE("the policy of the page about TLS starts by port") {
    const by_port policy;
    CHECK(policy.starts({.name = "mail.example.com", .port = 465}) == postroad::tls::start::immediately);
    CHECK(policy.starts({.name = "mail.example.com", .port = 587}) == postroad::tls::start::by_starttls);
    CHECK_THROWS_AS(policy.starts({.security = postroad::security::insecure_none}), postroad::error);
}

void compose_with_options() {
    //[use
    postroad::mailer mail{postroad::transport::smtp{"smtps://relay.example.com"},
                          postroad::tls::implicit{.options = {.ca_file = "/etc/postroad/ca.pem"}}};
    //]
}

void choose() {
    //[settings
    postroad::tls::settings options{.ca_path = "/etc/postroad/ca",
                                    .pins = {"r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E="},
                                    .certificate_file = "/etc/postroad/sender.pem",
                                    .key_file = "/etc/postroad/sender.key"};
    //]
    static_cast<void>(options);
}

void compose_by_port() {
    //[use_by_port
    postroad::mailer mail{postroad::transport::smtp{"smtp://relay.example.com:465"}, by_port{}};
    //]
}

//[drive
/// Moves a handshake on. Returns true when it is done, false when `from_socket` must hold more first.
bool step(postroad::tls::mbedtls_engine& engine, std::string& from_socket, std::string& to_socket) {
    engine.received(from_socket);
    from_socket.clear();
    const auto progress = engine.handshake();
    to_socket += engine.output();  // also after a failure: it holds the alert
    engine.consumed(engine.output().size());
    if (progress == postroad::tls::progress::failed)
        throw postroad::error(engine.error(), {.explanation = engine.explanation()});
    return progress == postroad::tls::progress::done;
}
//]

TEST_CASE("the engine of the page about TLS is driven without a socket") {
    //[certificates
    const auto ca = postroad::testing::authority::create();
    const auto id = ca.issue({.names = {"mail.example.com"}, .addresses = {"127.0.0.1"}});

    const auto at_server =
        postroad::tls::mbedtls_context::server({.certificate_pem = id.certificate_pem, .key_pem = id.key_pem});
    const postroad::tls::required at_client{.options = {.ca_pem = ca.ca_pem}};
    //]
    postroad::tls::mbedtls_engine client(at_client.make_context(), {.name = "127.0.0.1"}), server(at_server);
    std::string to_server, to_client;
    bool done = false;
    for (int round = 0; round < 10 && !done; ++round) {
        const bool client_done = step(client, to_client, to_server);
        done = step(server, to_server, to_client) && client_done;
    }
    CHECK(done);
    CHECK(client.facts().version.starts_with("TLSv1."));

    postroad::tls::mbedtls_engine deceived(at_client.make_context(), {.name = "mail.example.org"});
    postroad::tls::mbedtls_engine other(at_server);
    to_server.clear();
    to_client.clear();
    std::string text;
    try {
        for (int round = 0; round < 10; ++round) {
            static_cast<void>(step(deceived, to_client, to_server));
            static_cast<void>(step(other, to_server, to_client));
        }
    } catch (const postroad::error& e) {
        text = e.what();
    }
    CHECK(text == "certificate of mail.example.org is for mail.example.com, 127.0.0.1; expected mail.example.org");
}

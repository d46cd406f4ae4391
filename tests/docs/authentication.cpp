// The code of docs/transport.md on authentication.
#include <doctest/doctest.h>

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <functional>
#include <string>
#include <utility>

namespace {

// Stands for a client of an identity provider.
struct identity_provider {
    std::string current = "stale-token";
    std::string token() { return current; }
    void async_refresh(const std::function<void(postroad::error_code, std::string)>& then) { then({}, "fresh-token"); }
};

}  // namespace

TEST_CASE("docs: credentials that are fetched when they are due") {
    postroad::testing::sink server({.security = postroad::security::starttls,
                                    .users = {{"ann@example.com", "fresh-token"}},
                                    .mechanisms = {"XOAUTH2"},
                                    .require_auth = true});
    identity_provider provider;
    auto options = postroad::transport::smtp(server.url()).options();

    //[fetch_credentials
    options.credentials_source = [&provider](const postroad::smtp::credentials_request& request,
                                             postroad::smtp::credentials_handler done) {
        const auto user = "ann@example.com";
        if (request.refused_token.empty())
            return done({.credentials = {.user = user, .token = postroad::secret(provider.token())}});
        provider.async_refresh([user, done](postroad::error_code error, std::string token) {
            done({.credentials = {.user = user, .token = postroad::secret(std::move(token))}, .error = error});
        });
    };
    //]

    postroad::mailer mail{postroad::transport::smtp{std::move(options)},
                          postroad::tls::required{.options = {.ca_pem = server.ca_pem()}}};
    mail.send(postroad::message{}.from("ann@example.com").to("bob@example.org").subject("x").text("y"))
        .require_accepted();
    CHECK(server.state().counts().auth_attempts == 2);
}

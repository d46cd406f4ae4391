// The code of docs/direct.md.
#include <postroad/diagnose_direct.hpp>
#include <postroad/postroad.hpp>
#include <postroad/submission.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <string>

#if __has_include(<unbound.h>)
#include <postroad/transport/mx.hpp>

void options_of_direct(const std::string& relay) {
    //[mx_options
    postroad::transport::mx_options options;
    options.client_name = "out1.example.com";
    options.own = {"mx.example.com", "203.0.113.7"};
    options.routes = {{.domain = "*.corp.example.com", .url = relay},
                      {.domain = "closed.example.com", .refusal = "this domain is closed"},
                      {.domain = "here.example.com", .url = "maildir:///srv/mail/here"}};
    options.dialing.local_addresses = {"203.0.113.7"};
    //]
    //[mx_resolver
    const auto dns = std::make_shared<postroad::net::unbound>(
        postroad::net::unbound_options{.forward_to = {"127.0.0.1@53"}, .more = {{"cache-max-ttl", "3600"}}});
    postroad::mailer direct{postroad::transport::mx{options, dns}, postroad::scheduling::fair{}};
    //]
}
#endif

#if __has_include(<curl/curl.h>)
#include <postroad/net/https_policies.hpp>

void policies_of_direct(postroad::transport::mx_options& options) {
    //[mta_sts
    options.policies = postroad::net::https_policies{{.file = "mta-sts-policies"}};
    //]
}
#endif

namespace {

const std::string header = "From: Ann <ann@example.com>\r\n";

//[mx_diagnose
void explain(const postroad::transport::mx_options& options, const postroad::transport::dns_lookup& ask) {
    const auto found =
        postroad::diagnose(options, ask, {.from = "ann@example.com", .to = {"bob@example.org"}}, {.header = header});
    std::printf("%s", to_string(found).c_str());
}
//]

//[submission_lookup
std::string server_of(const std::string& address, const postroad::transport::dns_lookup& ask) {
    return postroad::submission_url(address, ask);  // such as smtps://mail.example.org:465
}
//]

}  // namespace

TEST_CASE("the server of an address is looked up") {
    auto dns = std::make_shared<postroad::testing::scripted_resolver>();
    const std::string rdata("\0\0\0\0\x01\xd1", 6);
    dns->record("_submissions._tcp.example.org", postroad::net::record_type::srv,
                rdata + *postroad::net::to_labels("mail.example.org"));
    CHECK(server_of("someone@example.org", postroad::waiting_for(dns)) == "smtps://mail.example.org:465");
}

TEST_CASE("mail to domains that a test makes up") {
    //[mx_in_a_test
    postroad::testing::sink server;
    auto dns = std::make_shared<postroad::testing::scripted_resolver>();
    dns->mx("example.org", 10, "mx.example.org").address("mx.example.org", "127.0.0.1");
    dns->mx("no-mail.example", 0, "");

    using direct = postroad::transport::basic_mx<postroad::testing::scripted_resolver>;
    postroad::mailer mail{
        direct{{.client_name = "out.example.com", .port = server.port(), .private_addresses = true}, dns}};
    const auto result = mail.send(postroad::message{}
                                      .from("ann@example.com")
                                      .to("bob@example.org, carol@no-mail.example")
                                      .subject("Hello")
                                      .text("Hello"));
    //]
    CHECK(result.recipients[0].status == postroad::status::accepted);
    CHECK(result.recipients[1].error == postroad::errc::domain_takes_no_mail);
    explain({.client_name = "out.example.com", .port = server.port(), .private_addresses = true},
            postroad::waiting_for(dns));
}

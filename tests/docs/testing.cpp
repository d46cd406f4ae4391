// The code of docs/testing.md.
#include <doctest/doctest.h>

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <chrono>
#include <fstream>
#include <string>

namespace {

postroad::message invoice() {
    return postroad::message{}.from("ann@a.example").to("bob@b.example").subject("Your invoice").text("Hello Bob");
}

}  // namespace

//[use
TEST_CASE("the invoice reaches its customer") {
    postroad::testing::sink server{{.security = postroad::security::starttls, .users = {{"shop", "secret"}}}};
    postroad::mailer mail{postroad::transport::smtp{server.url("shop")},
                          postroad::tls::automatic{.options = {.ca_pem = server.ca_pem()}}};

    mail.send(invoice()).require_accepted();

    const auto arrived = server.messages().at(0);
    CHECK(arrived.recipients.at(0) == "bob@b.example");
    CHECK(arrived.content.find("Subject: Your invoice\r\n") != std::string::npos);
    CHECK(arrived.tls);
    CHECK(server.violations().empty());
}
//]

//[faults
TEST_CASE("a refusal and a lost reply are told apart") {
    using postroad::testing::fault;
    postroad::testing::sink server{
        {.faults = {
             fault::reply(postroad::phase::rcpt, "550 5.1.1 no such user"),
             {.at = postroad::phase::content, .send = "", .takes_effect = true, .then = postroad::testing::then::drop},
         }}};
    postroad::mailer mail{postroad::transport::smtp{server.url()}};

    CHECK(mail.send(invoice()).all_are(postroad::status::rejected));
    postroad::error_code ec;
    CHECK(mail.send(invoice(), ec).all_are(postroad::status::in_doubt));
    CHECK(server.messages().size() == 1);  // the second message was stored; only the reply got lost
}
//]

//[running
TEST_CASE("a server can change while it runs") {
    postroad::testing::sink server;
    postroad::mailer mail{postroad::transport::smtp{server.url()}};

    mail.send(invoice()).require_accepted();
    server.drop_connections();
    mail.send(invoice()).require_accepted();  // over a new connection
    CHECK(server.wait_for(2, std::chrono::seconds(10)));

    server.state().add(postroad::testing::parse_fault("rcpt:1:451 4.7.1 later"));
    postroad::error_code ec;
    CHECK(mail.send(invoice(), ec).all_are(postroad::status::deferred));
}
//]

TEST_CASE("the text forms of faults on the page can be read") {
    std::ifstream page("docs/testing.md");
    int found = 0;
    for (std::string line; std::getline(page, line);) {
        const auto end = line.rfind("` |");
        const auto start = line.rfind('`', end - 1);
        if (!line.starts_with("| ") || end == std::string::npos || start < 4) continue;
        auto text = line.substr(start + 1, end - start - 1);
        for (auto at = text.find("\\|"); at != std::string::npos; at = text.find("\\|")) text.erase(at, 1);
        if (text.starts_with(':') || text.find(':') == text.rfind(':')) continue;
        CAPTURE(text);
        CHECK_NOTHROW((void)postroad::testing::parse_fault(text));
        ++found;
    }
    CHECK(found == 12);
}

// LMTP and what a message asks for, over real sockets.
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

using namespace postroad;
using testing::sink;

namespace {

std::shared_ptr<mail_object> to(const std::vector<std::string>& recipients) {
    auto m = std::make_shared<mail_object>();
    m->envelope.reverse_path = address("ann@example.com");
    for (const auto& r : recipients) m->envelope.recipients.emplace_back(r);
    m->content = content::from_text("Subject: x\n\nx\n");
    return m;
}

}  // namespace

TEST_CASE("one message is accepted, deferred and rejected at once by LMTP, in the clear and with TLS") {
    for (const auto wire : {security::insecure_none, security::starttls}) {
        sink store({.security = wire,
                    .lmtp = true,
                    .chunking = true,
                    .faults = {{.at = phase::content, .match = "full", .send = "452 4.2.2 full\r\n"},
                               {.at = phase::rcpt, .match = "nobody", .send = "550 5.1.1 no\r\n"}}});
        mailer mail{transport::smtp{store.url() + "?pipelining=window"},
                    tls::automatic{.options = {.ca_pem = store.ca_pem()}}, scheduling::fifo{.retry = {.attempts = 1}}};
        const auto o = mail.send(to({"b@y", "full@y", "nobody@y", "c@y"}));
        REQUIRE(o.recipients.size() == 4);
        CHECK(o.recipients[0].status == status::accepted);
        CHECK(o.recipients[1].status == status::deferred);
        CHECK(o.recipients[2].status == status::rejected);
        CHECK(o.recipients[3].status == status::accepted);
        const auto stored = store.messages();
        REQUIRE(stored.size() == 1);
        CHECK(stored[0].recipients == std::vector<std::string>{"b@y", "c@y"});
        CHECK(stored[0].tls == (wire == security::starttls));
        CHECK(store.violations().empty());
    }
}

TEST_CASE("BDAT that is offered and not known costs no message and doubles none") {
    sink server({.chunking = true, .faults = {{.at = phase::content, .nth = 1, .send = "502 5.5.1 what?\r\n"}}});
    mailer mail{transport::smtp{server.url() + "?pipelining=window"}, pooling::keep_alive{.max_connections = 1}};
    std::vector<ticket> tickets;
    for (int i = 0; i < 20; ++i) tickets.push_back(mail.submit(to({"b" + std::to_string(i) + "@y"})));
    for (auto& t : tickets) CHECK(t.wait().all_accepted());
    CHECK(server.messages().size() == 20);
    std::size_t bdat = 0;
    std::size_t data = 0;
    for (const auto& c : server.state().commands()) {
        bdat += c.starts_with("BDAT");
        data += c.starts_with("DATA");
    }
    CHECK(bdat >= 1);
    CHECK(data >= 1);
}

TEST_CASE("what no server can be asked is refused before the message is queued") {
    sink server;
    mailer mail{server.url()};
    auto m = to({"b@y"});
    m->envelope.options.envelope_id = std::string(101, 'x');
    try {
        (void)mail.send(*m);
        FAIL("it was sent");
    } catch (const error& e) {
        CHECK(e.code() == errc::invalid_option);
        CHECK(std::string(e.what()).find("envelope_id") != std::string::npos);
    }
    CHECK(server.state().counts().connections_ever == 0);
}

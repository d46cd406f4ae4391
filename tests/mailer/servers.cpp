// Several servers, split recipients, deadlines and delays, over real sockets.
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include "refusing_port.hpp"

#include <doctest/doctest.h>

#include <asio/use_future.hpp>

#include <future>
#include <string>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::fault;
using testing::parse_fault;
using testing::sink;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

mail_ptr to_many(std::size_t n) {
    auto m = std::make_shared<mail_object>();
    m->envelope.reverse_path = address("ann@example.com");
    for (std::size_t i = 0; i < n; ++i)
        m->envelope.recipients.push_back(address("r" + std::to_string(i) + "@example.org"));
    m->content = content::from_text("Subject: x\n\nx\n");
    return m;
}

std::string host_and_port(const sink& s) { return "localhost:" + std::to_string(s.port()); }

}  // namespace

TEST_CASE("mail goes to the backup server when the first is down, and in one attempt") {
    sink backup;
    const refusing_port dead;
    mailer mail{"smtp+insecure://" + dead.at("localhost") + "?backup=" + host_and_port(backup)};
    for (int i = 0; i < 3; ++i) {
        const auto o = mail.send(hello());
        CHECK(o.all_accepted());
        CHECK(o.attempts == 1);
    }
    CHECK(backup.messages().size() == 3);
}

TEST_CASE("a server that hangs up within an envelope is followed by the backup, and nothing is doubled") {
    sink first({.faults = {fault::drop(phase::rcpt, 0)}});
    sink backup;
    mailer mail{first.url() + "?backup=" + host_and_port(backup)};
    CHECK(mail.send(hello()).all_accepted());
    CHECK(first.messages().empty());
    CHECK(backup.messages().size() == 1);
}

TEST_CASE("what asks for REQUIRETLS goes to the server that offers it, within the same attempt") {
    const sink first({.security = security::starttls});
    const sink backup({.security = security::starttls, .more_keywords = {"REQUIRETLS"}});
    mailer mail{first.url() + "?backup=" + host_and_port(backup),
                tls::automatic{{.ca_pem = first.ca_pem() + backup.ca_pem()}}};
    auto letter = hello().freeze(std::chrono::system_clock::now());
    letter.envelope.options.require_tls = true;
    const auto o = mail.send(letter);
    CHECK(o.all_accepted());
    CHECK(o.attempts == 1);
    // Others go on to the first.
    CHECK(mail.send(hello()).all_accepted());
    CHECK(first.messages().size() == 1);
    CHECK(backup.messages().size() == 1);
}

TEST_CASE("what is in doubt at the first server is not given to the backup") {
    sink first({.faults = {parse_fault("content:0:|drop")}});
    sink backup;
    mailer mail{first.url() + "?backup=" + host_and_port(backup)};
    error_code ec;
    CHECK(mail.send(hello(), ec).all_are(status::in_doubt));
    CHECK(backup.messages().empty());
}

TEST_CASE("two servers of one preference share the connections by weight") {
    sink one({.delay = 1ms});
    sink two({.delay = 1ms});
    auto o = transport::smtp(one.url()).options();
    o.more_servers = {transport::smtp(two.url()).options().server};
    mailer mail{transport::smtp{o}, pooling::keep_alive{.max_connections = 4, .messages_per_connection = 5}};
    std::vector<std::future<outcome>> all;
    for (int i = 0; i < 40; ++i) all.push_back(mail.async_send(hello(), asio::use_future));
    for (auto& f : all) CHECK(f.get().all_accepted());
    CHECK(one.messages().size() + two.messages().size() == 40);
    CHECK(one.messages().size() >= 10);
    CHECK(two.messages().size() >= 10);
}

TEST_CASE("a message with more recipients than a transaction takes goes out in several") {
    sink s;
    mailer mail{s.url() + "?recipients=40"};
    const auto o = mail.send(to_many(100));
    CHECK(o.all_accepted());
    CHECK(o.attempts == 1);
    const auto got = s.messages();
    REQUIRE(got.size() == 3);
    CHECK(got[0].recipients.size() == 40);
    CHECK(got[2].recipients.size() == 20);
    CHECK(got[2].recipients.back() == "r99@example.org");
}

TEST_CASE("a send that takes too long is given up") {
    sink s({.faults = {fault::stall(phase::mail, 0)}});
    mailer mail{s.url()};
    error_code ec;
    const auto o = mail.send(hello(), {.give_up_after = 50ms}, ec);
    CHECK(ec == errc::timed_out);
    CHECK(o.all_are(status::not_attempted));
}

TEST_CASE("a delayed message is sent when its time has come") {
    sink s;
    mailer mail{s.url()};
    auto later = mail.submit(hello(), {.delay = 30ms});
    CHECK(mail.send(hello()).all_accepted());
    CHECK(later.wait().all_accepted());
    CHECK(s.messages().size() == 2);
}

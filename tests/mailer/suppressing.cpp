// Addresses that must not get mail, at the door of a mailer.
#include <postroad/core/transcript.hpp>
#include <postroad/engine/bounce_counter.hpp>
#include <postroad/postroad.hpp>
#include <postroad/queueing/suppression.hpp>
#include <postroad/testing/sink.hpp>

#include "refusing_port.hpp"

#include <asio/io_context.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::sink;

namespace {

message hello() {
    return message{}
        .from("ann@example.com")
        .to("ann@example.org")
        .to("bob@example.org")
        .to("cid@example.org")
        .subject("Hello")
        .text("Hello");
}

std::shared_ptr<suppression::memory> list_of(const std::vector<suppression::entry>& all) {
    auto list = std::make_shared<suppression::memory>();
    list->add(all, suppression::time(1s));
    return list;
}
suppression::entry bob() { return {.address = address("bob@example.org"), .source = "Ann"}; }

std::vector<std::string> recipients_at(const sink& s) {
    std::vector<std::string> all;
    for (const auto& m : s.messages()) all.insert(all.end(), m.recipients.begin(), m.recipients.end());
    return all;
}

void check_bob(const recipient_outcome& r) {
    CHECK(r.address == "bob@example.org");
    CHECK(r.status == status::rejected);
    CHECK(r.where == phase::policy);
    CHECK(r.error == errc::suppressed);
    CHECK(r.reply.code == 0);
    CHECK(r.why == "bob@example.org is suppressed: manual since 1970-01-01 (Ann)");
}

}  // namespace

TEST_CASE("who is suppressed gets nothing, and the others of the message do") {
    sink s;
    mailer mail{s.url()};
    mail.suppress_by(list_of({bob()}));
    const auto o = mail.send(hello());
    REQUIRE(o.recipients.size() == 3);
    CHECK(o.recipients[0].status == status::accepted);
    CHECK(o.recipients[0].address == "ann@example.org");
    check_bob(o.recipients[1]);
    CHECK(o.recipients[2].status == status::accepted);
    CHECK(o.recipients[2].address == "cid@example.org");
    CHECK(recipients_at(s) == std::vector<std::string>{"ann@example.org", "cid@example.org"});
}

TEST_CASE("a message whose recipients are all suppressed reaches no server, and is no error of the operation") {
    sink s;
    mailer mail{s.url()};
    const auto seen = std::make_shared<transcript>();
    mail.observe(seen);
    mail.suppress_by(list_of({bob()}));
    auto only_bob = message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello");
    SUBCASE("send") {
        const auto o = mail.send(only_bob);
        REQUIRE(o.recipients.size() == 1);
        check_bob(o.recipients[0]);
        CHECK(o.attempts == 0);
    }
    SUBCASE("submit") {
        auto t = mail.submit(only_bob);
        const auto o = t.wait();
        REQUIRE(o.recipients.size() == 1);
        check_bob(o.recipients[0]);
    }
    mail.shutdown();
    CHECK(s.messages().empty());
    CHECK(seen->text().find("outcome rejected bob@example.org") != std::string::npos);
}

TEST_CASE("what is asked for recipients stays with them when others are left out") {
    sink s;
    mailer mail{s.url()};
    mail.suppress_by(list_of({bob()}));
    auto m = hello().freeze(std::chrono::system_clock::now());
    m.envelope.recipient_options = {{.notify = {.never = true}}, {}, {.notify = {.success = true}}};
    (void)mail.send(m);
    REQUIRE(s.messages().size() == 1);
    CHECK(s.messages()[0].recipient_parameters == std::vector<std::string>{"NOTIFY=NEVER", "NOTIFY=SUCCESS"});
}

TEST_CASE("the tenant and the List-Id of a message decide which entries count") {
    sink s;
    mailer mail{s.url()};
    auto for_acme = bob();
    for_acme.of.tenant = "acme";
    auto for_news = bob();
    for_news.of.list = "news.example.com";
    mail.suppress_by(list_of({for_acme, for_news}));
    const auto bob_got = [&](message m, const send_options& o) {
        return mail.send(m, o).recipients[1].status == status::accepted;
    };
    CHECK(bob_got(hello(), {}));
    CHECK_FALSE(bob_got(hello(), {.tenant = "acme"}));
    CHECK_FALSE(bob_got(hello().header("List-Id", "Our news <news.example.com>"), {}));
    CHECK(bob_got(hello().header("List-Id", "Other news <other.example.com>"), {}));
}

TEST_CASE("asynchronous operations complete as others do") {
    sink s;
    asio::io_context context;
    mailer mail{context, s.url()};
    mail.suppress_by(list_of({bob()}));
    int told = 0;
    mail.async_send(message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"),
                    [&](error_code ec, const outcome& o) {
                        CHECK_FALSE(ec);
                        check_bob(o.recipients.at(0));
                        ++told;
                    });
    CHECK(told == 0);
    mail.async_send(hello(), [&](error_code ec, const outcome& o) {
        CHECK_FALSE(ec);
        CHECK(o.recipients.size() == 3);
        check_bob(o.recipients.at(1));
        ++told;
        mail.async_shutdown(1h, [](error_code) {});
    });
    context.run();
    CHECK(told == 2);
}

namespace {

struct counting {
    explicit counting(std::atomic<int>& a) : asked(a) {}
    std::atomic<int>& asked;
    std::optional<suppression::entry> find(const address& a, const suppression::scope&, suppression::time) const {
        ++asked;
        if (a.str() == "cid@example.org") throw std::runtime_error("the disk is gone");
        return {};
    }
};

}  // namespace

TEST_CASE("a list is asked once for each recipient, and nothing is sent if it cannot say") {
    sink s;
    mailer mail{s.url()};
    std::atomic<int> asked = 0;
    mail.suppress_by(std::make_shared<counting>(asked));
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(asked == 3);
    CHECK(ec == errc::policy_failed);
    CHECK(o.details.explanation.find("the disk is gone") != std::string::npos);
    CHECK(s.messages().empty());
    mail.suppress_by(std::shared_ptr<counting>());
    mail.send(hello()).require_accepted();
    CHECK(asked == 3);
}

TEST_CASE("an error of the message names all its recipients") {
    const refusing_port nobody;
    mailer mail{transport::smtp{"smtp+insecure://" + nobody.at("localhost")},
                scheduling::fifo{.retry = {.attempts = 1}}};
    mail.suppress_by(list_of({bob()}));
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(ec);
    REQUIRE(o.recipients.size() == 3);
    CHECK(o.recipients[0].status == status::not_attempted);
    check_bob(o.recipients[1]);
}

TEST_CASE("a refusal of MAIL is not counted, whatever it says") {
    sink s({.faults = {{.at = phase::mail, .nth = 0, .send = "550 5.1.1 no such user\r\n"}}});
    const auto suppressed = std::make_shared<suppression::memory>(suppression::options{.bounces = 1});
    {
        mailer mail{transport::smtp{s.url()}, scheduling::fifo{.retry = {.attempts = 1}}};
        mail.observe(std::make_shared<bounce_counter<suppression::memory>>(suppressed));
        (void)mail.send(hello());
    }
    CHECK(suppressed->size() == 0);
}

TEST_CASE("replies that say that there is no such mailbox are counted, and no others") {
    const auto refuse = [](const char* who, const char* reply) {
        return testing::fault{.at = phase::rcpt, .nth = 0, .match = who, .send = std::string(reply) + "\r\n"};
    };
    sink s({.faults = {refuse("ann@example.org", "550 5.1.1 no such user"),
                       refuse("bob@example.org", "550 5.7.1 blocked as spam"),
                       refuse("cid@example.org", "450 4.1.1 not now")}});
    const auto suppressed = std::make_shared<suppression::memory>(suppression::options{.bounces = 1});
    {
        mailer mail{transport::smtp{s.url()}, scheduling::fifo{.retry = {.attempts = 1}}};
        mail.observe(std::make_shared<bounce_counter<suppression::memory>>(suppressed));
        mail.suppress_by(suppressed);
        (void)mail.send(hello());
    }
    CHECK(suppressed->size() == 1);
    suppressed->each([&](const suppression::entry& e) {
        CHECK(e.address.str() == "ann@example.org");
        CHECK(e.why == suppression::reason::hard_bounce);
        CHECK(e.source.find("550 5.1.1 no such user") != std::string::npos);
        CHECK_FALSE(e.source.starts_with(": "));
        return true;
    });
}

// Reports of a mailer to the senders of what it could not deliver.
#include <postroad/core/transcript.hpp>
#include <postroad/engine/reporting.hpp>
#include <postroad/message/delivery_report.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include "failure.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::sink;

namespace {

message hello() {
    return message{}.from("ann@example.com").to("bob@example.org").to("cid@example.org").subject("Hello").text("Hello");
}

testing::fault refuse(const char* who, const char* reply, unsigned nth = 0) {
    return {.at = phase::rcpt, .nth = nth, .match = who, .send = std::string(reply) + "\r\n"};
}

std::vector<delivery_report> reports_at(const sink& s) {
    std::vector<delivery_report> all;
    for (const auto& m : s.messages()) {
        if (!m.reverse_path.empty()) continue;
        CHECK(m.recipients == std::vector<std::string>{"ann@example.com"});
        const auto r = parse_delivery_report(m.content);
        REQUIRE(r);
        all.push_back(*r);
    }
    return all;
}

template <class Scheduling>
void send_one(const sink& s, Scheduling line, const mail_object& m) {
    mailer mail{transport::smtp{s.url()}, std::move(line)};
    mail.report_failures({.reporting_mta = "mx.example.com"});
    error_code ec;
    (void)mail.send(m, ec);
    mail.shutdown();
}

scheduling::fifo once() { return {.retry = {.attempts = 1}}; }

struct late_at_once : scheduling::fifo {
    verdict judge(const job& j, time_point now) {
        return {.what = verdict::kind::retry, .at = now, .late = j.result.attempts == 1};
    }
};

mail_object frozen(const message& m) { return m.freeze(std::chrono::system_clock::now()); }

}  // namespace

TEST_CASE("who is refused for good is reported to the sender, and nobody else") {
    sink s({.faults = {refuse("bob", "550 5.1.1 no such user")}});
    send_one(s, once(), frozen(hello()));
    CHECK(s.messages().size() == 2);
    const auto all = reports_at(s);
    REQUIRE(all.size() == 1);
    CHECK(all[0].reporting_mta == "mx.example.com");
    CHECK_FALSE(all[0].original_message_id.empty());
    REQUIRE(all[0].recipients.size() == 1);
    const auto& r = all[0].recipients[0];
    CHECK(r.final == "bob@example.org");
    CHECK(r.action == delivery_action::failed);
    CHECK(r.status == enhanced_code{5, 1, 1});
    CHECK(r.diagnostic == "550 5.1.1 no such user");
}

TEST_CASE("what all got is reported to nobody") {
    sink s;
    send_one(s, once(), frozen(hello()));
    CHECK(s.messages().size() == 1);
}

TEST_CASE("what is given up after its last attempt is a failure") {
    sink s({.faults = {refuse("bob", "451 4.7.1 later")}});
    send_one(s, scheduling::fifo{.retry = {.attempts = 2, .first_wait = 1ms, .greylisted = 1ms}}, frozen(hello()));
    const auto all = reports_at(s);
    REQUIRE(all.size() == 1);
    REQUIRE(all[0].recipients.size() == 1);
    CHECK(all[0].recipients[0].action == delivery_action::failed);
    CHECK(all[0].recipients[0].status == enhanced_code{4, 7, 1});
}

TEST_CASE("what is late is reported once, and then delivered") {
    sink s({.faults = {refuse("bob", "451 4.7.1 later", 1), refuse("bob", "451 4.7.1 later", 2)}});
    send_one(s, late_at_once{}, frozen(hello()));
    const auto all = reports_at(s);
    REQUIRE(all.size() == 1);
    REQUIRE(all[0].recipients.size() == 1);
    CHECK(all[0].recipients[0].action == delivery_action::delayed);
    CHECK(all[0].recipients[0].final == "bob@example.org");
    CHECK(s.messages().size() == 3);
}

TEST_CASE("there is no report about a report, nor for who wants none") {
    sink s({.faults = {refuse("bob", "550 5.1.1 no such user")}});
    auto m = frozen(hello());
    SUBCASE("from the null reverse path") { m.envelope.reverse_path = {}; }
    SUBCASE("NOTIFY=NEVER") { m.envelope.recipient_options = {{.notify = {.never = true}}, {}}; }
    send_one(s, once(), m);
    CHECK(s.messages().size() == 1);
}

TEST_CASE("a sender whose report cannot be delivered gets no other") {
    sink s({.faults = {refuse("bob", "550 5.1.1 no such user"), refuse("ann@example.com", "550 5.1.1 nor this one")}});
    send_one(s, once(), frozen(hello()));
    CHECK(s.messages().size() == 1);
    CHECK(s.violations().empty());
}

TEST_CASE("a full queue in memory has room for a report where its message was") {
    sink s({.faults = {refuse("example.org", "550 5.1.1 no such user")}});
    mailer mail{transport::smtp{s.url()}, queueing::memory{.capacity = 1}, scheduling::fifo{.retry = {.attempts = 1}}};
    mail.report_failures({.reporting_mta = "mx.example.com"});
    error_code ec;
    (void)mail.send(hello(), ec);
    mail.shutdown();
    CHECK(reports_at(s).size() == 1);
}

TEST_CASE("who is suppressed is in no report: the program knows it at once") {
    sink s({.faults = {refuse("bob", "550 5.1.1 no such user")}});
    mailer mail{transport::smtp{s.url()}, scheduling::fifo{.retry = {.attempts = 1}}};
    mail.report_failures({.reporting_mta = "mx.example.com"});
    const auto list = std::make_shared<suppression::memory>();
    const suppression::entry cid{.address = address("cid@example.org")};
    list->add({&cid, 1}, suppression::time(1s));
    mail.suppress_by(list);
    error_code ec;
    (void)mail.send(hello(), ec);
    mail.shutdown();
    const auto all = reports_at(s);
    REQUIRE(all.size() == 1);
    CHECK(all[0].recipients.size() == 1);
}

TEST_CASE("a name that is none is refused when reports are asked for") {
    mailer mail{"smtp://localhost"};
    CHECK(failure_of([&] { mail.report_failures({}); }).code == errc::invalid_option);
    CHECK(failure_of([&] { mail.report_failures({.reporting_mta = "two words"}); }).code == errc::invalid_option);
}

TEST_CASE("a report says nothing of who is in doubt, and nothing at all of what was cancelled") {
    job j{.id = 7, .mail = std::make_shared<const mail_object>(frozen(hello()))};
    const auto began = clock::now();
    j.submitted = began;
    j.deadline = began + 48h;
    j.result.recipients = {{.address = "bob@example.org", .status = status::in_doubt},
                           {.address = "cid@example.org", .status = status::not_attempted}};
    j.error = errc::timed_out;
    const auto read = [&](delivery_action what) {
        const auto mail = engine::report_about(j, what, {.reporting_mta = "mx.example.com"},
                                               {began + 24h, std::chrono::sys_days(std::chrono::year(2026) / 3 / 2)});
        return mail ? parse_delivery_report(mail->content.text()) : std::nullopt;
    };
    const auto failed = read(delivery_action::failed);
    REQUIRE(failed);
    REQUIRE(failed->recipients.size() == 1);
    CHECK(failed->recipients[0].final == "cid@example.org");
    const auto late = read(delivery_action::delayed);
    REQUIRE(late);
    CHECK(late->recipients[0].will_retry_until == "Tue, 03 Mar 2026 00:00:00 +0000");
    j.error = errc::cancelled;
    CHECK_FALSE(read(delivery_action::failed));
}

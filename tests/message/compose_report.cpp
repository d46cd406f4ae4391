// Reports that are composed are read back, and nobody gets one who must not.
#include <doctest/doctest.h>
#include <postroad/message/delivery_report.hpp>
#include <postroad/message/eml.hpp>

#include <ostream>
#include <string>
#include <vector>

#include "failure.hpp"
#include "text_of.hpp"

using postroad::address;
using postroad::delivery_action;
using postroad::enhanced_code;
using postroad::errc;
using postroad::mail_object;
using postroad::notify;
using postroad::parse_delivery_report;
using postroad::reported_recipient;

namespace {

const std::chrono::system_clock::time_point now{std::chrono::seconds(1700000000)};
const postroad::report_options by_mx{.reporting_mta = "mx.example"};

mail_object mail(const std::string& header = "Message-ID: <1@x>\nSubject: secret\n") {
    return postroad::parse_eml("From: ann@x\nTo: bob@y, cid@y\n" + header + "\nbody \xc3\xa4\n");
}

const std::vector<reported_recipient> failed = {{.final = "bob@y",
                                                 .action = delivery_action::failed,
                                                 .status = {5, 1, 1},
                                                 .diagnostic = "550 5.1.1 no such user",
                                                 .remote_mta = "mx.y"}};

}  // namespace

TEST_CASE("a report is read as it was meant, and goes to the sender from nobody") {
    auto about = mail();
    about.envelope.options.envelope_id = "ticket-17";
    about.envelope.recipient_options = {{.original_recipient = "Bob@old.y"}, {}};
    std::vector<reported_recipient> all = failed;
    all.push_back({.final = "cid@y", .action = delivery_action::delayed, .will_retry_until = "Mon, 6 Jan 2025"});
    const auto report = compose_report(about, all, {.reporting_mta = "mx.example", .arrived = now}, now);
    REQUIRE(report);
    CHECK(report->envelope.reverse_path.null());
    REQUIRE(report->envelope.recipients.size() == 1);
    CHECK(report->envelope.recipients[0] == address("ann@x"));
    const auto text = text_of(report->content);
    for (const std::string wanted :
         {"From: Mail Delivery System <MAILER-DAEMON@mx.example>\r\n", "To: ann@x\r\n", "Auto-Submitted: auto-replied",
          "In-Reply-To: <1@x>\r\n", "Subject: Your message was not delivered\r\n",
          "Content-Type: multipart/report; report-type=delivery-status;", "Reporting-MTA: dns; mx.example\r\n",
          "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n", "Status: 4.0.0\r\n"}) {
        CAPTURE(wanted);
        CHECK(text.find(wanted) != text.npos);
    }
    const auto found = parse_delivery_report(text);
    REQUIRE(found);
    CHECK(found->envelope_id == "ticket-17");
    CHECK(found->original_message_id == "<1@x>");
    CHECK(found->reporting_mta == "mx.example");
    REQUIRE(found->recipients.size() == 2);
    CHECK(found->recipients[0].original == "Bob@old.y");
    CHECK(found->recipients[0].final == "bob@y");
    CHECK(found->recipients[0].action == delivery_action::failed);
    CHECK(found->recipients[0].status == enhanced_code{5, 1, 1});
    CHECK(found->recipients[0].diagnostic == "550 5.1.1 no such user");
    CHECK(found->recipients[0].remote_mta == "mx.y");
    CHECK(found->recipients[1].action == delivery_action::delayed);
    CHECK(found->recipients[1].will_retry_until == "Mon, 6 Jan 2025");
}

TEST_CASE("no report is about a report, and none goes to who does not want it") {
    auto bounce = mail();
    bounce.envelope.reverse_path = {};
    CHECK(!compose_report(bounce, failed, by_mx, now));
    CHECK(!compose_report(*compose_report(mail(), failed, by_mx, now), failed, by_mx, now));
    CHECK(!compose_report(mail(), {}, by_mx, now));
    using enum delivery_action;
    const struct {
        postroad::notify notify;
        std::vector<delivery_action> wanted;
    } rows[] = {
        {{}, {postroad::delivery_action::failed, delayed}},       {{.never = true}, {}},
        {{.failure = true}, {postroad::delivery_action::failed}}, {{.delay = true}, {delayed}},
        {{.success = true}, {delivered, relayed, expanded}},
    };
    for (const auto& row : rows) {
        auto about = mail();
        about.envelope.recipient_options = {{.notify = row.notify}, {.notify = {.never = true}}};
        for (const auto action : {unknown, postroad::delivery_action::failed, delayed, delivered, relayed, expanded}) {
            const std::vector<reported_recipient> both = {{.final = "bob@y", .action = action},
                                                          {.final = "cid@y", .action = action}};
            const auto report = compose_report(about, both, by_mx, now);
            const bool wanted = std::ranges::find(row.wanted, action) != row.wanted.end();
            CHECK(report.has_value() == wanted);
            if (!report) continue;
            const auto found = parse_delivery_report(text_of(report->content));
            REQUIRE(found->recipients.size() == 1);
            CHECK(found->recipients[0].action == action);
        }
    }
}

TEST_CASE("the message comes back as it was asked for, all of it only to who failed") {
    for (const auto how : {postroad::returned::unsaid, postroad::returned::headers, postroad::returned::full})
        for (const auto action : {delivery_action::failed, delivery_action::delayed}) {
            auto about = mail();
            about.envelope.options.returned = how;
            const std::vector<reported_recipient> who = {{.final = "bob@y", .action = action}};
            const auto content = compose_report(about, who, by_mx, now)->content;
            const auto text = text_of(content);
            const bool all = how == postroad::returned::full && action == delivery_action::failed;
            CHECK((text.find("body \xc3\xa4") != text.npos) == all);
            CHECK((text.find("message/rfc822") != text.npos) == all);
            CHECK((text.find("text/rfc822-headers") != text.npos) != all);
            CHECK(text.find("Subject: secret") != text.npos);
            CHECK(content.eight_bit() == all);
        }
}

TEST_CASE("addresses and headers in UTF-8 make an international report") {
    auto about = postroad::parse_eml("From: ann@x\nTo: j\xc3\xb6rg@y\nSubject: \xc3\xa4\n\nx\n");
    const std::vector<reported_recipient> who = {{.final = "j\xc3\xb6rg@y", .action = delivery_action::failed}};
    const auto text = text_of(compose_report(about, who, by_mx, now)->content);
    CHECK(text.find("message/global-delivery-status") != text.npos);
    CHECK(text.find("message/global-headers") != text.npos);
    const auto found = parse_delivery_report(text);
    REQUIRE(found);
    CHECK(found->recipients[0].final == "j\xc3\xb6rg@y");
    about.envelope.reverse_path = address("\xc3\xa4nn@x");
    CHECK(compose_report(about, who, by_mx, now)->content.eight_bit_header());
}

TEST_CASE("nothing that a server said changes the form of a report") {
    auto about = mail("Message-ID: no id >\nX: \xc3\xa4\n");
    std::string long_text(5000, 'x');
    for (const std::string& evil :
         {std::string("550 no\r\nAction: delivered\r\n\r\nFinal-Recipient: rfc822; eve@z"), std::string("\0\x1b[2J", 5),
          std::string("\xff\xfe"), long_text, std::string("--b")}) {
        const std::vector<reported_recipient> who = {{.final = "bob@y",
                                                      .action = delivery_action::failed,
                                                      .diagnostic = evil,
                                                      .remote_mta = evil,
                                                      .will_retry_until = evil}};
        about.envelope.options.envelope_id = evil;
        about.envelope.recipient_options = {{.original_recipient = "\xc3\xa4" + evil}, {}};
        const auto content = compose_report(about, who, by_mx, now)->content;
        CHECK(content.longest_line() <= 998);
        const auto found = parse_delivery_report(text_of(content));
        REQUIRE(found);
        REQUIRE(found->recipients.size() == 1);
        CHECK(found->recipients[0].final == "bob@y");
        CHECK(found->recipients[0].action == delivery_action::failed);
    }
    for (const std::string host : {"", "a b", "x\r\ny", "[192.0.2.1"}) {
        const auto f = failure_of([&] { (void)compose_report(about, failed, {.reporting_mta = host}, now); });
        CHECK(f.code == errc::invalid_option);
    }
}

TEST_CASE("an outcome of ours becomes what a report says") {
    using postroad::status;
    const auto of = [](status s, postroad::reply r) {
        return postroad::reported({.address = "bob@y", .status = s, .reply = std::move(r), .why = "nobody answered"});
    };
    const auto refused = of(status::rejected, {.code = 550, .enhanced = {5, 1, 1}, .text = "no"});
    CHECK(refused.action == delivery_action::failed);
    CHECK(refused.status == enhanced_code{5, 1, 1});
    CHECK(refused.diagnostic == "550 5.1.1 no");
    CHECK(of(status::deferred, {}).action == delivery_action::delayed);
    CHECK(of(status::deferred, {}).diagnostic == "nobody answered");
    CHECK(of(status::in_doubt, {}).action == delivery_action::delayed);
    CHECK(of(status::accepted, {.code = 250}).action == delivery_action::relayed);
}

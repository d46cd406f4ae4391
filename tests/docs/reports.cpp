// The code of docs/reports.md.
#include <doctest/doctest.h>

#include <postroad/message/delivery_report.hpp>
#include <postroad/message/failure_cause.hpp>
#include <postroad/message/message.hpp>
#include <postroad/postroad.hpp>

#include <chrono>
#include <string>

void report_what_fails(postroad::mailer<>& mail) {
    //[report_failures
    mail.report_failures({.reporting_mta = "mx.example.com"});
    //]
}

TEST_CASE("the reports of the page") {
    const auto now = std::chrono::system_clock::now();
    auto m = postroad::message{}.from("ann@example.com").to("bob@example.org").text("x");
    //[verp
    const postroad::address bounces("bounces@example.com");
    m.envelope_from(postroad::verp_address(bounces, "7f3a"));
    //]
    const postroad::address to("bounces+7f3a@example.com");
    const std::string came_back =
        "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
        "Final-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.1.1\n--b--\n";
    std::string list;
    //[report
    if (const auto report = postroad::parse_delivery_report(came_back))
        for (const auto& r : report->recipients)
            if (r.action == postroad::delivery_action::failed)
                list += postroad::verp_tag(bounces, to) + ' ' + r.address() + ' ' + to_string(r.status) + '\n';
    //]
    CHECK(list == "7f3a bob@example.org 5.1.1\n");

    const auto recipient = postroad::parse_delivery_report(came_back)->recipients.front();
    std::string forgotten;
    const auto forget = [&](const std::string& a) { forgotten = a; };
    //[cause
    const auto why = postroad::cause_of(recipient);
    if (why.cause == postroad::failure_cause::unknown_recipient && why.how_sure >= postroad::certainty::likely)
        forget(recipient.address());
    //]
    CHECK(forgotten == "bob@example.org");

    const auto mail = m.freeze(now);
    const postroad::outcome outcome{
        .recipients = {{.address = "bob@example.org", .status = postroad::status::rejected, .reply = {.code = 550}}}};
    //[compose
    auto failed = postroad::reported(outcome.recipients.front());
    failed.remote_mta = "mx.example.org";
    const auto report = compose_report(mail, {{failed}}, {.reporting_mta = "mx.example.com"}, now);
    //]
    REQUIRE(report);
    CHECK(report->envelope.recipients.front() == postroad::verp_address(bounces, "7f3a"));
}

#include <doctest/doctest.h>
#include <postroad/message/delivery_report.hpp>

#include <ostream>
#include <string>

using postroad::address;
using postroad::delivery_action;
using postroad::enhanced_code;
using postroad::parse_delivery_report;

namespace {

std::string report(const std::string& status, const std::string& original = "Message-ID: <1@x>\n\nbody\n") {
    return "From: mailer-daemon@mx.example\nContent-Type: multipart/report; report-type=delivery-status;\n"
           " boundary=\"b b\"\n\nfor people\n--b b\n\nIt failed.\n--b b\nContent-Type: message/delivery-status\n\n" +
           status + "\n--b b\nContent-Type: message/rfc822\n\n" + original + "\n--b b--\n";
}

}  // namespace

TEST_CASE("a report says who bounced, why, and which message it was") {
    const auto r = parse_delivery_report(
        report("Reporting-MTA: dns; mx.example\nOriginal-Envelope-Id: ticket-17\nArrival-Date: now\n\n"
               "Original-Recipient: rfc822;Bob@example.org\nFinal-Recipient: rfc822; bob@inner.example.org\n"
               "Action: failed\nStatus: 5.1.1 (bad mailbox)\nRemote-MTA: dns; [192.0.2.1]\n"
               "Diagnostic-Code: smtp; 550 5.1.1 no\n such   user\n\n"
               "final-recipient: RFC822;cid@example.org\naction: DELAYED (soon)\nstatus: 4.4.1\n"
               "Will-Retry-Until: Mon, 6 Jan 2025 12:00:00 +0000\n"));
    REQUIRE(r);
    CHECK(r->envelope_id == "ticket-17");
    CHECK(r->reporting_mta == "mx.example");
    CHECK(r->original_message_id == "<1@x>");
    CHECK(r->feedback_type.empty());
    REQUIRE(r->recipients.size() == 2);
    const auto& bob = r->recipients[0];
    CHECK(bob.address() == "Bob@example.org");
    CHECK(bob.final == "bob@inner.example.org");
    CHECK(bob.action == delivery_action::failed);
    CHECK(bob.status == enhanced_code{5, 1, 1});
    CHECK(bob.diagnostic == "550 5.1.1 no such user");
    CHECK(bob.remote_mta == "[192.0.2.1]");
    const auto& cid = r->recipients[1];
    CHECK(cid.address() == "cid@example.org");
    CHECK(cid.action == delivery_action::delayed);
    CHECK(to_string(cid.action) == "delayed");
    CHECK(cid.status == enhanced_code{4, 4, 1});
    CHECK(cid.will_retry_until == "Mon, 6 Jan 2025 12:00:00 +0000");
}

TEST_CASE("no recipient is lost, however the groups are written") {
    const std::string about = "Reporting-MTA: dns; mx.example\n";
    const std::string bob = "Final-Recipient: rfc822; bob@y\nAction: failed\nStatus: 5.1.1\n";
    const std::string cid =
        "Original-Recipient: rfc822; cid@o\nFinal-Recipient: rfc822; cid@y\nAction: delayed\nStatus: 4.2.2\n";
    const std::string dee =
        "Final-Recipient: rfc822; dee@y\nOriginal-Recipient: rfc822; dee@o\nAction: failed\nStatus: 5.2.2\n";
    const std::string eve = "Original-Recipient: rfc822; eve@o\nAction: failed\nStatus: 5.7.1\n";
    for (const std::string after_about : {"\n", ""})
        for (const std::string between : {"\n", "", "\n\n\n"}) {
            CAPTURE(after_about);
            CAPTURE(between);
            std::string text = about + after_about;
            for (const auto* group : {&bob, &bob, &dee, &dee, &eve, &cid}) text += *group + between;
            const auto r = parse_delivery_report(report(text));
            REQUIRE(r);
            CHECK(r->reporting_mta == "mx.example");
            std::string all;
            for (const auto& x : r->recipients)
                all += x.address() + ' ' + std::string(to_string(x.action)) + ' ' + to_string(x.status) + '\n';
            if (between.empty()) {
                // eve@o and cid@o repeat the same field, so they are two; nobody is lost
                CHECK(r->recipients.size() == 6);
            } else {
                CHECK(all ==
                      "bob@y failed 5.1.1\nbob@y failed 5.1.1\ndee@o failed 5.2.2\ndee@o failed 5.2.2\n"
                      "eve@o failed 5.7.1\ncid@o delayed 4.2.2\n");
            }
        }
}

TEST_CASE("a status is read with a reply code before it, and from the diagnostic where there is none") {
    const auto status_of = [](const std::string& fields) {
        const auto r = parse_delivery_report(
            report("Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; bob@y\nAction: failed\n" + fields));
        REQUIRE(r);
        return to_string(r->recipients.at(0).status);
    };
    for (const std::string value : {"5.1.1", "550 5.1.1", "550-5.1.1", "550 #5.1.1", "#5.1.1", "5.1.1;", "\"5.1.1\"",
                                    "5.1.1 (4.2.1)", "smtp;550 5.1.1 no such user", "(permanent) 5.1.1"})
        CHECK(status_of("Status: " + value + "\n") == "5.1.1");
    CHECK(status_of("Status: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 no\n") == "5.0.0");
    CHECK(status_of("Status: 550\nDiagnostic-Code: smtp; 550 5.1.1 no\n") == "5.1.1");
    CHECK(status_of("Diagnostic-Code: smtp; 550-5.1.1 no such user at 5.1.1.1\n") == "5.1.1");
    CHECK(status_of("Status: 192.5.1.1\n") == to_string(enhanced_code{}));
    CHECK(status_of("Status: 550\n") == to_string(enhanced_code{}));
}

TEST_CASE("a boundary may be a parameter in pieces or with percent signs (RFC 2231)") {
    for (const std::string parameter :
         {"boundary*=us-ascii'en'b%20b", "BOUNDARY*0=\"b \";\n boundary*1=b", "boundary*1=b; boundary*0*=''b%20",
          "boundary*0*=us-ascii''b; boundary*1*=%20b", "boundary*2=b; boundary*1=\" \"; boundary*0=b; boundary*4=x"}) {
        auto text = report("Final-Recipient: rfc822; bob@y\nAction: failed\nStatus: 5.1.1\n");
        text.replace(text.find("boundary=\"b b\""), 14, parameter);
        const auto r = parse_delivery_report(text);
        REQUIRE_MESSAGE(r, parameter);
        CHECK(r->recipients.at(0).final == "bob@y");
    }
}

TEST_CASE("an address in brackets is the address") {
    const auto r =
        parse_delivery_report(report("Reporting-MTA: dns; mx.example\n\nOriginal-Recipient: rfc822; <bob@o>\n"
                                     "Final-Recipient: RFC822; <bob@y>\nAction: failed\n"));
    REQUIRE(r);
    REQUIRE(r->recipients.size() == 1);
    CHECK(r->recipients[0].original == "bob@o");
    CHECK(r->recipients[0].final == "bob@y");
}

TEST_CASE("whom Exim and Gmail gave up is read from the header, where no report names it") {
    const std::string header =
        "From: mailer-daemon@mx.example\nX-Failed-Recipients: bob@y,\n\tcid@y\nx-failed-recipients: dee@y\n";
    for (const std::string rest :
         {"Content-Type: text/plain\n\nIt failed.\n", "\nIt failed.\n",
          "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nIt failed.\n--b\nContent-Type: message/rfc822\n\n"
          "Message-ID: <1@x>\n\nx\n--b--\n"}) {
        const auto r = parse_delivery_report(header + rest);
        REQUIRE(r);
        std::string all;
        for (const auto& x : r->recipients) all += x.address() + ' ' + std::string(to_string(x.action)) + '\n';
        CHECK(all == "bob@y failed\ncid@y failed\ndee@y failed\n");
    }
    const auto r = parse_delivery_report("X-Failed-Recipients: bob@y\n" +
                                         report("Final-Recipient: rfc822; bob@y\nAction: failed\n"));
    REQUIRE(r);
    CHECK(r->recipients.size() == 1);
    CHECK(!parse_delivery_report("X-Failed-Recipients: ,\n\nx\n"));
    CHECK(!parse_delivery_report("Subject: x\n\nX-Failed-Recipients: bob@y\n"));
}

TEST_CASE("a complaint says who complained and about what") {
    const auto r = parse_delivery_report(
        "Content-Type: multipart/report; boundary=b; report-type=feedback-report\n\n--b\n\nhi\n--b\n"
        "Content-Type: message/feedback-report\n\nFeedback-Type: Abuse\nVersion: 1\nSource-IP: 192.0.2.1\n"
        "Original-Rcpt-To: <bob@example.org>\nOriginal-Rcpt-To: cid@example.org\n\n--b\n"
        "Content-Type: text/rfc822-headers\n\nSubject: x\nMessage-Id: <2@x>\n--b--\n");
    REQUIRE(r);
    CHECK(r->feedback_type == "abuse");
    CHECK(r->source_ip == "192.0.2.1");
    CHECK(r->original_message_id == "<2@x>");
    REQUIRE(r->recipients.size() == 2);
    CHECK(r->recipients[0].address() == "bob@example.org");
    CHECK(r->recipients[1].address() == "cid@example.org");
}

TEST_CASE("reports are found in other parts, encoded, and in UTF-8") {
    const auto inner = report("Final-Recipient: rfc822; a@x\nAction: failed\n");
    const auto wrapped = "Content-Type: multipart/mixed; boundary=w\n\n--w\n" + inner + "\n--w--\n";
    CHECK(parse_delivery_report(wrapped)->recipients.at(0).final == "a@x");
    const auto encoded = [](const std::string& encoding, const std::string& body) {
        return parse_delivery_report(
                   "Content-Type: multipart/report; boundary=w\n\n--w\nContent-Type: message/global-delivery-status\n"
                   "Content-Transfer-Encoding: " +
                   encoding + "\n\n" + body + "\n--w--\n")
            ->recipients.at(0)
            .final;
    };
    CHECK(encoded("base64", "RmluYWwtUmVjaXBpZW50\nOiB1dGYtODsgYUB4Cg==") == "a@x");
    CHECK(encoded("Quoted-Printable", "Final-Recipient: utf-8; =\na=40x") == "a@x");
    CHECK(encoded("Quoted-Printable", "Final-Recipient: rfc822; a=3db=3Dc@x") == "a=b=c@x");
}

TEST_CASE("what is no report is none, and broken ones tell what they can") {
    CHECK_FALSE(parse_delivery_report(""));
    CHECK_FALSE(parse_delivery_report("Subject: out of office\n\nhello\n"));
    CHECK_FALSE(parse_delivery_report("Content-Type: multipart/report; boundary=b\n\n--b\n\nhi\n--b--\n"));
    // a message that only carries a report is somebody's letter about it
    CHECK_FALSE(parse_delivery_report("Content-Type: message/rfc822\n\n" + report("Final-Recipient: rfc822; a@x\n")));
    const auto r = parse_delivery_report(report(
        "no field\n\n\n\n\nFinal-Recipient: a@x\nAction: exploded\nStatus: 9.1.1\n\nFinal-Recipient:\nStatus: 5.1"));
    REQUIRE(r);
    REQUIRE(r->recipients.size() == 2);
    CHECK(r->recipients[0].final == "a@x");
    CHECK(r->recipients[0].action == delivery_action::unknown);
    CHECK_FALSE(r->recipients[0].status);
    CHECK(r->recipients[1].final.empty());
    CHECK_FALSE(r->recipients[1].status);
}

TEST_CASE("what strangers write is escaped and cut") {
    const auto r = parse_delivery_report(
        report("Final-Recipient: rfc822; a@x\nDiagnostic-Code: smtp; \x1b[31m" + std::string(5000, 'x') + "\n"));
    REQUIRE(r);
    CHECK(r->recipients.at(0).diagnostic.starts_with("\\x1b[31m"));
    CHECK(r->recipients.at(0).diagnostic.size() <= postroad::max_report_text + 10);
}

TEST_CASE("recipients are counted up to the limit") {
    const auto count = [](std::size_t n) {
        std::string status = "Reporting-MTA: dns; x\n\n";
        for (std::size_t i = 0; i < n; ++i) status += "Final-Recipient: rfc822; a@x\n\n";
        return parse_delivery_report(report(status))->recipients.size();
    };
    CHECK(count(postroad::max_reported_recipients) == postroad::max_reported_recipients);
    CHECK(count(postroad::max_reported_recipients + 1) == postroad::max_reported_recipients);
}

TEST_CASE("a return path tells what bounced") {
    const address bounces("bounces@example.com");
    const auto tagged = verp_address(bounces, "7f3a");
    CHECK(tagged.str() == "bounces+7f3a@example.com");
    CHECK(verp_tag(bounces, tagged) == "7f3a");
    CHECK(verp_tag(bounces, address("Bounces+7F3A@EXAMPLE.com")) == "7F3A");
    CHECK(verp_tag(bounces, bounces).empty());
    CHECK(verp_tag(bounces, address("other+7f3a@example.com")).empty());
    CHECK(verp_tag(bounces, address("bounces+7f3a@example.org")).empty());
    const auto bob = verp_address(bounces, address("b=ob@example.org"));
    CHECK(bob.str() == "bounces+b=ob=example.org@example.com");
    CHECK(verp_recipient(bounces, bob).str() == "b=ob@example.org");
    CHECK(verp_recipient(bounces, tagged).null());
    CHECK_THROWS_AS((void)verp_address(bounces, "a b"), postroad::error);
    CHECK_THROWS_AS((void)verp_address(bounces, "a>\r\n"), postroad::error);
    CHECK_THROWS_AS((void)verp_address(bounces, std::string(64, 'a')), postroad::error);
    CHECK_THROWS_AS((void)verp_address(bounces, address("\"a b\"@example.org")), postroad::error);
    CHECK_THROWS_AS((void)verp_address(bounces, address("a@[192.0.2.1]")), postroad::error);
    CHECK_NOTHROW((void)verp_address(bounces, std::string(64 - 8, 'a')));
    CHECK_THROWS_AS((void)verp_address(bounces, std::string(64 - 7, 'a')), postroad::error);
}

TEST_CASE("addresses come back as they were given, and what cannot be shown is escaped") {
    const auto of = [](const std::string& original, const std::string& final) {
        const auto r = parse_delivery_report(
            "Content-Type: message/global-delivery-status\n\nReporting-MTA: dns; mx\n\nOriginal-Recipient: " +
            original + "\nFinal-Recipient: " + final + "\nAction: failed\nStatus: 5.1.1\n");
        REQUIRE(r);
        REQUIRE(r->recipients.size() == 1);
        return r->recipients[0];
    };
    const auto found = of("utf-8;j\\x{F6}rg@y", "utf-8; jörg@y");
    CHECK(found.original == "jörg@y");
    CHECK(found.final == "jörg@y");
    CHECK(of("UTF-8; \\x{1F600}@y", "rfc822; <bob@y>").original == "\U0001F600@y");
    CHECK(of("utf-8; \\x{110000}@y", "rfc822; j\\x{F6}rg@y").original == "\\x{110000}@y");
    CHECK(of("utf-8; \\x{7}@y", "rfc822; j\\x{F6}rg@y").final == "j\\x{F6}rg@y");
    CHECK(of("utf-8; \\x{D800}\\x{", "rfc822; a\xff@y").original == "\\x{D800}\\x{");
    CHECK(of("utf-8; a", "rfc822; a\xff@y").final == "a\\xff@y");
    CHECK(of("utf-8; a\\x{85}b", "rfc822; a").original == "a\\xc2\\x85b");
    const auto complaint = parse_delivery_report(
        "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: <jörg@y>\n");
    REQUIRE(complaint);
    CHECK(complaint->recipients.at(0).address() == "jörg@y");
}

TEST_CASE("an Original-Recipient that stands before the second recipient is not the first one's") {
    const auto found = parse_delivery_report(
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n"
        "Final-Recipient: rfc822; ann@y\nAction: failed\nStatus: 5.1.1\n"
        "Original-Recipient: rfc822; list@y\nFinal-Recipient: rfc822; bob@y\nAction: delayed\nStatus: 4.0.0\n");
    REQUIRE(found);
    REQUIRE(found->recipients.size() == 2);
    CHECK(found->recipients[0].address() == "ann@y");
    CHECK(found->recipients[1].original == "list@y");
    const auto one = parse_delivery_report(
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n"
        "Final-Recipient: rfc822; ann@y\nAction: failed\nOriginal-Recipient: rfc822; list@y\n");
    REQUIRE(one);
    REQUIRE(one->recipients.size() == 1);
    CHECK(one->recipients[0].original == "list@y");
}

TEST_CASE("recipients that are named again and again are found once") {
    std::string names;
    for (int again = 0; again < 3; ++again)
        for (int i = 0; i < 100; ++i) names += " Bob" + std::to_string(i) + (again ? "@Y," : "@y,");
    const auto found = parse_delivery_report("X-Failed-Recipients:" + names + "\n\nx\n");
    REQUIRE(found);
    CHECK(found->recipients.size() == 100);
}

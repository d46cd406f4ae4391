// Reports that servers write for people, and what is concluded from reports.
#include <doctest/doctest.h>
#include <postroad/message/delivery_report.hpp>
#include <postroad/message/failure_cause.hpp>
#include <postroad/queueing/suppression.hpp>

#include <ostream>
#include <string>
#include <vector>

using postroad::certainty;
using postroad::delivery_action;
using postroad::enhanced_code;
using postroad::failure_cause;
using postroad::parse_delivery_report;
using postroad::report_form;
using postroad::to_string;

namespace {

struct expected {
    const char* address;
    delivery_action action;
    enhanced_code status;
    const char* diagnostic;  // how it begins
    failure_cause cause;
};

struct row {
    const char* server;
    const char* text;
    std::vector<expected> recipients;
};

std::string from_server(const std::string& text) {
    return "From: Mail Delivery System <Mailer-Daemon@mx.example>\nTo: ann@x\nSubject: failed\n\n" + text;
}

const std::vector<row>& rows() {
    using enum delivery_action;
    static const std::vector<row> all = {
        {"Exim",
         "This message was created automatically by mail delivery software.\n\n"
         "A message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. "
         "The following address(es) failed:\n\n"
         "  bob@y.example\n    SMTP error from remote mail server after RCPT TO:<bob@y.example>:\n"
         "    host mx.y.example [192.0.2.1]: 550 5.1.1 <bob@y.example>: User unknown\n"
         "  cid@y.example\n    Unrouteable address\n\n"
         "------ This is a copy of the message, including all the headers. ------\n\n  dee@y.example\n",
         {{"bob@y.example", failed, {5, 1, 1}, "SMTP error from remote", failure_cause::unknown_recipient},
          {"cid@y.example", failed, {}, "Unrouteable address", failure_cause::unknown_recipient}}},
        {"Exim, a warning",
         "This message was created automatically by mail delivery software.\nA message that you sent has not yet been "
         "delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.example.\n\n"
         "The address to which the message has not yet been delivered is:\n\n  bob@y.example\n"
         "    Delay reason: Connection timed out\n\nNo action is required on your part.\n",
         {{"bob@y.example", delayed, {}, "Delay reason: Connection", failure_cause::unreachable}}},
        {"qmail",
         "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the "
         "following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n"
         "<bob@y.example>:\n192.0.2.1 does not like recipient.\nRemote host said: 552 5.2.2 Over quota\n"
         "Giving up on 192.0.2.1.\n\n<cid@y.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
         "--- Below this line is a copy of the message.\n\nReturn-Path: <ann@x>\n",
         {{"bob@y.example", failed, {5, 2, 2}, "192.0.2.1 does not like", failure_cause::mailbox_full},
          {"cid@y.example", failed, {5, 1, 1}, "Sorry, no mailbox", failure_cause::unknown_recipient}}},
        {"Gmail",
         "Delivery to the following recipient failed permanently:\n\n     bob@y.example\n\n"
         "Technical details of permanent failure:\nGoogle tried to deliver your message, but it was rejected by the "
         "server for the recipient domain y.example by mx.y.example. [192.0.2.1].\n\n"
         "The error that the other server returned was:\n550 5.7.1 Message rejected as spam\n\n"
         "----- Original message -----\n\nFrom: cid@y.example\n",
         {{"bob@y.example", failed, {5, 7, 1}, "550 5.7.1 Message rejected", failure_cause::spam}}},
        {"Gmail, a warning",
         "This is an automatically generated Delivery Status Notification\n\nTHIS IS A WARNING MESSAGE ONLY.\n\n"
         "Delivery to the following recipient has been delayed:\n\n     bob@y.example\n\nMessage will be retried for 2 "
         "more day(s)\n",
         {{"bob@y.example", delayed, {}, "Message will be retried", failure_cause::unknown}}},
        {"Exchange",
         "Your message did not reach some or all of the intended recipients.\n\n      Subject: x\n      Sent: 1/2/2004 "
         "10:00 AM\n\nThe following recipient(s) could not be reached:\n\n      bob@y.example on 1/2/2004 10:00 AM\n"
         "            The e-mail account does not exist at the organization this message was sent to.\n"
         "            <mx.y.example #5.1.1>\n",
         {{"bob@y.example", failed, {5, 1, 1}, "The e-mail account does not", failure_cause::unknown_recipient}}},
        {"Sendmail",
         "The original message was received at Mon, 6 Jan 2025 12:00:00 GMT\n\n"
         "   ----- The following addresses had permanent fatal errors -----\n<bob@y.example>\n"
         "    (reason: 552 Message size exceeds fixed maximum)\n\n   ----- Transcript of session follows -----\n"
         "<cid@y.example>... gone\n",
         {{"bob@y.example", failed, {}, "(reason: 552", failure_cause::too_large}}},
        {"Postfix",
         "This is the Postfix program at host mx.example.\n\nI'm sorry to have to inform you that the message "
         "returned\n"
         "below could not be delivered to one or more destinations.\n\n<bob@y.example>: host mx.y.example[192.0.2.1] "
         "said: 554 5.7.26\n    Unauthenticated email is not accepted (in reply to end of DATA command)\n",
         {{"bob@y.example", failed, {5, 7, 26}, "host mx.y.example[192.0.2.1] said", failure_cause::unauthenticated}}},
        {"Exchange, an address in quotes",
         "Your message did not reach some or all of the intended recipients.\n\nThe following recipient(s) could not "
         "be "
         "reached:\n\n      'bob@y.example' on 1/2/2004 10:00 AM\n"
         "            There was a SMTP communication problem.\n            <mx.y.example #5.5.0 smtp;550 No such "
         "user>\n",
         {{"bob@y.example", failed, {5, 5, 0}, "There was a SMTP", failure_cause::unknown_recipient}}},
        {"qmail, with words of its administrator",
         "We're sorry. There's a problem with an address.\n\n<bob@y.example>:\nSorry, no mailbox here. (#5.1.1)\n\n"
         "--- Below this line is a copy of the message.\n\n<eve@y.example>:\n",
         {{"bob@y.example", failed, {5, 1, 1}, "Sorry, no mailbox", failure_cause::unknown_recipient}}},
        {"Yahoo",
         "Message from yahoo.com.\nUnable to deliver message to the following address(es).\n\n<bob@y.example>:\n"
         "This account has been disabled or discontinued.\n\n--- Original message follows.\n\n<eve@y.example>:\n",
         {{"bob@y.example", failed, {}, "This account has been", failure_cause::disabled_recipient}}},
        {"IMail",
         "Unknown user: bob@y.example\n\nRCPT TO generated following response:\n553 5.3.0 unknown\n\n"
         "Unknown user: cid@y.example\n\nOriginal message follows.\n",
         {{"bob@y.example", failed, {5, 3, 0}, "RCPT TO generated", failure_cause::unknown},
          {"cid@y.example", failed, {}, "Original message", failure_cause::unknown}}},
        {"IMail, after the last attempt",
         "Delivery failed 20 attempts: bob@y.example\n\nundeliverable to cid@y.example\n",
         {{"bob@y.example", failed, {}, "", failure_cause::unknown},
          {"cid@y.example", failed, {}, "", failure_cause::unknown}}},
        {"MailEnable",
         "MailEnable: Message could not be delivered to some recipients.\n"
         "The following recipient(s) could not be reached:\n\n\tRecipient: [SMTP:bob@y.example]\n"
         "\tReason: Remote SMTP Server Returned: 550 5.1.1 mailbox unavailable\n",
         {{"bob@y.example", failed, {5, 1, 1}, "Reason: Remote SMTP", failure_cause::unknown_recipient}}},
        {"of one line",
         "Your Message\n\nTo: <eve@y.example>\n\nDid not reach the following recipient: bob@y.example\n",
         {{"bob@y.example", failed, {}, "", failure_cause::unknown}}},
        {"with the address behind a dash",
         "This is a delivery failure notification message indicating that\nan email ann@x addressed to email address "
         ":\n"
         "-- bob@y.example\nWith subject Hello\ncould not be delivered.\n",
         {{"bob@y.example", failed, {}, "With subject", failure_cause::unknown}}},
        {"MDaemon",
         "The following addresses did NOT receive a copy of your message:\n\n> bob@y.example\n\n"
         "--- Session Transcript ---\n> eve@y.example\n",
         {{"bob@y.example", failed, {}, "", failure_cause::unknown}}},
        {"Airmail",
         "|------------------------- Failed addresses follow: ---------------------|\n"
         " bob@y.example ... unknown host\n",
         {{"bob@y.example", failed, {}, "unknown host", failure_cause::unknown}}},
    };
    return all;
}

}  // namespace

TEST_CASE("what servers write for people is read: whom, what, why") {
    for (const auto& r : rows()) {
        CAPTURE(r.server);
        const auto text = from_server(r.text);
        const auto multipart = "Return-Path: <>\nFrom: x@y\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n" +
                               std::string(r.text) + "\n--b--\n";
        for (const auto& form : {text, multipart}) {
            const auto report = parse_delivery_report(form);
            REQUIRE(report);
            CHECK(report->form == report_form::text);
            REQUIRE(report->recipients.size() == r.recipients.size());
            for (std::size_t i = 0; i < r.recipients.size(); ++i) {
                const auto& found = report->recipients[i];
                const auto& wanted = r.recipients[i];
                CHECK(found.address() == wanted.address);
                CHECK(found.action == wanted.action);
                CHECK(found.status == wanted.status);
                CHECK(found.diagnostic.starts_with(wanted.diagnostic));
                CHECK(cause_of(found).cause == wanted.cause);
            }
        }
        // a person may quote such a report
        CHECK(!parse_delivery_report("From: ann@x\nSubject: Re: failed\n\n" + std::string(r.text)));
    }
}

TEST_CASE("what a message that came back says of others is not read as of its recipients") {
    const auto text = from_server("Your mail came back.\n\n--- Original message follows ---\n\n<eve@y.example>:\nno\n");
    CHECK(!parse_delivery_report(text));
}

TEST_CASE("the header and the text of a report add up") {
    const auto report =
        parse_delivery_report("X-Failed-Recipients: bob@y.example, dee@y.example\n" + from_server(rows().front().text));
    REQUIRE(report);
    REQUIRE(report->recipients.size() == 3);
    CHECK(report->recipients[0].status == enhanced_code{5, 1, 1});
    CHECK(report->recipients[2].address() == "dee@y.example");
    const auto alone = parse_delivery_report("X-Failed-Recipients: bob@y.example\nFrom: ann@x\n\nno known text\n");
    REQUIRE(alone);
    CHECK(alone->form == report_form::header);
    CHECK(!parse_delivery_report(from_server("Out of office: write to bob@y.example\n")));
}

TEST_CASE("a complaint of Outlook.com is the message alone, which names the recipient") {
    const auto report = parse_delivery_report(
        "From: staff@hotmail.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        "X-HmXmrOriginalRecipient: bob@hotmail.com\nMessage-ID: <1@x>\n\nspam\n--b--\n");
    REQUIRE(report);
    CHECK(report->feedback_type == "abuse");
    CHECK(report->original_message_id == "<1@x>");
    REQUIRE(report->recipients.size() == 1);
    CHECK(report->recipients[0].address() == "bob@hotmail.com");
}

TEST_CASE("the cause says how sure it is: status, words, both, or against each other") {
    using enum failure_cause;
    const struct {
        enhanced_code status;
        const char* diagnostic;
        failure_cause cause;
        certainty how_sure;
    } cases[] = {
        {{}, "", unknown, certainty::none},
        {{5, 0, 0}, "550 no", unknown, certainty::none},
        {{5, 1, 1}, "550 User unknown", unknown_recipient, certainty::certain},
        {{5, 1, 1}, "550 no", unknown_recipient, certainty::likely},
        {{5, 0, 0}, "550 No such user here", unknown_recipient, certainty::likely},
        {{}, "550 No such user here", unknown_recipient, certainty::guessed},
        {{5, 1, 1}, "550 blocked using zen.spamhaus.example", spam, certainty::guessed},
        {{5, 1, 1}, "550 mailbox full", unknown_recipient, certainty::guessed},
        {{5, 2, 2}, "552 5.2.2 over quota", mailbox_full, certainty::certain},
        {{5, 2, 1}, "", disabled_recipient, certainty::likely},
        {{5, 1, 2}, "Host not found", unknown_domain, certainty::certain},
        {{5, 1, 10}, "", unknown_domain, certainty::likely},
        {{5, 3, 4}, "message too large", too_large, certainty::certain},
        {{4, 4, 1}, "connection refused", unreachable, certainty::certain},
        {{4, 4, 7}, "delivery time expired", expired, certainty::certain},
        {{5, 7, 1}, "Relaying denied", relaying_denied, certainty::likely},
        {{5, 7, 23}, "SPF validation failed", unauthenticated, certainty::certain},
        {{4, 7, 1}, "Greylisted", rate_limited, certainty::likely},
        {{5, 6, 1}, "", bad_content, certainty::likely},
        {{5, 7, 9}, "", policy, certainty::likely},
    };
    for (const auto& c : cases) {
        CAPTURE(c.diagnostic);
        CAPTURE(to_string(c.status));
        const auto found = postroad::cause_of({.status = c.status, .diagnostic = c.diagnostic});
        CHECK(to_string(found.cause) == to_string(c.cause));
        CHECK(to_string(found.how_sure) == to_string(c.how_sure));
    }
    CHECK(to_string(bad_content) == "bad_content");
}

TEST_CASE("what refuses the sender, a rate or a host's name is not taken for a word about the recipient") {
    using enum failure_cause;
    const struct {
        enhanced_code status;
        const char* diagnostic;
        failure_cause cause;
        bool hard;
    } cases[] = {
        // Exim with verify = sender, Sendmail, Postfix
        {{},
         "550-Verification failed for <b@x.example>\n550-Unrouteable address\n550 Sender verify failed",
         sender_refused,
         false},
        {{},
         "550-Verification failed for <b@x.example>\n550-No Such User Here\n550 Sender verify failed",
         sender_refused,
         false},
        {{}, "550-Callback setup failed while verifying <b@x.example>\n550 no such user", sender_refused, false},
        {{5, 1, 8}, "553 5.1.8 Domain of sender address ann@x.example does not exist", sender_refused, false},
        {{5, 1, 8}, "553 5.1.8 <ann@x.example>... domain does not exist", sender_refused, false},
        {{5, 1, 8}, "550 5.1.8 <ann@x.example>: Sender address rejected: Domain not found", sender_refused, false},
        {{5, 1, 0},
         "550 5.1.0 <ann@x.example>: Sender address rejected: User unknown in virtual mailbox table",
         sender_refused,
         false},
        {{5, 1, 0}, "550 5.1.0 Sender does not exist", sender_refused, false},
        {{5, 1, 1}, "550 5.1.1 Sender address rejected: User unknown", sender_refused, false},
        {{5, 1, 2}, "553 5.1.2 Sender domain not found", sender_refused, false},
        {{5, 1, 7}, "550 5.1.7 invalid address", sender_refused, false},
        {{5, 7, 27}, "550 5.7.27 Sender address has null MX", sender_refused, false},
        // a status that is given for two things
        {{5, 4, 1},
         "550 5.4.1 Recipient address rejected: Access denied. [x.prod.outlook.example]",
         unknown_recipient,
         false},
        {{5, 1, 10},
         "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
         unknown_recipient,
         true},
        {{5, 1, 10}, "556 5.1.10 Recipient address has null MX", unknown_domain, true},
        {{5, 4, 310}, "550 5.4.310 DNS domain x.con does not exist", unknown_domain, false},
        {{5, 4, 310}, "550 5.4.310 no", unknown, false},
        {{5, 4, 6}, "554 5.4.6 too many hops", policy, false},
        {{5, 4, 0}, "554 5.4.0 Error: too many hops", policy, false},
        {{4, 2, 1}, "450-4.2.1 The user you are trying to contact is receiving mail too quickly.", rate_limited, false},
        {{4, 2, 1}, "450 4.2.1 later", unknown, false},
        {{4, 3, 1}, "452 4.3.1 Insufficient system storage", unknown, false},
        // names that others chose
        {{5, 1, 1}, "550 5.1.1 <nospam@y.example>: User unknown", unknown_recipient, true},
        {{5, 1, 1}, "550 5.1.1 <bob@y.example>:User unknown", unknown_recipient, true},
        {{}, "host mx.spamexperts.example [192.0.2.1]: 550 No such recipient here", unknown_recipient, true},
        {{5, 1, 2}, "Host not found", unknown_domain, true},
        {{}, "550 blocked using zen.spamhaus.example", spam, false},
    };
    for (const auto& c : cases) {
        CAPTURE(c.diagnostic);
        const postroad::reported_recipient said{
            .action = delivery_action::failed, .status = c.status, .diagnostic = c.diagnostic};
        CHECK(to_string(postroad::cause_of(said).cause) == to_string(c.cause));
        CHECK(postroad::suppression::is_hard_bounce(said) == c.hard);
    }
}

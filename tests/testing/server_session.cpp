#include "dialogue.hpp"

#include <doctest/doctest.h>
#include <postroad/core/base64.hpp>

#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using postroad::testing::server_options;
using postroad::testing::server_session;
using postroad::testing::stored;
using strings = std::vector<std::string>;

namespace {

const std::string mail_of_ann =
    "MAIL FROM:<ann@a.example>\r\nRCPT TO:<bob@b.example>\r\nRCPT TO:<cyd@b.example>\r\nDATA\r\n";

std::string plain(std::string_view name, std::string_view password) {
    return base64_encode(std::string("\0", 1) + std::string(name) + std::string("\0", 1) + std::string(password));
}

server_options with_users() { return {.users = {{"ann", "secret"}}, .auth_in_clear = true}; }

}  // namespace

TEST_CASE("a message is stored with its envelope, whole or by octet") {
    for (const bool by_octet : {false, true}) {
        CAPTURE(by_octet);
        dialogue d({.size = 1000}, by_octet);
        CHECK(d.greeting == "220 sink.example ESMTP\r\n");
        CHECK(d.say("EHLO client.example") ==
              "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
              "250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n");
        CHECK(d.raw("MAIL FROM:<ann@a.example> SIZE=30 BODY=8BITMIME\r\nRCPT TO:<bob@b.example> NOTIFY=NEVER\r\n"
                    "RCPT TO:<cyd@b.example>\r\nDATA\r\n") ==
              "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n250 2.1.5 recipient ok\r\n354 go ahead\r\n");
        CHECK(d.raw("Subject: x\r\n\r\n..dot\r\n...\r\n.\r\nRSET\r\nQUIT\r\n") ==
              "250 2.0.0 stored 1.1\r\n250 2.0.0 forgotten\r\n221 2.0.0 goodbye\r\n");
        CHECK(d.session.done());
        const stored expected{.reverse_path = "ann@a.example",
                              .recipients = {"bob@b.example", "cyd@b.example"},
                              .content = "Subject: x\r\n\r\n.dot\r\n..\r\n",
                              .mail_parameters = {"SIZE=30", "BODY=8BITMIME"},
                              .recipient_parameters = {"NOTIFY=NEVER", ""},
                              .hello = "client.example",
                              .connection = 1};
        CHECK(d.state->messages() == std::vector{expected});
        CHECK(d.violations() == "");
        CHECK(d.state->commands().size() == 7);
    }
}

TEST_CASE("content ends only at CRLF.CRLF, however it is split") {
    const std::string tricky = "a\n.\nb\r\n.\nc\r.\r\nd\n.\r\n..\r\r\n\r\n.\r\n";
    for (std::size_t split = 0; split <= tricky.size(); ++split) {
        CAPTURE(split);
        dialogue d;
        d.say("EHLO c.example");
        d.raw(mail_of_ann);
        const auto first = d.raw(std::string_view(tricky).substr(0, split));
        CHECK(first + d.raw(std::string_view(tricky).substr(split)) == "250 2.0.0 stored 1.1\r\n");
        REQUIRE(d.state->messages().size() == 1);
        CHECK(d.state->messages()[0].content == "a\n.\nb\r\n\nc\r.\r\nd\n.\r\n.\r\r\n\r\n");
        CHECK(d.violations() ==
              "connection 1: the content holds bare CR\nconnection 1: the content holds bare LF\n"
              "connection 1: the content holds a dot at the start of a line that was not doubled\n");
    }
}

TEST_CASE("empty content is stored as such") {
    dialogue d;
    d.say("EHLO c.example");
    d.raw(mail_of_ann);
    CHECK(d.say(".") == "250 2.0.0 stored 1.1\r\n");
    CHECK(d.state->messages()[0].content.empty());
}

TEST_CASE("what content must not hold is noted") {
    const struct {
        std::string content;
        const char* parameter;
        const char* noted;
    } rows[] = {
        {std::string("a\0b\r\n", 5), "", "NUL"},
        {"\xc3\xa9\r\n", "", "8-bit octets without BODY=8BITMIME"},
        {"\xc3\xa9\r\n", " BODY=8BITMIME", ""},
        {"\xc3\xa9\r\n", " SMTPUTF8", ""},
        {std::string(998, 'x') + "\r\n", "", ""},
        {std::string(999, 'x') + "\r\n", "", "a line longer than 1000 octets"},
        {".x\r\n", "", "a dot at the start of a line that was not doubled"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.content);
        dialogue d;
        d.say("EHLO c.example");
        d.raw("MAIL FROM:<a@b.example>" + std::string(row.parameter) + "\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
        CHECK(d.raw(row.content + ".\r\n").substr(0, 3) == "250");
        const std::string noted = row.noted;
        CHECK(d.violations() == (noted.empty() ? noted : "connection 1: the content holds " + noted + "\n"));
    }
}

TEST_CASE("commands out of order are refused and noted") {
    const struct {
        strings before;
        std::string command;
        std::string code;
        const char* noted;
    } rows[] = {
        {{}, "MAIL FROM:<>", "503", "MAIL before EHLO"},
        {{}, "AUTH PLAIN", "503", "AUTH before EHLO"},
        {{"EHLO c"}, "RCPT TO:<a@b.example>", "503", "RCPT without MAIL"},
        {{"EHLO c"}, "DATA", "503", "DATA without MAIL"},
        {{"EHLO c", "MAIL FROM:<>"}, "MAIL FROM:<>", "503", "MAIL in a transaction"},
        {{"EHLO c", "MAIL FROM:<>"}, "DATA", "554", "DATA without recipient"},
        {{"HELO c", "MAIL FROM:<>"}, "RCPT TO:<a@b.example> NOTIFY=NEVER", "555", "RCPT parameter NOTIFY"},
        {{"HELO c"}, "MAIL FROM:<> BODY=8BITMIME", "555", "MAIL parameter BODY"},
        {{"EHLO c"}, "MAIL FROM:<> SIZE=1", "555", "MAIL parameter SIZE"},
        {{"EHLO c"}, "MAIL FROM: <>", "501", "malformed MAIL"},
        {{"EHLO c"}, "MAIL FROM:a@b.example", "501", "malformed MAIL"},
        {{"EHLO c"}, "MAIL FROM:<a@b@c>", "501", "address"},
        {{"EHLO c"}, "MAIL FROM:<\xc3\xa9@b.example>", "553", "without SMTPUTF8"},
        {{"EHLO c", "MAIL FROM:<>"}, "RCPT TO:<>", "501", "no address"},
        {{"EHLO c"}, "STARTTLS", "502", "STARTTLS is not offered"},
        {{"EHLO c"}, "AUTH PLAIN", "502", "AUTH is not offered"},
        {{"EHLO c", "MAIL FROM:<>", "RCPT TO:<a@b.example>"}, "BDAT 3 LAST\r\nabc", "502", "BDAT is not offered"},
        {{"EHLO c"}, "XYZZY 1", "500", "unknown command XYZZY"},
        {{"EHLO c"}, "NOOP \x01", "500", "control character"},
        {{"EHLO c"}, "EHLO", "501", "EHLO without one name"},
        {{}, "LHLO c", "500", "LHLO in SMTP"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.command);
        dialogue d;
        for (const auto& line : row.before) d.say(line);
        REQUIRE(d.violations() == "");
        CHECK(d.code(row.command) == row.code);
        CHECK(d.violations().find(row.noted) != std::string::npos);
    }
}

TEST_CASE("commands pipelined behind a refused one are no violation") {
    dialogue d({.faults = {testing::fault::reply(phase::mail, "451 4.7.1 later"),
                           testing::fault::reply(phase::rcpt, "550 5.1.1 no", 2)}});
    d.say("EHLO c.example");
    CHECK(d.raw("MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n") ==
          "451 4.7.1 later\r\n503 5.5.1 no sender yet\r\n503 5.5.1 no sender yet\r\n");
    CHECK(d.raw("MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n") ==
          "250 2.1.0 sender ok\r\n550 5.1.1 no\r\n554 5.5.1 no valid recipients\r\n");
    CHECK(d.violations() == "");
}

TEST_CASE("the client must wait for some replies") {
    const struct {
        strings before;
        std::string together;
        const char* noted;
    } rows[] = {
        {{}, "EHLO c\r\nMAIL FROM:<>\r\n", "the reply to EHLO"},
        {{"EHLO c", "MAIL FROM:<>", "RCPT TO:<a@b.example>"}, "DATA\r\n.\r\n", "the reply to DATA"},
        {{"EHLO c"}, "NOOP\r\nRSET\r\n", "the reply to NOOP"},
        {{"EHLO c"}, "AUTH LOGIN\r\nYW5u\r\n", "the reply to AUTH"},
        {{"HELO c"}, "MAIL FROM:<>\r\nRSET\r\n", "the reply to MAIL"},
        {{"EHLO c"}, "MAIL FROM:<>\r\nRSET\r\n", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.together);
        dialogue d(with_users());
        for (const auto& line : row.before) d.say(line);
        REQUIRE(d.violations() == "");
        d.raw(row.together);
        const std::string noted = row.noted;
        CHECK(d.violations() == (noted.empty() ? noted : "connection 1: octets came before " + noted + " was sent\n"));
    }
}

TEST_CASE("without PIPELINING every reply must be waited for") {
    dialogue d({.pipelining = false});
    CHECK(d.say("EHLO c").find("PIPELINING") == std::string::npos);
    d.raw("MAIL FROM:<>\r\nRSET\r\n");
    CHECK(d.violations() == "connection 1: octets came before the reply to MAIL was sent\n");
}

TEST_CASE("a client that talks before the greeting is noted") {
    auto state = std::make_shared<testing::server_state>(server_options{});
    server_session s(state);
    s.started({});
    s.received("EHLO c\r\n", {});
    CHECK(state->violations() == strings{"connection 1: octets came before the reply to the greeting was sent"});
}

TEST_CASE("line limits hold at the limit and not one octet further") {
    const struct {
        std::size_t limit;
        std::string_view start;
    } rows[] = {{server_session::command_line_limit, "NOOP "},
                {server_session::parameter_line_limit, "MAIL FROM:<> ENVID="},
                {server_session::auth_line_limit, "AUTH PLAIN "}};
    for (const auto& row : rows) {
        CAPTURE(row.start);
        dialogue d(with_users());
        d.say("EHLO c");
        const std::string line = std::string(row.start) + std::string(row.limit - 2 - row.start.size(), 'x');
        CHECK(d.code(line).substr(0, 3) != "500");
        CHECK(d.code(line + "x") == "500");
        CHECK(d.violations().find("longer than " + std::to_string(row.limit)) != std::string::npos);
    }
}

TEST_CASE("a line without end is skipped") {
    dialogue d;
    d.say("EHLO c");
    CHECK(d.raw(std::string(50'000, 'x')) == "");
    CHECK(d.raw("\r\nNOOP\r\n") == "500 5.5.6 line too long\r\n250 2.0.0 nothing done\r\n");
}

TEST_CASE("a line that ends in bare LF is taken and noted") {
    dialogue d;
    CHECK(d.raw("NOOP\n").substr(0, 3) == "250");
    CHECK(d.violations() == "connection 1: a line ends in bare LF\n");
}

TEST_CASE("SIZE is held") {
    dialogue d({.size = 5});
    d.say("EHLO c");
    CHECK(d.code("MAIL FROM:<> SIZE=6") == "552");
    for (const auto* content : {"abc\r\n", "abcd\r\n"}) {
        d.raw("MAIL FROM:<> SIZE=5\r\nRCPT TO:<a@b.example>\r\nDATA\r\n");
        CHECK(d.raw(std::string(content) + ".\r\n").substr(0, 3) == (content[3] == 'd' ? "552" : "250"));
    }
    CHECK(d.state->messages().size() == 1);
    CHECK(d.violations() == "");
}

TEST_CASE("AUTH works with and without initial response") {
    const struct {
        strings lines;
        strings codes;
    } rows[] = {
        {{"AUTH PLAIN " + plain("ann", "secret")}, {"235"}},
        {{"auth plain", plain("ann", "secret")}, {"334", "235"}},
        {{"AUTH PLAIN " + plain("ann", "wrong")}, {"535"}},
        {{"AUTH PLAIN " + plain("bob", "secret")}, {"535"}},
        {{"AUTH LOGIN", base64_encode("ann"), base64_encode("secret")}, {"334", "334", "235"}},
        {{"AUTH LOGIN " + base64_encode("ann"), base64_encode("secret")}, {"334", "235"}},
        {{"AUTH LOGIN", base64_encode("ann"), "*"}, {"334", "334", "501"}},
        {{"AUTH XOAUTH2 " + base64_encode("user=ann\1auth=Bearer secret\1\1")}, {"235"}},
        {{"AUTH XOAUTH2 " + base64_encode("user=ann\1auth=Bearer x\1\1"), ""}, {"334", "535"}},
        {{"AUTH OAUTHBEARER " + base64_encode("n,a=ann,\1host=h\1auth=Bearer secret\1\1")}, {"235"}},
        {{"AUTH OAUTHBEARER", base64_encode("n,a=ann,\1auth=Bearer x\1\1"), "AQ=="}, {"334", "334", "535"}},
    };
    for (const auto& row : rows) {
        auto options = with_users();
        options.mechanisms = {"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"};
        options.require_auth = true;
        dialogue d(options);
        CHECK(d.say("EHLO c").find("AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\r\n") != std::string::npos);
        for (std::size_t i = 0; i < row.lines.size(); ++i) {
            CAPTURE(row.lines[i]);
            CHECK(d.code(row.lines[i]) == row.codes[i]);
        }
        CHECK(d.code("MAIL FROM:<>") == (row.codes.back() == "235" ? "250" : "530"));
        CHECK(d.violations() == "");
        CHECK(d.state->counts().auth_attempts == 1);
        for (const auto& c : d.state->commands()) CHECK(c.find(base64_encode("secret")) == std::string::npos);
    }
}

TEST_CASE("wrong use of AUTH is noted, and what was said is not") {
    dialogue d(with_users());
    d.say("EHLO c");
    CHECK(d.code("AUTH CRAM-MD5") == "504");
    CHECK(d.code("AUTH PLAIN !!!") == "501");
    CHECK(d.code(plain("ann", "secret")) == "500");
    CHECK(d.code("AUTH PLAIN " + plain("ann", "secret")) == "235");
    CHECK(d.code("AUTH PLAIN " + plain("ann", "secret")) == "503");
    CHECK(d.violations() ==
          "connection 1: AUTH with a mechanism that is not offered\nconnection 1: an AUTH response is not base64\n"
          "connection 1: unknown command ...\nconnection 1: AUTH after success\n");
    CHECK(d.state->commands() ==
          strings{"EHLO c", "AUTH CRAM-MD5", "AUTH PLAIN ...", "...", "AUTH PLAIN ...", "AUTH PLAIN ..."});
}

TEST_CASE("AUTH is not offered in the clear, and using it is noted") {
    dialogue d({.security = security::starttls, .users = {{"ann", "secret"}}});
    CHECK(d.say("EHLO c").find("AUTH") == std::string::npos);
    CHECK(d.code("AUTH PLAIN " + plain("ann", "secret")) == "538");
    CHECK(d.violations() == "connection 1: credentials in the clear\n");
}

TEST_CASE("STARTTLS forgets what was said, and TLS is required where the options say so") {
    dialogue d({.security = security::starttls, .users = {{"ann", "secret"}}, .require_tls = true});
    CHECK(d.say("EHLO c").find("STARTTLS") != std::string::npos);
    CHECK(d.code("MAIL FROM:<>") == "530");
    CHECK(d.say("STARTTLS") == "220 2.0.0 go ahead\r\n");
    REQUIRE(d.session.wants_tls());
    d.session.secured(d.now);
    CHECK_FALSE(d.session.wants_tls());
    CHECK(d.code("MAIL FROM:<>") == "503");
    const auto hello = d.say("EHLO c");
    CHECK(hello.find("STARTTLS") == std::string::npos);
    CHECK(hello.find("AUTH") != std::string::npos);
    CHECK(d.code("STARTTLS") == "503");
    d.raw(mail_of_ann);
    d.say(".");
    CHECK(d.state->messages().at(0).tls);
    CHECK(d.state->counts().handshakes == 1);
}

TEST_CASE("octets behind STARTTLS are discarded and noted") {
    dialogue d({.security = security::starttls});
    d.say("EHLO c");
    CHECK(d.raw("STARTTLS\r\nEHLO evil\r\n") == "220 2.0.0 go ahead\r\n");
    CHECK(d.violations() == "connection 1: octets in the clear behind STARTTLS\n");
    d.session.secured(d.now);
    CHECK(d.code("MAIL FROM:<>") == "503");
}

TEST_CASE("BDAT stores chunks as they are, whole or by octet") {
    for (const bool by_octet : {false, true}) {
        dialogue d({.chunking = true, .binarymime = true}, by_octet);
        CHECK(d.say("EHLO c").find("250-CHUNKING\r\n250 BINARYMIME\r\n") != std::string::npos);
        const std::string body("a\n.\r\n\0.\r", 8);
        CHECK(d.raw("MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<a@b.example>\r\nBDAT 8\r\n" + body +
                    "BDAT 3 LAST\r\nxyzRSET\r\n") ==
              "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n250 2.0.0 chunk ok\r\n250 2.0.0 stored 1.1\r\n"
              "250 2.0.0 forgotten\r\n");
        CHECK(d.state->messages().at(0).content == body + "xyz");
        d.raw("MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nBDAT 5\r\nabc\r\n");
        CHECK(d.say("BDAT 0 LAST") == "250 2.0.0 stored 1.2\r\n");
        CHECK(d.violations() == "");
    }
}

TEST_CASE("a refused chunk is read, and those behind it are refused") {
    dialogue d({.chunking = true, .faults = {testing::fault::reply(phase::data, "451 4.3.0 full")}});
    d.say("EHLO c");
    CHECK(d.raw("MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nBDAT 6\r\nQUIT\r\nBDAT 2 LAST\r\nhi") ==
          "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n451 4.3.0 full\r\n503 5.5.1 a chunk was refused\r\n");
    CHECK(d.code("DATA") == "503");
    CHECK(d.violations() == "connection 1: DATA behind BDAT\n");
    CHECK(d.code("RSET") == "250");
}

TEST_CASE("LMTP replies for each recipient that was accepted") {
    dialogue d({.lmtp = true,
                .faults = {{.at = phase::content, .match = "cyd", .send = "452 4.2.2 full\r\n"},
                           {.at = phase::rcpt, .match = "dan", .send = "550 5.1.1 no\r\n"}}});
    CHECK(d.greeting == "220 sink.example LMTP\r\n");
    CHECK(d.code("EHLO c") == "500");
    CHECK(d.code("LHLO c") == "250");
    d.raw(
        "MAIL FROM:<>\r\nRCPT TO:<bob@b.example>\r\nRCPT TO:<dan@b.example>\r\nRCPT TO:<cyd@b.example>\r\n"
        "RCPT TO:<eve@b.example>\r\nDATA\r\n");
    CHECK(d.raw("x\r\n.\r\n") == "250 2.0.0 stored 1.1\r\n452 4.2.2 full\r\n250 2.0.0 stored 1.1\r\n");
    CHECK(d.state->messages().at(0).recipients == strings{"bob@b.example", "eve@b.example"});
    CHECK(d.violations() == "connection 1: EHLO in LMTP\n");
}

TEST_CASE("a server without ESMTP knows HELO and no enhanced codes") {
    dialogue d({.esmtp = false});
    CHECK(d.code("EHLO c") == "502");
    CHECK(d.say("HELO c") == "250 sink.example\r\n");
    CHECK(d.say("MAIL FROM:<>") == "250 sender ok\r\n");
    CHECK(d.violations() == "");
}

TEST_CASE("replies leave one delay after what caused them, those of a group together") {
    dialogue d({.delay = 50ms});
    CHECK(d.greeting == "");
    CHECK(d.session.deadline() == d.now + 50ms);
    CHECK(d.later(49ms) == "");
    CHECK(d.later(1ms) != "");
    d.say("EHLO c");
    d.later(50ms);
    CHECK(d.session.deadline() == never);
    CHECK(d.raw("MAIL FROM:<>\r\n") == "");
    d.now += 20ms;
    CHECK(d.raw("RCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n") == "");
    CHECK(d.later(30ms) == "250 2.1.0 sender ok\r\n");
    CHECK(d.later(20ms) == "250 2.1.5 recipient ok\r\n250 2.1.5 recipient ok\r\n");
    d.say("QUIT");
    CHECK_FALSE(d.session.done());
    d.later(50ms);
    CHECK(d.session.done());
    CHECK(d.violations() == "");
}

TEST_CASE("TLS is wanted only once the delayed reply is out") {
    dialogue d({.security = security::starttls, .delay = 50ms});
    d.later(50ms);
    d.say("EHLO c");
    d.later(50ms);
    d.say("STARTTLS");
    CHECK_FALSE(d.session.wants_tls());
    CHECK(d.later(50ms) == "220 2.0.0 go ahead\r\n");
    CHECK(d.session.wants_tls());
}

TEST_CASE("limits per connection and per server are refused with what servers say") {
    auto state = std::make_shared<testing::server_state>(
        server_options{.connection_limit = 2, .messages_per_connection = 1, .recipient_limit = 1});
    dialogue first(state);
    {
        dialogue second(state);
        dialogue third(state);
        CHECK(third.greeting.substr(0, 3) == "421");
        CHECK(third.session.done());
        CHECK(state->counts().connections == 3);
    }
    CHECK(state->counts().connections == 1);
    dialogue fourth(state);
    CHECK(fourth.greeting.substr(0, 3) == "220");
    CHECK(state->counts().most_connections == 3);
    CHECK(state->counts().connections_ever == 4);

    first.say("EHLO c");
    CHECK(first.raw(mail_of_ann) ==
          "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n452 4.5.3 too many recipients\r\n"
          "354 go ahead\r\n");
    first.say(".");
    CHECK(first.code("MAIL FROM:<>") == "421");
    CHECK(first.session.done());
}

TEST_CASE("a moved session goes on, and counts as one connection") {
    dialogue d;
    d.say("EHLO c");
    d.session.received("MAI", d.now);
    auto moved = std::move(d.session);
    d.session = std::move(moved);
    CHECK(d.code("L FROM:<>") == "250");
    CHECK(d.state->counts().connections == 1);
    d.session.closed(errc::connection_closed, "", d.now);
    CHECK(d.session.done());
    CHECK(d.state->counts().connections == 0);
}

TEST_CASE("without keep nothing is held in memory, and all is counted") {
    dialogue d({.keep = false});
    d.say("EHLO c");
    d.raw(mail_of_ann);
    d.raw("hello\r\n.\r\n");
    CHECK(d.state->messages().empty());
    CHECK(d.state->commands().empty());
    CHECK(d.state->counts().messages == 1);
    CHECK(d.state->counts().octets == 7);
    CHECK(d.state->counts().commands == 5);
    CHECK(d.state->wait_for(1, 0ms));
    CHECK_FALSE(d.state->wait_for(2, 0ms));
}

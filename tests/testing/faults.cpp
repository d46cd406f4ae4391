#include "dialogue.hpp"

#include <doctest/doctest.h>

using namespace postroad;
using namespace std::chrono_literals;
using postroad::testing::fault;
using postroad::testing::parse_fault;
using postroad::testing::then;

namespace {

// The replies to an ordinary conversation, the greeting first; it stops when the server closes.
std::string conversation(dialogue& d) {
    std::string all = d.greeting;
    for (const auto* line : {"EHLO c\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b.example>\r\n", "RCPT TO:<b@b.example>\r\n",
                             "DATA\r\n", "x\r\n.\r\n", "RSET\r\n", "QUIT\r\n"}) {
        if (d.session.done()) break;
        const auto reply = d.raw(line);
        all += "|" + (line[0] == 'E' && reply.starts_with("250") ? "250 hello\r\n" : reply);
    }
    return all;
}

std::string without_line_ends(std::string text) {
    std::erase(text, '\r');
    std::erase(text, '\n');
    return text;
}

}  // namespace

TEST_CASE("a fault changes the conversation where it says, and nowhere else") {
    const struct {
        std::string spec;
        std::string replies;
        bool closed;
        std::size_t messages;
    } rows[] = {
        {"greeting:1:554 no", "554 no|250 hello|250 s|250 r|250 r|354 go|250 m|250 f|221", true, 1},
        {"greeting:1:|drop", "", true, 0},
        {"greeting:1:|stall", "||||||||", false, 0},
        {"greeting:2:554 no", "220|250 hello|250 s|250 r|250 r|354 go|250 m|250 f|221", true, 1},
        {"hello:1:500 what?", "220|500 what?|503|503|503|503|500500|250 f|221", true, 0},
        {"mail:1:451 4.7.1 later", "220|250 hello|451 4.7.1 later|503|503|503|500500|250 f|221", true, 0},
        {"rcpt:2:550 5.1.1 no", "220|250 hello|250 s|250 r|550 5.1.1 no|354 go|250 m|250 f|221", true, 1},
        {"rcpt@b@b:1:550 no", "220|250 hello|250 s|250 r|550 no|354 go|250 m|250 f|221", true, 1},
        {"rcpt:0:550 no", "220|250 hello|250 s|550 no|550 no|554|500500|250 f|221", true, 0},
        {"rcpt:1:=|drop", "220|250 hello|250 s|250 r", true, 0},
        {"rcpt:2:|stall", "220|250 hello|250 s|250 r|||||", false, 0},
        {"data:1:452 4.3.1 full", "220|250 hello|250 s|250 r|250 r|452 4.3.1 full|500500|250 f|221", true, 0},
        {"data:1:+354 go\\r\\n250 smuggled\\r\\n", "220|250 hello|250 s|250 r|250 r|354 go250 smuggled|250 m|250 f|221",
         true, 1},
        {"data:1:250 ok", "220|250 hello|250 s|250 r|250 r|250 ok|500500|250 f|221", true, 0},
        {"content:1:554 5.7.1 spam", "220|250 hello|250 s|250 r|250 r|354 go|554 5.7.1 spam|250 f|221", true, 0},
        {"content:1:|drop", "220|250 hello|250 s|250 r|250 r|354 go|", true, 0},
        {"content:1:+|drop", "220|250 hello|250 s|250 r|250 r|354 go|", true, 1},
        {"content:1:=|drop", "220|250 hello|250 s|250 r|250 r|354 go|250 m", true, 1},
        {"content:1:+|stall", "220|250 hello|250 s|250 r|250 r|354 go|||", false, 1},
        {"content:1:+250 2.0\\c|drop", "220|250 hello|250 s|250 r|250 r|354 go|250 2.0", true, 1},
        {"content:1:552 too big|early", "220|250 hello|250 s|250 r|250 r|354 go|552 too big|250 f|221", true, 0},
        {"content:1:552 too big|early|drop", "220|250 hello|250 s|250 r|250 r|354 go|552 too big", true, 0},
        {"reset:1:\\x00\\xff garbage\\\\", "220|250 hello|250 s|250 r|250 r|354 go|250 m|?? garbage\\|221", true, 1},
        {"quit:1:|drop", "220|250 hello|250 s|250 r|250 r|354 go|250 m|250 f|", true, 1},
        {"quit:1:|stall", "220|250 hello|250 s|250 r|250 r|354 go|250 m|250 f|", false, 1},
        {"quit:1:=|stall", "220|250 hello|250 s|250 r|250 r|354 go|250 m|250 f|221", false, 1},
        {"idle:1:421 4.4.2 idle|drop", "220|250 hello|250 s|250 r|250 r|354 go|250 m421 4.4.2 idle", true, 1},
    };
    const std::pair<std::string_view, std::string_view> usual[] = {
        {"220 sink.example ESMTP", "220"},
        {"250 2.1.0 sender ok", "250 s"},
        {"250 sender ok", "250 s"},
        {"250 2.1.5 recipient ok", "250 r"},
        {"354 go ahead", "354 go"},
        {"250 2.0.0 stored 1.1", "250 m"},
        {"250 2.0.0 forgotten", "250 f"},
        {"250 forgotten", "250 f"},
        {"221 2.0.0 goodbye", "221"},
        {"221 goodbye", "221"},
        {"503 5.5.1 no sender yet", "503"},
        {"503 no sender yet", "503"},
        {"503 say hello first", "503"},
        {"500 command not known", "500"},
        {"500 5.5.1 command not known", "500"},
        {"554 5.5.1 no valid recipients", "554"},
        {std::string_view("\0\xff", 2), "??"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.spec);
        dialogue d({.faults = {parse_fault(row.spec)}});
        auto replies = without_line_ends(conversation(d));
        for (const auto& [long_form, short_form] : usual)
            for (auto at = replies.find(long_form); at != std::string::npos; at = replies.find(long_form))
                replies.replace(at, long_form.size(), short_form);
        CHECK(replies == row.replies);
        CHECK(d.session.done() == row.closed);
        CHECK(d.state->messages().size() == row.messages);
    }
}

TEST_CASE("STARTTLS can be refused, answered with an injection, or lost") {
    const struct {
        std::string spec;
        std::string reply;
        bool tls;
    } rows[] = {{"starttls:1:454 4.7.0 not now", "454 4.7.0 not now\r\n", false},
                {"starttls:1:+220 go\\r\\n250 injected\\r\\n", "220 go\r\n250 injected\r\n", true},
                {"starttls:1:220 go", "220 go\r\n", false},
                {"starttls:1:=|stall", "220 2.0.0 go ahead\r\n", false}};
    for (const auto& row : rows) {
        CAPTURE(row.spec);
        dialogue d({.security = security::starttls, .faults = {parse_fault(row.spec)}});
        d.say("EHLO c");
        CHECK(d.say("STARTTLS") == row.reply);
        CHECK(d.session.wants_tls() == row.tls);
    }
}

TEST_CASE("AUTH can be refused whatever the password") {
    dialogue d({.users = {{"a", "b"}}, .auth_in_clear = true, .faults = {parse_fault("auth:1:454 4.7.0 later")}});
    d.say("EHLO c");
    CHECK(d.say("AUTH PLAIN AGEAYg==") == "454 4.7.0 later\r\n");
    CHECK(d.code("AUTH PLAIN AGEAYg==") == "235");
}

TEST_CASE("faults count over all connections, and waits add to the delay") {
    auto state = std::make_shared<testing::server_state>(testing::server_options{.delay = 10ms});
    state->add(parse_fault("hello:2:=|wait=100"));
    dialogue one(state);
    dialogue two(state);
    one.later(10ms);
    two.later(10ms);
    one.say("EHLO c");
    two.say("EHLO c");
    CHECK(one.later(10ms).substr(0, 3) == "250");
    CHECK(two.later(109ms) == "");
    CHECK(two.later(1ms).substr(0, 3) == "250");
    state->add(fault::drop(phase::quit, 0));
    state->clear_faults();
    one.say("QUIT");
    CHECK(one.later(10ms).substr(0, 3) == "221");
}

TEST_CASE("faults of one phase count beside each other, and the first that is due is taken") {
    dialogue d({.faults = {parse_fault("mail:1:451 one"), parse_fault("mail:2:451 two"),
                           parse_fault("mail:2:451 three"), parse_fault("mail:3:451 four")}});
    d.say("EHLO c");
    CHECK(d.say("MAIL FROM:<>") == "451 one\r\n");
    CHECK(d.say("MAIL FROM:<>") == "451 two\r\n");
    CHECK(d.say("MAIL FROM:<>") == "451 four\r\n");
    CHECK(d.code("MAIL FROM:<>") == "250");
}

TEST_CASE("no reply overtakes one that waits") {
    dialogue d({.faults = {parse_fault("mail:1:=|wait=100")}});
    d.say("EHLO c");
    CHECK(d.raw("MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n") == "");
    CHECK(d.later(99ms) == "");
    CHECK(d.later(1ms) == "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n");
}

TEST_CASE("the text form of a fault is read whole") {
    CHECK(parse_fault("rcpt@bob:0:+451 x|stall|wait=5") == fault{.at = phase::rcpt,
                                                                 .nth = 0,
                                                                 .match = "bob",
                                                                 .send = "451 x\r\n",
                                                                 .takes_effect = true,
                                                                 .then = then::stall,
                                                                 .wait = 5ms});
    CHECK(parse_fault("content:1:|drop|early").early);
    CHECK(parse_fault("mail:3:451 later") == fault::reply(phase::mail, "451 later", 3));
    CHECK(parse_fault("mail:3:|drop") == fault::drop(phase::mail, 3));
    CHECK(parse_fault("mail:3:|stall") == fault::stall(phase::mail, 3));
}

TEST_CASE("a fault that cannot be read says why") {
    for (const auto* bad : {"", "tls:1:x", "mail", "mail:x:y", "mail:-1:y", "mail:1:a|b", "mail:1:a\\q", "mail:1:a\\x1",
                            "mail:1:a\\cb", "mail:1:a|early", "mail:1:a|wait=", "mail:1:a\\"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(parse_fault(bad), error);
    }
}

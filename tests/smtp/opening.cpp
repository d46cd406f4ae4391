// How an opening ends that comes to nothing: what the server said last must be told, and no dripping prolongs it.
#include <postroad/core/base64.hpp>
#include <postroad/smtp/advice.hpp>
#include <postroad/smtp/session.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace postroad;

namespace {

mail_ptr mail() {
    mail_object m{.envelope = {.reverse_path = address("a@x.example")}, .content = content::from_text("Subject: x\n")};
    m.envelope.recipients.emplace_back("b@y.example");
    return std::make_shared<const mail_object>(std::move(m));
}

struct opening {
    std::string_view name;
    security how;
    bool credentials;
    std::vector<std::string> replies;  // the last one makes it ready; "TLS" stands for the handshake
};

const std::vector<opening>& openings() {
    static const std::vector<opening> all = {
        {"EHLO", security::insecure_none, false, {"220 mx\r\n", "250-mx\r\n250 PIPELINING\r\n"}},
        {"HELO", security::insecure_none, false, {"220 mx\r\n", "500 what?\r\n", "250 mx\r\n"}},
        {"STARTTLS", security::starttls, false, {"220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "TLS", "250 mx\r\n"}},
        {"AUTH", security::implicit, true, {"220 mx\r\n", "250-mx\r\n250 AUTH PLAIN\r\n", "235 welcome\r\n"}},
        {"AUTH in steps",
         security::implicit,
         true,
         {"220 mx\r\n", "250-mx\r\n250 AUTH LOGIN\r\n", "334 VXNlcjo=\r\n", "334 UGFzczo=\r\n", "235 welcome\r\n"}},
    };
    return all;
}

class client {
public:
    explicit client(const opening& o, smtp::timeouts t = {})
        : session({.server = {"mx", 587, o.how},
                   .client_name = "client.example",
                   .credentials = o.credentials ? smtp::credentials{.user = "tim", .password = secret("tanstaaf")}
                                                : smtp::credentials{},
                   .timeouts = t,
                   .nonce = "rOprNGfwEbeRWgbNEkqO"}) {
        session.started(now);
    }
    void hear(std::string_view octets) {
        write();
        session.received(octets, now);
        look();
    }
    // "TLS" is not heard.
    void take(const std::string& reply) {
        if (reply != "TLS") return hear(reply);
        write();
        session.received("220 go\r\n", now);
        REQUIRE(session.wants_tls());
        session.secured(now);
    }
    void write() {
        std::array<std::string_view, 3> parts;
        while (const auto count = session.output(parts)) {
            std::size_t n = 0;
            for (std::size_t i = 0; i < count; ++i) n += parts[i].size();
            session.consumed(n, now);
        }
    }
    void look() {
        while (auto e = session.poll()) {
            if (std::holds_alternative<smtp::ready>(*e)) ready = true;
            if (auto* f = std::get_if<smtp::finished>(&*e)) ended = std::move(*f);
            if (auto* c = std::get_if<smtp::closed>(&*e)) over = std::move(*c);
        }
    }

    time_point now{std::chrono::hours(1)};
    smtp::session session;
    bool ready = false;
    std::optional<smtp::finished> ended;
    std::optional<smtp::closed> over;
};

}  // namespace

TEST_CASE("what ends the session behind the last reply of its opening is told in the server's words") {
    struct ending {
        std::string octets;
        errc error;
        std::string words;  // within the reply, or the explanation where it is no reply
    };
    static const ending endings[] = {
        {"421 4.3.2 too busy\r\n", errc::service_closing, "421 4.3.2 too busy"},
        {"421-4.3.2 too\r\n421 4.3.2 busy\r\n", errc::service_closing, "421 4.3.2 too"},
        {"250 mx\r\n", errc::unsolicited_reply, "250 mx"},
        {"554 5.7.1 go away\r\n", errc::unsolicited_reply, "554 5.7.1 go away"},
        {"SIZE 1000\r\n", errc::malformed_reply, "SIZE 1000"},
    };
    for (const auto& o : openings())
        for (const auto& e : endings)
            for (std::size_t stage = 1; stage <= o.replies.size(); ++stage) {
                if (o.replies[stage - 1] == "TLS") continue;
                // In the clear behind the offer of STARTTLS it may be anybody's, and what a malformed line holds behind
                // AUTH may be a secret.
                const bool last = stage == o.replies.size();
                if (!last && o.credentials && e.error == errc::malformed_reply) continue;
                const auto together = o.replies[stage - 1] + e.octets;
                // Cut behind the reply it is the answer to what was written meanwhile.
                for (std::size_t cut = 0; cut < o.replies[stage - 1].size(); ++cut) {
                    CAPTURE(o.name);
                    CAPTURE(e.octets);
                    CAPTURE(stage);
                    CAPTURE(cut);
                    client c(o);
                    for (std::size_t i = 0; i + 1 < stage; ++i) c.take(o.replies[i]);
                    c.write();
                    c.session.received(std::string_view(together).substr(0, cut), c.now);
                    c.session.received(std::string_view(together).substr(cut), c.now);
                    c.look();
                    REQUIRE(c.over);
                    CHECK(c.ready == last);
                    CHECK(c.over->error == e.error);
                    CHECK((c.over->details.reply + c.over->details.explanation).find(e.words) != std::string::npos);
                    CHECK_FALSE(c.session.reusable());
                    CHECK(c.session.room() == 0);
                    // What the owner submits before it has looked has its end.
                    c.session.submit({.id = 1, .mail = mail()}, c.now);
                    c.look();
                    REQUIRE(c.ended);
                    CHECK(c.ended->error);
                    CHECK(c.ended->recipients.at(0).status == status::not_attempted);
                }
            }
}

TEST_CASE("421 while our command still waits to be written closes with the server's words, and nobody was asked") {
    for (const auto& o : openings()) {
        CAPTURE(o.name);
        client c(o);
        for (const auto& r : o.replies) c.take(r);
        c.session.submit({.id = 1, .mail = mail()}, c.now);
        c.session.received("421 4.4.2 idle too long\r\n", c.now);  // MAIL is queued, and not taken
        c.look();
        REQUIRE(c.over);
        CHECK(c.over->error == errc::service_closing);
        CHECK(c.over->details.reply == "421 4.4.2 idle too long");
        REQUIRE(c.ended);
        CHECK(c.ended->error == errc::service_closing);
        CHECK(c.ended->recipients.at(0).status == status::not_attempted);
    }
}

TEST_CASE("octets that make no whole reply move no deadline, at any step of the opening and of a message") {
    for (const auto& o : openings())
        for (std::size_t stage = 0; stage <= o.replies.size(); ++stage) {
            if (stage < o.replies.size() && o.replies[stage] == "TLS") continue;
            CAPTURE(o.name);
            CAPTURE(stage);
            client c(o);
            for (std::size_t i = 0; i < stage; ++i) c.take(o.replies[i]);
            if (stage == o.replies.size()) c.session.submit({.id = 1, .mail = mail()}, c.now);
            c.write();
            const auto due = c.session.deadline();
            REQUIRE(due != never);
            for (const std::string line = "250-a line that is dripped\r\n"; c.now + std::chrono::seconds(1) < due;) {
                for (const char octet : line) c.hear({&octet, 1});
                c.now += std::chrono::seconds(7);
                if (c.over) break;  // too many lines for one reply
                CHECK(c.session.deadline() == due);
            }
            c.now = due;
            c.session.tick(c.now);
            c.look();
            REQUIRE(c.over);
            CHECK((c.over->error == errc::timed_out || c.over->error == errc::reply_too_long));
        }
}

TEST_CASE("all steps of an opening together have one budget, however their own times add up") {
    for (const auto& o : openings()) {
        CAPTURE(o.name);
        smtp::timeouts t;
        t.opening = std::chrono::seconds(100);
        client c(o, t);
        const auto end = c.now + t.opening;
        const auto step = t.opening / static_cast<int>(o.replies.size());
        for (const auto& r : o.replies) {
            CHECK(c.session.deadline() <= end);
            c.now += step - std::chrono::seconds(&r == &o.replies.back() ? 1 : 0);
            if (&r == &o.replies.back()) break;
            c.session.tick(c.now);
            c.take(r);
            c.write();
        }
        CHECK(c.session.deadline() == end);
        c.now = end;
        c.session.tick(c.now);
        c.look();
        REQUIRE(c.over);
        CHECK(c.over->error == errc::timed_out);
        CHECK_FALSE(c.ready);
    }
    // Once it is ready, the budget is over.
    client c(openings()[0]);
    for (const auto& r : openings()[0].replies) c.take(r);
    CHECK(c.session.deadline() == never);
}

TEST_CASE("a greeting that does not come is waited for as long as there was for getting to the server") {
    const auto start = time_point{} + std::chrono::hours(1);
    const auto end = start + std::chrono::seconds(20);
    smtp::session s({.server = {"mx", 587, security::insecure_none}, .client_name = "client.example"});
    s.greet_by(end);
    s.started(start);
    CHECK(s.deadline() == end);
    s.received("220-still a mom", start + std::chrono::seconds(19));
    s.tick(end - std::chrono::nanoseconds(1));
    CHECK_FALSE(s.done());

    SUBCASE("silence") {
        s.tick(end);
        REQUIRE(s.done());
        const auto e = s.poll();
        REQUIRE(e);
        const auto& over = std::get<smtp::closed>(*e);
        CHECK(over.error == errc::timed_out);
        CHECK(over.details.where == phase::greeting);
    }
    SUBCASE("it is whole in time, and EHLO has a time of its own") {
        s.received("ent\r\n220 mx\r\n", end - std::chrono::nanoseconds(1));
        std::array<std::string_view, 1> part;
        REQUIRE(s.output(part) == 1);
        s.consumed(part[0].size(), end);
        CHECK(s.deadline() == end + smtp::timeouts{}.hello);
    }
}

TEST_CASE("who is hung up on before a greeting is told of smtps:// only where TLS had not begun") {
    struct server {
        std::string name;
        security how;
        std::optional<security> told;
        bool smtps;
    };
    static const server servers[] = {
        {"mx", security::starttls, security::starttls, true},
        {"mx", security::insecure_none, security::insecure_none, true},
        {"mx", security::implicit, security::implicit, false},
        {"/run/mx.sock", security::insecure_none, std::nullopt, false},
    };
    for (const auto& s : servers) {
        CAPTURE(s.name);
        CAPTURE(s.how);
        smtp::session session({.server = {s.name, 25, s.how}, .client_name = "client.example"});
        session.submit({.mail = mail()}, {});
        session.started({});
        session.closed(errc::connection_closed, "gone", {});
        const auto e = session.poll();
        REQUIRE(e);
        const auto& f = std::get<smtp::finished>(*e);
        CHECK(f.details.where == phase::greeting);
        CHECK(f.details.how == s.told);
        const auto advice = smtp::advise(smtp::situation_of(f.error, f.details));
        CHECK(advice.find("hangs up at once") != std::string::npos);
        CHECK((advice.find("smtps://") != std::string::npos) == s.smtps);
    }
}

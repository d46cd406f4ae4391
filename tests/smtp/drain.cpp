// A connection on which all is cancelled gets a few seconds, whatever the server may take otherwise.
#include <postroad/message/message.hpp>
#include <postroad/smtp/session.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

using namespace postroad;
using namespace std::chrono_literals;

namespace {

const time_point t0{};

void write(smtp::session& s, time_point now) {
    std::array<std::string_view, 8> parts;
    while (const auto n = s.output(parts)) {
        std::size_t octets = 0;
        for (std::size_t i = 0; i < n; ++i) octets += parts[i].size();
        s.consumed(octets, now);
    }
}

smtp::session opened() {
    smtp::session s{{.server = {.name = "mx.example", .port = 25, .security = security::insecure_none},
                     .client_name = "client.example",
                     .pipelining = smtp::pipelining::across}};
    s.started(t0);
    s.received("220 mx.example\r\n", t0);
    write(s, t0);
    s.received("250-mx.example\r\n250 PIPELINING\r\n", t0);
    (void)s.poll();
    return s;
}

smtp::transaction letter(std::uint64_t id) {
    static const auto mail = std::make_shared<const mail_object>(
        message{}.from("a@x.example").to("b@y.example").subject("Hi").text("Hello").freeze({}));
    return {.id = id, .mail = mail};
}

}  // namespace

TEST_CASE("what was cancelled has seconds to end, however far it had come and whatever still comes") {
    for (const std::string heard : {"", "250 ok\r\n", "250 ok\r\n250 ok\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"}) {
        CAPTURE(heard);
        auto s = opened();
        s.submit(letter(7), t0);
        write(s, t0);
        s.received(heard, t0);
        write(s, t0);
        CHECK(s.deadline() >= t0 + 2min);
        s.cancel(7, t0 + 1s);
        CHECK(s.deadline() == t0 + 6s);
        write(s, t0 + 2s);
        // A reply does not renew it.
        if (heard.empty()) s.received("250 ok\r\n", t0 + 3s);
        CHECK(s.deadline() == t0 + 6s);
        s.tick(t0 + 6s);
        CHECK(s.done());
    }
}

TEST_CASE("beside another transaction a cancelled one is in no hurry") {
    auto s = opened();
    s.submit(letter(7), t0);
    write(s, t0);
    s.received("250 ok\r\n250 ok\r\n354 go\r\n", t0);
    write(s, t0);
    s.submit(letter(8), t0);
    write(s, t0);
    s.cancel(7, t0 + 1s);
    CHECK(s.deadline() > t0 + 1min);
    s.cancel(8, t0 + 2s);
    CHECK(s.deadline() == t0 + 7s);
}

TEST_CASE("a connection that is drained in time is used on") {
    auto s = opened();
    s.submit(letter(7), t0);
    write(s, t0);
    s.cancel(7, t0 + 1s);
    s.received("250 ok\r\n250 ok\r\n354 go\r\n", t0 + 2s);
    write(s, t0 + 2s);
    s.received("250 ok\r\n", t0 + 3s);
    write(s, t0 + 3s);
    if (!s.done()) CHECK(s.deadline() > t0 + 6s);
}

TEST_CASE("what we cancel ourselves says nothing of the server") {
    const auto lesson_of = [](smtp::session& s) {
        while (const auto e = s.poll())
            if (const auto* c = std::get_if<smtp::closed>(&*e)) return c->lesson;
        FAIL("the connection is not over");
        return smtp::lesson::none;
    };
    for (const bool answers : {false, true}) {
        CAPTURE(answers);
        auto s = opened();
        s.submit(letter(7), t0);
        write(s, t0);
        s.received("250 ok\r\n250 ok\r\n354 go\r\n", t0);
        write(s, t0);
        s.submit(letter(8), t0);
        write(s, t0);
        s.received("250 queued\r\n", t0);
        s.cancel(8, t0 + 1s);
        // Its content is due, or nothing comes until our seconds are over.
        if (answers)
            s.received("250 ok\r\n250 ok\r\n354 go\r\n", t0 + 2s);
        else
            s.tick(t0 + 6s);
        REQUIRE(s.done());
        CHECK(lesson_of(s) == smtp::lesson::none);
    }
}

TEST_CASE("a server that breaks off under what began ahead teaches it") {
    auto s = opened();
    s.submit(letter(7), t0);
    write(s, t0);
    s.received("250 ok\r\n250 ok\r\n354 go\r\n", t0);
    write(s, t0);
    s.submit(letter(8), t0);
    write(s, t0);
    s.closed(errc::connection_closed, "cut", t0 + 1s);
    auto learned = smtp::lesson::none;
    while (const auto e = s.poll())
        if (const auto* c = std::get_if<smtp::closed>(&*e)) learned = c->lesson;
    CHECK(learned == smtp::lesson::no_overlap);
}

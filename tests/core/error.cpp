#include <doctest/doctest.h>

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>

#include <set>
#include <string>

using namespace postroad;
using namespace std::string_literals;

TEST_CASE("every code has a name, a text and a condition of its own") {
    std::set<std::string> names, texts;
    int codes = 0;
    for (int value = 1; to_string(static_cast<errc>(value)) != "unknown"; ++value, ++codes) {
        const auto ec = make_error_code(static_cast<errc>(value));
        CAPTURE(ec.message());
        CHECK(names.insert(std::string(to_string(static_cast<errc>(value)))).second);
        CHECK(texts.insert(ec.message()).second);
        int conditions = 0;
        for (int c = 1; c <= static_cast<int>(condition::cancelled); ++c) conditions += ec == static_cast<condition>(c);
        CHECK(conditions >= 1);
        CHECK_FALSE((ec == condition::transient && ec == condition::permanent));
    }
    // The last of the enumeration: none between was forgotten.
    CHECK(codes >= static_cast<int>(errc::out_of_sequence));
    CHECK(make_error_code(errc{9999}).message() == "unknown postroad error");
}

TEST_CASE("programs decide by conditions") {
    struct row {
        error_code ec;
        condition is;
        bool so;
    };
    const row rows[] = {
        {errc::invalid_url, condition::bad_input, true},
        {errc::timed_out, condition::timed_out, true},
        {errc::timed_out, condition::transient, true},
        {errc::queue_full, condition::limit, true},
        {errc::queue_full, condition::transient, true},
        {errc::reply_too_long, condition::protocol, true},
        {errc::reply_too_long, condition::limit, true},
        {errc::tls_certificate, condition::tls, true},
        {errc::tls_certificate, condition::permanent, true},
        {errc::tls_handshake, condition::permanent, false},
        {errc::authentication_rejected, condition::permanent, true},
        {errc::authentication_deferred, condition::transient, true},
        {errc::shut_down, condition::cancelled, true},
        {errc::connection_closed, condition::timed_out, false},
        {std::make_error_code(std::errc::timed_out), condition::timed_out, true},
        {std::make_error_code(std::errc::connection_refused), condition::transient, true},
        {std::make_error_code(std::errc::operation_canceled), condition::cancelled, true},
        {std::make_error_code(std::errc::permission_denied), condition::transient, false},
        {error_code(), condition::transient, false},
        {error_code(), condition::cancelled, false},
    };
    for (const auto& r : rows) {
        CAPTURE(r.ec.message());
        CAPTURE(make_error_condition(r.is).message());
        CHECK((r.ec == r.is) == r.so);
    }
}

TEST_CASE("conditions have texts") {
    std::set<std::string> texts;
    for (int c = 1; c <= static_cast<int>(condition::cancelled); ++c)
        CHECK(texts.insert(make_error_condition(static_cast<condition>(c)).message()).second);
    CHECK(texts.count("unknown postroad condition") == 0);
    CHECK(make_error_condition(condition{99}).message() == "unknown postroad condition");
}

TEST_CASE("an error says in one line what, where and what the server said") {
    const diagnostics d{.where = phase::rcpt,
                        .host = "mail.example:25",
                        .explanation = "expected 250 to RCPT",
                        .reply = "550 5.1.1 no such user"};
    const error e(errc::recipients_rejected, d);
    CHECK(e.what() == "expected 250 to RCPT [mail.example:25, rcpt]: 550 5.1.1 no such user"s);
    CHECK(e.code() == errc::recipients_rejected);
    CHECK(e.details() == d);
    CHECK(error(errc::queue_full, diagnostics{}).what() == "the queue is full"s);
    CHECK(error(errc::invalid_url, "no host").what() == "no host"s);
}

TEST_CASE("phases have names, each its own") {
    std::set<std::string_view> names;
    for (int p = 0; p <= static_cast<int>(phase::idle); ++p)
        CHECK(names.insert(to_string(static_cast<phase>(p))).second);
    CHECK(names.count("unknown") == 0);
}

TEST_CASE("what is escaped is safe to print, and cut at its limit") {
    CHECK(escaped("plain text") == "plain text");
    CHECK(escaped("a\r\nb\x1b[0m\\\xc3\xa4"s) == "a\\x0d\\x0ab\\x1b[0m\\x5c\\xc3\\xa4");
    CHECK(escaped("\0"s) == "\\x00");
    CHECK(escaped("\x7f") == "\\x7f");
    CHECK(escaped(std::string(200, 'x')) == std::string(200, 'x'));
    CHECK(escaped(std::string(201, 'x')) == std::string(200, 'x') + "...");
    CHECK(escaped("abcd", 4) == "abcd");
    CHECK(escaped("abcde", 4) == "abcd...");
    CHECK(escaped("") == "");
}

TEST_CASE("waiting for ever stays for ever") {
    const auto now = time_point{} + std::chrono::hours(1);
    CHECK(after(now, std::chrono::seconds(5)) == now + std::chrono::seconds(5));
    CHECK(after(now, duration::max()) == never);
    CHECK(after(never, std::chrono::seconds(5)) == never);
    // Before the machine was started: what a queue on a disk remembers.
    const auto early = time_point{} - std::chrono::hours(1000);
    CHECK(after(early, std::chrono::hours(24)) == early + std::chrono::hours(24));
    CHECK(after(now, never - now) == never);
    CHECK(after(now, never - now - duration(1)) == never - duration(1));
}

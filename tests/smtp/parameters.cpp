#include <postroad/smtp/parameters.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>

using namespace postroad;
using std::chrono::seconds;

namespace {

std::string complaint(const envelope& e) {
    try {
        smtp::check(e);
    } catch (const error& failure) {
        CHECK(failure.code() == errc::invalid_option);
        return failure.details().explanation;
    }
    return {};
}

std::string complaint(mail_options o) {
    return complaint(envelope{.recipients = {address("b@x")}, .options = std::move(o)});
}

std::string complaint(recipient_options o) {
    return complaint(envelope{.recipients = {address("b@x")}, .recipient_options = {std::move(o)}});
}

smtp::capabilities everything() {
    smtp::capabilities c;
    for (const auto* line :
         {"DSN", "DELIVERBY 30", "FUTURERELEASE 1000 2030-01-01T00:00:00Z", "MT-PRIORITY", "REQUIRETLS", "AUTH PLAIN"})
        c.parse_line(line);
    return c;
}

std::string written(const mail_options& o) {
    CHECK(complaint(o) == "");
    std::string text;
    smtp::detail::append_parameters(text, o, everything());
    return text;
}

std::string written(const recipient_options& o) {
    CHECK(complaint(o) == "");
    std::string text;
    smtp::detail::append_parameters(text, o);
    return text;
}

errc lacking(mail_options o, std::string_view without, bool verified = true) {
    auto server = everything();
    if (without == "DSN") server.dsn = false;
    if (without == "DELIVERBY") server.deliverby.reset();
    if (without == "FUTURERELEASE") server.futurerelease.reset();
    if (without == "MT-PRIORITY") server.mt_priority.reset();
    if (without == "REQUIRETLS") server.requiretls = false;
    if (without == "AUTH") server.auth.clear();
    const auto l = smtp::find_lack({.recipients = {address("b@x")}, .options = std::move(o)}, server, verified);
    return l ? l->code : errc{};
}

constexpr std::chrono::sys_seconds at(int year, unsigned month, unsigned day, int second = 0) {
    return std::chrono::sys_days(std::chrono::year(year) / int(month) / int(day)) + seconds(second);
}

}  // namespace

TEST_CASE("xtext leaves nothing that could end a parameter or a line, whatever the octet") {
    for (int i = 0; i < 256; ++i) {
        const std::string octet(1, static_cast<char>(i));
        const auto text = smtp::xtext(octet);
        CAPTURE(i);
        if (i > 32 && i < 127 && octet != "+" && octet != "=") {
            CHECK(text == octet);
        } else {
            REQUIRE(text.size() == 3);
            CHECK(text[0] == '+');
            CHECK(text.find_first_not_of("0123456789ABCDEF", 1) == std::string::npos);
            CHECK(std::stoi(text.substr(1), nullptr, 16) == i);
        }
    }
}

TEST_CASE("what is asked for a message is said in the parameters of MAIL") {
    using late = deliver_by::late;
    const struct {
        mail_options asked;
        std::string_view said;
    } rows[] = {
        {{}, ""},
        {{.returned = returned::full}, " RET=FULL"},
        {{.returned = returned::headers, .envelope_id = "a+b=c d"}, " RET=HDRS ENVID=a+2Bb+3Dc+20d"},
        {{.deliver_by = deliver_by{.within = seconds(120), .when_late = late::give_up}}, " BY=120;R"},
        {{.deliver_by = deliver_by{.within = seconds(-5), .trace = true}}, " BY=-5;NT"},
        {{.hold_for = seconds(60)}, " HOLDFOR=60"},
        {{.hold_until = at(2029, 2, 3, 4 * 3600 + 5 * 60 + 6)}, " HOLDUNTIL=2029-02-03T04:05:06Z"},
        {{.priority = -9}, " MT-PRIORITY=-9"},
        {{.require_tls = true}, " REQUIRETLS"},
        {{.submitter = address("e=mc2@x.example")}, " AUTH=e+3Dmc2@x.example"},
        {{.submitter = address()}, " AUTH=<>"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.said);
        CHECK(written(row.asked) == row.said);
    }
}

TEST_CASE("what is asked for a recipient is said in the parameters of RCPT") {
    const struct {
        recipient_options asked;
        std::string_view said;
    } rows[] = {
        {{}, ""},
        {{.notify = {.never = true}}, " NOTIFY=NEVER"},
        {{.notify = {.success = true, .failure = true, .delay = true}}, " NOTIFY=SUCCESS,FAILURE,DELAY"},
        {{.original_recipient = "a+b@x"}, " ORCPT=rfc822;a+2Bb@x"},
        {{.notify = {.delay = true}, .original_recipient = "j\u00fcrgen \\@x"},
         " NOTIFY=DELAY ORCPT=utf-8;j\\x{FC}rgen\\x{20}\\x{5C}@x"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.said);
        CHECK(written(row.asked) == row.said);
    }
}

TEST_CASE("each limit of a parameter holds at the limit and not beyond it") {
    using late = deliver_by::late;
    const auto by = [](seconds s, late l) {
        return mail_options{.deliver_by = deliver_by{.within = s, .when_late = l}};
    };
    const struct {
        mail_options good;
        mail_options bad;
        std::string_view member;
    } rows[] = {
        {{.envelope_id = std::string(100, 'x')}, {.envelope_id = std::string(101, 'x')}, "envelope_id"},
        {{.envelope_id = std::string(33, '+') + 'x'}, {.envelope_id = std::string(34, '+')}, "envelope_id"},
        {by(seconds(999'999'999), late::notify), by(seconds(1'000'000'000), late::notify), "deliver_by"},
        {by(seconds(-999'999'999), late::notify), by(seconds(-1'000'000'000), late::notify), "deliver_by"},
        {by(seconds(1), late::give_up), by(seconds(0), late::give_up), "deliver_by"},
        {{.hold_for = seconds(1)}, {.hold_for = seconds(0)}, "hold_for"},
        {{.hold_for = seconds(999'999'999)}, {.hold_for = seconds(1'000'000'000)}, "hold_for"},
        {{.hold_until = at(1970, 1, 1)}, {.hold_until = at(1970, 1, 1, -1)}, "hold_until"},
        {{.hold_until = at(10000, 1, 1, -1)}, {.hold_until = at(10000, 1, 1)}, "hold_until"},
        {{.priority = 9}, {.priority = 10}, "priority"},
        {{.priority = -9}, {.priority = -10}, "priority"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.member);
        CHECK(complaint(row.good) == "");
        CHECK(complaint(row.bad).starts_with("envelope.options." + std::string(row.member)));
    }
    CHECK(complaint(recipient_options{.original_recipient = std::string(493, 'x')}) == "");
    CHECK(complaint(recipient_options{.original_recipient = std::string(494, 'x')})
              .starts_with("envelope.recipient_options[0].original_recipient"));
}

TEST_CASE("what no server could be told is refused by the name of its member") {
    CHECK(complaint(mail_options{.hold_for = seconds(1), .hold_until = at(2029, 1, 1)}).find("hold_for") !=
          std::string::npos);
    CHECK(complaint(mail_options{.submitter = address("j\u00fcrgen@x")}).find("submitter") != std::string::npos);
    CHECK(complaint(recipient_options{.notify = {.never = true, .delay = true}}).find("notify") != std::string::npos);
    CHECK(complaint(envelope{.recipients = {address("b@x"), address("c@x")}, .recipient_options = {{}}})
              .starts_with("envelope.recipient_options:"));
}

TEST_CASE("injection through ESMTP parameters: no control character passes") {
    for (const auto* text : {"a\r\nRCPT TO:<v@evil>", "a\nb", "a\rb", "a\x7f", "a\u0085", "a\u2028", "a\xff"}) {
        CAPTURE(text);
        CHECK(complaint(mail_options{.envelope_id = text}) != "");
        CHECK(complaint(recipient_options{.original_recipient = text}) != "");
        // and what was never checked cannot end a command either
        std::string said;
        smtp::detail::append_parameters(said, mail_options{.envelope_id = text}, everything());
        smtp::detail::append_parameters(said, recipient_options{.original_recipient = text});
        CHECK(said.find_first_of("\r\n") == std::string::npos);
    }
}

TEST_CASE("what a server does not offer is refused by a code of its own") {
    using late = deliver_by::late;
    const deliver_by soon{.within = seconds(29), .when_late = late::give_up};
    CHECK(lacking({.returned = returned::full}, "DSN") == errc::dsn_unsupported);
    CHECK(lacking({.envelope_id = "x"}, "DSN") == errc::dsn_unsupported);
    CHECK(lacking({.deliver_by = deliver_by{}}, "DELIVERBY") == errc::deliver_by_unsupported);
    CHECK(lacking({.deliver_by = soon}, "") == errc::deliver_by_unsupported);
    CHECK(lacking({.deliver_by = deliver_by{.within = seconds(30), .when_late = late::give_up}}, "") == errc{});
    CHECK(lacking({.deliver_by = deliver_by{.within = seconds(29)}}, "") == errc{});
    CHECK(lacking({.hold_for = seconds(1)}, "FUTURERELEASE") == errc::future_release_unsupported);
    CHECK(lacking({.hold_for = seconds(1000)}, "") == errc{});
    CHECK(lacking({.hold_for = seconds(1001)}, "") == errc::future_release_unsupported);
    CHECK(lacking({.hold_until = at(2030, 1, 1)}, "") == errc{});
    CHECK(lacking({.hold_until = at(2030, 1, 1, 1)}, "") == errc::future_release_unsupported);
    CHECK(lacking({.require_tls = true}, "REQUIRETLS") == errc::require_tls_unsupported);
    CHECK(lacking({.require_tls = true}, "", false) == errc::require_tls_unsupported);
    CHECK(lacking({.require_tls = true}, "") == errc{});

    envelope e{.recipients = {address("b@x")}, .recipient_options = {{.notify = {.never = true}}}};
    CHECK(smtp::find_lack(e, {}, true)->code == errc::dsn_unsupported);
    e.recipient_options = {{}};
    CHECK_FALSE(smtp::find_lack(e, {}, true));
}

TEST_CASE("a priority, and who submitted, are left out for a server that does not know them") {
    const mail_options o{.priority = 3, .submitter = address("a@x")};
    std::string text;
    smtp::detail::append_parameters(text, o, {});
    CHECK(text == "");
    CHECK(lacking(o, "MT-PRIORITY") == errc{});
    CHECK(lacking(o, "AUTH") == errc{});
}

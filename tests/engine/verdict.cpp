// What each failure means: every code, and every reply by the command that it answers.
#include <postroad/engine/verdict.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace postroad;
using engine::ruling;
using engine::ruling_of;

namespace {

std::string name(ruling r) {
    switch (r) {
        case ruling::settled: return "settled";
        case ruling::over: return "over";
        case ruling::later: return "later";
        case ruling::again: return "again";
        case ruling::elsewhere: return "elsewhere";
        case ruling::outage: return "outage";
        case ruling::setting: return "setting";
        case ruling::refused: return "refused";
        case ruling::doubt: return "doubt";
        case ruling::ours: return "ours";
    }
    return "";
}

// What a transaction means that ended with `e` before the server answered to its MAIL, on a fresh connection.
const std::map<errc, ruling>& unanswered() {
    static const std::map<errc, ruling> all = [] {
        std::map<errc, ruling> m;
        using enum errc;
        for (const auto e : {invalid_address,
                             invalid_header,
                             invalid_url,
                             invalid_option,
                             invalid_message,
                             no_sender,
                             no_recipients,
                             unreadable_file,
                             changed_file,
                             message_too_large,
                             eight_bit_unsupported,
                             internationalised_unsupported,
                             binary_unsupported,
                             dsn_unsupported,
                             deliver_by_unsupported,
                             future_release_unsupported,
                             require_tls_unsupported,
                             line_too_long,
                             recipients_rejected,
                             would_deadlock,
                             contradiction,
                             already_queued,
                             domain_unknown,
                             domain_takes_no_mail,
                             mail_loop,
                             private_address,
                             suppressed})
            m[e] = ruling::over;
        for (const auto e : {malformed_reply,
                             reply_too_long,
                             unexpected_reply,
                             unsolicited_reply,
                             service_closing,
                             connection_closed,
                             timed_out,
                             tls_broken,
                             greeting_refused,
                             resolve_failed,
                             proxy_failed,
                             tls_handshake,
                             tls_injection,
                             authentication_deferred,
                             credentials_unavailable,
                             broker_unreachable,
                             policy_failed,
                             hello_refused,
                             tls_refused,
                             out_of_sequence})
            m[e] = ruling::outage;
        for (const auto e : {invalid_host_name, invalid_credentials, tls_not_offered, tls_certificate,
                             tls_configuration, authentication_not_offered, no_common_mechanism,
                             authentication_rejected, authentication_failed, insecure_authentication, broker_refused})
            m[e] = ruling::setting;
        m[chunking_refused] = ruling::again;
        for (const auto e : {signing_failed, recipients_deferred, queue_full, storage_failed, storage_full,
                             storage_damaged, storage_unusable})
            m[e] = ruling::later;
        m[in_doubt] = ruling::doubt;
        for (const auto e : {shut_down, cancelled}) m[e] = ruling::ours;
        return m;
    }();
    return all;
}

smtp::finished ended(error_code ec, std::vector<recipient_outcome> recipients, bool answered) {
    return {.id = 1, .error = ec, .details = {}, .recipients = std::move(recipients), .answered = answered};
}

smtp::finished refused(phase where, std::uint16_t code, enhanced_code enhanced = {}, std::size_t n = 2) {
    const auto s = code < 500 ? status::deferred : status::rejected;
    return ended({}, {n, {.status = s, .where = where, .reply = {.code = code, .enhanced = enhanced}}}, true);
}

}  // namespace

TEST_CASE("every code has a meaning before the server answered to MAIL") {
    for (int value = 1; to_string(static_cast<errc>(value)) != "unknown"; ++value) {
        const auto e = static_cast<errc>(value);
        CAPTURE(to_string(e));
        const auto wanted = unanswered().find(e);
        REQUIRE(wanted != unanswered().end());
        CHECK(name(ruling_of(ended(e, {{}}, false), {})) == name(wanted->second));
    }
}

TEST_CASE("that there is no verified TLS now ends nothing, that REQUIRETLS is not offered does") {
    const auto missing = [](status s) { return ended(errc::require_tls_unsupported, {{.status = s}}, false); };
    CHECK(name(ruling_of(missing(status::deferred), {})) == "later");
    CHECK(name(ruling_of(missing(status::rejected), {})) == "over");
}

TEST_CASE("a connection that breaks says nothing, or something, by how far it had come") {
    const error_code of_wire[] = {errc::malformed_reply,
                                  errc::connection_closed,
                                  errc::timed_out,
                                  errc::service_closing,
                                  errc::tls_broken,
                                  errc::unsolicited_reply,
                                  make_error_code(std::errc::connection_reset),
                                  make_error_code(std::errc::broken_pipe)};
    for (const auto ec : of_wire) {
        CAPTURE(ec.message());
        CHECK(name(ruling_of(ended(ec, {{}}, true), {})) == "later");
        const bool out_of_step = ec == condition::protocol;
        CHECK(name(ruling_of(ended(ec, {{}}, true), {.carried = true})) == (out_of_step ? "again" : "later"));
        CHECK(name(ruling_of(ended(ec, {{}}, false), {.carried = true})) == "again");
        CHECK(name(ruling_of(ended(ec, {{}}, false), {})) == "outage");
        CHECK(name(ruling_of(ended(ec, {{.status = status::in_doubt}}, true), {})) == "doubt");
        CHECK(name(ruling_of(smtp::closed{.error = ec})) == "outage");
    }
}

TEST_CASE("what ends an opening is an outage or a setting, EHLO and STARTTLS by the reply") {
    const auto of = [](errc e, std::string reply = {}) {
        return name(ruling_of(smtp::closed{.error = e, .details = {.reply = std::move(reply)}}));
    };
    for (const auto& entry : unanswered()) {
        const auto e = entry.first;
        CAPTURE(to_string(e));
        const bool is_setting = entry.second == ruling::setting;
        CHECK(of(e) == (is_setting ? "setting" : "outage"));
    }
    for (const auto e : {errc::hello_refused, errc::tls_refused}) {
        CHECK(of(e, "450 4.7.1 later") == "outage");
        CHECK(of(e, "550 5.7.1 no") == "setting");
    }
}

TEST_CASE("replies to MAIL") {
    struct row {
        std::uint16_t code;
        enhanced_code enhanced;
        const char* fresh;
        const char* carried;
    };
    const row rows[] = {
        {421, {}, "outage", "again"},           {421, {4, 3, 2}, "outage", "again"},
        {450, {4, 7, 1}, "later", "again"},     {451, {4, 4, 2}, "later", "again"},
        {452, {4, 4, 5}, "later", "again"},     {454, {}, "later", "again"},
        {500, {}, "outage", "outage"},          {502, {5, 5, 1}, "outage", "outage"},
        {503, {5, 5, 1}, "outage", "outage"},   {530, {5, 7, 0}, "setting", "setting"},
        {501, {}, "settled", "settled"},        {552, {5, 3, 4}, "settled", "settled"},
        {553, {5, 1, 8}, "settled", "settled"}, {555, {}, "settled", "settled"},
        {550, {5, 1, 7}, "settled", "settled"}, {550, {5, 1, 8}, "settled", "settled"},
        {554, {5, 6, 7}, "settled", "settled"}, {550, {5, 3, 4}, "settled", "settled"},
        {550, {5, 7, 1}, "refused", "refused"}, {550, {}, "refused", "refused"},
        {554, {5, 7, 1}, "refused", "refused"}, {551, {}, "refused", "refused"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.code);
        CAPTURE(to_string(r.enhanced));
        CHECK(name(ruling_of(refused(phase::mail, r.code, r.enhanced), {})) == r.fresh);
        CHECK(name(ruling_of(refused(phase::mail, r.code, r.enhanced), {.carried = true})) == r.carried);
    }
}

TEST_CASE("replies to RCPT, DATA and the end of data are about the message, unless they are about the order") {
    for (const auto code : {421, 450, 451, 452, 550, 551, 552, 553, 554}) {
        CAPTURE(code);
        for (const auto where : {phase::rcpt, phase::data, phase::content})
            CHECK(name(ruling_of(refused(where, static_cast<std::uint16_t>(code)), {})) == "settled");
    }
    for (const auto where : {phase::rcpt, phase::data}) CHECK(name(ruling_of(refused(where, 530), {})) == "setting");
    CHECK(name(ruling_of(refused(phase::rcpt, 503), {})) == "outage");
    // One recipient of two: that is about the recipient.
    auto f = refused(phase::rcpt, 530);
    f.recipients.front() = {.status = status::accepted, .where = phase::content, .reply = {.code = 250}};
    CHECK(name(ruling_of(f, {})) == "settled");
}

TEST_CASE("a server that has lost its place on a new connection, whatever it is asked, is at fault") {
    auto f = ended(errc::out_of_sequence, {2, {.status = status::not_attempted, .where = phase::rcpt}}, true);
    CHECK(name(ruling_of(f, {})) == "outage");
    CHECK(name(ruling_of(f, {.carried = true})) == "again");
    f.lesson = smtp::lesson::no_pipelining;  // it was sent ahead
    CHECK(name(ruling_of(f, {})) == "again");
    f.lesson = smtp::lesson::none;
    f.recipients.front() = {.status = status::accepted, .where = phase::content, .reply = {.code = 250}};
    CHECK(name(ruling_of(f, {})) == "again");
}

TEST_CASE("only what broke the wire breaks the connection") {
    CHECK(engine::breaks_connection(errc::connection_closed));
    CHECK(engine::breaks_connection(make_error_code(std::errc::connection_reset)));
    for (const auto e : {errc::message_too_large, errc::cancelled, errc::chunking_refused, errc::out_of_sequence})
        CHECK_FALSE(engine::breaks_connection(e));
    CHECK_FALSE(engine::breaks_connection({}));
}

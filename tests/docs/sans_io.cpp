// The code of docs/sans_io.md.
#include <doctest/doctest.h>

#include <postroad/smtp/session.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <variant>

namespace {

//[written
/// Takes what the session wants to write, as a socket would.
std::string written(postroad::smtp::session& s, postroad::time_point now) {
    std::array<std::string_view, 8> parts;
    std::string result;
    while (const auto n = s.output(parts)) {
        std::string batch;
        for (std::size_t i = 0; i < n; ++i) batch += parts[i];
        s.consumed(batch.size(), now);
        result += batch;
    }
    return result;
}
//]

postroad::mail_ptr hello() {
    postroad::mail_object m;
    m.envelope = {postroad::address("a@x.example"), {postroad::address("b@y.example")}};
    m.content = postroad::content::from_text("Subject: Hi\n\nHello\n");
    return std::make_shared<const postroad::mail_object>(std::move(m));
}

}  // namespace

//[conversation
TEST_CASE("a message whose reply does not come is in doubt after ten minutes") {
    const postroad::time_point now{};
    postroad::smtp::session s{
        {.server = {"mx.example", 25, postroad::security::insecure_none}, .client_name = "client.example"}};
    s.started(now);
    s.received("220 mx.example\r\n", now);
    CHECK(written(s, now) == "EHLO client.example\r\n");
    s.received("250-mx.example\r\n250 PIPELINING\r\n", now);
    CHECK(std::holds_alternative<postroad::smtp::ready>(*s.poll()));

    s.submit({.id = 7, .mail = hello(), .recipients = {0}}, now);
    CHECK(written(s, now) == "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n");
    s.received("250 ok\r\n250 ok\r\n354 go\r\n", now);
    CHECK(written(s, now) == "Subject: Hi\r\n\r\nHello\r\n.\r\n");

    s.tick(now + std::chrono::minutes(10));  // no reply came
    const auto done = std::get<postroad::smtp::finished>(*s.poll());
    CHECK(done.error == postroad::errc::timed_out);
    CHECK(done.recipients.at(0).status == postroad::status::in_doubt);
}
//]

// The code of docs/messages.md.
#include <doctest/doctest.h>

#include <postroad/message/eml.hpp>
#include <postroad/message/message.hpp>

#include <chrono>
#include <string>

TEST_CASE("the messages of the page") {
    const auto now = std::chrono::system_clock::now();

    //[compose
    auto m = postroad::message{}
                 .from("Ann Lee <ann@example.com>")
                 .to("bob@example.org, \"Lee, Cid\" <cid@example.org>")
                 .cc(postroad::mailbox{.name = "Müller", .address = postroad::address("dee@example.net")})
                 .bcc("archive@example.com")
                 .subject("Größe geändert")
                 .header("Precedence", "bulk")
                 .text("Dear all,\n\nplease note: ...\n");
    m.reply_to("office@example.com");
    //]
    const auto composed = m.freeze(now);
    CHECK(composed.envelope.recipients.size() == 4);
    CHECK(composed.content.text().find("archive@") == std::string::npos);

    //[freeze
    const postroad::mail_object frozen = m.freeze(std::chrono::system_clock::now());
    //]
    CHECK(frozen.envelope.reverse_path.str() == "ann@example.com");

    const std::string file = "samples/plain.eml";
    //[eml
    auto mail = postroad::read_eml(file);
    mail.envelope.reverse_path = postroad::address("bounces@example.com");
    //]
    CHECK(!mail.envelope.recipients.empty());

    //[eml_envelope
    const auto other = postroad::read_eml(
        file, {.envelope = postroad::envelope{.reverse_path = postroad::address("bounces@example.com"),
                                              .recipients = {postroad::address("bob@example.org")}}});
    //]
    CHECK(other.envelope.recipients.at(0).str() == "bob@example.org");

    //[by_hand
    postroad::mail_object raw;
    raw.envelope.recipients.push_back(postroad::address("bob@example.org"));  // from <>: nobody answers to it
    raw.content = postroad::content::from_text("Subject: Report\n\nAll is well.\n");
    //]
    CHECK(raw.envelope.reverse_path.null());
    CHECK(raw.content.text() == "Subject: Report\r\n\r\nAll is well.\r\n");
}

TEST_CASE("addresses of the page are checked") {
    //[check
    postroad::error_code ec;
    std::string why;
    const auto a = postroad::address::parse("bob@exam ple.org", ec, &why);
    CHECK(ec == postroad::errc::invalid_address);
    CHECK(why == "expected a letter, a digit, a hyphen or a dot in the domain at octet 8 of 'bob@exam ple.org'");
    //]
    CHECK(a.null());
    const auto text_of = [](auto compose) {
        try {
            compose();
        } catch (const postroad::error& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(text_of([] { (void)postroad::message{}.subject("Hi\r\nBcc: all@example.org"); }) ==
          "Subject: a line end is not allowed at octet 2");
}

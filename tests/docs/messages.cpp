// The code of docs/messages.md.
#include <doctest/doctest.h>

#include <postroad/message/dkim.hpp>
#include <postroad/message/embed_images.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/message/message.hpp>
#include <postroad/net/dkim_check.hpp>
#include <postroad/testing/scripted_resolver.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>

namespace {

postroad::mail_object signed_with(const std::string& pem, postroad::mail_object mail,
                                  std::chrono::system_clock::time_point now) {
    //[sign
    const postroad::dkim_signer signer{
        {.domain = "example.com", .selector = "mail2025", .key = postroad::dkim_key::rsa(postroad::secret(pem))}};
    mail = sign(std::move(mail), signer, now);
    //]
    return mail;
}

}  // namespace

TEST_CASE("docs: the published key is checked") {
    const postroad::dkim_key key("rsa-sha256", nullptr, "MIIB");
    const postroad::dkim_signer signer{{.domain = "example.com", .selector = "mail2025", .key = key}};
    postroad::testing::scripted_resolver dns;
    int bad = 0;
    const auto warn = [&](const std::string& text) {
        CHECK(text == "mail2025._domainkey.example.com: there is no TXT record; publish the key there");
        ++bad;
    };
    //[check_keys
    postroad::net::check_keys(dns, signer, [&](const std::vector<postroad::key_check>& all) {
        for (const auto& k : all)
            if (k.what != postroad::key_check::good) warn(k.name + ": " + k.why);
    });
    //]
    CHECK(bad == 1);
}

TEST_CASE("the parts of the page") {
    const auto now = std::chrono::system_clock::now();
    const std::filesystem::path pdf = "samples/plain.eml";
    const std::filesystem::path logo = "samples/plain.eml";
    //[parts
    auto m = postroad::message{}
                 .from("ann@example.com")
                 .to("bob@example.org")
                 .text("Your invoice is attached.")
                 .html("<img src=\"cid:logo\"><p>Your invoice is attached.")
                 .attach(logo, {.name = "logo.png", .content_id = "logo"})
                 .attach(pdf, {.name = "Rechnung März.pdf"})
                 .attach(postroad::source::memory("a;b\n1;2\n"), {.type = "text/csv; charset=utf-8", .name = "a.csv"});
    //]
    const auto c = m.freeze(now).content;
    CHECK(c.text().find("Content-Disposition: inline; filename=\"logo.png\"\r\nContent-ID: <logo>") !=
          std::string_view::npos);

    //[generated
    const auto numbers = postroad::source::generated([]() -> postroad::source::read_function {
        return [next = 0](std::span<char> room) mutable -> std::size_t {
            if (next == 1000) return 0;
            const auto line = std::to_string(next++) + "\n";
            return line.copy(room.data(), room.size());
        };
    });
    //]
    CHECK(numbers.size() == 3890);

    //[list
    m.list_id("news.example.com", "News of Example")
        .list_unsubscribe({.one_click = "https://example.com/u?t=7f3a", .url = "mailto:leave@example.com"})
        .automatic(postroad::automatic::generated);
    //]
    CHECK_NOTHROW((void)m.freeze(now));
    CHECK_THROWS_AS((void)signed_with("no key", m.freeze(now), now), postroad::error);

    //[embed
    m.html(postroad::embed_images(m, "<img src=\"data:image/png;base64,UE5H\"><p>Hello"));
    //]
    CHECK_NOTHROW((void)m.freeze(now));

    //[tree
    const auto tree = postroad::body_part::multipart(
        "multipart/mixed", {postroad::body_part::text("Guten Tag", {.fields = {{"Content-Language", "de"}}}),
                            postroad::body_part::file(pdf, {.name = "Rechnung.pdf"}),
                            postroad::body_part::text("Mit freundlichen Grüßen")});
    m = postroad::message{}.from("ann@example.com").to("bob@example.org").body(tree);
    //]
    CHECK_NOTHROW((void)m.freeze(now));
}

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
    const auto mail = postroad::read_eml(file);
    //]
    CHECK(!mail.envelope.recipients.empty());

    //[eml_envelope
    const auto other = postroad::read_eml(file, {.reverse_path = postroad::address("bounces@example.com"),
                                                 .recipients = {{postroad::address("bob@example.org")}},
                                                 .complete_at = now});
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

// Fields that another program gives as text, written by their grammar.
#include <postroad/message/own_field.hpp>

#include <doctest/doctest.h>

#include <string>

using postroad::detail::header_charset;
using postroad::detail::written_field;

namespace {

std::string unfolded(std::string text) {
    for (std::size_t at; (at = text.find("\r\n ")) != std::string::npos;) text.erase(at, 2);
    return text;
}

std::string written(const char* name, const std::string& value) {
    return unfolded(written_field(name, value, header_charset::ascii));
}

}  // namespace

TEST_CASE("a value that is not ASCII is written as the field's grammar has it") {
    const struct {
        const char* name;
        const char* value;
        const char* expected;
    } cases[] = {
        {"Subject", "Grüße  an alle", "=?utf-8?q?Gr=C3=BC=C3=9Fe__an_alle?="},
        {"To", "Jörg <j@x.example>, Bob Builder <aaaaaaaaaaaaa@x.example>, Ann <c@x.example>",
         "=?utf-8?b?SsO2cmc=?= <j@x.example>, Bob Builder <aaaaaaaaaaaaa@x.example>, Ann <c@x.example>"},
        {"Cc", "Team: Jörg <j@x.example>, b@y.example;, c@z.example",
         "c@z.example, Team: =?utf-8?b?SsO2cmc=?= <j@x.example>, b@y.example;"},
        {"To", "bob@bücher.example", "bob@xn--bcher-kva.example"},
        {"To", "Jörg <jörg@bücher.example>", "Jörg <jörg@bücher.example>"},
        {"To", "Jörg, wer sonst", "=?utf-8?b?SsO2cmc=?= , wer sonst"},
        {"X-Contact", "Jörg <j@x.example>", "=?utf-8?b?SsO2cmc=?= <j@x.example>"},
        {"List-Id", "Größe der Liste <news.x.example>", "=?utf-8?b?R3LDtsOfZSBkZXIgTGlzdGU=?= <news.x.example>"},
        {"Keywords", "Käse, Brot", "=?utf-8?b?S8Okc2U=?= , Brot"},
        {"SIO-Label", "a; label=\"für alle\"", "a; label*=utf-8''f%C3%BCr%20alle"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.name);
        CHECK(written(c.name, c.value) == std::string(c.name) + ": " + c.expected + "\r\n");
    }
    CHECK(unfolded(written_field("Subject", "Grüße", header_charset::utf8)) == "Subject: Grüße\r\n");
}

TEST_CASE("ids and URLs that are not ASCII are refused by name and octet") {
    for (const auto* name : {"List-Unsubscribe", "In-Reply-To", "Content-ID"}) {
        CAPTURE(name);
        try {
            (void)written(name, "<https://x.example/ü>");
            FAIL("it was written");
        } catch (const postroad::error& e) {
            CHECK(e.code() == postroad::errc::invalid_header);
            CHECK(e.details().explanation.starts_with(name));
            CHECK(e.details().explanation.find("octet 19") != std::string::npos);
        }
    }
    CHECK_THROWS_AS((void)written("List-Id", "Größe"), postroad::error);
    CHECK_THROWS_AS((void)written("Subject", "ü\r\nBcc: x"), postroad::error);
}

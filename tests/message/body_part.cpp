// Trees of parts of one's own, and what a part says of itself.
#include <doctest/doctest.h>
#include <postroad/message/body_part.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/message.hpp>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "failure.hpp"
#include "text_of.hpp"

using postroad::body_part;
using postroad::content;
using postroad::errc;
using postroad::message;
using postroad::source;

namespace {

message simple() { return message{}.from("a@x").to("b@y"); }
std::string composed(const message& m) { return text_of(m.freeze({}).content); }

// "multipart/mixed(text/plain[x] ...)" of a message or part.
std::string shape(std::string_view text) {
    namespace detail = postroad::detail;
    const auto e = detail::split_at_empty_line(text);
    const auto fields = detail::split_fields(e.header);
    const auto type = detail::parse_parameterised(detail::find_field(fields, "Content-Type")->value);
    if (!type.is("multipart/")) return type.value + '[' + std::string(detail::trimmed(e.body)) + ']';
    std::string result = type.value + '(';
    for (const auto part : detail::split_multipart(e.body, type.parameter("boundary")).parts) result += shape(part);
    return result + ')';
}

}  // namespace

TEST_CASE("a tree of one's own travels as it was made") {
    const auto text = [](const char* t) { return body_part::text(t); };
    const auto tree = body_part::multipart("multipart/signed; micalg=sha-256; protocol=\"application/x-own\"",
                                           {body_part::multipart("multipart/mixed", {text("one"), text("two")}),
                                            body_part::octets(source::memory("sig"), {.type = "application/x-own"})});
    const auto m = simple().body(tree);
    const auto raw = composed(m);
    CHECK(shape(raw) == "multipart/signed(multipart/mixed(text/plain[one]text/plain[two])application/x-own[c2ln])");
    CHECK(raw.find("multipart/signed; micalg=sha-256; protocol=\"application/x-own\";\r\n boundary=") != raw.npos);
    CHECK(raw.find("Content-Disposition") == raw.npos);
    const auto with_file = composed(simple().body(tree).attach(source::memory("x"), {.name = "a.bin"}));
    CHECK(shape(with_file).starts_with("multipart/mixed(multipart/signed("));
    CHECK(shape(composed(simple().body(text("alone")))) == "text/plain[alone]");
    CHECK(shape(composed(simple().body(body_part::multipart("multipart/mixed", {text("x")})))) ==
          "multipart/mixed(text/plain[x])");
    const auto nested = body_part::message(content::from_text("Subject: n\n\n\xc3\xa4\n"), {.name = "n.eml"});
    const auto around = composed(simple().body(body_part::multipart("multipart/mixed", {nested})));
    CHECK(around.find("Subject: n\r\n\r\n\xc3\xa4\r\n") != around.npos);
    CHECK(around.find("filename=\"n.eml\"") != around.npos);
}

TEST_CASE("a text says its type, its fields and its name") {
    auto raw = composed(simple().text("a", {.type = "text/plain; format=flowed; delsp=yes",
                                            .fields = {{"Content-Language", "de"}, {"X-Own", "Größe a"}}}));
    CHECK(raw.find("Content-Type: text/plain; format=flowed; delsp=yes; charset=utf-8\r\n") != raw.npos);
    CHECK(raw.find("Content-Language: de\r\nX-Own: =?utf-8?") != raw.npos);
    CHECK(raw.find("Content-Disposition") == raw.npos);
    raw = composed(simple().text("\u00e4").html("<p>", {.fields = {{"Content-Location", "http://x/"}}}));
    CHECK(raw.find("Content-Location: http://x/\r\n") != raw.npos);
    raw = composed(simple().text("a").attach(source::memory("x"), {.name = "a.b", .fields = {{"X-Id", "7"}}}));
    CHECK(raw.find("X-Id: 7\r\n") != raw.npos);
    raw = composed(simple().text("a").html("<p>").alternative(source::memory("%PDF"), {.type = "application/pdf"}));
    CHECK(shape(raw) == "multipart/alternative(text/plain[a]text/html[<p>]application/pdf[JVBERg==])");
}

TEST_CASE("what no part can be is refused at once") {
    const auto refused = [](auto f) { return failure_of(f).code; };
    CHECK(refused([] { (void)body_part::multipart("multipart/mixed", {}); }) == errc::invalid_header);
    CHECK(refused([] { (void)body_part::multipart("text/plain", {body_part::text("x")}); }) == errc::invalid_header);
    CHECK(refused([] { (void)body_part::multipart("multipart/mixed; boundary=x", {body_part::text("x")}); }) ==
          errc::invalid_header);
    CHECK(refused([] { (void)body_part::text("x", {.type = "multipart/mixed"}); }) == errc::invalid_header);
    CHECK(refused([] { (void)body_part::text("x", {.type = "message/rfc822"}); }) == errc::invalid_header);
    CHECK(refused([] { (void)body_part::text("\u00e4", {.type = "message/delivery-status"}); }) ==
          errc::invalid_header);
    CHECK(refused([] { (void)body_part::text("\xff"); }) == errc::invalid_message);
    CHECK(refused([] { (void)body_part::octets(source::memory("x"), {}); }) == errc::invalid_header);
    CHECK(refused([] { (void)body_part::file("no such file"); }) == errc::unreadable_file);
    for (const auto* name :
         {"Content-Type", "content-transfer-encoding", "Content-ID", "a b", "", "MIME-Version", "A:"})
        CHECK(refused([&] { (void)body_part::text("x", {.fields = {{name, "y"}}}); }) == errc::invalid_header);
    for (const std::string value : {"a\r\nB: c", "\xff", "a\nb"})
        CHECK(refused([&] { (void)body_part::text("x", {.fields = {{"X", value}}}); }) == errc::invalid_header);
    CHECK(refused([] { (void)body_part::text("x", {.fields = {{"X", "1"}, {"x", "2"}}}); }) == errc::invalid_header);
    CHECK(refused([] { simple().text("x", {.type = "text/html"}); }) == errc::invalid_header);
    CHECK(refused([] { simple().text("x", {.type = "text/plain; charset=latin1"}); }) == errc::invalid_header);
    auto deep = body_part::text("x");
    for (std::size_t i = 0; i < body_part::max_depth; ++i) deep = body_part::multipart("multipart/mixed", {deep});
    CHECK_NOTHROW((void)composed(simple().body(deep)));
    CHECK(refused([&] { (void)body_part::multipart("multipart/mixed", {deep}); }) == errc::invalid_header);
}

TEST_CASE("text is said to be in UTF-8, and in nothing else, wherever it is given") {
    const struct {
        const char* type;
        const char* expected;  // null: refused
    } cases[] = {
        {"text/plain", "text/plain; charset=utf-8"},
        {"TEXT/Plain", "TEXT/Plain; charset=utf-8"},
        {"text/plain; charset=UTF-8", "text/plain; charset=UTF-8"},
        {"text/plain; format=flowed", "text/plain; format=flowed; charset=utf-8"},
        {"text/plain; charset=iso-8859-1", nullptr},
        {"text/plain;", nullptr},
        {"text/plain; format=flowed; ", nullptr},
    };
    for (const auto& c : cases) {
        CAPTURE(c.type);
        const std::function<std::string()> ways[] = {
            [&] { return composed(simple().text("Grüße", {.type = c.type})); },
            [&] { return composed(simple().alternative("Grüße", {.type = c.type})); },
            [&] { return composed(simple().body(body_part::text("Grüße", {.type = c.type}))); }};
        for (const auto& way : ways) {
            if (c.expected)
                CHECK(way().find(std::string("Content-Type: ") + c.expected + "\r\n") != std::string::npos);
            else
                CHECK(failure_of([&] { (void)way(); }).code == errc::invalid_header);
        }
    }
    CHECK(composed(simple().body(body_part::text("x", {.type = "message/delivery-status"}))).find("charset") ==
          std::string::npos);
}

TEST_CASE("related parts say the type of their root") {
    const auto image = body_part::octets(source::memory("x"), {.type = "image/png", .content_id = "i@x"});
    const auto page = body_part::text("<p>", {.type = "text/html", .content_id = "page@x"});
    const auto forms = body_part::multipart("multipart/alternative", {body_part::text("a"), page});
    const auto type_of = [](const char* type, std::vector<body_part> parts) {
        const auto raw = composed(simple().body(body_part::multipart(type, std::move(parts))));
        const auto at = raw.find(" type=\"");
        return at == raw.npos ? "" : raw.substr(at + 7, raw.find('"', at + 7) - at - 7);
    };
    CHECK(type_of("multipart/related", {forms, image}) == "multipart/alternative");
    CHECK(type_of("Multipart/Related", {page, image}) == "text/html");
    CHECK(type_of("multipart/related; start=\"<page@x>\"", {image, page}) == "text/html");
    CHECK(type_of("multipart/related; start=\"<gone@x>\"", {image, page}) == "image/png");
    CHECK(type_of("multipart/related; type=\"text/xml\"", {page, image}) == "text/xml");
    CHECK(type_of("multipart/mixed", {page, image}) == "");
}

TEST_CASE("a body and the forms of a text exclude each other, in whatever order") {
    using setter = void (*)(message&);
    const setter forms[] = {[](message& m) { m.text("x"); }, [](message& m) { m.html("x"); },
                            [](message& m) { m.alternative("x", {.type = "text/x"}); },
                            [](message& m) { m.alternative(source::memory("x"), {.type = "image/png"}); },
                            [](message& m) { m.calendar("METHOD:REQUEST\n"); }};
    for (const auto set : forms) {
        auto m = simple();
        set(m);
        CHECK(failure_of([&] { m.body(body_part::text("b")); }).code == errc::invalid_message);
        auto other = simple().body(body_part::text("b"));
        CHECK(failure_of([&] { set(other); }).code == errc::invalid_message);
        CHECK(shape(composed(other)) == "text/plain[b]");
    }
}

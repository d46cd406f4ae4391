#include <doctest/doctest.h>
#include <postroad/message/canonical.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/message/message.hpp>

#include <chrono>
#include <ostream>
#include <string>
#include <string_view>

#include "failure.hpp"

using postroad::canonicalization;
using postroad::content;
using postroad::dkim_key;
using postroad::dkim_signature;
using postroad::dkim_signer;
using postroad::errc;
using postroad::secret;

namespace {

const std::chrono::system_clock::time_point now{std::chrono::seconds(1700000000)};

dkim_key any_key() {
    return {"rsa-sha256", [](std::span<const unsigned char, 32>) { return std::string(256, 'k'); }};
}

dkim_signature any() { return {.domain = "example.com", .selector = "s1", .key = any_key()}; }

std::string signed_text(const dkim_signature& s, const std::string& text) {
    return std::string(dkim_signer(s).sign(content::from_text(text), now).text());
}

// The value of one tag, without folding.
std::string tag(const std::string& text, const std::string& name) {
    const auto at = text.find(name + "=");
    auto value = text.substr(at + name.size() + 1, text.find_first_of(";", at) - at - name.size() - 1);
    std::string plain;
    for (const char c : value)
        if (c != '\r' && c != '\n' && c != ' ') plain += c;
    return plain;
}

std::string body_hash(canonicalization how, std::string_view body, std::size_t step) {
    postroad::detail::body_hasher h(how);
    for (std::size_t at = 0; at < body.size(); at += step) h.add(body.substr(at, step));
    return postroad::detail::base64_of(h.finish());
}

std::string plain_hash(std::string_view text) {
    postroad::detail::sha256 h;
    h.add(text);
    return postroad::detail::base64_of(h.finish());
}

}  // namespace

TEST_CASE("fields are made canonical as RFC 6376 section 3.4.5 shows") {
    using postroad::detail::canonical_field;
    CHECK(canonical_field("A: X\r\n", canonicalization::relaxed) == "a:X");
    CHECK(canonical_field("B : Y\t\r\n\tZ  \r\n", canonicalization::relaxed) == "b:Y Z");
    CHECK(canonical_field("B : Y\t\r\n\tZ  \r\n", canonicalization::simple) == "B : Y\t\r\n\tZ  ");
    CHECK(canonical_field("C:\r\n", canonicalization::relaxed) == "c:");
}

TEST_CASE("bodies are made canonical as RFC 6376 sections 3.4.3 to 3.4.5 say, in pieces of any size") {
    const struct {
        const char* body;
        const char* relaxed;
        const char* simple;
    } rows[] = {
        {" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n", " C \r\nD \t E\r\n"},
        {"", "", "\r\n"},
        {"\r\n\r\n", "", "\r\n"},
        {" \t\r\n", "", " \t\r\n"},
        {"a", "a\r\n", "a\r\n"},
        {"a\r\n\r\n \r\nb \r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n \r\nb \r\n"},
        {"a\rb\n\r\r\n", "a\rb\n\r\r\n", "a\rb\n\r\r\n"},
    };
    for (const auto& r : rows)
        for (std::size_t step = 1; step <= 5; ++step) {
            CAPTURE(r.body);
            CAPTURE(step);
            CHECK(body_hash(canonicalization::relaxed, r.body, step) == plain_hash(r.relaxed));
            CHECK(body_hash(canonicalization::simple, r.body, step) == plain_hash(r.simple));
        }
    CHECK(body_hash(canonicalization::simple, "", 1) == "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
    CHECK(body_hash(canonicalization::relaxed, "", 1) == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    std::string long_body;
    for (int i = 0; i < 5000; ++i) long_body += "line  of\t text\r\n\r\n";
    CHECK(body_hash(canonicalization::relaxed, long_body, 1) == body_hash(canonicalization::relaxed, long_body, 4096));
}

TEST_CASE("the signature stands on top, and nothing else changes") {
    const std::string text = "From: ann@example.com\r\nSubject: x\r\n\r\nbody\r\n";
    const auto all = signed_text(any(), text);
    CHECK(all.starts_with(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1;\r\n t=1700000000;"));
    CHECK(all.ends_with("\r\n" + text));
    CHECK(tag(all, " x").empty() == false);
    CHECK(all.find("x=") == std::string::npos);
    auto s = any();
    s.valid_for = std::chrono::hours(1);
    s.identity = "ann@news.example.com";
    const auto other = signed_text(s, text);
    CHECK(tag(other, "x") == "1700003600");
    CHECK(tag(other, " i") == "ann@news.example.com");
    const auto c = content::from_text(all);
    CHECK(c.longest_line() <= 78);
}

TEST_CASE("fields are signed from the bottom up and once more than they are there (row 55)") {
    auto s = any();
    s.fields = {"X-Own", "Subject", "Absent"};
    s.oversigned = {"From", "Subject", "To"};
    const auto all = signed_text(s, "X-Own: 1\nFrom: a@example.com\nx-own: 2\nSubject: x\n\n");
    CHECK(tag(all, " h") == "From:From:X-Own:X-Own:Subject:Subject:To");
    const auto plain = tag(signed_text(any(), "From: a@example.com\nBcc: x@y\n\n"), " h");
    CHECK(plain.find("Bcc") == std::string::npos);
    for (const auto* name : {"From:From", "To", "Cc", "Subject", "Date", "Reply-To", "Message-ID", "MIME-Version"})
        CHECK(plain.find(name) != std::string::npos);
}

TEST_CASE("what is signed is fit for every server, and stays as it is") {
    const auto m = postroad::message{}.from("a@example.com").to("b@y").text("ein \xc3\xa4 im Text").freeze(now).content;
    const auto wide = m.as(postroad::transfer::eight_bit);
    const auto done = dkim_signer(any()).sign(wide, now);
    CHECK_FALSE(done.eight_bit());
    CHECK(done.as(postroad::transfer::binary).text().data() == done.text().data());
    CHECK(done.text().ends_with(m.text()));
}

TEST_CASE("content that streams is signed while it is read, and still streams") {
    const auto with = [](postroad::source octets) {
        return postroad::message{}
            .from("a@example.com")
            .to("b@y")
            .date(now)
            .message_id("<1@x>")
            .attach(std::move(octets), {.type = "a/b"})
            .freeze(now)
            .content;
    };
    const std::string octets(100000, 'x');
    const auto streamed = with(postroad::source::memory(octets));
    CHECK(streamed.streams());
    const auto done = dkim_signer(any()).sign(streamed, now);
    CHECK(done.streams());
    CHECK(done.size() == done.text().size());
    const auto whole = dkim_signer(any()).sign(content::from_text(std::string(streamed.text())), now);
    CHECK(done.text() == whole.text());
    const auto bad = with(postroad::source::generated(
        10, []() -> postroad::source::read_function { return [](std::span<char>) { return std::size_t{0}; }; }));
    CHECK(failure_of([&] { (void)dkim_signer(any()).sign(bad, now); }).code == errc::changed_file);
}

TEST_CASE("messages that readers could take for two are not signed") {
    const auto code = [](const std::string& text) { return failure_of([&] { (void)signed_text(any(), text); }).code; };
    CHECK(code("Subject: x\n\n") == errc::invalid_message);
    CHECK(code("From: a@x\nfrom: b@x\n\n") == errc::invalid_message);
    CHECK(code("From: a@x\nSubject: x\nSubject : y\n\n") == errc::invalid_message);
    CHECK(!code("From: a@x\nX: x\nX: y\n\n"));
}

TEST_CASE("domains, selectors, identities and keys are checked") {
    const auto with = [](auto change) {
        return failure_of([&] {
                   auto s = any();
                   change(s);
                   (void)dkim_signer(s);
               })
            .code;
    };
    CHECK(with([](auto& s) { s.domain = "x.example; d=y"; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.domain = "[127.0.0.1]"; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.domain = ""; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.selector = "a\r\n"; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.selector = ""; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.identity = "@other.example"; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.identity = "@notexample.com"; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.identity = "a;b@example.com"; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.fields = {"a:b"}; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.oversigned = {"a b"}; }) == errc::invalid_option);
    CHECK(!with([](auto& s) { s.identity = "@example.com"; }));
    CHECK(tag(signed_text({.domain = "b\xc3\xbc"
                                     "cher.example",
                           .selector = "s",
                           .key = any_key()},
                          "From: a@x\n\n"),
              " d") == "xn--bcher-kva.example");
    CHECK(failure_of([] { (void)dkim_signer(std::vector<dkim_signature>{}); }).code == errc::invalid_option);
    const auto bad = failure_of([] { (void)dkim_key::rsa(secret("hunter2 is no key")); });
    CHECK(bad.code == errc::invalid_option);
    CHECK(bad.text.find("hunter2") == std::string::npos);
}

#include <doctest/doctest.h>
#include <postroad/core/base64.hpp>
#include <postroad/message/canonical.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/message/key_derivation.hpp>
#include <postroad/message/message.hpp>

#include <array>
#include <chrono>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "failure.hpp"
#include "text_of.hpp"

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
    return text_of(dkim_signer(s).sign(content::from_text(text), now));
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

TEST_CASE("fields are signed from the bottom up and once more than they are there") {
    auto s = any();
    s.fields = {
        .names = {"X-Own", "Subject", "Absent"}, .oversigned = {"From", "Subject", "Cc"}, .kept_absent = {"To"}};
    const auto all = signed_text(s, "X-Own: 1\nFrom: a@example.com\nx-own: 2\nSubject: x\n\n");
    CHECK(tag(all, " h") == "From:From:X-Own:X-Own:Subject:Subject:To");
    s.fields = {};
    CHECK(tag(signed_text(s, "From: a@example.com\n\n"), " h") == "From:From");
}

TEST_CASE("what is absent stays open, so that submission servers and lists can add it; strict closes it") {
    using postroad::dkim_fields;
    const auto covered = [](const dkim_fields& fields, const std::string& header) {
        auto s = any();
        s.fields = fields;
        return ':' + tag(signed_text(s, "From: a@example.com\nBcc: x@y\n" + header + '\n'), " h") + ':';
    };
    const auto count = [](const std::string& list, const std::string& name) {
        std::size_t n = 0;
        for (auto at = list.find(':' + name + ':'); at != std::string::npos; at = list.find(':' + name + ':', at + 1))
            ++n;
        return n;
    };
    for (const auto& name : dkim_fields::standard().oversigned) {
        CAPTURE(name);
        const bool from = name == "From";
        const auto field = from ? "" : name + ": v\n";
        CHECK(count(covered(dkim_fields::standard(), ""), name) == (from ? 2U : 0U));
        CHECK(count(covered(dkim_fields::standard(), field), name) == 2);
        CHECK(count(covered(dkim_fields::strict(), ""), name) == (from ? 2U : 1U));
        CHECK(count(covered(dkim_fields::strict(), field), name) == 2);
        CHECK(count(covered({}, field), name) == (from ? 2U : 0U));
    }
    for (const auto& name : dkim_fields::standard().names) {
        CAPTURE(name);
        if (name == "From") continue;
        CHECK(count(covered(dkim_fields::standard(), ""), name) == 0);
        CHECK(count(covered(dkim_fields::standard(), name + ": v\n"), name) >= 1);
    }
    for (const auto* name : {"Sender", "Reply-To", "Subject", "List-Id", "List-Unsubscribe", "List-Post"})
        CHECK(count(covered(dkim_fields::mailing_list_safe(), std::string(name) + ": v\n"), name) == 0);
    for (const auto& fields : {dkim_fields::standard(), dkim_fields::mailing_list_safe(), dkim_fields::strict()})
        CHECK(count(covered(fields, ""), "Bcc") == 0);
}

TEST_CASE("whatever is a message can be signed") {
    const dkim_signer signer(any());
    const auto composed = postroad::message{}.from("a@x").to("b@y").text("t").freeze(now);
    const auto existing = postroad::parse_eml("From: a@x\nTo: b@y\n\nx\n");
    postroad::mail_object raw{.envelope = existing.envelope, .content = content::from_text("From: a@x\n\nx\n")};
    for (const auto& mail : {composed, existing, raw}) {
        const auto done = sign(mail, signer, now);
        CHECK(done.envelope == mail.envelope);
        CHECK(done.content.text().starts_with("DKIM-Signature: "));
        CHECK(done.content.text().ends_with(mail.content.text()));
    }
}

TEST_CASE("what is signed is fit for every server, and stays as it is") {
    const auto m = postroad::message{}.from("a@example.com").to("b@y").text("ein \xc3\xa4 im Text").freeze(now).content;
    const auto wide = m.as(postroad::transfer::eight_bit);
    const auto done = dkim_signer(any()).sign(wide, now);
    CHECK_FALSE(done.eight_bit());
    const auto wide_again = done.as(postroad::transfer::binary);
    CHECK(wide_again.text().data() == done.text().data());
    CHECK(done.text().ends_with(m.text()));
}

TEST_CASE("what exists is signed as every server takes it, unless it is signed already or nobody may change it") {
    const auto is_kept = [](const std::string& text) {
        const auto given = content::from_text(text);
        const auto signed_one = dkim_signer(any()).sign(given, now);
        return signed_one.text().ends_with(given.text());
    };
    const std::string field = "From: a@example.com\n";
    const std::string text =
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 8bit\n\nein \xc3\xa4\n";
    const auto done = dkim_signer(any()).sign(content::from_text(field + "Subject: \xc3\xa4\n" + text), now);
    CHECK_FALSE(done.eight_bit());
    CHECK(done.text().find("Content-Transfer-Encoding: base64") != std::string::npos);
    CHECK(done.text().find("Subject: =?") != std::string::npos);
    CHECK(is_kept(field + "Subject: a\n\nplain\n"));
    CHECK_FALSE(is_kept(field + text));
    CHECK(is_kept("DKIM-Signature: v=1; d=x.example\n" + field + text));
    CHECK(is_kept("ARC-Message-Signature: i=1; d=x.example\n" + field + text));
    CHECK(is_kept(field + "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\n" + text + "--b--\n"));
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
    CHECK(with([](auto& s) { s.fields.names = {"a:b"}; }) == errc::invalid_option);
    CHECK(with([](auto& s) { s.fields.oversigned = {"a b"}; }) == errc::invalid_option);
    CHECK(!with([](auto& s) { s.identity = "@example.com"; }));
    // what has a meaning in a list of tags goes in quoted-printable (RFC 6376 section 3.5)
    auto odd = any();
    odd.identity = "\"a;b c\"@example.com";
    CHECK(tag(signed_text(odd, "From: a@x\n\n"), " i") == "\"a=3Bb=20c\"@example.com");
    odd.identity = "bounce+a=b@example.com";
    CHECK(tag(signed_text(odd, "From: a@x\n\n"), " i") == "bounce+a=3Db@example.com");
    for (const std::string selector : {"s_1", "",
                                       "b\xc3\xbc"
                                       "cher"}) {
        auto s = any();
        s.selector = selector;
        CHECK(failure_of([&] {
                  (void)dkim_signer(s);
              }).text.starts_with("DKIM: '" + postroad::escaped(selector) + "' is not a selector: expected letters, "));
    }
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

TEST_CASE("scrypt gives what RFC 7914 says, and is bounded") {
    const auto hex = [](const std::string& octets) {
        std::string text;
        for (const char c : octets) {
            static constexpr char digits[] = "0123456789abcdef";
            const auto u = static_cast<unsigned char>(c);
            (text += digits[u >> 4]) += digits[u & 15];
        }
        return text;
    };
    using postroad::detail::is_affordable;
    using postroad::detail::scrypt;
    CHECK(hex(scrypt("", "", {16, 1, 1}, 64)) ==
          "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
          "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
    CHECK(hex(scrypt("password", "NaCl", {1024, 8, 16}, 64)) ==
          "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
          "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
    CHECK(is_affordable({65536, 8, 1}));
    CHECK_FALSE(is_affordable({131072, 8, 1}));
    CHECK(is_affordable({16, 1, 16}));
    for (const postroad::detail::scrypt_cost& c : {postroad::detail::scrypt_cost{16, 1, 17},
                                                   {0, 1, 1},
                                                   {1, 1, 1},
                                                   {17, 1, 1},
                                                   {16, 0, 1},
                                                   {16, 1, 0},
                                                   {std::size_t{1} << 63, 8, 1},
                                                   {16, ~std::size_t{0}, 1}}) {
        CHECK_FALSE(is_affordable(c));
        CHECK(scrypt("a", "b", c, 8).empty());
    }
}

TEST_CASE("keys that are encrypted are read with their password, and what is wrong with others is said") {
    // one key of 1024 bits, as OpenSSL 3 writes it; the password is "pw"
    const std::pair<const char*, std::string> keys[] = {
        {"aes256_sha256",
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
         "MIIC3TBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIr3XxeeyhDukCAggA\n"
         "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBAeg+gzwJi88wzJs5oGBm7NBIIC\n"
         "gNH7iwu0mfw+/LOP4hkSKw66WI8M2jck8pAE9DusdPnzM7/rDjYdPlQ0ILVwQZee\n"
         "YCy67OaFd4DqX0mawiQj52x7dR9NWtKIGhlpIJt1vHUmWNA/qvQsUL+yKtiIpH0b\n"
         "5mwM9vVk3ZJOFIdYVticFjlieniWmqDwXh0wtYWXqP5U+e/kqrSGqG49EQovx2sV\n"
         "m7851qmB+RO4nJthu8ZMBpyKIj9r43M618zk8vq8UG//kifqZWT7QIITJsW0Sm4M\n"
         "LzxhclLAjhbrKI+B7w9ztTapOqvPmILXxe+zFpGkDJcbV37r6JFhH/v/9QXDSB0y\n"
         "SnoA71KBgstCJF55zThJkCRA0FXwU7SaHWAGrwqZfnV+L06/5Rgj6E7myhzbvuk1\n"
         "QjRZPFtZnQsEtJqtL/WNp3DD2rV8dFoG3Mpb0CoIDGHKcWaLUHtihiO89FNf/E22\n"
         "OitzYRdiW33LrkJxpaHCiV0fzHSJXleABMQmhhsVMzSUjTfSNNTiBIgDIR9DSKgF\n"
         "6sWdJFHxC6w1Uf4C6OcoKtWErOtQJiZp3kKKyIaXXoA/SD8u7Lo1oZvMCo7yM+w/\n"
         "p+qhcIP/V3fH3MIXxmUbuy+MKHgyPDKQRkA9u+Pkww2PQtHHviyyD3GX77BFycOm\n"
         "HQEAlU9DcglKl7e4p7MhVE3z3wAmsczgNDKZp6y8Tf3kaK87agN93LJllFmZAaE0\n"
         "Zjv0W9bUZqgwbWomBf6G2tJfvE1FMhf5DDEoJIh9XoInTgwryB39z3DAs0Im+6Ko\n"
         "6Z3XPbdpl3rrsIG1C/jucPF8/mSGXRNk24fObIhMNYqGxhi2ZvwSizfeo4DU5WLi\n"
         "2D89ShUDOJ4cfe//N3SitOI=\n"
         "-----END ENCRYPTED PRIVATE KEY-----\n"},
        {"aes128_sha512",
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
         "MIIC3TBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIMxtlgDtaN4kCAggA\n"
         "MAwGCCqGSIb3DQILBQAwHQYJYIZIAWUDBAECBBDlyiZ8W+m0Pm9mfUgh5GzWBIIC\n"
         "gKoU0bWhQqiUr008VbD5v1wGfYTcvjqMSr6xf6ndZPc38oh7LZjYnxYV/ukbio4C\n"
         "NTAcUnilbSU2sGMXQ/qwoJSiXadAW5Yvu6lnEqLLy42+HUSdqK+njo+n2pmmAbr1\n"
         "l7JitG1YLlwQDbxfPloIOI6ttgDJvX21/ebQWj4d4+m8vtMIjfc+ovF/Hd0am/7t\n"
         "yAueOqWaY5fp5toodEKSrg4yP+zF9GPEQjbyeIZzETvCRFru33b9VQZbmmlI5DkI\n"
         "qWpREFZ0d0dAjk9fwDyL5JkTr25tVqsC792l0eK0ceQwkWXRVGhZhjzG8nnTyHzY\n"
         "ia0Qo23b+6Ei2Jh/cM0w7dXnLCHVpeichWVgg1VZI1Fsz6zpaqonI6NLqkvju3aK\n"
         "EL0s7G4/u+g+YRXCuQSOZXGEOsl220SCTXOW/CoGOuD0mOc6L/OcIPw0Pu9pvfxT\n"
         "nhqCVIwTa3LPsdZ5kUTxJSZvNe00xmOMPhqFKp2XELRrgQb9mLKLaRpvNoGiNF3d\n"
         "jpjlmS+53v6QthEdMiBqlA0hNTrxTLuIHqlYSfuXvOkHIOmZSj/qCH1R5EZuFg6w\n"
         "ZT2ICQfVkeCVkkhdLiluMHjJEyV+/GLYNVrZ79Mtk5lBovUVpSuoJ1zAfH0L8zCC\n"
         "lZBMpK50JNRrom+j3ziiIZP0/h/pr+qT1sn13Ye6nCUuDE+xCGY2X+Km3DN6ZvZV\n"
         "6XxrBq9g/NWVLnKYghP9i/Xz8itY3udS9iozL0FuZcltwkaNgRwqM0eR+8aWwnDD\n"
         "FbKdiYm94/iJqiOJzSoIVmP3HKSVUJaBxZ9DxkXKM5O96Wz/oG6yCh/NXmoniewB\n"
         "hbI1pD1zUuvIeyYcHmC2P84=\n"
         "-----END ENCRYPTED PRIVATE KEY-----\n"},
        {"aes192_sha384",
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
         "MIIC3TBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIuem35OMl3xgCAggA\n"
         "MAwGCCqGSIb3DQIKBQAwHQYJYIZIAWUDBAEWBBC4sKf0KD0hmvgt+mslFNGSBIIC\n"
         "gP8A7Nc8UBfxCGqRZ+5zYjJZAIKBDdIsHOuQ7twaLC/TRZVkSfJZJ2ezXZAGhNnv\n"
         "49yUsNHnS0EiPz4KQbDEKlBM1ovvqmwsNykjtsZ3WBqsx3lGS5NUfIjr7l94kx1W\n"
         "6d84MdDmLB4xSlAoviDW0FB+KYyTp1TMloxGLgqHt8MLsZkq5YAY4HUahUwZILKr\n"
         "kshnSu12tNFp0swIyBmHp0052rxthtxTw2IVu7lYqh3kvn+sDGbeiqnB8CuzKlcF\n"
         "ecgHQmOZe72WC/i3RIY69jPtfBeto7aa3rp/8qI8wdnY8A5B2qFR9sIGch0ASByK\n"
         "MzIjxQPcYHq9sGsxi0Xyrv0SYHLd3XZHZFGm/JrFDpjAVIIezYcFd4xrbBa0OWxi\n"
         "d6PUI7/nDqLAhXt4/qqnnXqP2omAgNt/wrog0oR2eoM/Sqt9x7f9q9epJXXycPKd\n"
         "437wCYuFnmdx+3TUUWAwfRfg3nQIH6QyXT+Z1SVYHaFp7O/IxZAA2rBZHTzKLPtX\n"
         "FL/iEy0aUPuQLiXE0dlJzww4ZJPf5bWqZNLChuqQZJp4GHq/kkev46Jflhggzp80\n"
         "VAtut+gS8QrmiFjEqI5LvzgjY5LqLs86aAV6kM3dMcTOfhex8dW86XQDQT9D1i+F\n"
         "aIA8J01aSmI2X8u65oOz3weD/mgGbyLxxb03V7ruGOf8Tb7UaNCoyS0/IgVHw3J2\n"
         "bOC8bxbI1YNZ0vMI5xnTkwKy9FZfNaDwadaocDNw2rstZ13SDqgr1RUyPM03ixcP\n"
         "bmrfH1AegpJaJ/nELGmafXdPGXRz7CUSs1ue5SPS09dERmayTfT9QndyT5/e27pa\n"
         "g+dYu0FoF45R5B6Qzt8OaVU=\n"
         "-----END ENCRYPTED PRIVATE KEY-----\n"},
        {"des3_sha1",
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
         "MIICxjBABgkqhkiG9w0BBQ0wMzAbBgkqhkiG9w0BBQwwDgQIyLASmIZMonQCAggA\n"
         "MBQGCCqGSIb3DQMHBAiK0GYc8NMg1gSCAoBgsLXLiA9n/laxIfJv9AVtwxLN7vLK\n"
         "jA5KoC3Zp0e68/hKeUk+Q2B1sWOBE/vE978TlaYcZiwTB9A9993krX6Lm/c4jZym\n"
         "QfPtQuyv+XMeLu1lPIDX+6JTd6B4AgR1tbh5Sde/0l8jNoeflVpMlyt94VC+pmAa\n"
         "8kopBSubMBXRyDVopaMsQi8Y99kUvJxWyCoeZwjYEExzLKg/ppUijkRbh9C4fEjt\n"
         "rTa/pkcThoT+JY380ombMrhdkikZf3e8u9KnKOH9gNv26eSyPN7OXrLpe3aVE8RC\n"
         "Plf4H0XOm24Tj3uUUHOW2PAOXBtXnVPMnMP/dmnIR9veLOcamdXbZUf5uL0obRdI\n"
         "80W8t+ldGBv4YDV+nne6zBiy2Zm0H/r+b5PT8TuwNi1w4MDXenA0Xz6XmGrmfEAM\n"
         "tY5lHx0QRzTNLjBiRnWxJLN0yTwO5Bxwo1cFAMNAKt4YxqMLm+j5K8yU0h5KjbPV\n"
         "0gAiUjMt6aW0oL7o3XileR9lWkNjkzqUz7IOlbUj0yQ/XsE54oknawK1d0FfMzYJ\n"
         "s8VEXeVMRhvYTT7DZbp+WiZvkdX5PoWH/1gPP0Wo8BgY57IZczyzUb/YwMPdtA8G\n"
         "kID5iL+vsFOtPJlPf1S6Yv6f0GJ7XeJ0TiMsKJtboSUAsHDD1+aowTBcGYLXWMzE\n"
         "7GcNA9YClRGPOvSchPTWEKRbSL36Q13LT8XVFgpr7MSpOnG3HbCbmtqV55qdcnPB\n"
         "eFwAGVaK/oFEvgwymQV+92PK2fdzVynovhzMbFGeXECG1yabj9tnPUo0QtebdV3m\n"
         "YnMHao+2YmPaLm7CM1zCfpPejRxyqBXmU3krdPcm/pzNVohQ9PR/bE7G\n"
         "-----END ENCRYPTED PRIVATE KEY-----\n"},
        {"pkcs12_des3",
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
         "MIICojAcBgoqhkiG9w0BDAEDMA4ECGkwgdClRnQzAgIIAASCAoC+pHan6A/dkDVJ\n"
         "Oa0fw/R7XKD7+4c9vwDltgyu7lBWaflrakX/fE7T2ovIbSSO/J+9HUQb9ZUzXqHs\n"
         "1JwtaY8hvsRF1GF56qK+eYzTFkAkkysy5HvVfnBzVz/3N6DslJ6ljmCHjgDNe1jK\n"
         "k2dE3TH2EcWQN74SfpZ7UoZcZA+VckrySzjJro7jRDhLX7sA725coI8toxAEpsn7\n"
         "zurP8jy/tc0CKxDmb75lErQ1QR0C4dbt0vz6iioTZeEeDIqHudtmCzlMFMKU/gGw\n"
         "HGBST9gGAmFxaiv7481Dx/8UUkxgI9JGoBrKtcJyx2dsFhSIvZMCtmqHwKvL6FqS\n"
         "yWIwHMt+0Piu3aZlPfayLI2bDsS29ywrvpf9Q9ofKa4e8fFti9GsdbmNrJROSU9x\n"
         "b5BRr3LhrpL5Ui40IuRZumqP8p3Pxx405xVAPcR3RN2qFK3gwA5HMaY9yXdcgWrH\n"
         "+WrG4NM+MOLwlesTr3qWCjncFNEYm/nVN/lUrj6xjixZagxRUwEwNQwsJIIIQOf0\n"
         "ntqfBI+u9AP+Lll8BJafBordbyWDFQPfr9g0cAiom6N8/97PpP3cH5jEGIBN8VDn\n"
         "Nxfa8ZP0ubS5cfADlo48F0UR/l9lA4hupE6l5nWCgNWbz2GDkzK5g+8m9sZPqmD7\n"
         "nHvWWTvnyepgO2R/J+RpFWrEF75KQO9OAnDN6SivjXBtajjL4RRDG6vzrxVmUDhG\n"
         "79JwS1pV24Ptu0mDSV5IXbXsDl6+tfzrpMEYnCiiIQORWigydc1SW1RulkbkqxHR\n"
         "IaFXrggW8lYAtmO6nNSEbXZkKnlF5LaamMQaNtYJ2ZDy99iNQU/gtcj8o1fBQxYW\n"
         "t5xa/O/g\n"
         "-----END ENCRYPTED PRIVATE KEY-----\n"},
        {"scrypt",
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
         "MIIC1TBPBgkqhkiG9w0BBQ0wQjAhBgkrBgEEAdpHBAswFAQIgs1eSC1rF3ICAgCA\n"
         "AgEIAgEBMB0GCWCGSAFlAwQBKgQQK8OMP952dblRRVfvsNbh3wSCAoAqB2MvqAD6\n"
         "Dq1PUYPvnX1PsaCuivDA+3ik6AlTOSyJA7bDml8EvxaUELASAcg7rfxNyTGnD1Be\n"
         "JVZJhYYcJ+kDdtO7UKIv5zazxF0dUw+nMCVOx9cK3Bll9SdZeUQ9jpRwVqXuGdfl\n"
         "stagtG0Iwmor6zhFnM6QG0ey4jgpFmCRMt6/7DNwXcBb1bLD4zPZ3d8Ol51D4Vks\n"
         "4nm2D8jH9Db9ATiezsscpdAdGUsmi0bRc45EU1VzhyFLP8kbs/o8BtiVZgxRGK3i\n"
         "j7SDBi7SYLaA3cYuFpxZjWJ9YxuSFMyREjiVVYM+bFqeC4B86/+K9HVIgNeykg3X\n"
         "4PLK/MvSdD6WZPC73xZt/alPdMc16Gbd2D7i9mAObTdvH8dZx4UuxNwjAzfhUTFU\n"
         "DsfCl88dqm8GAgeEZX5L4kyDu/V705susEW+IH3pqZM6NsDK/Vz5MQizAeyn9s2T\n"
         "64yvUIvmgjNykWwzLAqH/KQNlfycHJwONovFpZFfH7RgsBaIG8u/baclXs5BdD8P\n"
         "l8rk3lnefBlbfAvzgt/QhlbI2XjmY6T8hL020kAdhgXeQ9MFDuLGibEKLzbtqO5Q\n"
         "7Q72mD3JuwGUGyrvfEEGtlL3fyIeubs5CxvlAbe5CLi3rH5VHn23K66jKczdcj7R\n"
         "cruwVtXbNSEtkQ6scBVyaRiQ2aKStxHRMMPfiOTmEqjcWr8vbDsLX3Z9Lyu6Oomg\n"
         "ntZ9YCTjlb33oH5gAEGLhwwOAk140OuwunGcsHeoCX577IzgMNUV0vHtXNGmcGsh\n"
         "jbLivyVVIK+vVKQxa4xtwGIWJgqjsHvEDhaECL5gkugmtdPHpXzJ03eESvrLViuX\n"
         "UafB9XntMasp\n"
         "-----END ENCRYPTED PRIVATE KEY-----\n"},
        {"traditional",
         "-----BEGIN RSA PRIVATE KEY-----\n"
         "Proc-Type: 4,ENCRYPTED\n"
         "DEK-Info: AES-256-CBC,19ADFF724457EB4B85BD7B33A1939228\n"
         "\n"
         "bmNvZLGAOWDGK2uaK44rQLl3qiAOQQ/1PGGdecngXIx6cTqs3WwQoqAmPboXunUE\n"
         "WRlo1Pwd4Brc36ketRv6EW2uiczU+rBb2z241XE0g7V66qoJadmZlon+BcBZwKa1\n"
         "p4N05StDqmBtHQSl6k3XqCV7N1iWZcn4ofOmpfMtNejS1P0/CfP4MaaS5CmC4CYj\n"
         "uG7g/iK9JEZ53oentRuUI0CgmIhfhOrx9azuHLFLY774a66RMQHL9pnNGb+gP2jL\n"
         "UK2O3YbqThLmfOOlUnoeEpOUCXUS21dp67jyTOBd88CRW2aI6QEGdU8aIH2btGSh\n"
         "B+VgCeGMLidye6sgVxmJ1QyxPc3nNWAO7h4qcpmvoHJkxIMxv8caIm52UoGmTd5y\n"
         "obLX5xITTraOYDIyvp2yfxDvb+WyROXzXt6VnW7L/tOsHu5fQrkikIORbO1Tottp\n"
         "MJgPlsqnjUxKLN+IEXhT+kETfDnrb1bEHyFb1K72VzRe5Vu1e2uV5hP5sONSW2Y0\n"
         "PTwzfLEmNWJcrCijX7kSeuOVAKpQpW51/bYvKgWTU7SJRrkrB39bHt2HLUh3QG75\n"
         "y2mbPiFJg3DJ/h2oq2JX/KVibXonRLJAVD3dZ+ZaFkG4Sa9FNaY6s3SepfVsW0/S\n"
         "lEeg2qxC2+GdP7z37XKQ9oaNwAviePDmQ4QjcfJLe3kdarllbV2LdZEuGGRlRLen\n"
         "AeA8G7YVk4QSj8uJrgknE+LFzqbZWY8GbPeTUXIkAG3eGt36dJZZ/WCHc1M45FiH\n"
         "/PJ7xednB3rOomkrEty1S3WXehHujI+WVA1f9q8B/V8veID9Dixdrp1KCJ3kTsHd\n"
         "-----END RSA PRIVATE KEY-----\n"},
    };
    const auto why = [](const std::string& pem, const char* password) {
        const auto f = failure_of([&] { (void)dkim_key::rsa(secret(pem), secret(password)); });
        if (f.code) CHECK(f.code == errc::invalid_option);
        return f.text;
    };
    for (const auto& k : keys) {
        CAPTURE(k.first);
        const auto& pem = k.second;
        const auto key = dkim_key::rsa(secret(pem), secret("pw"));
        CHECK(key(std::array<unsigned char, 32>{}).size() == 128);
        std::string crlf;
        for (const char c : pem) crlf.append(c == '\n' ? "\r" : "").push_back(c);
        CHECK(why("text before\n" + crlf + "text behind\n", "pw") == "nothing was thrown");
        CHECK(why(pem, "") == "DKIM: the private key is encrypted: expected its password");
        for (const auto* wrong : {"p", "pw2", "PW", "\xc3\xa4"})
            CHECK(why(pem, wrong) == "DKIM: the private key cannot be decrypted: is it this password?");
        for (std::size_t size = 0; size < pem.size() - 30; size += 7)
            CHECK(why(pem.substr(0, size), "pw").starts_with("DKIM: "));
        for (std::size_t at = 40; at + 40 < pem.size(); at += 5) {
            auto damaged = pem;
            damaged[at] = damaged[at] == 'A' ? 'B' : 'A';
            (void)why(damaged, "pw");
        }
    }
    // Ways that nobody has named yet: another cipher, another digest, another derivation.
    for (const std::string_view oid : {"\x60\x86\x48\x01\x65\x03\x04\x01\x2a", "\x2a\x86\x48\x86\xf7\x0d\x02\x09",
                                       "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c"}) {
        const std::string begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
                          end = "-----END ENCRYPTED PRIVATE KEY-----\n";
        auto text = keys[0].second.substr(begin.size(), keys[0].second.size() - begin.size() - end.size());
        std::erase(text, '\n');
        std::string der;
        REQUIRE(postroad::base64_decode(text, der));
        const auto at = der.find(oid);
        REQUIRE(at != std::string::npos);
        der[at + oid.size() - 1] = '\x7f';
        CHECK(why(begin + postroad::base64_encode(der) + '\n' + end, "pw")
                  .starts_with("DKIM: the private key is encrypted in a way that is not read: expected PBES2 "));
    }
    CHECK(why("-----BEGIN PUBLIC KEY-----\nMCo=\n-----END PUBLIC KEY-----\n", "").find("public key") !=
          std::string::npos);
    CHECK(why("-----BEGIN CERTIFICATE-----\nMCo=\n-----END CERTIFICATE-----\n", "").find("something else") !=
          std::string::npos);
    CHECK(why("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIOabMl2pXlOPP2tPS0MGNxJRRTdNdH8eCF0ruEK5M1Uc\n"
              "-----END PRIVATE KEY-----\n",
              "")
              .find("Ed25519") != std::string::npos);
    CHECK(why("-----BEGIN ENCRYPTED PRIVATE KEY-----\n!\n-----END ENCRYPTED PRIVATE KEY-----\n", "pw").find("base64") !=
          std::string::npos);
    CHECK(why("hunter2", "") == "DKIM: the private key is not readable: expected PEM");
    for (const std::string between : {" ", "\\n"})
        CHECK(why("-----BEGIN PRIVATE KEY-----" + between + "MC4CAQAw" + between + "-----END PRIVATE KEY-----", "") ==
              "DKIM: the private key has lost its line ends: expected PEM in lines");
}

// A report on TLS as mail (RFC 8460 section 5.3): fields, structure, and what is in the file.
#include <postroad/message/dkim.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/net/tls_report_mail.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include <zlib.h>

using namespace postroad;
using namespace postroad::net;

namespace {

constexpr report_day day{std::chrono::year(2026) / 11 / 28};
const tls_reporter us{.organization = "Example", .contact = "tls-reports@example.com", .submitter = "out1.example.com"};

tls_report made(std::string domain = "example.org", std::size_t failures = 1) {
    tls_results all;
    for (std::size_t i = 0; i < failures; ++i)
        all.count(domain, {.domain = domain}, tls_failure{.mx_host = "mx" + std::to_string(i) + ".example.org"}, day);
    return *all.find(domain, day);
}

std::string text_of(const mail_object& m) {
    std::string text;
    content::reader in(m.content);
    for (auto next = in.peek(); !next.empty(); next = in.peek()) {
        text += next;
        in.consume(next.size());
    }
    return text;
}

std::string unzipped(std::string_view octets) {
    z_stream z{};
    REQUIRE(::inflateInit2(&z, 15 + 16) == Z_OK);
    std::string out(1 << 20, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
    z.avail_in = static_cast<uInt>(octets.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    CHECK(::inflate(&z, Z_FINISH) == Z_STREAM_END);
    CHECK(z.avail_in == 0);
    out.resize(z.total_out);
    ::inflateEnd(&z);
    return out;
}

std::string from_base64(std::string_view text) {
    static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    unsigned bits = 0;
    int held = 0;
    for (const char c : text) {
        const auto value = digits.find(c);
        if (value == std::string_view::npos) continue;
        bits = bits << 6 | static_cast<unsigned>(value);
        if ((held += 6) < 8) continue;
        held -= 8;
        out += static_cast<char>(bits >> held & 0xff);
    }
    return out;
}

}  // namespace

TEST_CASE("the mail of a report has the fields and the parts that readers look for") {
    const auto r = made();
    const auto mail = compose_tls_report(r, us, "reports@example.org").freeze(std::chrono::system_clock::time_point{});
    CHECK(mail.envelope.recipients.front().str() == "reports@example.org");
    CHECK(mail.envelope.reverse_path.str() == "tls-reports@example.com");
    const auto text = text_of(mail);
    const auto has = [&](std::string_view line) { return text.find(std::string(line) + "\r\n") != std::string::npos; };
    CHECK(has("TLS-Report-Domain: example.org"));
    CHECK(has("TLS-Report-Submitter: out1.example.com"));
    CHECK(has("TLS-Required: No"));
    CHECK(has("Message-ID: <" + report_id(r, us) + ">"));
    CHECK(has("Auto-Submitted: auto-generated"));
    CHECK(text.find("Subject: Report Domain: example.org Submitter: out1.example.com") != std::string::npos);
    CHECK(text.find("Content-Type: multipart/report; report-type=\"tlsrpt\"") != std::string::npos);
    CHECK(text.find("Content-Type: application/tlsrpt+gzip") != std::string::npos);
    CHECK(text.find("out1.example.com!example.org!1795824000!1795910399!") != std::string::npos);

    auto file = text.substr(text.find("application/tlsrpt+gzip"));
    file = file.substr(file.find("\r\n\r\n") + 4);
    CHECK(unzipped(from_base64(file.substr(0, file.find("\r\n--")))) == to_json(r, us));
}

TEST_CASE("it is signed for the domain of its sender, and stays as it was below that") {
    const dkim_key key("rsa-sha256", [](std::span<const unsigned char, 32>) { return std::string(256, 'k'); });
    const auto mail = compose_tls_report(made(), us, "reports@example.org").freeze({});
    const auto whole = dkim_signer({.domain = "example.com", .selector = "s1", .key = key}).sign(mail.content, {});
    const auto text = text_of({.envelope = mail.envelope, .content = whole});
    CHECK(text.starts_with("DKIM-Signature:"));
    CHECK(text.find("d=example.com") < text.find("\r\nFrom: "));
    CHECK(text.ends_with(text_of(mail)));
}

TEST_CASE("a file may be large, and its name too long for a file") {
    const auto large = made("example.org", 100);
    CHECK(unzipped(gzipped(to_json(large, us))) == to_json(large, us));
    CHECK(unzipped(gzipped("")) == "");
    std::string domain = std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + ".example";
    auto other = us;
    other.submitter = domain;
    const auto mail = compose_tls_report(made(domain), other, "reports@example.org").freeze({});
    CHECK(text_of(mail).find(".json.gz") != std::string::npos);
}

TEST_CASE("an address that is none is an error") {
    CHECK_THROWS_AS((void)compose_tls_report(made(), us, "reports"), error);
    CHECK_THROWS_AS((void)compose_tls_report(made(), {.contact = "nobody", .submitter = "a.example"}, "a@b.example"),
                    error);
}

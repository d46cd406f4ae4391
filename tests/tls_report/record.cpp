// The record of a domain that wants reports (RFC 8460 section 3): what is read, and what is none.
#include <postroad/net/tls_rpt.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace postroad::net;

namespace {

/// "mail:a@b https:https://c", or "none".
std::string read(const std::vector<std::string>& texts) {
    const auto record = read_tls_rpt_record(texts);
    if (!record) return "none";
    std::string all;
    for (const auto& m : record->mail) all += "mail:" + m + " ";
    for (const auto& u : record->https) all += "https:" + u + " ";
    if (!all.empty()) all.pop_back();
    return all;
}

}  // namespace

TEST_CASE("reports go where the record says") {
    CHECK(read({"v=TLSRPTv1;rua=mailto:reports@example.com"}) == "mail:reports@example.com");
    CHECK(read({"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"}) ==
          "https:https://reporting.example.com/v1/tlsrpt");
    CHECK(read({"v=TLSRPTv1 ; rua=mailto:a@x.example , https://y.example/,MAILTO:b@x.example ;"}) ==
          "mail:a@x.example mail:b@x.example https:https://y.example/");
    CHECK(read({"v=TLSRPTv1; ext=1; rua=mailto:a@x.example; more=2;"}) == "mail:a@x.example");
    CHECK(read({"v=TLSRPTv1;rua=mailto:a%2Bb@x.example?subject=hello"}) == "mail:a+b@x.example");
}

TEST_CASE("records of others are passed over, and of two nobody knows which is meant") {
    const std::string good = "v=TLSRPTv1;rua=mailto:a@x.example";
    CHECK(read({"v=spf1 -all", good, "v=TLSRPTv2;rua=mailto:b@x.example", "v=TLSRPTv11;rua=mailto:b@x.example",
                "v=tlsrptv1;rua=mailto:b@x.example", " " + good}) == "mail:a@x.example");
    CHECK(read({good, good}) == "none");
    CHECK(read({good, "v=TLSRPTv1;"}) == "none");
    CHECK(read({}) == "none");
}

TEST_CASE("places that cannot be used are left out, and what is malformed is no record") {
    const auto of = [](const std::string& rest) { return read({"v=TLSRPTv1" + rest}); };
    CHECK(of("") == "none");
    CHECK(of(";") == "none");
    CHECK(of(";rua=") == "none");
    CHECK(of(";rua") == "none");
    CHECK(of(";rua=mailto:a@x.example,") == "none");
    CHECK(of(";rua=mailto:a@x.example;rua=mailto:b@x.example") == "none");
    CHECK(of(";rua=mailto:a@x.example;;") == "none");
    CHECK(of(";rua=mailto:a@x.example; =1") == "none");
    CHECK(of(";rua=a@x.example") == "none");
    CHECK(of(";rua=mailto:a b@x.example") == "none");
    CHECK(of(";rua=mailto:a!10m@x.example") == "none");
    CHECK(of(";rua=https://x.example/\"") == "none");
    // Well formed, and of no use.
    CHECK(of(";rua=http://x.example/") == "none");
    CHECK(of(";rua=mailto:") == "none");
    CHECK(of(";rua=mailto:a%zz@x.example") == "none");
    CHECK(of(";rua=mailto:a%0D%0A@x.example") == "none");
    CHECK(of(";rua=https:///path") == "none");
    CHECK(of(";rua=https://:443/") == "none");
    CHECK(of(";rua=https://ann:secret@x.example/") == "none");
    CHECK(of(";rua=http://x.example/,mailto:a@x.example") == "mail:a@x.example");
}

TEST_CASE("ten places are heeded, and URIs of 2000 octets") {
    std::string list;
    for (int i = 0; i < 11; ++i) list += (i > 0 ? ",mailto:" : "mailto:") + std::to_string(i) + "@x.example";
    const auto record = read_tls_rpt_record({"v=TLSRPTv1;rua=" + list});
    REQUIRE(record);
    CHECK(record->mail.size() == max_tls_rpt_places);
    CHECK(record->mail.back() == "9@x.example");
    const std::string url = "https://x.example/";
    const auto longest = url + std::string(2000 - url.size(), 'a');
    CHECK(read({"v=TLSRPTv1;rua=" + longest}) == "https:" + longest);
    CHECK(read({"v=TLSRPTv1;rua=" + longest + "a"}) == "none");
}

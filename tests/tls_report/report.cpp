// Sessions counted by policy and failure, and told as JSON in the shape of RFC 8460 section 4 and appendix B.
#include <postroad/net/tls_report.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

using namespace postroad::net;

namespace {

constexpr report_day day{std::chrono::year(2016) / 4 / 1};
const tls_reporter us{
    .organization = "Company-X", .contact = "sts-reporting@company-x.example", .submitter = "mta.company-x.example"};
const tls_policy sts{.type = tls_policy_type::sts,
                     .domain = "company-y.example",
                     .text = {"version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"},
                     .mx_hosts = {"*.mail.company-y.example"}};
const tls_failure expired{.result = tls_result::certificate_expired,
                          .sending_ip = "2001:db8:abcd:0012::1",
                          .mx_host = "mx1.mail.company-y.example"};
const tls_failure no_tls{
    .result = tls_result::starttls_not_supported,
    .sending_ip = "2001:db8:abcd:0013::1",
    .mx_host = "mx2.mail.company-y.example",
    .receiving_ip = "203.0.113.56",
    .information = "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"};

tls_results example() {
    tls_results all;
    for (int i = 0; i < 5; ++i) all.count("company-y.example", sts, {}, day);
    for (int i = 0; i < 3; ++i) all.count("company-y.example", sts, expired, day);
    all.count("company-y.example", sts, no_tls, day);
    return all;
}

/// All of it, through a file.
tls_results reread(const tls_results& all) {
    tls_results again;
    const auto text = all.text();
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\n', at) + 1;
        CHECK(again.read_line(text.substr(at, end - at)));
        at = end;
    }
    return again;
}

}  // namespace

TEST_CASE("a report is in the shape of the example of the RFC") {
    const auto all = example();
    REQUIRE(all.find("company-y.example", day));
    const auto& r = *all.find("company-y.example", day);
    CHECK(to_json(r, us) ==
          R"({"organization-name":"Company-X",)"
          R"("date-range":{"start-datetime":"2016-04-01T00:00:00Z","end-datetime":"2016-04-01T23:59:59Z"},)"
          R"("contact-info":"sts-reporting@company-x.example",)"
          R"("report-id":")" +
              report_id(r, us) +
              R"(","policies":[{"policy":{"policy-type":"sts","policy-string":["version: STSv1","mode: testing",)"
              R"("mx: *.mail.company-y.example","max_age: 86400"],"policy-domain":"company-y.example",)"
              R"("mx-host":["*.mail.company-y.example"]},)"
              R"("summary":{"total-successful-session-count":5,"total-failure-session-count":4},)"
              R"("failure-details":[{"result-type":"starttls-not-supported","sending-mta-ip":"2001:db8:abcd:0013::1",)"
              R"("receiving-mx-hostname":"mx2.mail.company-y.example","receiving-ip":"203.0.113.56",)"
              R"("failed-session-count":1,"additional-information":)"
              R"("https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"},)"
              R"({"result-type":"certificate-expired","sending-mta-ip":"2001:db8:abcd:0012::1",)"
              R"("receiving-mx-hostname":"mx1.mail.company-y.example","failed-session-count":3}]}]})");
}

TEST_CASE("policies of one domain stand beside one another, and days apart") {
    auto all = example();
    const tls_policy dane{.type = tls_policy_type::tlsa, .domain = "mx1.mail.company-y.example", .text = {"3 1 1 AB"}};
    all.count("company-y.example", dane, {}, day);
    all.count("company-y.example", {.domain = "company-y.example"}, {}, day + std::chrono::days(1));
    CHECK(all.find("company-y.example", day)->policies.size() == 2);
    const auto json = to_json(*all.find("company-y.example", day + std::chrono::days(1)), us);
    CHECK(json.find(R"("policy":{"policy-type":"no-policy-found","policy-domain":"company-y.example"},"summary")") !=
          std::string::npos);
    CHECK(json.find(R"("start-datetime":"2016-04-02T00:00:00Z")") != std::string::npos);
    CHECK(json.find("failure-details") == std::string::npos);
}

TEST_CASE("a day that is over is told once, the oldest first") {
    auto all = example();
    const auto next = day + std::chrono::days(1);
    all.count("a.example", {}, {}, next);
    CHECK(all.ended(day).empty());
    CHECK(all.ended(next).size() == 1);
    const auto over = all.ended(next + std::chrono::days(5));
    REQUIRE(over.size() == 2);
    CHECK(over[0] == std::pair(day, std::string("company-y.example")));
    CHECK(over[1] == std::pair(next, std::string("a.example")));
    all.forget("company-y.example", day);
    CHECK(all.find("company-y.example", day) == nullptr);
    CHECK(all.size() == 1);
}

TEST_CASE("an id is that of one report, and its file is named as section 5.1 says") {
    const auto all = example();
    const auto& r = *all.find("company-y.example", day);
    auto other = r;
    other.domain = "company-z.example";
    CHECK(report_id(r, us) == report_id(r, us));
    CHECK(report_id(r, us) != report_id(other, us));
    const auto id = report_id(r, us);
    CHECK(id.ends_with("@mta.company-x.example"));
    CHECK(report_file_name(r, us) ==
          "mta.company-x.example!company-y.example!1459468800!1459555199!" + id.substr(0, id.find('@')) + ".json.gz");
}

TEST_CASE("counts come back from their lines, whatever the texts hold") {
    auto all = example();
    all.count("b.example", {.type = tls_policy_type::sts, .domain = "b.example", .text = {"", "a,b", "c d%\n", "\xff"}},
              tls_failure{.information = " ,\t%2C\n", .reason = "\"\\"}, day);
    const auto again = reread(all);
    CHECK(again.text() == all.text());
    CHECK(again.size() == 2);
    CHECK(*again.find("b.example", day) == *all.find("b.example", day));
    // What is counted twice adds up, as after a file that was joined with another.
    auto twice = reread(all);
    for (const auto* line : {"policy 16892 company-y.example 2 company-y.example   1 0\n"})
        CHECK(twice.read_line(line));
    CHECK(twice.find("company-y.example", day)->policies.size() == 2);
}

TEST_CASE("what is no line is refused, and changes nothing") {
    tls_results all;
    for (const auto* line :
         {"", "\n", "policy", "policy 1 a 0 a   1", "policy 1 a 0 a   1 1 1", "policy x a 0 a   1 1",
          "policy 1 a 3 a   1 1", "policy 1 a 0 a x  1 1", "policy 1 a%zz 0 a   1 1", "policy -1 a 0 a   1 1",
          "policy 3000001 a 0 a   1 1", "policy 1 a 0 a   1152921504606846977 1", "failure 1 a 0 a   11       1",
          "failure 1 a 0 a   0      x", "other 1 a 0 a   1 1"}) {
        CAPTURE(line);
        CHECK_FALSE(all.read_line(line));
    }
    CHECK(all.size() == 0);
    CHECK(all.read_line("policy 1 a 0 a   1 1"));
    CHECK(all.read_line("failure 1 a 0 a   0       1"));
    CHECK(all.size() == 1);
}

TEST_CASE("memory has an end: domains, policies of one, kinds of failures under one") {
    tls_results all;
    for (std::size_t i = 0; i <= tls_results::max_domains; ++i) all.count(std::to_string(i), {}, {}, day);
    CHECK(all.size() == tls_results::max_domains);
    CHECK(all.find("0", day)->policies.begin()->second.successes == 1);
    tls_results one;
    for (std::size_t i = 0; i <= tls_results::max_policies; ++i) one.count("a", {.domain = std::to_string(i)}, {}, day);
    CHECK(one.find("a", day)->policies.size() == tls_results::max_policies);
    for (std::size_t i = 0; i <= tls_results::max_details; ++i)
        one.count("b", {}, tls_failure{.mx_host = std::to_string(i)}, day);
    const auto& counts = one.find("b", day)->policies.begin()->second;
    CHECK(counts.details.size() == tls_results::max_details);
    CHECK(counts.failures == tls_results::max_details + 1);
    CHECK(counts.successes == 0);
}

TEST_CASE("texts of strangers make JSON all the same") {
    tls_results all;
    all.count("a", {.domain = "a", .text = {"\"\\\x01\x7f\xc3\xa9", "\xff\xfe"}}, {}, day);
    const auto json = to_json(*all.find("a", day), us);
    CHECK(json.find("\"policy-string\":[\"\\\"\\\\\\u0001\\u007f\xc3\xa9\",\"??\"]") != std::string::npos);
}

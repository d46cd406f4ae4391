// What fails while the policy of a domain is looked for is told to it, too (RFC 8460 section 4.3.2).
#include <postroad/net/tls_watch.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace postroad;
using namespace postroad::net;
using testing::scripted_resolver;

namespace {

constexpr report_day day{std::chrono::year(2026) / 11 / 28};
const sts_policy good{.mode = sts_mode::enforce, .max_age = std::chrono::hours(1), .mx = {"a.example"}};

// "tlsa a.example 0+1 dnssec-invalid, ...", and how many lines of a policy each has.
std::string counted(tls_watch& w) {
    std::string all;
    w.use([&](tls_results& r) {
        const auto* const report = r.find("d.example", day);
        if (!report) return;
        for (const auto& [p, c] : report->policies) {
            all += (all.empty() ? "" : ", ") + std::string(to_string(p.type)) + " " + p.domain + " " +
                   std::to_string(c.successes) + "+" + std::to_string(c.failures);
            for (const auto& [f, n] : c.details) {
                all += " " + std::string(to_string(f.result)) + (f.mx_host.empty() ? "" : " at " + f.mx_host);
                CHECK(f.sending_ip == "203.0.113.7");
                CHECK_FALSE(f.reason.empty());
            }
            if (!p.text.empty()) all += " by " + p.text.at(1);
        }
    });
    return all;
}

struct row {
    std::string what;
    sts_finding finding;
    std::function<void(scripted_resolver&)> says;
    std::string counts;
    bool found = true;  // whether mail goes out
};

const std::string tlsa_name = "_25._tcp.a.example";

}  // namespace

TEST_CASE("what fails while a policy is looked for counts for its domain, whether mail goes out or not") {
    const auto usual = [](scripted_resolver&) {};
    const auto all_signed = [](scripted_resolver& d) { d.sign("example"); };
    for (const auto& row : std::vector<row>{
             {"all is well", good, usual, ""},
             {"there is no policy", {}, usual, ""},
             {"the server of the policy is away",
              {std::nullopt, sts_failure::fetch_error, "status 404"},
              usual,
              "sts d.example 0+1 sts-policy-fetch-error"},
             {"it is away, and an earlier policy is in force",
              {good, sts_failure::fetch_error, "status 404"},
              usual,
              "sts d.example 0+1 sts-policy-fetch-error by mode: enforce"},
             {"it answers nonsense",
              {std::nullopt, sts_failure::invalid, "no version"},
              usual,
              "sts d.example 0+1 sts-policy-invalid"},
             {"its certificate is over",
              {std::nullopt, sts_failure::certificate_error, "expired"},
              usual,
              "sts d.example 0+1 sts-webpki-invalid"},
             {"the policy names another server",
              sts_policy{.mode = sts_mode::enforce, .max_age = std::chrono::hours(1), .mx = {"b.example"}}, usual,
              "sts d.example 0+1 validation-failure by mode: enforce", false},
             {"the signature of the MX records is wrong",
              {},
              [](auto& d) { d.sign("d.example", dns_trust::bogus); },
              "tlsa d.example 0+1 dnssec-invalid",
              false},
             {"that of the server's addresses is",
              {},
              [&](auto& d) { d.sign("example").sign("a.example", dns_trust::bogus); },
              "tlsa a.example 0+2 dnssec-invalid at a.example",
              false},
             {"TLSA records that cannot be looked up",
              {},
              [&](auto& d) { d.sign("example").fail(tlsa_name, record_type::tlsa); },
              "tlsa a.example 0+1 dnssec-invalid at a.example",
              false},
             {"TLSA records that nobody can use",
              {},
              [&](auto& d) { d.sign("example").tlsa(tlsa_name, 0, 0, 1, std::string(32, 'x')); },
              "tlsa a.example 0+1 tlsa-invalid at a.example"},
             {"TLSA records as they should be",
              {},
              [&](auto& d) { d.sign("example").tlsa(tlsa_name, 3, 1, 1, std::string(32, 'x')); },
              ""},
             {"no TLSA records", {}, all_signed, ""},
             {"no answer at all, which is no matter of signatures",
              {},
              [](auto& d) { d.fail("d.example", record_type::mx); },
              "",
              false},
         }) {
        CAPTURE(row.what);
        const auto watch =
            std::make_shared<tls_watch>(tls_watch_options{.sending_ip = "203.0.113.7", .today = [] { return day; }});
        const auto dns = std::make_shared<scripted_resolver>();
        dns->mx("d.example", 1, "a.example").address("a.example", "192.0.2.1");
        dns->txt("_mta-sts.d.example", "v=STSv1; id=1;");
        row.says(*dns);
        const transport::mx_options options{
            .client_name = "out.sender.example",
            .policies = [&](const std::string&, const sts_record&, const sts_handler& done) { done(row.finding); },
            .tls_reports = watch};
        const transport::basic_mx<scripted_resolver> direct(options, dns);
        bool told = false;
        // Nobody reports on what mail does not ask for (TLS-Required: No).
        direct.locate("d.example whatever its TLS", [&](const transport::located&) { told = true; });
        CHECK(told);
        CHECK(counted(*watch).empty());
        direct.locate("d.example", [&](const transport::located& l) { CHECK(!l.error == row.found); });
        CHECK(counted(*watch) == row.counts);
    }
}

// The code of docs/tls.md about reports.
#include <postroad/net/report_rests.hpp>
#include <postroad/net/tls_report.hpp>
#include <postroad/net/tls_rpt.hpp>
#include <postroad/net/tls_watch.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr postroad::net::report_day today{std::chrono::year(2026) / 11 / 28};

postroad::net::tls_results counted() {
    //[tls_results
    postroad::net::tls_results results;
    const postroad::net::tls_policy policy{.type = postroad::net::tls_policy_type::sts,
                                           .domain = "example.org",
                                           .text = {"version: STSv1", "mode: enforce", "mx: mx.example.org"},
                                           .mx_hosts = {"mx.example.org"}};
    results.count("example.org", policy, {}, today);  // it went well
    results.count("example.org", policy,
                  postroad::net::tls_failure{.result = postroad::net::tls_result::certificate_expired,
                                             .sending_ip = "203.0.113.7",
                                             .mx_host = "mx.example.org"},
                  today);
    //]
    return results;
}

int tries = 0;
postroad::net::report_answer try_to_tell(const std::string&) {
    ++tries;
    return postroad::net::report_answer::refused;
}

//[report_rests
postroad::net::report_answer give(postroad::net::report_rests& rests, const std::string& place,
                                  std::chrono::sys_seconds now) {
    if (rests.until(place, now)) return postroad::net::report_answer::later;
    const auto answer = try_to_tell(place);
    rests.answered(place, answer, now);
    return answer;
}
//]

}  // namespace

TEST_CASE("a place that fails is left alone") {
    postroad::net::report_rests rests;
    CHECK(give(rests, "reports@example.org", today) == postroad::net::report_answer::refused);
    CHECK(give(rests, "reports@example.org", today) == postroad::net::report_answer::later);
    CHECK(tries == 1);
}

TEST_CASE("a mailer is watched") {
    using mx = postroad::transport::basic_mx<postroad::testing::scripted_resolver>;
    postroad::transport::mx_options options{.client_name = "out1.example.com"};
    //[tls_watch
    const auto watch =
        std::make_shared<postroad::net::tls_watch>(postroad::net::tls_watch_options{.sending_ip = "203.0.113.7"});
    options.tls_reports = watch;
    postroad::mailer mail{mx{options}};
    mail.observe(watch);
    //]
    watch->use([](postroad::net::tls_results& r) { CHECK(r.size() == 0); });
}

TEST_CASE("sessions are counted for reports") { CHECK(counted().ended(today + std::chrono::days(1)).size() == 1); }

#if __has_include(<zlib.h>)
#include <postroad/mailer.hpp>
#include <postroad/net/tls_report_mail.hpp>
#include <postroad/testing/sink.hpp>

TEST_CASE("a day that is over is told") {
    postroad::testing::sink server;
    postroad::mailer mail{postroad::transport::smtp{server.url()}};
    auto results = counted();
    const auto tomorrow = today + std::chrono::days(1);
    const auto texts_of = [](const std::string&) {
        return std::vector<std::string>{"v=TLSRPTv1; rua=mailto:reports@example.org"};
    };
    //[tls_report
    const postroad::net::tls_reporter us{
        .organization = "Example Inc.", .contact = "tls-reports@example.com", .submitter = "out1.example.com"};
    for (const auto& [day, domain] : results.ended(tomorrow)) {
        const auto record = postroad::net::read_tls_rpt_record(texts_of("_smtp._tls." + domain));
        if (record)
            for (const auto& to : record->mail)
                (void)mail.send(postroad::net::compose_tls_report(*results.find(domain, day), us, to));
        results.forget(domain, day);
    }
    //]
    CHECK(server.messages().size() == 1);
    CHECK(results.size() == 0);
}

#if __has_include(<curl/curl.h>)
#include <postroad/net/tls_report_https.hpp>

TEST_CASE("a report is posted to each URL") {
    const auto results = counted();
    const auto& report = *results.find("example.org", today);
    const postroad::net::tls_reporter us{
        .organization = "Example Inc.", .contact = "tls-reports@example.com", .submitter = "out1.example.com"};
    const auto record = postroad::net::read_tls_rpt_record({"v=TLSRPTv1; rua=mailto:reports@example.org"});
    bool told = !record->mail.empty();
    //[tls_report_https
    const auto octets = postroad::net::gzipped(to_json(report, us));
    for (const auto& url : record->https) told = postroad::net::post_tls_report(octets, url).is_taken() || told;
    //]
    CHECK(told);
}
#endif
#endif

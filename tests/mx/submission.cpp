// Where the users of a domain submit their mail, by a scripted DNS.
#include <postroad/diagnose_direct.hpp>
#include <postroad/submission.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/smtp.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace postroad;
using testing::scripted_resolver;

namespace {

std::string srv(unsigned priority, unsigned weight, unsigned port, const std::string& host) {
    std::string rdata;
    for (const auto number : {priority, weight, port})
        (rdata += static_cast<char>(number >> 8)) += static_cast<char>(number & 0xff);
    return rdata + net::to_labels(host).value_or(std::string(1, '\0'));
}

struct world {
    std::shared_ptr<scripted_resolver> dns = std::make_shared<scripted_resolver>();
    transport::dns_lookup ask = waiting_for(dns);

    world& implicit(const std::string& rdata) {
        dns->record("_submissions._tcp.example.org", net::record_type::srv, rdata);
        return *this;
    }
    world& starttls(const std::string& rdata) {
        dns->record("_submission._tcp.example.org", net::record_type::srv, rdata);
        return *this;
    }
    std::string servers() const {
        std::string all;
        for (const auto& s : find_submission("Example.ORG", ask).servers)
            all += (s.security == security::implicit ? "smtps " : "smtp ") + to_string(s) + ' ';
        return all;
    }
    std::string why() const { return find_submission("example.org", ask).why; }
};

}  // namespace

TEST_CASE("records of services are read strictly") {
    const auto rdata = srv(1, 0x0203, 465, "Mail.example.org");
    const auto r = net::read_srv(rdata);
    REQUIRE(r);
    CHECK(*r == net::srv_record{.priority = 1, .weight = 0x0203, .port = 465, .host = "mail.example.org"});
    CHECK(net::read_srv(srv(0, 0, 0, ""))->host.empty());
    for (std::size_t n = 0; n < rdata.size(); ++n) CHECK_FALSE(net::read_srv(rdata.substr(0, n)));
    CHECK_FALSE(net::read_srv(rdata + "x"));
}

TEST_CASE("servers for submission come by priority and weight, with TLS at once first") {
    world w;
    w.starttls(srv(0, 0, 587, "a.example.org"));
    w.implicit(srv(10, 1, 465, "b.example.org")).implicit(srv(5, 1, 465, "c.example.org"));
    w.implicit(srv(5, 9, 4650, "example.org")).implicit(srv(1, 1, 465, "")).implicit(srv(1, 1, 0, "d.example.org"));
    CHECK(w.servers() ==
          "smtps example.org:4650 smtps c.example.org:465 smtps b.example.org:465 smtp a.example.org:587 ");
    CHECK(w.why().empty());
    for (int i = 0; i < 10; ++i) w.implicit(srv(20, 0, 465, "x" + std::to_string(i) + ".example.org"));
    CHECK(find_submission("example.org", w.ask).servers.size() == max_submission_servers);
}

TEST_CASE("a host elsewhere counts where the answer is signed") {
    for (const bool is_signed : {true, false}) {
        world w;
        w.implicit(srv(0, 0, 465, "mail.provider.example"));
        if (is_signed) w.dns->sign("_submissions._tcp.example.org");
        CHECK(w.servers() == (is_signed ? "smtps mail.provider.example:465 " : ""));
        CHECK((w.why().find("If it is right, give smtps://mail.provider.example:465;") != std::string::npos) ==
              !is_signed);
    }
    world w;
    w.implicit(srv(0, 0, 465, "badexample.org"));
    CHECK(w.servers().empty());
}

TEST_CASE("where there is nothing, or nobody knows, it is said") {
    world w;
    CHECK(w.why() == "_submissions._tcp.example.org names no server; _submission._tcp.example.org names no server");
    w.dns->fail("_submissions._tcp.example.org", net::record_type::srv);
    CHECK(w.why() ==
          "_submissions._tcp.example.org cannot be looked up: SERVFAIL; _submission._tcp.example.org names no server");
}

TEST_CASE("an address becomes a URL by the table of services, then by the DNS") {
    world w;
    w.implicit(srv(0, 0, 465, "a.example.org")).implicit(srv(1, 0, 4650, "b.example.org"));
    w.starttls(srv(0, 0, 587, "c.example.org"));
    const auto url = submission_url("ann@example.org", w.ask);
    CHECK(url == "smtps://a.example.org:465/?backup=b.example.org:4650");
    CHECK(transport::smtp{url}.hosts({}).size() == 2);
    CHECK(submission_url("ann@gmail.com", w.ask) == "smtps://smtp.gmail.com");
    CHECK(submission_url("smtp://x", w.ask) == "smtp://x");
    CHECK_THROWS_AS((void)submission_url("ann@example.com", w.ask), error);
    w.dns->record("_submissions._tcp.xn--bcher-kva.example", net::record_type::srv,
                  srv(0, 0, 465, "mail.xn--bcher-kva.example"));
    CHECK(submission_url("ann@b\u00fccher.example", w.ask) == "smtps://mail.xn--bcher-kva.example:465");
}

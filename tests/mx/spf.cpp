// May an address send for a domain? RFC 7208, as a receiver asks it.
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/spf.hpp>

#include <doctest/doctest.h>

#include <future>
#include <string>
#include <vector>

using namespace postroad;
using net::record_type;
using testing::scripted_resolver;
using transport::spf_answer;
using transport::spf_question;
using transport::spf_result;

namespace {

transport::dns_lookup asking(scripted_resolver& dns) {
    return [&dns](const std::string& name, record_type type) {
        net::dns_answer found;
        dns.ask(name, type, [&](net::dns_answer a) { found = std::move(a); });
        return found;
    };
}

spf_answer check(scripted_resolver& dns, const std::string& address = "192.0.2.3",
                 const std::string& sender = "strong-bad@email.example.com") {
    const spf_question q{.address = address,
                         .domain = sender.substr(sender.find('@') + 1),
                         .sender = sender,
                         .hello = "out.example.com"};
    return check_spf(q, asking(dns));
}

spf_result of(const std::string& record, const std::string& address = "192.0.2.3") {
    scripted_resolver dns;
    dns.txt("email.example.com", record);
    dns.address("email.example.com", "192.0.2.3").address("email.example.com", "2001:db8::3");
    dns.mx("email.example.com", 10, "mx.example.com").address("mx.example.com", "192.0.2.130");
    dns.txt("pass.example.com", "v=spf1 ip4:192.0.2.3 -all").txt("fail.example.com", "v=spf1 -all");
    dns.address("192.0.2.3.spf.example.com", "127.0.0.2");
    return check(dns, address).result;
}

}  // namespace

TEST_CASE("each term of a record, and its sign") {
    struct row {
        std::string record;
        spf_result result;
        std::string address = "192.0.2.3";
    };
    using enum spf_result;
    for (const auto& r : std::vector<row>{
             {"v=spf1 +all", pass},
             {"v=spf1 ?all", neutral},
             {"v=spf1 ~all", soft_fail},
             {"v=spf1 -all", fail},
             {"v=spf1", neutral},
             {"V=SPF1 -all", fail},
             {"v=spf10 -all", none},
             {"v=spf1 a -all", pass},
             {"v=spf1 a -all", fail, "192.0.2.4"},
             {"v=spf1 a/24 -all", pass, "192.0.2.4"},
             {"v=spf1 a -all", pass, "2001:db8::3"},
             {"v=spf1 a//32 -all", pass, "2001:db8:1::"},
             {"v=spf1 a:gone.example.com -all", fail},
             {"v=spf1 mx -all", pass, "192.0.2.130"},
             {"v=spf1 mx/25 -all", pass, "192.0.2.200"},
             {"v=spf1 mx/25 -all", fail, "192.0.2.3"},
             {"v=spf1 ip4:192.0.2.0/31 -all", fail},
             {"v=spf1 ip4:192.0.2.2/31 -all", pass},
             {"v=spf1 ip4:192.0.2.3 -all", pass},
             {"v=spf1 ip6:2001:db8::/32 -all", pass, "2001:db8:ffff::1"},
             {"v=spf1 ip6:2001:db8::/32 -all", fail},
             {"v=spf1 include:pass.example.com -all", pass},
             {"v=spf1 include:fail.example.com ?all", neutral},
             {"v=spf1 include:none.example.com -all", permanent_error},
             {"v=spf1 redirect=pass.example.com", pass},
             {"v=spf1 redirect=none.example.com", permanent_error},
             {"v=spf1 exists:%{i}.spf.example.com -all", pass},
             {"v=spf1 exists:%{i}.spf.example.com -all", fail, "192.0.2.4"},
             {"v=spf1 unknown=x exp=y -all", fail},
             {"v=spf1 unknown -all", permanent_error},
             {"v=spf1 ip4:nonsense -all", permanent_error},
             {"v=spf1 ip4:192.0.2.3/33 -all", permanent_error},
             {"v=spf1 a: -all", permanent_error},
             {"v=spf1 all:x", permanent_error},
             {"v=spf1 exists:%{x} -all", permanent_error},
             {"v=spf1 exists:%{i -all", permanent_error},
             {"v=spf1 redirect=pass.example.com redirect=fail.example.com", permanent_error},
         }) {
        CAPTURE(r.record);
        CAPTURE(r.address);
        CHECK(to_string(of(r.record, r.address)) == to_string(r.result));
    }
}

// RFC 7208 section 7.4.
TEST_CASE("of the names of an address one that cannot be looked up is skipped") {
    scripted_resolver dns;
    dns.txt("email.example.com", "v=spf1 ptr -all");
    const auto reverse = net::reverse_name("192.0.2.3");
    const auto pointer = [&](const std::string& label) {
        dns.record(reverse, record_type::ptr, '\1' + label + std::string("\5email\7example\3com\0", 19));
    };
    pointer("a");
    dns.fail("a.email.example.com", record_type::a);
    CHECK(check(dns).result == spf_result::fail);
    pointer("b");
    dns.address("b.email.example.com", "192.0.2.3");
    CHECK(check(dns).result == spf_result::pass);
}

TEST_CASE("macros, as the RFC shows them") {
    struct row {
        std::string macro;
        std::string name;
        std::string address = "192.0.2.3";
    };
    for (const auto& r : std::vector<row>{
             {"%{s}", "strong-bad@email.example.com"},
             {"%{o}", "email.example.com"},
             {"%{d}", "email.example.com"},
             {"%{d4}", "email.example.com"},
             {"%{d2}", "example.com"},
             {"%{d1}", "com"},
             {"%{dr}", "com.example.email"},
             {"%{d2r}", "example.email"},
             {"%{l}", "strong-bad"},
             {"%{l-}", "strong.bad"},
             {"%{lr-}", "bad.strong"},
             {"%{l1r-}", "strong"},
             {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
             {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
             {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
             {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
             {"%{ir}.%{v}._spf.%{d2}",
              "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com", "2001:db8::cb01"},
         }) {
        CAPTURE(r.macro);
        scripted_resolver dns;
        dns.txt("email.example.com", "v=spf1 exists:" + r.macro + " -all");
        dns.address(r.name, "127.0.0.2");
        CHECK(to_string(check(dns, r.address).result) == to_string(spf_result::pass));
    }
}

TEST_CASE("limits end what would never end") {
    scripted_resolver dns;
    SUBCASE("records that include each other") {
        dns.txt("email.example.com", "v=spf1 include:email.example.com -all");
        CHECK(check(dns).result == spf_result::permanent_error);
        CHECK(dns.questions().size() < 20);
    }
    SUBCASE("ten look-ups, and not eleven") {
        std::string record = "v=spf1";
        for (int i = 0; i < 10; ++i) {
            record += " a:d" + std::to_string(i) + ".example";
            dns.address("d" + std::to_string(i) + ".example", "192.0.2.99");
        }
        dns.txt("ten.example", record + " -all").txt("eleven.example", record + " mx -all");
        CHECK(check(dns, "192.0.2.3", "a@ten.example").result == spf_result::fail);
        CHECK(check(dns, "192.0.2.3", "a@ten.example").lookups == 10);
        const auto more = check(dns, "192.0.2.3", "a@eleven.example");
        CHECK(more.result == spf_result::permanent_error);
        CHECK(more.why.find("10 look-ups") != std::string::npos);
        dns.txt("odd.example", record + " a:\n\x01.example -all");
        CHECK(check(dns, "192.0.2.3", "a@odd.example").why.find_first_of("\n\x01") == std::string::npos);
    }
    SUBCASE("names that do not exist") {
        dns.txt("email.example.com", "v=spf1 a:x1.example a:x2.example a:x3.example -all");
        CHECK(check(dns).result == spf_result::permanent_error);
    }
    SUBCASE("names that are too long") {
        const std::string label(60, 'x');
        const auto four = label + '.' + label + '.' + label + '.' + label;
        dns.address(four, "127.0.0.2");
        dns.txt("email.example.com", "v=spf1 exists:" + label + '.' + four + " -all");
        CHECK(check(dns).result == spf_result::pass);
        dns.txt("one.example", "v=spf1 exists:" + std::string(254, 'x') + " -all");
        CHECK(check(dns, "192.0.2.3", "a@one.example").result == spf_result::permanent_error);
        for (const auto& asked : dns.questions()) CHECK(asked.size() <= 253 + std::string("TXT ").size());
    }
    SUBCASE("two records") {
        dns.txt("email.example.com", "v=spf1 -all").txt("email.example.com", "v=spf1 +all");
        CHECK(check(dns).result == spf_result::permanent_error);
    }
    SUBCASE("a resolver that fails") {
        dns.txt("email.example.com", "v=spf1 a:broken.example -all").fail("broken.example", record_type::a);
        CHECK(check(dns).result == spf_result::temporary_error);
    }
    SUBCASE("what is no record") {
        dns.txt("email.example.com", std::string(60'000, 'x')).txt("email.example.com", "v=spf1 \xff\n -all");
        CHECK(check(dns).result == spf_result::permanent_error);
        CHECK(check(dns).why.find('\n') == std::string::npos);
    }
}

TEST_CASE("who decided is told") {
    scripted_resolver dns;
    dns.txt("email.example.com", "v=spf1 ip4:192.0.2.0/24 -all");
    CHECK(check(dns).why == "\"ip4:192.0.2.0/24\" of email.example.com");
    CHECK(check(dns, "198.51.100.1").why == "\"all\" of email.example.com");
    CHECK(check(dns, "198.51.100.1").record == "v=spf1 ip4:192.0.2.0/24 -all");
}

TEST_CASE("the reverse name of an address") {
    CHECK(net::reverse_name("192.0.2.1") == "1.2.0.192.in-addr.arpa");
    CHECK(net::reverse_name("2001:db8::1") ==
          "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    CHECK(net::reverse_name("mx.example").empty());
}

// Records and policies of MTA-STS as they are found, right and wrong.
#include <postroad/net/mta_sts.hpp>
#include <postroad/net/sts_cache.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using net::read_sts_policy;
using net::read_sts_record;
using net::sts_mode;
using net::sts_policy;

TEST_CASE("one record with one id, or there is no policy") {
    struct row {
        std::vector<std::string> texts;
        std::string id;  // empty: none
    };
    for (const auto& row : std::vector<row>{
             {{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
             {{"v=STSv1;id=1"}, "1"},
             {{"v=STSv1 ;\t id=a1 ; x=y z"}, "a1"},
             {{"v=spf1 -all", "v=STSv1; id=2", "anything"}, "2"},
             {{"v=STSv1; id=1", "v=STSv1; id=2"}, ""},
             {{"v=STSv1; id=1; id=2"}, ""},
             {{"v=STSv1; id="}, ""},
             {{"v=STSv1; id=a-b"}, ""},
             {{"v=STSv1; id=" + std::string(32, 'a')}, std::string(32, 'a')},
             {{"v=STSv1; id=" + std::string(33, 'a')}, ""},
             {{"v=STSv1; x=y"}, ""},
             {{"v=STSv1"}, ""},
             {{"v=STSv10; id=1"}, ""},
             {{"v=STSv1; id=1;; "}, ""},
             {{" v=STSv1; id=1"}, ""},
             {{"id=1; v=STSv1"}, ""},
             {{}, ""},
         }) {
        CAPTURE(row.texts);
        CHECK(read_sts_record(row.texts).value_or("") == row.id);
    }
}

TEST_CASE("a policy, however its lines end") {
    const sts_policy expected{
        .mode = sts_mode::enforce, .max_age = 604800s, .mx = {"mail.example.com", "*.example.net"}};
    for (const std::string end : {"\n", "\r\n"})
        for (const bool last : {true, false}) {
            auto body = "version: STSv1" + end + "mode: enforce" + end + "mx: Mail.example.com" + end +
                        "mx:\t*.example.net  " + end + "x-other: whatever: it is" + end + "max_age: 604800";
            if (last) body += end;
            CHECK(read_sts_policy(body) == expected);
        }
    // The first of two counts, but all mx.
    CHECK(read_sts_policy("version: STSv1\nmode: testing\nmode: enforce\nmx: a.example\nmax_age: 1\nmax_age: 2\n")
              ->mode == sts_mode::testing);
    CHECK(read_sts_policy("version: STSv1\nmode: none\nmax_age: 0\n")->mx.empty());
    CHECK(read_sts_policy("version: STSv1\nmode: none\nmax_age: 9999999999\n")->max_age == net::max_sts_age);
}

TEST_CASE("what is no policy says why") {
    const std::string good = "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 1\n";
    REQUIRE(read_sts_policy(good));
    struct row {
        std::string body, why;
    };
    for (const auto& row : std::vector<row>{
             {"", "version"},
             {"version: STSv2\nmode: none\nmax_age: 1\n", "version"},
             {"version: STSv1\nmx: a.example\nmax_age: 1\n", "no mode"},
             {"version: STSv1\nmode: Enforce\nmx: a.example\nmax_age: 1\n", "mode that is not known"},
             {"version: STSv1\nmode: enforce\nmx: a.example\n", "max_age"},
             {"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 1d\n", "no number"},
             {"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1\n", "no number"},
             {"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 11111111111\n", "no number"},
             {"version: STSv1\nmode: enforce\nmax_age: 1\n", "no mx"},
             {"version: STSv1\nmode: enforce\nmx: 192.0.2.1\nmax_age: 1\n", "no host name"},
             {"version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n", "no host name"},
             {"version: STSv1\nmode: enforce\nmx: *.*.example\nmax_age: 1\n", "no host name"},
             {"version: STSv1\nmode: enforce\nmx: a b.example\nmax_age: 1\n", "no host name"},
             {"<html>\nversion: STSv1\n", "no field"},
             {"version: STSv1\n\nmode: none\nmax_age: 1\n", "no field"},
             {"version: STSv1\nmode: none\nmax_age: 1\n" + std::string(net::max_sts_policy, 'x'), "octets"},
         }) {
        CAPTURE(row.body.substr(0, 100));
        std::string why;
        CHECK_FALSE(read_sts_policy(row.body, &why));
        CHECK(why.find(row.why) != std::string::npos);
    }
    const auto full = good + "x: " + std::string(net::max_sts_policy - good.size() - 3, 'x');
    CHECK(read_sts_policy(full));
    CHECK_FALSE(read_sts_policy(full + "x"));
}

TEST_CASE("a pattern stands for one label") {
    const sts_policy p{.mode = sts_mode::enforce, .max_age = 1s, .mx = {"mail.example.com", "*.example.net"}};
    for (const auto* good : {"mail.example.com", "a.example.net", "b-c.example.net"}) CHECK(p.names(good));
    for (const auto* bad : {"example.com", "x.mail.example.com", "example.net", "a.b.example.net", ".example.net",
                            "aexample.net", "mail.example.com.evil.example", ""})
        CHECK_FALSE(p.names(bad));
}

TEST_CASE("a policy that was seen is obeyed until it ends, whatever the DNS says") {
    net::sts_cache cache;
    const net::sts_cache::time start{1'700'000'000s};
    const sts_policy policy{.mode = sts_mode::enforce, .max_age = 1000s, .mx = {"mx.example"}};
    const net::sts_record one{.known = true, .id = "1"}, two{.known = true, .id = "2"}, gone{.known = true}, unknown{};
    CHECK(cache.wants_fetch("d.example", one, start));
    CHECK_FALSE(cache.wants_fetch("d.example", gone, start));
    CHECK_FALSE(cache.wants_fetch("d.example", unknown, start));
    cache.fetched("d.example", "1", policy, start);
    CHECK(cache.find("d.example", start + 999s) == policy);
    CHECK_FALSE(cache.find("d.example", start + 1000s));
    CHECK_FALSE(cache.find("e.example", start));
    // Once half its time is over it is refreshed.
    CHECK_FALSE(cache.wants_fetch("d.example", one, start + 499s));
    CHECK(cache.wants_fetch("d.example", one, start + 500s));
    CHECK(cache.wants_fetch("d.example", two, start));
    CHECK(cache.is_current("d.example", one));
    CHECK_FALSE(cache.is_current("d.example", two));
    CHECK_FALSE(cache.is_current("e.example", one));
    for (const auto& r : {gone, unknown}) CHECK_FALSE(cache.wants_fetch("d.example", r, start + 999s));
    SUBCASE("a fetch that fails takes nothing away, and is not tried again for five minutes") {
        cache.failed("d.example", start + 600s);
        CHECK(cache.find("d.example", start + 999s) == policy);
        CHECK_FALSE(cache.wants_fetch("d.example", two, start + 899s));
        CHECK(cache.wants_fetch("d.example", two, start + 900s));
        cache.failed("new.example", start);
        CHECK_FALSE(cache.find("new.example", start));
        CHECK_FALSE(cache.wants_fetch("new.example", one, start + 299s));
        CHECK(cache.wants_fetch("new.example", one, start + 300s));
    }
    SUBCASE("mode none takes its place at once") {
        cache.fetched("d.example", "2", {.mode = sts_mode::none, .max_age = 10s, .mx = {}}, start + 1s);
        CHECK(cache.find("d.example", start + 2s)->mode == sts_mode::none);
        CHECK_FALSE(cache.find("d.example", start + 11s));
    }
    SUBCASE("it goes through a file") {
        net::sts_cache other;
        CHECK(other.read_line(cache.line("d.example"), start + 1s));
        CHECK(other.find("d.example", start + 999s) == policy);
        CHECK_FALSE(other.wants_fetch("d.example", one, start + 1s));
        CHECK(other.text(start + 1s) == cache.text(start + 1s));
        CHECK(cache.text(start + 1000s).empty());
        CHECK(cache.line("e.example").empty());
    }
}

TEST_CASE("lines of a file that are damaged are left out") {
    net::sts_cache cache;
    const net::sts_cache::time now{1'700'000'000s};
    const std::string good = "d.example 1 1700000500 1000 enforce mx.example *.example.net\n";
    for (const std::string& bad : {std::string(), std::string("\n"), good.substr(0, good.size() - 1),
                                   std::string("d.example 1 x 1000 enforce mx.example\n"),
                                   std::string("d.example 1 1700000500 1000 maybe mx.example\n"),
                                   std::string("d.example 1 1700000500 1000 enforce\n"),
                                   std::string("d..example 1 1700000500 1000 enforce mx.example\n"),
                                   std::string("d.example a-b 1700000500 1000 enforce mx.example\n"),
                                   std::string("d.example 1 1700009999 1000 enforce mx.example\n")}) {
        CAPTURE(bad);
        CHECK_FALSE(cache.read_line(bad, now));
    }
    CHECK(cache.size() == 0);
    CHECK(cache.read_line(good, now));
    CHECK(cache.find("d.example", now)->mx.size() == 2);
    // The last one counts, also one that is over.
    CHECK(cache.read_line("d.example 2 1600000000 1000 enforce mx.example\n", now));
    CHECK_FALSE(cache.find("d.example", now));
}

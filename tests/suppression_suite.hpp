// What every store of addresses that must not get mail does.
#pragma once

#include <postroad/queueing/suppression.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace suppression_suite {

using namespace std::chrono_literals;
namespace suppression = postroad::suppression;
using postroad::address;
using suppression::entry;
using suppression::reason;
using suppression::scope;

inline constexpr suppression::time day_one{std::chrono::hours(24 * 20000)};

template <class S>
bool is_suppressed(const S& s, const char* text, const scope& of = {}, suppression::time now = day_one) {
    return s.find(address(text), of, now).has_value();
}

template <class S>
std::size_t add(S& s, const entry& e, suppression::time now = day_one) {
    return s.add({&e, 1}, now);
}

template <class S>
std::vector<std::string> all_of(const S& s) {
    std::vector<std::string> all;
    s.each([&](const entry& e) {
        all.push_back(e.address.str() + '|' + e.of.tenant + '|' + e.of.list);
        return true;
    });
    std::ranges::sort(all);
    return all;
}

/// `make(options)` gives an empty store.
template <class Make>
void check(Make make) {
    static_assert(suppression::store<std::decay_t<decltype(make({}))>>);
    SUBCASE("who was added is found, with all that was said, and nobody else") {
        auto s = make({});
        const entry e{.address = address("Bob@Example.ORG"),
                      .why = reason::complaint,
                      .source = "report of mx.example",
                      .until = day_one + 10h};
        CHECK(add(s, e) == 1);
        const auto found = s.find(address("Bob@example.org"), {}, day_one);
        REQUIRE(found);
        auto expected = e;
        expected.added = day_one;
        CHECK(*found == expected);
        CHECK(describe(*found) == "Bob@Example.ORG is suppressed: complaint since 2024-10-04 (report of mx.example)");
        CHECK_FALSE(is_suppressed(s, "bob@example.org"));
        CHECK_FALSE(is_suppressed(s, "Bob@example.com"));
        CHECK(s.size() == 1);
    }
    SUBCASE("an entry is over at its time") {
        auto s = make({});
        add(s, {.address = address("bob@example.org"), .until = day_one + 10h});
        CHECK(is_suppressed(s, "bob@example.org", {}, day_one + 10h - 1s));
        CHECK_FALSE(is_suppressed(s, "bob@example.org", {}, day_one + 10h));
    }
    SUBCASE("addresses are compared by what they mean") {
        auto s = make({});
        add(s, {.address = address("\"bob\"@b\xc3\xbc"
                                   "cher.example")});
        CHECK(is_suppressed(s, "bob@xn--bcher-kva.example"));
        CHECK(is_suppressed(s,
                            "bob@B\xc3\x9c"
                            "CHER.example"));
        CHECK_FALSE(is_suppressed(s, "Bob@xn--bcher-kva.example"));
        auto folding = make({.compared = suppression::local_parts::ignoring_case});
        add(folding, {.address = address("bob@example.org")});
        CHECK(is_suppressed(folding, "BoB@example.org"));
    }
    SUBCASE("an entry counts for mail of its tenant and its list only") {
        auto s = make({});
        add(s, {.address = address("bob@example.org"), .of = {.tenant = "acme"}});
        add(s, {.address = address("bob@example.org"), .of = {.list = "news.example.com"}});
        CHECK(is_suppressed(s, "bob@example.org", {.tenant = "acme"}));
        CHECK(is_suppressed(s, "bob@example.org", {.tenant = "acme", .list = "other.example"}));
        CHECK(is_suppressed(s, "bob@example.org", {.list = "News.Example.Com"}));
        CHECK_FALSE(is_suppressed(s, "bob@example.org"));
        CHECK_FALSE(is_suppressed(s, "bob@example.org", {.tenant = "Acme"}));
        add(s, {.address = address("bob@example.org")});
        CHECK(is_suppressed(s, "bob@example.org"));
        CHECK(all_of(s) == std::vector<std::string>{"bob@example.org|acme|", "bob@example.org||",
                                                    "bob@example.org||news.example.com"});
    }
    SUBCASE("the id of a list may stand as in its field") {
        auto s = make({});
        add(s, {.address = address("bob@example.org"), .of = {.list = "Our news <news.example.com>"}});
        add(s, {.address = address("cid@example.org"), .of = {.list = "news.example.com"}});
        for (const auto* to : {"bob@example.org", "cid@example.org"})
            for (const auto* id : {"news.example.com", "<news.example.com>"}) CHECK(is_suppressed(s, to, {.list = id}));
        CHECK_FALSE(is_suppressed(s, "bob@example.org", {.list = "Our news"}));
    }
    SUBCASE("a list is the same however it is written") {
        auto s = make({});
        const address bob("bob@example.org");
        CHECK(add(s, {.address = bob, .of = {.list = "Our news <News.example.com>"}}) == 1);
        CHECK(add(s, {.address = bob, .of = {.list = "news.EXAMPLE.com"}}) == 0);
        CHECK(all_of(s) == std::vector<std::string>{"bob@example.org||news.example.com"});
        CHECK(s.remove(bob, {.list = "The news <NEWS.example.com>"}));
        CHECK(s.size() == 0);
    }
    SUBCASE("a list without an id is refused, with all that was to be added") {
        auto s = make({});
        for (const auto* list : {"News <>", "<>", "News <news.example.com"}) {
            const std::vector<entry> some{{.address = address("cid@example.org")},
                                          {.address = address("bob@example.org"), .of = {.list = list}}};
            CHECK_THROWS_AS(s.add(some, day_one), postroad::error);
        }
        CHECK(s.size() == 0);
        add(s, {.address = address("bob@example.org")});
        CHECK_FALSE(s.remove(address("bob@example.org"), {.list = "News <>"}));
        CHECK(is_suppressed(s, "bob@example.org"));
    }
    SUBCASE("the later of two entries of one address and scope counts") {
        auto s = make({});
        CHECK(add(s, {.address = address("bob@example.org"), .why = reason::manual}) == 1);
        CHECK(add(s, {.address = address("bob@EXAMPLE.org"), .why = reason::unsubscribed}) == 0);
        CHECK(s.find(address("bob@example.org"), {}, day_one)->why == reason::unsubscribed);
        CHECK(s.size() == 1);
    }
    SUBCASE("who is removed is free, for that scope") {
        auto s = make({});
        add(s, {.address = address("bob@example.org")});
        add(s, {.address = address("bob@example.org"), .of = {.tenant = "acme"}});
        CHECK(s.remove(address("bob@example.org"), {}));
        CHECK_FALSE(s.remove(address("bob@example.org"), {}));
        CHECK_FALSE(is_suppressed(s, "bob@example.org"));
        CHECK(is_suppressed(s, "bob@example.org", {.tenant = "acme"}));
    }
    SUBCASE("hard bounces suppress when there are enough of them within the time") {
        auto s = make({.bounces = 3, .bounces_within = 48h});
        const address bob("bob@example.org");
        CHECK_FALSE(s.bounced(bob, "mx.example.org", day_one));
        CHECK_FALSE(s.bounced(bob, "mx.example.org", day_one + 48h));
        CHECK_FALSE(is_suppressed(s, "bob@example.org", {}, day_one + 48h));
        CHECK(s.bounced(bob, "mx.example.org", day_one + 49h));
        const auto found = s.find(bob, {}, day_one + 49h);
        REQUIRE(found);
        CHECK(found->why == reason::hard_bounce);
        CHECK(found->source == "mx.example.org");
        CHECK(found->added == day_one + 49h);
    }
    SUBCASE("a bounce is forgotten when its time is over") {
        auto s = make({.bounces = 2, .bounces_within = 48h});
        CHECK_FALSE(s.bounced(address("bob@example.org"), "", day_one));
        CHECK_FALSE(s.bounced(address("bob@example.org"), "", day_one + 48h + 1s));
        CHECK(s.bounced(address("bob@example.org"), "", day_one + 49h));
    }
    SUBCASE("who is removed begins anew") {
        auto s = make({.bounces = 2});
        CHECK_FALSE(s.bounced(address("bob@example.org"), "", day_one));
        (void)s.remove(address("bob@example.org"), {});
        CHECK_FALSE(s.bounced(address("bob@example.org"), "", day_one));
    }
    SUBCASE("no number of bounces suppresses where none is to") {
        auto s = make({.bounces = 0});
        for (int i = 0; i < 10; ++i) CHECK_FALSE(s.bounced(address("bob@example.org"), "", day_one));
    }
    SUBCASE("all are seen, page by page, until that is enough") {
        auto s = make({});
        std::vector<entry> many;
        for (int i = 0; i < 2500; ++i) many.push_back({.address = address("u" + std::to_string(i) + "@example.org")});
        CHECK(s.add(many, day_one) == 2500);
        CHECK(all_of(s).size() == 2500);
        int seen = 0;
        s.each([&](const entry&) { return ++seen < 7; });
        CHECK(seen == 7);
    }
}

}  // namespace suppression_suite

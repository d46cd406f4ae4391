#include "suppression_suite.hpp"

#include <postroad/queueing/suppression_csv.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

namespace suppression = postroad::suppression;
using namespace suppression_suite;

TEST_CASE("a list in memory") {
    suppression_suite::check([](suppression::options o) { return suppression::memory(o); });
}

TEST_CASE("a list in memory forgets what is over, without being asked") {
    suppression::memory s({.bounces = 2, .bounces_within = 1h});
    for (int i = 0; i < 999; ++i)
        add(s, {.address = address("u" + std::to_string(i) + "@example.org"), .until = day_one + 1h});
    CHECK(s.size() == 999);
    (void)s.bounced(address("x@example.org"), "", day_one);
    add(s, {.address = address("bob@example.org")}, day_one + 2h);
    CHECK(s.size() == 1);
}

postroad::reported_recipient bounce(postroad::enhanced_code status, const char* words) {
    return {
        .final = "bob@example.org", .action = postroad::delivery_action::failed, .status = status, .diagnostic = words};
}

TEST_CASE("a hard bounce says that there is no such mailbox or domain, and nothing else does") {
    CHECK(suppression::is_hard_bounce(bounce({5, 1, 1}, "550 5.1.1 no such user")));
    CHECK(suppression::is_hard_bounce(bounce({5, 1, 1}, "")));
    CHECK(suppression::is_hard_bounce(bounce({5, 1, 2}, "")));
    CHECK(suppression::is_hard_bounce(bounce({5, 1, 10}, "the domain has a null MX")));
    CHECK(suppression::is_hard_bounce(bounce({}, "unknown user")));
    CHECK_FALSE(suppression::is_hard_bounce(bounce({}, "try again")));
    CHECK_FALSE(suppression::is_hard_bounce(bounce({5, 1, 1}, "blocked as spam")));
    CHECK_FALSE(suppression::is_hard_bounce(bounce({5, 2, 2}, "mailbox full")));
    CHECK_FALSE(suppression::is_hard_bounce(bounce({4, 1, 1}, "")));
    CHECK_FALSE(suppression::is_hard_bounce(bounce({5, 0, 0}, "unknown user")));
    auto late = bounce({5, 1, 1}, "no such user");
    late.action = postroad::delivery_action::delayed;
    CHECK_FALSE(suppression::is_hard_bounce(late));
}

TEST_CASE("reports that came back fill a store") {
    suppression::memory s({.bounces = 1});
    postroad::delivery_report r{.reporting_mta = "mx.example.org",
                                .recipients = {bounce({5, 1, 1}, "no such user"), bounce({5, 7, 1}, "policy")}};
    r.recipients[1].final = "eve@example.org";
    r.recipients.push_back(bounce({5, 1, 1}, "no such user"));
    r.recipients[2].final = "no address";
    CHECK(suppress_reported(s, r, {}, day_one) == 1);
    CHECK(s.find(address("bob@example.org"), {}, day_one)->source == "report of mx.example.org");
    CHECK(s.size() == 1);

    SUBCASE("a complaint counts at once, for the scope that is given") {
        const postroad::delivery_report c{.recipients = {{.final = "cid@example.org"}}, .feedback_type = "abuse"};
        CHECK(suppress_reported(s, c, {.tenant = "acme"}, day_one) == 1);
        CHECK(s.find(address("cid@example.org"), {.tenant = "acme"}, day_one)->why == reason::complaint);
        CHECK_FALSE(s.find(address("cid@example.org"), {}, day_one));
    }
    SUBCASE("that a message was no spam is no complaint") {
        const postroad::delivery_report c{.recipients = {{.final = "cid@example.org"}}, .feedback_type = "not-spam"};
        CHECK(suppress_reported(s, c, {}, day_one) == 0);
        CHECK(s.size() == 1);
    }
}

struct csv_result {
    suppression::imported counts;
    std::vector<std::string> faults;
};

csv_result import(suppression::memory& s, std::string_view text, std::size_t piece = 1 << 20) {
    csv_result r;
    suppression::csv_import in(s, entry{.of = {.tenant = "acme"}, .source = "import"}, [&](const auto& row) {
        r.faults.push_back(std::to_string(row.line) + ": " + row.fault);
    });
    for (std::size_t at = 0; at < text.size(); at += piece) in.push(text.substr(at, piece), day_one);
    r.counts = in.end(day_one);
    return r;
}

TEST_CASE("a row of CSV whose list has no id is a bad one") {
    suppression::memory s;
    const auto r = import(s, "address,list\nbob@example.org,News <>\ncid@example.org,News <News.example.com>\n");
    CHECK(r.faults == std::vector<std::string>{"2: the list 'News <>' has no id"});
    CHECK(all_of(s) == std::vector<std::string>{"cid@example.org|acme|news.example.com"});
}

TEST_CASE("CSV comes in, bad rows are named and the rest is taken") {
    const std::string text =
        "\xef\xbb\xbfReason;Email;until\r\n"
        "complaint;bob@example.org;2030-01-02\r\n"
        "\r\n"
        ";\"bob \"\"b\"\"\"@x;\r\n"
        "spite;cid@example.org;\r\n"
        ";dan@example.org;soon\n"
        "manual;;\n"
        ";\"eve@example.org\r\n"
        "; fay@example.org ;2030-01-02T03:04:05Z\r\n"
        ";bob@EXAMPLE.org;";
    for (const std::size_t piece : {std::size_t(1), std::size_t(7), text.size()}) {
        suppression::memory s;
        const auto r = import(s, text, piece);
        CHECK(r.counts.added == 2);
        CHECK(r.counts.known == 1);
        CHECK(r.counts.faults == 5);
        REQUIRE(r.faults.size() == 5);
        CHECK(r.faults[0].starts_with("4: 'bob "));
        CHECK(r.faults[1] == "5: 'spite' is no reason: expected manual, hard_bounce, complaint or unsubscribed");
        CHECK(r.faults[2] == "6: 'soon' is no time: expected 2026-03-01 or 2026-03-01T12:00:00Z");
        CHECK(r.faults[3] == "7: there is no address");
        CHECK(r.faults[4] == "8: a quote is not closed, or it is longer than 10000 octets");
        const auto found = s.find(address("fay@example.org"), {.tenant = "acme"}, day_one);
        REQUIRE(found);
        CHECK(found->source == "import");
        CHECK(found->until == std::chrono::sys_days(std::chrono::year(2030) / 1 / 2) + 3h + 4min + 5s);
    }
}

TEST_CASE("CSV without names has the address first") {
    suppression::memory s;
    const auto r = import(s, "bob@example.org,what,ever\ncid@example.org");
    CHECK(r.counts.added == 2);
    CHECK(r.faults.empty());
}

TEST_CASE("quotes within a field are no quotes of it, and end no row") {
    for (const std::size_t piece : {std::size_t(3), std::size_t(1 << 20)}) {
        suppression::memory s;
        const auto r = import(s, "address,a\"\"b\nbob@example.org,x\"\"y\ncid@example.org,\"a\"\"\nb\"\n", piece);
        CHECK(r.counts.added == 2);
        CHECK(r.faults.empty());
    }
}

TEST_CASE("a row is read up to the limit, and none behind it is lost") {
    const auto row = [](std::size_t size) {
        return "address,source\nbob@example.org," + std::string(size - 17, 'x') + "\ncid@example.org,\n";
    };
    suppression::memory fits;
    CHECK(import(fits, row(suppression::max_csv_row)).counts.added == 2);
    for (const std::size_t piece : {std::size_t(4096), std::size_t(1 << 20)}) {
        suppression::memory s;
        const auto r = import(s, row(suppression::max_csv_row + 1), piece);
        CHECK(r.counts.faults == 1);
        CHECK(all_of(s) == std::vector<std::string>{"cid@example.org|acme|"});
    }
}

TEST_CASE("what goes out comes in again") {
    suppression::memory s;
    add(s, {.address = address("\"a,b\"@example.org"),
            .of = {.tenant = "acme, \"inc\"", .list = "news.example.com"},
            .why = reason::unsubscribed,
            .source = "him; \n her",
            .until = day_one + 1h});
    add(s, {.address = address("zo\xc3\xab@example.org"), .why = reason::hard_bounce});
    std::string text(suppression::csv_header);
    s.each([&](const entry& e) {
        text += csv_row(e);
        return true;
    });
    CHECK(text.find("hard_bounce,,2024-10-04T00:00:00Z,\r\n") != text.npos);
    suppression::memory again;
    suppression::csv_import in(again, entry{}, [](const auto& row) { FAIL(row.fault); });
    // a line end in a source is none of ours: no entry that was imported has it
    const auto clean = text.replace(text.find(" \n "), 3, " ");
    in.push(clean, day_one);
    CHECK(in.end(day_one).added == 2);
    CHECK(all_of(again) == all_of(s));
    CHECK(again.find(address("\"a,b\"@example.org"), {"acme, \"inc\"", "news.example.com"}, day_one)->source ==
          "him; her");
}

}  // namespace

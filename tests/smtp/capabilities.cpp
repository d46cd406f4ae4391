#include <doctest/doctest.h>
#include <postroad/smtp/capabilities.hpp>

#include <initializer_list>
#include <string>
#include <vector>

using postroad::smtp::capabilities;
using namespace std::chrono_literals;

namespace {

capabilities parsed(std::initializer_list<std::string_view> lines) {
    capabilities c;
    for (const auto line : lines) c.parse_line(line);
    return c;
}

using names = std::vector<std::string>;

}  // namespace

TEST_CASE("each keyword without parameters sets its flag and no other") {
    const struct {
        const char* line;
        bool capabilities::*flag;
    } rows[] = {
        {"PIPELINING", &capabilities::pipelining}, {"8BITMIME", &capabilities::eight_bit_mime},
        {"SMTPUTF8", &capabilities::smtputf8},     {"CHUNKING", &capabilities::chunking},
        {"BINARYMIME", &capabilities::binarymime}, {"DSN", &capabilities::dsn},
        {"STARTTLS", &capabilities::starttls},     {"ENHANCEDSTATUSCODES", &capabilities::enhanced_codes},
        {"REQUIRETLS", &capabilities::requiretls},
    };
    for (const auto& row : rows) {
        CAPTURE(row.line);
        capabilities expected;
        expected.*row.flag = true;
        CHECK(parsed({row.line}) == expected);
    }
}

TEST_CASE("case, tabs, runs of spaces and a stray CR do not matter") {
    CHECK(parsed({"pipelining"}).pipelining);
    CHECK(parsed({"  StartTLS \r"}).starttls);
    CHECK(parsed({"size\t 10  "}).size == 10u);
    CHECK(parsed({"auth\tplain   login"}).auth == names{"PLAIN", "LOGIN"});
}

TEST_CASE("what is no extension is ignored") {
    for (const auto* line : {"", " ", "X-FOO bar", "<html><body>", "PIPELININGX", "8BIT", "=", "AUTHX PLAIN", "LIMITS",
                             "FUTURERELEASE", "FUTURERELEASE x y", "FUTURERELEASE 10", "\xff\xfe"}) {
        CAPTURE(line);
        CHECK(parsed({line}) == capabilities{});
    }
}

TEST_CASE("SIZE that is absent, zero, no number or too large is no limit") {
    const struct {
        const char* line;
        std::optional<std::uint64_t> size;
    } rows[] = {
        {"SIZE", {}},
        {"SIZE 0", {}},
        {"SIZE -1", {}},
        {"SIZE +1", {}},
        {"SIZE 10MB", {}},
        {"SIZE 1", 1},
        {"SIZE 35882577", 35882577},
        {"SIZE 18446744073709551615", UINT64_MAX},
        {"SIZE 18446744073709551616", {}},
        {"SIZE 99999999999999999999999", {}},
    };
    for (const auto& row : rows) {
        CAPTURE(row.line);
        const auto c = parsed({row.line});
        CHECK(c.size == row.size);
        CHECK(c.size_declaration);
    }
    CHECK_FALSE(parsed({"PIPELINING"}).size_declaration);
}

TEST_CASE("of two SIZE lines the last usable one counts") {
    CHECK(parsed({"SIZE 5", "SIZE 7"}).size == 7u);
    CHECK(parsed({"SIZE 5", "SIZE x"}).size == 5u);
}

TEST_CASE("AUTH and the old AUTH= are merged, upper case and without duplicates") {
    CHECK(parsed({"AUTH PLAIN LOGIN", "AUTH=LOGIN PLAIN CRAM-MD5"}).auth == names{"PLAIN", "LOGIN", "CRAM-MD5"});
    CHECK(parsed({"AUTH=PLAIN"}).auth == names{"PLAIN"});
    CHECK(parsed({"auth=scram-sha-256"}).auth == names{"SCRAM-SHA-256"});
}

TEST_CASE("AUTH without a mechanism is listed") {
    for (const auto* line : {"AUTH", "auth=", "AUTH PL@IN"}) {
        CAPTURE(line);
        CHECK(parsed({line}).auth.empty());
        CHECK(parsed({line}).auth_listed);
    }
    CHECK_FALSE(parsed({"AUTHX PLAIN"}).auth_listed);
}

TEST_CASE("a mechanism name of 20 characters is kept and one of 21 is not") {
    CHECK(parsed({"AUTH A2345678901234567890"}).auth == names{"A2345678901234567890"});
    CHECK(parsed({"AUTH A23456789012345678901 PL@IN PLAIN"}).auth == names{"PLAIN"});
}

TEST_CASE("no more than max_mechanisms mechanisms are kept") {
    std::string line = "AUTH";
    for (std::size_t i = 0; i < capabilities::max_mechanisms; ++i) line += " M" + std::to_string(i);
    CHECK(parsed({line}).auth.size() == capabilities::max_mechanisms);
    CHECK(parsed({line + " PLAIN"}).auth.size() == capabilities::max_mechanisms);
}

TEST_CASE("LIMITS keeps what is well formed and ignores the rest") {
    const auto c = parsed({"LIMITS RCPTMAX=100 mailmax=999999 RCPTDOMAINMAX=1 FOO=3"});
    CHECK(c.limits == capabilities::transaction_limits{100, 999999, 1});
    for (const auto* line : {"LIMITS RCPTMAX=1000000", "LIMITS RCPTMAX=0", "LIMITS RCPTMAX=-1", "LIMITS RCPTMAX",
                             "LIMITS RCPTMAX=", "LIMITS RCPTMAX=1x"}) {
        CAPTURE(line);
        CHECK_FALSE(parsed({line}).limits.rcptmax);
    }
    CHECK(parsed({"LIMITS RCPTMAX=x MAILMAX=2"}).limits.mailmax == 2u);
}

TEST_CASE("DELIVERBY, FUTURERELEASE and MT-PRIORITY carry their parameters") {
    CHECK(parsed({"DELIVERBY 240"}).deliverby == 240s);
    CHECK(parsed({"DELIVERBY"}).deliverby == 0s);
    CHECK_FALSE(parsed({"DSN"}).deliverby);
    CHECK(parsed({"FUTURERELEASE 3600 2030-01-01T00:00:00Z"}).futurerelease ==
          capabilities::future_release{3600s, "2030-01-01T00:00:00Z"});
    CHECK(parsed({"MT-PRIORITY"}).mt_priority == "MIXER");
    CHECK(parsed({"MT-PRIORITY STANAG4406"}).mt_priority == "STANAG4406");
}

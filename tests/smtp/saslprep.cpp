#include <doctest/doctest.h>
#include <postroad/core/base64.hpp>
#include <postroad/smtp/sasl.hpp>
#include <postroad/smtp/saslprep.hpp>

#include <ostream>
#include <string>
#include <vector>

using namespace std::string_literals;
using postroad::errc;
using postroad::secret;
using postroad::smtp::saslprep;

namespace {

std::string prepared(const std::string& text) {
    std::string problem;
    auto result = saslprep(text, problem);
    CHECK(problem.empty());
    return result;
}

std::string problem_of(const std::string& text) {
    std::string problem;
    CHECK(saslprep(text, problem).empty());
    return problem;
}

}  // namespace

TEST_CASE("SASLprep gives what RFC 4013 section 3 shows") {
    CHECK(prepared("I\u00adX") == "IX");
    CHECK(prepared("user") == "user");
    CHECK(prepared("USER") == "USER");
    CHECK(prepared("\u00aa") == "a");
    CHECK(prepared("\u2168") == "IX");
    CHECK(problem_of("\u00e4\x07") == "holds a character that SASLprep prohibits");
    CHECK(problem_of("\u0627\u0031") == "mixes letters of both writing directions");
}

TEST_CASE("SASLprep maps spaces to a space, and composes") {
    CHECK(prepared("p\u00e4ss w\u00f6rd") == "p\u00e4ss w\u00f6rd");
    CHECK(prepared("pa\u0308ss\u3000wo\u0308rd") == "p\u00e4ss w\u00f6rd");
    CHECK(prepared("a\u00a0b\u200bc") == "a b c");
    CHECK(prepared("\uff41\uff42") == "ab");
    CHECK(prepared("\u0627\u0628") == "\u0627\u0628");
    CHECK(prepared("\U0001f600") == "\U0001f600");  // newer than Unicode 3.2
    CHECK(prepared("").empty());
}

TEST_CASE("SASLprep leaves ASCII alone, also what it would prohibit: that is checked elsewhere") {
    CHECK(prepared("a b\x07") == "a b\x07");
}

TEST_CASE("SASLprep prohibits what RFC 3454 lists, at both ends of each table") {
    for (const auto* bad :
         {"\u0080",     "\u009f",     "\u06dd",     "\u070f",     "\u180e",    "\u200e",     "\u200f",     "\u2028",
          "\u202e",     "\u2061",     "\u2063",     "\u206a",     "\u206f",    "\u2ff0",     "\u2ffb",     "\ue000",
          "\uf8ff",     "\ufdd0",     "\ufdef",     "\ufff9",     "\ufffd",    "\U0001d173", "\U0001d17a", "\U0001fffe",
          "\U000e0001", "\U000e0020", "\U000e007f", "\U000f0000", "\U0010ffff"}) {
        CAPTURE(bad);
        CHECK(problem_of("x"s + bad) == "holds a character that SASLprep prohibits");
    }
    for (const auto* good : {"\u06dc", "\u06de", "\u2ffc", "\ufff8", "\U0001d172", "\U0001d17b", "\U000e0080"}) {
        CAPTURE(good);
        CHECK(prepared("x"s + good) == "x"s + good);
    }
}

TEST_CASE("text that vanishes, and text that is not UTF-8, are refused") {
    CHECK(problem_of("\u00ad") == "holds nothing that counts");
    CHECK(problem_of("a\xff") == "is not valid UTF-8");
}

TEST_CASE("SCRAM prepares user and password, PLAIN sends them as they are") {
    const auto first = [](const char* mechanism, const std::string& password) {
        postroad::error_code ec;
        postroad::smtp::authenticator a({.user = "u\u00ads\u2168",
                                         .password = secret(password),
                                         .authorization_id = "\u00aa",
                                         .mechanisms = {mechanism}},
                                        std::vector{std::string(mechanism)}, {.encrypted = true},
                                        "0123456789abcdefghijklmn", ec);
        return ec ? a.explanation() : a.respond("", ec);
    };
    CHECK(first("SCRAM-SHA-256", "p\u00e4ss") == "n,a=a,n=usIX,r=0123456789abcdefghijklmn");
    CHECK(first("PLAIN", "p\u00e4ss") == "\u00aa\0u\u00ads\u2168\0p\u00e4ss"s);
    CHECK(first("SCRAM-SHA-256", "\u00ad") == "SCRAM: the password holds nothing that counts");
}

TEST_CASE("SCRAM: two spellings of a password give the same proof") {
    const auto proof = [](const std::string& password) {
        postroad::error_code ec;
        postroad::smtp::authenticator a({.user = "user", .password = secret(password), .mechanisms = {"SCRAM-SHA-256"}},
                                        std::vector{"SCRAM-SHA-256"s}, {.encrypted = true}, "rOprNGfwEbeRWgbNEkqO", ec);
        (void)a.respond("", ec);
        return a.respond("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ec);
    };
    CHECK(proof("p\u00e4ss\u00a0word") == proof("pa\u0308ss word"));
    CHECK(proof("p\u00e4ss word") != proof("pass word"));
}

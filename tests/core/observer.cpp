#include <doctest/doctest.h>
#include <postroad/core/transcript.hpp>

#include <chrono>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace std::string_literals;
using postroad::json_lines;
using postroad::observation;
using postroad::observed;
using postroad::observer;
using postroad::observers;
using postroad::phase;
using postroad::transcript;
using postroad::without_addresses;

namespace {

const auto start = postroad::time_point(1h);

observation command(const char* text, postroad::duration at = 0ms) {
    return {.what = observed::command, .time = start + at, .connection = 1, .where = phase::mail, .text = text};
}

struct lines {
    std::vector<std::string> all;
    json_lines log(postroad::json_lines_options o = {}) {
        return json_lines([this](std::string_view line) { all.emplace_back(line); }, o);
    }
};

}  // namespace

TEST_CASE("mail addresses are taken out of commands and of replies") {
    const struct {
        const char* text;
        const char* without;
    } rows[] = {
        {"MAIL FROM:<ann@example.com> SIZE=100 BODY=8BITMIME", "MAIL FROM:<[address]> SIZE=100 BODY=8BITMIME"},
        {"MAIL FROM:<>", "MAIL FROM:<>"},
        {"RCPT TO:<\"a b>\"@example.com>", "RCPT TO:<[address]>"},
        {"RCPT TO:<\"a\\\">\"@example.com> X=1", "RCPT TO:<[address]> X=1"},
        {"<\"", "<\""},
        {"RCPT TO:<bob@example.org> NOTIFY=NEVER ORCPT=rfc822;bob@example.org",
         "RCPT TO:<[address]> NOTIFY=NEVER ORCPT=rfc822;[address]"},
        {"no such user bob@example.org here", "no such user [address] here"},
        {"(\"b o b\"@example.org): unknown", "([address]): unknown"},
        {"bob@example.org", "[address]"},
        {"say \"hello\" to them", "say \"hello\" to them"},
        {"a < b", "a < b"},
        {"\"", "\""},
        {"", ""},
    };
    for (const auto& row : rows) CHECK(without_addresses(row.text) == row.without);
}

TEST_CASE("a transcript has a line for each command, for each line of a reply, and for all else") {
    transcript t;
    const postroad::reply answer{250, {2, 1, 0}, "first\nsecond\nthird"};
    t.on({.what = observed::dialing, .time = start, .connection = 1, .server = "mx.example:25"});
    t.on(command("MAIL FROM:<ann@example.com>", 12ms));
    t.on({.what = observed::reply, .time = start + 1234ms, .connection = 1, .answer = &answer});
    t.on({.what = observed::content, .time = start + 2s, .connection = 1, .octets = 2048});
    t.on({.what = observed::retry, .time = start + 3s, .text = "deferred", .took = 90s});
    t.on({.what = observed::closed,
          .time = start + 3s,
          .connection = 1,
          .text = "gone",
          .error = postroad::errc::connection_closed});
    CHECK(t.text() ==
          "    0.000 [1] -- dialing mx.example:25\n"
          "    0.012 [1] C: MAIL FROM:<ann@example.com>\n"
          "    1.234 [1] S: 250-2.1.0 first\n"
          "    1.234 [1] S: 250-2.1.0 second\n"
          "    1.234 [1] S: 250 2.1.0 third\n"
          "    2.000 [1] C: (2048 octets of content)\n"
          "    3.000 -- retry in 90.000 s: deferred\n"
          "    3.000 [1] -- closed: gone (the server closed the connection)\n");
}

TEST_CASE("a transcript is bounded by lines and by what a line holds") {
    transcript t({.max_lines = 2, .max_line = 5});
    t.on(command("12345"));
    t.on(command("123456"));
    CHECK(t.text() == "    0.000 [1] C: 12345\n    0.000 [1] C: 12345...\n");
    t.on(command("third"));
    CHECK(t.text() == "(1 earlier lines were dropped)\n    0.000 [1] C: 12345...\n    0.000 [1] C: third\n");
    t.clear();
    CHECK(t.text().empty());
    transcript none({.max_lines = 0});
    none.on(command("x"));
    CHECK(none.text().empty());
}

TEST_CASE("a transcript can be of one connection, and without addresses") {
    transcript t({.redact_addresses = true, .only_connection = 2});
    t.on(command("RCPT TO:<a@b>"));
    auto c = command("RCPT TO:<a@b>");
    c.connection = 2;
    t.on(c);
    CHECK(t.text() == "    0.000 [2] C: RCPT TO:<[address]>\n");
}

TEST_CASE("what a server says cannot forge a line of a transcript or of a log") {
    transcript t;
    lines l;
    auto log = l.log();
    const postroad::reply evil{250, {}, "ok\r S: 250 forged\x1b[2J\",\"x\":\"\\\xff"};
    const observation o{.what = observed::reply, .time = start, .connection = 1, .answer = &evil};
    t.on(o);
    log.on(o);
    CHECK(t.text() == "    0.000 [1] S: 250 ok\\x0d S: 250 forged\\x1b[2J\",\"x\":\"\\x5c\\xff\n");
    REQUIRE(l.all.size() == 1);
    CHECK(l.all[0] == R"({"t":0.000,"what":"reply","connection":1,"phase":"idle","code":250,)"
                      R"("text":"ok\\x0d S: 250 forged\\x1b[2J\",\"x\":\"\\x5c\\xff"})");
}

TEST_CASE("a line of JSON has what is known, and nothing else") {
    lines l;
    auto log = l.log({.max_text = 8, .redact_addresses = true});
    const postroad::reply answer{550, {5, 1, 1}, "no such user bob@example.org"};
    log.on(command("QUIT"));
    log.on({.what = observed::outcome,
            .time = start + 1500ms,
            .connection = 3,
            .message = 7,
            .server = "mx.example:25",
            .where = phase::rcpt,
            .text = "bob@example.org",
            .answer = &answer,
            .result = postroad::status::rejected,
            .octets = 9,
            .took = 20ms,
            .error = postroad::errc::timed_out});
    REQUIRE(l.all.size() == 2);
    CHECK(l.all[0] == R"({"t":0.000,"what":"command","connection":1,"phase":"mail","text":"QUIT"})");
    CHECK(l.all[1] ==
          R"({"t":1.500,"what":"outcome","connection":3,"message":7,"server":"mx.example:25","phase":"rcpt",)"
          R"("code":550,"enhanced":"5.1.1","result":"rejected","text":"[address...","octets":9,"took":0.020,)"
          R"("error":"the server did not answer in time"})");
}

TEST_CASE("a log that throws stops nothing") {
    json_lines log([](std::string_view) { throw std::runtime_error("disk full"); });
    log.on(command("QUIT"));
}

TEST_CASE("several observers are one: each is told, also when another throws, and may go") {
    struct counting final : observer {
        void on(const observation&) override { ++count; }
        int count = 0;
    };
    struct throwing final : observer {
        void on(const observation&) override { throw std::runtime_error("no"); }
    };
    const auto first = std::make_shared<counting>();
    const auto last = std::make_shared<counting>();
    observers all({first, std::make_shared<throwing>()});
    all.add(last);
    all.add(nullptr);
    all.on({});
    CHECK(first->count == 1);
    CHECK(last->count == 1);
    all.remove(first);
    all.remove(first);
    all.on({});
    CHECK(first->count == 1);
    CHECK(last->count == 2);
}

TEST_CASE("an observer may leave while it is told") {
    struct leaving final : observer {
        explicit leaving(observers& from) : all(from) {}
        void on(const observation&) override {
            ++count;
            all.remove(self.lock());
        }
        observers& all;
        std::weak_ptr<observer> self = {};
        int count = 0;
    };
    observers all;
    const auto one = std::make_shared<leaving>(all);
    one->self = one;
    all.add(one);
    all.on({});
    all.on({});
    CHECK(one->count == 1);
}

#include <doctest/doctest.h>
#include <postroad/smtp/credentials_source.hpp>

#include <functional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using postroad::errc;
using postroad::secret;
using postroad::smtp::credentials;
using postroad::smtp::credentials_answer;
using postroad::smtp::credentials_handler;
using postroad::smtp::credentials_request;
using postroad::smtp::credentials_source;

namespace {

const credentials_request first{.server = {"mx.example", 587}};
const credentials_request again{.server = {"mx.example", 587}, .refused_token = secret("stale")};
const credentials_request other{.server = {"mx2.example", 587}};

// A source that keeps what it was asked, for the test to answer.
struct asked {
    std::vector<std::pair<credentials_request, credentials_handler>> calls;
    credentials_source source() {
        return [this](const credentials_request& r, credentials_handler h) { calls.emplace_back(r, std::move(h)); };
    }
};

struct answers {
    std::vector<credentials_answer> all;
    credentials_handler handler() {
        return [this](credentials_answer a) { all.push_back(std::move(a)); };
    }
};

credentials_answer with_token(const char* token) { return {.credentials = {.token = secret(token)}}; }

}  // namespace

TEST_CASE("no source asks for nothing") {
    CHECK_FALSE(credentials_source());
    CHECK(credentials_source([](const credentials_request&) { return credentials{}; }));
}

TEST_CASE("a source that returns credentials answers at once") {
    answers got;
    const credentials_source source = [](const credentials_request& r) {
        return credentials{.user = r.server.name, .password = secret(r.refused_token.empty() ? "old" : "new")};
    };
    source.ask(first, got.handler());
    source.ask(again, got.handler());
    REQUIRE(got.all.size() == 2);
    CHECK(got.all[0].credentials.user == "mx.example");
    CHECK(got.all[0].credentials.password == secret("old"));
    CHECK(got.all[1].credentials.password == secret("new"));
    CHECK_FALSE(got.all[0].error);
}

TEST_CASE("what a source throws is its answer") {
    answers got;
    credentials_source([](const credentials_request&) -> credentials {
        throw postroad::error(errc::timed_out, "no identity provider");
    }).ask(first, got.handler());
    credentials_source([](const credentials_request&, credentials_handler) {
        throw std::runtime_error("no vault");
    }).ask(first, got.handler());
    REQUIRE(got.all.size() == 2);
    CHECK(got.all[0].error == errc::timed_out);
    CHECK(got.all[0].explanation == "no identity provider");
    CHECK(got.all[1].error == errc::credentials_unavailable);
    CHECK(got.all[1].explanation == "the source of credentials failed: no vault");
}

TEST_CASE("OAuth: questions about one server share a call, and copies of a source too") {
    answers got;  // outlives what may still answer
    asked source;
    const auto one = source.source();
    const auto copy = one;
    one.ask(first, got.handler());
    copy.ask(first, got.handler());
    CHECK(source.calls.size() == 1);
    one.ask(other, got.handler());
    CHECK(source.calls.size() == 2);
    source.calls[0].second(with_token("t1"));
    CHECK(got.all.size() == 2);
    CHECK(got.all[1].credentials.token == secret("t1"));
    one.ask(first, got.handler());
    CHECK(source.calls.size() == 3);
}

TEST_CASE("OAuth: who was refused does not wait for a call that may bring the same token") {
    answers got;  // outlives what may still answer
    asked source;
    const auto s = source.source();
    s.ask(first, got.handler());
    s.ask(again, got.handler());
    REQUIRE(source.calls.size() == 2);
    CHECK(source.calls[1].first.refused_token == secret("stale"));
    // A fresh one is good for everybody.
    source.calls[0].second(with_token("stale"));
    s.ask(first, got.handler());
    s.ask(again, got.handler());
    CHECK(source.calls.size() == 2);
    source.calls[1].second(with_token("fresh"));
    REQUIRE(got.all.size() == 4);
    CHECK(got.all[0].credentials.token == secret("stale"));
    for (std::size_t i = 1; i < 4; ++i) CHECK(got.all[i].credentials.token == secret("fresh"));
}

TEST_CASE("OAuth: who was refused one token does not wait for what takes the place of another") {
    answers got;  // outlives what may still answer
    asked source;
    const auto s = source.source();
    const credentials_request later{.server = first.server, .refused_token = secret("fresh")};
    s.ask(again, got.handler());
    s.ask(later, got.handler());
    s.ask(first, got.handler());
    REQUIRE(source.calls.size() == 2);
    source.calls[0].second(with_token("fresh"));
    source.calls[1].second(with_token("fresher"));
    REQUIRE(got.all.size() == 3);
    CHECK(got.all[1].credentials.token == secret("fresh"));
    CHECK(got.all[2].credentials.token == secret("fresher"));
}

TEST_CASE("a second answer does nothing") {
    answers got;  // outlives what may still answer
    asked source;
    const auto s = source.source();
    s.ask(first, got.handler());
    source.calls[0].second(with_token("a"));
    s.ask(first, got.handler());
    source.calls[0].second(with_token("b"));
    CHECK(got.all.size() == 1);
}

TEST_CASE("a handler that is dropped is an answer, and frees the next question") {
    answers got;  // outlives what may still answer
    asked source;
    const auto s = source.source();
    s.ask(first, got.handler());
    s.ask(first, got.handler());
    source.calls.clear();
    REQUIRE(got.all.size() == 2);
    CHECK(got.all[0].error == errc::credentials_unavailable);
    s.ask(first, got.handler());
    CHECK(source.calls.size() == 1);
}

TEST_CASE("a handler may ask again") {
    int calls = 0;
    const credentials_source s = [&](const credentials_request&) {
        ++calls;
        return credentials{};
    };
    bool done = false;
    s.ask(first, [&](const credentials_answer&) { s.ask(first, [&](const credentials_answer&) { done = true; }); });
    CHECK(calls == 2);
    CHECK(done);
}

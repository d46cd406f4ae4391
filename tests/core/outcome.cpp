#include <doctest/doctest.h>

#include <postroad/core/endpoint.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/core/secret.hpp>

#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

using namespace postroad;
using namespace std::string_literals;

namespace {

outcome with(std::vector<status> statuses) {
    outcome o;
    for (const auto s : statuses)
        o.recipients.push_back({.address = "r" + std::to_string(o.recipients.size()) + "@x.example", .status = s});
    return o;
}

template <class T>
concept printable = requires(std::ostream& out, const T& t) {
    out << t;
};

}  // namespace

TEST_CASE("an outcome answers for all recipients, and not for none") {
    using enum status;
    CHECK(with({accepted, accepted}).all_accepted());
    CHECK_FALSE(with({accepted, deferred}).all_accepted());
    CHECK_FALSE(with({}).all_accepted());
    CHECK_FALSE(with({}).all_are(rejected));
    CHECK(with({accepted, deferred}).any_are(deferred));
    CHECK_FALSE(with({accepted, deferred}).any_are(rejected));
    CHECK_FALSE(with({}).any_are(accepted));
}

TEST_CASE("require_accepted throws what the worst recipient deserves") {
    using enum status;
    struct row {
        std::vector<status> statuses;
        errc code;
    };
    const row rows[] = {
        {{accepted, rejected}, errc::recipients_rejected}, {{deferred, rejected}, errc::recipients_rejected},
        {{in_doubt, rejected}, errc::recipients_rejected}, {{in_doubt, deferred}, errc::in_doubt},
        {{accepted, deferred}, errc::recipients_deferred}, {{not_attempted}, errc::recipients_deferred},
    };
    with({accepted}).require_accepted();
    for (const auto& r : rows) {
        CAPTURE(to_string(r.code));
        const auto o = with(r.statuses);
        try {
            o.require_accepted();
            FAIL("nothing was thrown");
        } catch (const not_accepted& e) {
            CHECK(e.code() == r.code);
            CHECK(e.result().recipients == o.recipients);
        }
    }
}

TEST_CASE("the text of a refusal names each recipient that was not accepted, and is bounded") {
    auto o = with({status::accepted, status::rejected, status::deferred});
    o.recipients[1].reply = {.code = 550, .enhanced = {5, 1, 1}, .text = "no such\nuser"};
    CHECK(not_accepted(o).what() == "r1@x.example rejected 550 5.1.1 no such\\x0auser; r2@x.example deferred"s);
    CHECK(not_accepted(with({})).what() == "the message has no recipient"s);
    CHECK(std::string(not_accepted(with(std::vector<status>(10'000, status::rejected))).what()).size() < 600);
}

TEST_CASE("replies are classed by their first digit and printed with their enhanced code") {
    CHECK(reply{.code = 250}.positive());
    CHECK(reply{.code = 354}.positive());
    CHECK(reply{.code = 400}.transient());
    CHECK(reply{.code = 499}.transient());
    CHECK(reply{.code = 500}.permanent());
    CHECK_FALSE(reply{}.positive());
    CHECK_FALSE(reply{}.transient());
    CHECK_FALSE(reply{}.permanent());
    CHECK(to_string(reply{}) == "");
    CHECK(to_string(reply{.code = 250}) == "250");
    CHECK(to_string(reply{.code = 450, .enhanced = {4, 2, 1}, .text = "busy"}) == "450 4.2.1 busy");
    CHECK(to_string(enhanced_code{5, 7, 100}) == "5.7.100");
    CHECK_FALSE(enhanced_code{});
}

TEST_CASE("a secret shows itself only when it is asked to, and is gone when it was moved") {
    static_assert(!std::is_convertible_v<secret, std::string> && !std::is_convertible_v<secret, std::string_view>);
    static_assert(!std::is_convertible_v<std::string, secret>);
    static_assert(!printable<secret>);
    secret s("hunter2");
    CHECK(s.reveal() == "hunter2");
    secret copy = s;
    CHECK(copy == s);
    const secret moved = std::move(s);
    CHECK(moved.reveal() == "hunter2");
    CHECK(s.empty());  // NOLINT(bugprone-use-after-move)
    copy = secret("other");
    CHECK(copy.reveal() == "other");
    CHECK_FALSE(copy == moved);
    CHECK(secret().empty());
}

TEST_CASE("a secret that was moved from leaves nothing in its memory") {
    secret inside("short");
    const volatile char* place = inside.reveal().data();
    const secret moved = std::move(inside);
    for (int i = 0; i < 5; ++i) CHECK(place[i] == 0);
}

TEST_CASE("an endpoint is printed so that its port can be told from its address") {
    CHECK(to_string(endpoint{.name = "mail.example", .port = 587}) == "mail.example:587");
    CHECK(to_string(endpoint{.name = "192.0.2.1", .port = 25}) == "192.0.2.1:25");
    CHECK(to_string(endpoint{.name = "2001:db8::1", .port = 465}) == "[2001:db8::1]:465");
    CHECK(to_string(endpoint{.name = "/run/lmtp", .protocol = protocol::lmtp}) == "/run/lmtp");
    CHECK(endpoint{.name = "a", .port = 1} < endpoint{.name = "a", .port = 2});
    CHECK(endpoint{.name = "a", .security = security::implicit} != endpoint{.name = "a"});
}

// The code of docs/troubleshooting.md.
#include <doctest/doctest.h>

#include <postroad/core/transcript.hpp>
#include <postroad/postroad.hpp>
#include <postroad/smtp/advice.hpp>
#include <postroad/testing/sink.hpp>

#include <atomic>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>

namespace {

postroad::message invoice() {
    return postroad::message{}.from("ann@a.example").to("bob@b.example").subject("Your invoice").text("Hello");
}

//[own_observer
/// Counts messages that somebody refused.
class refusals final : public postroad::observer {
public:
    void on(const postroad::observation& o) noexcept override {
        if (o.what == postroad::observed::outcome && o.result == postroad::status::rejected) ++count;
    }
    std::atomic<int> count = 0;
};
//]

}  // namespace

TEST_CASE("docs: a transcript") {
    const postroad::testing::sink server;
    postroad::mailer mail{server.url()};
    std::ostringstream out;

    //[watch
    const auto seen = std::make_shared<postroad::transcript>();
    mail.observe(seen);
    mail.send(invoice()).require_accepted();
    out << seen->text();
    //]

    CHECK(out.str().find("[1] C: MAIL FROM:<ann@a.example>") != std::string::npos);
}

TEST_CASE("docs: advice on an error") {
    const postroad::testing::sink server({.faults = {postroad::testing::fault::reply(
                                              postroad::phase::greeting, "554 5.7.1 listed at zen.spamhaus.org")}});
    postroad::mailer mail{server.url()};
    try {
        mail.send(invoice()).require_accepted();
        FAIL("accepted");
    } catch (const postroad::error& e) {
        //[advice
        const auto text = postroad::smtp::advise(postroad::smtp::situation_of(e.code(), e.details()));
        //]
        CHECK(text ==
              "This address, or a domain in the message, is on a block list. Look which, and have it taken off.");
    }
}

TEST_CASE("docs: lines of JSON, and an observer of one's own") {
    const postroad::testing::sink server(
        {.faults = {postroad::testing::fault::reply(postroad::phase::rcpt, "550 5.1.1 nobody")}});
    std::ostringstream log;
    {
        postroad::mailer mail{server.url()};

        //[json
        mail.observe(std::make_shared<postroad::json_lines>([&log](std::string_view line) { log << line << '\n'; },
                                                            postroad::json_lines_options{.redact_addresses = true}));
        //]

        const auto o = mail.send(invoice());
        CHECK(o.all_are(postroad::status::rejected));
    }
    CHECK(log.str().find(R"("what":"outcome")") != std::string::npos);
    CHECK(log.str().find("bob@") == std::string::npos);

    postroad::mailer mail{server.url()};
    const auto refused = std::make_shared<refusals>();
    //[observers
    const auto all = std::make_shared<postroad::observers>();
    all->add(std::make_shared<postroad::transcript>());
    all->add(refused);
    mail.observe(all);
    //]
    (void)mail.send(invoice());
    CHECK(refused->count == 0);
}

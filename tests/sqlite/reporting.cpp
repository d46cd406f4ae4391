// Reports about what waited in a file: one, also when the process dies between the report and the end of the message.
#include <postroad/message/delivery_report.hpp>
#include <postroad/postroad.hpp>
#include <postroad/queueing/sqlite.hpp>
#include <postroad/testing/sink.hpp>

#include "scratch_folder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <utility>

using namespace postroad;
using namespace std::chrono_literals;
using testing::sink;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

std::size_t reports_at(const sink& s) {
    std::size_t n = 0;
    for (const auto& m : s.messages()) n += m.reverse_path.empty() ? 1 : 0;
    return n;
}

// A queue that does not know, once, that a message is over, as where the process dies before that is stored.
struct dying : queueing::sqlite {
    using queueing::sqlite::sqlite;
    bool died = false;
    void settle(const job& j) {
        if (j.result.any_are(status::rejected) && !std::exchange(died, true))
            release({.id = j.id, .mail = j.mail});
        else
            queueing::sqlite::settle(j);
    }
};

}  // namespace

TEST_CASE("a message that failed is kept, and its sender told") {
    const scratch_folder folder;
    const auto file = (folder.path / "queue.db").string();
    sink s({.faults = {{.at = phase::rcpt, .nth = 0, .match = "bob", .send = "550 5.1.1 no such user\r\n"}}});
    {
        mailer mail{transport::smtp{s.url()}, queueing::sqlite(file)};
        mail.report_failures({.reporting_mta = "mx.example.com"});
        (void)mail.send(hello());
        mail.shutdown();
        CHECK(s.wait_for(1, 30s));
    }
    CHECK(reports_at(s) == 1);
    queueing::sqlite after({.path = file, .submit_only = true});
    queueing::queue_counts counts;
    after.count(clock::now(), counts);
    CHECK(counts.of(queueing::job_state::failed) == 1);
    CHECK(counts.total() == 0);
}

TEST_CASE("what is given up while it waits is reported while the file still has it") {
    for (const auto& kept : {queueing::sqlite_options{.kept = 0s},
                             queueing::sqlite_options{.kept_content = queueing::kept_content::nothing}}) {
        const scratch_folder folder;
        auto o = kept;
        o.path = (folder.path / "queue.db").string();
        // Too much to be kept in memory as well.
        const auto attached = folder.path / "attached";
        std::ofstream(attached) << std::string(100'000, 'x');
        sink s;
        mailer mail{transport::smtp{s.url()}, queueing::sqlite(o)};
        mail.report_failures({.reporting_mta = "mx.example.com"});
        error_code ec;
        (void)mail.send(hello().attach(attached), {.delay = 1h, .give_up_after = 100ms}, ec);
        CHECK(ec == errc::timed_out);
        CHECK(s.wait_for(1, 30s));
        mail.shutdown();
        REQUIRE(s.messages().size() == 1);
        CHECK(reports_at(s) == 1);
        CHECK(s.messages()[0].content.find("Subject: Hello") != std::string::npos);
    }
}

TEST_CASE("a message that is tried anew after a crash is reported once") {
    const scratch_folder folder;
    sink s({.faults = {{.at = phase::rcpt, .nth = 0, .match = "bob", .send = "550 5.1.1 no such user\r\n"}}});
    mailer mail{transport::smtp{s.url()}, dying((folder.path / "queue.db").string())};
    mail.report_failures({.reporting_mta = "mx.example.com"});
    (void)mail.send(hello());
    mail.shutdown();
    CHECK(std::ranges::count(s.state().commands(), "RCPT TO:<bob@example.org>") == 2);
    CHECK(reports_at(s) == 1);
    CHECK(s.messages().size() == 1);
}

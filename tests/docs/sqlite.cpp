// The code of docs/queueing.md that needs SQLite.
#if __has_include(<sqlite3.h>)
#include <postroad/postroad.hpp>
#include <postroad/queueing/sqlite.hpp>
#include <postroad/queueing/sqlite_journal.hpp>

#include <vector>

namespace {

postroad::message invoice() {
    return postroad::message{}.from("ann@a.example").to("bob@b.example").subject("Your invoice").text("Hello Bob");
}

}  // namespace

void queue_in_a_file() {
    //[use_sqlite
    postroad::mailer mail{postroad::transport::smtp{"smtp://relay.example.com"},
                          postroad::queueing::sqlite{"outbox.db"},
                          postroad::scheduling::fair{.in_doubt = postroad::scheduling::park{}}};
    mail.submit(invoice(), {.idempotency_key = "order 17"});
    //]
}

template <class Mailer, class Print>
void try_again(Mailer& mail, Print print) {
    //[failed_sqlite
    const auto refused = postroad::queueing::job_state::failed;
    for (const auto& j : mail.jobs({.state = refused})) print(j);  // j.error: "550 5.1.1 no such user"
    mail.retry_now({.state = refused, .domain = "example.org"});
    //]
}

template <class Print>
void look_back(Print print) {
    //[journal_sqlite
    const postroad::queueing::sqlite_journal journal{"outbox.db"};
    const postroad::queueing::journal_filter which{.recipient = "bob@example.org",
                                                   .status = postroad::status::rejected};
    auto page = journal.find(which);
    for (const auto& e : page.entries) print(e);  // the last first, 100 of them
    if (page.next != 0) page = journal.find(which, 100, page.next);
    //]
}

void look_after_a_file() {
    //[look_after_sqlite
    postroad::queueing::sqlite outbox{{.path = "outbox.db", .submit_only = true}};
    std::vector<postroad::queueing::job_info> parked;
    const auto now = postroad::clock::now();
    outbox.list({.state = postroad::queueing::job_state::in_doubt}, 100, now, parked);
    for (const auto& j : parked) outbox.retry_now({.id = j.id}, now);
    //]
}
#endif

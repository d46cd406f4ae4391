// The processes of the crash suite; check.py starts them and kills some.
//
//   sink                          a mail server that refuses refused@; says its port, then, for each line it reads,
//   what
//                                 arrived: Message-IDs, and report: with that of the message for a report
//   send FILE PORT RULE LOG NAME  submits and sends without end, with reports to senders and a list of suppressed
//                                 addresses, and forks children that live on and submit by mailers of their own;
//                                 LOG.accepted: what submit() took, LOG.doubt: what was being sent when the last
//                                 process died
//   drain FILE PORT RULE LOG      sends what is due, and ends
//   list FILE STATE               the Message-IDs of jobs in that state
//   over FILE                     the Message-IDs in the journal
//   retry FILE ID, drop FILE ID   one that is in doubt, or held
//   forget FILE                   drops the reports that are in doubt, and says how many
#include <postroad/postroad.hpp>
#include <postroad/queueing/sqlite.hpp>
#include <postroad/queueing/sqlite_journal.hpp>
#include <postroad/queueing/suppression_sqlite.hpp>
#include <postroad/testing/sink.hpp>

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace queueing = postroad::queueing;
namespace scheduling = postroad::scheduling;

namespace {

/// Lines that are whole although the process may be killed.
class log_file {
public:
    explicit log_file(const std::string& path) : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600)) {}
    log_file(const log_file&) = delete;
    log_file& operator=(const log_file&) = delete;
    ~log_file() { ::close(fd_); }
    void add(std::string line) {
        line += '\n';
        if (::write(fd_, line.data(), line.size()) != static_cast<::ssize_t>(line.size())) std::abort();
    }

private:
    int fd_;
};

int serve() {
    postroad::testing::sink sink(
        {.pipelining = true,
         .chunking = true,
         .delay = 4ms,
         .faults = {
             {.at = postroad::phase::rcpt, .nth = 0, .match = "refused@", .send = "550 5.1.1 no such user\r\n"}}});
    std::cout << sink.port() << std::endl;
    std::string line;
    while (std::getline(std::cin, line)) {
        const auto all = sink.messages();
        for (const auto& m : all) {
            // Of a report: the one of the message that it returns.
            const bool is_report = m.reverse_path.empty();
            const auto from = m.content.rfind("Message-ID: <") + 13;
            std::cout << (is_report ? "report:" : "") << m.content.substr(from, m.content.find('>', from) - from)
                      << '\n';
            if (std::ranges::any_of(m.recipients, [](const std::string& r) { return r.starts_with("never@"); }))
                std::cout << "violation: sent to a suppressed address\n";
        }
        for (const auto& v : sink.violations()) std::cout << "violation: " << v << '\n';
        std::cout << "end" << std::endl;
    }
    return 0;
}

postroad::mail_object mail(const std::string& id) {
    postroad::mail_object m;
    m.envelope.reverse_path = postroad::address("a@x.example");
    const bool is_refused = id.ends_with("refused");
    m.envelope.recipients.push_back(postroad::address(is_refused ? "refused@y.example" : "b@y.example"));
    if (id.ends_with("7")) m.envelope.recipients.push_back(postroad::address("never@y.example"));
    m.content = postroad::content::from_text("Message-ID: <" + id + ">\r\n\r\n" + std::string(id.size() * 100, 'x'));
    return m;
}

/// What a child does that lives on when its parent is killed: it holds what it inherited, and some submit.
[[noreturn]] void live_on(const std::string& file, log_file& accepted, const std::string& name, int n) {
    ::alarm(3);
    try {
        if (n % 2 == 0) {
            postroad::mailer mailer{postroad::transport::smtp{"smtp+insecure://localhost:1"},
                                    queueing::sqlite{{.path = file, .submit_only = true}}};
            for (int i = 0; i < 3; ++i) {
                const auto id = name + ".child" + std::to_string(n) + "." + std::to_string(i);
                (void)mailer.submit(mail(id), {.tag = id});
                accepted.add(id);
            }
            for (;;) ::pause();
        }
    } catch (const std::exception& e) {
        std::cerr << "a child: " << e.what() << std::endl;
    }
    for (;;) ::pause();
}

std::vector<queueing::job_info> jobs_of(queueing::sqlite& q, queueing::job_filter which) {
    std::vector<queueing::job_info> out;
    q.list(which, 1'000'000, postroad::clock::now(), out);
    return out;
}

int send(const std::string& file, const std::string& port, const std::string& rule, const std::string& log,
         const std::string& name) {
    log_file accepted(log + ".accepted");
    std::size_t capacity = 300;  // more than what is parked already
    {
        log_file doubt(log + ".doubt");
        queueing::sqlite before(queueing::sqlite_options{.path = file, .submit_only = true});
        for (const auto& j : jobs_of(before, {.state = queueing::job_state::sending}))
            doubt.add(j.tag.empty() ? "report" : j.tag);
        capacity += jobs_of(before, {.state = queueing::job_state::in_doubt}).size();
    }
    scheduling::doubt_rule in_doubt = scheduling::park{};
    if (rule == "retry") in_doubt = scheduling::retry_after{.wait = 0s, .times = 1000};
    postroad::mailer mailer{
        postroad::transport::smtp{"smtp+insecure://localhost:" + port},
        postroad::pooling::keep_alive{.max_connections = 4},
        queueing::sqlite{{.path = file, .capacity = capacity, .when_full = queueing::when_full::wait}},
        scheduling::fifo{.retry = {.attempts = 100, .first_wait = 0s}, .in_doubt = in_doubt}};
    const auto suppressed = std::make_shared<postroad::suppression::sqlite>(log + ".suppressed");
    const std::vector<postroad::suppression::entry> never{{.address = postroad::address("never@y.example")}};
    suppressed->add(never, postroad::suppression::time());
    mailer.suppress_by(suppressed);
    mailer.report_failures({.reporting_mta = "mx.example.com"});
    std::cout << "started" << std::endl;
    if (name.empty()) {
        mailer.shutdown(10min);
        return 0;
    }
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0;; ++i) {
                const auto id =
                    name + "." + std::to_string(t) + "." + std::to_string(i) + (i % 10 == 4 ? ".refused" : "");
                (void)mailer.submit(mail(id), {.tag = id});
                accepted.add(id);
            }
        });
    std::signal(SIGCHLD, SIG_IGN);
    for (int n = 0;; ++n) {
        std::this_thread::sleep_for(40ms);
        if (::fork() == 0) live_on(file, accepted, name, n);
    }
}

int look_back(const std::string& file) {
    const queueing::sqlite_journal journal(file);
    std::int64_t from = 0;
    do {
        const auto page = journal.find({}, 1000, from);
        for (const auto& e : page.entries) std::cout << e.message_id << '\n';
        from = page.next;
    } while (from != 0);
    return 0;
}

int look_after(const std::string& what, const std::string& file, const std::string& which) {
    queueing::sqlite q(queueing::sqlite_options{.path = file, .submit_only = true});
    const auto now = postroad::clock::now();
    if (what == "forget") {
        std::size_t n = 0;
        for (const auto& j : jobs_of(q, {.state = queueing::job_state::in_doubt}))
            if (j.tag.empty()) n += q.drop({.id = j.id}, now).size();
        std::cout << n << '\n';
        return 0;
    }
    if (what == "retry") return q.retry_now({.tag = which}, now) == 1 ? 0 : 1;
    if (what == "drop") return q.drop({.tag = which}, now).size() == 1 ? 0 : 1;
    queueing::job_filter of;
    if (which == "failed") of.state = queueing::job_state::failed;
    for (const auto& j : jobs_of(q, of))
        if (to_string(j.state) == which) std::cout << j.tag << '\n';
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    try {
        if (words.size() == 1 && words[0] == "sink") return serve();
        if (words.size() == 6 && words[0] == "send") return send(words[1], words[2], words[3], words[4], words[5]);
        if (words.size() == 5 && words[0] == "drain") return send(words[1], words[2], words[3], words[4], "");
        if (words.size() == 2 && words[0] == "over") return look_back(words[1]);
        if (words.size() == 2 && words[0] == "forget") return look_after(words[0], words[1], "");
        if (words.size() == 3) return look_after(words[0], words[1], words[2]);
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
    return 2;
}

// The processes of the crash suite; check.py starts them and kills some.
//
//   sink                          a mail server; says its port, then, for each line it reads, what arrived: Message-IDs
//   send FILE PORT RULE LOG NAME  submits and sends without end; LOG.accepted: what submit() took, LOG.doubt: what was
//                                 being sent when the last process died
//   drain FILE PORT RULE LOG      sends what is due, and ends
//   list FILE STATE               the Message-IDs of jobs in that state
//   retry FILE ID, drop FILE ID   one that is in doubt, or held
#include <postroad/postroad.hpp>
#include <postroad/queueing/sqlite.hpp>
#include <postroad/testing/sink.hpp>

#include <fcntl.h>
#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <iostream>
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
    postroad::testing::sink sink({.pipelining = true, .chunking = true, .delay = 4ms});
    std::cout << sink.port() << std::endl;
    std::string line;
    while (std::getline(std::cin, line)) {
        const auto all = sink.messages();
        for (const auto& m : all) {
            const auto from = m.content.find("Message-ID: <") + 13;
            std::cout << m.content.substr(from, m.content.find('>') - from) << '\n';
        }
        for (const auto& v : sink.violations()) std::cout << "violation: " << v << '\n';
        std::cout << "end" << std::endl;
    }
    return 0;
}

postroad::mail_object mail(const std::string& id) {
    postroad::mail_object m;
    m.envelope.reverse_path = postroad::address("a@x.example");
    m.envelope.recipients.push_back(postroad::address("b@y.example"));
    m.content = postroad::content::from_text("Message-ID: <" + id + ">\r\n\r\n" + std::string(id.size() * 100, 'x'));
    return m;
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
        for (const auto& j : jobs_of(before, {.state = queueing::job_state::sending})) doubt.add(j.tag);
        capacity += jobs_of(before, {.state = queueing::job_state::in_doubt}).size();
    }
    scheduling::doubt_rule in_doubt = scheduling::park{};
    if (rule == "retry") in_doubt = scheduling::retry_after{.wait = 0s, .times = 1000};
    postroad::mailer mailer{
        postroad::transport::smtp{"smtp+insecure://localhost:" + port},
        postroad::pooling::keep_alive{.max_connections = 4},
        queueing::sqlite{{.path = file, .capacity = capacity, .when_full = queueing::when_full::wait}},
        scheduling::fifo{.retry = {.attempts = 100, .first_wait = 0s}, .in_doubt = in_doubt}};
    std::cout << "started" << std::endl;
    if (name.empty()) {
        mailer.shutdown(10min);
        return 0;
    }
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0;; ++i) {
                const auto id = name + "." + std::to_string(t) + "." + std::to_string(i);
                (void)mailer.submit(mail(id), {.tag = id});
                accepted.add(id);
            }
        });
    for (auto& t : threads) t.join();
    return 0;
}

int look_after(const std::string& what, const std::string& file, const std::string& which) {
    queueing::sqlite q(queueing::sqlite_options{.path = file, .submit_only = true});
    const auto now = postroad::clock::now();
    if (what == "retry") return q.retry_now({.tag = which}, now) == 1 ? 0 : 1;
    if (what == "drop") return q.drop({.tag = which}, now).size() == 1 ? 0 : 1;
    for (const auto& j : jobs_of(q, {}))
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
        if (words.size() == 3) return look_after(words[0], words[1], words[2]);
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
    return 2;
}

// One process of those that share a queue at a broker.
//
//   amqp_worker send BROKER NAME SMTP_PORT [--as WORD] [--doubt park] [--prefetch N] [--per-destination N]
//       [--connections N] [--shards N] [--ca FILE]
//   amqp_worker submit BROKER NAME FIRST COUNT DOMAINS [--shards N] [--wait]
//   amqp_worker count BROKER NAME
//
// `send` sends what is queued to 127.0.0.1:SMTP_PORT, as WORD.test and a destination for each domain, until SIGTERM,
// and then shows on stderr what it did last; with `doubt N` it says of which message it is in doubt, by the number in
// the reverse path, before it sends it again. `submit` queues numbered messages, to domains in turn, and says
// `queued N` once the broker has each; with --wait, `outcome N STATUS`, too. `count` says how many jobs are in which
// state.
#include <postroad/core/transcript.hpp>
#include <postroad/postroad.hpp>
#include <postroad/queueing/amqp.hpp>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace postroad;
using namespace std::chrono_literals;

/// Everything goes to one server, and still each domain is a destination.
class by_domain : public transport::smtp {
public:
    using transport::smtp::smtp;
    std::string_view route(const envelope& e) const noexcept { return e.recipients.front().domain(); }
    std::vector<endpoint> hosts(const std::string&) const { return {options().server}; }
};
static_assert(transport::transport_policy<by_domain>);

unsigned number(std::string_view text) {
    unsigned n = 0;
    std::from_chars(text.data(), text.data() + text.size(), n);
    return n;
}

void say(std::string_view what, std::string_view of, std::string_view rest = {}) {
    std::string line(what);
    for (const auto word : {of, rest})
        if (!word.empty()) (line += ' ') += word;
    std::puts(line.c_str());
    std::fflush(stdout);
}

struct arguments {
    std::vector<std::string> words = {};
    std::map<std::string, std::string> options = {};

    arguments(int argc, char** argv) {
        for (int i = 1; i < argc; ++i) {
            const std::string word = argv[i];
            if (word == "--wait")
                options[word] = "yes";
            else if (word.starts_with("--") && i + 1 < argc)
                options[word] = argv[++i];
            else
                words.push_back(word);
        }
    }
    std::string option(const std::string& name, const std::string& otherwise) const {
        const auto found = options.find(name);
        return found == options.end() ? otherwise : found->second;
    }
};

queueing::amqp_options queue_options(const arguments& a) {
    return {.url = a.words.at(1),
            .ca_file = a.option("--ca", ""),
            .name = a.words.at(2),
            .shards = number(a.option("--shards", "4")),
            .prefetch = static_cast<std::uint16_t>(number(a.option("--prefetch", "64"))),
            .when_full = queueing::when_full::wait,
            .patience = 60s,
            .heartbeat = 2s};
}

int send(const arguments& a) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    scheduling::fair fair{.per_destination = number(a.option("--per-destination", "4"))};
    if (a.option("--doubt", "") == "park")
        fair.in_doubt = scheduling::park{};
    else
        fair.in_doubt = scheduling::ask{[](const job& j, time_point now) {
            say("doubt", j.mail->envelope.reverse_path.local().substr(1));
            return verdict{verdict::kind::retry, now + 200ms};
        }};
    auto& retry = fair.retry;
    retry.unreachable = retry.greylisted = retry.busy = retry.full = retry.unknown = 500ms;
    auto to = transport::smtp("smtp+insecure://127.0.0.1:" + a.words.at(3)).options();
    to.client_name = a.option("--as", "worker") + ".test";
    mailer m{by_domain(std::move(to)), pooling::keep_alive{.max_connections = number(a.option("--connections", "4"))},
             queueing::amqp{queue_options(a)}, std::move(fair)};
    const auto log = std::make_shared<transcript>();
    m.observe(log);
    say("ready", "to send");
    int signal = 0;
    sigwait(&ends, &signal);
    m.shutdown(5s);
    std::fputs(log->text().c_str(), stderr);
    return 0;
}

int submit(const arguments& a) {
    auto options = queue_options(a);
    options.role = queueing::amqp_role::submits;
    mailer m{by_domain("smtp+insecure://127.0.0.1:1"), queueing::amqp{options}};
    const auto first = number(a.words.at(3)), count = number(a.words.at(4)), domains = number(a.words.at(5));
    std::vector<std::thread> threads;
    const bool waits = a.options.contains("--wait");
    for (unsigned t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            for (auto n = first + t; n < first + count; n += 8) {
                const auto id = std::to_string(n);
                message msg;
                msg.from("n" + id + "@example.test").to("to@d" + std::to_string(n % domains) + ".test");
                msg.subject("number " + id).text("Message " + id + ".\n");
                try {
                    auto ticket = m.submit(msg);
                    say("queued", id);
                    if (waits) say("outcome", id, to_string(ticket.wait().recipients.at(0).status));
                } catch (const error& e) {
                    say("failed", id, e.what());
                }
            }
        });
    for (auto& t : threads) t.join();
    m.shutdown(0s);
    return 0;
}

int count(const arguments& a) {
    auto options = queue_options(a);
    options.role = queueing::amqp_role::submits;
    mailer m{by_domain("smtp+insecure://127.0.0.1:1"), queueing::amqp{options}};
    const auto counts = m.count();
    for (std::size_t s = 0; s < queueing::job_states; ++s)
        say(to_string(static_cast<queueing::job_state>(s)), std::to_string(counts.by_state[s]));
    return 0;
}

}  // namespace

int main(int argc, char** argv) try {
    const arguments a(argc, argv);
    if (a.words.size() == 4 && a.words[0] == "send") return send(a);
    if (a.words.size() == 6 && a.words[0] == "submit") return submit(a);
    if (a.words.size() == 3 && a.words[0] == "count") return count(a);
    std::fputs("usage: see the head of amqp_worker.cpp\n", stderr);
    return 2;
} catch (const std::exception& e) {
    std::fprintf(stderr, "amqp_worker: %s\n", e.what());
    return 1;
}

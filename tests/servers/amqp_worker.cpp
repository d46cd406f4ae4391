// One process of those that share a queue at a broker.
//
//   amqp_worker send BROKER NAME SMTP_PORT [--as WORD] [--doubt park] [--prefetch N] [--per-destination N]
//       [--connections N] [--shards N] [--ca FILE] [--each] [--kept SECONDS] [--heartbeat SECONDS]
//   amqp_worker submit BROKER NAME FIRST COUNT DOMAINS [--shards N] [--patience MS] [--each] [--wait] [--asks]
//       [--octets N] [--give-up MS]
//   amqp_worker count BROKER NAME
//   amqp_worker list BROKER NAME STATE [--most N] [--asks]
//   amqp_worker retry BROKER NAME STATE [--most N]
//   amqp_worker drop BROKER NAME STATE [--most N]
//
// `send` sends what is queued to 127.0.0.1:SMTP_PORT, as WORD.test and a destination for each domain, until SIGTERM,
// and then shows on stderr what it did last; SIGUSR1 drops all that waits; with `doubt N DOMAIN` it says of which
// message it is in doubt, by the number in the reverse path, before it sends it again; with --each every recipient is
// routed, so that messages are divided. `submit` queues numbered messages, to domains in turn, with --each to all of
// them and to two of the first, and says `queued N` once the broker has each, or `failed N WHY`; with --wait, `outcome
// N STATUS`, too; with --asks it is connected first and waits for a line; with --octets a message has so many more, and
// with --give-up so long. `count` says how many jobs are in which state, `list` the numbers of those in one: `job N
// ATTEMPTS ERROR`, N being 0 for what is no mail; with --asks it lists them again for each line, and says `listed
// COUNT`. `retry` and `drop` list them, and let them go one by one, by id; they say `retried N`, `dropped N`.
#include <postroad/core/transcript.hpp>
#include <postroad/postroad.hpp>
#include <postroad/queueing/amqp.hpp>

#include <algorithm>
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

/// The same for each recipient.
class by_recipient : public by_domain {
public:
    using by_domain::by_domain;
    std::string_view route(const envelope&, const address& to) const noexcept { return to.domain(); }
};
static_assert(transport::transport_policy<by_recipient> && transport::routes_recipients<by_recipient>);

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
            if (word == "--wait" || word == "--each" || word == "--asks")
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
            .patience = std::chrono::milliseconds(number(a.option("--patience", "60000"))),
            .heartbeat = std::chrono::seconds(number(a.option("--heartbeat", "10"))),
            .kept = std::chrono::seconds(number(a.option("--kept", "2592000")))};
}

template <class Transport>
int send(const arguments& a) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    scheduling::fair fair{.per_destination = number(a.option("--per-destination", "4"))};
    if (a.option("--doubt", "") == "park")
        fair.in_doubt = scheduling::park{};
    else
        fair.in_doubt = scheduling::ask{[](const job& j, time_point now) {
            const auto& e = j.mail->envelope;
            say("doubt", e.reverse_path.local().substr(1), e.recipients.front().domain());
            return verdict{verdict::kind::retry, now + 200ms};
        }};
    auto& retry = fair.retry;
    retry.unreachable = retry.greylisted = retry.busy = retry.full = retry.unknown = 500ms;
    auto to = transport::smtp("smtp+insecure://127.0.0.1:" + a.words.at(3)).options();
    to.client_name = a.option("--as", "worker") + ".test";
    mailer m{Transport(std::move(to)), pooling::keep_alive{.max_connections = number(a.option("--connections", "4"))},
             queueing::amqp{queue_options(a)}, std::move(fair)};
    const auto log = std::make_shared<transcript>();
    m.observe(log);
    say("ready", "to send");
    int signal = 0;
    while (sigwait(&ends, &signal) == 0 && signal == SIGUSR1) (void)m.drop({});
    m.shutdown(5s);
    std::fputs(log->text().c_str(), stderr);
    return 0;
}

int submit(const arguments& a) {
    auto options = queue_options(a);
    options.role = queueing::amqp_role::submits;
    mailer m{by_domain("smtp+insecure://127.0.0.1:1"), queueing::amqp{options}};
    const auto first = number(a.words.at(3)), count = number(a.words.at(4)), domains = number(a.words.at(5));
    if (a.options.contains("--asks")) {
        say("ready", "to submit");
        (void)std::getchar();
    }
    std::vector<std::thread> threads;
    const bool waits = a.options.contains("--wait");
    for (unsigned t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            for (auto n = first + t; n < first + count; n += 8) {
                const auto id = std::to_string(n);
                message msg;
                msg.from("n" + id + "@example.test").to("to@d" + std::to_string(n % domains) + ".test");
                if (a.options.contains("--each")) {
                    for (unsigned d = 1; d < domains; ++d) msg.to("to@d" + std::to_string((n + d) % domains) + ".test");
                    msg.to("too@d" + std::to_string(n % domains) + ".test");
                }
                std::string text = "Message " + id + ".\n";
                for (auto left = number(a.option("--octets", "0")); left > 0; left -= std::min(left, 70U))
                    text += std::string(std::min(left, 70U) - 1, 'x') + '\n';
                msg.subject("number " + id).text(text);
                const auto give_up = number(a.option("--give-up", "0"));
                try {
                    auto ticket = m.submit(
                        msg, {.give_up_after = give_up > 0 ? std::chrono::milliseconds(give_up) : duration::max()});
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

queueing::amqp looker(const arguments& a) {
    auto options = queue_options(a);
    options.role = queueing::amqp_role::submits;
    return queueing::amqp{options};
}

int count(const arguments& a) {
    auto queue = looker(a);
    queueing::queue_counts counts;
    queue.count(clock::now(), counts);
    for (std::size_t s = 0; s < queueing::job_states; ++s)
        say(to_string(static_cast<queueing::job_state>(s)), std::to_string(counts.by_state[s]));
    return 0;
}

std::vector<queueing::job_info> listed(const queueing::amqp& queue, const arguments& a) {
    std::vector<queueing::job_info> jobs;
    for (std::size_t s = 0; s < queueing::job_states; ++s)
        if (const auto state = static_cast<queueing::job_state>(s); to_string(state) == a.words.at(3))
            queue.list({.state = state}, number(a.option("--most", "1000000")), clock::now(), jobs);
    return jobs;
}

std::string number_of(const queueing::job_info& j) {
    return j.sender.empty() ? "0" : j.sender.substr(1, j.sender.find('@') - 1);
}

int list(const arguments& a) {
    const auto queue = looker(a);
    for (const auto& j : listed(queue, a)) say("job", number_of(j), std::to_string(j.attempts) + " " + j.error);
    if (!a.options.contains("--asks")) return 0;
    do say("listed", std::to_string(listed(queue, a).size()));
    while (std::getchar() != EOF);
    return 0;
}

int retry(const arguments& a) {
    auto queue = looker(a);
    for (const auto& j : listed(queue, a))
        if (queue.retry_now({.id = j.id}, clock::now()) == 1) say("retried", number_of(j));
    return 0;
}

int drop(const arguments& a) {
    auto queue = looker(a);
    for (const auto& j : listed(queue, a))
        if (queue.drop({.id = j.id}, clock::now()).size() == 1) say("dropped", number_of(j));
    return 0;
}

}  // namespace

int main(int argc, char** argv) try {
    const arguments a(argc, argv);
    if (a.words.size() == 4 && a.words[0] == "send")
        return a.options.contains("--each") ? send<by_recipient>(a) : send<by_domain>(a);
    if (a.words.size() == 6 && a.words[0] == "submit") return submit(a);
    if (a.words.size() == 3 && a.words[0] == "count") return count(a);
    if (a.words.size() == 4 && a.words[0] == "list") return list(a);
    if (a.words.size() == 4 && a.words[0] == "retry") return retry(a);
    if (a.words.size() == 4 && a.words[0] == "drop") return drop(a);
    std::fputs("usage: see the head of amqp_worker.cpp\n", stderr);
    return 2;
} catch (const std::exception& e) {
    std::fprintf(stderr, "amqp_worker: %s\n", e.what());
    return 1;
}

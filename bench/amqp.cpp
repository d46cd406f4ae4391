// How many messages a second go through queueing::amqp: queued and confirmed, and given out, marked and settled.
//
//   amqp URL [MESSAGES]
//
// One line of JSON for each confirm window. The queue is new, and of one process; RabbitMQ keeps it.
#include <postroad/message/mail_object.hpp>
#include <postroad/queueing/amqp.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

using namespace postroad;
using namespace std::chrono_literals;

/// Counts, and lets somebody wait.
class counter {
public:
    void add() {
        const std::scoped_lock lock(mutex_);
        ++count_;
        changed_.notify_all();
    }
    void wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return count_ >= count; });
    }
    /// Until it changed since the last time, or a moment has passed.
    void wait() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, 10ms, [&] { return count_ != seen_; });
        seen_ = count_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t count_ = 0;
    std::size_t seen_ = 0;
};

double seconds_since(clock::time_point begin) { return std::chrono::duration<double>(clock::now() - begin).count(); }

void measure(const std::string& url, std::size_t messages, std::size_t window) {
    const auto name = "bench." + std::to_string(clock::now().time_since_epoch().count());
    counter woken, stored;
    std::atomic<std::size_t> failed = 0;
    queueing::amqp q{{.url = url, .name = name, .prefetch = 1000, .window = window, .capacity = messages}};
    const std::string body(2000, 'x');

    auto begin = clock::now();
    for (std::size_t i = 0; i < messages; ++i) {
        auto m = std::make_shared<mail_object>();
        m->envelope.reverse_path = address("ann@example.com");
        m->envelope.recipients = {address("bob@d" + std::to_string(i % 100) + ".example")};
        m->content = content::from_text("Subject: " + std::to_string(i) + "\r\n\r\n" + body + "\r\n");
        job j{.id = i + 1, .mail = std::move(m)};
        j.stored = [&](error_code ec) {
            if (ec) ++failed;
            stored.add();
        };
        if (q.enqueue(j)) ++failed;
    }
    stored.wait_for(messages);
    const auto queued = seconds_since(begin);

    begin = clock::now();
    q.start([&] { woken.add(); });
    std::vector<job> leased;
    std::vector<job_id> marked;
    std::size_t settled = 0;
    while (settled < messages && failed == 0) {
        woken.wait();
        leased.clear();
        q.lease(messages, clock::now(), leased);
        for (const auto& j : leased) q.mark(j.id);
        marked.clear();
        q.marked(marked);
        for (const auto id : marked) {
            job over{.id = id};
            over.result.recipients = {{.address = "bob", .status = status::accepted}};
            q.settle(over);
        }
        settled += marked.size();
    }
    q.stop();
    const auto sent = seconds_since(begin);
    const auto n = static_cast<double>(messages);
    std::printf("{\"window\": %zu, \"messages\": %zu, \"failed\": %zu, \"queued_per_s\": %.0f, \"sent_per_s\": %.0f}\n",
                window, messages, failed.load(), n / queued, n / sent);
    if (failed > 0) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 2) {
        std::fputs("usage: amqp URL [MESSAGES]\n", stderr);
        return 2;
    }
    const auto messages = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 20'000;
    measure(argv[1], std::max(1UL, messages / 10), 1);
    measure(argv[1], messages, 512);
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "amqp: %s\n", e.what());
    return 1;
}

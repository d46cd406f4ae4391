// client.cpp - sends copies of one message by postroad, to be compared with limit.cpp.
//
// Usage:  client --file MESSAGE.eml [options]
//   --host A          server (default 127.0.0.1)
//   --port N          its port (default 2525)
//   --from A --to A   envelope (default sender@example.com, recipient@example.com)
//   --messages N      how many copies to send, one recipient each (default 1000)
//   --connections C   over how many connections at a time (default 1)
//   --mode M          lockstep, envelope, across, window or automatic (default envelope)
//   --window N        transactions in flight per connection in mode window (default 16)
//   --ca FILE         TLS from the first octet, with this certificate to trust
//   --engine E        which library does TLS: mbedtls (default), or openssl with api async and parts memory
//   --api A           how messages are handed over:
//       async   async_send on this program's own io_context, in one thread (default)
//       send    send(), blocking, in as many threads as there are connections
//       submit  submit(), then waiting for the tickets
//   --parts P         with async: memory (the default queue and scheduler), direct (no queue), fair (its scheduler) or
//                     sqlite (a durable queue, in the file that --store names)
//   --in-flight N     with async and submit, handed over and not yet complete (default 4 a connection, in mode
//                     window two windows; at least 64)
//   --count-allocations  also print calls of operator new and aligned_alloc per message
//
// The message is frozen once and shared by all copies. Prints one line of JSON. The times cover everything from the
// construction of the mailer to the last 221. Exit status 1 if a message was not accepted.

#include <postroad/postroad.hpp>
#include <postroad/queueing/direct.hpp>
#include <postroad/scheduling/fair.hpp>
#if __has_include(<sqlite3.h>)
#include <postroad/queueing/sqlite.hpp>
#define WITH_SQLITE
#endif
#ifdef WITH_OPENSSL
#include <postroad/tls/openssl.hpp>
#endif

#include <sys/resource.h>

#include <asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

std::atomic<std::uint64_t> allocations = 0;
bool counting = false;

void* counted(void* p) {
    if (!p) throw std::bad_alloc();
    if (counting) allocations.fetch_add(1, std::memory_order_relaxed);
    return p;
}

}  // namespace

void* operator new(std::size_t n) { return counted(std::malloc(n)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
// What Asio takes its own blocks from.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t n) noexcept {
    void* p = nullptr;
    if (::posix_memalign(&p, std::max(alignment, sizeof(void*)), n) != 0) return nullptr;
    return counted(p);
}

namespace {

struct options {
    std::string file = {};
    std::string host = "127.0.0.1";
    std::string port = "2525";
    std::string from = "sender@example.com";
    std::string to = "recipient@example.com";
    std::uint64_t messages = 1000;
    std::uint64_t connections = 1;
    std::uint64_t in_flight = 0;
    std::uint64_t window = 16;
    std::string ca = {};
    std::string engine = "mbedtls";
    std::string mode = "envelope";
    std::string api = "async";
    std::string parts = "memory";
    std::string store = {};
    bool count_allocations = false;

    std::uint64_t handed_over() const {
        const auto each = mode == "window" || mode == "automatic" ? 2 * window : 4;
        return in_flight ? in_flight : std::max<std::uint64_t>(64, each * connections);
    }
};

[[noreturn]] void usage(std::string_view problem) {
    std::fprintf(stderr, "client: %.*s; see the comment at the top of client.cpp\n", int(problem.size()),
                 problem.data());
    std::exit(2);
}

options parse(int argc, char** argv) {
    options o;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        const auto value = [&]() -> std::string {
            if (i + 1 == argc) usage("a value is missing");
            return argv[++i];
        };
        const auto number = [&] {
            const auto text = value();
            std::uint64_t result = 0;
            const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), result);
            if (error != std::errc{} || *stop != '\0' || result == 0) usage("a number is malformed");
            return result;
        };
        if (name == "--file")
            o.file = value();
        else if (name == "--host")
            o.host = value();
        else if (name == "--port")
            o.port = value();
        else if (name == "--from")
            o.from = value();
        else if (name == "--to")
            o.to = value();
        else if (name == "--messages")
            o.messages = number();
        else if (name == "--connections")
            o.connections = number();
        else if (name == "--in-flight")
            o.in_flight = number();
        else if (name == "--window")
            o.window = number();
        else if (name == "--ca")
            o.ca = value();
        else if (name == "--engine")
            o.engine = value();
        else if (name == "--mode")
            o.mode = value();
        else if (name == "--api")
            o.api = value();
        else if (name == "--parts")
            o.parts = value();
        else if (name == "--store")
            o.store = value();
        else if (name == "--count-allocations")
            o.count_allocations = true;
        else
            usage("an option is unknown");
    }
    return o;
}

postroad::mail_ptr frozen(const options& o) {
    std::ifstream file(o.file, std::ios::binary);
    if (!file) usage("the file of --file cannot be read");
    std::string text(std::istreambuf_iterator<char>(file), {});
    postroad::mail_object mail;
    mail.envelope.reverse_path = postroad::address(o.from);
    mail.envelope.recipients = {postroad::address(o.to)};
    mail.content = postroad::content::from_text(std::move(text));
    return std::make_shared<const postroad::mail_object>(std::move(mail));
}

postroad::transport::smtp transport(const options& o) {
    const std::string scheme = o.ca.empty() ? "smtp+insecure://" : "smtps://";
    auto url = scheme + o.host + ":" + o.port + "/?pipelining=" + o.mode;
    if (o.mode == "window") url += "&window=" + std::to_string(o.window);
    return postroad::transport::smtp{url};
}

template <class Policy = postroad::tls::automatic>
Policy tls(const options& o) {
    return {.options = {.ca_file = o.ca}};
}

// As many messages over one connection as there are: the others do the same.
postroad::pooling::keep_alive pool(const options& o) {
    postroad::pooling::keep_alive p;
    p.max_connections = o.connections;
    p.messages_per_connection = o.messages + 1;
    return p;
}

class tally {
public:
    void add(std::error_code ec, const postroad::outcome& o) {
        if (!ec && o.all_accepted())
            ++accepted_;
        else if (!failed_.exchange(true))
            complain(ec, o);
    }
    std::uint64_t accepted() const { return accepted_; }

private:
    static void complain(std::error_code ec, const postroad::outcome& o) {
        std::string why = ec.message() + "; " + o.details.explanation;
        if (!o.recipients.empty()) why += "; " + to_string(o.recipients.front().reply);
        std::fprintf(stderr, "client: %s\n", why.c_str());
    }

    std::atomic<std::uint64_t> accepted_ = 0;
    std::atomic<bool> failed_ = false;
};

// Keeps so many messages in flight: each completion hands over the next.
template <class Mailer>
class stream {
public:
    stream(Mailer& mailer, postroad::mail_ptr mail, std::uint64_t messages, tally& results)
        : mailer_(mailer), mail_(std::move(mail)), left_(messages), results_(results) {}

    void start(std::uint64_t window) {
        pending_ = std::min(window, left_);
        for (auto n = pending_; n > 0; --n) next();
    }

private:
    void next() {
        --left_;
        mailer_.async_send(mail_, [this](std::error_code ec, const postroad::outcome& o) {
            results_.add(ec, o);
            if (left_ > 0) return next();
            if (--pending_ == 0) mailer_.async_shutdown(std::chrono::seconds(30), [](std::error_code) {});
        });
    }

    Mailer& mailer_;
    postroad::mail_ptr mail_;
    std::uint64_t left_;
    std::uint64_t pending_ = 0;
    tally& results_;
};

template <class... Parts>
void run_async(const options& o, const postroad::mail_ptr& mail, tally& results, Parts... parts) {
    asio::io_context context(1);
    postroad::mailer mailer{postroad::one_thread(context), transport(o), pool(o), std::move(parts)...};
    stream s(mailer, mail, o.messages, results);
    s.start(o.handed_over());
    context.run();
}

void run_with_parts(const options& o, const postroad::mail_ptr& mail, tally& results) {
    if (o.engine == "openssl") {
#ifdef WITH_OPENSSL
        if (o.parts == "memory") return run_async(o, mail, results, tls<postroad::tls::openssl::automatic>(o));
#endif
        usage("OpenSSL is not there, or not with these parts");
    }
    if (o.parts == "memory")
        run_async(o, mail, results, tls(o));
    else if (o.parts == "direct")
        run_async(o, mail, results, tls(o), postroad::queueing::direct{});
    else if (o.parts == "fair")
        run_async(o, mail, results, tls(o), postroad::scheduling::fair{});
#ifdef WITH_SQLITE
    else if (o.parts == "sqlite")
        run_async(o, mail, results, tls(o), postroad::queueing::sqlite{o.store}, postroad::scheduling::fair{});
#endif
    else
        usage("there are no such parts");
}

void run_send(const options& o, const postroad::mail_ptr& mail, tally& results) {
    postroad::mailer mailer{transport(o), pool(o), tls(o)};
    std::atomic<std::uint64_t> taken = 0;
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < o.connections; ++i)
        threads.emplace_back([&] {
            while (taken.fetch_add(1) < o.messages) {
                std::error_code ec;
                const auto result = mailer.send(mail, ec);
                results.add(ec, result);
            }
        });
    for (auto& t : threads) t.join();
    mailer.shutdown();
}

void run_submit(const options& o, const postroad::mail_ptr& mail, tally& results) {
    postroad::mailer mailer{transport(o), pool(o), tls(o)};
    std::deque<postroad::ticket> tickets;
    const auto settle = [&] {
        std::error_code ec;
        const auto result = tickets.front().wait(ec);
        results.add(ec, result);
        tickets.pop_front();
    };
    for (auto left = o.messages; left > 0; --left) {
        if (tickets.size() == o.handed_over()) settle();
        tickets.push_back(mailer.submit(mail));
    }
    while (!tickets.empty()) settle();
    mailer.shutdown();
}

double seconds(const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; }

int run(const options& o) {
    const auto mail = frozen(o);
    tally results;
    rusage before{}, after{};
    counting = o.count_allocations;
    getrusage(RUSAGE_SELF, &before);
    const auto start = std::chrono::steady_clock::now();
    if (o.api == "async")
        run_with_parts(o, mail, results);
    else if (o.api == "send")
        run_send(o, mail, results);
    else if (o.api == "submit")
        run_submit(o, mail, results);
    else
        usage("an API is unknown");
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    getrusage(RUSAGE_SELF, &after);
    counting = false;

    const auto user = seconds(after.ru_utime) - seconds(before.ru_utime);
    const auto cpu = user + seconds(after.ru_stime) - seconds(before.ru_stime);
    const auto n = double(results.accepted());
    std::printf(
        "{\"messages\":%llu,\"connections\":%llu,\"elapsed_s\":%.6f,\"messages_per_s\":%.1f,\"cpu_s\":%.6f,"
        "\"user_s\":%.6f,\"cpu_us_per_message\":%.3f",
        static_cast<unsigned long long>(results.accepted()), static_cast<unsigned long long>(o.connections),
        elapsed.count(), n / elapsed.count(), cpu, user, cpu * 1e6 / n);
    if (o.count_allocations) std::printf(",\"allocations_per_message\":%.3f", double(allocations.load()) / n);
    std::printf("}\n");
    return results.accepted() == o.messages ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(parse(argc, argv));
    } catch (const std::exception& e) {
        std::fprintf(stderr, "client: %s\n", e.what());
        return 1;
    }
}

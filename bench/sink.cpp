// sink.cpp - a fast single-threaded SMTP/LMTP sink for benchmarks (Linux, epoll).
//
// Build:  g++ -std=c++20 -O2 -Wall -Wextra -o sink sink.cpp
// Usage:  sink [options]
//   --port N          listen on 127.0.0.1:N (default 2525; 0 picks a free port)
//   --lmtp            speak LMTP: LHLO, and one reply per recipient after the content
//   --delay-ms N      emulate a round trip of N ms: every reply leaves N ms after the input that
//                     caused it arrived. Pipelined commands share one delay, as on a real path.
//   --no-pipelining   do not advertise PIPELINING
//   --no-chunking     neither advertise CHUNKING nor accept BDAT
//   --expect-bytes N  count every message whose content is not exactly N bytes (dots unstuffed)
//   --expect-file F   count every message whose content is not, byte for byte, that of F
//
// Prints "listening PORT" on stderr once it is ready. SIGTERM or SIGINT prints the totals as one
// line of JSON on stdout and ends; SIGUSR1 prints them and starts again from zero.
//
// A message counts only when its end was seen: CRLF.CRLF after DATA, or all bytes of BDAT ... LAST.
// "incomplete" counts those cut off by the end of a connection. "sync_errors" counts input that was
// sent ahead of a reply which the client had to wait for (RFC 2920, 3.1).
// "cpu_s" is the sink's own user+system time since the last reset.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::string_view_literals;

struct Options {
    std::uint16_t port = 2525;
    bool lmtp = false;
    bool pipelining = true;
    bool chunking = true;
    std::chrono::milliseconds delay{0};
    std::optional<std::uint64_t> expected_bytes;
    std::optional<std::string> expected_content;
};

struct Totals {
    std::uint64_t messages = 0;
    std::uint64_t recipients = 0;
    std::uint64_t content_bytes = 0;
    std::uint64_t wire_bytes = 0;
    std::uint64_t connections = 0;
    std::uint64_t commands = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t rejected = 0;       // commands answered with 5xx
    std::uint64_t incomplete = 0;     // messages cut off by the end of their connection
    std::uint64_t wrong_content = 0;  // not what --expect-bytes or --expect-file asked for
    std::uint64_t no_final_crlf = 0;  // BDAT content that does not end with CRLF
    std::uint64_t bare_lf = 0;        // LF without CR inside DATA content
    std::uint64_t sync_errors = 0;    // input ahead of a reply that had to be awaited
};

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Both are plain ASCII; b is in upper case.
bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return (x >= 'a' && x <= 'z' ? char(x - 'a' + 'A') : x) == y; });
}

// The protocol, without any input or output of its own: feed() takes what arrived and appends the
// replies to `replies`.
class Session {
public:
    Session(const Options& options, Totals& totals) : options_(options), totals_(totals) {
        reply(options_.lmtp ? "220 sink LMTP\r\n"sv : "220 sink ESMTP\r\n"sv);
        must_wait_ = true;
    }

    // Returns how much was used; the caller gives the rest again, with what arrives next.
    std::size_t feed(const char* begin, const char* end) {
        if (must_wait_ && begin != end) ++totals_.sync_errors;
        must_wait_ = false;
        const char* p = begin;
        while (p != end && !closing_) {
            const char* next = state_ == State::data    ? feed_data(p, end)
                               : state_ == State::chunk ? feed_chunk(p, end)
                                                        : feed_line(p, end);
            if (next == p) break;
            p = next;
            if (must_wait_ && p != end) {
                ++totals_.sync_errors;
                must_wait_ = false;
            }
        }
        return closing_ ? std::size_t(end - begin) : std::size_t(p - begin);
    }

    void replies_left() { must_wait_ = false; }
    void connection_ended() {
        if (state_ == State::data || state_ == State::chunk || in_chunks_) ++totals_.incomplete;
    }
    bool closing() const { return closing_; }

    std::string replies;

private:
    enum class State { command, auth, data, chunk };

    void reply(std::string_view text) { replies += text; }

    void reject(std::string_view text) {
        ++totals_.rejected;
        reply(text);
    }

    const char* feed_line(const char* p, const char* end) {
        const auto* newline = static_cast<const char*>(std::memchr(p, '\n', std::size_t(end - p)));
        if (!newline) {
            if (end - p < 4096) return p;
            reject("500 5.5.2 Line too long\r\n");
            closing_ = true;
            return end;
        }
        std::string_view line(p, std::size_t(newline - p));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (state_ == State::auth) {
            state_ = State::command;
            must_wait_ = true;
            reply("235 2.7.0 Authenticated\r\n");
        } else {
            ++totals_.commands;
            command(line);
            must_wait_ = must_wait_ || (!options_.pipelining && state_ != State::chunk);
        }
        return newline + 1;
    }

    void command(std::string_view line) {
        const auto space = std::min(line.find(' '), line.size());
        const auto verb = line.substr(0, space);
        const auto rest = line.substr(std::min(space + 1, line.size()));
        auto is = [&](std::string_view name) { return equals_ignoring_case(verb, name); };

        if (in_chunks_ && !is("BDAT") && !is("RSET") && !is("QUIT"))
            reject("503 5.5.1 Content is incomplete\r\n");
        else if (is("MAIL"))
            mail();
        else if (is("RCPT"))
            rcpt();
        else if (is("DATA"))
            data();
        else if (is("BDAT") && options_.chunking)
            bdat(rest);
        else if (is("RSET"))
            reset_transaction(), reply("250 2.0.0 Ok\r\n");
        else if (is(options_.lmtp ? "LHLO" : "EHLO"))
            hello();
        else if (is("HELO") && !options_.lmtp)
            greeted_ = must_wait_ = true, reply("250 sink\r\n");
        else if (is("NOOP") || is("VRFY"))
            must_wait_ = true, reply("250 2.0.0 Ok\r\n");
        else if (is("AUTH"))
            auth(rest);
        else if (is("QUIT"))
            must_wait_ = closing_ = true, reply("221 2.0.0 Bye\r\n");
        else
            reject("500 5.5.2 Not understood\r\n");
    }

    void hello() {
        reset_transaction();
        greeted_ = must_wait_ = true;
        reply("250-sink\r\n");
        if (options_.pipelining) reply("250-PIPELINING\r\n");
        if (options_.chunking) reply("250-CHUNKING\r\n");
        reply(
            "250-8BITMIME\r\n250-SMTPUTF8\r\n250-AUTH PLAIN\r\n250-ENHANCEDSTATUSCODES\r\n"
            "250 SIZE 2147483648\r\n");
    }

    void auth(std::string_view argument) {
        must_wait_ = true;
        const auto mechanism = argument.substr(0, argument.find(' '));
        if (!equals_ignoring_case(mechanism, "PLAIN"))
            reject("504 5.5.4 Only PLAIN\r\n");
        else if (mechanism.size() < argument.size())
            reply("235 2.7.0 Authenticated\r\n");
        else
            state_ = State::auth, reply("334 \r\n");
    }

    void mail() {
        if (!greeted_ || has_sender_) return reject("503 5.5.1 MAIL is out of order\r\n");
        has_sender_ = true;
        reply("250 2.1.0 Ok\r\n");
    }

    void rcpt() {
        if (!has_sender_) return reject("503 5.5.1 RCPT is out of order\r\n");
        ++recipients_;
        reply("250 2.1.5 Ok\r\n");
    }

    void data() {
        must_wait_ = true;
        if (recipients_ == 0) return reject("503 5.5.1 DATA is out of order\r\n");
        begin_content();
        state_ = State::data;
        reply("354 Go on\r\n");
    }

    void bdat(std::string_view argument) {
        const auto space = std::min(argument.find(' '), argument.size());
        const auto digits = argument.substr(0, space);
        const auto* last = digits.data() + digits.size();
        const auto [stop, error] = std::from_chars(digits.data(), last, chunk_left_);
        if (error != std::errc{} || stop != last) {
            // Nobody can tell where the chunk ends and the next command begins.
            closing_ = true;
            return reject("501 5.5.4 Bad BDAT\r\n");
        }
        last_chunk_ = space < argument.size() && equals_ignoring_case(argument.substr(space + 1), "LAST");
        accept_chunk_ = recipients_ > 0;
        if (accept_chunk_ && !in_chunks_) {
            begin_content();
            in_chunks_ = true;
        }
        state_ = State::chunk;
        if (chunk_left_ == 0) end_chunk();
    }

    const char* feed_chunk(const char* p, const char* end) {
        const auto taken = std::min<std::uint64_t>(chunk_left_, std::uint64_t(end - p));
        if (accept_chunk_ && taken > 0) {
            content(p, p + taken);
            ends_with_crlf_ = taken >= 2 ? p[taken - 2] == '\r' && p[taken - 1] == '\n' : last_was_cr_ && p[0] == '\n';
            last_was_cr_ = p[taken - 1] == '\r';
        }
        chunk_left_ -= taken;
        if (chunk_left_ == 0) end_chunk();
        return p + taken;
    }

    void end_chunk() {
        state_ = State::command;
        must_wait_ = must_wait_ || !options_.pipelining;
        if (!accept_chunk_) return reject("503 5.5.1 BDAT is out of order\r\n");
        if (!last_chunk_) return reply("250 2.0.0 Chunk taken\r\n");
        if (!ends_with_crlf_) ++totals_.no_final_crlf;
        end_content();
    }

    // Looks for the final dot and takes the stuffed ones out.
    const char* feed_data(const char* p, const char* end) {
        const char* run = p;  // content not yet handed to content()
        while (p != end) {
            if (at_line_start_ && *p == '.') {
                if (end - p < 3 && (end - p < 2 || p[1] == '\r')) break;  // not enough to tell
                content(run, p);
                if (p[1] == '\r' && p[2] == '\n') {
                    state_ = State::command;
                    end_content();
                    return p + 3;
                }
                run = ++p;
            }
            at_line_start_ = false;
            const auto* newline = static_cast<const char*>(std::memchr(p, '\n', std::size_t(end - p)));
            if (!newline) {
                last_was_cr_ = end[-1] == '\r';
                p = end;
                break;
            }
            at_line_start_ = newline == p ? last_was_cr_ : newline[-1] == '\r';
            last_was_cr_ = false;
            totals_.bare_lf += !at_line_start_;
            p = newline + 1;
        }
        content(run, p);
        return p;
    }

    void begin_content() {
        received_ = 0;
        matches_ = true;
        at_line_start_ = true;
        last_was_cr_ = ends_with_crlf_ = false;
    }

    void content(const char* p, const char* end) {
        const auto size = std::uint64_t(end - p);
        if (const auto& expected = options_.expected_content; expected && matches_)
            matches_ = received_ + size <= expected->size() && std::memcmp(expected->data() + received_, p, size) == 0;
        received_ += size;
    }

    void end_content() {
        const bool right = matches_ && (!options_.expected_content || received_ == options_.expected_content->size()) &&
                           (!options_.expected_bytes || received_ == *options_.expected_bytes);
        totals_.wrong_content += !right;
        totals_.content_bytes += received_;
        totals_.recipients += recipients_;
        ++totals_.messages;
        // LMTP: one reply per recipient (RFC 2033, 4.2).
        for (auto left = options_.lmtp ? recipients_ : 1; left > 0; --left) {
            char digits[20];
            const auto [stop, error] = std::to_chars(digits, digits + sizeof digits, totals_.messages);
            reply("250 2.0.0 Ok: taken as ");
            reply({digits, std::size_t(stop - digits)});
            reply("\r\n");
        }
        must_wait_ = must_wait_ || !options_.pipelining;
        reset_transaction();
    }

    void reset_transaction() {
        if (in_chunks_ && !last_chunk_) ++totals_.incomplete;
        has_sender_ = in_chunks_ = last_chunk_ = false;
        recipients_ = 0;
    }

    const Options& options_;
    Totals& totals_;
    State state_ = State::command;
    bool greeted_ = false;
    bool has_sender_ = false;
    bool closing_ = false;
    bool must_wait_ = false;  // the client must now await our replies
    std::uint64_t recipients_ = 0;

    std::uint64_t received_ = 0;  // bytes of the current message's content
    bool matches_ = true;         // so far it is --expect-file
    bool at_line_start_ = true;
    bool last_was_cr_ = false;
    bool ends_with_crlf_ = false;

    std::uint64_t chunk_left_ = 0;
    bool in_chunks_ = false;  // between the first BDAT of a message and its LAST
    bool last_chunk_ = false;
    bool accept_chunk_ = false;
};

class Server {
public:
    explicit Server(Options options) : options_(std::move(options)), input_(input_size) {
        epoll_ = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_ < 0) die("epoll_create1");
        block_signals();
        listen();
    }

    void run() {
        epoll_event events[256];
        for (;;) {
            const int ready = wait(events, 256);
            for (int i = 0; i < ready; ++i) {
                const auto [fd, id] = unpack(events[i].data.u64);
                if (fd == listener_)
                    accept_all();
                else if (fd == signals_) {
                    if (!take_signal()) return;
                } else if (auto* connection = find(fd, id)) {
                    if (!connection->unsent.empty())
                        flush(*connection);
                    else
                        read(*connection);
                }
            }
            if (!delayed_.empty()) send_due();
        }
    }

private:
    static constexpr std::size_t input_size = 256 * 1024;

    struct Connection {
        Connection(int socket, std::uint32_t serial, const Options& options, Totals& totals)
            : fd(socket), id(serial), session(options, totals) {}
        int fd;
        std::uint32_t id;  // tells this connection from an older one with the same descriptor
        Session session;
        std::string unused;    // input that the session wants to see again
        std::string unsent;    // replies the socket did not take yet
        bool blocked = false;  // the socket took no more; waiting until it does
        bool close_when_sent = false;
    };

    struct Delayed {
        Clock::time_point due;
        int fd;
        std::uint32_t id;
        std::string replies;
        bool close;
    };

    static std::uint64_t pack(int fd, std::uint32_t id) { return std::uint64_t(id) << 32 | std::uint32_t(fd); }
    static std::pair<int, std::uint32_t> unpack(std::uint64_t data) {
        return {int(std::uint32_t(data)), std::uint32_t(data >> 32)};
    }

    void watch(int operation, int fd, std::uint32_t id, std::uint32_t what) {
        epoll_event event{};
        event.events = what;
        event.data.u64 = pack(fd, id);
        if (epoll_ctl(epoll_, operation, fd, &event) < 0) die("epoll_ctl");
    }

    void block_signals() {
        std::signal(SIGPIPE, SIG_IGN);
        sigset_t set;
        sigemptyset(&set);
        for (int number : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, number);
        sigprocmask(SIG_BLOCK, &set, nullptr);
        signals_ = signalfd(-1, &set, SFD_CLOEXEC);
        if (signals_ < 0) die("signalfd");
        watch(EPOLL_CTL_ADD, signals_, 0, EPOLLIN);
    }

    bool take_signal() {
        signalfd_siginfo info;
        if (::read(signals_, &info, sizeof info) != ssize_t(sizeof info)) die("signalfd read");
        if (info.ssi_signo != SIGUSR1)
            for (auto& connection : connections_)
                if (connection) connection->session.connection_ended();
        print_totals();
        totals_ = {};
        cpu_at_reset_ = cpu_seconds();
        return info.ssi_signo == SIGUSR1;
    }

    void listen() {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(options_.port);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) die("bind");
        if (::listen(listener_, SOMAXCONN) < 0) die("listen");
        socklen_t length = sizeof address;
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
        watch(EPOLL_CTL_ADD, listener_, 0, EPOLLIN);
        std::fprintf(stderr, "listening %u\n", unsigned(ntohs(address.sin_port)));
    }

    int wait(epoll_event* events, int capacity) {
        timespec timeout{};
        if (!delayed_.empty()) {
            using namespace std::chrono;
            const auto left = std::max(delayed_.front().due - Clock::now(), Clock::duration::zero());
            timeout.tv_sec = duration_cast<seconds>(left).count();
            timeout.tv_nsec = duration_cast<nanoseconds>(left % seconds(1)).count();
        }
        const int ready = epoll_pwait2(epoll_, events, capacity, delayed_.empty() ? nullptr : &timeout, nullptr);
        if (ready < 0 && errno != EINTR) die("epoll_pwait2");
        return ready;
    }

    void accept_all() {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) {
                if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return;
                die("accept4");
            }
            const int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            if (connections_.size() <= std::size_t(fd)) connections_.resize(std::size_t(fd) + 1);
            const auto id = ++last_id_;
            connections_[std::size_t(fd)] = std::make_unique<Connection>(fd, id, options_, totals_);
            ++totals_.connections;
            watch(EPOLL_CTL_ADD, fd, id, EPOLLIN);
            dispatch(*connections_[std::size_t(fd)]);
        }
    }

    Connection* find(int fd, std::uint32_t id) {
        auto* connection = std::size_t(fd) < connections_.size() ? connections_[std::size_t(fd)].get() : nullptr;
        return connection && connection->id == id ? connection : nullptr;
    }

    void close(Connection& connection) {
        connection.session.connection_ended();
        ::close(connection.fd);
        connections_[std::size_t(connection.fd)].reset();
    }

    void read(Connection& connection) {
        // What was left over last time goes in front; it is at most one command line.
        const auto kept = connection.unused.copy(input_.data(), connection.unused.size());
        connection.unused.clear();
        const auto got = ::read(connection.fd, input_.data() + kept, input_.size() - kept);
        ++totals_.reads;
        if (got <= 0) {
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                connection.unused.assign(input_.data(), kept);
            else
                close(connection);
            return;
        }
        totals_.wire_bytes += std::uint64_t(got);
        const auto available = kept + std::size_t(got);
        const auto used = connection.session.feed(input_.data(), input_.data() + available);
        connection.unused.assign(input_.data() + used, available - used);
        dispatch(connection);
    }

    // Sends what the session answered, now or when its round trip is over.
    void dispatch(Connection& connection) {
        auto& replies = connection.session.replies;
        if (replies.empty()) return;
        const bool close = connection.session.closing();
        if (options_.delay.count() > 0) {
            delayed_.push_back(
                {Clock::now() + options_.delay, connection.fd, connection.id, std::exchange(replies, {}), close});
        } else {
            connection.unsent += replies;
            replies.clear();
            connection.close_when_sent = close;
            flush(connection);
        }
    }

    void send_due() {
        // One delay for all, so the queue is in order of time.
        const auto now = Clock::now();
        while (!delayed_.empty() && delayed_.front().due <= now) {
            auto item = std::move(delayed_.front());
            delayed_.pop_front();
            if (auto* connection = find(item.fd, item.id)) {
                const bool was_blocked = !connection->unsent.empty();
                connection->unsent += item.replies;
                connection->close_when_sent = item.close;
                if (!was_blocked) flush(*connection);
            }
        }
    }

    void flush(Connection& connection) {
        const auto sent = ::write(connection.fd, connection.unsent.data(), connection.unsent.size());
        ++totals_.writes;
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return close(connection);
        const bool was_blocked = connection.blocked;
        connection.unsent.erase(0, std::size_t(std::max<ssize_t>(sent, 0)));
        connection.blocked = !connection.unsent.empty();
        // A client that does not take our replies is not read from either.
        if (connection.blocked != was_blocked)
            watch(EPOLL_CTL_MOD, connection.fd, connection.id, connection.blocked ? EPOLLOUT : EPOLLIN);
        if (connection.blocked) return;
        connection.session.replies_left();
        if (connection.close_when_sent) close(connection);
    }

    void print_totals() const {
        const auto& t = totals_;
        const std::pair<const char*, std::uint64_t> fields[] = {
            {"messages", t.messages},
            {"recipients", t.recipients},
            {"content_bytes", t.content_bytes},
            {"wire_bytes", t.wire_bytes},
            {"connections", t.connections},
            {"commands", t.commands},
            {"reads", t.reads},
            {"writes", t.writes},
            {"rejected", t.rejected},
            {"incomplete", t.incomplete},
            {"wrong_content", t.wrong_content},
            {"no_final_crlf", t.no_final_crlf},
            {"bare_lf", t.bare_lf},
            {"sync_errors", t.sync_errors},
        };
        std::printf("{");
        for (const auto& [name, value] : fields)
            std::printf("\"%s\":%llu,", name, static_cast<unsigned long long>(value));
        std::printf("\"cpu_s\":%.6f}\n", cpu_seconds() - cpu_at_reset_);
        std::fflush(stdout);
    }

    Options options_;
    Totals totals_;
    double cpu_at_reset_ = 0;
    int epoll_ = -1;
    int listener_ = -1;
    int signals_ = -1;
    std::uint32_t last_id_ = 0;
    std::vector<char> input_;                               // shared by all connections
    std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
    std::deque<Delayed> delayed_;
};

[[noreturn]] void usage(const char* problem) {
    std::fprintf(stderr, "sink: %s; see the comment at the top of sink.cpp\n", problem);
    std::exit(2);
}

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        auto value = [&]() -> std::string {
            if (i + 1 == argc) usage("a value is missing");
            return argv[++i];
        };
        auto number = [&] {
            const auto text = value();
            std::uint64_t result = 0;
            const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), result);
            if (error != std::errc{} || *stop != '\0') usage("a number is malformed");
            return result;
        };
        if (name == "--port")
            options.port = std::uint16_t(number());
        else if (name == "--lmtp")
            options.lmtp = true;
        else if (name == "--delay-ms")
            options.delay = std::chrono::milliseconds(number());
        else if (name == "--no-pipelining")
            options.pipelining = false;
        else if (name == "--no-chunking")
            options.chunking = false;
        else if (name == "--expect-bytes")
            options.expected_bytes = number();
        else if (name == "--expect-file") {
            std::ifstream file(value(), std::ios::binary);
            if (!file) usage("the file of --expect-file cannot be read");
            options.expected_content.emplace(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
        } else
            usage("an option is unknown");
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) { Server(parse(argc, argv)).run(); }

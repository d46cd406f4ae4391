// limit.cpp - an SMTP client close to what the machine allows, as a yardstick (Linux, epoll).
//
// Build:  g++ -std=c++20 -O2 -Wall -Wextra -o limit limit.cpp
// Usage:  limit --file MESSAGE.eml [options]
//   --host A          IPv4 address of the server (default 127.0.0.1)
//   --port N          its port (default 2525)
//   --lmtp            greet with LHLO
//   --from A --to A   envelope (default sender@example.com, recipient@example.com)
//   --messages N      how many copies to send, one recipient each (default 1000)
//   --connections C   over how many connections at a time (default 1)
//   --per-connection N  at most N messages over one connection, then QUIT and a new one
//   --window W        transactions in flight per connection in mode window (default 64)
//   --mode M          how much is sent without waiting for a reply:
//       lockstep  nothing: MAIL, RCPT, DATA and the content each wait          4 round trips a message
//       envelope  MAIL RCPT DATA together, then the content                    2
//       across    the content with the MAIL RCPT DATA of the next message      1   (RFC 2920, 3.1)
//       window    MAIL RCPT BDAT LAST and content, W messages in flight        1/W (RFC 3030, 4.2)
//
// All bytes are prepared before the clock starts and are sent from where they lie: no copies, no
// allocations per message. One message in lockstep costs 4 writes and 4 reads; with one connection
// and no window the reads block, so that there is no epoll_wait either.
//
// Prints one line of JSON. "messages" counts the 250 replies to content, nothing else. Any reply
// that is not the expected one, and an end of the connection before QUIT, ends the run with exit
// status 1 and a line on stderr. The times cover everything from the first connect to the last 221.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

enum class Mode { lockstep, envelope, across, window };

struct Options {
    std::string file;
    std::string host = "127.0.0.1";
    std::uint16_t port = 2525;
    bool lmtp = false;
    std::string from = "sender@example.com";
    std::string to = "recipient@example.com";
    std::uint64_t messages = 1000;
    std::uint64_t connections = 1;
    std::uint64_t per_connection = UINT64_MAX;
    std::uint64_t window = 64;
    Mode mode = Mode::lockstep;
};

struct Totals {
    std::uint64_t accepted = 0;
    std::uint64_t connections = 0;
    std::uint64_t bytes = 0;
    std::uint64_t sends = 0;
    std::uint64_t receives = 0;
    std::uint64_t waits = 0;
};

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

[[noreturn]] void give_up(const char* why, std::string_view line) {
    std::fprintf(stderr, "limit: %s: %.*s\n", why, int(line.size()), line.data());
    std::exit(1);
}

// The message with CRLF line ends, the last line included.
std::string with_crlf(std::string_view text) {
    std::string result;
    result.reserve(text.size() + text.size() / 32 + 2);
    for (char c : text) {
        if (c == '\n' && !result.ends_with('\r')) result += '\r';
        result += c;
    }
    if (!result.ends_with("\r\n")) result += "\r\n";
    return result;
}

// RFC 5321, 4.5.2, with the end of the data.
std::string dot_stuffed(std::string_view content) {
    std::string result;
    result.reserve(content.size() + content.size() / 32 + 3);
    char previous = '\n';
    for (char c : content) {
        if (c == '.' && previous == '\n') result += '.';
        result += previous = c;
    }
    return result += ".\r\n";
}

using Replies = std::span<const std::uint16_t>;  // the codes that must come, in order

// What is written in one go, and what must come back for it.
struct Step {
    std::array<std::string_view, 2> parts;
    Replies replies;
};

// The steps of a connection, by their number.
class Script {
public:
    Script(const Options& options, std::string_view text) : mode_(options.mode) {
        const auto content = with_crlf(text);
        mail_ = "MAIL FROM:<" + options.from + ">\r\n";
        rcpt_ = "RCPT TO:<" + options.to + ">\r\n";
        envelope_ =
            mail_ + rcpt_ +
            (mode_ == Mode::window ? "BDAT " + std::to_string(content.size()) + " LAST\r\n" : std::string("DATA\r\n"));
        content_ = mode_ == Mode::window ? content : dot_stuffed(content);
    }

    std::uint64_t steps(std::uint64_t messages) const {
        switch (mode_) {
            case Mode::lockstep: return messages * 4;
            case Mode::envelope: return messages * 2;
            case Mode::across: return messages + 1;
            case Mode::window: return messages;
        }
        return 0;
    }

    Step step(std::uint64_t index, std::uint64_t messages) const {
        static constexpr std::uint16_t after_content[] = {250};
        static constexpr std::uint16_t after_data[] = {354};
        static constexpr std::uint16_t after_envelope[] = {250, 250, 354};
        static constexpr std::uint16_t after_both[] = {250, 250, 250, 354};
        static constexpr std::uint16_t after_transaction[] = {250, 250, 250};
        switch (mode_) {
            case Mode::lockstep:
                switch (index % 4) {
                    case 0: return {{mail_}, after_content};
                    case 1: return {{rcpt_}, after_content};
                    case 2: return {{data_}, after_data};
                    default: return {{content_}, after_content};
                }
            case Mode::envelope:
                return index % 2 == 0 ? Step{{envelope_}, after_envelope} : Step{{content_}, after_content};
            case Mode::across:
                if (index == 0) return {{envelope_}, after_envelope};
                if (index == messages) return {{content_}, after_content};
                return {{content_, envelope_}, after_both};
            case Mode::window: return {{envelope_, content_}, after_transaction};
        }
        return {};
    }

    // Whether the reply at this place among those of the step accepts a message.
    bool accepts_message(std::uint64_t index, std::size_t reply) const {
        switch (mode_) {
            case Mode::lockstep: return index % 4 == 3;
            case Mode::envelope: return index % 2 == 1;
            case Mode::across: return index > 0 && reply == 0;
            case Mode::window: return reply == 2;
        }
        return false;
    }

private:
    Mode mode_;
    std::string mail_, rcpt_, envelope_, content_;
    std::string data_ = "DATA\r\n";
};

class Connection {
public:
    // Blocking sockets are waited for in recv() itself.
    Connection(const Options& options, const Script& script, Totals& totals, std::uint64_t messages, bool blocking)
        : options_(options),
          script_(script),
          totals_(totals),
          messages_(messages),
          steps_(script.steps(messages)),
          in_flight_(options.mode == Mode::window ? options.window : 1),
          flags_(blocking ? 0 : MSG_DONTWAIT),
          input_(64 * 1024) {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options.port);
        if (inet_pton(AF_INET, options.host.c_str(), &address.sin_addr) != 1)
            give_up("not an IPv4 address", options.host);
        if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) die("connect");
        ++totals_.connections;
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { close(fd_); }

    int fd() const { return fd_; }
    bool done() const { return phase_ == Phase::done; }
    bool write_blocked() const { return write_blocked_; }

    void on_readable() {
        const auto got = recv(fd_, input_.data() + held_, input_.size() - held_, flags_);
        ++totals_.receives;
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) give_up("the server closed the connection", {});
        const char* p = input_.data();
        const char* const end = p + held_ + got;
        while (const void* found = std::memchr(p, '\n', std::size_t(end - p))) {
            const auto* newline = static_cast<const char*>(found);
            on_line({p, std::size_t(newline - p)});
            p = newline + 1;
        }
        held_ = std::size_t(end - p);
        if (held_ == input_.size()) give_up("a reply line is too long", {});
        std::memmove(input_.data(), p, held_);
        send();
    }

    void on_writable() {
        write_blocked_ = false;
        send();
    }

private:
    enum class Phase { greeting, hello, transactions, quit, done };

    void on_line(std::string_view line) {
        if (line.size() < 3) give_up("not a reply", line);
        const auto code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
        const bool last = line.size() < 4 || line[3] != '-';
        if (phase_ == Phase::hello) note_extension(line.substr(std::min<std::size_t>(4, line.size())));
        if (!last) return;
        switch (phase_) {
            case Phase::greeting:
                expect(code, 220, line);
                phase_ = Phase::hello;
                command_ = options_.lmtp ? "LHLO limit.example\r\n" : "EHLO limit.example\r\n";
                break;
            case Phase::hello:
                expect(code, 250, line);
                if ((options_.mode != Mode::lockstep && !pipelining_) || (options_.mode == Mode::window && !chunking_))
                    give_up("the server lacks an extension that this mode needs", line);
                phase_ = Phase::transactions;
                replying_ = script_.step(0, messages_).replies;
                break;
            case Phase::transactions: on_transaction_reply(code, line); break;
            case Phase::quit:
                expect(code, 221, line);
                phase_ = Phase::done;
                break;
            case Phase::done: give_up("a reply too many", line);
        }
    }

    void on_transaction_reply(int code, std::string_view line) {
        if (answered_ == sent_ && offset_ == 0) give_up("a reply to nothing", line);
        expect(code, replying_[reply_], line);
        totals_.accepted += script_.accepts_message(answered_, reply_);
        if (++reply_ < replying_.size()) return;
        reply_ = 0;
        if (++answered_ < steps_)
            replying_ = script_.step(answered_, messages_).replies;
        else {
            phase_ = Phase::quit;
            command_ = "QUIT\r\n";
        }
    }

    void note_extension(std::string_view keyword) {
        pipelining_ = pipelining_ || keyword.starts_with("PIPELINING");
        chunking_ = chunking_ || keyword.starts_with("CHUNKING");
    }

    static void expect(int code, int expected, std::string_view line) {
        if (code != expected) give_up("unexpected reply", line);
    }

    void send() {
        while (!write_blocked_) {
            std::array<iovec, 256> parts;
            const auto count = gather(parts);
            if (count == 0) return;
            msghdr message{};
            message.msg_iov = parts.data();
            message.msg_iovlen = count;
            const auto sent = sendmsg(fd_, &message, flags_ | MSG_NOSIGNAL);
            ++totals_.sends;
            if (sent >= 0) {
                totals_.bytes += std::uint64_t(sent);
                advance(std::size_t(sent));
            } else if (errno == EAGAIN)
                write_blocked_ = true;
            else if (errno != EINTR)
                die("sendmsg");
        }
    }

    // Everything that may be sent now.
    std::size_t gather(std::span<iovec> parts) const {
        std::size_t count = 0;
        auto add = [&](std::string_view text) { parts[count++] = {const_cast<char*>(text.data()), text.size()}; };
        if (!command_.empty()) {
            add(command_);
            return count;
        }
        if (phase_ != Phase::transactions) return 0;
        auto skip = offset_;
        const auto limit = std::min(steps_, answered_ + in_flight_);
        for (auto index = sent_; index < limit && count + 2 <= parts.size(); ++index) {
            for (auto part : script_.step(index, messages_).parts) {
                const auto skipped = std::min(skip, part.size());
                skip -= skipped;
                if (skipped < part.size()) add(part.substr(skipped));
            }
        }
        return count;
    }

    void advance(std::size_t sent) {
        if (!command_.empty()) {
            command_.remove_prefix(sent);
            return;
        }
        offset_ += sent;
        while (sent_ < steps_) {
            const auto step = script_.step(sent_, messages_);
            const auto size = step.parts[0].size() + step.parts[1].size();
            if (offset_ < size) break;
            offset_ -= size;
            ++sent_;
        }
    }

    const Options& options_;
    const Script& script_;
    Totals& totals_;
    const std::uint64_t messages_;
    const std::uint64_t steps_;
    const std::uint64_t in_flight_;  // steps that may be sent and not yet answered
    const int flags_;
    int fd_ = -1;
    Phase phase_ = Phase::greeting;
    bool write_blocked_ = false;
    bool pipelining_ = false;
    bool chunking_ = false;
    std::string_view command_;    // what is left to send of EHLO or QUIT
    std::uint64_t sent_ = 0;      // steps sent in full
    std::size_t offset_ = 0;      // bytes sent of the step after them
    std::uint64_t answered_ = 0;  // steps answered in full
    std::size_t reply_ = 0;       // replies seen to the step after them
    Replies replying_;            // and those it must get
    std::vector<char> input_;
    std::size_t held_ = 0;  // bytes of a line not yet complete
};

// Deals the messages out to the connections.
class Dealer {
public:
    Dealer(const Options& options, const Script& script, Totals& totals)
        : options_(options), script_(script), totals_(totals), left_(options.messages) {}

    std::unique_ptr<Connection> connect(bool blocking) {
        const auto share = (options_.messages + options_.connections - 1) / options_.connections;
        const auto count = std::min({left_, share, options_.per_connection});
        if (count == 0) return nullptr;
        left_ -= count;
        return std::make_unique<Connection>(options_, script_, totals_, count, blocking);
    }

private:
    const Options& options_;
    const Script& script_;
    Totals& totals_;
    std::uint64_t left_;
};

// One connection at a time: the kernel wakes us in recv().
void run_blocking(Dealer& dealer) {
    while (auto connection = dealer.connect(true))
        while (!connection->done()) connection->on_readable();
}

void run_events(Dealer& dealer, Totals& totals, std::uint64_t connections) {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1");
    std::vector<std::unique_ptr<Connection>> active(connections);
    std::size_t running = 0;
    auto start = [&](std::uint64_t slot) {
        active[slot] = dealer.connect(false);
        if (!active[slot]) return;
        ++running;
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.u64 = slot;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, active[slot]->fd(), &event) < 0) die("epoll_ctl");
    };
    for (std::uint64_t slot = 0; slot < connections; ++slot) start(slot);
    std::array<epoll_event, 256> events;
    while (running > 0) {
        const int ready = epoll_wait(epoll, events.data(), int(events.size()), -1);
        ++totals.waits;
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; ++i) {
            const auto slot = events[std::size_t(i)].data.u64;
            auto& connection = *active[slot];
            const auto what = events[std::size_t(i)].events;
            if ((what & EPOLLOUT) && connection.write_blocked()) connection.on_writable();
            if (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) connection.on_readable();
            if (connection.done()) {
                active[slot].reset();
                --running;
                start(slot);
            }
        }
    }
    close(epoll);
}

[[noreturn]] void usage(const char* problem) {
    std::fprintf(stderr, "limit: %s; see the comment at the top of limit.cpp\n", problem);
    std::exit(2);
}

Options parse(int argc, char** argv) {
    static constexpr std::string_view modes[] = {"lockstep", "envelope", "across", "window"};
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
            if (error != std::errc{} || *stop != '\0' || result == 0) usage("a number is malformed");
            return result;
        };
        if (name == "--file")
            options.file = value();
        else if (name == "--host")
            options.host = value();
        else if (name == "--port")
            options.port = std::uint16_t(number());
        else if (name == "--lmtp")
            options.lmtp = true;
        else if (name == "--from")
            options.from = value();
        else if (name == "--to")
            options.to = value();
        else if (name == "--messages")
            options.messages = number();
        else if (name == "--connections")
            options.connections = number();
        else if (name == "--per-connection")
            options.per_connection = number();
        else if (name == "--window")
            options.window = number();
        else if (name == "--mode") {
            const auto found = std::find(std::begin(modes), std::end(modes), value());
            if (found == std::end(modes)) usage("a mode is unknown");
            options.mode = Mode(found - std::begin(modes));
        } else
            usage("an option is unknown");
    }
    return options;
}

double cpu_seconds(const timeval& user, const timeval& system) {
    auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
    return seconds(user) + seconds(system);
}

}  // namespace

int main(int argc, char** argv) {
    const auto options = parse(argc, argv);
    std::ifstream file(options.file, std::ios::binary);
    if (!file) usage("the file of --file cannot be read");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const Script script(options, text);

    Totals totals;
    Dealer dealer(options, script, totals);
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    const auto start = std::chrono::steady_clock::now();
    if (options.connections == 1 && options.mode != Mode::window)
        run_blocking(dealer);
    else
        run_events(dealer, totals, options.connections);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    getrusage(RUSAGE_SELF, &after);

    const auto user = cpu_seconds(after.ru_utime, {}) - cpu_seconds(before.ru_utime, {});
    const auto cpu = cpu_seconds(after.ru_utime, after.ru_stime) - cpu_seconds(before.ru_utime, before.ru_stime);
    const auto n = double(totals.accepted);
    std::printf(
        "{\"messages\":%llu,\"connections\":%llu,\"bytes\":%llu,\"elapsed_s\":%.6f,\"messages_per_s\":%.1f,"
        "\"cpu_s\":%.6f,\"user_s\":%.6f,\"cpu_us_per_message\":%.3f,"
        "\"sends\":%llu,\"receives\":%llu,\"waits\":%llu}\n",
        static_cast<unsigned long long>(totals.accepted), static_cast<unsigned long long>(totals.connections),
        static_cast<unsigned long long>(totals.bytes), elapsed.count(), n / elapsed.count(), cpu, user, cpu * 1e6 / n,
        static_cast<unsigned long long>(totals.sends), static_cast<unsigned long long>(totals.receives),
        static_cast<unsigned long long>(totals.waits));
    return totals.accepted == options.messages ? 0 : 1;
}

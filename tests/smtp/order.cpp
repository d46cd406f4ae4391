// Servers that offer PIPELINING and do not bear what it allows: nothing they say about the order of commands may be
// held against a message.
#include <postroad/smtp/session.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace postroad;
using smtp::lesson;
using smtp::pipelining;

namespace {

mail_ptr mail(const std::vector<std::string>& to, std::string text = "Subject: x\n\nx\n") {
    mail_object m{.envelope = {.reverse_path = address("a@x.example")}, .content = content::from_text(std::move(text))};
    for (const auto& r : to) m.envelope.recipients.emplace_back(r);
    return std::make_shared<const mail_object>(std::move(m));
}

// What a server does not bear.
enum class dislikes {
    behind_content,    // anything that is there before the reply to the content
    mail_ahead,        // MAIL that is there before the reply to something
    rcpt_ahead,        // RCPT likewise
    data_ahead,        // DATA or BDAT likewise
    second_mail_once,  // its second MAIL, the first time, whatever was awaited
};

class server {
public:
    server(dislikes what, std::string refusal) : what_(what), refusal_(std::move(refusal)) {}

    // Answers all that came; what comes in one go was sent ahead but for its first command.
    std::string answer(std::string_view octets) {
        in_ += octets;
        out_.clear();
        ahead_ = behind_content_ = false;
        while (step()) ahead_ = true;
        return out_;
    }

    std::map<std::string, int> taken;
    int refusals = 0;

private:
    bool step() {
        if (in_dots_) {
            const auto end = in_.starts_with(".\r\n") ? 0 : in_.find("\r\n.\r\n");
            if (end == std::string::npos) return false;
            in_.erase(0, end + (end == 0 ? 3 : 5));
            in_dots_ = false;
            return finish();
        }
        const auto end = in_.find("\r\n");
        if (end == std::string::npos) return false;
        const auto line = in_.substr(0, end);
        if (line.starts_with("BDAT ")) {
            const auto size = std::stoul(line.substr(5));
            if (in_.size() < end + 2 + size) return false;
            in_.erase(0, end + 2 + size);
            if (dislikes_now(dislikes::data_ahead) || to_.empty()) return refuse();
            return finish();
        }
        in_.erase(0, end + 2);
        if (line.starts_with("EHLO")) return forget(), say("250-mx\r\n250-PIPELINING\r\n250 CHUNKING");
        if (line == "RSET") return forget(), say("250 reset");
        if (line.starts_with("MAIL")) {
            if (dislikes_now(dislikes::mail_ahead) || (what_ == dislikes::second_mail_once && ++mails_ == 2) || open_)
                return refuse();
            open_ = true;
            return say("250 sender");
        }
        if (line.starts_with("RCPT")) {
            if (dislikes_now(dislikes::rcpt_ahead) || !open_) return refuse();
            to_.push_back(line.substr(9, line.size() - 10));
            return say("250 recipient");
        }
        if (line == "DATA") {
            if (dislikes_now(dislikes::data_ahead) || to_.empty()) return refuse();
            in_dots_ = true;
            return say("354 go");
        }
        return say("221 bye");
    }
    bool dislikes_now(dislikes which) const {
        return (what_ == which && ahead_) || (what_ == dislikes::behind_content && behind_content_);
    }
    bool finish() {
        for (const auto& r : to_) ++taken[r];
        forget();
        behind_content_ = true;
        return say("250 taken");
    }
    void forget() {
        to_.clear();
        open_ = false;
    }
    bool refuse() {
        ++refusals;
        return say(refusal_);
    }
    bool say(std::string_view text) {
        out_.append(text).append("\r\n");
        return true;
    }

    dislikes what_;
    std::string refusal_;
    std::string in_;
    std::string out_;
    std::vector<std::string> to_;
    int mails_ = 0;
    bool open_ = false;
    bool in_dots_ = false;
    bool ahead_ = false;
    bool behind_content_ = false;
};

// The owner: whom a transaction left not_attempted it sends again at once, while the session lasts, else on another.
struct run {
    run(dislikes what, const std::string& refusal, pipelining mode) : sink(what, refusal), wanted(mode) {
        for (int i = 0; i < messages; ++i)
            waiting.push_back({std::to_string(2 * i) + "@y.example", std::to_string(2 * i + 1) + "@y.example"});
        while (!waiting.empty() && ++connections < 20) connect();
    }

    void connect() {
        smtp::session s({.server = {"mx", 587, security::insecure_none},
                         .client_name = "client.example",
                         .pipelining = wanted,
                         .chunking = chunking});
        std::map<std::uint64_t, std::vector<std::string>> under_way;
        std::uint64_t id = 0;
        s.started(now);
        s.received("220 mx\r\n", now);
        for (int round = 0; round < 500; ++round) {
            while (auto e = s.poll()) {
                if (auto* f = std::get_if<smtp::finished>(&*e)) finished(*f, under_way);
                if (auto* c = std::get_if<smtp::closed>(&*e)) {
                    learn(c->lesson);
                    for (auto& [_, to] : under_way) waiting.push_back(to);
                    return;
                }
            }
            while (s.room() > 0 && !waiting.empty()) {
                under_way[++id] = waiting.front();
                s.submit({.id = id, .mail = mail(waiting.front())}, now);
                waiting.pop_front();
            }
            std::string said;
            std::array<std::string_view, 3> parts;
            while (const auto count = s.output(parts)) {
                std::size_t n = 0;
                for (std::size_t i = 0; i < count; ++i) said += parts[i], n += parts[i].size();
                s.consumed(n, now);
            }
            if (said.empty() && s.reusable() && under_way.empty()) s.quit(now);
            if (!said.empty()) s.received(sink.answer(said), now);
        }
        stuck = true;
    }
    void finished(const smtp::finished& f, std::map<std::uint64_t, std::vector<std::string>>& under_way) {
        const auto to = under_way.at(f.id);
        under_way.erase(f.id);
        learn(f.lesson);
        std::vector<std::string> again;
        for (std::size_t i = 0; i < to.size(); ++i) {
            if (f.recipients[i].status == status::not_attempted) again.push_back(to[i]);
            if (f.recipients[i].status == status::rejected || f.recipients[i].status == status::in_doubt) ++lost;
            if (f.recipients[i].status == status::accepted) ++accepted;
        }
        if (again.empty()) return;
        CHECK((f.error == errc::out_of_sequence || f.error == errc::chunking_refused));
        CHECK(f.details.reply != "");
        ++returns;
        waiting.push_back(std::move(again));
    }
    void learn(lesson l) {
        if (l == lesson::no_overlap) wanted = std::min(wanted, pipelining::envelope);
        if (l == lesson::no_pipelining) wanted = pipelining::lockstep;
        if (l == lesson::no_chunking) chunking = false;
    }

    static constexpr int messages = 12;
    server sink;
    pipelining wanted;
    bool chunking = true;
    time_point now{std::chrono::hours(1)};
    std::deque<std::vector<std::string>> waiting;
    int connections = 0;
    int returns = 0;
    int accepted = 0;
    int lost = 0;
    bool stuck = false;
};

}  // namespace

TEST_CASE("a server that refuses what is sent ahead gets every message once, and is asked otherwise from then on") {
    static constexpr std::string_view refusals[] = {
        "503 Bad sequence of commands - pipelined after end of data",
        "503 5.5.1 Error: nested MAIL command",
        "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining",
        "500 5.5.1 Command unrecognized",
        "502 command not implemented here",
    };
    for (const auto mode : {pipelining::lockstep, pipelining::envelope, pipelining::across, pipelining::window})
        for (const auto what : {dislikes::behind_content, dislikes::mail_ahead, dislikes::rcpt_ahead,
                                dislikes::data_ahead, dislikes::second_mail_once})
            for (const auto refusal : refusals) {
                CAPTURE(static_cast<int>(mode));
                CAPTURE(static_cast<int>(what));
                CAPTURE(refusal);
                const run r(what, std::string(refusal), mode);
                CHECK_FALSE(r.stuck);
                CHECK(r.lost == 0);
                CHECK(r.accepted == 2 * run::messages);
                CHECK(r.sink.taken.size() == 2 * run::messages);
                CHECK(std::ranges::all_of(r.sink.taken, [](const auto& t) { return t.second == 1; }));
                // What was under way when it was learned, and no more: a window, two.
                CHECK(r.returns <= 8);
                CHECK(r.connections <= 2);
            }
}

TEST_CASE("words about order count where commands were sent ahead, and never in an address") {
    struct row {
        pipelining mode;
        std::string_view reply;
        bool about_order;
    };
    static constexpr row table[] = {
        {pipelining::envelope, "554 5.5.0 Improper use of SMTP command pipelining", true},
        {pipelining::envelope, "554 SMTP synchronization error", true},
        {pipelining::envelope, "501 Bad sequence of commands", true},
        {pipelining::envelope, "521 5.5.1 Protocol error", true},
        {pipelining::envelope, "530 5.5.1 Authentication Required", false},
        {pipelining::envelope, "550 5.5.1 Recipient rejected", false},
        {pipelining::envelope, "554 5.5.1 Bad sequence of commands", true},
        {pipelining::envelope, "554 5.5.0 SMTP protocol synchronization", true},
        {pipelining::envelope, "451 4.5.0 Improper use of SMTP command pipelining", true},
        {pipelining::lockstep, "521 5.5.1 Protocol error", false},
        {pipelining::lockstep, "451 4.5.0 Improper use of SMTP command pipelining", false},
        {pipelining::lockstep, "554 5.5.0 Improper use of SMTP command pipelining", false},
        {pipelining::lockstep, "550 5.2.1 mailbox out of order", false},
        {pipelining::lockstep, "503 sequence", true},
        {pipelining::lockstep, "502 what?", true},
        {pipelining::envelope, "550 5.1.1 <pipelining@y.example> unknown", false},
        {pipelining::envelope, "550 no such user: bad.sequence@y.example", false},
        {pipelining::envelope, "503 5.7.1 you are blocked", false},
        {pipelining::envelope, "503 5.1.1 nobody", false},
        {pipelining::envelope, "504 parameter not implemented", false},
        {pipelining::envelope, "452 too many", false},
    };
    for (const auto& row : table) {
        const auto mode = row.mode;
        const auto refusal = row.reply;
        const auto about_order = row.about_order;
        CAPTURE(refusal);
        const time_point now{std::chrono::hours(1)};
        smtp::session s(
            {.server = {"mx", 587, security::insecure_none}, .client_name = "client.example", .pipelining = mode});
        const auto drain = [&] {
            std::array<std::string_view, 3> parts;
            while (const auto count = s.output(parts)) {
                std::size_t n = 0;
                for (std::size_t i = 0; i < count; ++i) n += parts[i].size();
                s.consumed(n, now);
            }
        };
        s.started(now);
        s.received("220 mx\r\n", now);
        drain();
        s.received("250-mx\r\n250 PIPELINING\r\n", now);
        s.submit({.id = 1, .mail = mail({"b@y.example"})}, now);
        drain();
        s.received("250 ok\r\n", now);
        drain();
        s.received(std::string(refusal) + "\r\n", now);
        drain();
        if (mode == pipelining::envelope) s.received("503 nobody\r\n", now);
        std::optional<smtp::finished> f;
        while (auto e = s.poll())
            if (auto* ended = std::get_if<smtp::finished>(&*e)) f = std::move(*ended);
        REQUIRE(f);
        CHECK((f->error == errc::out_of_sequence) == about_order);
        CHECK((f->recipients[0].status == status::not_attempted) == about_order);
        CHECK(f->recipients[0].reply.code == std::stoi(std::string(refusal)));
        CHECK((f->lesson == lesson::none) == (!about_order || mode == pipelining::lockstep));
        CHECK(s.reusable());
    }
}

TEST_CASE("MAIL put off is told as such in every mode and at every place") {
    for (const auto mode : {pipelining::lockstep, pipelining::envelope, pipelining::across, pipelining::window})
        for (const std::string refusal : {"452 4.4.5 Maximum number of messages per session exceeded", "450 later",
                                          "451 4.4.2 timeout - closing connection", "421 4.7.0 too many"})
            for (const int at : {1, 2, 3}) {
                CAPTURE(static_cast<int>(mode));
                CAPTURE(refusal);
                CAPTURE(at);
                const time_point now{std::chrono::hours(1)};
                smtp::session s({.server = {"mx", 587, security::insecure_none},
                                 .client_name = "client.example",
                                 .pipelining = mode});
                s.started(now);
                s.received("220 mx\r\n", now);
                std::vector<smtp::finished> ended;
                std::string in;
                int mails = 0;
                std::uint64_t id = 0;
                bool refused = false;
                bool dots = false;
                for (int round = 0; round < 100 && !s.done(); ++round) {
                    while (s.room() > 0 && id < 3) s.submit({.id = ++id, .mail = mail({"b@y.example"})}, now);
                    std::array<std::string_view, 3> parts;
                    while (const auto count = s.output(parts)) {
                        std::size_t n = 0;
                        for (std::size_t i = 0; i < count; ++i) in += parts[i], n += parts[i].size();
                        s.consumed(n, now);
                    }
                    std::string out;
                    for (auto end = in.find("\r\n"); end != std::string::npos; end = in.find("\r\n")) {
                        const auto line = in.substr(0, end);
                        in.erase(0, end + 2);
                        if (dots) {
                            if (line == ".") out += "250 taken\r\n", dots = false;
                        } else if (line.starts_with("EHLO"))
                            out += "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
                        else if (line.starts_with("MAIL"))
                            out += (refused = ++mails == at) ? refusal + "\r\n" : "250 ok\r\n";
                        else if (line.starts_with("BDAT ")) {
                            in.erase(0, std::stoul(line.substr(5)));
                            out += refused ? "503 nobody\r\n" : "250 taken\r\n";
                        } else if (line == "RSET")
                            out += "250 reset\r\n";
                        else if (line == "DATA")
                            out += refused ? "503 nobody\r\n" : "354 go\r\n", dots = !refused;
                        else
                            out += refused ? "503 no MAIL\r\n" : "250 ok\r\n";
                        if (refused && refusal.starts_with("421")) break;
                    }
                    if (!out.empty()) s.received(out, now);
                    if (refused && refusal.starts_with("421")) s.closed(errc::connection_closed, "closed", now);
                    while (auto e = s.poll())
                        if (auto* f = std::get_if<smtp::finished>(&*e)) ended.push_back(std::move(*f));
                }
                const auto f = std::ranges::find(ended, static_cast<std::uint64_t>(at), &smtp::finished::id);
                REQUIRE(f != ended.end());
                const auto& r = f->recipients.at(0);
                CHECK_FALSE(f->error);
                CHECK(r.status == status::deferred);
                CHECK(r.where == phase::mail);
                CHECK(r.reply.code == std::stoi(refusal));
                CHECK_FALSE(r.reply.text.empty());
            }
}

// The session against a server of few lines, with random refusals, faults and cut points: what it says became of a
// message must be what the server knows. A failing seed is printed; POSTROAD_SEED=N plays it again.
#include <postroad/smtp/session.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace postroad;
using smtp::pipelining;

namespace {

class chance {
public:
    explicit chance(std::uint64_t seed) : engine_(seed) {}
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
    bool one_in(std::size_t n) { return below(n) == 0; }
    template <class T, std::size_t n>
    const T& of(const T (&choices)[n]) {
        return choices[below(n)];
    }

private:
    std::mt19937_64 engine_;
};

// What the server knows.
struct truth {
    std::map<std::string, int> taken;  // recipients whose mail it is responsible for, and how often
    std::string violation;
};

class server {
public:
    server(chance& c, truth& t, std::map<std::string, std::string> contents, protocol p)
        : chance_(c), truth_(t), contents_(std::move(contents)), lmtp_(p == protocol::lmtp) {
        refusals_ = c.below(3) * 6;
        most_recipients_ = c.one_in(3) ? 2 : 100;
        if (c.one_in(3)) most_mails_ = 1 + c.below(3);
        say("220 model");
    }

    void received(std::string_view octets) {
        in_ += octets;
        while (!over_ && step()) continue;
    }
    // Up to `n` octets of what it says.
    std::string said(std::size_t n) {
        auto result = out_.substr(0, n);
        out_.erase(0, n);
        return result;
    }
    bool quiet() const { return out_.empty(); }
    bool over() const { return over_; }

private:
    void say(std::string_view line) {
        if (chance_.one_in(20)) out_.append(line.substr(0, 3)).append("-first\r\n");
        out_.append(line).append("\r\n");
    }
    bool refuse() { return refusals_ != 0 && chance_.one_in(refusals_); }
    void refusal() {
        static constexpr std::string_view words[] = {"550 5.1.1 no", "450 later", "552 full", "452 4.5.3 many"};
        say(chance_.of(words));
    }
    // Says goodbye instead of a reply, now and then.
    bool leaves() {
        if (refusals_ == 0 || !chance_.one_in(60)) return false;
        say("421 4.3.2 going down");
        return over_ = true;
    }

    bool step() {
        if (in_content_) return take_dotted();
        if (chunk_) return take_chunk();
        const auto end = in_.find("\r\n");
        if (end == std::string::npos) return false;
        const auto line = in_.substr(0, end);
        in_.erase(0, end + 2);
        if (leaves()) return false;
        command(line);
        return true;
    }
    void command(const std::string& line) {
        if (line.starts_with(lmtp_ ? "LHLO " : "EHLO ")) return hello();
        if (line.starts_with("MAIL FROM:<")) return mail(line);
        if (line.starts_with("RCPT TO:<")) return rcpt(line);
        if (line == "DATA") return data();
        if (line.starts_with("BDAT ") && line.ends_with(" LAST")) {
            chunk_ = std::stoul(line.substr(5)) + 1;
            return;
        }
        if (line == "RSET") {
            forget();
            return say("250 reset");
        }
        if (line == "QUIT") {
            say("221 bye");
            over_ = true;
            return;
        }
        truth_.violation = "unknown command: " + line;
        say("500 what?");
    }
    void hello() {
        out_ += "250-model\r\n250-SIZE 100000\r\n";
        if (!chance_.one_in(4)) out_ += "250-PIPELINING\r\n";
        if (!chance_.one_in(4)) out_ += "250-CHUNKING\r\n";
        if (most_mails_ != 0) out_ += "250-LIMITS MAILMAX=" + std::to_string(most_mails_) + "\r\n";
        out_ += "250 HELP\r\n";
    }
    void mail(const std::string& line) {
        if (!from_.empty()) truth_.violation = "MAIL within a transaction";
        if (++mails_ > most_mails_ && most_mails_ != 0) truth_.violation = "more MAIL than LIMITS allows";
        if (refuse()) return refusal();
        from_ = line.substr(11, line.find('>') - 11);
        say("250 ok");
    }
    void rcpt(const std::string& line) {
        if (from_.empty()) return say("503 5.5.1 no MAIL");
        if (to_.size() == most_recipients_) return say("452 4.5.3 too many");
        if (refuse()) return refusal();
        to_.push_back(line.substr(9, line.find('>') - 9));
        say("250 2.1.5 ok");
    }
    void data() {
        if (to_.empty() && (lmtp_ || !chance_.one_in(3))) return say("503 5.5.1 nobody");
        if (!to_.empty() && refuse()) return say("451 4.3.0 not now");
        in_content_ = true;
        chunked_ = false;
        say("354 go");
    }
    bool take_dotted() {
        const bool empty = in_.starts_with(".\r\n");
        const auto end = empty ? 0 : in_.find("\r\n.\r\n");
        if (end == std::string::npos) return false;
        auto text = empty ? std::string() : in_.substr(0, end + 2);
        in_.erase(0, empty ? 3 : end + 5);
        if (text.starts_with("..")) text.erase(0, 1);
        for (auto at = text.find("\n.."); at != std::string::npos; at = text.find("\n..", at + 2))
            text.erase(at + 1, 1);
        in_content_ = false;
        judge(text);
        return true;
    }
    bool take_chunk() {
        const auto size = chunk_ - 1;
        if (in_.size() < size) return false;
        const auto text = in_.substr(0, size);
        in_.erase(0, size);
        chunk_ = 0;
        chunked_ = true;
        if (to_.empty())
            say("503 5.5.1 nobody");
        else
            judge(text);
        return true;
    }
    void judge(const std::string& text) {
        if (to_.empty()) {
            if (!text.empty()) truth_.violation = "content for nobody";
            forget();
            return say("554 5.5.1 nobody");
        }
        if (contents_.at(from_) != text) truth_.violation = "the content of " + from_ + " is not what was sent";
        if (refuse() && (!lmtp_ || chunked_)) {
            say(chance_.one_in(4) ? "502 5.5.1 what?" : "554 5.7.1 spam");
            // it knows no BDAT, and so no reply for each recipient either
            over_ = over_ || lmtp_;
            return forget();
        }
        for (std::size_t i = 0; i < (lmtp_ ? to_.size() : 1); ++i) {
            if (leaves()) return;
            if (lmtp_ && refuse()) {
                refusal();
                continue;
            }
            if (lmtp_)
                ++truth_.taken[to_[i]];
            else
                for (const auto& r : to_) ++truth_.taken[r];
            say("250 2.0.0 queued");
        }
        forget();
    }
    void forget() {
        from_.clear();
        to_.clear();
    }

    chance& chance_;
    truth& truth_;
    std::map<std::string, std::string> contents_;
    std::string in_;
    std::string out_;
    std::string from_;
    std::vector<std::string> to_;
    std::size_t refusals_ = 0;
    std::size_t chunk_ = 0;  // one more than the octets of the chunk that is due
    std::size_t most_recipients_ = 0;
    std::size_t most_mails_ = 0;  // 0: any number
    std::size_t mails_ = 0;
    bool lmtp_ = false;
    bool chunked_ = false;
    bool in_content_ = false;
    bool over_ = false;
};

// One connection's life, from the seed. Returns what broke the rules.
class life {
public:
    explicit life(std::uint64_t seed) : chance_(seed) {
        static constexpr std::string_view texts[] = {"", ".\n", "..\n.\n", "a\n.b\n", "x\n\n.\n.\n.", "no end"};
        for (std::size_t i = 0, count = 1 + chance_.below(8); i < count; ++i) {
            auto m = std::make_shared<mail_object>();
            m->envelope.reverse_path = address("s" + std::to_string(i) + "@a.example");
            for (std::size_t k = 0, n = 1 + chance_.below(5); k < n; ++k)
                m->envelope.recipients.push_back(
                    address("r" + std::to_string(i) + "-" + std::to_string(k) + "@b.example"));
            m->content = content::from_text("Subject: " + std::to_string(i) + "\n\n" + std::string(chance_.of(texts)));
            m->envelope.options.priority = 3;  // which this server does not know
            mails_.push_back(std::move(m));
            static constexpr pipelining ways[] = {pipelining::envelope, pipelining::across, pipelining::window};
            tasks_.push_back({.id = i, .mail = mails_.back(), .ahead = chance_.of(ways)});
        }
    }

    std::string play() {
        static constexpr pipelining modes[] = {pipelining::lockstep, pipelining::envelope, pipelining::across,
                                               pipelining::window, pipelining::automatic};
        const auto spoken = chance_.one_in(2) ? protocol::lmtp : protocol::smtp;
        smtp::session s({.server = {"model", 24, security::insecure_none, spoken},
                         .client_name = "client.example",
                         .pipelining = chance_.of(modes),
                         .window = 5});
        std::map<std::string, std::string> contents;
        for (const auto& m : mails_) contents[m->envelope.reverse_path.str()] = m->content.text();
        server peer(chance_, truth_, std::move(contents), spoken);
        // Steps until the connection breaks, in half of the lives.
        const auto cut = chance_.one_in(2) ? chance_.below(200) : std::size_t(-1);
        s.started(now_);
        for (std::size_t i = 0; !s.done() && i < 20'000; ++i) {
            if (i == cut) break_it(s);
            act(s, peer);
            drain(s);
            if (!problem_.empty()) return problem_;
        }
        if (!s.done()) return "the session does not end";
        drain(s);
        return verify(s);
    }

    std::size_t seen(status what) const {
        std::size_t n = 0;
        for (const auto& [id, f] : ended_)
            for (const auto& r : f.recipients) n += r.status == what;
        return n;
    }

private:
    void break_it(smtp::session& s) {
        switch (chance_.below(3)) {
            case 0: return s.closed(errc::connection_closed, "cut", now_);
            case 1: return s.received("nonsense\r\n", now_);
            default: now_ = s.deadline() == never ? now_ : s.deadline(); s.tick(now_);
        }
    }
    void act(smtp::session& s, server& peer) {
        switch (chance_.below(4)) {
            case 0:
                if (s.room() > 0 && given_ < tasks_.size()) {
                    s.submit(tasks_[given_], now_);
                    ++given_;
                } else if (s.reusable() && given_ == tasks_.size() && ended_.size() == given_) {
                    s.quit(now_);
                }
                return;
            case 1: return take_output(s, peer);
            case 2:
                if (const auto said = peer.said(1 + chance_.below(60)); !said.empty()) s.received(said, now_);
                if (peer.over() && peer.quiet() && !s.done()) s.closed(errc::connection_closed, "the end", now_);
                return;
            default:
                if (given_ > 0 && chance_.one_in(40)) s.cancel(chance_.below(given_), now_);
        }
    }
    void take_output(smtp::session& s, server& peer) {
        std::array<std::string_view, 6> parts;
        const auto count = s.output(std::span(parts).first(1 + chance_.below(parts.size())));
        std::string taken;
        for (std::size_t i = 0; i < count; ++i) taken += parts[i];
        if (taken.empty()) return;
        taken.resize(chance_.one_in(3) ? taken.size() : 1 + chance_.below(taken.size()));
        wire_ += taken;
        peer.received(taken);
        s.consumed(taken.size(), now_);
    }
    // Each content is unique by its subject.
    bool has_left(std::string_view text) const {
        std::string dotted(text);
        for (auto at = dotted.find("\n."); at != std::string::npos; at = dotted.find("\n.", at + 2))
            dotted.insert(at + 1, 1, '.');
        return wire_.find(dotted + ".\r\n") != std::string::npos ||
               wire_.find(" LAST\r\n" + std::string(text)) != std::string::npos;
    }
    void drain(smtp::session& s) {
        while (auto e = s.poll()) {
            if (std::holds_alternative<smtp::closed>(*e)) ++closed_;
            auto* f = std::get_if<smtp::finished>(&*e);
            if (!f) continue;
            if (!ended_.emplace(f->id, *f).second) problem_ = "a transaction ended twice";
            const auto& m = *tasks_.at(f->id).mail;
            for (const auto& r : f->recipients)
                if (r.status == status::in_doubt && !has_left(m.content.text()))
                    problem_ = "in doubt though its content had not left";
            come_again(*f);
        }
        if (s.done() && (s.reusable() || s.room() > 0)) problem_ = "over, and yet reusable";
    }
    std::uint32_t index(std::size_t task, std::size_t k) const {
        const auto& r = tasks_[task].recipients;
        return r.empty() ? static_cast<std::uint32_t>(k) : r[k];
    }
    // Who was too many goes in another transaction, as RFC 5321 section 4.5.3.1.10 says.
    void come_again(const smtp::finished& f) {
        smtp::transaction t{.id = tasks_.size(), .mail = tasks_[f.id].mail};
        bool progress = false;
        for (std::size_t k = 0; k < f.recipients.size(); ++k) {
            const auto& r = f.recipients[k];
            progress = progress || r.status == status::accepted;
            if (r.status == status::deferred && r.where == phase::rcpt) t.recipients.push_back(index(f.id, k));
        }
        if (!f.error && progress && !t.recipients.empty()) tasks_.push_back(std::move(t));
    }
    std::string verify(const smtp::session& s) const {
        std::array<std::string_view, 1> part;
        if (closed_ != 1) return "closed not exactly once";
        if (s.output(part) != 0 || s.deadline() != never) return "over, and yet it writes or waits";
        if (!truth_.violation.empty()) return truth_.violation;
        if (ended_.size() != given_) return "a transaction did not end";
        for (const auto& [id, f] : ended_)
            for (std::size_t k = 0; k < f.recipients.size(); ++k) {
                const auto& to = tasks_[id].mail->envelope.recipients[index(id, k)].str();
                const auto said = f.recipients[k].status;
                const auto what = to + " is said to be " + std::string(to_string(said));
                const bool taken = truth_.taken.contains(to);
                if (said == status::accepted && !taken) return what + ", and the server did not take it";
                // who comes again was not taken before
                const bool later = std::ranges::any_of(ended_, [this, mine = id](const auto& other) {
                    return other.first > mine && tasks_[other.first].mail == tasks_[mine].mail;
                });
                if (taken && !later && said != status::accepted && said != status::in_doubt)
                    return what + ", and was taken";
            }
        for (const auto& [to, times] : truth_.taken)
            if (times > 1) return to + " was taken twice";
        return {};
    }

    chance chance_;
    truth truth_;
    std::vector<mail_ptr> mails_;
    std::vector<smtp::transaction> tasks_;
    std::map<std::uint64_t, smtp::finished> ended_;
    std::string problem_;
    std::string wire_;
    std::size_t given_ = 0;
    std::size_t closed_ = 0;
    time_point now_ = {};
};

}  // namespace

TEST_CASE("whatever the server does, the session says what became of the messages") {
    if (const char* given = std::getenv("POSTROAD_SEED")) {
        CHECK(life(std::strtoull(given, nullptr, 10)).play() == "");
        return;
    }
    std::uint64_t seed = std::random_device{}();
    std::array<std::size_t, 5> seen = {};
    for (int i = 0; i < 3000; ++i, ++seed) {
        CAPTURE(seed);
        life l(seed);
        REQUIRE(l.play() == "");
        for (std::size_t s = 0; s < seen.size(); ++s) seen[s] += l.seen(static_cast<status>(s));
    }
    // Every ending happened, or the test tests nothing.
    for (const auto n : seen) CHECK(n > 0);
}

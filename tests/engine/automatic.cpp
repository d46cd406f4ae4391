// Servers that offer PIPELINING and CHUNKING and break under what they offer, at any point: the dispatcher with
// sessions of transport::smtp, virtual time. Nothing is lost or doubled, no more is in doubt than may be, and the
// server gets one message at a time from then on.
#include <doctest/doctest.h>

#include <postroad/transport/smtp.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rig.hpp"

using namespace engine_test;

namespace {

enum class trouble { none, hangs_up, hangs_up_with_it, says_421, says_503, is_silent };

struct habits {
    trouble how = trouble::none;
    std::size_t after = 0;  // replies to what came together, before that
    std::size_t bears = 1;  // messages that may come together
    bool chunking = true;
};

/// What all connections of a server have in common.
struct counts {
    std::map<std::string, int> kept = {};  // by sender
    std::size_t troubles = 0;
    std::size_t most_together = 0;
};

/// One connection at the server.
class peer {
public:
    peer(const habits& h, counts& c) : habits_(h), counts_(c) {}

    void take(std::string_view octets) { in_ += octets; }
    /// The replies to what has come.
    std::string answer() {
        const auto together = messages_in_view();
        counts_.most_together = std::max(counts_.most_together, together);
        const bool too_much = habits_.how != trouble::none && together > habits_.bears;
        std::string out;
        said_503_ = false;
        for (std::size_t given = 0; !hung_up_; ++given) {
            const bool now = too_much && !silent_ && given == habits_.after;
            refuses_ = refuses_ || (now && habits_.how == trouble::says_503);
            if (!next()) break;
            if (now) begin_trouble(out);
            if (hung_up_ || silent_) continue;
            if (is_content_) ++counts_.kept[sender_];
            out += reply_;
        }
        if (said_503_) ++counts_.troubles;
        refuses_ = false;
        return out;
    }
    bool hung_up() const { return hung_up_; }

private:
    std::size_t messages_in_view() const {
        std::size_t n = body_ ? 1 : 0;
        for (auto at = in_.find("MAIL FROM"); at != std::string::npos; at = in_.find("MAIL FROM", at + 1)) ++n;
        return n;
    }
    // Takes one command with what belongs to it.
    bool next() {
        is_content_ = false;
        if (body_) {
            const auto end = in_.find("\r\n.\r\n");
            if (end == std::string::npos) return false;
            in_.erase(0, end + 5);
            body_ = false;
            is_content_ = true;
            reply_ = "250 kept\r\n";
            return true;
        }
        const auto end = in_.find("\r\n");
        if (end == std::string::npos) return false;
        const auto line = in_.substr(0, end);
        const auto size = line.starts_with("BDAT ") ? std::stoul(line.substr(5)) : 0;
        if (in_.size() < end + 2 + size) return false;
        in_.erase(0, end + 2 + size);
        reply_ = "250 ok\r\n";
        if (line.starts_with("EHLO"))
            reply_ = habits_.chunking ? "250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n" : "250-mx\r\n250 PIPELINING\r\n";
        if (line == "QUIT") hung_up_ = true;
        if (refuses_ && line != "RSET") {
            reply_ = "503 one at a time\r\n";
            said_503_ = true;
            return true;
        }
        if (line.starts_with("MAIL")) sender_ = line;
        is_content_ = line.starts_with("BDAT");
        if (line == "DATA") {
            reply_ = "354 go\r\n";
            body_ = true;
        }
        return true;
    }
    void begin_trouble(std::string& out) {
        counts_.troubles += habits_.how == trouble::says_503 ? 0 : 1;
        switch (habits_.how) {
            case trouble::none: return;
            case trouble::hangs_up: hung_up_ = true; return;
            case trouble::says_421:
                out += "421 too much\r\n";
                hung_up_ = true;
                return;
            case trouble::says_503: return;
            case trouble::hangs_up_with_it: hung_up_ = true; break;
            case trouble::is_silent: silent_ = true; break;
        }
        if (is_content_) ++counts_.kept[sender_];
    }

    const habits& habits_;
    counts& counts_;
    std::string in_;
    std::string reply_;
    std::string sender_;
    bool body_ = false;
    bool is_content_ = false;
    bool refuses_ = false;
    bool said_503_ = false;
    bool silent_ = false;
    bool hung_up_ = false;
};

/// A mailer and that server.
class world {
public:
    world(const habits& h, std::size_t messages, std::size_t most_in_doubt = 0)
        : habits_(h),
          messages_(messages),
          scheduler_{.retry = {.attempts = 30, .first_wait = 1s}, .most_in_doubt = most_in_doubt} {}

    void run() {
        for (std::size_t i = 1; i <= messages_; ++i) {
            auto j = make_job(i, mail(i));
            j.traffic_class = 1;
            REQUIRE_FALSE(queue_.enqueue(j));
        }
        d_.wake(now_);
        act();
        for (int steps = 0; ended_.size() < messages_; ++steps) {
            REQUIRE(steps < 5000);
            if (!talk()) pass();
        }
    }
    std::size_t in_doubt() const {
        return static_cast<std::size_t>(
            std::ranges::count(ended_, status::in_doubt, [](const auto& e) { return e.second; }));
    }
    // What nobody lost and nobody has twice.
    void check() const {
        for (const auto& [job, s] : ended_) {
            const auto id = job;
            CAPTURE(id);
            const auto kept = counts_.kept.find(line_of(id));
            const int n = kept == counts_.kept.end() ? 0 : kept->second;
            if (s == status::accepted)
                CHECK(n == 1);
            else {
                CHECK(s == status::in_doubt);
                CHECK(n <= 1);
            }
        }
    }
    const counts& seen() const { return counts_; }

private:
    struct line {
        smtp::session session;
        peer far;
    };

    static std::string line_of(job_id id) { return "MAIL FROM:<s" + std::to_string(id) + "@x>"; }
    static mail_ptr mail(job_id id) {
        auto m = std::make_shared<mail_object>();
        m->envelope.reverse_path = address("s" + std::to_string(id) + "@x");
        m->envelope.recipients.emplace_back("r@y");
        m->content = content::from_text("Subject: s\n\ntext\n");
        return m;
    }
    std::vector<connection_id> ids() const {
        std::vector<connection_id> all;
        for (const auto& l : live_) all.push_back(l.first);
        return all;
    }
    // All that is written is answered, whatever is written meanwhile waits. Whether anything was.
    bool talk() {
        bool any = false;
        for (const auto id : ids()) any = drain(id) || any;
        for (const auto id : ids()) {
            const auto l = live_.find(id);
            if (l == live_.end()) continue;
            const auto said = l->second.far.answer();
            if (!said.empty()) l->second.session.received(said, now_);
            if (l->second.far.hung_up()) l->second.session.closed(errc::connection_closed, "it hung up", now_);
            any = any || !said.empty() || l->second.far.hung_up();
            events(id);
        }
        act();
        return any;
    }
    bool drain(connection_id id) {
        auto& l = live_.at(id);
        std::array<std::string_view, 4> parts;
        bool any = false;
        while (const auto n = l.session.output(parts)) {
            std::size_t octets = 0;
            for (std::size_t i = 0; i < n; ++i) {
                l.far.take(parts[i]);
                octets += parts[i].size();
            }
            l.session.consumed(octets, now_);
            any = true;
        }
        return any;
    }
    void pass() {
        auto due = d_.deadline();
        for (const auto& l : live_) due = std::min(due, l.second.session.deadline());
        REQUIRE(due != never);
        now_ = std::max(now_, due);
        for (const auto id : ids())
            if (const auto l = live_.find(id); l != live_.end() && l->second.session.deadline() <= now_) {
                l->second.session.tick(now_);
                events(id);
            }
        d_.tick(now_);
        act();
    }
    void events(connection_id id) {
        const auto l = live_.find(id);
        while (auto e = l->second.session.poll()) {
            auto& s = l->second.session;
            if (auto* f = std::get_if<smtp::finished>(&*e)) {
                d_.finished(id, std::move(*f), s.room(), now_);
            } else if (const auto* r = std::get_if<smtp::ready>(&*e)) {
                d_.ready(id, s.room(), now_, {s.max_recipients(), s.max_domains()}, *r);
            } else if (auto* c = std::get_if<smtp::closed>(&*e)) {
                const auto why = std::move(*c);
                live_.erase(l);
                return d_.closed(id, why, now_);
            }
        }
    }
    void act() {
        while (auto a = d_.poll()) std::visit([this](auto& what) { this->carry_out(what); }, *a);
    }
    void carry_out(engine::open_connection& o) {
        auto& l = live_.try_emplace(o.id, line{transport_.make_session(o.to, {}, o.known), peer(habits_, counts_)})
                      .first->second;
        l.session.started(now_);
        l.session.received("220 mx\r\n", now_);
    }
    void carry_out(engine::transmit& t) {
        if (const auto l = live_.find(t.id); l != live_.end()) l->second.session.submit(std::move(t.what), now_);
    }
    void carry_out(engine::interrupt&) { FAIL("nothing is cancelled"); }
    void carry_out(engine::ask_location&) { FAIL("nobody is asked"); }
    void carry_out(engine::quit_connection& q) {
        if (const auto l = live_.find(q.id); l != live_.end()) l->second.session.quit(now_);
    }
    void carry_out(engine::complete& done) {
        CHECK(ended_.emplace(done.what->id, done.what->result.recipients.front().status).second);
    }

    habits habits_;
    std::size_t messages_;
    transport::smtp transport_{{.server = {"mx", 25, security::insecure_none}}};
    pooling::keep_alive pool_{.max_connections = 1, .messages_per_connection = 1000};
    queueing::memory queue_ = {};
    scheduling::fifo scheduler_;
    engine::dispatcher<transport::smtp, pooling::keep_alive, queueing::memory, scheduling::fifo> d_{transport_, pool_,
                                                                                                    queue_, scheduler_};
    time_point now_ = time_point{} + 1h;
    counts counts_ = {};
    std::map<connection_id, line> live_ = {};
    std::map<job_id, status> ended_ = {};
};

}  // namespace

TEST_CASE("a server that does as it says gets a window, and one without CHUNKING two at a time") {
    for (const bool chunking : {true, false}) {
        world w({.chunking = chunking}, 100);
        w.run();
        w.check();
        CHECK(w.in_doubt() == 0);
        CHECK(w.seen().most_together >= (chunking ? 10U : 2U));
        CHECK(w.seen().most_together <= (chunking ? 16U : 2U));
    }
}

TEST_CASE("a server that breaks under what it offers, anywhere, loses and doubles nothing, and is sent one at a time") {
    for (const auto how :
         {trouble::hangs_up, trouble::hangs_up_with_it, trouble::says_421, trouble::says_503, trouble::is_silent})
        for (const std::size_t bears : {1U, 2U, 6U, 11U})
            for (std::size_t after = 0; after < 12; ++after) {
                CAPTURE(static_cast<int>(how));
                CAPTURE(bears);
                CAPTURE(after);
                world w({.how = how, .after = after, .bears = bears}, 100);
                w.run();
                w.check();
                // Across, which comes first and has few replies, one content is on its way at a time.
                CHECK(w.in_doubt() <= (bears == 1 && after < 4 ? 1U : 16U));
                if (how == trouble::says_421 || how == trouble::says_503) CHECK(w.in_doubt() == 0);
                CHECK(w.seen().troubles <= 1);
                CHECK((w.seen().troubles == 1 || after > 2));
            }
}

TEST_CASE("no more is in doubt than may be, wherever the window breaks") {
    for (std::size_t after = 0; after < 12; ++after)
        for (const std::size_t most : {1U, 2U, 3U}) {
            world w({.how = trouble::hangs_up_with_it, .after = after, .bears = 1}, 60, most);
            w.run();
            w.check();
            CHECK(w.in_doubt() <= most);
            CHECK(w.seen().most_together <= std::max<std::size_t>(most, 2));
        }
}

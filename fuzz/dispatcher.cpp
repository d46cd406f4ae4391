// A hostile server under the whole of the engine's decisions: dispatcher, pool, queue and scheduler as shipped,
// sessions of transport::smtp, virtual time. The first three octets pick the queue, the scheduler, the pipelining and
// the messages; the rest is what the server does, line by line: once, or on each connection anew. Whatever it is:
// each message ends, once; what is accepted was; no connection is leaked, time goes on, and no server is stormed.
#include <postroad/engine/dispatcher.hpp>
#include <postroad/pooling/keep_alive.hpp>
#include <postroad/queueing/direct.hpp>
#include <postroad/queueing/memory.hpp>
#include <postroad/scheduling/fair.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/transport/smtp.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace {

using namespace postroad;
using namespace std::chrono_literals;

void require(bool holds) {
    if (!holds) std::abort();
}

transport::smtp_options options(unsigned how) {
    static constexpr smtp::pipelining modes[] = {smtp::pipelining::lockstep, smtp::pipelining::envelope,
                                                 smtp::pipelining::across, smtp::pipelining::window};
    transport::smtp_options o{
        .server = {"mx", 24, security::insecure_none, (how & 4U) != 0 ? protocol::lmtp : protocol::smtp},
        .pipelining = (how & 64U) != 0 ? smtp::pipelining::automatic : modes[how % 4]};
    if ((how & 8U) != 0) {
        o.credentials = {.user = "ann", .password = secret("the-password")};
        o.insecure_authentication = true;
    }
    return o;
}

template <class Queueing, class Scheduling>
class world {
public:
    world(unsigned how, unsigned messages, std::string_view script)
        : transport_(options(how)),
          pool_{.max_connections = 1 + how / 16 % 4},
          script_(script),
          bulk_((how & 128U) != 0) {
        for (unsigned i = 0; i < 1 + messages % 8; ++i) submit(1 + messages / 8 % 4);
        dispatcher_.wake(now_);
        act();
    }

    // As run(), but each connection hears the whole script: a server that always does the same.
    void run_again_and_again() {
        for (int steps = 0; ended_ < submitted_ && steps < 2'000; ++steps) {
            bool any = false;
            for (const auto id : ids()) any = hear(id) || any;
            if (!any) pass();
        }
        script_ = {};
        run();
    }
    // The server says and does all that; then it is gone, and so is every message in the end.
    void run() {
        while (!script_.empty()) {
            const auto line = script_.substr(0, std::min(script_.find('\n'), script_.size() - 1) + 1);
            script_.remove_prefix(line.size());
            happen(line);
            act();
        }
        is_gone_ = true;
        while (!live_.empty()) hang_up(live_.begin()->first);
        for (int steps = 0; ended_ < submitted_ && steps < 10'000; ++steps) pass();
        require(ended_ == submitted_);
        require(queue_.size() == 0 && dispatcher_.idle(now_));
        dispatcher_.quit_all();
        act();
        require(live_.empty() && dispatcher_.connections() == 0);
        check_openings();
    }

private:
    void submit(unsigned recipients) {
        auto m = std::make_shared<mail_object>();
        m->envelope.reverse_path = address("a@x");
        for (unsigned i = 0; i < recipients; ++i) m->envelope.recipients.emplace_back("r" + std::to_string(i) + "@y");
        m->content = content::from_text("Subject: s\n\ntext\n");
        job j;
        j.id = ++submitted_;
        j.mail = std::move(m);
        j.submitted = now_;
        j.traffic_class = bulk_ ? 1 : 0;
        j.deadline = now_ + 2h;
        dispatcher_.give_up_at(j.id, j.deadline);
        require(!queue_.enqueue(j));
    }

    std::vector<pooling::connection_id> ids() const {
        std::vector<pooling::connection_id> all;
        for (const auto& c : live_) all.push_back(c.first);
        return all;
    }
    // Its next line, and what stands behind '+' with it in one segment. Whether there is one.
    bool hear(pooling::connection_id id) {
        const auto c = live_.find(id);
        auto& at = heard_[id];
        if (c == live_.end() || at >= script_.size()) return false;
        std::string octets;
        do {
            const auto end = std::min(script_.find('\n', at), script_.size() - 1) + 1;
            octets += script_.substr(at, end - at);
            at = end;
        } while (at < script_.size() && script_[at] == '+' && ++at < script_.size());
        if (octets.starts_with('^')) return false;
        if (octets.starts_with('~')) {
            hang_up(id);
        } else {
            drain(c->second);
            c->second.received(octets, now_);
            events(id);
            act();
        }
        return true;
    }
    void happen(std::string_view line) {
        if (line.starts_with('^')) return pass();
        if (live_.empty()) return;
        // Which of them it concerns.
        const auto c = std::next(
            live_.begin(),
            static_cast<std::ptrdiff_t>(static_cast<std::size_t>(static_cast<unsigned char>(line[0])) % live_.size()));
        if (line.starts_with('~')) return hang_up(c->first);
        auto& session = c->second;
        drain(session);
        session.received(line, now_);
        events(c->first);
    }
    // On to the next time that somebody waits for.
    void pass() {
        auto due = dispatcher_.deadline();
        for (const auto& c : live_) due = std::min(due, c.second.deadline());
        require(due != never || ended_ == submitted_);
        if (due == never) return;
        // Not without end at one moment.
        stuck_ = due <= now_ ? stuck_ + 1 : 0;
        require(stuck_ < 1000);
        now_ = std::max(now_, due);
        std::vector<pooling::connection_id> late;
        for (const auto& c : live_)
            if (c.second.deadline() <= now_) late.push_back(c.first);
        for (const auto id : late)
            if (const auto c = live_.find(id); c != live_.end()) {
                c->second.tick(now_);
                events(id);
            }
        dispatcher_.tick(now_);
        act();
    }
    void hang_up(pooling::connection_id id) {
        auto& session = live_.at(id);
        drain(session);
        session.closed(errc::connection_closed, "the server hung up", now_);
        events(id);
        act();
    }

    void act() {
        while (auto a = dispatcher_.poll()) std::visit([this](auto& what) { this->carry_out(what); }, *a);
    }
    void carry_out(engine::open_connection& o) {
        opened_.push_back(now_);
        auto& session =
            live_.emplace(o.id, transport_.make_session(o.to, "rOprNGfwEbeRWgbNEkqO", o.known)).first->second;
        if (is_gone_) {
            session.closed(errc::connection_closed, "there is no server", now_);
        } else {
            session.started(now_);
        }
        events(o.id);
    }
    void carry_out(engine::transmit& t) {
        const auto c = live_.find(t.id);
        if (c == live_.end()) return;
        c->second.submit(std::move(t.what), now_);
        events(t.id);
    }
    void carry_out(engine::interrupt& i) {
        const auto c = live_.find(i.id);
        if (c == live_.end()) return;
        c->second.cancel(i.job, now_);
        events(i.id);
    }
    void carry_out(engine::quit_connection& q) {
        const auto c = live_.find(q.id);
        if (c == live_.end()) return;
        c->second.quit(now_);
        events(q.id);
    }
    void carry_out(engine::ask_location&) { require(false); }
    void carry_out(engine::complete& done) {
        require(++endings_[done.what->id] == 1);
        ++ended_;
        for (const auto& r : done.what->result.recipients)
            if (r.status == status::accepted) require(r.reply.code / 100 == 2);
    }

    static void drain(smtp::session& s) {
        std::array<std::string_view, 3> parts;
        while (const auto count = s.output(parts)) {
            std::size_t octets = 0;
            for (std::size_t i = 0; i < count; ++i) octets += parts[i].size();
            s.consumed(octets, time_point{});
        }
    }
    void events(pooling::connection_id id) {
        auto& s = live_.at(id);
        drain(s);
        while (auto e = s.poll()) {
            if (auto* f = std::get_if<smtp::finished>(&*e)) {
                dispatcher_.finished(id, std::move(*f), s.room(), now_);
            } else if (const auto* r = std::get_if<smtp::ready>(&*e)) {
                dispatcher_.ready(id, s.room(), now_, {s.max_recipients(), s.max_domains()}, *r);
            } else if (auto* c = std::get_if<smtp::closed>(&*e)) {
                const auto why = *c;
                live_.erase(id);
                dispatcher_.closed(id, why, now_);
                return;
            }
        }
    }

    // Twenty a minute for one server, and one more for each message that a server may end a connection under.
    void check_openings() const {
        std::deque<time_point> recent;
        for (const auto at : opened_) {
            recent.push_back(at);
            while (recent.front() <= at - 1min) recent.pop_front();
            require(recent.size() <= 20 + 4 * submitted_);
        }
    }

    transport::smtp transport_;
    pooling::keep_alive pool_;
    Queueing queue_ = {};
    Scheduling scheduler_ = {};
    engine::dispatcher<transport::smtp, pooling::keep_alive, Queueing, Scheduling> dispatcher_{transport_, pool_,
                                                                                               queue_, scheduler_};
    std::string_view script_;
    bool bulk_;
    time_point now_ = time_point{} + 1h;
    std::map<pooling::connection_id, smtp::session> live_ = {};
    std::map<pooling::connection_id, std::size_t> heard_ = {};  // of the script
    std::map<job_id, int> endings_ = {};
    std::vector<time_point> opened_ = {};
    std::size_t submitted_ = 0;
    std::size_t ended_ = 0;
    int stuck_ = 0;
    bool is_gone_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const std::string_view script(reinterpret_cast<const char*>(data) + 3, size - 3);
    const auto go = [&](auto w) { (data[0] & 4U) != 0 ? w->run_again_and_again() : w->run(); };
    switch (data[0] % 4) {
        case 0: go(std::make_unique<world<queueing::memory, scheduling::fifo>>(data[1], data[2], script)); break;
        case 1: go(std::make_unique<world<queueing::memory, scheduling::fair>>(data[1], data[2], script)); break;
        case 2: go(std::make_unique<world<queueing::direct, scheduling::fifo>>(data[1], data[2], script)); break;
        default: go(std::make_unique<world<queueing::direct, scheduling::fair>>(data[1], data[2], script)); break;
    }
    return 0;
}

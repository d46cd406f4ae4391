#pragma once
// A dispatcher without I/O: the test plays servers and clock, and reads what the dispatcher wants as one line of text.

#include <postroad/engine/dispatcher.hpp>
#include <postroad/pooling/keep_alive.hpp>
#include <postroad/pooling/one_shot.hpp>
#include <postroad/queueing/direct.hpp>
#include <postroad/queueing/memory.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/transport/discard.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace engine_test {

using namespace postroad;
using engine::cancel_kind;
using pooling::connection_id;
using namespace std::chrono_literals;

/// Routes by the domain of the first recipient; "two.example" has two servers. Its sessions are played by the test.
struct by_domain {
    using axis = postroad::axis::transport;
    using session_type = transport::discard::session_type;
    static constexpr bool needs_wire = false;

    std::string_view route(const envelope& e) const { return e.recipients.front().domain(); }
    std::vector<endpoint> hosts(const std::string& destination) const {
        if (destination == "two.example")
            return {{.name = "mx1.two.example"}, {.name = "mx2.two.example", .preference = 1}};
        if (destination == "weighed.example")
            return {{.name = "big", .weight = 3}, {.name = "small", .weight = 1}, {.name = "spare", .preference = 1}};
        if (destination == "nowhere.example") return {};
        return {{.name = destination}};
    }
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string&) const { return {}; }
};
static_assert(transport::transport_policy<by_domain>);

inline mail_ptr mail_to(const std::string& domain, std::size_t recipients) {
    auto m = std::make_shared<mail_object>();
    m->envelope.reverse_path = address("ann@client.example");
    for (std::size_t i = 0; i < recipients; ++i)
        m->envelope.recipients.push_back(address("r" + std::to_string(i) + "@" + domain));
    return m;
}

inline job make_job(job_id id, mail_ptr mail) {
    job j;
    j.id = id;
    j.mail = std::move(mail);
    return j;
}

inline std::vector<recipient_outcome> all(std::size_t n, status s, phase where = phase::content,
                                          std::uint16_t code = 0) {
    return {n, {.status = s, .where = where, .reply = {.code = code}}};
}

inline std::string text(const job& j) {
    std::string s = "#" + std::to_string(j.id);
    for (const auto& r : j.result.recipients) s += " " + std::string(to_string(r.status));
    s += " x" + std::to_string(j.result.attempts);
    if (j.error) s += " " + std::string(to_string(static_cast<errc>(j.error.value())));
    return s;
}

template <class Pooling = pooling::keep_alive, class Queueing = queueing::memory, class Scheduling = scheduling::fifo>
struct rig {
    by_domain transport = {};
    Pooling pool = {};
    Queueing queue = {};
    Scheduling scheduler = {};
    engine::dispatcher<by_domain, Pooling, Queueing, Scheduling> d{transport, pool, queue, scheduler};
    time_point now = time_point{} + 1h;
    job_id last = 0;
    std::map<job_id, job> done = {};
    std::map<connection_id, std::map<job_id, std::size_t>> asked = {};  // recipients

    explicit rig(Pooling p = {}, Queueing q = {}, Scheduling s = {})
        : pool(std::move(p)), queue(std::move(q)), scheduler(std::move(s)) {}

    error_code add(const std::string& domain = "a.example", std::size_t recipients = 1) {
        auto j = make_job(++last, mail_to(domain, recipients));
        const auto ec = queue.enqueue(j);
        d.wake(now);
        return ec;
    }
    void add_many(std::size_t n, const std::string& domain = "a.example") {
        while (n-- > 0) (void)add(domain);
    }

    /// What the dispatcher has wanted since the last call.
    std::string did() {
        std::string all;
        d.act([&](engine::action& a) {
            all += (all.empty() ? "" : ", ") + std::visit([this](auto& x) { return this->told(x); }, a);
        });
        return all;
    }

    void ready(connection_id id, std::size_t room = 1, engine::recipient_limits limits = {}) {
        d.ready(id, room, now, limits);
    }
    /// Its session goes ahead as it is told.
    void ready_for_any(connection_id id, const smtp::family* server = nullptr) {
        d.ready(id, 16, now, {}, {.automatic = true, .server = server});
    }
    void finish(connection_id id, job_id j, std::vector<recipient_outcome> results, error_code ec = {},
                std::size_t room = 1, bool answered = true) {
        asked[id].erase(j);
        d.finished(id, {.id = j, .error = ec, .details = {}, .recipients = std::move(results), .answered = answered},
                   room, now);
    }
    void accept(connection_id id, job_id j) { finish(id, j, all(asked[id][j], status::accepted)); }
    void close(connection_id id, error_code ec = {}, phase where = phase::idle) {
        d.closed(id, {.error = ec, .details = {.where = where}}, now);
    }
    /// The connection breaks with this job on it: before its MAIL was answered, or before the end of its content left.
    void lose(connection_id id, job_id j, bool answered = false) {
        const auto n = asked[id][j];
        finish(id, j, all(n, status::not_attempted, answered ? phase::content : phase::mail), errc::connection_closed,
               0, answered);
        close(id, errc::connection_closed);
    }
    void refuse(connection_id id) { close(id, errc::timed_out, phase::connect); }
    void pass(duration time) {
        now += time;
        d.tick(now);
    }

private:
    std::string told(engine::open_connection& o) { return "open " + std::to_string(o.id) + " " + o.to.name; }
    std::string told(engine::transmit& t) {
        asked[t.id][t.what.id] = t.what.size();
        std::string s = "give " + std::to_string(t.id) + " #" + std::to_string(t.what.id);
        for (const auto i : t.what.recipients) s += " r" + std::to_string(i);
        if (t.what.ahead == smtp::pipelining::across) s += " across";
        if (t.what.ahead == smtp::pipelining::window) s += " window";
        return s;
    }
    std::string told(engine::interrupt& i) {
        return "interrupt " + std::to_string(i.id) + " #" + std::to_string(i.job);
    }
    std::string told(engine::quit_connection& q) { return "quit " + std::to_string(q.id); }
    std::string told(engine::ask_location& q) { return "ask " + std::to_string(q.id) + " " + q.domain; }
    std::string told(engine::complete& c) {
        auto s = "done " + text(*c.what);
        if (!done.emplace(c.what->id, std::move(*c.what)).second) s += " AGAIN";
        return s;
    }
};

/// The queue in memory with a disk that the test turns.
struct on_disk : queueing::memory {
    static constexpr bool is_durable = true;

    void start(std::function<void()>) {}
    void mark(job_id id) { asked.push_back(id); }
    void marked(std::vector<job_id>& out) {
        out.insert(out.end(), stored.begin(), stored.end());
        stored.clear();
    }
    void revoked(std::vector<job_id>& out) {
        out.insert(out.end(), taken.begin(), taken.end());
        taken.clear();
    }
    void release(job&& j) {
        released.push_back(j.id);
        queueing::memory::settle(j);
    }
    void lost(std::vector<job_id>& out) {
        out.insert(out.end(), gone.begin(), gone.end());
        gone.clear();
    }
    bool leaves() { return std::exchange(leaving, false); }
    void left() { ++times_left; }
    bool drained(time_point now) const { return next_due() > now; }
    void stop() {}

    void store_marks() { stored = std::exchange(asked, {}); }

    std::vector<job_id> asked = {};
    std::vector<job_id> stored = {};
    std::vector<job_id> taken = {};  // by another process
    std::vector<job_id> gone = {};
    std::vector<job_id> released = {};
    bool leaving = false;
    int times_left = 0;
};
static_assert(queueing::durable<on_disk>);

}  // namespace engine_test

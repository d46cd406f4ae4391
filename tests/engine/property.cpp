// The dispatcher with the policies as shipped, against servers that do anything, on virtual time. POSTROAD_SEED=n in
// the environment replays one seed.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <stdexcept>

#include "rig.hpp"
#include "seeds.hpp"

using namespace engine_test;

namespace {

/// Thrown with the rule that was broken.
struct broken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct setting {
    pooling::keep_alive pool = {};
    unsigned attempts = 4;
    std::size_t window = 1;
    std::size_t jobs = 400;
};

template <class Pooling>
class simulation {
public:
    simulation(std::uint32_t seed, setting s, Pooling p, std::size_t cap)
        : random_(seed),
          setting_(s),
          cap_(cap),
          rig_(p, queueing::memory{.capacity = 60},
               scheduling::fifo{.retry = {.attempts = s.attempts, .first_wait = 1min}}) {}

    void run() {
        for (std::size_t made = 0; made < setting_.jobs;) {
            if (chance(60) && rig_.queue.size() < 60) {
                submit();
                ++made;
            } else if (chance(5) && !open_jobs_.empty()) {
                cancel();
            } else {
                advance(chance(50) ? below(3) * 1s : below(60) * 1s);
            }
        }
        drain();
        finish();
    }

    std::size_t accepted() const { return accepted_.size(); }
    const std::map<std::string, std::size_t>& seen() const { return seen_; }

private:
    struct server {
        unsigned refuses, farewells, breaks, doubts, defers, rejects;  // in percent
        std::size_t limit;                                             // connections at a time
    };
    struct carried {
        mail_ptr mail = {};
        std::vector<std::uint32_t> recipients = {};
        bool cancelled = false;
    };
    struct connection {
        std::string host = {};
        pooling::host_id number = 0;  // of its destination
        bool open = false;
        bool leaving = false;
        bool drains = false;  // asked to quit while it had a cancelled job on it, or when another was found dead
        std::map<job_id, carried> jobs = {};  // cancelled ones too, until their last reply
    };
    struct event {
        time_point at;
        std::uint64_t order;
        std::function<void()> what;
        bool operator>(const event& o) const { return at != o.at ? at > o.at : order > o.order; }
    };

    static const server& of(const std::string& host) {
        static const std::map<std::string, server> servers = {
            {"good.example", {0, 0, 0, 0, 0, 0, 99}},        {"narrow.example", {0, 3, 2, 1, 10, 5, 2}},
            {"flaky.example", {20, 10, 20, 10, 20, 10, 99}}, {"down.example", {100, 0, 0, 0, 0, 0, 99}},
            {"mx1.two.example", {100, 0, 0, 0, 0, 0, 99}},   {"mx2.two.example", {0, 0, 5, 5, 5, 5, 99}},
        };
        return servers.at(host);
    }

    std::size_t below(std::size_t n) { return random_() % n; }
    bool chance(unsigned percent) { return random_() % 100 < percent; }
    void check(bool kept, const std::string& rule) const {
        if (!kept) throw broken(rule);
    }
    void later(duration wait, std::function<void()> what) {
        events_.push({rig_.now + wait, ++order_, std::move(what)});
    }
    duration latency() { return std::chrono::milliseconds(1 + below(3000)); }

    void submit() {
        static const char* domains[] = {"good.example", "narrow.example", "flaky.example", "down.example",
                                        "two.example"};
        const std::string domain = domains[below(5)];
        if (std::ranges::find(destinations_, domain) == destinations_.end()) destinations_.push_back(domain);
        check(!rig_.add(domain, 1 + below(3)), "a queue with room takes a job");
        open_jobs_.insert(rig_.last);
        act();
    }

    void cancel() {
        const auto id = *std::next(open_jobs_.begin(), static_cast<std::ptrdiff_t>(below(open_jobs_.size())));
        rig_.d.cancel(id, chance(50) ? cancel_kind::at_once : cancel_kind::if_waiting, errc::cancelled, rig_.now);
        act();
    }

    // Time passes; what is due happens in its order.
    void advance(duration time) {
        const auto until = rig_.now + time;
        for (;;) {
            const auto due = std::max(rig_.d.deadline(), rig_.now);
            const auto next = events_.empty() ? never : events_.top().at;
            if (std::min(due, next) > until) break;
            if (next <= due) {
                rig_.now = next;
                const auto what = events_.top().what;
                events_.pop();
                what();
            } else {
                rig_.now = due;
                rig_.d.tick(rig_.now);
                check(rig_.d.has_actions() || rig_.d.deadline() > rig_.now, "a deadline that has passed moves on");
            }
            act();
        }
        rig_.now = until;
    }

    // Nothing more comes in: everything ends, and nothing is slept through.
    void drain() {
        for (int rounds = 0; !rig_.d.idle(rig_.now); ++rounds) {
            check(rounds < 20'000, "everything ends some time");
            if (events_.empty()) {
                for (pooling::host_id h = 1; h <= destinations_.size(); ++h)
                    check(rig_.scheduler.waiting(h, rig_.now) == 0 ||
                              rig_.d.deadline() <= rig_.now + engine::longest_rest_of_direct,
                          "no job waits while nothing is under way, unless its server rests");
                check(rig_.d.deadline() != never, "there is a deadline while jobs wait for one");
            }
            const auto next = events_.empty() ? never : events_.top().at;
            advance(std::max(std::min(rig_.d.deadline(), next), rig_.now) - rig_.now);
        }
    }

    void finish() {
        check(open_jobs_.empty() && rig_.done.size() == rig_.last, "every job is completed");
        check(rig_.queue.size() == 0, "the queue is empty in the end");
        rig_.d.quit_all();
        act();
        while (!events_.empty()) advance(events_.top().at - rig_.now);
        check(rig_.d.connections() == 0 && connections_.empty(), "every connection ends in the end");
    }

    void act() {
        while (auto a = rig_.d.poll()) {
            std::visit([this](auto& what) { this->carry_out(what); }, *a);
            invariants();
        }
        check(rig_.queue.size() == open_jobs_.size(), "a job is held until it is completed");
        for (const auto& [id, c] : connections_)
            if (c.open && !c.leaving && c.jobs.empty())
                check(rig_.scheduler.waiting(c.number, rig_.now) == 0,
                      "no job waits beside an idle connection: " + std::to_string(id) + " of " + c.host);
    }

    void invariants() const {
        const auto gone = std::ranges::count_if(connections_, [](const auto& entry) { return entry.second.drains; });
        check(connections_.size() <= cap_ + static_cast<std::size_t>(gone),
              "open and opening connections stay within the cap");
        std::set<job_id> flying;
        for (const auto& [id, c] : connections_)
            for (const auto& [j, what] : c.jobs)
                check(what.cancelled || flying.insert(j).second, "a job is on one connection at a time");
        for (const auto j : flying) check(open_jobs_.count(j) == 1, "a job that is over is on no connection");
    }

    void carry_out(engine::open_connection& o) {
        const auto id = o.id;
        const auto domain = o.to.name.substr(o.to.name.starts_with("mx") ? 4 : 0);
        const auto number = std::ranges::find(destinations_, domain) - destinations_.begin();
        connections_.emplace(id, connection{.host = o.to.name, .number = static_cast<pooling::host_id>(number + 1)});
        later(latency(), [this, id] { opened(id); });
    }

    void opened(connection_id id) {
        const auto found = connections_.find(id);
        if (found == connections_.end() || found->second.leaving) return;
        auto& c = found->second;
        std::size_t busy = 0;
        for (const auto& entry : connections_) busy += entry.second.host == c.host && entry.second.open;
        if (chance(of(c.host).refuses) || busy >= of(c.host).limit) {
            ++seen_["refused"];
            return gone(id, errc::greeting_refused);
        }
        c.open = true;
        rig_.ready(id, setting_.window);
        act();
        // An idle connection may be closed by the server at any time.
        if (chance(30)) later(below(90) * 1s, [this, id] { server_closes(id); });
    }

    void server_closes(connection_id id) {
        const auto found = connections_.find(id);
        if (found == connections_.end() || !found->second.open || found->second.leaving) return;
        ++seen_["closed by the server"];
        lose_all(id, false);
    }

    // The connection breaks: each job on it is told, then the connection.
    void lose_all(connection_id id, bool content_left) {
        auto& c = connections_.at(id);
        c.open = false;
        c.leaving = true;
        bool first = true;
        while (!c.jobs.empty()) {
            const auto j = c.jobs.begin()->first;
            const bool doubt = content_left && std::exchange(first, false);
            if (doubt) ++seen_["in doubt"];
            end(id, j, outcomes(j, c.jobs.at(j), doubt ? status::in_doubt : status::not_attempted),
                errc::connection_closed, 0, doubt || chance(50));
        }
        gone(id, errc::connection_closed);
    }

    std::vector<recipient_outcome> outcomes(job_id j, const carried& t, status s) {
        std::vector<recipient_outcome> result;
        for (const auto i : t.recipients) {
            // Beside a recipient in doubt there may be one that was deferred before.
            if (s == status::in_doubt && chance(30)) {
                result.push_back({.status = status::deferred, .where = phase::rcpt});
                continue;
            }
            result.push_back({.status = s, .where = phase::content});
            // The server may have taken it, though nobody was told.
            if (s == status::accepted || (s == status::in_doubt && chance(50))) take(j, i);
        }
        return result;
    }

    void take(job_id j, std::uint32_t recipient) {
        check(accepted_.emplace(j, recipient).second, "no recipient gets a job twice");
    }

    void carry_out(engine::transmit& t) {
        auto& c = connections_.at(t.id);
        check(c.open && !c.leaving, "only open connections are given jobs");
        check(c.jobs.size() < setting_.window, "no connection is given more than it has room for");
        carried what{.mail = t.what.mail, .recipients = t.what.recipients};
        if (what.recipients.empty())
            for (std::uint32_t i = 0; i < t.what.size(); ++i) what.recipients.push_back(i);
        for (const auto i : what.recipients)
            check(settled_.count({t.what.id, i}) == 0, "no settled recipient is asked again");
        c.jobs.emplace(t.what.id, std::move(what));
        later(latency(), [this, id = t.id, j = t.what.id] { answer(id, j); });
    }

    void answer(connection_id id, job_id j) {
        const auto found = connections_.find(id);
        if (found == connections_.end() || found->second.jobs.count(j) == 0) return;
        auto& c = found->second;
        const auto& how = of(c.host);
        if (c.jobs.at(j).cancelled) {
            // The last replies to a cancelled job: only now the connection could take another.
            c.jobs.erase(j);
            if (c.leaving && c.jobs.empty()) gone(id, {});
            return;
        }
        if (chance(how.breaks)) return lose_all(id, chance(how.doubts * 5));
        if (chance(how.farewells) && c.jobs.size() == 1) {
            ++seen_["421 to MAIL"];
            std::vector<recipient_outcome> results(
                c.jobs.at(j).recipients.size(),
                {.status = status::deferred, .where = phase::mail, .reply = {.code = 421}});
            c.open = false;
            c.leaving = true;
            end(id, j, std::move(results), {}, 0);
            return gone(id, errc::service_closing);
        }
        std::vector<recipient_outcome> results;
        for (const auto i : c.jobs.at(j).recipients) {
            const auto s = chance(how.defers)    ? status::deferred
                           : chance(how.rejects) ? status::rejected
                                                 : status::accepted;
            if (s == status::accepted) take(j, i);
            results.push_back({.status = s, .where = phase::rcpt});
        }
        ++seen_["answered"];
        end(id, j, std::move(results), {}, setting_.window);
    }

    void end(connection_id id, job_id j, std::vector<recipient_outcome> results, error_code ec, std::size_t room,
             bool answered = true) {
        auto& c = connections_.at(id);
        const auto t = c.jobs.at(j);
        c.jobs.erase(j);
        if (t.cancelled) return;
        for (std::size_t i = 0; i < results.size(); ++i)
            if (results[i].status != status::deferred && results[i].status != status::not_attempted)
                settled_.emplace(j, t.recipients[i]);
        rig_.finish(id, j, std::move(results), ec, room == 0 ? 0 : room - c.jobs.size(), answered);
        if (ec || room == 0) return;  // the end of the connection follows, before anything is done about it
        act();
        if (const auto left = connections_.find(id);
            left != connections_.end() && left->second.leaving && left->second.jobs.empty())
            gone(id, {});
    }

    void gone(connection_id id, error_code ec) {
        connections_.erase(id);
        rig_.close(id, ec, phase::connect);
        act();
    }

    void carry_out(engine::interrupt& i) {
        const auto found = connections_.find(i.id);
        if (found == connections_.end() || found->second.jobs.count(i.job) == 0) return;
        ++seen_["interrupted"];
        later(0s, [this, id = i.id, j = i.job] { give_up(id, j); });
    }

    void give_up(connection_id id, job_id j) {
        const auto found = connections_.find(id);
        if (found == connections_.end() || found->second.jobs.count(j) == 0) return;
        auto& c = found->second;
        auto& t = c.jobs.at(j);
        const auto s = chance(50) ? status::in_doubt : status::not_attempted;
        auto results = outcomes(j, t, s);
        t.cancelled = true;
        rig_.finish(id, j, std::move(results), errc::cancelled, setting_.window - c.jobs.size());
        act();
    }

    void carry_out(engine::quit_connection& q) {
        const auto id = q.id;
        const auto leaving = connections_.find(id);
        if (leaving == connections_.end() || std::exchange(leaving->second.leaving, true)) return;
        leaving->second.drains = true;
        later(latency(), [this, id] {
            const auto found = connections_.find(id);
            if (found != connections_.end() && found->second.jobs.empty())
                gone(id, found->second.open ? error_code() : error_code(errc::cancelled));
        });
    }

    void carry_out(engine::ask_location&) {}

    void carry_out(engine::complete& done) {
        const auto id = done.what->id;
        check(open_jobs_.erase(id) == 1, "every job is completed once");
        for (std::uint32_t i = 0; i < done.what->result.recipients.size(); ++i) {
            const bool told = done.what->result.recipients[i].status == status::accepted;
            check(!told || accepted_.count({id, i}) == 1, "what is reported as accepted was accepted");
        }
        check(done.what->result.attempts <= setting_.attempts, "there are no more attempts than allowed");
        rig_.done.emplace(id, std::move(*done.what));
    }

    std::mt19937 random_;
    setting setting_;
    std::size_t cap_;
    rig<Pooling> rig_;
    std::priority_queue<event, std::vector<event>, std::greater<>> events_;
    std::uint64_t order_ = 0;
    std::map<connection_id, connection> connections_;
    std::vector<std::string> destinations_;  // in the order in which the dispatcher met them
    std::set<job_id> open_jobs_;
    std::set<std::pair<job_id, std::uint32_t>> accepted_, settled_;
    std::map<std::string, std::size_t> seen_;
};

/// Runs with the seed of the environment, or with many.
template <class Run>
void with_seeds(Run run) {
    for (const auto seed : seeds(30)) {
        std::string rule;
        try {
            run(seed);
        } catch (const broken& b) {
            rule = b.what();
        }
        INFO("POSTROAD_SEED=" << seed << " replays this");
        CHECK(rule == "");
    }
}

}  // namespace

TEST_CASE("whatever servers do, every job ends once and nobody gets a message twice") {
    std::map<std::string, std::size_t> seen;
    const setting settings[] = {
        {.pool = {.max_connections = 4}},
        {.pool = {.max_connections = 1, .idle = 5s}, .jobs = 200},
        {.pool = {.max_connections = 9, .messages_per_connection = 3, .pause_after_refusal = 0s}},
        {.pool = {.max_connections = 4}, .window = 4},
        {.pool = {.max_connections = 6}, .attempts = 1, .window = 2},
    };
    with_seeds([&](std::uint32_t seed) {
        for (const auto& s : settings) {
            simulation<pooling::keep_alive> simulated(seed, s, s.pool, s.pool.max_connections);
            simulated.run();
            CHECK(simulated.accepted() > 20);
            for (const auto& [what, times] : simulated.seen()) seen[what] += times;
        }
    });
    // The servers did what the rules are about.
    for (const char* what : {"refused", "closed by the server", "in doubt", "421 to MAIL", "answered", "interrupted"}) {
        CAPTURE(what);
        CHECK(seen[what] > 0);
    }
}

TEST_CASE("the same holds for a pool that keeps nothing") {
    with_seeds([](std::uint32_t seed) {
        simulation<pooling::one_shot> simulated(seed, {.jobs = 200}, {.max_connections = 3}, 3);
        simulated.run();
        CHECK(simulated.accepted() > 20);
    });
}

// What may not go soon keeps nobody out: the room that a queue that lasts is leased into is for all.
#include <postroad/scheduling/fair.hpp>

#include <doctest/doctest.h>

#include "engine/rig.hpp"

#include <string>
#include <utility>

using namespace engine_test;
using scheduling::fair;
using scheduling::selection;

namespace {

// Servers that take everything at once, or put it off.
struct busy_world : rig<pooling::keep_alive, on_disk, fair> {
    explicit busy_world(fair f) : rig({}, {}, std::move(f)) {}

    void put(const std::string& domain, const std::string& tenant = {}) {
        auto j = make_job(++last, mail_to(domain, 1));
        j.tenant = tenants[j.id] = tenant;
        REQUIRE_FALSE(queue.enqueue(j));
        d.wake(now);
        drive();
    }
    void drive() {
        for (bool any = true; any;) {
            any = false;
            queue.store_marks();
            d.wake(now);
            while (auto a = d.poll()) {
                any = true;
                std::visit([this](auto& x) { this->carry_out(x); }, *a);
            }
        }
    }
    void wait(duration time) {
        pass(time);
        drive();
    }
    std::size_t sent(const std::string& domain) const {
        const auto n = taken.find(domain);
        return n == taken.end() ? 0 : n->second;
    }

    std::string puts_off = {};
    std::map<connection_id, std::string> servers = {};
    std::map<std::string, std::size_t> taken = {};     // by server
    std::map<std::string, std::size_t> taken_of = {};  // by tenant
    std::map<job_id, std::string> tenants = {};

private:
    void carry_out(engine::open_connection& o) {
        servers[o.id] = o.to.name;
        ready(o.id);
    }
    void carry_out(engine::transmit& t) {
        const bool takes = servers[t.id] != puts_off;
        if (takes) ++taken[servers[t.id]];
        if (takes) ++taken_of[tenants[t.what.id]];
        asked[t.id][t.what.id] = 1;
        finish(t.id, t.what.id, takes ? all(1, status::accepted) : all(1, status::deferred, phase::rcpt, 421));
    }
    void carry_out(engine::quit_connection& q) { close(q.id); }
    void carry_out(auto&) {}
};

fair with_room(std::size_t n) {
    fair f;
    f.look_ahead = n;
    return f;
}

}  // namespace

TEST_CASE("a pause keeps nobody else out, however much of it waits, and ends when it is resumed") {
    selection what;
    SUBCASE("of a tenant") { what = {.by = selection::kind::tenant, .name = "shop"}; }
    SUBCASE("of a place, by name") { what = {.name = "a.example"}; }
    for (const bool before : {true, false}) {
        CAPTURE(before);
        busy_world w(with_room(4));
        // What waits already fills the room when its pause begins: the server puts everything off.
        if (before) w.d.pause(what, w.now);
        if (!before) w.d.pause({.by = selection::kind::tag, .name = "none"}, w.now);
        if (!before) w.d.pause({.name = "a.example"}, w.now);
        for (int i = 0; i < 8; ++i) w.put("a.example", "shop");
        if (!before) w.d.pause(what, w.now);
        w.wait(engine::longest_stay);
        w.put("b.example");
        // What went back comes by first.
        for (int i = 0; i < 4; ++i) w.wait(engine::pause_of_leases);
        CHECK(w.sent("a.example") == 0);
        CHECK(w.sent("b.example") == 1);
        w.d.resume({.name = "a.example"}, w.now);
        w.d.resume(what, w.now);
        w.drive();
        CHECK(w.sent("a.example") >= 2);  // half of the room
        w.wait(engine::longest_rest);
        CHECK(w.sent("a.example") == 8);
        CHECK(w.done.empty());
    }
}

TEST_CASE("a slow pace keeps nobody else out, and is kept") {
    auto f = with_room(4);
    SUBCASE("of a destination") { f.pace = {1, 1min}; }
    SUBCASE("of a tenant") { f.tenant_pace = {1, 1min}; }
    busy_world w(std::move(f));
    for (int i = 0; i < 8; ++i) w.put("a.example", "shop");
    w.put("b.example", "bank");
    CHECK(w.sent("b.example") == 1);
    // One a minute, though most of them are in the queue meanwhile.
    for (std::size_t n = 1; n <= 8; ++n) {
        CHECK(w.sent("a.example") == n);
        w.wait(1min);
    }
}

TEST_CASE("a destination that puts everything off keeps nobody else out") {
    auto f = with_room(4);
    f.breaker.failures = 1;
    busy_world w(std::move(f));
    w.puts_off = "a.example";
    for (int i = 0; i < 8; ++i) w.put("a.example");
    w.wait(engine::longest_stay);
    w.put("b.example");
    CHECK(w.sent("b.example") == 1);
    w.puts_off.clear();
    for (int i = 0; i < 4; ++i) w.wait(15min);
    CHECK(w.sent("a.example") == 8);
}

TEST_CASE("what is paused or slow of one tenant puts off nobody else's mail to the same place") {
    auto f = with_room(8);
    f.pace = {1, 1min};
    SUBCASE("paused") {}
    SUBCASE("slow") { f.tenant_pace = {1, 1h}; }
    const bool paused = !f.tenant_pace.limited();
    busy_world w(std::move(f));
    if (paused) w.d.pause({.by = selection::kind::tenant, .name = "shop"}, w.now);
    for (int i = 0; i < 12; ++i) w.put("a.example", "shop");
    w.wait(1min);
    w.put("a.example", "bank");
    w.wait(1min);
    w.wait(1min);
    CHECK(w.taken_of["bank"] == 1);
}

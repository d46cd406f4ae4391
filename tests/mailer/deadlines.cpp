// Deadlines of what is not sent here: it waits for room, was refused, or another process sent it.
#include <postroad/engine/ticket.hpp>
#include <postroad/postroad.hpp>

#include "engine/rig.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

// Takes a message and says no more.
struct silent {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;
    struct session_type : transport::local_session {
        void submit(const smtp::transaction&, time_point) {}
    };
    std::string_view route(const envelope&) const { return "here"; }
    std::vector<endpoint> hosts(const std::string&) const { return {{.name = "here"}}; }
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string&) const { return {}; }
};

// Remembers whose time was over.
template <class Queue>
struct watched : Queue {
    std::shared_ptr<std::vector<job_id>> asked = std::make_shared<std::vector<job_id>>();
    std::optional<job> take(job_id id) {
        asked->push_back(id);
        return Queue::take(id);
    }
};

// What is for "elsewhere" has been sent by another process before enqueue() returns.
struct shared_queue : engine_test::on_disk {
    error_code enqueue(job& j) {
        if (j.stored) std::exchange(j.stored, {})({});
        if (j.tag != "elsewhere") return on_disk::enqueue(j);
        j.waiter->complete({}, {});
        j.waiter.reset();
        return {};
    }
};

}  // namespace

TEST_CASE("who waits for room in the queue is given up in time") {
    mailer mail{silent{}, queueing::memory{.capacity = 1, .when_full = queueing::when_full::wait}};
    (void)mail.submit(hello());
    error_code ec;
    const auto o = mail.send(hello(), {.give_up_after = 1ms}, ec);
    CHECK(ec == errc::timed_out);
    CHECK(o.details.explanation.find("room") != std::string::npos);
    REQUIRE(o.recipients.size() == 1);
    CHECK(o.recipients[0].status == status::not_attempted);
}

TEST_CASE("of those who wait for room each is given up at its own time, or cancelled, and the others wait on") {
    asio::io_context context;
    mailer mail{context, silent{}, queueing::memory{.capacity = 1, .when_full = queueing::when_full::wait}};
    (void)mail.submit(hello());
    using ends = std::map<std::string, error_code>;
    ends told;
    const auto tell = [&](const char* who) { return [&told, who](error_code ec, const outcome&) { told[who] = ec; }; };
    asio::cancellation_signal stop;
    mail.async_send(hello(), {.give_up_after = 1h}, tell("late"));
    mail.async_send(hello(), {.give_up_after = 20ms}, tell("soon"));
    mail.async_send(hello(), asio::bind_cancellation_slot(stop.slot(), tell("cancelled")));
    mail.async_send(hello(), tell("last"));
    context.poll();
    stop.emit(asio::cancellation_type::total);
    while (told.size() < 2) context.run_one();
    CHECK(told == ends{{"cancelled", errc::cancelled}, {"soon", errc::timed_out}});
    mail.async_shutdown(0s, [](error_code) {});
    context.run();
    CHECK(told == ends{{"cancelled", errc::cancelled},
                       {"soon", errc::timed_out},
                       {"late", errc::shut_down},
                       {"last", errc::shut_down}});
}

TEST_CASE("nobody asks for what was refused, or sent elsewhere, when its time is over") {
    const auto each = [](auto queue, const send_options& options, error_code expected) {
        const auto asked = queue.asked;
        asio::io_context context;
        mailer mail{context, silent{}, std::move(queue)};
        job_id delayed = 0;
        mail.async_submit(hello(), {.delay = 1h, .give_up_after = 20ms},
                          [&](error_code, const ticket& t) { delayed = t.id(); });
        error_code told = errc::would_deadlock;
        mail.async_send(hello(), options, [&](error_code ec, const outcome&) { told = ec; });
        while (asked->empty()) context.run_one();
        CHECK(told == expected);
        CHECK(*asked == std::vector<job_id>{delayed});
        mail.async_shutdown(0s, [](error_code) {});
        context.run();
    };
    SUBCASE("refused") { each(watched<queueing::memory>{{.capacity = 1}}, {.give_up_after = 1ms}, errc::queue_full); }
    SUBCASE("sent by another process") {
        each(watched<shared_queue>{}, {.tag = "elsewhere", .give_up_after = 1ms}, {});
    }
}

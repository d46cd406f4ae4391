// What a scheduler is told of a server at the end of a transaction.
#include <doctest/doctest.h>

#include "rig.hpp"

using namespace engine_test;
using scheduling::host_event;

namespace {

struct listening : scheduling::fifo {
    std::vector<host_event> heard = {};
    void signal(pooling::place, host_event what, std::size_t, time_point) { heard.push_back(what); }
};

recipient_outcome said(status s, std::uint16_t code, enhanced_code enhanced = {}) {
    return {.status = s, .where = phase::rcpt, .reply = {.code = code, .enhanced = enhanced}};
}

}  // namespace

TEST_CASE("the end of a transaction says whether the server or the message was the matter") {
    const auto accepted = said(status::accepted, 250);
    const auto rejected = said(status::rejected, 550, {5, 1, 1});
    const auto greylisted = said(status::deferred, 451, {4, 7, 1});
    const auto closing = said(status::deferred, 421);
    const auto disabled = said(status::deferred, 451, {4, 3, 2});
    const auto unasked = said(status::not_attempted, 0);
    struct {
        std::string name;
        std::vector<recipient_outcome> recipients;
        error_code error;
        host_event says;
    } const rows[] = {
        {"accepted", {accepted}, {}, host_event::answered},
        {"rejected", {rejected}, {}, host_event::answered},
        {"put off for a reason of its own", {greylisted}, {}, host_event::answered},
        {"the server closes", {closing}, {}, host_event::put_off},
        {"busy for all", {disabled, closing}, {}, host_event::put_off},
        {"busy for one", {closing, accepted}, {}, host_event::answered},
        {"it broke under the message", {unasked}, errc::connection_closed, host_event::put_off},
        {"nothing was sent", {unasked}, errc::message_too_large, host_event::answered},
    };
    for (const auto& row : rows) {
        CAPTURE(row.name);
        rig<pooling::keep_alive, queueing::memory, listening> r;
        (void)r.add("a.example", row.recipients.size());
        (void)r.did();
        r.ready(1);
        (void)r.did();
        r.finish(1, 1, row.recipients, row.error);
        CHECK(r.scheduler.heard == std::vector{host_event::opened, row.says});
    }
}

TEST_CASE("a login that one sender lacks is an answer of the server") {
    rig<pooling::keep_alive, queueing::memory, listening> r(pooling::keep_alive{.max_connections = 1});
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, all(1, status::accepted), {}, 0);
    r.close(1);
    (void)r.add();
    CHECK(r.did() == "done #1 accepted x1, quit 1, open 2 a.example");
    r.ready(2);
    (void)r.did();
    r.scheduler.heard.clear();
    r.finish(2, 2, all(1, status::rejected, phase::mail, 530), {}, 0);
    r.close(2, errc::connection_closed);
    CHECK(r.scheduler.heard == std::vector{host_event::answered});
    (void)r.add();
    CHECK(r.did() == "done #2 rejected x1, quit 2, open 3 a.example");
}

// Whatever throws, once, at whatever call: every message has its outcome, the process lives, and a mailer that goes on
// works.
#include <postroad/core/error.hpp>
#include <postroad/engine/ticket.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/discard.hpp>

#include <asio/use_future.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

enum class thrown_as : unsigned char { an_error, a_runtime_error, an_int };

struct plan {
    std::string where;
    int at = 1;  // the first call is 1
    thrown_as what = thrown_as::a_runtime_error;
    std::atomic<int> calls = 0;
    std::atomic<bool> went_off = false;

    void pass(std::string_view place) {
        if (place != where || ++calls != at) return;
        went_off = true;
        switch (what) {
            case thrown_as::an_error: throw error(errc::storage_failed, "thrown by the test");
            case thrown_as::a_runtime_error: throw std::runtime_error("thrown by the test");
            case thrown_as::an_int: throw 42;
        }
    }
};
using plans = std::shared_ptr<plan>;

struct faulty_transport {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;
    plans p;

    struct session_type : transport::local_session {
        explicit session_type(plans with) : p(std::move(with)) {}
        std::size_t room() const {
            p->pass("room");
            return local_session::room();
        }
        void submit(const smtp::transaction& t, time_point) {
            p->pass("submit");
            finish(t, status::accepted, {.code = 250});
        }
        void quit(time_point now) {
            p->pass("quit");
            local_session::quit(now);
        }
        std::optional<smtp::event> poll() {
            p->pass("poll");
            return local_session::poll();
        }
        plans p;
    };

    std::string_view route(const envelope&) const { return "here"; }
    std::vector<endpoint> hosts(const std::string&) const { return {{.name = "here"}}; }
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string&) const {
        p->pass("make_session");
        return session_type(p);
    }
};

struct faulty_pool : pooling::keep_alive {
    plans p;
    void opening(pooling::connection_id c, pooling::host_id h) {
        p->pass("opening");
        keep_alive::opening(c, h);
    }
    void closed(pooling::connection_id c) {
        p->pass("closed");
        keep_alive::closed(c);
    }
};

struct faulty_queue : queueing::memory {
    plans p;
    error_code enqueue(job& j) {
        p->pass("enqueue");
        return memory::enqueue(j);
    }
    void settle(const job& j) {
        p->pass("settle");
        memory::settle(j);
    }
};

struct faulty_observer final : observer {
    explicit faulty_observer(plans with) : p(std::move(with)) {}
    void on(const observation&) override { p->pass("observer"); }
    plans p;
};

// What send() came to, in words.
std::string send_one(auto& mail) {
    error_code ec;
    const auto o = mail.send(hello(), {}, ec);
    REQUIRE(o.recipients.size() == 1);
    if (!ec) return std::string(to_string(o.recipients[0].status));
    return ec.message() + ": " + o.details.explanation;
}

struct member {
    std::string name;
    bool stops;  // whoever was told something is in an unknown state
};

const std::vector<member> members = {
    {"make_session", false}, {"room", false},   {"submit", false}, {"poll", false},  {"enqueue", false},
    {"observer", false},     {"opening", true}, {"settle", true},  {"closed", true}, {"quit", false},
};

void try_out(const member& m, int at, thrown_as what) {
    CAPTURE(m.name);
    CAPTURE(at);
    CAPTURE(static_cast<int>(what));
    const auto p = std::make_shared<plan>();
    p->where = m.name;
    p->at = at;
    p->what = what;
    // One message a connection, so that all of them are called often.
    mailer mail{faulty_transport{p}, faulty_pool{{.messages_per_connection = 1}, p}, faulty_queue{{}, p}};
    mail.observe(std::make_shared<faulty_observer>(p));
    std::vector<std::string> came;
    for (int i = 0; i < 4; ++i) came.push_back(send_one(mail));
    // What came last before the fault is over is in order, or says why it is not.
    const bool gone_off = p->went_off;
    for (const auto& c : came)
        CHECK_MESSAGE(
            (c == "accepted" ||
             c.find(what == thrown_as::an_int ? "no std::exception" : "thrown by the test") != std::string::npos),
            c);
    if (gone_off && m.stops) CHECK(send_one(mail) != "accepted");
    if (!m.stops) CHECK(send_one(mail) == "accepted");
    if (!m.stops) CHECK(std::ranges::count(came, "accepted") >= 3);
    // Hangs if something is left behind.
    mail.shutdown(1h);
}

}  // namespace

TEST_CASE("a member that throws once, at whatever call, costs one message, or stops the mailer in order") {
    for (const auto& m : members)
        for (const auto what : {thrown_as::an_error, thrown_as::a_runtime_error, thrown_as::an_int})
            for (int at = 1; at <= 3; ++at) try_out(m, at, what);
}

TEST_CASE("whoever waits when the mailer stops for a policy is told") {
    const auto p = std::make_shared<plan>();
    p->where = "settle";
    p->at = 3;
    mailer mail{faulty_transport{p}, faulty_pool{{}, p}, faulty_queue{{}, p}};
    std::vector<std::future<outcome>> all;
    for (int i = 0; i < 50; ++i) all.push_back(mail.async_send(hello(), asio::use_future));
    int accepted = 0;
    int failed = 0;
    for (auto& f : all) {
        try {
            accepted += f.get().all_accepted() ? 1 : 0;
        } catch (const std::system_error& e) {
            CHECK(e.code() == errc::policy_failed);
            ++failed;
        }
    }
    CHECK(accepted + failed == 50);
    CHECK(accepted == 2);
    CHECK_THROWS_WITH_AS((void)mail.send(hello()), doctest::Contains("thrown by the test"), send_error);
}

TEST_CASE("a completion handler that throws on the mailer's own thread ends with itself") {
    mailer mail{transport::discard{}};
    for (int i = 0; i < 3; ++i)
        mail.async_send(hello(), [](error_code, const outcome&) { throw std::runtime_error("thrown by a handler"); });
    mail.async_shutdown(1h, [](error_code) { throw 42; });
    mailer other{transport::discard{}};
    other.async_submit(hello(), [](error_code, const ticket&) { throw std::runtime_error("thrown by a handler"); });
    other.send(hello()).require_accepted();
}

TEST_CASE("on the caller's context it comes out of run(), and the mailer goes on") {
    asio::io_context context;
    mailer mail{context, transport::discard{}};
    int done = 0;
    mail.async_send(hello(), [](error_code, const outcome&) { throw std::runtime_error("thrown by a handler"); });
    mail.async_send(hello(), [&](error_code ec, const outcome& o) { done += !ec && o.all_accepted() ? 1 : 0; });
    CHECK_THROWS_WITH(context.run(), "thrown by a handler");
    mail.async_send(hello(), [&](error_code ec, const outcome& o) { done += !ec && o.all_accepted() ? 1 : 0; });
    mail.async_shutdown(1h, [](error_code) {});
    context.run();
    CHECK(done == 2);
}

TEST_CASE("a source of credentials that throws, and an engine that cannot be made, fail their connection only") {
    testing::sink s({.security = security::starttls, .users = {{"ann", "secret"}}, .require_auth = true});
    auto o = transport::smtp(s.url()).options();
    int calls = 0;
    o.credentials_source = [&](const smtp::credentials_request&) -> smtp::credentials {
        if (++calls == 1) throw 42;
        if (calls == 2) throw std::runtime_error("the vault is sealed");
        return {.user = "ann", .password = secret("secret")};
    };
    mailer mail{transport::smtp(std::move(o)), tls::required{.options = {.ca_pem = s.ca_pem()}}};
    error_code ec;
    (void)mail.send(hello(), {}, ec);
    CHECK(ec);
    CHECK(mail.send(hello(), {}, ec).details.explanation.find("sealed") != std::string::npos);
    mail.send(hello()).require_accepted();
}

// The whole road, over real sockets, to the test sink.
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include "refusing_port.hpp"

#include <doctest/doctest.h>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::fault;
using testing::server_options;
using testing::sink;

namespace {

message hello(std::string to = "bob@example.org") {
    return message{}.from("Ann Lee <ann@example.com>").to(std::move(to)).subject("Hello").text("Hello Bob,\n.\nbye");
}

mail_ptr frozen(const std::string& to) {
    auto m = std::make_shared<mail_object>();
    m->envelope = {address("ann@example.com"), {address(to)}};
    m->content = content::from_text("Subject: x\n\n" + to + "\n");
    return m;
}

/// Waits for long where the server answers, and for a moment where it does not.
transport::smtp_options impatient(const sink& s, phase at) {
    auto o = transport::smtp(s.url()).options();
    auto& t = o.timeouts;
    (at == phase::greeting ? t.greeting
     : at == phase::hello  ? t.hello
     : at == phase::mail   ? t.mail
     : at == phase::rcpt   ? t.rcpt
     : at == phase::data   ? t.data
                           : t.content) = 300ms;
    return o;
}

/// Says when the first content has left.
struct content_seen final : observer {
    void on(const observation& o) override {
        if (o.what == observed::content && !std::exchange(told, true)) left.set_value();
    }
    std::promise<void> left = {};
    bool told = false;
};

}  // namespace

TEST_CASE("a message arrives as it was composed") {
    sink s;
    mailer mail{s.url()};
    const auto o = mail.send(hello());
    o.require_accepted();
    CHECK(o.attempts == 1);
    const auto got = s.messages();
    REQUIRE(got.size() == 1);
    CHECK(got[0].reverse_path == "ann@example.com");
    CHECK(got[0].recipients == std::vector<std::string>{"bob@example.org"});
    CHECK(got[0].content.find("Subject: Hello\r\n") != std::string::npos);
    CHECK(got[0].content.ends_with("\r\n\r\nHello Bob,\r\n.\r\nbye\r\n"));
    CHECK(s.violations().empty());
}

TEST_CASE("STARTTLS with authentication, verified against the given CA") {
    sink s({.security = security::starttls, .users = {{"ann", "top:secret@/"}}, .require_auth = true});
    mailer mail{transport::smtp{s.url("ann")}, tls::required{.options = {.ca_pem = s.ca_pem()}}};
    mail.send(hello()).require_accepted();
    REQUIRE(s.messages().size() == 1);
    CHECK(s.messages()[0].tls);
    CHECK(s.messages()[0].user == "ann");
    CHECK(s.violations().empty());
}

TEST_CASE("implicit TLS") {
    sink s({.security = security::implicit});
    mailer mail{tls::implicit{.options = {.ca_pem = s.ca_pem()}}, transport::smtp{s.url()}};
    mail.send(hello()).require_accepted();
    CHECK(s.messages().at(0).tls);
}

TEST_CASE("a server that nobody vouches for gets nothing") {
    sink s({.security = security::starttls, .users = {{"ann", "top-secret"}}});
    mailer mail{s.url("ann")};
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(ec == errc::tls_certificate);
    CHECK(ec == condition::tls);
    CHECK(o.all_are(status::not_attempted));
    CHECK(o.details.where == phase::tls);
    CHECK(o.details.explanation.find("top-secret") == std::string::npos);
    CHECK(s.state().counts().auth_attempts == 0);
    CHECK(s.messages().empty());
}

TEST_CASE("a certificate that is not accepted is a matter of TLS also where TLS comes first") {
    sink s({.security = security::implicit});
    mailer mail{s.url()};
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(ec == errc::tls_certificate);
    CHECK(o.details.where == phase::tls);
}

TEST_CASE("a wrong password is an authentication error that does not hold it") {
    sink s({.security = security::starttls, .users = {{"ann", "right"}}});
    auto url = s.url("ann");
    url.replace(url.find("right"), 5, "wr0ng-secret");
    mailer mail{transport::smtp{url}, tls::automatic{.options = {.ca_pem = s.ca_pem()}}};
    try {
        (void)mail.send(hello());
        FAIL("no exception");
    } catch (const send_error& e) {
        CHECK(e.code() == errc::authentication_rejected);
        CHECK(e.details().where == phase::auth);
        CHECK(std::string(e.what()).find("wr0ng-secret") == std::string::npos);
        CHECK(e.result().all_are(status::not_attempted));
    }
    CHECK(s.state().counts().auth_attempts == 1);
}

TEST_CASE("a server that refuses the session, or lacks what it needs, is told QUIT") {
    // It is not waited for, so it may come a little later.
    const auto last_command = [](sink& s, std::size_t number) {
        while (s.state().counts().commands < number) std::this_thread::yield();
        return s.state().commands().back();
    };
    for (const auto how : {security::starttls, security::implicit}) {
        sink s({.security = how, .users = {{"ann", "right"}}});
        auto url = s.url("ann");
        url.replace(url.find("right"), 5, "wrong");
        mailer mail{transport::smtp{url}, tls::automatic{.options = {.ca_pem = s.ca_pem()}}};
        error_code ec;
        (void)mail.send(hello(), ec);
        CHECK(ec == errc::authentication_rejected);
        CHECK(last_command(s, how == security::starttls ? 5 : 3) == "QUIT");
    }
    sink s;
    mailer mail{transport::smtp{"smtp://127.0.0.1:" + std::to_string(s.port())}};
    error_code ec;
    (void)mail.send(hello(), ec);
    CHECK(ec == errc::tls_not_offered);
    CHECK(last_command(s, 2) == "QUIT");
}

TEST_CASE("a message that says TLS-Required: No weakens no policy, and goes by TLS where that is offered") {
    const auto letter = hello().tls_not_required();
    error_code ec;
    {
        const sink s;
        mailer mail{transport::smtp{"smtp://127.0.0.1:" + std::to_string(s.port())}};
        (void)mail.send(letter, ec);
        CHECK(ec == errc::tls_not_offered);
        CHECK(s.messages().empty());
    }
    {
        const sink s({.security = security::starttls});
        mailer mail{transport::smtp{s.url()}};  // nobody vouches for it
        (void)mail.send(letter, ec);
        CHECK(ec == errc::tls_certificate);
        CHECK(s.messages().empty());
    }
    const sink s({.security = security::starttls});
    mailer mail{transport::smtp{"smtp+opportunistic://127.0.0.1:" + std::to_string(s.port())}};
    mail.send(letter).require_accepted();
    CHECK(s.messages().at(0).tls);
    CHECK(s.messages().at(0).content.find("TLS-Required: No\r\n") != std::string::npos);
}

TEST_CASE("refusals are outcomes of their recipients") {
    sink s({.faults = {{.at = phase::rcpt, .nth = 0, .match = "nobody", .send = "550 5.1.1 no such user\r\n"},
                       {.at = phase::rcpt, .nth = 0, .match = "later", .send = "451 4.7.1 greylisted\r\n"}}});
    mailer mail{s.url()};
    const auto o = mail.send(hello("bob@example.org, nobody@example.org, later@example.org"));
    CHECK(o.recipients.at(0).status == status::accepted);
    CHECK(o.recipients.at(1).status == status::rejected);
    CHECK(o.recipients.at(1).reply.enhanced == enhanced_code{5, 1, 1});
    CHECK(o.recipients.at(2).status == status::deferred);
    CHECK_THROWS_AS(o.require_accepted(), not_accepted);
}

TEST_CASE("deferred recipients are tried again, and only they") {
    sink s({.faults = {{.at = phase::rcpt, .nth = 1, .match = "later", .send = "451 4.7.1 greylisted\r\n"}}});
    mailer mail{transport::smtp{s.url()}, scheduling::fifo{.retry = {.attempts = 3, .first_wait = 1ms}}};
    const auto o = mail.send(hello("bob@example.org, later@example.org"));
    CHECK(o.all_accepted());
    CHECK(o.attempts == 2);
    REQUIRE(s.messages().size() == 2);
    CHECK(s.messages()[1].recipients == std::vector<std::string>{"later@example.org"});
}

TEST_CASE("a kept connection carries one message after the other") {
    sink s;
    mailer mail{s.url()};
    for (int i = 0; i < 5; ++i) mail.send(hello()).require_accepted();
    CHECK(s.state().counts().connections_ever == 1);
    mail.shutdown();
    CHECK(s.state().commands().back() == "QUIT");
}

TEST_CASE("one_shot opens a connection for each message") {
    sink s;
    mailer mail{transport::smtp{s.url()}, pooling::one_shot{}};
    for (int i = 0; i < 3; ++i) mail.send(hello()).require_accepted();
    CHECK(s.state().counts().connections_ever == 3);
}

TEST_CASE("messages per connection are limited") {
    sink s;
    mailer mail{transport::smtp{s.url()}, pooling::keep_alive{.max_connections = 1, .messages_per_connection = 2}};
    for (int i = 0; i < 5; ++i) mail.send(hello()).require_accepted();
    CHECK(s.state().counts().connections_ever == 3);
}

TEST_CASE("a kept connection that went stale costs no attempt") {
    sink s;
    mailer mail{s.url()};
    mail.send(hello()).require_accepted();
    s.drop_connections();
    const auto o = mail.send(hello());
    CHECK(o.all_accepted());
    CHECK(o.attempts == 1);
    s.state().add({.at = phase::mail, .nth = 1, .send = "421 4.4.2 idle too long\r\n", .then = testing::then::drop});
    CHECK(mail.send(hello()).all_accepted());
    CHECK(s.messages().size() == 3);
}

TEST_CASE("the connection that breaks behind the content leaves the message in doubt, and it is not sent again") {
    sink s({.faults = {{.at = phase::content, .send = "", .takes_effect = true, .then = testing::then::drop}}});
    mailer mail{transport::smtp{s.url()}, scheduling::fifo{.retry = {.attempts = 5, .first_wait = 1ms}}};
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(ec == errc::connection_closed);
    CHECK(o.all_are(status::in_doubt));
    CHECK(s.messages().size() == 1);
}

TEST_CASE("a server that stops talking is timed out in every phase") {
    for (const auto at : {phase::greeting, phase::hello, phase::mail, phase::rcpt, phase::data, phase::content}) {
        CAPTURE(std::string(to_string(at)));
        // Silence to MAIL is a failed opening, and another follows.
        sink s({.pipelining = false, .faults = {fault::stall(at, at == phase::mail ? 0 : 1)}});
        mailer mail{transport::smtp{impatient(s, at)}};
        error_code ec;
        const auto o = mail.send(hello(), ec);
        CHECK(ec == errc::timed_out);
        CHECK(o.details.where == at);
        CHECK(o.all_are(at == phase::content ? status::in_doubt : status::not_attempted));
    }
}

TEST_CASE("a server that drops the connection is an error in every phase, and nothing is sent twice") {
    for (const auto at : {phase::greeting, phase::hello, phase::mail, phase::rcpt, phase::data, phase::content}) {
        CAPTURE(std::string(to_string(at)));
        sink s({.faults = {fault::drop(at)}});
        mailer mail{transport::smtp{s.url()}};
        error_code ec;
        const auto o = mail.send(hello(), ec);
        // Before MAIL is answered it is a failed opening, and another follows.
        CHECK(ec == (at == phase::mail ? error_code() : errc::connection_closed));
        CHECK(o.all_are(at == phase::mail      ? status::accepted
                        : at == phase::content ? status::in_doubt
                                               : status::not_attempted));
        CHECK(mail.send(hello()).all_accepted());
        CHECK(s.state().counts().connections_ever == 2);
    }
}

TEST_CASE("garbage instead of a reply ends the connection in every phase") {
    for (const auto at : {phase::greeting, phase::hello, phase::mail, phase::rcpt, phase::data, phase::content}) {
        CAPTURE(std::string(to_string(at)));
        sink s({.faults = {{.at = at, .send = "<html>oops</html>\r\n"}}});
        mailer mail{transport::smtp{s.url()}};
        error_code ec;
        const auto o = mail.send(hello(), ec);
        if (at == phase::mail)
            CHECK(!ec);  // a failed opening, and another follows
        else
            CHECK(ec == errc::malformed_reply);
        CHECK(mail.send(hello()).all_accepted());
    }
}

TEST_CASE("a refusal that comes while the content is being sent is read") {
    sink s({.faults = {
                {.at = phase::content, .send = "552 5.3.4 too big\r\n", .then = testing::then::drop, .early = true}}});
    auto m = std::make_shared<mail_object>();
    m->envelope = {address("ann@example.com"), {address("bob@example.org")}};
    std::string big = "Subject: big\n\n";
    for (int i = 0; i < 400'000; ++i) big += "a line of the message, one of many\n";
    m->content = content::from_text(big);
    mailer mail{s.url()};
    error_code ec;
    const auto o = mail.send(mail_ptr(m), ec);
    CHECK(o.recipients.at(0).status == status::rejected);
    CHECK(o.recipients.at(0).reply.code == 552);
}

TEST_CASE("messages that the server cannot take get their outcome on a fresh and on a kept connection") {
    sink s({.size = 100});
    auto big = std::make_shared<mail_object>();
    big->envelope = {address("ann@example.com"), {address("bob@example.org")}};
    big->content = content::from_text("Subject: x\n\n" + std::string(200, 'x'));
    mailer mail{s.url() + "?connections=1"};
    std::vector<std::future<outcome>> all;
    for (int i = 0; i < 5; ++i) all.push_back(mail.async_send(mail_ptr(big), asio::use_future));
    for (auto& f : all) {
        try {
            (void)f.get();
            FAIL("no error");
        } catch (const std::system_error& e) {
            CHECK(e.code() == errc::message_too_large);
        }
    }
    CHECK(mail.send(frozen("r@example.org")).all_accepted());
}

TEST_CASE("nobody listens") {
    const refusing_port nobody;
    mailer mail{"smtp+insecure://" + nobody.at("127.0.0.1")};
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(ec == std::errc::connection_refused);
    CHECK(ec == condition::transient);
    CHECK(o.all_are(status::not_attempted));
    CHECK(o.details.where == phase::connect);
}

TEST_CASE("bad input is an error before anything is sent") {
    sink s;
    mailer mail{s.url()};
    error_code ec;
    (void)mail.send(message{}.from("ann@example.com").subject("x").text("y"), ec);
    CHECK(ec == errc::no_recipients);
    (void)mail.send(message{}.to("ann@example.com").subject("x").text("y"), ec);
    CHECK(ec == errc::no_sender);
    (void)mail.send(mail_object{}, ec);
    CHECK(ec == errc::no_recipients);
    (void)mail.send(mail_ptr{}, ec);
    CHECK(ec == errc::invalid_message);
    for (const auto* odd : {"bob@x.example\xc2\xa0", "bob@\xe2\x98\x83.example"}) {
        mail_object m{.envelope = {.reverse_path = address("ann@x.example"), .recipients = {address(odd)}}};
        (void)mail.send(m, ec);
        CHECK(ec == errc::invalid_address);
        std::swap(m.envelope.reverse_path, m.envelope.recipients[0]);
        (void)mail.send(m, ec);
        CHECK(ec == errc::invalid_address);
    }
    CHECK(s.state().counts().connections_ever == 0);
    CHECK_THROWS_AS(mailer{"smtp://localhost\r\n"}, error);
    CHECK_THROWS_AS(mailer{"smtp://localhost?tsl=no"}, error);
}

TEST_CASE("settings that contradict each other are refused at once") {
    const auto code_of = [](auto make) {
        try {
            make();
        } catch (const error& e) {
            return e.code();
        }
        return error_code{};
    };
    CHECK(code_of([] { mailer m{transport::smtp{"smtps://h"}, tls::required{}}; }) == errc::contradiction);
    CHECK(code_of([] { mailer m{transport::smtp{"smtp://h"}, tls::insecure_none{}}; }) == errc::contradiction);
    CHECK(code_of([] { mailer m{transport::smtp{"smtp://h?ca=x"}, tls::required{}}; }) == errc::contradiction);
    CHECK(code_of([] { mailer m{transport::smtp{"smtp://h?crl=x"}, tls::required{}}; }) == errc::contradiction);
    CHECK(postroad::detail::adjusted(tls::automatic{}, transport::smtp{"smtps://h?crl=x"}).options.crl_file == "x");
    CHECK(code_of([] {
              mailer m{transport::smtp{"smtp://h?connections=2"}, pooling::one_shot{}};
          }) == errc::contradiction);
}

TEST_CASE("connections never exceed the cap") {
    sink s({.delay = 2ms});
    mailer mail{s.url() + "?connections=3"};
    std::vector<ticket> tickets;
    for (int i = 0; i < 60; ++i) tickets.push_back(mail.submit(frozen("r" + std::to_string(i) + "@example.org")));
    for (auto& t : tickets) CHECK(t.wait().all_accepted());
    CHECK(s.state().counts().most_connections <= 3);
    CHECK(s.messages().size() == 60);
}

TEST_CASE("pipelining across transactions") {
    for (const auto* mode : {"lockstep", "envelope", "across", "window", "window&window=64"}) {
        CAPTURE(std::string(mode));
        sink s({.chunking = true});
        mailer mail{s.url() + "?connections=1&pipelining=" + mode};
        std::vector<std::future<outcome>> all;
        for (int i = 0; i < 100; ++i)
            all.push_back(mail.async_send(frozen("r" + std::to_string(i) + "@example.org"), asio::use_future));
        for (auto& f : all) CHECK(f.get().all_accepted());
        CHECK(s.messages().size() == 100);
        CHECK(s.violations().empty());
        for (const auto& m : s.messages()) CHECK(m.content == "Subject: x\r\n\r\n" + m.recipients.at(0) + "\r\n");
    }
}

TEST_CASE("a server that refuses BDAT gets every message with DATA") {
    sink s({.chunking = true, .faults = {{.at = phase::content, .nth = 0, .match = "r0@", .send = "502 what?\r\n"}}});
    mailer mail{s.url() + "?connections=1&pipelining=window"};
    auto first = mail.async_send(frozen("r0@example.org"), asio::use_future);
    auto second = mail.async_send(frozen("r1@example.org"), asio::use_future);
    CHECK(second.get().all_accepted());
    const auto o = first.get();
    CHECK(o.attempts == 1);
    CHECK(o.recipients.at(0).status == status::rejected);
    CHECK(o.recipients.at(0).reply.code == 502);
    const auto said = s.state().commands();
    CHECK(std::ranges::count(said, "DATA") >= 1);
    CHECK(s.state().counts().connections_ever == 2);
}

TEST_CASE("a full queue refuses, or makes the caller wait") {
    sink s;
    {
        mailer mail{transport::smtp{s.url()}, queueing::memory{.capacity = 2}};
        auto a = mail.async_send(frozen("a@example.org"), {.delay = 1h}, asio::use_future);
        auto b = mail.async_send(frozen("b@example.org"), {.delay = 1h}, asio::use_future);
        error_code ec;
        const auto o = mail.send(frozen("c@example.org"), ec);
        CHECK(ec == errc::queue_full);
        CHECK(ec == condition::limit);
        CHECK(o.recipients.at(0).status == status::not_attempted);
        CHECK_THROWS_AS((void)mail.submit(frozen("d@example.org")), send_error);
        CHECK(mail.retry_now({}) == 2);
        CHECK(a.get().all_accepted());
        CHECK(b.get().all_accepted());
        CHECK(mail.send(frozen("e@example.org")).all_accepted());
    }
    mailer mail{transport::smtp{s.url()}, queueing::memory{.capacity = 2, .when_full = queueing::when_full::wait}};
    std::vector<ticket> tickets;
    for (int i = 0; i < 10; ++i) tickets.push_back(mail.submit(frozen("w" + std::to_string(i) + "@example.org")));
    for (auto& t : tickets) CHECK(t.wait().all_accepted());
}

TEST_CASE("shutdown lets what is queued finish, and takes nothing more") {
    sink s({.delay = 5ms});
    mailer mail{s.url()};
    std::vector<ticket> tickets;
    for (int i = 0; i < 20; ++i) tickets.push_back(mail.submit(frozen("r" + std::to_string(i) + "@example.org")));
    mail.shutdown();
    for (auto& t : tickets) {
        CHECK(t.done());
        CHECK(t.wait().all_accepted());
    }
    error_code ec;
    (void)mail.send(hello(), ec);
    CHECK(ec == errc::shut_down);
    mail.shutdown();
}

TEST_CASE("shutdown that runs out of patience cancels the rest") {
    sink s({.faults = {{.at = phase::content, .nth = 0, .send = "", .then = testing::then::stall}}});
    mailer mail{s.url() + "?connections=1"};
    const auto seen = std::make_shared<content_seen>();
    mail.observe(seen);
    auto first = mail.submit(frozen("a@example.org"));
    auto second = mail.submit(frozen("b@example.org"));
    seen->left.get_future().wait();
    mail.shutdown(100ms);
    error_code ec;
    const auto o = first.wait(ec);
    CHECK(ec == errc::shut_down);
    CHECK(o.all_are(status::in_doubt));
    CHECK(second.wait(ec).all_are(status::not_attempted));
    CHECK(ec == errc::shut_down);
}

TEST_CASE("destruction completes everything") {
    sink s({.faults = {{.at = phase::content, .nth = 0, .send = "", .then = testing::then::stall}}});
    std::vector<std::future<outcome>> all;
    {
        mailer mail{s.url()};
        for (int i = 0; i < 50; ++i)
            all.push_back(mail.async_send(frozen("r" + std::to_string(i) + "@example.org"), asio::use_future));
    }
    for (auto& f : all) CHECK_THROWS_AS((void)f.get(), std::system_error);
}

TEST_CASE("cancellation by the operation's slot") {
    sink s({.faults = {fault::stall(phase::content, 0)}});
    mailer mail{s.url() + "?connections=1"};
    asio::cancellation_signal in_flight;
    asio::cancellation_signal waiting;
    std::promise<std::pair<error_code, outcome>> first;
    std::promise<std::pair<error_code, outcome>> second;
    mail.async_send(frozen("a@example.org"),
                    asio::bind_cancellation_slot(in_flight.slot(), [&](error_code ec, outcome o) {
                        first.set_value({ec, std::move(o)});
                    }));
    mail.async_send(frozen("b@example.org"),
                    asio::bind_cancellation_slot(waiting.slot(), [&](error_code ec, outcome o) {
                        second.set_value({ec, std::move(o)});
                    }));
    while (s.state().counts().commands < 4) std::this_thread::yield();
    asio::post(mail.get_executor(), [&] {
        in_flight.emit(asio::cancellation_type::total);  // has begun: not taken back
        waiting.emit(asio::cancellation_type::total);
    });
    const auto [ec2, o2] = second.get_future().get();
    CHECK(ec2 == errc::cancelled);
    CHECK(o2.all_are(status::not_attempted));
    auto f = first.get_future();
    CHECK(f.wait_for(0s) == std::future_status::timeout);
    asio::post(mail.get_executor(), [&] { in_flight.emit(asio::cancellation_type::terminal); });
    const auto [ec1, o1] = f.get();
    CHECK(ec1 == errc::cancelled);
    CHECK((o1.all_are(status::in_doubt) || o1.all_are(status::not_attempted)));
}

TEST_CASE("a ticket can be cancelled and awaited more than once") {
    sink s({.faults = {fault::stall(phase::content, 0)}});
    mailer mail{s.url()};
    const auto t = mail.submit(frozen("a@example.org"));
    std::promise<error_code> told;
    t.async_wait([&](error_code ec, const outcome&) { told.set_value(ec); });
    t.cancel();
    error_code ec;
    (void)t.wait(ec);
    CHECK(ec == errc::cancelled);
    CHECK(told.get_future().get() == errc::cancelled);
    CHECK(t.async_wait(asio::use_future).wait_for(1min) == std::future_status::ready);
}

TEST_CASE("the caller's io_context does the work, and blocking on it is refused") {
    sink s;
    asio::io_context context;
    bool alone = false;
    SUBCASE("in a strand") {}
    SUBCASE("without one") { alone = true; }
    auto mail = alone ? mailer{one_thread(context), s.url()} : mailer{context, s.url()};
    CHECK((mail.get_executor() == asio::any_io_executor(context.get_executor())) == alone);
    int accepted = 0;
    error_code blocked;
    mail.async_send(hello(), [&](error_code ec, const outcome& o) {
        CHECK(!ec);
        accepted += o.all_accepted();
        (void)mail.send(hello(), blocked);
        mail.async_submit(hello(), [&](error_code queued, const ticket& t) {
            CHECK(!queued);
            t.async_wait([&](error_code, const outcome& later) {
                accepted += later.all_accepted();
                mail.async_shutdown(1min, [](error_code) {});
            });
        });
    });
    context.run();
    CHECK(accepted == 2);
    CHECK(blocked == errc::would_deadlock);
}

TEST_CASE("a mailer works on executors of any type") {
    sink s;
    asio::thread_pool pool(2);
    asio::any_io_executor on = pool.get_executor();
    bool in_order = false;
    SUBCASE("a pool of threads") {}
    SUBCASE("a strand of it") {
        on = asio::make_strand(on);
        in_order = true;
    }
    mailer mail{on, s.url()};
    CHECK((mail.get_executor() == on) == in_order);
    CHECK(mail.async_send(hello(), asio::use_future).get().all_accepted());
    mail.async_shutdown(1min, asio::use_future).get();
    pool.join();
}

TEST_CASE("a mailer may be destroyed by its own completion") {
    sink s;
    auto mail = std::make_unique<mailer<>>(s.url());
    std::promise<void> gone;
    mail->async_send(hello(), [&](error_code ec, const outcome&) {
        CHECK(!ec);
        mail.reset();
        gone.set_value();
    });
    gone.get_future().get();
}

TEST_CASE("many threads use one mailer, cancel and shut down") {
    sink s;
    mailer mail{s.url() + "?connections=4"};
    std::atomic<int> accepted = 0;
    std::atomic<int> ended = 0;
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n)
        threads.emplace_back([&, n] {
            for (int i = 0; i < 50; ++i) {
                const auto to = "t" + std::to_string(n) + "-" + std::to_string(i) + "@example.org";
                if (i % 3 == 0) {
                    error_code ec;
                    accepted += mail.send(frozen(to), ec).all_accepted();
                    ++ended;
                } else if (i % 3 == 1) {
                    const auto t = mail.submit(frozen(to));
                    if (i % 2 == 0) t.cancel();
                    error_code ec;
                    accepted += t.wait(ec).all_accepted();
                    ++ended;
                } else {
                    mail.async_send(frozen(to), [&](error_code, const outcome& o) {
                        accepted += o.all_accepted();
                        ++ended;
                    });
                }
            }
        });
    for (auto& t : threads) t.join();
    mail.shutdown();
    CHECK(ended == 200);
    CHECK(static_cast<std::size_t>(accepted) <= s.messages().size());
    CHECK(s.violations().empty());
}

TEST_CASE("local transports take the same road") {
    mailer nowhere{transport::discard{}, queueing::direct{}};
    CHECK(nowhere.send(hello()).all_accepted());
    nowhere.shutdown();
}

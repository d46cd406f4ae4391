// The code of docs/mailer.md, docs/policies.md, docs/outcomes.md, docs/destinations.md and docs/errors.md.
#include <doctest/doctest.h>

#include "bulk_mailer.hpp"

#include <postroad/message/dkim.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <asio/detached.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_future.hpp>

#include <chrono>
#include <csignal>
#include <future>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace {

postroad::message invoice(const std::string& to = "bob@b.example") {
    return postroad::message{}.from("ann@a.example").to(to).subject("Your invoice").text("Hello Bob");
}

}  // namespace

//[troubles
/// What keeps mail waiting, a line each.
std::string troubles_of(postroad::mailer<>& mail) {
    std::string text;
    for (const auto& t : mail.count().troubles)
        text += t.name + ": " + t.why + "; " + std::to_string(t.waiting) + " wait\n";
    return text;
}
//]

TEST_CASE("a mailer without troubles says none") {
    postroad::testing::sink server;
    postroad::mailer<> mail{server.url()};
    mail.send(invoice()).require_accepted();
    CHECK(troubles_of(mail) == "");
}

TEST_CASE("a mailer whose engine another source file compiles sends, and takes questions") {
    postroad::testing::sink server;
    bulk_mailer mail{server.url(), {}};
    postroad::mailer_base& any = mail;
    any.send(invoice()).require_accepted();
    CHECK(mail.count().total() == 0);
    mail.pause({.by = postroad::scheduling::selection::kind::tag, .name = "campaign"});
}

void sign_everything(postroad::mailer<>& mail, const std::string& pem) {
    //[sign_by
    mail.sign_by(postroad::dkim_signer{
        {.domain = "example.com", .selector = "mail2026", .key = postroad::dkim_key::rsa(postroad::secret(pem))}});
    //]
}

void drain_at_sigterm(asio::io_context& context, postroad::mailer<>& mail) {
    //[drain
    asio::signal_set signals{context, SIGTERM, SIGINT};
    signals.async_wait([&](postroad::error_code, int) { mail.async_drain(std::chrono::seconds(10), asio::detached); });
    //]
}

void compose_mailers() {
    //[by_url
    postroad::mailer mail{"smtp://user:password@smtp.example.com"};
    //]
    //[by_value
    postroad::mailer bulk{postroad::transport::smtp{"smtps://relay.example.com"},
                          postroad::pooling::keep_alive{.max_connections = 10},
                          postroad::scheduling::fifo{.retry = {.attempts = 5}}};
    //]
    //[by_type
    using relay_mailer = postroad::mailer<postroad::queueing::direct, postroad::tls::required>;
    relay_mailer relay{"smtp://relay.example.com"};
    //]
    asio::io_context context;
    //[on_executor
    postroad::mailer shared{context, "smtp://user:password@smtp.example.com"};
    //]
}

struct campaign {
    //[member
    postroad::mailer<postroad::transport::smtp, postroad::scheduling::fifo> mail{
        postroad::transport::smtp{"smtps://relay.example.com"}, postroad::scheduling::fifo{}};
    //]
};

TEST_CASE("the calls of the page about the mailer") {
    postroad::testing::sink server;
    postroad::mailer mail{server.url()};
    const auto message = invoice();

    //[send
    const postroad::outcome outcome = mail.send(message);
    //]
    CHECK(outcome.all_accepted());
    //[options
    mail.submit(message, {.tag = "june", .delay = std::chrono::minutes(10), .give_up_after = std::chrono::hours(1)});
    //]

    //[send_code
    postroad::error_code ec;
    const auto second = mail.send(message, ec);
    if (ec) std::cerr << postroad::describe(ec, second.details) << '\n';
    //]
    CHECK(second.all_accepted());

    std::promise<bool> called;
    //[callback
    mail.async_send(message, [&](postroad::error_code failed, const postroad::outcome& o) {
        called.set_value(!failed && o.all_accepted());  // on the mailer's thread: do not block here
    });
    //]
    CHECK(called.get_future().get());

    //[future
    std::future<postroad::outcome> later = mail.async_send(message, asio::use_future);
    //]
    CHECK(later.get().all_accepted());

    //[submit
    const postroad::ticket ticket = mail.submit(message);
    // ... elsewhere, or never:
    const auto third = ticket.wait();
    //]
    CHECK(third.all_accepted());

    //[shutdown
    mail.shutdown(std::chrono::minutes(1));
    //]
    CHECK(server.messages().size() == 5);
    CHECK(server.violations().empty());
}

TEST_CASE("the mailer of the page that is a member is what CTAD makes") {
    CHECK(std::is_same_v<decltype(campaign::mail), decltype(postroad::mailer{postroad::transport::smtp{"smtp://h"},
                                                                             postroad::scheduling::fifo{}})>);
}

namespace {

//[handle
std::string report(postroad::mailer<>& mail, const postroad::message& message) {
    try {
        mail.send(message).require_accepted();
        return "sent";
    } catch (const postroad::not_accepted& e) {  // the server answered, but did not take it for everyone
        for (const auto& r : e.result().recipients)
            if (r.status == postroad::status::rejected) return "not for " + r.address + ": " + to_string(r.reply);
        return e.code() == postroad::condition::transient ? "later" : "look at it";
    } catch (const postroad::error& e) {  // there is no answer
        return e.code() == postroad::condition::transient ? "later" : e.what();
    }
}
//]

//[again
/// The same message for those who may be asked again; nobody gets it twice. Empty recipients: there is nobody left.
postroad::mail_object again(postroad::mail_object mail, const postroad::outcome& o) {
    auto left = mail.envelope;
    left.recipients.clear();
    left.recipient_options.clear();
    for (std::size_t i = 0; i < o.recipients.size(); ++i) {
        const auto s = o.recipients[i].status;
        if (s != postroad::status::deferred && s != postroad::status::not_attempted) continue;
        left.recipients.push_back(mail.envelope.recipients[i]);
        if (!mail.envelope.recipient_options.empty())  // else nothing is asked for any of them
            left.recipient_options.push_back(mail.envelope.recipient_options[i]);
    }
    mail.envelope = std::move(left);
    return mail;
}
//]

}  // namespace

TEST_CASE("outcomes are handled as the page says") {
    using postroad::testing::parse_fault;
    postroad::testing::sink server{{.faults = {parse_fault("rcpt@gone:0:550 5.1.1 no such user"),
                                               parse_fault("rcpt@full:1:452 4.2.2 mailbox full"),
                                               parse_fault("mail:5:|drop"), parse_fault("content:4:+|drop")}}};
    postroad::mailer mail{server.url()};
    CHECK(report(mail, invoice()) == "sent");
    CHECK(report(mail, invoice("gone@b.example")) == "not for gone@b.example: 550 5.1.1 no such user");
    CHECK(report(mail, invoice("full@b.example")) == "later");
    CHECK(report(mail, postroad::message{}) == "the message names no sender: expected from()");

    auto m = invoice("bob@b.example, gone@b.example, full@b.example").freeze(std::chrono::system_clock::now());
    server.state().clear();
    server.state().add(parse_fault("rcpt@full:1:452 4.2.2 mailbox full"));
    m.envelope.recipient_options.resize(3);
    m.envelope.recipient_options.at(2).notify.delay = true;
    m = again(m, mail.send(m));
    REQUIRE(m.envelope.recipients.size() == 1);
    REQUIRE(m.envelope.recipient_options.size() == 1);
    CHECK(m.envelope.recipient_options.at(0).notify.delay);
    CHECK(m.envelope.recipients.at(0).str() == "full@b.example");
    CHECK(mail.send(m).all_accepted());
    CHECK(server.messages().at(0).content == server.messages().at(1).content);
}

// Servers that mean harm, over real sockets: whatever they do, the mailer ends with a bounded and honest outcome.
#include <postroad/postroad.hpp>

#include <doctest/doctest.h>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/use_future.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "refusing_port.hpp"
#include "villain.hpp"

using namespace postroad_test;

namespace {

constexpr auto patience = 60s;  // of a test that is about to fail
constexpr auto soon = 2s;       // the time-out where a server keeps silent

// The same mailer throughout: of one type, so that the file compiles quickly.
using default_mailer = mailer<transport::smtp>;

mail_ptr letter(std::size_t recipients = 1, const std::string& text = "x") {
    auto m = std::make_shared<mail_object>();
    m->envelope.reverse_path = address("ann@example.com");
    for (std::size_t i = 0; i < recipients; ++i)
        m->envelope.recipients.push_back(address("r" + std::to_string(i) + "@example.org"));
    m->content = content::from_text("Subject: x\n\n" + text + "\n");
    return m;
}

// Longer than what the kernel takes of a connection whose peer does not read.
std::string long_text() {
    std::string lines = "\n";
    for (int i = 0; i < 100'000; ++i) lines += std::string(80, 'x') + '\n';
    return lines;
}

struct ending {
    error_code ec;
    outcome o;
    std::string text() const {
        auto all = describe(ec, o.details) + '\n' + o.details.explanation + '\n' + o.details.reply;
        for (const auto& r : o.recipients) all += '\n' + to_string(r.reply) + '\n' + r.reply.text;
        return all;
    }
};

// The outcome, which must come.
ending send(default_mailer& mail, const mail_ptr& m) {
    auto promise = std::make_shared<std::promise<ending>>();
    auto future = promise->get_future();
    mail.async_send(m, [promise](error_code ec, outcome o) { promise->set_value({ec, std::move(o)}); });
    REQUIRE(future.wait_for(patience) == std::future_status::ready);
    return future.get();
}

ending send_to(const villain& v, const mail_ptr& m = letter()) {
    default_mailer mail{transport::smtp{v.options()}};
    return send(mail, m);
}

/// To servers that say nothing in the end.
transport::smtp_options impatient(const villain& v, std::string_view scheme_and_user = "smtp+insecure://") {
    return v.options(scheme_and_user, soon);
}

}  // namespace

TEST_CASE("a flood of replies ends the connection wherever it comes") {
    SUBCASE("at the greeting") {
        villain v([](victim_of& c, int) { c.forever("220 hello\r\n"); });
        CHECK(send_to(v).ec == condition::protocol);
    }
    SUBCASE("behind EHLO") {
        villain v([](victim_of& c, int) {
            c.greet();
            c.forever("250 ok\r\n");
        });
        CHECK(send_to(v).ec == condition::protocol);
    }
    SUBCASE("in the content") {
        villain v([](victim_of& c, int) {
            c.greet();
            c.until("DATA");
            c.say("250 ok\r\n250 ok\r\n354 go\r\n");
            c.forever("250 ok\r\n");
        });
        const auto e = send_to(v, letter(1, std::string(4'000'000, '\n')));
        CHECK(e.ec == errc::unsolicited_reply);
        CHECK(e.o.all_are(status::not_attempted));
    }
    SUBCASE("between messages: the next goes over another connection") {
        villain v([](victim_of& c, int n) {
            c.greet();
            c.take();
            if (n == 0) c.forever("250 ok\r\n");
            c.linger();
        });
        default_mailer mail{transport::smtp{v.options()}};
        CHECK(send(mail, letter()).o.all_accepted());
        const auto second = send(mail, letter());
        CHECK_MESSAGE(second.o.all_accepted(), second.text());
    }
}

TEST_CASE("a reply without end is cut off") {
    for (const std::string_view piece : {"250-more\r\n", "250-", "250-\r\n"}) {
        CAPTURE(std::string(piece));
        villain v([piece](victim_of& c, int) {
            c.say("220 villain\r\n");
            c.line();
            c.forever(piece);
        });
        CHECK(send_to(v).ec == errc::reply_too_long);
    }
}

TEST_CASE("a reply that comes octet by octet is timed out as a whole") {
    villain v([](victim_of& c, int) {
        asio::io_context io;
        do {
            asio::steady_timer pause(io, 10ms);
            pause.wait();
        } while (c.say("2"));
    });
    default_mailer mail{transport::smtp{impatient(v)}};
    const auto e = send(mail, letter());
    CHECK(e.ec == errc::timed_out);
    CHECK(e.o.all_are(status::not_attempted));
}

TEST_CASE("success that comes before the content has left is not success") {
    villain v([](victim_of& c, int) {
        c.greet();
        c.until("DATA");
        c.say("250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n");
        c.linger();
    });
    const auto e = send_to(v);
    CHECK(e.ec == errc::unsolicited_reply);
    CHECK_FALSE(e.o.any_are(status::accepted));
}

TEST_CASE("a server that echoes credentials brings them into no text") {
    const std::string password = "hunter2-hunter2";
    for (const std::string_view answer : {"421 4.7.0 bye $\r\n", "250 fine $\r\n", "334 $ is what?\r\n", "$\r\n", "$\n",
                                          "535 5.7.8 $\r\n", "454-4.7.0 x\r\n454 $\r\n", "235-$\r\n250 $\r\n"}) {
        CAPTURE(std::string(answer));
        villain v([&](victim_of& c, int) {
            c.greet("250-AUTH PLAIN\r\n");
            const auto line = c.line();
            std::string text(answer);
            for (auto at = text.find('$'); at != std::string::npos; at = text.find('$'))
                text.replace(at, 1, line + ' ' + password);
            c.say(text);
            c.linger();
        });
        default_mailer mail{transport::smtp{impatient(v, "smtp+insecure://ann:" + password + "@")}};
        const auto e = send(mail, letter());
        CHECK(e.ec);
        CHECK(e.o.all_are(status::not_attempted));
        CHECK(e.text().find("hunter2") == std::string::npos);
        CHECK(e.text().find("AGFubgBodW") == std::string::npos);
    }
}

TEST_CASE("what a server cannot take is refused though nothing is written") {
    villain v([](victim_of& c, int) {
        c.greet("250-PIPELINING\r\n250-SIZE 100\r\n");
        c.linger();
    });
    default_mailer mail{transport::smtp{v.options()}};
    for (int i = 0; i < 3; ++i) {
        const auto e = send(mail, letter(1, std::string(200, 'x')));
        CHECK(e.ec == errc::message_too_large);
        CHECK(e.o.all_are(status::rejected));
    }
}

TEST_CASE("a message that cannot be taken does not hold up what is in flight with it") {
    villain v([](victim_of& c, int) {
        c.greet("250-PIPELINING\r\n250-SIZE 100\r\n");
        for (;;) {
            c.take();
            if (c.gone()) return;
        }
    });
    auto o = v.options();
    o.pipelining = smtp::pipelining::across;
    default_mailer mail{transport::smtp{o}};
    std::vector<std::future<outcome>> all;
    for (int i = 0; i < 20; ++i)
        all.push_back(mail.async_send(letter(1, std::string(i % 2 == 0 ? 10 : 200, 'x')), asio::use_future));
    int accepted = 0;
    for (auto& f : all) {
        REQUIRE(f.wait_for(patience) == std::future_status::ready);
        try {
            accepted += f.get().all_accepted();
        } catch (const std::system_error& e) {
            CHECK(e.code() == errc::message_too_large);
        }
    }
    CHECK(accepted == 10);
}

TEST_CASE("a message behind a cancelled one is sent as soon as the server lets go") {
    std::promise<void> content_is_here;
    std::promise<void> answer;
    villain v([&](victim_of& c, int n) {
        c.greet();
        if (n == 0)
            c.take([&] {
                content_is_here.set_value();
                answer.get_future().wait();
            });
        for (;;) {
            c.take();
            if (c.gone()) return;
        }
    });
    mailer<transport::smtp, pooling::keep_alive> mail{transport::smtp{v.options()},
                                                      pooling::keep_alive{.max_connections = 1}};
    const auto first = mail.submit(letter());
    content_is_here.get_future().wait();
    first.cancel();
    error_code ec;
    CHECK(first.wait(ec).all_are(status::in_doubt));
    CHECK(ec == errc::cancelled);
    auto second = mail.async_send(letter(), asio::use_future);
    answer.set_value();
    REQUIRE(second.wait_for(patience) == std::future_status::ready);
    CHECK(second.get().all_accepted());
}

TEST_CASE("the text of refusals does not pile up") {
    villain v([](victim_of& c, int) {
        c.greet("250-SIZE 10000000\r\n");
        std::string refusal;
        for (int i = 0; i < 15; ++i) refusal += "550-" + std::string(4000, 'x') + "\r\n";
        refusal += "550 no\r\n";
        for (auto l = c.line(); !c.gone(); l = c.line()) c.say(l.starts_with("RCPT") ? refusal : "250 ok\r\n");
    });
    const auto e = send_to(v, letter(200));
    CHECK(e.o.all_are(status::rejected));
    std::size_t kept = 0;
    for (const auto& r : e.o.recipients) kept += r.reply.text.size();
    CHECK(kept <= 200 * smtp::max_kept_reply_text);
}

TEST_CASE("of a reply's text the outcome keeps up to the limit") {
    for (const std::size_t more : {0u, 1u}) {
        villain v([more](victim_of& c, int) {
            c.greet();
            c.line();
            c.say("550 " + std::string(smtp::max_kept_reply_text + more, 'x') + "\r\n503 no mail\r\n503 no mail\r\n");
            c.linger();
        });
        CHECK(send_to(v).o.recipients.at(0).reply.text.size() == smtp::max_kept_reply_text);
    }
}

TEST_CASE("what comes in the clear behind the reply to STARTTLS ends the connection") {
    villain v([](victim_of& c, int) {
        c.greet("250-STARTTLS\r\n");
        c.line();
        c.say("220 go\r\n250 injected\r\n");
        c.linger();
    });
    default_mailer mail{transport::smtp{v.options("smtp://ann:hunter2-hunter2@")}};
    CHECK(send(mail, letter()).ec == errc::tls_injection);
}

TEST_CASE("TLS that is not offered, refused, garbage or silent lets nothing pass") {
    for (const std::string_view answer : {"", "454 later\r\n", "220 go\r\n", "garbage"}) {
        CAPTURE(std::string(answer));
        std::string heard;
        {
            villain v([&](victim_of& c, int) {
                c.greet(answer.empty() ? "250-PIPELINING\r\n" : "250-STARTTLS\r\n");
                if (!answer.empty()) {
                    c.line();
                    c.say(answer == "garbage" ? "220 go\r\n" : answer);
                    if (answer == "garbage") c.forever("not TLS at all\r\n");
                }
                while (!c.gone()) heard += c.line();
            });
            default_mailer mail{transport::smtp{impatient(v, "smtp://ann:hunter2-hunter2@")}};
            const auto e = send(mail, letter());
            CHECK((e.ec == condition::tls || e.ec == errc::timed_out));
            CHECK(e.o.all_are(status::not_attempted));
        }
        CHECK(heard.find("MAIL") == std::string::npos);
        CHECK(heard.find("AUTH") == std::string::npos);
    }
}

TEST_CASE("a server that takes no octets is timed out, and one that hangs up in the content leaves no doubt") {
    std::promise<void> over;
    villain v([&](victim_of& c, int n) {
        c.greet();
        c.until("DATA");
        c.say("250 ok\r\n250 ok\r\n354 go\r\n");
        if (n == 0) over.get_future().wait();
    });
    default_mailer mail{transport::smtp{impatient(v)}};
    const auto stuck = send(mail, letter(1, long_text()));
    over.set_value();
    CHECK(stuck.ec == errc::timed_out);
    CHECK(stuck.o.all_are(status::not_attempted));
    const auto cut = send(mail, letter(1, long_text()));
    CHECK(cut.ec);
    CHECK(cut.o.all_are(status::not_attempted));
}

TEST_CASE("a server that hangs up at once, every time, costs a bounded number of connections") {
    villain v([](victim_of& c, int) {
        c.greet();
        c.take();
        c.line();
    });
    mailer<transport::smtp, scheduling::fifo> mail{transport::smtp{v.options()},
                                                   scheduling::fifo{.retry = {.attempts = 3, .first_wait = 1ms}}};
    std::vector<std::future<outcome>> all;
    for (int i = 0; i < 10; ++i) all.push_back(mail.async_send(letter(), asio::use_future));
    for (auto& f : all) {
        REQUIRE(f.wait_for(patience) == std::future_status::ready);
        try {
            (void)f.get();
        } catch (const std::system_error&) {
        }
    }
    CHECK(v.served() < 200);
}

TEST_CASE("shutdown and destruction end in every phase of a silent server") {
    for (int phase = 0; phase < 6; ++phase) {
        CAPTURE(phase);
        std::promise<void> there;
        villain v([&](victim_of& c, int n) {
            if (n > 0) return;
            if (phase > 0) c.say("220 villain\r\n");
            if (phase > 1) c.line();
            if (phase > 1) c.say("250-villain\r\n250 HELP\r\n");
            if (phase > 2) c.line();
            if (phase > 3) c.say("250 ok\r\n");
            if (phase > 4) c.line();
            there.set_value();
            c.linger();
        });
        auto o = v.options();
        o.timeouts = {};
        auto mail = std::make_unique<default_mailer>(transport::smtp{o});
        std::atomic<int> ended = 0;
        for (int i = 0; i < 3; ++i)
            mail->async_send(letter(), [&](error_code ec, const outcome&) {
                CHECK(ec == errc::shut_down);
                ++ended;
            });
        there.get_future().wait();
        if (phase % 2 == 0) mail->shutdown(1ms);
        mail.reset();
        CHECK(ended == 3);
    }
}

TEST_CASE("time-outs that never pass do not overflow") {
    villain v([](victim_of& c, int) {
        c.greet();
        c.take();
        c.until("QUIT");
        c.say("221 bye\r\n");
    });
    auto o = v.options();
    const auto longest = duration::max();
    o.timeouts = {longest, longest, longest, longest, longest, longest, longest, longest, longest, longest, longest};
    o.dialing.timeout = longest;
    default_mailer mail{transport::smtp{o}};
    CHECK(send(mail, letter()).o.all_accepted());
    mail.shutdown(longest);
}

TEST_CASE("a window of no messages is refused") {
    CHECK_THROWS_AS(transport::smtp(transport::smtp_options{.server = {.name = "localhost", .port = 25}, .window = 0}),
                    error);
}

TEST_CASE(
    "40 a server that half-closes or resets, at each phase: only behind the end of the content is there a doubt") {
    struct row {
        std::string phase;
        std::function<void(victim_of&)> before;
        status expected;
    };
    const auto greet = [](victim_of& c) { c.greet(); };
    const row rows[] = {
        {"greeting", [](victim_of&) {}, status::not_attempted},
        {"EHLO", [](victim_of& c) { c.say("220 villain\r\n"), c.line(); }, status::not_attempted},
        {"MAIL", [=](victim_of& c) { greet(c), c.line(); }, status::not_attempted},
        {"DATA", [=](victim_of& c) { greet(c), c.until("DATA"), c.say("250 ok\r\n250 ok\r\n"); },
         status::not_attempted},
        {"content",
         [=](victim_of& c) { greet(c), c.until("DATA"), c.say("250 ok\r\n250 ok\r\n354 go\r\n"), c.until(""); },
         status::not_attempted},
        {"end of content",
         [=](victim_of& c) { greet(c), c.until("DATA"), c.say("250 ok\r\n250 ok\r\n354 go\r\n"), c.until("."); },
         status::in_doubt},
    };
    for (const auto& r : rows)
        for (const bool resets : {false, true}) {
            CAPTURE(r.phase);
            CAPTURE(resets);
            villain v([&](victim_of& c, int) {
                r.before(c);
                resets ? c.reset() : c.half_close();
                c.linger();
            });
            // Longer than what the kernel takes at once, where the end must not leave.
            const auto m = letter(1, r.phase == "content" ? long_text() : "x");
            auto o = v.options();
            o.timeouts = {};
            default_mailer mail{transport::smtp{o}};
            const auto e = send(mail, m);
            CHECK((e.ec == errc::connection_closed || e.ec == std::errc::connection_reset));
            CHECK(e.ec == condition::transient);
            CHECK(e.o.all_are(r.expected));
        }
}

TEST_CASE("a refusal that comes within the content is the outcome, also when a reset follows it") {
    for (const bool resets : {false, true}) {
        CAPTURE(resets);
        villain v([&](victim_of& c, int) {
            c.greet();
            c.until("DATA");
            c.say("250 ok\r\n250 ok\r\n354 go\r\n");
            c.line();
            c.say("552 5.3.4 too large\r\n");
            if (resets) {
                // What was sent is delivered before the reset.
                c.half_close();
                c.reset();
            }
        });
        const auto e = send_to(v, letter(1, long_text()));
        REQUIRE(e.o.recipients.size() == 1);
        CHECK(e.o.recipients[0].reply.code == 552);
        CHECK(e.o.recipients[0].status == status::rejected);
    }
}

TEST_CASE("what ends the session in one segment with the last reply of its opening is a failed opening, not a storm") {
    const auto each = [](const std::string& behind, const auto& send_it) {
        CAPTURE(behind);
        villain v([&](victim_of& c, int) {
            c.say("220 villain\r\n");
            c.line();
            c.say("250 villain\r\n" + behind);
            c.linger();
        });
        send_it(v);
        while (v.served() == 0) std::this_thread::yield();
        CHECK(v.served() <= 12);
    };
    for (const auto* behind : {"421 4.3.2 too busy\r\n", "250 again\r\n", "what?\r\n", "334 \r\n", "250-half"}) {
        each(behind, [](villain& v) {
            default_mailer mail{transport::smtp{impatient(v)}};
            const auto e = send(mail, letter());
            CHECK(e.ec);
            CHECK(e.o.recipients[0].status == status::not_attempted);
        });
        each(behind, [](villain& v) {
            // Somebody waits for two seconds, and the rules for retries allow more.
            mailer mail{transport::smtp{impatient(v)}, scheduling::fair{}};
            do {
                error_code ec;
                const auto o = mail.send(letter(), {.give_up_after = 2s}, ec);
                CHECK(ec);
                CHECK(o.recipients[0].status == status::not_attempted);
            } while (v.served() == 0);  // on a machine that is so busy
        });
    }
}

TEST_CASE("a 421 that waits when the connection was idle costs no message") {
    villain v([](victim_of& c, int n) {
        c.greet();
        if (n > 0) {
            c.take();
            return c.linger();
        }
        c.until("DATA");
        c.say("250 ok\r\n250 ok\r\n354 go\r\n");
        c.until(".");
        c.say("250 taken\r\n421 too long idle\r\n");
    });
    default_mailer mail{transport::smtp{v.options()}};
    CHECK(send(mail, letter()).o.all_accepted());
    const auto second = send(mail, letter());
    CHECK(second.o.all_accepted());
    CHECK(second.o.attempts == 1);
    CHECK(v.served() == 2);
}

TEST_CASE("a server that answers each of thousands of recipients before it reads on does not deadlock") {
    villain v([](victim_of& c, int) {
        c.greet();
        const std::string words(400, 'x');
        for (auto l = c.line(); l != "DATA" && !c.gone(); l = c.line()) c.say("250 " + words + "\r\n");
        c.say("354 go\r\n");
        c.until(".");
        c.say("250 taken\r\n");
        c.linger();
    });
    auto o = v.options();
    o.timeouts = {};
    o.recipients_per_transaction = 10'000;
    default_mailer mail{transport::smtp{o}};
    // Neither the commands nor the replies fit what the system holds of one direction.
    auto m = std::make_shared<mail_object>(*letter());
    m->envelope.recipients.clear();
    for (int i = 0; i < 10'000; ++i)
        m->envelope.recipients.push_back(address(std::to_string(i) + "@" + std::string(60, 'a') + "." +
                                                 std::string(60, 'b') + "." + std::string(60, 'c') + ".example"));
    CHECK(send(mail, m).o.all_accepted());
}

TEST_CASE("a way that cannot be opened is an outcome of the phase connect, and nothing was attempted") {
    const refusing_port nobody;
    const auto port = nobody.number();
    villain proxy([](victim_of& c, int) {
        c.until("");
        c.say("HTTP/1.1 403 hunter2-hunter2\r\n\r\n");
        c.linger();
    });
    const auto url = "smtp://mx.invalid:" + std::to_string(port);
    auto refused = transport::smtp(url).options();
    refused.dialing.proxy =
        net::parse_proxy("http://ann:hunter2-hunter2@127.0.0.1:" + std::to_string(proxy.options().server.port));
    auto gone = refused;
    gone.dialing.proxy->port = port;
    auto closed = transport::smtp("smtp://127.0.0.1:" + std::to_string(port)).options();
    struct row {
        transport::smtp_options options;
        error_code expected;
    };
    for (const auto& r : {row{refused, errc::proxy_failed}, row{gone, make_error_code(std::errc::connection_refused)},
                          row{closed, make_error_code(std::errc::connection_refused)}}) {
        default_mailer mail{transport::smtp{r.options}};
        const auto e = send(mail, letter());
        CHECK(e.ec.default_error_condition() == r.expected.default_error_condition());
        CHECK(e.o.details.where == phase::connect);
        CHECK(e.o.all_are(status::not_attempted));
        CHECK(e.text().find("hunter2") == std::string::npos);
    }
}

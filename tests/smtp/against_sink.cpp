// The session against the test server, both without a wire: what one says the other must understand.
#include <postroad/message/composition.hpp>
#include <postroad/smtp/session.hpp>
#include <postroad/testing/server_session.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace postroad;
using smtp::pipelining;
using testing::server_options;

namespace {

class pair {
public:
    pair(server_options server, smtp::session_options client)
        : state(std::make_shared<testing::server_state>(std::move(server))), server_(state), session([&] {
              client.server = {"sink.example", 24, security::insecure_none,
                               state->options().lmtp ? protocol::lmtp : protocol::smtp};
              client.client_name = "client.example";
              return std::move(client);
          }()) {
        server_.started(now);
        session.started(now);
        pump();
    }

    std::vector<smtp::finished> send(const std::vector<mail_object>& mails) {
        std::vector<smtp::finished> ended;
        std::size_t given = 0;
        for (;;) {
            while (given < mails.size() && session.room() > 0) {
                session.submit({.id = given, .mail = std::make_shared<const mail_object>(mails[given])}, now);
                ++given;
            }
            const bool moved = pump();
            const auto before = ended.size();
            while (auto e = session.poll())
                if (auto* f = std::get_if<smtp::finished>(&*e)) ended.push_back(std::move(*f));
            if (!moved && ended.size() == before) break;
        }
        return ended;
    }
    std::string violations() const {
        std::string all;
        for (const auto& v : state->violations()) all += v + "\n";
        return all;
    }

    std::shared_ptr<testing::server_state> state;

private:
    testing::server_session server_;

public:
    smtp::session session;

private:
    template <class From, class To>
    bool carry(From& from, To& to) {
        bool moved = false;
        std::array<std::string_view, 4> parts;
        while (const auto count = from.output(parts)) {
            std::string octets;
            for (std::size_t i = 0; i < count; ++i) octets += parts[i];
            from.consumed(octets.size(), now);
            to.received(octets, now);
            moved = true;
        }
        return moved;
    }
    bool pump() {
        bool any = false;
        for (bool moved = true; moved;) {
            moved = carry(session, server_);
            moved = carry(server_, session) || moved;
            any = any || moved;
        }
        return any;
    }

    time_point now{std::chrono::hours(1)};
};

constexpr pipelining modes[] = {pipelining::lockstep, pipelining::envelope, pipelining::across, pipelining::window};

mail_object mail(std::string from, const std::vector<std::string>& to, content what) {
    mail_object m{.envelope = {.reverse_path = address(from)}, .content = std::move(what)};
    for (const auto& r : to) m.envelope.recipients.emplace_back(r);
    return m;
}

// NUL, a bare line feed, a dot alone and every octet above 127.
std::string odd_octets() {
    std::string octets("a\n.\r\n.\r\n\0b", 10);
    for (int c = 128; c < 256; ++c) octets += static_cast<char>(c);
    return octets;
}

content binary_content() {
    const auto c = std::make_shared<detail::composition>();
    c->add("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/x\r\n");
    const auto n = c->add_leaf(detail::leaf::octets(source::memory(odd_octets())));
    c->add_encoding(n, n, false);
    c->add("\r\n");
    c->add_body(n);
    return c->render(transfer::binary);
}

}  // namespace

TEST_CASE("binary content goes by BDAT to a server that takes it, and to others encoded, in every mode") {
    for (const auto mode : modes)
        for (const bool lmtp : {false, true})
            for (const bool chunking : {false, true})
                for (const bool binarymime : {false, true})
                    for (const bool eight_bit : {false, true}) {
                        CAPTURE(static_cast<int>(mode));
                        CAPTURE(lmtp);
                        CAPTURE(chunking);
                        CAPTURE(binarymime);
                        CAPTURE(eight_bit);
                        pair p(
                            {.lmtp = lmtp, .eight_bit_mime = eight_bit, .chunking = chunking, .binarymime = binarymime},
                            {.pipelining = mode});
                        const auto text = content::from_text("Subject: y\n\n.dots\n..\n");
                        const std::vector<mail_object> mails = {mail("a@x", {"b@y", "c@y"}, binary_content()),
                                                                mail("a@x", {"d@y"}, text),
                                                                mail("e@x", {"f@y"}, binary_content())};
                        const auto ended = p.send(mails);
                        REQUIRE(ended.size() == 3);
                        for (const auto& f : ended)
                            for (const auto& r : f.recipients) CHECK(r.status == status::accepted);
                        CHECK(p.violations() == "");
                        const auto stored = p.state->messages();
                        REQUIRE(stored.size() == 3);
                        const bool takes = chunking && binarymime;
                        const bool raw = stored[0].content.find(odd_octets()) != std::string::npos;
                        CHECK(raw == takes);
                        CHECK(stored[0].content == stored[2].content);
                        CHECK(stored[1].content == text.text());
                    }
}

TEST_CASE("binary content is refused by name where nothing may be encoded anew") {
    pair p({.chunking = true}, {.down_convert = false});
    const auto ended = p.send({mail("a@x", {"b@y"}, binary_content())});
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].error == errc::binary_unsupported);
    CHECK(ended[0].recipients[0].status == status::rejected);
    CHECK(p.session.reusable());
}

TEST_CASE("LMTP: each recipient has what the server said for it, in every mode") {
    for (const auto mode : modes)
        for (const bool chunking : {false, true}) {
            CAPTURE(static_cast<int>(mode));
            CAPTURE(chunking);
            pair p({.lmtp = true,
                    .chunking = chunking,
                    .faults = {{.at = phase::rcpt, .nth = 0, .match = "nobody", .send = "550 5.1.1 no\r\n"},
                               {.at = phase::content, .nth = 0, .match = "full", .send = "452 4.2.2 full\r\n"}}},
                   {.pipelining = mode});
            const auto text = content::from_text("Subject: y\n\n.\n");
            const auto ended = p.send({mail("a@x", {"b@y", "nobody@y", "full@y", "c@y"}, text),
                                       mail("a@x", {"nobody@y", "nobody@z"}, text), mail("a@x", {"full@y"}, text),
                                       mail("a@x", {"d@y"}, text)});
            REQUIRE(ended.size() == 4);
            const auto statuses = [&](std::size_t i) {
                std::vector<status> all;
                for (const auto& r : ended[i].recipients) all.push_back(r.status);
                return all;
            };
            using enum status;
            CHECK(statuses(0) == std::vector{accepted, rejected, deferred, accepted});
            CHECK(statuses(1) == std::vector{rejected, rejected});
            CHECK(statuses(2) == std::vector{deferred});
            CHECK(statuses(3) == std::vector{accepted});
            CHECK(p.violations() == "");
            CHECK(p.state->messages().size() == 2);
        }
}

TEST_CASE("what is asked for a message and its recipients arrives") {
    pair p({.more_keywords = {"MT-PRIORITY", "DELIVERBY", "FUTURERELEASE 1000 2030-01-01T00:00:00Z"}}, {});
    auto m = mail("a@x", {"b@y", "c@y"}, content::from_text("Subject: y\n\n"));
    m.envelope.options = {.returned = returned::headers,
                          .envelope_id = "1+1",
                          .deliver_by = deliver_by{.within = std::chrono::seconds(60)},
                          .hold_for = std::chrono::seconds(5),
                          .priority = 2};
    m.envelope.recipient_options = {{.notify = {.never = true}}, {.original_recipient = "z@y"}};
    const auto ended = p.send({m});
    REQUIRE(ended.size() == 1);
    CHECK(p.violations() == "");
    const auto stored = p.state->messages();
    REQUIRE(stored.size() == 1);
    CHECK(stored[0].mail_parameters ==
          std::vector<std::string>{"RET=HDRS", "ENVID=1+2B1", "BY=60;N", "HOLDFOR=5", "MT-PRIORITY=2"});
    CHECK(stored[0].recipient_parameters == std::vector<std::string>{"NOTIFY=NEVER", "ORCPT=rfc822;z@y"});
}

TEST_CASE("some recipients of a message are asked for what they are, not for what others are") {
    pair p({}, {});
    auto m = mail("a@x", {"b@y", "c@y", "d@y"}, content::from_text("Subject: y\n\n"));
    m.envelope.recipient_options = {{.notify = {.never = true}}, {.notify = {.delay = true}}, {}};
    p.session.submit({.mail = std::make_shared<const mail_object>(m), .recipients = {1, 2}}, {});
    (void)p.send({});
    const auto stored = p.state->messages();
    REQUIRE(stored.size() == 1);
    CHECK(stored[0].recipients == std::vector<std::string>{"c@y", "d@y"});
    CHECK(stored[0].recipient_parameters == std::vector<std::string>{"NOTIFY=DELAY", ""});
}

TEST_CASE("how many recipients go into one transaction is the least of what is said") {
    const struct {
        std::size_t option;
        std::string limits;
        std::size_t recipients;
        std::size_t domains;
    } rows[] = {
        {0, "", 100, 0xffffffff},
        {0, "LIMITS RCPTMAX=20 RCPTDOMAINMAX=1", 20, 1},
        {0, "LIMITS RCPTMAX=5000", 5000, 0xffffffff},
        {50, "LIMITS RCPTMAX=20", 20, 0xffffffff},
        {50, "LIMITS RCPTMAX=200", 50, 0xffffffff},
        {500, "", 500, 0xffffffff},
        {0, "LIMITS RCPTMAX=0 RCPTDOMAINMAX=x", 100, 0xffffffff},
    };
    for (const auto& row : rows) {
        CAPTURE(row.limits);
        std::vector<std::string> more;
        if (!row.limits.empty()) more.push_back(row.limits);
        pair p({.more_keywords = more}, {.recipients_per_transaction = row.option});
        CHECK(p.session.max_recipients() == row.recipients);
        CHECK(p.session.max_domains() == row.domains);
    }
}

TEST_CASE("LMTP is not spoken on port 25") {
    CHECK_THROWS_AS(smtp::check_endpoint({.name = "mx", .port = 25, .protocol = protocol::lmtp}), error);
    CHECK_NOTHROW(smtp::check_endpoint({.name = "mx", .port = 24, .protocol = protocol::lmtp}));
    CHECK_NOTHROW(smtp::check_endpoint({.name = "mx", .port = 25}));
    CHECK_THROWS_AS(smtp::session({.server = {.name = "mx", .port = 25, .protocol = protocol::lmtp},
                                   .client_name = "client.example"}),
                    error);
}

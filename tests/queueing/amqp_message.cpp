#include <postroad/queueing/amqp_message.hpp>

#include <postroad/queueing/division.hpp>
#include <postroad/queueing/stored_job.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace {

using namespace postroad;
using namespace std::chrono_literals;
using queueing::amqp_message;

const queueing::both_clocks now{time_point(1000s), std::chrono::system_clock::time_point(1'800'000'000s)};

job a_job() {
    mail_object m;
    m.envelope.reverse_path = address("ann@example.com");
    m.envelope.recipients = {address("bob@x.example"), address("\"a,b\"@y.example")};
    m.content = content::from_text("Subject: Hi\r\n\r\nHello\r\n");
    job j;
    j.id = 77;
    j.mail = std::make_shared<mail_object>(std::move(m));
    j.submitted = now.steady;
    return j;
}

// A frame that is too large ends the connection, again and again.
TEST_CASE("what many servers said at length is cut so that it fits into a frame") {
    auto j = a_job();
    for (int i = 0; i < 1000; ++i)
        j.result.recipients.push_back({.address = "r" + std::to_string(i) + "@x.example",
                                       .status = status::rejected,
                                       .where = phase::rcpt,
                                       .reply = {.code = 550, .enhanced = {5, 1, 1}, .text = std::string(1000, ' ')},
                                       .why = std::string(1000, '%')});
    CHECK(queueing::written_progress(j).size() > 2'000'000);
    const auto fits = queueing::amqp_progress(j);
    CHECK(fits.size() <= queueing::max_amqp_progress);
    CHECK(fits.find("550") != std::string::npos);
    j.result.recipients.resize(1);
    CHECK(queueing::amqp_progress(j) == queueing::written_progress(j));
}

TEST_CASE("what became of as many recipients as there may be fits beside their headers, by status at least") {
    const auto too_much = [](std::size_t n) {
        amqp_message m;
        m.headers["recipients"] = amqp_message::strings(n, "b@y.example");
        return queueing::too_much_for_amqp(m, n);
    };
    CHECK(too_much(queueing::max_amqp_recipients).empty());
    CHECK(too_much(queueing::max_amqp_recipients + 1) == "it has more than 1000 recipients");
    auto whole = a_job();
    mail_object mail{.envelope = whole.mail->envelope, .content = whole.mail->content};
    mail.envelope.recipients.assign(queueing::max_amqp_recipients, address(std::string(20, 'r') + "@x.example"));
    whole.mail = std::make_shared<const mail_object>(mail);
    CHECK(queueing::too_much_for_amqp(queueing::to_amqp(whole, now), mail.envelope.recipients.size()).empty());
    // A part of it has its envelope, too.
    auto j = std::move(whole);
    j.whole = 7;
    for (std::uint32_t i = 0; i < queueing::max_amqp_recipients; ++i) {
        j.places.push_back(100'000 + i);
        j.result.recipients.push_back({.address = "r@x.example",
                                       .status = i == 999 ? status::accepted : status::not_attempted,
                                       .where = phase::greeting,
                                       .reply = {.code = 550, .enhanced = {5, 1, 1}, .text = std::string(1000, ' ')},
                                       .error = errc::timed_out,
                                       .why = std::string(1000, '%')});
    }
    j.result.details = {.where = phase::rcpt, .explanation = std::string(50'000, '%')};
    const auto m = queueing::to_amqp(j, now);
    CHECK(queueing::headers_size(m) < 128 << 10);
    CHECK(queueing::too_much_for_amqp(m, queueing::max_amqp_recipients) == "");
    std::string reason;
    const auto back = queueing::from_amqp(amqp_message(m), now, reason);
    REQUIRE(back);
    REQUIRE(back->result.recipients.size() == queueing::max_amqp_recipients);
    CHECK(back->result.recipients[998].status == status::not_attempted);
    CHECK(back->result.recipients[999].status == status::accepted);
}

TEST_CASE("headers that could not be published again with what becomes of the message are too much") {
    amqp_message m;
    m.headers["tag"] = std::string((40 << 10) - 80, 'x');
    m.headers["postroad_progress"] = std::string(64 << 10, 'x');
    CHECK(queueing::headers_size(m) > 100 << 10);
    CHECK(queueing::too_much_for_amqp(m, 1) == "its headers take more than 40 KiB");
    CHECK(queueing::too_much_for_amqp(m, 1, 200) == "");
    m.headers["postroad_envelope"] = std::string("part 7 0\n");
    CHECK(queueing::too_much_for_amqp(m, 1) == "");
    m.headers["postroad_envelope"] = "part 7 0\n" + std::string(25 << 10, 'x');
    CHECK(queueing::too_much_for_amqp(m, 1) ==
          "its headers take more than 88 KiB");  // more than a frame, with the rest
    m.headers.erase("postroad_envelope");
    m.headers["tag"] = std::string(39 << 10, 'x');
    CHECK(queueing::too_much_for_amqp(m, 1).empty());
    m.headers["postroad_progress"] = std::string((64 << 10) + 1, 'x');
    CHECK(queueing::too_much_for_amqp(m, 1) == "its headers take more than 40 KiB");
}

TEST_CASE("an id too long to get those of parts has one in its place, the same everywhere") {
    using queueing::detail::amqp_short_id;
    CHECK(amqp_short_id(std::string(200, 'x')) == std::string(200, 'x'));
    const auto id = amqp_short_id(std::string(201, 'x'));
    CHECK(queueing::detail::amqp_id(id) == queueing::detail::amqp_id_for(std::string(201, 'x')));
    CHECK(amqp_short_id(std::string(202, 'x')) != id);
}

TEST_CASE("the broker says how large a message may be") {
    using queueing::detail::amqp_largest;
    CHECK(amqp_largest("PRECONDITION_FAILED - message size 200021 is larger than configured max size 100000") ==
          100'000);
    CHECK(amqp_largest("PRECONDITION_FAILED - message size 536870913 is larger than max size 536870912") ==
          536'870'912);
    for (const auto* other : {"", "PRECONDITION_FAILED - unknown delivery tag 7",
                              "PRECONDITION_FAILED - message size 5 is larger than max size ",
                              "PRECONDITION_FAILED - message size 5 is larger than max size 0",
                              "PRECONDITION_FAILED - message size 5 is larger than max size 99999999999999999999999"})
        CHECK_FALSE(amqp_largest(other));
}

/// As the documentation says that anybody may publish it.
amqp_message foreign() {
    amqp_message m;
    m.headers["reverse_path"] = std::string("ann@example.com");
    m.headers["recipients"] = std::string("bob@x.example, \"a,b\"@y.example");
    m.body = "Subject: Hi\n\nHello\n";
    return m;
}

std::string reason_of(amqp_message m) {
    std::string reason;
    const auto j = queueing::from_amqp(std::move(m), now, reason);
    CHECK(j.has_value() == reason.empty());
    return reason;
}

TEST_CASE("a part comes back from the broker as it was, with an id made of the message's and its first place") {
    auto whole = a_job();
    whole.waits = 3;
    const auto part = queueing::part_of(whole, {1});
    std::string reason;
    const auto back = queueing::from_amqp(queueing::to_amqp(part, now), now, reason);
    CHECK(reason == "");
    REQUIRE(back);
    CHECK(back->whole == 77);
    CHECK(back->places == std::vector<std::uint32_t>{1});
    CHECK(back->waits == 3);
    CHECK(back->mail->envelope == part.mail->envelope);
    using queueing::detail::amqp_part_id;
    CHECK(amqp_part_id("postroad:77", false, 1) == "postroad:77/1");
    CHECK(amqp_part_id("postroad:77/1", true, 2) == "postroad:77/2");
    CHECK(amqp_part_id("order/17", false, 0) == "order/17/0");
    CHECK(queueing::detail::amqp_domains(whole.mail->envelope) == 2);
}

TEST_CASE("numbers of a stranger are bounded, and never overflow") {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    constexpr auto infinite = std::numeric_limits<double>::infinity();
    const amqp_message::value times[] = {std::int64_t{0},
                                         -most - 1,
                                         most,
                                         0.0,
                                         -1e300,
                                         1e300,
                                         infinite,
                                         -infinite,
                                         std::numeric_limits<double>::quiet_NaN()};
    for (const auto& at : times) {
        auto m = foreign();
        m.headers["not_before"] = at;
        m.headers["give_up_at"] = at;
        if (const auto* n = std::get_if<std::int64_t>(&at)) m.timestamp = *n;
        std::string reason;
        const auto j = queueing::from_amqp(std::move(m), now, reason);
        REQUIRE(j);
        CHECK(j->submitted <= now.steady);
        for (const auto t : {j->due, j->deadline}) {
            CHECK(t >= now.steady - 24h * 365 * 260);
            CHECK(t <= now.steady + 24h * 365 * 260);
        }
        // And on they go.
        CHECK(queueing::from_amqp(queueing::to_amqp(*j, now), now, reason));
    }
}

TEST_CASE("a job comes back from the broker as it was") {
    auto j = a_job();
    j.traffic_class = 1;
    j.tenant = "acme";
    j.tag = "spring";
    j.due = now.steady + 90s;
    j.deadline = now.steady + 1h;
    j.returns = 2;
    j.doubts = 1;
    j.error = errc::timed_out;
    name_recipients(j);
    j.result.attempts = 3;
    j.result.recipients[1].status = status::accepted;
    j.result.recipients[1].reply = {.code = 250, .enhanced = {2, 0, 0}, .text = "taken"};
    std::string reason;
    const auto back = queueing::from_amqp(queueing::to_amqp(j, now), now, reason);
    REQUIRE_MESSAGE(back, reason);
    CHECK(back->mail->envelope == j.mail->envelope);
    CHECK(back->mail->content.text() == j.mail->content.text());
    CHECK(back->traffic_class == 1);
    CHECK(back->tenant == "acme");
    CHECK(back->tag == "spring");
    CHECK(std::chrono::abs(back->due - j.due) < 1ms);
    CHECK(std::chrono::abs(back->deadline - j.deadline) < 1ms);
    CHECK(back->submitted == now.steady);
    CHECK(back->returns == 2);
    CHECK(back->doubts == 1);
    CHECK(back->error == errc::timed_out);
    CHECK(back->result.attempts == 3);
    CHECK(back->result.recipients == j.result.recipients);
}

TEST_CASE("what is asked for a message travels through the broker") {
    auto j = a_job();
    auto m = *j.mail;
    m.envelope.options.envelope_id = "id 1";
    m.envelope.recipient_options = {{.notify = {.never = true}}, {}};
    j.mail = std::make_shared<mail_object>(m);
    std::string reason;
    const auto back = queueing::from_amqp(queueing::to_amqp(j, now), now, reason);
    REQUIRE_MESSAGE(back, reason);
    CHECK(back->mail->envelope == m.envelope);
}

TEST_CASE("a null reverse path stays null, and a missing one is no mail") {
    auto m = foreign();
    m.headers["reverse_path"] = std::string();
    CHECK(reason_of(m).empty());
    m.headers.erase("reverse_path");
    CHECK(reason_of(m) == "the header reverse_path is missing");
}

TEST_CASE("anybody may publish a message in the documented form") {
    std::string reason;
    auto m = foreign();
    m.content_type = "message/rfc822";
    m.headers["not_before"] = std::int64_t{1'800'000'060};
    m.headers["class"] = std::int64_t{1};
    const auto j = queueing::from_amqp(std::move(m), now, reason);
    REQUIRE_MESSAGE(j, reason);
    CHECK(j->mail->envelope.recipients == a_job().mail->envelope.recipients);
    CHECK(j->mail->content.text() == "Subject: Hi\r\n\r\nHello\r\n");
    CHECK(j->due == now.steady + 60s);
    CHECK(j->traffic_class == 1);
    auto listed = foreign();
    listed.headers["recipients"] = amqp_message::strings{"bob@x.example"};
    CHECK(reason_of(listed).empty());
}

TEST_CASE("neither a comma nor a quote within a quoted local part ends a recipient") {
    auto m = foreign();
    m.headers["recipients"] = std::string(R"("a,\",b"@x.example,c@y.example)");
    std::string reason;
    const auto j = queueing::from_amqp(std::move(m), now, reason);
    REQUIRE_MESSAGE(j, reason);
    CHECK(j->mail->envelope.recipients ==
          std::vector<address>{address(R"("a,\",b"@x.example)"), address("c@y.example")});
}

TEST_CASE("what is not a message says why, and nothing is guessed from its header") {
    const auto with = [](const char* name, amqp_message::value v) {
        auto m = foreign();
        m.headers[name] = std::move(v);
        return reason_of(m);
    };
    auto nobody = foreign();
    nobody.headers.erase("recipients");
    nobody.body = "To: bob@x.example\n\nHi\n";
    CHECK(reason_of(nobody) == "the header recipients is missing, or names nobody");
    auto empty = foreign();
    empty.body.clear();
    CHECK(reason_of(empty) == "the message is empty");
    auto json = foreign();
    json.content_type = "application/json";
    CHECK(reason_of(json) == "the content type is not message/rfc822");
    auto packed = foreign();
    packed.content_encoding = "gzip";
    CHECK(reason_of(packed) == "the content encoding is gzip: only what is not encoded is sent");
    for (const auto* as_it_is : {"identity", "UTF-8", "8bit"}) {
        auto plain = foreign();
        plain.content_encoding = as_it_is;
        CHECK(reason_of(plain) == "");
    }
    auto nul = foreign();
    nul.body += '\0';
    CHECK(reason_of(nul).find("NUL") != std::string::npos);
    CHECK(with("recipients", std::string("bob")).starts_with("the header recipients: "));
    CHECK(with("class", std::int64_t{256}) == "the header class is not an integer from 0 to 255");
    CHECK(with("class", std::string("1")) == "the header class is not an integer from 0 to 255");
    CHECK(with("tenant", 1.5) == "the header tenant is not a string");
    CHECK(with("give_up_at", std::string("soon")) == "the header give_up_at is not a time");
    CHECK(with("postroad_progress", std::string("was nonsense")) != "");
    CHECK(with("postroad_envelope", std::string("by\n")) != "");
}

TEST_CASE("a time beyond all clocks is no overflow") {
    auto m = foreign();
    m.headers["not_before"] = 1e300;
    m.headers["give_up_at"] = std::int64_t{-1};
    std::string reason;
    const auto j = queueing::from_amqp(std::move(m), now, reason);
    REQUIRE_MESSAGE(j, reason);
    CHECK(j->due > now.steady + 24h * 365 * 100);
    CHECK(j->deadline < now.steady);
}

TEST_CASE("a message waits in the longest queue that ends in time") {
    const auto wait = [](duration d) { return queueing::detail::amqp_wait_until(now.steady + d, now.steady); };
    CHECK(!wait(3999ms));
    CHECK(wait(4s) == 4);
    CHECK(wait(15s) == 4);
    CHECK(wait(16s) == 16);
    CHECK(wait(24h * 30) == 16384);
    CHECK(!queueing::detail::amqp_wait_until(time_point::min(), now.steady));
    CHECK(queueing::detail::amqp_wait_until(never, now.steady) == 16384);
}

TEST_CASE("all messages for a domain are in one shard, however it is written") {
    const auto shard = [](const char* to) {
        envelope e;
        e.recipients = {address(to)};
        return queueing::detail::amqp_shard(e, 8);
    };
    CHECK(shard("a@x.example") == shard("b@X.Example"));
    CHECK(shard("a@b\xc3\xbc"
                "cher.example") == shard("a@xn--bcher-kva.example"));
    // It must not change between versions: what is queued would be with another process.
    CHECK(queueing::detail::amqp_hash("x.example") == 0xfe1a5709441b464bU);
}

TEST_CASE("the id of a job is told from those that others choose") {
    CHECK(queueing::detail::amqp_id(queueing::detail::amqp_id(42)) == 42);
    CHECK(!queueing::detail::amqp_id("42"));
    CHECK(!queueing::detail::amqp_id("postroad:"));
    CHECK(!queueing::detail::amqp_id("postroad:4x"));
    // What a stranger may say: ids are positive in signed numbers, whatever else they are.
    CHECK(!queueing::detail::amqp_id("postroad:0"));
    CHECK(!queueing::detail::amqp_id("postroad:9223372036854775808"));
    CHECK(!queueing::detail::amqp_id("postroad:18446744073709551615"));
    CHECK(queueing::detail::amqp_id("postroad:9223372036854775807") == std::numeric_limits<std::int64_t>::max());
    for (const auto* text :
         {"", "order 17", "postroad:0", "postroad:9223372036854775808", "postroad:7/3", "x", "\xff"}) {
        const auto id = queueing::detail::amqp_id_for(text);
        CHECK(id > 0);
        CHECK(id < job_id{1} << 62);
        CHECK(id == queueing::detail::amqp_id_for(text));
    }
    CHECK(queueing::detail::amqp_id_for("postroad:7") == 7);
}

TEST_CASE("the size of headers counts each recipient") {
    auto m = queueing::to_amqp(a_job(), now);
    const auto before = queueing::headers_size(m);
    auto& to = std::get<amqp_message::strings>(m.headers.at("recipients"));
    to.insert(to.end(), 1000, "someone@x.example");
    CHECK(queueing::headers_size(m) >= before + 1000 * 17);
}

}  // namespace

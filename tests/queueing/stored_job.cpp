// What a durable queue writes of a job, and reads again.
#include <doctest/doctest.h>

#include <postroad/queueing/stored_job.hpp>

#include <chrono>
#include <memory>
#include <string>

using namespace postroad;
using namespace std::chrono_literals;
using queueing::read_envelope;
using queueing::read_progress;
using queueing::written;
using queueing::written_progress;

namespace {

envelope full_envelope() {
    envelope e{.reverse_path = address("a@x.example"),
               .recipients = {address("b@y.example"), address("\"c d\"@y.example"), address("e@b\xc3\xbc.example")}};
    e.options = {.returned = returned::headers,
                 .envelope_id = "id 100%",
                 .deliver_by = deliver_by{.within = 3600s, .when_late = deliver_by::late::give_up, .trace = true},
                 .hold_for = 60s,
                 .hold_until = std::chrono::sys_seconds(1'700'000'000s),
                 .priority = -3,
                 .require_tls = true,
                 .submitter = address("boss@x.example")};
    e.recipient_options = {
        {}, {.notify = {.success = true, .delay = true}, .original_recipient = "c d@old.example"}, {}};
    return e;
}

job job_to(const envelope& e) { return {.mail = std::make_shared<mail_object>(mail_object{.envelope = e})}; }

std::string complaint(std::string_view text) {
    auto j = job_to({.recipients = {address("b@y.example")}});
    try {
        (void)read_envelope(text);
        read_progress(text, j);
    } catch (const error& e) {
        CHECK(e.code() == errc::storage_damaged);
        return e.what();
    }
    return "";
}

}  // namespace

TEST_CASE("an envelope comes back as it was") {
    for (const auto& e : {full_envelope(), envelope{.recipients = {address("b@y.example")}}}) {
        CHECK(read_envelope(written(e)) == e);
        CHECK(written(read_envelope(written(e))) == written(e));
    }
    auto e = full_envelope();
    e.options.deliver_by = deliver_by{.within = -5s};
    e.options.submitter = address();
    e.recipient_options.back().notify.never = true;
    CHECK(read_envelope(written(e)) == e);
}

TEST_CASE("each report that is asked for comes back, and no other") {
    for (unsigned bits = 0; bits < 16; ++bits) {
        const notify asked{
            .never = (bits & 1) != 0, .success = (bits & 2) != 0, .failure = (bits & 4) != 0, .delay = (bits & 8) != 0};
        const envelope e{.recipients = {address("b@y.example")}, .recipient_options = {{.notify = asked}}};
        CAPTURE(bits);
        const auto back = read_envelope(written(e));
        CHECK((back.recipient_options.empty() ? notify{} : back.recipient_options.front().notify) == asked);
    }
}

TEST_CASE("a stored envelope can be read by people") {
    CHECK(written(full_envelope()) ==
          "from a@x.example\n"
          "to b@y.example\n"
          "to \"c%20d\"@y.example notify=success,delay original=c%20d@old.example\n"
          "to e@b\xc3\xbc.example\n"
          "return headers\n"
          "envelope-id id%20100%25\n"
          "by 3600 give_up trace\n"
          "hold-for 60\n"
          "hold-until 1700000000\n"
          "priority -3\n"
          "require-tls\n"
          "submitter boss@x.example\n");
}

TEST_CASE("what became of a job comes back as it was") {
    auto j = job_to(full_envelope());
    name_recipients(j);
    j.returns = 2;
    j.doubts = 1;
    j.error = errc::recipients_deferred;
    j.result.attempts = 3;
    j.result.details = {.where = phase::content, .host = "mx:25", .explanation = "it\nbroke", .reply = "450 later"};
    auto& all = j.result.recipients;
    all[0] = {.address = all[0].address,
              .status = status::accepted,
              .where = phase::content,
              .reply = {.code = 250, .enhanced = {2, 0, 0}, .text = "ok\nqueued as 100%"}};
    all[1].status = status::in_doubt;
    all[2].reply = {.code = 450};

    auto back = job_to(full_envelope());
    read_progress(written_progress(j), back);
    CHECK(back.returns == 2);
    CHECK(back.doubts == 1);
    CHECK(back.error == errc::recipients_deferred);
    CHECK(back.result.attempts == 3);
    CHECK(back.result.details == j.result.details);
    CHECK(back.result.recipients == j.result.recipients);
    CHECK(written_progress(back) == written_progress(j));
}

TEST_CASE("errors of the system come back; those of others as one that is transient") {
    auto j = job_to(full_envelope());
    auto back = job_to(full_envelope());
    j.error = std::make_error_code(std::errc::connection_refused);
    read_progress(written_progress(j), back);
    CHECK(back.error == std::errc::connection_refused);
    j.error = {5, std::iostream_category()};
    read_progress(written_progress(j), back);
    CHECK(back.error == errc::connection_closed);
    read_progress("error of_a_newer_version\n", back);
    CHECK(back.error == condition::transient);
    for (const auto* number : {"-3", "0", "100001", "2147483648", "x", ""}) {
        CAPTURE(number);
        back.error = {};
        read_progress("error system " + std::string(number), back);
        CHECK(back.error == errc::connection_closed);
        read_progress("was deferred mail 451 4.3.0 text system:" + std::string(number) + " why", back);
        CHECK(back.result.recipients[0].error == errc::connection_closed);
        CHECK(back.result.recipients[0].why == "why");
    }
}

TEST_CASE("keys and values of a newer version are skipped") {
    const auto e = read_envelope("future x y\nfrom a@x.example 1\n\nto b@y.example mood=good\nflag");
    CHECK(e.reverse_path.str() == "a@x.example");
    REQUIRE(e.recipients.size() == 1);
    CHECK(e.recipient_options.empty());
}

TEST_CASE("what cannot be a job is refused, and the line is shown") {
    CHECK(complaint("") == "a stored job cannot be read: it has no recipient");
    CHECK(complaint("to b@y.example\npriority high\n") ==
          "a stored job cannot be read: expected a number from -9 to 9 in \"priority high\"");
    const char* const bad[] = {"to",
                               "to b@@y.example",
                               "to b@y.example%2",
                               "from a\nto b@y.example",
                               "to b@y.example notify=perhaps",
                               "to b@y.example\nreturn half",
                               "to b@y.example\nby 1000000000 notify",
                               "to b@y.example\nby 5 soon",
                               "to b@y.example\nhold-for -1",
                               "to b@y.example\nhold-until 99999999999999999999",
                               "to b@y.example\nsubmitter \x01@x",
                               "to b@y.example\nattempts -1",
                               "to b@y.example\nerror",
                               "to b@y.example\nwas lost content",
                               "to b@y.example\nwas accepted nowhere",
                               "to b@y.example\nwas accepted content 1000",
                               "to b@y.example\nwas accepted content 250 2.x.0 ok",
                               "to b@y.example\nwas accepted content 250 0.9.2 ok",
                               "to b@y.example\nwas accepted content\nwas accepted content"};
    for (const auto* text : bad) {
        CAPTURE(text);
        CHECK(complaint(text) != "");
    }
}

TEST_CASE("a part says of which message it is, and where its recipients stand") {
    job j = job_to({.recipients = {address("b@y.example"), address("c@z.example")}});
    CHECK(queueing::written_part(j).empty());
    j.whole = (job_id{1} << 62) + 5;
    j.places = {0, 4'000'000'000};
    CHECK(queueing::written_part(j) == "part 4611686018427387909 0 4000000000\n");
    auto back = job_to(j.mail->envelope);
    const auto text = queueing::written_part(j) + written(j.mail->envelope);
    CHECK(read_envelope(text) == j.mail->envelope);
    queueing::read_part(text, back);
    CHECK(back.whole == j.whole);
    CHECK(back.places == j.places);
    queueing::read_part(written(j.mail->envelope), back);
    CHECK(back.whole == 0);
    CHECK(back.places.empty());
    for (const auto* bad : {"part", "part 7", "part 7 1", "part 7 1 2 3", "part 7 2 1", "part 7 1 1", "part 0 1 2",
                            "part -1 1 2", "part 9223372036854775808 1 2", "part 7 1 4294967296", "part 7 -1 1",
                            "part 7 1 2\npart 7 1 2", "part 7 1 2 x"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(queueing::read_part(bad, back), error);
    }
}

TEST_CASE("what decided about one recipient comes back; and counts are bounded") {
    auto j = job_to({.recipients = {address("b@y.example"), address("c@z.example"), address("d@z.example")}});
    name_recipients(j);
    j.waits = 4;
    auto& all = j.result.recipients;
    all[0].error = errc::domain_unknown;
    all[0].why = "there is no y.example";
    all[1].error = std::make_error_code(std::errc::connection_refused);
    all[2].why = "because";
    all[2].reply = {.code = 550, .enhanced = {5, 1, 1}, .text = "no"};
    auto back = job_to(j.mail->envelope);
    read_progress(written_progress(j), back);
    CHECK(back.waits == 4);
    CHECK(back.result.recipients[0] == all[0]);
    CHECK(back.result.recipients[1].error == std::errc::connection_refused);
    CHECK(back.result.recipients[2] == all[2]);
    read_progress("attempts 9223372036854775807\nwaits 4294967296\nreturns 4294967295\ndoubts 99999999\n", back);
    for (const auto n : {back.result.attempts, back.waits, back.returns, back.doubts}) CHECK(n == 1'000'000);
}

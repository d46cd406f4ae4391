// Content that is read while it is sent: nothing of it is held as a whole, and a source that fails ends the connection
// before the message could be taken for complete.
#include <doctest/doctest.h>
#include <postroad/message/composition.hpp>
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>

using postroad::content;
using postroad::errc;
using postroad::source;
using postroad::status;
using postroad::smtp::pipelining;

namespace {

constexpr std::uint64_t size_of_source = 300000;

// A source that behaves, until it has given `good` octets.
enum class fault { none, ends, throws, grows, cannot_open };
source failing(fault f, std::uint64_t good) {
    return source::generated(size_of_source, [f, good]() -> source::read_function {
        if (f == fault::cannot_open) throw std::runtime_error("gone");
        return [f, good, given = std::uint64_t{0}](std::span<char> room) mutable -> std::size_t {
            auto limit = f == fault::none || f == fault::grows ? size_of_source : good;
            if (f == fault::grows) ++limit;
            if (f == fault::throws && given == limit) throw std::runtime_error("disk on fire");
            const auto n = static_cast<std::size_t>(std::min<std::uint64_t>({room.size(), limit - given, 1000}));
            for (std::size_t i = 0; i < n; ++i) room[i] = static_cast<char>((given + i) * 7);
            given += n;
            return n;
        };
    });
}

content content_of(source s) {
    auto c = std::make_shared<postroad::detail::composition>();
    const auto leaf = c->add_leaf(postroad::detail::leaf::octets(std::move(s)));
    c->add("Subject: x\r\n");
    c->add_encoding(leaf, leaf + 1, false);
    c->add("\r\n");
    c->add_body(leaf);
    return c->render(postroad::transfer::seven_bit);
}

/// One session, and what it wrote.
class talk {
public:
    explicit talk(pipelining mode)
        : session_({.server = {.name = "mx.example", .port = 25, .security = postroad::security::insecure_none},
                    .client_name = "client.example",
                    .pipelining = mode}) {
        session_.started(now_);
        say("220 hi\r\n");
        say("250-hi\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE\r\n");
    }
    void say(std::string_view text) {
        session_.received(text, now_);
        drain();
    }
    void submit(std::uint64_t id, content c) {
        auto mail = std::make_shared<postroad::mail_object>();
        mail->envelope.reverse_path = postroad::address("a@x.example");
        mail->envelope.recipients = {postroad::address("b@y.example")};
        mail->content = std::move(c);
        session_.submit({.id = id, .mail = mail, .recipients = {}}, now_);
        drain();
    }
    // The next `finished`.
    postroad::smtp::finished outcome() {
        while (auto e = session_.poll())
            if (auto* f = std::get_if<postroad::smtp::finished>(&*e)) return *f;
        FAIL("no outcome");
        return {};
    }
    const postroad::smtp::session& session() const { return session_; }
    const std::string& written() const { return written_; }
    std::size_t largest_output() const { return largest_; }

private:
    void drain() {
        std::array<std::string_view, 8> parts;
        while (const auto count = session_.output(parts)) {
            std::size_t n = 0;
            for (std::size_t i = 0; i < count; ++i) {
                written_ += parts[i];
                n += parts[i].size();
            }
            largest_ = std::max(largest_, n);
            session_.consumed(n, now_);
        }
    }

    postroad::time_point now_{};
    postroad::smtp::session session_;
    std::string written_;
    std::size_t largest_ = 0;
};

}  // namespace

TEST_CASE("content streams after DATA in blocks, and ends with a dot") {
    talk t(pipelining::envelope);
    const auto c = content_of(failing(fault::none, 0));
    CHECK(c.streams());
    t.submit(1, c);
    CHECK(t.written().find("SIZE=" + std::to_string(c.size())) != std::string::npos);
    t.say("250 ok\r\n250 ok\r\n354 go\r\n");
    CHECK(t.largest_output() < 100000);
    CHECK(t.written().ends_with("DATA\r\n" + std::string(c.text()) + ".\r\n"));
    t.say("250 taken\r\n");
    CHECK(t.outcome().recipients.at(0).status == status::accepted);
    CHECK(t.session().reusable());
}

TEST_CASE("content streams after BDAT in blocks, and commands wait for its end") {
    talk t(pipelining::window);
    const auto c = content_of(failing(fault::none, 0));
    t.submit(1, c);
    t.say("250 ok\r\n250 ok\r\n250 taken\r\n");
    CHECK(t.outcome().recipients.at(0).status == status::accepted);
    const auto before = t.written().size();
    t.submit(2, c);
    t.submit(3, c);
    const auto chunk = "BDAT " + std::to_string(c.size()) + " LAST\r\n" + std::string(c.text());
    const auto written = t.written().substr(before);
    const auto first = written.find(chunk);
    REQUIRE(first != std::string::npos);
    CHECK(written.substr(first + chunk.size()).starts_with("RSET\r\nMAIL FROM"));
    CHECK(written.ends_with(chunk));
}

TEST_CASE("a source that fails never ends the message") {
    struct row {
        fault what;
        std::uint64_t good;
        errc code;
    };
    const row rows[] = {
        {fault::cannot_open, 0, errc::unreadable_file}, {fault::throws, 0, errc::unreadable_file},
        {fault::throws, 200000, errc::unreadable_file}, {fault::ends, 0, errc::changed_file},
        {fault::ends, 200000, errc::changed_file},      {fault::ends, size_of_source - 1, errc::changed_file},
        {fault::grows, 0, errc::changed_file},
    };
    for (const auto mode : {pipelining::lockstep, pipelining::envelope, pipelining::across, pipelining::window})
        for (const auto& r : rows) {
            CAPTURE(static_cast<int>(mode));
            CAPTURE(static_cast<int>(r.what));
            CAPTURE(r.good);
            talk t(mode);
            const auto c = content_of(failing(r.what, r.good));
            t.submit(1, c);
            for (const auto* reply : {"250 ok\r\n", "250 ok\r\n", "354 go\r\n"})
                if (!t.session().done() && (mode != pipelining::window || reply[0] == '2')) t.say(reply);
            CHECK(t.session().done());
            CHECK(!t.written().ends_with("\r\n.\r\n"));
            CHECK(t.written().size() < c.size());
            const auto f = t.outcome();
            CHECK(f.error == r.code);
            CHECK(f.details.where == postroad::phase::content);
            CHECK(f.recipients.at(0).status == status::rejected);
            CHECK(!t.session().reusable());
        }
}

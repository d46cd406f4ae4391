// Which mechanisms are tried after which refusals, how long the command may be, and that no secret comes back: against
// a server that offers what it likes and refuses as it likes.
#include <postroad/core/base64.hpp>
#include <postroad/smtp/session.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace postroad;

namespace {

// How the server treats a mechanism.
enum class treats { not_offered, as_unknown, as_without_secret, as_wrong, as_right };

struct course {
    std::vector<std::string> tried;  // mechanisms, in order
    bool ready = false;
    std::optional<smtp::closed> over;
    std::size_t longest_command = 0;
    bool proved_after_wrong = false;  // something was tried after a secret was refused
};

course talk(const smtp::credentials& c, const std::map<std::string, treats>& server, std::string_view unknown) {
    course result;
    const time_point now{std::chrono::hours(1)};
    smtp::session s({.server = {"mx", 465, security::implicit},
                     .client_name = "client.example",
                     .credentials = c,
                     .nonce = "rOprNGfwEbeRWgbNEkqO"});
    s.started(now);
    s.received("220 mx\r\n", now);
    std::string mechanism;
    bool wrong = false;
    int steps = 0;
    for (int round = 0; round < 60 && !s.done(); ++round) {
        std::string said;
        std::array<std::string_view, 3> parts;
        while (const auto count = s.output(parts)) {
            std::size_t n = 0;
            for (std::size_t i = 0; i < count; ++i) said += parts[i], n += parts[i].size();
            s.consumed(n, now);
        }
        if (said.empty()) break;
        std::string answer;
        if (said.starts_with("EHLO")) {
            answer = "250-mx\r\n250 AUTH";
            for (const auto& [name, how] : server)
                if (how != treats::not_offered) answer += ' ' + name;
        } else {
            bool initial = false;
            if (said.starts_with("AUTH ")) {
                result.longest_command = std::max(result.longest_command, said.size());
                const auto end = said.find_first_of(" \r", 5);
                mechanism = said.substr(5, end - 5);
                initial = said[end] == ' ';
                result.tried.push_back(mechanism);
                result.proved_after_wrong = result.proved_after_wrong || wrong;
                steps = 0;
            } else
                ++steps;
            const bool login = mechanism == "LOGIN";
            const bool all = login ? steps == 2 : mechanism == "CRAM-MD5" ? steps == 1 : initial || steps == 1;
            switch (server.at(mechanism)) {
                case treats::as_unknown: answer = unknown; break;
                case treats::as_without_secret: answer = "535 5.7.8 authentication failure"; break;
                default:
                    answer = !all ? "334 " + base64_encode(login || mechanism == "CRAM-MD5" ? "x" : "")
                             : server.at(mechanism) == treats::as_right ? "235 welcome"
                                                                        : "535 5.7.8 no";
            }
            const bool without = server.at(mechanism) == treats::as_without_secret;
            wrong = wrong || (answer.starts_with("535") && !(without && !initial && steps == 0) &&
                              !(without && mechanism.starts_with("SCRAM") && steps == 0));
        }
        s.received(answer + "\r\n", now);
        while (auto e = s.poll()) {
            if (std::holds_alternative<smtp::ready>(*e)) result.ready = true;
            if (auto* over = std::get_if<smtp::closed>(&*e)) result.over = std::move(*over);
        }
        if (result.ready) break;
    }
    return result;
}

}  // namespace

TEST_CASE(
    "another mechanism is tried where one is beyond the server, none after a secret was refused, and none twice") {
    const std::vector<std::string> names = {"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"};
    static constexpr treats ways[] = {treats::not_offered, treats::as_unknown, treats::as_without_secret,
                                      treats::as_wrong, treats::as_right};
    const smtp::credentials c{.user = "tim", .password = secret("tanstaaf")};
    for (int n = 1; n < 5 * 5 * 5 * 5; ++n) {
        std::map<std::string, treats> server;
        for (int i = 0, rest = n; i < 4; ++i, rest /= 5) {
            auto how = ways[rest % 5];
            // That SCRAM works takes more than this server knows.
            if (i < 2 && (how == treats::as_right || how == treats::as_wrong)) how = treats::not_offered;
            server[names[static_cast<std::size_t>(i)]] = how;
        }
        if (std::ranges::all_of(server, [](const auto& s) { return s.second == treats::not_offered; })) continue;
        for (const std::string_view unknown : {"504 5.7.4 Unrecognized authentication type", "502 not implemented",
                                               "534 5.7.9 Authentication mechanism is too weak"}) {
            CAPTURE(n);
            CAPTURE(unknown);
            const auto r = talk(c, server, unknown);
            auto once = r.tried;
            std::ranges::sort(once);
            CHECK(std::ranges::adjacent_find(once) == once.end());
            CHECK_FALSE(r.proved_after_wrong);
            CHECK((r.ready || r.over));
            // The first that is not beyond it decides.
            bool right = false;
            for (const auto& name : names) {
                const auto how = server[name];
                const bool beyond = how == treats::as_unknown || (how == treats::as_without_secret && name != "PLAIN");
                if (how == treats::not_offered || beyond) continue;
                right = how == treats::as_right;
                break;
            }
            CHECK(r.ready == right);
            if (!right) {
                REQUIRE(r.over);
                CHECK(r.over->error == errc::authentication_rejected);
                CHECK(r.over->details.explanation.find(r.tried.back()) != std::string::npos);
                CHECK_FALSE(r.over->details.reply.empty());
            }
        }
    }
}

TEST_CASE("a token goes by another mechanism too, where the first is beyond the server") {
    const smtp::credentials c{.user = "tim", .token = secret("ya29.token")};
    for (const auto second : {treats::as_right, treats::as_wrong}) {
        const auto r = talk(c, {{"OAUTHBEARER", treats::as_unknown}, {"XOAUTH2", second}}, "504 what?");
        CHECK(r.tried == std::vector<std::string>{"OAUTHBEARER", "XOAUTH2"});
        CHECK(r.ready == (second == treats::as_right));
    }
    const auto r = talk(c, {{"OAUTHBEARER", treats::as_wrong}, {"XOAUTH2", treats::as_right}}, "504 what?");
    CHECK(r.tried == std::vector<std::string>{"OAUTHBEARER"});
}

namespace {

// What the client says to each line of the server, from EHLO's reply on.
std::vector<std::string> conversation(const smtp::credentials& c, const std::vector<std::string>& server,
                                      std::optional<smtp::closed>& over) {
    const time_point now{std::chrono::hours(1)};
    smtp::session s({.server = {"mx", 465, security::implicit},
                     .client_name = "client.example",
                     .credentials = c,
                     .nonce = "rOprNGfwEbeRWgbNEkqO"});
    std::vector<std::string> said;
    const auto listen = [&] {
        std::string all;
        std::array<std::string_view, 3> parts;
        while (const auto count = s.output(parts)) {
            std::size_t n = 0;
            for (std::size_t i = 0; i < count; ++i) all += parts[i], n += parts[i].size();
            s.consumed(n, now);
        }
        return all;
    };
    s.started(now);
    s.received("220 mx\r\n", now);
    (void)listen();
    for (const auto& line : server) {
        s.received(line + "\r\n", now);
        said.push_back(listen());
    }
    while (auto e = s.poll())
        if (auto* end = std::get_if<smtp::closed>(&*e)) over = std::move(*end);
    return said;
}

}  // namespace

TEST_CASE("why a token is refused is read in any form, and answered as the mechanism wants it") {
    const smtp::credentials c{.user = "tim", .token = secret("ya29.token")};
    for (const std::string name : {"XOAUTH2", "OAUTHBEARER"})
        for (const bool encoded : {true, false}) {
            CAPTURE(name);
            CAPTURE(encoded);
            const std::string why = R"({"status":"401","schemes":"bearer","token":"ya29.token"})";
            std::optional<smtp::closed> over;
            const auto said = conversation(
                c, {"250-mx\r\n250 AUTH " + name, "334 " + (encoded ? base64_encode(why) : why), "535 5.7.8 no"}, over);
            CHECK(said[1] == (name == "XOAUTH2" ? "\r\n" : base64_encode("\x01") + "\r\n"));
            CHECK(said[2] == "QUIT\r\n");
            REQUIRE(over);
            CHECK(over->error == errc::authentication_rejected);
            CHECK(over->details.explanation.find("by " + name + ": the server refuses the token: 401") !=
                  std::string::npos);
            CHECK(over->details.explanation.find("ya29") == std::string::npos);
        }
}

TEST_CASE("without initial responses a SCRAM exchange has a nonce of its own") {
    const smtp::credentials c{.user = "user", .password = secret("pencil")};
    std::optional<smtp::closed> over;
    const auto said = conversation(c, {"250-mx\r\n250 AUTH SCRAM-SHA-256", "500 5.5.2 line too long", "334 "}, over);
    CHECK(said[1] == "AUTH SCRAM-SHA-256\r\n");
    CHECK(said[2] != said[0].substr(said[0].rfind(' ') + 1));
    std::string first;
    CHECK(base64_decode(said[2].substr(0, said[2].size() - 2), first));
    CHECK(first == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO1");
}

TEST_CASE("SCRAM that is refused with its proof is not followed by the password, and the error says what to name") {
    const time_point now{std::chrono::hours(1)};
    smtp::session s({.server = {"mx", 465, security::implicit},
                     .client_name = "client.example",
                     .credentials = {.user = "user", .password = secret("pencil")},
                     .nonce = "rOprNGfwEbeRWgbNEkqO"});
    const auto said = [&] {
        std::string all;
        std::array<std::string_view, 3> parts;
        while (const auto count = s.output(parts)) {
            std::size_t n = 0;
            for (std::size_t i = 0; i < count; ++i) all += parts[i], n += parts[i].size();
            s.consumed(n, now);
        }
        return all;
    };
    s.started(now);
    s.received("220 mx\r\n", now);
    (void)said();
    s.received("250-mx\r\n250 AUTH SCRAM-SHA-256 SCRAM-SHA-1 LOGIN\r\n", now);
    CHECK(said().starts_with("AUTH SCRAM-SHA-256 "));
    s.received(
        "334 " + base64_encode("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096") +
            "\r\n",
        now);
    CHECK_FALSE(said().empty());
    s.received("535 5.7.8 no\r\n", now);
    CHECK(said() == "QUIT\r\n");
    std::optional<smtp::closed> over;
    while (auto e = s.poll())
        if (auto* c = std::get_if<smtp::closed>(&*e)) over = *c;
    REQUIRE(over);
    CHECK(over->error == errc::authentication_rejected);
    CHECK(over->details.explanation.find("auth=LOGIN") != std::string::npos);
}

TEST_CASE("the command AUTH has at most 512 octets, whatever the secret") {
    for (std::size_t n = 1; n <= smtp::credentials::max_field; ++n)
        for (const auto* name : {"PLAIN", "LOGIN"}) {
            const smtp::credentials c{.user = "tim", .password = secret(std::string(n, 'p'))};
            const auto r = talk(c, {{name, treats::as_right}}, "");
            CAPTURE(n);
            CHECK(r.ready);
            CHECK(r.longest_command <= 512);
        }
    for (const std::size_t n :
         {1u, 200u, 300u, 330u, 340u, 350u, 360u, 370u, 380u, 390u, 400u, 500u, 1000u, 7000u, 8000u})
        for (const auto* name : {"OAUTHBEARER", "XOAUTH2"}) {
            const smtp::credentials c{.user = "tim", .token = secret(std::string(n, 't'))};
            const auto r = talk(c, {{name, treats::as_right}}, "");
            CAPTURE(n);
            CHECK(r.ready);
            CHECK(r.longest_command <= 512);
        }
}

TEST_CASE("a secret that is echoed at any time after AUTH comes back nowhere") {
    const std::string password = "tanstaaf-2";
    const auto response = base64_encode(std::string("\0tim\0", 5) + password);
    const std::string echo = "you said " + password + ' ' + base64_encode(password) + ' ' + response;
    const time_point now{std::chrono::hours(1)};
    // Steps: MAIL, RCPT, DATA, content, and idle before them.
    for (int step = 0; step <= 4; ++step)
        for (const std::string code : {"250 ", "450 ", "550 ", "503 ", "421 ", "999 ", ""}) {
            CAPTURE(step);
            CAPTURE(code);
            smtp::session s({.server = {"mx", 465, security::implicit},
                             .client_name = "client.example",
                             .credentials = {.user = "tim", .password = secret(password)},
                             .nonce = "rOprNGfwEbeRWgbNEkqO"});
            struct : observer {
                std::string all;
                void on(const observation& o) noexcept override {
                    all.append(o.text);
                    if (o.answer) all += o.answer->text;
                }
            } watcher;
            s.observe(&watcher, 1);
            const auto write = [&] {
                std::array<std::string_view, 3> parts;
                while (const auto count = s.output(parts)) {
                    std::size_t n = 0;
                    for (std::size_t i = 0; i < count; ++i) n += parts[i].size();
                    s.consumed(n, now);
                }
            };
            s.started(now);
            for (const auto* line : {"220 mx\r\n", "250-mx\r\n250 AUTH PLAIN\r\n", "235 ok\r\n"}) {
                s.received(line, now);
                write();
            }
            if (step > 0) {
                mail_object m{.envelope = {.reverse_path = address("a@x.example")},
                              .content = content::from_text("Subject: x\n")};
                m.envelope.recipients.emplace_back("b@y.example");
                s.submit({.id = 1, .mail = std::make_shared<const mail_object>(std::move(m))}, now);
                write();
                const char* before[] = {"250 ok\r\n", "250 ok\r\n", "354 go\r\n"};
                for (int i = 0; i + 1 < step; ++i) s.received(before[i], now), write();
            }
            s.received(code + echo + "\r\n", now);
            write();
            s.closed(errc::connection_closed, "closed", now);
            std::string all = watcher.all;
            while (auto e = s.poll()) {
                const auto tell = [&](const diagnostics& d) { all += d.explanation + d.reply; };
                if (auto* c = std::get_if<smtp::closed>(&*e)) tell(c->details), all += c->lesson_reason;
                if (auto* f = std::get_if<smtp::finished>(&*e)) {
                    tell(f->details);
                    for (const auto& r : f->recipients) all += r.reply.text;
                }
            }
            for (const auto& hidden : {password, base64_encode(password), response})
                CHECK(all.find(hidden) == std::string::npos);
            CHECK(all.find("[redacted]") != std::string::npos);
            // Nor is a part left where a quoted line is cut.
            CHECK(all.find(password.substr(0, 6)) == std::string::npos);
        }
}

#pragma once

#include <postroad/testing/server_session.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

/// A client of one server session, in memory: says something and sees what comes back.
class dialogue {
public:
    explicit dialogue(postroad::testing::server_options options = {}, bool by_octet = false)
        : dialogue(std::make_shared<postroad::testing::server_state>(std::move(options)), by_octet) {}
    explicit dialogue(std::shared_ptr<postroad::testing::server_state> shared, bool by_octet = false)
        : state(std::move(shared)), session(state), by_octet_(by_octet) {
        session.started(now);
        greeting = drained();
    }

    /// The replies to `octets`.
    std::string raw(std::string_view octets) {
        if (!by_octet_) {
            session.received(octets, now);
            return drained();
        }
        std::string replies;
        for (std::size_t i = 0; i < octets.size(); ++i) {
            session.received(octets.substr(i, 1), now);
            replies += drained();
        }
        return replies;
    }
    std::string say(std::string_view line) { return raw(std::string(line) + "\r\n"); }
    /// The first three characters of the reply.
    std::string code(std::string_view line) { return say(line).substr(0, 3); }

    std::string drained() {
        std::string all;
        std::array<std::string_view, 4> parts;
        while (session.output(parts) > 0) {
            all += parts[0];
            session.consumed(parts[0].size(), now);
        }
        return all;
    }
    std::string later(postroad::duration wait) {
        now += wait;
        session.tick(now);
        return drained();
    }

    std::string violations() const {
        std::string all;
        for (const auto& v : state->violations()) all += v + "\n";
        return all;
    }

    std::shared_ptr<postroad::testing::server_state> state;
    postroad::testing::server_session session;
    postroad::time_point now{std::chrono::hours(1)};
    std::string greeting;

private:
    bool by_octet_;
};

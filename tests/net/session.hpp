#pragma once
// A session that says lines and notes what happens to it, for the tests of this directory.

#include <postroad/net/link.hpp>
#include <postroad/net/wire_session.hpp>
#include <postroad/testing/certificates.hpp>
#include <postroad/tls/mbedtls_engine.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace net_test {

using namespace postroad;

enum class upgrade : unsigned char { none, asks, grants };

/// Says `greeting` when the wire is up and `secret` when TLS was started behind STARTTLS. "BYE\n" ends it.
class session {
public:
    struct options {
        std::string greeting = {};
        std::string secret = {};
        net_test::upgrade upgrade = net_test::upgrade::none;
        duration patience = duration::zero();  // from the start; none: for ever
        std::string throws_in = {};            // which of its functions
    };
    explicit session(options o) : options_(std::move(o)) {}

    void started(time_point now) {
        throw_if("started");
        events += "started ";
        say(options_.upgrade == upgrade::asks ? "STARTTLS\n" : options_.greeting);
        if (options_.patience > duration::zero()) deadline_ = now + options_.patience;
    }
    void received(std::string_view bytes, time_point now) {
        throw_if("received");
        if (wants_tls_) return closed(errc::tls_injection, "octets before the handshake", now);
        heard += bytes;
        if (options_.upgrade == upgrade::asks && !secured_) {
            if (heard.find('\n') == std::string::npos) return;
            if (heard != "GO\n") return closed(errc::tls_injection, "octets behind GO", now);
            wants_tls_ = true;
        } else if (options_.upgrade == upgrade::grants && heard == "STARTTLS\n") {
            say("GO\n");
            wants_tls_ = true;
        } else if (heard.ends_with("BYE\n")) {
            over("");
        }
    }
    void closed(error_code ec, std::string why, time_point) {
        error = ec;
        explanation = std::move(why);
        over("closed ");
    }
    void secured(time_point) {
        events += "secured ";
        wants_tls_ = false;
        secured_ = true;
        heard.clear();
        say(options_.secret);
    }
    void tick(time_point now) {
        throw_if("tick");
        if (now >= deadline_) closed(errc::timed_out, "the patience is over", now);
    }
    std::size_t output(std::span<std::string_view> parts) const {
        throw_if("output");
        // Two parts, so that it matters how they are put together.
        const auto rest = std::string_view(out_).substr(at_);
        if (rest.empty()) return 0;
        parts[0] = rest.substr(0, rest.size() / 2 + 1);
        if (parts.size() == 1 || rest.size() < 2) return 1;
        parts[1] = rest.substr(rest.size() / 2 + 1);
        return parts[1].empty() ? 1 : 2;
    }
    void consumed(std::size_t n, time_point) {
        throw_if("consumed");
        at_ += n;
    }
    time_point deadline() const { return done_ ? never : deadline_; }
    bool wants_tls() const { return wants_tls_; }
    bool done() const { return done_; }

    void say(std::string_view text) { out_ += text; }

    std::string events = {};
    std::string heard = {};
    error_code error = {};
    std::string explanation = {};

private:
    void throw_if(std::string_view here) const {
        if (here == options_.throws_in && !done_) throw std::runtime_error("thrown in " + std::string(here));
    }
    void over(std::string_view how) {
        events += how;
        done_ = true;
        wants_tls_ = false;
    }

    options options_;
    std::string out_ = {};
    std::size_t at_ = 0;
    time_point deadline_ = never;
    bool wants_tls_ = false;
    bool secured_ = false;
    bool done_ = false;
};
static_assert(net::wire_session<session>);

using tls_link = net::link<session, tls::mbedtls_engine>;

// Made once: keys take milliseconds each.
inline const testing::authority& ca() {
    static const auto made = testing::authority::create();
    return made;
}

inline tls_link::engine_maker client_engine(std::string trusted = ca().ca_pem) {
    const auto context = std::make_shared<tls::mbedtls_context>(tls::settings{.ca_pem = std::move(trusted)});
    return [context] { return std::make_unique<tls::mbedtls_engine>(context, endpoint{.name = "mail.example.com"}); };
}

inline tls_link::engine_maker server_engine() {
    static const auto id = ca().issue({.names = {"mail.example.com"}});
    const auto context = tls::mbedtls_context::server({.certificate_pem = id.certificate_pem, .key_pem = id.key_pem});
    return [context] { return std::make_unique<tls::mbedtls_engine>(context); };
}

inline std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
    return text;
}

}  // namespace net_test

#pragma once
// Uses a policy of the tls axis against a server in memory and notes the rules that it breaks.

#include <postroad/testing/certificates.hpp>
#include <postroad/testing/detail/trial.hpp>
#include <postroad/tls/mbedtls_engine.hpp>
#include <postroad/tls/policy.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::testing::detail {

template <class P>
class tls_trial {
    using engine = typename P::engine_type;
    using server_engine = tls::mbedtls_engine;

public:
    /// `trusting` trusts the CA of `good`; nobody trusts that of `strange`.
    tls_trial(P trusting, endpoint to, server_identity good, server_identity strange)
        : policy_(std::move(trusting)), to_(std::move(to)), good_(std::move(good)), strange_(std::move(strange)) {}

    broken_rules run() {
        rules_.check(policy_.starts(to_) == policy_.starts(to_), "starts() says the same for the same endpoint");
        context_ = policy_.make_context();
        rules_.check(context_ != nullptr, "make_context() gives a context");
        if (!context_) return rules_.take();
        for (const std::size_t step : {std::size_t(-1), std::size_t{1}, std::size_t{7}, std::size_t{1000}}) talk(step);
        bounds();
        ends();
        breaks();
        refuses();
        return rules_.take();
    }

private:
    struct pair {
        engine client;
        server_engine server;
    };
    std::unique_ptr<pair> meet(const server_identity& who, const std::string& name) const {
        tls::server_settings s;
        s.certificate_pem = who.certificate_pem;
        s.key_pem = who.key_pem;
        endpoint to = to_;
        to.name = name;
        return std::unique_ptr<pair>(
            new pair{engine(context_, to), server_engine(server_engine::context_type::server(s))});
    }
    template <class From, class To, class F>
    static void carry(From& from, To& to, std::size_t step, F react) {
        while (!from.output().empty()) {
            const auto piece = from.output().substr(0, step);
            to.received(piece);
            from.consumed(piece.size());
            react();
        }
    }
    static bool shake(pair& p, std::size_t step = std::size_t(-1)) {
        auto c = p.client.handshake();
        auto s = tls::progress::want_input;
        while (!p.client.output().empty() || !p.server.output().empty()) {
            carry(p.client, p.server, step, [&] { s = p.server.handshake(); });
            carry(p.server, p.client, step, [&] { c = p.client.handshake(); });
        }
        return c == tls::progress::done && s == tls::progress::done;
    }
    std::unique_ptr<pair> connected(std::size_t step = std::size_t(-1)) {
        auto p = meet(good_, to_.name);
        if (!shake(*p, step)) {
            rules_.check(false, "a good certificate is taken, however the octets are cut");
            return nullptr;
        }
        return p;
    }
    template <class E>
    static std::string read_all(E& e, tls::read_state& last, std::size_t room = 4096) {
        std::string text;
        std::string buffer(room, '\0');
        while (true) {
            const auto r = e.read(buffer.data(), buffer.size());
            last = r.state;
            if (r.state != tls::read_state::data) return text;
            text.append(buffer, 0, r.size);
        }
    }
    template <class From, class To>
    static std::string carried(From& from, To& to, std::string_view text, std::size_t step, std::size_t room) {
        std::string got;
        auto last = tls::read_state::want_input;
        while (!text.empty() && !from.error() && !to.error()) {
            text.remove_prefix(from.write(text));
            carry(from, to, step, [&] { got += read_all(to, last, room); });
        }
        return got;
    }
    static std::string lines(std::size_t size) {
        std::string text;
        for (std::size_t i = 0; text.size() < size; ++i) text += "line " + std::to_string(i) + "\r\n";
        return text;
    }

    void talk(std::size_t step) {
        const auto p = connected(step);
        if (!p) return;
        const auto facts = p->client.facts();
        rules_.check(!facts.version.empty() && !facts.cipher.empty(), "facts() name the version and the cipher");
        rules_.check(facts.verified, "facts() say that the server is verified");
        const auto text = lines(step == 1 ? 1000 : 300'000);
        rules_.check(carried(p->client, p->server, text, step, 4096) == text, "what is written arrives as it was");
        rules_.check(carried(p->server, p->client, text, step, 1 + step % 100) == text,
                     "what arrives is read as it was, whatever room there is");
        rules_.check(!p->client.error() && p->client.explanation().empty(), "there is no error without a failure");
    }
    void bounds() {
        const auto p = connected();
        if (!p) return;
        const auto text = lines(10'000'000);
        rules_.check(p->client.write(text) < text.size(), "write() stops at a bound while nothing is sent");
        rules_.check(!p->client.error(), "a full output is no error");
        const auto shown = p->client.output();
        const std::string copy(shown.substr(0, 100));
        (void)p->client.handshake();
        rules_.check(p->client.output().substr(0, 100) == copy, "what output() showed stays until it was sent");
    }
    void ends() {
        auto last = tls::read_state::want_input;
        if (const auto p = connected()) {
            p->server.close();
            carry(p->server, p->client, 3, [] {});
            p->client.end_of_stream();
            (void)read_all(p->client, last);
            rules_.check(last == tls::read_state::closed && !p->client.error(),
                         "close_notify ends the stream in order");
        }
        if (const auto p = connected()) {
            (void)read_all(p->client, last);
            p->client.end_of_stream();
            (void)read_all(p->client, last);
            rules_.check(last == tls::read_state::failed && p->client.error() == errc::tls_broken,
                         "an end without close_notify is errc::tls_broken");
        }
        if (const auto p = connected()) {
            p->client.close();
            rules_.check(p->client.write("late") == 0, "nothing is written behind close()");
            carry(p->client, p->server, 3, [] {});
            (void)read_all(p->server, last);
            rules_.check(last == tls::read_state::closed, "close() tells the server");
        }
    }
    void breaks() {
        auto last = tls::read_state::want_input;
        if (const auto p = connected()) {
            (void)p->server.write("250 2.0.0 queued\r\n");
            std::string octets(p->server.output());
            octets.back() = static_cast<char>(octets.back() ^ 1);
            p->client.received(octets);
            const auto text = read_all(p->client, last);
            rules_.check(text.find("queued") == std::string::npos && last == tls::read_state::failed,
                         "a changed octet breaks the stream");
            failed_with(p->client, errc::tls_broken);
            rules_.check(p->client.write("x") == 0, "nothing is written behind a failure");
        }
        engine client(context_, to_);
        rules_.check(client.handshake() == tls::progress::want_input && !client.output().empty(),
                     "the first handshake() says something and waits");
        client.received("HTTP/1.1 400 Bad Request\r\n\r\n");
        rules_.check(client.handshake() == tls::progress::failed, "what is no TLS fails the handshake");
        failed_with(client, errc::tls_handshake);
    }
    void refuses() {
        const auto refused = [this](const server_identity& who, const std::string& name, std::string_view rule) {
            const auto p = meet(who, name);
            (void)shake(*p);
            rules_.check(p->client.error() == errc::tls_certificate, rule);
            failed_with(p->client, p->client.error());
        };
        refused(good_, "other.example", "a certificate of another name is errc::tls_certificate");
        refused(strange_, to_.name, "a certificate of a CA that is not trusted is errc::tls_certificate");
    }
    void failed_with(const engine& e, error_code ec) {
        rules_.check(e.error() == ec, "a failure has its code: tls_handshake, tls_certificate or tls_broken");
        rules_.check(!e.error() || !std::string_view(e.explanation()).empty(), "a failure is explained");
    }

    P policy_;
    endpoint to_;
    server_identity good_;
    server_identity strange_;
    std::shared_ptr<const typename P::context_type> context_ = {};
    rule_book rules_;
};

}  // namespace postroad::testing::detail

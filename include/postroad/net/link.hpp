#pragma once
// A session, the TLS around it and the proxy before it, still without I/O: what the socket reads goes in, what it must
// write comes out.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/net/tunnel.hpp>
#include <postroad/net/wire_session.hpp>
#include <postroad/tls/engine.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::net {

template <wire_session Session, tls::engine Engine>
class link {
    static_assert(
        !requires { &Session::greet_by; } ||
            requires(Session s, time_point deadline) {
                { s.greet_by(deadline) } -> std::same_as<void>;
            },
        "postroad: the session's greet_by would never be called: void greet_by(time_point) (net/wire_session.hpp)");
    static_assert(
        !requires { &Session::channel_binding; } ||
            requires(Session s, std::string text) {
                { s.channel_binding(text, text) } -> std::same_as<void>;
            },
        "postroad: the session's channel_binding would never be called: void channel_binding(std::string name, "
        "std::string data) (net/wire_session.hpp)");
    static_assert(
        !requires { &Session::tls_facts; } ||
            requires(Session s, tls::facts f) {
                { s.tls_facts(f) } -> std::same_as<void>;
            },
        "postroad: the session's tls_facts would never be called: void tls_facts(tls::facts) "
        "(net/wire_session.hpp)");

public:
    /// Makes the engine when TLS starts.
    using engine_maker = std::function<std::unique_ptr<Engine>()>;

    /// `when` is tls::start::immediately for TLS before the session starts; otherwise the session asks for it, or not.
    link(Session session, tls::start when, engine_maker make_engine)
        : session_(std::move(session)), make_engine_(std::move(make_engine)), when_(when) {}

    Session& session() noexcept { return session_; }
    const Session& session() const noexcept { return session_; }
    /// The engine once TLS has begun, else null.
    const Engine* engine() const noexcept { return engine_.get(); }

    /// The socket will be that of a proxy. Before connected().
    void through(tunnel t) { tunnel_.emplace(std::move(t)); }

    /// What comes before the session starts, the talk with a proxy and a TLS handshake, must be over by then, however
    /// many octets come; a session with greet_by() is told as well. Before connected(). (Behind STARTTLS the session
    /// has a deadline of its own.)
    void open_by(time_point deadline) noexcept { opening_deadline_ = deadline; }

    /// The socket is connected.
    void connected(time_point now) {
        if (!tunnel_) begin(now);
    }

    /// The socket read `bytes`.
    void received(std::string_view bytes, time_point now) {
        if (session_.done()) return;
        if (tunnel_) return received_from_proxy(bytes, now);
        if (!engine_) {
            session_.received(bytes, now);
            return start_tls_if_wanted(now);
        }
        engine_->received(bytes);
        advance(now);
    }

    /// The socket ended (errc::connection_closed), broke, or could not be connected.
    void broken(error_code ec, std::string why, time_point now) {
        if (session_.done()) return;
        if (engine_ && ec == errc::connection_closed) {
            engine_->end_of_stream();
            advance(now);
        }
        if (tunnel_ && ec == errc::connection_closed) {
            tunnel_->closed("it closed the connection");
            return session_.closed(tunnel_->error(), tunnel_->explanation(), now);
        }
        if (!session_.done()) session_.closed(ec, std::move(why), now);
    }

    /// Fills `parts` with what the socket must write; returns how many. Valid until the next call.
    std::size_t output(std::span<std::string_view> parts, time_point now) {
        if (tunnel_) return one_part(parts, tunnel_->output());
        if (!engine_) return session_.output(parts);
        if (established_) encrypt(now);
        return one_part(parts, engine_->output());
    }

    /// `n` octets of it were written.
    void consumed(std::size_t n, time_point now) {
        if (tunnel_) return tunnel_->consumed(n);
        if (engine_) return engine_->consumed(n);
        session_.consumed(n, now);
        start_tls_if_wanted(now);
    }

    time_point deadline() const noexcept { return std::min(opening_deadline_, session_.deadline()); }

    void tick(time_point now) {
        if (now < opening_deadline_)
            session_.tick(now);
        else
            session_.closed(errc::timed_out,
                            tunnel_ ? "the proxy did not open a way to the server in time"
                                    : "the TLS handshake was not finished in time",
                            now);
        if (session_.done()) opening_deadline_ = never;
    }

    /// Nothing more is read; what the socket takes at once of the output is written, then it is closed.
    bool done() const noexcept { return session_.done(); }

private:
    static std::size_t one_part(std::span<std::string_view> parts, std::string_view octets) {
        parts[0] = octets;
        return octets.empty() ? 0 : 1;
    }

    void begin(time_point now) {
        if (when_ == tls::start::immediately) return start_tls(now);
        start_session(now);
    }

    void start_session(time_point now) {
        const auto deadline = std::exchange(opening_deadline_, never);
        if constexpr (requires { session_.greet_by(deadline); }) session_.greet_by(deadline);
        session_.started(now);
    }

    void received_from_proxy(std::string_view bytes, time_point now) {
        const auto rest = tunnel_->received(bytes);
        switch (tunnel_->now()) {
            case tunnel::state::opening: return;
            case tunnel::state::failed: return session_.closed(tunnel_->error(), tunnel_->explanation(), now);
            case tunnel::state::open: break;
        }
        tunnel_.reset();
        begin(now);
        if (!rest.empty()) received(rest, now);
    }

    void start_tls_if_wanted(time_point now) {
        std::array<std::string_view, 1> part;
        if (session_.wants_tls() && !engine_ && session_.output(part) == 0) start_tls(now);
    }

    void start_tls(time_point now) {
        try {
            engine_ = make_engine_();
        } catch (...) {
            auto t = thrown();
            return session_.closed(t.code, std::move(t.details.explanation), now);
        }
        advance(now);
    }

    void advance(time_point now) {
        if (!established_) {
            const auto p = engine_->handshake();
            if (p == tls::progress::want_input) return;
            if (p == tls::progress::failed) {
                opening_deadline_ = never;
                return session_.closed(engine_->error(), std::string(engine_->explanation()), now);
            }
            established_ = true;
            tell_of_tls();
            if (when_ == tls::start::immediately)
                start_session(now);
            else
                session_.secured(now);
        }
        decrypt(now);
    }

    void tell_of_tls() {
        if constexpr (requires { session_.channel_binding(std::string(), std::string()); }) {
            auto binding = tls::binding_of(*engine_);
            if (!binding.name.empty()) session_.channel_binding(std::move(binding.name), std::move(binding.data));
        }
        if constexpr (requires { session_.tls_facts(engine_->facts()); }) session_.tls_facts(engine_->facts());
    }

    void decrypt(time_point now) {
        std::array<char, 16 * 1024> plaintext;
        while (!session_.done()) {
            const auto r = engine_->read(plaintext.data(), plaintext.size());
            switch (r.state) {
                case tls::read_state::data: session_.received({plaintext.data(), r.size}, now); break;
                case tls::read_state::want_input: return;
                case tls::read_state::closed:
                    return session_.closed(errc::connection_closed, "the peer closed the connection", now);
                case tls::read_state::failed:
                    return session_.closed(engine_->error(), std::string(engine_->explanation()), now);
            }
        }
    }

    // Small parts are joined first: each write makes at least one record.
    void encrypt(time_point now) {
        std::array<std::string_view, 16> parts;
        while (const auto count = session_.output(parts)) {
            auto plaintext = parts[0];
            if (count > 1) {
                joined_.clear();
                for (std::size_t i = 0; i < count && joined_.size() < 16 * 1024; ++i)
                    joined_ += parts[i].substr(0, 16 * 1024 - joined_.size());
                plaintext = joined_;
            }
            const auto n = engine_->write(plaintext);
            if (n == 0) {
                if (const auto ec = engine_->error()) session_.closed(ec, std::string(engine_->explanation()), now);
                return;
            }
            session_.consumed(n, now);
        }
        if (session_.done()) engine_->close();
    }

    Session session_;
    engine_maker make_engine_;
    std::optional<tunnel> tunnel_;  // until the proxy has opened the way
    std::unique_ptr<Engine> engine_;
    std::string joined_;
    time_point opening_deadline_ = never;
    tls::start when_;
    bool established_ = false;
};

}  // namespace postroad::net

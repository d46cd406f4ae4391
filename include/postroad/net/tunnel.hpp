#pragma once
// What is said to a proxy before the octets of a session go through it, without I/O.

#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/secret.hpp>
#include <postroad/net/dialing.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace postroad::net {

/// The client's side of SOCKS5 (RFC 1928, RFC 1929) or HTTP CONNECT (RFC 9110 section 9.3.6). The name of the server
/// is handed to the proxy as it is. Errors are errc::proxy_failed; their text has the proxy's codes, none of its words,
/// since it may say the password again.
class tunnel {
public:
    /// Octets of an answer to CONNECT, with its fields.
    static constexpr std::size_t max_answer = 16 * 1024;

    enum class state : unsigned char {
        opening,  ///< write output(), read on
        open,     ///< what comes is the server's
        failed,   ///< see error()
    };

    /// Throws `error` (errc::invalid_host_name) for a server's name that the proxy's protocol cannot carry.
    tunnel(const proxy& through, const endpoint& to);

    /// What to write; empty once it is open or failed.
    std::string_view output() const noexcept { return out_.reveal().substr(written_); }
    void consumed(std::size_t n) noexcept { written_ += n; }
    /// The proxy sent `octets`. Returns those at their end that are the server's already.
    std::string_view received(std::string_view octets);
    /// The stream ended or broke.
    void closed(const std::string& why) { fail(why); }

    state now() const noexcept { return state_; }
    error_code error() const noexcept { return state_ == state::failed ? errc::proxy_failed : error_code(); }
    const std::string& explanation() const noexcept { return explanation_; }

private:
    enum class step : unsigned char { method, login, request, connect };
    static constexpr const char* answered_early = "it answered before it was asked";

    void socks();
    void socks_method();
    void socks_login();
    void socks_request();
    void ask_for_connect();
    void connect();
    void say(std::string octets, step next);
    void ask_for_server();
    bool has(std::size_t n) const noexcept { return in_.size() >= n; }
    unsigned char octet(std::size_t i) const noexcept { return static_cast<unsigned char>(in_[i]); }
    void open(std::size_t used);
    void fail(const std::string& why);

    proxy proxy_;
    endpoint to_;
    secret out_;  // holds user and password
    std::size_t written_ = 0;
    std::string in_;
    std::size_t used_ = 0;
    std::string explanation_;
    step step_ = step::method;
    state state_ = state::opening;
};

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/tunnel.ipp>
#endif

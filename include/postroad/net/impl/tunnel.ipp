#pragma once

#include <postroad/net/tunnel.hpp>

#include <postroad/core/base64.hpp>
#include <postroad/tls/names.hpp>

#include <algorithm>
#include <utility>

namespace postroad::net {
namespace detail {

inline std::string length_and(std::string_view text) {
    return static_cast<char>(static_cast<unsigned char>(text.size())) + std::string(text);
}

// RFC 1928 section 6
inline std::string socks_reply_text(unsigned code) {
    static constexpr std::string_view texts[] = {"",
                                                 "general failure",
                                                 "not allowed by its rules",
                                                 "network unreachable",
                                                 "host unreachable",
                                                 "connection refused",
                                                 "time to live expired",
                                                 "command not supported",
                                                 "address type not supported"};
    return std::to_string(code) + (code < std::size(texts) ? " (" + std::string(texts[code]) + ")" : "");
}

}  // namespace detail

POSTROAD_DECL tunnel::tunnel(const proxy& through, const endpoint& to) : proxy_(through), to_(to) {
    const bool literal = !postroad::tls::address_octets(to.name).empty() && to.name.find('%') == std::string::npos;
    // It becomes part of a line, and its length an octet.
    if (!literal && !postroad::tls::is_host_name(to.name))
        throw postroad::error(errc::invalid_host_name,
                              "the server is neither a domain name nor an address, which a proxy needs");
    if (proxy_.kind == proxy_kind::socks5)
        say(proxy_.user.empty() ? std::string("\5\1\0", 3) : std::string("\5\2\0\2", 4), step::method);
    else
        ask_for_connect();
}

POSTROAD_DECL void tunnel::ask_for_connect() {
    const auto where = to_string(to_);
    std::string request = "CONNECT " + where + " HTTP/1.1\r\nHost: " + where + "\r\n";
    if (!proxy_.user.empty())
        request += "Proxy-Authorization: Basic " +
                   base64_encode(proxy_.user + ":" + std::string(proxy_.password.reveal())) + "\r\n";
    say(std::move(request) + "\r\n", step::connect);
}

POSTROAD_DECL std::string_view tunnel::received(std::string_view octets) {
    if (state_ != state::opening) return octets;
    const auto before = in_.size();
    in_.append(octets.substr(0, max_answer - before));
    if (output().empty())
        step_ == step::connect ? connect() : socks();
    else
        fail(answered_early);
    if (state_ == state::open) return octets.substr(used_ - before);
    if (in_.size() == max_answer) fail("its answer is longer than " + std::to_string(max_answer) + " octets");
    return {};
}

POSTROAD_DECL void tunnel::socks() {
    switch (step_) {
        case step::method: return socks_method();
        case step::login: return socks_login();
        case step::request: return socks_request();
        case step::connect: return;
    }
}

POSTROAD_DECL void tunnel::socks_method() {
    if (has(1) && octet(0) != 5) return fail("it does not speak SOCKS5");
    if (!has(2)) return;
    const auto method = octet(1);
    used_ = 2;
    if (method == 0) return ask_for_server();
    if (method == 2 && !proxy_.user.empty())
        return say('\1' + detail::length_and(proxy_.user) + detail::length_and(proxy_.password.reveal()), step::login);
    fail(proxy_.user.empty() ? "it wants a user and a password, or another authentication"
                             : "it takes no user and password");
}

POSTROAD_DECL void tunnel::socks_login() {
    if (!has(used_ + 2)) return;
    if (octet(used_) != 1) return fail("it answered what is no SOCKS5 authentication");
    if (octet(used_ + 1) != 0) return fail("it did not accept the user and password");
    used_ += 2;
    ask_for_server();
}

POSTROAD_DECL void tunnel::ask_for_server() {
    const auto address = postroad::tls::address_octets(to_.name);
    std::string request("\5\1\0", 3);
    if (address.empty())
        request += '\3' + detail::length_and(to_.name);
    else
        request += (address.size() == 4 ? '\1' : '\4') + address;
    request += static_cast<char>(to_.port >> 8);
    request += static_cast<char>(to_.port & 0xff);
    say(std::move(request), step::request);
}

POSTROAD_DECL void tunnel::socks_request() {
    if (!has(used_ + 2)) return;
    if (octet(used_) != 5) return fail("it answered what is no SOCKS5 reply");
    if (const auto code = octet(used_ + 1); code != 0)
        return fail("it did not reach the server: " + detail::socks_reply_text(code));
    if (!has(used_ + 5)) return;
    std::size_t length = 0;
    switch (octet(used_ + 3)) {
        case 1: length = 4; break;
        case 3: length = 1 + std::size_t{octet(used_ + 4)}; break;
        case 4: length = 16; break;
        default: return fail("its reply has an address of an unknown type");
    }
    if (has(used_ + 4 + length + 2)) open(used_ + 4 + length + 2);
}

// Reads one answer. One of 1yz is followed by another (RFC 9110 section 15.2).
POSTROAD_DECL void tunnel::connect() {
    for (;;) {
        auto at = used_;
        std::string_view status;
        for (std::string_view line = "first"; !line.empty();) {
            const auto end = in_.find('\n', at);
            if (end == std::string::npos) return;
            line = std::string_view(in_).substr(at, end - at);
            if (line.ends_with('\r')) line.remove_suffix(1);
            if (at == used_) status = line;
            at = end + 1;
        }
        const auto digit = [&](std::size_t i) { return status[i] >= '0' && status[i] <= '9'; };
        if (status.size() < 12 || !status.starts_with("HTTP/1.") || status[8] != ' ' || !digit(9) || !digit(10) ||
            !digit(11) || (status.size() > 12 && status[12] != ' '))
            return fail("its answer is not one of HTTP");
        const auto code = status.substr(9, 3);
        if (code[0] == '2') return open(at);
        if (code == "407")
            return fail(proxy_.user.empty() ? "it wants a user and a password (407)"
                                            : "it did not accept the user and password (407)");
        if (code[0] != '1' || code == "101") return fail("it answered " + std::string(code) + " to CONNECT");
        used_ = at;
    }
}

POSTROAD_DECL void tunnel::say(std::string octets, step next) {
    // What is here already was said for somebody else, or to make us skip a step.
    if (in_.size() > used_) return fail(answered_early);
    out_ = secret(std::move(octets));
    written_ = 0;
    step_ = next;
}

POSTROAD_DECL void tunnel::open(std::size_t used) {
    used_ = used;
    state_ = state::open;
    out_ = secret();
    written_ = 0;
    proxy_.password = secret();
}

POSTROAD_DECL void tunnel::fail(const std::string& why) {
    if (state_ != state::opening) return;
    explanation_ = "the proxy " + to_string(endpoint{.name = proxy_.host, .port = proxy_.port}) + " opened no way to " +
                   to_string(to_) + ": " + why;
    state_ = state::failed;
    out_ = secret();
    written_ = 0;
}

}  // namespace postroad::net

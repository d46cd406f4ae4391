#pragma once
// TLS without I/O: ciphertext goes in and comes out as octets, plaintext likewise. See docs/tls.md.

#include <postroad/core/error.hpp>
#include <postroad/tls/settings.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>

namespace postroad::tls {

/// Where a handshake stands.
enum class progress : unsigned char { done, want_input, failed };

/// What a read found.
enum class read_state : unsigned char {
    data,        ///< `size` octets were written; there may be more
    want_input,  ///< nothing more before the next `received()` or `end_of_stream()`
    closed,      ///< the peer ended the stream with close_notify
    failed,      ///< see `error()`
};

struct read_result {
    read_state state = read_state::want_input;
    std::size_t size = 0;
    friend bool operator==(const read_result&, const read_result&) = default;
};

/// One TLS connection, either side, without I/O. It belongs to one thread at a time and need not be movable.
///
///   received(ciphertext)   What the socket read. Call handshake() or read() until it wants input, then feed more:
///                          what is kept is bounded, and more than the bound fails the engine.
///   end_of_stream()        The peer closed the socket. Known to handshake() and read() after all input was used.
///   output()               What the socket must send, in order and whole, also after a failure (it holds the alert).
///                          Looked at after every other call. Stays valid until consumed() was told of all of it.
///   consumed(n)            The first n octets of output() were sent.
///   handshake()            Goes on with the handshake. The client's first call makes the first output.
///   read(to, size)         Decrypts into `to`. Only after handshake() was done. Never asks for the socket while input
///                          is left, so want_input means: nothing unread is here.
///   write(plaintext)       Encrypts a prefix and returns its length, 0 when output() is at its bound, or when the
///                          engine failed or was closed: error() tells them apart. Give much at once: each call makes
///                          at least one record.
///   close()                Puts close_notify into output(). Does nothing before the handshake is done.
///   error()                What failed: errc::tls_handshake, tls_certificate or tls_broken. Stays.
///   explanation()          For people: what was expected, what was presented, what to do. Empty without error.
///   facts()                After the handshake was done.
///   channel_binding()      Optional: what SASL's -PLUS mechanisms bind to, after the handshake was done. Its name is
///                          empty when there is nothing to bind to.
template <class E>
concept engine = requires(E e, const E c, std::string_view octets, std::size_t n, char* to) {
    e.received(octets);
    e.end_of_stream();
    { c.output() } -> std::same_as<std::string_view>;
    e.consumed(n);
    { e.handshake() } -> std::same_as<progress>;
    { e.read(to, n) } -> std::same_as<read_result>;
    { e.write(octets) } -> std::same_as<std::size_t>;
    e.close();
    { c.error() } -> std::same_as<error_code>;
    { c.explanation() } -> std::convertible_to<std::string_view>;
    { c.facts() } -> std::same_as<facts>;
};

/// What `e` offers for binding, nothing when it does not know of it.
template <engine E>
channel_binding binding_of(E& e) {
    if constexpr (requires { e.channel_binding(); })
        return e.channel_binding();
    else
        return {};
}

}  // namespace postroad::tls

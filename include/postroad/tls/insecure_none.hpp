#pragma once
// No TLS: for a server on the same machine, and for tests.

#include <postroad/tls/policy.hpp>

namespace postroad::tls {

struct no_context {};

/// Stands where an engine is not used. Every call fails or does nothing; it is never made into a connection.
struct no_engine {
    using context_type = no_context;

    no_engine(std::shared_ptr<const no_context>, const endpoint&) {}
    void received(std::string_view) {}
    void end_of_stream() {}
    std::string_view output() const { return {}; }
    void consumed(std::size_t) {}
    progress handshake() { return progress::failed; }
    read_result read(char*, std::size_t) { return {.state = read_state::failed}; }
    std::size_t write(std::string_view) { return 0; }
    void close() {}
    error_code error() const { return errc::tls_configuration; }
    std::string_view explanation() const { return "this mailer is composed without TLS"; }
    tls::facts facts() const { return {}; }
};

/// Octets in the clear. Only for `smtp+insecure://`, so that it stands in two places; credentials are not sent.
struct insecure_none {
    using axis = postroad::axis::tls;
    using engine_type = no_engine;
    using context_type = no_context;

    /// Throws error(errc::contradiction) for `smtp://` and `smtps://`.
    start starts(const endpoint& to) const;
    std::shared_ptr<const no_context> make_context() const { return nullptr; }
};

static_assert(engine<no_engine>);
static_assert(tls_policy<insecure_none>);

namespace detail {

/// The scheme of `to`, as its URL writes it, and what it means.
POSTROAD_DECL std::string scheme_of(const endpoint& to);
[[noreturn]] POSTROAD_DECL void throw_contradiction(const char* policy, const endpoint& to, const char* instead);

}  // namespace detail
}  // namespace postroad::tls

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/tls/impl/insecure_none.ipp>
#endif

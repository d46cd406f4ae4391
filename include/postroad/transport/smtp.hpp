#pragma once
// Sends through an SMTP or LMTP server, or several that are as good: submission servers, relays, mail stores. The
// default transport. See docs/transport.md.

#include <postroad/core/config.hpp>
#include <postroad/smtp/credentials_source.hpp>
#include <postroad/transport/policy.hpp>
#include <postroad/transport/url.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::transport {

struct smtp_options {
    endpoint server = {};
    /// Servers that take the same mail and the same credentials. endpoint::preference and endpoint::weight, also of
    /// `server`, say which is used when. What is in doubt at one is never given to another.
    std::vector<endpoint> more_servers = {};
    postroad::smtp::credentials credentials = {};
    /// Asked whenever a connection has to authenticate: for tokens that expire. Then `credentials` have mechanisms at
    /// most, for answers that name none.
    postroad::smtp::credentials_source credentials_source = {};
    /// Whether the credentials may be sent without TLS. Nothing else allows it, neither `smtp+insecure://` nor
    /// tls::insecure_none: without this it is errc::insecure_authentication.
    bool insecure_authentication = false;
    /// What EHLO says. The literal tells nobody the name of this machine; a relay that faces other domains should say
    /// its own name.
    std::string client_name = "[127.0.0.1]";
    /// `automatic` goes as far as the server has shown that it can, where more is waiting. What goes ahead of the
    /// replies to other messages is taken back for a server as soon as a connection to it breaks with more than one
    /// message in flight, or it refuses BDAT; then `envelope` is used for an hour, and longer each time.
    postroad::smtp::pipelining pipelining = postroad::smtp::pipelining::automatic;
    /// Most messages in flight on a connection with pipelining::window and automatic.
    std::size_t window = 16;
    /// Most recipients in one transaction, 0 for as many as servers must take (RFC 5321 section 4.5.3.1.8), or as the
    /// server's LIMITS say. Those beyond go in further ones.
    std::size_t recipients_per_transaction = 0;
    /// Whether content is recoded for a server that lacks 8BITMIME; otherwise errc::eight_bit_unsupported.
    bool down_convert = true;
    postroad::smtp::timeouts timeouts = {};
    /// Time to connect, proxy, local addresses.
    net::dialing dialing = {};
};

class smtp {
public:
    using axis = postroad::axis::transport;
    using session_type = postroad::smtp::session;
    static constexpr bool needs_wire = true;

    /// From a URL, see url.hpp: "smtp://user:password@smtp.example.com". Throws `error` with what is wrong in it.
    explicit smtp(std::string_view url);
    explicit smtp(const char* url) : smtp(std::string_view(url)) {}
    explicit smtp(const std::string& url) : smtp(std::string_view(url)) {}
    /// What the URL says goes before `base`; credentials, or their source, may stand in either.
    smtp(std::string_view url, smtp_options base);
    /// Throws `error` for a client name or credentials that cannot be sent, or for what cannot be dialled.
    explicit smtp(smtp_options options);

    const smtp_options& options() const noexcept { return options_; }
    /// Options of the URL that concern other axes, as they stand in it: `connections`, and those of TLS. The mailer
    /// hands them to its default policies.
    const url_options& other_options() const noexcept { return others_; }

    std::string_view route(const envelope&) const noexcept { return options_.server.name; }
    std::vector<endpoint> hosts(const std::string&) const;
    const net::dialing& dialing() const noexcept { return options_.dialing; }
    session_type make_session(const endpoint& host, std::string nonce, const lessons& known = {}) const;
    /// Asks smtp_options::credentials_source.
    void provide_credentials(const postroad::smtp::credentials_request& request,
                             postroad::smtp::credentials_handler done) const {
        options_.credentials_source.ask(request, std::move(done));
    }

private:
    void read(std::string_view url);
    void check() const;

    smtp_options options_;
    url_options others_;
};

static_assert(transport_policy<smtp>);

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/smtp.ipp>
#endif

#pragma once
// What the connections of one test server share: its options, what it stored, and what it saw. See docs/testing.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/testing/fault.hpp>
#include <postroad/transport/maildir_writer.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::testing {

/// What a test server offers, asks for and does wrong.
struct server_options {
    std::string name = "sink.example";
    /// How the wire is protected: by STARTTLS, from the first octet, or not at all.
    postroad::security security = security::insecure_none;
    bool lmtp = false;  ///< RFC 2033: LHLO, and a reply for each recipient behind the content
    bool esmtp = true;  ///< otherwise it knows HELO only
    bool pipelining = true;
    bool eight_bit_mime = true;
    bool smtputf8 = true;
    bool enhanced_codes = true;
    bool dsn = true;
    bool chunking = false;                        ///< BDAT (RFC 3030)
    bool binarymime = false;                      ///< announced with chunking only
    std::uint64_t size = 0;                       ///< octets a message may have (RFC 1870); 0: not announced, no limit
    std::vector<std::string> more_keywords = {};  ///< lines of the reply to EHLO; with any, unknown parameters pass
    /// Who may authenticate: name and password, or token. AUTH is offered if there is anyone.
    std::map<std::string, std::string, std::less<>> users = {};
    /// Of PLAIN, LOGIN, XOAUTH2 and OAUTHBEARER.
    std::vector<std::string> mechanisms = {"PLAIN", "LOGIN"};
    bool auth_in_clear = false;  ///< AUTH without TLS is offered and no violation
    bool require_auth = false;
    bool require_tls = false;
    std::size_t connection_limit = 0;         ///< more at a time are greeted with 421; 0: any number
    std::size_t messages_per_connection = 0;  ///< the next MAIL gets 421; 0: any number
    std::size_t recipient_limit = 0;          ///< of a message, the next RCPT gets 452; 0: any number
    /// From the arrival of octets to the departure of what they cause: a round trip. Commands that arrive together
    /// wait together.
    duration delay = duration::zero();
    std::vector<fault> faults = {};
    bool keep = true;          ///< in memory: messages() and commands()
    std::string maildir = {};  ///< also writes each message there, below Return-Path and Delivered-To
    bool durable = false;      ///< with maildir: on the disk before the reply
};

/// A message as it arrived.
struct stored {
    std::string reverse_path = {};             ///< without <>
    std::vector<std::string> recipients = {};  ///< the accepted ones, without <>
    std::string content = {};                  ///< dots unstuffed, line ends as they came
    bool tls = false;
    std::string user = {};  ///< who authenticated
    std::vector<std::string> mail_parameters = {};
    std::vector<std::string> recipient_parameters = {};  ///< of each recipient, separated by spaces
    std::string hello = {};                              ///< how the client named itself
    std::uint64_t connection = 0;                        ///< counted from 1
    friend bool operator==(const stored&, const stored&) = default;
};

struct server_counts {
    std::size_t connections = 0;       ///< open now
    std::size_t most_connections = 0;  ///< open at a time, so far
    std::uint64_t connections_ever = 0;
    std::uint64_t messages = 0;
    std::uint64_t octets = 0;  ///< of the content of messages
    std::uint64_t commands = 0;
    std::uint64_t auth_attempts = 0;
    std::uint64_t handshakes = 0;  ///< TLS handshakes that succeeded
    std::uint64_t violations = 0;
    friend bool operator==(const server_counts&, const server_counts&) = default;
};

/// Shared by the sessions of a server and whoever looks at it; every function may be called on any thread. Keeps at
/// most max_notes violations and max_notes commands; all are counted.
class server_state {
public:
    static constexpr std::size_t max_notes = 100'000;

    /// Creates the Maildir if there is to be one; throws error(errc::storage_failed).
    explicit server_state(server_options options);

    const server_options& options() const noexcept { return options_; }

    std::vector<stored> messages() const;
    /// What clients did that they must not do, oldest first; never holds a secret.
    std::vector<std::string> violations() const;
    /// Command lines without CRLF as they came, of all connections; credentials are left out.
    std::vector<std::string> commands() const;
    server_counts counts() const;
    /// Waits until `n` messages have been stored since the start; false if `timeout` passed first. Needs real time.
    bool wait_for(std::size_t n, duration timeout) const;

    /// Behind the others, with a count of its own that starts here.
    void add(fault f);
    void clear_faults();
    /// Forgets messages, violations, commands and counts, but not the connections and faults.
    void clear();

    // For sessions.

    /// A connection began; it ends with the last copy of the handle. `number` counts from 1, `open` are open now.
    struct entry {
        std::shared_ptr<const void> handle;
        std::uint64_t number;
        std::size_t open;
    };
    static entry enter(const std::shared_ptr<server_state>& state);
    /// The fault that is due for this reply; counts it for all that match.
    std::optional<fault> take(phase at, std::string_view argument, bool early = false);
    /// False if it could not be stored; `why` says it.
    bool store(stored message, std::uint64_t octets, std::string& why);
    void violation(std::uint64_t connection, std::string text);
    void command(std::string_view line);
    void auth_attempt();
    void handshake();

private:
    struct armed {
        fault what;
        unsigned seen = 0;
    };

    const server_options options_;
    std::optional<transport::maildir_writer> maildir_;
    mutable std::mutex mutex_;
    mutable std::condition_variable stored_;
    std::vector<armed> faults_;
    std::vector<stored> messages_;
    std::vector<std::string> violations_;
    std::vector<std::string> commands_;
    server_counts counts_;
};

}  // namespace postroad::testing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/testing/impl/server_state.ipp>
#endif

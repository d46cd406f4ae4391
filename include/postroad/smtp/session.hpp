#pragma once
// One ESMTP connection seen from the client, without I/O: octets, events and `now` go in; octets, events and a deadline
// come out. Full duplex: it holds several transactions in flight and matches replies to commands in order.
// See docs/transport.md and docs/sans_io.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/core/secret.hpp>
#include <postroad/message/mail_object.hpp>
#include <postroad/smtp/capabilities.hpp>
#include <postroad/smtp/data.hpp>
#include <postroad/smtp/families.hpp>
#include <postroad/smtp/parameters.hpp>
#include <postroad/smtp/redaction.hpp>
#include <postroad/smtp/reply.hpp>
#include <postroad/smtp/sasl.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postroad::smtp {

/// How much is written without waiting for a reply. Without PIPELINING (RFC 2920) it is always lockstep.
enum class pipelining : unsigned char {
    lockstep,   ///< every command waits: four round trips a message
    envelope,   ///< MAIL, RCPT and DATA together, then the content: two round trips
    across,     ///< the content together with the next MAIL, RCPT and DATA: one round trip
    window,     ///< whole transactions with BDAT behind one another (RFC 3030 section 4.2), as many as
                ///< session_options::window
    automatic,  ///< for each transaction as transaction::ahead says, and no further than the server lets it
};

/// The mode of that name; automatic for any other.
constexpr pipelining pipelining_named(std::string_view name) noexcept {
    return name == "lockstep"   ? pipelining::lockstep
           : name == "envelope" ? pipelining::envelope
           : name == "across"   ? pipelining::across
           : name == "window"   ? pipelining::window
                                : pipelining::automatic;
}

/// What a connection taught about its server.
enum class lesson : unsigned char {
    none,
    no_overlap,     ///< it broke with more than one transaction in flight, or refuses commands that are sent ahead of
                    ///< another's replies: `envelope` is for this server
    no_chunking,    ///< CHUNKING is offered and BDAT is not taken
    no_pipelining,  ///< PIPELINING is offered and the replies to commands sent together did not come, or refuse them
                    ///< as out of order: `lockstep`
    no_tls,         ///< STARTTLS is offered, and neither a reply to it nor the handshake leads to TLS: with
                    ///< security::opportunistic, go in the clear
};

/// How long the server may take (RFC 5321 section 4.5.3.2 names the minimum of each), counted from the last octet sent
/// or the last whole reply; part of a reply moves nothing.
struct timeouts {
    duration opening = std::chrono::minutes(10);  ///< from started() until the session is ready, all steps together
    duration greeting = std::chrono::minutes(5);  ///< within net::dialing::timeout, which is for look-up and so on too
    duration hello = std::chrono::minutes(5);
    duration starttls = std::chrono::minutes(2);  ///< the reply and the handshake
    duration auth = std::chrono::minutes(2);      ///< each step
    duration mail = std::chrono::minutes(5);
    duration rcpt = std::chrono::minutes(5);
    duration data = std::chrono::minutes(2);
    duration block = std::chrono::minutes(3);     ///< while octets wait to be taken
    duration content = std::chrono::minutes(10);  ///< from the end of data to its reply
    duration reset = std::chrono::minutes(5);
    duration quit = std::chrono::seconds(2);  ///< by then everything is accepted: not worth more
    duration drain =
        std::chrono::seconds(5);  ///< for all that is left, once nothing is under way but what was cancelled
};

/// What a session needs to know about its connection.
struct session_options {
    endpoint server = {};
    /// What EHLO says: a domain or an address literal (RFC 5321 section 4.1.1.1). Checked by check_client_name().
    std::string client_name = {};
    smtp::credentials credentials = {};
    /// The credentials come when they are due: the session emits credentials_wanted and waits for an answer. Then
    /// `credentials` have mechanisms at most, for answers that name none.
    bool ask_credentials = false;
    /// Without TLS the credentials are not sent, errc::insecure_authentication, unless this says that they may be. With
    /// security::opportunistic they never go in the clear, and without this only to a server that is verified.
    bool insecure_authentication = false;
    /// `window` needs CHUNKING and `across` PIPELINING; without them it is the next lower that the server allows.
    smtp::pipelining pipelining = smtp::pipelining::envelope;
    /// Most transactions in flight with pipelining::window and automatic; fewer at first, and after refusals.
    std::size_t window = 16;
    /// False: as if the server did not offer CHUNKING, see lesson::no_chunking.
    bool chunking = true;
    /// False, with security::opportunistic: as if the server refused STARTTLS, see lesson::no_tls.
    bool starttls = true;
    /// What is known to be beyond the server is left out while anything else suits the credentials.
    auth_habits auth = {};
    /// Whether a message that is wider than the server takes is re-encoded for it (content::as()); otherwise it is
    /// refused, with errc::eight_bit_unsupported, binary_unsupported or line_too_long.
    bool down_convert = true;
    /// Whether it speaks to servers of strangers, as a relay does: where DSN is not offered the message goes without
    /// its parameters, and no report comes of it (RFC 3461 section 5.2.2); otherwise it is refused.
    bool relays = false;
    /// Most recipients in one transaction; 0: as many as the server's LIMITS say (RFC 9422), else
    /// default_recipients.
    std::size_t recipients_per_transaction = 0;
    smtp::timeouts timeouts = {};
    /// Random and printable, at least 18 octets; needed with credentials only.
    std::string nonce = {};
};

/// How many recipients every server must take in one transaction (RFC 5321 section 4.5.3.1.8).
inline constexpr std::size_t default_recipients = 100;

/// Octets of the text of a reply that an outcome keeps: a server may answer each of many recipients at length.
inline constexpr std::size_t max_kept_reply_text = 2048;

/// Throws `error` (errc::invalid_host_name) unless `name` is a domain or an address literal.
POSTROAD_DECL void check_client_name(std::string_view name);

/// Throws `error` (errc::contradiction) for LMTP on port 25 (RFC 2033 section 5).
POSTROAD_DECL void check_endpoint(const endpoint& e);

/// What is sent in one go: a mail object, to some or all of its recipients.
struct transaction {
    std::uint64_t id = 0;  ///< the caller's name for it
    mail_ptr mail = {};
    std::vector<std::uint32_t> recipients = {};  ///< indices into mail->envelope.recipients; empty: all of them
    /// Asks about the envelope only: MAIL and RCPT, no content. Who would be taken stays `not_attempted`, with the
    /// reply.
    bool dry_run = false;
    /// With pipelining::automatic: how far it may go ahead of the replies to others. What room() says is for `window`;
    /// `across` is for two in flight, and less for one.
    pipelining ahead = pipelining::envelope;

    /// How many recipients that is.
    std::size_t size() const noexcept {
        return recipients.empty() ? mail->envelope.recipients.size() : recipients.size();
    }
};

/// The session may be given transactions.
struct ready {
    bool automatic = false;          ///< it heeds transaction::ahead
    const family* server = nullptr;  ///< what it seems to be, by its greeting; null: nothing known
    auth_habits auth = {};           ///< for session_options::auth of the next one, where logging in taught anything
};

/// A transaction ended. `recipients` are in the order of transaction::recipients; their addresses are left empty, since
/// who submitted it has them.
struct finished {
    std::uint64_t id = 0;
    /// Set when the transaction ended for another reason than replies to it. errc::out_of_sequence: a reply says that a
    /// command came out of order, which is about no message; whom it left `not_attempted` may be sent again at once, on
    /// this connection too.
    error_code error = {};
    diagnostics details = {};
    std::vector<recipient_outcome> recipients = {};
    bool answered = false;  ///< the server replied to its MAIL, or took it in another way
    /// What it taught about the server, while the connection goes on; the event `closed` will say it again.
    smtp::lesson lesson = smtp::lesson::none;
};

/// The connection is over: nothing more is read, and nothing is written but a farewell. The last event.
struct closed {
    error_code error = {};  ///< none after QUIT
    diagnostics details = {};
    smtp::lesson lesson = smtp::lesson::none;  ///< the last one
    std::string lesson_reason = {};            ///< for people: what was withdrawn and why
};

/// AUTH is due: answer with session::credentials() or session::no_credentials(), before timeouts::auth is over.
struct credentials_wanted {
    secret refused_token = {};  ///< the one that was given last and that the server refused: get another; empty: none
};

using event = std::variant<ready, finished, closed, credentials_wanted>;

/// The client's side of one connection, in SMTP or LMTP as endpoint::protocol says. Single-threaded; movable; reads no
/// clock. An interrupted exchange is never continued: after any error the session is over, and reusable() is false.
class session {
public:
    /// `options` are copied where they outlive the handshake. Throws what smtp::check, check_client_name and
    /// check_endpoint throw.
    explicit session(session_options options);

    // What the connection tells.

    /// The greeting must be here by then, whatever timeouts::greeting says: the rest of the time for getting there.
    /// Before started().
    void greet_by(time_point deadline) noexcept { greeting_deadline_ = deadline; }
    /// The wire is up: connected, and TLS is established if it comes first. Waits for the greeting.
    void started(time_point now);
    /// Octets arrived.
    void received(std::string_view bytes, time_point now);
    /// No more octets can come or go: the end of the stream (errc::connection_closed) or what broke it.
    void closed(error_code ec, std::string explanation, time_point now);
    /// TLS is established after wants_tls(). Everything the server said before is forgotten (RFC 3207 section 4.2).
    void secured(time_point now);
    /// Octets that only the two ends of this TLS connection know, such as ("tls-exporter", ...) of RFC 9266, for the
    /// -PLUS mechanisms. Before started() or secured(); without it none of those is used.
    void channel_binding(std::string name, std::string data);
    /// What TLS came to, a tls::facts: told to the observer; with security::opportunistic, credentials are sent only if
    /// it is verified. Before started() or secured().
    template <class Facts>
    void tls_facts(const Facts& f) {
        verified_ = f.verified;
        if (observer_)
            observe_tls(f.version + ' ' + f.cipher + ", certificate of " + f.peer_subject + " by " + f.peer_issuer +
                            " until " + f.peer_expires,
                        f.resumed, f.doubt, f.proof);
    }
    /// deadline() has passed.
    void tick(time_point now);

    // What the connection does.

    /// Fills `parts` with what to write next; returns how many. Valid until the next call that changes the session.
    std::size_t output(std::span<std::string_view> parts) const;
    /// `n` octets of the output were handed to the socket.
    void consumed(std::size_t n, time_point now);
    /// When tick() must be called; `never` while nothing is waited for.
    time_point deadline() const noexcept { return deadline_; }
    /// Octets from now on belong to a TLS handshake, until secured().
    bool wants_tls() const noexcept { return state_ == state::awaiting_tls; }
    /// Over: the socket can be closed. Where the server was in order and the session was not to be, output() is QUIT
    /// (RFC 5321 section 4.1.1.10), to be written if the socket takes it at once.
    bool done() const noexcept { return state_ == state::over; }

    // What the owner does.

    /// How many transactions it takes now without making them wait for an idle server.
    std::size_t room() const noexcept;
    /// How many recipients, and of how many domains, one transaction should name. Known when the session is ready; a
    /// server may refuse some of fewer, with 452, and take them in another transaction (RFC 5321 section 4.5.3.1.10).
    std::size_t max_recipients() const noexcept;
    std::size_t max_domains() const noexcept;
    /// Gives it a transaction. The events `finished` come in the order of submission.
    void submit(transaction t, time_point now);
    /// Ends a transaction early, with errc::cancelled. What was begun is drained where the protocol lets it be undone,
    /// otherwise the session ends. No effect if there is no such transaction.
    void cancel(std::uint64_t id, time_point now);
    /// The answer to credentials_wanted; no effect at any other time. What smtp::check refuses, and no credentials at
    /// all, end the session with errc::invalid_credentials.
    void credentials(smtp::credentials c, time_point now);
    /// The answer when there are none: the session ends with `ec` (errc::credentials_unavailable if it is not set).
    void no_credentials(error_code ec, std::string explanation, time_point now);
    /// Sends QUIT after the last transaction, and ends.
    void quit(time_point now);
    /// The next event, oldest first.
    std::optional<event> poll();

    /// `to` is told what happens from now on, with this number of the connection; it must outlive the session. Null:
    /// nobody is.
    void observe(observer* to, std::uint64_t connection);

    /// Whether another transaction can begin: open, and nothing went wrong.
    bool reusable() const noexcept { return state_ == state::open && !quit_wanted_; }
    const endpoint& peer() const noexcept { return options_.server; }
    /// What the server offers; of the last EHLO.
    const capabilities& server() const noexcept { return capabilities_; }

private:
    enum class state : unsigned char {
        awaiting_start,
        awaiting_greeting,
        awaiting_hello,
        awaiting_helo,
        awaiting_starttls,
        awaiting_tls,
        awaiting_credentials,
        authenticating,
        open,
        quitting,
        over,
    };
    // How far the commands of a transaction are written.
    enum class step : unsigned char { mail, recipients, data, content, written };
    struct active {
        transaction what = {};
        std::vector<recipient_outcome> results = {};
        data_writer writer = {};
        std::optional<content> converted = {};  // goes instead of that of the mail object
        std::size_t next_recipient = 0;
        std::size_t accepted = 0;     // recipients accepted so far
        std::size_t outstanding = 0;  // replies that must still come
        std::size_t answered = 0;     // replies to the content, of which LMTP gives one for each accepted recipient
        error_code error = {};
        diagnostics details = {};
        smtp::lesson lesson = smtp::lesson::none;
        session::step step = step::mail;
        bool mail_answered = false;
        bool mail_accepted = false;
        bool go = false;             // 354 came, or none is needed
        bool content_sent = false;   // the end of data was handed to the socket
        bool cancelled = false;      // its `finished` was already given
        bool chunked = false;        // BDAT, not DATA
        bool broken_off = false;     // its content will not be finished
        bool overlaps = false;       // it began ahead of the replies to another
        bool utf8 = false;           // it needs SMTPUTF8, or
        bool ascii_domains = false;  // its domains as A-labels, for a server without it
    };
    // A reply that must come, for a command whose last octet is the `sent_at`th.
    struct expected {
        phase where = phase::idle;
        std::uint32_t recipient = 0;
        std::uint64_t sent_at = 0;
        time_point since = {};
        pipelining ahead = pipelining::lockstep;  // by which mode it was sent ahead of other replies
    };
    // A reply by which the server takes its leave, while transactions are under way behind it.
    struct farewell {
        error_code error = {};
        phase where = phase::idle;
        std::string explanation;
        reply said = {};
        std::size_t behind = 0;  // the first transaction that it is not about
        bool meant = false;      // nothing came of what is behind
    };
    // What is left to write: commands from commands_, or the content of the oldest transaction that is sending it.
    struct segment {
        bool content = false;
        std::size_t left = 0;
    };

    // A window starts with this many transactions, and a connection ends after so many that were refused whole.
    static constexpr std::size_t first_window = 4;
    static constexpr std::size_t max_refused_in_window = 4;
    // Exim breaks a connection at the eleventh RSET behind a refused transaction, in the clear even where TLS is on.
    static constexpr std::size_t max_refused_by_exim = 8;

    void on_reply(const reply& r);
    void say_hello();
    void on_hello(const reply& r);
    void after_hello();
    void on_starttls(const reply& r);
    void begin_auth();
    void want_credentials(secret refused_token);
    void authenticate();
    std::optional<authenticator> next_exchange(error_code& ec, std::string& why) const;
    void begin_exchange();
    bool try_another(const reply& r);
    bool try_without_initial(const reply& r);
    void on_auth(const reply& r);
    void on_challenge(const reply& r);
    void on_auth_refused(const reply& r);
    std::string rejected_by() const;
    bool takes_tls() const noexcept;
    void learn_about_tls(error_code ec);
    void forget_credentials() noexcept;
    void become_open();
    void on_transaction_reply(const reply& r, const expected& e);
    void on_recipient(active& t, const expected& e, const reply& r);
    void on_data(active& t, const expected& e, const reply& r);
    void on_content(active& t, const reply& r);
    void on_chunk_refused(active& t, const reply& r);
    void refuse(active& t, const expected& e, const reply& r);
    void put_back(active& t, const expected& e, const reply& r, std::span<recipient_outcome> whom);
    smtp::lesson learn_about_order(const expected& e, const reply& r);
    void learn(smtp::lesson l, phase where, std::string why);
    void take_leave(farewell f);
    void leave_in_order();
    void leave();
    void decide(active& t, phase where, const reply& r);
    void decide_next(active& t, const reply& r);
    bool more_replies_due(const expected& e) const noexcept;
    void finish_front();
    bool refuse_locally(active& t);
    std::optional<lack> find_lack(active& t) const;
    void spare_smtputf8(active& t) const;
    std::optional<lack> convert(active& t) const;
    static const content& content_of(const active& t) noexcept {
        return t.converted ? *t.converted : t.what.mail->content;
    }
    bool drains() const noexcept;
    bool may_start() const noexcept;
    void limit_to(smtp::pipelining most) noexcept;
    void write_more();
    void write_mail(active& t);
    void write_recipient(active& t);
    void write_content(active& t);
    void give_up_content(std::size_t i);
    void write_path(const active& t, const address& a);
    void break_off(std::size_t i);
    bool stalled() const noexcept;
    bool lmtp() const noexcept { return options_.server.protocol == protocol::lmtp; }
    void skip_rest(active& t);
    void adapt_window(const active& t);
    std::size_t sending(std::size_t from) const noexcept;
    void say(std::string_view text) { commands_ += text; }
    void command(phase where, std::string_view text, std::uint32_t recipient = 0);
    void give(active& t);
    void leave_undecided(active& t, error_code ec, const diagnostics& d);
    void fail_transactions(error_code ec, const diagnostics& d);
    void fail(error_code ec, phase where, std::string explanation, const reply& r = {});
    void part(error_code ec, phase where, std::string explanation, const reply& r = {});
    bool opening() const noexcept { return state_ != state::awaiting_start && state_ < state::open; }
    phase current_phase() const noexcept;
    void arm(time_point now);
    duration timeout_of(phase p) const noexcept;
    bool verified() const noexcept;
    // What the observer is told, if there is one.
    void note(observation o) const;
    void note_command(phase where) const;
    void note_reply(const reply& r) const;
    void note_decision(phase where, std::string_view text) const;
    void note_pipelining() const;
    void note_tls() const;
    void observe_tls(std::string facts, bool resumed, std::string_view doubt, std::string_view proof);
    std::string host() const { return to_string(options_.server); }

    session_options options_;
    capabilities capabilities_;
    reply_reader replies_;
    std::optional<authenticator> authenticator_;
    std::vector<std::string> unsuited_;  // mechanisms that the server offers and cannot do,
    std::size_t remembered_ = 0;         // of which so many were known before
    bool token_refused_ = false;         // and another one was asked for
    redaction hidden_;                   // for as long as the server speaks
    std::string binding_name_;
    std::string binding_data_;
    std::optional<secret> initial_response_;  // until the server took it
    bool initial_sent_ = false;               // with the command
    bool no_initial_ = false;                 // the server takes none
    std::string commands_;                    // octets of commands: written up to commands_done_,
    std::size_t commands_done_ = 0;           // in segments up to commands_cut_
    std::size_t commands_cut_ = 0;
    std::uint64_t commands_queued_ = 0;  // since the connection began: octets of commands queued, and written
    std::uint64_t commands_sent_ = 0;
    ring<segment> segments_;
    ring<expected> expected_;
    ring<active> transactions_;
    std::size_t writing_ = 0;  // the transaction whose commands are written next
    ring<event> events_;
    time_point deadline_ = never;
    time_point drained_by_ = never;  // while it drains
    time_point opening_deadline_ = never;
    time_point greeting_deadline_ = never;
    state state_ = state::awaiting_start;
    bool secured_ = false;
    std::optional<bool> verified_;  // whether TLS is, as soon as that is known
    bool tls_refused_ = false;
    smtp::pipelining mode_ = smtp::pipelining::lockstep;   // of what is being written
    smtp::pipelining limit_ = smtp::pipelining::lockstep;  // what the server allows of what is wanted
    const family* family_ = nullptr;
    smtp::lesson lesson_ = smtp::lesson::none;
    std::size_t window_now_ = 1;  // grows to options_.window while messages are accepted
    std::string lesson_reason_;
    std::size_t submitted_ = 0;
    std::size_t refused_ = 0;   // transactions refused whole, in a window
    bool exim_ = false;         // the server is one
    bool needs_reset_ = false;  // a transaction was left open on the server
    bool quit_wanted_ = false;
    bool broken_off_ = false;  // nothing is written behind the content that was
    std::optional<farewell> farewell_;
    reply last_refusal_;  // while nothing else came since, and the session is open
    observer* observer_ = nullptr;
    std::uint64_t connection_ = 0;
    std::string server_name_;  // for the observer, like the next
    std::string tls_;
    time_point now_ = {};  // of the call that is under way
};

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/answers.ipp>
#include <postroad/smtp/impl/handshake.ipp>
#include <postroad/smtp/impl/observing.ipp>
#include <postroad/smtp/impl/session.ipp>
#include <postroad/smtp/impl/writing.ipp>
#endif

#pragma once
// The transport axis: where does a message go, and in which protocol? See docs/transport.md.

#include <postroad/core/axis.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/limits.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::transport {

/// What every session offers to the dispatcher, whether or not it needs a wire. The events are those of
/// postroad::smtp::session: `ready` once, `finished` for each transaction, `closed` last.
template <class S>
concept session = requires(S s, const S c, postroad::smtp::transaction t, std::uint64_t id, time_point now) {
    // How many transactions it takes now; 0 before `ready` and after `closed`.
    { c.room() } -> std::same_as<std::size_t>;
    // Begins one. Its end is an event.
    { s.submit(t, now) } -> std::same_as<void>;
    // Ends one early; no effect if there is none of that id.
    { s.cancel(id, now) } -> std::same_as<void>;
    // Ends the session in good order.
    { s.quit(now) } -> std::same_as<void>;
    // (optional, where no wire is needed) s.on_wake(f), a std::function<void()> that may be called on any thread and at
    // any time: then poll() is asked again. Called once, before anything else; see deferred_session.
    // The next event.
    { s.poll() } -> std::same_as<std::optional<postroad::smtp::event>>;
};

/// Where the mail of a domain goes.
struct location {
    /// Equal names mean equal servers and equal demands on them: whoever is equal in that shares connections. A name
    /// whose servers are other than before, while connections to it are open, is refused with errc::policy_failed.
    std::string site = {};
    /// Sites of one provider share limits; empty: it is the site.
    std::string provider = {};
    /// Of the provider; what it is said to bear.
    postroad::limits limits = {};
    /// Sites of one stream share its pace, beside the limits of their providers: a part of the mail, such as that of
    /// one domain in From. Empty: none.
    std::string stream = {};
    rate stream_pace = {};
    /// In any order; endpoint::preference and endpoint::weight say which is used when. At least one.
    std::vector<endpoint> servers = {};
    /// It is asked for anew after this, when mail comes; what is less than a minute away counts as a minute.
    time_point valid_until = never;
};

/// The answer to a question for a location: `where`, or an error. One of condition::permanent ends what goes to that
/// domain; with any other it is asked again after a while.
struct located {
    location where = {};
    error_code error = {};
    std::string why = {};
};

/// Takes the answer, once, on any thread, also from within the question; a second one is dropped, and so is one after
/// the mailer.
using locate_handler = std::function<void(located)>;

/// What earlier connections to a server taught. Each is true for a while after it was learned.
struct lessons {
    bool no_overlap = false;  ///< smtp::lesson::no_overlap, and so on
    bool no_chunking = false;
    bool no_pipelining = false;
    bool no_tls = false;
    postroad::smtp::auth_habits auth = {};

    /// How far a session may go ahead where `wanted` was asked for.
    postroad::smtp::pipelining most(postroad::smtp::pipelining wanted) const noexcept {
        using postroad::smtp::pipelining;
        if (no_pipelining) return pipelining::lockstep;
        return no_overlap ? std::min(wanted, pipelining::envelope) : wanted;
    }
};

/// What a refusal is about: whoever it is, is left alone.
enum class reply_subject : unsigned char {
    recipient,
    message,
    tenant,    ///< what is sent on behalf of the same, to this provider
    source,    ///< the address we come from, at this provider
    provider,  ///< all that goes to it
};

/// What a refusal means, where its code does not say so.
struct reading {
    enum class term : unsigned char { as_said, later, for_good };
    term means = term::as_said;
    reply_subject about = reply_subject::recipient;
    /// How long what it is about is left alone; zero: as the rules for retries say. Those count all the same: the later
    /// one decides.
    duration rest = duration::zero();
    friend bool operator==(const reading&, const reading&) = default;
};

/// Reads more in a refusal than its code says: `refused` has the reply of `host`. Nothing: it means what it says.
template <class T>
concept reads_replies = requires(const T t, const endpoint& host, const recipient_outcome& refused) {
    { t.read_reply(host, refused) } -> std::same_as<std::optional<reading>>;
};

/// Names one place for a message: mail objects of one name share connections and limits.
template <class T>
concept routes_messages = requires(const T t, const envelope& e) {
    { t.route(e) } -> std::convertible_to<std::string_view>;
};
/// Names a place for each recipient, such as its domain: a message for several is divided.
template <class T>
concept routes_recipients = requires(const T t, const envelope& e, const address& to) {
    { t.route(e, to) } -> std::convertible_to<std::string_view>;
};
/// On whose behalf a message is sent, and how urgently: of send_options. And what it says of its own way.
struct sender_facts {
    std::string_view tenant = {};
    std::uint8_t traffic_class = 0;
    /// It is to arrive also where TLS is not as the recipient's domain wants it (RFC 8689 section 3).
    bool tls_not_required = false;
    /// The domain in From, in A-labels and lower case, for transports with by_from_domain(); empty where there is none.
    std::string from_domain = {};
};
/// Says by `by_from_domain()` whether it looks at sender_facts::from_domain: finding it takes time.
template <class T>
concept asks_from_domain = requires(const T t) {
    { t.by_from_domain() } -> std::same_as<bool>;
};
/// The same as routes_recipients for whom it matters who sends; asked in place of that.
template <class T>
concept routes_senders = requires(const T t, const envelope& e, const address& to, const sender_facts& who) {
    { t.route(e, to, who) } -> std::convertible_to<std::string_view>;
};
/// Dials otherwise for some servers than for others; asked in place of dialing().
template <class T>
concept dials_by_server = requires(const T t, const endpoint& to) {
    { t.dialing(to) } -> std::convertible_to<net::dialing>;
};
/// Knows the servers of a place at once and for good.
template <class T>
concept has_hosts = requires(const T t, const std::string& domain) {
    { t.hosts(domain) } -> std::same_as<std::vector<endpoint>>;
};
/// Finds out where a place is, now or later.
template <class T>
concept locates = requires(const T t, const std::string& domain, locate_handler done) {
    { t.locate(domain, done) } -> std::same_as<void>;
};
/// Makes sessions that know what earlier ones taught.
template <class T>
concept heeds_lessons = requires(const T t, const endpoint& host, std::string nonce, const lessons& known) {
    { t.make_session(host, nonce, known) } -> std::same_as<typename T::session_type>;
};

/// A policy of the transport axis. Its functions are called on the mailer's executor, one at a time. What route()
/// returns is read before its next call, and need not live longer.
template <class T>
concept transport_policy = requires(const T t, const endpoint& host, std::string nonce) {
    typename T::session_type;
    // Whether a session's octets go over a connection; otherwise it is given transactions at once.
    { T::needs_wire } -> std::convertible_to<bool>;
    // How a connection to the servers is opened; asked before each.
    { t.dialing() } -> std::convertible_to<net::dialing>;
}
&&(routes_messages<T> ||
   routes_recipients<T>)&&(has_hosts<T> || locates<T>)&&(heeds_lessons<T> ||
                                                         requires(const T t, const endpoint& host, std::string nonce) {
                                                             // A session for one connection to `host`. `nonce` is
                                                             // fresh, random and printable.
                                                             {
                                                                 t.make_session(host, nonce)
                                                                 } -> std::same_as<typename T::session_type>;
                                                         }) &&
    session<typename T::session_type>;

}  // namespace postroad::transport

#pragma once
// The arguments of Mailer as policies.

#include "credentials.hpp"
#include "options.hpp"

#include <postroad/mailer.hpp>
#ifdef POSTROAD_WITH_AMQP
#include <postroad/queueing/amqp.hpp>
#endif
#ifdef POSTROAD_WITH_SQLITE
#include <postroad/queueing/sqlite.hpp>
#endif
#include <postroad/scheduling/fair.hpp>
#include <postroad/transport/mx_url.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::python {

[[noreturn]] inline void refuse_pair(std::string_view one, std::string_view other) {
    throw error(errc::contradiction,
                std::string(one) + " and the argument " + std::string(other) + " speak of the same thing");
}

inline bool holds_credentials(const py::dict& options) {
    for (const auto* name : {"user", "password", "token", "credentials"})
        if (given(options, name)) return true;
    return false;
}

// The option of the URL and the argument, of one thing: which of them counts would be a guess.
inline void refuse_both(const py::dict& options, const transport::url_parts& url) {
    constexpr std::pair<std::string_view, const char*> same[] = {{"auth", "auth"},
                                                                 {"ca", "ca_file"},
                                                                 {"connections", "connections"},
                                                                 {"helo", "client_name"},
                                                                 {"insecure_authentication", "insecure_authentication"},
                                                                 {"pipelining", "pipelining"},
                                                                 {"pool", "connections"},
                                                                 {"recipients", "recipients_per_transaction"},
                                                                 {"window", "window"}};
    for (const auto& [name, value] : url.options) {
        for (const auto& [in_url, argument] : same)
            if (name == in_url && given(options, argument)) refuse_pair("the URL's option \"" + name + '"', argument);
        if (name == "tls" && value == "insecure_no_verify" && given(options, "ca_file"))
            refuse_pair("the URL's option \"tls\"", "ca_file");
    }
    const auto& own = url.credentials;
    const bool only_user = own.password.empty() && !given(options, "user");
    if (holds_credentials(options) && !own.empty() && !only_user)
        throw error(errc::contradiction, "the URL holds credentials, and the arguments too");
    if (given(options, "credentials"))
        for (const auto* secret : {"password", "token"})
            if (given(options, secret)) refuse_pair("the argument credentials", secret);
}

// What the URL says, without its user and mechanisms where the arguments say who authenticates: only together are they
// whole.
inline transport::smtp transport_of(std::string url, const py::dict& options) {
    if (!holds_credentials(options)) return transport::smtp(url);
    const auto authority = url.find("://") + 3;
    if (const auto at = url.find('@', authority); at < url.find_first_of("/?", authority))
        url.erase(authority, at + 1 - authority);
    const auto begin = url.find('?');
    if (begin == std::string::npos) return transport::smtp(url);
    auto kept = url.substr(0, begin);
    for (std::size_t at = begin + 1; at <= url.size();) {
        const auto end = std::min(url.find('&', at), url.size());
        const auto piece = url.substr(at, end - at);
        if (!piece.starts_with("auth=")) kept += (kept.size() == begin ? '?' : '&') + piece;
        at = end + 1;
    }
    return transport::smtp(kept);
}

/// Whether it is the URL of a server, or of mx://, whoever may authenticate there. Throws `error`.
inline void check_url(const std::string& url) {
    if (transport::is_mx_url(url)) return (void)transport::parse_mx_url(url);
    transport::check_options(transport::parse_url(url).options);
    py::dict elsewhere;
    elsewhere["user"] = py::bytes("somebody");
    (void)transport_of(url, elsewhere);
}

inline postroad::smtp::timeouts timeouts_of(duration t, const postroad::smtp::timeouts& usual) {
    return {.opening = std::max(t, usual.opening),
            .greeting = t,
            .hello = t,
            .starttls = t,
            .auth = t,
            .mail = t,
            .rcpt = t,
            .data = t,
            .block = t,
            .content = t,
            .reset = t,
            .quit = std::min(t, usual.quit)};
}

inline transport::smtp_options transport_options(const transport::smtp& from_url, const transport::url_parts& url,
                                                 const py::dict& options) {
    using postroad::smtp::pipelining;
    auto o = from_url.options();
    if (holds_credentials(options)) o.credentials.user = url.credentials.user;
    for (const auto& [name, value] : url.options)
        if (name == "auth") o.credentials.mechanisms = transport::mechanism_list(value);
    take<std::string>(options, "auth",
                      [&](const std::string& v) { o.credentials.mechanisms = transport::mechanism_list(v); });
    take<bool>(options, "insecure_authentication", [&](bool v) { o.insecure_authentication = v; });
    take<std::string>(options, "user", [&](std::string v) { o.credentials.user = std::move(v); });
    take<std::string>(options, "password", [&](std::string v) { o.credentials.password = secret(std::move(v)); });
    take<std::string>(options, "token", [&](std::string v) { o.credentials.token = secret(std::move(v)); });
    take<py::object>(options, "credentials", [&](py::object ask) {
        postroad::smtp::check_fields(o.credentials);
        o.credentials_source = asked_of(std::move(ask), std::exchange(o.credentials, {}));
    });
    take<std::string>(options, "client_name", [&](std::string v) {
        transport::check_options({{"helo", v}});
        o.client_name = std::move(v);
    });
    take<std::string>(options, "pipelining",
                      [&](const std::string& v) { o.pipelining = postroad::smtp::pipelining_named(v); });
    take<std::size_t>(options, "window", [&](std::size_t v) {
        if (o.pipelining != pipelining::window && o.pipelining != pipelining::automatic)
            throw error(errc::contradiction,
                        "the argument window is of use with pipelining=\"window\" and \"automatic\" only");
        o.window = v;
    });
    take<std::size_t>(options, "recipients_per_transaction", [&](std::size_t v) { o.recipients_per_transaction = v; });
    take<bool>(options, "down_convert", [&](bool v) { o.down_convert = v; });
    take<double>(options, "connect_timeout", [&](double v) { o.dialing.timeout = seconds(v); });
    take<double>(options, "reply_timeout", [&](double v) { o.timeouts = timeouts_of(seconds(v), o.timeouts); });
    return o;
}

inline tls::automatic tls_policy(const transport::smtp& from_url, const py::dict& options) {
    auto p = postroad::detail::adjusted(tls::automatic{}, from_url);
    take<std::string>(options, "ca_file", [&](std::string v) { p.options.ca_file = std::move(v); });
    take<std::string>(options, "server_name", [&](std::string v) { p.options.server_name = std::move(v); });
    take<std::string>(options, "key_passphrase", [&](std::string v) {
        if (p.options.certificate_file.empty())
            throw error(errc::contradiction, "the argument key_passphrase is of use with certificate= in the URL only");
        p.options.key_passphrase = secret(std::move(v));
    });
    return p;
}

inline pooling::keep_alive pooled(const py::dict& options, pooling::keep_alive p) {
    take<std::size_t>(options, "connections", [&](std::size_t v) { p.max_connections = v; });
    take<std::size_t>(options, "connections_per_destination", [&](std::size_t v) { p.per_destination = v; });
    take<double>(options, "idle", [&](double v) { p.idle = seconds(v); });
    take<std::size_t>(options, "messages_per_connection", [&](std::size_t v) { p.messages_per_connection = v; });
    return p;
}

inline pooling::keep_alive pooling_policy(const transport::smtp& from_url, const py::dict& options) {
    return pooled(options, postroad::detail::adjusted(pooling::keep_alive{}, from_url));
}

template <class Bounded>
Bounded bounded(const py::dict& options, Bounded b) {
    take<std::size_t>(options, "capacity", [&](std::size_t v) { b.capacity = v; });
    take<bool>(options, "wait_when_full",
               [&](bool v) { b.when_full = v ? queueing::when_full::wait : queueing::when_full::refuse; });
    if constexpr (requires { b.octets; })
        take<std::uint64_t>(options, "capacity_octets", [&](std::uint64_t v) { b.octets = v; });
    if constexpr (requires { b.kept; }) {
        take<double>(options, "kept", [&](double v) { b.kept = std::chrono::ceil<std::chrono::seconds>(seconds(v)); });
        take<bool>(options, "drops_failed", [&](bool drops) {
            if (drops) b.kept = {};
        });
    }
    return b;
}

#ifdef POSTROAD_WITH_SQLITE
inline queueing::sqlite_options sqlite_options_of(const py::dict& options, std::string file) {
    auto o = bounded(options, queueing::sqlite_options{.path = std::move(file)});
    take<double>(options, "keys_kept",
                 [&](double v) { o.keys_kept = std::chrono::ceil<std::chrono::seconds>(seconds(v)); });
    take<std::string>(options, "kept_content", [&](const std::string& v) {
        using queueing::kept_content;
        o.kept_content = v == "header"    ? kept_content::header
                         : v == "nothing" ? kept_content::nothing
                                          : kept_content::whole;
    });
    take<double>(options, "journal_kept",
                 [&](double v) { o.journal_kept = std::chrono::ceil<std::chrono::seconds>(seconds(v)); });
    take<std::size_t>(options, "journal_capacity", [&](std::size_t v) { o.journal_capacity = v; });
    take<bool>(options, "submit_only", [&](bool v) { o.submit_only = v; });
    return o;
}
#endif

#ifdef POSTROAD_WITH_AMQP
inline queueing::amqp_options amqp_options_of(const py::dict& options, std::string url) {
    auto o = bounded(options, queueing::amqp_options{.url = std::move(url)});
    take<std::string>(options, "queue_name", [&](std::string v) { o.name = std::move(v); });
    take<unsigned>(options, "queue_shards", [&](unsigned v) { o.shards = v; });
    take<std::string>(options, "queue_ca_file", [&](std::string v) { o.ca_file = std::move(v); });
    take<bool>(options, "submit_only",
               [&](bool v) { o.role = v ? queueing::amqp_role::submits : queueing::amqp_role::sends; });
    return o;
}
#endif

// Messages a second, one at a time.
// One in 30 years at the least: seconds() has an end.
inline scheduling::rate rate_of(double a_second) { return {1, seconds(std::min(1 / a_second, 1e9))}; }

// In memory somebody waits for each message: it is told at once that a server cannot be reached.
// All messages go to one destination, whose turns need no more than keeps a connection busy.
inline scheduling::fair scheduling_policy(const py::dict& options, const transport::smtp_options& to,
                                          const pooling::keep_alive& pool) {
    using postroad::smtp::pipelining;
    // With `automatic` short turns: a few messages are to spread over connections, not to stand in line on one.
    scheduling::fair p{.burst = to.pipelining == pipelining::window      ? to.window
                                : to.pipelining == pipelining::automatic ? std::min<std::size_t>(to.window, 4)
                                : to.pipelining == pipelining::across    ? 2
                                                                         : 1,
                       .per_destination = pool.max_connections};
    if (!given(options, "queue")) {
        p.retry.attempts = 1;
        p.breaker.failures = 0;
        p.concurrency.first = pool.max_connections;
    }
    take<unsigned>(options, "attempts", [&](unsigned v) { p.retry.attempts = v; });
    take<double>(options, "first_wait", [&](double v) {
        p.retry.unreachable = p.retry.greylisted = p.retry.busy = p.retry.unknown = seconds(v);
    });
    take<double>(options, "longest_wait", [&](double v) { p.retry.longest_wait = seconds(v); });
    take<double>(options, "give_up", [&](double v) { p.retry.give_up = seconds(v); });
    take<double>(options, "late_after", [&](double v) { p.retry.late_after = seconds(v); });
    take<std::vector<unsigned>>(options, "class_weights", [&](std::vector<unsigned> v) { p.weights = std::move(v); });
    take<std::size_t>(options, "most_in_doubt", [&](std::size_t v) { p.most_in_doubt = v; });
    take<double>(options, "destination_pace", [&](double v) { p.pace = rate_of(v); });
    take<double>(options, "pace", [&](double v) { p.mailer_pace = rate_of(v); });
    take<double>(options, "tenant_pace", [&](double v) { p.tenant_pace = rate_of(v); });
    take<std::string>(options, "in_doubt", [&](const std::string& v) {
        if (v == "retry") p.in_doubt = scheduling::retry_after{};
    });
    return p;
}

}  // namespace postroad::python

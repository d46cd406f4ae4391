#pragma once
// Sends mail straight to the servers of each recipient's domain, over any resolver. transport/mx.hpp has it with
// libunbound. See docs/direct.md.

#include <postroad/core/config.hpp>
#include <postroad/core/random.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/net/tls_watch.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/transport/mx_lookup.hpp>
#include <postroad/transport/mx_session.hpp>
#include <postroad/transport/mx_sources.hpp>
#include <postroad/transport/url.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::transport {

/// Named domains that go elsewhere, or nowhere.
struct mx_route {
    /// "example.com"; "*.example.com" for all below it; "*" for all. In any case; international ones in either form.
    std::string domain = {};
    /// A server, as in url.hpp: name, port, how TLS starts, user and password. No options. Or a Maildir on this
    /// machine, maildir:///path, with % as %25, ? as %3F and # as %23: each message is a file there, whoever its
    /// recipients are.
    std::string url = {};
    /// Instead of `url`: why mail for it is refused.
    std::string refusal = {};
};

/// A route whose end is one text: a `url`, or "refuse:" and the `refusal`.
POSTROAD_DECL mx_route route_of(std::string domain, std::string_view to);
/// Throws `error` for one that cannot be used.
POSTROAD_DECL void check(const mx_route& r);

struct mx_options {
    /// What EHLO says. Should be the name that the address we come from has in the DNS, and lead back to it: large
    /// providers refuse others.
    std::string client_name = {};
    /// Names and addresses of this host, besides `client_name` and dialing::local_addresses: when they are among the
    /// servers of a domain, its mail would come back to us (RFC 5321 section 5.1).
    std::vector<std::string> own = {};
    /// The first that fits decides; what fits none is looked up.
    std::vector<mx_route> routes = {};
    /// Servers that share limits, and what they bear; the first that fits decides. Others: by the set of their names.
    provider_rules providers = known_providers();
    /// How many send with these rules and sources, as at one broker: each takes its part of what providers bear and of
    /// what new sources and senders send. Of connections each has one at least.
    unsigned processes = 1;
    /// Of the servers that are looked up. For tests.
    std::uint16_t port = 25;
    /// Whether mail may go to this machine and to private networks, because the DNS of strangers says so.
    bool private_addresses = false;
    /// Whether TLSA records are looked up and obeyed (RFC 7672). Needs a resolver that validates.
    bool dane = true;
    /// What is demanded where neither TLSA records nor a policy do: security::opportunistic, or security::starttls,
    /// which is TLS with a certificate by a CA for the name of the server; much mail does not arrive then.
    security floor = security::opportunistic;
    /// Who finds policies of MTA-STS (RFC 8461), such as net::https_policies; none: they are not looked for.
    net::sts_source policies = {};
    postroad::smtp::pipelining pipelining = postroad::smtp::pipelining::automatic;
    std::size_t window = 16;
    /// Who counts how TLS goes, for reports to domains (RFC 8460). Make it an observer of the mailer, too.
    std::shared_ptr<net::tls_watch> tls_reports = {};
    /// As in smtp_options.
    std::size_t recipients_per_transaction = 0;
    bool down_convert = true;
    postroad::smtp::timeouts timeouts = {};
    net::dialing dialing = {};
    /// Where mail leaves from, instead of dialing::local_addresses; none: wherever the system says.
    std::vector<mx_source> sources = {};
    /// The first that fits decides which of them; what fits none leaves from those without a group.
    std::vector<source_binding> bindings = {};
    /// Domains in From that are new. Their mail has sites and connections of its own; the limits are the provider's.
    std::vector<mx_sender> senders = {};
};

namespace detail {

// Behind the name of a place: mail that says TLS-Required: No.
inline constexpr std::string_view whatever_its_tls = " whatever its TLS";

/// Nothing: it did not fail.
POSTROAD_DECL std::optional<net::policy_failure> reported(const net::sts_finding& f);

// The options, read once.
struct mx_table {
    struct route {
        std::string domain;
        std::optional<url_parts> to;  // of a Maildir with its path as the name
        std::string refusal;
        std::string maildir = {};
    };
    mx_options options;
    mx_sources sources;
    mx_senders senders;
    net::moment started = net::this_moment();
    mx_rules rules;
    mx_rules without_demands;  // of domains: what they say of TLS counts for nothing
    std::vector<route> routes;
    std::uint64_t seed = 0;

    explicit mx_table(mx_options o);
    void name_account(url_parts& to) const;
    /// Throws for what is none.
    static route read(const mx_route& r);
    const route* route_of(std::string_view domain) const noexcept;
    const route* route_to(const endpoint& host) const noexcept;
    /// Of a domain with a route.
    located along(const route& r, const std::string& domain) const;
    std::string domain_of(const address& to) const;
    /// With the source that it leaves from, and the domain that it is from where that is new.
    std::string place_of(const envelope& e, const address& to, const sender_facts& who) const;
    /// What is known of a domain, from one of these sources and of that sender.
    void complete(located& found, std::string_view names, std::string_view group, std::string_view sender) const;
    /// What EHLO says to a server: the name of its source, or of all.
    const std::string& client_name_to(const endpoint& host) const noexcept;
    net::dialing dialing_to(const endpoint& host) const;
    mx_session make_session(const endpoint& host, std::string nonce, const lessons& known) const;
};

}  // namespace detail

/// The servers of a domain by its MX records, asked of `Resolver`. Each recipient goes to its domain; a message for
/// several is divided. TLS is opportunistic, and required and verified by TLSA where there are such records.
template <class Resolver>
class basic_mx {
    static_assert(net::dns_resolver<Resolver>, "postroad: basic_mx needs a model of net::dns_resolver");

public:
    using axis = postroad::axis::transport;
    using session_type = mx_session;
    static constexpr bool needs_wire = true;

    /// Throws `error` for a client name that cannot be sent, a route that cannot be used, or what cannot be dialled.
    explicit basic_mx(mx_options options) : basic_mx(std::move(options), std::make_shared<Resolver>()) {}
    /// Shares a resolver, and its cache.
    basic_mx(mx_options options, std::shared_ptr<Resolver> resolver)
        : policies_(std::make_shared<const net::sts_source>(options.policies)),
          table_(std::make_shared<const detail::mx_table>(std::move(options))),
          resolver_(std::move(resolver)) {}

    /// Without mx_options::policies.
    const mx_options& options() const noexcept { return table_->options; }

    /// The domain in A-labels and lower case.
    std::string route(const envelope& e, const address& to) const { return table_->place_of(e, to, {}); }
    /// The same, and behind " from " the name of its source, if there are any, and behind " for " the domain in From,
    /// if it is new.
    std::string route(const envelope& e, const address& to, const sender_facts& who) const {
        return table_->place_of(e, to, who);
    }
    void locate(const std::string& place, locate_handler done) const {
        std::string_view from = place;
        const bool waived = from.ends_with(detail::whatever_its_tls);
        if (waived) from.remove_suffix(detail::whatever_its_tls.size());
        std::string sender;
        if (const auto at = from.rfind(mx_senders::behalf); at != std::string_view::npos) {
            sender = from.substr(at + mx_senders::behalf.size());
            from = from.substr(0, at);
        }
        const std::string domain(from.substr(0, from.find(mx_sources::from)));
        from.remove_prefix(std::min(domain.size() + mx_sources::from.size(), from.size()));
        if (const auto* r = table_->route_of(domain)) return done(table_->along(*r, domain));
        go_on(std::make_shared<search>(domain, std::string(from), std::move(sender), table_,
                                       waived ? table_->without_demands : table_->rules, policies_, resolver_,
                                       std::move(done)));
    }
    /// By the rules of its provider.
    std::optional<reading> read_reply(const endpoint& host, const recipient_outcome& refused) const {
        return transport::read_reply(table_->options.providers, host.name, refused.reply);
    }
    bool by_from_domain() const noexcept { return !table_->senders.empty(); }
    const net::dialing& dialing() const noexcept { return table_->options.dialing; }
    net::dialing dialing(const endpoint& host) const { return table_->dialing_to(host); }
    session_type make_session(const endpoint& host, std::string nonce, const lessons& known = {}) const {
        return table_->make_session(host, std::move(nonce), known);
    }

private:
    // A search for one domain. Answers come on any thread, and do not keep alive who gives them.
    struct search {
        search(const std::string& d, std::string from, std::string who, std::shared_ptr<const detail::mx_table> t,
               const mx_rules& rules, std::weak_ptr<const net::sts_source> p, std::weak_ptr<Resolver> r,
               locate_handler h)
            : domain(d),
              sources(std::move(from)),
              sender(std::move(who)),
              table(std::move(t)),
              policies(std::move(p)),
              resolver(std::move(r)),
              done(std::move(h)),
              counts(&rules == &table->rules),
              state(d, rules, table->seed) {}

        // The next question; without one, whom to tell what was found, if it is over.
        std::optional<mx_lookup::question> next(locate_handler& over, located& found) {
            const std::scoped_lock lock(mutex);
            auto q = state.poll();
            if (q || !state.done() || waits_for_policy || !done) return q;
            over = std::exchange(done, nullptr);
            found = state.result();
            return q;
        }
        // Once it is over: what is to be reported.
        std::vector<net::policy_failure> failures() const {
            auto all = state.failures();
            if (trouble) all.push_back(*trouble);
            return all;
        }
        // Whether the policy is to be asked for now; once.
        bool wants_policy() {
            const std::scoped_lock lock(mutex);
            if (!state.sts() || policy_asked) return false;
            return waits_for_policy = policy_asked = true;
        }
        void policy_found(net::sts_finding f) {
            const std::scoped_lock lock(mutex);
            waits_for_policy = false;
            policy = f.policy;
            trouble = detail::reported(f);
            if (f.policy) state.enforce(*std::move(f.policy));
        }
        void answered(const mx_lookup::question& q, net::dns_answer a) {
            const std::scoped_lock lock(mutex);
            state.answered(q, std::move(a));
        }

        std::string domain;
        std::string sources;  // that its mail may leave from, as its place has them
        std::string sender;   // that it is for, likewise
        std::shared_ptr<const detail::mx_table> table;
        std::weak_ptr<const net::sts_source> policies;
        std::weak_ptr<Resolver> resolver;
        std::mutex mutex;
        bool policy_asked = false;
        bool waits_for_policy = false;
        std::optional<net::sts_policy> policy;
        std::optional<net::policy_failure> trouble;  // of finding it
        locate_handler done;
        bool counts;  // for reports on what the domain demands
        mx_lookup state;
    };

    static void go_on(const std::shared_ptr<search>& s) {
        if (s->wants_policy()) ask_policy(s);
        const auto resolver = s->resolver.lock();
        locate_handler over;
        located found;
        while (const auto q = s->next(over, found)) {
            if (!resolver) return;  // the mailer is gone, and with it whoever waits
            try {
                resolver->ask(q->name, q->type, [s, q = *q](net::dns_answer a) {
                    s->answered(q, std::move(a));
                    go_on(s);
                });
            } catch (...) {
                s->answered(*q, {.why = thrown().details.explanation});
            }
        }
        if (!over) return;
        if (const auto& watch = s->table->options.tls_reports; watch && s->counts) {
            watch->failed(s->domain, s->policy, s->failures());
            if (!found.error) watch->located(s->domain, found.where.servers, s->policy);
        }
        s->table->complete(found, s->sources, s->state.group(), s->sender);
        over(std::move(found));
    }

    static void ask_policy(const std::shared_ptr<search>& s) {
        const auto found = [s](net::sts_finding f) {
            s->policy_found(std::move(f));
            go_on(s);
        };
        const auto policies = s->policies.lock();
        if (!policies) return;  // the mailer is gone, and with it whoever waits
        try {
            (*policies)(s->domain, *s->state.sts(), found);
        } catch (...) {
            s->policy_found(std::nullopt);
        }
    }

    std::shared_ptr<const net::sts_source> policies_;
    std::shared_ptr<const detail::mx_table> table_;
    std::shared_ptr<Resolver> resolver_;
};

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/mx_transport.ipp>
#endif

#pragma once
// Finds out why mail does not arrive that goes without a relay: what the DNS says of each recipient's domain, what it
// demands, each of its servers up to the recipients, and what large receivers look at in the sender. Nothing is sent.
// See docs/direct.md.

#include <postroad/diagnose.hpp>
#include <postroad/net/dns.hpp>
#include <postroad/transport/mx_transport.hpp>
#include <postroad/transport/sender_domain.hpp>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postroad {

/// What is known of the mail that is to go.
struct direct_mail {
    /// In From; empty: diagnose_options::from.
    std::string from = {};
    std::vector<dkim_signature> signatures = {};
    /// Of a message like those: its fields are looked at.
    std::string header = {};
};

/// A resolver whose answers are waited for.
template <net::dns_resolver Resolver>
transport::dns_lookup waiting_for(std::shared_ptr<Resolver> resolver) {
    return [resolver = std::move(resolver)](const std::string& name, net::record_type type) {
        const auto answer = std::make_shared<std::promise<net::dns_answer>>();
        resolver->ask(name, type, [answer](net::dns_answer a) { answer->set_value(std::move(a)); });
        return answer->get_future().get();
    };
}

/// Steps of the domains of `how.to`, then of their servers in the order in which mail tries them, then of the sender.
/// What is found about the sender is graded, but is no error of the diagnosis. Blocks until that is done. Throws
/// `error` for an address or an option that is wrong.
template <tls::tls_policy Tls = tls::automatic>
diagnosis diagnose(const transport::mx_options& options, const transport::dns_lookup& ask, const diagnose_options& how,
                   const direct_mail& mail = {}, const Tls& tls = {});

namespace detail {

/// One domain: its steps, and where its mail goes.
class domain_examination {
public:
    domain_examination(const transport::detail::mx_table& table, const net::sts_source& policies,
                       const transport::dns_lookup& ask, diagnosis& to)
        : table_(table), policies_(policies), ask_(ask), to_(to) {}

    POSTROAD_DECL transport::location run(const std::string& domain);
    /// Of sources, that a rule names for the provider of that domain.
    const std::string& group() const noexcept { return group_; }

private:
    void step(grade how, std::string text, std::string advice = {});
    void policy(transport::mx_lookup& lookup);
    void told(const transport::mx_lookup::question& q, const net::dns_answer& a);
    void chosen(const transport::location& where);
    bool strips_signatures();

    const transport::detail::mx_table& table_;
    const net::sts_source& policies_;
    const transport::dns_lookup& ask_;
    diagnosis& to_;
    std::string domain_;
    std::string group_;
    time_point last_ = {};
    std::optional<bool> strips_ = {};
};

/// The steps of look_at_sender().
POSTROAD_DECL void examine_sender(const transport::detail::mx_table& table, const transport::dns_lookup& ask,
                                  const diagnose_options& how, const direct_mail& mail, const endpoint& server,
                                  diagnosis& to);
/// For one server of a domain, or of a route, from its source.
POSTROAD_DECL transport::smtp as_server(const transport::detail::mx_table& table, const endpoint& server);
/// The source that mail of `how.from` to the first of these recipients leaves from, to servers whose provider has a
/// rule for `group`; empty without sources.
POSTROAD_DECL std::string source_of(const transport::detail::mx_table& table, const diagnose_options& how,
                                    const std::vector<endpoint>& servers, std::string_view group = {});
POSTROAD_DECL diagnose_options only_to(const diagnose_options& how, const std::string& domain,
                                       const transport::detail::mx_table& table);
/// Each domain of the recipients, once.
POSTROAD_DECL std::vector<std::string> domains_of(const diagnose_options& how,
                                                  const transport::detail::mx_table& table);

}  // namespace detail

template <tls::tls_policy Tls>
diagnosis diagnose(const transport::mx_options& options, const transport::dns_lookup& ask, const diagnose_options& how,
                   const direct_mail& mail, const Tls& tls) {
    const transport::detail::mx_table table(options);
    diagnosis d;
    endpoint server;  // the first that was found
    for (const auto& domain : detail::domains_of(how, table)) {
        const auto some = detail::only_to(how, domain, table);
        const auto trial = detail::trial(some);
        detail::domain_examination seen(table, options.policies, ask, d);
        auto where = seen.run(domain);
        const auto source = detail::source_of(table, some, where.servers, seen.group());
        for (auto& to : where.servers) {
            if (const auto* r = table.route_to(to); r && !r->maildir.empty()) continue;  // nobody is to be asked
            to.source = source;
            if (server.addresses.all.empty()) server = to;
            detail::examiner e(to, how.also, clock::now(), detail::whose_server::strangers);
            const auto hasty = detail::impatient(detail::as_server(table, to), how.patience);
            detail::examine(hasty, tls, trial, to, e);
            e.move_into(d);
        }
    }
    if (server.source.empty()) server.source = detail::source_of(table, how, {});
    detail::examine_sender(table, ask, how, mail, server, d);
    return d;
}

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/impl/diagnose_direct.ipp>
#endif

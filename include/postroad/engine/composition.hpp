#pragma once
// The five policies of a mailer from those that were given, in any order, and from what a URL says. See
// docs/policies.md.

#include <postroad/core/axis.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/number.hpp>
#include <postroad/pooling/keep_alive.hpp>
#include <postroad/queueing/memory.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/tls/policies.hpp>
#include <postroad/transport/smtp.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace postroad {

template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
class basic_mailer;

namespace detail {

template <class Axis, class Default, class... Ps>
struct pick {
    using type = Default;
    static constexpr int count = 0;
};
template <class Axis, class Default, class P, class... Ps>
struct pick<Axis, Default, P, Ps...> {
    using rest = pick<Axis, Default, Ps...>;
    static constexpr bool here = requires { requires std::is_same_v<typename P::axis, Axis>; };
    using type = std::conditional_t<here, P, typename rest::type>;
    static constexpr int count = rest::count + here;
};

// Options of a URL that belong to the tls axis.
inline constexpr std::string_view tls_option_names[] = {"ca", "certificate", "crl", "key", "pin", "tls"};

// A default policy, with what the URL of the transport says about its axis.
template <class Transport>
tls::automatic adjusted(tls::automatic p, const Transport& t) {
    if constexpr (requires { t.other_options(); })
        for (const auto& [name, value] : t.other_options()) {
            if (name == "ca") (value.ends_with('/') ? p.options.ca_path : p.options.ca_file) = value;
            if (name == "crl") p.options.crl_file = value;
            if (name == "certificate") p.options.certificate_file = value;
            if (name == "key") p.options.key_file = value;
            if (name == "tls" && value == "insecure_no_verify") p.options.verify = tls::verification::insecure_none;
            if (name == "pin")
                for (std::size_t from = 0; from <= value.size();) {
                    const auto comma = std::min(value.find(',', from), value.size());
                    p.options.pins.push_back(value.substr(from, comma - from));
                    from = comma + 1;
                }
        }
    return p;
}
template <class Transport>
pooling::keep_alive adjusted(pooling::keep_alive p, const Transport& t) {
    if constexpr (requires { t.other_options(); })
        for (const auto& [name, value] : t.other_options())
            if (name == "connections")
                p.max_connections = postroad::detail::whole_number<std::size_t>(value).value_or(p.max_connections);
    return p;
}
template <class P, class Transport>
P adjusted(P p, const Transport&) {
    return p;
}

// An option of the URL and a policy given by value, of one axis: which of them counts would be a guess.
template <class Transport>
void refuse_both(const Transport& t, std::string_view option, bool policy_given) {
    if constexpr (requires { t.other_options(); })
        for (const auto& entry : t.other_options())
            // How TLS starts is in the endpoint; a policy may stand beside that.
            if (policy_given && entry.first == option && (option != "tls" || entry.second == "insecure_no_verify"))
                throw error(errc::contradiction, "the URL's option \"" + std::string(option) +
                                                     "\" and a policy given to the mailer speak of the same thing");
}

// The five policies from those that were given, of any axis and in any order.
template <class... Ps>
struct five {
    template <class Axis, class Default>
    using at = typename pick<Axis, Default, Ps...>::type;
    template <class Axis>
    static constexpr int given = pick<Axis, void, Ps...>::count;

    using transport_type = at<axis::transport, transport::smtp>;
    using tls_type = at<axis::tls, tls::automatic>;
    using pooling_type = at<axis::pooling, pooling::keep_alive>;
    using queueing_type = at<axis::queueing, queueing::memory>;
    using scheduling_type = at<axis::scheduling, scheduling::fifo>;
    using base = basic_mailer<transport_type, tls_type, pooling_type, queueing_type, scheduling_type>;

    std::tuple<Ps...> policies;
    std::optional<transport_type> from_url = {};

    transport_type transport() {
        if constexpr (given < axis::transport >> 0)
            return std::get<transport_type>(std::move(policies));
        else
            return *std::move(from_url);
    }
    template <class Axis, class P>
    P take(const transport_type& t) {
        if constexpr (given < Axis >> 0)
            return std::get<P>(std::move(policies));
        else
            return adjusted(P{}, t);
    }
    base make(auto&&... executor) {
        auto t = transport();
        for (const auto name : tls_option_names) refuse_both(t, name, given<axis::tls> > 0);
        refuse_both(t, "connections", given<axis::pooling> > 0);
        auto s = take<axis::tls, tls_type>(t);
        auto p = take<axis::pooling, pooling_type>(t);
        return base(std::forward<decltype(executor)>(executor)..., std::move(t), std::move(s), std::move(p),
                    take<axis::queueing, queueing_type>(t), take<axis::scheduling, scheduling_type>(t));
    }
};

// Policies that are named by their types alone.
template <class... Ps>
five<Ps...> by_default(std::string_view url) {
    constexpr bool made = (std::is_default_constructible_v<Ps> && ...);
    static_assert(made,
                  "postroad: a policy that is only named needs a default constructor; give it by value "
                  "(docs/mailer.md)");
    // When one is wrong, the one error is ours.
    if constexpr (made)
        return {std::tuple<Ps...>{}, transport::smtp(url)};
    else
        throw error(errc::contradiction, "");
}

// Policies behind a URL.
template <class... Ps>
five<Ps...> behind_url(std::string_view url, Ps... ps) {
    constexpr bool alone = five<Ps...>::template given<axis::transport> == 0;
    static_assert(alone, "postroad: a URL and a transport policy; give the URL to the policy (docs/mailer.md)");
    if constexpr (alone)
        return {{std::move(ps)...}, transport::smtp(url)};
    else
        throw error(errc::contradiction, "");
}

// Whether they may stand behind a URL.
template <class... Ps>
inline constexpr bool all_policies = sizeof...(Ps) > 0 && (policy<Ps> && ...);

}  // namespace detail

}  // namespace postroad

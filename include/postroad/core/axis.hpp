#pragma once
// The five questions that a mailer is composed from. A policy names its own: `using axis = postroad::axis::tls;`.

#include <type_traits>

namespace postroad {

/// One tag per axis. See docs/policies.md.
namespace axis {
struct transport {};   ///< where does a message go, and in which protocol?
struct tls {};         ///< how is the wire protected?
struct pooling {};     ///< which connection carries it?
struct queueing {};    ///< what happens to it between submit and outcome?
struct scheduling {};  ///< what goes next, how fast, and when again?
}  // namespace axis

namespace detail {
template <class T>
inline constexpr bool is_axis =
    std::is_same_v<T, axis::transport> || std::is_same_v<T, axis::tls> || std::is_same_v<T, axis::pooling> ||
    std::is_same_v<T, axis::queueing> || std::is_same_v<T, axis::scheduling>;

template <class P>
concept has_axis = requires {
    typename P::axis;
};
}  // namespace detail

/// A type that names its axis. Another type of that name is refused: the policy would be one of no axis, and the
/// default would stand in its place.
template <class P>
concept policy = detail::has_axis<P> && detail::is_axis<typename P::axis>;

}  // namespace postroad

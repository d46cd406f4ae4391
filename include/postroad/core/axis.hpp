#pragma once
// The five questions that a mailer is composed from. A policy names its own: `using axis = postroad::axis::tls;`.

namespace postroad {

/// One tag per axis. See docs/policies.md.
namespace axis {
struct transport {};   ///< where does a message go, and in which protocol?
struct tls {};         ///< how is the wire protected?
struct pooling {};     ///< which connection carries it?
struct queueing {};    ///< what happens to it between submit and outcome?
struct scheduling {};  ///< what goes next, how fast, and when again?
}  // namespace axis

/// A type that names its axis.
template <class P>
concept policy = requires {
    typename P::axis;
};

}  // namespace postroad

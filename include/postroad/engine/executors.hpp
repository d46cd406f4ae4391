#pragma once
// Where a mailer runs: on a thread of its own, or in a strand of the executor that it was given.

#include <postroad/core/config.hpp>
#include <postroad/net/executor.hpp>

#include <memory>

namespace postroad {

namespace detail {

struct own_thread;

/// Begins a thread that runs a context. It ends with the last who holds it.
POSTROAD_DECL std::shared_ptr<own_thread> begin_thread();
POSTROAD_DECL asio::any_io_executor executor_of(const own_thread& t);

/// Itself, if only one at a time runs on it, or else a strand over it.
POSTROAD_DECL asio::any_io_executor in_strand(const asio::any_io_executor& e);
/// Whether the calling thread is one that runs the mailer.
POSTROAD_DECL bool runs_on(const asio::any_io_executor& base);

}  // namespace detail

/// The executor of a context that one thread runs, never two at a time: a mailer on it needs no strand, which is up to
/// a tenth of the CPU time of a message.
POSTROAD_DECL asio::any_io_executor one_thread(asio::io_context& context);

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/executors.ipp>
#endif

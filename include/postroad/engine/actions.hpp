#pragma once
// What a dispatcher wants to be done: the runtime does it, or a simulator. And how far it is to go.

#include <postroad/engine/domains.hpp>
#include <postroad/engine/sites.hpp>
#include <postroad/queueing/job.hpp>
#include <postroad/smtp/session.hpp>
#include <postroad/transport/policy.hpp>

#include <memory>
#include <string>
#include <variant>

namespace postroad::engine {

/// How far a cancellation may go.
enum class cancel_kind : unsigned char {
    if_waiting,  ///< only while nothing of it has been given to a connection
    at_once,     ///< also within a transaction; what had left whole is then in doubt
};

/// Open a connection to `to`; its session's events come back under `id`.
struct open_connection {
    connection_id id = 0;
    endpoint to = {};
    transport::lessons known = {};
};
/// Give a transaction to a connection.
struct transmit {
    connection_id id = 0;
    smtp::transaction what = {};
};
/// Cancel a transaction that a connection has.
struct interrupt {
    connection_id id = 0;
    job_id job = 0;
};
/// Let a connection end in good order.
struct quit_connection {
    connection_id id = 0;
};
/// Ask the transport where a domain is; the answer comes back under `id`.
struct ask_location {
    question_id id = 0;
    std::string domain = {};
};
/// Tell who waits for it: this job is over.
struct complete {
    std::unique_ptr<job> what = {};
};

using action = std::variant<open_connection, transmit, interrupt, quit_connection, ask_location, complete>;

}  // namespace postroad::engine

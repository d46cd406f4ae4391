// Members that look like optional ones of a policy, but could never be called as these are.
// expect FOUND_DEAD: postroad: the pooling policy's found_dead would never be called: void found_dead(
// expect HUNG_UP: postroad: the pooling policy's hung_up would never be called: void hung_up(
// expect DRAINING: postroad: the pooling policy's draining would never be called: void draining(
// expect POOL_FORGET: postroad: the pooling policy's forget would never be called: time_point forget(
// expect WARM: postroad: the pooling policy's warm is no number: std::size_t warm
// expect RIPE: postroad: the scheduling policy's ripe would never be called: std::optional<host_id> ripe(
// expect SIGNAL: postroad: the scheduling policy's signal would never be called: void signal(
// expect SHED: postroad: the scheduling policy's shed would never be called: std::optional<job_id> shed(
// expect MAY_GO_AT: postroad: the scheduling policy's may_go_at would never be called: time_point may_go_at(
// expect LEFT_ALONE: postroad: the scheduling policy's left_alone_until would never be called: time_point
// expect FORGET: postroad: the scheduling policy's forget would never be called: time_point forget(
// expect LOOK_AHEAD: postroad: the scheduling policy's look_ahead is no number: std::size_t look_ahead
// expect FOUR_TURNS: postroad: the scheduling policy has some of turn, begin, end, hold and unhold, but not all
// expect ONE_TURN: postroad: the scheduling policy has some of turn, begin, end, hold and unhold, but not all
// expect DIVIDE: postroad: the queueing policy's divide would never be called: void divide(
// expect OVERDUE: postroad: the queueing policy's overdue would never be called: std::vector<job> overdue(
// expect REVOKED: postroad: the queueing policy's revoked would never be called: void revoked(
// expect LOST: postroad: the queueing policy's lost would never be called: void lost(
// expect LEAVES: postroad: the queueing policy's leaves would never be called: bool leaves(
// expect LEFT: postroad: the queueing policy's left would never be called: void left(
// expect STORAGE_LOST: postroad: the queueing policy's storage_lost would never be called: std::string storage_lost(
// expect OPERABLE: postroad: the queueing policy has some of list, count, retry_now, hold, keep and drop, but not all
// expect DURABLE: postroad: is_durable of the queueing policy is true, but it lacks something of
// expect ON_WAKE: postroad: the session's on_wake would never be called: void on_wake(
// expect IS_HERE: postroad: the session's is_here would never be called: bool is_here(
// expect OBSERVE: postroad: the session's observe would never be called: void observe(
// expect MAX_RECIPIENTS: postroad: the session's max_recipients would never be called: std::size_t max_recipients(
// expect MAX_DOMAINS: postroad: the session's max_domains would never be called: std::size_t max_domains(
// expect GREET_BY: postroad: the session's greet_by would never be called: void greet_by(
// expect CHANNEL_BINDING: postroad: the session's channel_binding would never be called: void channel_binding(
// expect TLS_FACTS: postroad: the session's tls_facts would never be called: void tls_facts(
#include <postroad/net/link.hpp>
#include <postroad/pooling/keep_alive.hpp>
#include <postroad/pooling/traits.hpp>
#include <postroad/queueing/direct.hpp>
#include <postroad/queueing/traits.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/scheduling/traits.hpp>
#include <postroad/tls/insecure_none.hpp>
#include <postroad/transport/traits.hpp>

using namespace postroad;
using pooling::connection_id, pooling::place, scheduling::host_event, scheduling::host_id;

struct pool : pooling::keep_alive {
#ifdef FOUND_DEAD
    void found_dead(connection_id) {}
#endif
#ifdef HUNG_UP
    void hung_up(time_point, connection_id) {}
#endif
#ifdef DRAINING
    int draining(connection_id) { return 0; }
#endif
#ifdef POOL_FORGET
    void forget(place, time_point) {}
#endif
#ifdef WARM
    std::size_t warm() const { return 1; }
#endif
};

struct scheduler : scheduling::fifo {
#ifdef RIPE
    std::optional<host_id> ripe() { return {}; }
#endif
#ifdef SIGNAL
    void signal(place, host_event, time_point) {}
#endif
#ifdef SHED
    job_id shed(place) { return 0; }
#endif
#ifdef MAY_GO_AT
    time_point may_go_at(const job&, place, time_point) const { return {}; }
#endif
#ifdef LEFT_ALONE
    bool left_alone_until(place) const { return false; }
#endif
#ifdef FORGET
    bool forget(host_id) { return true; }
#endif
#ifdef LOOK_AHEAD
    const char* look_ahead = "all";
#endif
#if defined(FOUR_TURNS) || defined(ONE_TURN)
    std::optional<host_id> turn(time_point) { return {}; }
#endif
#ifdef FOUR_TURNS
    void begin(place, time_point) {}
    void end(place, time_point) {}
    void hold(place) {}
#endif
};

struct queue : queueing::direct {
#ifdef DIVIDE
    void divide(job&&, job&&) {}
#endif
#ifdef OVERDUE
    std::vector<job> overdue(job_id) { return {}; }
#endif
#ifdef REVOKED
    std::vector<job_id> revoked() { return {}; }
#endif
#ifdef LOST
    void lost() {}
#endif
#ifdef LEAVES
    void leaves() {}
#endif
#ifdef LEFT
    void left(job_id) {}
#endif
#ifdef STORAGE_LOST
    bool storage_lost() const { return true; }
#endif
#ifdef DURABLE
    static constexpr bool is_durable = true;
#endif
#ifdef OPERABLE
    void count(time_point, queueing::queue_counts&) const {}
#endif
};

struct bare {
    void started(time_point) {}
    void received(std::string_view, time_point) {}
    void closed(error_code, std::string, time_point) {}
    void secured(time_point) {}
    void tick(time_point) {}
    std::size_t output(std::span<std::string_view>) const { return 0; }
    void consumed(std::size_t, time_point) {}
    time_point deadline() const { return never; }
    bool wants_tls() const { return false; }
    bool done() const { return true; }
#ifdef ON_WAKE
    void on_wake() {}
#endif
#ifdef IS_HERE
    void is_here() const {}
#endif
#ifdef OBSERVE
    void observe(observer&, std::uint64_t) {}
#endif
#ifdef MAX_RECIPIENTS
    std::optional<std::size_t> max_recipients() const { return 1; }
#endif
#ifdef MAX_DOMAINS
    std::size_t max_domains(time_point) const { return 1; }
#endif
#ifdef GREET_BY
    void greet_by(duration) {}
#endif
#ifdef CHANNEL_BINDING
    void channel_binding(std::string) {}
#endif
#ifdef TLS_FACTS
    void tls_facts(bool) {}
#endif
};

template class net::link<bare, tls::insecure_none::engine_type>;
template struct transport::session_traits<bare>;
template struct pooling::pooling_traits<pool>;
template struct scheduling::scheduling_traits<scheduler>;
template struct queueing::queueing_traits<queue>;

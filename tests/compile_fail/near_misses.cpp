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
#include <postroad/pooling/keep_alive.hpp>
#include <postroad/pooling/traits.hpp>
#include <postroad/queueing/direct.hpp>
#include <postroad/queueing/traits.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/scheduling/traits.hpp>

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

template struct pooling::pooling_traits<pool>;
template struct scheduling::scheduling_traits<scheduler>;
template struct queueing::queueing_traits<queue>;

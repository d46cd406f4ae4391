#pragma once
// Jobs that wait at the broker for somebody: held ones, those in doubt, and what failed.

#include <postroad/queueing/failed.hpp>
#include <postroad/queueing/impl/amqp_form.ipp>
#include <postroad/queueing/impl/amqp_look.ipp>
#include <postroad/queueing/inspection.hpp>
#include <postroad/queueing/stored_job.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

/// Over a connection of its own, which is made when it is needed first, and stays. Called on any thread; one looks at a
/// time. Whatever the broker does not answer in time is done without.
class amqp_parked {
public:
    explicit amqp_parked(const amqp_options& o)
        : names_(o.name), broker_(amqp_broker(o)), shards_(o.shards), patience_(o.patience) {}
    amqp_parked(const amqp_parked&) = delete;
    amqp_parked& operator=(const amqp_parked&) = delete;

    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) {
        walk(which, [&](found& f, amqp_look::step&) {
            if (out.size() < limit) out.push_back(described(f, now));
            return out.size() < limit ? amqp_look::next::more : amqp_look::next::enough;
        });
    }
    void count(queue_counts& counts) {
        look([&](amqp_look& at) {
            for (const auto state : states)
                counts.by_state[static_cast<std::size_t>(state)] += at.depth(queue_of(state));
        });
    }
    std::size_t retry_now(const job_filter& which) {
        return walk(which, [&](found& f, amqp_look::step& s) {
            if (!f.is_mail()) return amqp_look::next::more;
            auto& m = f.message;
            if (f.state == job_state::failed) begin_anew(f);
            m.headers.erase("not_before");
            m.headers.erase("postroad_interrupted");
            amqp_next_step(m);
            amqp_strip(m);
            s = {amqp_look::step::kind::moves, names_.exchange(),
                 std::to_string(amqp_shard(f.what.mail->envelope, shards_))};
            return after_one(which);
        });
    }
    /// Appends what is gone.
    void drop(const job_filter& which, std::vector<job>& gone) {
        walk(which, [&](found& f, amqp_look::step& s) {
            s.what = amqp_look::step::kind::goes;
            gone.push_back(std::move(f.what));
            return after_one(which);
        });
    }
    /// The same of those of these ids that are held or in doubt.
    void drop(const std::unordered_set<job_id>& ids, std::vector<job>& gone) {
        for (const auto state : {job_state::held, job_state::in_doubt})
            walk({.state = state}, [&](found& f, amqp_look::step& s) {
                if (!ids.contains(f.what.id)) return amqp_look::next::more;
                s.what = amqp_look::step::kind::goes;
                gone.push_back(std::move(f.what));
                return amqp_look::next::more;
            });
    }
    /// Keeps the connection alive; often, on whichever thread.
    void tend() noexcept {
        const std::scoped_lock lock(mutex_);
        if (looking_ || !standing_.link) return;
        try {
            // Nothing comes while nobody looks.
            if (standing_.link->next().what != amqp_event::kind::nothing) standing_.link.reset();
        } catch (const std::exception&) {
            standing_.link.reset();
        }
    }
    void close() noexcept {
        const std::scoped_lock lock(mutex_);
        if (looking_ || !standing_.link) return;
        standing_.link->close();
        standing_.link.reset();
    }

    /// A message as it is kept when its job has failed.
    static void mark_failed(amqp_message& m, std::string reason, both_clocks now) {
        using seconds = std::chrono::seconds;
        m.headers["postroad_reason"] = std::move(reason);
        m.headers["postroad_failed"] =
            static_cast<std::int64_t>(std::chrono::floor<seconds>(now.wall.time_since_epoch()).count());
    }

private:
    static constexpr job_state states[] = {job_state::held, job_state::in_doubt, job_state::failed};

    struct found {
        job what;
        job_state state;
        amqp_message& message;
        /// Else it is something that somebody published, or that was too large to be kept whole, and cannot be sent.
        bool is_mail() const { return !what.mail->envelope.recipients.empty() && !message.body.empty(); }
    };

    std::string queue_of(job_state s) const {
        return s == job_state::held ? names_.held() : s == job_state::in_doubt ? names_.in_doubt() : names_.failed();
    }
    static amqp_look::next after_one(const job_filter& which) noexcept {
        return which.id ? amqp_look::next::enough : amqp_look::next::more;
    }
    static bool means(const job_filter& which, job_state s) {
        if (which.state) return *which.state == s;
        return s != job_state::failed || which.id || which.whole;
    }
    static std::string header(const amqp_message& m, std::string_view name) {
        const auto h = m.headers.find(name);
        const auto* text = h == m.headers.end() ? nullptr : std::get_if<std::string>(&h->second);
        return text ? *text : std::string();
    }

    static job_info described(const found& f, time_point now) {
        auto info = queueing::describe(f.what, f.state, now);
        if (f.state != job_state::failed) return info;
        if (info.error.empty()) info.error = escaped(header(f.message, "postroad_reason"), 1000);
        const auto at = f.message.headers.find("postroad_failed");
        if (at == f.message.headers.end()) return info;
        if (const auto* s = std::get_if<std::int64_t>(&at->second)) {
            const auto wall =
                std::chrono::floor<std::chrono::seconds>(net::wall_clock_now().time_since_epoch()).count();
            // A time of a stranger may be any number.
            if (*s > 0 && *s < wall) info.failed = std::chrono::seconds(wall - *s);
        }
        return info;
    }
    /// Nothing if it is no job, and in a queue where only jobs are.
    static std::optional<job> read(amqp_message m, job_state state) {
        std::string reason;
        const auto id = amqp_id_for(m.message_id);
        auto body = state == job_state::failed ? m.body : std::string();
        // Whose it was is known all the same.
        if (state == job_state::failed && m.body.empty()) m.body = "\r\n";
        auto j = from_amqp(std::move(m), amqp_now(), reason);
        if (!j && state != job_state::failed) return {};
        if (!j) {
            auto what = std::make_shared<mail_object>();
            what->content = content::from_text(std::move(body));
            j.emplace().mail = std::move(what);
        }
        j->id = id;
        if (state == job_state::in_doubt && !j->error) j->error = errc::in_doubt;
        return j;
    }
    /// Submitted now, without a deadline.
    static void begin_anew(found& f) {
        auto& m = f.message;
        for (const auto* name : {"give_up_at", "postroad_reason", "postroad_failed", "postroad_progress"})
            m.headers.erase(name);
        if (auto progress = written_progress(begun_anew(f.what)); !progress.empty())
            m.headers["postroad_progress"] = std::move(progress);
        m.reply_to.clear();
        m.timestamp = std::chrono::floor<std::chrono::seconds>(net::wall_clock_now().time_since_epoch()).count();
    }

    /// Shows `visit` the jobs that match.
    template <class Visit>
    std::size_t walk(const job_filter& which, Visit visit) {
        if (std::ranges::none_of(states, [&](auto s) { return means(which, s); })) return 0;
        return look([&](amqp_look& at) {
            auto then = amqp_look::next::more;
            for (const auto state : states) {
                if (then == amqp_look::next::enough || !means(which, state)) continue;
                at.walk(queue_of(state), [&](amqp_message& m, amqp_look::step& s) {
                    auto j = read(m, state);
                    if (!j) return then;
                    found f{*std::move(j), state, m};
                    if (!which.matches(described(f, clock::now()))) return then;
                    return then = visit(f, s);
                });
            }
        });
    }
    template <class F>
    std::size_t look(F f) {
        const auto until = after(clock::now(), patience_);
        {
            std::unique_lock lock(mutex_);
            if (!free_.wait_until(lock, until, [this] { return !looking_; })) return 0;
            looking_ = true;
        }
        std::size_t gone = 0;
        try {
            amqp_look at(standing_, broker_, names_.looking(), until);
            try {
                f(at);
                at.done();
            } catch (const std::exception&) {
                gone = at.gone();
                throw;
            }
            gone = at.gone();
        } catch (const std::exception&) {
            // All that was given out goes back with it.
            standing_.link.reset();
        }
        const std::scoped_lock lock(mutex_);
        looking_ = false;
        free_.notify_one();
        return gone;
    }

    const amqp_names names_;
    const amqp_address broker_;
    const unsigned shards_;
    const std::chrono::milliseconds patience_;
    std::mutex mutex_;
    std::condition_variable free_;
    bool looking_ = false;  // `standing_` is for whoever looks
    amqp_look::standing standing_;
};

}  // namespace postroad::queueing::detail

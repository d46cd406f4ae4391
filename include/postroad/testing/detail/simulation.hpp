#pragma once
// The loop of the simulator: events in the order of time, actions of the dispatcher carried out, rules checked.

#include <postroad/core/id_map.hpp>
#include <postroad/engine/dispatcher.hpp>
#include <postroad/testing/simulated_hosts.hpp>
#include <postroad/transport/discard.hpp>

#include <algorithm>
#include <charconv>
#include <memory>
#include <queue>
#include <variant>

namespace postroad::testing::detail {

/// Domain i is "d<i>.example", host i "h<i>.example"; the simulation answers for the one and plays the other.
struct simulated_transport {
    using axis = postroad::axis::transport;
    using session_type = transport::discard::session_type;
    static constexpr bool needs_wire = false;

    std::string_view route(const envelope& e) const { return e.recipients.front().domain(); }
    void locate(const std::string&, const transport::locate_handler&) const {}
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string&) const { return {}; }
};

template <class Pooling, class Scheduling, class Queueing>
class simulation {
public:
    simulation(workload w, Pooling p, Scheduling s, Queueing q, simulation_rules r)
        : work_(std::move(w)),
          allowed_(r),
          dice_(work_.seed),
          pool_(std::move(p)),
          scheduler_(std::move(s)),
          queue_(std::move(q)),
          hosts_(work_.hosts.size()) {
        if (work_.domains.empty())
            for (std::uint32_t i = 0; i < hosts_.size(); ++i)
                work_.domains.push_back({i, duration::zero(), duration::max()});
        mails_.resize(work_.domains.size());
    }
    simulation(const simulation&) = delete;
    simulation& operator=(const simulation&) = delete;

    simulation_report run() {
        if constexpr (queueing::durable<Queueing>) queue_.start([this] { woken_ = true; });
        upcoming_ = work_.next();
        while (upcoming_ || open_jobs_ > 0) {
            if (!step()) break;
            if (now_ - start > allowed_.give_up) {
                rules_.check(false, "everything ends some time");
                break;
            }
        }
        rules_.check(dispatcher_.idle(now_), "nothing is held in the end");
        dispatcher_.quit_all();
        act();
        while (!events_.empty()) {
            now_ = events_.top().at;
            happen();
            act();
        }
        rules_.check(dispatcher_.connections() == 0 && connections_.empty(), "every connection ends in the end");
        return summary();
    }

private:
    static constexpr time_point start = time_point{} + std::chrono::hours(1);
    static constexpr duration timeout = std::chrono::seconds(30);
    static constexpr std::size_t told_each = 10'000;
    static constexpr std::size_t batch = 1000;  // messages that come together are leased in between

    enum class happening : unsigned char { opened, unreachable, answered, left, idle_too_long, located };
    struct event {
        time_point at;
        std::uint64_t order;
        std::uint64_t connection;  // or domain
        std::uint64_t job;         // or question
        happening what;
        bool operator<(const event& o) const noexcept { return at != o.at ? at > o.at : order > o.order; }
    };
    struct connection {
        std::uint32_t host = 0;
        bool open = false;
        bool leaving = false;
        std::size_t carried = 0;
        std::uint64_t uses = 0;
        job_id job = 0;
    };
    struct host {
        std::size_t connections = 0;  // that it knows of
        std::size_t dialled = 0;      // that we count
        double tokens = 0;            // of what it accepts
        time_point filled = start;
        time_point paid_at = time_point::min();  // of the pace that is checked
    };
    struct provider {
        std::size_t dialled = 0;                 // connections that we count
        time_point paid_at = time_point::min();  // of the pace that it bears
    };
    struct message {
        time_point submitted;
        time_point first_attempt = never;
        time_point not_before = time_point::min();
        std::uint32_t tenant = 0;
        std::uint8_t grade = 0;
        bool done = false;
        bool flying = false;
    };
    struct tenant {
        std::string name = {};
        std::uint8_t grade = 0;
        std::size_t accepted = 0;
        std::size_t waiting = 0;
        std::size_t sent = 0;  // level with others when it begins to wait
    };

    bool step() {
        ++report_.steps;
        const auto due = std::max(dispatcher_.deadline(), now_);
        const auto next = events_.empty() ? never : events_.top().at;
        const auto come = upcoming_ ? start + upcoming_->at : never;
        const auto at = std::min({due, next, come});
        if (at == never) {
            rules_.check(false, "something is under way, or a time is set, while messages wait");
            return false;
        }
        idle_steps_ = at == now_ ? idle_steps_ + 1 : 0;
        rules_.check(idle_steps_ < 10'000'000, "time goes on");
        if (idle_steps_ >= 10'000'000) return false;
        now_ = at;
        if (come <= at)
            submit();
        else if (next <= at)
            happen();
        else
            dispatcher_.tick(now_);
        act();
        rules_.check(queue_.size() == open_jobs_, "the queue holds what is not done");
        return true;
    }

    void submit() {
        while (upcoming_ && start + upcoming_->at <= now_) {
            messages_.push_back({.submitted = now_,
                                 .tenant = tenant_of(upcoming_->tenant, upcoming_->traffic_class),
                                 .grade = upcoming_->traffic_class});
            job j;
            j.id = messages_.size();
            j.mail = mail_to(upcoming_->domain);
            j.submitted = now_;
            j.traffic_class = upcoming_->traffic_class;
            j.tenant = std::move(upcoming_->tenant);
            rules_.check(!queue_.enqueue(j), "the queue takes what comes");
            begin_to_wait(messages_.back());
            ++open_jobs_;
            upcoming_ = work_.next();
            if (messages_.size() % batch == 0) dispatcher_.wake(now_);
            if (messages_.size() % told_each == 0) tell_progress();
        }
        dispatcher_.wake(now_);
    }

    mail_ptr mail_to(std::uint32_t d) {
        auto& mail = mails_[d];
        if (mail) return mail;
        mail_object m;
        m.envelope.recipients.push_back(address("r@d" + std::to_string(d) + ".example"));
        mail = std::make_shared<const mail_object>(std::move(m));
        return mail;
    }

    std::uint32_t tenant_of(const std::string& name, std::uint8_t grade) {
        const auto [at, is_new] =
            tenant_numbers_.try_emplace({grade, name}, static_cast<std::uint32_t>(tenants_.size()));
        if (is_new) tenants_.push_back({.name = name, .grade = grade});
        return at->second;
    }

    void begin_to_wait(const message& m) {
        auto& t = tenants_[m.tenant];
        if (t.waiting++ > 0 || allowed_.unfairness == 0) return;
        for (const auto& other : tenants_)
            if (&other != &t && other.waiting > 0 && other.grade == t.grade) t.sent = std::max(t.sent, other.sent);
    }

    void go(const message& m) {
        auto& t = tenants_[m.tenant];
        --t.waiting;
        ++t.sent;
        if (allowed_.unfairness == 0) return;
        for (const auto& other : tenants_)
            rules_.check(&other == &t || other.waiting == 0 || other.grade != t.grade ||
                             t.sent <= other.sent + allowed_.unfairness,
                         "no tenant is far ahead of another that waits");
    }

    void act() {
        do {
            dispatcher_.act(
                [this](engine::action& a) { std::visit([this](auto& what) { this->carry_out(what); }, a); });
        } while (is_woken());
    }
    // By a queue that stores marks.
    bool is_woken() {
        if (!std::exchange(woken_, false)) return false;
        dispatcher_.wake(now_);
        return true;
    }

    void later(duration wait, happening what, std::uint64_t c, std::uint64_t j = 0) {
        events_.push({now_ + wait, ++order_, c, j, what});
    }
    // Times vary by a tenth either way.
    duration about(duration d) { return d * static_cast<duration::rep>(900 + dice_.below(200)) / 1000; }
    bool is_within(const std::vector<span_of_time>& spans) const {
        return std::ranges::any_of(spans, [this](const span_of_time& s) { return s.holds(now_ - start); });
    }
    bool is_down(const host_model& m) const { return is_within(m.outages); }

    void carry_out(engine::open_connection& o) {
        const auto number = number_in(o.to.name);
        connections_.emplace(o.id, connection{.host = number});
        ++report_.connections;
        report_.most_connections = std::max(report_.most_connections, connections_.size());
        auto& h = hosts_[number];
        rules_.check(connections_.size() <= allowed_.connections, "connections stay within the cap");
        const auto& m = work_.hosts[number];
        auto& of_place = m.provider.empty() ? h.dialled : provider_of(number).dialled;
        rules_.check(++of_place <= allowed_.per_destination, "connections to a host stay within their cap");
        rules_.check(m.limits.connections == 0 || of_place <= m.limits.connections,
                     "connections stay within what a provider bears");
        if (is_down(m)) return later(timeout, happening::unreachable, o.id);
        later(about(m.round_trip * m.trips_to_connect), happening::opened, o.id);
    }
    void carry_out(engine::transmit& t) {
        auto& c = connections_.at(t.id);
        auto& m = messages_[t.what.id - 1];
        rules_.check(!m.done, "what is done is not sent again");
        rules_.check(!m.flying, "a message is on one connection at a time");
        rules_.check(c.open && !c.leaving && c.job == 0, "only a connection that is ready is given a message");
        rules_.check(now_ >= m.not_before, "no message is tried again before its time");
        check_pace(hosts_[c.host].paid_at, allowed_.pace, allowed_.ahead);
        check_limits(c);
        m.flying = true;
        go(m);
        c.job = t.what.id;
        ++c.uses;
        const auto& model = work_.hosts[c.host];
        later(about(model.round_trip * model.trips_a_message + model.work), happening::answered, t.id, t.what.id);
    }
    void carry_out(engine::interrupt&) {}
    void carry_out(engine::ask_location& q) {
        ++report_.questions;
        const auto number = number_in(q.domain);
        const auto wait = work_.domains[number].look_up;
        if (wait == duration::zero()) return located(number, q.id);
        later(about(wait), happening::located, number, q.id);
    }
    void located(std::uint64_t number, engine::question_id q) {
        const auto& d = work_.domains[number];
        if (d.is_unknown) return no_location(q, errc::domain_unknown, "no such domain");
        if (is_within(d.outages)) return no_location(q, errc::resolve_failed, "nobody answers");
        const auto name = "h" + std::to_string(d.host) + ".example";
        dispatcher_.located(q,
                            {.where = {.site = name,
                                       .provider = work_.hosts[d.host].provider,
                                       .limits = work_.hosts[d.host].limits,
                                       .servers = {{.name = name, .port = 25}},
                                       .valid_until = after(now_, d.valid)},
                             .error = {},
                             .why = {}},
                            now_);
    }
    void no_location(engine::question_id q, errc e, std::string why) {
        dispatcher_.located(q, {.where = {}, .error = e, .why = std::move(why)}, now_);
    }
    static std::uint32_t number_in(const std::string& name) {
        std::uint32_t number = 0;
        std::from_chars(name.data() + 1, name.data() + name.size(), number);
        return number;
    }
    void carry_out(engine::quit_connection& q) {
        const auto found = connections_.find(q.id);
        if (found == connections_.end()) return;
        found->second.leaving = true;
        later(about(work_.hosts[found->second.host].round_trip), happening::left, q.id);
    }
    void carry_out(engine::complete& done) {
        auto& m = messages_[done.what->id - 1];
        rules_.check(!m.done, "every message is completed once");
        m.done = true;
        --open_jobs_;
        if (!done.what->result.all_accepted()) {
            --tenants_[m.tenant].waiting;
            ++report_.failed;
        }
        if (over() % told_each == 0) tell_progress();
    }
    std::size_t over() const noexcept { return messages_.size() - open_jobs_; }
    void tell_progress() const {
        if (work_.progress) work_.progress(over());
    }

    // At most T * rate + ahead in any time T, by the virtual scheduling of ITU-T I.371.
    void check_pace(time_point& paid_at, scheduling::rate pace, unsigned ahead) {
        if (!pace.limited()) return;
        const auto each = pace.per / static_cast<duration::rep>(pace.messages);
        rules_.check(paid_at == time_point::min() || now_ >= paid_at - each * (ahead - 1),
                     "no host is sent more than its pace");
        paid_at = std::max(paid_at, now_) + each;
    }
    provider& provider_of(std::uint32_t number) {
        const auto& name = work_.hosts[number].provider;
        return providers_[name.empty() ? "h" + std::to_string(number) : name];
    }
    void check_limits(const connection& c) {
        const auto& said = work_.hosts[c.host].limits;
        rules_.check(said.messages_per_connection == 0 || c.uses < said.messages_per_connection,
                     "no connection carries more messages than a provider bears");
        if (said.pace.limited()) check_pace(provider_of(c.host).paid_at, said.pace, 1);
    }

    void happen() {
        const auto e = events_.top();
        events_.pop();
        if (e.what == happening::located) return located(e.connection, e.job);
        const auto found = connections_.find(e.connection);
        if (found == connections_.end()) return;
        auto& c = found->second;
        switch (e.what) {
            case happening::opened: return c.leaving ? void() : opened(e.connection, c);
            case happening::unreachable:
                ++report_.unreachable;
                return gone(e.connection, errc::timed_out, phase::connect);
            case happening::answered: return answered(e.connection, c, e.job);
            case happening::left: return gone(e.connection, {}, phase::quit);
            case happening::idle_too_long:
                if (e.job != c.uses || c.job != 0 || c.leaving) return;
                return gone(e.connection, errc::connection_closed, phase::idle);
            case happening::located: return;
        }
    }

    void opened(pooling::connection_id id, connection& c) {
        auto& h = hosts_[c.host];
        const auto& m = work_.hosts[c.host];
        if (is_down(m)) return gone(id, errc::connection_closed, phase::greeting);
        if (m.connections > 0 && h.connections >= m.connections) {
            ++report_.replies_421;
            return gone(id, errc::greeting_refused, phase::greeting);
        }
        ++h.connections;
        c.open = true;
        dispatcher_.ready(id, 1, now_);
        rest(id);
    }

    // The server waits only so long for what comes next.
    void rest(pooling::connection_id id) {
        act();
        const auto found = connections_.find(id);
        if (found == connections_.end() || found->second.job != 0 || found->second.leaving) return;
        const auto patience = work_.hosts[found->second.host].idle;
        if (patience != duration::max()) later(patience, happening::idle_too_long, id, found->second.uses);
    }

    void answered(pooling::connection_id id, connection& c, job_id j) {
        auto& m = messages_[j - 1];
        m.flying = false;
        c.job = 0;
        if (is_down(work_.hosts[c.host])) {
            tell(id, j, {.status = status::not_attempted, .where = phase::mail}, errc::connection_closed);
            return gone(id, errc::connection_closed, phase::mail);
        }
        const auto& model = work_.hosts[c.host];
        ++report_.attempts;
        if (model.messages_a_connection > 0 && ++c.carried > model.messages_a_connection) {
            ++report_.replies_421;
            tell(id, j, {.status = status::deferred, .where = phase::mail, .reply = {421, {4, 4, 5}, "enough"}});
            return gone(id, errc::service_closing, phase::mail);
        }
        if (m.first_attempt == never) m.first_attempt = now_;
        auto r = verdict_of(c.host, m);
        if (r.status == status::accepted)
            accepted(m);
        else
            ++report_.deferrals;
        tell(id, j, std::move(r));
        rest(id);
    }

    recipient_outcome verdict_of(std::uint32_t number, const message& m) {
        const auto& model = work_.hosts[number];
        recipient_outcome r{.status = status::deferred, .where = phase::rcpt};
        if (now_ - m.first_attempt < model.greylisting) {
            r.reply = {451, {4, 7, 1}, "greylisted"};
            return r;
        }
        if (model.accepts.limited() && !takes(hosts_[number], model.accepts)) {
            r.reply = {450, {4, 7, 0}, "too fast"};
            return r;
        }
        for (const auto& [when, percent] : model.storms)
            if (when.holds(now_ - start) && dice_.below(100) < percent) {
                r.reply = {451, {4, 3, 0}, "trouble"};
                return r;
            }
        return {.status = status::accepted, .where = phase::content, .reply = {250, {2, 0, 0}, "ok"}};
    }

    bool takes(host& h, scheduling::rate r) {
        const std::chrono::duration<double> passed = now_ - h.filled;
        const std::chrono::duration<double> per = r.per;
        h.filled = now_;
        h.tokens = std::min<double>(r.messages, h.tokens + passed / per * r.messages);
        if (h.tokens < 1) return false;
        h.tokens -= 1;
        return true;
    }

    void accepted(const message& m) {
        ++report_.accepted;
        accepted_at_.push_back(now_ - start);
        waits_[m.grade].push_back(now_ - m.submitted);
        auto& t = tenants_[m.tenant];
        ++t.accepted;
        if (report_.accepted * 2 >= messages_.size() && report_.tenants_at_half.empty())
            for (const auto& each : tenants_) report_.tenants_at_half[each.name] += each.accepted;
    }

    void tell(pooling::connection_id id, job_id j, recipient_outcome r, error_code ec = {}) {
        auto& m = messages_[j - 1];
        if (r.status == status::deferred && r.reply.code != 421) m.not_before = now_ + allowed_.retry_floor;
        if (r.status != status::accepted) begin_to_wait(m);
        smtp::finished f{.id = j, .error = ec, .details = {}, .recipients = {}};
        f.recipients.push_back(std::move(r));
        f.answered = !ec;
        const bool over = ec || f.recipients.front().reply.code == 421;
        dispatcher_.finished(id, std::move(f), over ? 0 : 1, now_);
    }

    void gone(pooling::connection_id id, error_code ec, phase where) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        const auto c = found->second;
        connections_.erase(found);
        const bool alone = work_.hosts[c.host].provider.empty();
        --(alone ? hosts_[c.host].dialled : provider_of(c.host).dialled);
        if (c.open) --hosts_[c.host].connections;
        rules_.check(c.job == 0, "a connection ends when nothing is on it");
        dispatcher_.closed(id, {.error = ec, .details = {.where = where}}, now_);
    }

    static wait_times spread(std::vector<duration>& all) {
        wait_times w{.accepted = all.size()};
        if (all.empty()) return w;
        const auto at = [&](std::size_t percent) {
            const auto nth = all.begin() + static_cast<std::ptrdiff_t>((all.size() - 1) * percent / 100);
            std::ranges::nth_element(all, nth);
            return *nth;
        };
        w.half = at(50);
        w.p95 = at(95);
        w.p99 = at(99);
        w.longest = std::ranges::max(all);
        return w;
    }

    simulation_report summary() {
        report_.messages = messages_.size();
        for (auto& [grade, all] : waits_) report_.classes[grade] = spread(all);
        for (const auto& m : messages_) ++report_.classes[m.grade].messages;
        const auto when = [&](std::size_t percent) {
            const auto n = (messages_.size() * percent + 99) / 100;
            return n > 0 && n <= accepted_at_.size() ? accepted_at_[n - 1] : duration::zero();
        };
        report_.half = when(50);
        report_.p95 = when(95);
        report_.all = accepted_at_.empty() ? duration::zero() : accepted_at_.back();
        for (std::size_t percent = 5; percent <= 100; percent += 5) report_.course.push_back(when(percent));
        rules_.check(report_.accepted + report_.failed == messages_.size(), "no message is lost");
        report_.broken = rules_.take();
        return std::move(report_);
    }

    workload work_;
    simulation_rules allowed_;
    rule_book rules_;
    dice dice_;
    simulated_transport transport_;
    Pooling pool_;
    Scheduling scheduler_;
    Queueing queue_;
    engine::dispatcher<simulated_transport, Pooling, Queueing, Scheduling> dispatcher_{transport_, pool_, queue_,
                                                                                       scheduler_};
    time_point now_ = start;
    std::optional<arrival> upcoming_;
    std::priority_queue<event> events_;
    std::uint64_t order_ = 0;
    std::vector<host> hosts_;
    std::map<std::string, provider> providers_;
    std::vector<mail_ptr> mails_;  // of domains
    std::vector<message> messages_;
    std::vector<tenant> tenants_;
    std::map<std::pair<unsigned, std::string>, std::uint32_t> tenant_numbers_;
    id_map<connection> connections_;
    std::vector<duration> accepted_at_;
    std::map<unsigned, std::vector<duration>> waits_;
    std::size_t open_jobs_ = 0;
    std::size_t idle_steps_ = 0;
    bool woken_ = false;
    simulation_report report_;
};

}  // namespace postroad::testing::detail

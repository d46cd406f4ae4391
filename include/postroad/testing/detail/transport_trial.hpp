#pragma once
// Uses a policy of the transport axis at random and notes the rules that it breaks.

#include <postroad/net/wire_session.hpp>
#include <postroad/testing/detail/trial.hpp>
#include <postroad/transport/traits.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::testing::detail {

template <class T>
class transport_trial {
public:
    explicit transport_trial(const T& t) : transport_(t) {}

    broken_rules run() {
        using traits = transport::transport_traits<T>;
        const auto& e = mail_->envelope;
        const auto name = std::string(traits::route(transport_, e, e.recipients.front()));
        rules_.check(traits::route(transport_, e, e.recipients.front()) == name,
                     "route() is the same for the same envelope");
        std::vector<endpoint> hosts;
        if constexpr (transport::has_hosts<T>) {
            hosts = transport_.hosts(name);
            rules_.check(!hosts.empty(), "hosts() names at least one server");
        } else {
            // The answer may come later: then the session is not tried.
            const auto found = std::make_shared<std::vector<endpoint>>();
            transport_.locate(name, [found](transport::located a) { *found = std::move(a.where.servers); });
            hosts = *found;
        }
        if (hosts.empty()) return rules_.take();
        rules_.check(dials(), "dialing() is what net::check() takes");
        auto session = traits::make_session(transport_, hosts.front(), "0123456789abcdefghijklmn", {});
        if constexpr (T::needs_wire)
            wired(session);
        else
            local(session);
        return rules_.take();
    }

private:
    bool dials() const {
        try {
            net::check(transport_.dialing());
            return true;
        } catch (const error&) {
            return false;
        }
    }

    template <class Session>
    void wired(Session& s) {
        static_assert(net::wire_session<Session>, "a session over a wire models net::wire_session");
        rules_.check(s.room() == 0, "room() is 0 before ready");
        rules_.check(!s.poll(), "there is no event before anything happened");
        s.started(now_);
        rules_.check(!s.done(), "a session that started is not over");
        rules_.check(s.deadline() < never, "a session that waits for the server has a deadline");
        s.closed(errc::connection_closed, "the peer closed the connection", now_);
        rules_.check(s.done(), "done() is true after closed()");
        ends(s, errc::connection_closed);
    }

    template <class Session>
    void local(Session& s) {
        auto e = s.poll();
        rules_.check(e && std::holds_alternative<postroad::smtp::ready>(*e), "a local session is ready at once");
        rules_.check(s.room() > 0, "room() is not 0 once it is ready");
        for (const auto& asked : {std::vector<std::uint32_t>{}, {2}, {0, 2}}) {
            ++last_;
            s.submit({last_, mail_, asked}, now_);
            s.cancel(last_ + 1, now_);
            e = s.poll();
            const auto* f = e ? std::get_if<postroad::smtp::finished>(&*e) : nullptr;
            rules_.check(f && f->id == last_, "submit() ends with finished, of its id");
            if (!f) continue;
            rules_.check(f->recipients.size() == (asked.empty() ? 3 : asked.size()),
                         "finished has the recipients that were asked for");
            rules_.check(s.room() > 0, "room() is not 0 while it is ready");
        }
        rules_.check(!s.poll(), "a transaction ends once");
        s.quit(now_);
        ends(s, {});
    }

    template <class Session>
    void ends(Session& s, error_code why) {
        const auto e = s.poll();
        const auto* c = e ? std::get_if<postroad::smtp::closed>(&*e) : nullptr;
        rules_.check(c && c->error == why, "the end is closed, with its reason");
        s.quit(now_);
        rules_.check(!s.poll(), "nothing follows closed");
        rules_.check(s.room() == 0, "room() is 0 after closed");
    }

    const T& transport_;
    rule_book rules_;
    mail_ptr mail_ = trial_mail();
    std::uint64_t last_ = 0;
    time_point now_ = time_point{} + std::chrono::hours(1);
};

}  // namespace postroad::testing::detail

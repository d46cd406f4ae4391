#pragma once

#include <postroad/engine/domains.hpp>

#include <algorithm>
#include <optional>

namespace postroad::engine {

POSTROAD_DECL domain& domains::of(std::string_view name) {
    if (last_ && last_->name == name) return *last_;
    last_ = find(name);
    if (last_) return *last_;
    last_ = &all_[std::string(name)];
    last_->name = name;
    return *last_;
}

POSTROAD_DECL void domains::want(domain& d, time_point now) {
    if (d.question != 0 || std::exchange(d.wants_answer, true)) return;
    d.overdue_at = after(now, longest_stay);
    if (lasts_) waits_.emplace(d.overdue_at, &d);
    wanted_.push_back(&d);
}

POSTROAD_DECL domain* domains::next_question(time_point now) {
    const auto most = failures_ >= many_failures ? 1 : max_questions;
    if (wanted_.empty() || questions_.size() >= most) return nullptr;
    domain* const d = wanted_.pop_front();
    d->wants_answer = false;
    d->question = ++last_question_;
    questions_.emplace(d->question, d);
    asked_.push_back({after(now, question_timeout), d->question});
    return d;
}

POSTROAD_DECL domain* domains::answered(question_id q) {
    const auto found = questions_.find(q);
    if (found == questions_.end()) return nullptr;
    domain* const d = found->second;
    questions_.erase(found);
    waits_.erase({d->overdue_at, d});
    d->question = 0;
    d->overdue = false;
    while (!asked_.empty() && !questions_.contains(asked_.front().second)) asked_.drop_front();
    return d;
}

POSTROAD_DECL domain* domains::unanswered(time_point now) {
    if (asked_.empty() || asked_.front().first > now) return nullptr;
    return answered(asked_.front().second);
}

POSTROAD_DECL domain* domains::overdue(time_point now) {
    if (waits_.empty() || waits_.begin()->first > now) return nullptr;
    domain* const d = waits_.begin()->second;
    waits_.erase(waits_.begin());
    d->overdue = true;
    return d;
}

POSTROAD_DECL void domains::found(domain& d, site& at, time_point valid_until, time_point now) {
    if (d.at != &at) {
        if (d.at) --d.at->domains;
        ++at.domains;
    }
    d.at = &at;
    d.valid_until = std::max(valid_until, after(now, least_validity));
    d.failures = 0;
    end_row();
    d.rests_until = time_point::min();
    d.sent_back = 0;
    d.since = never;
    d.error = {};
    d.why.clear();
}

POSTROAD_DECL void domains::not_found(domain& d, error_code ec, std::string why, time_point now) {
    d.error = ec;
    d.why = std::move(why);
    // Who says that there is no such domain answers: nothing waits.
    if (ec == condition::permanent) {
        d.failures = 0;
        end_row();
        d.rests_until = after(now, least_validity);
        d.since = never;
        return;
    }
    if (std::exchange(d.counted_in, row_) != row_) ++failures_;
    auto wait = first_domain_rest;
    for (unsigned i = 0; i < d.failures && wait < longest_rest; ++i) wait *= 2;
    ++d.failures;
    d.rests_until = after(now, std::min(wait, longest_rest));
    if (d.since == never) d.since = now;
}

POSTROAD_DECL void domains::end_rests() {
    for (auto& entry : all_) entry.second.rests_until = time_point::min();
    end_row();
}

POSTROAD_DECL void domains::end_row() noexcept {
    failures_ = 0;
    ++row_;
}

POSTROAD_DECL void domains::rest(domain& d, time_point now) {
    d.rested_at = now;
    if (!d.listed) list(d, after(now, forget_after));
}

POSTROAD_DECL void domains::list(domain& d, time_point at) {
    d.listed = true;
    idle_.emplace(at, &d);
}

POSTROAD_DECL domain* domains::next_idle(time_point now) {
    while (!idle_.empty() && idle_.begin()->first <= now) {
        domain* const d = idle_.begin()->second;
        idle_.erase(idle_.begin());
        d->listed = false;
        if (d->held > 0 || d->question != 0 || d->wants_answer) continue;
        // How often it failed is of use to the question behind its rest.
        const auto at = after(std::max(d->rested_at, d->rests_until), forget_after);
        if (at <= now) return d;
        list(*d, at);
    }
    return nullptr;
}

POSTROAD_DECL void domains::add_troubles(std::vector<queueing::trouble>& to, time_point now) const {
    std::optional<queueing::trouble> shared;
    for (const auto& [name, d] : all_) {
        if (d.since == never) continue;
        queueing::trouble one{.name = name,
                              .error = d.error,
                              .why = d.why,
                              .since = now - d.since,
                              .next_try = d.rests_until > now ? d.rests_until - now : duration::zero(),
                              .waiting = d.held + d.sent_back};
        if (failures_ < many_failures) {
            to.push_back(std::move(one));
        } else if (!shared) {
            shared = std::move(one);
            shared->name = "*";
        } else {
            shared->since = std::max(shared->since, one.since);
            shared->next_try = std::min(shared->next_try, one.next_try);
            shared->waiting += one.waiting;
        }
    }
    if (!shared) return;
    shared->why = "no domain can be located, such as this: " + shared->why;
    to.push_back(*std::move(shared));
}

}  // namespace postroad::engine

#pragma once

#include <postroad/engine/suppressing.hpp>

#include <postroad/message/fields.hpp>

#include <algorithm>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

namespace postroad::engine {
namespace detail {

// Puts the outcome of those that were left out back in its place.
class merging_waiter final : public waiter {
public:
    merging_waiter(std::unique_ptr<waiter> to, std::vector<left_out> gone)
        : to_(std::move(to)), gone_(std::move(gone)) {}
    void complete(error_code ec, outcome&& o) noexcept override {
        std::vector<recipient_outcome> all;
        all.reserve(o.recipients.size() + gone_.size());
        auto next = o.recipients.begin();
        for (auto& g : gone_) {
            while (all.size() < g.place && next != o.recipients.end()) all.push_back(std::move(*next++));
            all.push_back(std::move(g.why));
        }
        std::move(next, o.recipients.end(), std::back_inserter(all));
        o.recipients = std::move(all);
        to_->complete(ec, std::move(o));
    }

private:
    std::unique_ptr<waiter> to_;
    std::vector<left_out> gone_;
};

inline mail_ptr without(const mail_object& mail, const std::vector<left_out>& gone) {
    auto rest = std::make_shared<mail_object>(mail);
    auto& e = rest->envelope;
    const auto leave_out_of = [&](auto& from) {
        std::remove_cvref_t<decltype(from)> kept;
        kept.reserve(from.size());
        auto next = gone.begin();
        for (std::size_t i = 0; i < from.size(); ++i)
            if (next != gone.end() && next->place == i)
                ++next;
            else
                kept.push_back(std::move(from[i]));
        from = std::move(kept);
    };
    leave_out_of(e.recipients);
    leave_out_of(e.recipient_options);
    return rest;
}

}  // namespace detail

POSTROAD_DECL std::string list_id_of(const content& c) {
    const auto header = postroad::detail::header_of(c);
    const auto fields = postroad::detail::split_fields(header);
    const auto* found = postroad::detail::find_field(fields, "List-Id");
    if (!found) return {};
    const auto from = found->value.rfind('<');
    const auto to = found->value.rfind('>');
    if (from == found->value.npos || to == found->value.npos || to < from) return {};
    return std::string(postroad::detail::trimmed(found->value.substr(from + 1, to - from - 1)));
}

POSTROAD_DECL recipient_outcome suppressed_outcome(const address& a, const suppression::entry& e) {
    return {.address = a.str(),
            .status = status::rejected,
            .where = phase::policy,
            .error = errc::suppressed,
            .why = describe(e)};
}

POSTROAD_DECL job leave_out(job& j, std::vector<left_out> gone) {
    job over{.id = j.id, .mail = j.mail};
    for (const auto& g : gone) over.result.recipients.push_back(g.why);
    if (gone.size() == j.mail->envelope.recipients.size()) {
        over.waiter = std::move(j.waiter);
    } else {
        j.mail = detail::without(*j.mail, gone);
        if (j.waiter) j.waiter = std::make_unique<detail::merging_waiter>(std::move(j.waiter), std::move(gone));
    }
    return over;
}

}  // namespace postroad::engine

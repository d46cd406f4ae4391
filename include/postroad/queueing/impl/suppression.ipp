#pragma once

#include <postroad/queueing/suppression.hpp>

#include <postroad/core/error.hpp>
#include <postroad/message/failure_cause.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace postroad::suppression {
namespace detail {

/// The id of a list, also of one that is written as the field has it: `News <news.example.com>`.
inline std::string_view id_within(std::string_view list) {
    const auto from = list.rfind('<'), to = list.rfind('>');
    return from == list.npos || to == list.npos || to <= from + 1 ? list : list.substr(from + 1, to - from - 1);
}

/// Whether an entry for `spoken_of` counts for mail of `of`. Ids of lists are compared as domains are (RFC 2919
/// section 6).
inline bool covers(const scope& spoken_of, const scope& of) {
    return (spoken_of.tenant.empty() || spoken_of.tenant == of.tenant) &&
           (spoken_of.list.empty() ||
            postroad::detail::equal_ignoring_case(id_within(spoken_of.list), id_within(of.list)));
}
POSTROAD_DECL bool counts(const entry& e, const scope& of, time now) {
    return covers(e.of, of) && (!e.until || *e.until > now);
}

POSTROAD_DECL scope reduced(scope of) {
    of.list = postroad::detail::in_lower_case(std::string(id_within(of.list)));
    return of;
}
POSTROAD_DECL bool has_list_id(const scope& of) { return id_within(of.list).find_first_of("<>") == std::string::npos; }
POSTROAD_DECL entry reduced(entry e) {
    if (!has_list_id(e.of)) throw error(errc::invalid_option, "the list '" + escaped(e.of.list, 100) + "' has no id");
    e.of = reduced(std::move(e.of));
    return e;
}

/// A local part without its quotes, which are no part of what it says.
inline std::string unquoted(std::string_view local) {
    if (!local.starts_with('"')) return std::string(local);
    std::string result;
    for (std::size_t i = 1; i + 1 < local.size(); ++i) {
        if (local[i] == '\\') ++i;
        result += local[i];
    }
    return result;
}

}  // namespace detail

// One allocation where the address is ASCII, as nearly all are: it is done for each recipient.
POSTROAD_DECL std::string key_of(const address& a, local_parts compared) {
    std::string key;
    key.reserve(a.str().size());
    const auto local = a.local();
    local.starts_with('"') ? key = detail::unquoted(local) : key.append(local);
    const auto lower = [&](std::size_t from) {
        for (auto i = from; i < key.size(); ++i) key[i] = postroad::detail::to_lower(key[i]);
    };
    if (compared == local_parts::ignoring_case) lower(0);
    const auto domain = a.domain();
    if (domain.empty()) return key;
    const auto from = key.size();
    key += '@';
    const auto ascii = postroad::detail::is_ascii(domain) ? std::string() : a.ascii_domain();
    key.append(ascii.empty() ? domain : std::string_view(ascii));
    lower(from);
    return key;
}

POSTROAD_DECL bool is_hard_bounce(const reported_recipient& r) {
    if (r.action != delivery_action::failed) return false;
    const auto [cause, how_sure] = cause_of(r);
    const auto& s = r.status;
    const bool said = s.kind == 5 && s.subject == 1 && (s.detail == 1 || s.detail == 2 || s.detail == 10);
    if (cause != failure_cause::unknown_recipient && cause != failure_cause::unknown_domain) return false;
    return said || (!s && cause == failure_cause::unknown_recipient);
}

POSTROAD_DECL std::optional<entry> memory::find(const address& a, const scope& of, time now) const {
    const auto key = key_of(a, options_.compared);
    const std::shared_lock lock(mutex_);
    const auto [first, last] = all_.equal_range(key);
    const auto found =
        std::find_if(first, last, [&](const auto& each) { return detail::counts(each.second, of, now); });
    return found == last ? std::nullopt : std::optional(found->second);
}

// What is over, whenever there is twice as much as the last time: a constant effort for each that comes.
POSTROAD_DECL void memory::forget(time now) {
    if (all_.size() + bounces_.size() < forget_at_) return;
    std::erase_if(all_, [&](const auto& each) { return each.second.until && *each.second.until <= now; });
    std::erase_if(bounces_, [&](const auto& each) { return now - each.second.last > options_.bounces_within; });
    forget_at_ = std::max(forget_at_, 2 * (all_.size() + bounces_.size()));
}

POSTROAD_DECL std::size_t memory::add_one(entry e, time now) {
    forget(now);
    if (e.added == time{}) e.added = now;
    const auto key = key_of(e.address, options_.compared);
    const auto [first, last] = all_.equal_range(key);
    const auto found = std::find_if(first, last, [&](const auto& each) { return each.second.of == e.of; });
    if (found == last) {
        all_.emplace(key, std::move(e));
        return 1;
    }
    found->second = std::move(e);
    return 0;
}

POSTROAD_DECL std::size_t memory::add(std::span<const entry> all, time now) {
    std::vector<entry> some;
    some.reserve(all.size());
    for (const auto& e : all) some.push_back(detail::reduced(e));
    const std::unique_lock lock(mutex_);
    std::size_t added = 0;
    for (auto& e : some) added += add_one(std::move(e), now);
    return added;
}

POSTROAD_DECL bool memory::remove(const address& a, const scope& given) {
    const auto key = key_of(a, options_.compared);
    const auto of = detail::reduced(given);
    const std::unique_lock lock(mutex_);
    if (of == scope{}) bounces_.erase(key);
    const auto [first, last] = all_.equal_range(key);
    const auto found = std::find_if(first, last, [&](const auto& each) { return each.second.of == of; });
    if (found == last) return false;
    all_.erase(found);
    return true;
}

POSTROAD_DECL bool memory::bounced(const address& a, std::string_view source, time now) {
    const auto key = key_of(a, options_.compared);
    const std::unique_lock lock(mutex_);
    forget(now);
    auto& b = bounces_[key];
    b.count = now - b.last > options_.bounces_within ? 1 : b.count + 1;
    b.last = now;
    if (options_.bounces == 0 || b.count < options_.bounces) return false;
    bounces_.erase(key);
    add_one({.address = a, .why = reason::hard_bounce, .source = std::string(source)}, now);
    return true;
}

POSTROAD_DECL void memory::each(const std::function<bool(const entry&)>& f) const {
    const std::shared_lock lock(mutex_);
    for (const auto& [key, e] : all_)
        if (!f(e)) return;
}

POSTROAD_DECL std::size_t memory::size() const {
    const std::shared_lock lock(mutex_);
    return all_.size();
}

}  // namespace postroad::suppression

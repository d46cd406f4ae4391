#pragma once

#include <postroad/core/number.hpp>
#include <postroad/net/dns.hpp>
#include <postroad/net/sts_cache.hpp>

#include <algorithm>

namespace postroad::net {

POSTROAD_DECL std::optional<sts_policy> sts_cache::find(std::string_view domain, time now) const {
    const auto found = all_.find(domain);
    if (found == all_.end() || found->second.until <= now) return std::nullopt;
    return found->second.policy;
}

POSTROAD_DECL bool sts_cache::wants_fetch(std::string_view domain, const sts_record& record, time now) const {
    if (!record.known || record.id.empty()) return false;
    const auto found = all_.find(domain);
    if (found == all_.end()) return true;
    const auto& e = found->second;
    if (e.failed_at != time{} && now < e.failed_at + retry_after) return false;
    return !e.policy || e.id != record.id || now >= e.until - e.policy->max_age / 2;
}

POSTROAD_DECL bool sts_cache::is_current(std::string_view domain, const sts_record& record) const {
    const auto found = all_.find(domain);
    return found != all_.end() && found->second.policy && found->second.id == record.id;
}

POSTROAD_DECL void sts_cache::fetched(std::string_view domain, std::string id, sts_policy policy, time now) {
    auto& e = of(domain, now);
    e = {.id = std::move(id), .policy = std::move(policy), .until = now, .failed_at = {}};
    e.until += e.policy->max_age;
}

POSTROAD_DECL void sts_cache::failed(std::string_view domain, time now) { of(domain, now).failed_at = now; }

POSTROAD_DECL sts_cache::entry& sts_cache::of(std::string_view domain, time now) {
    if (const auto found = all_.find(domain); found != all_.end()) return found->second;
    if (all_.size() >= max_entries)
        std::erase_if(all_, [&](const auto& each) {
            return each.second.until <= now && each.second.failed_at + retry_after <= now;
        });
    // Rather the one that ends first than none at all.
    if (all_.size() >= max_entries)
        all_.erase(std::min_element(all_.begin(), all_.end(),
                                    [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
    return all_[std::string(domain)];
}

POSTROAD_DECL std::string sts_cache::line(std::string_view domain) const {
    const auto found = all_.find(domain);
    if (found == all_.end() || !found->second.policy) return {};
    const auto& e = found->second;
    constexpr const char* modes[] = {"none", "testing", "enforce"};
    auto text = std::string(domain) + ' ' + e.id + ' ' + std::to_string(e.until.time_since_epoch().count()) + ' ' +
                std::to_string(e.policy->max_age.count()) + ' ' + modes[static_cast<int>(e.policy->mode)];
    for (const auto& name : e.policy->mx) text += ' ' + name;
    return text + '\n';
}

POSTROAD_DECL bool sts_cache::read_line(std::string_view line, time now) {
    if (!line.ends_with('\n')) return false;  // cut off
    line.remove_suffix(1);
    const auto word = [&] {
        const auto w = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(w.size() + 1, line.size()));
        return w;
    };
    const auto number = [](std::string_view text) -> std::optional<long long> {
        const auto n = postroad::detail::whole_number<long long>(text);
        return n >= 0 ? n : std::nullopt;
    };
    const auto domain = word();
    const auto id = word();
    const auto until = number(word());
    const auto max_age = number(word());
    const auto mode = word();
    if (domain.empty() || !to_labels(domain) || !until || !max_age) return false;
    // The rest is read as a policy is, and by the same rules.
    auto body = "version: STSv1\nmode: " + std::string(mode) + "\nmax_age: " + std::to_string(*max_age) + "\n";
    while (!line.empty()) body += "mx: " + std::string(word()) + "\n";
    auto policy = read_sts_policy(body);
    if (!policy || !read_sts_record({"v=STSv1; id=" + std::string(id)})) return false;
    const time end{std::chrono::seconds(*until)};
    if (end > now + policy->max_age) return false;
    if (end <= now) {
        if (const auto old = all_.find(domain); old != all_.end()) all_.erase(old);
        return true;
    }
    auto& e = of(domain, now);
    e = {.id = std::string(id), .policy = *std::move(policy), .until = end, .failed_at = {}};
    return true;
}

POSTROAD_DECL std::string sts_cache::text(time now) const {
    std::string all;
    for (const auto& [domain, e] : all_)
        if (e.until > now) all += line(domain);
    return all;
}

}  // namespace postroad::net

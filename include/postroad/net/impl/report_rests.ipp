#pragma once

#include <postroad/core/random.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/impl/tls_results.ipp>
#include <postroad/net/report_rests.hpp>

#include <algorithm>

namespace postroad::net {
namespace detail {

// "https://host:port" or "@domain": no address of a record is that.
inline std::string server_of_place(std::string_view place) {
    constexpr std::string_view scheme = "https://";
    const auto is_url = postroad::detail::equal_ignoring_case(place.substr(0, scheme.size()), scheme);
    const auto server = is_url ? place.substr(0, place.find_first_of("/?#", scheme.size()))
                               : place.substr(std::min(place.rfind('@'), place.size()));
    return postroad::detail::in_lower_case(std::string(server));
}

inline std::chrono::seconds wait_after(unsigned failures, std::chrono::seconds first, std::string_view place) {
    std::chrono::seconds wait = first;
    for (; failures > 1 && wait < report_rests::longest_wait; --failures) wait *= 2;
    wait = std::min<std::chrono::seconds>(wait, report_rests::longest_wait);
    std::uint64_t by_chance = failures;
    for (const char c : place) by_chance = postroad::detail::scrambled(by_chance ^ static_cast<unsigned char>(c));
    return wait + std::chrono::seconds(by_chance % static_cast<std::uint64_t>(wait.count() / 4));
}

}  // namespace detail

POSTROAD_DECL std::optional<std::chrono::sys_seconds> report_rests::until(const std::string& place,
                                                                          std::chrono::sys_seconds now) const {
    std::optional<std::chrono::sys_seconds> last;
    for (const auto& who : {place, detail::server_of_place(place)})
        if (const auto found = all_.find(who); found != all_.end() && found->second.over > now)
            last = std::max(last.value_or(now), found->second.over);
    return last;
}

POSTROAD_DECL void report_rests::answered(const std::string& place, report_answer a, std::chrono::sys_seconds now) {
    const auto server = detail::server_of_place(place);
    if (a != report_answer::away) all_.erase(server);
    if (a == report_answer::taken) {
        all_.erase(place);
        return;
    }
    const auto& who = a == report_answer::away ? server : place;
    if (!all_.contains(who) && all_.size() >= max_places) return;
    auto& r = all_[who];
    if (r.over + longest_wait < now) r = {};
    r.failures = std::min(r.failures + 1, 100u);
    r.over = now + detail::wait_after(r.failures, a == report_answer::refused ? first_rest : first_wait, who);
}

POSTROAD_DECL std::string report_rests::text(std::chrono::sys_seconds now) const {
    std::string lines;
    for (const auto& [who, r] : all_)
        if (r.over + longest_wait >= now)
            lines += "rest " + std::to_string(r.over.time_since_epoch().count()) + ' ' + std::to_string(r.failures) +
                     ' ' + detail::line_field(who) + '\n';
    return lines;
}

POSTROAD_DECL bool report_rests::read_line(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    constexpr std::uint64_t last_second = std::uint64_t(3'000'000) * 86400;
    detail::line_reader in(line);
    const auto kind = in.text();
    const std::chrono::sys_seconds over{std::chrono::seconds(static_cast<std::int64_t>(in.number(last_second)))};
    const auto failures = static_cast<unsigned>(in.number(100));
    auto who = in.text();
    if (kind != "rest" || !in.whole() || failures == 0 || who.empty()) return false;
    if (all_.size() < max_places || all_.contains(who)) all_[std::move(who)] = {failures, over};
    return true;
}

}  // namespace postroad::net

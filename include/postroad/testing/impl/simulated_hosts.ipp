#pragma once

#include <postroad/testing/simulated_hosts.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

namespace postroad::testing {
namespace detail {

inline double seconds_of(duration d) { return std::chrono::duration<double>(d).count(); }

inline std::string number(double value, const char* format = "%.1f") {
    char text[32];
    std::snprintf(text, sizeof text, format, value);
    return text;
}

inline std::string right(const std::string& text, std::size_t width) {
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

inline std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') result += '\\';
        if (octet >= 0x20)
            result += c;
        else
            result += "\\u00" + std::string{"0123456789abcdef"[octet >> 4], "0123456789abcdef"[octet & 15]};
    }
    return result + '"';
}

inline std::string member(const char* name, double value) { return quoted(name) + ": " + number(value, "%.15g"); }
inline std::string member(const char* name, std::size_t value) { return quoted(name) + ": " + std::to_string(value); }
inline std::string member(const char* name, duration value) { return member(name, seconds_of(value)); }

inline std::string object(const wait_times& w) {
    return "{" + member("messages", w.messages) + ", " + member("accepted", w.accepted) + ", " +
           member("p50_s", w.half) + ", " + member("p95_s", w.p95) + ", " + member("p99_s", w.p99) + ", " +
           member("longest_s", w.longest) + "}";
}

// Between 0 and 1.
inline double chance(dice& d) { return static_cast<double>(d.below(1u << 30)) / (1u << 30); }

// Gives hosts by a share of 1 / rank: the sum up to a rank is searched for a random number.
class ranks {
public:
    explicit ranks(std::size_t n) {
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i) sums_.push_back(sum += 1.0 / static_cast<double>(i + 1));
    }
    std::uint32_t draw(dice& d) const {
        const auto at = std::ranges::upper_bound(sums_, chance(d) * sums_.back());
        return static_cast<std::uint32_t>(std::min<std::ptrdiff_t>(at - sums_.begin(), std::ssize(sums_) - 1));
    }

private:
    std::vector<double> sums_;
};

inline host_model campaign_host(std::size_t rank, dice& d) {
    using namespace std::chrono_literals;
    host_model h{.round_trip = std::chrono::milliseconds(20 + d.below(160)),
                 .work = std::chrono::milliseconds(40 + d.below(120)),
                 .connections = rank <= 10     ? 50u
                                : rank <= 100  ? 20u
                                : rank <= 1000 ? 10u
                                               : 4u,
                 .messages_a_connection = d.below(4) == 0 ? 100u : 0u};
    if (rank > 10 && d.below(20) == 0) h.accepts = {.messages = rank <= 100 ? 20u : 5u, .per = 1s};
    if (rank > 1000 && d.below(100) == 0) h.greylisting = 4min;
    if (rank == 20) h.outages.push_back({100s, 400s});
    if (rank == 12) h.storms.emplace_back(span_of_time{200s, 500s}, 33u);
    return h;
}

/// Where domain `i` of a campaign is: each host has one, the others are spread by share.
inline domain_model campaign_domain(std::size_t i, std::size_t hosts, const ranks& shares, dice& d) {
    using namespace std::chrono_literals;
    domain_model m{.look_up = std::chrono::milliseconds(5 + d.below(200))};
    m.host = i < hosts ? static_cast<std::uint32_t>(i) : shares.draw(d);
    m.is_unknown = i >= hosts && d.below(100) == 0;
    if (i >= hosts && d.below(50) == 0) m.outages.push_back({0s, 300s});
    return m;
}

}  // namespace detail

POSTROAD_DECL std::string to_table(const std::vector<std::pair<std::string, simulation_report>>& reports) {
    using detail::right;
    static constexpr std::size_t widths[] = {9, 9, 9, 12, 12, 9, 6, 9};
    const auto row = [](const std::string& name, const std::vector<std::string>& cells) {
        auto line = name + std::string(name.size() < 24 ? 24 - name.size() : 1, ' ');
        for (std::size_t i = 0; i < cells.size(); ++i) line += right(cells[i], widths[i]);
        return line + "\n";
    };
    auto text =
        row("", {"50 %, s", "95 %, s", "100 %, s", "class 0 p50", "class 0 p99", "connects", "421s", "deferred"});
    for (const auto& [name, r] : reports) {
        const auto first = r.classes.find(0);
        const auto w = first == r.classes.end() ? wait_times{} : first->second;
        text += row(
            name, {detail::number(detail::seconds_of(r.half), "%.0f"),
                   detail::number(detail::seconds_of(r.p95), "%.0f"), detail::number(detail::seconds_of(r.all), "%.0f"),
                   detail::number(detail::seconds_of(w.half)), detail::number(detail::seconds_of(w.p99)),
                   std::to_string(r.connections), std::to_string(r.replies_421), std::to_string(r.deferrals)});
        for (const auto& rule : r.broken) text += "    broken: " + rule + "\n";
    }
    return text;
}

POSTROAD_DECL std::string to_json(const simulation_report& r) {
    using detail::member;
    const auto listed = [](const auto& all, auto&& each) {
        std::string text;
        for (const auto& one : all) text += (text.empty() ? "" : ", ") + each(one);
        return text;
    };
    return "{" + member("messages", r.messages) + ", " + member("accepted", r.accepted) + ", " +
           member("failed", r.failed) + ", " + member("attempts", r.attempts) + ", " +
           member("deferrals", r.deferrals) + ", " + member("connections", r.connections) + ", " +
           member("most_connections", r.most_connections) + ", " + member("replies_421", r.replies_421) + ", " +
           member("unreachable", r.unreachable) + ", " + member("questions", r.questions) + ", " +
           member("t50_s", r.half) + ", " + member("t95_s", r.p95) + ", " + member("t100_s", r.all) + ", " +
           member("steps", r.steps) + ", \"classes\": {" +
           listed(r.classes,
                  [](const auto& c) {
                      return detail::quoted(std::to_string(c.first)) + ": " + detail::object(c.second);
                  }) +
           "}, \"tenants_at_half\": {" +
           listed(r.tenants_at_half,
                  [](const auto& t) { return detail::quoted(t.first) + ": " + std::to_string(t.second); }) +
           "}, \"course_s\": [" +
           listed(r.course, [](duration d) { return detail::number(detail::seconds_of(d), "%.3f"); }) +
           "], \"broken\": [" + listed(r.broken, [](const std::string& s) { return detail::quoted(s); }) + "]}";
}

POSTROAD_DECL workload make_workload(const campaign& c) {
    workload w{.seed = c.seed};
    detail::dice d(c.seed);
    for (std::size_t rank = 1; rank <= c.hosts; ++rank) w.hosts.push_back(detail::campaign_host(rank, d));
    const detail::ranks shares(c.hosts);
    for (std::size_t i = 0; i < c.domains; ++i) w.domains.push_back(detail::campaign_domain(i, c.hosts, shares, d));
    std::vector<std::vector<std::uint32_t>> at(c.hosts);
    for (std::uint32_t i = 0; i < w.domains.size(); ++i) at[w.domains[i].host].push_back(i);
    for (std::size_t h = 0; h < std::min<std::size_t>(c.domains > 0 ? 10 : 0, c.hosts); ++h)
        w.hosts[h].provider = "large.example";
    struct source {
        detail::ranks hosts;
        std::vector<std::vector<std::uint32_t>> domains;  // at each host; none: its own
        detail::dice d;
        std::uint32_t draw() {
            const auto h = hosts.draw(d);
            const auto& all = domains[h];
            return all.empty() ? h : all[d.below(all.size())];
        }
        std::size_t bulk;
        std::size_t transactional;
        duration mean;
        duration at = duration::zero();
    };
    const auto mean = c.transactional_over / static_cast<duration::rep>(std::max<std::size_t>(c.transactional, 1));
    // Of fewer domains than hosts each is at one, and nothing goes to the others.
    const detail::ranks drawn(c.domains > 0 ? std::min(c.hosts, c.domains) : c.hosts);
    const auto s =
        std::make_shared<source>(source{drawn, std::move(at), detail::dice(c.seed + 1), c.bulk, c.transactional, mean});
    w.next = [s]() -> std::optional<arrival> {
        if (s->bulk > 0) {
            --s->bulk;
            return arrival{.domain = s->draw(), .traffic_class = 1};
        }
        if (s->transactional == 0) return std::nullopt;
        --s->transactional;
        const auto wait = -std::log(1 - detail::chance(s->d)) * static_cast<double>(s->mean.count());
        s->at += duration(static_cast<duration::rep>(wait));
        return arrival{.at = s->at, .domain = s->draw(), .traffic_class = 0};
    };
    return w;
}

}  // namespace postroad::testing

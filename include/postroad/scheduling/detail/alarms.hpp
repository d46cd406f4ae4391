#pragma once
// What is to be looked at by time alone, and when. Reads no clock: whoever asks says what time it is.

#include <postroad/core/clock.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

namespace postroad::scheduling::detail {

struct alarm {
    enum class kind : unsigned char { mailer, site, provider, stream, tenant, forget };
    time_point at = never;
    kind what = kind::mailer;
    std::uint32_t which = 0;
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy takes its zero for a pointer
    friend auto operator<=>(const alarm&, const alarm&) = default;
};

class alarms {
public:
    void set(const alarm& a) { all_.insert(a); }
    void cancel(const alarm& a) { all_.erase(a); }
    /// For what has one at a time: `a` takes the place of the one at `rings_at`, unless it is due already.
    void move(time_point& rings_at, const alarm& a, time_point now) {
        if (a.at == rings_at || a.at <= now) return;
        cancel({rings_at, a.what, a.which});
        rings_at = a.at;
        if (a.at != never) set(a);
    }
    /// The first that is due, which is no longer set.
    std::optional<alarm> ring(time_point now) {
        if (all_.empty() || first_at() > now) return std::nullopt;
        return all_.extract(all_.begin()).value();
    }
    time_point first_at() const noexcept { return all_.empty() ? never : all_.begin()->at; }
    std::size_t size() const noexcept { return all_.size(); }
    bool empty() const noexcept { return all_.empty(); }

private:
    std::set<alarm> all_;
};

}  // namespace postroad::scheduling::detail

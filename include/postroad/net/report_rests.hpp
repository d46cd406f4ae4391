#pragma once
// Who could not be told how TLS went, and is left alone for a while (RFC 8460 section 5.5). No clock: times of the
// calendar come in, since rests outlive the process. See docs/tls.md.

#include <postroad/core/config.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace postroad::net {

/// What came of a report at one place.
enum class report_answer : unsigned char {
    taken,
    later,    ///< it could not be left there now: a mailbox that is full, HTTP 503
    refused,  ///< for good, as everything that comes back: no such mailbox, too large, HTTP 404
    away,     ///< nobody answered: that is about all places at its server
};

/// Places that failed rest: many domains name one place, and each day brings reports for it. The wait doubles with
/// each failure in a row; a quarter of it, at most, lies on top, by place, so that not all are tried at once.
class report_rests {
public:
    static constexpr std::chrono::hours first_wait{1};
    /// After a refusal: less than a day, so that a report of the next day is tried at the same time of day.
    static constexpr std::chrono::hours first_rest{20};
    static constexpr std::chrono::hours longest_wait{24 * 30};
    /// Places and servers that rest; others are tried as if nothing had been.
    static constexpr std::size_t max_places = 100'000;

    /// Until when `place`, of a tls_rpt_record, or its server is left alone; nothing: it may be tried.
    std::optional<std::chrono::sys_seconds> until(const std::string& place, std::chrono::sys_seconds now) const;
    void answered(const std::string& place, report_answer a, std::chrono::sys_seconds now);

    /// All of it as lines, for a file, without what failed so long ago that it begins anew.
    std::string text(std::chrono::sys_seconds now) const;
    /// Adds what a line of text() says. False: it is none, and nothing happened.
    bool read_line(std::string_view line);

private:
    struct rest {
        unsigned failures = 0;  // in a row
        std::chrono::sys_seconds over = {};
    };

    std::map<std::string, rest> all_;  // by place, and by server
};

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/report_rests.ipp>
#endif

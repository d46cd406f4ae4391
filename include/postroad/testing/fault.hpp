#pragma once
// What a test server does wrong, as data. See docs/testing.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace postroad::testing {

/// What happens to the connection once a fault sent its octets.
enum class then : unsigned char {
    go_on,  ///< the conversation goes on
    stall,  ///< the server ignores everything and says nothing more, but stays connected
    drop,   ///< the server closes the connection
};

/// One departure from what the server would do. It replaces the reply, decides whether the command takes effect, and
/// says how the connection goes on. The parts combine: a reply that got lost is `send` empty with `takes_effect`.
struct fault {
    /// Which reply: greeting, hello, starttls, auth (to the command), mail, rcpt, data (the 354, or the reply to BDAT
    /// without LAST), content (to the end of the content; in LMTP one for each recipient), reset or quit. At idle it is
    /// an addition: what the server says unasked after a transaction ended.
    phase at = phase::greeting;
    /// At which time it happens, counted over all connections of the server from 1; 0 is every time.
    unsigned nth = 1;
    /// Only what contains this counts: of the command's argument; at content of the recipients, separated by spaces.
    std::string match = {};
    /// Octets in place of the reply, CRLF included if there is to be one. Without a value: the reply that was due.
    std::optional<std::string> send = {};
    /// With `send`: whether the command does what it does without the fault. At content: whether the message is stored.
    bool takes_effect = false;
    testing::then then = testing::then::go_on;
    /// At content: with the first octet of the content, not behind its end. Nothing is stored.
    bool early = false;
    /// So much later than without the fault.
    duration wait = duration::zero();

    /// Replies `text`, a line without CRLF, and does not do what was asked: `fault::reply(phase::rcpt, "451 later")`.
    static fault reply(phase at, std::string_view text, unsigned nth = 1) {
        return {.at = at, .nth = nth, .send = std::string(text) + "\r\n"};
    }
    /// Closes the connection in place of the reply; nothing is done.
    static fault drop(phase at, unsigned nth = 1) {
        return {.at = at, .nth = nth, .send = std::string(), .then = testing::then::drop};
    }
    /// Says nothing more in place of the reply; nothing is done.
    static fault stall(phase at, unsigned nth = 1) {
        return {.at = at, .nth = nth, .send = std::string(), .then = testing::then::stall};
    }

    friend bool operator==(const fault&, const fault&) = default;
};

/// Reads `PHASE[@MATCH]:NTH:[+]TEXT[|FLAG]...`, as a command line gives it. TEXT is what is sent; CRLF is added unless
/// it holds `\n` or ends in `\c`; `\r`, `\n`, `\\` and `\xNN` stand for octets. Empty TEXT sends nothing, `=` the reply
/// that was due. `+` makes the command take effect. FLAG is `drop`, `stall`, `early` or `wait=MS`. A message that is
/// stored while its reply gets lost: `content:1:+|drop`. Throws error(errc::invalid_option).
POSTROAD_DECL fault parse_fault(std::string_view text);

}  // namespace postroad::testing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/testing/impl/fault.ipp>
#endif

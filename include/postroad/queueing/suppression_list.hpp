#pragma once
// Addresses that must not get mail: what a mailer asks a list of them. See docs/suppression.md.

#include <postroad/core/config.hpp>
#include <postroad/message/address.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>

namespace postroad::suppression {

using time = std::chrono::sys_seconds;

/// Why an address gets no mail.
enum class reason : unsigned char {
    manual,        ///< somebody said so
    hard_bounce,   ///< there is no such mailbox, or domain
    complaint,     ///< who has it called a message spam
    unsubscribed,  ///< who has it left a list
};

POSTROAD_DECL std::string_view to_string(reason r) noexcept;

/// What mail is meant: of a message its tenant and its List-Id; of an entry those that it speaks of, empty: all.
struct scope {
    std::string tenant = {};
    std::string list = {};
    friend auto operator<=>(const scope&, const scope&) = default;
};

/// An address that must not get mail. Only one entry has that address and scope.
struct entry {
    postroad::address address = {};
    scope of = {};
    reason why = reason::manual;
    std::string source = {};         ///< who says so, for people
    time added = {};                 ///< nothing: when it is added
    std::optional<time> until = {};  ///< no longer from then on; nothing: for ever
    friend bool operator==(const entry&, const entry&) = default;
};

/// "bob@example.org is suppressed: hard_bounce since 2026-03-01 (report of mx.example.org)". Printable.
POSTROAD_DECL std::string describe(const entry& e);

/// What a mailer asks before it queues a message (mailer_base::suppress_by): once for each recipient.
template <class L>
concept list = requires(const L& l, const address& a, const scope& of, time now) {
    // An entry that counts now for mail of that scope. On any thread, several at a time; may block as long as whoever
    // sends may. What it throws refuses the message.
    { l.find(a, of, now) } -> std::same_as<std::optional<entry>>;
};

namespace detail {
inline constexpr std::array<std::string_view, 4> reason_words{"manual", "hard_bounce", "complaint", "unsubscribed"};
POSTROAD_DECL std::string date_of(time t);
}  // namespace detail

}  // namespace postroad::suppression

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/queueing/impl/suppression_list.ipp>
#endif

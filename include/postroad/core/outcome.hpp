#pragma once
// What became of a message, recipient by recipient. See docs/outcomes.md.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postroad {

/// What became of the message for one recipient.
enum class status : unsigned char {
    not_attempted,  ///< the server was never asked, or the connection broke before the end of the content left
    accepted,       ///< the server took responsibility (2yz to the content)
    rejected,       ///< refused for good (5yz), or a server that lacks what the message needs
    deferred,       ///< refused for now (4yz); the same may succeed later
    in_doubt,       ///< the end of the content left, no reply came: sending again may make a duplicate
};

POSTROAD_DECL std::string_view to_string(status s) noexcept;

/// RFC 3463: class.subject.detail; all zero when the server sent none.
struct enhanced_code {
    std::uint8_t kind = 0;
    std::uint16_t subject = 0;
    std::uint16_t detail = 0;
    explicit operator bool() const noexcept { return kind != 0; }
    friend auto operator<=>(const enhanced_code&, const enhanced_code&) = default;
};

POSTROAD_DECL std::string to_string(enhanced_code c);

/// A reply of the server (RFC 5321 section 4.2). Lines of text are joined by '\n'; the enhanced code is taken off.
struct reply {
    std::uint16_t code = 0;  ///< 0: there was none
    enhanced_code enhanced = {};
    std::string text = {};

    bool positive() const noexcept { return code >= 200 && code < 400; }
    bool transient() const noexcept { return code >= 400 && code < 500; }
    bool permanent() const noexcept { return code >= 500; }
    friend bool operator==(const reply&, const reply&) = default;
};

/// "550 5.1.1 no such user", escaped and bounded: safe to print.
POSTROAD_DECL std::string to_string(const reply& r);

/// What became of the message for one recipient, and where that was decided.
struct recipient_outcome {
    std::string address = {};
    postroad::status status = postroad::status::not_attempted;
    phase where = phase::queued;
    postroad::reply reply = {};  ///< the reply that decided it; code 0 when no reply did
    error_code error = {};       ///< what decided it where no reply did, if that is known for this recipient
    std::string why = {};        ///< ours, beside `error`: one sentence
    friend bool operator==(const recipient_outcome&, const recipient_outcome&) = default;
};

/// What became of a message. `recipients` has one entry for each recipient of the envelope, in its order.
struct [[nodiscard]] outcome {
    std::vector<recipient_outcome> recipients = {};
    unsigned attempts = 0;     ///< how often its servers were asked; moving on to the next server is the same attempt
    diagnostics details = {};  ///< of the last attempt, when it failed as a whole

    bool all_accepted() const noexcept { return all_are(status::accepted); }
    bool all_are(status s) const noexcept {
        return !recipients.empty() &&
               postroad::detail::all_of(recipients, [s](const auto& r) { return r.status == s; });
    }
    bool any_are(status s) const noexcept {
        return postroad::detail::any_of(recipients, [s](const auto& r) { return r.status == s; });
    }
    /// Throws not_accepted unless every recipient was accepted.
    void require_accepted() const;
};

/// An error that has an outcome: what became of each recipient is in `result()`.
class send_error : public error {
public:
    send_error(error_code ec, outcome o);
    const outcome& result() const noexcept { return outcome_; }

private:
    outcome outcome_;
};

/// Thrown by `outcome::require_accepted`. Its code is of condition `transient` when every refusal was.
class not_accepted : public send_error {
public:
    explicit not_accepted(outcome o);
};

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/core/impl/outcome.ipp>
#endif

#pragma once
// What is wrong and what to do about a failure, for people. A table, in impl/advice_table.ipp: the first row that
// fits speaks, and where none fits nothing is invented. See docs/troubleshooting.md.

#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace postroad::smtp {

/// Who runs the server: advice to its users is none for those who send to strangers, without an account and a say.
enum class whose_server : unsigned char { ours, strangers };

/// What went wrong, as far as it is known.
struct situation {
    error_code error = {};  ///< none: the reply refuses the message, or one of its recipients
    phase where = phase::idle;
    std::optional<security> how = {};
    std::string explanation = {};  ///< ours
    reply said = {};               ///< the server's; code 0: nothing
    whose_server whose = whose_server::ours;
};

/// Sentences for people; texts of static life.
struct advice {
    std::string_view wrong = {};   ///< empty where the explanation says it
    std::string_view todo = {};    ///< empty where the server's words say it
    std::string_view source = {};  ///< where that is published, a URL; empty for what follows from our own words
    friend bool operator==(const advice&, const advice&) = default;
};

/// The advice that fits, or null.
POSTROAD_DECL const advice* find_advice(const situation& s);

/// The same as one text: what is wrong, and what to do. Empty if there is none.
POSTROAD_DECL std::string advise(const situation& s);

/// Of what an error says, or the outcome of a recipient. Both keep a reply as text at most, which is read again.
POSTROAD_DECL situation situation_of(error_code ec, const diagnostics& d, whose_server whose = whose_server::ours);
POSTROAD_DECL situation situation_of(const recipient_outcome& r, whose_server whose = whose_server::ours);

/// Whether a greeting or a reply to EHLO was masked on the way: some firewalls write * or X over what they do not know.
POSTROAD_DECL bool is_masked(const reply& r) noexcept;

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/advice.ipp>
#endif

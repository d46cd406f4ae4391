#pragma once
// What to do about a failure, in a sentence, for people. Tables, in impl/advice.ipp; the first row that fits speaks.

#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>

#include <string_view>

namespace postroad::smtp {

/// About an error in phase `where` with `explanation` and, where the server said something, `reply`; empty where the
/// explanation says it all.
POSTROAD_DECL std::string_view advice(error_code ec, phase where, security how, std::string_view explanation,
                                      std::string_view reply = {});

/// About a refusal of MAIL, RCPT or what follows: by its enhanced code and its words before code and phase.
POSTROAD_DECL std::string_view advice_on_refusal(const reply& r, phase where);

/// Whether a greeting or a reply to EHLO was masked on the way: some firewalls write * or X over what they do not know.
POSTROAD_DECL bool is_masked(const reply& r) noexcept;

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/advice.ipp>
#endif

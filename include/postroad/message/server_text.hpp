#pragma once
// Reports that a server wrote for people only.

#include <postroad/core/config.hpp>
#include <postroad/core/outcome.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace postroad {
struct reported_recipient;
}

namespace postroad::detail {

/// Whom a text in the form of Exim, qmail, Gmail, Exchange, Sendmail or Postfix of old is about, and why. Empty if it
/// has none of these forms.
POSTROAD_DECL std::vector<reported_recipient> read_server_text(std::string_view text);

/// The first enhanced status code that stands alone in `text`; zero if there is none.
POSTROAD_DECL enhanced_code status_within(std::string_view text) noexcept;

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/server_text.ipp>
#endif

#pragma once
// Takes out of a server's text what must not get into a log, a receipt or an error.

#include <postroad/core/base64.hpp>
#include <postroad/core/secret.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::smtp {

/// Secrets, and what was sent of them: a server may echo either, at any time.
class redaction {
public:
    /// Octets. What is shorter is left: taking it out would tell what it is.
    static constexpr std::size_t shortest = 4;

    void hide(std::string_view what) {
        if (what.size() < shortest || std::ranges::any_of(hidden_, [&](const secret& s) { return s.reveal() == what; }))
            return;
        // The longest first: it may contain what follows.
        const auto at = std::ranges::find_if(hidden_, [&](const secret& s) { return s.reveal().size() < what.size(); });
        hidden_.emplace(at, what);
    }
    /// The same, and its base64.
    void hide_encoded_too(const secret& what) {
        hide(what.reveal());
        if (what.reveal().size() >= shortest) hide(base64_encode(what.reveal()));
    }
    void hide(const redaction& other) {
        for (const auto& s : other.hidden_) hide(s.reveal());
    }

    bool finds(std::string_view text) const noexcept {
        return std::ranges::any_of(hidden_,
                                   [&](const secret& s) { return text.find(s.reveal()) != std::string_view::npos; });
    }
    std::string of(std::string text) const {
        static constexpr std::string_view instead = "[redacted]";
        for (const auto& s : hidden_)
            for (auto at = text.find(s.reveal()); at != std::string::npos;
                 at = text.find(s.reveal(), at + instead.size()))
                text.replace(at, s.reveal().size(), instead);
        return text;
    }

private:
    std::vector<secret> hidden_;
};

}  // namespace postroad::smtp

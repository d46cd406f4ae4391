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
    /// Octets at the beginning or the end of a longer one that are taken out as well: servers cut what they quote.
    static constexpr std::size_t shortest_part = 12;

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
        return std::ranges::any_of(hidden_, [&](const secret& s) {
            return text.find(beginning(s.reveal())) != std::string_view::npos ||
                   text.find(end(s.reveal())) != std::string_view::npos;
        });
    }
    std::string of(std::string text) const {
        for (const auto& s : hidden_) {
            take_out(text, beginning(s.reveal()), [&](std::size_t at) {
                const auto ends = std::ranges::mismatch(std::string_view(text).substr(at), s.reveal()).in1;
                return span{at, static_cast<std::size_t>(ends - std::string_view(text).begin())};
            });
            take_out(text, end(s.reveal()), [&](std::size_t at) {
                auto from = at;
                for (auto left = s.reveal().size() - end(s.reveal()).size();
                     from > 0 && left > 0 && text[from - 1] == s.reveal()[left - 1]; --left)
                    --from;
                return span{from, at + end(s.reveal()).size()};
            });
        }
        return text;
    }

private:
    struct span {
        std::size_t from, to;
    };

    static std::string_view beginning(std::string_view s) noexcept { return s.substr(0, shortest_part); }
    static std::string_view end(std::string_view s) noexcept { return s.substr(s.size() - beginning(s).size()); }

    // Where `part` stands, all that `whole` says belongs to it.
    template <class F>
    static void take_out(std::string& text, std::string_view part, F whole) {
        static constexpr std::string_view instead = "[redacted]";
        for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
            const auto found = whole(at);
            text.replace(found.from, found.to - found.from, instead);
            at = found.from + instead.size();
        }
    }

    std::vector<secret> hidden_;
};

}  // namespace postroad::smtp

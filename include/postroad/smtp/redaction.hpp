#pragma once
// Takes out of a server's text what must not get into a log, a receipt or an error.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/base64.hpp>
#include <postroad/core/secret.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::smtp {

/// Secrets, and what was sent of them: a server may echo either, at any time.
class redaction {
public:
    /// Octets. What is shorter is left: taking it out would tell what it is.
    static constexpr std::size_t shortest = 4;
    /// Octets at the beginning or the end of a longer one that are taken out as well: servers cut what they quote.
    static constexpr std::size_t shortest_part = 12;

    void hide(std::string_view what) { hide(what, true); }
    /// The same, and its base64.
    void hide_encoded_too(const secret& what) { hide_encoded_too(what, true); }
    /// Whole, or its base64: part of what people choose may be a word that says why it is refused.
    void hide_password(const secret& what) { hide_encoded_too(what, false); }
    void hide(const redaction& other) {
        for (const auto& h : other.hidden_) hide(h.what.reveal(), h.in_part);
    }

    bool finds(std::string_view text) const noexcept {
        return postroad::detail::any_of(hidden_, [&](const hidden& h) {
            return text.find(h.beginning()) != std::string_view::npos || text.find(h.end()) != std::string_view::npos;
        });
    }
    std::string of(std::string text) const {
        // Each is looked for in the text as it came: those that begin alike would take what others are known by.
        std::vector<span> spans;
        for (const auto& h : hidden_) h.find(text, spans);
        std::ranges::sort(spans, {}, &span::from);
        std::string result;
        std::size_t done = 0;
        for (auto next = spans.begin(); next != spans.end();) {
            auto [from, to] = *next;
            for (++next; next != spans.end() && next->from < to; ++next) to = std::max(to, next->to);
            result.append(text, done, from - done).append("[redacted]");
            done = to;
        }
        return result.append(text, done);
    }

private:
    struct span {
        std::size_t from, to;
    };

    struct hidden {
        secret what;
        bool in_part;

        std::size_t least() const noexcept {
            return in_part ? std::min(shortest_part, what.reveal().size()) : what.reveal().size();
        }
        std::string_view beginning() const noexcept { return what.reveal().substr(0, least()); }
        std::string_view end() const noexcept { return what.reveal().substr(what.reveal().size() - least()); }

        // Where a part stands, all around it that belongs to it.
        void find(std::string_view text, std::vector<span>& spans) const {
            const auto all = what.reveal();
            for (auto at = text.find(beginning()); at != text.npos; at = text.find(beginning(), at + 1)) {
                const auto ends = std::ranges::mismatch(text.substr(at), all).in1;
                spans.push_back({at, static_cast<std::size_t>(ends - text.begin())});
            }
            for (auto at = text.find(end()); at != text.npos; at = text.find(end(), at + 1)) {
                auto from = at;
                for (auto left = all.size() - least(); from > 0 && left > 0 && text[from - 1] == all[left - 1]; --left)
                    --from;
                spans.push_back({from, at + least()});
            }
        }
    };

    void hide(std::string_view what, bool in_part) {
        if (what.size() < shortest) return;
        const auto known = std::ranges::find_if(hidden_, [&](const hidden& h) { return h.what.reveal() == what; });
        if (known == hidden_.end())
            hidden_.push_back({secret(what), in_part});
        else
            known->in_part = known->in_part || in_part;
    }
    void hide_encoded_too(const secret& what, bool in_part) {
        hide(what.reveal(), in_part);
        if (what.reveal().size() >= shortest) hide(base64_encode(what.reveal()), true);
    }

    std::vector<hidden> hidden_;
};

}  // namespace postroad::smtp

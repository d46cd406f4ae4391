#pragma once

#include <postroad/core/observer.hpp>

#include <algorithm>

namespace postroad {
namespace detail {

// How many octets of `text` belong to the word at its front; a quoted string is part of it, whatever it holds.
inline std::size_t address_word(std::string_view text) noexcept {
    std::size_t n = 0;
    while (n < text.size()) {
        const char c = text[n];
        if (c == '"') {
            auto end = n + 1;
            while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
            if (end + 1 >= text.size() || text[end + 1] != '@') break;
            n = end + 1;
        } else if (static_cast<unsigned char>(c) <= ' ' ||
                   std::string_view("<>()[],;:=").find(c) != std::string::npos) {
            break;
        } else {
            ++n;
        }
    }
    return n;
}

// Where the path at the front of `text` ends with '>', which may also stand in a quoted string; 0: there is none.
inline std::size_t path_end(std::string_view text) noexcept {
    bool quoted = false;
    for (std::size_t i = 0; text[0] == '<' && i < text.size(); ++i) {
        if (text[i] == '"') quoted = !quoted;
        if (text[i] == '\\' && quoted)
            ++i;
        else if (text[i] == '>' && !quoted)
            return i;
    }
    return 0;
}

}  // namespace detail

POSTROAD_DECL void observers::add(std::shared_ptr<observer> one) {
    const std::lock_guard lock(mutex_);
    if (one) all_.push_back(std::move(one));
}

POSTROAD_DECL void observers::remove(const std::shared_ptr<observer>& one) {
    const std::lock_guard lock(mutex_);
    std::erase(all_, one);
}

POSTROAD_DECL void observers::on(const observation& o) {
    // Told without the lock: one of them may add or remove.
    std::vector<std::shared_ptr<observer>> all;
    {
        const std::lock_guard lock(mutex_);
        all = all_;
    }
    for (const auto& one : all) {
        try {
            one->on(o);
        } catch (...) {
            // It missed this one.
        }
    }
}

POSTROAD_DECL std::string_view to_string(observed o) noexcept {
    switch (o) {
        case observed::dialing: return "dialing";
        case observed::resolved: return "resolved";
        case observed::connected: return "connected";
        case observed::tls_established: return "tls_established";
        case observed::command: return "command";
        case observed::content: return "content";
        case observed::reply: return "reply";
        case observed::decision: return "decision";
        case observed::retry: return "retry";
        case observed::late: return "late";
        case observed::closed: return "closed";
        case observed::outcome: return "outcome";
    }
    return "unknown";
}

POSTROAD_DECL std::string without_addresses(std::string_view text) {
    static constexpr std::string_view mark = "[address]";
    std::string result;
    while (!text.empty()) {
        if (const auto end = detail::path_end(text); end != 0) {
            (result += '<').append(end > 1 ? mark : std::string_view()) += '>';
            text.remove_prefix(end + 1);
            continue;
        }
        const auto n = detail::address_word(text);
        const auto word = text.substr(0, std::max<std::size_t>(n, 1));
        result += word.find('@') == std::string_view::npos ? word : mark;
        text.remove_prefix(word.size());
    }
    return result;
}

}  // namespace postroad

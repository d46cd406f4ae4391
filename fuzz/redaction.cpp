// Secrets, and what a server echoes: nothing of a secret is left, whatever stands around it. The first line of the
// input says the secrets, separated by spaces; the rest is the server's.
#include <postroad/core/secret.hpp>
#include <postroad/smtp/redaction.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

// Part of what is put in its place: that it is there says nothing.
bool is_of_the_mark(std::string_view text) {
    return text.find_first_of("[]") != std::string_view::npos ||
           std::string_view("[redacted]").find(text) != std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using postroad::smtp::redaction;
    const std::string input(reinterpret_cast<const char*>(data), size);
    const auto end = std::min(input.find('\n'), input.size());
    std::vector<std::string> secrets;
    for (std::size_t at = 0; at < end && secrets.size() < 20;) {
        const auto next = std::min(input.find(' ', at), end);
        secrets.push_back(input.substr(at, next - at));
        at = next + 1;
    }
    redaction hidden;
    for (const auto& s : secrets) hidden.hide_encoded_too(postroad::secret(s));
    redaction copied;
    copied.hide(hidden);

    const auto text = input.substr(end);
    const auto shown = hidden.of(text);
    require(shown == copied.of(text));
    require(hidden.finds(text) || shown == text);
    for (const auto& s : secrets) {
        if (s.size() < redaction::shortest || is_of_the_mark(s)) continue;
        require(shown.find(s) == std::string::npos);
    }
    return 0;
}

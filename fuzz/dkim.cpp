// Any message, signed in every canonicalization: either refused, or the fields stand on top, the rest is as it was
// where that was ASCII (else it is written in 7 bit first), and signing says the same again.
#include <postroad/message/dkim.hpp>
#include <postroad/message/utf8.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using postroad::canonicalization;

void require(bool condition) {
    if (!condition) std::abort();
}

// What was hashed decides what it gives; no key is needed.
std::string digest_itself(std::span<const unsigned char, 32> digest) { return {digest.begin(), digest.end()}; }

postroad::dkim_signer signer(std::uint8_t choices) {
    std::vector<postroad::dkim_signature> all;
    for (const unsigned i : {0u, 1u}) {
        const unsigned bits = choices >> (2 * i);
        all.push_back({.domain = "x.example",
                       .selector = "s" + std::to_string(i),
                       .key = postroad::dkim_key("ed25519-sha256", digest_itself),
                       .header = bits & 1 ? canonicalization::simple : canonicalization::relaxed,
                       .body = bits & 2 ? canonicalization::simple : canonicalization::relaxed,
                       .fields = choices & 16 ? postroad::dkim_fields::strict() : postroad::dkim_fields::standard()});
    }
    return postroad::dkim_signer(std::move(all));
}

void check_fields(std::string_view fields) {
    require(fields.ends_with("\r\n") && fields.starts_with("DKIM-Signature:"));
    for (std::size_t at = 0; at < fields.size();) {
        const auto end = fields.find("\r\n", at);
        const auto line = fields.substr(at, end - at);
        require(line.size() <= 998 && line.find_first_of("\r\n") == std::string_view::npos);
        require(line.starts_with("DKIM-Signature:") || line.starts_with(' ') || line.starts_with('\t'));
        at = end + 2;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto sign = signer(data[0]);
    const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
    try {
        const auto before = postroad::content::from_text(
            "From: a@x.example\r\n" + std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
        const auto after = sign.sign(before, now);
        const auto old = before.text(), all = after.text();
        if (postroad::detail::is_ascii(old)) {
            require(all.size() > old.size() && all.ends_with(old));
            check_fields(all.substr(0, all.size() - old.size()));
        }
        require(all.starts_with("DKIM-Signature:"));
        const auto again = sign.sign(before, now);
        require(again.text() == all);
    } catch (const postroad::error&) {
    }
    return 0;
}

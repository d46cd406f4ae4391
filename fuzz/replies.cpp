// Replies as octets: cut anywhere, the same ones come out, bounded and with codes that exist.
#include <postroad/smtp/reply.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using postroad::reply;

struct result {
    std::vector<reply> replies = {};
    postroad::error_code error = {};
};

result read(std::string_view text, std::size_t step) {
    result all;
    postroad::smtp::reply_reader reader;
    while (!text.empty() && !all.error) {
        auto part = text.substr(0, step);
        text.remove_prefix(part.size());
        while (!all.error) {
            const auto* r = reader.next(part, all.error);
            if (!r) break;
            all.replies.push_back(*r);
        }
        if (!all.error && !part.empty()) std::abort();
    }
    if (all.error && reader.explanation().empty()) std::abort();
    return all;
}

void check(const reply& r) {
    if (r.code < 200 || r.code > 599 || (r.code < 400 && r.code / 10 % 10 > 5)) std::abort();
    if (r.enhanced && r.enhanced.kind != r.code / 100) std::abort();
    if (r.text.size() > postroad::smtp::max_reply_size) std::abort();
    if (std::ranges::count(r.text, '\n') >= std::ptrdiff_t(postroad::smtp::max_reply_lines)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = read(text, std::max<std::size_t>(text.size(), 1));
    for (const auto& r : whole.replies) check(r);
    for (const std::size_t step : {std::size_t{1}, std::size_t{data[0]} + 1}) {
        const auto cut = read(text, step);
        if (cut.error != whole.error || cut.replies != whole.replies) std::abort();
    }
    return 0;
}

// A server that says anything to an authenticator. The first octet picks the mechanism; each further line is a
// challenge. SCRAM must never be satisfied, since the fuzzer does not know the password; nobody takes more than ten
// rounds; base64 has one spelling; SASLprep is done after the first time.
#include <postroad/core/base64.hpp>
#include <postroad/smtp/sasl.hpp>
#include <postroad/smtp/saslprep.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>

namespace {

using postroad::smtp::authenticator;
using postroad::smtp::credentials;

void check_base64(std::string_view text) {
    std::string out;
    if (postroad::base64_decode(text, out) && postroad::base64_encode(out) != text) std::abort();
    if (!postroad::base64_decode(postroad::base64_encode(text), out) || out != text) std::abort();
}

// What is prepared once stays as it is.
void check_saslprep(std::string_view text) {
    std::string problem;
    const auto once = postroad::smtp::saslprep(text, problem);
    if (!problem.empty()) {
        if (!once.empty()) std::abort();
        return;
    }
    if (postroad::smtp::saslprep(once, problem) != once || !problem.empty()) std::abort();
}

// 10,000 rounds and more take long and find nothing that 4,096 do not.
bool is_slow(std::string_view challenge) {
    const auto at = challenge.find(",i=");
    if (at == std::string_view::npos) return false;
    const auto digits = challenge.substr(at + 3).find_first_not_of("0123456789");
    const auto count = std::min(digits, challenge.size() - at - 3);
    return count >= 5 && count <= 7;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using postroad::smtp::detail::mechanism;
    using postroad::smtp::detail::mechanism_table;
    if (size == 0) return 0;
    const auto& info = mechanism_table[data[0] % std::size(mechanism_table)];
    std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    check_base64(text);
    check_saslprep(text);

    const std::string offered[] = {std::string(info.name)};
    const credentials c{.user = "user",
                        .password = postroad::secret("pencil and paper"),
                        .token = postroad::secret("ya29.token"),
                        .mechanisms = {offered[0]}};
    postroad::error_code ec;
    authenticator a(
        c, offered,
        {.encrypted = true, .binding_name = "tls-exporter", .binding_data = "0123456789", .host = "h", .port = 1},
        "rOprNGfwEbeRWgbNEkqO", ec);
    if (ec) std::abort();
    int rounds = 0;
    if (a.client_first()) a.respond("", ec);
    while (!ec) {
        if (++rounds > 10) std::abort();
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (is_slow(line)) return 0;
        a.respond(line, ec);
        if (info.kind == mechanism::scram && a.satisfied()) std::abort();
        if (a.explanation().find("pencil and") != std::string::npos) std::abort();
        if (a.explanation().find("ya29.") != std::string::npos) std::abort();
    }
    if (a.redacted(std::string(text)).find("pencil and paper") != std::string::npos) std::abort();
    return 0;
}

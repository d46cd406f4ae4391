// A message that anybody may have published: a job, or a reason why it is none; and a job published again is the same.
// A line a header, "KIND NAME=VALUE", with | for the line ends in a value of kind m; behind an empty line, the body.
#include <postroad/queueing/amqp_message.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace {

using postroad::queueing::amqp_message;

std::int64_t number(std::string_view text) {
    std::uint64_t n = 0;
    for (const char c : text) n = n * 257 + static_cast<unsigned char>(c);
    return static_cast<std::int64_t>(n);
}

void add(amqp_message& m, std::string_view line) {
    if (line.size() < 2) return;
    const auto equals = std::min(line.find('='), line.size() - 1);
    const std::string name(line.substr(2, equals > 2 ? equals - 2 : 0));
    const std::string value(line.substr(equals + 1));
    switch (line.front()) {
        case 'c': m.content_type = value; break;
        case 'e': m.content_encoding = value; break;
        case 'm':
            m.headers[name] = value;
            std::ranges::replace(std::get<std::string>(m.headers[name]), '|', '\n');
            break;
        case 't': m.timestamp = number(value); break;
        case 'b': m.headers[name] = value == "1"; break;
        case 'i': m.headers[name] = number(value); break;
        case 'd': m.headers[name] = static_cast<double>(number(value)) / 3; break;
        case 'l': {
            auto& v = m.headers[name];
            if (!std::holds_alternative<amqp_message::strings>(v)) v = amqp_message::strings();
            std::get<amqp_message::strings>(v).push_back(value);
            break;
        }
        default: m.headers[name] = value;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    amqp_message m;
    for (;;) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.empty()) break;
        add(m, line);
    }
    m.body = text;
    const queueing::both_clocks now{time_point(std::chrono::hours(1000)),
                                    std::chrono::system_clock::time_point(std::chrono::hours(500'000))};
    std::string reason;
    const auto j = queueing::from_amqp(std::move(m), now, reason);
    if (j.has_value() != reason.empty()) std::abort();
    if (!j) return 0;
    if (j->mail->envelope.recipients.empty() || j->submitted > now.steady) std::abort();
    const auto again = queueing::from_amqp(queueing::to_amqp(*j, now), now, reason);
    if (!again || again->mail->envelope != j->mail->envelope) std::abort();
    if (again->mail->content.text() != j->mail->content.text()) std::abort();
    if (again->tenant != j->tenant || again->tag != j->tag || again->traffic_class != j->traffic_class) std::abort();
    if (again->whole != j->whole || again->places != j->places) std::abort();
    if (again->result.recipients != j->result.recipients || again->result.attempts != j->result.attempts) std::abort();
    return 0;
}

// Whatever a field is given, it is refused or the message has exactly the fields it had, in lines that every server
// takes; and content fits a server of each kind, or says why not.

#include <postroad/message/fields.hpp>
#include <postroad/message/message.hpp>

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

using postroad::message;
using postroad::transfer;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

message simple() { return message{}.from("a@x.example").to("b@x.example").message_id("<1@x.example>"); }

std::multiset<std::string> names(std::string_view header) {
    std::multiset<std::string> result;
    for (const auto& f : postroad::detail::split_fields(header)) {
        require(!f.name.empty());
        result.emplace(f.name);
    }
    return result;
}

template <class Set>
void compose(const char* field, Set set) {
    auto m = simple();
    try {
        set(m);
    } catch (const postroad::error& e) {
        require(e.code() == postroad::condition::bad_input);
        return;
    }
    const auto c = m.freeze({}).content;
    require(c.longest_line() <= 998 && !c.eight_bit() && c.text().find('\0') == std::string_view::npos);
    const auto header = postroad::detail::split_at_empty_line(c.text()).header;
    const auto plain = simple().freeze({}).content;
    auto wanted = names(postroad::detail::split_at_empty_line(plain.text()).header);
    if (field) wanted.insert(field);
    auto found = names(header);
    if (found.erase("Content-Disposition") > 0) found.erase("Content-Description");
    if (!field) found.erase("Content-ID");
    require(found == wanted);
}

void convert(const std::string& text) {
    try {
        const auto c = postroad::content::from_text(text);
        for (const auto most : {transfer::seven_bit, transfer::eight_bit, transfer::binary}) {
            postroad::error_code ec;
            const auto fit = c.as(most, ec);
            if (ec) continue;
            require(most != transfer::seven_bit || !fit.eight_bit());
            require(most == transfer::binary || fit.longest_line() <= 998);
        }
    } catch (const postroad::error& e) {
        require(e.code() == postroad::errc::invalid_message);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    compose("Subject", [&](message& m) { m.subject(text); });
    compose("X-Own", [&](message& m) { m.header("X-Own", text); });
    compose("X-Own", [&](message& m) { m.header("X-Own", "v", {{"a", text}, {"b", "c"}}); });
    compose("X-Own", [&](message& m) { m.header("X-Own", text, {{text.substr(0, text.size() / 2), "v"}}); });
    compose("In-Reply-To", [&](message& m) { m.in_reply_to(text); });
    compose("List-Id", [&](message& m) { m.list_id(text, text); });
    compose("List-Unsubscribe", [&](message& m) { m.list_unsubscribe({.url = text}); });
    compose("Cc", [&](message& m) { m.cc(postroad::mailbox_group{.name = text, .members = {}}); });
    compose("Cc", [&](message& m) { m.cc({.name = text, .address = postroad::address("c@x.example")}); });
    const auto octets = postroad::source::memory("x");
    compose(nullptr, [&](message& m) { m.attach(octets, {.type = "a/b", .name = text}); });
    compose(nullptr, [&](message& m) { m.attach(octets, {.type = text}); });
    compose(nullptr, [&](message& m) { m.attach(octets, {.type = "a/b", .description = text, .content_id = text}); });
    convert(text);
    return 0;
}

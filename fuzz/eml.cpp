// Any octets but NUL pass when an envelope is given, with CRLF line ends and without Bcc; composing from any octets
// either refuses or gives a message of which the same is true.

#include <postroad/message/eml.hpp>
#include <postroad/message/message.hpp>

#include <cstdint>
#include <cstdlib>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_lines(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        require(text[i] != '\0');
        if (text[i] == '\r') require(i + 1 < text.size() && text[i + 1] == '\n');
        if (text[i] == '\n') require(i > 0 && text[i - 1] == '\r');
    }
    require(text.empty() || text.ends_with("\r\n"));
}

std::string all_of(const postroad::content& c) { return std::string(c.text()); }

const postroad::eml_options given{.reverse_path = postroad::address("a@x.example"),
                                  .recipients = {{postroad::address("b@x.example")}}};

void take(const std::string& text) {
    try {
        const auto o = postroad::parse_eml(text, given);
        check_lines(o.content.text());
        postroad::error_code ec;
        const auto narrow = o.content.as(postroad::transfer::seven_bit, ec);
        require(ec || (!narrow.eight_bit() && narrow.longest_line() <= 998));
        check_lines(narrow.text());
        require(all_of(postroad::content::from_source(postroad::source::memory(text))) ==
                all_of(postroad::content::from_text(text)));
        const auto header = o.content.text().substr(0, o.content.text().find("\r\n\r\n"));
        for (const auto* field : {"\r\nBcc:", "\r\nbcc:", "\r\nBCC :"})
            require(("\r\n" + std::string(header)).find(field) == std::string::npos || header.starts_with("\r\n"));
        // what was taken once is not changed by being taken again, unless it now begins like an mbox file
        if (!o.content.text().starts_with("From "))
            require(all_of(postroad::parse_eml(all_of(o.content), given).content) == all_of(o.content));
    } catch (const postroad::error& e) {
        require((e.code() == postroad::errc::invalid_message && text.find('\0') != std::string::npos) ||
                (e.code() == postroad::errc::invalid_header && postroad::detail::ill_formed_at(text) != text.size()));
    }
    try {
        for (const auto& r : postroad::parse_eml(text).envelope.recipients) require(!r.null());
    } catch (const postroad::error&) {
    }
}

void compose(const std::string& text) {
    try {
        const auto cut = text.find('\0');
        const auto value = text.substr(0, cut);
        const auto m = postroad::message{}
                           .from({.name = value, .address = postroad::address("a@x.example")})
                           .to("b@x.example")
                           .subject(value)
                           .text(cut == std::string::npos ? text : text.substr(cut));
        const auto o = m.freeze({});
        check_lines(o.content.text());
        require(!o.content.eight_bit() && o.content.longest_line() <= 998);
        const auto again = postroad::parse_eml(std::string(o.content.text()));
        require(again.envelope == o.envelope && again.content.text() == o.content.text());
    } catch (const postroad::error& e) {
        require(e.code() == postroad::errc::invalid_header || e.code() == postroad::errc::invalid_message);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    take(text);
    compose(text);
    return 0;
}

// What a journal takes from the header of a message that anybody may have written: bounded, on one line, and found
// again by what was written down.
#include <postroad/message/utf8.hpp>
#include <postroad/queueing/journal.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad::queueing;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto heading = detail::heading_of(text);
    require(heading.subject.size() <= 1000 && heading.message_id.size() <= 1000);
    require(heading.message_id.find_first_of("\r\n") == std::string::npos);

    journal_entry e{.sender = std::string(text),
                    .message_id = heading.message_id,
                    .subject = detail::decoded_subject(heading.subject)};
    require(e.subject.size() <= 500 && postroad::detail::is_printable(e.subject));
    require(journal_filter{.sender = e.sender, .message_id = e.message_id}.matches(e));
    require(journal_filter{.message_id = '<' + e.message_id + '>'}.matches(e));
    return 0;
}

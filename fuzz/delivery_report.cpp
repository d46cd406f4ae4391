// Any octets are read as a report or as none, and nothing of them that a terminal would obey comes out.

#include <postroad/message/delivery_report.hpp>

#include <cstdint>
#include <cstdlib>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_text(const std::string& text) {
    require(text.size() <= postroad::max_report_text + 100);
    for (const char c : text) require(c >= ' ' && c < 0x7f);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto r = postroad::parse_delivery_report({reinterpret_cast<const char*>(data), size});
    if (!r) return 0;
    require(r->recipients.size() <= postroad::max_reported_recipients);
    for (const auto* text :
         {&r->envelope_id, &r->original_message_id, &r->reporting_mta, &r->feedback_type, &r->source_ip})
        check_text(*text);
    for (const auto& to : r->recipients) {
        for (const auto* text : {&to.original, &to.final, &to.diagnostic, &to.remote_mta, &to.will_retry_until})
            check_text(*text);
        require(!to.status || to.status.kind == 2 || to.status.kind == 4 || to.status.kind == 5);
    }
    return 0;
}

// Any octets are read as a report or as none, and nothing of them that a terminal would obey comes out.

#include <postroad/message/delivery_report.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/message/failure_cause.hpp>
#include <postroad/message/utf8.hpp>

#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_text(const std::string& text) {
    require(text.size() <= postroad::max_report_text + 100);
    for (const char c : text) require(c >= ' ' && c < 0x7f);
}

// It may be internationalised.
void check_address(const std::string& text) {
    require(text.size() <= postroad::max_report_text + 100 && postroad::detail::is_printable(text));
}

// What was read can be written, and tells of as many recipients again.
void write(const postroad::delivery_report& r) {
    static const auto about = postroad::parse_eml("From: a@x.example\nTo: b@x.example\n\n");
    std::vector<postroad::reported_recipient> failed;
    for (auto to : r.recipients) {
        to.action = postroad::delivery_action::failed;
        if (!to.final.empty()) failed.push_back(std::move(to));
    }
    const auto written = compose_report(about, failed, {.reporting_mta = "mx.example"}, {});
    require(written.has_value() == !failed.empty());
    if (!written) return;
    require(!written->content.eight_bit() && written->content.longest_line() <= 998);
    const auto again = postroad::parse_delivery_report(written->content.text());
    require(again && again->recipients.size() == failed.size());
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
        check_address(to.original);
        check_address(to.final);
        for (const auto* text : {&to.diagnostic, &to.remote_mta, &to.will_retry_until}) check_text(*text);
        require(!to_string(cause_of(to).cause).empty());
        require(!to.status || to.status.kind == 2 || to.status.kind == 4 || to.status.kind == 5);
    }
    write(*r);
    return 0;
}

// Records of who wants reports on TLS, lines of counts and of places that rest: read or refused; what was read is as it
// may be, and comes back from what is written.
#include <postroad/net/report_rests.hpp>
#include <postroad/net/tls_report.hpp>
#include <postroad/net/tls_rpt.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad::net;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto record = read_tls_rpt_record({std::string(text)})) {
        const auto places = record->mail.size() + record->https.size();
        if (places == 0 || places > max_tls_rpt_places) std::abort();
        for (const auto& url : record->https)
            if (url.find_first_of(" \r\n\"") != std::string::npos) std::abort();
        for (const auto& a : record->mail)
            if (a.find_first_of("\r\n") != std::string::npos) std::abort();
    }
    report_rests rests;
    if (rests.read_line(text)) {
        report_rests same;
        const auto line = rests.text({});
        if (!same.read_line(line) || same.text({}) != line) std::abort();
    }
    tls_results all;
    if (!all.read_line(text)) {
        if (all.size() != 0) std::abort();
        return 0;
    }
    tls_results again;
    const auto lines = all.text();
    for (std::size_t at = 0; at < lines.size();) {
        const auto end = lines.find('\n', at) + 1;
        if (!again.read_line(std::string_view(lines).substr(at, end - at))) std::abort();
        at = end;
    }
    if (again.text() != lines) std::abort();
    return 0;
}

// Any octets are read as rows, the same whole and in pieces; what is wrong with one is printable, and what is right can
// be written and read again.

#include <postroad/queueing/suppression_csv.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace suppression = postroad::suppression;

void require(bool condition) {
    if (!condition) std::abort();
}

std::vector<suppression::csv_line> read(std::string_view text, std::size_t piece) {
    suppression::csv_reader reader;
    std::vector<suppression::csv_line> all;
    const auto take = [&] {
        while (auto row = reader.next()) all.push_back(std::move(*row));
    };
    for (std::size_t at = 0; at < text.size(); at += piece) {
        reader.push(text.substr(at, piece));
        take();
    }
    reader.end();
    take();
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto whole = read(text, size + 1);
    const auto pieces = read(text, 3);
    require(whole.size() == pieces.size());
    std::string again(suppression::csv_header);
    std::size_t good = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        require(whole[i].line == pieces[i].line && whole[i].what == pieces[i].what &&
                whole[i].fault == pieces[i].fault);
        require(whole[i].what.has_value() == whole[i].fault.empty());
        for (const char c : whole[i].fault) require(c >= ' ' && c < 0x7f);
        if (!whole[i].what) continue;
        again += csv_row(*whole[i].what);
        ++good;
    }
    const auto written = read(again, again.size());
    require(written.size() == good);
    for (const auto& row : written) require(row.what.has_value());
    return 0;
}

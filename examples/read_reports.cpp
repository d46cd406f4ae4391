// Reads the reports and complaints that came to a Maildir, into a list of addresses that get no mail; what was read
// moves from new/ to cur/. Here the Maildir holds one complaint.
//
// The Maildir must be one of a return path that nobody else knows (docs/reports.md): anybody may send a report.
#if __has_include(<sqlite3.h>)
#include <postroad/message/delivery_report.hpp>
#include <postroad/queueing/suppression_sqlite.hpp>

#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;
namespace suppression = postroad::suppression;

std::size_t read_all(const fs::path& maildir, suppression::sqlite& suppressed) {
    std::size_t read = 0;
    fs::create_directories(maildir / "cur");
    for (const auto& entry : fs::directory_iterator(maildir / "new")) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string octets(std::istreambuf_iterator<char>(file), {});
        const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        if (const auto report = postroad::parse_delivery_report(octets)) {
            suppress_reported(suppressed, *report, {}, now);
            ++read;
        }
        // Behind that: a report that was being read when the process died is read once more.
        fs::rename(entry.path(), maildir / "cur" / (entry.path().filename().string() + ":2,S"));
    }
    return read;
}

void put_a_complaint(const fs::path& maildir) {
    fs::create_directories(maildir / "new");
    std::ofstream(maildir / "new" / "1.example") << "Content-Type: multipart/report; boundary=b\n\n--b\n"
                                                    "Content-Type: message/feedback-report\n\n"
                                                    "Feedback-Type: abuse\nOriginal-Rcpt-To: bob@example.org\n--b--\n";
}

}  // namespace

int main() {
    const auto maildir = fs::temp_directory_path() / ("postroad-reports-" + std::to_string(::getpid()));
    try {
        put_a_complaint(maildir);
        suppression::sqlite suppressed((maildir / "suppressed.db").string());
        const auto read = read_all(maildir, suppressed);
        suppressed.each([](const suppression::entry& e) {
            std::puts(describe(e).c_str());
            return true;
        });
        std::printf("%zu reports read\n", read);
        const bool good = read == 1 && suppressed.size() == 1;
        fs::remove_all(maildir);
        return good ? 0 : 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
#else
int main() {}
#endif

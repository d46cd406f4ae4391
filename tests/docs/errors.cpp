// The tables of docs/errors.md.
#include <doctest/doctest.h>

#include <postroad/core/error.hpp>

#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

// What stands between backticks in a line.
std::vector<std::string> names_in(std::string_view line) {
    std::vector<std::string> result;
    for (auto at = line.find('`'); at != std::string_view::npos;) {
        const auto end = line.find('`', at + 1);
        result.emplace_back(line.substr(at + 1, end - at - 1));
        at = line.find('`', end + 1);
    }
    return result;
}

bool stands_for(std::string_view pattern, std::string_view name) {
    return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1)) : name == pattern;
}

}  // namespace

TEST_CASE("the conditions on the page are those of the codes") {
    using postroad::condition;
    const std::map<std::string, condition> conditions = {{"bad_input", condition::bad_input},
                                                         {"transient", condition::transient},
                                                         {"permanent", condition::permanent},
                                                         {"timed_out", condition::timed_out},
                                                         {"tls", condition::tls},
                                                         {"authentication", condition::authentication},
                                                         {"protocol", condition::protocol},
                                                         {"limit", condition::limit},
                                                         {"cancelled", condition::cancelled}};
    std::ifstream page("docs/errors.md");
    std::string line;
    while (std::getline(page, line) && line != "## Conditions") continue;
    std::size_t rows = 0;
    while (std::getline(page, line) && !line.starts_with("##")) {
        const auto names = names_in(line);
        if (!line.starts_with("| `") || names.empty()) continue;
        ++rows;
        for (int value = 1; postroad::to_string(static_cast<postroad::errc>(value)) != "unknown"; ++value) {
            const postroad::error_code code = static_cast<postroad::errc>(value);
            const std::string name(postroad::to_string(static_cast<postroad::errc>(value)));
            bool listed = false;
            for (std::size_t i = 1; i < names.size(); ++i) listed = listed || stands_for(names[i], name);
            CAPTURE(names[0]);
            CAPTURE(name);
            CHECK((code == conditions.at(names[0])) == listed);
        }
    }
    CHECK(rows == conditions.size());
}

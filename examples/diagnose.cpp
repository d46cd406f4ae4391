// Finds out why mail does not go.
//
//     diagnose URL [RECIPIENT]...    looks up, connects, greets, authenticates, asks about the recipients; sends
//     nothing diagnose                       the same with a server of its own

#include <postroad/diagnose.hpp>
#include <postroad/testing/sink.hpp>

#include <iostream>
#include <string>
#include <vector>

namespace {

bool examine(const std::string& url, const std::vector<std::string>& recipients) {
    //[diagnose
    const auto found = postroad::diagnose(url, {.to = recipients});
    std::cout << to_string(found);
    return found.good();
    //]
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc > 1) return examine(argv[1], {argv + 2, argv + argc}) ? 0 : 1;
        const postroad::testing::sink server;
        return examine(server.url(), {"bob@example.org"}) ? 0 : 1;
    } catch (const postroad::error& e) {
        std::cerr << e.what() << '\n';
        return 2;
    }
}

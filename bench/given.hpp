#pragma once
// What a client is told: --file, --port, --messages, --connections and --ca, a value behind each.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

struct given {
    std::string content;  // of --file
    std::string port;
    std::string ca;
    std::size_t messages;
    std::size_t connections;
};

// Ends the program where the file cannot be read.
inline given options_of(const char* program, int argc, char** argv) {
    std::map<std::string_view, std::string> options{{"--port", "2525"}, {"--messages", "1000"}, {"--connections", "1"}};
    for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
    std::ifstream file(options["--file"], std::ios::binary);
    given g{std::string(std::istreambuf_iterator<char>(file), {}), options["--port"], options["--ca"],
            std::strtoul(options["--messages"].c_str(), nullptr, 10),
            std::strtoul(options["--connections"].c_str(), nullptr, 10)};
    if (!g.content.empty()) return g;
    std::fprintf(stderr, "%s: the file of --file cannot be read\n", program);
    std::exit(2);
}

// A mail server for tests on the command line. It takes every message and delivers none.
//
//   sink [--port N] [--plain | --starttls | --implicit-tls] [--lmtp] [--auth USER:PASSWORD] [--mechanism NAME]
//        [--require-auth] [--maildir DIR] [--delay-ms N] [--size N] [--no-pipelining] [--chunking] [--count-only]
//        [--fault SPEC]... [--ca-out FILE]
//
// Prints "listening PORT" once it does, and on SIGINT or SIGTERM one line of JSON with what it saw.
#include <postroad/testing/sink.hpp>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace postroad;

struct settings {
    testing::server_options server = {};
    testing::listen_options listen = {};
    std::string ca_out = {};
};

template <class Number>
Number number(std::string_view option, std::string_view text) {
    Number value{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc() || end != text.data() + text.size())
        throw error(errc::invalid_option, std::string(option) + " needs a number in its range");
    return value;
}

// False if there is no such option.
bool read_flag(settings& s, std::string_view option) {
    if (option == "--plain")
        s.server.security = security::insecure_none;
    else if (option == "--starttls")
        s.server.security = security::starttls;
    else if (option == "--implicit-tls")
        s.server.security = security::implicit;
    else if (option == "--lmtp")
        s.server.lmtp = true;
    else if (option == "--require-auth")
        s.server.require_auth = true;
    else if (option == "--no-pipelining")
        s.server.pipelining = false;
    else if (option == "--chunking")
        s.server.chunking = s.server.binarymime = true;
    else if (option == "--count-only")
        s.server.keep = false;
    else
        return false;
    return true;
}

void read_value(settings& s, std::string_view option, const std::string& value) {
    if (option == "--port") {
        s.listen.port = number<std::uint16_t>(option, value);
    } else if (option == "--auth") {
        const auto colon = value.find(':');
        if (colon == std::string::npos) throw error(errc::invalid_option, "--auth needs USER:PASSWORD");
        s.server.users[value.substr(0, colon)] = value.substr(colon + 1);
    } else if (option == "--mechanism") {
        s.server.mechanisms = {value};
    } else if (option == "--maildir") {
        s.server.maildir = value;
    } else if (option == "--delay-ms") {
        s.server.delay = std::chrono::milliseconds(number<unsigned>(option, value));
    } else if (option == "--size") {
        s.server.size = number<std::uint64_t>(option, value);
    } else if (option == "--fault") {
        s.server.faults.push_back(testing::parse_fault(value));
    } else if (option == "--ca-out") {
        s.ca_out = value;
    } else {
        throw error(errc::invalid_option, "unknown option " + std::string(option));
    }
}

settings read_options(int argc, char** argv) {
    settings s;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        if (read_flag(s, option)) continue;
        if (i + 1 == argc) throw error(errc::invalid_option, std::string(option) + " is not known or needs a value");
        read_value(s, option, argv[++i]);
    }
    // the password came in the clear on the command line: there is nothing left to protect
    s.server.auth_in_clear = s.server.security == security::insecure_none;
    return s;
}

void print_totals(testing::sink& sink) {
    const auto c = sink.state().counts();
    std::printf(
        "{\"messages\": %llu, \"octets\": %llu, \"commands\": %llu, \"connections\": %llu, \"most_connections\": %zu, "
        "\"auth_attempts\": %llu, \"handshakes\": %llu, \"violations\": %llu}\n",
        static_cast<unsigned long long>(c.messages), static_cast<unsigned long long>(c.octets),
        static_cast<unsigned long long>(c.commands), static_cast<unsigned long long>(c.connections_ever),
        c.most_connections, static_cast<unsigned long long>(c.auth_attempts),
        static_cast<unsigned long long>(c.handshakes), static_cast<unsigned long long>(c.violations));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        // blocked before the sink starts its thread, so that they wait for sigwait()
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &signals, nullptr);

        const auto s = read_options(argc, argv);
        testing::sink sink(s.server, s.listen);
        if (!s.ca_out.empty()) sink.write_ca(s.ca_out);
        std::printf("listening %u\n", static_cast<unsigned>(sink.port()));
        std::fflush(stdout);
        int which = 0;
        sigwait(&signals, &which);
        sink.stop();
        for (const auto& v : sink.violations()) std::fprintf(stderr, "violation: %s\n", v.c_str());
        print_totals(sink);
        return EXIT_SUCCESS;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "sink: %s\n", e.what());
        return EXIT_FAILURE;
    }
}

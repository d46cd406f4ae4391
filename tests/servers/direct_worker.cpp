// Sends a message to each recipient directly, with the DNS of start-dns. For the tests beside it.
//
//   direct_worker DNS_PORT ANCHORS SMTP_PORT CA TO...
//   direct_worker diagnose DNS_PORT ANCHORS SMTP_PORT CA TO...
//   direct_worker policies HTTPS_PORT DNS_PORT ...  as the first; policies of MTA-STS are at that port
//
// Prints a line for each: the address, its status, the name of the error or "-", and the reply or what else
// is told people. With "diagnose" nothing is sent, and the steps are printed.
#include <postroad/diagnose_direct.hpp>
#include <postroad/net/https_policies.hpp>
#include <postroad/postroad.hpp>
#include <postroad/transport/mx.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace {

using namespace postroad;

void print(const std::string& to, const outcome& result, error_code ec, const std::string& text) {
    const auto& r = result.recipients.at(0);
    const auto name = ec.category() == error_category() ? std::string(to_string(static_cast<errc>(ec.value())))
                                                        : std::string(ec ? "system" : "-");
    std::printf("%s %s %s %s\n", to.c_str(), std::string(to_string(r.status)).c_str(), name.c_str(), text.c_str());
}

int run(char** argv) {
    const bool with_policies = std::string_view(argv[1]) == "policies";
    const bool only_looks = std::string_view(argv[1]) == "diagnose";
    const std::string web = with_policies ? argv[2] : "";
    argv += with_policies ? 2 : only_looks ? 1 : 0;
    net::unbound_options dns;
    dns.stubs = {{"test", std::string("127.0.0.1@") + argv[1]}};
    dns.anchors_file = argv[2];
    // Of the sender's domain there is nothing, and nobody beyond this machine is asked about it.
    dns.more = {{"local-zone", "test. transparent"}, {"local-zone", "example. static"}};
    transport::mx_options options;
    options.client_name = "out.sender.example";
    options.port = static_cast<std::uint16_t>(std::stoi(argv[3]));
    options.private_addresses = true;
    options.dialing.family = net::address_family::ipv4;
    if (with_policies) {
        net::https_policies_options from{.ca_file = argv[4], .private_addresses = true};
        from.port = static_cast<std::uint16_t>(std::stoi(web));
        for (char** to = argv + 5; *to; ++to)
            from.addresses.push_back("mta-sts." + std::string(address(*to).domain()) + ':' + web + ":127.0.0.1");
        options.policies = net::https_policies(from);
    }
    const auto resolver = std::make_shared<net::unbound>(dns);
    const tls::automatic security{.options = {.ca_file = argv[4]}};
    if (only_looks) {
        diagnose_options how{.from = "ann@sender.example"};
        for (char** to = argv + 5; *to; ++to) how.to.emplace_back(*to);
        std::printf("%s", to_string(diagnose(options, waiting_for(resolver), how, {}, security)).c_str());
        return 0;
    }
    mailer direct{transport::mx{options, resolver}, security};
    for (char** to = argv + 5; *to; ++to) {
        try {
            const auto result =
                direct.send(message{}.from("ann@sender.example").to(*to).subject("Hello").text("Hello"));
            print(*to, result, {}, to_string(result.recipients.at(0).reply));
        } catch (const send_error& e) {
            print(*to, e.result(), e.code(), e.what());
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) return 2;
    try {
        return run(argv);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}

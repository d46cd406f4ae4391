// Sends mail straight to the servers of its recipients, without a relay. See docs/direct.md.
//
//   direct OUT.EXAMPLE.COM FROM TO...      the first is the name that the address we come from has in the DNS
#include <cstdio>

#if __has_include(<unbound.h>)
#include <postroad/postroad.hpp>
#include <postroad/transport/mx.hpp>

#include <string>

namespace {

//[direct_results
void print(const postroad::outcome& result) {
    for (const auto& r : result.recipients) {
        const auto said = r.reply.code != 0 ? to_string(r.reply) : r.why;
        std::printf("%s: %s, %s\n", r.address.c_str(), std::string(to_string(r.status)).c_str(), said.c_str());
    }
}
//]

int send(int argc, char** argv) {
    const std::string own_name = argv[1];
    //[direct
    postroad::mailer direct{postroad::transport::mx{{.client_name = own_name}},
                            postroad::pooling::keep_alive{.max_connections = 50}, postroad::scheduling::fair{}};
    //]
    auto mail = postroad::message{}.from(argv[2]).subject("Hello").text("Sent without a relay.\n");
    for (int i = 3; i < argc; ++i) mail.to(argv[i]);
    try {
        print(direct.send(mail));
        return 0;
    } catch (const postroad::send_error& e) {
        print(e.result());
        return 1;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fputs("usage: direct OUT.EXAMPLE.COM FROM TO...\n", stderr);
        return 2;
    }
    try {
        return send(argc, argv);
    } catch (const postroad::error& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
#else
int main(int, char**) {
    std::fputs("built without libunbound\n", stderr);
    return 2;
}
#endif

// Sends each file that a line of the input names to three servers, and prints for each server, in one line: `same` and
// what arrived in hexadecimal, or `refused` and why.

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <cstdio>
#include <iostream>
#include <string>

namespace {

void print(const char* word, std::string_view value) {
    std::printf("%s ", word);
    for (const char c : value) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    std::printf("\n");
}

struct server {
    explicit server(postroad::testing::server_options options) : sink(std::move(options)), mailer(sink.url()) {}

    void take(const std::string& file) {
        sink.state().clear();
        try {
            const auto mail = postroad::read_eml(file, {.reverse_path = postroad::address("ann@example.com"),
                                                        .recipients = {{postroad::address("bob@example.org")}}});
            const auto o = mailer.send(mail);
            const auto arrived = sink.messages();
            if (!sink.violations().empty()) return print("violation", sink.violations().front());
            if (arrived.size() == 1) return print("arrived", arrived.front().content);
            print("refused", o.recipients.front().why + o.details.explanation);
        } catch (const postroad::error& e) {
            print("refused", e.what());
        }
    }

    postroad::testing::sink sink;
    postroad::mailer<> mailer;
};

}  // namespace

int main() {
    server all({});
    server eight_bit({.smtputf8 = false});
    server ascii({.eight_bit_mime = false, .smtputf8 = false});
    for (std::string file; std::getline(std::cin, file);)
        for (auto* s : {&all, &eight_bit, &ascii}) s->take(file);
}

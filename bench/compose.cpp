// How fast messages are composed: text and HTML in German, an attachment of 64 KiB with a name that is not ASCII, ready
// to be sent; and how much memory that takes:
//   compose [MESSAGES]
// One line: messages a second of CPU, octets of the last, peak memory in KiB.

#include "letter.hpp"
#include "peak.hpp"

#include <postroad/message/message.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

int main(int argc, char** argv) {
    const int messages = argc > 1 ? std::atoi(argv[1]) : 1000;
    const letter sent;

    std::size_t size = 0;
    const auto start = std::clock();
    for (int i = 0; i < messages; ++i) {
        const auto mail = postroad::message{}
                              .from("Ann Lee <ann@example.com>")
                              .to({.name = "Jörg Müller", .address = postroad::address("bob@example.org")})
                              .to("Cid <cid@example.org>")
                              .subject("Größe und Gewicht Ihrer Bestellung, Nummer " + std::to_string(i))
                              .text(sent.text)
                              .html(sent.html)
                              .attach(postroad::source::memory(sent.octets), {.name = "Größen.bin"})
                              .freeze(std::chrono::system_clock::now());
        size = mail.content.size();
    }
    const auto seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::printf("%.0f %zu %ld\n", messages / seconds, size, peak_kib());
}

// Sends a message with a large file to a server, or a large message where the file is an .eml, and tells how much
// memory that took:
//   attachment URL FILE

#include "peak.hpp"

#include <postroad/postroad.hpp>

#include <chrono>
#include <cstdio>
#include <string_view>

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: attachment URL FILE\n");
        return 2;
    }
    postroad::mailer mail{postroad::transport::smtp{argv[1]}};
    const auto small = postroad::message{}.from("ann@example.com").to("bob@example.org").text("It is attached.");
    mail.send(small).require_accepted();  // whatever a first message needs is not what a large one costs
    const auto before = peak_kib();
    const auto start = std::chrono::steady_clock::now();
    if (std::string_view(argv[2]).ends_with(".eml")) {
        mail.send(postroad::read_eml(argv[2])).require_accepted();
    } else {
        mail.send(postroad::message(small).attach(std::filesystem::path(argv[2]), {.type = "application/octet-stream"}))
            .require_accepted();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%.2f s, peak memory %ld KiB, %ld KiB more than for a small message\n", took.count(), peak_kib(),
                peak_kib() - before);
}

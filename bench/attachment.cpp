// Sends a message with a large file to a server, and tells how much memory that took:
//   attachment URL FILE

#include <postroad/postroad.hpp>

#include <chrono>
#include <cstdio>

#include <sys/resource.h>

namespace {

long peak_kib() {
    ::rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

}  // namespace

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
    const auto large = postroad::message(small).attach(argv[2], {.type = "application/octet-stream"});
    mail.send(large).require_accepted();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%.2f s, peak memory %ld KiB, %ld KiB more than for a small message\n", took.count(), peak_kib(),
                peak_kib() - before);
}

// An outbox that tells when a message fails: a hook for the program, and a report (RFC 3464) to the sender.
#include <postroad/postroad.hpp>
#if __has_include(<sqlite3.h>)
#include <postroad/queueing/sqlite.hpp>
#endif
#include <postroad/testing/sink.hpp>

#include <unistd.h>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

namespace {

// Called on the mailer's thread: be quick. What takes time goes to a thread of yours.
struct failure_hook final : postroad::observer {
    int failures = 0;
    void on(const postroad::observation& o) override {
        if (o.what != postroad::observed::outcome || o.result != postroad::status::rejected) return;
        ++failures;
        std::printf("message %llu failed for %s: %s\n", static_cast<unsigned long long>(o.message),
                    std::string(o.text).c_str(), o.answer ? to_string(*o.answer).c_str() : o.error.message().c_str());
    }
};

template <class Queue>
int run(Queue queue) {
    const auto refused = postroad::testing::fault{
        .at = postroad::phase::rcpt, .nth = 0, .match = "bob", .send = "550 5.1.1 no such user\r\n"};
    postroad::testing::sink server({.faults = {refused}});
    const auto hook = std::make_shared<failure_hook>();
    postroad::mailer mail{postroad::transport::smtp{server.url()}, std::move(queue)};
    mail.observe(hook);
    mail.report_failures({.reporting_mta = "mx.example.com"});
    mail.submit(postroad::message{}
                    .from("ann@example.com")
                    .to("bob@example.org")
                    .subject("Your order")
                    .text("It is on its way."));
    mail.shutdown();
    for (const auto& m : server.messages()) std::printf("%s\n", m.content.c_str());  // the report to Ann
    return hook->failures == 1 && server.messages().size() == 1 ? 0 : 1;
}

}  // namespace

int main() {
    try {
#if __has_include(<sqlite3.h>)
        // What failed stays in the file as well: jobs({.state = failed}).
        const auto folder =
            std::filesystem::temp_directory_path() / ("postroad-failures-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder);
        const int result = run(postroad::queueing::sqlite((folder / "outbox.db").string()));
        std::filesystem::remove_all(folder);
        return result;
#else
        return run(postroad::queueing::memory{});
#endif
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}

// Sends copies of one message by VMime: one thread and one kept connection each.
//
// Usage:  vmime_client --file MESSAGE.eml --port N --messages N --connections C

#include "given.hpp"

#include <vmime/platforms/posix/posixHandler.hpp>
#include <vmime/vmime.hpp>

#include <atomic>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

namespace {

void send_all(const std::string& url, const std::string& content, std::size_t messages) {
    const auto transport = vmime::net::session::create()->getTransport(vmime::utility::url(url));
    transport->connect();
    const vmime::mailbox from(vmime::emailAddress("sender@example.com"));
    vmime::mailboxList to;
    to.appendMailbox(vmime::make_shared<vmime::mailbox>(vmime::emailAddress("recipient@example.com")));
    for (; messages > 0; --messages) {
        vmime::utility::inputStreamStringAdapter octets(content);
        transport->send(from, to, octets, content.size());
    }
    transport->disconnect();
}

}  // namespace

int main(int argc, char** argv) {
    const auto given = options_of("vmime_client", argc, argv);
    vmime::platform::setHandler<vmime::platforms::posix::posixHandler>();

    std::atomic<bool> failed = false;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < given.connections; ++i)
        threads.emplace_back([&, share = (given.messages + i) / given.connections] {
            try {
                send_all("smtp://127.0.0.1:" + given.port, given.content, share);
            } catch (const std::exception& e) {
                std::fprintf(stderr, "vmime_client: %s\n", e.what());
                failed = true;
            }
        });
    for (auto& t : threads) t.join();
    return failed ? 1 : 0;
}

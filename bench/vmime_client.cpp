// Sends copies of one message by VMime: one thread and one kept connection each.
//
// Usage:  vmime_client --file MESSAGE.eml --port N --messages N --connections C

#include <vmime/platforms/posix/posixHandler.hpp>
#include <vmime/vmime.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
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
    std::map<std::string_view, std::string> options{{"--port", "2525"}, {"--messages", "1000"}, {"--connections", "1"}};
    for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
    std::ifstream file(options["--file"], std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(file), {});
    const auto messages = std::strtoul(options["--messages"].c_str(), nullptr, 10);
    const auto connections = std::strtoul(options["--connections"].c_str(), nullptr, 10);
    vmime::platform::setHandler<vmime::platforms::posix::posixHandler>();

    std::atomic<bool> failed = false;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < connections; ++i)
        threads.emplace_back([&, share = (messages + i) / connections] {
            try {
                send_all("smtp://127.0.0.1:" + options["--port"], content, share);
            } catch (const std::exception& e) {
                std::fprintf(stderr, "vmime_client: %s\n", e.what());
                failed = true;
            }
        });
    for (auto& t : threads) t.join();
    return failed ? 1 : 0;
}

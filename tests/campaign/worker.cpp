// A campaign without a relay; check.py has the servers, starts this, and kills it.
//
//   fill FILE MESSAGES DOMAINS           queues messages, each for one domain in turn
//   send FILE DOMAINS SITES PORT         sends what is due, and ends; says how much memory it needed. FILE.outcomes: a
//   line
//                                        for each: tag, status, and the error or the reply
//   list FILE                            what is left: tag and state
//   doubt FILE                           tags of what was being sent when the last process died
#include <postroad/postroad.hpp>
#include <postroad/queueing/sqlite.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <fcntl.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::scripted_resolver;

namespace {

std::string domain_name(std::size_t d) { return "d" + std::to_string(d) + ".example"; }

// A tenth of the domains is broken, in ten ways; check.py knows them, too.
void write_down(scripted_resolver& dns, std::size_t d, std::size_t sites) {
    const auto name = domain_name(d);
    const auto with = [&](const std::string& address) {
        dns.mx(name, 10, "mx." + name).address("mx." + name, address);
    };
    if (d % 10 != 7) {
        dns.mx(name, 10, "mx" + std::to_string(d % sites) + ".sites.example");
        return;
    }
    const auto last = std::to_string(d / 100 % 250 + 1);
    switch (d / 10 % 10) {
        case 0: return;  // there is no such name
        case 1: dns.mx(name, 0, ""); return;
        case 2: dns.mx(name, 10, "out.sender.example"); return;
        case 3: dns.fail(name, net::record_type::mx); return;
        case 4: dns.alias(name, "again." + name).alias("again." + name, name); return;
        case 5: dns.mx(name, 10, "nowhere." + name); return;
        case 6: return with("127.99.0." + last);   // refuses in its greeting
        case 7: return with("127.99.1." + last);   // closes at once
        case 8: return with("127.99.2." + last);   // defers each recipient
        default: return with("127.99.3." + last);  // rejects each recipient
    }
}

std::shared_ptr<scripted_resolver> dns_of(std::size_t domains, std::size_t sites) {
    auto dns = std::make_shared<scripted_resolver>();
    for (std::size_t d = 0; d < domains; ++d) write_down(*dns, d, sites);
    for (std::size_t s = 0; s < sites; ++s)
        dns->address("mx" + std::to_string(s) + ".sites.example",
                     "127.1." + std::to_string(s / 250) + "." + std::to_string(s % 250 + 1));
    return dns;
}

int fill(const std::string& file, std::size_t messages, std::size_t domains) {
    using direct = transport::basic_mx<scripted_resolver>;
    mailer door{direct{{.client_name = "out.sender.example"}, std::make_shared<scripted_resolver>()},
                queueing::sqlite{{.path = file, .capacity = messages + 1, .submit_only = true}}, scheduling::fair{}};
    std::atomic<std::size_t> next = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t)
        threads.emplace_back([&] {
            for (auto i = next++; i < messages; i = next++) {
                const auto tag = "m" + std::to_string(i);
                mail_object m;
                m.envelope.reverse_path = address("ann@sender.example");
                m.envelope.recipients.push_back(address(tag + '@' + domain_name(i % domains)));
                m.content = content::from_text("Message-ID: <" + tag + ">\r\n\r\nHello\r\n");
                (void)door.submit(std::move(m), {.tag = tag});
            }
        });
    for (auto& t : threads) t.join();
    return 0;
}

/// Lines that are whole although the process may be killed.
class outcomes final : public observer {
public:
    explicit outcomes(const std::string& path) : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600)) {}
    ~outcomes() override { ::close(fd_); }
    void on(const observation& o) override {
        if (o.what != observed::outcome) return;
        const auto why = o.error.category() == error_category() ? to_string(static_cast<errc>(o.error.value())) : "-";
        std::string line(o.text.substr(0, o.text.find('@')));
        line += ' ' + std::string(to_string(o.result)) + ' ' +
                (o.answer ? std::to_string(o.answer->code) : std::string(why)) + '\n';
        if (::write(fd_, line.data(), line.size()) != static_cast<::ssize_t>(line.size())) std::abort();
    }

private:
    int fd_;
};

std::string most_memory() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return line.substr(6);
    return "";
}

int send(const std::string& file, std::size_t domains, std::size_t sites, std::uint16_t port) {
    using direct = transport::basic_mx<scripted_resolver>;
    mailer mail{
        direct{{.client_name = "out.sender.example", .port = port, .private_addresses = true}, dns_of(domains, sites)},
        pooling::keep_alive{.max_connections = 40}, queueing::sqlite{{.path = file, .capacity = 1'000'000}},
        scheduling::fair{.per_destination = 3, .pace = {1, 5ms}}};
    mail.observe(std::make_shared<outcomes>(file + ".outcomes"));
    mail.shutdown(30min);
    std::cout << most_memory() << std::endl;
    return 0;
}

int list(const std::string& what, const std::string& file) {
    queueing::sqlite q(queueing::sqlite_options{.path = file, .submit_only = true});
    std::vector<queueing::job_info> jobs;
    q.list({}, 10'000'000, clock::now(), jobs);
    for (const auto& j : jobs) {
        if (what == "list")
            std::cout << j.tag << ' ' << to_string(j.state) << '\n';
        else if (j.state == queueing::job_state::sending)
            std::cout << j.tag << '\n';
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    try {
        if (words.size() == 4 && words[0] == "fill") return fill(words[1], std::stoul(words[2]), std::stoul(words[3]));
        if (words.size() == 5 && words[0] == "send")
            return send(words[1], std::stoul(words[2]), std::stoul(words[3]),
                        static_cast<std::uint16_t>(std::stoul(words[4])));
        if (words.size() == 2) return list(words[0], words[1]);
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
    return 2;
}

// Submits many messages, waits for each by its ticket, and prints what became of them.

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <iomanip>
#include <iostream>
#include <map>

namespace {

struct sent {
    std::string to;
    postroad::ticket ticket;
};

postroad::message newsletter(const std::string& to) {
    return postroad::message{}
        .from("News <news@example.com>")
        .envelope_from(postroad::address("bounces@example.com"))
        .to(to)
        .header("List-Unsubscribe", "<mailto:leave@example.com>")
        .subject("News in May")
        .text("...");
}

void print(const sent& s, const postroad::error_code& ec, const postroad::outcome& o) {
    std::cout << std::left << std::setw(24) << s.to;
    if (ec) std::cout << postroad::describe(ec, o.details);
    for (const auto& r : o.recipients)
        if (!ec) std::cout << std::setw(10) << to_string(r.status) << to_string(r.reply);
    std::cout << '\n';
}

//[campaign
std::map<postroad::status, int> send_all(const std::string& url, const std::vector<std::string>& readers) {
    postroad::mailer mail{postroad::transport::smtp{url}, postroad::pooling::keep_alive{.max_connections = 2},
                          postroad::queueing::memory{.when_full = postroad::queueing::when_full::wait}};
    std::vector<sent> all;
    for (const auto& to : readers) all.push_back({to, mail.submit(newsletter(to))});

    std::map<postroad::status, int> count;
    for (const auto& s : all) {
        postroad::error_code ec;
        const auto outcome = s.ticket.wait(ec);
        print(s, ec, outcome);
        for (const auto& r : outcome.recipients) ++count[r.status];
    }
    mail.shutdown();
    return count;
}
//]

}  // namespace

int main() {
    try {
        using postroad::testing::parse_fault;
        postroad::testing::sink server{{.faults = {parse_fault("rcpt@gone:0:550 5.1.1 no such user"),
                                                   parse_fault("rcpt@full:0:452 4.2.2 mailbox full")}}};
        auto count = send_all(server.url(), {"bob@example.org", "gone@example.org", "cid@example.org",
                                             "full@example.org", "dee@example.org"});
        for (const auto& [status, n] : count) std::cout << n << ' ' << to_string(status) << '\n';
        return count[postroad::status::accepted] == 3 ? 0 : 1;
    } catch (const postroad::error& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}

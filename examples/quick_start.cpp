// Sends one message and prints what became of it. main() sends to a server of its own; with an account of yours,
// call send_invoice("smtp://user:password@smtp.example.com").

#include <iostream>

//[quick_start
#include <postroad/postroad.hpp>

void send_invoice(const std::string& url) {
    postroad::mailer mail{url};
    const auto outcome = mail.send(postroad::message{}
                                       .from("Ann Lee <ann@example.com>")
                                       .to("bob@example.org")
                                       .subject("Your invoice")
                                       .text("Dear Bob, ..."));
    for (const auto& r : outcome.recipients)
        std::cout << r.address << ": " << to_string(r.status) << ", " << to_string(r.reply) << '\n';
}
//]

#include <postroad/testing/sink.hpp>

int main() {
    try {
        postroad::testing::sink server;
        send_invoice(server.url());
        return 0;
    } catch (const postroad::error& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}

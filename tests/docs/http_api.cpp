// Compiled alone: it renames the main() of what it includes.
// The example of a session that another library drives, at a small server with faults.
#define main http_api_main
#include "../../examples/http_api.cpp"
#undef main

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>

#include <doctest/doctest.h>

#include <string>
#include <thread>

namespace {

using asio::ip::tcp;

// Reads one request up to the end of its header, answers with `answer`, and ends.
class small_server {
public:
    explicit small_server(std::string answer) : answer_(std::move(answer)) {}
    ~small_server() { thread_.join(); }
    small_server(const small_server&) = delete;
    small_server& operator=(const small_server&) = delete;

    http_api api() const { return {"127.0.0.1", std::to_string(acceptor_.local_endpoint().port())}; }

private:
    void serve() {
        tcp::socket s(io_);
        postroad::error_code ignored;
        acceptor_.accept(s, ignored);
        std::string request;
        while (!request.ends_with("Hello!\r\n")) {
            char some[4096];
            const auto n = s.read_some(asio::buffer(some), ignored);
            if (n == 0) break;
            request.append(some, n);
        }
        asio::write(s, asio::buffer(answer_), ignored);
    }

    std::string answer_;
    asio::io_context io_{1};
    tcp::acceptor acceptor_{io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
    std::thread thread_{[this] { serve(); }};
};

}  // namespace

TEST_CASE("a provider's HTTP API is a transport") {
    struct row {
        std::string answer;
        postroad::status status;
        int code;
    };
    const row rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", postroad::status::accepted, 250},
        {"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", postroad::status::accepted, 250},
        {"HTTP/1.1 401 Unauthorized\r\n\r\n", postroad::status::rejected, 554},
        {"HTTP/1.1 429 Too Many Requests\r\n\r\n", postroad::status::deferred, 451},
        {"HTTP/1.0 503 Busy\r\n\r\n", postroad::status::deferred, 451},
        {"", postroad::status::in_doubt, 0},
        {"HTTP/1.1", postroad::status::in_doubt, 0},
        {"220 mx.example ESMTP\r\n", postroad::status::in_doubt, 0},
    };
    const auto letter =
        postroad::message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello!");
    for (const auto& r : rows) {
        CAPTURE(r.answer);
        small_server server(r.answer);
        postroad::mailer mail{server.api()};
        postroad::error_code ec;
        const auto o = mail.send(letter, ec);
        CHECK(o.recipients.at(0).status == r.status);
        CHECK(o.recipients.at(0).reply.code == r.code);
    }
}

TEST_CASE("an API that cannot be reached") {
    postroad::mailer mail{http_api{"127.0.0.1", "1"}};
    postroad::error_code ec;
    const auto o =
        mail.send(postroad::message{}.from("ann@example.com").to("bob@example.org").subject("x").text("y"), ec);
    CHECK(o.recipients.at(0).status == postroad::status::deferred);
    CHECK(o.recipients.at(0).where == postroad::phase::connect);
}

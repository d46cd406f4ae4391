// Sends a message through a provider's HTTP API: ./http_api HOST PORT. Another library does the talking.
#include <postroad/postroad.hpp>
#include <postroad/transport/deferred_session.hpp>

#include <asio/ip/tcp.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

//[http_api
/// Posts each message to an HTTP API, four at a time, each on a thread that may wait.
struct http_api {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;

    std::string host, port;

    class session_type : public postroad::transport::deferred_session {
    public:
        session_type(std::string host, std::string port)
            : deferred_session(4), host_(std::move(host)), port_(std::move(port)) {}
        void submit(const postroad::smtp::transaction& t, postroad::time_point) {
            std::thread([host = host_, port = port_, mail = t.mail, done = begin(t)] {
                done(post(host, port, *mail));
            }).detach();
        }

    private:
        static result post(const std::string& host, const std::string& port, const postroad::mail_object& mail) {
            const auto text = mail.content.text();
            asio::ip::tcp::iostream http;
            http.expires_after(std::chrono::seconds(30));
            http.connect(host, port);
            if (!http)
                return {.reply = {.code = 451, .text = "the API cannot be reached"}, .where = postroad::phase::connect};
            http << "POST /messages HTTP/1.0\r\nHost: " << host << "\r\nContent-Type: message/rfc822\r\n"
                 << "Content-Length: " << text.size() << "\r\n\r\n"
                 << text << std::flush;
            std::string version;
            int code = 0;
            if (!(http >> version >> code) || !version.starts_with("HTTP/"))
                return {.status = postroad::status::in_doubt, .details = {.explanation = "the API did not answer"}};
            const auto words = "HTTP " + std::to_string(code);
            if (code / 100 == 2) return {.status = postroad::status::accepted, .reply = {.code = 250, .text = words}};
            if (code == 429 || code >= 500) return {.reply = {.code = 451, .text = words}};
            return {.status = postroad::status::rejected, .reply = {.code = 554, .text = words}};
        }

        std::string host_, port_;
    };

    std::string_view route(const postroad::envelope&) const noexcept { return host; }
    std::vector<postroad::endpoint> hosts(const std::string& name) const { return {{.name = name}}; }
    postroad::net::dialing dialing() const { return {}; }
    session_type make_session(const postroad::endpoint&, const std::string&) const { return {host, port}; }
};
//]

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    postroad::mailer mail{http_api{argv[1], argv[2]}};
    const auto outcome =
        mail.send(postroad::message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello!"));
    std::cout << to_string(outcome.recipients.at(0).status) << '\n';
    return outcome.all_accepted() ? 0 : 1;
}

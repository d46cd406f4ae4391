#pragma once
// A server of HTTPS in this process, with a CA of its own.
#include <postroad/net/asio.hpp>
#include <postroad/testing/certificates.hpp>
#include <postroad/tls/mbedtls_engine.hpp>

#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include "scratch_folder.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

inline std::string http_reply(const std::string& body, const std::string& status = "200 OK",
                              const std::string& type = "text/plain; charset=utf-8") {
    return "HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\nConnection: close\r\n\r\n" + body;
}

/// Answers every request alike, one after the other, under that name.
class https_server {
public:
    https_server(std::string answer, const std::string& name, const std::string& not_after = "20991231235959")
        : authority_(postroad::testing::authority::create()),
          id_(authority_.issue({.names = {name}, .not_after = not_after})),
          tls_(
              postroad::tls::mbedtls_context::server({.certificate_pem = id_.certificate_pem, .key_pem = id_.key_pem})),
          answer_(std::move(answer)),
          name_(name),
          ca_(folder_.path / "ca.pem"),
          thread_([this] { run(); }) {
        std::ofstream(ca_) << authority_.ca_pem;
    }
    https_server(const https_server&) = delete;
    https_server& operator=(const https_server&) = delete;
    ~https_server() {
        stops_ = true;
        std::error_code ignored;
        asio::ip::tcp::socket wakes(context_);
        wakes.connect(acceptor_.local_endpoint(), ignored);
        wakes.close(ignored);
        thread_.join();
    }

    std::string ca_file() const { return ca_.string(); }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    /// As libcurl wants to be told where a name is.
    std::string address() const { return name_ + ":" + std::to_string(port()) + ":127.0.0.1"; }
    std::string file_named(const std::string& name) const { return (folder_.path / name).string(); }
    int requests() const { return requests_; }
    std::string request() const {
        const std::scoped_lock lock(mutex_);
        return request_;
    }
    void answer(std::string a) {
        const std::scoped_lock lock(mutex_);
        answer_ = std::move(a);
    }

private:
    void run() {
        while (!stops_) {
            std::error_code ec;
            asio::ip::tcp::socket s(context_);
            acceptor_.accept(s, ec);
            if (!ec && !stops_) serve(s);
        }
    }
    static bool is_whole(const std::string& text) {
        const auto end = text.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        const auto length = text.find("Content-Length: ");
        return length > end || text.size() >= end + 4 + std::stoul(text.substr(length + 16));
    }
    void serve(asio::ip::tcp::socket& s) {
        postroad::tls::mbedtls_engine engine(tls_);
        std::error_code ec;
        const auto flush = [&] {
            while (!engine.output().empty() && !ec) {
                const auto piece = engine.output();
                engine.consumed(asio::write(s, asio::buffer(piece.data(), piece.size()), ec));
            }
        };
        const auto more = [&] {
            flush();
            char octets[4096];
            const auto n = s.read_some(asio::buffer(octets), ec);
            if (!ec) engine.received({octets, n});
        };
        auto how = engine.handshake();
        while (how == postroad::tls::progress::want_input && !ec) {
            more();
            how = engine.handshake();
        }
        if (how != postroad::tls::progress::done || ec) return flush();
        std::string text;
        while (!is_whole(text) && !ec) {
            char octets[4096];
            const auto r = engine.read(octets, sizeof octets);
            if (r.state == postroad::tls::read_state::data)
                text.append(octets, r.size);
            else if (r.state == postroad::tls::read_state::want_input)
                more();
            else
                return;
        }
        std::string answer;
        {
            const std::scoped_lock lock(mutex_);
            request_ = text;
            answer = answer_;
        }
        ++requests_;
        for (std::size_t at = 0; at < answer.size() && !ec; flush())
            at += engine.write(std::string_view(answer).substr(at));
        engine.close();
        flush();
    }

    scratch_folder folder_;
    postroad::testing::authority authority_;
    postroad::testing::server_identity id_;
    std::shared_ptr<const postroad::tls::mbedtls_context> tls_;
    mutable std::mutex mutex_;
    std::string answer_;
    std::string request_;
    std::string name_;
    std::filesystem::path ca_;
    asio::io_context context_;
    asio::ip::tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
    std::atomic<int> requests_ = 0;
    std::atomic<bool> stops_ = false;
    std::thread thread_;
};

#pragma once

#include <postroad/net/asio.hpp>
#include <postroad/net/connection.hpp>
#include <postroad/testing/server_session.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/tls/mbedtls_engine.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <future>
#include <list>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include <asio/ip/v6_only.hpp>

namespace postroad::testing {

// What belongs to the sink's thread. It outlives the thread, and the handlers in it.
struct sink::engine_room {
    using connection = net::connection<server_session, tls::mbedtls_engine, engine_room>;
    using tcp = asio::ip::tcp;

    engine_room(std::shared_ptr<server_state> shared, std::shared_ptr<const tls::mbedtls_context> with)
        : state(std::move(shared)), context(std::move(with)) {}

    // From the connections.
    void touched(connection& c, time_point now) {
        c.turn(now, [] {});
    }
    void ended(connection& c) { connections.erase(&c); }

    void listen(const asio::ip::address& address, std::uint16_t port) {
        auto& a = acceptors.emplace_back(io);
        const tcp::endpoint where(address, port);
        a.open(where.protocol());
        if (address.is_v6()) a.set_option(asio::ip::v6_only(true));
        a.set_option(tcp::acceptor::reuse_address(true));
        a.bind(where);
        a.listen();
    }

    std::uint16_t listen(const listen_options& where) {
        // the port that is free on one address may be taken on the other
        for (int attempts = where.port == 0 && where.ipv6 ? 10 : 1;; --attempts) {
            try {
                listen(asio::ip::address_v4::loopback(), where.port);
                const auto port = acceptors.front().local_endpoint().port();
                if (where.ipv6) listen(asio::ip::address_v6::loopback(), port);
                return port;
            } catch (const std::system_error& e) {
                acceptors.clear();
                if (attempts == 1)
                    throw error(e.code(), {.where = phase::connect,
                                           .explanation = "the sink cannot listen: " + e.code().message()});
            }
        }
    }

    void accept(tcp::acceptor& a) {
        a.async_accept([this, &a](error_code ec, tcp::socket socket) {
            if (stopping) return;
            if (!ec) {
                adopt(std::move(socket));
                return accept(a);
            }
            // out of descriptors, most likely: to try at once would spin
            pause.expires_after(std::chrono::milliseconds(10));
            pause.async_wait([this, &a](error_code cancelled) {
                if (!cancelled && !stopping) accept(a);
            });
        });
    }

    void adopt(tcp::socket socket) {
        const bool at_once = state->options().security == security::implicit;
        auto make_engine = [this] { return std::make_unique<tls::mbedtls_engine>(context); };
        auto c = std::make_shared<connection>(
            io.get_executor(),
            connection::link_type(server_session(state), at_once ? tls::start::immediately : tls::start::by_starttls,
                                  std::move(make_engine)),
            *this);
        connections.emplace(c.get(), c);
        c->adopt(std::move(socket));
    }

    void drop_all() {
        for (const auto& [key, c] : std::exchange(connections, {})) c->abandon();
    }

    void stop() {
        stopping = true;
        acceptors.clear();
        pause.cancel();
        drop_all();
    }

    std::shared_ptr<server_state> state;
    std::shared_ptr<const tls::mbedtls_context> context;
    asio::io_context io{1};
    std::list<tcp::acceptor> acceptors;
    asio::steady_timer pause{io};
    std::unordered_map<connection*, std::shared_ptr<connection>> connections;
    bool stopping = false;
    std::mutex gate;  // of thread, for those outside
    std::thread thread;
};

namespace detail {

inline std::string percent_encoded(std::string_view text) {
    std::string result;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        static constexpr char hex[] = "0123456789ABCDEF";
        const auto octet = static_cast<unsigned char>(c);
        if (plain)
            result += c;
        else
            result += {'%', hex[octet >> 4], hex[octet & 15]};
    }
    return result;
}

}  // namespace detail

POSTROAD_DECL sink::sink(server_options server, listen_options where)
    : state_(std::make_shared<server_state>(std::move(server))) {
    std::shared_ptr<const tls::mbedtls_context> context;
    if (state_->options().security != security::insecure_none) {
        const auto ca = authority::create("postroad sink CA");
        const auto identity = ca.issue(where.certificate);
        ca_pem_ = ca.ca_pem;
        context =
            tls::mbedtls_context::server({.certificate_pem = identity.certificate_pem, .key_pem = identity.key_pem});
    }
    room_ = std::make_unique<engine_room>(state_, std::move(context));
    port_ = room_->listen(where);
    for (auto& a : room_->acceptors) room_->accept(a);
    room_->thread = std::thread([room = room_.get()] { room->io.run(); });
}

POSTROAD_DECL sink::~sink() { stop(); }

POSTROAD_DECL std::string sink::url(std::string_view user) const {
    std::string text;
    switch (state_->options().security) {
        case security::starttls: text = "smtp://"; break;
        case security::implicit: text = "smtps://"; break;
        case security::insecure_none: text = "smtp+insecure://"; break;
        case security::opportunistic: text = "smtp+opportunistic://"; break;
    }
    if (state_->options().lmtp) text.replace(0, 4, "lmtp");
    const auto& users = state_->options().users;
    if (const auto found = users.find(user); found != users.end())
        text += detail::percent_encoded(user) + ":" + detail::percent_encoded(found->second) + "@";
    return text + "localhost:" + std::to_string(port_);
}

POSTROAD_DECL void sink::write_ca(const std::string& path) const {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    bool good = file && std::fwrite(ca_pem_.data(), 1, ca_pem_.size(), file) == ca_pem_.size();
    good = (!file || std::fclose(file) == 0) && good;
    if (!good)
        throw error(errc::storage_failed, "cannot write " + path + ": " + std::generic_category().message(errno));
}

POSTROAD_DECL void sink::drop_connections() {
    const std::lock_guard lock(room_->gate);
    if (!room_->thread.joinable()) return;
    std::promise<void> done;
    asio::post(room_->io, [&] {
        room_->drop_all();
        done.set_value();
    });
    done.get_future().wait();
}

POSTROAD_DECL void sink::stop() {
    const std::lock_guard lock(room_->gate);
    if (!room_->thread.joinable()) return;
    asio::post(room_->io, [room = room_.get()] { room->stop(); });
    room_->thread.join();
}

}  // namespace postroad::testing

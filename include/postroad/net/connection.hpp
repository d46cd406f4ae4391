#pragma once
// The one place where a session's octets and deadlines become Asio calls. See docs/sans_io.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/net/asio.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/net/eyeballs.hpp>
#include <postroad/net/link.hpp>
#include <postroad/net/operation_memory.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::net {

/// Carries one session over one connection, by TCP or to a Unix-domain socket. Everything runs on the executor it was
/// made with, which must not run two handlers at a time (a strand, or an io_context with one thread). Held by its owner
/// and by its pending operations.
///
/// `Owner` has two functions, called on that executor:
///   touched(connection&, now)  the session may have events, and something to write: a turn() is due, at once or soon
///   ended(connection&)         the socket is closed; the last call
/// and may have more, for whom it may concern:
///   found(addresses)           what look-up found, a vector of texts
///   reached(address)           which of them answered
template <wire_session Session, tls::engine Engine, class Owner>
class connection : public std::enable_shared_from_this<connection<Session, Engine, Owner>> {
public:
    using tcp = asio::ip::tcp;
    using socket_type = asio::generic::stream_protocol::socket;
    using link_type = link<Session, Engine>;

    connection(const asio::any_io_executor& executor, link_type link, Owner& owner)
        : socket_(executor), timer_(executor), resolver_(executor), link_(std::move(link)), owner_(&owner) {}

    Session& session() noexcept { return link_.session(); }
    const link_type& wire() const noexcept { return link_; }

    /// Looks `to` up, or the proxy, and connects to the first of its addresses that answers. The system's resolver
    /// cannot be interrupted: whoever destroys the io_context waits for a look-up that it is busy with. Throws what
    /// check() and tunnel throw.
    void dial(const endpoint& to, const dialing& how) { dial(to, {}, how); }

    /// The same, where the `addresses` of `to` are known already. They are not used with a proxy.
    void dial(const endpoint& to, const std::vector<std::string>& addresses, const dialing& how) {
        check(how);
        how_ = how;
        where_ = to_string(to);
        connect_deadline_ = after(clock::now(), how.timeout);
        link_.open_by(connect_deadline_);
        if (to.is_local()) return race(eyeballs({to.name}, {}));
        auto next = endpoint{.name = to.name, .port = to.port};
        if (const auto& p = how.proxy) {
            link_.through(tunnel(*p, to));
            next = {.name = p->host, .port = p->port};
            where_ += " through the proxy " + to_string(next);
        }
        port_ = next.port;
        arm();
        if (!how.proxy && !addresses.empty()) return race(eyeballs(addresses, how_));
        look_up(next);
    }

    /// Takes over a connected socket, as a server does. It must belong to the same executor.
    template <class Socket>
    void adopt(Socket socket) {
        socket_ = std::move(socket);
        link_.open_by(after(clock::now(), how_.timeout));
        connected();
    }

    /// The owner gave the session something, outside of a turn.
    void touch(time_point now = clock::now()) {
        if (owner_ && !stopped_) owner_->touched(*this, now);
    }

    /// Writes what the session has. Returns whether that may have made events.
    bool flush(time_point now) {
        if (stopped_) return false;
        const bool was_done = link_.done();
        return write(now) || link_.done() != was_done;
    }

    /// The end of a turn: reads on, or closes the socket if the session is over.
    void go_on() {
        if (stopped_) return;
        if (link_.done()) return stop();
        read();
        arm();
    }

    /// A turn of this connection alone: `f()` takes the session's events, and may give it more.
    template <class F>
    void turn(time_point now, F f) {
        const auto self = this->shared_from_this();
        do f();
        while (flush(now));
        go_on();
    }

    /// Closes the socket at once; ended() is not called any more.
    void abandon() {
        owner_ = nullptr;
        stop();
    }

private:
    static constexpr std::size_t max_parts = 32;
    static constexpr std::size_t read_size = 16 * 1024;

    void look_up(const endpoint& next) {
        error_code ec;
        asio::ip::make_address(next.name, ec);
        if (!ec) return race(eyeballs({next.name}, how_));
        resolver_.async_resolve(
            next.name, std::to_string(next.port), tcp::resolver::numeric_service,
            [self = this->shared_from_this()](error_code failed, const tcp::resolver::results_type& found) {
                if (self->stopped_) return;
                if (failed) return self->give_up(errc::resolve_failed, "cannot look up ", failed.message());
                std::vector<std::string> addresses;
                for (const auto& f : found) addresses.push_back(f.endpoint().address().to_string());
                if constexpr (requires { self->owner_->found(addresses); })
                    if (self->owner_) self->owner_->found(addresses);
                self->race(eyeballs(addresses, self->how_));
            });
    }

    void race(eyeballs e) {
        eyeballs_ = std::move(e);
        race(clock::now());
    }

    void race(time_point now) {
        while (const auto* address = eyeballs_.poll(now)) attempt(*address);
        if (eyeballs_.exhausted()) return give_up(eyeballs_.error(), "cannot connect to ", eyeballs_.explanation());
        arm();
    }

    void give_up(error_code ec, const std::string& what, const std::string& why) {
        const bool no_files = ec == std::errc::too_many_files_open || ec == std::errc::too_many_files_open_in_system;
        const bool not_ours = ec == std::errc::address_not_available && !how_.local_addresses.empty();
        link_.broken(ec,
                     what + where_ + ": " + why +
                         (no_files   ? "; raise the limit of open files, or lower max_connections"
                          : not_ours ? "; is the local address one of this machine?"
                                     : ""),
                     clock::now());
        touch();
    }

    void attempt(const std::string& address) {
        const auto s = std::make_shared<socket_type>(socket_.get_executor());
        error_code ec;
        const auto to = open(*s, address, ec);
        if (ec) return eyeballs_.failed(address, plain(ec));
        attempts_.push_back(s);
        s->async_connect(to, [self = this->shared_from_this(), s, address](error_code failed) {
            if (self->stopped_ || std::erase(self->attempts_, s) == 0) return;
            if (failed) {
                self->eyeballs_.failed(address, plain(failed));
                return self->race(clock::now());
            }
            self->socket_ = std::move(*s);
            if constexpr (requires { self->owner_->reached(address); })
                if (self->owner_) self->owner_->reached(address);
            self->connected();
        });
    }

    // Opens `s` for `address`, and binds it to the local address of that family.
    socket_type::endpoint_type open(socket_type& s, const std::string& address, error_code& ec) {
        if (address.starts_with('/')) return open_local(s, address, ec);
        const tcp::endpoint to(asio::ip::make_address(address, ec), port_);
        if (!ec) s.open(to.protocol(), ec);
        if (!ec) keep_from_programs(s);
        for (const auto& local : how_.local_addresses) {
            if (ec || is_ipv6(local) != is_ipv6(address)) continue;
            const auto from = asio::ip::make_address(local, ec);
            if (!ec) s.bind(tcp::endpoint(from, 0), ec);
        }
        return to;
    }

    socket_type::endpoint_type open_local(socket_type& s, const std::string& path, error_code& ec) {
        try {
            const asio::local::stream_protocol::endpoint to(path);
            s.open(to.protocol(), ec);
            if (!ec) keep_from_programs(s);
            return to;
        } catch (const std::system_error& too_long) {
            ec = too_long.code();
            return {};
        }
    }

    void connected() {
        error_code ignored;
        for (const auto& s : std::exchange(attempts_, {})) s->close(ignored);
        eyeballs_ = {};
        how_.proxy.reset();
        // Each write is a whole batch: waiting to fill a segment would stall it for a delayed acknowledgement.
        socket_.set_option(tcp::no_delay(true), ignored);
        ask_when_silent(socket_, how_.keep_alive);
        socket_.non_blocking(true, ignored);
        connect_deadline_ = never;
        connected_ = true;
        read_buffer_ = std::make_unique_for_overwrite<char[]>(read_size);
        const auto now = clock::now();
        guarded(now, [&] { link_.connected(now); });
        touch(now);
    }

    // Returns whether the session went on or ended by it.
    bool write(time_point now) {
        bool progress = false;
        while (connected_ && !write_pending_ && !write_failed_) {
            std::size_t count = 0;
            guarded(now, [&] { count = link_.output(parts_, now); });
            if (count == 0) break;
            for (std::size_t i = 0; i < count; ++i) buffers_[i] = asio::buffer(parts_[i].data(), parts_[i].size());
            error_code ec;
            const auto n = socket_.write_some(std::span(buffers_).first(count), ec);
            if (ec) {
                // The reason may be a reply that waits to be read, such as 552 to a content that is too large. Reading
                // goes on; it finds the end of the stream at the latest.
                write_failed_ = ec != asio::error::would_block && ec != asio::error::try_again;
                if (!write_failed_) wait_writable();
                break;
            }
            progress = true;
            guarded(now, [&] { link_.consumed(n, now); });
        }
        return progress;
    }

    void wait_writable() {
        write_pending_ = true;
        socket_.async_wait(socket_type::wait_write, [self = this->shared_from_this()](error_code ec) {
            self->write_pending_ = false;
            if (!ec) self->touch();
        });
    }

    void read() {
        if (read_pending_ || !connected_) return;
        read_pending_ = true;
        auto done = [self = this->shared_from_this()](error_code ec, std::size_t n) {
            self->read_pending_ = false;
            if (self->stopped_) return;
            self->on_read(ec, n);
        };
        socket_.async_read_some(asio::buffer(read_buffer_.get(), read_size),
                                with_memory<decltype(done)>{&read_memory_, std::move(done)});
    }

    void on_read(error_code ec, std::size_t n) {
        const auto now = clock::now();
        if (!ec)
            guarded(now, [&] { link_.received({read_buffer_.get(), n}, now); });
        else if (ec == asio::error::eof)
            link_.broken(errc::connection_closed, where_ + " closed the connection", now);
        else
            link_.broken(plain(ec), "the connection to " + where_ + " broke: " + ec.message(), now);
        touch(now);
    }

    // One timer, moved only when it would ring too late: most deadlines pass by without a system call.
    void arm() {
        const auto due = std::min({connect_deadline_, eyeballs_.deadline(), link_.deadline()});
        if (due >= rings_at_) return;
        rings_at_ = due;
        timer_.expires_at(due);
        timer_.async_wait([self = this->shared_from_this(), due](error_code ec) {
            if (ec || self->stopped_ || self->rings_at_ != due) return;
            self->rings_at_ = never;
            self->on_timer();
        });
    }

    void on_timer() {
        const auto now = clock::now();
        if (now >= connect_deadline_) {
            const bool looking = eyeballs_.exhausted();
            return give_up(errc::timed_out, looking ? "cannot look up " : "cannot connect to ",
                           looking ? "no answer in time" : eyeballs_.explanation());
        }
        if (now >= eyeballs_.deadline()) return race(now);
        if (now < link_.deadline()) return arm();
        guarded(now, [&] { link_.tick(now); });
        touch(now);
    }

    // What throws here, such as the source of a message's content, ends the session.
    template <class F>
    void guarded(time_point now, F f) {
        try {
            f();
        } catch (...) {
            auto t = thrown();
            link_.broken(t.code, std::move(t.details.explanation), now);
        }
    }

    void stop() {
        if (std::exchange(stopped_, true)) return;
        auto self = this->shared_from_this();
        error_code ignored;
        resolver_.cancel();
        timer_.cancel();
        socket_.close(ignored);
        for (const auto& s : std::exchange(attempts_, {})) s->close(ignored);
        if (owner_) std::exchange(owner_, nullptr)->ended(*this);
    }

    socket_type socket_;
    asio::steady_timer timer_;
    tcp::resolver resolver_;
    link_type link_;
    Owner* owner_;
    dialing how_;
    eyeballs eyeballs_;
    std::vector<std::shared_ptr<socket_type>> attempts_;
    std::unique_ptr<char[]> read_buffer_;  // of read_size octets, once it is connected
    operation_memory read_memory_;
    // What write() hands over; here, since to begin with empty ones each time takes longer than to fill them.
    std::array<std::string_view, max_parts> parts_ = {};
    std::array<asio::const_buffer, max_parts> buffers_ = {};
    std::string where_ = "the peer";
    std::uint16_t port_ = 0;
    time_point connect_deadline_ = never;
    time_point rings_at_ = never;
    bool read_pending_ = false;
    bool write_pending_ = false;
    bool write_failed_ = false;
    bool connected_ = false;
    bool stopped_ = false;
};

}  // namespace postroad::net

#pragma once
// The one place where a session's octets and deadlines become Asio calls. See docs/sans_io.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/net/asio.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/net/link.hpp>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::net {

/// Carries one session over one TCP connection. Everything runs on the executor it was made with, which must not run
/// two handlers at a time (a strand, or an io_context with one thread). Held by its owner and by its pending
/// operations.
///
/// `Owner` has two functions, called on that executor:
///   activity(connection&)  the session may have events; whatever it is given now goes out in the same write
///   ended(connection&)     the socket is closed; the last call
template <wire_session Session, tls::engine Engine, class Owner>
class connection : public std::enable_shared_from_this<connection<Session, Engine, Owner>> {
public:
    using tcp = asio::ip::tcp;
    using link_type = link<Session, Engine>;

    connection(asio::any_io_executor executor, link_type link, Owner& owner)
        : socket_(executor), timer_(executor), resolver_(executor), link_(std::move(link)), owner_(&owner) {}

    Session& session() noexcept { return link_.session(); }
    const link_type& wire() const noexcept { return link_; }

    /// Looks `to` up and connects to the first of its addresses that answers. Throws what check() throws.
    void dial(const endpoint& to, const dialing& how) {
        check(how);
        connect_deadline_ = after(clock::now(), how.timeout);
        where_ = to_string(to);
        arm();
        error_code ec;
        if (const auto literal = asio::ip::make_address(to.name, ec); !ec) {
            return connect({tcp::endpoint(literal, to.port)});
        }
        resolver_.async_resolve(
            to.name, std::to_string(to.port), tcp::resolver::numeric_service,
            [self = this->shared_from_this()](error_code failed, const tcp::resolver::results_type& found) {
                if (self->stopped_) return;
                if (failed) {
                    self->link_.broken(errc::resolve_failed, "cannot look up " + self->where_ + ": " + failed.message(),
                                       clock::now());
                    return self->pump();
                }
                self->connect({found.begin(), found.end()});
            });
    }

    /// Takes over a connected socket, as a server does. It must belong to the same executor.
    void adopt(tcp::socket socket) {
        socket_ = std::move(socket);
        connected();
    }

    /// Lets the session write what the owner gave it, outside of activity().
    void pump() { pump(clock::now()); }

    /// Closes the socket at once; ended() is not called any more.
    void abandon() {
        owner_ = nullptr;
        stop();
    }

private:
    static constexpr std::size_t max_parts = 32;
    static constexpr std::size_t read_size = 16 * 1024;

    void pump(time_point now) {
        if (stopped_) return;
        if (std::exchange(pumping_, true)) {
            again_ = true;
            return;
        }
        const auto self = this->shared_from_this();
        // What the session was given, and what was written, may have made new events.
        do {
            again_ = false;
            if (owner_) owner_->activity(*this);
            if (!stopped_ && write(now)) again_ = true;
        } while (again_ && owner_);
        if (link_.done() && owner_) owner_->activity(*this);
        pumping_ = false;
        // The owner may have abandoned it: nothing may be left pending then.
        if (stopped_) return;
        if (link_.done()) return stop();
        read();
        arm();
    }

    void connect(std::vector<tcp::endpoint> addresses) {
        addresses_ = std::move(addresses);
        asio::async_connect(
            socket_, addresses_, [self = this->shared_from_this()](error_code ec, const tcp::endpoint&) {
                if (self->stopped_) return;
                if (ec) {
                    self->link_.broken(plain(ec), "cannot connect to " + self->where_ + ": " + ec.message(),
                                       clock::now());
                    return self->pump();
                }
                self->connected();
            });
    }

    void connected() {
        error_code ignored;
        // Each write is a whole batch: waiting to fill a segment would stall it for a delayed acknowledgement.
        socket_.set_option(tcp::no_delay(true), ignored);
        socket_.non_blocking(true, ignored);
        connect_deadline_ = never;
        connected_ = true;
        read_buffer_.resize(read_size);
        link_.connected(clock::now());
        pump();
    }

    // Returns whether the session went on or ended by it.
    bool write(time_point now) {
        std::array<std::string_view, max_parts> parts;
        std::array<asio::const_buffer, max_parts> buffers;
        bool progress = false;
        while (connected_ && !write_pending_ && !write_failed_) {
            const auto count = link_.output(parts, now);
            if (count == 0) break;
            for (std::size_t i = 0; i < count; ++i) buffers[i] = asio::buffer(parts[i].data(), parts[i].size());
            error_code ec;
            const auto n = socket_.write_some(std::span(buffers).first(count), ec);
            if (ec == asio::error::would_block || ec == asio::error::try_again) {
                wait_writable();
                break;
            }
            // The reason may be a reply that waits to be read, such as 552 to a content that is too large. Reading goes
            // on; it finds the end of the stream at the latest.
            if (ec) {
                write_failed_ = true;
                break;
            }
            progress = true;
            link_.consumed(n, now);
        }
        return progress;
    }

    void wait_writable() {
        write_pending_ = true;
        socket_.async_wait(tcp::socket::wait_write, [self = this->shared_from_this()](error_code ec) {
            self->write_pending_ = false;
            if (!ec) self->pump();
        });
    }

    void read() {
        if (read_pending_ || !connected_) return;
        read_pending_ = true;
        socket_.async_read_some(asio::buffer(read_buffer_),
                                [self = this->shared_from_this()](error_code ec, std::size_t n) {
                                    self->read_pending_ = false;
                                    if (self->stopped_) return;
                                    self->on_read(ec, n);
                                });
    }

    void on_read(error_code ec, std::size_t n) {
        const auto now = clock::now();
        if (!ec)
            link_.received({read_buffer_.data(), n}, now);
        else if (ec == asio::error::eof)
            link_.broken(errc::connection_closed, where_ + " closed the connection", now);
        else
            link_.broken(plain(ec), "the connection to " + where_ + " broke: " + ec.message(), now);
        pump(now);
    }

    // One timer, moved only when it would ring too late: most deadlines pass by without a system call.
    void arm() {
        const auto due = std::min(connect_deadline_, link_.deadline());
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
            link_.broken(errc::timed_out, "cannot connect to " + where_ + " in time", now);
        } else if (now < link_.deadline()) {
            return arm();
        } else {
            link_.tick(now);
        }
        pump(now);
    }

    void stop() {
        if (std::exchange(stopped_, true)) return;
        auto self = this->shared_from_this();
        error_code ignored;
        resolver_.cancel();
        timer_.cancel();
        socket_.close(ignored);
        if (owner_) std::exchange(owner_, nullptr)->ended(*this);
    }

    tcp::socket socket_;
    asio::steady_timer timer_;
    tcp::resolver resolver_;
    link_type link_;
    Owner* owner_;
    std::vector<tcp::endpoint> addresses_;
    std::vector<char> read_buffer_;
    std::string where_ = "the peer";
    time_point connect_deadline_ = never;
    time_point rings_at_ = never;
    bool read_pending_ = false;
    bool write_pending_ = false;
    bool write_failed_ = false;
    bool connected_ = false;
    bool pumping_ = false;
    bool again_ = false;
    bool stopped_ = false;
};

}  // namespace postroad::net

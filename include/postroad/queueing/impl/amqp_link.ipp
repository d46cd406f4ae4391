#pragma once

#include <postroad/queueing/amqp_link.hpp>
#include <postroad/tls/detail/material.hpp>

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>
#include <vector>

#include <sys/time.h>
#include <unistd.h>

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

namespace postroad::queueing::detail {

struct amqp_link::parts {
    amqp_connection_state_t connection = amqp_new_connection();
    std::string host;  // with the port, for messages
    std::uint64_t published[3] = {};
    // A message that has not all come; one by channel.
    struct partial {
        amqp_event what = {};
        std::uint64_t missing = 0;  // octets of its body
        bool header_due = false;
    };
    partial coming[3] = {};
    std::deque<amqp_event> put_by = {};  // what came while something else was awaited
    std::string got_from = {};           // a queue
    std::chrono::seconds answers_within{};
    bool blocked = false;
    mutable std::optional<std::uint64_t> largest = {};

    parts() = default;
    parts(const parts&) = delete;
    parts& operator=(const parts&) = delete;
    ~parts() {
        if (connection) amqp_destroy_connection(connection);
    }

    [[noreturn]] void fail(errc what, const std::string& text) const {
        throw error(make_error_code(what), {.where = phase::queued, .host = host, .explanation = text});
    }
    void check(int status, const char* doing) const {
        if (status != AMQP_STATUS_OK)
            fail(errc::broker_unreachable,
                 std::string("the connection to the broker was lost ") + doing + ": " + amqp_error_string2(status));
    }
    [[noreturn]] void refused(int code, amqp_bytes_t text, const char* doing) const {
        const std::string said = escaped({static_cast<const char*>(text.bytes), text.len}, 300);
        if (code == AMQP_PRECONDITION_FAILED) largest = amqp_largest(said);
        // 320: it is being shut down.
        fail(code == AMQP_CONNECTION_FORCED ? errc::broker_unreachable : errc::broker_refused,
             std::string("the broker ended the connection ") + doing + ": " + std::to_string(code) + " " + said);
    }
    void ended(const amqp_method_t& m, const char* doing) const {
        if (m.id == AMQP_CONNECTION_CLOSE_METHOD) {
            const auto& c = *static_cast<const amqp_connection_close_t*>(m.decoded);
            refused(c.reply_code, c.reply_text, doing);
        }
        if (m.id == AMQP_CHANNEL_CLOSE_METHOD) {
            const auto& c = *static_cast<const amqp_channel_close_t*>(m.decoded);
            refused(c.reply_code, c.reply_text, doing);
        }
        if (m.id == AMQP_BASIC_CANCEL_METHOD || m.id == AMQP_BASIC_RETURN_METHOD)
            fail(errc::broker_unreachable, "a queue of ours was deleted at the broker");
    }
    void check(const amqp_rpc_reply_t& r, const char* doing) const {
        if (r.reply_type == AMQP_RESPONSE_NORMAL) return;
        if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) ended(r.reply, doing);
        check(r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && r.library_error != AMQP_STATUS_OK
                  ? r.library_error
                  : static_cast<int>(AMQP_STATUS_UNEXPECTED_STATE),
              doing);
    }
    amqp_event next(timeval patience);
    void check_last(const char* doing) const { check(amqp_get_rpc_reply(connection), doing); }
};

inline amqp_bytes_t amqp_view(const std::string& text) noexcept {
    // Never written to.
    return {text.size(), const_cast<char*>(text.data())};
}
inline std::string amqp_text(amqp_bytes_t b) {
    return b.len ? std::string(static_cast<const char*>(b.bytes), b.len) : "";
}

/// Arguments and headers for the library, which keeps pointers into them.
class amqp_fields {
public:
    explicit amqp_fields(const amqp_link::table& from) {
        for (const auto& [name, v] : from) {
            amqp_table_entry_t e{};
            e.key = amqp_view(name);
            if (const auto* b = std::get_if<bool>(&v)) {
                e.value.kind = AMQP_FIELD_KIND_BOOLEAN;
                e.value.value.boolean = *b;
            } else if (const auto* n = std::get_if<std::int64_t>(&v)) {
                e.value.kind = AMQP_FIELD_KIND_I64;
                e.value.value.i64 = *n;
            } else if (const auto* d = std::get_if<double>(&v)) {
                e.value.kind = AMQP_FIELD_KIND_F64;
                e.value.value.f64 = *d;
            } else if (const auto* s = std::get_if<std::string>(&v)) {
                e.value = string_value(*s);
            } else {
                auto& all = lists_.emplace_back();
                for (const auto& each : std::get<amqp_message::strings>(v)) all.push_back(string_value(each));
                e.value.kind = AMQP_FIELD_KIND_ARRAY;
                e.value.value.array = {static_cast<int>(all.size()), all.data()};
            }
            entries_.push_back(e);
        }
    }
    amqp_table_t table() { return {static_cast<int>(entries_.size()), entries_.data()}; }

private:
    static amqp_field_value_t string_value(const std::string& s) {
        amqp_field_value_t v{};
        v.kind = AMQP_FIELD_KIND_UTF8;
        v.value.bytes = amqp_view(s);
        return v;
    }
    std::vector<amqp_table_entry_t> entries_;
    std::deque<std::vector<amqp_field_value_t>> lists_;
};

/// What cannot be shown in that form, such as a table, is left out.
inline std::optional<amqp_message::value> amqp_value(const amqp_field_value_t& v) {
    switch (v.kind) {
        case AMQP_FIELD_KIND_BOOLEAN: return v.value.boolean != 0;
        case AMQP_FIELD_KIND_I8: return std::int64_t{v.value.i8};
        case AMQP_FIELD_KIND_U8: return std::int64_t{v.value.u8};
        case AMQP_FIELD_KIND_I16: return std::int64_t{v.value.i16};
        case AMQP_FIELD_KIND_U16: return std::int64_t{v.value.u16};
        case AMQP_FIELD_KIND_I32: return std::int64_t{v.value.i32};
        case AMQP_FIELD_KIND_U32: return std::int64_t{v.value.u32};
        case AMQP_FIELD_KIND_I64: return v.value.i64;
        case AMQP_FIELD_KIND_U64:
        case AMQP_FIELD_KIND_TIMESTAMP: return static_cast<std::int64_t>(v.value.u64);
        case AMQP_FIELD_KIND_F32: return double{v.value.f32};
        case AMQP_FIELD_KIND_F64: return v.value.f64;
        case AMQP_FIELD_KIND_UTF8:
        case AMQP_FIELD_KIND_BYTES: return amqp_text(v.value.bytes);
        case AMQP_FIELD_KIND_ARRAY: {
            amqp_message::strings all;
            for (int i = 0; i < v.value.array.num_entries; ++i) {
                const auto& e = v.value.array.entries[i];
                if (e.kind == AMQP_FIELD_KIND_UTF8 || e.kind == AMQP_FIELD_KIND_BYTES)
                    all.push_back(amqp_text(e.value.bytes));
            }
            return all;
        }
        default: return {};
    }
}

inline void read_properties(const amqp_basic_properties_t& p, amqp_message& m) {
    if (p._flags & AMQP_BASIC_CONTENT_TYPE_FLAG) m.content_type = amqp_text(p.content_type);
    if (p._flags & AMQP_BASIC_CONTENT_ENCODING_FLAG) m.content_encoding = amqp_text(p.content_encoding);
    if (p._flags & AMQP_BASIC_MESSAGE_ID_FLAG) m.message_id = amqp_text(p.message_id);
    if (p._flags & AMQP_BASIC_REPLY_TO_FLAG) m.reply_to = amqp_text(p.reply_to);
    if (p._flags & AMQP_BASIC_TIMESTAMP_FLAG) m.timestamp = static_cast<std::int64_t>(p.timestamp);
    if (!(p._flags & AMQP_BASIC_HEADERS_FLAG)) return;
    for (int i = 0; i < p.headers.num_entries; ++i)
        if (auto v = amqp_value(p.headers.entries[i].value))
            m.headers.insert_or_assign(amqp_text(p.headers.entries[i].key), *std::move(v));
}

/// What a method says of published messages; kind::nothing if it is another.
inline amqp_event amqp_confirm(int channel, const amqp_method_t& m) {
    const auto event = [&](amqp_event::kind kind, const auto& decoded) {
        return amqp_event{.what = kind,
                          .channel = channel,
                          .tag = decoded.delivery_tag,
                          .covers = decoded.multiple ? amqp_event::reach::all_up_to : amqp_event::reach::one};
    };
    if (m.id == AMQP_BASIC_ACK_METHOD)
        return event(amqp_event::kind::confirmed, *static_cast<const amqp_basic_ack_t*>(m.decoded));
    if (m.id == AMQP_BASIC_NACK_METHOD)
        return event(amqp_event::kind::refused, *static_cast<const amqp_basic_nack_t*>(m.decoded));
    return {};
}

/// The file of those to trust, where none is named: the first that the system may have.
inline std::string amqp_cas(const std::string& named) {
    namespace tls = postroad::tls::detail;
    if (!named.empty()) return named;
    if (const char* file = tls::environment("SSL_CERT_FILE"); file && *file) return file;
    const auto found = std::ranges::find_if(tls::usual_cas, [](const char* file) { return ::access(file, R_OK) == 0; });
    return found == std::end(tls::usual_cas) ? tls::usual_cas[0] : *found;
}

inline amqp_link::amqp_link(const amqp_address& to) : parts_(std::make_unique<parts>()) {
    auto& p = *parts_;
    std::string url = to.url;  // which the library takes apart in place
    amqp_connection_info where{};
    amqp_default_connection_info(&where);
    if (url.find('\0') != std::string::npos || amqp_parse_url(url.data(), &where) != AMQP_STATUS_OK)
        throw error(errc::invalid_url,
                    "the URL of the broker must be amqp:// or amqps://, "
                    "then user:password@host:port/vhost, with %XX for what has a meaning there");
    p.host = std::string(where.host) + ":" + std::to_string(where.port);
    if (!p.connection) p.fail(errc::broker_unreachable, "no memory for a connection to the broker");

    p.answers_within = std::chrono::ceil<std::chrono::seconds>(to.timeout);
    const auto ms = to.timeout.count();
    timeval patience{static_cast<time_t>(ms / 1000), static_cast<suseconds_t>(ms % 1000 * 1000)};
    amqp_socket_t* s = nullptr;
    if (where.ssl) {
        s = amqp_ssl_socket_new(p.connection);
        if (!s) p.fail(errc::broker_unreachable, "this librabbitmq has no TLS");
        amqp_ssl_socket_set_verify_peer(s, 1);
        amqp_ssl_socket_set_verify_hostname(s, 1);
        amqp_ssl_socket_set_ssl_versions(s, AMQP_TLSv1_2, AMQP_TLSvLATEST);
        const auto ca = amqp_cas(to.ca_file);
        if (amqp_ssl_socket_set_cacert(s, ca.c_str()) != AMQP_STATUS_OK)
            throw error(errc::tls_configuration, "the CAs for the broker cannot be read: " + escaped(ca));
    } else {
        s = amqp_tcp_socket_new(p.connection);
    }
    if (const auto status = amqp_socket_open_noblock(s, where.host, where.port, &patience); status != AMQP_STATUS_OK)
        p.fail(errc::broker_unreachable, std::string("cannot connect to the broker: ") + amqp_error_string2(status));
    amqp_set_handshake_timeout(p.connection, &patience);
    amqp_set_rpc_timeout(p.connection, &patience);
    static constexpr int largest_frame = 131072;
    // Otherwise a broker short of memory or disk says nothing, and stops reading; and says nothing of a queue that was
    // deleted while we consumed it.
    amqp_table_entry_t to_be_told[2]{};
    to_be_told[0].key = amqp_cstring_bytes("connection.blocked");
    to_be_told[1].key = amqp_cstring_bytes("consumer_cancel_notify");
    for (auto& each : to_be_told) {
        each.value.kind = AMQP_FIELD_KIND_BOOLEAN;
        each.value.value.boolean = 1;
    }
    amqp_table_entry_t capabilities{};
    capabilities.key = amqp_cstring_bytes("capabilities");
    capabilities.value.kind = AMQP_FIELD_KIND_TABLE;
    capabilities.value.value.table = {2, to_be_told};
    const amqp_table_t properties{1, &capabilities};
    p.check(
        amqp_login_with_properties(p.connection, where.vhost, 0, largest_frame, static_cast<int>(to.heartbeat.count()),
                                   &properties, AMQP_SASL_METHOD_PLAIN, where.user, where.password),
        "logging in");
    for (const int channel : {main, aside}) {
        amqp_channel_open(p.connection, static_cast<amqp_channel_t>(channel));
        p.check_last("opening a channel");
        amqp_confirm_select(p.connection, static_cast<amqp_channel_t>(channel));
        p.check_last("asking for confirms");
    }
}

inline amqp_link::~amqp_link() = default;

inline int amqp_link::handle() const noexcept { return amqp_get_sockfd(parts_->connection); }

inline void amqp_link::declare_exchange(const std::string& name, const char* type) {
    amqp_exchange_declare(parts_->connection, main, amqp_view(name), amqp_cstring_bytes(type), 0, 1, 0, 0,
                          amqp_empty_table);
    parts_->check_last("declaring an exchange");
}

inline void amqp_link::declare_queue(const std::string& name, const table& arguments) {
    amqp_fields a(arguments);
    amqp_queue_declare(parts_->connection, main, amqp_view(name), 0, 1, 0, 0, a.table());
    parts_->check_last("declaring a queue");
}

inline void amqp_link::declare_own(const std::string& name) {
    amqp_queue_declare(parts_->connection, main, amqp_view(name), 0, 0, 1, 1, amqp_empty_table);
    parts_->check_last("declaring a queue of our own");
}

inline void amqp_link::remove(const std::string& queue) {
    amqp_queue_delete(parts_->connection, main, amqp_view(queue), 0, 0);
    parts_->check_last("removing a queue");
}

inline void amqp_link::bind(const std::string& queue, const std::string& exchange, const std::string& key) {
    amqp_queue_bind(parts_->connection, main, amqp_view(queue), amqp_view(exchange), amqp_view(key), amqp_empty_table);
    parts_->check_last("binding a queue");
}

inline amqp_link::depth amqp_link::look(const std::string& queue) {
    const auto* r = amqp_queue_declare(parts_->connection, aside, amqp_view(queue), 1, 0, 0, 0, amqp_empty_table);
    parts_->check_last("looking at a queue");
    const depth d{r->message_count, r->consumer_count};
    amqp_maybe_release_buffers_on_channel(parts_->connection, aside);
    return d;
}

inline void amqp_link::consume(const std::string& queue, const std::string& consumer, std::uint16_t most) {
    // It holds for consumers that begin after it.
    amqp_basic_qos(parts_->connection, main, 0, most, 0);
    parts_->check_last("setting the prefetch count");
    amqp_basic_consume(parts_->connection, main, amqp_view(queue), amqp_view(consumer), 0, 0, 0, amqp_empty_table);
    parts_->check_last("beginning to consume");
}

inline void amqp_link::cancel(const std::string& consumer) {
    amqp_basic_cancel(parts_->connection, main, amqp_view(consumer));
    parts_->check_last("ending to consume");
}

inline std::uint64_t amqp_link::publish(int channel, const std::string& exchange, const std::string& key,
                                        const amqp_message& m) {
    amqp_fields headers(m.headers);
    amqp_basic_properties_t p{};
    p._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    p.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    if (!m.headers.empty()) {
        p._flags |= AMQP_BASIC_HEADERS_FLAG;
        p.headers = headers.table();
    }
    if (!m.content_type.empty()) {
        p._flags |= AMQP_BASIC_CONTENT_TYPE_FLAG;
        p.content_type = amqp_view(m.content_type);
    }
    if (!m.content_encoding.empty()) {
        p._flags |= AMQP_BASIC_CONTENT_ENCODING_FLAG;
        p.content_encoding = amqp_view(m.content_encoding);
    }
    if (!m.message_id.empty()) {
        p._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
        p.message_id = amqp_view(m.message_id);
    }
    if (!m.reply_to.empty()) {
        p._flags |= AMQP_BASIC_REPLY_TO_FLAG;
        p.reply_to = amqp_view(m.reply_to);
    }
    const auto expiration = std::to_string(m.expiration.value_or(0));
    if (m.expiration) {
        p._flags |= AMQP_BASIC_EXPIRATION_FLAG;
        p.expiration = amqp_view(expiration);
    }
    if (m.timestamp) {
        p._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
        p.timestamp = static_cast<std::uint64_t>(*m.timestamp);
    }
    const auto status =
        amqp_basic_publish(parts_->connection, static_cast<amqp_channel_t>(channel), amqp_view(exchange),
                           amqp_view(key), channel == main, 0, &p, amqp_view(m.body));
    if (status == AMQP_STATUS_TABLE_TOO_BIG || status == AMQP_STATUS_BAD_AMQP_DATA)
        parts_->fail(errc::message_too_large, "the headers of a message do not fit into a frame of the broker");
    parts_->check(status, "publishing");
    return ++parts_->published[channel];
}

inline void amqp_link::ack(int channel, std::uint64_t tag) {
    parts_->check(amqp_basic_ack(parts_->connection, static_cast<amqp_channel_t>(channel), tag, 0), "acknowledging");
}

inline void amqp_link::requeue(int channel, std::uint64_t tag) {
    parts_->check(amqp_basic_nack(parts_->connection, static_cast<amqp_channel_t>(channel), tag, 0, 1), "putting back");
}

inline void amqp_link::requeue_up_to(int channel, std::uint64_t tag) {
    parts_->check(amqp_basic_nack(parts_->connection, static_cast<amqp_channel_t>(channel), tag, 1, 1), "putting back");
}

inline bool amqp_link::blocked() const noexcept { return parts_->blocked; }

inline std::optional<std::uint64_t> amqp_link::largest() const noexcept { return parts_->largest; }

inline std::optional<amqp_event> amqp_link::get(const std::string& queue, const std::function<bool()>& waits_on) {
    auto& p = *parts_;
    amqp_basic_get_t wanted{};
    wanted.queue = amqp_view(queue);
    p.check(amqp_send_method(p.connection, aside, AMQP_BASIC_GET_METHOD, &wanted), "getting a message");
    p.got_from = queue;
    // That it takes nothing it may say only after the question.
    for (auto left = p.answers_within;;) {
        auto e = p.next({1, 0});
        if (e.what == amqp_event::kind::none) return {};
        if (e.what == amqp_event::kind::delivered && e.channel == aside) return e;
        if (e.what != amqp_event::kind::nothing) {
            p.put_by.push_back(std::move(e));
            continue;
        }
        if (p.blocked && waits_on && waits_on()) continue;
        if (left.count() == 0) p.fail(errc::broker_unreachable, "the broker does not answer");
        --left;
    }
}

inline amqp_event amqp_link::next() {
    auto& p = *parts_;
    if (p.put_by.empty()) return p.next({0, 0});
    auto e = std::move(p.put_by.front());
    p.put_by.pop_front();
    return e;
}

inline amqp_event amqp_link::parts::next(timeval patience) {
    for (;;) {
        amqp_frame_t f{};
        const auto status = amqp_simple_wait_frame_noblock(connection, &f, &patience);
        if (status == AMQP_STATUS_TIMEOUT) return {};
        check(status, "waiting");
        if (f.channel > aside) fail(errc::broker_unreachable, "the broker speaks on a channel that is not ours");
        auto& c = coming[f.channel];
        amqp_event e;
        if (f.frame_type == AMQP_FRAME_METHOD) {
            const auto& m = f.payload.method;
            ended(m, "by itself");
            if (m.id == AMQP_CONNECTION_BLOCKED_METHOD) blocked = true;
            if (m.id == AMQP_CONNECTION_UNBLOCKED_METHOD) blocked = false;
            e = amqp_confirm(f.channel, m);
            if (m.id == AMQP_BASIC_DELIVER_METHOD) {
                const auto& d = *static_cast<const amqp_basic_deliver_t*>(m.decoded);
                c = {.what = {.what = amqp_event::kind::delivered,
                              .channel = f.channel,
                              .tag = d.delivery_tag,
                              .redelivered = d.redelivered != 0,
                              .consumer = amqp_text(d.consumer_tag)},
                     .header_due = true};
            }
            if (m.id == AMQP_BASIC_GET_OK_METHOD) {
                const auto& ok = *static_cast<const amqp_basic_get_ok_t*>(m.decoded);
                c = {.what = {.what = amqp_event::kind::delivered,
                              .channel = f.channel,
                              .tag = ok.delivery_tag,
                              .redelivered = ok.redelivered != 0,
                              .consumer = got_from},
                     .header_due = true};
            }
            if (m.id == AMQP_BASIC_GET_EMPTY_METHOD) e = {.what = amqp_event::kind::none, .channel = f.channel};
        } else if (f.frame_type == AMQP_FRAME_HEADER) {
            c.header_due = false;
            read_properties(*static_cast<const amqp_basic_properties_t*>(f.payload.properties.decoded), c.what.message);
            c.missing = f.payload.properties.body_size;
            c.what.message.body.reserve(static_cast<std::size_t>(c.missing));
        } else if (f.frame_type == AMQP_FRAME_BODY) {
            const auto part = f.payload.body_fragment;
            c.what.message.body.append(static_cast<const char*>(part.bytes), part.len);
            c.missing -= std::min<std::uint64_t>(c.missing, part.len);
        }
        if (c.what.what == amqp_event::kind::delivered && !c.header_due && c.missing == 0)
            e = std::exchange(c, {}).what;
        amqp_maybe_release_buffers_on_channel(connection, f.channel);
        if (e.what != amqp_event::kind::nothing) return e;
    }
}

inline void amqp_link::close() noexcept {
    timeval second{1, 0};
    amqp_set_rpc_timeout(parts_->connection, &second);
    amqp_connection_close(parts_->connection, AMQP_REPLY_SUCCESS);
}

}  // namespace postroad::queueing::detail

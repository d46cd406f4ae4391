#pragma once

#include <postroad/core/number.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/queueing/amqp_message.hpp>
#include <postroad/queueing/stored_job.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <utility>

namespace postroad::queueing {
namespace detail {

inline std::chrono::system_clock::time_point amqp_time(double seconds) {
    // As far as both clocks can be converted without overflow; beyond that it makes no difference.
    static constexpr double most = 60.0 * 60 * 24 * 365 * 250;
    // No number at all is below nothing, too.
    const std::chrono::duration<double> d(seconds > 0 ? std::min(seconds, most) : 0.0);
    return std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(d));
}
inline double amqp_seconds(time_point t, both_clocks now) {
    const auto wall = std::chrono::duration<double>(now.wall.time_since_epoch());
    return (wall + std::chrono::duration<double>(between(now.steady, t))).count();
}
inline time_point amqp_steady(std::chrono::system_clock::time_point t, both_clocks now) {
    return after(now.steady, std::chrono::duration_cast<duration>(t - now.wall));
}

/// Reads the headers of a message, and remembers the first one that is wrong.
class amqp_reader {
public:
    amqp_reader(const amqp_message& m, std::string& reason) : headers_(m.headers), reason_(reason) {}

    bool has(std::string_view name) const { return headers_.find(name) != headers_.end(); }

    std::string text(std::string_view name) {
        const auto* s = get<std::string>(name);
        if (!s && has(name)) wrong(name, "a string");
        return s ? *s : std::string();
    }
    std::vector<std::string> list(std::string_view name) {
        if (const auto* all = get<amqp_message::strings>(name)) return *all;
        std::vector<std::string> all;
        const auto one = text(name);
        for (std::size_t at = 0; at < one.size();) {
            const auto comma = comma_behind(one, at);
            auto part = std::string_view(one).substr(at, comma - at);
            while (part.starts_with(' ')) part.remove_prefix(1);
            while (part.ends_with(' ')) part.remove_suffix(1);
            if (!part.empty()) all.emplace_back(part);
            at = comma + 1;
        }
        return all;
    }
    /// The integer, at most `most`; 0 if there is none.
    std::uint64_t number(std::string_view name, std::int64_t most) {
        const auto* n = get<std::int64_t>(name);
        if (has(name) && (!n || *n < 0 || *n > most)) wrong(name, "an integer from 0 to " + std::to_string(most));
        return n && *n >= 0 && *n <= most ? static_cast<std::uint64_t>(*n) : 0;
    }
    std::optional<std::chrono::system_clock::time_point> time(std::string_view name) {
        if (const auto* n = get<std::int64_t>(name)) return amqp_time(static_cast<double>(*n));
        if (const auto* d = get<double>(name)) return amqp_time(*d);
        if (has(name)) wrong(name, "a time");
        return {};
    }
    address mailbox(std::string_view name, const std::string& from) {
        error_code ec;
        std::string why;
        auto a = from.empty() ? address() : address::parse(from, ec, &why);
        if (ec) fail("the header " + std::string(name) + ": " + why);
        return a;
    }
    void fail(std::string why) {
        if (reason_.empty()) reason_ = std::move(why);
    }

private:
    template <class T>
    const T* get(std::string_view name) const {
        const auto found = headers_.find(name);
        return found == headers_.end() ? nullptr : std::get_if<T>(&found->second);
    }
    void wrong(std::string_view name, std::string wanted) {
        fail("the header " + std::string(name) + " is not " + std::move(wanted));
    }
    // Commas may stand within a quoted local part.
    static std::size_t comma_behind(std::string_view text, std::size_t at) {
        bool quoted = false;
        for (; at < text.size(); ++at) {
            if (text[at] == '\\' && quoted)
                ++at;
            else if (text[at] == '"')
                quoted = !quoted;
            else if (text[at] == ',' && !quoted)
                return at;
        }
        return text.size();
    }

    const std::map<std::string, amqp_message::value, std::less<>>& headers_;
    std::string& reason_;
};

inline constexpr std::string_view amqp_id_prefix = "postroad:";

POSTROAD_DECL std::string amqp_id(job_id id) { return std::string(amqp_id_prefix) + std::to_string(id); }
POSTROAD_DECL std::optional<job_id> amqp_id(std::string_view text) {
    if (!text.starts_with(amqp_id_prefix)) return {};
    text.remove_prefix(amqp_id_prefix.size());
    const auto id = postroad::detail::whole_number<job_id>(text);
    // Ids are positive in any number of 64 bits.
    static constexpr auto most = static_cast<job_id>(std::numeric_limits<std::int64_t>::max());
    return id > job_id(0) && id <= most ? id : std::nullopt;
}
POSTROAD_DECL job_id amqp_id_for(std::string_view text) { return amqp_id(text).value_or(amqp_hash(text) >> 2 | 1); }
POSTROAD_DECL std::string amqp_short_id(std::string id) {
    // Short strings of AMQP have 255 octets.
    static constexpr std::size_t most = 200;
    return id.size() > most ? amqp_id(amqp_id_for(id)) : std::move(id);
}
POSTROAD_DECL std::optional<std::uint64_t> amqp_largest(std::string_view said) {
    // "message size 20971520 is larger than configured max size 16777216", or without "configured".
    static constexpr std::string_view words = "max size ";
    const auto at = said.find(words);
    if (!said.starts_with("PRECONDITION_FAILED - message size ") || at == std::string_view::npos) return {};
    std::uint64_t n = 0;
    const auto* const from = said.data() + at + words.size();
    const auto [end, ec] = std::from_chars(from, said.data() + said.size(), n);
    if (ec != std::errc() || end == from || n == 0) return {};
    return n;
}
POSTROAD_DECL std::string amqp_part_id(std::string_view whole, bool is_part, std::uint32_t first) {
    if (is_part) whole = whole.substr(0, whole.rfind('/'));
    return std::string(whole) + '/' + std::to_string(first);
}

POSTROAD_DECL std::uint64_t amqp_hash(std::string_view text) {
    std::uint64_t h = 14695981039346656037U;
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211U;
    return h;
}

inline std::string domain_of(const address& a) {
    auto domain = a.ascii_domain();
    if (domain.empty()) domain = a.domain();
    return postroad::detail::in_lower_case(std::move(domain));
}
POSTROAD_DECL unsigned amqp_shard(const envelope& e, unsigned shards) {
    if (e.recipients.empty()) return 0;
    return static_cast<unsigned>(amqp_hash(domain_of(e.recipients.front())) % shards);
}
POSTROAD_DECL std::size_t amqp_domains(const envelope& e) {
    std::set<std::string> all;
    for (const auto& to : e.recipients) all.insert(domain_of(to));
    return all.size();
}

/// Whether that content encoding leaves the octets as they are. Some clients put a charset there.
inline bool amqp_as_is(std::string_view encoding) {
    static constexpr std::string_view all[] = {"", "identity", "binary", "7bit", "8bit", "us-ascii", "utf-8"};
    return std::ranges::any_of(all, [&](auto each) { return postroad::detail::equal_ignoring_case(each, encoding); });
}

// Of a frame, for headers; the rest is for what is added where a message moves, such as why it failed.
inline constexpr std::size_t amqp_frame_room = std::size_t{124} << 10;

POSTROAD_DECL std::optional<std::int64_t> amqp_wait_until(time_point due, time_point now) {
    std::optional<std::int64_t> best;
    for (const auto wait : amqp_waits)
        if (after(now, std::chrono::seconds(wait)) <= due) best = wait;
    return best;
}

}  // namespace detail

POSTROAD_DECL std::string amqp_progress(const job& j, const amqp_message& beside) {
    const auto room = detail::amqp_frame_room;
    const auto most = std::min(max_amqp_progress, room - std::min(room, headers_size(beside)));
    auto text = written_progress(j);
    if (text.size() <= most) return text;
    job less{.result = j.result, .error = j.error, .waits = j.waits, .returns = j.returns, .doubts = j.doubts};
    for (std::size_t each = 256; text.size() > most && each > 0; each /= 4) {
        for (auto& r : less.result.recipients) {
            r.reply.text.resize(std::min(r.reply.text.size(), each));
            r.why.resize(std::min(r.why.size(), each));
        }
        text = written_progress(less);
    }
    if (text.size() <= most) return text;
    less.result.details = {.where = j.result.details.where};
    for (auto& r : less.result.recipients) r = {.address = std::move(r.address), .status = r.status, .where = r.where};
    return written_progress(less);
}

POSTROAD_DECL amqp_message to_amqp(const job& j, both_clocks now) {
    amqp_message m{.content_type = "message/rfc822", .message_id = detail::amqp_id(j.id)};
    const auto& e = j.mail->envelope;
    m.headers["reverse_path"] = e.reverse_path.str();
    amqp_message::strings to;
    for (const auto& r : e.recipients) to.push_back(r.str());
    m.headers["recipients"] = std::move(to);
    if (j.traffic_class) m.headers["class"] = std::int64_t{j.traffic_class};
    if (!j.tenant.empty()) m.headers["tenant"] = j.tenant;
    if (!j.tag.empty()) m.headers["tag"] = j.tag;
    if (j.due > now.steady) m.headers["not_before"] = detail::amqp_seconds(j.due, now);
    if (j.deadline != never) m.headers["give_up_at"] = detail::amqp_seconds(j.deadline, now);
    const auto submitted = j.submitted == time_point::min() ? now.steady : j.submitted;
    m.timestamp = static_cast<std::int64_t>(detail::amqp_seconds(submitted, now));
    if (e.options != mail_options{} || !e.recipient_options.empty() || j.whole)
        m.headers["postroad_envelope"] = written_part(j) + written(e);
    if (auto progress = amqp_progress(j, m); !progress.empty()) m.headers["postroad_progress"] = std::move(progress);
    const auto& c = j.mail->content;
    error_code ec;
    auto narrow = c.composed() || c.binary() ? c.as(transfer::seven_bit, ec) : c;
    if (ec) narrow = c.as(transfer::eight_bit);
    m.body = narrow.text();
    return m;
}

POSTROAD_DECL std::optional<job> from_amqp(amqp_message&& m, both_clocks now, std::string& reason) {
    reason.clear();
    detail::amqp_reader r(m, reason);
    if (!m.content_type.empty() && m.content_type != "message/rfc822" && m.content_type != "message/global")
        r.fail("the content type is not message/rfc822");
    if (!detail::amqp_as_is(m.content_encoding))
        r.fail("the content encoding is " + escaped(m.content_encoding, 40) + ": only what is not encoded is sent");
    job j;
    auto mail = std::make_shared<mail_object>();
    // Never guessed from the header of the message: whoever publishes it says whom it is for.
    if (!r.has("reverse_path")) r.fail("the header reverse_path is missing");
    mail->envelope.reverse_path = r.mailbox("reverse_path", r.text("reverse_path"));
    for (const auto& to : r.list("recipients")) mail->envelope.recipients.push_back(r.mailbox("recipients", to));
    if (mail->envelope.recipients.empty()) r.fail("the header recipients is missing, or names nobody");
    j.traffic_class = static_cast<std::uint8_t>(r.number("class", 255));
    j.tenant = r.text("tenant");
    j.tag = r.text("tag");
    if (const auto t = r.time("not_before")) j.due = detail::amqp_steady(*t, now);
    if (const auto t = r.time("give_up_at")) j.deadline = detail::amqp_steady(*t, now);
    j.submitted = now.steady;
    if (m.timestamp)
        j.submitted =
            std::min(now.steady, detail::amqp_steady(detail::amqp_time(static_cast<double>(*m.timestamp)), now));
    if (m.body.empty()) r.fail("the message is empty");
    const auto all = r.text("postroad_envelope");
    const auto progress = r.text("postroad_progress");
    if (!reason.empty()) return {};
    try {
        if (!all.empty()) mail->envelope = read_envelope(all);
        mail->content = content::from_text(std::move(m.body));
        j.mail = std::move(mail);
        read_part(all, j);
        if (!progress.empty()) read_progress(progress, j);
    } catch (const error& e) {
        reason = e.what();
        return {};
    }
    return j;
}

POSTROAD_DECL std::size_t headers_size(const amqp_message& m) {
    // Of an entry beside its text: the length of its name, its kind, the length of its value.
    static constexpr std::size_t rest = 6;
    std::size_t size = m.content_type.size() + m.content_encoding.size() + m.message_id.size() + m.reply_to.size() + 64;
    for (const auto& [name, v] : m.headers) {
        size += name.size() + rest;
        if (const auto* s = std::get_if<std::string>(&v))
            size += s->size();
        else if (const auto* all = std::get_if<amqp_message::strings>(&v))
            for (const auto& each : *all) size += each.size() + rest;
        else
            size += sizeof(std::int64_t);
    }
    return size;
}

POSTROAD_DECL std::string too_much_for_amqp(const amqp_message& m, std::size_t recipients, std::size_t slack) {
    // Where the recipients of a part stand in its message, and the words around that.
    static constexpr std::size_t for_places = std::size_t{8} << 10;
    if (recipients > max_amqp_recipients)
        return "it has more than " + std::to_string(max_amqp_recipients) + " recipients";
    const auto text = [&](std::string_view name) {
        const auto h = m.headers.find(name);
        const auto* s = h == m.headers.end() ? nullptr : std::get_if<std::string>(&h->second);
        return s ? std::string_view(*s) : std::string_view();
    };
    auto most = max_amqp_headers;
    if (text("postroad_envelope").starts_with("part ")) most += max_amqp_headers + for_places;
    const auto progress = text("postroad_progress").size();
    const auto all = headers_size(m);
    if (progress > max_amqp_progress || all - progress > most + slack || all > detail::amqp_frame_room)
        return "its headers take more than " + std::to_string(most >> 10) + " KiB";
    return {};
}

}  // namespace postroad::queueing

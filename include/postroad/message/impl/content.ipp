#pragma once

#include <postroad/message/composition.hpp>
#include <postroad/message/content.hpp>
#include <postroad/message/conversion.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace postroad {
namespace detail {

inline void require_no_nul(std::string_view text, std::uint64_t before = 0) {
    if (const auto nul = find_octet(text, '\0'); nul != text.size())
        throw error(errc::invalid_message, "the message holds a NUL at octet " + std::to_string(before + nul));
}

/// What a source gives, in blocks, with CRLF line ends.
class source_lines {
public:
    enum class ends : unsigned char { any, crlf };  // what the source has

    source_lines(const source& from, ends have) : read_(from.open()), have_(have), raw_(piece_stream::block) {}

    /// Empty only at the end.
    std::string_view next() {
        lines_.clear();
        while (lines_.empty()) {
            const auto n = read_(raw_);
            const std::string_view octets(raw_.data(), n);
            if (n == 0) {
                writer_.finish(lines_);
                break;
            }
            require_no_nul(octets, taken_);
            taken_ += n;
            if (have_ == ends::crlf) return octets;
            writer_.feed(lines_, octets);
        }
        return lines_;
    }
    std::uint64_t taken() const noexcept { return taken_; }

private:
    source::read_function read_;
    ends have_;
    std::vector<char> raw_;
    crlf_writer writer_;
    std::string lines_;
    std::uint64_t taken_ = 0;
};

/// The lines of `from` behind the first `skipped` octets.
inline source lines_behind(const source& from, source_lines::ends have, std::uint64_t skipped, std::uint64_t size) {
    return source::generated(size, [from, have, skipped]() -> source::read_function {
        const auto lines = std::make_shared<source_lines>(from, have);
        return [lines, skip = skipped, view = std::string_view{}](std::span<char> room) mutable {
            while (view.empty()) {
                view = lines->next();
                if (view.empty()) return std::size_t{0};
                const auto off = static_cast<std::size_t>(std::min<std::uint64_t>(skip, view.size()));
                view.remove_prefix(off);
                skip -= off;
            }
            const auto n = view.copy(room.data(), room.size());
            view.remove_prefix(n);
            return n;
        };
    });
}

/// Appends to `header` up to the empty line; returns how many octets of `next` that took, all if it did not come.
inline std::size_t take_header(std::string& header, std::string_view next) {
    const auto before = header.size();
    header += next;
    auto end = header.size();
    if (header.starts_with("\r\n")) {
        end = 0;
    } else if (const auto at = header.find("\r\n\r\n", before < 3 ? 0 : before - 3); at != std::string::npos) {
        end = at + 2;
    }
    header.resize(end);
    return end < before ? 0 : end - before;
}

}  // namespace detail

POSTROAD_DECL content content::from_text(std::string text) {
    detail::require_no_nul(text);
    return from_lines(std::move(text));
}

POSTROAD_DECL content content::from_lines(std::string text) {
    auto scan = detail::scan_lines(text);
    if (!scan.only_crlf) {
        text = detail::with_crlf(text);
        scan = detail::scan_lines(text);
    }
    auto s = std::make_shared<shared>();
    s->text = std::move(text);
    s->size = s->text.size();
    s->longest_line = scan.longest;
    s->leading_dots = scan.leading_dots;
    const std::string_view all = s->text;
    s->eight_bit_header = detail::has_high_octet(all.substr(0, scan.header_size));
    s->eight_bit = s->eight_bit_header || detail::has_high_octet(all.substr(scan.header_size));
    content result;
    result.shared_ = std::move(s);
    return result;
}

POSTROAD_DECL content content::from_source(const source& from, const std::function<std::string(std::string)>& change) {
    using detail::source_lines;
    source_lines lines(from, source_lines::ends::any);
    std::string header;
    std::uint64_t size = 0;
    bool in_header = true;
    detail::line_meter meter;
    for (auto next = lines.next(); !next.empty(); next = lines.next()) {
        size += next.size();
        if (in_header) {
            const auto taken = detail::take_header(header, next);
            if (header.size() > max_streamed_header)
                throw error(errc::invalid_message, "the header of the message has more than " +
                                                       std::to_string(max_streamed_header) +
                                                       " octets: expected an empty line behind it");
            in_header = taken == next.size();
            next.remove_prefix(taken);
        }
        meter.feed(next);
    }
    if (lines.taken() != from.size())
        throw error(errc::changed_file, "a source of content gave " + std::to_string(lines.taken()) + " octets of " +
                                            std::to_string(from.size()));
    // a line end that was not CRLF has grown
    const auto have = size == from.size() ? source_lines::ends::crlf : source_lines::ends::any;
    const auto body_size = size - header.size();
    auto body = detail::lines_behind(from, have, header.size(), body_size);
    if (change) {
        header = detail::with_crlf(change(std::move(header)));
        detail::require_no_nul(header);
    }
    auto s = std::make_shared<shared>();
    const auto scan = detail::scan_lines(header);
    s->size = header.size() + body_size;
    s->longest_line = std::max(scan.longest, meter.longest());
    s->eight_bit_header = detail::has_high_octet(header);
    s->eight_bit = s->eight_bit_header || meter.high();
    s->leading_dots = scan.leading_dots || meter.leading_dots();
    s->pieces.push_back({.text = std::move(header)});
    s->pieces.push_back({.octets = std::move(body), .streamed = true});
    content result;
    result.shared_ = std::move(s);
    return result;
}

POSTROAD_DECL content content::restored(const facts& known, source octets) {
    auto s = std::make_shared<shared>();
    static_cast<facts&>(*s) = known;
    if (const auto* all = octets.in_memory(); all && all->size() == known.size)
        s->text = *all;
    else
        s->pieces.push_back({.octets = std::move(octets), .streamed = true});
    content result;
    result.shared_ = std::move(s);
    return result;
}

POSTROAD_DECL std::string content::read_whole() const {
    std::string all;
    all.reserve(static_cast<std::size_t>(size()));
    reader r(*this);
    for (auto next = r.peek(); !next.empty(); next = r.peek()) {
        all += next;
        r.consume(next.size());
    }
    if (const auto ec = r.failure()) throw error(ec, {.explanation = r.explanation()});
    return all;
}

POSTROAD_DECL std::string_view content::gathered_text() const {
    const std::lock_guard lock(shared_->gathering);
    if (!shared_->gathered) shared_->gathered = read_whole();
    return *shared_->gathered;
}

POSTROAD_DECL bool content::fits(transfer most) const noexcept {
    if (!shared_ || most == transfer::binary) return true;
    return !shared_->binary && shared_->longest_line <= detail::max_line &&
           (most == transfer::eight_bit || !shared_->eight_bit);
}

POSTROAD_DECL content content::with_fields(std::string_view fields) const {
    if (!streams()) return from_lines(std::string(fields).append(text()));
    auto s = std::make_shared<shared>();
    s->pieces.push_back({.text = std::string(fields)});
    s->pieces.insert(s->pieces.end(), shared_->pieces.begin(), shared_->pieces.end());
    static_cast<facts&>(*s) = *shared_;
    const auto scan = detail::scan_lines(fields);
    s->size += fields.size();
    s->longest_line = std::max<std::uint64_t>(scan.longest, s->longest_line);
    s->leading_dots = scan.leading_dots || s->leading_dots;
    content result;
    result.shared_ = std::move(s);
    return result;
}

POSTROAD_DECL content content::as(transfer most, error_code& ec, std::string* explanation) const {
    ec.clear();
    try {
        return as(most);
    } catch (const error& e) {
        ec = e.code();
        if (explanation) *explanation = e.details().explanation;
        return {};
    }
}

POSTROAD_DECL content content::as(transfer most) const {
    if (shared_ && shared_->composed) {
        const bool same = std::min(most, detail::widest(*shared_->composed)) == shared_->form;
        return same ? *this : detail::rendered(*shared_->composed, most);
    }
    if (fits(most)) return *this;
    if (streams()) return from_lines(detail::converted(read_whole(), most));
    return from_lines(detail::converted(text(), most));
}

POSTROAD_DECL content content::with_ascii_header() const {
    const auto old = detail::header_of(*this);
    auto header = detail::header_in_ascii(old);
    const auto taken = old.size();
    if (!streams()) return from_lines(std::move(header.append(text().substr(taken))));
    auto s = std::make_shared<shared>();
    // what the header alone was to blame for stays in them, which asks a server for nothing that it lacks
    static_cast<facts&>(*s) = *shared_;
    s->eight_bit_header = false;
    s->size = header.size() + size() - taken;
    auto body = source::generated(size() - taken, [self = *this, taken]() -> source::read_function {
        const auto from = std::make_shared<reader>(self);
        return [from, left = taken](std::span<char> room) mutable {
            auto next = from->peek();
            for (; left > 0 && !next.empty(); next = from->peek()) {
                const auto n = std::min(left, next.size());
                from->consume(n);
                left -= n;
            }
            if (const auto ec = from->failure()) throw error(ec, {.explanation = from->explanation()});
            const auto n = next.copy(room.data(), room.size());
            from->consume(n);
            return n;
        };
    });
    s->pieces.push_back({.text = std::move(header)});
    s->pieces.push_back({.octets = std::move(body), .streamed = true});
    content result;
    result.shared_ = std::move(s);
    return result;
}

namespace detail {

inline std::string header_from(content::reader& in) {
    std::string text;
    for (auto next = in.peek(); !next.empty(); next = in.peek()) {
        text += next;
        in.consume(next.size());
        if (split_at_empty_line(text).has_body || text.size() > content::max_streamed_header) break;
    }
    return std::string(split_at_empty_line(text).header);
}

POSTROAD_DECL std::string header_of(const content& c) {
    content::reader in(c);
    return header_from(in);
}

POSTROAD_DECL bool waives_tls(const content& c) {
    content::reader in(c);
    const auto header = header_from(in);
    const auto fields = split_fields(header);
    const auto* const said = find_field(fields, "TLS-Required");
    return said && !in.failure() && equal_ignoring_case(trimmed(said->value), "No");
}

POSTROAD_DECL std::string from_domain(const content& c) {
    content::reader in(c);
    const auto header = header_from(in);
    const auto fields = split_fields(header);
    const auto* const said = find_field(fields, "From");
    if (!said || in.failure()) return {};
    try {
        const auto all = parse_mailboxes(said->value, address_syntax::obsolete);
        return all.empty() ? std::string() : in_lower_case(all.front().address.ascii_domain());
    } catch (const error&) {
        return {};
    }
}

POSTROAD_DECL bool has_signed_header(const content& c) {
    content::reader in(c);
    const auto header = header_from(in);
    const auto fields = split_fields(header);
    return in.failure() || find_field(fields, "DKIM-Signature") || find_field(fields, "ARC-Message-Signature");
}

}  // namespace detail

}  // namespace postroad

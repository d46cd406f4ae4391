#pragma once

#include <postroad/message/utf8.hpp>
#include <postroad/tls/names.hpp>
#include <postroad/transport/spf.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace postroad::transport {
namespace detail {

// Most names of one mx or ptr term (RFC 7208 section 4.6.4).
inline constexpr std::size_t max_names_of_term = 10;

inline bool same_network(std::string_view one, std::string_view other, unsigned bits) noexcept {
    if (one.size() != other.size() || bits > one.size() * 8) return false;
    const auto octets = bits / 8;
    if (one.substr(0, octets) != other.substr(0, octets)) return false;
    if (bits % 8 == 0) return true;
    const auto mask = static_cast<unsigned char>(0xff << (8 - bits % 8));
    return ((static_cast<unsigned char>(one[octets]) ^ static_cast<unsigned char>(other[octets])) & mask) == 0;
}

class spf_evaluation {
public:
    spf_evaluation(const spf_question& q, const dns_lookup& ask)
        : q_(q), ask_(ask), octets_(postroad::tls::address_octets(q.address)) {
        if (q_.sender.find('@') == std::string::npos) q_.sender = "postmaster@" + q_.domain;
    }

    spf_answer run() {
        if (octets_.empty()) return {.result = spf_result::none, .why = escaped(q_.address) + " is no address"};
        spf_answer a;
        try {
            a.result = check(q_.domain, 0);
        } catch (const ended& e) {
            a.result = e.result;
            why_ = e.why;
        }
        a.record = std::move(record_);
        a.why = std::move(why_);
        a.lookups = lookups_;
        return a;
    }

private:
    // An error of the record or of the DNS ends all, however deep.
    struct ended {
        spf_result result;
        std::string why;
    };
    struct term {
        spf_result result = spf_result::pass;
        std::string name = {};
        std::string value = {};  // behind ":" or "="
        std::optional<unsigned> bits4 = {};
        std::optional<unsigned> bits6 = {};
        bool modifier = false;
    };

    [[noreturn]] static void wrong(const std::string& text) { throw ended{spf_result::permanent_error, text}; }

    net::dns_answer lookup(const std::string& name, net::record_type type) {
        auto a = ask_(name, type);
        if (a.status == net::dns_status::failed)
            throw ended{spf_result::temporary_error, escaped(name) + " cannot be looked up: " + a.why};
        if (a.status != net::dns_status::found && ++voids_ > max_void_lookups)
            wrong("more than " + std::to_string(max_void_lookups) + " names in it do not exist, such as " +
                  escaped(name));
        return a;
    }
    void count(const term& t) {
        if (++lookups_ > max_spf_lookups)
            wrong("it needs more than " + std::to_string(max_spf_lookups) + " look-ups (RFC 7208 section 4.6.4), " +
                  "from \"" + escaped(text_of(t)) + "\" on");
    }

    std::optional<std::string> record_of(const std::string& domain) {
        const auto a = ask_(domain, net::record_type::txt);
        if (a.status == net::dns_status::failed)
            throw ended{spf_result::temporary_error, escaped(domain) + " cannot be looked up: " + a.why};
        std::optional<std::string> found;
        for (const auto& rdata : a.records) {
            auto text = net::read_txt(rdata);
            if (!text) continue;
            const auto head = std::string_view(*text).substr(0, 6);
            if (!postroad::detail::equal_ignoring_case(head, "v=spf1") && head != "v=spf1") continue;
            if (text->size() > 6 && (*text)[6] != ' ') continue;
            if (found) wrong(escaped(domain) + " has two records of SPF");
            found = std::move(text);
        }
        return found;
    }

    spf_result check(const std::string& domain, unsigned depth) {
        if (depth > max_spf_lookups) wrong("records include each other");
        const auto record = record_of(domain);
        if (depth == 0 && record) record_ = *record;
        if (!record) {
            why_ = escaped(domain) + " has no record of SPF";
            return spf_result::none;
        }
        std::optional<term> redirect;
        const auto terms = parse(*record, domain);
        for (const auto& t : terms) {
            if (t.modifier) {
                if (t.name == "redirect") redirect = t;
                continue;
            }
            if (!matches(t, domain, depth)) continue;
            why_ = "\"" + escaped(text_of(t)) + "\" of " + escaped(domain);
            return t.result;
        }
        if (!redirect) {
            why_ = "no term of " + escaped(domain) + " speaks of it";
            return spf_result::neutral;
        }
        count(*redirect);
        const auto r = check(expanded(redirect->value, domain), depth + 1);
        if (r == spf_result::none) wrong("redirect leads to " + escaped(redirect->value) + ", which has no record");
        return r;
    }

    static std::string text_of(const term& t) {
        return t.name + (t.value.empty() ? "" : ":" + t.value) + (t.bits4 ? "/" + std::to_string(*t.bits4) : "");
    }

    static std::vector<term> parse(std::string_view record, const std::string& domain) {
        std::vector<term> all;
        record.remove_prefix(std::min<std::size_t>(record.size(), 6));
        while (!record.empty()) {
            const auto end = std::min(record.find(' '), record.size());
            const auto word = record.substr(0, end);
            record.remove_prefix(std::min(end + 1, record.size()));
            if (word.empty()) continue;
            auto t = parse_term(word);
            if (!t) wrong("\"" + escaped(word, 100) + "\" of " + escaped(domain) + " is no term of SPF");
            const auto once = [&](std::string_view name) {
                return t->modifier && t->name == name &&
                       std::ranges::any_of(all, [&](const term& o) { return o.modifier && o.name == name; });
            };
            if (once("redirect") || once("exp")) wrong(t->name + "= stands twice in the record of " + escaped(domain));
            all.push_back(*std::move(t));
        }
        return all;
    }

    static std::optional<term> parse_term(std::string_view word) {
        term t;
        const auto mark = word.find_first_of("=:/");
        if (mark != std::string_view::npos && word[mark] == '=') {
            t.modifier = true;
            t.name = postroad::detail::in_lower_case(std::string(word.substr(0, mark)));
            t.value = std::string(word.substr(mark + 1));
            return t.name.empty() ? std::nullopt : std::optional(t);
        }
        constexpr std::string_view signs = "+-?~";
        if (const auto at = signs.find(word.front()); at != std::string_view::npos) {
            constexpr spf_result results[] = {spf_result::pass, spf_result::fail, spf_result::neutral,
                                              spf_result::soft_fail};
            t.result = results[at];
            word.remove_prefix(1);
        }
        const auto end = std::min(word.find_first_of(":/"), word.size());
        t.name = postroad::detail::in_lower_case(std::string(word.substr(0, end)));
        word.remove_prefix(end);
        if (word.starts_with(':')) {
            word.remove_prefix(1);
            // An address of IPv6 has no slash, a domain may have one in a macro only.
            const auto slash =
                std::min(word.find('/', word.rfind('}') == std::string_view::npos ? 0 : word.rfind('}')), word.size());
            t.value = std::string(word.substr(0, slash));
            word.remove_prefix(slash);
            if (t.value.empty()) return {};
        }
        if (!word.empty() && !parse_bits(word, t)) return {};
        return is_known(t) ? std::optional(t) : std::nullopt;
    }
    static bool is_known(const term& t) {
        const bool address = t.name == "ip4" || t.name == "ip6";
        if (t.name == "all") return t.value.empty() && !t.bits4 && !t.bits6;
        if (t.name == "a" || t.name == "mx") return true;
        if (t.name == "ptr") return !t.bits4 && !t.bits6;
        if (t.name == "include" || t.name == "exists") return !t.value.empty() && !t.bits4 && !t.bits6;
        return address && !t.value.empty() && !t.bits6 &&
               postroad::tls::address_octets(t.value).size() == (t.name == "ip4" ? 4 : 16);
    }
    // "/24", "/24//64", "//64".
    static bool parse_bits(std::string_view text, term& t) {
        const auto number = [&](unsigned most) -> std::optional<unsigned> {
            unsigned value = 0;
            const auto* const end = text.data() + text.size();
            const auto [rest, ec] = std::from_chars(text.data(), end, value);
            if (ec != std::errc{} || value > most) return {};
            text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
            return value;
        };
        if (!text.starts_with("//")) {
            text.remove_prefix(1);
            t.bits4 = number(t.name == "ip6" ? 128 : 32);
            if (!t.bits4) return false;
        }
        if (text.starts_with("//")) {
            text.remove_prefix(2);
            t.bits6 = number(128);
            if (!t.bits6) return false;
        }
        return text.empty();
    }

    bool matches(const term& t, const std::string& domain, unsigned depth) {
        if (t.name == "all") return true;
        if (t.name == "ip4" || t.name == "ip6") {
            const auto network = postroad::tls::address_octets(t.value);
            return same_network(octets_, network, t.bits4.value_or(static_cast<unsigned>(network.size() * 8)));
        }
        count(t);
        const auto target = t.value.empty() ? domain : expanded(t.value, domain);
        if (t.name == "include") return includes(target, depth);
        if (t.name == "a") return has_address(target, t);
        if (t.name == "exists") return lookup(target, net::record_type::a).status == net::dns_status::found;
        if (t.name == "ptr") return is_named(target);
        const auto servers = lookup(target, net::record_type::mx);
        if (servers.records.size() > max_names_of_term) wrong(escaped(target) + " has more than 10 MX records");
        return std::ranges::any_of(servers.records, [&](const std::string& rdata) {
            const auto r = net::read_mx(rdata);
            return r && !r->host.empty() && has_address(r->host, t);
        });
    }
    bool includes(const std::string& target, unsigned depth) {
        const auto kept = why_;
        const auto r = check(target, depth + 1);
        if (r == spf_result::none) wrong("it includes " + escaped(target) + ", which has no record");
        why_ = kept;
        return r == spf_result::pass;
    }
    bool has_address(const std::string& name, const term& t) {
        const auto bits = octets_.size() == 4 ? t.bits4.value_or(32) : t.bits6.value_or(128);
        const auto a = lookup(name, octets_.size() == 4 ? net::record_type::a : net::record_type::aaaa);
        return std::ranges::any_of(a.records,
                                   [&](const std::string& rdata) { return same_network(octets_, rdata, bits); });
    }
    bool is_named(const std::string& target) {
        const auto names = ask_(net::reverse_name(q_.address), net::record_type::ptr);
        for (std::size_t i = 0; i < std::min(names.records.size(), max_names_of_term); ++i) {
            const auto name = net::read_name(names.records[i]);
            if (!name || !net::is_within(*name, target)) continue;
            // One that cannot be looked up is skipped (RFC 7208 section 5.5).
            try {
                if (has_address(*name, {})) return true;
            } catch (const ended& e) {
                if (e.result != spf_result::temporary_error) throw;
            }
        }
        return false;
    }

    // RFC 7208 section 7.
    std::string expanded(std::string_view text, const std::string& domain) {
        std::string out;
        while (!text.empty()) {
            if (text.front() != '%') {
                out += text.front();
                text.remove_prefix(1);
                continue;
            }
            const auto kind = text.size() > 1 ? text[1] : '\0';
            if (kind == '%' || kind == '_' || kind == '-') {
                out += kind == '%' ? "%" : kind == '_' ? " " : "%20";
                text.remove_prefix(2);
                continue;
            }
            const auto end = text.find('}');
            if (kind != '{' || end == std::string_view::npos || end < 3)
                wrong("\"" + escaped(text, 60) + "\" of " + escaped(domain) + " is no macro");
            out += macro(text.substr(2, end - 2), domain);
            text.remove_prefix(end + 1);
        }
        // Too long a name loses labels in front (RFC 7208 section 7.3).
        if (out.size() > 253) {
            const auto dot = out.find('.', out.size() - 254);
            if (dot == std::string::npos) wrong("\"" + escaped(out, 60) + "\" of " + escaped(domain) + " is no name");
            out.erase(0, dot + 1);
        }
        return postroad::detail::in_lower_case(std::move(out));
    }
    std::string macro(std::string_view body, const std::string& domain) const {
        const auto at = q_.sender.rfind('@');
        std::string value;
        switch (body.front() | 0x20) {
            case 's': value = q_.sender; break;
            case 'l': value = q_.sender.substr(0, at); break;
            case 'o': value = q_.sender.substr(at + 1); break;
            case 'd': value = domain; break;
            case 'i': value = dotted(); break;
            case 'p': value = "unknown"; break;
            case 'v': value = octets_.size() == 4 ? "in-addr" : "ip6"; break;
            case 'h': value = q_.hello; break;
            default: wrong("%{" + escaped(body, 20) + "} is no macro");
        }
        body.remove_prefix(1);
        std::size_t keep = 0;
        const auto [rest, ec] = std::from_chars(body.data(), body.data() + body.size(), keep);
        if (ec == std::errc{}) body.remove_prefix(static_cast<std::size_t>(rest - body.data()));
        const bool reversed = !body.empty() && (body.front() | 0x20) == 'r';
        if (reversed) body.remove_prefix(1);
        const auto delimiters = body.empty() ? std::string_view(".") : body;
        std::vector<std::string> parts(1);
        for (const char c : value)
            if (delimiters.find(c) != std::string_view::npos)
                parts.emplace_back();
            else
                parts.back() += c;
        if (reversed) std::ranges::reverse(parts);
        if (keep > 0 && keep < parts.size())
            parts.erase(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(keep));
        std::string out;
        for (const auto& p : parts) (out += out.empty() ? "" : ".") += p;
        return out;
    }
    // As %{i} has it: of IPv6 each half octet.
    std::string dotted() const {
        if (octets_.size() == 4) return q_.address;
        std::string out;
        for (const char c : octets_)
            for (const int shift : {4, 0}) {
                if (!out.empty()) out += '.';
                out += "0123456789abcdef"[(static_cast<unsigned char>(c) >> shift) & 15];
            }
        return out;
    }

    spf_question q_;
    const dns_lookup& ask_;
    std::string octets_;
    std::string record_;
    std::string why_;
    std::size_t lookups_ = 0;
    std::size_t voids_ = 0;
};

}  // namespace detail

POSTROAD_DECL std::string_view to_string(spf_result r) noexcept {
    switch (r) {
        case spf_result::none: return "none";
        case spf_result::neutral: return "neutral";
        case spf_result::pass: return "pass";
        case spf_result::fail: return "fail";
        case spf_result::soft_fail: return "softfail";
        case spf_result::temporary_error: return "temperror";
        case spf_result::permanent_error: return "permerror";
    }
    return "none";
}

POSTROAD_DECL spf_answer check_spf(const spf_question& q, const dns_lookup& ask) {
    return detail::spf_evaluation(q, ask).run();
}

}  // namespace postroad::transport

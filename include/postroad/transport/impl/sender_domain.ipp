#pragma once

#include <postroad/message/address.hpp>
#include <postroad/message/dkim_check.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/transport/generic_name.hpp>
#include <postroad/transport/sender_domain.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace postroad::transport {
namespace detail {

// "v=DKIM1; k=rsa; p=..." (RFC 6376 section 3.2). Nothing for what is no list of tags.
inline std::optional<std::map<std::string, std::string, std::less<>>> tag_list(std::string_view text) {
    std::map<std::string, std::string, std::less<>> tags;
    while (!postroad::detail::trimmed(text).empty()) {
        const auto end = std::min(text.find(';'), text.size());
        const auto one = postroad::detail::trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (one.empty()) continue;
        const auto equals = one.find('=');
        if (equals == std::string_view::npos || equals == 0) return {};
        std::string value;
        for (const char c : one.substr(equals + 1))
            if (c != ' ' && c != '\t') value += c;
        const auto name = postroad::detail::trimmed(one.substr(0, equals));
        if (!tags.emplace(name, std::move(value)).second) return {};
    }
    return tags;
}

inline std::vector<std::string> texts_of(const net::dns_answer& a) {
    std::vector<std::string> texts;
    for (const auto& rdata : a.records)
        if (auto text = net::read_txt(rdata)) texts.push_back(*std::move(text));
    return texts;
}

// The tree is walked up: eight questions at most, the first about the whole name.
inline constexpr std::size_t dmarc_steps = 8;
inline void go_up(std::string& domain) {
    do domain.erase(0, domain.find('.') + 1);
    while (std::ranges::count(domain, '.') >= static_cast<std::ptrdiff_t>(dmarc_steps - 1));
}

inline std::vector<std::string> dmarc_texts(const net::dns_answer& a) {
    auto texts = texts_of(a);
    std::erase_if(texts, [](const std::string& text) {
        constexpr std::string_view version = "v=DMARC1";
        const auto rest = std::string_view(text).substr(std::min(version.size(), text.size()));
        return !text.starts_with(version) ||
               !(rest.empty() || std::string_view("; \t").find(rest.front()) != std::string_view::npos);
    });
    return texts;
}

inline std::string tag(const std::map<std::string, std::string, std::less<>>& tags, std::string_view name) {
    const auto found = tags.find(name);
    return found == tags.end() ? std::string() : postroad::detail::in_lower_case(found->second);
}

// The highest domain with a record, from `domain`, which has one, up. `psd`: y, who is above the organizations; n, an
// organization though there is a record above it.
inline std::string organization_above(const std::string& domain, const dns_lookup& ask, std::size_t left) {
    auto highest = domain;
    auto below = domain;
    auto at = domain;
    for (go_up(at); left > 0 && at.find('.') != std::string::npos; below = at, go_up(at), --left) {
        const auto records = dmarc_texts(ask("_dmarc." + at, net::record_type::txt));
        const auto tags = records.size() == 1 ? tag_list(records.front()) : std::nullopt;
        if (!tags) continue;
        const auto psd = tag(*tags, "psd");
        if (psd == "y") return below;
        highest = at;
        if (psd == "n") break;
    }
    return highest;
}

// Of `domain`, for whom the record at `at` counts.
inline std::string organization_of(const std::string& domain, const std::string& at, std::string_view psd,
                                   const dns_lookup& ask, std::size_t left) {
    if (psd == "n") return at;
    if (psd != "y" || at == domain) return organization_above(at, ask, left);
    // Its organization is one label below.
    const auto dot = domain.rfind('.', domain.size() - at.size() - 2);
    return domain.substr(dot == std::string::npos ? 0 : dot + 1);
}

inline std::string domain_of(const std::string& text) {
    error_code ec;
    const auto a = address::parse(text, ec);
    return ec ? std::string() : postroad::detail::in_lower_case(std::string(a.ascii_domain()));
}

class sender_examination {
public:
    sender_examination(const examined_sender& facts, const dns_lookup& ask) : facts_(facts), ask_(ask) {}

    std::vector<finding> run() {
        from_domain_ = domain_of(facts_.from);
        path_domain_ = domain_of(facts_.reverse_path);
        names();
        greeting();
        takes_mail(path_domain_);
        if (from_domain_ != path_domain_) takes_mail(from_domain_);
        spf();
        if (from_domain_.empty()) return std::move(found_);
        const auto record = find_dmarc(from_domain_, ask_);
        dmarc_ = record.found;
        dkim();
        dmarc(record);
        one_click();
        return std::move(found_);
    }

private:
    enum class reach : unsigned char { none, there, unknown };

    void say(std::string about, finding_kind how, std::string text, std::string advice = {}) {
        found_.push_back({std::move(about), how, std::move(text), std::move(advice)});
    }
    net::record_type type_of_address() const {
        return facts_.address.find(':') == std::string::npos ? net::record_type::a : net::record_type::aaaa;
    }
    bool leads_back(const std::string& name) const {
        for (const auto& rdata : ask_(name, type_of_address()).records)
            if (net::read_address(rdata) == facts_.address || rdata == postroad::tls::address_octets(facts_.address))
                return true;
        return false;
    }

    // RFC 1912 section 2.1; RFC 8601 section 2.7.3 calls it iprev.
    void names() {
        const std::string demand =
            "Gmail and Yahoo refuse mail from an address without a name that leads back to it (since February 2024, "
            "5.7.25), and so do Orange, T-Online and United Internet. Whoever gave you the address sets its PTR.";
        if (facts_.address.empty())
            return say("PTR", finding_kind::notice, "it is not known from which address mail comes",
                       "Name it: own=ADDRESS in the URL.");
        if (!net::is_public(facts_.address))
            return say("PTR", finding_kind::notice,
                       "mail comes from " + facts_.address + ", which something on the way translates",
                       "Name the public address: own=ADDRESS in the URL.");
        const auto a = ask_(net::reverse_name(facts_.address), net::record_type::ptr);
        if (a.status == net::dns_status::failed)
            return say("PTR", finding_kind::notice, "the name of " + facts_.address + " cannot be looked up: " + a.why);
        std::string names;
        for (const auto& rdata : a.records) {
            const auto name = net::read_name(rdata);
            if (!name) continue;
            names += (names.empty() ? "" : ", ") + *name;
            if (leads_back(*name)) return own_name(*name);
        }
        if (names.empty()) return say("PTR", finding_kind::bad, facts_.address + " has no name in the DNS", demand);
        say("PTR", finding_kind::bad, facts_.address + " is called " + names + ", which does not lead back to it",
            demand);
    }
    void own_name(const std::string& name) {
        const auto text = facts_.address + " is " + name;
        const auto why = why_generic(name, facts_.address);
        if (why.empty()) return say("PTR", finding_kind::good, text);
        say("PTR", finding_kind::notice, text + ", which looks as if each neighbour of it had such a name: " + why,
            "Yahoo and Comcast want a name of your own, and Microsoft and T-Online refuse what they take for a dynamic "
            "address. Whoever gave you the address sets its PTR: to the name of the server, in your domain.");
    }
    void greeting() {
        if (facts_.client_name.starts_with('['))
            return say("EHLO", finding_kind::bad, "EHLO says an address, " + facts_.client_name,
                       "Say the name that the address has: large receivers refuse mail from a host without one.");
        if (facts_.address.empty() || !net::is_public(facts_.address)) return;
        if (leads_back(facts_.client_name))
            return say("EHLO", finding_kind::good, "EHLO says " + facts_.client_name + ", which is " + facts_.address);
        say("EHLO", finding_kind::bad,
            "EHLO says " + facts_.client_name + ", which is not " + facts_.address + " in the DNS",
            "T-Online, Orange and United Internet compare the two. Give the name an address record, or say the name "
            "of the PTR.");
    }

    // What cannot be answered is refused by many.
    void takes_mail(const std::string& domain) {
        constexpr std::size_t most_servers = 20;
        if (domain.empty() || domain.starts_with('[')) return;
        const auto a = ask_(domain, net::record_type::mx);
        if (a.status == net::dns_status::failed)
            return say("MX", finding_kind::notice, "the servers of " + domain + " cannot be looked up: " + a.why);
        if (a.records.empty()) return takes_mail_itself(domain);
        auto found = reach::none;
        bool null = true;
        for (std::size_t i = 0; i < a.records.size() && i < most_servers; ++i) {
            const auto r = net::read_mx(a.records[i]);
            if (r && r->host.empty()) continue;
            null = false;
            const auto there = r ? is_reachable(r->host) : reach::none;
            if (there == reach::there) return say("MX", finding_kind::good, domain + " takes mail: " + r->host);
            if (there == reach::unknown) found = there;
        }
        if (null)
            return say("MX", finding_kind::bad, domain + " takes no mail by intent (null MX)",
                       "Receivers may refuse a sender that cannot be answered (5.7.27, RFC 7505 section 4.2): publish "
                       "a server for it.");
        unanswerable(domain, found, "has servers, but none with a public address");
    }
    // RFC 5321 section 5.1: its own address is the server.
    void takes_mail_itself(const std::string& domain) {
        const auto there = is_reachable(domain);
        if (there == reach::there) return say("MX", finding_kind::good, domain + " takes mail: it has an address");
        unanswerable(domain, there, "has neither MX records nor an address");
    }
    void unanswerable(const std::string& domain, reach found, const std::string& what) {
        if (found == reach::unknown)
            return say("MX", finding_kind::notice,
                       "the addresses of the servers of " + domain + " cannot be looked up");
        say("MX", finding_kind::bad, domain + ' ' + what,
            "Many receivers refuse a sender whose domain takes no mail (450 or 550 5.1.8), and nothing that comes back "
            "would arrive: publish an MX record for it.");
    }
    reach is_reachable(const std::string& host) const {
        auto result = reach::none;
        for (const auto type : {net::record_type::a, net::record_type::aaaa}) {
            const auto a = ask_(host, type);
            if (a.status == net::dns_status::failed) result = reach::unknown;
            for (const auto& rdata : a.records)
                if (const auto text = net::read_address(rdata); text && net::is_public(*text)) return reach::there;
        }
        return result;
    }

    void spf() {
        const auto domain = path_domain_.empty() ? facts_.client_name : path_domain_;
        const std::string demand =
            "Gmail and Yahoo want SPF or DKIM of everybody, and both of who sends 5,000 a day (since February 2024); "
            "Outlook.com the latter since May 2025.";
        if (facts_.address.empty() || !net::is_public(facts_.address) || domain.starts_with('[')) return;
        const auto a = check_spf(
            {.address = facts_.address, .domain = domain, .sender = facts_.reverse_path, .hello = facts_.client_name},
            ask_);
        const auto text = "SPF of " + domain + " for " + facts_.address + ": " + std::string(to_string(a.result)) +
                          ", by " + a.why + (a.record.empty() ? "" : "; it says \"" + escaped(a.record, 300) + '"');
        switch (a.result) {
            case spf_result::pass: spf_passes_ = true; return say("SPF", finding_kind::good, text);
            case spf_result::temporary_error: return say("SPF", finding_kind::notice, text, "Look later.");
            case spf_result::permanent_error: return say("SPF", finding_kind::bad, text, "Mend the record. " + demand);
            case spf_result::none:
                return say("SPF", finding_kind::bad, text,
                           "Publish \"v=spf1 " + mechanism() + " -all\" as TXT of " + domain + ". " + demand);
            case spf_result::neutral:
            case spf_result::fail:
            case spf_result::soft_fail:
                return say("SPF", finding_kind::bad, text,
                           "Add " + mechanism() + " to the record, before its \"all\". " + demand);
        }
    }
    std::string mechanism() const {
        return (type_of_address() == net::record_type::a ? "ip4:" : "ip6:") + facts_.address;
    }

    void dkim() {
        const std::string demand =
            "Gmail, Yahoo and Outlook.com want a DKIM signature of the From domain on mail of who sends 5,000 a day.";
        if (facts_.signatures.empty())
            return say("DKIM", finding_kind::notice, "nothing is known of a signature",
                       "Give the one that is used. " + demand);
        for (const auto& s : facts_.signatures) {
            const auto a = ask_(key_name(s), net::record_type::txt);
            const auto found = check_key(
                s, {.records = texts_of(a), .failure = a.status == net::dns_status::failed ? a.why : std::string()});
            const bool same = aligned(s.domain, dmarc_ && dmarc_->strict_dkim);
            dkim_aligned_ = dkim_aligned_ || (found.what != key_check::bad && same);
            if (found.what == key_check::bad)
                say("DKIM", finding_kind::bad, found.name + ": " + found.why,
                    "Publish \"" + found.record + "\" there. " + demand);
            else if (found.what == key_check::good)
                say("DKIM", finding_kind::good, found.name + " is the key that signs");
            else
                say("DKIM", finding_kind::notice, found.name + ": " + found.why);
            if (same) continue;
            say("DKIM", finding_kind::notice, s.domain + " signs, and From is of " + from_domain_,
                "DMARC counts a signature of the domain in From only.");
        }
    }

    bool aligned(const std::string& domain, bool strict) const {
        if (strict) return domain == from_domain_;
        if (net::is_within(domain, from_domain_) || net::is_within(from_domain_, domain)) return true;
        return dmarc_ && net::is_within(domain, dmarc_->organization);
    }
    void dmarc(const dmarc_search& record) {
        if (record.lack == dmarc_lack::unknown && !dmarc_) return say("DMARC", finding_kind::notice, record.why);
        if (record.lack == dmarc_lack::several)
            return say("DMARC", finding_kind::bad, record.why, "Leave one of them.");
        if (record.lack == dmarc_lack::malformed)
            return say("DMARC", finding_kind::bad, record.why, "Mend it: \"v=DMARC1; p=none\" is one.");
        if (!dmarc_)
            return say("DMARC", finding_kind::bad, record.why,
                       "Publish \"v=DMARC1; p=none\" as TXT of _dmarc." + from_domain_ +
                           " at least: Gmail and Yahoo want it of who sends 5,000 a day (since February 2024), "
                           "Outlook.com since May 2025.");
        const bool by_spf = spf_passes_ && !path_domain_.empty() && aligned(path_domain_, dmarc_->strict_spf);
        const auto text = "DMARC of " + dmarc_->domain + " says " + dmarc_->policy;
        if (by_spf || dkim_aligned_)
            return say("DMARC", finding_kind::good,
                       text + "; mail is aligned by " +
                           (by_spf && dkim_aligned_ ? "SPF and DKIM"
                            : by_spf                ? "SPF"
                                                    : "DKIM"));
        say("DMARC", dmarc_->policy == "none" ? finding_kind::notice : finding_kind::bad,
            text + ", and neither SPF nor DKIM is aligned with " + from_domain_,
            "Sign with DKIM as " + from_domain_ + ", or send with a reverse path of that domain.");
    }

    // RFC 8058.
    void one_click() {
        if (facts_.header.empty()) return;
        const auto fields = postroad::detail::split_fields(facts_.header);
        const auto* list = postroad::detail::find_field(fields, "List-Unsubscribe");
        const auto* post = postroad::detail::find_field(fields, "List-Unsubscribe-Post");
        const std::string demand =
            "Gmail and Yahoo want it of marketing mail of who sends 5,000 a day (since June 2024): List-Unsubscribe "
            "with an https: URL, and List-Unsubscribe-Post.";
        if (!list)
            return say("one click", finding_kind::notice, "the message cannot be unsubscribed from by one click",
                       demand);
        const bool https = list->value.find("<https:") != std::string_view::npos;
        const bool click =
            post && postroad::detail::one_line(post->value).find("List-Unsubscribe=One-Click") != std::string::npos;
        if (https && click)
            return say("one click", finding_kind::good, "the message can be unsubscribed from by one click");
        say("one click", finding_kind::bad,
            https ? "List-Unsubscribe-Post: List-Unsubscribe=One-Click is missing"
                  : "List-Unsubscribe has no https: URL",
            demand);
    }

    const examined_sender& facts_;
    const dns_lookup& ask_;
    std::string from_domain_;
    std::string path_domain_;
    std::optional<dmarc_record> dmarc_;
    bool spf_passes_ = false;
    bool dkim_aligned_ = false;
    std::vector<finding> found_;
};

}  // namespace detail

POSTROAD_DECL dmarc_search find_dmarc(const std::string& domain, const dns_lookup& ask) {
    auto at = domain;
    for (auto left = detail::dmarc_steps; left > 0 && at.find('.') != std::string::npos; --left) {
        const auto a = ask("_dmarc." + at, net::record_type::txt);
        if (a.status == net::dns_status::failed)
            return {.lack = dmarc_lack::unknown, .why = "_dmarc." + at + " cannot be looked up: " + a.why};
        const auto records = detail::dmarc_texts(a);
        if (records.size() > 1)
            return {.lack = dmarc_lack::several,
                    .why = "_dmarc." + at + " has several records of DMARC, so none counts"};
        if (!records.empty()) {
            const auto tags = detail::tag_list(records.front());
            auto policy = tags ? detail::tag(*tags, "p") : std::string();
            const auto is_policy = [](const std::string& p) {
                return p == "none" || p == "quarantine" || p == "reject";
            };
            // Who asks for reports means that much (RFC 7489 section 6.6.3).
            if (tags && !is_policy(policy) && detail::tag(*tags, "rua").find("mailto:") != std::string::npos)
                policy = "none";
            if (!is_policy(policy))
                return {
                    .lack = dmarc_lack::malformed,
                    .why = "the record of DMARC of " + at + " is malformed: \"" + escaped(records.front(), 200) + '"'};
            auto of_part = at == domain ? std::string() : detail::tag(*tags, "sp");
            if (!is_policy(of_part)) of_part.clear();
            return {.found = dmarc_record{
                        .domain = at,
                        .organization = detail::organization_of(domain, at, detail::tag(*tags, "psd"), ask, left - 1),
                        .policy = of_part.empty() ? policy : of_part,
                        .strict_dkim = detail::tag(*tags, "adkim") == "s",
                        .strict_spf = detail::tag(*tags, "aspf") == "s"}};
        }
        detail::go_up(at);
    }
    return {.why = domain + " has no record of DMARC"};
}

POSTROAD_DECL std::vector<finding> look_at_sender(const examined_sender& facts, const dns_lookup& ask) {
    return detail::sender_examination(facts, ask).run();
}

}  // namespace postroad::transport

#pragma once
// Rules for providers, and sources, from a file in TOML. See docs/providers.md. Not among what postroad/postroad.hpp
// includes: needs the component postroad::rules.

#include <postroad/core/error.hpp>
#include <postroad/core/number.hpp>
#include <postroad/transport/mx_sources.hpp>
#include <postroad/transport/mx_transport.hpp>
#include <postroad/transport/provider_rules.hpp>
#include <postroad/transport/rules_text.hpp>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace postroad::transport {

/// Octets of a file of rules, and rules in it.
inline constexpr std::size_t max_rules_file = 1 << 20;
inline constexpr std::size_t max_rules = 10'000;

/// All that a file may say, for the members of mx_options of these names.
struct direct_rules {
    provider_rules providers = {};
    std::vector<mx_source> sources = {};
    std::vector<source_binding> bindings = {};
    std::vector<mx_sender> senders = {};
    std::vector<mx_route> routes = {};
};

namespace detail {

class rules_reader {
public:
    explicit rules_reader(std::string name) : name_(std::move(name)) {}

    direct_rules read(std::string_view text) const {
        if (text.size() > max_rules_file)
            throw error(errc::invalid_option, name_ + " is longer than " + std::to_string(max_rules_file) + " octets");
        const auto ascii = plain_toml(text, [this](std::size_t line, std::size_t column, const char* what) {
            const toml::source_position at{static_cast<toml::source_index>(line),
                                           static_cast<toml::source_index>(column)};
            refuse(toml::source_region{at, at, nullptr}, what);
        });
        try {
            return all_of(toml::parse(ascii, name_));
        } catch (const toml::parse_error& e) {
            refuse(e.source(), "this is no TOML: " + escaped(e.description()));
        }
    }

private:
    [[noreturn]] void refuse(const toml::source_region& where, const std::string& what) const {
        throw error(errc::invalid_option, name_ + ", line " + std::to_string(where.begin.line) + ", column " +
                                              std::to_string(where.begin.column) + ": " + what);
    }
    [[noreturn]] void refuse(const toml::node& at, const std::string& what) const { refuse(at.source(), what); }

    // Where a key is not known to anybody, a rule would silently do nothing.
    void check_keys(const toml::table& t, std::initializer_list<std::string_view> known) const {
        for (const auto& [key, value] : t) {
            if (std::ranges::find(known, key.str()) != known.end()) continue;
            std::string all;
            for (const auto k : known) all += (all.empty() ? "" : ", ") + std::string(k);
            refuse(key.source(), "there is no \"" + escaped(key.str(), 60) + "\" here, but: " + all);
        }
    }

    direct_rules all_of(const toml::table& file) const {
        check_keys(file, {"provider", "source", "binding", "sender", "route"});
        direct_rules all;
        ends_by_line earlier;
        for (const auto* t : tables(file, "provider")) {
            all.providers.push_back(rule_of(*t));
            checked(*t, [&] { check({all.providers.back()}); });
            check_reached(*t, all.providers.back(), earlier);
        }
        for (const auto* t : tables(file, "source")) all.sources.push_back(source_of(*t));
        for (const auto* t : tables(file, "binding")) all.bindings.push_back(binding_of(*t));
        for (const auto* t : tables(file, "route")) all.routes.push_back(route_to(*t));
        for (const auto* t : tables(file, "sender")) {
            all.senders.push_back(sender_of(*t));
            checked(*t, [&] { (void)mx_senders({all.senders.back()}); });
        }
        if (const auto* at = file.get("sender")) checked(*at, [&] { (void)mx_senders(all.senders); });
        if (const auto* at = file.get(all.sources.empty() ? "binding" : "source"))
            checked(*at, [&] { (void)mx_sources(all.sources, all.bindings); });
        for (const auto* t : tables(file, "provider"))
            if (const auto* const group = t->get_as<std::string>("group")) check_group(*group, all.sources);
        return all;
    }
    void check_group(const toml::value<std::string>& group, const std::vector<mx_source>& sources) const {
        if (std::ranges::find(sources, group.get(), &mx_source::group) == sources.end())
            refuse(group,
                   "no source is in the group " + escaped(group.get(), 60) + "; a [[source]] says which it is in");
    }
    // Ends of names in the rules so far, and the lines of these; "" is the rule for all others.
    using ends_by_line = std::unordered_map<std::string_view, toml::source_index>;
    // The first rule that fits decides: one behind it does nothing.
    void check_reached(const toml::table& t, const provider_rule& rule, ends_by_line& earlier) const {
        const auto* const servers = t.get_as<toml::array>("servers");
        for (std::size_t i = 0; i < rule.servers.size(); ++i)
            for (std::string_view end = rule.servers[i]; !end.empty(); end.remove_prefix(1))
                if (const auto known = earlier.find(end); known != earlier.end())
                    refuse(*servers->get(i), "no server comes here: what ends with \"" + escaped(end, 60) +
                                                 "\" is the rule's of line " + std::to_string(known->second) +
                                                 ", the first that fits");
        const auto line = t.source().begin.line;
        for (std::size_t i = 0; i < rule.servers.size(); ++i)
            earlier.emplace(servers->get(i)->as_string()->get(), line);
        if (!rule.servers.empty()) return;
        if (const auto [known, is_new] = earlier.emplace("", line); !is_new)
            refuse(t, "the rule for all others is that of line " + std::to_string(known->second));
    }
    std::vector<const toml::table*> tables(const toml::table& file, std::string_view key) const {
        std::vector<const toml::table*> all;
        const auto* list = file.get(key);
        if (!list) return all;
        if (!list->is_array_of_tables())
            refuse(*list, "a " + std::string(key) + " begins with [[" + std::string(key) + "]]");
        if (list->as_array()->size() > max_rules)
            refuse(*list, "there are more than " + std::to_string(max_rules) + " of " + std::string(key));
        for (const auto& each : *list->as_array()) all.push_back(each.as_table());
        return all;
    }
    // What is wrong by itself is so at its place.
    template <class Check>
    void checked(const toml::node& at, Check&& check) const {
        try {
            check();
        } catch (const error& e) {
            refuse(at, e.details().explanation);
        }
    }

    mx_source source_of(const toml::table& t) const {
        check_keys(t, {"name", "client_name", "addresses", "group", "warm_up", "per_day"});
        mx_source source;
        for (const auto& [key, value] : t) {
            const auto k = key.str();
            if (k == "name") source.name = text(value, k);
            if (k == "client_name") source.client_name = text(value, k);
            if (k == "addresses") source.addresses = texts(value, k, "203.0.113.7");
            if (k == "group") source.group = text(value, k);
        }
        source.warm_up = warm_up_of(t);
        return source;
    }
    mx_sender sender_of(const toml::table& t) const {
        check_keys(t, {"domain", "warm_up", "per_day"});
        const auto* const domain = t.get("domain");
        if (!domain) refuse(t, "a sender has a domain");
        const auto table = warm_up_of(t);
        if (!table) refuse(t, "a sender has the first day of its \"warm_up\": 2026-08-01");
        return {.domain = text(*domain, "domain"), .warm_up = *table};
    }
    std::optional<transport::warm_up> warm_up_of(const toml::table& t) const {
        std::optional<transport::warm_up> table;
        if (const auto* const first = t.get("warm_up")) table = transport::warm_up{.since = day(*first, "warm_up")};
        if (const auto* const all = t.get("per_day")) {
            auto per_day = numbers(*all, "per_day");
            if (!table) refuse(t, "\"per_day\" counts from the first day, and there is no \"warm_up\"");
            table->per_day = std::move(per_day);
        }
        return table;
    }
    source_binding binding_of(const toml::table& t) const {
        check_keys(t, {"tenant", "class", "group"});
        source_binding binding;
        for (const auto& [key, value] : t) {
            const auto k = key.str();
            if (k == "tenant") binding.tenant = text(value, k);
            if (k == "group") binding.group = text(value, k);
            if (k == "class") {
                const auto* i = value.as_integer();
                if (!i || i->get() < 0 || i->get() > 255) refuse(value, "\"class\" is a whole number from 0 to 255");
                binding.traffic_class = static_cast<std::uint8_t>(i->get());
            }
        }
        if (binding.group.empty()) refuse(t, "a binding has a group");
        return binding;
    }
    mx_route route_to(const toml::table& t) const {
        check_keys(t, {"domain", "to"});
        if (!t.contains("domain") || !t.contains("to")) refuse(t, "a route has a domain, and says where to");
        auto route = route_of(text(*t.get("domain"), "domain"), text(*t.get("to"), "to"));
        checked(t, [&] { check(route); });
        return route;
    }
    std::chrono::sys_days day(const toml::node& n, std::string_view key) const {
        const auto* d = n.as_date();
        if (!d) refuse(n, "\"" + std::string(key) + "\" is a date: 2026-08-01");
        return std::chrono::year(d->get().year) / d->get().month / d->get().day;
    }
    std::vector<unsigned> numbers(const toml::node& n, std::string_view key) const {
        const auto* list = n.as_array();
        if (!list || list->empty()) refuse(n, "\"" + std::string(key) + "\" is a list of numbers: [50, 100, 500]");
        std::vector<unsigned> all;
        for (const auto& each : *list) all.push_back(number(each, key));
        return all;
    }

    provider_rule rule_of(const toml::table& t) const {
        check_keys(t, {"name", "servers", "connections", "messages_per_connection", "pace", "recipients", "pipelining",
                       "group", "family", "reply", "page", "seen"});
        provider_rule rule;
        for (const auto& [key, value] : t) {
            const auto k = key.str();
            if (k == "name") rule.provider = text(value, k);
            if (k == "servers") rule.servers = texts(value, k, ".example.com");
            if (k == "connections") rule.limits.connections = number(value, k);
            if (k == "messages_per_connection") rule.limits.messages_per_connection = number(value, k);
            if (k == "pace") rule.limits.pace = pace(value);
            if (k == "recipients") rule.recipients = number(value, k);
            if (k == "pipelining") rule.pipelining = one_of(value, k, modes);
            if (k == "group") rule.group = text(value, k);
            if (k == "family") rule.family = one_of(value, k, families);
            if (k == "reply") rule.replies = replies(value);
            if (k == "page") (void)text(value, k);
            if (k == "seen") (void)day(value, k);
        }
        return rule;
    }

    std::vector<reply_rule> replies(const toml::node& n) const {
        if (!n.is_array_of_tables()) refuse(n, "a reply begins with [[provider.reply]]");
        std::vector<reply_rule> all;
        for (const auto& each : *n.as_array()) {
            all.push_back(reply_of(*each.as_table()));
            checked(each, [&] { check(all.back()); });
        }
        return all;
    }
    reply_rule reply_of(const toml::table& t) const {
        check_keys(t, {"code", "status", "text", "means", "about", "rest"});
        reply_rule rule;
        for (const auto& [key, value] : t) {
            const auto k = key.str();
            if (k == "code") rule.code = static_cast<std::uint16_t>(number(value, k, 999));
            if (k == "status") rule.enhanced = status(value);
            if (k == "text") rule.text = text(value, k);
            if (k == "means") rule.means.means = one_of(value, k, terms);
            if (k == "about") rule.means.about = one_of(value, k, subjects);
            if (k == "rest") rule.means.rest = rest(value);
        }
        return rule;
    }
    enhanced_code status(const toml::node& n) const {
        const auto said = text(n, "status");
        unsigned parts[3] = {};
        const auto* at = said.data();
        const auto* const end = said.data() + said.size();
        for (std::size_t i = 0; i < 3; ++i) {
            if (i > 0 && (at == end || *at++ != '.')) break;
            const auto [stop, ec] = std::from_chars(at, end, parts[i]);
            if (ec != std::errc() || parts[i] > 999) break;
            at = stop;
            if (i == 2 && at == end && (parts[0] == 4 || parts[0] == 5))
                return {static_cast<std::uint8_t>(parts[0]), static_cast<std::uint16_t>(parts[1]),
                        static_cast<std::uint16_t>(parts[2])};
        }
        refuse(n, R"("status" is an enhanced status code: "5.7.1")");
    }
    // "10 min"
    duration rest(const toml::node& n) const {
        const auto* s = n.as_string();
        const std::string_view said = s ? std::string_view(s->get()) : std::string_view();
        const auto space = said.find(' ');
        const auto count = whole_number(said.substr(0, space));
        if (space != std::string_view::npos && count)
            for (const auto& [unit, each] : units)
                if (said.substr(space + 1) == unit) {
                    // Counted in seconds: a million days are more than a duration holds.
                    const auto time = each * static_cast<std::int64_t>(*count);
                    constexpr auto most = std::chrono::duration_cast<std::chrono::seconds>(longest_reply_rest);
                    return std::min<std::chrono::seconds>(time, most + each);
                }
        refuse(n, R"("rest" is a time: "30 s", "10 min", "2 h" or "1 day")");
    }

    std::string text(const toml::node& n, std::string_view key) const {
        const auto* s = n.as_string();
        if (!s || s->get().empty()) refuse(n, "\"" + std::string(key) + "\" is a text in quotes");
        return s->get();
    }
    std::vector<std::string> texts(const toml::node& n, std::string_view key, const char* example) const {
        const auto* list = n.as_array();
        if (!list || list->empty()) refuse(n, "\"" + std::string(key) + "\" is a list of texts: [\"" + example + "\"]");
        std::vector<std::string> all;
        for (const auto& each : *list) all.push_back(text(each, key));
        return all;
    }
    std::uint32_t number(const toml::node& n, std::string_view key, std::int64_t most = most_number) const {
        const auto* i = n.as_integer();
        if (!i || i->get() < 1 || i->get() > most)
            refuse(n, "\"" + std::string(key) + "\" is a whole number from 1 to " + std::to_string(most));
        return static_cast<std::uint32_t>(i->get());
    }
    // "20/s"
    rate pace(const toml::node& n) const {
        const auto* s = n.as_string();
        const std::string_view said = s ? std::string_view(s->get()) : std::string_view();
        const auto slash = said.find('/');
        const auto messages = whole_number(said.substr(0, slash));
        if (slash != std::string_view::npos && messages)
            for (const auto& [unit, per] : units)
                if (said.substr(slash + 1) == unit) return {*messages, per};
        refuse(n, R"("pace" is messages in a time: "20/s", "100/min", "5000/h" or "100000/day")");
    }
    static std::optional<unsigned> whole_number(std::string_view digits) noexcept {
        const auto n = postroad::detail::whole_number<unsigned>(digits);
        return n >= 1u && n <= most_number ? n : std::nullopt;
    }

    template <class Value, std::size_t N>
    using words = std::array<std::pair<std::string_view, Value>, N>;
    template <class Value, std::size_t N>
    Value one_of(const toml::node& n, std::string_view key, const words<Value, N>& known) const {
        std::string all;
        const auto* s = n.as_string();
        for (const auto& [word, value] : known) {
            if (s && s->get() == word) return value;
            all += (all.empty() ? "" : ", ") + ("\"" + std::string(word) + "\"");
        }
        refuse(n, "\"" + std::string(key) + "\" is one of " + all);
    }

    static constexpr std::int64_t most_number = 1'000'000;
    static constexpr words<std::chrono::seconds, 4> units = {{{"s", std::chrono::seconds(1)},
                                                              {"min", std::chrono::minutes(1)},
                                                              {"h", std::chrono::hours(1)},
                                                              {"day", std::chrono::hours(24)}}};
    static constexpr words<postroad::smtp::pipelining, 4> modes = {{{"lockstep", postroad::smtp::pipelining::lockstep},
                                                                    {"envelope", postroad::smtp::pipelining::envelope},
                                                                    {"across", postroad::smtp::pipelining::across},
                                                                    {"window", postroad::smtp::pipelining::window}}};
    static constexpr words<net::address_family, 2> families = {
        {{"ipv4", net::address_family::ipv4}, {"ipv6", net::address_family::ipv6}}};
    static constexpr words<reading::term, 2> terms = {
        {{"later", reading::term::later}, {"for good", reading::term::for_good}}};
    static constexpr words<reply_subject, 5> subjects = {{{"recipient", reply_subject::recipient},
                                                          {"message", reply_subject::message},
                                                          {"tenant", reply_subject::tenant},
                                                          {"source", reply_subject::source},
                                                          {"provider", reply_subject::provider}}};

    std::string name_;
};

}  // namespace detail

/// Throws error(errc::invalid_option) for what is no such file; its text names `name`, line and column.
inline direct_rules parse_rules(std::string_view text, std::string name = "rules") {
    return detail::rules_reader(std::move(name)).read(text);
}

/// The same of a file. Throws error(errc::unreadable_file) where it cannot be read.
inline direct_rules read_rules(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string text(max_rules_file + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (in.bad() || !in.is_open())
        throw error(errc::unreadable_file, "the rules in " + escaped(path) + " cannot be read");
    text.resize(static_cast<std::size_t>(in.gcount()));
    return parse_rules(text, escaped(path));
}

/// What they say of providers.
inline provider_rules parse_provider_rules(std::string_view text, std::string name = "rules") {
    return parse_rules(text, std::move(name)).providers;
}
inline provider_rules read_provider_rules(const std::string& path) { return read_rules(path).providers; }

/// The options as a file says: its providers before those of the options, its routes behind them; its sources and
/// bindings, and its senders, in their place where it has any.
inline void obey(direct_rules rules, mx_options& options) {
    options.providers.insert(options.providers.begin(), std::make_move_iterator(rules.providers.begin()),
                             std::make_move_iterator(rules.providers.end()));
    options.routes.insert(options.routes.end(), std::make_move_iterator(rules.routes.begin()),
                          std::make_move_iterator(rules.routes.end()));
    if (!rules.senders.empty()) options.senders = std::move(rules.senders);
    if (rules.sources.empty()) return;
    options.sources = std::move(rules.sources);
    options.bindings = std::move(rules.bindings);
}

}  // namespace postroad::transport

// Rules for providers from a file: what is read, and where a mistake is.
#include <postroad/transport/rules_file.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>

using namespace postroad;
using namespace std::chrono_literals;
using transport::parse_provider_rules;

namespace {

/// What is said of a mistake; nothing: it was read.
std::string mistake(const std::string& text) {
    try {
        (void)parse_provider_rules(text, "r.toml");
    } catch (const error& e) {
        CHECK(e.code() == errc::invalid_option);
        return e.details().explanation;
    }
    return "";
}
std::string place_of(const std::string& text) {
    const auto said = mistake(text);
    return said.substr(0, said.find(": "));
}

const std::string head = "[[provider]]\nname = \"a\"\nservers = [\".a.example\"]\n";

}  // namespace

TEST_CASE("a rule has what the file says, in the order of the file") {
    const auto all = parse_provider_rules(head + R"(connections = 5
messages_per_connection = 20
pace = "30/min"
recipients = 100
pipelining = "lockstep"
family = "ipv4"
page = "https://a.example/limits"
seen = 2026-11-28

[[provider]]
name = "b"
servers = [".b.example", ".c.example"]
)");
    REQUIRE(all.size() == 2);
    CHECK(all[0] == transport::provider_rule{.provider = "a",
                                             .servers = {".a.example"},
                                             .limits = {5, 20, {30, 1min}},
                                             .recipients = 100,
                                             .pipelining = smtp::pipelining::lockstep,
                                             .family = net::address_family::ipv4});
    CHECK(all[1] == transport::provider_rule{.provider = "b", .servers = {".b.example", ".c.example"}});
    CHECK(parse_provider_rules("").empty());
}

TEST_CASE("a pace is messages in a time") {
    const auto pace = [](const std::string& text) {
        return parse_provider_rules(head + "pace = \"" + text + "\"")[0].limits.pace;
    };
    CHECK(pace("1/s") == rate{1, 1s});
    CHECK(pace("1000000/min") == rate{1'000'000, 1min});
    CHECK(pace("7/h") == rate{7, 1h});
    CHECK(pace("7/day") == rate{7, 24h});
    for (const auto* text : {"", "/s", "0/s", "1000001/s", "-1/s", "1.5/s", "1 /s", "1/ s", "1/week", "1", "s/1"}) {
        CAPTURE(text);
        CHECK(place_of(head + "pace = \"" + text + "\"") == "r.toml, line 4, column 8");
    }
}

TEST_CASE("a mistake is named with its line and column, and what would be right") {
    CHECK(place_of("[[provider]\n") == "r.toml, line 1, column 12");
    CHECK(mistake("[\n[provider]]\n") ==
          "r.toml, line 1, column 2: a header is [[provider]], [[provider.reply]], "
          "[[source]], [[binding]], [[sender]] or [[route]]");
    CHECK(place_of("\n\t[[[provider]]]") == "r.toml, line 2, column 4");
    CHECK(place_of("\xef\xbb\xbf[[ =") == "r.toml, line 1, column 4");
    CHECK(place_of("[[]]") == "r.toml, line 1, column 3");
    CHECK(place_of("[\r\n[a]]") == "r.toml, line 1, column 2");
    CHECK(
        mistake(
            "\xef\xbb\xbf[[ provider ]]\nname = \"*\"\n[[ 'provider' ]]\nname = \"b\"\nservers = [\".b.example\"]\n") ==
        "");
    CHECK(place_of("a \xef\xbb\xb7\x61ge") == "r.toml, line 1, column 3");
    CHECK(place_of(head + "page = \"\xc3\xa9\"").find("r.toml, line 4, column 9") == 0);
    CHECK(mistake("# caf\xc3\xa9 \xff\n" + head + "page = \"\\u00e9\"") == "");
    CHECK(place_of("[provider]\n") == "r.toml, line 1, column 1");
    CHECK(mistake("\n[[providers]]\n") ==
          "r.toml, line 2, column 3: there is no \"providers\" here, but: provider, source, binding, sender, route");
    CHECK(mistake(head + "conections = 5\n").find("line 4, column 1: there is no \"conections\" here, but: name,") !=
          std::string::npos);
    CHECK(mistake(head + "connections = \"5\"\n") ==
          "r.toml, line 4, column 15: \"connections\" is a whole number from 1 to 1000000");
    CHECK(place_of(head + "connections = 0") == "r.toml, line 4, column 15");
    CHECK(place_of(head + "connections = 1000001") == "r.toml, line 4, column 15");
    CHECK(mistake(head + "connections = 1000000") == "");
    CHECK(place_of(head + "recipients = 1.5") == "r.toml, line 4, column 14");
    CHECK(place_of(head + "pipelining = \"all\"") == "r.toml, line 4, column 14");
    CHECK(place_of(head + "seen = \"May\"") == "r.toml, line 4, column 8");
    CHECK(place_of("[[provider]]\nname = \"a\"\nservers = \".a.example\"") == "r.toml, line 3, column 11");
    CHECK(place_of("[[provider]]\nname = \"a\"\nservers = [\".a.example\", 5]") == "r.toml, line 3, column 26");
    CHECK(mistake("\n[[provider]]\nname = \"a\"\n").find("r.toml, line 2") == 0);
    CHECK(mistake("\n[[provider]]\nservers = [\".A.example\"]\nname = \"a\"").find("in lower case") !=
          std::string::npos);
    CHECK(place_of(head + "name = \"twice\"").find("r.toml, line 4") == 0);
    CHECK(place_of(head + "page = \"\xff\"").find("r.toml, line 4") == 0);
}

TEST_CASE("a reply has what the file says, and a mistake in it is named with its place") {
    const auto all = parse_provider_rules(head + R"([[provider.reply]]
code = 550
status = "5.7.1"
text = "frequency limited"
means = "later"
about = "source"
rest = "90 min"
[[provider.reply]]
text = "gone"
means = "for good"
[[provider]]
name = "*"
[[provider.reply]]
status = "4.7.650"
about = "tenant"
rest = "1 day"
)");
    REQUIRE(all.size() == 2);
    REQUIRE(all[0].replies.size() == 2);
    using transport::reading;
    CHECK(all[0].replies[0] ==
          transport::reply_rule{.code = 550,
                                .enhanced = {5, 7, 1},
                                .text = "frequency limited",
                                .means = {reading::term::later, transport::reply_subject::source, 90min}});
    CHECK(all[0].replies[1].means == reading{.means = reading::term::for_good});
    CHECK(all[1].replies[0].means == reading{.about = transport::reply_subject::tenant, .rest = 24h});
    const auto reply = head + "[[provider.reply]]\n";
    CHECK(mistake(reply).find("r.toml, line 4, column 1: a reply that is any says nothing") == 0);
    CHECK(place_of(head + "[provider.reply]\n").find("r.toml, line 4") == 0);
    CHECK(place_of(reply + "code = 1000") == "r.toml, line 5, column 8");
    CHECK(mistake(reply + "code = 399\nmeans = \"later\"").find("line 4, column 1: a refusal has a code") !=
          std::string::npos);
    for (const auto* status : {"5", "5.7", "5.7.1.1", "5.7.1000", "5.7.", "2.0.0", "x"}) {
        CAPTURE(status);
        CHECK(place_of(reply + "status = \"" + status + "\"") == "r.toml, line 5, column 10");
    }
    CHECK(mistake(reply + "means = \"never\"") ==
          "r.toml, line 5, column 9: \"means\" is one of \"later\", \"for good\"");
    CHECK(place_of(reply + "about = 5") == "r.toml, line 5, column 9");
    for (const auto* rest : {"", "10", "10min", "0 s", "-1 s", "1 week", "1000001 s"}) {
        CAPTURE(rest);
        CHECK(place_of(reply + "rest = \"" + rest + "\"") == "r.toml, line 5, column 8");
    }
    CHECK(mistake(reply + "code = 450\nrest = \"7 day\"") == "");
    CHECK(mistake(reply + "code = 450\nrest = \"8 day\"").find("from 0 to 7 days") != std::string::npos);
    CHECK(mistake(reply + "code = 450\nrest = \"1000000 day\"").find("from 0 to 7 days") != std::string::npos);
}

TEST_CASE("sources and what is bound to them stand beside the providers") {
    const auto all = transport::parse_rules(head + R"([[source]]
name = "out1"
client_name = "out1.example.com"
addresses = ["203.0.113.7", "2001:db8::7"]
[[source]]
name = "bulk1"
addresses = ["203.0.113.8"]
group = "bulk"
warm_up = 2026-11-28
per_day = [10, 20]
[[source]]
name = "bulk2"
addresses = ["203.0.113.9"]
group = "bulk"
warm_up = 2026-11-28
[[binding]]
tenant = "shop"
group = "bulk"
[[binding]]
class = 0
group = "bulk"
)");
    REQUIRE(all.sources.size() == 3);
    CHECK(all.sources[0].client_name == "out1.example.com");
    CHECK(all.sources[0].addresses == std::vector<std::string>{"203.0.113.7", "2001:db8::7"});
    CHECK_FALSE(all.sources[0].warm_up);
    const std::chrono::sys_days first = std::chrono::year(2026) / 11 / 28;
    CHECK(all.sources[1].warm_up->since == first);
    CHECK(all.sources[1].warm_up->per_day == std::vector<unsigned>{10, 20});
    CHECK(all.sources[2].warm_up->per_day == transport::warm_up{}.per_day);
    REQUIRE(all.bindings.size() == 2);
    CHECK(all.bindings[0].tenant == "shop");
    CHECK(all.bindings[0].group == "bulk");
    CHECK(all.bindings[1].traffic_class == std::uint8_t(0));

    transport::mx_options options{.client_name = "out.example.com"};
    transport::obey(all, options);
    CHECK(options.providers.size() == 1 + transport::known_providers().size());
    CHECK(options.providers.front().provider == "a");
    CHECK(options.sources.size() == 3);
    CHECK(options.bindings.size() == 2);
    // A file that has none leaves those of the program.
    transport::obey(transport::parse_rules(""), options);
    CHECK(options.sources.size() == 3);
}

TEST_CASE("a mistake about sources is named with its place") {
    const std::string source = "[[source]]\nname = \"a\"\naddresses = [\"203.0.113.7\"]\n";
    CHECK(mistake(source) == "");
    CHECK(place_of(source + "adress = 1") == "r.toml, line 4, column 1");
    CHECK(place_of("[[source]]\naddresses = \"203.0.113.7\"") == "r.toml, line 2, column 13");
    CHECK(place_of(source + "warm_up = \"May\"") == "r.toml, line 4, column 11");
    CHECK(place_of(source + "warm_up = 2026-11-28\nper_day = []") == "r.toml, line 5, column 11");
    CHECK(place_of(source + "warm_up = 2026-11-28\nper_day = [1, 0]") == "r.toml, line 5, column 15");
    CHECK(mistake(source + "per_day = [1]").find("no \"warm_up\"") != std::string::npos);
    CHECK(mistake("\n[[source]]\nname = \"a\"").find("r.toml, line 2") == 0);
    CHECK(mistake(source + source).find("two sources are named a") != std::string::npos);
    CHECK(mistake(source + "group = \"g\"").find("no source is for what no binding fits") != std::string::npos);
    CHECK(mistake("[[source]]\nname = \"a\"\naddresses = [\"here\"]").find("r.toml, line 1") == 0);
    CHECK(mistake(source + "[[binding]]\ntenant = \"t\"").find("line 4, column 1: a binding has a group") !=
          std::string::npos);
    CHECK(mistake("[[binding]]\ngroup = \"g\"").find("r.toml, line 1") == 0);
    CHECK(mistake(source + "[[binding]]\ngroup = \"g\"").find("no source is in the group g") != std::string::npos);
    for (const auto* number : {"-1", "256", "\"1\""}) {
        CAPTURE(number);
        CHECK(place_of(source + "[[binding]]\ngroup = \"g\"\nclass = " + number) == "r.toml, line 6, column 9");
    }
    CHECK(place_of("[source]\n") == "r.toml, line 1, column 1");
}

TEST_CASE("a provider's rule names a group of sources in the same file") {
    const std::string source = "[[source]]\nname = \"a\"\naddresses = [\"203.0.113.7\"]\n";
    const auto bulk = source + "[[source]]\nname = \"b\"\naddresses = [\"203.0.113.8\"]\ngroup = \"bulk\"\n";
    const auto all = transport::parse_rules(head + "group = \"bulk\"\n" + bulk);
    CHECK(all.providers[0].group == "bulk");
    CHECK(mistake(head + "group = \"bulc\"\n" + bulk) ==
          "r.toml, line 4, column 9: no source is in the group bulc; a [[source]] says which it is in");
    CHECK(place_of(bulk + head + "  group = \"bulc\"\n") == "r.toml, line 11, column 11");
    CHECK(place_of(head + "group = \"bulk\"") == "r.toml, line 4, column 9");
    CHECK(place_of(head + "group = 5") == "r.toml, line 4, column 9");
    CHECK(place_of(head + "group = \"\"") == "r.toml, line 4, column 9");
}

TEST_CASE("new domains in From stand there with their first day, and a mistake is named with its place") {
    const auto all = transport::parse_rules(R"([[sender]]
domain = "new.example"
warm_up = 2026-11-28
per_day = [10, 20]
[[sender]]
domain = "*"
warm_up = 2026-11-29
)");
    REQUIRE(all.senders.size() == 2);
    CHECK(all.senders[0].domain == "new.example");
    CHECK(all.senders[0].warm_up.since == std::chrono::sys_days(std::chrono::year(2026) / 11 / 28));
    CHECK(all.senders[0].warm_up.per_day == std::vector<unsigned>{10, 20});
    CHECK(all.senders[1].warm_up.per_day == transport::warm_up{}.per_day);
    transport::mx_options options{.client_name = "out.example.com"};
    transport::obey(all, options);
    CHECK(options.senders.size() == 2);
    transport::obey(transport::parse_rules(""), options);
    CHECK(options.senders.size() == 2);

    const std::string sender = "[[sender]]\ndomain = \"new.example\"\n";
    CHECK(mistake("[[sender]]\nwarm_up = 2026-11-28") == "r.toml, line 1, column 1: a sender has a domain");
    CHECK(mistake(sender).find("line 1, column 1: a sender has the first day of its \"warm_up\"") != std::string::npos);
    CHECK(mistake(sender + "per_day = [1]").find("no \"warm_up\"") != std::string::npos);
    CHECK(place_of(sender + "warm_up = 5") == "r.toml, line 3, column 11");
    CHECK(place_of(sender + "source = 5") == "r.toml, line 3, column 1");
    CHECK(place_of("[[sender]]\nwarm_up = 2026-11-28\ndomain = 5") == "r.toml, line 3, column 10");
    const auto whole = sender + "warm_up = 2026-11-28\n";
    CHECK(mistake("\n[[sender]]\ndomain = \"a b\"\nwarm_up = 2026-11-28").find("r.toml, line 2, column 1: no mail") ==
          0);
    CHECK(mistake(whole + whole).find("two senders are of the domain new.example") != std::string::npos);
}

TEST_CASE("a rule that no server comes to is a mistake, wherever what comes before it stands") {
    const auto rule = [](const std::string& name, const std::string& servers) {
        return "[[provider]]\nname = \"" + name + "\"\nservers = [" + servers + "]\n";
    };
    const auto a = rule("a", R"(".mx.example.net", ".example.org")");
    CHECK(mistake(a + rule("b", R"(".example.net")")) == "");
    CHECK(mistake(a + a) ==
          "r.toml, line 6, column 12: no server comes here: what ends with \".mx.example.net\" is the rule's of "
          "line 1, the first that fits");
    CHECK(place_of(a + rule("b", R"(".b.example", "a.mx.example.org")")) == "r.toml, line 6, column 26");
    CHECK(mistake(rule("a", R"(".example.net", ".example.net")")) == "");
    const std::string others = "[[provider]]\nname = \"*\"\nconnections = 5\n";
    CHECK(mistake(others + a) == "");
    CHECK(mistake(others + a + others) == "r.toml, line 7, column 1: the rule for all others is that of line 1");
    CHECK(mistake(rule("a", '"' + std::string(254, 'x') + '"')).find("no name of a server ends with") !=
          std::string::npos);
}

TEST_CASE("a file is as long as it may be, and no longer") {
    const std::string comment = "#" + std::string(transport::max_rules_file - 1, 'x');
    CHECK(mistake(comment) == "");
    CHECK(mistake(comment + "x") == "r.toml is longer than 1048576 octets");
    CHECK(place_of("provider = " + std::string(100'000, '[')).find("r.toml, line 1") == 0);
}

TEST_CASE("a file that cannot be read is an error of its own") {
    for (const auto* path : {"share/no-such-file.toml", "share"}) {
        try {
            (void)transport::read_provider_rules(path);
            FAIL("there is nothing to read");
        } catch (const error& e) {
            CHECK(e.code() == errc::unreadable_file);
            CHECK(e.details().explanation.find(path) != std::string::npos);
        }
    }
}

TEST_CASE("the file that is shipped knows the providers that the library knows, and what they bear") {
    const auto shipped = transport::read_provider_rules("share/providers.toml");
    REQUIRE(shipped.size() == 11);
    CHECK(shipped.back().provider == "*");
    for (const auto& rule : shipped) {
        CAPTURE(rule.provider);
        CHECK(rule.replies.size() > 0);
        if (rule.provider == "*") continue;
        CHECK(rule.limits.messages_per_connection > 0);
        const auto& known = transport::known_providers();
        const auto same = std::ranges::find(known, rule.provider, &transport::provider_rule::provider);
        REQUIRE(same != known.end());
        CHECK(same->servers == rule.servers);
    }
    // The end that says less stands behind the one that says more.
    CHECK(transport::rule_for(shipped, "a.olc.protection.outlook.com")->provider == "outlook.com");
    CHECK(transport::rule_for(shipped, "a.mail.protection.outlook.com")->provider == "microsoft 365");
}

TEST_CASE("routes stand in the file as well, behind those that are given, and are looked at where they stand") {
    auto rules = transport::parse_rules(R"([[route]]
domain = "here.example"
to = "maildir:///srv/mail"
[[route]]
domain = "*.example"
to = "refuse:closed since May"
)");
    transport::mx_options options{.routes = {{.domain = "first.example", .url = "smtp://relay.example"}}};
    transport::obey(std::move(rules), options);
    REQUIRE(options.routes.size() == 3);
    CHECK(options.routes[1].url == "maildir:///srv/mail");
    CHECK(options.routes[2].domain == "*.example");
    CHECK(options.routes[2].refusal == "closed since May");
    const std::string route = "[[route]]\ndomain = \"a.example\"\n";
    CHECK(mistake(route) == "r.toml, line 1, column 1: a route has a domain, and says where to");
    CHECK(place_of(route + "to = 7\n") == "r.toml, line 3, column 6");
    CHECK(place_of(route + "to = \"maildir://x\"\n") == "r.toml, line 1, column 1");
    CHECK(place_of(route + "to = \"refuse:\"\n") == "r.toml, line 1, column 1");
    CHECK(place_of(route + "too = \"refuse:no\"\n") == "r.toml, line 3, column 1");
    CHECK(place_of("[[route]]\ndomain = \"a b\"\nto = \"refuse:no\"\n") == "r.toml, line 1, column 1");
    CHECK(mistake(route + "to = \"smtp://ann:secret@b.example?x=y\"\n").find("secret") == std::string::npos);
}

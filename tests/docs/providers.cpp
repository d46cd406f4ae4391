// The code of docs/providers.md.
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>

TEST_CASE("rules for providers in code") {
    //[provider_rules
    using namespace std::chrono_literals;
    postroad::transport::mx_options options;
    options.client_name = "out1.example.com";
    options.providers.insert(options.providers.begin(),
                             {.provider = "example",
                              .servers = {".mx.example.net", ".mx.example.org"},
                              .limits = {.connections = 5, .messages_per_connection = 20, .pace = {30, 1s}},
                              .recipients = 50});
    //]
    auto& rule = options.providers.front();
    //[reply_rules
    using postroad::transport::reading;
    using postroad::transport::reply_subject;
    rule.replies = {
        {.code = 550, .text = "frequency limited", .means = {reading::term::later, reply_subject::source, 1h}},
        {.enhanced = {4, 2, 1}, .means = {.about = reply_subject::recipient, .rest = 1h}},
    };
    //]
    //[mx_sources
    options.sources = {
        {.name = "out1", .client_name = "out1.example.com", .addresses = {"203.0.113.7"}},
        {.name = "out2",
         .client_name = "out2.example.com",
         .addresses = {"203.0.113.8"},
         .warm_up = postroad::transport::warm_up{.since = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28)}},
        {.name = "bulk1", .client_name = "bulk1.example.com", .addresses = {"203.0.113.9"}, .group = "bulk"},
    };
    options.bindings = {{.tenant = "shop", .group = "bulk"}, {.traffic_class = std::uint8_t(1), .group = "bulk"}};
    //]
    //[mx_senders
    const std::chrono::sys_days first_day = std::chrono::year(2026) / 11 / 28;
    options.senders = {{.domain = "new.example", .warm_up = {.since = first_day, .per_day = {20, 50, 200, 1000}}}};
    //]
    const postroad::transport::basic_mx<postroad::testing::scripted_resolver> made(options);
    CHECK(postroad::transport::rule_for(made.options().providers, "a.mx.example.org")->limits.connections == 5);
}

#if __has_include(<toml++/toml.h>)
#include <postroad/transport/rules_file.hpp>

TEST_CASE("rules for providers from a file") {
    postroad::transport::mx_options options;
    //[rules_file
    postroad::transport::obey(postroad::transport::read_rules("share/providers.toml"), options);
    //]
    CHECK(options.providers.size() == 11 + postroad::transport::known_providers().size());
}
#endif

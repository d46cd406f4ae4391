#include <doctest/doctest.h>

#include <postroad/core/error.hpp>
#include <postroad/net/dialing.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using net::proxy_kind;

namespace {

/// The code of what `f` throws; no error when it throws nothing. Its text holds no "hunter2".
template <class F>
error_code thrown(F&& f) {
    try {
        f();
        return {};
    } catch (const error& e) {
        CHECK(std::string(e.what()).find("hunter2") == std::string::npos);
        CHECK_FALSE(e.details().explanation.empty());
        return e.code();
    }
}

net::dialing with_proxy(net::proxy p) {
    net::dialing d;
    d.proxy = std::move(p);
    return d;
}

}  // namespace

TEST_CASE("the URL of a proxy is taken apart") {
    struct row {
        std::string url;
        proxy_kind kind;
        std::string host;
        std::uint16_t port;
        std::string user, password;
    };
    const row rows[] = {
        {"socks5://proxy.example", proxy_kind::socks5, "proxy.example", 1080, "", ""},
        {"socks5h://proxy.example:9/", proxy_kind::socks5, "proxy.example", 9, "", ""},
        {"http://proxy.example", proxy_kind::http_connect, "proxy.example", 80, "", ""},
        {"http://192.0.2.1:3128", proxy_kind::http_connect, "192.0.2.1", 3128, "", ""},
        {"socks5://[2001:db8::1]:65535", proxy_kind::socks5, "2001:db8::1", 65535, "", ""},
        {"socks5://ann:hunter2@localhost:1", proxy_kind::socks5, "localhost", 1, "ann", "hunter2"},
        {"http://a%40b:p%3aw%25@h:1", proxy_kind::http_connect, "h", 1, "a@b", "p:w%"},
        {"http://a:b@c:d@h:1", proxy_kind::http_connect, "h", 1, "a", "b@c:d"},
        {"http://ann@h", proxy_kind::http_connect, "h", 80, "ann", ""},
        {"socks5://Proxy.example.:9", proxy_kind::socks5, "proxy.example", 9, "", ""},
        {"http://m\xc3\xbcller.example", proxy_kind::http_connect, "xn--mller-kva.example", 80, "", ""},
    };
    for (const auto& r : rows) {
        CAPTURE(r.url);
        const auto p = net::parse_proxy(r.url);
        CHECK(p.kind == r.kind);
        CHECK(p.host == r.host);
        CHECK(p.port == r.port);
        CHECK(p.user == r.user);
        CHECK(p.password.reveal() == r.password);
    }
}

TEST_CASE("the URL of a proxy that is none is refused without a word of it") {
    const std::pair<std::string, errc> rows[] = {
        {"", errc::invalid_url},
        {"proxy.example:1080", errc::invalid_url},
        {"socks4://h", errc::invalid_url},
        {"https://h", errc::invalid_url},
        {"socks5://", errc::invalid_option},
        {"socks5://h:", errc::invalid_url},
        {"socks5://h:0", errc::invalid_url},
        {"socks5://h:65536", errc::invalid_url},
        {"socks5://h:1x", errc::invalid_url},
        {"socks5://h/path", errc::invalid_option},
        {"socks5://h?x=1", errc::invalid_option},
        {"socks5://[::1", errc::invalid_url},
        {"socks5://[::1]x", errc::invalid_url},
        {"socks5://[192.0.2.1]", errc::invalid_url},
        {"socks5://::1", errc::invalid_url},
        {"socks5://[::1%eth0]", errc::invalid_url},
        {"socks5://[::1%25eth0]", errc::invalid_url},
        {"socks5://[::g]", errc::invalid_url},
        {"socks5://sAkkc1@[2socks5://sAkkc1@[f1:c1:A2a:c:f1:c1c:1:A2%:c:f1:c1:A2a:http://_lao]", errc::invalid_url},
        {"socks5://a b", errc::invalid_option},
        {"socks5://ann:hunter2%@h", errc::invalid_url},
        {"socks5://ann:hunter2%4@h", errc::invalid_url},
        {"socks5://ann:hunter2%4g@h", errc::invalid_url},
        {"socks5://ann:hunter2%0d%0a@h", errc::invalid_option},
        {"socks5://ann:hunter2%00@h", errc::invalid_option},
        {"socks5://ann@h", errc::invalid_option},
        {"socks5://:hunter2@h", errc::invalid_option},
        {"http://a%3ab:hunter2@h", errc::invalid_option},
        {"http://h%0d%0aX-Y:1", errc::invalid_option},
    };
    for (const auto& r : rows) {
        CAPTURE(r.first);
        CHECK(thrown([&] { (void)net::parse_proxy(r.first); }) == r.second);
    }
}

TEST_CASE("user and password of a proxy have a limit") {
    net::proxy p{.host = "h", .user = std::string(255, 'u'), .password = secret(std::string(255, 'p'))};
    CHECK_FALSE(thrown([&] { net::check(with_proxy(p)); }));
    p.user += 'u';
    CHECK(thrown([&] { net::check(with_proxy(p)); }) == errc::invalid_option);
    p.user = "u";
    p.password = secret(std::string(256, 'p'));
    CHECK(thrown([&] { net::check(with_proxy(p)); }) == errc::invalid_option);
}

TEST_CASE("what cannot be dialled is refused") {
    using family = net::address_family;
    CHECK_FALSE(thrown([] { net::check({}); }));
    CHECK_FALSE(thrown([] { net::check({.timeout = duration::max(), .attempt_delay = 10ms, .keep_alive = 0s}); }));
    CHECK_FALSE(thrown([] { net::check({.local_addresses = {"192.0.2.1", "2001:db8::1"}}); }));
    CHECK_FALSE(thrown([] { net::check({.family = family::ipv6, .local_addresses = {"::1"}}); }));
    const std::vector<net::dialing> bad = {
        {.timeout = 0s},
        {.timeout = -1s},
        {.attempt_delay = 9ms},
        {.keep_alive = -1s},
        {.local_addresses = {""}},
        {.local_addresses = {"localhost"}},
        {.local_addresses = {"192.0.2.1:25"}},
        {.local_addresses = {"192.0.2.1", "192.0.2.2"}},
        {.local_addresses = {"::1", "::2"}},
        {.family = family::ipv4, .local_addresses = {"::1"}},
        {.family = family::ipv6, .local_addresses = {"192.0.2.1"}},
        with_proxy({}),
        with_proxy({.host = "fe80::1%eth0/x"}),
        with_proxy({.host = "two words"}),
        with_proxy({.host = "h", .port = 0}),
    };
    for (std::size_t i = 0; i < bad.size(); ++i) {
        CAPTURE(i);
        CHECK(thrown([&] { net::check(bad[i]); }) == errc::invalid_option);
    }
}

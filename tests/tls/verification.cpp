#include <doctest/doctest.h>

#include <string>

#include "pair.hpp"

using namespace tls_test;
using namespace std::string_literals;

namespace {

struct row {
    std::string what;
    testing::server_identity presented;
    std::string expected;     ///< the name that the client means
    std::string explanation;  ///< empty: accepted
};

template <class E>
void check(const row& r) {
    CAPTURE(r.what);
    for (const auto newest : versions<E>()) {
        pair<E> p(r.presented, r.expected, client_context<E>({.newest = newest}));
        const bool done = p.shake();
        CHECK(p.client.explanation() == r.explanation);
        if (r.explanation.empty()) {
            CHECK(done);
            continue;
        }
        CHECK_FALSE(done);
        CHECK(p.client.error() == errc::tls_certificate);
        CHECK(p.client.error() == condition::permanent);
        CHECK(p.client.write("secret") == 0);
        CHECK(p.client.facts().peer_subject.empty());
        // the alert goes out, and nothing else: the server never sees the handshake end
        char c;
        if (p.server.handshake() == tls::progress::done) CHECK(p.server.read(&c, 1).state == tls::read_state::failed);
    }
}

}  // namespace

TEST_CASE_TEMPLATE("attack 22: a certificate is accepted for the names in its subjectAltName only", E, ENGINES) {
    const auto issue = [](testing::certificate_options o) { return ca().issue(o); };
    const auto host = issue({.names = {"a.example", "mail.example.com"}});
    const auto wild = issue({.names = {"*.example.com"}});
    const auto address = issue({.addresses = {"192.0.2.1", "2001:db8::1"}});
    const auto written = issue({.names = {"192.0.2.1"}});
    const auto only_cn = issue({.common_name = "mail.example.com"});
    const row rows[] = {
        {"exact", host, "mail.example.com", ""},
        {"case and final dot", host, "Mail.Example.COM.", ""},
        {"wrong host", host, "mail.example.org",
         "certificate of mail.example.org is for a.example, mail.example.com; expected mail.example.org"},
        {"wildcard", wild, "mail.example.com", ""},
        {"wildcard, two labels", wild, "a.mail.example.com",
         "certificate of a.mail.example.com is for *.example.com; expected a.mail.example.com"},
        {"wildcard, no label", wild, "example.com",
         "certificate of example.com is for *.example.com; expected example.com"},
        {"part of a label", issue({.names = {"ma*.example.com"}}), "mail.example.com",
         "certificate of mail.example.com is for ma*.example.com; expected mail.example.com"},
        {"IPv4 address", address, "192.0.2.1", ""},
        {"IPv6 address", address, "2001:DB8:0:0::1", ""},
        {"other address", address, "192.0.2.2",
         "certificate of 192.0.2.2 is for 192.0.2.1, 2001:0db8:0000:0000:0000:0000:0000:0001; expected 192.0.2.2"},
        {"address as dNSName", written, "192.0.2.1",
         "certificate of 192.0.2.1 has the address as a DNS name, which does not count: it must be an iPAddress; "
         "expected 192.0.2.1"},
        {"common name only", only_cn, "mail.example.com",
         "certificate of mail.example.com names no host (no subjectAltName does, and a common name does not count); "
         "expected mail.example.com"},
        {"common name beside another SAN", issue({.names = {"a.example"}, .common_name = "mail.example.com"}),
         "mail.example.com", "certificate of mail.example.com is for a.example; expected mail.example.com"},
        {"NUL in the name", issue({.names = {"mail.example.com\0.evil.invalid"s}}), "mail.example.com",
         "certificate of mail.example.com is for mail.example.com\\x00.evil.invalid; expected mail.example.com"},
    };
    for (const auto& r : rows) check<E>(r);
}

TEST_CASE_TEMPLATE("attack 22: a certificate outside its dates is refused with the date", E, ENGINES) {
    check<E>({"expired", ca().issue({.names = {"mail.example.com"}, .not_after = "20200201000000"}), "mail.example.com",
              "certificate of mail.example.com expired on 2020-02-01"});
    check<E>({"not yet valid", ca().issue({.names = {"mail.example.com"}, .not_before = "20980101000000"}),
              "mail.example.com", "certificate of mail.example.com is not valid before 2098-01-01"});
}

TEST_CASE_TEMPLATE("attack 22: a certificate without a chain to a trusted CA is refused with the CA's name", E,
                   ENGINES) {
    const auto stranger = testing::authority::create("stranger CA");
    check<E>(
        {"unknown CA", stranger.issue({.names = {"mail.example.com"}}), "mail.example.com",
         "certificate of mail.example.com is signed by an unknown CA \"CN=stranger CA\"; give ca_file if it is your "
         "own"});
    check<E>({"self-signed", testing::self_signed({.names = {"mail.example.com"}}), "mail.example.com",
              "certificate of mail.example.com is self-signed; give ca_file if it is your own"});
    const auto impostor = testing::authority::create();
    check<E>(
        {"another CA of the same name", impostor.issue({.names = {"mail.example.com"}}), "mail.example.com",
         "certificate of mail.example.com is signed by an unknown CA \"CN=postroad test CA\"; give ca_file if it is "
         "your own"});
    check<E>(
        {"everything wrong", stranger.issue({.names = {"a.example"}, .not_after = "20200201000000"}),
         "mail.example.com",
         "certificate of mail.example.com is for a.example; expected mail.example.com, and expired on 2020-02-01, and "
         "is signed by an unknown CA \"CN=stranger CA\"; give ca_file if it is your own"});
}

TEST_CASE_TEMPLATE("a chain over an intermediate CA is followed, and needs to be sent", E, ENGINES) {
    const auto middle = ca().intermediate("middle CA");
    auto id = middle.issue({.names = {"mail.example.com"}});
    check<E>({"intermediate missing", id, "mail.example.com",
              "certificate of mail.example.com is signed by an unknown CA \"CN=middle CA\"; give ca_file if it is your "
              "own"});
    id.certificate_pem += middle.ca_pem;
    check<E>({"intermediate sent", id, "mail.example.com", ""});
}

TEST_CASE_TEMPLATE("attack 22: a CA that is for other things cannot sign for servers, wherever in the chain", E,
                   ENGINES) {
    using use = testing::certificate_usage;
    const struct {
        std::vector<use> root, middle, lower;
        std::string refused;  // the CA that is not for servers; empty: accepted
    } rows[] = {
        {{}, {}, {}, ""},
        {{use::server}, {use::server}, {use::server}, ""},
        {{}, {use::client, use::server}, {}, ""},
        {{}, {use::client}, {}, "CN=middle CA"},
        {{}, {}, {use::client}, "CN=lower CA"},
        {{}, {use::server}, {use::client}, "CN=lower CA"},
        {{}, {use::client}, {use::server}, "CN=middle CA"},
        {{use::client}, {}, {}, "CN=root CA"},
    };
    for (const auto& row : rows) {
        const auto root = testing::authority::create("root CA", row.root);
        const auto middle = root.intermediate("middle CA", {}, row.middle);
        const auto lower = middle.intermediate("lower CA", {}, row.lower);
        auto id = lower.issue({.names = {"mail.example.com"}});
        id.certificate_pem += lower.ca_pem + middle.ca_pem;
        CAPTURE(row.refused);
        for (const auto newest : versions<E>()) {
            pair<E> p(id, "mail.example.com", client_context<E>({.ca_pem = root.ca_pem, .newest = newest}));
            CHECK(p.shake() == row.refused.empty());
            if (row.refused.empty()) continue;
            CHECK(p.client.error() == errc::tls_certificate);
            CHECK(p.client.explanation() == "certificate of mail.example.com comes with a CA \"" + row.refused +
                                                "\" that is not meant for servers (its key usage says so)");
        }
    }
}

TEST_CASE_TEMPLATE("attack 22: a server's certificate cannot act as a CA", E, ENGINES) {
    const auto leaf = ca().issue({.names = {"evil.invalid"}, .common_name = "evil.invalid"});
    const testing::authority forged{.ca_pem = leaf.certificate_pem, .key_pem = leaf.key_pem};
    auto id = forged.issue({.names = {"mail.example.com"}});
    id.certificate_pem += leaf.certificate_pem;
    // mbedTLS does not take it for a CA, OpenSSL takes it for a bad one.
    const bool unknown = std::is_same_v<E, tls::mbedtls_engine>;
    check<E>({"leaf as CA", id, "mail.example.com",
              unknown
                  ? "certificate of mail.example.com is signed by an unknown CA \"CN=evil.invalid\"; give ca_file if "
                    "it is your own"
                  : "certificate of mail.example.com comes with a CA \"CN=evil.invalid\" that is not allowed to sign "
                    "certificates, and is not meant for servers (its key usage says so)"});
}

TEST_CASE_TEMPLATE("text of a certificate is escaped and cut in explanations", E, ENGINES) {
    pair<E> p(ca().issue({.names = {"evil\r\n\x1b[31m" + std::string(100, 'x')}}));
    REQUIRE_FALSE(p.shake());
    CHECK(p.client.explanation() == "certificate of mail.example.com is for evil\\x0d\\x0a\\x1b[31m" +
                                        std::string(60, 'x') + "...; expected mail.example.com");
}

TEST_CASE_TEMPLATE("a self-signed certificate is accepted when it is the trusted one", E, ENGINES) {
    const auto id = testing::self_signed({.names = {"mail.example.com"}});
    const auto trusts = client_context<E>({.ca_pem = id.certificate_pem});
    CHECK(pair<E>(id, "mail.example.com", trusts).shake());
    CHECK_FALSE(pair<E>(id, "mail.example.org", trusts).shake());
}

TEST_CASE_TEMPLATE("server_name may end in a dot, and may be international", E, ENGINES) {
    const auto id = ca().issue({.names = {"xn--mller-kva.example"}});
    for (const auto* name : {"M\xc3\xbcller.example.", "XN--MLLER-KVA.example"}) {
        pair<E> p(id, "127.0.0.1", client_context<E>({.ca_pem = ca().ca_pem, .server_name = name}));
        CHECK(p.shake());
        CHECK(p.client.explanation() == "");
    }
    CHECK_THROWS_WITH_AS(client_context<E>({.server_name = "."}), "server_name is \".\", which is no name", error);
}

TEST_CASE_TEMPLATE("server_name is verified instead of the endpoint's name", E, ENGINES) {
    const tls::settings options{.ca_pem = ca().ca_pem, .server_name = "mail.example.com"};
    const auto trusts = client_context<E>(options);
    CHECK(pair<E>(mail_example(), "127.0.0.1", trusts).shake());
    pair<E> p(ca().issue({.names = {"a.example"}}), "a.example", trusts);
    CHECK_FALSE(p.shake());
    CHECK(p.client.explanation() == "certificate of mail.example.com is for a.example; expected mail.example.com");
}

TEST_CASE_TEMPLATE("without verification every certificate is taken", E, ENGINES) {
    const auto blind = client_context<E>({.verify = tls::verification::insecure_none});
    for (const auto& id : {testing::self_signed({.not_after = "20200201000000"}), mail_example()})
        for (const char* name : {"mail.example.org", "192.0.2.1", "not a name"}) {
            pair<E> p(id, name, blind);
            CHECK(p.shake());
            CHECK(p.client.explanation().empty());
        }
}

TEST_CASE_TEMPLATE("a name that no certificate can carry fails before anything is sent", E, ENGINES) {
    for (const auto& name : {""s, "m\xc3\xbcller.example"s, "a b"s, "mail.example.com\0x"s, std::string(300, 'a')}) {
        E client(client_context<E>(), {.name = name});
        CHECK(client.handshake() == tls::progress::failed);
        CHECK(client.error() == errc::tls_configuration);
        CHECK(client.output().empty());
        CHECK(client.explanation().find("write international names in their xn-- form") != std::string::npos);
    }
}

TEST_CASE_TEMPLATE("SNI names the host, and never an address", E, ENGINES) {
    E named(client_context<E>(), {.name = "mail.example.com"}), numbered(client_context<E>(), {.name = "192.0.2.1"});
    static_cast<void>(named.handshake());
    static_cast<void>(numbered.handshake());
    CHECK(named.output().find("mail.example.com") != std::string_view::npos);
    CHECK(numbered.output().find("192.0.2.1") == std::string_view::npos);
}

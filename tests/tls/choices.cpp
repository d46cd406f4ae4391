// What tls::settings lets choose: versions, pins, a certificate of our own, opportunistic TLS.
#include <doctest/doctest.h>

#include <string>

#include "pair.hpp"
#include "place.hpp"

using namespace tls_test;

namespace {

const endpoint mail{.name = "mail.example.com", .port = 465};

template <class S>
using pair_of = pair<typename S::client, typename S::server>;

constexpr auto no_pin = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The pin that an explanation says was presented.
std::string presented_pin(const std::string& explanation) {
    const std::string before = "has the key pin ";
    const auto at = explanation.find(before);
    REQUIRE(at != std::string::npos);
    return explanation.substr(at + before.size(), 44);
}

// The key is encrypted with the passphrase "tls-test", in the form that every version of mbedTLS reads.
constexpr const char* encrypted_key = R"(-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,85373AF51AD04DFC0EA08487CA3A474A

iWhY+/4LFsQPHFJZhkjd4nqHFsI90d+SDP3Le+ZXoJlPmiEzkBxhc2IWdhlJfALw
WXybnVwjytdLJ7dC0CdDKuhuWoHgzvpUxeJI1s77s/fpoXZPhNMqeUQw2Zszs0Kq
WgqYh/uZfcA7gr0+4tPkxsfDiI6MEWmPMiEAdIQrgeQ=
-----END EC PRIVATE KEY-----
)";
constexpr const char* its_certificate = R"(-----BEGIN CERTIFICATE-----
MIIBjjCCATSgAwIBAgIUDSy1KfDh6dduFf48vxCZ0p7WACAwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGY2xpZW50MCAXDTI2MTEyNDE5NDUzMVoYDzIxMjYxMDMxMTk0
NTMxWjARMQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARks39VvBEfgWCEtfRUND2Uwjv7MqhW8JVMclZqPEw3ZDwngIho/Rw2B//5JyxQ
r/DAKhPx9Jb2ecw2KMloEh0Qo2gwZjAdBgNVHQ4EFgQUr+/8AaUWSGjkulD36Y0x
2BE8d5wwHwYDVR0jBBgwFoAUr+/8AaUWSGjkulD36Y0x2BE8d5wwDwYDVR0TAQH/
BAUwAwEB/zATBgNVHSUEDDAKBggrBgEFBQcDAjAKBggqhkjOPQQDAgNIADBFAiEA
6lL6O5qQmZtTKp8UHojxoV/AQTXFpyaoF9gWl7PrAs0CIDtb0om4xcWCuH+QDSAu
pJ87O5KnfrKO2cvDq6gB19hE
-----END CERTIFICATE-----
)";

const testing::server_identity& client_id() {
    static const auto made = ca().issue({.common_name = "sender", .usage = testing::certificate_usage::client});
    return made;
}

}  // namespace

TEST_CASE_TEMPLATE("oldest and newest bound the version", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    const auto servers = server_context<server>(mail_example());
    const auto old_servers = server_context<server>(mail_example(), {.newest = tls::protocol::tls_1_2});
    pair_of<S> low(client_context<client>({.newest = tls::protocol::tls_1_2}), servers);
    REQUIRE(low.shake());
    CHECK(low.client.facts().version == "TLSv1.2");
    if (versions<client, server>().size() < 2) return;
    pair_of<S> high(client_context<client>({.oldest = tls::protocol::tls_1_3}), servers);
    REQUIRE(high.shake());
    CHECK(high.client.facts().version == "TLSv1.3");
    pair_of<S> neither(client_context<client>({.oldest = tls::protocol::tls_1_3}), old_servers);
    CHECK_FALSE(neither.shake());
    CHECK(neither.client.error() == errc::tls_handshake);
}

TEST_CASE_TEMPLATE("versions that exclude each other are an error of the settings", E, ENGINES) {
    CHECK(thrown_for<E>({.oldest = tls::protocol::tls_1_3, .newest = tls::protocol::tls_1_2}) ==
          "two settings contradict each other: oldest is TLS 1.3 and newest is TLS 1.2");
    if (!has_tls_1_3<E>)
        CHECK(thrown_for<E>({.ca_pem = ca().ca_pem, .oldest = tls::protocol::tls_1_3}) ==
              std::string(configuration) + "oldest is TLS 1.3, and this build of mbedTLS speaks TLS 1.2 only");
}

TEST_CASE_TEMPLATE("a pin is that of the server's key or of a CA above it", E, ENGINES) {
    const auto middle = ca().intermediate("middle CA");
    auto id = middle.issue({.names = {"mail.example.com"}});
    id.certificate_pem += middle.ca_pem;
    pair<E> wrong(id, "mail.example.com", client_context<E>({.pins = {no_pin, no_pin}}));
    REQUIRE_FALSE(wrong.shake());
    CHECK(wrong.client.error() == errc::tls_certificate);
    const auto text = wrong.client.explanation();
    const auto own = presented_pin(text);
    CHECK(text.starts_with("certificate of mail.example.com has the key pin " + own + " (its CAs: "));
    CHECK(text.ends_with("); expected " + std::string(no_pin) + " or " + no_pin));
    const auto above = text.substr(text.find("(its CAs: ") + 10, 44);
    CHECK(own != above);
    for (const auto& pin : {own, above})
        CHECK(pair<E>(id, "mail.example.com", client_context<E>({.pins = {no_pin, pin}})).shake());
    // beside everything else, not instead
    CHECK_FALSE(pair<E>(id, "mail.example.org", client_context<E>({.pins = {own}})).shake());
    const auto other = testing::authority::create("other CA");
    CHECK_FALSE(pair<E>(id, "mail.example.com", client_context<E>({.ca_pem = other.ca_pem, .pins = {own}})).shake());
}

#if defined(TLS_TEST_OPENSSL)
TEST_CASE("both engines name the same pin") {
    const auto reason = [](auto& p) {
        CHECK_FALSE(p.shake());
        return p.client.explanation();
    };
    pair<tls::mbedtls_engine> a(mail_example(), "mail.example.com",
                                client_context<tls::mbedtls_engine>({.pins = {no_pin}}));
    pair<tls::openssl_engine> b(mail_example(), "mail.example.com",
                                client_context<tls::openssl_engine>({.pins = {no_pin}}));
    CHECK(reason(a) == reason(b));
}
#endif

TEST_CASE_TEMPLATE("a malformed pin is an error of the settings", E, ENGINES) {
    for (const auto* pin : {"", "sha256", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
                            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="})
        CHECK(thrown_for<E>({.pins = {pin}}) == "an option is not known or its value is not valid: the pin \"" +
                                                    std::string(pin) +
                                                    "\" is not base64 of a SHA-256, which has 44 characters");
    CHECK(thrown_for<E>({.verify = tls::verification::insecure_none, .pins = {no_pin}})
              .starts_with("two settings contradict each other: pins are given and verify is insecure_none"));
}

TEST_CASE_TEMPLATE("every file of ca_path is read", E, ENGINES) {
    const place folder;
    const auto other = testing::authority::create("other CA");
    folder.write("one.pem", ca().ca_pem);
    folder.write("two.crt", other.ca_pem + ca().ca_pem);
    folder.write("README", "no certificate");
    const auto context = client_context<E>({.ca_path = folder.path});
    CHECK(context->trusted() == 2);
    CHECK(context->skipped() == 0);
    CHECK(pair<E>(mail_example(), "mail.example.com", context).shake());
    CHECK(pair<E>(other.issue({.names = {"mail.example.com"}}), "mail.example.com", context).shake());
    CHECK(thrown_for<E>({.ca_path = folder.path + "/none"})
              .starts_with(std::string(configuration) + "the CA folder \"" + folder.path + "/none\" cannot be read: "));
    const place empty;
    CHECK(thrown_for<E>({.ca_path = empty.path}) == std::string(configuration) +
                                                        "no CA certificate could be loaded from \"" + empty.path +
                                                        "\" (0 could not be read)");
    CHECK(thrown_for<E>({.ca_file = "a", .ca_path = "b"}) ==
          "two settings contradict each other: ca_file and ca_path are both given; one of them names the CAs");
    CHECK(thrown_for<E>({.ca_path = "b", .ca_pem = "c"}) ==
          "two settings contradict each other: ca_path and ca_pem are both given; one of them names the CAs");
}

TEST_CASE_TEMPLATE("a client certificate is shown to a server that asks for one", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    const place folder;
    folder.write("id.pem", client_id().certificate_pem);
    folder.write("id.key", client_id().key_pem);
    folder.write("both.pem", client_id().certificate_pem + client_id().key_pem);
    const tls::settings ways[] = {
        {.certificate_pem = client_id().certificate_pem, .key_pem = secret(client_id().key_pem)},
        {.certificate_file = folder.path + "/id.pem", .key_file = folder.path + "/id.key"},
        {.certificate_file = folder.path + "/both.pem"},
        {.certificate_pem = client_id().key_pem + client_id().certificate_pem},
    };
    for (const auto newest : versions<client, server>())
        for (auto way : ways) {
            way.newest = newest;
            const auto clients = client_context<client>(way);
            const auto servers = server_context<server>(mail_example(), {.client_ca_pem = ca().ca_pem});
            pair_of<S> p(clients, servers);
            REQUIRE(p.shake());
            REQUIRE(p.talk());
            CHECK(p.server.facts().peer_subject == "CN=sender");
            CHECK(p.server.facts().verified);
            pair_of<S> again(clients, servers);
            REQUIRE(again.shake());
            REQUIRE(again.talk());
            CHECK(again.client.facts().resumed);
        }
}

TEST_CASE_TEMPLATE("a server that demands a client certificate and gets none is told as that", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    const auto servers = server_context<server>(mail_example(), {.client_ca_pem = ca().ca_pem});
    for (const auto newest : versions<client, server>()) {
        pair_of<S> p(client_context<client>({.newest = newest}), servers);
        CHECK_FALSE(p.shake());
        p.client.end_of_stream();
        // in TLS 1.3 the client is done before the server looks
        if (p.client.handshake() == tls::progress::done) CHECK(read_all(p.client).empty());
        // mbedTLS sends no alert for this and hangs up
        if (std::is_same_v<server, tls::mbedtls_engine> && newest == tls::protocol::tls_1_3) {
            CHECK(p.client.error() == condition::tls);
            continue;
        }
        CHECK(p.client.error() == errc::tls_handshake);
        CHECK(p.client.explanation().ends_with(
            "; perhaps the server wants a client certificate, which certificate_file names"));
    }
}

TEST_CASE_TEMPLATE("a client's certificate and key that cannot be used are errors without secrets", E, ENGINES) {
    const auto& id = client_id();
    const auto says = [](tls::settings s, const std::string& text) {
        s.verify = tls::verification::insecure_none;
        const auto got = thrown_for<E>(s);
        CHECK(got.substr(0, text.size()) == text);
        CHECK(got.find("wrong-passphrase") == std::string::npos);
    };
    const std::string bad = configuration, contradiction = "two settings contradict each other: ";
    const place folder;
    folder.write("id.pem", id.certificate_pem);
    says({.certificate_file = "a", .certificate_pem = "b"},
         contradiction + "certificate_file and certificate_pem are both given");
    says({.certificate_pem = id.certificate_pem, .key_file = "a", .key_pem = secret("b")},
         contradiction + "key_file and key_pem are both given");
    says({.key_file = "a"}, bad + "a key is given without its certificate; give certificate_file");
    says({.certificate_file = "/nonexistent"}, bad + "the certificate file \"/nonexistent\" cannot be read");
    says({.certificate_pem = id.certificate_pem, .key_file = "/nonexistent"},
         bad + "the key file \"/nonexistent\" cannot be read");
    says({.certificate_pem = "x", .key_pem = secret(id.key_pem)},
         bad + "the certificate of certificate_pem cannot be read: ");
    says({.certificate_pem = id.certificate_pem}, bad + "the key of certificate_pem cannot be read: ");
    says({.certificate_file = folder.path + "/id.pem"},
         bad + "the key of \"" + folder.path + "/id.pem\" cannot be read: ");
    says({.certificate_pem = id.certificate_pem, .key_pem = secret(mail_example().key_pem)},
         bad + "the key of key_pem does not belong to the certificate of certificate_pem");
    says({.certificate_pem = its_certificate, .key_pem = secret(encrypted_key)},
         bad + "the key of key_pem is encrypted; give key_passphrase");
    says({.certificate_pem = its_certificate,
          .key_pem = secret(encrypted_key),
          .key_passphrase = secret("wrong-passphrase")},
         bad + "key_passphrase is not that of the key of key_pem");
    says({.certificate_pem = its_certificate, .key_pem = secret(encrypted_key), .key_passphrase = secret("tls-test")},
         "nothing");
}

TEST_CASE_TEMPLATE("opportunistic TLS takes any certificate and says what is wrong with it", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    struct row {
        testing::server_identity presented;
        std::string name, doubt;
    };
    const row rows[] = {
        {mail_example(), "mail.example.com", ""},
        {mail_example(), "mail.example.org", "is for mail.example.com; expected mail.example.org"},
        {testing::self_signed({.names = {"mail.example.com"}}), "mail.example.com",
         "is self-signed; give ca_file if it is your own"},
        {ca().issue({.names = {"mail.example.com"}, .not_after = "20200201000000"}), "mail.example.com",
         "expired on 2020-02-01"},
        {mail_example(), "not a name", "is for mail.example.com; expected not a name"},
    };
    for (const auto newest : versions<client, server>())
        for (const auto& r : rows) {
            CAPTURE(r.doubt);
            pair_of<S> p(client_context<client>({.newest = newest}), server_context<server>(r.presented),
                         {.name = r.name, .port = 25, .security = security::opportunistic});
            REQUIRE(p.shake());
            CHECK(p.talk());
            CHECK(p.client.facts().doubt == r.doubt);
            CHECK(p.client.facts().verified == r.doubt.empty());
            CHECK(p.client.facts().peer_subject == "CN=postroad test");
            CHECK_FALSE(p.client.error());
        }
}

TEST_CASE_TEMPLATE("engines of two libraries understand each other", S, SIDES) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{17}, std::string::npos}) {
        pair_of<S> p(client_context<typename S::client>(), server_context<typename S::server>(mail_example()));
        REQUIRE(p.shake(step));
        for (int i = 0; i < 3; ++i) CHECK(p.talk());
        CHECK(p.client.facts().verified);
        p.client.close();
        carry(p.client, p.server, step, [] {});
        tls::read_result last;
        CHECK(read_all(p.server, &last).empty());
        CHECK(last.state == tls::read_state::closed);
    }
}

TEST_CASE_TEMPLATE("both sides bind to the same channel", S, SIDES) {
    using client = typename S::client;
    using server = typename S::server;
    for (const auto newest : versions<client, server>())
        for (const bool resumed : {false, true}) {
            const auto clients = client_context<client>({.newest = newest});
            const auto servers = server_context<server>(mail_example());
            if (resumed) {
                pair_of<S> first(clients, servers);
                REQUIRE(first.shake());
                REQUIRE(first.talk());
            }
            pair_of<S> p(clients, servers);
            CHECK(tls::binding_of(p.client).name.empty());
            REQUIRE(p.shake());
            CHECK(p.client.facts().resumed == resumed);
            const auto at_client = tls::binding_of(p.client), at_server = tls::binding_of(p.server);
            CHECK(at_client.name == (newest == tls::protocol::tls_1_3 ? "tls-exporter" : "tls-server-end-point"));
            CHECK(at_client.data.size() == 32);
            CHECK(at_client.name == at_server.name);
            CHECK(at_client.data == at_server.data);
            pair_of<S> other(client_context<client>({.newest = newest}), servers);
            REQUIRE(other.shake());
            CHECK((tls::binding_of(other.client).data == at_client.data) == (newest == tls::protocol::tls_1_2));
        }
    tls::no_engine none(nullptr, {});
    CHECK(tls::binding_of(none).name.empty());
}

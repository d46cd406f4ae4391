// What a client offers, read from its ClientHello (RFC 5246 section 7.4.1.2, RFC 8446 section 4.1.2).
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pair.hpp"

using namespace tls_test;

namespace {

using numbers = std::vector<unsigned>;

struct hello {
    numbers suites;
    numbers groups;
};

unsigned number(std::string_view octets, std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>(octets.at(at)) << 8 |
                                 static_cast<unsigned char>(octets.at(at + 1)));
}

numbers numbers_of(std::string_view octets) {
    numbers all;
    for (std::size_t at = 0; at + 1 < octets.size(); at += 2) all.push_back(number(octets, at));
    return all;
}

hello read_hello(std::string_view record) {
    std::string_view rest = record.substr(5 + 4 + 2 + 32);  // record, handshake, version, random
    rest.remove_prefix(1 + static_cast<unsigned char>(rest[0]));
    hello h{.suites = numbers_of(rest.substr(2, number(rest, 0))), .groups = {}};
    rest.remove_prefix(2 + number(rest, 0));
    rest.remove_prefix(1 + static_cast<unsigned char>(rest[0]) + 2);
    while (rest.size() >= 4) {
        const auto size = number(rest, 2);
        if (number(rest, 0) == 10) h.groups = numbers_of(rest.substr(6, size - 2));
        rest.remove_prefix(4 + size);
    }
    return h;
}

bool is_strong_suite(unsigned id) {
    if (id == 0x00ff || id == 0x5600) return true;  // no suites, but signals
    if (id >= 0x1301 && id <= 0x1304) return true;  // TLS 1.3, without CCM_8
    if (id >= 0xcca8 && id <= 0xccaa) return true;  // ChaCha20 with ECDHE and DHE
    if (id == 0xc09e || id == 0xc09f) return true;  // DHE_RSA, AES_CCM
    if (id == 0xc0ac || id == 0xc0ad) return true;  // ECDHE_ECDSA, AES_CCM
    if (id >= 0xc023 && id <= 0xc024) return true;  // ECDHE_ECDSA, AES, SHA-2
    if (id >= 0xc027 && id <= 0xc028) return true;  // ECDHE_RSA, AES, SHA-2
    if (id >= 0xc02b && id <= 0xc02c) return true;  // ECDHE_ECDSA, AES-GCM
    if (id >= 0xc02f && id <= 0xc030) return true;  // ECDHE_RSA, AES-GCM
    if (id == 0xc009 || id == 0xc00a) return true;  // ECDHE_ECDSA, AES, SHA-1 as HMAC
    if (id == 0xc013 || id == 0xc014) return true;  // ECDHE_RSA, likewise
    if (id == 0x0033 || id == 0x0039) return true;  // DHE_RSA, likewise
    if (id == 0x0067 || id == 0x006b) return true;  // DHE_RSA, AES, SHA-256
    return id == 0x009e || id == 0x009f;            // DHE_RSA, AES-GCM
}

bool is_strong_group(unsigned id) {
    if (id >= 23 && id <= 31) return true;    // P-256 to P-521, Brainpool, X25519, X448
    if (id >= 256 && id <= 260) return true;  // finite fields from 2048 bits on (RFC 7919)
    return id >= 0x11eb && id <= 0x11ed;      // hybrids with ML-KEM
}

}  // namespace

TEST_CASE_TEMPLATE("a client offers no weak group, and no suite without forward secrecy", E, ENGINES) {
    for (const auto newest : versions<E>())
        for (const auto verify : {tls::verification::full, tls::verification::insecure_none}) {
            E client(client_context<E>({.verify = verify, .newest = newest}), {.name = "mail.example.com"});
            static_cast<void>(client.handshake());
            const auto h = read_hello(client.output());
            CHECK(h.suites.size() >= 4);
            CHECK(h.groups.size() >= 3);
            for (const auto id : h.suites) {
                CAPTURE(id);
                CHECK(is_strong_suite(id));
            }
            for (const auto id : h.groups) {
                CAPTURE(id);
                CHECK(is_strong_group(id));
            }
        }
}

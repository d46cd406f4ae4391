// What is accepted of which certificate: one table for both engines, beside what the command openssl and Python's ssl
// decide (references.py). Where they are not of one mind docs/tls.md says why.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "made.hpp"
#include "pair.hpp"
#include "place.hpp"

#ifdef TLS_TEST_OPENSSL

using namespace tls_test;

namespace {

// Which library shows the certificates: OpenSSL's keeps to its own floor, mbedTLS' knows less.
enum class shown_by : unsigned char { openssl, mbedtls };

struct row {
    std::string what;
    std::string_view decisions;  // y or n of our mbedTLS engine, our OpenSSL engine, the command openssl, Python's ssl
    std::vector<wish> made;
    std::string host = "mail.example.com";
    std::vector<std::size_t> trusted = {0}, sent = {};
    shown_by server = shown_by::openssl;
    std::string_view why = {};     // where they differ: a row of docs/tls.md
    bool refused_since_3 = false;  // by mbedTLS of that version
};

const wish root{.subject = "root CA"};
const wish ca{.subject = "CA"};
const wish leaf{.names = "DNS:mail.example.com"};

wish named(const std::string& names, const std::string& subject = "server") {
    return {.subject = subject, .names = names};
}
// One dNSName or another, octets as they are.
std::string raw_name(std::string_view octets, int tag = 0x82) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string value(1, static_cast<char>(0x30)), hex = "DER:";
    value += static_cast<char>(octets.size() + 2);
    value += static_cast<char>(tag);
    value += static_cast<char>(octets.size());
    value += octets;
    for (const char c : value) (hex += digits[(c >> 4) & 15]) += digits[c & 15];
    return hex;
}
std::string many_names(int count, const std::string& last) {
    std::string all;
    for (int i = 1; i < count; ++i) all += "DNS:h" + std::to_string(i) + ".example.com,";
    return all + "DNS:" + last;
}
wish valid(wish w, const std::string& from, const std::string& until) {
    w.from = from;
    w.until = until;
    return w;
}
wish bound(const std::string& constraints) { return {.subject = "bound CA", .constraints = constraints}; }
wish server_for(const std::string& purpose) { return {.names = leaf.names, .purpose = purpose}; }
wish ca_for(const std::string& purpose) { return {.subject = "CA", .purpose = purpose}; }
wish keyed(const std::string& kind) { return {.names = leaf.names, .key = kind}; }
wish used(const std::string& usage, const std::string& kind = "P-256") {
    return {.names = leaf.names, .key = kind, .usage = usage};
}
wish with(wish w, const char* oid, const std::string& value) {
    w.others.emplace_back(oid, value);
    return w;
}
wish hashed(wish w, const char* digest) {
    w.digest = digest;
    return w;
}
wish below(wish w, int issuer) {
    w.issuer = issuer;
    return w;
}
std::vector<wish> cas(int count) {
    std::vector<wish> all{root};
    for (int i = 1; i <= count; ++i) all.push_back({.subject = "CA " + std::to_string(i)});
    all.push_back(leaf);
    return all;
}

constexpr const char* unknown = "1.3.6.1.4.1.99999.1";
const std::string nothing = "DER:0500";

row because(std::string_view why, row r) {
    r.why = why;
    return r;
}
row refused_since_3(row r) {
    r.refused_since_3 = true;
    return r;
}

std::vector<row> names() {
    using namespace std::string_literals;
    const auto of = [](const std::string& names) { return std::vector<wish>{root, named(names)}; };
    return {
        {"a name", "yyyy", of("DNS:mail.example.com")},
        {"in capitals", "yyyy", of("DNS:MAIL.Example.COM")},
        {"the second name", "yyyy", of("DNS:a.example,DNS:mail.example.com")},
        {"the last of 100", "yyyy", of(many_names(100, "mail.example.com"))},
        {"the last of 400", "yyyy", of(many_names(400, "mail.example.com"))},
        {"another name", "nnnn", of("DNS:mail.example.org")},
        {"a name below", "nnnn", of("DNS:a.mail.example.com")},
        {"the domain above", "nnnn", of("DNS:example.com")},
        because("a common name",
                {"no name but a common name", "nnyy", {root, named("-", "mail.example.com")}, "mail.example.com"}),
        {"a common name beside another name", "nnnn", {root, named("DNS:a.example", "mail.example.com")}},
        because(
            "a common name",
            {"a common name beside a mail address", "nnyy", {root, named("email:a@b.example", "mail.example.com")}}),
        {"*.", "yyyy", of("DNS:*.example.com")},
        {"*. for two labels", "nnnn", of("DNS:*.example.com"), "a.mail.example.com"},
        {"*. for none", "nnnn", of("DNS:*.example.com"), "example.com"},
        because("`*` as part of a label", {"part of a label", "nnyn", of("DNS:ma*.example.com")}),
        because("`*` as part of a label", {"* at the end of a label", "nnyn", of("DNS:*l.example.com")}),
        {"* in the second label", "nnnn", of("DNS:mail.*.com")},
        {"*. twice", "nnnn", of("DNS:*.*.com")},
        {"*. of a top-level domain", "nnnn", of("DNS:*.com"), "example.com"},
        {"* alone", "nnnn", of("DNS:*"), "mail"},
        {"*. above an international label", "yyyy", of("DNS:*.xn--mller-kva.example"), "mail.xn--mller-kva.example"},
        {"* within an international label", "nnnn", of("DNS:xn--*.example"), "xn--mller-kva.example"},
        {"*. for an international label", "yyyy", of("DNS:*.example.com"), "xn--mller-kva.example.com"},
        {"an international name", "yyyy", of("DNS:xn--mller-kva.example"), "xn--mller-kva.example"},
        {"an international name in UTF-8", "nnnn", of(raw_name("m\xc3\xbcller.example")), "xn--mller-kva.example"},
        {"a name with a dot behind", "nnnn", of("DNS:mail.example.com.")},
        because("a dot behind the host",
                {"a host with a dot behind", "yynn", of("DNS:mail.example.com"), "mail.example.com."}),
        {"a NUL within", "nnnn", of(raw_name("mail.example.com\0.evil.example"s))},
        {"a NUL behind", "nnnn", of(raw_name("mail.example.com\0"s))},
        {"a NUL in front", "nnnn", of(raw_name("\0mail.example.com"s))},
        {"an empty name", "nnnn", of(raw_name(""))},
        {"a blank behind", "nnnn", of(raw_name("mail.example.com "))},
        {"the name as a URI", "nnnn", of("URI:https://mail.example.com/")},
        {"the name as a mail address", "nnnn", of("email:mail.example.com")},
        {"the name as a registered ID", "nnnn", of("RID:1.2.3.4")},
        {"one label", "yyyy", of("DNS:mail"), "mail"},
        {"localhost", "yyyy", of("DNS:localhost"), "localhost"},
        {"an empty subject", "yyyy", {root, {.subject = "-", .names = "critical,DNS:mail.example.com"}}},
        {"an address", "yyyy", of("IP:192.0.2.1"), "192.0.2.1"},
        {"another address", "nnnn", of("IP:192.0.2.2"), "192.0.2.1"},
        {"an address as a name", "nnnn", of("DNS:192.0.2.1"), "192.0.2.1"},
        {"an address as a common name", "nnnn", {root, named("-", "192.0.2.1")}, "192.0.2.1"},
        {"an address by *.", "nnnn", of("DNS:*.0.2.1"), "192.0.2.1"},
        {"an address of IPv6", "yyyy", of("IP:2001:db8::1"), "2001:db8::1"},
        {"another address of IPv6", "nnnn", of("IP:2001:db8::2"), "2001:db8::1"},
        {"an address of IPv4 in one of IPv6", "nnnn", of("IP:::ffff:192.0.2.1"), "192.0.2.1"},
        {"an address for a host by name", "nnnn", of("IP:192.0.2.1")},
        {"an address of five octets", "nnnn", of(raw_name("\xc0\0\2\1\1"s, 0x87)), "192.0.2.1"},
        {"an address in letters", "nnnn", of(raw_name("192.0.2.1", 0x87)), "192.0.2.1"},
    };
}

std::vector<row> dates() {
    const std::string then = "20200101000000Z", later = "20991231235959Z";
    return {
        {"expired", "nnnn", {root, valid(leaf, then, "20210101000000Z")}},
        {"expired a second ago", "nnnn", {root, valid(leaf, then, in_seconds(-1))}},
        {"that ends in an hour", "yyyy", {root, valid(leaf, then, in_seconds(3600))}},
        {"not yet", "nnnn", {root, valid(leaf, "20980101000000Z", later)}},
        {"in an hour", "nnnn", {root, valid(leaf, in_seconds(3600), later)}},
        {"from this second on", "yyyy", {root, valid(leaf, in_seconds(0), later)}},
        {"the end before the beginning", "nnnn", {root, valid(leaf, later, then)}},
        {"from 1970 on", "yyyy", {root, valid(leaf, "19700101000000Z", later)}},
        {"until 9999", "yyyy", {root, valid(leaf, then, "99991231235959Z")}},
        {"longer than the CA", "yyyy", {root, valid(ca, then, "20900101000000Z"), leaf}},
        {"an expired CA", "nnnn", {root, valid(ca, then, "20210101000000Z"), leaf}},
        {"a CA not yet", "nnnn", {root, valid(ca, "20980101000000Z", later), leaf}},
        {"an expired root", "nnnn", {valid(root, then, "20210101000000Z"), leaf}},
        {"a root not yet", "nnnn", {valid(root, "20980101000000Z", later), leaf}},
    };
}

std::vector<row> trust() {
    const std::string then = "20200101000000Z", past = "20210101000000Z";
    const wish old_root{.subject = "old CA"}, new_root = below({.subject = "new CA"}, 1);
    const wish self = below(leaf, 1);
    wish other_key = root;
    other_key.owner = "other";
    wish wrong = leaf, wrong_ca = ca;
    wrong.signed_by = wrong_ca.signed_by = "somebody";
    // 0 and 1 are roots; 2 and 3 are the same CA, by each of them.
    const std::vector<wish> crossed{old_root, new_root, below(ca, 0), below(ca, 1), below(leaf, 2)};
    auto half_expired = crossed;
    half_expired[2].until = past;
    auto root_expired = crossed;
    root_expired[0].until = past;
    return {
        {"an unknown root", "nnnn", {root, {.subject = "other CA", .issuer = 1}, leaf}, "mail.example.com", {0}, {2}},
        {"a root of that name with another key",
         "nnnn",
         {root, below(other_key, 1), leaf},
         "mail.example.com",
         {0},
         {2}},
        {"self-signed", "nnnn", {root, self}},
        {"self-signed and trusted", "yyyy", {root, self}, "mail.example.com", {1}},
        because("what you trust is no root",
                {"the server's own certificate is trusted", "nynn", {root, leaf}, "mail.example.com", {1}}),
        {"a missing CA", "nnnn", {root, ca, leaf}, "mail.example.com", {0}, {2}},
        because("what you trust is no root",
                {"a CA below is trusted", "yynn", {root, ca, leaf}, "mail.example.com", {1}}),
        because("what you trust is no root",
                {"a CA below is trusted, and not sent", "yynn", {root, ca, leaf}, "mail.example.com", {1}, {2}}),
        {"the root is sent as well", "yyyy", {root, ca, leaf}, "mail.example.com", {0}, {2, 1, 0}},
        {"an unknown root is sent as well",
         "nnnn",
         {root, {.subject = "other CA", .issuer = 1}, leaf},
         "mail.example.com",
         {0},
         {2, 1}},
        because("CAs in another order than they sign",
                {"from the top down", "nyyy", cas(2), "mail.example.com", {0}, {3, 1, 2}}),
        {"a CA sent twice", "yyyy", {root, ca, leaf}, "mail.example.com", {0}, {2, 1, 1}},
        {"a stranger among them",
         "yyyy",
         {root, ca, leaf, below({.subject = "stranger"}, 3)},
         "mail.example.com",
         {0},
         {2, 3, 1}},
        {"a signature by another key", "nnnn", {root, wrong}},
        {"a CA signed by another key", "nnnn", {root, wrong_ca, leaf}},
        {"crossed, the old root is trusted", "yyyy", crossed, "mail.example.com", {0}, {4, 2}},
        {"crossed, the new root is trusted", "yyyy", crossed, "mail.example.com", {1}, {4, 3}},
        {"crossed, both ways are sent, the known one first", "yyyy", crossed, "mail.example.com", {0}, {4, 2, 3}},
        {"crossed, both ways are sent, the unknown one first", "nnnn", crossed, "mail.example.com", {1}, {4, 2, 3}},
        {"crossed, one way has expired", "yyyy", half_expired, "mail.example.com", {0, 1}, {4, 2, 3}},
        {"crossed, one root has expired", "yyyy", root_expired, "mail.example.com", {0, 1}, {4, 3}},
        {"crossed, the way to an expired root first", "nnnn", root_expired, "mail.example.com", {0, 1}, {4, 2, 3}},
        {"crossed, no root is trusted", "nnnn", crossed, "mail.example.com", {0}, {4, 3}},
        {"2 CAs", "yyyy", cas(2)},
        {"8 CAs", "yyyy", cas(7)},
        {"9 CAs", "yyyy", cas(8)},
        because("more than 8 certificates above the server's", {"12 CAs", "nyyy", cas(12)}),
    };
}

std::vector<row> authorities() {
    const auto basic = [](const std::string& value) { return wish{.subject = "CA", .basic = value}; };
    const auto usage = [](const std::string& value) { return wish{.subject = "CA", .usage = value}; };
    wish old_root = root, old_ca = ca, old_leaf = leaf, limited_root = root, loose_root = root;
    old_root.version = old_ca.version = old_leaf.version = 1;
    limited_root.basic = "critical,CA:TRUE,pathlen:0";
    loose_root.basic = "-";
    return {
        {"a CA without basicConstraints", "nnnn", {root, basic("-"), leaf}},
        {"CA:FALSE", "nnnn", {root, basic("CA:FALSE"), leaf}},
        {"basicConstraints that are not critical", "yyyy", {root, basic("CA:TRUE"), leaf}},
        {"pathlen:0 above the server", "yyyy", {root, basic("critical,CA:TRUE,pathlen:0"), leaf}},
        {"pathlen:0 above a CA", "nnnn", {root, basic("critical,CA:TRUE,pathlen:0"), {.subject = "CA 2"}, leaf}},
        {"pathlen:1 above a CA", "yyyy", {root, basic("critical,CA:TRUE,pathlen:1"), {.subject = "CA 2"}, leaf}},
        {"pathlen:1 above two",
         "nnnn",
         {root, basic("critical,CA:TRUE,pathlen:1"), {.subject = "CA 2"}, {.subject = "CA 3"}, leaf}},
        {"a root with pathlen:0", "nnnn", {limited_root, ca, leaf}},
        because("a root that does not say that it is a CA",
                {"a root without basicConstraints", "nyyy", {loose_root, leaf}}),
        {"a root of version 1", "yyyy", {old_root, leaf}},
        {"a CA of version 1", "nnnn", {root, old_ca, leaf}},
        because("a common name", {"a server of version 1", "nnyy", {root, old_leaf}}),
        {"a server that is a CA", "yyyy", {root, {.names = leaf.names, .basic = "critical,CA:TRUE"}}},
        {"a server without basicConstraints", "yyyy", {root, {.names = leaf.names, .basic = "-"}}},
        {"a server below a server", "nnnn", {root, {.subject = "above", .names = "DNS:a.example"}, leaf}},
        {"a CA without key usage", "yyyy", {root, usage("-"), leaf}},
        {"a CA that signs CRLs only", "nnnn", {root, usage("critical,cRLSign"), leaf}},
        {"a CA with more usages", "yyyy", {root, usage("digitalSignature,keyCertSign,cRLSign"), leaf}},
        {"key usage digitalSignature", "yyyy", {root, used("critical,digitalSignature")}},
        because("key usage without `digitalSignature`",
                {"key usage keyEncipherment", "nyyy", {root, used("critical,keyEncipherment")}}),
        because("key usage without `digitalSignature`",
                {"key usage keyAgreement", "nyyy", {root, used("critical,keyAgreement")}}),
        {"key usage keyCertSign", "nnnn", {root, used("critical,keyCertSign")}},
        {"RSA, key usage digitalSignature", "yyyy", {root, used("critical,digitalSignature", "2048")}},
        because("key usage without `digitalSignature`",
                {"RSA, key usage keyEncipherment", "nyyy", {root, used("critical,keyEncipherment", "2048")}}),
        {"for servers", "yyyy", {root, server_for("serverAuth")}},
        {"for servers, critical", "yyyy", {root, server_for("critical,serverAuth")}},
        {"for anything unsaid", "yyyy", {root, server_for("-")}},
        {"for clients", "nnnn", {root, server_for("clientAuth")}},
        {"for both", "yyyy", {root, server_for("clientAuth,serverAuth")}},
        {"for mail", "nnnn", {root, server_for("emailProtection")}},
        {"for any purpose", "nnnn", {root, server_for("anyExtendedKeyUsage")}},
        {"for an unknown purpose", "nnnn", {root, server_for("1.3.6.1.4.1.99999.2")}},
        because("the purpose `nsSGC` (step-up)", {"for step-up", "nyyy", {root, server_for("nsSGC")}}),
        {"a CA for servers", "yyyy", {root, ca_for("serverAuth"), leaf}},
        {"a CA for clients", "nnnn", {root, ca_for("clientAuth"), leaf}},
        {"a CA for any purpose", "nnnn", {root, ca_for("anyExtendedKeyUsage"), leaf}},
        because("the purpose `nsSGC` (step-up)", {"a CA for step-up", "nyyy", {root, ca_for("nsSGC"), leaf}}),
        {"a root for clients", "nnnn", {{.subject = "root CA", .purpose = "clientAuth"}, leaf}},
        {"Netscape's type of a server", "yyyy", {root, with(leaf, "nsCertType", "server")}},
        {"Netscape's type of a client", "nnnn", {root, with(leaf, "nsCertType", "client")}},
    };
}

std::vector<row> constraints() {
    const auto case_of = [](const std::string& constraints, const wish& server = leaf) {
        return std::vector<wish>{root, bound(constraints), server};
    };
    const wish wild{.names = "DNS:*.example.com"};
    const wish at_address{.names = "IP:192.0.2.1"}, at_six{.names = "IP:2001:db8::1"};
    const std::string net = "IP:192.0.2.0/255.255.255.0", elsewhere = "IP:198.51.100.0/255.255.255.0";
    return {
        {"permitted", "yyyy", case_of("permitted;DNS:example.com")},
        {"permitted, the name itself", "yyyy", case_of("permitted;DNS:mail.example.com")},
        {"permitted in capitals", "yyyy", case_of("permitted;DNS:EXAMPLE.com")},
        {"permitted by one of two", "yyyy", case_of("permitted;DNS:example.org,permitted;DNS:example.com")},
        {"not permitted", "nnnn", case_of("permitted;DNS:example.org")},
        {"not permitted: part of a label", "nnnn", case_of("permitted;DNS:ample.com")},
        {"not permitted: one of the names", "nnnn",
         case_of("permitted;DNS:example.com", {.names = "DNS:mail.example.com,DNS:a.example"})},
        {"permitted with a dot in front", "yyyy", case_of("permitted;DNS:.example.com")},
        {"not permitted: a dot in front", "nnnn", case_of("permitted;DNS:.mail.example.com")},
        {"excluded", "nnnn", case_of("excluded;DNS:example.com")},
        {"excluded elsewhere", "yyyy", case_of("excluded;DNS:example.org")},
        {"excluded within what is permitted", "nnnn",
         case_of("permitted;DNS:example.com,excluded;DNS:mail.example.com")},
        {"*. within what is permitted", "yyyy", case_of("permitted;DNS:example.com", wild)},
        {"*. beyond what is permitted", "nnnn", case_of("permitted;DNS:mail.example.com", wild)},
        because("constraints and `*.`",
                {"*. into what is excluded", "nnyy", case_of("excluded;DNS:mail.example.com", wild)}),
        {"*. beside what is excluded", "yyyy", case_of("excluded;DNS:other.example.com", wild)},
        {"*. below what is excluded", "nnnn", case_of("excluded;DNS:example.com", wild)},
        {"an address within", "yyyy", case_of("permitted;" + net, at_address), "192.0.2.1"},
        {"an address beyond", "nnnn", case_of("permitted;" + elsewhere, at_address), "192.0.2.1"},
        {"an address excluded", "nnnn", case_of("excluded;" + net, at_address), "192.0.2.1"},
        {"an address beside", "yyyy", case_of("excluded;" + elsewhere, at_address), "192.0.2.1"},
        {"an address of IPv6 within", "yyyy", case_of("permitted;IP:2001:db8::/ffff:ffff::", at_six), "2001:db8::1"},
        {"an address of IPv6 beyond", "nnnn", case_of("permitted;IP:2001:db9::/ffff:ffff::", at_six), "2001:db8::1"},
        {"an address, where names are bound", "yyyy", case_of("permitted;DNS:example.com", at_address), "192.0.2.1"},
        {"a name, where addresses are bound", "yyyy", case_of("permitted;" + net)},
        {"mail addresses are bound, and there is none", "yyyy", case_of("permitted;email:example.com")},
        {"a mail address within", "yyyy",
         case_of("permitted;email:example.com", {.names = "DNS:mail.example.com,email:a@example.com"})},
        because("constraints on mail addresses and URIs",
                {"a mail address beyond", "ynnn",
                 case_of("permitted;email:example.com", {.names = "DNS:mail.example.com,email:a@example.org"})}),
        because("constraints on mail addresses and URIs",
                {"a mail address excluded", "ynnn",
                 case_of("excluded;email:example.org", {.names = "DNS:mail.example.com,email:a@example.org"})}),
        {"URIs are bound, and there is none", "yyyy", case_of("permitted;URI:example.com")},
        because("constraints on mail addresses and URIs",
                {"a URI beyond", "ynnn",
                 case_of("permitted;URI:example.com", {.names = "DNS:mail.example.com,URI:https://example.org/"})}),
        {"of a CA two above", "nnnn", {root, bound("permitted;DNS:example.org"), ca, leaf}},
        {"of two CAs",
         "nnnn",
         {root,
          bound("permitted;DNS:example.com"),
          {.subject = "CA 2", .constraints = "excluded;DNS:mail.example.com"},
          leaf}},
        {"of the root, that permit it", "yyyy", {bound("permitted;DNS:example.com"), leaf}},
        {"of the root, that do not", "nnnn", {bound("permitted;DNS:example.org"), leaf}},
        {"critical at the root, that permit it", "yyyy", {bound("critical,permitted;DNS:example.com"), leaf}},
        {"critical at the root, that do not", "nnnn", {bound("critical,permitted;DNS:example.org"), leaf}},
        because("critical constraints of a CA that the server sends",
                {"critical below, that permit it", "nyyy", case_of("critical,permitted;DNS:example.com")}),
        {"critical below, that do not", "nnnn", case_of("critical,permitted;DNS:example.org")},
        {"that cannot be read", "nnnn", {root, with(ca, "2.5.29.30", "DER:3003020101"), leaf}},
        because("constraints that are empty",
                {"that are empty", "nyyy", {root, with(ca, "2.5.29.30", "DER:3000"), leaf}}),
    };
}

std::vector<row> extensions() {
    return {
        {"an unknown extension", "yyyy", {root, with(leaf, unknown, nothing)}},
        {"an unknown extension of a CA", "yyyy", {root, with(ca, unknown, nothing), leaf}},
        {"an unknown critical extension", "nnnn", {root, with(leaf, unknown, "critical," + nothing)}},
        {"an unknown critical extension of a CA", "nnnn", {root, with(ca, unknown, "critical," + nothing), leaf}},
        {"an unknown critical extension of the root", "nnnn", {with(root, unknown, "critical," + nothing), leaf}},
        {"a policy", "yyyy", {root, with(leaf, "certificatePolicies", "DER:3007300506032A0304")}},
        because("a critical extension about policies",
                {"a critical policy",
                 "nyyy",
                 {root, with(leaf, "certificatePolicies", "critical,DER:3007300506032A0304")}}),
        because("a critical extension about policies",
                {"a critical policy constraint of a CA",
                 "nyyy",
                 {root, with(ca, "policyConstraints", "critical,DER:3003810100"), leaf}}),
        because("a critical extension about policies",
                {"a CA that inhibits any policy",
                 "nyyy",
                 {root, with(ca, "inhibitAnyPolicy", "critical,DER:020100"), leaf}}),
        {"must staple", "yyyy", {root, with(leaf, "tlsfeature", "DER:3003020105")}},
        {"a comment of 4000 octets", "yyyy", {root, {.names = leaf.names, .padding = 4000}}},
        {"serial number 0", "yyyy", {root, {.names = leaf.names, .serial = "00"}}},
        {"a negative serial number", "yyyy", {root, {.names = leaf.names, .serial = "-05"}}},
        {"a serial number of 20 octets", "yyyy", {root, {.names = leaf.names, .serial = std::string(40, '7')}}},
        {"a serial number of 30 octets", "yyyy", {root, {.names = leaf.names, .serial = std::string(60, '7')}}},
        {"a subject in Greek", "yyyy", {root, {.subject = "\xce\xb1\xce\xb2", .names = leaf.names}}},
    };
}

std::vector<row> keys() {
    const auto weak = [](const std::string& what, std::string_view decisions, std::vector<wish> made) {
        return row{what, decisions, std::move(made), "mail.example.com", {0}, {}, shown_by::mbedtls};
    };
    const auto of = [](const std::string& kind) { return std::vector<wish>{root, keyed(kind)}; };
    const auto above = [](const std::string& kind) {
        return std::vector<wish>{root, {.subject = "CA", .key = kind}, leaf};
    };
    const wish rsa_root{.subject = "root CA", .key = "2048"};
    wish pss = keyed("2048");
    pss.pss = true;
    return {
        weak("RSA 1024", "nnnn", of("1024")),
        because("RSA below 2048 bits, P-224, secp256k1 and SHA-224 within a chain",
                refused_since_3(weak("RSA 2047", "yyyy", of("2047")))),
        {"RSA 2048", "yyyy", of("2048")},
        {"RSA 3072", "yyyy", of("3072")},
        {"RSA 4096", "yyyy", of("4096")},
        because("keys of the kind RSA-PSS", {"RSA-PSS", "nyyy", of("RSA-PSS")}),
        {"signed by PSS", "yyyy", {rsa_root, pss}},
        weak("P-192", "nnnn", of("P-192")),
        because("small curves", weak("P-224", "nnyn", of("P-224"))),
        {"P-256", "yyyy", of("P-256")},
        {"P-384", "yyyy", of("P-384")},
        {"P-521", "yyyy", of("P-521")},
        because("small curves", weak("secp256k1", "nnyn", of("secp256k1"))),
        because("Brainpool's curves", weak("brainpoolP256r1", "ynyn", of("brainpoolP256r1"))),
        because("Brainpool's curves", refused_since_3(weak("brainpoolP512r1", "ynyn", of("brainpoolP512r1")))),
        because("Ed25519 and Ed448", {"Ed25519", "nyyy", of("ED25519")}),
        because("Ed25519 and Ed448", {"Ed448", "nyyy", of("ED448")}),
        {"a CA of RSA 1024", "nnnn", above("1024")},
        {"a CA of RSA 2048", "yyyy", above("2048")},
        {"a CA of P-192", "nnnn", above("P-192")},
        because("RSA below 2048 bits, P-224, secp256k1 and SHA-224 within a chain",
                refused_since_3({"a CA of P-224", "yyyy", above("P-224")})),
        {"a CA of P-521", "yyyy", above("P-521")},
        because("RSA below 2048 bits, P-224, secp256k1 and SHA-224 within a chain",
                refused_since_3({"a CA of secp256k1", "yyyy", above("secp256k1")})),
        {"a CA of brainpoolP384r1", "yyyy", above("brainpoolP384r1")},
        because("Ed25519 and Ed448", {"a CA of Ed25519", "nyyy", above("ED25519")}),
        because("Ed25519 and Ed448", {"a CA of Ed448", "nyyy", above("ED448")}),
        {"a root of RSA 1024", "nnnn", {{.subject = "root CA", .key = "1024"}, leaf}},
        because("Ed25519 and Ed448", {"a root of Ed25519", "nyyy", {{.subject = "root CA", .key = "ED25519"}, leaf}}),
        weak("MD5", "nnnn", {rsa_root, hashed(leaf, "MD5")}),
        weak("SHA-1", "nnnn", {rsa_root, hashed(leaf, "SHA1")}),
        because("RSA below 2048 bits, P-224, secp256k1 and SHA-224 within a chain",
                refused_since_3(weak("SHA-224", "yyyy", {rsa_root, hashed(leaf, "SHA224")}))),
        {"SHA-384", "yyyy", {rsa_root, hashed(leaf, "SHA384")}},
        {"SHA-512", "yyyy", {rsa_root, hashed(leaf, "SHA512")}},
        because("SHA-3", {"SHA3-256", "nyyy", {rsa_root, hashed(leaf, "SHA3-256")}}),
        weak("a CA by MD5", "nnnn", {rsa_root, hashed(ca, "MD5"), leaf}),
        weak("a CA by SHA-1", "nnnn", {rsa_root, hashed(ca, "SHA1"), leaf}),
        {"a root by SHA-1", "yyyy", {hashed(rsa_root, "SHA1"), leaf}},
        {"a root by MD5", "yyyy", {hashed(rsa_root, "MD5"), leaf}},
    };
}

std::vector<row> all_rows() {
    std::vector<row> all;
    for (auto part : {names(), dates(), trust(), authorities(), constraints(), extensions(), keys()})
        std::move(part.begin(), part.end(), std::back_inserter(all));
    return all;
}

template <class Client, class Server>
char decided(const chain& c, const std::string& host, std::string& why) {
    try {
        pair<Client, Server> p(client_context<Client>({.ca_pem = c.trusted}), server_context<Server>(c.server),
                               {.name = host, .port = 465});
        const bool done = p.shake() && p.talk();
        CHECK(done == p.client.explanation().empty());
        CHECK(done == p.client.facts().verified);
        why = p.client.explanation();
        return done ? 'y' : 'n';
    } catch (const error& e) {
        why = e.details().explanation;
        return 'n';
    }
}

template <class Client>
char decided(const row& r, const chain& c, std::string& why) {
    return r.server == shown_by::mbedtls ? decided<Client, tls::mbedtls_engine>(c, r.host, why)
                                         : decided<Client, tls::openssl_engine>(c, r.host, why);
}

std::string beside(const char* path) {
    const std::string own = __FILE__;
    return own.substr(0, own.rfind('/') + 1) + path;
}

std::vector<std::string> of_others(const place& folder) {
    const auto command = "python3 '" + beside("references.py") + "' '" + folder.path + "'";
    std::vector<std::string> all;
    auto* from = popen(command.c_str(), "r");
    REQUIRE(from);
    for (char line[16]; std::fgets(line, sizeof line, from);) all.emplace_back(line, 2);
    CHECK(pclose(from) == 0);
    return all;
}

}  // namespace

TEST_CASE("certificates are decided on as the table has it, by us and by others") {
    const auto rows = all_rows();
    CHECK(rows.size() >= 130);
    const place folder;
    std::vector<chain> chains;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(rows[i].what);
        CHECK(seen.insert(rows[i].what).second);
        chains.push_back(chain_of(rows[i].made, rows[i].trusted, rows[i].sent));
        const auto n = std::to_string(i);
        folder.write("trusted-" + n + ".pem", chains[i].trusted);
        folder.write("sent-" + n + ".pem", chains[i].server.certificate_pem);
        folder.write("key-" + n + ".pem", chains[i].server.key_pem);
        folder.write("host-" + n, rows[i].host);
    }
    const auto others = of_others(folder);
    REQUIRE(others.size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::string by_mbedtls, by_openssl;
        const std::string ours{decided<tls::mbedtls_engine>(rows[i], chains[i], by_mbedtls),
                               decided<tls::openssl_engine>(rows[i], chains[i], by_openssl)};
        CAPTURE(rows[i].what);
        CAPTURE(by_mbedtls);
        CAPTURE(by_openssl);
        auto expected = std::string(rows[i].decisions);
        if (rows[i].refused_since_3 && MBEDTLS_VERSION_MAJOR >= 3) expected[0] = 'n';
        CHECK(ours + others[i] == expected);
    }
}

TEST_CASE("docs/tls.md explains where decisions differ, and nothing else") {
    std::ifstream page(beside("../../docs/tls.md"));
    REQUIRE(page);
    std::set<std::string> explained, differing;
    bool in_table = false;
    for (std::string line; std::getline(page, line);) {
        in_table = line.starts_with("| certificate |") || (in_table && line.starts_with("|"));
        if (in_table) explained.insert(line.substr(2, line.find(" | ") - 2));
    }
    for (const auto& r : all_rows()) {
        CAPTURE(r.what);
        const bool alike = !r.refused_since_3 && (r.decisions == "yyyy" || r.decisions == "nnnn");
        CHECK(r.why.empty() == alike);
        if (!r.why.empty()) differing.emplace(r.why);
    }
    explained.erase("certificate");
    std::erase_if(explained, [](const std::string& cell) { return cell.starts_with("--"); });
    CHECK(explained == differing);
}

#endif

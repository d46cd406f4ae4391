// A published key against the private one.
#include <postroad/core/base64.hpp>
#include <postroad/message/dkim_check.hpp>
#include <postroad/net/dkim_check.hpp>
#include <postroad/testing/scripted_resolver.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

using postroad::dkim_key;
using postroad::dkim_signature;
using postroad::dkim_signer;
using postroad::key_check;
using postroad::secret;
using postroad::txt_answer;

namespace {

const std::string pem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDscJmSjs5k6q4L\n"
    "eMcwb2gXWnMuLaHy5NM+cUaP7MGDDKwLqaBMzryXbcS4vmHrTt+bc565hVWAQ5Sp\n"
    "hAPr+Cq48ClZ/BWPS3+4afVn4d3KcPg+iIqQTglAN3ot5uDOPBW+jFvdxeh9coV5\n"
    "wsJYxI3Gfg+kIx3ashh12ZtgEKwYghjjBITgizMcKnwHTTsDsbIi4qE0k1icKUSp\n"
    "oG2rih6P+2KUAllZU4HdM6CUMOg+as9XPUMz4UvC28/C33NB+pYozrnCwLO+Vtyr\n"
    "4k5nE7J4sMaerQ3mP2IP585faoTAj5SUkE4eSkjOmzTDb+tA/OKTXx60fpYGpNH5\n"
    "5DnVfWU3AgMBAAECggEACad/XdCe9NfwS1+fIocqBOoYkeYjGrvlNEOD0hSkwike\n"
    "TUub1AcNBFHjGngLn4QU9U//Ryv+lcIsq89MKbJ0bCDCT35Pkw5OJMWO07MRT1bV\n"
    "jBgfME0/a3PYdU9cFo+1g5ZPmfqex6CJerNNJDrCXzx+fwFAEtH61bUQ9xc3L7js\n"
    "G00ZGGK/m5xrxRYM14flMiAVdtWEOqqIbftUKchCHV6NNutZuHONBVFN033Bj7Ps\n"
    "JMuSEyRDBsl/G3Rueme2uYKnAqVNAsdcsXLZt1SvAQBZW7Adw4qhnXqmEUerEcE1\n"
    "jtIAhEOub2nBr9XGQIEtvJnLuk8+nnDo6upJaROPoQKBgQD5S7Cnjbzx6o753PVG\n"
    "35bE+6t7Uk0iXeGRsaZYJ089CQI8EGe8N/LRJ13tiNN2bWyUsNMIXkAAtsCa8rmU\n"
    "dw9FhCdBhFIlYbVAjdznnG5ZD1a4DyWaqk35bkMj7D1CoCiRdI6Bhb8JPC52QozU\n"
    "+InXrnKoNROUEjGDWNHFeA4cmwKBgQDyzGb1q/sGzbryJAwAnhp5ZXd5aE2ScnC6\n"
    "9I5Z6BBqXTMRU7eiga/CnL1KgH/IinEKv7KpKfl6+IphHFduZtXHJqCIMQJLxXHT\n"
    "6H4FASMFcpj4XOB4n8eWikaTHUt0gGxvakkJmtIqOsbyZJ8oDM8MoyaYi2D4OiPG\n"
    "azFrPfatlQKBgQCZJQpMpCHiazmR/U8gTtKMCB78Dz8bUZj0q7GIjf17fUFGLL3N\n"
    "PoGIQyrMdTWSlv4RCd9aUKv4xEvl5B5lOg7Dob+L3AGqvS9fjMab8dlIFMgtIgDz\n"
    "1pM4G6hbNREdEM5bLMMuhj8pKTNRquhhHJ1xRdVhx9lTKSoJilKzgGEK6QKBgFT2\n"
    "C81J+hR+Zz2WOZD5wj/arr0QL5zgaOwy6aEyYJQnutgEWI0IHo3WNTLd1llBgJ8H\n"
    "R6iEZKWQVTP4K+wZFhOTQ7eEls4W8Gb7wyVTKYMdf8PhFDeBieD20A1owd+plMhE\n"
    "A/zVbVeTq8xkQ4FLQiSk7ruQgkU6awxitC9XxnslAoGBANUuQDBMDnebcrv0BVjx\n"
    "RhwnYsaky1ZFA6gFqozSeDpm8qCZisTiqRjOsA44EoAl3AVbUvF3FrdBfwzHPoz7\n"
    "gOL3aX6qSOYWsyim+4pX0fxHL/djJl1T+rt1t3EL+X2VW7f21lQPiy5sCK8/XFJ0\n"
    "TadrxhF6TjwRjXEjaGhWpg8N\n"
    "-----END PRIVATE KEY-----\n";

dkim_signature rsa() {
    return {.domain = "example.com", .selector = "s1", .key = dkim_key::rsa(secret(pem)), .identity = "@a.example.com"};
}

dkim_key elsewhere(std::string algorithm, std::string public_key) {
    return {std::move(algorithm), [](std::span<const unsigned char, 32>) { return std::string(64, 'k'); },
            std::move(public_key)};
}

key_check check(const std::string& record, const dkim_signature& s = rsa()) {
    return check_key(s, {.records = {record}});
}

}  // namespace

TEST_CASE("a key that stands in the DNS as we write it is good") {
    const auto s = rsa();
    const auto record = key_record(s.key);
    CHECK(record.starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"));
    CHECK(key_name(s) == "s1._domainkey.example.com");
    const auto p = s.key.public_key();
    std::string octets;
    REQUIRE(postroad::base64_decode(p, octets));
    const auto bare = postroad::base64_encode(octets.substr(24));  // RSAPublicKey, as RFC 6376 has it
    for (const auto& good : {record, record + ";", "p=" + p, "p=" + bare, " v = DKIM1 ;\tk=rsa; s=*; p=" + p,
                             "v=DKIM1; h=sha1:SHA256; s=other:email; t=x; n=a note; g=*; p=" + p,
                             "p=" + p.substr(0, 100) + "\r\n " + p.substr(100) + " ;"}) {
        CAPTURE(good);
        const auto found = check(good);
        CHECK(found.what == key_check::good);
        CHECK(found.why.empty());
        CHECK(found.name == "s1._domainkey.example.com");
        CHECK(found.record == record);
    }
}

TEST_CASE("what keeps verifiers from a key is said") {
    const auto key = rsa().key.public_key();
    const auto p = "p=" + key;
    const std::pair<std::string, std::string> rows[] = {
        {"v=DKIM2; " + p, "DKIM1"},
        {p + "; v=DKIM1", "first"},
        {"k=ed25519; " + p, "ed25519"},
        {"h=sha1; " + p, "SHA-256"},
        {"s=tlsrpt; " + p, "mail"},
        {"t=s; " + p, "@a.example.com"},
        {"v=DKIM1", "no key"},
        {"v=DKIM1; p=", "revoked"},
        {"p= ; k=rsa", "revoked"},
        {"p=!", "base64"},
        {"p=" + key.substr(0, 236), "cut off after 236 of 392"},
        {"p=" + key.substr(0, 40), "cut off"},
        {"p=AAAA" + key.substr(4), "another pair"},
        {"p=MAAA", "another pair"},
        {"v=DKIM1\\; " + p, "backslashes"},
        {p + "; " + p, "no list of tags"},
        {"v=spf1 -all", "DKIM1"},
        {"hello\x1b[31m", "hello\\x1b"},
        {";" + p, "no list of tags"},
        {"", "no list of tags"},
        {p + "; n=" + std::string(9000, 'x'), "longer"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.first);
        const auto found = check(row.first);
        CAPTURE(found.why);
        CHECK(found.what == key_check::bad);
        CHECK(found.why.find(row.second) != std::string::npos);
        CHECK(found.why.size() < 300);
    }
    CHECK(check_key(rsa(), {}).what == key_check::bad);
    const auto two = check_key(rsa(), {.records = {p, p}});
    CHECK(two.what == key_check::bad);
    CHECK(two.why.find("2 TXT records") != std::string::npos);
    auto within = rsa();
    within.identity = "ann@example.com";
    CHECK(check("t=s; " + p, within).what == key_check::good);
    within.identity = "";
    CHECK(check("t=s; " + p, within).what == key_check::good);
}

TEST_CASE("what may be held against a key, and what nobody knows, is told apart") {
    auto s = rsa();
    const auto testing =
        check("t=s:y; p=" + s.key.public_key(), {.domain = "example.com", .selector = "s1", .key = s.key});
    CHECK(testing.what == key_check::notice);
    CHECK(testing.why.find("t=y") != std::string::npos);
    s.key = elsewhere("rsa-sha256", postroad::base64_encode(std::string(162, '0')));
    CHECK(check("p=" + s.key.public_key(), s).what == key_check::notice);
    s.key = elsewhere("ed25519-sha256", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    CHECK(check("k=ed25519; p=" + s.key.public_key(), s).what == key_check::good);
    CHECK(check("p=" + s.key.public_key(), s).what == key_check::bad);
    CHECK(key_record(s.key) == "v=DKIM1; k=ed25519; p=" + s.key.public_key());
    s.key = elsewhere("rsa-sha256", "");
    CHECK(check("p=MIIB", s).what == key_check::unknown);
    CHECK(check("p=", s).what == key_check::bad);
    CHECK(check("p=MIIB", s).record.empty());
    const auto failed = check_key(s, {.records = {"p="}, .failure = "SERV\nFAIL"});
    CHECK(failed.what == key_check::unknown);
    CHECK(failed.why == "the look-up failed: SERV\\x0aFAIL");
}

TEST_CASE("each signature of a signer is looked up, by a function or a resolver") {
    const auto key = dkim_key::rsa(secret(pem));
    const dkim_signer signer(std::vector<dkim_signature>{{.domain = "b\xc3\xbc"
                                                                    "cher.example",
                                                          .selector = "s1",
                                                          .key = key},
                                                         {.domain = "example.com", .selector = "s2", .key = key},
                                                         {.domain = "example.com", .selector = "gone", .key = key}});
    std::vector<std::string> asked;
    const auto found = check_keys(signer, [&](const std::string& name) -> txt_answer {
        asked.push_back(name);
        if (name.starts_with("gone")) return {.failure = "no answer"};
        return {.records = {key_record(key)}};
    });
    CHECK(asked == std::vector<std::string>{"s1._domainkey.xn--bcher-kva.example", "s2._domainkey.example.com",
                                            "gone._domainkey.example.com"});
    REQUIRE(found.size() == 3);
    CHECK(found[0].what == key_check::good);
    CHECK(found[1].what == key_check::good);
    CHECK(found[2].what == key_check::unknown);

    postroad::testing::scripted_resolver dns;
    dns.txt("s1._domainkey.xn--bcher-kva.example", key_record(key));  // of two strings
    dns.fail("s2._domainkey.example.com", postroad::net::record_type::txt);
    std::vector<key_check> answered;
    int times = 0;
    postroad::net::check_keys(dns, signer, [&](std::vector<key_check> all) {
        answered = std::move(all);
        ++times;
    });
    CHECK(times == 1);
    REQUIRE(answered.size() == 3);
    CHECK(answered[0].what == key_check::good);
    CHECK(answered[1].what == key_check::unknown);
    CHECK(answered[1].why.starts_with("the look-up failed: "));
    CHECK(answered[2].what == key_check::bad);
}

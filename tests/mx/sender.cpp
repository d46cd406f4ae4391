// What large receivers look at in a sender.
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/sender_domain.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace postroad;
using testing::scripted_resolver;
using transport::examined_sender;
using transport::finding_kind;

namespace {

// Made for this test.
const std::string pem =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIEogIBAAKCAQEAjgpb597IyGVzWlPDFjommDoj0eK2QnimXNsfsyhfFpEA3KwS\n"
    "w7vh4hUmpaNqLpgWUmq4kyWxnY9/RNplCSDIYLx47rbkIRRaJfCwcjeYPbtOFTe6\n"
    "d/WUISzyJssKOE7JZZdaAjIicqf7nQ4SDF6t60JSTCcKOZbFyb6FkZW04LPAdVNH\n"
    "HC/CnmbG/UbF1HG8s2zGuFMSoFqObjm3iHlQKnAm3/nJmThAp5oPL99fysTuYNIM\n"
    "8VQa0aHMrrdzwkLO4Aqpmf7dpVb7I8xmvRdpvIUpg0vvzhzySQAcpvVlVSipBEsC\n"
    "RBDBuAfE6eQXakDeVbeOdUpcuNQAF7LxaifvYwIDAQABAoIBAAwveqekvDLnnoLJ\n"
    "nCXvAoVID5n09M/ftoimyncTPT0cCX06TI3QM4EIHChU9vSyWs/ilJ0YZxQY+GvO\n"
    "v0uOLW08c19/VIjl9xSO1oRQnVXxGLIcoCRPGXsodkm6XNEXKT327bjcgN9h5pBt\n"
    "tuyqvrQ9HKmoe78UXo7VMnOalUmQNspTF5a4DozSWFn6+IJjWKdM0EDmLQp/HJq5\n"
    "RRTpaGwbbOSzQlNQCQCJ1yxoHD/33yjXfXbL9k0YaMUIysOTk2JmN0rEhBRiO3dX\n"
    "BmcUc6+dTWQW/PU9bBFY8RvQ4dJHQ47ISPzcHSyJFBr99OLHIeajmwHosUyY9eH6\n"
    "+1CYkOkCgYEAxCmqojmW/gMVtpk6zzTIGfmwbkf0M9yi/46ZywX8+qE4RDomnc9N\n"
    "FyHYyhg6fmfA+FRlAtlt7cp3vHPNFDtOapuJWsQ3hXeKk+YHMGCGm1Db/nCGSNRw\n"
    "/GZcLdADRHvRV6Kvsc4GxqnmQ9239lSU+UeMQwt305DoiV8kYZsWs20CgYEAuV5J\n"
    "eDIgzrSPzNnbAjP4HfAcYQrjleWSO1vfvT0Obu9a5mQRmF+VVXsfZisO9PZWrExy\n"
    "GEV1PDPziVt2BBSq0+o3f5Ir31b2AwczJ7nDNN24gzTvSDn9+zFZzNZ15roOZavs\n"
    "V7WZFqI09oDmdGBEs7FxBW/BXEcg0kZSTv1RnA8Cf1aWDbuNsBhvRCZVfJ/5rFnK\n"
    "3RXQrPo3abtkNn5nJkN65ls3T9RYrK6JQifyid9B7OuwVOXtE5jixfdpJhzIENT9\n"
    "0qM9+UPwgDrITmQMN15XUsP850k+fKDsjcOrDcYs4TrNlL/nMRZ/6CQMuicBLsDZ\n"
    "1A/EACBi1kHMvUJYMq0CgYEAs8JtuPPTwOB0+xDhQ7emC1JIEwt+PGTOdGXaCSfm\n"
    "kUnoerfcIEnBBY5Kmsdyz7b7wka39jWVRPaUW0WoorhwGOVvQHU9um4YUENxJjsM\n"
    "xH2nawWwbfhfBnOLRAtNdpxDTfF1VnEyrjJK7il+UqjwttmCYuVHO/d2KrQrKZKa\n"
    "y50CgYEAqXalOZMKbxzcyXU1TGeb8r0WtD5pkVYJch1zX3W5G3xc2jWW7PPQYCbb\n"
    "CVtgEio3zmuA3ZnBHn1R723CGHp43rD2JQOAG4l8PnEBzUruaoNDHdtu3t0n5qoB\n"
    "rJHUc9ef6+KoYzxR78+4H0BEjKA45HqNiy2yiO8FrzMG5/o0NK4=\n"
    "-----END RSA PRIVATE KEY-----\n";
const std::string published =
    "v=DKIM1; k=rsa; "
    "p="
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjgpb597IyGVzWlPDFjommDoj0eK2QnimXNsfsyhfFpEA3KwSw7vh4hUmpaNqLpgWUmq4ky"
    "WxnY9/RNplCSDIYLx47rbkIRRaJfCwcjeYPbtOFTe6d/WUISzyJssKOE7JZZdaAjIicqf7nQ4SDF6t60JSTCcKOZbFyb6FkZW04LPAdVNHHC/"
    "CnmbG/UbF1HG8s2zGuFMSoFqObjm3iHlQKnAm3/"
    "nJmThAp5oPL99fysTuYNIM8VQa0aHMrrdzwkLO4Aqpmf7dpVb7I8xmvRdpvIUpg0vvzhzySQAcpvVlVSipBEsCRBDBuAfE6eQXakDeVbeOdUpcuNQA"
    "F7LxaifvYwIDAQAB";
const std::string of_another =
    "v=DKIM1; "
    "p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwyqAD9C1et9WMcM2JU2tjfjUVAKlmn4+hPKd64+"
    "NAYIn8LeRbqmgiuOc7vgHYRyuowIJ7NzzwxxqM7x9nbfOg1ZjadN0cWM1aG/"
    "itAEYxmlSgPIxFIZkQEzhPKnM9l5xFTObzZgJc+HCuWN+LQ9rMM1AbQlOWjej8XMXF9zzOl3+Gy+amSulb9cPU+"
    "ClF4SycmhyjGxJIVfg6ZrStevO8o4DBa3xaB3xS6jCHgyhuDfvh1WmvW7jWeU1jC7te43849R3ywvWT9J9v8c+"
    "28p9DJwSkRnpkgif3CndbcaBvvRDT8cmYQwDh9P8kzEcZFr+e4Glq+PexvH1y9m5caIv7QIDAQAB";

dkim_key key() { return dkim_key::rsa(secret(pem)); }

transport::dns_lookup asking(scripted_resolver& dns) {
    return [&dns](const std::string& name, net::record_type type) {
        net::dns_answer found;
        dns.ask(name, type, [&](net::dns_answer a) { found = std::move(a); });
        return found;
    };
}

// Everything is as it should be; a test takes something away.
struct world {
    scripted_resolver dns;
    examined_sender facts{.address = "203.0.113.7",
                          .client_name = "out1.example.com",
                          .from = "ann@example.com",
                          .reverse_path = "bounce@mail.example.com",
                          .signatures = {{.domain = "example.com", .selector = "s1", .key = key()}},
                          .header =
                              "From: ann@example.com\r\nList-Unsubscribe: <https://example.com/u/7>\r\n"
                              "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"};

    world() {
        ptr("out1.example.com");
        dns.address("out1.example.com", "203.0.113.7");
        dns.txt("mail.example.com", "v=spf1 ip4:203.0.113.0/24 -all");
        dns.txt("s1._domainkey.example.com", published);
        dns.txt("_dmarc.example.com", "v=DMARC1; p=reject");
        dns.mx("mail.example.com", 10, "in.example.com").address("in.example.com", "203.0.113.8");
        dns.mx("example.com", 10, "in.example.com");
    }
    void ptr(const std::string& name) {
        const auto at = net::reverse_name("203.0.113.7");
        dns.forget(at).record(at, net::record_type::ptr, *net::to_labels(name));
    }
    transport::finding find(std::string_view about) {
        for (auto& f : look_at_sender(facts, asking(dns)))
            if (f.about == about) return f;
        return {.about = "missing"};
    }
};

}  // namespace

TEST_CASE("a sender that has all is good everywhere") {
    world w;
    const auto all = look_at_sender(w.facts, asking(w.dns));
    REQUIRE(all.size() == 8);
    for (const auto& f : all) {
        CAPTURE(f.about);
        CAPTURE(f.text);
        CHECK(f.how == finding_kind::good);
        CHECK(f.advice.empty());
    }
    CHECK(w.find("DMARC").text.find("SPF and DKIM") != std::string::npos);
}

TEST_CASE("an address needs a name that leads back to it, and EHLO says that name") {
    world w;
    SUBCASE("no name") {
        w.dns.forget(net::reverse_name("203.0.113.7"));
        CHECK(w.find("PTR").how == finding_kind::bad);
        CHECK(w.find("PTR").advice.find("Gmail") != std::string::npos);
    }
    SUBCASE("a name that leads elsewhere") {
        w.ptr("dynamic-7.isp.example");
        CHECK(w.find("PTR").how == finding_kind::bad);
        CHECK(w.find("PTR").text.find("dynamic-7.isp.example") != std::string::npos);
    }
    SUBCASE("EHLO says another") {
        w.facts.client_name = "other.example.com";
        CHECK(w.find("EHLO").how == finding_kind::bad);
        CHECK(w.find("PTR").how == finding_kind::good);
    }
    SUBCASE("EHLO says an address") {
        w.facts.client_name = "[203.0.113.7]";
        CHECK(w.find("EHLO").how == finding_kind::bad);
    }
    SUBCASE("an address that is translated on the way says nothing") {
        w.facts.address = "10.0.0.7";
        CHECK(w.find("PTR").how == finding_kind::notice);
        CHECK(w.find("PTR").advice.find("own=") != std::string::npos);
        CHECK(w.find("SPF").about == "missing");
    }
    SUBCASE("a resolver that fails") {
        w.dns.fail(net::reverse_name("203.0.113.7"), net::record_type::ptr);
        CHECK(w.find("PTR").how == finding_kind::notice);
    }
}

TEST_CASE("a name that all neighbours of the address have one like is told") {
    world w;
    for (const auto* name : {"203-0-113-7.isp.example", "dsl7.isp.example"}) {
        w.ptr(name);
        w.dns.address(name, "203.0.113.7");
        const auto f = w.find("PTR");
        CHECK(f.how == finding_kind::notice);
        CHECK(f.text.find(name) != std::string::npos);
        CHECK(f.advice.find("Comcast") != std::string::npos);
    }
    CHECK(w.find("PTR").text.find("\"dsl\" stands in names of homes") != std::string::npos);
}

TEST_CASE("the domains of a sender take mail themselves") {
    world w;
    const auto of_path = [&] { return w.find("MX"); };
    CHECK(of_path().text == "mail.example.com takes mail: in.example.com");
    SUBCASE("without MX records it is the domain's own address") {
        w.dns.forget("mail.example.com").address("mail.example.com", "203.0.113.9");
        CHECK(of_path().how == finding_kind::good);
        CHECK(of_path().text == "mail.example.com takes mail: it has an address");
    }
    SUBCASE("no such name, or nothing there") {
        w.dns.forget("mail.example.com");
        CHECK(of_path().how == finding_kind::bad);
        CHECK(of_path().advice.find("5.1.8") != std::string::npos);
        w.dns.txt("mail.example.com", "v=spf1 -all");
        CHECK(of_path().how == finding_kind::bad);
    }
    SUBCASE("it says that it takes none") {
        w.dns.forget("mail.example.com").mx("mail.example.com", 0, "");
        CHECK(of_path().how == finding_kind::bad);
        CHECK(of_path().text.find("takes no mail by intent") != std::string::npos);
        CHECK(of_path().advice.find("5.7.27") != std::string::npos);
    }
    SUBCASE("servers without an address, or with one that strangers cannot reach") {
        w.dns.forget("in.example.com");
        CHECK(of_path().how == finding_kind::bad);
        w.dns.address("in.example.com", "10.0.0.8");
        CHECK(of_path().how == finding_kind::bad);
        w.dns.mx("mail.example.com", 20, "in2.example.com").address("in2.example.com", "2606:4700::1");
        CHECK(of_path().how == finding_kind::good);
    }
    SUBCASE("a resolver that fails says nothing of it") {
        w.dns.fail("in.example.com", net::record_type::a);
        CHECK(of_path().how == finding_kind::notice);
        w.dns.fail("mail.example.com", net::record_type::mx);
        CHECK(of_path().how == finding_kind::notice);
    }
    SUBCASE("a null reverse path has none, and that of From is looked at all the same") {
        w.facts.reverse_path = "";
        w.dns.forget("example.com");
        CHECK(of_path().text.find("example.com has") == 0);
        CHECK(of_path().how == finding_kind::bad);
    }
    SUBCASE("one domain is told once, an address literal not at all") {
        w.facts.reverse_path = "bounce@example.com";
        CHECK(look_at_sender(w.facts, asking(w.dns)).size() == 7);
        w.facts.reverse_path = "bounce@[203.0.113.7]";
        CHECK(of_path().text.find("example.com takes") == 0);
    }
}

TEST_CASE("SPF names the address, or the term that is to be added") {
    world w;
    w.facts.address = "198.51.100.9";
    const auto f = w.find("SPF");
    CHECK(f.how == finding_kind::bad);
    CHECK(f.text.find("fail") != std::string::npos);
    CHECK(f.advice.find("ip4:198.51.100.9") != std::string::npos);
    w.dns.forget("mail.example.com");
    CHECK(w.find("SPF").advice.find("v=spf1 ip4:198.51.100.9 -all") != std::string::npos);
    // A null reverse path is judged by the name in EHLO.
    w.facts.reverse_path = "";
    w.dns.txt("out1.example.com", "v=spf1 a ip4:198.51.100.9 -all");
    CHECK(w.find("SPF").how == finding_kind::good);
}

TEST_CASE("the key that is published is the one that signs") {
    world w;
    w.dns.forget("s1._domainkey.example.com").txt("s1._domainkey.example.com", of_another);
    CHECK(w.find("DKIM").how == finding_kind::bad);
    CHECK(w.find("DKIM").advice.find(published) != std::string::npos);
    CHECK(w.find("DMARC").text.find("by SPF") != std::string::npos);
    w.facts.signatures.front().selector = "s2";
    CHECK(w.find("DKIM").how == finding_kind::bad);
    w.dns.fail("s2._domainkey.example.com", net::record_type::txt);
    CHECK(w.find("DKIM").how == finding_kind::notice);
    w.facts.signatures.clear();
    CHECK(w.find("DKIM").how == finding_kind::notice);
}

TEST_CASE("DMARC counts what is aligned with From") {
    world w;
    SUBCASE("no record") {
        w.dns.forget("_dmarc.example.com");
        CHECK(w.find("DMARC").how == finding_kind::bad);
        CHECK(w.find("DMARC").advice.find("Outlook.com since May 2025") != std::string::npos);
    }
    SUBCASE("that of a domain above") {
        w.facts.from = "ann@news.example.com";
        CHECK(w.find("DMARC").how == finding_kind::good);
        w.dns.forget("_dmarc.example.com").txt("_dmarc.example.com", "v=DMARC1; p=reject; sp=none");
        CHECK(w.find("DMARC").text.find("says none") != std::string::npos);
    }
    SUBCASE("its own, below a domain that has one, too: all of that belongs together") {
        w.facts.from = "ann@news.example.com";
        w.dns.txt("_dmarc.news.example.com", "v=DMARC1; p=quarantine");
        w.facts.signatures.front().domain = "mail.example.com";
        w.dns.txt("s1._domainkey.mail.example.com", published);
        CHECK(w.find("DMARC").text == "DMARC of news.example.com says quarantine; mail is aligned by SPF and DKIM");
        CHECK(w.find("DKIM").how == finding_kind::good);
        // Nobody above has one, or it says that it is not of them.
        w.dns.forget("_dmarc.example.com");
        CHECK(w.find("DMARC").how == finding_kind::bad);
        w.dns.txt("_dmarc.example.com", "v=DMARC1; p=none; psd=y");
        CHECK(w.find("DMARC").how == finding_kind::bad);
        w.dns.forget("_dmarc.example.com").txt("_dmarc.example.com", "v=DMARC1; p=none");
        CHECK(w.find("DMARC").how == finding_kind::good);
        w.dns.forget("_dmarc.news.example.com").txt("_dmarc.news.example.com", "v=DMARC1; p=quarantine; psd=n");
        CHECK(w.find("DMARC").how == finding_kind::bad);
    }
    SUBCASE("that of whoever is above the organizations") {
        w.facts.from = "ann@x.example.gov.test";
        w.dns.txt("_dmarc.gov.test", "v=DMARC1; p=reject; psd=y");
        w.facts.signatures.front().domain = "mail.example.gov.test";
        w.dns.txt("s1._domainkey.mail.example.gov.test", published).txt("s1._domainkey.other.gov.test", published);
        CHECK(w.find("DMARC").how == finding_kind::good);
        w.facts.signatures.front().domain = "other.gov.test";
        CHECK(w.find("DMARC").how == finding_kind::bad);
    }
    SUBCASE("of a name with many labels, eight are asked") {
        w.facts.from = "ann@a.b.c.d.e.f.g.h.example.com";
        CHECK(w.find("DMARC").text.starts_with("DMARC of example.com says reject; mail is aligned by"));
    }
    SUBCASE("neither is aligned") {
        w.facts.from = "ann@example.net";
        w.dns.txt("_dmarc.example.net", "v=DMARC1; p=reject");
        CHECK(w.find("DMARC").how == finding_kind::bad);
        w.dns.forget("_dmarc.example.net").txt("_dmarc.example.net", "v=DMARC1; p=none");
        CHECK(w.find("DMARC").how == finding_kind::notice);
    }
    SUBCASE("strictly") {
        w.dns.forget("_dmarc.example.com").txt("_dmarc.example.com", "v=DMARC1; p=reject; aspf=s");
        CHECK(w.find("DMARC").text.find("by DKIM") != std::string::npos);
    }
    SUBCASE("several, or malformed") {
        w.dns.txt("_dmarc.example.com", "v=DMARC1; p=none");
        CHECK(w.find("DMARC").how == finding_kind::bad);
        w.dns.forget("_dmarc.example.com").txt("_dmarc.example.com", "v=DMARC1; p=maybe");
        CHECK(w.find("DMARC").text.find("malformed") != std::string::npos);
    }
    SUBCASE("without a policy that is one, but with somebody to report to: none") {
        for (const auto* record :
             {"v=DMARC1; rua=mailto:d@example.com", "v=DMARC1; p=maybe; rua=mailto:d@example.com"}) {
            w.dns.forget("_dmarc.example.com").txt("_dmarc.example.com", record);
            CHECK(w.find("DMARC").text.find("says none") != std::string::npos);
        }
        w.dns.forget("_dmarc.example.com").txt("_dmarc.example.com", "v=DMARC1; rua=nobody");
        CHECK(w.find("DMARC").text.find("malformed") != std::string::npos);
    }
    SUBCASE("of another version is no record") {
        w.dns.forget("_dmarc.example.com").txt("_dmarc.example.com", "v=DMARC10; p=reject");
        CHECK(w.find("DMARC").text.find("no record") != std::string::npos);
        w.dns.forget("_dmarc.example.com").txt("_dmarc.example.com", "v=DMARC1 ; p=reject");
        CHECK(w.find("DMARC").text.find("says reject") != std::string::npos);
    }
}

TEST_CASE("one click needs both fields, and https:") {
    world w;
    w.facts.header = "Subject: x\r\n";
    CHECK(w.find("one click").how == finding_kind::notice);
    w.facts.header =
        "List-Unsubscribe: <mailto:u@example.com>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
    CHECK(w.find("one click").how == finding_kind::bad);
    w.facts.header = "List-Unsubscribe: <https://example.com/u>\r\n";
    CHECK(w.find("one click").how == finding_kind::bad);
    w.facts.header.clear();
    CHECK(w.find("one click").about == "missing");
}

// A provider that is connected by one family only: beside what all mail leaves by, and where it leaves from.
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>

using namespace postroad;
using net::address_family;
using mx = transport::basic_mx<testing::scripted_resolver>;

namespace {

struct world {
    std::shared_ptr<testing::scripted_resolver> dns = std::make_shared<testing::scripted_resolver>();
    transport::mx_options options{
        .client_name = "out.sender.example",
        .providers = {{.provider = "p", .servers = {".p.example"}, .family = address_family::ipv4}}};

    world() {
        dns->mx("d.example", 10, "a.p.example").address("a.p.example", "2606:4700::1");
        dns->mx("both.example", 10, "b.p.example").address("b.p.example", "9.9.9.9");
        dns->address("b.p.example", "2606:4700::2");
    }
    transport::located locate(const std::string& domain) {
        const mx direct(options, dns);
        transport::located found;
        envelope e;
        direct.locate(direct.route(e, address("bob@" + domain)), [&](transport::located l) { found = std::move(l); });
        return found;
    }
};

}  // namespace

TEST_CASE("where all mail leaves by the other family, the rule is refused, and the same one says nothing new") {
    world w;
    w.options.dialing.family = address_family::ipv6;
    try {
        (void)w.locate("both.example");
        FAIL("it was taken");
    } catch (const error& e) {
        CHECK(e.code() == errc::contradiction);
        CHECK(e.details().explanation.find("the rule for p") != std::string::npos);
    }
    w.options.dialing.family = address_family::ipv4;
    CHECK(w.locate("both.example").where.servers.at(0).addresses.all.size() == 1);
    CHECK(w.locate("d.example").why.find("by which mail leaves here") != std::string::npos);
}

TEST_CASE("mail leaves from the source of the group that has the family of the rule") {
    world w;
    w.options.sources = {{.name = "six", .addresses = {"2606:4700::53"}}, {.name = "four", .addresses = {"9.9.9.1"}}};
    const auto l = w.locate("both.example");
    REQUIRE_FALSE(l.error);
    CHECK(l.where.servers.at(0).source == "four");
    CHECK(l.where.servers.at(0).addresses.all.at(0) == "9.9.9.9");
    // Where there is none, mail waits.
    w.options.sources.pop_back();
    CHECK(w.locate("both.example").error == errc::resolve_failed);
    CHECK(w.locate("both.example").why.find("the source six has no address of a family") != std::string::npos);
}

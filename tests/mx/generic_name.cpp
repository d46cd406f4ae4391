// Names that a provider gave to all of its addresses.
#include <postroad/transport/generic_name.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>

using postroad::transport::generic_words;
using postroad::transport::why_generic;

namespace {

struct sample {
    std::string_view name;
    std::string_view address = "203.0.113.7";
};

}  // namespace

TEST_CASE("a name that is made of its address is generic, however it is written") {
    for (const auto& s : std::initializer_list<sample>{
             {"203-0-113-7.isp.example"},
             {"7.113.0.203.static.isp.example"},
             {"ip-203.0.113.7.isp.example"},
             {"host7-113-0.isp.example"},
             {"c-203-0-113.isp.example"},
             {"h203000113007.isp.example"},
             {"203-000-113-007.isp.example"},
             {"cb007107.isp.example"},
             {"ipcb007107.a.isp.example"},
             {"2001-db8--7.isp.example", "2001:db8::7"},
             {"20010db8000000000000000000000007.isp.example", "2001:db8::7"},
             {"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.isp.example", "2001:db8::7"},
         }) {
        CAPTURE(s.name);
        CHECK(why_generic(s.name, s.address) == "it is made of the address");
    }
}

TEST_CASE("words of home connections and the like make a name generic") {
    CHECK(why_generic("dsl12.isp.example", "203.0.113.7") == "\"dsl\" stands in names of homes and their lines");
    for (const auto* name : {"dynamic.isp.example", "pool-12.isp.example", "x.dhcp.isp.example", "a-dyn-b.isp.example",
                             "client7.isp.example", "a.dialup.b.isp.example"}) {
        CAPTURE(name);
        CHECK_FALSE(why_generic(name, "203.0.113.7").empty());
    }
}

TEST_CASE("the name of a mail server is none, whatever digits and words are in it by chance") {
    for (const auto& s : std::initializer_list<sample>{
             {"out1.example.com"},
             {"mail7.113.example.com"},
             {"mta-203-0.example.com"},
             {"o1.ptr7.sendgrid.example.com"},
             {"mail.cable.example"},
             {"dsl.example"},
             {"dynamics.mail.example.com"},
             {"liverpool.example.com"},
             {"mx"},
             {""},
             {"."},
             {"out1.example.com", "2001:db8::7"},
             {"mx7.example.com", "::7"},
             {"out1.example.com", ""},
             {"out1.example.com", "no address"},
             {"99999999999999999999.99999999999999999999.1.example.com"},
         }) {
        CAPTURE(s.name);
        CHECK(why_generic(s.name, s.address) == "");
    }
}

TEST_CASE("each word is there once, in lower case, with what it tells") {
    std::set<std::string_view> seen;
    for (const auto& w : generic_words()) {
        CAPTURE(w.word);
        CHECK(seen.insert(w.word).second);
        CHECK(w.of.starts_with("of "));
        CHECK(w.word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string_view::npos);
    }
}

#include <doctest/doctest.h>

#include <postroad/transport/discard.hpp>
#include <postroad/transport/maildir.hpp>
#include <postroad/transport/smtp.hpp>

#include <string>

#include "rig.hpp"
#include "rules.hpp"
#include "scratch_folder.hpp"

using namespace engine_test;
using rules_test::broke;
using rules_test::listed;
using testing::check_transport;
using transport::discard;

namespace {

// Each breaks one promise of discard.
template <class Session>
struct with : discard {
    using session_type = Session;
    session_type make_session(const endpoint&, const std::string&) const { return {}; }
};
struct nowhere : discard {
    std::vector<endpoint> hosts(const std::string&) const { return {}; }
};
struct restless : discard {
    std::string route(const envelope&) const { return std::to_string(++calls); }
    mutable int calls = 0;
};
struct silent : discard::session_type {
    void submit(const smtp::transaction&, time_point) {}
};
struct forgetful : discard::session_type {
    void submit(const smtp::transaction& t, time_point now) {
        auto all_of_them = t;
        all_of_them.recipients.clear();
        discard::session_type::submit(all_of_them, now);
    }
};
struct endless : discard::session_type {
    void quit(time_point) {}
};
struct open_behind_the_end : discard::session_type {
    std::size_t room() const { return 1; }
};

}  // namespace

TEST_CASE("our transports keep the rules of their axis") {
    const scratch_folder d;
    CHECK(listed(check_transport([] { return discard{}; })) == "");
    CHECK(listed(check_transport([&] { return transport::maildir{d.path.string()}; })) == "");
    CHECK(listed(check_transport([] { return transport::smtp{"smtp://mail.example.com"}; })) == "");
    CHECK(listed(check_transport([] { return by_domain{}; })) == "");
}

TEST_CASE("the suite finds transports that break a rule") {
    CHECK(broke(check_transport([] { return nowhere{}; }), "hosts() names at least one server"));
    CHECK(broke(check_transport([] { return restless{}; }), "route() is the same for the same envelope"));
    CHECK(broke(check_transport([] { return with<silent>{}; }), "submit() ends with finished, of its id"));
    CHECK(broke(check_transport([] { return with<forgetful>{}; }), "finished has the recipients that were asked for"));
    CHECK(broke(check_transport([] { return with<endless>{}; }), "the end is closed, with its reason"));
    CHECK(broke(check_transport([] { return with<open_behind_the_end>{}; }), "room() is 0 after closed"));
}

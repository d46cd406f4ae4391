// The code of docs/suppression.md.
#include <doctest/doctest.h>

#include <postroad/engine/bounce_counter.hpp>
#include <postroad/postroad.hpp>
#include <postroad/queueing/suppression_csv.hpp>

#if __has_include(<sqlite3.h>)
#include <postroad/queueing/suppression_sqlite.hpp>
#endif

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

postroad::suppression::time today() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace

#if __has_include(<sqlite3.h>)
void at_the_door(postroad::mailer<>& mail, const postroad::message& newsletter) {
    //[use_suppression
    const auto suppressed = std::make_shared<postroad::suppression::sqlite>("suppressed.db");
    mail.suppress_by(suppressed);
    const auto outcome = mail.send(newsletter, {.tenant = "acme"});
    for (const auto& r : outcome.recipients)
        if (r.error == postroad::errc::suppressed) std::puts(r.why.c_str());
    //]
}
#endif

void count_bounces(postroad::mailer<>& mail, const std::shared_ptr<postroad::suppression::memory>& suppressed) {
    //[count_bounces
    mail.observe(std::make_shared<postroad::bounce_counter<postroad::suppression::memory>>(suppressed));
    //]
}

TEST_CASE("the entries of the page") {
    postroad::suppression::memory suppressed;
    const auto now = today();
    //[add_suppression
    const std::vector<postroad::suppression::entry> some{
        {.address = postroad::address("bob@example.org"), .source = "his letter of 1 March"},
        {.address = postroad::address("cid@example.org"),
         .of = {.list = "news.example.com"},
         .why = postroad::suppression::reason::unsubscribed},
        {.address = postroad::address("dan@example.org"), .until = now + std::chrono::hours(24 * 30)}};
    suppressed.add(some, now);
    suppressed.remove(postroad::address("dan@example.org"), {});
    //]
    CHECK(suppressed.size() == 2);
}

TEST_CASE("the reports of the page about suppression") {
    postroad::suppression::memory suppressed(postroad::suppression::options{.bounces = 1});
    const auto now = today();
    const std::string came_back =
        "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
        "Final-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.1.1\n--b--\n";
    //[feed_suppression
    if (const auto report = postroad::parse_delivery_report(came_back))
        postroad::suppression::suppress_reported(suppressed, *report, {}, now);
    //]
    CHECK(suppressed.size() == 1);
}

TEST_CASE("the CSV of the page") {
    postroad::suppression::memory suppressed;
    const auto now = today();
    const std::string octets = "email;reason\nbob@example.org;complaint\nnobody;\n";
    std::string faults;
    //[import_suppression
    postroad::suppression::csv_import in(suppressed, {.source = "the old system"}, [&](const auto& row) {
        faults += "line " + std::to_string(row.line) + ": " + row.fault + '\n';
    });
    in.push(octets, now);
    const auto done = in.end(now);  // done.added, done.known, done.faults
    //]
    CHECK(done.added == 1);
    CHECK(faults.starts_with("line 3: 'nobody': "));
}

namespace {

//[own_suppression
class customers {
public:
    explicit customers(std::map<std::string, bool> wants_mail) : wants_mail_(std::move(wants_mail)) {}

    std::optional<postroad::suppression::entry> find(const postroad::address& a, const postroad::suppression::scope&,
                                                     postroad::suppression::time) const {
        const auto found = wants_mail_.find(key_of(a, postroad::suppression::local_parts::ignoring_case));
        if (found == wants_mail_.end() || found->second) return {};
        return postroad::suppression::entry{.address = a, .source = "the customer's settings"};
    }

private:
    std::map<std::string, bool> wants_mail_;
};
static_assert(postroad::suppression::list<customers>);
//]

}  // namespace

TEST_CASE("the list of the page") {
    const customers c({{"bob@example.org", false}, {"cid@example.org", true}});
    CHECK(c.find(postroad::address("Bob@example.org"), {}, today()));
    CHECK_FALSE(c.find(postroad::address("cid@example.org"), {}, today()));
    CHECK_FALSE(c.find(postroad::address("eve@example.org"), {}, today()));
}

// A scheduling policy of one's own: what a server greylists is tried again soon, everything else is left to the caller.

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>

namespace {

/// First come, first served, like the default; only the verdict differs.
struct greylist_retry : postroad::scheduling::fifo {
    postroad::duration wait = std::chrono::minutes(5);

    postroad::verdict judge(const postroad::job& j, postroad::time_point now) const {
        const bool greylisted = std::ranges::any_of(j.result.recipients, [](const auto& r) {
            return r.status == postroad::status::deferred && r.reply.enhanced == postroad::enhanced_code{4, 7, 1};
        });
        if (!greylisted || j.result.attempts >= 3) return {};
        return {postroad::verdict::kind::retry, postroad::after(now, wait)};
    }
};

static_assert(postroad::scheduling::scheduling_policy<greylist_retry>);

}  // namespace

int main() {
    try {
        using postroad::testing::parse_fault;
        postroad::testing::sink server{{.faults = {parse_fault("rcpt@bob:1:451 4.7.1 come back later"),
                                                   parse_fault("rcpt@cid:0:452 4.2.2 mailbox full")}}};
        greylist_retry policy;
        policy.wait = std::chrono::milliseconds(1);
        postroad::mailer mail{postroad::transport::smtp{server.url()}, policy};
        const auto hello = [](const char* to) {
            return postroad::message{}.from("ann@example.com").to(to).subject("Hello").text("Hello!");
        };
        const auto bob = mail.send(hello("bob@example.org"));
        const auto cid = mail.send(hello("cid@example.org"));
        for (const auto* o : {&bob, &cid})
            std::cout << o->recipients.at(0).address << ": " << to_string(o->recipients.at(0).status) << " after "
                      << o->attempts << " attempts\n";
        return bob.all_accepted() && bob.attempts == 2 && cid.attempts == 1 ? 0 : 1;
    } catch (const postroad::error& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}

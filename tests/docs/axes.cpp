// The code of docs/transport.md, docs/pooling.md, docs/queueing.md and docs/scheduling.md.
#include <doctest/doctest.h>

#include <postroad/postroad.hpp>
#include <postroad/testing/policy_suites.hpp>
#include <postroad/testing/sink.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

postroad::message invoice(const std::string& to = "bob@b.example", const std::string& text = "Hello Bob") {
    return postroad::message{}.from("ann@a.example").to(to).subject("Your invoice").text(text);
}

}  // namespace

void compose_each_axis() {
    //[use_smtp_options
    postroad::transport::smtp relay{{.server = {"relay.example.com", 465, postroad::security::implicit},
                                     .credentials = {.user = "shop", .password = postroad::secret("p@ss/word")},
                                     .client_name = "shop.example.com",
                                     .pipelining = postroad::smtp::pipelining::window,
                                     .timeouts = {.content = std::chrono::minutes(20)}}};
    postroad::mailer mail{std::move(relay)};
    //]
    //[use_maildir
    postroad::mailer local{postroad::transport::maildir{"/var/mail/shop"}};
    //]
    //[use_keep_alive
    postroad::mailer many{postroad::transport::smtp{"smtp://relay.example.com"},
                          postroad::pooling::keep_alive{.max_connections = 20, .idle = std::chrono::seconds(10)}};
    //]
    //[use_memory
    postroad::mailer patient{
        postroad::transport::smtp{"smtp://relay.example.com"},
        postroad::queueing::memory{.capacity = 5000, .when_full = postroad::queueing::when_full::wait}};
    //]
    //[use_fifo
    postroad::mailer stubborn{
        postroad::transport::smtp{"smtp://relay.example.com"},
        postroad::scheduling::fifo{.retry = {.attempts = 6, .first_wait = std::chrono::minutes(10)}}};
    //]
}

//[split
/// Mail to one domain goes to a server of its own, all other mail to a relay.
class split {
public:
    using axis = postroad::axis::transport;
    using session_type = postroad::smtp::session;
    static constexpr bool needs_wire = true;

    split(std::string domain, std::string_view inside_url, std::string_view outside_url)
        : domain_(std::move(domain)), inside_(inside_url), outside_(outside_url) {}

    std::string_view route(const postroad::envelope&, const postroad::address& to) const noexcept {
        return to.domain() == domain_ ? "inside" : "outside";
    }
    std::vector<postroad::endpoint> hosts(const std::string& destination) const {
        return {(destination == "inside" ? inside_ : outside_).options().server};
    }
    postroad::net::dialing dialing() const { return {.timeout = std::chrono::seconds(10)}; }
    session_type make_session(const postroad::endpoint& host, std::string nonce,
                              const postroad::transport::lessons& known) const {
        const auto& inside = inside_.options().server;
        const bool is_inside = host.name == inside.name && host.port == inside.port;
        return (is_inside ? inside_ : outside_).make_session(host, std::move(nonce), known);
    }

private:
    std::string domain_;
    postroad::transport::smtp inside_;
    postroad::transport::smtp outside_;
};

static_assert(postroad::transport::transport_policy<split>);
//]

TEST_CASE("the transport of the page goes where the domain says") {
    CHECK(postroad::testing::check_transport([] { return split("b.example", "smtp://in", "smtp://out"); }).empty());
    postroad::testing::sink inside;
    postroad::testing::sink outside;
    postroad::mailer mail{split("b.example", inside.url(), outside.url())};
    mail.send(invoice("bob@b.example")).require_accepted();
    mail.send(invoice("cid@c.example")).require_accepted();
    mail.send(invoice("dee@d.example")).require_accepted();
    CHECK(inside.messages().size() == 1);
    CHECK(outside.messages().size() == 2);
}

//[one_each
/// One connection to each destination, kept while it is used at least once a minute.
struct one_each {
    using axis = postroad::axis::pooling;
    using connection_id = postroad::pooling::connection_id;
    using host_id = postroad::pooling::host_id;

    postroad::duration idle = std::chrono::minutes(1);

    postroad::pooling::decision acquire(host_id h, postroad::time_point) {
        const auto c = std::ranges::find(connections_, h, &entry::host);
        if (c == connections_.end()) return {postroad::pooling::advice::open};
        if (c->until == postroad::never) return {postroad::pooling::advice::wait_here};
        c->until = postroad::never;
        return {postroad::pooling::advice::reuse, c->id};
    }
    void opening(connection_id id, host_id h) { connections_.push_back({id, h}); }
    postroad::pooling::fate carried(connection_id) const { return postroad::pooling::fate::keep; }
    postroad::pooling::fate released(connection_id id, postroad::time_point now) {
        std::ranges::find(connections_, id, &entry::id)->until = postroad::after(now, idle);
        return postroad::pooling::fate::keep;
    }
    void refused(connection_id, postroad::time_point) {}
    void closed(connection_id id) {
        std::erase_if(connections_, [id](const entry& c) { return c.id == id; });
    }
    std::optional<connection_id> expire(postroad::time_point now) {
        const auto c = std::ranges::find_if(connections_, [now](const entry& e) { return e.until <= now; });
        if (c == connections_.end()) return std::nullopt;
        c->until = postroad::never;
        return c->id;
    }
    postroad::time_point wakeup() const {
        auto at = postroad::never;
        for (const auto& c : connections_) at = std::min(at, c.until);
        return at;
    }

    struct entry {
        connection_id id = 0;
        host_id host = 0;
        postroad::time_point until = postroad::never;  // of an idle one
    };
    std::vector<entry> connections_ = {};
};

static_assert(postroad::pooling::pooling_policy<one_each>);
//]

TEST_CASE("the pool of the page has one connection") {
    CHECK(postroad::testing::check_pooling([] { return one_each{}; }, 3).empty());
    postroad::testing::sink server{{.delay = std::chrono::milliseconds(1)}};
    postroad::mailer mail{postroad::transport::smtp{server.url()}, one_each{}};
    std::vector<postroad::ticket> tickets;
    for (int i = 0; i < 10; ++i) tickets.push_back(mail.submit(invoice()));
    for (const auto& t : tickets) CHECK(t.wait().all_accepted());
    CHECK(server.state().counts().connections_ever == 1);
}

//[by_tenant
/// The queue in memory, of which no tenant gets more than its part.
class by_tenant {
public:
    using axis = postroad::axis::queueing;
    static constexpr bool keeps = true;

    explicit by_tenant(std::size_t each) : each_(each) {}

    postroad::error_code enqueue(postroad::job& j) {
        const std::scoped_lock lock(counts_->mutex);
        const auto tenant = j.tenant;
        auto& held = counts_->held[tenant];
        if (held == each_) return postroad::errc::queue_full;
        const auto ec = jobs_.enqueue(j);
        if (!ec) ++held;
        return ec;
    }
    postroad::queueing::when_full full() const { return postroad::queueing::when_full::refuse; }
    void lease(std::size_t n, postroad::time_point now, std::vector<postroad::job>& out) { jobs_.lease(n, now, out); }
    void settle(const postroad::job& j) {
        jobs_.settle(j);
        release(j);
    }
    void put_back(postroad::job&& j) { jobs_.put_back(std::move(j)); }
    std::optional<postroad::job> take(postroad::job_id id) {
        auto j = jobs_.take(id);
        if (j) release(*j);
        return j;
    }
    postroad::time_point next_due() const { return jobs_.next_due(); }
    std::size_t size() const { return jobs_.size(); }

private:
    struct counts {
        std::mutex mutex;  // enqueue() comes from any thread
        std::unordered_map<std::string, std::size_t> held;
    };
    void release(const postroad::job& j) {
        const std::scoped_lock lock(counts_->mutex);
        --counts_->held[j.tenant];
    }

    std::size_t each_;
    postroad::queueing::memory jobs_;
    std::unique_ptr<counts> counts_ = std::make_unique<counts>();  // a policy can be moved, a mutex cannot
};

static_assert(postroad::queueing::queueing_policy<by_tenant>);
//]

TEST_CASE("the queue of the page is full for a tenant that has its part") {
    // the trial's messages are of one tenant
    const auto broken = postroad::testing::check_queueing([] { return by_tenant(10); }, 10);
    CHECK(broken == postroad::testing::broken_rules{});
    by_tenant queue(1);
    const auto job_of = [](postroad::job_id id, const char* tenant) {
        postroad::job j;
        j.id = id;
        j.mail = std::make_shared<const postroad::mail_object>();
        j.tenant = tenant;
        return j;
    };
    auto first = job_of(1, "a");
    auto second = job_of(2, "a");
    auto other = job_of(3, "b");
    CHECK(!queue.enqueue(first));
    CHECK(queue.enqueue(second) == postroad::errc::queue_full);
    CHECK(!queue.enqueue(other));
}

//[small_first
/// The smallest message goes next.
struct small_first {
    using axis = postroad::axis::scheduling;
    using host_id = postroad::scheduling::host_id;

    postroad::scheduling::retry retry = {};

    void admit(const postroad::job& j, host_id h, postroad::time_point) {
        lines_[h].emplace(j.mail->content.size(), j.id);
    }
    std::optional<postroad::job_id> next(host_id h, postroad::time_point now) {
        if (waiting(h, now) == 0) return std::nullopt;
        auto& line = lines_[h];
        return line.extract(line.begin()).value().second;
    }
    std::size_t waiting(host_id h, postroad::time_point) const {
        const auto found = lines_.find(h);
        return found == lines_.end() ? 0 : found->second.size();
    }
    void withdraw(postroad::job_id id, host_id h) {
        std::erase_if(lines_[h], [id](const auto& entry) { return entry.second == id; });
    }
    postroad::verdict judge(const postroad::job& j, postroad::time_point now) const { return retry.judge(j, now); }
    postroad::time_point wakeup() const { return postroad::never; }

    std::map<host_id, std::set<std::pair<std::uint64_t, postroad::job_id>>> lines_ = {};
};

static_assert(postroad::scheduling::scheduling_policy<small_first>);
//]

TEST_CASE("the scheduler of the page sends the smallest message next") {
    CHECK(postroad::testing::check_scheduling([] { return small_first{}; }).empty());
    small_first scheduler;
    for (const auto& [id, text] : {std::pair{1u, "middle"}, {2u, "the longest"}, {3u, "a"}}) {
        postroad::job j;
        j.id = id;
        j.mail = std::make_shared<const postroad::mail_object>(invoice("b@b.example", text).freeze({}));
        scheduler.admit(j, 0, {});
    }
    CHECK(scheduler.next(0, {}) == 3u);
    CHECK(scheduler.next(0, {}) == 1u);
    CHECK(scheduler.next(0, {}) == 2u);
}

// Transports without a wire: sessions that another library drives, and what every session is given.
#include <postroad/postroad.hpp>
#include <postroad/transport/deferred_session.hpp>

#include <asio/use_future.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

// Another library: does what it is given on threads of its own, in its own time.
struct library {
    std::mutex mutex;
    std::vector<std::jthread> threads;
    std::set<std::string> nonces;

    void go(std::function<void()> what) {
        const std::scoped_lock lock(mutex);
        threads.emplace_back(std::move(what));
    }
};

struct by_library {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;

    std::shared_ptr<library> to;
    std::string how;
    std::size_t at_a_time = 1;

    class session_type : public transport::deferred_session {
    public:
        explicit session_type(const by_library& t) : deferred_session(t.at_a_time), to_(t.to), how_(t.how) {}
        void submit(const smtp::transaction& t, time_point) {
            auto done = begin(t);
            const auto accept = [](const ending& end) { end({status::accepted, {.code = 250}}); };
            if (how_ == "at once") return accept(done);
            if (how_ == "dropped") return;
            if (how_ == "twice") accept(done);
            if (how_ == "throws") throw std::runtime_error("the library is not there");
            if (how_ == "never") return to_->go([done = std::move(done)] {});
            to_->go([done = std::move(done), accept] { accept(done); });
        }

    private:
        std::shared_ptr<library> to_;
        std::string how_;
    };

    std::string_view route(const envelope&) const noexcept { return "library"; }
    std::vector<endpoint> hosts(const std::string&) const { return {{.name = "library"}}; }
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string& nonce) const {
        const std::scoped_lock lock(to->mutex);
        to->nonces.insert(nonce);
        return session_type(*this);
    }
};
static_assert(transport::transport_policy<by_library>);

}  // namespace

TEST_CASE("what another library does later, on its threads, is an outcome") {
    for (const std::string how : {"later", "at once", "twice"})
        for (const std::size_t at_a_time : {1U, 3U}) {
            CAPTURE(how);
            mailer mail{by_library{std::make_shared<library>(), how, at_a_time}};
            std::vector<std::future<outcome>> all;
            for (int i = 0; i < 40; ++i) all.push_back(mail.async_send(hello(), asio::use_future));
            for (auto& f : all) CHECK(f.get().all_accepted());
            mail.shutdown(1h);
        }
}

TEST_CASE("what it forgets, or never ends, is in doubt") {
    for (const std::string how : {"dropped", "never"}) {
        CAPTURE(how);
        mailer mail{by_library{std::make_shared<library>(), how}};
        error_code ec;
        const auto o = mail.send(hello(), {}, ec);
        REQUIRE(o.recipients.size() == 1);
        CHECK(o.recipients[0].status == status::in_doubt);
        mail.shutdown(1h);
    }
}

TEST_CASE("what it cannot begin was not attempted") {
    mailer mail{by_library{std::make_shared<library>(), "throws"}};
    error_code ec;
    const auto o = mail.send(hello(), {}, ec);
    CHECK(ec == errc::policy_failed);
    CHECK(o.details.explanation == "the library is not there");
}

TEST_CASE("it may answer when the mailer is gone") {
    const auto l = std::make_shared<library>();
    std::promise<void> go;
    const auto ready = go.get_future().share();
    struct slow : by_library {
        std::shared_future<void> when;
        class session_type : public transport::deferred_session {
        public:
            explicit session_type(const slow& t) : to_(t.to), when_(t.when) {}
            void submit(const smtp::transaction& t, time_point) {
                to_->go([done = begin(t), w = when_] {
                    w.wait();
                    done({status::accepted, {.code = 250}});
                });
            }

        private:
            std::shared_ptr<library> to_;
            std::shared_future<void> when_;
        };
        session_type make_session(const endpoint&, const std::string&) const { return session_type(*this); }
    };
    {
        mailer mail{slow{{l, "later"}, ready}};
        error_code ec;
        auto o = mail.send(hello(), {.give_up_after = 10ms}, ec);
        // On a busy machine it may be over before it began.
        if (o.all_are(status::not_attempted)) o = mail.send(hello(), {.give_up_after = 10s}, ec);
        CHECK(o.recipients.at(0).status == status::in_doubt);
        CHECK(ec == errc::timed_out);
        (void)mail.submit(hello());
    }
    go.set_value();
    l->threads.clear();
}

TEST_CASE("every session has a nonce of its own, also in the next run") {
    const auto l = std::make_shared<library>();
    for (int run = 0; run < 3; ++run) {
        mailer mail{by_library{l, "at once"}, pooling::one_shot{}};
        for (int i = 0; i < 3; ++i) mail.send(hello()).require_accepted();
    }
    CHECK(l->nonces.size() == 9);
    for (const auto& n : l->nonces) CHECK(n.size() >= 18);
}

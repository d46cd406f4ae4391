#include <doctest/doctest.h>

#include <postroad/queueing/direct.hpp>
#include <postroad/queueing/memory.hpp>

#include "rules.hpp"

using namespace postroad;
using queueing::memory;
using rules_test::broke;
using rules_test::listed;
using testing::check_queueing;

namespace {

// Each breaks one promise of the queue it is made from.
struct takes_more : memory {
    error_code enqueue(job& j) { return lines_->enqueue(j, capacity + 1, octets); }
};
struct empties_refused_jobs : memory {
    error_code enqueue(job& j) {
        auto mine = std::move(j);
        return memory::enqueue(mine);
    }
};
struct leases_too_many : memory {
    void lease(std::size_t n, time_point now, std::vector<job>& out) { memory::lease(n + 1, now, out); }
};
struct leases_too_early : memory {
    void lease(std::size_t n, time_point, std::vector<job>& out) { memory::lease(n, never, out); }
};
struct clears_the_list : memory {
    void lease(std::size_t n, time_point now, std::vector<job>& out) {
        out.clear();
        memory::lease(n, now, out);
    }
};
struct newest_first : memory {
    void lease(std::size_t n, time_point now, std::vector<job>& out) {
        const auto had = static_cast<std::ptrdiff_t>(out.size());
        memory::lease(n, now, out);
        std::reverse(out.begin() + had, out.end());
    }
};
struct never_due : memory {
    time_point next_due() const { return never; }
};
struct always_due : memory {
    time_point next_due() const { return time_point::min(); }
};
struct counts_only_waiting : memory {
    void lease(std::size_t n, time_point now, std::vector<job>& out) {
        memory::lease(n, now, out);
        for (std::size_t i = 1; i < out.size(); ++i) settle(out[i]);
    }
};
struct cannot_take : memory {
    std::optional<job> take(job_id) { return std::nullopt; }
};
struct forgets_state : memory {
    void put_back(job&& j) {
        j.returns = 0;
        memory::put_back(std::move(j));
    }
};

struct parts_last : memory {
    void divide(job&& whole, std::vector<job>&& parts) {
        memory::divide(std::move(whole), std::move(parts));
        for (auto& j : memory::take_parts(whole.whole ? whole.whole : whole.id)) (void)lines_->enqueue(j, 100, octets);
    }
};
struct counts_parts : memory {
    void divide(job&& whole, std::vector<job>&& parts) {
        for (auto& p : parts) p.whole = 0;
        memory::divide(std::move(whole), std::move(parts));
    }
    std::size_t size() const { return memory::size() + (lines_->next_due() == never ? 0 : 1); }
};
struct loses_a_part : memory {
    void divide(job&& whole, std::vector<job>&& parts) {
        parts.pop_back();
        memory::divide(std::move(whole), std::move(parts));
    }
};
struct keeps_the_whole : memory {
    void divide(job&& whole, std::vector<job>&&) { put_back(std::move(whole)); }
};
struct begins_anew : memory {
    void divide(job&& whole, std::vector<job>&& parts) {
        for (auto& p : parts)
            for (auto& r : p.result.recipients) r.status = status::not_attempted;
        memory::divide(std::move(whole), std::move(parts));
    }
};
struct forgets_who_waits : memory {
    void divide(job&& whole, std::vector<job>&& parts) {
        whole.waiter = nullptr;
        memory::divide(std::move(whole), std::move(parts));
    }
};
struct takes_no_parts : memory {
    std::vector<job> take_parts(job_id) { return {}; }
};

template <class Queue>
bool caught(const char* rule) {
    return broke(check_queueing([] { return Queue{{.capacity = 20}}; }, 20), rule);
}

}  // namespace

TEST_CASE("our queues keep the rules of their axis") {
    CHECK(listed(check_queueing([] { return memory{}; })) == "");
    CHECK(listed(check_queueing([] { return memory{.capacity = 1}; }, 1)) == "");
    CHECK(listed(check_queueing([] { return memory{.capacity = 50}; }, 50)) == "");
    CHECK(listed(check_queueing([] { return queueing::direct{}; })) == "");
}

TEST_CASE("the suite finds queues that break a rule") {
    CHECK(caught<takes_more>("enqueue() takes as many as fit, and no more"));
    CHECK(caught<empties_refused_jobs>("enqueue() takes the job, or leaves it alone"));
    CHECK(caught<leases_too_many>("lease() gives no more than was asked for"));
    CHECK(caught<leases_too_early>("lease() gives nothing before it is due"));
    CHECK(caught<clears_the_list>("lease() appends"));
    CHECK(caught<newest_first>("lease() gives the oldest first"));
    CHECK(caught<never_due>("next_due() is not later than the earliest job"));
    CHECK(caught<always_due>("next_due() is never when there is nothing to lease"));
    CHECK(caught<always_due>("lease() has something when next_due() says so"));
    CHECK(caught<counts_only_waiting>("size() counts what waits and what is leased"));
    CHECK(caught<cannot_take>("take() takes what is not leased, and nothing else"));
    CHECK(caught<forgets_state>("a job comes back as it was"));
    CHECK(caught<parts_last>("the parts of a message come before what is fresh"));
    CHECK(caught<counts_parts>("the parts of a message count as one"));
    CHECK(caught<loses_a_part>("a part has its recipients, and what became of them"));
    CHECK(caught<keeps_the_whole>("divide() leaves no whole"));
    CHECK(caught<begins_anew>("a part has its recipients, and what became of them"));
    CHECK(caught<forgets_who_waits>("who waits is told once, when the last part is over"));
    CHECK(caught<takes_no_parts>("take_parts() takes the parts that are not leased"));
}

// Pages that a bad disk has changed: no job is lost in silence, and no message goes out that is not as it was.
#include "seeds.hpp"
#include "sqlite/outbox.hpp"

#include <postroad/queueing/sqlite_journal.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>

using namespace sqlite_test;

namespace {

constexpr std::size_t page = 4096;

std::string text_of(job_id id) {
    return "Subject: " + std::to_string(id) + "\r\n\r\n" + std::string((id * 7919) % 9000, 'x') + "\r\n";
}
std::string recipient_of(job_id id) { return "r" + std::to_string(id) + "@y.example"; }

std::string octets_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// Jobs in each state; returns their ids.
std::set<job_id> fill(const std::string& path) {
    const auto now = clock::now();
    std::set<job_id> ids;
    outbox box({.path = path});
    box.start();
    const auto add = [&](duration delay) {
        auto j = outbox::make({});
        j.mail = mail_with(text_of(j.id), {recipient_of(j.id)});
        if (delay > 0s) j.due = now + delay;
        j.tag = j.id % 2 == 0 ? "even" : "";
        ids.insert(j.id);
        REQUIRE_FALSE(box.submit(std::move(j)));
    };
    for (int i = 0; i < 12; ++i) add(0s);
    int n = 0;
    for (auto& j : box.lease(12, now)) {
        name_recipients(j);
        j.error = errc::timed_out;
        if (++n % 3 == 0)
            box.queue.settle(j);
        else
            box.queue.keep(std::move(j), n % 3 == 1 ? job_state::held : job_state::in_doubt);
    }
    for (int i = 0; i < 40; ++i) add(i % 4 == 0 ? 1h : 0s);
    return ids;
}

struct found {
    bool loud = false;
    std::set<job_id> seen = {};
    bool wrong = false;  // something was given out that nobody had queued
};

void lease_all(outbox& box, found& f, time_point now) {
    std::vector<job> out;
    // Until there is nothing more, or what it says is that it is damaged.
    (void)box.wait(
        [&] {
            out.clear();
            box.queue.lease(100, now, out);
            for (auto& j : out) {
                f.seen.insert(j.id);
                const content::reader all(j.mail->content);
                const bool as_it_was = !all.failed() && whole(j) == text_of(j.id) &&
                                       j.mail->envelope.recipients.at(0).str() == recipient_of(j.id);
                if (!as_it_was && !all.failed()) f.wrong = true;
            }
            auto probe = outbox::make(mail_with("\r\n"));
            probe.due = now + 1000h;
            f.loud = f.loud || box.submit(std::move(probe)) == errc::storage_damaged;
            return f.loud || box.queue.drained(now);
        },
        20s);
}

// What the journal shows is what became of that message, or says that it cannot be read.
bool journal_lies(const std::string& path) {
    try {
        for (const auto& e : queueing::sqlite_journal(path).find({}, 1000).entries)
            if (!e.recipients.empty() && e.recipients[0].address != recipient_of(e.id)) return true;
        (void)queueing::sqlite_journal(path).find({.recipient = "r1@y.example"});
        (void)queueing::sqlite_journal(path).find({.since = queueing::journal_time()});
    } catch (const error& e) {
        return e.code() != errc::storage_damaged && e.code() != errc::storage_failed;
    }
    return false;
}

found look_at(const std::string& path) {
    found f;
    try {
        outbox box({.path = path});
        const auto now = clock::now() + 2h;
        box.start();
        lease_all(box, f, now);
        // Once around for what the sender looks at beside its work.
        for (int i = 0; i < 3 && !f.loud; ++i)
            f.loud = box.submit(outbox::make(mail_with("\r\n"))) == errc::storage_damaged;
        for (std::size_t s = 0; s < queueing::job_states; ++s)
            for (const auto& j : box.list({.state = static_cast<job_state>(s)}, now)) f.seen.insert(j.id);
    } catch (const error& e) {
        if (e.code() == errc::storage_damaged) f.loud = true;
    }
    f.wrong = f.wrong || journal_lies(path);
    return f;
}

}  // namespace

TEST_CASE("whichever page is damaged, no job is lost in silence, and none goes out changed") {
    const folder f;
    const auto ids = fill(f.file());
    const auto octets = octets_of(f.file());
    REQUIRE(octets.size() > 30 * page);
    const auto seed = any_seed();
    CAPTURE(seed);
    std::mt19937 random(seed);
    struct kind {
        const char* how;
        std::function<void(std::string&, std::size_t)> damage;
    };
    const kind kinds[] = {
        {"zeroed",
         [](std::string& all, std::size_t at) { std::fill_n(all.begin() + static_cast<long>(at), page, '\0'); }},
        {"another's",
         [](std::string& all, std::size_t at) { all.replace(at, page, all.substr((at + page) % all.size(), page)); }},
        {"one bit",
         [&](std::string& all, std::size_t at) {
             auto& c = all[at + random() % page];
             c = static_cast<char>(c ^ (1 << random() % 8));
         }},
        {"a few octets",
         [&](std::string& all, std::size_t at) {
             for (int i = 0; i < 8; ++i) all[at + random() % page] = static_cast<char>(random());
         }},
    };
    for (const auto& k : kinds)
        for (std::size_t at = 0; at < octets.size(); at += page) {
            CAPTURE(k.how);
            CAPTURE(at);
            const folder g;
            auto changed = octets;
            k.damage(changed, at);
            std::ofstream(g.file(), std::ios::binary) << changed;
            const auto all = look_at(g.file());
            CHECK_FALSE(all.wrong);
            CHECK((all.loud || std::ranges::includes(all.seen, ids)));
        }
}

TEST_CASE("a content that is looked for in the wrong place is not an empty message") {
    const folder f;
    const auto ids = fill(f.file());
    const auto root =
        static_cast<std::size_t>(number(f.file(), "SELECT rootpage FROM sqlite_schema WHERE name = 'parts'") - 1) *
        page;
    const auto octets = octets_of(f.file());
    const auto octet = [&](std::size_t at) { return static_cast<unsigned char>(octets.at(at)); };
    REQUIRE(octet(root) == 5);  // it has children
    const auto cells = octet(root + 3) * 256U + octet(root + 4);
    REQUIRE(cells > 10);
    for (std::size_t i = 0; i < cells; ++i) {
        CAPTURE(i);
        // Behind the number of the child the highest key in it, whose last octet has no highest bit.
        auto at = root + octet(root + 12 + 2 * i) * 256U + octet(root + 13 + 2 * i) + 4;
        while (octet(at) >= 128) ++at;
        const folder g;
        auto changed = octets;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        std::ofstream(g.file(), std::ios::binary) << changed;
        const auto all = look_at(g.file());
        CHECK_FALSE(all.wrong);
        CHECK((all.loud || std::ranges::includes(all.seen, ids)));
    }
}

TEST_CASE("a page that keeps an outcome from being stored is told of") {
    for (const std::string name : {"outcomes", "outcomes_of", "outcomes_at", "journal"}) {
        CAPTURE(name);
        const folder f;
        const auto now = clock::now();
        {
            outbox other({.path = f.file(), .submit_only = true});
            auto j = outbox::make(mail_with("\r\n"));
            j.waiter = std::make_unique<promised>(std::promise<told>());
            REQUIRE_FALSE(other.submit(std::move(j)));
        }
        const auto root = number(f.file(), "SELECT rootpage FROM sqlite_master WHERE name = '" + name + "'");
        std::fstream file(f.file(), std::ios::binary | std::ios::in | std::ios::out);
        file.seekp((root - 1) * static_cast<long>(page)).write(std::string(page, '\0').data(), page);
        file.close();
        bool loud = false;
        try {
            outbox box({.path = f.file()});
            box.start();
            loud = box.wait([&] {
                std::vector<job> out;
                box.queue.lease(1, now, out);
                for (auto& j : out) {
                    name_recipients(j);
                    box.queue.settle(j);
                }
                auto probe = outbox::make(mail_with("\r\n"));
                probe.due = now + 1000h;
                return box.submit(std::move(probe)) == errc::storage_damaged;
            });
        } catch (const error& e) {
            loud = e.code() == errc::storage_damaged;
        }
        CHECK(loud);
    }
}

TEST_CASE("a table whose places are none any more is damaged, not empty") {
    for (const auto* word : {"INTEGER PRIOARY", "INTEGFR PRIMARY"}) {
        CAPTURE(word);
        const folder f;
        (void)fill(f.file());
        execute(f.file(),
                "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(sql, 'place INTEGER "
                "PRIMARY', 'place " +
                    std::string(word) + "')");
        CHECK(look_at(f.file()).loud);
    }
}

TEST_CASE("a job that is in an index and nowhere else is not lost in silence") {
    const folder f;
    (void)fill(f.file());
    const auto change_index = [&](const std::string& sql) {
        execute(f.file(), "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = " + sql + " WHERE name = 'ids'");
    };
    // SQLite leaves the index alone while it is one of other jobs.
    change_index("sql || ' WHERE place = -5'");
    execute(f.file(), "DELETE FROM jobs WHERE place = (SELECT max(place) FROM jobs)");
    change_index("replace(sql, ' WHERE place = -5', '')");
    CHECK(look_at(f.file()).loud);
}

TEST_CASE("wherever bits of a file are wrong, nothing crashes, no job is lost in silence, and none goes out changed") {
    const folder f;
    const auto ids = fill(f.file());
    const auto octets = octets_of(f.file());
    const auto seed = any_seed();
    const char* const given = std::getenv("POSTROAD_FLIPS");
    const auto flips = given ? std::strtoul(given, nullptr, 10) : 60;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (unsigned long n = 0; n < flips; ++n) {
        CAPTURE(n);
        const folder g;
        auto changed = octets;
        for (auto some = 1 + random() % 3; some > 0; --some) {
            auto& c = changed[random() % changed.size()];
            c = static_cast<char>(c ^ (1 << random() % 8));
        }
        std::ofstream(g.file(), std::ios::binary) << changed;
        const auto all = look_at(g.file());
        CHECK_FALSE(all.wrong);
        CHECK((all.loud || std::ranges::includes(all.seen, ids)));
    }
}

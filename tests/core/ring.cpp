#include <doctest/doctest.h>

#include <postroad/core/ring.hpp>

#include <deque>
#include <memory>
#include <random>
#include <string>

using postroad::ring;

TEST_CASE("a ring gives back in the order it took, across the end of its memory") {
    ring<int> r;
    std::deque<int> model;
    std::mt19937 random(1);
    for (int i = 0; i < 5000; ++i) {
        if (model.empty() || random() % 100 < 52) {
            r.push_back(i);
            model.push_back(i);
        } else {
            REQUIRE(r.pop_front() == model.front());
            model.pop_front();
        }
        REQUIRE(r.size() == model.size());
        REQUIRE(r.empty() == model.empty());
        for (std::size_t k = 0; k < model.size(); k += 7) REQUIRE(r[k] == model[k]);
        if (!model.empty()) {
            REQUIRE(r.front() == model.front());
            REQUIRE(r.back() == model.back());
        }
    }
}

TEST_CASE("a ring that is full grows, also when it does not begin at its first slot") {
    ring<int> r;
    for (int i = 0; i < 8; ++i) r.push_back(i);
    for (int i = 0; i < 3; ++i) CHECK(r.pop_front() == i);
    for (int i = 8; i < 12; ++i) r.push_back(i);
    for (int i = 3; i < 12; ++i) CHECK(r.pop_front() == i);
    CHECK(r.empty());
}

TEST_CASE("a ring adds an element as it is made, also where another one was") {
    ring<std::string> r;
    for (int round = 0; round < 20; ++round) {
        CHECK(r.emplace_back().empty());
        r.back() = "x";
        CHECK(r.emplace_back().empty());
        CHECK(r.pop_front() == "x");
        r.back() = "y";
        r.drop_front();
    }
    CHECK(r.empty());
}

TEST_CASE("a ring keeps nothing alive that was taken out") {
    const auto p = std::make_shared<int>(1);
    ring<std::shared_ptr<int>> r;
    r.push_back(p);
    r.push_back(p);
    CHECK(p.use_count() == 3);
    (void)r.pop_front();
    CHECK(p.use_count() == 2);
    r.clear();
    CHECK(p.use_count() == 1);
    CHECK(r.empty());
}

TEST_CASE("elements of a ring keep their place until it grows") {
    ring<int> r;
    r.push_back(1);
    const int* place = &r.front();
    for (int i = 2; i <= 8; ++i) r.push_back(i);
    CHECK(&r.front() == place);
}

TEST_CASE("a ring takes what can only be moved") {
    ring<std::unique_ptr<int>> r;
    for (int i = 0; i < 20; ++i) r.push_back(std::make_unique<int>(i));
    ring<std::unique_ptr<int>> other = std::move(r);
    for (int i = 0; i < 20; ++i) CHECK(*other.pop_front() == i);
}

TEST_CASE("a ring that is polled gives all it has, then nothing") {
    ring<int> r;
    CHECK_FALSE(r.poll());
    for (int i = 0; i < 9; ++i) r.push_back(i);
    for (int i = 0; i < 9; ++i) CHECK(r.poll() == i);
    CHECK_FALSE(r.poll());
}

TEST_CASE("what is consumed in a ring stays where it is meanwhile, and is gone also where that throws") {
    ring<std::unique_ptr<int>> r;
    for (int i = 1; i <= 3; ++i) r.push_back(std::make_unique<int>(i));
    const auto* const place = &r.front();
    r.consume_front([&](const auto& first) {
        CHECK(&first == place);
        CHECK(*first == 1);
    });
    CHECK_THROWS_AS(r.consume_front([](const auto&) { throw 1; }), int);
    CHECK(r.size() == 1);
    CHECK(*r.front() == 3);
}

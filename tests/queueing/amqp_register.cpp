#include <postroad/queueing/impl/amqp_register.ipp>

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <string>

namespace {

using namespace postroad::queueing::detail;

struct said {
    std::set<std::uint64_t> marked = {};
    std::set<std::uint64_t> ended = {};
};
said read_back(std::string_view text) {
    said s;
    amqp_read_register(
        text, [&](std::uint64_t key) { s.marked.insert(key); }, [&](std::uint64_t key) { s.ended.insert(key); });
    return s;
}

TEST_CASE("a register says what is marked, here or by who had the shard before, and what ended") {
    amqp_shard_state s;
    s.marked = {1, UINT64_MAX};
    s.inherited = {0xdead};
    s.ended.add(2);
    const auto text = amqp_register_text(s);
    CHECK(text.find(" ffffffffffffffff") != std::string::npos);
    const auto back = read_back(text);
    CHECK(back.marked == std::set<std::uint64_t>{1, UINT64_MAX, 0xdead});
    CHECK(back.ended == std::set<std::uint64_t>{2});
    CHECK(amqp_register_text({}) == "marked\nended\n");
}

TEST_CASE("a register names two windows of what ended: a broken connection may bring one of them twice") {
    amqp_shard_state s;
    for (std::uint64_t key = 1; key <= 1024; ++key) s.ended.add(key);
    CHECK(read_back(amqp_register_text(s)).ended.size() == 1024);
}

TEST_CASE("of a register that somebody else wrote what is no key is skipped") {
    const auto back = read_back("marked 1 x 12345678901234567 -2 0x3\n 4 ended 5 marked 6\n\n  ");
    CHECK(back.marked == std::set<std::uint64_t>{1, 4});
    CHECK(back.ended == std::set<std::uint64_t>{5, 6});
    CHECK(read_back("").marked.empty());
    CHECK(read_back("ended").ended.empty());
}

TEST_CASE("what ended lately is remembered up to a limit, the latest") {
    amqp_memory m(3);
    for (const auto key : {1U, 2U, 2U, 3U}) m.add(key);
    CHECK(m.has(1));
    m.add(4);
    CHECK(!m.has(1));
    CHECK(m.has(2));
    CHECK(m.all().size() == 3);
}

}  // namespace

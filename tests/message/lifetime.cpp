// What must not compile: octets taken for a path, and views of what is gone.
#include <doctest/doctest.h>
#include <postroad/message/message.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace {

template <class T>
concept is_attached = requires(postroad::message m, const T& what) {
    m.attach(what, {.name = "a"});
};
template <class T>
concept shows_text = requires(T&& c) {
    std::forward<T>(c).text();
};

}  // namespace

TEST_CASE("no string is attached, because it could be a path or octets") {
    static_assert(!is_attached<std::string>);
    static_assert(!is_attached<std::string_view>);
    static_assert(!is_attached<const char*>);
    static_assert(!is_attached<char[6]>);
    static_assert(is_attached<std::filesystem::path>);
    static_assert(is_attached<postroad::source>);
    static_assert(is_attached<postroad::content>);
}

TEST_CASE("only content that stays shows its text") {
    static_assert(shows_text<postroad::content&>);
    static_assert(shows_text<const postroad::content&>);
    static_assert(!shows_text<postroad::content>);
    static_assert(!shows_text<const postroad::content>);
    static_assert(!shows_text<decltype(std::declval<postroad::mail_object>().content)>);
}

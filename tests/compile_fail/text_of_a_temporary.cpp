// What text() shows would be gone with the temporary.
// expect: deleted
#include <postroad/message/message.hpp>

std::size_t compose(const postroad::message& m) {
#ifdef GOOD
    const auto c = m.freeze({}).content;
#else
    const auto& c = m;
    return c.freeze({}).content.text().size();
#endif
    return c.text().size();
}

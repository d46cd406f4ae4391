// A string could be the path of a file or what is in it.
// expect: deleted
#include <postroad/message/message.hpp>

#include <string>

void compose(postroad::message& m, const std::string& invoice) {
#ifdef GOOD
    m.attach(std::filesystem::path(invoice)).attach(postroad::source::memory(invoice), {.name = "invoice.txt"});
#else
    m.attach(invoice, {.name = "invoice.txt"});
#endif
}

// Whatever comes in, an address that comes out is one, and a list gives only such addresses.

#include <postroad/message/address.hpp>

#include <cstdint>
#include <cstdlib>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check(const postroad::address& a) {
    require(!a.null() && a.str().size() <= postroad::address::max_size);
    for (const char c : a.str()) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    postroad::error_code ec;
    require(postroad::address::parse(a.str(), ec) == a && !ec);
    require(a.str() == std::string(a.local()) + (a.domain().empty() ? "" : "@") + std::string(a.domain()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    postroad::error_code ec;
    std::string explanation;
    const auto a = postroad::address::parse(text, ec, &explanation);
    require(explanation.empty() == !ec && a.null() == static_cast<bool>(ec));
    if (!ec) check(a);
    try {
        for (const auto& m : postroad::parse_mailboxes(text, postroad::address_syntax::obsolete)) {
            check(m.address);
            for (const char c : m.name) require(c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
        }
    } catch (const postroad::error& e) {
        require(e.code() == postroad::errc::invalid_address);
    }
    return 0;
}

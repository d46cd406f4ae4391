// Whatever a proxy says: a bounded amount of it is looked at, nothing of the server's is lost, no secret gets out.
#include <postroad/net/tunnel.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_text(std::string_view text) {
    require(text.find("hunter2") == std::string_view::npos);
    for (const char c : text) require(static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f);
}

void parse(std::string_view url) {
    try {
        const auto p = postroad::net::parse_proxy(url);
        require(!p.host.empty() && p.port != 0);
        require(p.host.find_first_of("[]@/ \r\n") == std::string::npos);
    } catch (const postroad::error& e) {
        check_text(e.what());
    }
}

}  // namespace

// The first octet chooses the kind of proxy and whether there is a user, the second how the rest is cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using postroad::net::tunnel;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    parse(text);
    if (size < 2) return 0;
    postroad::net::proxy p{.host = "proxy.example", .port = 1080};
    if (data[0] & 1) p.kind = postroad::net::proxy_kind::http_connect;
    if (data[0] & 2) {
        p.user = "ann";
        p.password = postroad::secret("hunter2");
    }
    const std::size_t step = data[1] == 0 ? size : data[1];
    text.remove_prefix(2);
    tunnel t(p, {.name = "mx.example", .port = 25});
    std::size_t looked_at = 0;
    while (!text.empty() && t.now() == tunnel::state::opening) {
        t.consumed(t.output().size());
        const auto piece = text.substr(0, step);
        const auto rest = t.received(piece);
        require(rest.empty() || rest.data() + rest.size() == piece.data() + piece.size());
        looked_at += piece.size() - rest.size();
        text.remove_prefix(piece.size());
    }
    require(t.now() != tunnel::state::open || looked_at <= tunnel::max_answer);
    require(t.now() != tunnel::state::opening || looked_at < tunnel::max_answer);
    require(t.now() == tunnel::state::opening || t.output().empty());
    require(static_cast<bool>(t.error()) == (t.now() == tunnel::state::failed));
    check_text(t.explanation());
    return 0;
}

#pragma once

#include <postroad/core/base64.hpp>
#include <postroad/core/random.hpp>
#include <postroad/engine/carriers.hpp>

namespace postroad::engine {

POSTROAD_DECL std::string fresh_nonce() {
    std::string octets;
    while (octets.size() < 18) octets += static_cast<char>(postroad::detail::random_bits() & 0xff);
    return base64_encode(octets);
}

}  // namespace postroad::engine

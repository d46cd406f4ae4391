#pragma once

#include <postroad/core/base64.hpp>
#include <postroad/engine/carriers.hpp>

#include <random>

namespace postroad::engine {

POSTROAD_DECL std::string fresh_nonce() {
    std::random_device source;
    std::string octets;
    while (octets.size() < 18) octets += static_cast<char>(source() & 0xff);
    return base64_encode(octets);
}

}  // namespace postroad::engine

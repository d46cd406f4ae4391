#include <postroad/tls/openssl_engine.hpp>

#include "tls.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return fuzz::run<postroad::tls::openssl_engine>(data, size);
}

#include <postroad/tls/openssl.hpp>

int main() {
    const postroad::tls::openssl::required policy{.options = {.verify = postroad::tls::verification::insecure_none}};
    return policy.make_context()->trusted() == 0 ? 0 : 1;
}

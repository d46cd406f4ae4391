#include <postroad/net/https_policies.hpp>

int main() {
    const postroad::net::https_policies policies;
    bool asked = false;
    policies("example.com", {.known = true}, [&](const auto& found) { asked = !found.policy; });
    return asked ? 0 : 1;
}

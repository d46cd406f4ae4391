#include <postroad/transport/mx.hpp>

int main() {
    const postroad::transport::mx direct{{.client_name = "out.example.com"}};
    return direct.options().port == 25 ? 0 : 1;
}

#include <postroad/queueing/amqp.hpp>

int main() {
    try {
        const postroad::queueing::amqp queue{{.url = "http://localhost/"}};
    } catch (const postroad::error& e) {
        return e.code() == postroad::errc::invalid_url ? 0 : 1;
    }
    return 1;
}

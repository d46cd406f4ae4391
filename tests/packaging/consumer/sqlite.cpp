#include <postroad/queueing/sqlite.hpp>

#include <string>

int main(int, char** argv) {
    const postroad::queueing::sqlite outbox{std::string(argv[0]) + ".db"};
    return outbox.size() == 0 ? 0 : 1;
}

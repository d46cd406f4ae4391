#include <postroad/core/outcome.hpp>

int main() { return postroad::to_string(postroad::status::accepted) == "accepted" ? 0 : 1; }

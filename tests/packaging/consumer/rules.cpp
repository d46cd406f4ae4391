#include <postroad/transport/rules_file.hpp>

int main() { return postroad::transport::parse_provider_rules("").empty() ? 0 : 1; }

#include <postroad/net/tls_report_mail.hpp>

int main() { return postroad::net::gzipped("{}").size() > 10 ? 0 : 1; }

// The code of docs/tls.md that needs OpenSSL.
#if __has_include(<openssl/ssl.h>)
#include <postroad/postroad.hpp>
#include <postroad/tls/openssl.hpp>

void compose_over_openssl() {
    //[use_openssl
    postroad::mailer mail{postroad::transport::smtp{"smtp://relay.example.com"}, postroad::tls::openssl::required{}};
    //]
}
#endif

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <type_traits>

#include <sys/stat.h>

#include "pair.hpp"
#include "place.hpp"
#include "scratch_folder.hpp"

using namespace tls_test;

namespace {

// A CA with critical name constraints, which mbedTLS does not read by itself.
constexpr const char* constrained_ca = R"(-----BEGIN CERTIFICATE-----
MIIBhzCCAS2gAwIBAgIUHY51DGsRvNrfFXK/V1GzXtD1eFEwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOY29uc3RyYWluZWQgQ0EwIBcNMjYxMTI0MTU0MjU4WhgPMjEy
NjEwMzExNTQyNThaMBkxFzAVBgNVBAMMDmNvbnN0cmFpbmVkIENBMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEJdKE8DqX8uF2n+LFt23zK0JfbomKQW2wDS3sSwxQ
ITBDXZTWmsuWk6pa2yAciAbq0eE/MVe2yueQfscGmwIQRaNRME8wDwYDVR0TAQH/
BAUwAwEB/zAdBgNVHR4BAf8EEzARoA8wDYILZXhhbXBsZS5jb20wHQYDVR0OBBYE
FBs9Cmrj7Czcw3rZv+BqqKM5Ts79MAoGCCqGSM49BAMCA0gAMEUCIQCcgOMzoGBd
v3pHuGgkZA2HDMyLM7oErsJ1iz7q6AKeSQIgPHDgJ8ctWp4BhOm3WGwZZ31LoLDm
uspiUu37wi7bQYQ=
-----END CERTIFICATE-----)";

/// Sets an environment variable for one test.
struct environment {
    environment(const char* name, const std::string& value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old;
        setenv(name, value.c_str(), 1);
    }
    ~environment() { old_.empty() ? unsetenv(name_) : setenv(name_, old_.c_str(), 1); }
    const char* name_;
    std::string old_;
};

struct file {
    explicit file(const std::string& text) { std::ofstream(path) << text; }
    scratch_folder folder = {};
    std::string path = (folder.path / "file").string();
};

}  // namespace

TEST_CASE_TEMPLATE("a CA that cannot be read is left out and does not spoil the bundle", E, ENGINES) {
    std::string broken = ca().ca_pem;
    broken[broken.find('\n') + 10] = '!';
    const auto other = testing::authority::create("other CA");
    const auto cut = other.ca_pem.substr(0, other.ca_pem.find("-----END"));
    const auto bundle =
        "# comment\n" + other.ca_pem + broken + constrained_ca + "\nnot PEM\n" + cut + ca().ca_pem + cut;
    const auto context = client_context<E>({.ca_pem = bundle});
    CHECK(context->trusted() == 3);
    CHECK(context->skipped() == 3);
    CHECK(pair<E>(mail_example(), "mail.example.com", context).shake());
    CHECK(pair<E>(other.issue({.names = {"mail.example.com"}}), "mail.example.com", context).shake());
}

TEST_CASE_TEMPLATE("no usable CA is an error of the configuration", E, ENGINES) {
    CHECK(thrown_for<E>({.ca_pem = "hello"}) ==
          std::string(configuration) + "no CA certificate could be loaded from ca_pem (0 could not be read)");
    const file empty("");
    CHECK(thrown_for<E>({.ca_file = empty.path}) == std::string(configuration) +
                                                        "no CA certificate could be loaded from \"" + empty.path +
                                                        "\" (0 could not be read)");
    CHECK(thrown_for<E>({.ca_file = "/nonexistent/ca.pem"}) ==
          std::string(configuration) + "the CA file \"/nonexistent/ca.pem\" cannot be read");
    CHECK(thrown_for<E>({.ca_file = "/"}) == std::string(configuration) + "the CA file \"/\" cannot be read");
}

TEST_CASE_TEMPLATE("what is no regular file is refused at once, and a link is followed", E, ENGINES) {
    const scratch_folder folder;
    const auto pipe = (folder.path / "pipe").string();
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(thrown_for<E>({.ca_file = pipe}) ==
          std::string(configuration) + "the CA file \"" + pipe + "\" cannot be read");
    CHECK(thrown_for<E>({.ca_pem = ca().ca_pem, .certificate_file = pipe}) ==
          std::string(configuration) + "the certificate file \"" + pipe + "\" cannot be read");
    CHECK(thrown_for<E>({.ca_file = "/dev/zero"}) ==
          std::string(configuration) + "the CA file \"/dev/zero\" cannot be read");
    const file real(ca().ca_pem);
    const auto link = folder.path / "link";
    std::filesystem::create_symlink(real.path, link);
    CHECK(client_context<E>({.ca_file = link.string()})->trusted() == 1);
}

TEST_CASE_TEMPLATE("two sources of CAs contradict each other", E, ENGINES) {
    CHECK(thrown_for<E>({.ca_file = "ca.pem", .ca_pem = "x"}) ==
          "two settings contradict each other: ca_file and ca_pem are both given; one of them names the CAs");
}

TEST_CASE_TEMPLATE("ca_file is read, and SSL_CERT_FILE where no file is given", E, ENGINES) {
    const file own(ca().ca_pem), other(testing::authority::create("other CA").ca_pem);
    CHECK(pair<E>(mail_example(), "mail.example.com", client_context<E>({.ca_file = own.path})).shake());
    const environment variable("SSL_CERT_FILE", own.path);
    const tls::scheme_policy<tls::rule::automatic, E> by_environment;
    CHECK(pair<E>(mail_example(), "mail.example.com", by_environment.make_context()).shake());
    const tls::scheme_policy<tls::rule::automatic, E> by_file{.options = {.ca_file = other.path}};
    CHECK_FALSE(pair<E>(mail_example(), "mail.example.com", by_file.make_context()).shake());
}

TEST_CASE_TEMPLATE("an unreadable SSL_CERT_FILE is an error, not a reason to trust something else", E, ENGINES) {
    const environment variable("SSL_CERT_FILE", "/nonexistent/ca.pem");
    CHECK(thrown_for<E>({}) ==
          std::string(configuration) + "the CA file \"/nonexistent/ca.pem\" (SSL_CERT_FILE) cannot be read");
}

TEST_CASE_TEMPLATE("a server's certificate and key that cannot be read are errors", E, ENGINES) {
    const auto id = mail_example();
    CHECK(thrown([&] {
              E::context_type::server({.certificate_pem = "x", .key_pem = id.key_pem});
          }).starts_with(std::string(configuration) + "the certificate of the server cannot be read: "));
    CHECK(thrown([&] {
              E::context_type::server({.certificate_pem = id.certificate_pem, .key_pem = "x"});
          }).starts_with(std::string(configuration) + "the key of the server cannot be read: "));
}

TEST_CASE("certificates for tests refuse an address that is none") {
    CHECK(thrown([] { static_cast<void>(ca().issue({.addresses = {"localhost"}})); }) ==
          "an option is not known or its value is not valid: \"localhost\" is not an address literal");
}

// The suite for policies of the tls axis, over those that are shipped and over some that break a promise.
#include <doctest/doctest.h>

#include <postroad/testing/policy_suites.hpp>

#include <string>

#include "pair.hpp"
#include "rules.hpp"

using namespace tls_test;
using rules_test::broke;
using rules_test::listed;
using testing::check_tls;

namespace {

const endpoint by_starttls{.name = "mail.example.com", .port = 587, .security = security::starttls};

/// The engine of mbedTLS, with a fault.
template <class Fault>
struct faulty_engine : tls::mbedtls_engine {
    using tls::mbedtls_engine::mbedtls_engine;
};
struct loses_octets;
template <>
struct faulty_engine<loses_octets> : tls::mbedtls_engine {
    using tls::mbedtls_engine::mbedtls_engine;
    std::size_t write(std::string_view text) { return mbedtls_engine::write(text.substr(0, text.size() / 2)) * 2; }
};
struct explains_nothing;
template <>
struct faulty_engine<explains_nothing> : tls::mbedtls_engine {
    using tls::mbedtls_engine::mbedtls_engine;
    std::string explanation() const { return {}; }
};
struct asks_for_no_name;
template <>
struct faulty_engine<asks_for_no_name> : tls::mbedtls_engine {
    faulty_engine(std::shared_ptr<const context_type> context, const endpoint&)
        : tls::mbedtls_engine(std::move(context), endpoint{.name = "mail.example.com", .port = 465}) {}
};
struct is_content_without_a_farewell;
template <>
struct faulty_engine<is_content_without_a_farewell> : tls::mbedtls_engine {
    using tls::mbedtls_engine::mbedtls_engine;
    void end_of_stream() { over = true; }
    tls::read_result read(char* to, std::size_t size) {
        const auto r = mbedtls_engine::read(to, size);
        return over && r.state == tls::read_state::want_input ? tls::read_result{.state = tls::read_state::closed} : r;
    }
    bool over = false;
};

template <class Fault>
struct faulty {
    using axis = postroad::axis::tls;
    using engine_type = faulty_engine<Fault>;
    using context_type = tls::mbedtls_engine::context_type;

    tls::start starts(const endpoint&) const { return tls::start::immediately; }
    std::shared_ptr<const context_type> make_context() const {
        return client_context<tls::mbedtls_engine>({.ca_pem = ca});
    }
    std::string ca;
};

template <class Fault>
auto with() {
    return [](const std::string& ca) { return faulty<Fault>{ca}; };
}

template <class Policy>
std::string of(const endpoint& to) {
    return listed(check_tls([](const std::string& ca) { return Policy{{.ca_pem = ca}}; }, to));
}

}  // namespace

TEST_CASE("the policies that are shipped break no rule") {
    const endpoint at_once{.name = "mail.example.com", .port = 465, .security = security::implicit};
    CHECK(of<tls::automatic>(at_once) == "");
    CHECK(of<tls::implicit>(at_once) == "");
    CHECK(of<tls::required>(by_starttls) == "");
#ifdef TLS_TEST_OPENSSL
    CHECK(of<tls::openssl::automatic>(at_once) == "");
#endif
}

TEST_CASE("the suite finds a broken promise") {
    CHECK(broke(check_tls(with<loses_octets>()), "what is written arrives as it was"));
    CHECK(broke(check_tls(with<explains_nothing>()), "a failure is explained"));
    CHECK(broke(check_tls(with<asks_for_no_name>()), "a certificate of another name is errc::tls_certificate"));
    CHECK(broke(check_tls(with<is_content_without_a_farewell>()), "an end without close_notify is errc::tls_broken"));
}

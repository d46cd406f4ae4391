// DER of a certificate, and name constraints, as a server could send them. What is found lies within the input.
#include <postroad/tls/constraints.hpp>
#include <postroad/tls/detail/der.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void require_within(std::string_view part, std::string_view all) {
    if (!part.empty() && (part.data() < all.data() || part.data() + part.size() > all.data() + all.size()))
        std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad::tls;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto parts = detail::parts_of(input);
    for (const auto part : {parts.public_key, parts.extensions, parts.signature_oid, parts.signature_parameters})
        require_within(part, input);
    for (const bool tls_1_3 : {false, true})
        for (const auto one : detail::certificates_of(input, tls_1_3)) require_within(one, input);
    require_within(detail::pss_hash_oid(parts.signature_parameters), input);
    const auto found = detail::find_extension(parts.extensions, detail::oid_name_constraints);
    require_within(found, input);
    static const certificate_names names{.dns = {"*.example.com", "mail.example.com"},
                                         .addresses = {"\xc0\x01\x02\x01"}};
    for (const auto value : {found, input}) {
        const auto why = constraint_violation(value, names, "mail.example.com");
        // nothing understood is no permission
        if (value.empty() && why.empty()) std::abort();
    }
    return 0;
}

// Diagnosis of mx://, apart from the others since few programs need it.

#include "direct.hpp"

#include "composed.hpp"
#include "diagnosis.hpp"

#include <postroad/diagnose_direct.hpp>
#include <postroad/submission.hpp>

#include <pybind11/stl.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace postroad::python {

std::function<diagnosis()> direct_diagnosis([[maybe_unused]] const py::dict& options,
                                            [[maybe_unused]] const diagnose_options& how) {
#ifdef POSTROAD_WITH_MX
    auto u = direct_url(options);
    find_policies(u);
    direct_mail mail;
    take<std::string>(options, "header", [&](std::string v) { mail.header = std::move(v); });
    take<std::string>(options, "header_from", [&](std::string v) { mail.from = std::move(v); });
    take<std::vector<given_signature>>(options, "sign",
                                       [&](const auto& v) { mail.signatures = signer_of(v).signatures(); });
    return [transport = u.options, security = direct_tls(options, u), mail = std::move(mail), how,
            ask = waiting_for(transport::resolver_of(u))] { return diagnose(transport, ask, how, mail, security); };
#else
    lacks_mx();
#endif
}

std::string found_url([[maybe_unused]] const std::string& address, [[maybe_unused]] const std::string& by) {
#ifdef POSTROAD_WITH_MX
    const auto u = transport::parse_mx_url(by);
    const py::gil_scoped_release others_go_on;
    return submission_url(address, waiting_for(transport::resolver_of(u)));
#else
    lacks_mx();
#endif
}

}  // namespace postroad::python

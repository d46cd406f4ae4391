#pragma once
// Reports on TLS by HTTPS (RFC 8460 section 5.4). See docs/tls.md. Not among what postroad/postroad.hpp includes: needs
// the component postroad::mta_sts.

#include <postroad/core/clock.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/https.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <curl/curl.h>

namespace postroad::net {

struct https_report_options {
    /// PEM certificates to trust instead of the system's.
    std::string ca_file = {};
    /// For all of it.
    duration timeout = std::chrono::minutes(1);
    /// Whether a server may be where is_public() says no.
    bool private_addresses = false;
    /// For tests: what CURLOPT_RESOLVE takes, "reports.example.org:443:127.0.0.1".
    std::vector<std::string> addresses = {};
};

/// What a server says of a report.
struct https_answer {
    long status = 0;       ///< of HTTP; 0: there is no answer
    std::string why = {};  ///< for people, where there is none

    /// It has the report. What is neither for good nor known may be tried again, for a day (section 5.4).
    bool is_taken() const noexcept { return status >= 200 && status < 300; }
    bool is_refused() const noexcept { return status >= 300 && status < 500 && status != 408 && status != 429; }
};

/// Octets of an answer that are waited for; it ends there.
inline constexpr std::size_t max_report_answer = 64 * 1024;

/// Gives a report to `url`, a place of the domain's record, and waits for the answer. `report` is the JSON, gzipped():
/// the component postroad::tls_reports has that. Throws error(errc::invalid_url) for a URL that is not https:.
inline https_answer post_tls_report(std::string_view report, const std::string& url,
                                    const https_report_options& options = {}) {
    constexpr std::string_view scheme = "https://";
    if (!postroad::detail::equal_ignoring_case(std::string_view(url).substr(0, scheme.size()), scheme))
        throw error(errc::invalid_url, "a report goes to an https: URL, not to " + escaped(url, 200));
    detail::set_up_curl();
    const detail::curl_easy easy(curl_easy_init());
    const auto addresses = detail::list_of(options.addresses);
    const auto fields = detail::list_of({"Content-Type: application/tlsrpt+gzip", "Expect:"});
    if (!easy) throw std::bad_alloc();
    std::size_t read = 0;
    detail::prepare(easy.get(), url, options, addresses.get());
    curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, fields.get());
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, report.data());
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(report.size()));
    curl_easy_setopt(
        easy.get(), CURLOPT_WRITEFUNCTION, +[](const char*, std::size_t, std::size_t n, void* so_far) -> std::size_t {
            auto& sum = *static_cast<std::size_t*>(so_far);
            return (sum += n) > max_report_answer ? 0 : n;
        });
    curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &read);
    const auto result = curl_easy_perform(easy.get());
    https_answer a;
    // A long answer is one, too.
    if (result == CURLE_OK || result == CURLE_WRITE_ERROR)
        curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &a.status);
    else
        a.why = curl_easy_strerror(result);
    return a;
}

}  // namespace postroad::net

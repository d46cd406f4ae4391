#pragma once
// Requests by libcurl to servers that strangers name: verified, to public addresses only, without redirects, with an
// end. Not among what postroad/postroad.hpp includes: needs the component postroad::mta_sts.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/net/dns.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sys/socket.h>

namespace postroad::net::detail {

// Of libcurl's types some are void.
template <auto Free>
struct freed {
    template <class T>
    void operator()(T* p) const noexcept {
        Free(p);
    }
};
using curl_list = std::unique_ptr<curl_slist, freed<&curl_slist_free_all>>;
using curl_multi = std::unique_ptr<CURLM, freed<&curl_multi_cleanup>>;
using curl_easy = std::unique_ptr<CURL, freed<&curl_easy_cleanup>>;

inline void set_up_curl() {
    static const auto global = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (global != CURLE_OK) throw error(errc::tls_configuration, "libcurl cannot be set up");
}

inline curl_multi make_curl_multi() {
    set_up_curl();
    curl_multi made(curl_multi_init());
    if (!made) throw error(errc::tls_configuration, "libcurl cannot be set up");
    return made;
}

inline curl_list list_of(const std::vector<std::string>& texts) {
    curl_list list;
    for (const auto& text : texts) {
        auto* const longer = curl_slist_append(list.get(), text.c_str());
        if (!longer) throw std::bad_alloc();
        (void)list.release();
        list.reset(longer);
    }
    return list;
}

/// Octets of a header that are read.
inline constexpr long max_http_header = 64 * 1024;

// libcurl reads some 300 KB of header, and older ones whatever comes.
inline std::size_t read_header(const char*, std::size_t, std::size_t n, void* easy) {
    long so_far = 0;
    curl_easy_getinfo(static_cast<CURL*>(easy), CURLINFO_HEADER_SIZE, &so_far);
    return so_far > max_http_header ? 0 : n;
}

/// Strangers say where the request goes. `any`: it may go anywhere.
inline curl_socket_t open_socket(void* any, curlsocktype, curl_sockaddr* to) {
    char text[INET6_ADDRSTRLEN] = "";
    const void* octets = nullptr;
    if (to->family == AF_INET)
        octets = &reinterpret_cast<const sockaddr_in*>(&to->addr)->sin_addr;
    else if (to->family == AF_INET6)
        octets = &reinterpret_cast<const sockaddr_in6*>(&to->addr)->sin6_addr;
    if (!octets || !::inet_ntop(to->family, octets, text, sizeof text)) return CURL_SOCKET_BAD;
    if (!any && !net::is_public(text)) return CURL_SOCKET_BAD;
    return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/// `Options`: timeout, ca_file, private_addresses. `addresses`, as CURLOPT_RESOLVE has them, stay as long as the
/// request.
template <class Options>
void prepare(CURL* easy, const std::string& url, const Options& options, curl_slist* addresses) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(options.timeout).count();
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(ms));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "postroad/" POSTROAD_VERSION_STRING);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &read_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, easy);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, options.private_addresses ? easy : nullptr);
    if (addresses) curl_easy_setopt(easy, CURLOPT_RESOLVE, addresses);
    if (!options.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
}

}  // namespace postroad::net::detail

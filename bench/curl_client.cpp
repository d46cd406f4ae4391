// curl_client.cpp - sends copies of one message by libcurl's easy interface, one thread and one kept connection each.
//
// Usage:  curl_client --file MESSAGE.eml --port N --messages N --connections C [--ca FILE]

#include "given.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

struct source {
    std::string_view left;
};

std::size_t read(char* to, std::size_t size, std::size_t count, void* from) {
    auto& left = static_cast<source*>(from)->left;
    const auto n = left.copy(to, size * count);
    left.remove_prefix(n);
    return n;
}

std::size_t send_all(const std::string& url, const std::string& ca, const std::string& content, std::size_t messages) {
    CURL* const curl = curl_easy_init();
    curl_slist* const recipients = curl_slist_append(nullptr, "<recipient@example.com>");
    source from;
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    if (!ca.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, ca.c_str());
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, "<sender@example.com>");
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read);
    curl_easy_setopt(curl, CURLOPT_READDATA, &from);
    std::size_t accepted = 0;
    for (; accepted < messages; ++accepted) {
        from.left = content;
        if (const auto code = curl_easy_perform(curl); code != CURLE_OK) {
            std::fprintf(stderr, "curl_client: %s\n", curl_easy_strerror(code));
            break;
        }
    }
    curl_slist_free_all(recipients);
    curl_easy_cleanup(curl);
    return accepted;
}

}  // namespace

int main(int argc, char** argv) {
    const auto given = options_of("curl_client", argc, argv);
    const std::string url = (given.ca.empty() ? "smtp" : "smtps") + ("://127.0.0.1:" + given.port) + "/client.example";

    curl_global_init(CURL_GLOBAL_DEFAULT);
    std::atomic<std::size_t> accepted = 0;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < given.connections; ++i)
        threads.emplace_back([&, share = (given.messages + i) / given.connections] {
            accepted += send_all(url, given.ca, given.content, share);
        });
    for (auto& t : threads) t.join();
    std::printf("{\"messages\":%zu}\n", accepted.load());
    return accepted == given.messages ? 0 : 1;
}

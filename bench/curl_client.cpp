// curl_client.cpp - sends copies of one message by libcurl's easy interface, one thread and one kept connection each.
//
// Usage:  curl_client --file MESSAGE.eml --port N --messages N --connections C [--ca FILE]

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
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
    std::map<std::string_view, std::string> options{{"--port", "2525"}, {"--messages", "1000"}, {"--connections", "1"}};
    for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
    std::ifstream file(options["--file"], std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(file), {});
    if (content.empty()) {
        std::fprintf(stderr, "curl_client: the file of --file cannot be read\n");
        return 2;
    }
    const std::size_t messages = std::strtoul(options["--messages"].c_str(), nullptr, 10);
    const std::size_t connections = std::strtoul(options["--connections"].c_str(), nullptr, 10);

    const std::string ca = options["--ca"];
    const std::string url = (ca.empty() ? "smtp" : "smtps") + ("://127.0.0.1:" + options["--port"]) + "/client.example";

    curl_global_init(CURL_GLOBAL_DEFAULT);
    std::atomic<std::size_t> accepted = 0;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < connections; ++i)
        threads.emplace_back(
            [&, share = (messages + i) / connections] { accepted += send_all(url, ca, content, share); });
    for (auto& t : threads) t.join();
    std::printf("{\"messages\":%zu}\n", accepted.load());
    return accepted == messages ? 0 : 1;
}

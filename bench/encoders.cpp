// How fast bodies are encoded, in GB of input a second of CPU, beside OpenSSL's base64 where there is OpenSSL:
//   encoders [MIB]

#include <postroad/message/content.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/smtp/data.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#ifdef WITH_OPENSSL
#include <openssl/evp.h>
#endif

namespace {

volatile std::size_t kept = 0;  // so that the work is not left out

template <class Work>
void measure(const char* name, std::size_t octets, Work work) {
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
        const auto start = std::clock();
        kept = kept + work();
        best = std::min(best, std::max(1.0, static_cast<double>(std::clock() - start)) / CLOCKS_PER_SEC);
    }
    std::printf("%-44s %7.2f GB/s\n", name, static_cast<double>(octets) / best / 1e9);
}

std::string lines(std::size_t size, const std::string& line) {
    std::string text;
    text.reserve(size + line.size());
    while (text.size() < size) text += line;
    return text;
}

std::size_t written(const postroad::content& c) {
    postroad::smtp::data_writer w(c);
    std::string_view parts[64];
    std::size_t total = 0;
    while (!w.done()) {
        std::size_t n = 0;
        for (auto count = w.show(parts); count > 0; --count) n += parts[count - 1].size();
        w.consume(n);
        total += n;
    }
    return total;
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t size = (argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 64) << 20;
    std::string octets(size, '\0');
    for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<char>(i * 2654435761U >> 13);
    const auto ascii = lines(size, "A line of plain text, as people write it in letters.\r\n");
    const auto german = lines(size,
                              "Zwölf große Bären grüßen \xc3\xbc"
                              "ber den Zaun, täglich.\r\n");
    const auto dots = lines(size, ".dots in front of each line of the text, which DATA doubles\r\n");
    const auto lf = lines(size, "A line of plain text, as people write it in letters.\n");

    std::string out;
    measure("base64 in lines", size, [&] {
        out.clear();
        postroad::detail::append_base64_lines(out, octets);
        return out.size();
    });
#ifdef WITH_OPENSSL
    std::vector<unsigned char> to(size / 48 * 65 + 1024);
    measure("base64 in lines, OpenSSL EVP_EncodeUpdate", size, [&] {
        auto* c = EVP_ENCODE_CTX_new();
        int n = 0;
        int last = 0;
        EVP_EncodeInit(c);
        EVP_EncodeUpdate(c, to.data(), &n, reinterpret_cast<const unsigned char*>(octets.data()),
                         static_cast<int>(size));
        EVP_EncodeFinal(c, to.data() + n, &last);
        EVP_ENCODE_CTX_free(c);
        return static_cast<std::size_t>(n + last);
    });
    measure("base64 without lines, OpenSSL EVP_EncodeBlock", size, [&] {
        return static_cast<std::size_t>(EVP_EncodeBlock(
            to.data(), reinterpret_cast<const unsigned char*>(octets.data()), static_cast<int>(size / 48 * 36)));
    });
#endif
    measure("quoted-printable of ASCII", size, [&] {
        out.clear();
        postroad::detail::append_quoted_printable(out, ascii);
        return out.size();
    });
    measure("quoted-printable of German", size, [&] {
        out.clear();
        postroad::detail::append_quoted_printable(out, german);
        return out.size();
    });
    measure("content::from_text, line ends CRLF", size, [&] { return postroad::content::from_text(ascii).size(); });
    measure("content::from_text, line ends LF", size, [&] { return postroad::content::from_text(lf).size(); });
    const auto dotted = postroad::content::from_text(dots);
    measure("dot stuffing, a dot in each line", size, [&] { return written(dotted); });
    measure("DKIM body hash, relaxed", size, [&] {
        postroad::detail::body_hasher h(postroad::canonicalization::relaxed);
        h.add(ascii);
        return static_cast<std::size_t>(h.finish()[0]);
    });
    measure("SHA-256 alone", size, [&] {
        postroad::detail::sha256 h;
        h.add(ascii);
        return static_cast<std::size_t>(h.finish()[0]);
    });
}

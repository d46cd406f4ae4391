// Signs by S/MIME (RFC 8551) with OpenSSL: a signer of one's own, beside DKIM. See docs/messages.md.
//
//   smime CERTIFICATE.PEM KEY.PEM      composes a message and prints it signed
#include <cstdio>

#if __has_include(<openssl/cms.h>)
#include <postroad/message/signer.hpp>
#include <postroad/postroad.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

namespace {

template <class T>
using owned = std::shared_ptr<T>;

owned<BIO> bio(std::string_view octets) {
    return {BIO_new_mem_buf(octets.data(), static_cast<int>(octets.size())), &BIO_free};
}

class smime_signer {
public:
    smime_signer(const char* certificate, const char* key) {
        const owned<BIO> c(BIO_new_file(certificate, "r"), &BIO_free);
        const owned<BIO> k(BIO_new_file(key, "r"), &BIO_free);
        if (c) certificate_ = {PEM_read_bio_X509(c.get(), nullptr, nullptr, nullptr), &X509_free};
        if (k) key_ = {PEM_read_bio_PrivateKey(k.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free};
        if (!certificate_ || !key_) throw postroad::error(postroad::errc::invalid_option, "S/MIME: no such key");
    }

    //[smime
    postroad::content sign(const postroad::content& given, std::chrono::system_clock::time_point) const {
        const auto c = given.as(postroad::transfer::seven_bit);  // no relay may recode what is signed
        const auto text = c.text();
        const auto end = text.find("\r\n\r\n") + 2;
        // what says how the body is to be read goes inside, with it; the rest stays outside
        std::string outer;
        std::string inner;
        for (std::size_t at = 0; at < end;) {
            auto next = text.find("\r\n", at) + 2;
            while (next < end && (text[next] == ' ' || text[next] == '\t')) next = text.find("\r\n", next) + 2;
            const auto field = text.substr(at, next - at);
            if (!field.starts_with("MIME-Version:")) (field.starts_with("Content-") ? inner : outer) += field;
            at = next;
        }
        (inner += "\r\n") += text.substr(end + 2);
        const auto boundary = "smime_" + random_hex();
        outer +=
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n"
            " micalg=sha-256; boundary=\"" +
            boundary + "\"\r\n";
        const auto delimiter = "\r\n--" + boundary;
        return postroad::content::from_text(outer + delimiter + "\r\n" + inner + delimiter +
                                            "\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"
                                            "Content-Disposition: attachment; filename=\"smime.p7s\"\r\n"
                                            "Content-Transfer-Encoding: base64\r\n\r\n" +
                                            signature_of(inner) + delimiter + "--\r\n");
    }
    //]

private:
    static std::string random_hex() {
        unsigned char octets[12] = {};
        if (RAND_bytes(octets, sizeof octets) != 1)
            throw postroad::error(postroad::errc::signing_failed, "no randomness");
        std::string text;
        for (const unsigned o : octets) (text += "0123456789abcdef"[o >> 4]) += "0123456789abcdef"[o & 15];
        return text;
    }
    // In base64, in lines of 64.
    std::string signature_of(std::string_view signed_octets) const {
        const auto in = bio(signed_octets);
        const owned<CMS_ContentInfo> cms(
            CMS_sign(certificate_.get(), key_.get(), nullptr, in.get(), CMS_DETACHED | CMS_BINARY),
            &CMS_ContentInfo_free);
        const owned<BIO> out(BIO_push(BIO_new(BIO_f_base64()), BIO_new(BIO_s_mem())), &BIO_free_all);
        if (!cms || i2d_CMS_bio(out.get(), cms.get()) != 1 || BIO_flush(out.get()) != 1)
            throw postroad::error(postroad::errc::signing_failed, "S/MIME: the signature cannot be made");
        char* data = nullptr;
        const auto size = BIO_get_mem_data(BIO_next(out.get()), &data);
        return {data, static_cast<std::size_t>(size)};
    }

    owned<X509> certificate_;
    owned<EVP_PKEY> key_;
};
static_assert(postroad::message_signer<smime_signer>);

int print(const char* certificate, const char* key) {
    auto m = postroad::message{}.from("ann@example.com").to("bob@example.org").subject("Verträge");
    m.text("Im Anhang.\n").attach(postroad::source::memory("a;b\n"), {.name = "a.csv"});
    const auto now = std::chrono::system_clock::now();
    const auto mail = sign(m.freeze(now), smime_signer(certificate, key), now);
    const auto text = mail.content.text();
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: smime CERTIFICATE.PEM KEY.PEM\n", stderr);
        return 2;
    }
    try {
        return print(argv[1], argv[2]);
    } catch (const postroad::error& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
#else
int main(int, char**) {
    std::fputs("this program was built without OpenSSL\n", stderr);
    return 1;
}
#endif

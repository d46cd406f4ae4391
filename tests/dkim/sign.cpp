// Signs messages with the keys rsa.pem and ed25519.pem of the directory argv[1], sends them to a sink, and prints what
// arrived, in hexadecimal: `message <signatures> <octets>`, behind the records to publish, `record <name> <text>`. With
// a URL as argv[2] and a recipient as argv[3] it sends those that a server has no field to add to, and prints nothing.

#include <postroad/message/dkim_check.hpp>
#ifdef WITH_ED25519
#include <postroad/message/openssl_ed25519.hpp>
#endif
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using postroad::canonicalization;
using postroad::dkim_key;
using postroad::dkim_signature;
using postroad::source;

namespace {

postroad::secret read(const std::string& path) {
    std::ifstream in(path);
    return postroad::secret(std::string(std::istreambuf_iterator<char>(in), {}));
}

// The last two lack fields.
std::vector<postroad::mail_object> messages(std::chrono::system_clock::time_point now) {
    const auto simple = [] {
        return postroad::message{}.from("Ann <ann@example.com>").to("bob@example.org").subject("Grüße  an   alle");
    };
    std::vector<postroad::mail_object> all;
    for (const auto* text : {"", "\n", "a", "a\n\n\n", " a \t b \n \n\tc\t\n\n", "Grüße\n.\n..\nan alle "})
        all.push_back(simple().text(text).freeze(now));
    all.push_back(simple()
                      .text("t")
                      .html("<p>ä")
                      .attach(source::memory(std::string(300000, 'x')), {.name = "größe.bin"})
                      .list_unsubscribe({.one_click = "https://example.com/u", .url = "mailto:u@example.com"})
                      .freeze(now));
    all.push_back(
        postroad::parse_eml("From: ann@example.com\nSubject:  folded\n\t here\nX-Own: a\nX-Own: b\n"
                            "To: bob@example.org\n\nein \xc3\xa4 \n",
                            {.complete_at = now}));
    auto raw = all.front();
    raw.content = postroad::content::from_text(
        "From: ann@example.com\nSubject:  folded\n\t here\nX-Own: a\nX-Own: b\nTo: bob@example.org\n\nein \xc3\xa4 "
        "\n");
    all.push_back(raw);
    raw.content = postroad::content::from_text("From: ann@example.com\n\n");
    all.push_back(raw);
    return all;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string directory = argv[1];
    const bool to_sink = argc < 3;
    const auto now = std::chrono::system_clock::now();
    std::vector<dkim_key> keys{dkim_key::rsa(read(directory + "/rsa.pem"))};
#ifdef WITH_ED25519
    keys.push_back(postroad::ed25519_key(read(directory + "/ed25519.pem")));
#endif
    std::vector<std::vector<dkim_signature>> ways;
    for (const auto header : {canonicalization::relaxed, canonicalization::simple})
        for (const auto body : {canonicalization::relaxed, canonicalization::simple})
            for (const auto& key : keys)
                ways.push_back({{.domain = "example.com",
                                 .selector = key.algorithm().substr(0, 3),
                                 .key = key,
                                 .header = header,
                                 .body = body,
                                 .identity = "@news.example.com",
                                 .valid_for = std::chrono::hours(24)}});
    // all at once, with other fields
    ways.emplace_back();
    for (const auto& key : keys) {
        ways.back().push_back({.domain = "example.com", .selector = key.algorithm().substr(0, 3), .key = key});
        ways.back().push_back({.domain = "example.com",
                               .selector = key.algorithm().substr(0, 3),
                               .key = key,
                               .body = canonicalization::simple,
                               .fields = {.names = {"subject", "X-Own"}, .oversigned = {"X-Own"}}});
    }
    if (to_sink)
        for (const auto& s : ways.back())
            std::printf("record %s. %s\n", key_name(s).c_str(), key_record(s.key).c_str());
    postroad::testing::sink server{{.security = postroad::security::insecure_none}};
    postroad::mailer mail{postroad::transport::smtp{to_sink ? server.url() : argv[2]}};
    std::size_t sent = 0;
    for (const auto& way : ways) {
        const postroad::dkim_signer signer(way);
        auto all = messages(now);
        if (!to_sink) all.resize(all.size() - 2);
        for (auto& m : all) {
            if (!to_sink) m.envelope.recipients = {postroad::address(argv[3])};
            m.content = signer.sign(m.content, now);
            mail.send(m).require_accepted();
            if (!to_sink) continue;
            std::printf("message %zu ", way.size());
            const auto arrived = server.messages().at(sent++).content;
            for (const char c : arrived) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
            std::printf("\n");
        }
    }
}

// Prints composed messages, case argv[1] and those behind it, argv[2] in all, with what a reader must find in them, one
// line each, values in hexadecimal: `expect <key> <value>` any number of times, then `message <octets>` once for each
// kind of transfer.

#include <postroad/message/message.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "../utf8_character.hpp"

using postroad::message;
using postroad::source;

namespace {

void print(const char* word, std::string_view value) {
    std::printf("%s ", word);
    for (const char c : value) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    std::printf("\n");
}

/// Repeatable: a case is the same on every run and with every compiler.
class random_values {
public:
    explicit random_values(std::uint64_t number) : state_(number * 0x9e3779b97f4a7c15U + 20250107) {}
    std::uint32_t below(std::uint32_t n) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return static_cast<std::uint32_t>(state_ >> 33) % n;
    }
    bool one_in(std::uint32_t n) { return below(n) == 0; }
    std::string text(std::uint32_t max_pieces, const std::vector<std::string>& pieces) {
        std::string result;
        for (auto n = below(max_pieces + 1); n > 0; --n)
            result += pieces[below(static_cast<std::uint32_t>(pieces.size()))];
        return result;
    }
    /// Characters of many scripts, beyond the basic plane too, with words of any length between spaces.
    std::string characters(std::uint32_t max) {
        static constexpr std::uint32_t scripts[][2] = {{0x21, 0x7e},     {0xa1, 0x24f},      {0x300, 0x36f},
                                                       {0x391, 0x3c9},   {0x410, 0x44f},     {0x5d0, 0x5ea},
                                                       {0xe01, 0xe3a},   {0x3041, 0x3096},   {0x4e00, 0x9fff},
                                                       {0xac00, 0xd7a3}, {0x1f600, 0x1f64f}, {0x20000, 0x2a6d6}};
        std::string result;
        const auto* script = scripts[0];
        for (auto n = below(max + 1); n > 0; --n) {
            if (one_in(6)) script = scripts[below(std::size(scripts))];
            if (one_in(8) && !result.empty()) {
                result += ' ';
                continue;
            }
            result += utf8_of(script[0] + below(script[1] - script[0] + 1));
        }
        return result;
    }
    std::string octets(std::uint32_t max) {
        std::string result;
        for (auto n = below(max + 1); n > 0; --n) result += static_cast<char>(below(256));
        return result;
    }

private:
    std::uint64_t state_;
};

const std::vector<std::string> name_pieces = {"a",
                                              "Z",
                                              "0",
                                              " ",
                                              "-",
                                              "_",
                                              ".",
                                              "ä",
                                              "漢",
                                              "\xf0\x9f\x98\x80",
                                              "'",
                                              "\"",
                                              "%",
                                              "*",
                                              "(",
                                              ")",
                                              ";",
                                              "=",
                                              ",",
                                              "a longer piece",
                                              "é",
                                              "&",
                                              "=?utf-8?q?x?=",
                                              "<b@c>",
                                              "\\",
                                              "@",
                                              ":"};
const std::vector<std::string> text_pieces = {
    "word",  " ",          "ä",  "漢字", "=",   ".",  "\n",   "\n",
    "\n.\n", "\nFrom x\n", "--", "\t",   " \n", "=_", "\n--", "long words that go on and on and on "};

// Space at the edges means nothing in a name.
std::string display_name(random_values& random) {
    auto name = random.one_in(2) ? random.text(15, name_pieces) : random.characters(60);
    while (name.starts_with(' ')) name.erase(0, 1);
    while (name.ends_with(' ')) name.pop_back();
    return name;
}

std::string file_name(random_values& random) {
    auto name = random.one_in(2) ? random.text(20, name_pieces) : random.characters(50);
    std::erase_if(name, [](char c) { return c == '/' || c == '\\'; });
    while (name.starts_with(' ')) name.erase(0, 1);
    while (name.ends_with(' ')) name.pop_back();
    return name + ".bin";
}

void compose(random_values& random) {
    const std::chrono::system_clock::time_point when = std::chrono::sys_days(std::chrono::year(2025) / 1 / 7);
    message m;
    m.from("ann@example.com").message_id("<1@example.com>");
    for (auto n = 1 + random.below(3); n > 0; --n) {
        const postroad::mailbox to{display_name(random), postroad::address("b" + std::to_string(n) + "@example.org")};
        print("expect to", to.name + " <" + to.address.str() + '>');
        m.to(to);
    }
    const auto subject = "S" + (random.one_in(2) ? random.text(40, name_pieces) : random.characters(120)) + "s";
    print("expect subject", subject);
    m.subject(subject);
    const bool html = random.one_in(2);
    // one of the two at least: otherwise nothing tells the text from an attachment
    if (!html || random.one_in(2)) {
        // one after the other: operands of + have no order
        auto text = random.text(60, text_pieces);
        if (random.one_in(10)) text += std::string(1200, 'x');
        if (random.one_in(3)) text += random.characters(1500);
        print("expect text", text);
        m.text(text);
    }
    if (html) {
        const auto body = "<p>" + random.text(60, text_pieces);
        print("expect html", body);
        m.html(body);
    }
    for (auto n = random.below(4); n > 0; --n) {
        const auto name = file_name(random);
        const auto octets = random.octets(random.one_in(16) ? 70000 : 300);
        postroad::part about{.type = "application/octet-stream", .name = name};
        if (html && random.one_in(2)) {
            about.content_id = "part" + std::to_string(n) + "@example.com";
            print("expect cid", about.content_id);
        } else {
            print("expect cid", "");
        }
        if (random.one_in(4)) about.description = "D" + random.text(10, name_pieces) + "d";
        print("expect name", name);
        print("expect octets", octets);
        m.attach(source::memory(octets), about);
    }
    if (random.one_in(5)) {
        const auto text = "Subject: nested\n\n" + random.text(20, text_pieces) + "\n";
        const auto nested = postroad::content::from_text(text);
        print("expect nested", "nested");
        m.attach(nested);
    }
    const auto c = m.freeze(when).content;
    for (const auto most : {postroad::transfer::seven_bit, postroad::transfer::eight_bit, postroad::transfer::binary}) {
        const auto wide = c.as(most);
        print("message", wide.text());
    }
    std::printf("end\n");
}

}  // namespace

int main(int, char** argv) {
    const auto first = std::strtoull(argv[1], nullptr, 10);
    const auto count = std::strtoull(argv[2], nullptr, 10);
    for (auto number = first; number < first + count; ++number) {
        random_values random(number);
        compose(random);
    }
}

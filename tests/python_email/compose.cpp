// Prints composed messages with what a reader must find in them, one line each, values in hexadecimal:
// `expect <key> <value>` any number of times, then `message <octets>`.

#include <postroad/message/message.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

using postroad::address;
using postroad::mailbox;
using postroad::message;

namespace {

void print(const char* word, std::string_view value) {
    std::printf("%s ", word);
    for (const char c : value) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    std::printf("\n");
}

struct letter {
    std::vector<mailbox> from;
    std::vector<mailbox> to;
    std::string subject;
    std::string text;
    std::string own = "value";
};

void compose(const letter& l) {
    const std::chrono::system_clock::time_point when = std::chrono::sys_days(std::chrono::year(2025) / 1 / 6);
    message m;
    m.from(l.from.front()).sender({"sender@example.com"}).subject(l.subject).text(l.text).header("X-Own", l.own);
    for (const auto& r : l.to) m.to(r);
    const auto o = m.bcc("hidden@example.com").date(when, std::chrono::minutes(-90)).freeze(when);
    print("expect from_name", l.from.front().name);
    print("expect from", l.from.front().address.str());
    for (const auto& r : l.to) {
        print("expect to_name", r.name);
        print("expect to", r.address.str());
    }
    print("expect subject", l.subject);
    print("expect text", l.text);
    print("expect own", l.own);
    print("message", o.content.text());
}

/// Repeatable: the same messages on every run.
class random_text {
public:
    std::uint32_t below(std::uint32_t n) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return static_cast<std::uint32_t>(state_ >> 33) % n;
    }
    std::string operator()(std::size_t max_pieces, const std::vector<std::string>& pieces) {
        std::string result;
        for (auto n = below(static_cast<std::uint32_t>(max_pieces) + 1); n > 0; --n)
            result += pieces[below(static_cast<std::uint32_t>(pieces.size()))];
        return result;
    }

private:
    std::uint64_t state_ = 20250106;
};

}  // namespace

int main() {
    const mailbox ann{"Ann Lee", address("ann@example.com")};
    const mailbox bob{"", address("bob@example.org")};
    compose({{ann}, {bob}, "Hi", "Hello\n"});
    compose({{ann}, {bob}, "", ""});
    compose({{{"Lee, Ann", ann.address}}, {{"A \"B\" \\C", bob.address}, bob}, "a  b", "x"});
    compose({{{"Änne", ann.address}}, {{"漢字", bob.address}}, "Grüße", "Grüße \n=\n.\nFrom x\n", "größer"});
    compose({{{"=?utf-8?q?x?=", ann.address}}, {bob}, "=?utf-8?q?x?=", "=?utf-8?q?x?="});
    compose({{{"Änne", address("änne@example.com")}}, {{"漢字, x", address("b@bücher.example")}}, "Grüße", "ä"});
    compose({{ann}, {{"x", address("\"a b\"@example.org")}, {"y", address("a@[IPv6:2001:db8::1]")}}, "Hi", "x"});
    compose({{ann},
             std::vector<mailbox>(200, {"Bob, \"the\" Lee", bob.address}),
             std::string(5000, 's'),
             std::string(5000, 't')});
    const std::vector<std::string> words = {"a", "Z", "0", " ",  " ",  "word", "ä",  "漢", "\xf0\x9f\x98\x80",
                                            "=", "?", "_", "=?", "?=", ",",    "\"", "\\", "@",
                                            "<", ">", "(", ")",  ".",  ":",    ";",  "'"};
    auto with_lines = words;
    for (const auto* piece : {"\n", "\n", "\t", "\n.", "\nFrom ", "long line of some words that goes on and on "})
        with_lines.emplace_back(piece);
    random_text text;
    for (int i = 0; i < 500; ++i) {
        letter l;
        l.from = {{text(20, words), ann.address}};
        for (auto n = text.below(4) + 1; n > 0; --n) l.to.push_back({text(30, words), bob.address});
        l.subject = text(60, words);
        l.text = text(100, with_lines);
        compose(l);
    }
}

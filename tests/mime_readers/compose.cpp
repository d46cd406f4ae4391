// Prints composed messages, case argv[1] and those behind it, argv[2] in all, with what a reader must find in them, one
// line each, values in hexadecimal: `expect <key> <value>` any number of times, then `message <octets>` once for each
// kind of transfer.

#include <postroad/message/body_part.hpp>
#include <postroad/message/message.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../random_text.hpp"

using postroad::body_part;
using postroad::message;
using postroad::part;
using postroad::source;

namespace {

void print(const char* word, std::string_view value) {
    std::printf("%s ", word);
    for (const char c : value) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    std::printf("\n");
}

struct file {
    part about;
    std::string octets;
};

/// What a message holds, told to the reader as it is made up.
struct letter {
    bool has_text = false;
    std::string text;
    bool has_html = false;
    std::string html;
    std::vector<file> files;
    std::string nested;
};

letter random_letter(random_text& random) {
    letter l;
    l.has_html = random.one_in(2);
    // one of the two at least: otherwise nothing tells the text from an attachment
    l.has_text = !l.has_html || random.one_in(2);
    if (l.has_text) {
        l.text = random.lines(10);
        if (random.one_in(10)) l.text += std::string(1200, 'x');
        print("expect text", l.text);
    }
    if (l.has_html) {
        l.html = "<p>" + random.lines(5);
        print("expect html", l.html);
    }
    for (auto n = random.below(4); n > 0; --n) {
        part about{.type = "application/octet-stream", .name = random.file_name()};
        if (l.has_html && random.one_in(2)) about.content_id = "part" + std::to_string(n) + "@example.com";
        if (random.one_in(4)) about.description = "D" + random.line(10) + "d";
        print("expect cid", about.content_id);
        print("expect name", about.name);
        const auto octets = random.octets(random.one_in(16) ? 70000 : 300);
        print("expect octets", octets);
        l.files.push_back({about, octets});
    }
    if (random.one_in(5)) {
        l.nested = "Subject: nested\n\n" + random.line(20) + "\n";
        print("expect nested", "nested");
    }
    return l;
}

void add_parts(message& m, const letter& l) {
    if (l.has_text) m.text(l.text);
    if (l.has_html) m.html(l.html);
    for (const auto& f : l.files) m.attach(source::memory(f.octets), f.about);
    if (!l.nested.empty()) m.attach(postroad::content::from_text(l.nested));
}

/// The same as a tree of multiparts within one another.
void add_tree(message& m, const letter& l, random_text& random) {
    std::vector<body_part> forms;
    if (l.has_text) forms.push_back(body_part::text(l.text));
    if (l.has_html) forms.push_back(body_part::text(l.html, {.type = "text/html"}));
    std::vector<body_part> parts = {forms.size() == 1 ? forms.front()
                                                      : body_part::multipart("multipart/alternative", forms)};
    for (const auto& f : l.files) parts.push_back(body_part::octets(source::memory(f.octets), f.about));
    if (!l.nested.empty()) parts.push_back(body_part::message(postroad::content::from_text(l.nested)));
    for (auto n = random.below(6); n > 0; --n) {
        const auto from = random.below(static_cast<std::uint32_t>(parts.size()));
        const auto to = from + 1 + random.below(static_cast<std::uint32_t>(parts.size()) - from);
        const auto begin = parts.begin() + from;
        const auto end = parts.begin() + to;
        auto within = body_part::multipart("multipart/mixed", {begin, end});
        parts.insert(parts.erase(begin, end), std::move(within));
    }
    m.body(body_part::multipart("multipart/mixed", parts));
}

void compose(random_text& random) {
    const std::chrono::system_clock::time_point when = std::chrono::sys_days(std::chrono::year(2025) / 1 / 7);
    message m;
    m.from("ann@example.com").message_id("<1@example.com>");
    for (auto n = 1 + random.below(3); n > 0; --n) {
        const postroad::mailbox to{random.line(15), postroad::address("b" + std::to_string(n) + "@example.org")};
        print("expect to", to.name + " <" + to.address.str() + '>');
        m.to(to);
    }
    const auto subject = random.line(40);
    print("expect subject", subject);
    m.subject(subject);
    const auto l = random_letter(random);
    if (random.one_in(4))
        add_tree(m, l, random);
    else
        add_parts(m, l);
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
        random_text random(number);
        compose(random);
    }
}

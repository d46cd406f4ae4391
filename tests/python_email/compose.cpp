// Prints composed messages with what a reader must find in them, one line each, values in hexadecimal:
// `expect <key> <value>` any number of times, then `message <octets>`.
//
//     compose [SEED [COUNT]]
//
// Each random message has a seed of its own, from SEED on, and says it: `compose 1234 1` makes that one again.

#include <postroad/message/body_part.hpp>
#include <postroad/message/message.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../random_text.hpp"

using postroad::address;
using postroad::body_part;
using postroad::mailbox;
using postroad::mailbox_list;
using postroad::message;
using postroad::source;

namespace {

void print(const char* word, std::string_view value) {
    std::printf("%s ", word);
    for (const char c : value) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    std::printf("\n");
}

struct file {
    std::string name;
    std::string description;
    std::string octets;
};

struct letter {
    mailbox_list from;
    mailbox_list to;
    std::string subject;
    std::string text;
    std::string own = "value";
    mailbox_list cc = {};
    mailbox_list reply_to = {};
    mailbox_list notify = {};
    std::vector<postroad::mailbox_group> groups = {};
    std::vector<std::string> keywords = {};
    std::vector<file> files = {};
    std::string html = {};
    bool as_tree = false;
};

void expect(const std::string& key, const mailbox_list& list) {
    for (const auto& m : list) {
        print(("expect " + key + "_name").c_str(), m.name);
        print(("expect " + key).c_str(), m.address.str());
    }
}

// The same parts, by setters or as a tree of one's own.
void add_parts(message& m, const letter& l) {
    if (!l.as_tree) {
        m.text(l.text);
        if (!l.html.empty()) m.html(l.html);
        for (const auto& f : l.files)
            m.attach(source::memory(f.octets),
                     {.type = "application/octet-stream", .name = f.name, .description = f.description});
        return;
    }
    std::vector<body_part> forms = {body_part::text(l.text)};
    if (!l.html.empty()) forms.push_back(body_part::text(l.html, {.type = "text/html"}));
    std::vector<body_part> parts = {body_part::multipart("multipart/alternative", forms)};
    for (const auto& f : l.files)
        parts.push_back(
            body_part::octets(source::memory(f.octets),
                              {.type = "application/octet-stream", .name = f.name, .description = f.description}));
    m.body(body_part::multipart("multipart/mixed", parts));
}

void compose(const letter& l) {
    const std::chrono::system_clock::time_point when = std::chrono::sys_days(std::chrono::year(2025) / 1 / 6);
    message m;
    m.from(l.from).sender({"sender@example.com"}).subject(l.subject).header("X-Own", l.own).to(l.to);
    for (const auto& g : l.groups) m.to(g);
    if (!l.cc.empty()) m.cc(l.cc);
    if (!l.reply_to.empty()) m.reply_to(l.reply_to);
    if (!l.notify.empty()) m.header("Disposition-Notification-To", l.notify);
    std::string keywords;
    for (const auto& k : l.keywords) keywords += (keywords.empty() ? "" : ", ") + k;
    if (!keywords.empty()) m.header("Keywords", keywords);
    add_parts(m, l);
    const auto o = m.bcc("hidden@example.com").date(when, std::chrono::minutes(-90)).freeze(when);
    expect("from", l.from);
    expect("to", l.to);
    expect("cc", l.cc);
    expect("reply_to", l.reply_to);
    expect("notify", l.notify);
    for (const auto& g : l.groups) {
        print("expect group", g.name);
        expect("to", g.members);
    }
    print("expect subject", l.subject);
    print("expect text", l.text);
    print("expect html", l.html);
    print("expect own", l.own);
    for (const auto& k : l.keywords) print("expect keyword", k);
    for (const auto& f : l.files) {
        print("expect file_name", f.name);
        print("expect description", f.description);
        print("expect octets", f.octets);
    }
    print("message", o.content.text());
}

class random_values : public random_text {
public:
    using random_text::random_text;

    mailbox_list mailboxes(std::uint32_t least, std::uint32_t most) {
        static const std::vector<std::string> addresses = {
            "bob@example.org",
            "a.b+c@x.example",
            "\"a b\"@example.org",
            "\"a,b\"@example.org",
            "o'neil@example.org",
            "very.long.local.part.of.an.address.with.sixty.four.octets.in.it@a-long-label.another-label.example",
            "x=y/z@example.org"};
        mailbox_list result;
        for (auto n = least + below(most - least + 1); n > 0; --n)
            result.push_back({one_in(4) ? "" : line(12), address(one_of(addresses))});
        return result;
    }
};

letter random_letter(random_values& random) {
    letter l;
    l.from = random.mailboxes(1, 2);
    l.to = random.mailboxes(1, 4);
    l.cc = random.mailboxes(0, 2);
    l.reply_to = random.mailboxes(0, 2);
    l.notify = random.mailboxes(0, 2);
    for (auto n = random.below(3) / 2; n > 0; --n) l.groups.push_back({"G" + random.line(6), random.mailboxes(0, 3)});
    l.subject = random.line(40);
    l.own = "X " + random.line(40);
    // what reads as mailboxes is written as such, and encoded words in it count
    std::erase_if(l.own, [](char c) { return c == '@' || c == '?'; });
    if (l.own.size() > 900) l.own = "X";  // a word that no line can hold is refused
    for (auto n = random.below(3); n > 0; --n) {
        static const std::vector<std::string> words = {"a", "zwei Wörter", "漢字", "x-y", "Größe"};
        l.keywords.push_back(random.one_of(words));
    }
    l.text = random.lines(10);
    if (random.one_in(3)) l.html = "<p>" + random.lines(5);
    for (auto n = random.below(3); n > 0; --n)
        l.files.push_back(
            {random.file_name(), random.one_in(2) ? "" : "D" + random.line(10) + "d", random.octets(200)});
    l.as_tree = random.one_in(4);
    return l;
}

void fixed_letters() {
    const mailbox ann{"Ann Lee", address("ann@example.com")};
    const mailbox bob{"", address("bob@example.org")};
    compose({{ann}, {bob}, "Hi", "Hello\n"});
    compose({{ann}, {bob}, "", ""});
    compose({{{"Lee, Ann", ann.address}}, {{"A \"B\" \\C", bob.address}, bob}, "a  b", "x"});
    compose({{{"Änne", ann.address}}, {{"漢字", bob.address}}, "Grüße", "Grüße \n=\n.\nFrom x\n", "größer"});
    compose({{{"=?utf-8?q?x?=", ann.address}}, {bob}, "=?utf-8?q?x?=", "=?utf-8?q?x?="});
    compose({{{"Änne", address("änne@example.com")}}, {{"漢字, x", address("b@bücher.example")}}, "Grüße", "ä"});
    compose({{ann}, {{"x", address("\"a b\"@example.org")}, {"y", address("a@[IPv6:2001:db8::1]")}}, "Hi", "x"});
    compose(
        {{ann}, mailbox_list(200, {"Bob, \"the\" Lee", bob.address}), std::string(5000, 's'), std::string(5000, 't')});
}

}  // namespace

int main(int argc, char** argv) {
    const auto first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    const auto count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 3000;
    if (argc < 3) fixed_letters();
    for (auto seed = first; seed < first + count; ++seed) {
        std::printf("seed %llu\n", seed);
        random_values random(seed);
        compose(random_letter(random));
    }
}

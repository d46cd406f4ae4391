#include <doctest/doctest.h>
#include <postroad/message/body_part.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/message/message.hpp>

#include <chrono>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "failure.hpp"
#include "scratch_folder.hpp"
#include "text_of.hpp"

using postroad::content;
using postroad::errc;
using postroad::message;
using postroad::part;
using postroad::source;
using postroad::transfer;

namespace {

const std::chrono::system_clock::time_point now{};

message simple() { return message{}.from("a@x").to("b@y"); }

// From Content-Type on, with short names for the boundaries.
std::string body_of(const content& c) {
    std::string all(c.text());
    all = all.substr(all.find("MIME-Version: 1.0\r\n") + 19);
    if (const auto at = all.find("=_"); at != std::string::npos) {
        const auto boundary = all.substr(at, 34);
        for (auto i = all.find(boundary); i != std::string::npos; i = all.find(boundary, i)) all.replace(i, 34, "B");
    }
    std::string lines;
    for (const char ch : all)
        if (ch != '\r') lines += ch;
    // whether it is folded there depends on the length of the boundary
    const std::string folded = "\n boundary=";
    for (auto i = lines.find(folded); i != std::string::npos; i = lines.find(folded, i)) lines.erase(i, 1);
    return lines;
}
std::string body_of(const message& m) { return body_of(m.freeze(now).content); }

std::string field(const message& m, const std::string& name) {
    const auto text = text_of(m.freeze(now).content);
    const auto at = text.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const auto start = at + name.size() + 4;
    auto end = text.find("\r\n", start);
    while (text[end + 2] == ' ') end = text.find("\r\n", end + 2);
    return text.substr(start, end - start);
}

std::string unfolded(const std::string& value) {
    std::string plain;
    for (const char c : value)
        if (c != '\n') plain += c;
    return plain;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

/// A file for one test.
class temporary_file {
public:
    explicit temporary_file(const std::string& text) { write(text); }
    void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }
    const std::string& path() const { return path_; }

private:
    scratch_folder folder_ = {};
    std::string path_ = (folder_.path / "file.tmp").string();
};

}  // namespace

TEST_CASE("text and HTML are alternatives, the richer one last") {
    CHECK(body_of(simple().text("plain\n").html("<p>rich")) ==
          "Content-Type: multipart/alternative; boundary=\"B_1\"\n\n"
          "--B_1\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\nplain\n\n"
          "--B_1\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n<p>rich\n--B_1--\n");
    CHECK(body_of(simple().html("<p>ein \xc3\xa4 im Text")) ==
          "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
          "<p>ein =C3=A4 im Text\n");
}

TEST_CASE("attachments stand beside the text, images within the HTML") {
    const auto m = simple()
                       .text("t")
                       .html("<img src=\"cid:logo\">")
                       .attach(source::memory("\x89PNG"), {.name = "logo.png", .content_id = "logo"})
                       .attach(source::memory("data"), {.type = "application/x-own; v=1", .description = "\xc3\x84"});
    CHECK(body_of(m) ==
          "Content-Type: multipart/mixed; boundary=\"B_3\"\n\n"
          "--B_3\nContent-Type: multipart/alternative; boundary=\"B_2\"\n\n"
          "--B_2\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\nt\n"
          "--B_2\nContent-Type: multipart/related; boundary=\"B_1\"; type=\"text/html\"\n\n"
          "--B_1\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n<img src=\"cid:logo\">\n"
          "--B_1\nContent-Type: image/png; name=\"logo.png\"\nContent-Disposition: inline; filename=\"logo.png\"\n"
          "Content-ID: <logo>\nContent-Transfer-Encoding: base64\n\niVBORw==\n--B_1--\n\n--B_2--\n\n"
          "--B_3\nContent-Type: application/x-own; v=1\nContent-Disposition: attachment\n"
          "Content-Description: =?utf-8?b?w4Q=?=\nContent-Transfer-Encoding: base64\n\nZGF0YQ==\n--B_3--\n");
    CHECK(body_of(simple().attach(source::memory("x"), {.name = "a.txt"})) ==
          "Content-Type: text/plain; name=\"a.txt\"\nContent-Disposition: attachment; filename=\"a.txt\"\n"
          "Content-Transfer-Encoding: base64\n\neA==\n");
    // without HTML there is nothing that could show it
    CHECK(body_of(simple().text("t").attach(source::memory("x"), {.name = "a.png", .content_id = "a"}))
              .starts_with("Content-Type: multipart/mixed;"));
}

TEST_CASE("an invitation says its method, and other forms of the text stand before the HTML") {
    const auto body = body_of(simple()
                                  .text("t")
                                  .html("h")
                                  .alternative("amp", {.type = "text/x-amp-html"})
                                  .calendar("BEGIN:VCALENDAR\r\nmethod:REQUEST\r\nEND:VCALENDAR\r\n"));
    const auto amp = body.find("Content-Type: text/x-amp-html; charset=utf-8\n");
    const auto html = body.find("Content-Type: text/html; charset=utf-8\n");
    const auto calendar = body.find("Content-Type: text/calendar; charset=utf-8; method=REQUEST\n");
    CHECK(amp < html);
    CHECK(html < calendar);
    CHECK(calendar != std::string::npos);
    CHECK(failure_of([] { simple().calendar("BEGIN:VCALENDAR\n"); }).code == errc::invalid_message);
    CHECK(failure_of([] { simple().calendar("METHOD:a b\n"); }).code == errc::invalid_message);
    CHECK(failure_of([] { simple().alternative("x", {.type = "image/png"}); }).code == errc::invalid_header);
}

TEST_CASE("a message within a message stays as it is, unless the server takes less") {
    const auto nested = content::from_text("Subject: in\nContent-Transfer-Encoding: 8bit\n\nein \xc3\xa4 im Text\n");
    const auto frozen = simple().text("t").attach(nested).freeze(now).content;
    const std::string about =
        "--B_1\nContent-Type: message/rfc822; name=\"message.eml\"\n"
        "Content-Disposition: attachment; filename=\"message.eml\"\nContent-Transfer-Encoding: ";
    CHECK(body_of(frozen.as(transfer::seven_bit))
              .find(about + "7bit\n\nSubject: in\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n"
                            "ein =C3=A4 im Text\n\n--B_1--") != std::string::npos);
    const auto wide = body_of(frozen);
    CHECK(wide.starts_with("Content-Type: multipart/mixed; boundary=\"B_1\"\nContent-Transfer-Encoding: 8bit\n"));
    CHECK(
        wide.find(about + "8bit\n\nSubject: in\nContent-Transfer-Encoding: 8bit\n\nein \xc3\xa4 im Text\n\n--B_1--") !=
        std::string::npos);
    const auto global = content::from_text("Subject: \xc3\xa4\n\nx\n");
    CHECK(body_of(simple().attach(global)).starts_with("Content-Type: message/global; name=\"message.eml\"\n"));
    CHECK(body_of(simple().attach(nested, {.name = "Angebot.eml"})).find("filename=\"Angebot.eml\"") !=
          std::string::npos);
    CHECK(failure_of([&] { simple().attach(nested, {.name = "a/b"}); }).code == errc::invalid_header);
}

TEST_CASE("a message within that is signed travels where 8BITMIME is, and is refused elsewhere") {
    const std::string octets =
        "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nein \xc3\xa4\r\n--b\r\n\r\nx\r\n--b--\r\n";
    for (const bool streamed : {false, true}) {
        const auto nested = streamed ? content::from_source(source::memory(octets)) : content::from_text(octets);
        const auto frozen = simple().text("t").attach(nested).freeze(now).content;
        CHECK(frozen.eight_bit());
        CHECK(frozen.text().find(octets) != std::string_view::npos);
        postroad::error_code ec;
        std::string why;
        (void)frozen.as(transfer::seven_bit, ec, &why);
        CHECK(ec == errc::eight_bit_unsupported);
        CHECK(why.find("signed") != std::string::npos);
    }
}

TEST_CASE("encodings are chosen by what the server takes, without composing again") {
    const std::string octets(3, '\0');
    const auto frozen =
        simple().text("ein \xc3\xa4 im Text").attach(source::memory(octets), {.name = "a.bin"}).freeze(now).content;
    CHECK_FALSE(frozen.eight_bit());
    const auto same = [](const content& a, const content& b) { return a.text().data() == b.text().data(); };
    CHECK(same(frozen.as(transfer::seven_bit), frozen));
    const auto eight = frozen.as(transfer::eight_bit);
    CHECK(eight.eight_bit());
    CHECK_FALSE(eight.binary());
    CHECK(eight.text().find("8bit\r\n\r\nein \xc3\xa4 im Text\r\n") != std::string_view::npos);
    CHECK(eight.text().find("base64\r\n\r\nAAAA\r\n") != std::string_view::npos);
    const auto binary = frozen.as(transfer::binary);
    CHECK(binary.binary());
    CHECK(binary.text().find("binary\r\n\r\n" + octets + "\r\n--") != std::string_view::npos);
    CHECK(binary.size() == binary.text().size());
    CHECK(text_of(binary.as(transfer::seven_bit)) == frozen.text());
    const auto id = [](const content& c) {
        const auto at = c.text().find("Message-ID");
        return c.text().substr(at, c.text().find("\r\n", at) - at);
    };
    CHECK(id(binary) == id(frozen));
    const auto ascii = simple().text("plain").freeze(now).content;
    CHECK(same(ascii.as(transfer::binary), ascii));
}

TEST_CASE("a file is read when it is sent, and must not change") {
    const std::string text(200000, 'x');
    const temporary_file file(text);
    const auto frozen = simple().text("t").attach(std::filesystem::path(file.path())).freeze(now).content;
    CHECK(frozen.streams());
    std::string read;
    content::reader r(frozen);
    for (auto next = r.peek(); !next.empty(); next = r.peek()) {
        read += next;
        r.consume(next.size());
    }
    CHECK_FALSE(r.failed());
    CHECK(read.size() == frozen.size());
    CHECK(read == frozen.text());
    CHECK(frozen.longest_line() <= 78);
    content::reader second(frozen);
    content::reader third(frozen);
    file.write(text + "x");
    content::reader late(frozen);
    CHECK_FALSE(late.failed());  // the header is in memory
    for (auto* which : {&second, &third, &late}) {
        while (!which->peek().empty()) which->consume(which->peek().size());
        CHECK(which->failure() == errc::changed_file);
        CHECK(which->explanation().find(file.path()) != std::string::npos);
    }
    std::remove(file.path().c_str());
    CHECK(failure_of([&] {
              (void)simple().attach(source::memory("x"), {.name = "x"}).attach(std::filesystem::path(file.path()));
          }).code == errc::unreadable_file);
    CHECK(failure_of([&] { (void)simple().attach(std::filesystem::path(".")); }).code == errc::unreadable_file);
    content::reader gone(frozen);
    while (!gone.peek().empty()) gone.consume(gone.peek().size());
    CHECK(gone.failure() == errc::unreadable_file);
}

TEST_CASE("a file of the kernel, which does not say its size, is attached with what it holds") {
    const auto frozen = simple().text("t").attach(std::filesystem::path("/proc/version")).freeze(now).content;
    CHECK(frozen.text().find("TGludXggdmVyc2lv") != std::string::npos);  // "Linux versio" in base64
    const std::filesystem::path one = "/sys/kernel/uevent_seqnum", endless = "/proc/self/pagemap";
    if (std::filesystem::exists(one)) CHECK(source::file(one).size() < 100);
    if (std::ifstream(endless).get() != std::ifstream::traits_type::eof())
        CHECK(failure_of([&] { (void)source::file(endless); }).code == errc::unreadable_file);
}

TEST_CASE("what waits for a writer is refused at once, also where a file becomes such before it is sent") {
    const scratch_folder folder;
    const auto pipe = folder.path / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    for (const auto& path : {pipe, std::filesystem::path("/dev/zero"), std::filesystem::path("/dev/tty")}) {
        const auto f = failure_of([&] { (void)simple().attach(path, {.name = "x"}); });
        CHECK(f.code == errc::unreadable_file);
        if (path != "/dev/tty") CHECK(f.text.find("not a regular file") != std::string::npos);
    }
    const auto file = folder.path / "a.txt";
    std::ofstream(file) << std::string(200000, 'x');
    const auto frozen = simple().text("t").attach(file).freeze(now).content;
    std::filesystem::rename(pipe, file);
    content::reader r(frozen);
    while (!r.peek().empty()) r.consume(r.peek().size());
    CHECK(r.failure() == errc::unreadable_file);
}

TEST_CASE("a path with a NUL is no other file") {
    const scratch_folder folder;
    std::ofstream(folder.path / "secret") << "SECRET";
    const std::filesystem::path path((folder.path / "secret").native() + '\0' + "/public.txt");
    for (const auto& f :
         {failure_of([&] { (void)simple().attach(path); }), failure_of([&] { (void)source::file(path.native()); }),
          failure_of([&] { (void)postroad::read_eml(path); })}) {
        CHECK(f.code == errc::unreadable_file);
        CHECK(f.text.find("secret\\x00/public.txt") != std::string::npos);
    }
}

TEST_CASE("sources of any size around a block give the same octets in memory and streamed") {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{56}, std::size_t{57}, std::size_t{58}, std::size_t{57 * 1024 - 1},
          std::size_t{57 * 1024}, std::size_t{57 * 1024 + 1}, std::size_t{200000}}) {
        CAPTURE(size);
        std::string octets;
        for (std::size_t i = 0; i < size; ++i) octets += static_cast<char>(i * 31 >> 3);
        const auto open = [octets]() -> source::read_function {
            return [rest = std::string_view(octets)](std::span<char> room) mutable {
                const auto n = std::min<std::size_t>({room.size(), rest.size(), 1000});
                rest.copy(room.data(), n);
                rest.remove_prefix(n);
                return n;
            };
        };
        const auto in_memory = simple().attach(source::memory(octets), {.name = "x"}).freeze(now).content;
        for (const auto& s : {source::generated(open), source::generated(size, open)}) {
            CHECK(s.size() == size);
            const auto streamed = simple().attach(s, {.name = "x"}).freeze(now).content;
            CHECK(body_of(streamed) == body_of(in_memory));
            CHECK(streamed.size() == in_memory.size());
            CHECK(streamed.text().size() == streamed.size());
        }
        CHECK(*source::drained(open()).in_memory() == octets);
    }
}

TEST_CASE("a source that says it gave more than there was room for gives nothing of what lies behind") {
    const auto with = [](std::size_t size, std::size_t said) {
        return source::generated(size,
                                 [=]() -> source::read_function { return [=](std::span<char>) { return said; }; });
    };
    const auto error_of_read = static_cast<std::size_t>(-1);
    for (const std::size_t said : {std::size_t{57 * 1024 + 1}, error_of_read}) {
        CAPTURE(said);
        const auto read = [said](std::span<char>) { return said; };
        CHECK(failure_of([&] { source::drained(read); }).code == errc::invalid_message);
        CHECK(failure_of([&] { source::generated([&]() -> source::read_function { return read; }); }).code ==
              errc::invalid_message);
        const auto c = simple().attach(with(100000, said), {.name = "x"}).freeze(now).content;
        CHECK(failure_of([&] { (void)c.text(); }).code == errc::invalid_message);
    }
    CHECK(failure_of([] { source::drained({}); }).code == errc::invalid_message);
    CHECK(failure_of([] { source::generated([] { return source::read_function(); }); }).code == errc::invalid_message);
}

TEST_CASE("names of files are read by old and new readers") {
    const auto named = [](const std::string& name) {
        return body_of(simple().attach(source::memory("x"), {.name = name}));
    };
    CHECK(named("Gr\xc3\xb6\xc3\x9f"
                "e.pdf")
              .starts_with("Content-Type: application/pdf;\n name=\"=?utf-8?b?R3LDtsOfZS5wZGY=?=\"\n"
                           "Content-Disposition: attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf\n"));
    CHECK(named("a\"b.x").find("filename=\"a\\\"b.x\"") != std::string::npos);
    for (const std::size_t size : {49U, 50U, 51U, 60U, 61U, 100U, 251U}) {
        const auto name = '"' + std::string(size, 'a') + ".pdf\"\n";
        const auto body = named(std::string(size, 'a') + ".pdf");
        CHECK(body.find("name=" + name) != std::string::npos);
        CHECK(body.find("filename=" + name) != std::string::npos);
    }
    std::string cjk;
    for (int i = 0; i < 10; ++i) cjk += "\xe6\xbc\xa2";
    CHECK(
        named(cjk + ".pdf").find("filename*0*=utf-8''%E6%BC%A2%E6%BC%A2%E6%BC%A2%E6%BC%A2%E6%BC%A2;\n filename*1*=") !=
        std::string::npos);
    // each script, at each length: the whole name in words of at most 75 octets
    for (const std::string character : {"\xc3\xa4", "\xd0\xb6", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80"})
        for (std::size_t n = 1; n * character.size() < 250; ++n) {
            std::string name;
            for (std::size_t i = 0; i < n; ++i) name += character;
            const auto body = named(name + ".pdf");
            const auto start = body.find("name=\"") + 6;
            const auto value = body.substr(start, body.find('"', start) - start);
            CHECK(postroad::parse_mailbox(unfolded(value) + " <a@x>").name == name + ".pdf");
            for (const auto& line : lines_of(body)) CHECK(line.size() <= 78);
        }
    // what reads like an encoded word would be decoded
    for (const auto* name : {"=?utf-8?q?x?=.txt", "=?utf-8?q?x?=", "a =?x?= b.pdf"}) {
        const auto body = named(name);
        CHECK(body.find("filename=\"") == std::string::npos);
        CHECK(body.find("filename*=utf-8''") != std::string::npos);
        CHECK(body.find("name=\"=?utf-8?") != std::string::npos);
    }
    CHECK_NOTHROW(named(std::string(255, 'a')));
    CHECK(failure_of([&] { named(std::string(256, 'a')); }).code == errc::invalid_header);
}

TEST_CASE("nothing breaks out of a name, a type or a parameter") {
    const auto why = [](part p) { return failure_of([&] { (void)simple().attach(source::memory("x"), p); }).text; };
    CHECK(why({.name = "a\r\nX: y"}) == "file name: a line end is not allowed at octet 1");
    CHECK(why({.name = std::string("a\0b", 3)}) == "file name: a control character is not allowed at octet 1");
    CHECK(why({.name = "a\xe2\x80\xae.exe"}) == "file name: a control character is not allowed at octet 1");
    CHECK(why({.name = "."}) == "file name: expected no directory at octet 0");
    CHECK(why({.name = ".."}) == "file name: expected no directory at octet 0");
    CHECK(why({.name = "..."}) == "nothing was thrown");
    CHECK(why({.name = "../a"}) == "file name: expected no directory at octet 2");
    CHECK(why({.name = "a\\b"}) == "file name: expected no directory at octet 1");
    CHECK(why({.name = "a\xff"}) == "file name: expected well-formed UTF-8 at octet 1");
    CHECK(why({.type = "a/b\nX: y"}) == "Content-Type: a line end is not allowed at octet 3");
    CHECK(why({.type = "a"}).starts_with("Content-Type: expected type/subtype"));
    CHECK(why({.type = "multipart/mixed"}) == "Content-Type: multipart/mixed is not for a single part");
    CHECK(why({.type = "a/b; boundary=x"}).find("boundary") != std::string::npos);
    CHECK(why({.type = "a/b", .description = "x\n"}) == "Content-Description: a line end is not allowed at octet 1");
    CHECK(why({.type = "a/b", .content_id = "a>\r\nX: <y"}) == "Content-ID: a line end is not allowed at octet 2");
    CHECK(why({.type = "a/b", .content_id = "a> <y"}).starts_with("Content-ID: expected"));
    CHECK(why({}) == "Content-Type: a part needs a type or a file name");
    CHECK(failure_of([] {
              (void)simple()
                  .attach(source{}, {.type = "a/b", .content_id = "x"})
                  .attach(source{}, {.type = "a/b", .content_id = "x"});
          }).code == errc::invalid_header);
}

TEST_CASE("a type is whole, so that nothing put behind it is taken for a part of it") {
    const auto refused = [](const std::string& type) {
        return failure_of([&] { (void)simple().text("x", {.type = "text/plain" + type}); }).code;
    };
    for (const auto* type : {"; a=\"b",
                             "; a=\"b\\",
                             "; a=\"b\\\"",
                             " (x",
                             " (x)",
                             "; a=b (c",
                             "; a=b c",
                             " x",
                             "; x",
                             "; =x",
                             "; a=",
                             ";",
                             ";; a=b",
                             "; a=b;",
                             "; a=\"x\"y",
                             "; a=@",
                             "; a=b=c",
                             "; a='b c'",
                             "; a b=c",
                             "; a=b; A=c",
                             "; charset=utf-8; charset=utf-16",
                             "; charset*=utf-8''utf-16",
                             "; name*0=x"}) {
        CAPTURE(type);
        CHECK(refused(type) == errc::invalid_header);
    }
    for (const auto* type : {"", "; a=b", ";a=b", " ; a=b ;c=\"d;\\\" e\"", "; a=\"\"; charset=UTF-8"}) {
        CAPTURE(type);
        CHECK(!refused(type));
    }
    CHECK(failure_of([] {
              (void)postroad::body_part::multipart("multipart/mixed; a=\"b", {postroad::body_part::text("x")});
          }).code == errc::invalid_header);
}

TEST_CASE("media types come from the name, in any case") {
    CHECK(postroad::media_type_of("a.PDF") == "application/pdf");
    CHECK(postroad::media_type_of("a.tar.jpeg") == "image/jpeg");
    CHECK(postroad::media_type_of("a.html") == "text/html");
    CHECK(postroad::media_type_of("pdf") == "application/octet-stream");
    CHECK(postroad::media_type_of("a.unheard-of") == "application/octet-stream");
    CHECK(postroad::media_type_of("a.eml") == "application/octet-stream");  // would be message/rfc822, a composite
}

TEST_CASE("no boundary occurs in the text, even if the text is a message of ours") {
    const auto inner = simple().text("t").html("h").freeze(now).content;
    const std::string text(inner.text());
    const auto outer = text_of(simple().text(text).html(text).freeze(now).content);
    const auto boundary = [](const std::string& t) { return t.substr(t.find("boundary=\"") + 10, 34); };
    CHECK(boundary(text) != boundary(outer));
    CHECK(text.find(boundary(outer)) == std::string::npos);
}

TEST_CASE("groups, and an empty one") {
    const postroad::mailbox_group team{
        .name = "Team, A", .members = {{"", postroad::address("c@y")}, {"D", postroad::address("d@\xc3\xb6")}}};
    const auto m = simple().to(team).cc(postroad::mailbox_group{.name = "undisclosed-recipients", .members = {}});
    CHECK(field(m, "To") == "b@y, \"Team, A\": c@y, D <d@xn--nda>;");
    CHECK(field(m, "Cc") == "undisclosed-recipients:;");
    CHECK(m.freeze(now).envelope.recipients.size() == 3);
    CHECK(failure_of([] { simple().to(postroad::mailbox_group{}); }).code == errc::invalid_header);
    CHECK(failure_of([] { simple().to(postroad::mailbox_group{.name = "a\nb", .members = {}}); }).code ==
          errc::invalid_header);
}

TEST_CASE("fields of threads, lists and machines") {
    const auto m = simple()
                       .in_reply_to("<1@x>")
                       .references("<0@x>  <1@x>")
                       .importance(postroad::importance::high)
                       .automatic(postroad::automatic::generated)
                       .tls_not_required()
                       .tls_not_required()
                       .list_id("news.example.com", "News")
                       .list_unsubscribe({.one_click = "https://x.example/u?t=1", .url = "mailto:u@x.example"})
                       .list(postroad::list_url::archive, "https://x.example/a");
    CHECK(field(m, "In-Reply-To") == "<1@x>");
    CHECK(field(m, "References") == "<0@x> <1@x>");
    CHECK(field(m, "Importance") == "high");
    CHECK(field(m, "Auto-Submitted") == "auto-generated");
    CHECK(field(m, "TLS-Required") == "No");
    CHECK(failure_of([&] { message(m).header("tls-required", "No"); }).code == errc::invalid_header);
    CHECK(field(m, "List-Id") == "\"News\" <news.example.com>");
    CHECK(field(m, "List-Unsubscribe") == "<https://x.example/u?t=1>, <mailto:u@x.example>");
    CHECK(field(m, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click");
    CHECK(field(m, "List-Archive") == "<https://x.example/a>");
    const auto again = message(m).list_unsubscribe({.url = "mailto:v@x.example"}).in_reply_to("<2@x>");
    CHECK(field(again, "List-Unsubscribe") == "<mailto:v@x.example>");
    CHECK(field(again, "List-Unsubscribe-Post").empty());
    CHECK(field(again, "In-Reply-To") == "<2@x>");
}

TEST_CASE("nothing breaks out of fields of threads and lists") {
    const auto code = [](auto a) { return failure_of(a).code; };
    CHECK(code([] { simple().in_reply_to("<a@x>\r\nX: y"); }) == errc::invalid_header);
    CHECK(code([] { simple().in_reply_to(""); }) == errc::invalid_header);
    CHECK(code([] { simple().references("<a@x"); }) == errc::invalid_header);
    CHECK(code([] { simple().list_id("a>\nX: y", ""); }) == errc::invalid_header);
    CHECK(code([] { simple().list_id("a", "b\r\n"); }) == errc::invalid_header);
    CHECK(code([] { simple().list_id("a", "<b>"); }) == errc::invalid_header);
    CHECK(code([] { simple().list_unsubscribe({.one_click = "http://x"}); }) == errc::invalid_header);
    CHECK(code([] { simple().list_unsubscribe({.url = "https://x>, <y"}); }) == errc::invalid_header);
    CHECK(code([] { simple().list_unsubscribe({.url = "https://x\r\nX: y"}); }) == errc::invalid_header);
    CHECK(code([] { simple().list_unsubscribe({}); }) == errc::invalid_header);
    CHECK(code([] { simple().list(postroad::list_url::help, "nothing"); }) == errc::invalid_header);
    CHECK(code([] { simple().list_unsubscribe({.url = "mailto:x"}).header("list-unsubscribe", "<mailto:y>"); }) ==
          errc::invalid_header);
    CHECK(code([] { simple().html("a\xc3"); }) == errc::invalid_message);
}

TEST_CASE("ids are taken as the fields of real messages hold them") {
    const struct {
        std::string given;
        std::string written;
    } rows[] = {
        {"<a@x>", "<a@x>"},
        {"<a>", "<a>"},
        {"<a@b@c>", "<a@b@c>"},
        {"<@x>", "<@x>"},
        {"<a@>", "<a@>"},
        {"<a b@x>", "<ab@x>"},
        {"<\"a b\"@x>", "<\"ab\"@x>"},
        {"<a@[1.2.3.4]>, <b@x>,", "<a@[1.2.3.4]> <b@x>"},
        {"<a@x><b@x>", "<a@x> <b@x>"},
        {"<a@x>\r\n\t<b@x>\n <c@x>", "<a@x> <b@x> <c@x>"},
        {"Your message of \"Mon, 6 Jan\" <a@x> (sfid-1)", "<a@x>"},
        {"a@x", "<a@x>"},
        {" a@x b@y ", "<a@x> <b@y>"},
    };
    for (const auto& row : rows) {
        CAPTURE(postroad::escaped(row.given));
        CHECK(field(simple().in_reply_to(row.given), "In-Reply-To") == row.written);
        CHECK(field(simple().references(row.given), "References") == row.written);
    }
    const auto longest = '<' + std::string(990, 'a') + '>';
    CHECK(text_of(simple().references(longest).freeze(now).content).find("References:\r\n " + longest + "\r\n") !=
          std::string::npos);
    std::string many;
    for (int i = 0; i < 200; ++i) many += "<" + std::to_string(i) + "@x> ";
    const auto c = simple().references(many).freeze(now).content;
    CHECK(c.longest_line() <= 78);
    for (const auto& bad :
         std::vector<std::string>{"<>", ",", "<a@x", "<\xc3\xa4@x>", "<a@x>\nX: y", '<' + std::string(991, 'a') + '>'})
        CHECK(failure_of([&] { simple().references(bad); }).code == errc::invalid_header);
}

TEST_CASE("local time has the offset of the system's zone") {
    ::setenv("TZ", "XYZ-05:30", 1);
    ::tzset();
    CHECK(postroad::local_offset(now) == std::chrono::minutes(330));
    ::unsetenv("TZ");
    ::tzset();
}

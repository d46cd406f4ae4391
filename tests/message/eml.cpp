#include <doctest/doctest.h>
#include <postroad/message/dkim.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/message/message.hpp>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <vector>

#include "failure.hpp"
#include "scratch_folder.hpp"
#include "text_of.hpp"

using postroad::address;
using postroad::content;
using postroad::errc;
using postroad::error;
using postroad::parse_eml;

namespace {

const postroad::eml_options given{.reverse_path = address("s@x"), .recipients = {{address("r@y")}}};

std::string kept(const std::string& text) { return text_of(parse_eml(text, given).content); }

// "reverse path > recipient recipient"
std::string route(const std::string& text, const postroad::eml_options& options = {}) {
    const auto e = parse_eml(text, options).envelope;
    std::string result = e.reverse_path.str() + " >";
    for (const auto& r : e.recipients) result += ' ' + r.str();
    return result;
}

}  // namespace

TEST_CASE("a message passes octet by octet when nothing has to go") {
    for (const std::string text :
         {"", "\r\n", "\r\nbody\r\n", "From: a@x\r\nTo: b@y\r\n\r\n.\r\n..\r\n", "no header\r\n", "X: 1\r\n",
          " odd\r\n\tstart\r\n\r\nBcc: body\r\n", "Subject: \xc3\xa4\r\n\r\n\x80\r\n", ": no name\r\n\r\n",
          "From: a@x\r\nFrom here on\r\n\r\n"})
        CHECK(postroad::escaped(kept(text)) == postroad::escaped(text));
}

TEST_CASE("line ends become CRLF, in the header too") {
    CHECK(kept("A: 1\nB: 2\rC: 3\r\n\nbody") == "A: 1\r\nB: 2\r\nC: 3\r\n\r\nbody\r\n");
}

TEST_CASE("Bcc, Resent-Bcc and Return-Path stay behind, however they are written") {
    const struct {
        const char* text;
        const char* kept;
    } rows[] = {
        {"Bcc: a@x\n\nb", "\r\nb\r\n"},
        {"A: 1\nbcc: a@x\nB: 2\n\nb", "A: 1\r\nB: 2\r\n\r\nb\r\n"},
        {"A: 1\nBCC : a@x,\n b@y\n\tc@z\nB: 2\n", "A: 1\r\nB: 2\r\n"},
        {"Bcc\t:a@x\nBcc:\nB: 2\n", "B: 2\r\n"},
        {"A: 1\nBcc: a@x\n  \n b@y\n\nb", "A: 1\r\n\r\nb\r\n"},
        {"A: 1\rBcc: a@x\rB: 2", "A: 1\r\nB: 2\r\n"},
        {"Resent-Bcc: a@x\nresent-BCC:\n b@y\nA: 1\n", "A: 1\r\n"},
        {"Return-Path: <a@x>\nA: 1\nreturn-path:\n <>\n", "A: 1\r\n"},
        {"not a field\nBcc: a@x\nA: 1\n", "not a field\r\nA: 1\r\n"},
        {"Bccx: 1\nX-Bcc: 2\nA:\n Bcc: 3\n\nBcc: 4", "Bccx: 1\r\nX-Bcc: 2\r\nA:\r\n Bcc: 3\r\n\r\nBcc: 4\r\n"},
    };
    for (const auto& row : rows) {
        CAPTURE(postroad::escaped(row.text));
        CHECK(postroad::escaped(kept(row.text)) == postroad::escaped(row.kept));
    }
}

TEST_CASE("the line that begins a message in an mbox file is taken off, and only that") {
    CHECK(kept("From a@x Mon Jan  6\nA: 1\n\nFrom b\n") == "A: 1\r\n\r\nFrom b\r\n");
    CHECK(kept("From a@x Mon\nFrom b@x Mon\nA: 1\n") == "From b@x Mon\r\nA: 1\r\n");
    CHECK(kept("From a@x") == "");
    CHECK(kept("From: a@x\n") == "From: a@x\r\n");
}

TEST_CASE("a From field with a space before its colon is no line of an mbox file") {
    for (const std::string text : {"From : a@x\r\nTo: b@y\r\n\r\nx\r\n", "From \t: a@x\r\nTo: b@y\r\n\r\nx\r\n"}) {
        CHECK(kept(text) == text);
        CHECK(route(text) == "a@x > b@y");
    }
}

TEST_CASE("what is wrong with a header is said where it is") {
    const auto why = [](const std::string& text) { return failure_of([&] { (void)parse_eml(text); }).text; };
    CHECK(
        why("\nFrom: a@x\n").starts_with("the message has no header, for it is empty or begins with an empty line: "));
    CHECK(why("").starts_with("the message has no header"));
    CHECK(why("\xff\xfe"
              "From\n")
              .starts_with("\\xff\\xfeFrom\\x0d\\x0a: expected well-formed UTF-8 at octet 0,"));
    CHECK(why("X\xe4: a\n").starts_with("X\\xe4: expected well-formed UTF-8 at octet 1,"));
}

TEST_CASE("a byte order mark is taken off, and only at the start") {
    for (const std::string text : {"From: a@x\nTo: b@y\n\nx\n", "From a@x Mon\nFrom: a@x\nTo: b@y\n\nx\n"}) {
        CHECK(kept("\xef\xbb\xbf" + text) == kept(text));
        CHECK(kept("\xef\xbb\xbf\xef\xbb\xbf" + text) == kept(text));
        CHECK(route("\xef\xbb\xbf" + text) == "a@x > b@y");
    }
    CHECK(kept("From a@x Mon\n\xef\xbb\xbf"
               "From: a@x\n\nx\n") == kept("From: a@x\n\nx\n"));
    CHECK(kept("A: 1\n\n\xef\xbb\xbf\n") == "A: 1\r\n\r\n\xef\xbb\xbf\r\n");
}

TEST_CASE("fields that are no UTF-8 are encoded in the charset of the message, or refused by name") {
    const std::string latin = "Content-Type: text/plain; charset=ISO-8859-1\r\n";
    const auto word = [](const std::string& q) { return "=?iso-8859-1?q?" + q + "?="; };
    const struct {
        std::string field;
        std::string written;
    } rows[] = {
        {"Subject: Gr\xf6\xdf"
         "e 1",
         "Subject: " + word("Gr=F6=DFe") + " 1"},
        {"Subject: \xe4 \xf6\r\n\t\xfc x",
         "Subject: " + word("=E4") + ' ' + word("_=F6") + "\r\n\t" + word("_=FC") + " x"},
        {"From: J\xf6rg M\xfcller <a@x>", "From: " + word("J=F6rg") + ' ' + word("_M=FCller") + " <a@x>"},
        {"To: \"M\xfcller, J\\\"\" <b@y>, \xe4: c@y;",
         "To: " + word("M=FCller=2C_J=22") + " <b@y>, " + word("=E4") + " : c@y;"},
        {"Resent-Cc: (\xe4) b@y", "Resent-Cc: (" + word("=E4") + ") b@y"},
        {"X-Own: \"\xe4,\"", "X-Own: " + word("=22=E4=2C=22")},
    };
    for (const auto& row : rows) {
        CAPTURE(postroad::escaped(row.field));
        const auto text = kept(row.field + "\r\n" + latin + "\r\n\xe4\r\n");
        auto found = text.substr(0, text.find("\r\nContent-Type"));
        for (auto at = found.find("=?ISO-8859-1?"); at != std::string::npos; at = found.find("=?ISO-8859-1?"))
            found.replace(at, 13, "=?iso-8859-1?");
        CHECK(found == row.written);
        CHECK(!content::from_text(text).eight_bit_header());
    }
    CHECK(route("From: J\xf6rg <a@x>\nTo: \xe4 <b@y>\n" + latin + "\n") == "a@x > b@y");
    for (const std::string charset : {"latin1", "ISO_8859-1", "iso8859-15", "x-gbk", "cp936", "x-sjis", "cp949"}) {
        CAPTURE(charset);
        CHECK(kept("Subject: \xb0\xa1\nContent-Type: text/plain; charset=" + charset + "\n\n")
                  .starts_with("Subject: =?" + charset + "?q?=B0=A1?=\r\n"));
    }
    const auto long_text = kept("Subject: " + std::string(500, '\xe4') + "\n" + latin + "\n");
    CHECK(content::from_text(long_text).longest_line() < 100);
    for (const std::string type :
         {"", "Content-Type: text/plain; charset=utf-8\n", "Content-Type: text/plain\n",
          "Content-Type: text/plain; charset=x-own\n", "Content-Type: text/plain; charset=\"iso-8859-1?q?\"\n"}) {
        const auto text = "Subject: a\xe4\n" + type + "\n";
        const auto f = failure_of([&] { (void)kept(text); });
        CHECK(f.code == errc::invalid_header);
        CHECK(f.text.starts_with("Subject: expected well-formed UTF-8 at octet 2"));
        CHECK(f.text.find("eml_options::charset") != std::string::npos);
        auto options = given;
        options.charset = "windows-1252";
        CHECK(text_of(parse_eml(text, options).content).starts_with("Subject: =?windows-1252?q?a=E4?=\r\n"));
    }
    CHECK(kept("Bcc: \xe4\nA: 1\n\n") == "A: 1\r\n\r\n");
}

TEST_CASE("characters of several octets are never cut, and none of their octets is taken for ASCII") {
    const struct {
        const char* charset;
        std::string character;
        std::string written;
    } rows[] = {
        {"Shift_JIS", "\x83\x5c", "=83=5C"},  // the second octet is a backslash
        {"Shift_JIS", "\xb1", "=B1"},         // half-width Katakana have one
        {"EUC-JP", "\x8f\xb0\xa1", "=8F=B0=A1"},
        {"gb18030", "\x81\x30\x81\x30", "=810=810"},
        {"Big5", "\xa5\x5c", "=A5=5C"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.charset);
        std::string value;
        for (int i = 0; i < 100; ++i) value += row.character;
        const auto text =
            kept("To: \"" + value + "\" <b@y>\nContent-Type: text/plain; charset=" + row.charset + "\n\n");
        const auto start = "=?" + std::string(row.charset) + "?q?";
        std::size_t characters = 0;
        for (auto at = text.find(start); at != text.npos; at = text.find(start, at)) {
            at += start.size();
            for (; text.substr(at, 2) != "?="; ++characters) {
                REQUIRE(text.substr(at, row.written.size()) == row.written);
                at += row.written.size();
            }
        }
        CHECK(characters == 100);
        CHECK(text.find(" <b@y>\r\n") != text.npos);
    }
}

TEST_CASE("a list that real mail holds gives its recipients, and one that is none says how to go on") {
    CHECK(route("From: [Sales] Ann <a@x>\nTo: b@x <b@y>, c..d@docomo.example\n") ==
          "a@x > b@y \"c..d\"@docomo.example");
    const struct {
        const char* text;
        const char* member;
    } rows[] = {
        {"From: a b@x\nTo: b@y\n", "reverse_path"},
        {"From: a@x\nTo: a b@y\n", "recipients"},
        {"To: b@y\n", "reverse_path"},
        {"From: a@x\n", "recipients"},
        {"From: a@x\nCc: b\nTo: b@y\n", "recipients"},
        {"From: a@x\nSender: b\nTo: b@y\n", "reverse_path"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(failure_of([&] {
                  parse_eml(row.text);
              }).text.ends_with("; it may be given instead: " + std::string(row.member)));
    }
}

TEST_CASE("an envelope that is given is used, whatever the header says") {
    CHECK(route("From: broken\nTo: broken\n", given) == "s@x > r@y");
    CHECK(route("From: a@x\nTo: b@y\n", given) == "s@x > r@y");
    CHECK(route("From: broken\nTo: b@y\n", {.reverse_path = address{}}) == " > b@y");
    CHECK(route("From: a@x\nTo: broken\n", {.recipients = {{address("r@y")}}}) == "a@x > r@y");
}

TEST_CASE("Date and Message-ID are added where they are missing, and only when asked") {
    const std::chrono::system_clock::time_point now{std::chrono::seconds(1700000000)};
    const std::string text =
        "From: a@b\xc3\xbc"
        "cher.example\r\nTo: b@y\r\n\r\n";
    CHECK(text_of(parse_eml(text).content) == text);
    const auto completed = [&](const std::string& header) {
        return text_of(parse_eml(header + "\r\nbody\r\n", {.complete_at = now}).content);
    };
    const auto all = completed(
        "From: a@b\xc3\xbc"
        "cher.example\r\nTo: b@y\r\n");
    CHECK(all.starts_with("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <"));
    const std::string domain = "@xn--bcher-kva.example>\r\nFrom: ";
    CHECK(all.find(domain) != std::string::npos);
    const std::string has_both = "DATE: today\r\nmessage-id: <1@x>\r\nFrom: a@x\r\nTo: b@y\r\n";
    CHECK(completed(has_both) == has_both + "\r\nbody\r\n");
    const std::string has_id = "Message-ID: <1@x>\r\nFrom: a@x\r\nTo: b@y\r\n";
    CHECK(completed(has_id) == "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n" + has_id + "\r\nbody\r\n");
    const auto f = failure_of([&] { parse_eml("To: b@y\n", {.reverse_path = address{}, .complete_at = now}); });
    CHECK(f.code == errc::no_sender);
    CHECK(f.text.find("From: ") != std::string::npos);
}

TEST_CASE("the envelope is read from the header when none is given") {
    const struct {
        const char* text;
        const char* route;
    } rows[] = {
        {"From: a@x\nTo: b@y\n", "a@x > b@y"},
        {"from: A <a@x>, b@x\nto: c@y\n", "a@x > c@y"},
        {"From: a@x\nSender: S <s@x>\nTo: b@y\n", "s@x > b@y"},
        {"From: a@x\nSender:\nTo: b@y\n", "a@x > b@y"},
        {"From: a@x\nBcc: d@y\nCc: c@y\nTo: b@y, T: e@y;\nTo: f@y\n", "a@x > b@y e@y f@y c@y d@y"},
        {"From: a@x\nTo: b@Y, b@y, B@y\nCc: b@y\n", "a@x > b@Y B@y"},
        {"From: a@x\nTo:\n b@y,\n\tC <c@y>\n", "a@x > b@y c@y"},
        {"Return-Path: <r@x>\nFrom: a@x\nTo: b@y\n", "a@x > b@y"},
        {"From: a@x\nTo: undisclosed-recipients:;\nBcc: b@y\n", "a@x > b@y"},
        {"From: a@x\nTo: =?utf-8?q?c=40evil=2C?= <b@y>\n", "a@x > b@y"},
        {"From x\nFrom: a@x\nTo: b@y\n", "a@x > b@y"},
        {"From: a@x\nTo: b@y\n\nTo: c@y\n", "a@x > b@y"},
        {"From: <@r:a . b@x>\nTo: ,b@y,\n", "a.b@x > b@y"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(route(row.text) == row.route);
    }
}

TEST_CASE("of a message that was resent the topmost block of Resent- fields counts") {
    const std::string original = "From: a@x\nTo: b@y\nBcc: c@y\n";
    const struct {
        const char* block;
        const char* route;
    } rows[] = {
        {"Resent-From: r@x\nResent-To: s@y\n", "r@x > s@y"},
        {"resent-from: r@x\nResent-Sender: q@x\nRESENT-CC: s@y\nResent-Bcc: t@y\n", "q@x > s@y t@y"},
        {"Received: from z\nResent-From: r@x\nResent-To: s@y\nReceived: from z\nResent-From: o@x\nResent-Cc: p@y\n",
         "r@x > s@y"},
        {"Resent-From: r@x\nResent-To: s@y\nResent-From: o@x\nResent-To: p@y\nResent-Cc: p@y\n", "r@x > s@y"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.block);
        CHECK(route(row.block + original) == row.route);
    }
    const auto f = failure_of([&] { parse_eml("Resent-From: r@x\n" + original); });
    CHECK(f.code == errc::no_recipients);
    CHECK(f.text.find("Resent-To") != std::string::npos);
}

TEST_CASE("an envelope that cannot be read is an error that names the field") {
    const struct {
        const char* text;
        errc code;
        const char* named;
    } rows[] = {
        {"", errc::no_sender, "From"},
        {"To: b@y\n", errc::no_sender, "From"},
        {"From:\nTo: b@y\n", errc::no_sender, "From"},
        {"From: a@x\n", errc::no_recipients, "To, Cc or Bcc"},
        {"From: a@x\nTo: none:;\n", errc::no_recipients, "To, Cc or Bcc"},
        {"From: a\nTo: b@y\n", errc::invalid_address, "From: "},
        {"From: a@x\nsender: s\nTo: b@y\n", errc::invalid_address, "sender: "},
        {"From: a@x\nTo: b@y\nCc: c@y d@y\n", errc::invalid_address, "Cc: "},
        {"From: a@x\nTo: b@y\nBcc: \xff@y\n", errc::invalid_address, "Bcc: "},
        {"From: a@x\nResent-From: r\nTo: b@y\n", errc::invalid_address, "From: "},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        const auto f = failure_of([&] { parse_eml(row.text); });
        CHECK(f.code == row.code);
        CHECK(f.text.find(row.named) != std::string::npos);
    }
    CHECK(failure_of([] { parse_eml("From: a@x\n", {.recipients = std::vector<address>{}}); }).code ==
          errc::no_recipients);
    CHECK(failure_of([] { parse_eml(std::string("a\0", 2), given); }).code == errc::invalid_message);
}

namespace {

struct scratch : scratch_folder {
    std::filesystem::path file() const { return path / "m.eml"; }
    std::filesystem::path holding(const std::string& text) const {
        std::ofstream(file(), std::ios::binary) << text;
        return file();
    }
};

}  // namespace

TEST_CASE("a file is what its text is, and one that cannot be read is named") {
    const scratch s;
    for (const std::size_t size : {0U, 1U, 57U * 1024, 65526U, 65527U, 200'000U}) {
        const std::string text = "A: 1\r\n\r\n" + std::string(size, 'a') + "\r\n";
        CHECK(text_of(postroad::read_eml(s.holding(text), given).content) == text);
    }
    for (const auto& bad : {s.path, s.path / "none"}) {
        const auto f = failure_of([&] { postroad::read_eml(bad, given); });
        CHECK(f.code == errc::unreadable_file);
        CHECK(f.text.find(s.path.filename().string()) != std::string::npos);
    }
}

TEST_CASE("a large file streams, with the same octets and the same needs as its text") {
    const scratch s;
    std::string ends;  // blocks of the file are cut at every place of a line end
    for (int i = 0; ends.size() < 300'000; ++i)
        ends += std::string(static_cast<std::size_t>(i % 97), 'x') + (i % 3 == 0 ? "\r" : i % 3 == 1 ? "\n" : "\r\n");
    const std::string plain(100, 'p');
    std::string crlf;
    while (crlf.size() < 300'000) crlf += plain + "\r\n";
    const std::string header = "From me\nSubject: x\nBcc: a@x,\n b@x\rReturn-Path: <>\n\n";
    for (const auto& text : {
             header + ends,
             header + ends + "no line end",
             header + ends + "\r",
             "Subject: x\r\n\r\n" + crlf,
             "Subject: x\r\n\r\n" + crlf + ".\r\n",
             "Subject: x\r\n\r\n" + crlf + "\xff\r\n",
             "Subject: x\r\n\r\n" + crlf + std::string(999, 'l') + "\r\n",
             "Subject: \xc3\xa4\r\n\r\n" + crlf,
             "\r\n" + crlf,
             "\n\n\n" + ends,
             "Subject: " + std::string(100'000, 's') + "\r\n\r\n" + crlf,
             "A: 1\r\n" + std::string(70'000, 'b'),
             std::string(57 * 1024 - 9, 'a') + ":\r\n\r\n\r\n" + crlf,
         }) {
        const auto whole = parse_eml(text, given).content;
        const auto streamed = postroad::read_eml(s.holding(text), given).content;
        CHECK(streamed.streams());
        CHECK(streamed.size() == whole.size());
        CHECK(streamed.longest_line() == whole.longest_line());
        CHECK(streamed.leading_dots() == whole.leading_dots());
        CHECK(streamed.eight_bit() == whole.eight_bit());
        CHECK(streamed.eight_bit_header() == whole.eight_bit_header());
        CHECK_FALSE(streamed.binary());
        CHECK((streamed.text() == whole.text()));
        CHECK((text_of(content::from_source(postroad::source::memory(text))) == text_of(content::from_text(text))));
    }
}

TEST_CASE("a large file is signed, attached and made fit for a server as its text is") {
    const scratch s;
    std::string text = "From: a@example.com\r\nTo: b@y\r\n\r\n";
    while (text.size() < 200'000) text += ".dots, and \xc3\xa4 in every line\r\n";
    const auto streamed = postroad::read_eml(s.holding(text)).content;
    const auto whole = content::from_text(text);
    CHECK((text_of(streamed.as(postroad::transfer::seven_bit)) == text_of(whole.as(postroad::transfer::seven_bit))));
    const auto outer = postroad::message{}.from("a@x").to("b@y").text("see").attach(streamed).freeze({}).content;
    const auto wide = outer.as(postroad::transfer::eight_bit);
    CHECK(wide.streams());
    CHECK(wide.eight_bit());
    CHECK(wide.leading_dots());
    CHECK(wide.longest_line() >= 30);
    CHECK(wide.text().find(text) != std::string::npos);
    CHECK_FALSE(outer.as(postroad::transfer::seven_bit).eight_bit());
    const std::chrono::system_clock::time_point now{};
    const postroad::dkim_signer signer{
        {.domain = "example.com", .selector = "s", .key = {"rsa-sha256", [](std::span<const unsigned char, 32>) {
                                                               return std::string(256, 'k');
                                                           }}}};
    const auto done = signer.sign(streamed, now);
    CHECK(done.streams());
    CHECK(done.text().ends_with(text));
    // Without 8-bit octets both are signed as they are.
    std::string plain = "From: a@example.com\r\nTo: b@y\r\n\r\n";
    while (plain.size() < 200'000) plain += ".dots, in every line\r\n";
    CHECK((text_of(signer.sign(postroad::read_eml(s.holding(plain)).content, now)) ==
           text_of(signer.sign(content::from_text(plain), now))));
}

TEST_CASE("a large file that changes, vanishes or holds what no message holds is an error, never half a message") {
    const scratch s;
    const std::string text = "A: 1\r\n\r\n" + std::string(200'000, 'a') + "\r\n";
    const auto c = postroad::read_eml(s.holding(text), given).content;
    s.holding(text + "more");
    CHECK(failure_of([&] { (void)c.text(); }).code == errc::changed_file);
    content::reader r(c);
    std::size_t shown = 0;
    for (auto next = r.peek(); !next.empty(); next = r.peek()) {
        shown += next.size();
        r.consume(next.size());
    }
    CHECK(r.failure() == errc::changed_file);
    CHECK(shown < c.size());
    std::filesystem::remove(s.file());
    CHECK(failure_of([&] { (void)c.text(); }).code == errc::unreadable_file);

    auto f = failure_of([&] { postroad::read_eml(s.holding(text + std::string(1, '\0')), given); });
    CHECK(f.code == errc::invalid_message);
    CHECK(f.text.find("octet 200010") != std::string::npos);
    const std::string longest(content::max_streamed_header - 5, 'a');
    CHECK(postroad::read_eml(s.holding("A: " + longest + "\r\n\r\nb\r\n"), given).content.size() ==
          longest.size() + 10);
    f = failure_of([&] { postroad::read_eml(s.holding("A: " + longest + "a\r\n\r\nb\r\n"), given); });
    CHECK(f.code == errc::invalid_message);
    CHECK(f.text.find("1048576") != std::string::npos);
    const auto shrinking = postroad::source::generated(
        10, []() -> postroad::source::read_function { return [](std::span<char>) { return std::size_t{0}; }; });
    CHECK(failure_of([&] { (void)content::from_source(shrinking); }).code == errc::changed_file);
}

TEST_CASE("a header that was changed while it streams cannot bring in bare line ends or NUL") {
    const auto from = postroad::source::memory("A: 1\n\nbody");
    CHECK(text_of(content::from_source(from, [](const std::string& h) { return h + "B: 2\rC: 3"; })) ==
          "A: 1\r\nB: 2\r\nC: 3\r\n\r\nbody\r\n");
    CHECK(failure_of([&] {
              (void)content::from_source(from, [](const std::string&) { return std::string("B: \0", 4); });
          }).code == errc::invalid_message);
}

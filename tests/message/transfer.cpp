#include <doctest/doctest.h>
#include <postroad/message/content.hpp>
#include <postroad/message/conversion.hpp>
#include <postroad/message/lines.hpp>

#include <ostream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "text_of.hpp"

using postroad::content;
using postroad::errc;
using postroad::transfer;

namespace {

std::string as(transfer most, const std::string& text) { return text_of(content::from_text(text).as(most)); }
std::string seven(const std::string& text) { return as(transfer::seven_bit, text); }

struct refusal {
    postroad::error_code code;
    std::string why;
};
refusal refused(const std::string& text, transfer most = transfer::seven_bit) {
    refusal r;
    (void)content::from_text(text).as(most, r.code, &r.why);
    return r;
}

}  // namespace

TEST_CASE("what fits stays as it is") {
    const auto ascii = content::from_text("Subject: x\n\nplain\n");
    const auto same = [](const content& a, const content& b) { return a.text().data() == b.text().data(); };
    CHECK(same(ascii.as(transfer::seven_bit), ascii));
    const auto latin = content::from_text("Subject: x\n\n\xc3\xa4\n");
    CHECK(same(latin.as(transfer::eight_bit), latin));
    CHECK(same(latin.as(transfer::binary), latin));
    CHECK(content{}.as(transfer::seven_bit).size() == 0);
}

TEST_CASE("an 8-bit text becomes quoted-printable or base64, whichever is shorter") {
    CHECK(seven("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nX: y\n\nGr\xc3\xbc\xc3\x9f"
                "e an alle, die das lesen\n") ==
          "Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: "
          "quoted-printable\r\nX: y\r\n\r\n"
          "Gr=C3=BC=C3=9Fe an alle, die das lesen\r\n");
    CHECK(seven("Content-Type: text/plain; charset=utf-8\n\n\xc3\xa4\xc3\xb6\xc3\xbc\n") ==
          "Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: "
          "base64\r\n\r\nw6TDtsO8DQo=\r\n");
    CHECK(seven("Subject: no type\n\nein \xe4 in Latin-1, ohne Angabe\n") ==
          "Subject: no type\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
          "ein =E4 in Latin-1, ohne Angabe\r\n");
    CHECK(seven("Content-Type: application/x\nContent-Transfer-Encoding: binary\n\nabc \xff def\n") ==
          "Content-Type: application/x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: "
          "base64\r\n\r\nYWJjIP8gZGVmDQo=\r\n");
}

TEST_CASE("only the parts of a multipart that need it are encoded") {
    const std::string before =
        "Content-Type: multipart/mixed; boundary=\"a b\" (x)\nContent-Transfer-Encoding: 8bit\n\npreamble\n--a b\n\n"
        "plain\n\n--a b  \nContent-Type: TEXT/html\n\nein \xc3\xa4 unter vielen\n--a bc\n--a b\n--a b\n"
        "Content-Type: message/rfc822\n\nSubject: in\n\nein \xc3\xb6 unter vielen\n--a b--\nend\n";
    CHECK(seven(before) ==
          "Content-Type: multipart/mixed; boundary=\"a b\" (x)\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: "
          "7bit\r\n\r\npreamble\r\n"
          "--a b\r\n\r\nplain\r\n\r\n--a b  \r\nContent-Type: TEXT/html\r\n"
          "Content-Transfer-Encoding: quoted-printable\r\n\r\nein =C3=A4 unter vielen\r\n--a bc\r\n--a b\r\n--a b\r\n"
          "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: "
          "quoted-printable\r\n\r\n"
          "ein =C3=B6 unter vielen\r\n--a b--\r\nend\r\n");
}

TEST_CASE("what is encoded anew says so once") {
    const std::string said = "Content-Transfer-Encoding: ";
    for (const std::string second : {"7bit", "8bit"}) {
        const auto c = content::from_text(said + "8bit\nSubject: x\ncontent-transfer-encoding: " + second +
                                          "\nX: y\n\nein \xc3\xa4 unter vielen\n");
        CHECK(text_of(c.as(transfer::seven_bit)) ==
              "MIME-Version: 1.0\r\n" + said +
                  "quoted-printable\r\nSubject: x\r\nX: y\r\n\r\nein =C3=A4 unter vielen\r\n");
    }
}

TEST_CASE("parts are found by a boundary in the form of RFC 2231, which stays as it is") {
    for (const std::string parameter :
         {"boundary*=us-ascii'en'b%62", "boundary*0=\"b\"; boundary*1=b", "boundary*0*=''%62; boundary*1=b"}) {
        const auto text = "Content-Type: multipart/mixed; " + parameter +
                          "\r\nMIME-Version: 1.0\r\n\r\n--bb\r\nContent-Type: text/plain; charset*=''utf-8\r\n";
        CHECK(seven(text + "\r\nein \xc3\xa4 unter vielen\r\n--bb--\r\n") ==
              text + "Content-Transfer-Encoding: quoted-printable\r\n\r\nein =C3=A4 unter vielen\r\n--bb--\r\n");
    }
    // as readers take it: what is said plainly counts
    CHECK(refused("Content-Type: multipart/mixed; boundary*=''b; boundary=a\n\n--b\n\n\xc3\xa4\n--b--\n").code ==
          errc::eight_bit_unsupported);
    // no more pieces than a header has room for
    std::string pieces;
    for (int i = 0; i < 40'000; ++i) pieces += "; boundary*" + std::to_string(i) + "=b";
    CHECK(refused("Content-Type: multipart/mixed" + pieces + "\n\n--b\n\n\xc3\xa4\n--b--\n").code ==
          errc::eight_bit_unsupported);
}

TEST_CASE("a charset in the form of RFC 2231 is known") {
    CHECK(seven("Subject: \xe4\nContent-Type: text/plain; charset*=us-ascii'en'iso-8859-1\n\nx\n") ==
          "Subject: =?iso-8859-1?q?=E4?=\r\nContent-Type: text/plain; charset*=us-ascii'en'iso-8859-1\r\n\r\nx\r\n");
}

TEST_CASE("parts of a digest are messages") {
    CHECK(
        seven(
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\nein \xc3\xa4 unter vielen\n--b--\n") ==
        "Content-Type: multipart/digest; boundary=b\r\nMIME-Version: 1.0\r\n\r\n--b\r\n\r\nSubject: "
        "in\r\nMIME-Version: 1.0\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nein =C3=A4 unter vielen\r\n--b--\r\n");
}

TEST_CASE("lines of 998 octets pass and lines of 999 are encoded") {
    const std::string head = "Content-Type: text/plain\n\n";
    const auto fits = head + std::string(998, 'x') + "\n";
    CHECK(as(transfer::eight_bit, fits).size() == fits.size() + 3);
    const auto text = as(transfer::eight_bit, head + std::string(999, 'x') + "\n");
    CHECK(text.find("quoted-printable\r\n\r\n" + std::string(75, 'x') + "=\r\n") != std::string::npos);
    CHECK(content::from_text(text).longest_line() == 76);
    CHECK(as(transfer::binary, head + std::string(999, 'x') + "\n").size() > 999);
}

TEST_CASE("lines of a header are folded at white space, of any length, in each part, and nothing else changes") {
    std::string ids;
    for (int i = 0; ids.size() < 40'000; ++i) ids += " <" + std::string(static_cast<std::size_t>(i % 120), 'i') + "@x>";
    const auto unfolded = [](std::string text) {
        for (auto at = text.find("\r\n "); at != std::string::npos; at = text.find("\r\n ", at)) text.erase(at, 2);
        return text;
    };
    std::vector<std::string> values;
    for (std::size_t size = 900; size < 1'200; size += 7) values.push_back(ids.substr(0, size));
    values.push_back(ids);
    values.push_back(" a" + std::string(990, ' ') + "b c");
    values.push_back(" " + std::string(990, 'a') + "   ");
    values.push_back(" " + std::string(980, 'a') + std::string(30, ' '));
    for (const auto& value : values)
        for (const auto most : {transfer::seven_bit, transfer::eight_bit}) {
            CAPTURE(value.size());
            const auto field = "References:" + value + "\r\nX: y\r\n";
            const auto part = "--b\r\n" + field + "\r\nx\r\n--b--\r\n";
            for (const auto& text :
                 {field + "\r\nbody\r\n", "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part,
                  field + "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"}) {
                const auto folded = as(most, text);
                CHECK(content::from_text(folded).longest_line() <= 998);
                CHECK(folded.find("\r\n  \r\n") == std::string::npos);
                if (text.starts_with("References") && !value.ends_with("  ")) CHECK(unfolded(folded) == text);
            }
        }
}

TEST_CASE("fields in UTF-8 become ASCII for a server that takes nothing else, each by its grammar") {
    const struct {
        const char* field;
        const char* written;
    } rows[] = {
        {"Subject: Gr\u00fc\u00dfe an alle", "Subject: =?utf-8?b?R3LDvMOfZQ==?= an alle"},
        {"Subject: \u00e4 \u00f6", "Subject: =?utf-8?b?w6Q=?= =?utf-8?b?IMO2?="},
        {"Subject: =?utf-8?q?a?= \u00f6 =?utf-8?q?b?=",
         "Subject: =?utf-8?q?a?= =?utf-8?b?IMO2?= =?utf-8?q?_?= =?utf-8?q?b?="},
        {"Subject:\u6f22\u5b57", "Subject: =?utf-8?b?5ryi5a2X?="},
        {"From: J\u00f6rg<a@x>", "From: =?utf-8?b?SsO2cmc=?= <a@x>"},
        {"To: \"M\u00fcller, J\" <b@y>, T\u00f6: c@b\u00fccher.example;",
         "To: =?utf-8?q?M=C3=BCller=2C_J?= <b@y>, =?utf-8?b?VMO2?= :\r\n c@xn--bcher-kva.example;"},
        {"Cc: <a@b\u00fccher.example> (\u00e4)", "Cc: <a@xn--bcher-kva.example> (=?utf-8?b?w6Q=?=)"},
        {"Disposition-Notification-To: \u00c4 <a@x>", "Disposition-Notification-To: =?utf-8?b?w4Q=?= <a@x>"},
        {"List-Id: B\u00fccher <b.x>", "List-Id: =?utf-8?q?B=C3=BCcher?= <b.x>"},
        {"Content-Disposition: attachment; size=1; filename=\"\u00e4;.txt\"; x=y",
         "Content-Disposition: attachment; size=1;\r\n filename*=utf-8''%C3%A4%3B.txt; x=y"},
        {"Content-Type: text/plain; name=\u00e4.txt; charset=utf-8",
         "Content-Type: text/plain;\r\n name=\"=?utf-8?b?w6QudHh0?=\"; charset=utf-8"},
        {"Content-Disposition: inline; filename*=utf-8''\u00e4",
         "Content-Disposition: inline;\r\n filename*=utf-8''%C3%A4"},
        {"X: a\r\n\t\u00e4\r\n b", "X: a\r\n\t=?utf-8?b?w6Q=?=\r\n b"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.field);
        const std::string behind = "\r\nA: 1\r\n\r\nx\r\n";
        const auto text = row.field + behind;
        CHECK(as(transfer::seven_bit, text) == row.written + behind);
        CHECK(as(transfer::eight_bit, text) == text);
        const std::string type = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
        CHECK(as(transfer::seven_bit, type + text + "--b--\r\n") == type + row.written + behind + "--b--\r\n");
    }
    std::string many = "To: ";
    for (int i = 0; i < 50; ++i) many += "\u00e4\u6f22\U0001f600 " + std::string(60, 'x') + " <a@x>, ";
    std::istringstream lines(as(transfer::seven_bit, many + "\r\n\r\n"));
    for (std::string line; std::getline(lines, line);)
        if (line.find("=?") != line.npos) CHECK(line.size() <= 77);
}

TEST_CASE("what cannot be encoded is refused, and the part is named") {
    struct row {
        const char* text;
        errc code;
        const char* why;
    };
    const row rows[] = {
        {"Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xc3\xa4\n--b--\n", errc::eight_bit_unsupported,
         "the message holds 8-bit octets and cannot be encoded: it is signed, and must stay as it is"},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\n\n--a\nContent-Type: multipart/signed; boundary=b\n\n"
         "--b\n\n\xc3\xa4\n--b--\n--a--\n",
         errc::eight_bit_unsupported,
         "part 2 holds 8-bit octets and cannot be encoded: it is signed, and must stay as it is"},
        {"From: \xc3\xa4@x\n\n", errc::internationalised_unsupported,
         "From: '\\xc3\\xa4@x' has no form in ASCII, so only a server with SMTPUTF8 takes it"},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\nX: \xe4\n\n--a--\n", errc::internationalised_unsupported,
         "the header of part 1 holds octets above 127 in no known charset"},
        {"Content-Type: multipart/mixed; boundary=a\n\n\xc3\xa4\n--a\n\n--a--\n", errc::eight_bit_unsupported,
         "the message holds 8-bit octets and cannot be encoded: they stand between its parts"},
        {"Content-Type: multipart/mixed\n\n\xc3\xa4\n", errc::eight_bit_unsupported,
         "the message holds 8-bit octets and cannot be encoded: its boundary is not found"},
        {"Content-Type: message/partial\n\n\xc3\xa4\n", errc::eight_bit_unsupported,
         "the message holds 8-bit octets and cannot be encoded: message/partial must not be encoded"},
        {"Content-Transfer-Encoding: base64\n\n\xc3\xa4\n", errc::eight_bit_unsupported,
         "the message holds 8-bit octets and cannot be encoded: it is said to be base64 already"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.text);
        const auto found = refused(r.text);
        CHECK(found.code == r.code);
        CHECK(found.why == r.why);
    }
    const std::string long_line(999, 'x');
    CHECK(refused("Content-Type: multipart/signed; boundary=b\n\n--b\n\n" + long_line + "\n--b--\n").code ==
          errc::line_too_long);
    CHECK(refused("X: " + long_line + "\n\n", transfer::eight_bit).why ==
          "the header of the message holds a line of more than 998 octets");
    CHECK_THROWS_AS((void)content::from_text("To: <\xc3\xa4@x>\n\n").as(transfer::seven_bit), postroad::error);
}

TEST_CASE("parts nest to the limit and not beyond") {
    const auto nested = [](std::size_t depth) {
        std::string text;
        for (std::size_t i = 0; i < depth; ++i) text += "Content-Type: message/rfc822\n\n";
        return text + "Content-Type: text/plain\n\nein \xc3\xa4 unter vielen\n";
    };
    CHECK(!refused(nested(postroad::detail::max_mime_depth - 1)).code);
    CHECK(refused(nested(postroad::detail::max_mime_depth)).code == errc::eight_bit_unsupported);
}

TEST_CASE("conversion of any octets fits or is refused") {
    // every text of these pieces up to a length: structure that is broken in all ways
    const std::string pieces[] = {"--b\n", "--b--\n", "\n", "\xc3\xa4", "Content-Type: multipart/mixed; boundary=b\n",
                                  "x"};
    std::size_t total = 1;
    for (std::size_t length = 0; length <= 5; ++length, total *= 6)
        for (std::size_t n = 0; n < total; ++n) {
            std::string text = "Content-Type: multipart/mixed; boundary=b\n\n";
            for (std::size_t i = 0, rest = n; i < length; ++i, rest /= 6) text += pieces[rest % 6];
            postroad::error_code ec;
            const auto c = content::from_text(text).as(transfer::seven_bit, ec);
            const bool good = ec ? c.size() == 0 : !c.eight_bit() && c.text().ends_with("\r\n");
            if (!good) FAIL(text);
        }
}

TEST_CASE("a header in UTF-8 becomes ASCII without its body, signed or streamed") {
    const std::string body =
        "--b\n\nein \xc3\xa4 unter vielen\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n" +
        std::string(100'000, '\n');
    const auto text =
        "Subject: Gr\xc3\xbc\xc3\x9f"
        "e an alle\nContent-Type: multipart/signed; boundary=b\n\n" +
        body;
    CHECK(refused(text).code == errc::eight_bit_unsupported);
    const auto all = text_of(content::from_text(text));
    const auto streamed =
        content::from_source(postroad::source::generated(text.size(), [&]() -> postroad::source::read_function {
            return [&, at = std::size_t{0}](std::span<char> room) mutable {
                const auto n = text.copy(room.data(), room.size(), at);
                at += n;
                return n;
            };
        }));
    for (const auto& c :
         {content::from_text(text), streamed, content::restored(streamed.known(), postroad::source::memory(all))}) {
        const auto ascii = c.with_ascii_header();
        const auto written = text_of(ascii);
        CHECK(!ascii.eight_bit_header());
        CHECK(ascii.eight_bit());
        CHECK(ascii.size() == written.size());
        CHECK(ascii.streams() == c.streams());
        CHECK(written.starts_with("Subject: =?utf-8?"));
        CHECK(written.substr(written.find("Content-Type: multipart")) ==
              all.substr(all.find("Content-Type: multipart")));
        CHECK(ascii.as(transfer::eight_bit).size() == ascii.size());
    }
    CHECK_THROWS_AS((void)content::from_text("To: \xc3\xa4@x\n\nx\n").with_ascii_header(), postroad::error);
}

TEST_CASE("what is encoded already in lines that are too long is cut anew, and means the same") {
    const auto head = [](const char* encoding) {
        return std::string("Content-Transfer-Encoding: ") + encoding + "\r\n\r\n";
    };
    std::string digits;
    while (digits.size() < 4000) digits += "QUJD";
    const auto based = as(transfer::eight_bit, head("base64") + digits + "\r\nQQ==\r\n");
    CHECK(content::from_text(based).longest_line() == 76);
    auto joined = based.substr(based.find("\r\n\r\n") + 4);
    std::erase_if(joined, [](char c) { return c == '\r' || c == '\n'; });
    CHECK(joined == digits + "QQ==");
    CHECK(based.starts_with(head("base64")));

    for (std::size_t before = 0; before < 80; ++before) {
        std::string line(before, 'x');
        while (line.size() < 3000) line += "=C3=BC";
        const auto quoted = as(transfer::seven_bit, head("Quoted-Printable") + "short=\r\n" + line + "\r\nend\r\n");
        CHECK(content::from_text(quoted).longest_line() <= 998);
        auto whole = quoted;
        for (auto at = whole.find("=\r\n"); at != whole.npos; at = whole.find("=\r\n", at)) whole.erase(at, 3);
        CHECK(whole == head("Quoted-Printable") + "short" + line + "\r\nend\r\n");
        for (auto at = quoted.find("=\r\n"); at != quoted.npos; at = quoted.find("=\r\n", at + 1))
            CHECK(quoted.find_last_of('=', at - 1) != at - 1);
    }
    CHECK(refused(head("base64") + digits + "-\n").code == errc::line_too_long);
    CHECK(refused(head("x-own") + digits + "\n").code == errc::line_too_long);
    CHECK(refused("Content-Type: multipart/signed; boundary=b\n\n--b\n" + head("base64") + digits + "\n--b--\n").code ==
          errc::line_too_long);
}

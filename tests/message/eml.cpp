#include <doctest/doctest.h>
#include <postroad/message/eml.hpp>

#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <vector>

using postroad::address;
using postroad::envelope;
using postroad::errc;
using postroad::error;
using postroad::parse_eml;

namespace {

const postroad::eml_options given{.envelope = envelope{address("s@x"), {address("r@y")}}};

std::string kept(const std::string& text) { return std::string(parse_eml(text, given).content.text()); }

// "reverse path > recipient recipient"
std::string route(const std::string& text) {
    const auto e = parse_eml(text).envelope;
    std::string result = e.reverse_path.str() + " >";
    for (const auto& r : e.recipients) result += ' ' + r.str();
    return result;
}

struct failure {
    postroad::error_code code;
    std::string text;
};

template <class F>
failure failure_of(F f) {
    try {
        f();
    } catch (const error& e) {
        return {e.code(), e.what()};
    }
    return {};
}

}  // namespace

TEST_CASE("a message passes octet by octet when nothing has to go") {
    for (const std::string text :
         {"", "\r\n", "\r\nbody\r\n", "From: a@x\r\nTo: b@y\r\n\r\n.\r\n..\r\n", "no header\r\n", "X: 1\r\n",
          " odd\r\n\tstart\r\n\r\nBcc: body\r\n", "Subject: \xff\xfe\r\n\r\n\x80\r\n", ": no name\r\n\r\n",
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

TEST_CASE("an envelope that is given is used, whatever the header says") {
    CHECK(parse_eml("From: broken\nTo: broken\n", given).envelope == *given.envelope);
    CHECK(parse_eml("From: a@x\nTo: b@y\n", given).envelope == *given.envelope);
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
    CHECK(failure_of([] { parse_eml("", {.envelope = envelope{}}); }).code == errc::no_recipients);
    CHECK(failure_of([] { parse_eml(std::string("a\0", 2), given); }).code == errc::invalid_message);
}

TEST_CASE("a file is read whole, and one that cannot be read is named") {
    const auto directory = std::filesystem::temp_directory_path() / ("postroad-eml-" + std::to_string(::getpid()));
    std::filesystem::create_directory(directory);
    const auto file = directory / "m.eml";
    // the sizes at which the last block read is full, and just not
    for (const std::size_t size : {0U, 1U, 16383U, 16384U, 16385U, 32768U}) {
        const std::string text(size, 'a');
        std::ofstream(file, std::ios::binary) << "A: 1\r\n\r\n" << text << "\r\n";
        CHECK(postroad::read_eml(file, given).content.text() == "A: 1\r\n\r\n" + text + "\r\n");
    }
    for (const auto& bad : {directory, directory / "none"}) {
        const auto f = failure_of([&] { postroad::read_eml(bad, given); });
        CHECK(f.code == errc::unreadable_file);
        CHECK(f.text.find("postroad-eml-") != std::string::npos);
    }
    std::filesystem::remove_all(directory);
}

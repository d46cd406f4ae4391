#include "dialogue.hpp"

#include <doctest/doctest.h>
#include <postroad/transport/maildir_writer.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "scratch_folder.hpp"

using namespace postroad;
namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t files_in(const fs::path& where) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(where), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a Maildir is made, and each message is a file of its own") {
    const scratch_folder d;
    const auto where = d.path / "mail";
    for (const bool durable : {false, true}) {
        const transport::maildir_writer writer(where.string(), durable);
        std::set<std::string> names;
        error_code ec;
        for (int i = 0; i < 50; ++i) names.insert(writer.write("message " + std::to_string(i), ec));
        CHECK_FALSE(ec);
        CHECK(names.size() == 50);
        for (const auto& name : names) CHECK(name.find_first_of(":/") == std::string::npos);
        const std::string_view parts[] = {"a\r\n", "", "b\n"};
        CHECK(content_of(where / "new" / writer.write(parts, ec)) == "a\r\nb\n");
    }
    CHECK(files_in(where / "new") == 102);
    CHECK(files_in(where / "tmp") == 0);
    CHECK(fs::is_directory(where / "cur"));
    CHECK((fs::status(where).permissions() & fs::perms::all) == fs::perms::owner_all);
}

TEST_CASE("a Maildir that cannot be made is an error") {
    const scratch_folder d;
    std::ofstream(d.path / "file") << "x";
    CHECK_THROWS_AS(transport::maildir_writer((d.path / "file").string()), error);
    CHECK_THROWS_AS(transport::maildir_writer((d.path / "no" / "mail").string()), error);
}

TEST_CASE("a message that cannot be written leaves nothing behind") {
    const scratch_folder d;
    const transport::maildir_writer writer((d.path / "mail").string());
    fs::remove(d.path / "mail" / "new");
    error_code ec;
    CHECK(writer.write("x", ec).empty());
    CHECK(ec == std::errc::no_such_file_or_directory);
    CHECK(files_in(d.path / "mail" / "tmp") == 0);
}

TEST_CASE("the server writes messages to its Maildir, and defers what it cannot write") {
    const scratch_folder d;
    dialogue c({.keep = false, .maildir = (d.path / "mail").string()});
    c.say("EHLO c");
    c.raw("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    CHECK(c.raw("x\r\n.\r\n").substr(0, 3) == "250");
    REQUIRE(files_in(d.path / "mail" / "new") == 1);
    CHECK(content_of(fs::directory_iterator(d.path / "mail" / "new")->path()) ==
          "Return-Path: <a@b.example>\r\nDelivered-To: c@d.example\r\nx\r\n");
    fs::remove_all(d.path / "mail" / "new");
    c.raw("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    CHECK(c.raw("x\r\n.\r\n").substr(0, 9) == "451 4.3.0");
    CHECK(c.state->counts().messages == 1);
}

// Images that an HTML text names become parts, and nothing outside of the folder does.
#include <doctest/doctest.h>
#include <postroad/message/embed_images.hpp>

#include <fstream>
#include <ostream>
#include <string>

#include "failure.hpp"
#include "scratch_folder.hpp"
#include "text_of.hpp"

using postroad::embed_images;
using postroad::errc;
using postroad::message;

namespace {

message simple() { return message{}.from("a@x").to("b@y"); }

struct images : scratch_folder {
    images() {
        std::filesystem::create_directory(path / "in");
        std::ofstream(path / "in" / "a b.png") << "PNG";
        std::ofstream(path / "logo.gif") << "GIF";
    }
};

// "cid:image1.…@embedded" as "cid:1".
std::string shown(std::string html) {
    for (auto at = html.find("cid:image"); at != html.npos; at = html.find("cid:image", at)) {
        html.erase(at + 4, 5);
        html.erase(html.find('.', at), html.find("@embedded", at) + 9 - html.find('.', at));
    }
    return html;
}

}  // namespace

TEST_CASE("images of the folder and data: URIs are attached once each, and shown where they were") {
    const images folder;
    auto m = simple();
    const auto html = embed_images(m,
                                   "<IMG alt='a > b' SRC=\"logo.gif\"><p><img src='./in/a%20b.png?x=1'/>"
                                   "<img\nsrc=logo.gif><img src = \"data:image/png;base64,UE5H\"><img src=''>"
                                   "<img src='https://x/y.png'><img src='//x/y'><img src='cid:z'><imgx src='logo.gif'>"
                                   "<!--[if mso]><img src='logo.gif'><![endif]--><img data-src='q'><img src='",
                                   folder.path);
    CHECK(shown(html) ==
          "<IMG alt='a > b' SRC=\"cid:1\"><p><img src='cid:2'/><img\nsrc=cid:1><img src = \"cid:3\"><img src=''>"
          "<img src='https://x/y.png'><img src='//x/y'><img src='cid:z'><imgx src='logo.gif'>"
          "<!--[if mso]><img src='cid:1'><![endif]--><img data-src='q'><img src='");
    const auto text = text_of(m.html(html).freeze({}).content);
    CHECK(text.find("multipart/related") != text.npos);
    for (const std::string part :
         {"name=\"logo.gif\"", "name=\"a b.png\"", "image/png; name=\"image3.png\"", "R0lG", "UE5H"})
        CHECK(text.find(part) != text.npos);
}

TEST_CASE("without a folder paths stay, and data: URIs may be percent-encoded") {
    auto m = simple();
    const std::string svg = "<img src=\"data:image/svg+xml;charset=utf-8,%3Csvg/%3E\">";
    CHECK(shown(embed_images(m, "<img src=a.png>" + svg)) == "<img src=a.png><img src=\"cid:1\">");
    const auto text = text_of(m.text("x").freeze({}).content);
    CHECK(text.find("PHN2Zy8+") != text.npos);
    CHECK(text.find("image1.svg") != text.npos);
    auto large = simple();
    CHECK(shown(embed_images(large, "<img src=DATA:IMAGE/PNG;BASE64,UE5H>")) == "<img src=cid:1>");
    CHECK(text_of(large.text("x").freeze({}).content).find("image1.png") != std::string::npos);
    auto other = simple();
    CHECK(shown(embed_images(other, "<img src=\"data:image/svg+xml;utf8,<svg/>\">")) == "<img src=\"cid:1\">");
}

TEST_CASE("what is no image, not there or outside is refused, and nothing attached") {
    const images folder;
    std::ofstream(folder.path / "in" / "x.png") << "PNG";
    for (const std::string url : {"../logo.gif", "in/../../x", "/etc/hostname", "%2e%2e/logo.gif", "%2Fetc/hostname",
                                  "data:text/html,x", "data:image/png;base64,!", "data:image/png", "data:"}) {
        CAPTURE(url);
        auto m = simple().text("x");
        const auto f =
            failure_of([&] { (void)embed_images(m, "<img src='x.png'><img src='" + url + "'>", folder.path / "in"); });
        CHECK(f.code == errc::invalid_header);
        CHECK(text_of(m.freeze({}).content).find("multipart") == std::string::npos);
    }
    auto m = simple();
    CHECK(failure_of([&] { (void)embed_images(m, "<img src=/logo.gif>", folder.path); }).code == errc::invalid_header);
    const auto f = failure_of([&] { (void)embed_images(m, "<img src='none.png'>", folder.path); });
    CHECK(f.code == errc::unreadable_file);
    for (const std::string odd :
         {"<", "<img", "<img ", "<img src", "<img src=", "<img src=\"", "<img =", "<img / = x>", "<img src=//x/y>"})
        CHECK(embed_images(m, odd, folder.path) == odd);
}

TEST_CASE("a link is followed within the folder, and refused by name where it leads out of it") {
    const images folder;
    namespace fs = std::filesystem;
    const auto in = folder.path / "in";
    std::ofstream(in / "real.png") << "PNG";
    fs::create_directory(folder.path / "other");
    std::ofstream(folder.path / "other" / "secret.png") << "SECRET";
    fs::create_symlink("real.png", in / "alias.png");
    fs::create_symlink(in, folder.path / "shown");
    fs::create_symlink("../logo.gif", in / "up.gif");
    fs::create_symlink(folder.path / "other" / "secret.png", in / "absolute.png");
    fs::create_symlink(folder.path / "other", in / "sub");
    fs::create_symlink("up.gif", in / "twice.gif");
    // "images" and "images2" begin alike
    fs::create_directory(folder.path / "in2");
    std::ofstream(folder.path / "in2" / "x.png") << "PNG";
    fs::create_symlink("../in2/x.png", in / "beside.png");

    for (const auto& base : {in, folder.path / "shown", in / "." / "", in / "sub" / ".." / "in"}) {
        auto m = simple();
        CHECK(shown(embed_images(m, "<img src=alias.png>", base)) == "<img src=cid:1>");
        CHECK(text_of(m.text("x").freeze({}).content).find("name=\"alias.png\"") != std::string::npos);
        for (const std::string url : {"up.gif", "absolute.png", "sub/secret.png", "twice.gif", "beside.png"}) {
            const auto f = failure_of([&] { (void)embed_images(m, "<img src='" + url + "'>", base); });
            CHECK(f.code == errc::invalid_header);
            CHECK(f.text == "img: '" + url + "' leads out of the folder of images");
        }
    }
    fs::create_symlink("nowhere.png", in / "dangling.png");
    fs::create_symlink("round.png", in / "round.png");
    auto m = simple();
    for (const std::string url : {"dangling.png", "round.png", "sub", ""}) {
        const auto f = failure_of([&] { (void)embed_images(m, "<img src='./" + url + "'>", in); });
        CHECK(f.code == (url == "sub" ? errc::invalid_header : errc::unreadable_file));
    }
    CHECK(failure_of([&] { (void)embed_images(m, "<img src='real.png'>", in / "none"); }).code ==
          errc::unreadable_file);
    for (const std::string url : {"real.png%00.txt", "real.png%00/x.png", "%00", "%00../logo.gif"}) {
        CAPTURE(url);
        CHECK(failure_of([&] { (void)embed_images(m, "<img src='" + url + "'>", in); }).code == errc::unreadable_file);
    }
}

// What compose.cpp does, by VMime.

#include "letter.hpp"
#include "peak.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include <vmime/platforms/posix/posixHandler.hpp>
#include <vmime/vmime.hpp>

int main(int argc, char** argv) {
    vmime::platform::setHandler<vmime::platforms::posix::posixHandler>();
    const int messages = argc > 1 ? std::atoi(argv[1]) : 1000;
    const letter sent;
    const auto utf8 = [](const std::string& s) { return vmime::text(s, vmime::charsets::UTF_8); };

    std::size_t size = 0;
    const auto start = std::clock();
    for (int i = 0; i < messages; ++i) {
        vmime::messageBuilder m;
        m.setExpeditor(vmime::mailbox(utf8("Ann Lee"), vmime::emailAddress("ann@example.com")));
        m.getRecipients().appendAddress(
            vmime::make_shared<vmime::mailbox>(utf8("Jörg Müller"), vmime::emailAddress("bob@example.org")));
        m.getRecipients().appendAddress(
            vmime::make_shared<vmime::mailbox>(utf8("Cid"), vmime::emailAddress("cid@example.org")));
        m.setSubject(utf8("Größe und Gewicht Ihrer Bestellung, Nummer " + std::to_string(i)));
        m.constructTextPart(vmime::mediaType(vmime::mediaTypes::TEXT, vmime::mediaTypes::TEXT_HTML));
        const auto part = vmime::dynamicCast<vmime::htmlTextPart>(m.getTextPart());
        part->setCharset(vmime::charsets::UTF_8);
        part->setPlainText(vmime::make_shared<vmime::stringContentHandler>(sent.text));
        part->setText(vmime::make_shared<vmime::stringContentHandler>(sent.html));
        m.appendAttachment(vmime::make_shared<vmime::defaultAttachment>(
            vmime::make_shared<vmime::stringContentHandler>(sent.octets), vmime::encoding(vmime::encodingTypes::BASE64),
            vmime::mediaType("application/octet-stream"), vmime::NULL_TEXT,
            vmime::word("Größen.bin", vmime::charsets::UTF_8)));
        size = m.construct()->generate().size();
    }
    const auto seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::printf("%.0f %zu %ld\n", messages / seconds, size, peak_kib());
}

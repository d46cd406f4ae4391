#pragma once
// What is composed to measure composing.

#include <cstddef>
#include <string>

/// Text and HTML in German, and 64 KiB of octets to attach.
struct letter {
    letter() {
        while (text.size() < 2048)
            text += "Zwölf große Bären grüßen über den Zaun, und niemand wundert sich darüber.\n";
        html = "<html><body><p>" + text + "<p>" + text + "</body></html>";
        for (std::size_t i = 0; i < octets.size(); ++i) octets[i] = static_cast<char>(i * 2654435761U >> 13);
    }

    std::string text = {};
    std::string html = {};
    std::string octets = std::string(65536, '\0');
};

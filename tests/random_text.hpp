#pragma once
// For tests that compose messages of any values.

#include <cstdint>
#include <string>
#include <vector>

#include "utf8_character.hpp"

/// Repeatable: the same value for the same seed.
class random_text {
public:
    explicit random_text(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}

    std::uint32_t below(std::uint32_t n) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return static_cast<std::uint32_t>(state_ >> 33) % n;
    }
    bool one_in(std::uint32_t n) { return below(n) == 0; }
    const std::string& one_of(const std::vector<std::string>& all) {
        return all[below(static_cast<std::uint32_t>(all.size()))];
    }

    /// One character of a range, whatever category it has; none that a header must not hold.
    std::string character(std::uint32_t first, std::uint32_t last) {
        const auto c = first + below(last - first + 1);
        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000) || c == 0x2028 || c == 0x2029) return {};
        return utf8_of(c);
    }

    /// Text for people: look-alikes of syntax, spaces of all kinds and at the edges, every plane, long words.
    std::string line(std::uint32_t max) {
        static const std::vector<std::string> lookalikes = {"=?utf-8?q?x?=",
                                                            "=?utf-8?b?eA==?=",
                                                            "=?",
                                                            "?=",
                                                            "=?x",
                                                            "=",
                                                            "_",
                                                            "?",
                                                            "\"",
                                                            "\\",
                                                            "<a@b.example>",
                                                            "a@b.example",
                                                            "<",
                                                            ">",
                                                            "@",
                                                            ",",
                                                            ";",
                                                            ":",
                                                            "(",
                                                            ")",
                                                            "[",
                                                            "]",
                                                            "%00",
                                                            "utf-8''",
                                                            "''",
                                                            "*",
                                                            "'",
                                                            ".",
                                                            "-",
                                                            "a: b",
                                                            "--",
                                                            "From ",
                                                            "=3D",
                                                            "=20",
                                                            "&#10;",
                                                            "{",
                                                            "}",
                                                            "~",
                                                            "!",
                                                            "$",
                                                            "/",
                                                            "|",
                                                            "=?utf-8?",
                                                            "Re: "};
        static const std::vector<std::string> spaces = {" ", " ", " ", "  ", "   "};
        static const std::vector<std::string> plain = {"a", "word", "Ann", "0", "Müller", "漢字", "größe"};
        std::string result;
        for (auto n = below(max + 1); n > 0; --n) switch (below(8)) {
                case 0:
                case 1: result += one_of(lookalikes); break;
                case 2:
                case 3: result += one_of(spaces); break;
                case 4:
                case 5: result += one_of(plain); break;
                case 6: result += character(0x20, 0x3ff); break;
                case 7: result += one_in(2) ? character(0x400, 0xffff) : character(0x10000, 0x10ffff); break;
            }
        if (one_in(40)) result += std::string(below(1500), 'x');
        return result;
    }
    std::string lines(std::uint32_t max) {
        static const std::vector<std::string> between = {"\n",         "\n\n", "\n.", "\n.\n",
                                                         "\nFrom x\n", "\n--", " \n", "\t"};
        std::string result;
        for (auto n = below(max + 1); n > 0; --n) result += line(20) + one_of(between);
        return result;
    }
    std::string octets(std::uint32_t max) {
        std::string result;
        for (auto n = below(max + 1); n > 0; --n) result += static_cast<char>(below(256));
        return result;
    }
    /// A name of a file holds no directory, and nothing that turns the direction of text.
    std::string file_name() {
        auto name = line(10);
        std::erase_if(name, [](char c) { return c == '/' || c == '\\'; });
        for (const std::string turning :
             {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"})
            for (auto at = name.find(turning); at != name.npos; at = name.find(turning)) name.erase(at, turning.size());
        if (name.size() > 200) return "long.bin";
        return "f" + name + ".bin";
    }

private:
    std::uint64_t state_;
};

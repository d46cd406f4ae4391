#pragma once
// What was observed, for people and for programs: a transcript in memory, and lines of JSON. See
// docs/troubleshooting.md.

#include <postroad/core/config.hpp>
#include <postroad/core/observer.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace postroad {
namespace detail {

// "12.345": locales change what printf writes.
POSTROAD_DECL std::string seconds(duration d);

}  // namespace detail

struct transcript_options {
    std::size_t max_lines = 1000;       ///< the oldest are dropped beyond
    std::size_t max_line = 500;         ///< octets of text in a line, the rest is cut
    bool redact_addresses = false;      ///< mail addresses become "[address]"
    std::uint64_t only_connection = 0;  ///< 0: all
};

/// Keeps what is observed as lines: seconds since the first of them, connection, and `C:` for what the client said,
/// `S:` for the server, `--` for all else. Control characters are escaped. text() may be called on any thread.
///
///     0.012 [1] S: 220 mx.example ESMTP
///     0.012 [1] C: EHLO client.example
class transcript final : public observer {
public:
    transcript() = default;
    explicit transcript(transcript_options options) : options_(options) {}

    POSTROAD_DECL void on(const observation& o) noexcept override;

    /// The lines, each with its end; the first says how many were dropped, if any were.
    POSTROAD_DECL std::string text() const;
    POSTROAD_DECL void clear();

private:
    void add(const observation& o, std::string_view mark, std::string_view line);

    transcript_options options_;
    mutable std::mutex mutex_;  // guards what follows
    std::deque<std::string> lines_;
    std::uint64_t dropped_ = 0;
    time_point first_ = never;
};

struct json_lines_options {
    std::size_t max_text = 1000;  ///< octets of text in a line, the rest is cut
    bool redact_addresses = false;
};

/// Gives each observation to a function as one line of JSON, without line end: for a structured log. Members: `t`
/// (seconds since the first line), `what`, and where they are known `connection`, `message`, `server`, `phase`, `text`,
/// `code`, `enhanced`, `result`, `octets`, `took` (seconds), `error`. Only ASCII: other octets are escaped as \xNN.
class json_lines final : public observer {
public:
    /// `write` is called on the mailer's thread. What it throws is dropped.
    explicit json_lines(std::function<void(std::string_view line)> write, json_lines_options options = {})
        : write_(std::move(write)), options_(options) {}

    POSTROAD_DECL void on(const observation& o) noexcept override;

private:
    std::function<void(std::string_view)> write_;
    json_lines_options options_;
    time_point first_ = never;
};

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/core/impl/transcript.ipp>
#endif

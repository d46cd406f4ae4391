#pragma once
// Writes messages into a Maildir: each is a file of its own, complete the moment it can be seen.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>

#include <span>
#include <string>
#include <string_view>

namespace postroad::transport {

/// Writes below tmp/ and renames into new/, under a name that no other process or host makes. Copies may be used on
/// several threads at a time, and so may one writer. POSIX only.
class maildir_writer {
public:
    /// Creates `path` with tmp/, new/ and cur/ if they are missing, readable for the owner only. Throws
    /// error(errc::storage_failed). `durable`: what write() has returned survives a power cut.
    explicit maildir_writer(std::string path, bool durable = true);

    /// Stores the concatenated parts as they are, line ends too, and returns the name of the file below new/. On
    /// failure `ec` is the system's, nothing is left behind, and the result is empty.
    std::string write(std::span<const std::string_view> parts, error_code& ec) const;
    std::string write(std::string_view content, error_code& ec) const { return write({&content, 1}, ec); }

    const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
    bool durable_;
};

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/maildir_writer.ipp>
#endif

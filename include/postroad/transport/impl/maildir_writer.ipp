#pragma once

#include <postroad/transport/maildir_writer.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

namespace postroad::transport {
namespace detail {

inline error_code last_error() { return {errno, std::generic_category()}; }

class file_handle {
public:
    explicit file_handle(int fd) : fd_(fd) {}
    file_handle(const file_handle&) = delete;
    file_handle& operator=(const file_handle&) = delete;
    ~file_handle() {
        if (fd_ >= 0) ::close(fd_);
    }
    bool open() const noexcept { return fd_ >= 0; }
    int get() const noexcept { return fd_; }
    bool close() noexcept { return ::close(std::exchange(fd_, -1)) == 0; }

private:
    int fd_;
};

inline bool write_whole(int fd, std::string_view octets) {
    while (!octets.empty()) {
        const auto n = ::write(fd, octets.data(), octets.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        octets.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

inline bool sync_directory(const std::string& path) {
    const file_handle directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory.open() && ::fsync(directory.get()) == 0;
}

// Seconds, microseconds, process and counter, host: unique as long as the clock does not go back by the time it takes
// to reuse a process id. O_EXCL finds what is left.
inline std::string unique_name() {
    static std::atomic<unsigned long> counter{0};
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    std::string name;
    for (const char* c = host.data(); *c != '\0'; ++c) {
        if (*c == '/') {
            name += "\\057";
        } else if (*c == ':') {
            name += "\\072";
        } else {
            name += *c;
        }
    }
    if (name.empty()) name = "localhost";
    ::timeval now{};
    ::gettimeofday(&now, nullptr);
    return std::to_string(now.tv_sec) + ".M" + std::to_string(now.tv_usec) + "P" + std::to_string(::getpid()) + "Q" +
           std::to_string(++counter) + "." + name;
}

inline bool fill(const std::string& file, std::span<const std::string_view> parts, bool durable, error_code& ec) {
    file_handle out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    bool good = out.open();
    for (std::size_t i = 0; good && i < parts.size(); ++i) good = write_whole(out.get(), parts[i]);
    good = good && (!durable || ::fsync(out.get()) == 0) && out.close();
    if (good) return true;
    ec = last_error();
    return false;
}

}  // namespace detail

POSTROAD_DECL maildir_writer::maildir_writer(std::string path, bool durable)
    : path_(std::move(path)), durable_(durable) {
    for (const auto* part : {"", "/tmp", "/new", "/cur"})
        if (::mkdir((path_ + part).c_str(), 0700) != 0 && errno != EEXIST)
            throw error(errc::storage_failed, "cannot create " + path_ + part + ": " + detail::last_error().message());
    if (::access((path_ + "/tmp").c_str(), W_OK | X_OK) != 0)
        throw error(errc::storage_failed, "cannot write to " + path_ + "/tmp: " + detail::last_error().message());
}

POSTROAD_DECL std::string maildir_writer::write(std::span<const std::string_view> parts, error_code& ec) const {
    ec.clear();
    auto name = detail::unique_name();
    const auto tmp = path_ + "/tmp/" + name;
    const auto directory = path_ + "/new";
    if (!detail::fill(tmp, parts, durable_, ec)) {
        if (ec != std::errc::file_exists) ::unlink(tmp.c_str());
        return {};
    }
    if (::rename(tmp.c_str(), (directory + "/" + name).c_str()) != 0) {
        ec = detail::last_error();
        ::unlink(tmp.c_str());
        return {};
    }
    if (durable_ && !detail::sync_directory(directory)) {
        ec = detail::last_error();
        ::unlink((directory + "/" + name).c_str());
        return {};
    }
    return name;
}

}  // namespace postroad::transport

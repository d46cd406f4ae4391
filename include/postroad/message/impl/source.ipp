#pragma once

#include <postroad/message/encoding.hpp>
#include <postroad/message/source.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postroad {
namespace detail {

inline std::string file_failure(const char* what, const std::string& path) {
    return std::string(what) + " '" + escaped(path, 1000) + "'";
}

/// An open file that must stay what it was when the message was composed.
class unchanged_file {
public:
    explicit unchanged_file(const std::string& path) : path_(path), fd_(open_at_once(path)) {
        if (fd_ < 0 || ::fstat(fd_, &seen_) != 0 || !S_ISREG(seen_.st_mode)) {
            const int code = fd_ < 0 ? errno : 0;
            if (fd_ >= 0) ::close(fd_);
            throw error(errc::unreadable_file,
                        file_failure("cannot read", path) + ": " +
                            (code != 0 ? std::generic_category().message(code) : "not a regular file"));
        }
    }
    unchanged_file(const unchanged_file&) = delete;
    unchanged_file& operator=(const unchanged_file&) = delete;
    ~unchanged_file() { ::close(fd_); }

    const struct ::stat& seen() const noexcept { return seen_; }

    void require(const struct ::stat& wanted) {
        struct ::stat now {};
        if (::fstat(fd_, &now) != 0 || now.st_size != wanted.st_size || now.st_ino != wanted.st_ino ||
            now.st_dev != wanted.st_dev || now.st_mtim.tv_sec != wanted.st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != wanted.st_mtim.tv_nsec)
            throw error(errc::changed_file, file_failure("a file changed since the message was composed:", path_));
    }

    std::size_t read(std::span<char> room) {
        for (;;) {
            const auto n = ::read(fd_, room.data(), room.size());
            if (n >= 0) return static_cast<std::size_t>(n);
            if (errno != EINTR)
                throw error(errc::unreadable_file,
                            file_failure("cannot read", path_) + ": " + std::generic_category().message(errno));
        }
    }

    std::string rest() {
        static constexpr std::size_t most = 16 * 1024 * 1024;  // some of the kernel's never end
        std::string octets;
        std::array<char, 4096> room;
        while (const auto n = read(room)) {
            octets.append(room.data(), n);
            if (octets.size() > most)
                throw error(errc::unreadable_file, file_failure("cannot read", path_) +
                                                       ": it does not say its size, and has more than 16 MiB");
        }
        return octets;
    }

private:
    // A pipe would wait for whoever writes into it; of a path with a NUL the kernel sees the half before it.
    static int open_at_once(const std::string& path) noexcept {
        if (path.find('\0') == path.npos) return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        errno = ENOENT;
        return -1;
    }

    std::string path_;
    int fd_;
    struct ::stat seen_ {};
};

inline source::read_function open_unchanged(const std::string& path, const struct ::stat& wanted) {
    auto file = std::make_shared<unchanged_file>(path);
    file->require(wanted);
    return [file, wanted](std::span<char> room) {
        const auto n = file->read(room);
        // looked at behind each block, so that what was read of a changed file is never the end of a message
        file->require(wanted);
        return n;
    };
}

// Of somebody else: octets beyond the room would be of whatever lies there. What ::read() says of an error is such a
// number, too.
inline source::read_function bounded(source::read_function read) {
    if (!read) throw error(errc::invalid_message, "a source of content needs a function that reads");
    return [read = std::move(read)](std::span<char> room) {
        const auto n = read(room);
        if (n <= room.size()) return n;
        throw error(errc::invalid_message, "a source of content was asked for " + std::to_string(room.size()) +
                                               " octets and says it gave more");
    };
}

}  // namespace detail

POSTROAD_DECL source source::memory(std::string octets) {
    state s;
    s.size = octets.size();
    s.octets = std::move(octets);
    return source(std::move(s));
}

POSTROAD_DECL source::read_function source::open() const {
    if (state_ && state_->open) return state_->open();
    return [kept = state_, at = std::size_t{0}](std::span<char> room) mutable -> std::size_t {
        if (!kept) return 0;
        const auto n = kept->octets.copy(room.data(), room.size(), at);
        at += n;
        return n;
    };
}

POSTROAD_DECL source source::file(const std::string& path) {
    detail::unchanged_file file(path);
    const auto seen = file.seen();
    // Files of the kernel say 0 (/proc) or a page (/sys), whatever they hold.
    if (seen.st_size == 0 || seen.st_size == ::sysconf(_SC_PAGESIZE))
        if (auto octets = file.rest(); octets.size() != static_cast<std::size_t>(seen.st_size))
            return memory(std::move(octets));
    state s;
    s.size = static_cast<std::uint64_t>(seen.st_size);
    s.open = [path, seen] { return detail::open_unchanged(path, seen); };
    return source(std::move(s));
}

POSTROAD_DECL source source::generated(std::uint64_t size, opener open) {
    if (!open) throw error(errc::invalid_message, "a source of content needs a function that opens it");
    state s;
    s.size = size;
    s.open = [open = std::move(open)] { return detail::bounded(open()); };
    return source(std::move(s));
}

POSTROAD_DECL source source::generated(opener open) {
    if (!open) throw error(errc::invalid_message, "a source of content needs a function that opens it");
    const auto read = detail::bounded(open());
    std::vector<char> room(detail::piece_stream::block);
    std::uint64_t size = 0;
    while (const auto n = read(room)) size += n;
    return generated(size, std::move(open));
}

POSTROAD_DECL source source::drained(const read_function& read) {
    std::string octets;
    std::vector<char> room(detail::piece_stream::block);
    const auto bounded = detail::bounded(read);
    while (const auto n = bounded(room)) octets.append(room.data(), n);
    return memory(std::move(octets));
}

namespace detail {

POSTROAD_DECL std::uint64_t piece::size() const noexcept {
    if (!streamed) return text.size();
    return form == piece_form::base64 ? base64_lines_size(octets.size()) : octets.size();
}

POSTROAD_DECL void piece_stream::advance(std::size_t n) noexcept {
    view_.remove_prefix(n);
    try {
        while (view_.empty() && !failed() && at_ < pieces_.size()) load();
    } catch (const error& e) {
        failure_ = e.code();
        explanation_ = e.details().explanation;
    } catch (const std::exception& e) {
        failure_ = errc::unreadable_file;
        explanation_ = std::string("a source of content failed: ") + escaped(e.what());
    } catch (...) {
        failure_ = errc::unreadable_file;
        explanation_ = "a source of content failed";
    }
    if (failed()) view_ = {};
}

POSTROAD_DECL void piece_stream::load() {
    const auto& p = pieces_[at_];
    if (p.streamed) return load_from_source(p);
    view_ = p.text;
    ++at_;
}

POSTROAD_DECL void piece_stream::load_from_source(const piece& p) {
    const bool first = taken_ == 0;
    const auto octets = next_octets(p);
    taken_ += octets.size();
    if (p.form == piece_form::identity) {
        view_ = octets;
    } else {
        encoded_.clear();
        if (!first && !octets.empty()) encoded_ += "\r\n";
        append_base64_lines(encoded_, octets);
        view_ = encoded_;
    }
    if (taken_ < p.octets.size()) return;
    // whether there is more than was said must be known before the last octets are shown
    char more = 0;
    if (read_ && read_({&more, 1}) != 0)
        throw error(errc::changed_file, "a source of content gives more than the " + std::to_string(p.octets.size()) +
                                            " octets that it had when the message was composed");
    read_ = {};
    taken_ = 0;
    ++at_;
}

// A block that is full unless it is the last: lines of base64 must not end early.
POSTROAD_DECL std::string_view piece_stream::next_octets(const piece& p) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(block, p.octets.size() - taken_));
    if (const auto* all = p.octets.in_memory())
        return std::string_view(*all).substr(static_cast<std::size_t>(taken_), wanted);
    if (!read_) read_ = p.octets.open();
    raw_.resize(block);
    std::size_t got = 0;
    while (got < wanted) {
        const auto n = read_({raw_.data() + got, wanted - got});
        if (n == 0 || n > wanted - got)
            throw error(errc::changed_file, "a source of content ended after " + std::to_string(taken_ + got) +
                                                " octets; it had " + std::to_string(p.octets.size()) +
                                                " when the message was composed");
        got += n;
    }
    return std::string_view(raw_).substr(0, got);
}

}  // namespace detail
}  // namespace postroad

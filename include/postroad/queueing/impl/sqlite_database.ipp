#pragma once

#include <postroad/core/error.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postroad::queueing::detail {

/// Which file a path names at this moment; nothing if there is none.
struct file_identity {
    ::dev_t device = 0;
    ::ino_t number = 0;
    static std::optional<file_identity> of(const std::string& path) {
        struct ::stat found {};
        if (::stat(path.c_str(), &found) != 0) return {};
        return file_identity{found.st_dev, found.st_ino};
    }
    friend bool operator==(const file_identity&, const file_identity&) = default;
};

/// What SQLite keeps beside a file that is open. Who has another of these sees neither what is stored nor the locks.
struct files_beside {
    std::optional<file_identity> log = {};
    std::optional<file_identity> locks = {};
    static files_beside of(const std::string& path) {
        return {.log = file_identity::of(path + "-wal"), .locks = file_identity::of(path + "-shm")};
    }
    friend bool operator==(const files_beside&, const files_beside&) = default;
};

enum class writable_by : unsigned char { some, anybody };

/// What the system said of a path: for good, or something that may be otherwise next time.
inline errc why_not(int system_error) noexcept {
    switch (system_error) {
        case ENOSPC:
        case EDQUOT: return errc::storage_full;
        case ENOENT:
        case ENOTDIR:
        case EISDIR:
        case EACCES:
        case EPERM:
        case EROFS:
        case ELOOP:
        case EINVAL:
        case ENAMETOOLONG: return errc::storage_unusable;
        default: return errc::storage_failed;
    }
}

/// What to do about it, where that is known.
inline std::string what_to_do(int system_error, const std::string& path) {
    const auto folder = escaped(std::filesystem::path(path).parent_path().string(), 1000);
    switch (system_error) {
        case ENOENT: return ": make the folder '" + folder + "', or name another file";
        case ENOTDIR: return ": '" + folder + "' must be a folder; name another file";
        case EACCES:
        case EPERM: return ": this user must be allowed to make and write files in '" + folder + "'";
        case EROFS: return ": name a file on a disk that can be written";
        default: return {};
    }
}

/// Why a file that is there is not taken; `by`: who may write to it.
struct file_refused {
    errc what = {};
    std::string why = {};
};
[[noreturn]] inline void refuse_file(const std::string& path, const char* kind, const file_refused& r) {
    throw error(r.what, "the " + std::string(kind) + " '" + escaped(path, 1000) + "' cannot be opened: " + r.why);
}
/// For the system a name ends there, so this would be another file.
inline void refuse_nul(const std::string& path, const char* kind) {
    if (path.find('\0') != std::string::npos)
        refuse_file(path, kind, {errc::invalid_option, "its name has a NUL in it"});
}
inline std::optional<file_refused> refusal_of(const std::string& path, writable_by by) {
    struct ::stat found {};
    const auto failed = [](int why, const char* hint) {
        return file_refused{why_not(why), std::generic_category().message(why) + hint};
    };
    if (::stat(path.c_str(), &found) != 0) return failed(errno, "");
    if (S_ISDIR(found.st_mode)) return file_refused{errc::storage_unusable, "it is a folder: name a file in it"};
    if (!S_ISREG(found.st_mode)) return file_refused{errc::storage_unusable, "it is no file: name another"};
    // Its log and its locks go by its name: whoever has it open by another would write over what is written here.
    if (found.st_nlink > 1)
        return file_refused{errc::storage_unusable,
                            "it has another name, a hard link: remove the one that nobody uses (find . -samefile)"};
    // An empty one becomes a new one. SQLite takes one octet for none, and would write over it.
    static constexpr ::off_t smallest_page = 512;
    if (found.st_size > 0 && found.st_size < smallest_page)
        return file_refused{errc::storage_damaged, "it is not a database: move it away, or name another file"};
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) != 0)
        return failed(errno, ": this user must be allowed to read and write it");
    if (by == writable_by::some && (found.st_mode & S_IWOTH) != 0)
        return file_refused{errc::storage_unusable, "anybody may write to it: take that from it (chmod o-w)"};
    return {};
}

/// Whether there is nothing else than what SQLite writes to undo a transaction by (https://sqlite.org/fileformat2.html,
/// section 3), or has put out of use.
inline bool may_be_rolled_back(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::array<char, 8> begin{};
    in.read(begin.data(), begin.size());
    const std::string_view octets(begin.data(), static_cast<std::size_t>(in.gcount()));
    static constexpr std::string_view none("\0\0\0\0\0\0\0\0", 8);
    return octets.empty() || octets == "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" || octets == none;
}

/// The same of what is beside it, under names that SQLite takes for its own: it would be read, emptied or deleted.
inline std::optional<file_refused> refusal_of_what_is_beside(const std::string& path) {
    struct ::stat found {};
    const auto what_stands = [](const char* suffix, const char* is) {
        return file_refused{errc::storage_unusable,
                            std::string("what stands at its ") + suffix + is + ": move that away"};
    };
    for (const auto* suffix : {"-wal", "-shm", "-journal"})
        if (::stat((path + suffix).c_str(), &found) == 0 && !S_ISREG(found.st_mode))
            return what_stands(suffix, " is no file");
    if (!may_be_rolled_back(path + "-journal")) return what_stands("-journal", " is not of SQLite");
    // A log comes after its file. SQLite would throw it away with all that is in it.
    if (::stat((path + "-wal").c_str(), &found) == 0 && found.st_size > 0) {
        if (::stat(path.c_str(), &found) != 0)
            return file_refused{errc::storage_damaged,
                                "it is gone, and its -wal is there: put it back, or move its -wal away"};
        if (found.st_size == 0)
            return file_refused{errc::storage_damaged,
                                "it is empty, and its -wal is not: put a copy in its place, or move its -wal away"};
    }
    return {};
}

/// The file at `path`, which is there, under its own name: by another its lock would be another one. It may be
/// anything: nothing but a file is taken, nor one that more may write to than `by`. It is not opened: to close it would
/// take this process's locks off it.
inline std::string found_file(const std::string& path, const char* kind, writable_by by = writable_by::some) {
    refuse_nul(path, kind);
    std::error_code ec;
    const auto real = std::filesystem::canonical(path, ec);
    if (ec) {
        std::error_code ignored;
        const bool is_link = std::filesystem::is_symlink(path, ignored);
        const auto hint = is_link ? ": it is a link, and leads to no file" : what_to_do(ec.value(), path);
        refuse_file(path, kind, {why_not(ec.value()), ec.message() + hint});
    }
    if (const auto no = refusal_of(real.string(), by)) refuse_file(path, kind, *no);
    if (const auto no = refusal_of_what_is_beside(real.string())) refuse_file(path, kind, *no);
    return real.string();
}

/// The same, and made here if there is none, so that it is for this user only from its first moment; SQLite gives -wal
/// and -shm the same mode.
inline std::string made_file(const std::string& path, const char* kind, writable_by by = writable_by::some) {
    refuse_nul(path, kind);
    if (!file_identity::of(path))
        if (const auto no = refusal_of_what_is_beside(path)) refuse_file(path, kind, *no);
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd >= 0) {
        ::fchmod(fd, S_IRUSR | S_IWUSR);
        ::close(fd);
    } else if (const int why = errno; why != EEXIST) {
        refuse_file(path, kind, {why_not(why), std::generic_category().message(why) + what_to_do(why, path)});
    }
    return found_file(path, kind, by);
}

/// A connection to a file. Everything throws `error`, whose explanation names the file and says what to do.
class database {
public:
    static constexpr int patience_ms = 10'000;  // for the locks of others

    /// `kind`: what errors call it.
    database(const std::string& path, int flags, const char* kind = "queue") : path_(path), kind_(kind) {
        sqlite3* opened = nullptr;
        const int rc =
            sqlite3_open_v2(path.c_str(), &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
        db_.reset(opened);
        if (rc != SQLITE_OK) fail(rc);
        sqlite3_busy_timeout(opened, patience_ms);
        // The file may be a stranger's: nothing in it runs.
        sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
        sqlite3_db_config(opened, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
        sqlite3_db_config(opened, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
        sqlite3_db_config(opened, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
    }

    sqlite3* get() const noexcept { return db_.get(); }

    void execute(const char* sql) {
        const int rc = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
        if (rc != SQLITE_OK) fail(rc);
    }
    std::string text(const char* query);
    std::int64_t number(const char* query);
    /// Before anything is written, in a snapshot: throws if it is another program's, which stays as it is, with its
    /// log. Whether there is nothing in it.
    bool is_empty_or_of(std::int64_t application);

    [[noreturn]] void fail(int rc) const {
        const auto said = std::string(db_ ? sqlite3_errmsg(db_.get()) : sqlite3_errstr(rc));
        const int system = db_ ? sqlite3_system_errno(db_.get()) : 0;
        const auto system_said = system != 0 ? ", " + std::generic_category().message(system) : "";
        const bool no_room = system == ENOSPC || system == EDQUOT;
        const int kind = rc & 0xff;
        if (kind == SQLITE_FULL || (no_room && (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN)))
            refuse(errc::storage_full, "there is no room (" + said +
                                           "): make room on its disk, and in the folder for temporary files "
                                           "(SQLITE_TMPDIR); nothing stored is lost");
        if (kind == SQLITE_NOTADB)
            refuse(errc::storage_damaged, "it is not a database: move it away, or name another file");
        if (kind == SQLITE_CORRUPT)
            refuse(errc::storage_damaged,
                   "it is damaged (" + said +
                       "): move it away with its -wal, and save what is left by sqlite3's .recover");
        if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED)
            refuse(errc::storage_failed, "another program has it locked: end that program's transaction");
        if (kind == SQLITE_READONLY || kind == SQLITE_CANTOPEN || kind == SQLITE_PERM)
            refuse(kind == SQLITE_CANTOPEN ? why_not(system) : errc::storage_failed,
                   "it cannot be opened or written (" + said + system_said +
                       "): the file and its folder must exist and be writable by this user");
        refuse(errc::storage_failed, said + system_said);
    }
    [[noreturn]] void refuse(errc what, const std::string& why) const {
        throw error(what, "the " + std::string(kind_) + " '" + escaped(path_, 1000) + "': " + why);
    }

private:
    struct closer {
        // Waits for statements that are still there.
        void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
    };
    std::string path_;
    const char* kind_;
    std::unique_ptr<sqlite3, closer> db_;
};

/// What is bound to a parameter: a number, text, octets, or nothing.
struct blob {
    std::string_view octets = {};
};

/// Texts for so many parameters.
struct texts {
    std::vector<std::string> all = {};
};

/// A prepared statement. Rows show their columns until the next call.
class statement {
public:
    statement(database& in, std::string_view sql) : in_(&in) {
        sqlite3_stmt* made = nullptr;
        const int rc = sqlite3_prepare_v3(in.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                          &made, nullptr);
        handle_.reset(made);
        if (rc != SQLITE_OK) in.fail(rc);
    }

    /// Runs it to its end; returns how many rows it changed.
    template <class... Values>
    int run(const Values&... values) {
        const use_guard used(*this, values...);
        while (step()) {
        }
        return sqlite3_changes(in_->get());
    }
    /// Calls `row()` for each row, until it returns false.
    template <class F, class... Values>
    void each(F row, const Values&... values) {
        const use_guard used(*this, values...);
        while (step() && row()) {
        }
    }
    /// The first column of the first row.
    template <class... Values>
    std::optional<std::int64_t> find(const Values&... values) {
        const use_guard used(*this, values...);
        if (!step()) return {};
        return number(0);
    }

    std::int64_t number(int column) const noexcept { return sqlite3_column_int64(handle_.get(), column); }
    bool null(int column) const noexcept { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
    std::string_view text(int column) const noexcept {
        const auto* octets = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
        return octets ? std::string_view(octets, size) : std::string_view();
    }

private:
    struct use_guard {
        statement& of;
        template <class... Values>
        explicit use_guard(statement& s, const Values&... values) : of(s) {
            [[maybe_unused]] int at = 0;
            (s.bind_next(at, values), ...);
        }
        ~use_guard() { sqlite3_reset(of.handle_.get()); }
        use_guard(const use_guard&) = delete;
        use_guard& operator=(const use_guard&) = delete;
    };
    struct finalizer {
        void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
    };

    bool step() {
        const int rc = sqlite3_step(handle_.get());
        if (rc == SQLITE_ROW) return true;
        if (rc == SQLITE_DONE) return false;
        in_->fail(rc);
    }

    template <class T>
    void bind_next(int& at, const T& value) {
        if constexpr (std::is_same_v<T, texts>)
            for (const auto& one : value.all) bind(++at, one);
        else
            bind(++at, value);
    }
    // Views are bound as they are: they outlive the run.
    template <class T>
    void bind(int at, const T& value) {
        auto* const s = handle_.get();
        int rc = SQLITE_OK;
        if constexpr (std::is_integral_v<T>) {
            rc = sqlite3_bind_int64(s, at, static_cast<std::int64_t>(value));
        } else if constexpr (std::is_same_v<T, std::optional<std::int64_t>>) {
            rc = value ? sqlite3_bind_int64(s, at, *value) : sqlite3_bind_null(s, at);
        } else if constexpr (std::is_same_v<T, blob>) {
            rc = sqlite3_bind_blob64(s, at, value.octets.empty() ? "" : value.octets.data(), value.octets.size(),
                                     SQLITE_STATIC);
        } else {
            const std::string_view text = value;
            rc = text.data() && !text.empty()
                     ? sqlite3_bind_text64(s, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8)
                     : sqlite3_bind_null(s, at);
        }
        if (rc != SQLITE_OK) in_->fail(rc);
    }

    database* in_;
    std::unique_ptr<sqlite3_stmt, finalizer> handle_;
};

/// For as long as it lives, all that is read is as it was at one time.
class snapshot {
public:
    explicit snapshot(database& d) : of_(d) { of_.execute("BEGIN"); }
    snapshot(const snapshot&) = delete;
    snapshot& operator=(const snapshot&) = delete;
    ~snapshot() { sqlite3_exec(of_.get(), "ROLLBACK", nullptr, nullptr, nullptr); }

private:
    database& of_;
};

inline std::string database::text(const char* query) {
    std::string result;
    statement s(*this, query);
    s.each([&] {
        result = s.text(0);
        return false;
    });
    return result;
}

inline std::int64_t database::number(const char* query) { return statement(*this, query).find().value_or(0); }

inline bool database::is_empty_or_of(std::int64_t application) {
    // Whoever is the last to close it would write the log into it.
    struct ::stat log {};
    const bool has_log = ::stat((path_ + "-wal").c_str(), &log) == 0 && log.st_size > 0;
    sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log ? 1 : 0, nullptr);
    const auto belongs_to = number("PRAGMA application_id");
    const bool empty = number("SELECT count(*) FROM sqlite_master") == 0;
    const bool unused = empty && belongs_to == 0 && number("PRAGMA user_version") == 0;
    if (belongs_to != application && !unused)
        refuse(errc::storage_damaged, "it is a database of another program: name another file");
    sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
    return empty;
}

/// A file beside the queue that one process at a time has locked; the kernel takes the lock off with the process.
class process_lock {
public:
    explicit process_lock(std::string path) : path_(std::move(path)) {}
    process_lock(const process_lock&) = delete;
    process_lock& operator=(const process_lock&) = delete;
    ~process_lock() {
        if (fd_ >= 0) ::close(fd_);
    }

    /// Throws errc::storage_unusable if there can be no such file, errc::storage_failed if there is none now.
    void open() {
        if (fd_ >= 0) return;
        // What somebody else put there is not followed, nor changed.
        fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR);
        struct ::stat found {};
        if (fd_ >= 0 && ::fstat(fd_, &found) == 0 && (!S_ISREG(found.st_mode) || found.st_size > 0)) {
            give_back();
            errno = EINVAL;
        }
        if (fd_ < 0) {
            const int why = errno;
            throw error(why_not(why), "cannot open '" + escaped(path_, 1000) + "', which is to be a file of its own: " +
                                          std::generic_category().message(why) + what_to_do(why, path_));
        }
        ::fchmod(fd_, S_IRUSR | S_IWUSR);
    }
    /// Whether it is ours now.
    bool take() {
        open();
        // Another queue of this process has opened it for itself, so it is kept out too.
        return ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
    }
    void give_back() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

private:
    std::string path_;
    int fd_ = -1;
};

}  // namespace postroad::queueing::detail

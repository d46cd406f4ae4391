#pragma once
// A disk for SQLite that fails on purpose, and loses at a power cut what was not synced.

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sqlite_test {

/// The disk under every SQLite file of this process, once disk::use() was called. Counts what is written and synced; of
/// the files it knows which octets would survive.
class disk {
public:
    static disk& use() {
        static disk d;
        return d;
    }

    /// From now on, the `n`th write, truncation or sync (counted from 1) fails by `rc`, and `times` in all.
    void fail(int n, int rc, int times = 1) {
        const std::scoped_lock lock(mutex_);
        fails_in_ = n;
        fails_by_ = rc;
        failures_ = times;
    }
    /// From now on, the process is killed in place of the `n`th.
    void kill_at(int n) { fail(n, killed, 1); }
    /// No file grows beyond so many octets.
    void limit(std::size_t octets) {
        const std::scoped_lock lock(mutex_);
        limit_ = octets;
    }
    /// Whether everything that was to fail has failed.
    bool failed() {
        const std::scoped_lock lock(mutex_);
        return failures_ == 0;
    }
    /// Whether the first that was to fail has come.
    bool met() {
        const std::scoped_lock lock(mutex_);
        return fails_in_ <= 0;
    }
    void heal() {
        fail(0, SQLITE_OK, 0);
        limit(unlimited);
        hurries_ = false;
    }
    /// From now on, whoever waits for a lock does not sleep, but takes the time for slept.
    void hurry() { hurries_ = true; }
    std::chrono::microseconds slept() const { return std::chrono::microseconds(slept_); }

    /// Writes the file and its log as a power cut would leave them: each write since the last sync may be there, or
    /// not, or in part.
    void cut_power(const std::string& path, const std::string& to, std::mt19937& random) {
        const std::scoped_lock lock(mutex_);
        for (const auto* suffix : {"", "-wal"}) {
            const auto found = images_.find(path + suffix);
            if (found == images_.end()) continue;
            auto octets = found->second.synced;
            for (const auto& w : found->second.pending) {
                const auto fate = random() % 4;
                if (fate == 0) continue;
                if (w.truncates) {
                    octets.resize(w.at);
                    continue;
                }
                // Sectors reach the disk whole, in any order.
                for (std::size_t from = 0; from < w.octets.size(); from += sector)
                    if (fate != 1 || random() % 2 == 0)
                        put(octets, w.at + from, std::string_view(w.octets).substr(from, sector));
            }
            std::ofstream(to + suffix, std::ios::binary) << octets;
        }
    }

private:
    static constexpr int killed = -1;
    static constexpr std::size_t sector = 512;
    static constexpr std::size_t unlimited = static_cast<std::size_t>(-1);

    struct write {
        std::size_t at = 0;
        std::string octets = {};
        bool truncates = false;
    };
    struct image {
        std::string synced = {};
        std::vector<write> pending = {};
    };
    struct file {
        sqlite3_file base;  // first: SQLite sees this
        image* tracked;
        sqlite3_file* real;  // behind this struct
    };

    disk() {
        real_ = sqlite3_vfs_find(nullptr);
        vfs_ = *real_;
        vfs_.zName = "postroad-test";
        vfs_.pNext = nullptr;
        vfs_.szOsFile = static_cast<int>(sizeof(file)) + real_->szOsFile;
        vfs_.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out) {
            return use().open(name, reinterpret_cast<file*>(f), flags, out);
        };
        vfs_.xDelete = [](sqlite3_vfs*, const char* name, int sync) {
            {
                const std::scoped_lock lock(use().mutex_);
                use().images_.erase(name);
            }
            return use().real_->xDelete(use().real_, name, sync);
        };
        vfs_.xSleep = [](sqlite3_vfs*, int microseconds) {
            if (!use().hurries_) return use().real_->xSleep(use().real_, microseconds);
            use().slept_ += microseconds;
            return microseconds;
        };
        sqlite3_vfs_register(&vfs_, 1);
    }

    static void put(std::string& octets, std::size_t at, std::string_view what) {
        if (octets.size() < at + what.size()) octets.resize(at + what.size());
        octets.replace(at, what.size(), what);
    }

    int open(const char* name, file* f, int flags, int* out) {
        f->real = reinterpret_cast<sqlite3_file*>(f + 1);
        f->base.pMethods = nullptr;
        f->tracked = nullptr;
        const int rc = real_->xOpen(real_, name, f->real, flags, out);
        if (!f->real->pMethods) return rc;
        f->base.pMethods = methods();
        if (name && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0) {
            const std::scoped_lock lock(mutex_);
            const auto [found, is_new] = images_.try_emplace(name);
            f->tracked = &found->second;
            if (is_new) {
                std::ifstream in(name, std::ios::binary);
                found->second.synced.assign(std::istreambuf_iterator<char>(in), {});
            }
        }
        return rc;
    }

    // Whether this is the one that fails.
    int fate() {
        if (failures_ == 0 || --fails_in_ > 0) return SQLITE_OK;
        --failures_;
        if (fails_by_ == killed) std::raise(SIGKILL);
        return fails_by_;
    }

    static sqlite3_file* real(sqlite3_file* f) { return reinterpret_cast<file*>(f)->real; }
    static int change(sqlite3_file* f, write w) {
        auto& d = use();
        const std::scoped_lock lock(d.mutex_);
        if (const int rc = d.fate(); rc != SQLITE_OK) return rc;
        if (!w.truncates && w.at + w.octets.size() > d.limit_) return SQLITE_FULL;
        if (auto* i = reinterpret_cast<file*>(f)->tracked) i->pending.push_back(std::move(w));
        return SQLITE_OK;
    }

    static const sqlite3_io_methods* methods() {
        static const sqlite3_io_methods all = {
            .iVersion = 2,
            .xClose = [](sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); },
            .xRead = [](sqlite3_file* f, void* to, int n,
                        sqlite3_int64 at) { return real(f)->pMethods->xRead(real(f), to, n, at); },
            .xWrite =
                [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
                    const std::string_view octets(static_cast<const char*>(from), static_cast<std::size_t>(n));
                    const int rc = change(f, {.at = static_cast<std::size_t>(at), .octets = std::string(octets)});
                    return rc != SQLITE_OK ? rc : real(f)->pMethods->xWrite(real(f), from, n, at);
                },
            .xTruncate =
                [](sqlite3_file* f, sqlite3_int64 size) {
                    const int rc = change(f, {.at = static_cast<std::size_t>(size), .truncates = true});
                    return rc != SQLITE_OK ? rc : real(f)->pMethods->xTruncate(real(f), size);
                },
            .xSync =
                [](sqlite3_file* f, int) {
                    auto& d = use();
                    const std::scoped_lock lock(d.mutex_);
                    if (const int rc = d.fate(); rc != SQLITE_OK) return rc;
                    if (auto* i = reinterpret_cast<file*>(f)->tracked) {
                        for (const auto& w : i->pending)
                            w.truncates ? i->synced.resize(w.at) : put(i->synced, w.at, w.octets);
                        i->pending.clear();
                    }
                    return SQLITE_OK;
                },
            .xFileSize = [](sqlite3_file* f,
                            sqlite3_int64* size) { return real(f)->pMethods->xFileSize(real(f), size); },
            .xLock = [](sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); },
            .xUnlock = [](sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); },
            .xCheckReservedLock = [](sqlite3_file* f,
                                     int* out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); },
            .xFileControl = [](sqlite3_file* f, int op,
                               void* arg) { return real(f)->pMethods->xFileControl(real(f), op, arg); },
            .xSectorSize = [](sqlite3_file*) { return static_cast<int>(sector); },
            .xDeviceCharacteristics = [](sqlite3_file*) { return 0; },
            .xShmMap = [](sqlite3_file* f, int page, int size, int extend,
                          void volatile** to) { return real(f)->pMethods->xShmMap(real(f), page, size, extend, to); },
            .xShmLock = [](sqlite3_file* f, int offset, int n,
                           int flags) { return real(f)->pMethods->xShmLock(real(f), offset, n, flags); },
            .xShmBarrier = [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); },
            .xShmUnmap = [](sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); },
            .xFetch = nullptr,
            .xUnfetch = nullptr,
        };
        return &all;
    }

    std::mutex mutex_;
    sqlite3_vfs* real_ = nullptr;
    sqlite3_vfs vfs_ = {};
    std::map<std::string, image> images_;
    int fails_in_ = 0;
    int fails_by_ = SQLITE_OK;
    int failures_ = 0;
    std::size_t limit_ = unlimited;
    std::atomic<bool> hurries_ = false;
    std::atomic<std::int64_t> slept_ = 0;
};

}  // namespace sqlite_test

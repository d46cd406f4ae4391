#pragma once

#include <postroad/queueing/impl/sqlite_journal.ipp>
#include <postroad/queueing/impl/sqlite_schema.ipp>
#include <postroad/queueing/sqlite_journal.hpp>

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace postroad::queueing {
namespace detail {

class journal_view final : keeps_open {
public:
    // Opened again later, whatever the working directory is then.
    explicit journal_view(const std::string& path)
        : path_(found_file(std::filesystem::absolute(path).string(), "queue", writable_by::anybody)) {
        const auto no_fork = fork_register::get().hold();
        {
            database file(path_, SQLITE_OPEN_READWRITE);
            sqlite_schema(file).prepare();
        }
        is_ = file_identity::of(path_);
        fork_register::get().add(*this);
    }
    ~journal_view() {
        const auto no_fork = fork_register::get().hold();
        fork_register::get().remove(*this);
        on_.reset();
    }

    journal_page find(const journal_filter& which, std::size_t limit, std::int64_t from) {
        const std::scoped_lock lock(mutex_);
        if (forked_)
            throw error(errc::shut_down, "the journal was opened by the process that this one was forked from");
        if (file_identity::of(path_) != is_)
            throw error(errc::storage_failed, "the queue '" + escaped(path_, 1000) + "' was moved or deleted");
        if (!on_) on_ = std::make_unique<connection>(path_);
        return on_->search.find(which, limit, from);
    }

private:
    struct connection {
        explicit connection(const std::string& path) : file(path, SQLITE_OPEN_READONLY), search(file) {}
        database file;
        journal_search search;
    };

    void close_for_fork() override {
        mutex_.lock();
        on_.reset();
    }
    void forked_in_parent() override { mutex_.unlock(); }
    void forked_in_child() override {
        forked_ = true;
        mutex_.unlock();
    }

    const std::string path_;
    std::optional<file_identity> is_;
    std::mutex mutex_;
    bool forked_ = false;
    std::unique_ptr<connection> on_;
};

}  // namespace detail

inline sqlite_journal::sqlite_journal(const std::string& path) : view_(std::make_unique<detail::journal_view>(path)) {}
inline sqlite_journal::sqlite_journal(sqlite_journal&&) noexcept = default;
inline sqlite_journal& sqlite_journal::operator=(sqlite_journal&&) noexcept = default;
inline sqlite_journal::~sqlite_journal() = default;
inline journal_page sqlite_journal::find(const journal_filter& which, std::size_t limit, std::int64_t from) const {
    return view_->find(which, limit, from);
}

}  // namespace postroad::queueing

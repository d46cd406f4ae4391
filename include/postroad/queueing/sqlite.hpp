#pragma once
// A durable queue in one file, by SQLite; needs the component postroad::sqlite. See docs/queueing.md.

#include <postroad/queueing/journal.hpp>
#include <postroad/queueing/policy.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postroad::queueing {

namespace detail {
class sqlite_store;
struct sqlite_closer {
    void operator()(sqlite_store* s) const noexcept;
};
}  // namespace detail

/// What stays of the content of a message that failed.
enum class kept_content : unsigned char {
    whole,
    header,   ///< the header only
    nothing,  ///< neither
};

struct sqlite_options {
    /// The file; it is made, for this user only, if it is not there. SQLite keeps `-wal` and `-shm` beside it, the
    /// queue `-lock`. On a disk of this machine: locks of network file systems do not hold.
    std::string path = {};
    /// Most messages in the file, those of other processes included.
    std::size_t capacity = 1'000'000;
    queueing::when_full when_full = queueing::when_full::refuse;
    /// How long a key keeps a second message from being queued, from when the first one was.
    std::chrono::seconds keys_kept = std::chrono::hours(24);
    /// How long what was refused for good or given up stays, with its content and all that was said, to be listed,
    /// retried or dropped; it does not count for `capacity`, which is also the most that stay. 0: not at all.
    std::chrono::seconds kept = std::chrono::hours(30 * 24);
    /// What of its content: without the whole it cannot go again.
    queueing::kept_content kept_content = queueing::kept_content::whole;
    /// How long the journal keeps what became of each message that is over (queueing/sqlite_journal.hpp). 0: nothing is
    /// written down.
    std::chrono::seconds journal_kept = std::chrono::hours(30 * 24);
    /// Most entries of the journal; the oldest go first.
    std::size_t journal_capacity = 1'000'000;
    /// Takes a file that anybody on this machine may write to, and so change or forge what is in it.
    bool world_writable = false;
    /// Never sends, whether another process does or not.
    bool submit_only = false;
};

/// A job as it is in the file, with its mail.
struct stored_mail {
    job_info info = {};
    mail_ptr mail = {};      ///< its content is read when it is asked for; null if it cannot be: info.error says why
    std::int64_t place = 0;  ///< for sqlite::page()
    bool cut = false;        ///< its content is only what sqlite_options::kept_content left of it
    std::string idempotency_key = {};
    journal_time queued = {};
    std::optional<journal_time> due = {};      ///< not sent before
    std::optional<journal_time> give_up = {};  ///< given up then
    std::optional<journal_time> failed = {};   ///< when it failed
};
struct stored_page {
    std::vector<stored_mail> jobs = {};
    std::optional<std::int64_t> next = {};  ///< behind which the next page begins; none: this is the last
};

/// What submit() has taken outlives the process and the power. Of the processes that open a file one sends, until it
/// ends; then another takes over. All may submit, and look after what is there.
///
/// The constructor throws `error`: errc::storage_failed, errc::storage_unusable, errc::storage_damaged,
/// errc::invalid_option. So do those that look after the queue, which are safe on any thread, wait for the disk, and
/// need no mailer.
class sqlite {
public:
    using axis = postroad::axis::queueing;
    static constexpr bool keeps = true;
    static constexpr bool is_durable = true;

    explicit sqlite(sqlite_options o);
    // A template, so that options in braces are never taken for a string.
    template <std::convertible_to<std::string> Path>
    explicit sqlite(const Path& path) : sqlite(sqlite_options{.path = path}) {}
    sqlite(sqlite&&) noexcept;
    sqlite& operator=(sqlite&&) noexcept;
    ~sqlite();

    error_code enqueue(job& j);
    queueing::when_full full() const noexcept;
    void start(std::function<void()> wake);
    void lease(std::size_t n, time_point now, std::vector<job>& out);
    void mark(job_id id);
    void marked(std::vector<job_id>& out);
    /// Leased jobs that cannot be marked any more: somebody else took, held or dropped them. They are over here.
    void revoked(std::vector<job_id>& out);
    void settle(const job& j);
    void divide(job&& whole, std::vector<job>&& parts);
    std::vector<job> take_parts(job_id whole);
    void put_back(job&& j);
    void keep(job&& j, job_state state);
    void release(job&& j);
    time_point next_due() const;
    std::size_t size() const;
    bool drained(time_point now) const;
    void stop();
    /// Why nothing can be stored, where the file is not there any more under its name; otherwise empty.
    std::string storage_lost() const;
    /// Whether this is the process that sends.
    bool sends() const;

    std::optional<job> take(job_id id);
    std::vector<job> take_all(const std::vector<job_id>& ids);
    std::vector<job> overdue(const std::vector<job_id>& ids);
    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) const;
    void count(time_point now, queue_counts& counts) const;
    /// Jobs that match, with their mail, for who copies them: at most `limit`, in the order of their places in the
    /// file, behind `after`: class by class, and those of one class as they arrived. Some rows are looked at, so it may
    /// be fewer, or none, before the last page. Keeps nobody from writing: what is
    /// sent meanwhile may be gone when its content is read, which fails then (content::reader::failed()).
    stored_page page(const job_filter& which, std::size_t limit, std::int64_t after, time_point now) const;
    std::size_t retry_now(const job_filter& which, time_point now);
    std::size_t hold(const job_filter& which, time_point now);
    std::vector<job> drop(const job_filter& which, time_point now);
    /// Gives what is free in the file back to the disk, a little at a time: what is submitted meanwhile goes between.
    /// Returns how many octets. A file that an older version made is written anew for it the first time, and all else
    /// waits for that.
    std::uint64_t compact();

private:
    std::unique_ptr<detail::sqlite_store, detail::sqlite_closer> store_;
};

}  // namespace postroad::queueing

// Always inline: the library's one compiled source does not know SQLite.
#include <postroad/queueing/impl/sqlite.ipp>

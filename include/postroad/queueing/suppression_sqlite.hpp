#pragma once
// Addresses that must not get mail, in a file of SQLite; needs the component postroad::sqlite. See docs/suppression.md.

#include <postroad/queueing/suppression.hpp>

#include <concepts>
#include <memory>
#include <string>

namespace postroad::suppression {

struct sqlite_options {
    /// The file; it is made, for this user only, if it is not there. On a disk of this machine.
    std::string path = {};
    /// How addresses are compared counts for a file that is made; one that is there remembers it.
    options rules = {};
};

namespace detail {
class sqlite_file;
struct sqlite_closer {
    void operator()(sqlite_file* f) const noexcept;
};
}  // namespace detail

/// A list in a file, which any number of processes may use. Safe on any thread, and behind a fork.
///
/// find() waits for no writer: it reads by a connection of its own, one descent of the tree each. The other functions
/// wait for the disk, and up to ten seconds for other writers. All throw `error`: errc::storage_failed,
/// errc::storage_unusable, errc::storage_full, errc::storage_damaged.
class sqlite {
public:
    explicit sqlite(sqlite_options o);
    // A template, so that options in braces are never taken for a string.
    template <std::convertible_to<std::string> Path>
    explicit sqlite(const Path& path) : sqlite(sqlite_options{.path = path}) {}
    sqlite(sqlite&&) noexcept;
    sqlite& operator=(sqlite&&) noexcept;
    ~sqlite();

    std::optional<entry> find(const address& a, const scope& of, time now) const;
    std::size_t add(std::span<const entry> all, time now);
    bool remove(const address& a, const scope& of);
    bool bounced(const address& a, std::string_view source, time now);
    /// Not one picture of the file: entries that are added while it runs may be missed.
    void each(const std::function<bool(const entry&)>& f) const;
    std::size_t size() const;

private:
    std::unique_ptr<detail::sqlite_file, detail::sqlite_closer> file_;
};

}  // namespace postroad::suppression

// Always inline: the library's one compiled source does not know SQLite.
#include <postroad/queueing/impl/suppression_sqlite.ipp>

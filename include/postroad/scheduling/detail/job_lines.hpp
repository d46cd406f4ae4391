#pragma once
// Jobs that wait, each in one line: it goes from the front, or from anywhere by its id, in one step.

#include <postroad/core/id_table.hpp>
#include <postroad/queueing/job.hpp>
#include <postroad/scheduling/detail/chain.hpp>

#include <optional>

namespace postroad::scheduling::detail {

class job_lines {
    struct entry {
        job_id id = 0;
        index line = 0;
        link order = {};
    };

public:
    using line = chain<&entry::order>;

    /// Into `l`, which is known as `number`; false if it waits already.
    bool push_back(line& l, index number, job_id id) {
        const auto at = entries_.add({.id = id, .line = number});
        if (!by_id_.insert(id, {at})) {
            entries_.erase(at);
            return false;
        }
        l.push_back(entries_, at);
        return true;
    }
    job_id pop_front(line& l) {
        const auto id = entries_[l.first].id;
        erase(l, id);
        return id;
    }
    void erase(line& l, job_id id) {
        const auto at = by_id_.erase(id).number;
        l.erase(entries_, at);
        entries_.erase(at);
    }
    /// The number of the line that it waits in.
    std::optional<index> line_of(job_id id) const {
        const auto* const at = by_id_.find(id);
        if (!at) return std::nullopt;
        return entries_[at->number].line;
    }
    template <class F>
    void for_each(const line& l, F&& f) const {
        for (auto i = l.first; i != none; i = l.after(entries_, i)) f(entries_[i].id);
    }
    std::size_t size() const noexcept { return entries_.size(); }
    std::uint64_t looks() const noexcept { return entries_.looks(); }

private:
    struct place {
        index number = none;
        friend bool operator==(const place&, const place&) = default;
    };

    slots<entry> entries_;
    id_table<place> by_id_;
};

}  // namespace postroad::scheduling::detail

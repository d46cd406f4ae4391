#pragma once
// Jobs that wait, each in one line: it goes from the front, or from anywhere by its id, in one step.

#include <postroad/queueing/job.hpp>
#include <postroad/scheduling/detail/chain.hpp>

#include <optional>
#include <unordered_map>

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
        const auto [at, is_new] = by_id_.try_emplace(id, none);
        if (!is_new) return false;
        at->second = entries_.add({.id = id, .line = number});
        l.push_back(entries_, at->second);
        return true;
    }
    job_id pop_front(line& l) {
        const auto id = entries_[l.first].id;
        erase(l, id);
        return id;
    }
    void erase(line& l, job_id id) {
        const auto found = by_id_.find(id);
        l.erase(entries_, found->second);
        entries_.erase(found->second);
        by_id_.erase(found);
    }
    /// The number of the line that it waits in.
    std::optional<index> line_of(job_id id) const {
        const auto found = by_id_.find(id);
        if (found == by_id_.end()) return std::nullopt;
        return entries_[found->second].line;
    }
    template <class F>
    void for_each(const line& l, F&& f) const {
        for (auto i = l.first; i != none; i = l.after(entries_, i)) f(entries_[i].id);
    }
    std::size_t size() const noexcept { return entries_.size(); }
    std::uint64_t looks() const noexcept { return entries_.looks(); }

private:
    slots<entry> entries_;
    std::unordered_map<job_id, index> by_id_;
};

}  // namespace postroad::scheduling::detail

#pragma once
// What is found by a number and stays where it is. The compiler makes a tenth of what a std::unordered_map costs it,
// since all types share one table.

#include <postroad/core/id_table.hpp>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

namespace postroad {

/// Values by any numbers, with the names of std::unordered_map. Erasing makes no other iterator invalid, nor does
/// inserting; but while one goes from entry to entry nothing may be inserted or erased. Not thread-safe.
template <class Value>
class id_map {
public:
    struct entry {
        const std::uint64_t first;
        Value second;
    };

    template <class Entry>
    class basic_iterator {
    public:
        Entry& operator*() const noexcept { return *at_; }
        Entry* operator->() const noexcept { return at_; }
        basic_iterator& operator++() noexcept {
            at_ = static_cast<Entry*>(table_->behind(at_->first));
            return *this;
        }
        bool operator==(const basic_iterator& other) const noexcept { return at_ == other.at_; }

    private:
        friend id_map;
        basic_iterator(const id_table<void*>& table, void* at) : table_(&table), at_(static_cast<Entry*>(at)) {}
        const id_table<void*>* table_;
        Entry* at_;
    };
    using iterator = basic_iterator<entry>;
    using const_iterator = basic_iterator<const entry>;

    id_map() = default;
    id_map(const id_map& other) {
        for (const auto& e : other) emplace(e.first, e.second);
    }
    id_map(id_map&& other) noexcept { table_.swap(other.table_); }
    id_map& operator=(id_map other) noexcept {
        table_.swap(other.table_);
        return *this;
    }
    ~id_map() { clear(); }

    std::size_t size() const noexcept { return table_.size(); }
    bool empty() const noexcept { return table_.empty(); }
    iterator begin() noexcept { return {table_, table_.first()}; }
    iterator end() noexcept { return {table_, nullptr}; }
    const_iterator begin() const noexcept { return {table_, table_.first()}; }
    const_iterator end() const noexcept { return {table_, nullptr}; }

    iterator find(std::uint64_t id) noexcept { return {table_, found(id)}; }
    const_iterator find(std::uint64_t id) const noexcept { return {table_, found(id)}; }
    bool contains(std::uint64_t id) const noexcept { return found(id) != nullptr; }
    /// Throws std::out_of_range if there is none.
    Value& at(std::uint64_t id) { return known(id)->second; }
    const Value& at(std::uint64_t id) const { return known(id)->second; }
    /// Value(), if there was none.
    Value& operator[](std::uint64_t id) {
        const auto e = find(id);
        return e != end() ? e->second : add(new entry{id, Value()})->second;
    }
    /// False if there is one of that number, which stays.
    std::pair<iterator, bool> emplace(std::uint64_t id, Value value) {
        if (const auto e = find(id); e != end()) return {e, false};
        return {iterator(table_, add(new entry{id, std::move(value)})), true};
    }
    void erase(iterator at) { erase(at->first); }
    std::size_t erase(std::uint64_t id) {
        auto* const gone = static_cast<entry*>(table_.erase(id));
        delete gone;
        return gone ? 1 : 0;
    }
    /// All entries of which `f(entry)` is true.
    template <class F>
    void erase_if(F f) {
        std::vector<std::uint64_t> gone;
        for (const auto& e : *this)
            if (f(e)) gone.push_back(e.first);
        for (const auto id : gone) erase(id);
    }
    void clear() noexcept {
        table_.each([](void* e) { delete static_cast<entry*>(e); });
        table_ = {};
    }

private:
    void* found(std::uint64_t id) const noexcept {
        void* const* const e = table_.find(id);
        return e ? *e : nullptr;
    }
    entry* known(std::uint64_t id) const {
        if (void* const e = found(id)) return static_cast<entry*>(e);
        throw std::out_of_range("id_map::at");
    }
    entry* add(entry* made) {
        try {
            table_.insert(made->first, made);
        } catch (...) {
            delete made;
            throw;
        }
        return made;
    }

    id_table<void*> table_;
};

}  // namespace postroad

#pragma once

#include <postroad/queueing/division.hpp>
#include <postroad/queueing/impl/sqlite_rows.ipp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

/// What of a file is in memory: jobs that can be leased, those that are leased, and who waits here for which. It knows
/// no disk and no clock. For one thread at a time.
class sqlite_shelf {
public:
    static constexpr std::size_t low_water = 512;    // fewer jobs of a class in memory: more are read
    static constexpr std::size_t high_water = 2048;  // no more of one class are kept there
    static constexpr std::size_t cache = std::size_t{64} << 20;

    enum class location : unsigned char { file, ready, leased, leaving };
    /// What is remembered of a job: of those in memory, and of those that this process waits for.
    struct entry {
        spot at = {};
        location where = location::file;
        mail_ptr mail = {};      // of those in the file, if it is cached
        std::size_t cached = 0;  // what its mail takes of the cache
        std::unique_ptr<postroad::waiter> waiter = {};
        std::size_t recipients = 0;  // of those that are waited for

        void keep(job&& j) {
            waiter = std::move(j.waiter);
            if (cached > 0) mail = std::move(j.mail);
        }
    };
    /// The jobs of one class of traffic.
    struct lane {
        std::deque<job> ready = {};
        std::int64_t cursor = 0;      // fresh jobs up to here were read
        bool more = true;             // there may be fresh ones behind it in the file
        time_point earliest = never;  // of those that wait for a time and are not in memory

        bool low() const { return ready.size() < low_water; }
        bool hungry() const { return more && low(); }
        std::size_t room() const { return high_water - std::min(high_water, ready.size()); }
    };

    // ---- lanes

    void lease(std::size_t n, std::vector<job>& out) {
        for (auto& [of, l] : lanes_)
            for (; n > 0 && !l.ready.empty(); --n) {
                auto& j = l.ready.front();
                known_.at(j.id).where = location::leased;
                out.push_back(std::move(j));
                l.ready.pop_front();
            }
    }
    bool any_ready() const {
        return std::ranges::any_of(lanes_, [](const auto& l) { return !l.second.ready.empty(); });
    }
    bool any_hungry() const {
        return std::ranges::any_of(lanes_, [](const auto& l) { return l.second.hungry(); });
    }
    /// Whether there is room for something whose time has come.
    bool any_due(time_point now) const {
        return std::ranges::any_of(lanes_, [&](const auto& l) { return l.second.low() && l.second.earliest <= now; });
    }
    time_point earliest() const {
        auto first = never;
        for (const auto& [of, l] : lanes_) first = std::min(first, l.earliest);
        return first;
    }
    /// Something of that class, in the file, waits for a time.
    void expect(std::uint8_t of, time_point due) {
        if (const auto l = lanes_.find(of); l != lanes_.end()) l->second.earliest = std::min(l->second.earliest, due);
    }
    void expect_more() {
        for (auto& [of, l] : lanes_) l.more = true;
    }
    std::map<std::uint8_t, lane>& lanes() noexcept { return lanes_; }
    void discovered(std::uint8_t of) {
        const auto [found, is_new] = lanes_.try_emplace(of);
        if (is_new) found->second.cursor = first_place(of) - 1;
    }

    // ---- jobs

    entry* find(job_id id) {
        const auto found = known_.find(id);
        return found == known_.end() ? nullptr : &found->second;
    }
    entry* leased(job_id id) {
        auto* const known = find(id);
        return known && known->where == location::leased ? known : nullptr;
    }
    /// Whether it is changed already, and the change is not written yet.
    bool is_leaving(job_id id) {
        const auto* const known = find(id);
        return known && known->where == location::leaving;
    }
    /// Whether somebody has it who is to say what became of it.
    bool is_leased(std::int64_t place) const {
        const auto found = in_memory_.find(place);
        return found != in_memory_.end() && known_.at(found->second).where != location::ready;
    }
    std::unordered_set<std::int64_t> leased_places() const {
        std::unordered_set<std::int64_t> places;
        for (const auto& [place, id] : in_memory_)
            if (known_.at(id).where != location::ready) places.insert(place);
        return places;
    }
    bool holds(std::int64_t place) const { return in_memory_.contains(place); }
    bool holds_id(job_id id) {
        const auto* const known = find(id);
        return known && known->where != location::file;
    }

    struct intake {
        bool sends = false;      // what is due may be leased here
        bool discovers = false;  // a class that is new here may have jobs in the file
    };
    /// A job that was stored just now. Whether it can be leased at once; otherwise it is in the file only.
    /// `read_later(job)` is its mail without the octets.
    template <class F>
    bool stored(job&& j, const spot& at, intake as, F read_later) {
        const auto [found, is_new] = lanes_.try_emplace(j.traffic_class);
        auto& l = found->second;
        if (is_new) {
            l.more = as.discovers;
            l.cursor = (l.more ? first_place(j.traffic_class) : at.place) - 1;
        }
        entry known{.at = at};
        if (!j.mail->content.streams() && cached_ + j.mail->content.size() <= cache) {
            known.cached = static_cast<std::size_t>(j.mail->content.size());
            cached_ += known.cached;
        }
        const bool fresh = j.due == time_point::min();
        if (as.sends && fresh && !l.more && l.ready.size() < high_water) {
            l.cursor = at.place;
            if (known.cached == 0) j.mail = read_later(j);
            known.where = location::ready;
            in_memory_.emplace(at.place, j.id);
            known_.insert_or_assign(j.id, std::move(known));
            l.ready.push_back(std::move(j));
            return true;
        }
        if (fresh)
            l.more = true;
        else
            l.earliest = std::min(l.earliest, j.due);
        if (!j.waiter && known.cached == 0) return false;
        const auto id = j.id;
        known.recipients = j.mail->envelope.recipients.size();
        known.keep(std::move(j));
        known_.insert_or_assign(id, std::move(known));
        return false;
    }
    /// What is known here of a job that was read. Whether its content is to be read for the cache, where it has room.
    bool recall(job& j, const spot& at, entry& known, std::int64_t most) {
        known = {.at = at, .where = location::ready};
        if (const auto remembered = known_.find(j.id); remembered != known_.end()) {
            j.waiter = std::move(remembered->second.waiter);
            known.cached = remembered->second.cached;
            if (remembered->second.mail) j.mail = std::move(remembered->second.mail);
        }
        if (j.whole && !j.waiter)
            if (const auto all = gathering_of(j.whole)) j.waiter = all->part(j.places);
        const auto size = static_cast<std::size_t>(at.size);
        if (known.cached > 0 || at.size > most || cached_ + size > cache) return false;
        cached_ += known.cached = size;
        return true;
    }
    void put(job&& j, entry&& known) {
        const auto place = known.at.place;
        known_.insert_or_assign(j.id, std::move(known));
        in_memory_.emplace(place, j.id);
        // What waited for a time goes before what is fresh.
        auto& ready = lanes_[j.traffic_class].ready;
        const auto waited = [](const job& other) { return other.due != time_point::min(); };
        const auto at = waited(j) ? std::ranges::partition_point(ready, waited) : ready.end();
        ready.insert(at, std::move(j));
    }

    /// It is in the file only; here is known who waits for it.
    void leave_in_file(job&& j) {
        auto& known = known_.at(j.id);
        in_memory_.erase(known.at.place);
        known.where = location::file;
        known.keep(std::move(j));
    }
    void leave_all_in_file() {
        for (auto& [of, l] : lanes_)
            for (auto& j : std::exchange(l.ready, {})) leave_in_file(std::move(j));
    }
    /// One that was leased is over.
    void left(job_id id, const spot& at) {
        in_memory_.erase(at.place);
        forget(id);
    }
    /// One that was leased is in the file only.
    void came_back(job_id id, const spot& at) {
        in_memory_.erase(at.place);
        auto* const known = find(id);
        if (!known) return;
        known->where = location::file;
        if (!known->waiter && !known->mail) forget(id);
    }
    /// In place of one that was leased there are parts in the file, which have its content.
    void divided(job_id id, const spot& at, std::vector<job>& parts) {
        in_memory_.erase(at.place);
        auto* const known = find(id);
        if (!known) return;
        known->where = location::file;
        if (known->cached > 0) {
            const auto each = known->cached / parts.size() + 1;
            for (auto& p : parts) {
                cached_ += each;
                known_.insert_or_assign(p.id, entry{.mail = std::move(p.mail), .cached = each});
            }
        }
        if (!known->waiter) forget(id);
    }
    /// Somebody took it out of the file: who waits for it gets it.
    void taken(job& j) {
        auto* const known = find(j.id);
        // One that makes no sense may have the id of another.
        if (!known || known->where != location::file) return;
        j.waiter = std::move(known->waiter);
        if (known->mail) j.mail = std::move(known->mail);
        forget(j.id);
    }
    void forget(job_id id) {
        const auto found = known_.find(id);
        if (found == known_.end()) return;
        cached_ -= found->second.cached;
        known_.erase(found);
    }

    /// What is in memory and not leased; until it is set back it cannot be.
    std::vector<job> set_aside() {
        std::vector<job> all;
        for (auto& [of, l] : lanes_) {
            std::ranges::move(l.ready, std::back_inserter(all));
            l.ready.clear();
        }
        return all;
    }
    void set_back(std::vector<job> all, const std::unordered_set<std::int64_t>& changed) {
        for (auto& j : all) {
            if (!changed.contains(known_.at(j.id).at.place))
                lanes_[j.traffic_class].ready.push_back(std::move(j));
            else
                leave_in_file(std::move(j));
        }
    }

    /// Who waits here for a message of which there are parts.
    std::shared_ptr<gathering> gathering_of(job_id whole) {
        if (auto found = gatherings_.find(whole)) return found;
        auto* const known = find(whole);
        if (!known || !known->waiter) return {};
        job named{.mail = std::move(known->mail)};
        name_recipients(named);
        named.result.recipients.resize(known->recipients);
        auto made = gatherings_.add(whole, std::move(known->waiter), std::move(named.result.recipients));
        forget(whole);
        return made;
    }
    void end_gatherings(error_code ec) { gatherings_.end(ec); }

    /// All that somebody waits for; nothing stays. `f(job, place)` completes those that are in the file.
    template <class F>
    std::vector<job> abandon(F f) {
        std::vector<job> all;
        for (auto& [of, l] : lanes_)
            for (auto& j : l.ready)
                if (j.waiter) all.push_back(std::move(j));
        for (auto& [id, known] : known_) {
            if (!known.waiter) continue;
            job j{.id = id, .mail = known.mail};
            f(j, known.at.place);
            j.waiter = std::move(known.waiter);
            all.push_back(std::move(j));
        }
        lanes_.clear();
        known_.clear();
        return all;
    }

private:
    std::map<std::uint8_t, lane> lanes_;
    std::unordered_map<job_id, entry> known_;
    std::unordered_map<std::int64_t, job_id> in_memory_;  // by place: ready, leased, leaving
    gatherings gatherings_;
    std::size_t cached_ = 0;
};

}  // namespace postroad::queueing::detail

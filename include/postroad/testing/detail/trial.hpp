#pragma once
// What the trials of all axes share.

#include <postroad/queueing/job.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::testing {

/// The rules that were broken, each once.
using broken_rules = std::vector<std::string>;

/// No limit to be checked.
inline constexpr std::size_t unlimited = std::size_t(-1);

namespace detail {

class rule_book {
public:
    void check(bool kept, std::string_view rule) {
        if (!kept && std::ranges::find(broken_, rule) == broken_.end()) broken_.emplace_back(rule);
    }
    broken_rules take() { return std::move(broken_); }

private:
    broken_rules broken_;
};

// The same numbers on every platform, which the distributions of the standard library do not promise.
class dice {
public:
    explicit dice(std::uint64_t seed) noexcept : state_(seed * 2 + 1) {}
    std::size_t below(std::size_t n) noexcept {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::size_t>((state_ >> 33) % n);
    }

private:
    std::uint64_t state_;
};

template <class Map>
auto any_of(dice& d, Map& from) {
    return std::next(from.begin(), static_cast<std::ptrdiff_t>(d.below(from.size())));
}

inline mail_ptr trial_mail() {
    mail_object m;
    m.envelope.reverse_path = address("ann@a.example");
    for (const char* to : {"bob@b.example", "cy@b.example", "dee@b.example"})
        m.envelope.recipients.push_back(address(to));
    m.content = content::from_text("Subject: trial\r\n\r\nHello\r\n");
    return std::make_shared<const mail_object>(std::move(m));
}

inline job trial_job(job_id id, const mail_ptr& mail) {
    job j;
    j.id = id;
    j.mail = mail;
    for (const auto& to : mail->envelope.recipients) j.result.recipients.push_back({.address = to.str()});
    return j;
}

}  // namespace detail
}  // namespace postroad::testing

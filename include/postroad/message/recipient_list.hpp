#pragma once
// Recipients without duplicates.

#include <postroad/message/address.hpp>
#include <postroad/message/utf8.hpp>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace postroad::detail {

/// Recipients in the order they came, each once. Domains compare without case; local parts do not, because only their
/// own server knows (RFC 5321 section 2.4).
class recipient_list {
public:
    void add(const address& a) {
        // most messages have one recipient, which is like no other
        if (list_.empty()) return list_.push_back(a);
        if (list_.size() == 1 && seen_.empty()) seen_.insert(key_of(list_.front()));
        if (seen_.insert(key_of(a)).second) list_.push_back(a);
    }
    std::vector<address> take() { return std::move(list_); }

private:
    static std::string key_of(const address& a) {
        return std::string(a.local()) + '@' + in_lower_case(std::string(a.domain()));
    }

    std::set<std::string, std::less<>> seen_;
    std::vector<address> list_;
};

}  // namespace postroad::detail

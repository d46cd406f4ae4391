#pragma once
// A string that does not end up in a log by accident and does not stay in memory.

#include <string>
#include <string_view>
#include <utility>

namespace postroad {

/// A password or token. It has no stream operator, no formatter and no conversion to a string; `reveal()` is the one
/// way out. Its memory is overwritten when it is destroyed or replaced.
class secret {
public:
    secret() = default;
    explicit secret(std::string value) : value_(std::move(value)) {}
    explicit secret(std::string_view value) : value_(value) {}
    explicit secret(const char* value) : value_(value) {}
    secret(const secret&) = default;
    secret(secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
    secret& operator=(secret other) noexcept {
        value_.swap(other.value_);
        return *this;
    }
    ~secret() { wipe(); }

    bool empty() const noexcept { return value_.empty(); }
    std::string_view reveal() const noexcept { return value_; }
    friend bool operator==(const secret&, const secret&) = default;

private:
    void wipe() noexcept {
        // volatile: the compiler may not drop stores to memory that is about to be freed
        volatile char* p = value_.data();
        for (std::size_t i = 0; i < value_.capacity(); ++i) p[i] = 0;
        value_.clear();
    }
    std::string value_;
};

}  // namespace postroad

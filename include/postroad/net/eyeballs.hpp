#pragma once
// Which address of a server is tried when (RFC 8305, "happy eyeballs"), without I/O.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/net/dialing.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::net {

/// Addresses are text. The families take turns, beginning with that of the first address; within a family the order of
/// the resolver is kept (RFC 8305 section 4). An attempt begins when the one before it failed, or kept silent for
/// dialing::attempt_delay. Which attempt wins is the caller's business: it stops asking. The deadline of the whole is
/// dialing::timeout and the caller's, too.
class eyeballs {
public:
    /// How many addresses of one name are tried.
    static constexpr std::size_t max_addresses = 16;
    /// How many explanation() names.
    static constexpr std::size_t max_named = 8;

    eyeballs() = default;
    /// Only addresses that `how` allows are kept: of its family, and of a family with a local address if there are any.
    eyeballs(const std::vector<std::string>& found, const dialing& how);

    /// The address whose attempt begins now, if one is due; valid until *this is changed.
    const std::string* poll(time_point now);
    /// The attempt at `address` is over without success; another may be due at once.
    void failed(std::string_view address, error_code why);

    /// When poll() has the next one; `never` if there is none left.
    time_point deadline() const noexcept { return next_ < addresses_.size() ? due_ : never; }
    /// No attempt is running and no address is left. True if no address was kept.
    bool exhausted() const noexcept { return next_ == addresses_.size() && running_ == 0; }

    /// Of the attempt that failed last; errc::resolve_failed if no address was kept.
    error_code error() const noexcept { return last_; }
    /// For people: each address that was tried, and why it failed or that it kept silent.
    std::string explanation() const;

private:
    std::vector<std::string> addresses_;
    std::vector<error_code> results_;  // of those that were begun
    std::size_t next_ = 0;
    std::size_t running_ = 0;
    time_point due_ = time_point::min();
    duration delay_ = duration::zero();
    error_code last_ = errc::resolve_failed;
};

/// Whether an address is one of IPv6.
constexpr bool is_ipv6(std::string_view address) noexcept { return address.find(':') != std::string_view::npos; }

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/eyeballs.ipp>
#endif

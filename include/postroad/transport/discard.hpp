#pragma once
// Accepts every message and forgets it: the simplest transport, for tests and dry runs. See docs/transport.md.

#include <postroad/core/ring.hpp>
#include <postroad/transport/policy.hpp>

#include <utility>

namespace postroad::transport {

struct discard {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;

    class session_type {
    public:
        session_type() { events_.push_back(postroad::smtp::ready{}); }
        std::size_t room() const noexcept { return over_ ? 0 : 1; }
        void submit(postroad::smtp::transaction t, time_point) {
            postroad::smtp::finished done{.id = t.id};
            for (const auto i : t.recipients)
                done.recipients.push_back({.address = t.mail->envelope.recipients[i].str(),
                                           .status = status::accepted,
                                           .where = phase::content,
                                           .reply = {.code = 250, .text = "discarded"}});
            events_.push_back(std::move(done));
        }
        void cancel(std::uint64_t, time_point) {}
        void quit(time_point) {
            if (!std::exchange(over_, true)) events_.push_back(postroad::smtp::closed{});
        }
        std::optional<postroad::smtp::event> poll() {
            if (events_.empty()) return std::nullopt;
            return events_.pop_front();
        }

    private:
        ring<postroad::smtp::event> events_;
        bool over_ = false;
    };

    std::string_view route(const envelope&) const noexcept { return "discard"; }
    std::vector<endpoint> hosts(const std::string&) const { return {{.name = "discard"}}; }
    duration connect_timeout() const noexcept { return duration::zero(); }
    session_type make_session(const endpoint&, std::string) const { return {}; }
};

static_assert(transport_policy<discard>);

}  // namespace postroad::transport

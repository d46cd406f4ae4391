#pragma once
// Delivers into a Maildir on this machine. See docs/transport.md.

#include <postroad/core/ring.hpp>
#include <postroad/transport/maildir_writer.hpp>
#include <postroad/transport/policy.hpp>

#include <string>
#include <utility>

namespace postroad::transport {

/// Writes each message once into `path` (tmp/, new/ and cur/ are made), whoever its recipients are, and has it on the
/// disk before it is accepted. A file system that fails makes a deferred outcome. Writing blocks the mailer's executor.
struct maildir {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;

    std::string path = {};

    class session_type {
    public:
        explicit session_type(const std::string& path) : writer_(path) { events_.push_back(postroad::smtp::ready{}); }
        std::size_t room() const noexcept { return over_ ? 0 : 1; }
        void submit(postroad::smtp::transaction t, time_point) {
            error_code ec;
            const auto name = writer_.write(t.mail->content.text(), ec);
            postroad::smtp::finished done{.id = t.id};
            if (ec)
                done.details = {.where = phase::content,
                                .explanation = "cannot write into the Maildir: " + ec.message()};
            for (const auto i : t.recipients)
                done.recipients.push_back({.address = t.mail->envelope.recipients[i].str(),
                                           .status = ec ? status::deferred : status::accepted,
                                           .where = phase::content,
                                           .reply = ec ? reply{.code = 451, .enhanced = {4, 3, 0}, .text = ec.message()}
                                                       : reply{.code = 250, .enhanced = {2, 0, 0}, .text = name}});
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
        maildir_writer writer_;
        ring<postroad::smtp::event> events_;
        bool over_ = false;
    };

    std::string_view route(const envelope&) const noexcept { return "maildir"; }
    std::vector<endpoint> hosts(const std::string&) const { return {{.name = "maildir"}}; }
    duration connect_timeout() const noexcept { return duration::zero(); }
    session_type make_session(const endpoint&, std::string) const { return session_type(path); }
};

static_assert(transport_policy<maildir>);

}  // namespace postroad::transport

#pragma once
// A session of direct delivery: with a server, or along a route with a Maildir on this machine. See docs/direct.md.

#include <postroad/smtp/session.hpp>
#include <postroad/transport/maildir.hpp>

#include <optional>
#include <string>
#include <utility>

namespace postroad::transport {

/// What it says to a server is smtp::session's. With a Maildir nothing goes over a wire, and none is opened.
class mx_session : public postroad::smtp::session {
public:
    explicit mx_session(postroad::smtp::session_options options) : session(std::move(options)) {}
    /// Throws as maildir_writer does.
    mx_session(postroad::smtp::session_options options, const std::string& maildir) : session(std::move(options)) {
        here_.emplace(maildir);
    }

    /// Whether it needs no connection.
    bool is_here() const noexcept { return here_.has_value(); }

    std::size_t room() const noexcept { return here_ ? here_->room() : session::room(); }
    void submit(postroad::smtp::transaction t, time_point now) {
        here_ ? here_->submit(t, now) : session::submit(std::move(t), now);
    }
    void cancel(std::uint64_t id, time_point now) { here_ ? here_->cancel(id, now) : session::cancel(id, now); }
    void quit(time_point now) { here_ ? here_->quit(now) : session::quit(now); }
    std::optional<postroad::smtp::event> poll() { return here_ ? here_->poll() : session::poll(); }
    void closed(error_code ec, std::string explanation, time_point now) {
        here_ ? here_->quit(now) : session::closed(ec, std::move(explanation), now);
    }
    bool done() const noexcept { return here_ ? here_->room() == 0 : session::done(); }

private:
    std::optional<maildir::session_type> here_;
};

}  // namespace postroad::transport

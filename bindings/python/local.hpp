#pragma once
// Where mail goes that no server takes: into memory, into a Maildir, or nowhere.

#include <postroad/transport/local_session.hpp>
#include <postroad/transport/maildir_writer.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::python {

/// A message as it was delivered.
struct delivered {
    std::string reverse_path = {};
    std::vector<std::string> recipients = {};
    std::string content = {};
};

/// Keeps what a mailer delivers. Any thread may call any member.
class outbox {
public:
    void add(delivered one) {
        const std::scoped_lock lock(mutex_);
        kept_.push_back(std::move(one));
    }
    std::vector<delivered> all() const {
        const std::scoped_lock lock(mutex_);
        return kept_;
    }
    void clear() {
        const std::scoped_lock lock(mutex_);
        kept_.clear();
    }

private:
    mutable std::mutex mutex_;
    std::vector<delivered> kept_;
};

/// With a path a Maildir, with an outbox memory, with neither nowhere.
struct local {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;

    std::string name = {};
    std::string maildir = {};
    std::shared_ptr<outbox> keeper = {};

    class session_type : public transport::local_session {
    public:
        explicit session_type(const local& to) : keeper_(to.keeper) {
            if (!to.maildir.empty()) writer_.emplace(to.maildir);
        }
        void submit(const postroad::smtp::transaction& t, time_point) {
            error_code ec;
            std::string said = keeper_ ? "kept" : "discarded";
            if (writer_) said = writer_->write(t.mail->content.text(), ec);
            if (keeper_) keeper_->add(what_arrives(t));
            if (!ec) return finish(t, status::accepted, {.code = 250, .enhanced = {2, 0, 0}, .text = said});
            finish(t, status::deferred, {.code = 451, .enhanced = {4, 3, 0}, .text = ec.message()},
                   {.where = phase::content, .explanation = "cannot write into the Maildir: " + ec.message()});
        }

    private:
        static delivered what_arrives(const postroad::smtp::transaction& t) {
            const auto& e = t.mail->envelope;
            delivered d{.reverse_path = e.reverse_path.str(), .content = std::string(t.mail->content.text())};
            for (std::uint32_t i = 0; i < t.size(); ++i)
                d.recipients.push_back(e.recipients[t.recipients.empty() ? i : t.recipients[i]].str());
            return d;
        }

        std::optional<transport::maildir_writer> writer_;
        std::shared_ptr<outbox> keeper_;
    };

    std::string_view route(const envelope&) const noexcept { return name; }
    std::vector<endpoint> hosts(const std::string&) const { return {{.name = name}}; }
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string&) const { return session_type(*this); }
};

static_assert(transport::transport_policy<local>);

}  // namespace postroad::python

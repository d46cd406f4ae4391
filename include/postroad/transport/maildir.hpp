#pragma once
// Delivers into a Maildir on this machine. See docs/transport.md.

#include <postroad/transport/local_session.hpp>
#include <postroad/transport/maildir_writer.hpp>

#include <string>

namespace postroad::transport {

/// Writes each message once into `path` (tmp/, new/ and cur/ are made), whoever its recipients are, and has it on the
/// disk before it is accepted. A file system that fails makes a deferred outcome. Writing blocks the mailer's executor.
struct maildir {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;

    std::string path = {};

    class session_type : public local_session {
    public:
        explicit session_type(const std::string& path) : writer_(path) {}
        void submit(const postroad::smtp::transaction& t, time_point) {
            error_code ec;
            const auto name = writer_.write(t.mail->content.text(), ec);
            if (!ec) return finish(t, status::accepted, {.code = 250, .enhanced = {2, 0, 0}, .text = name});
            finish(t, status::deferred, {.code = 451, .enhanced = {4, 3, 0}, .text = ec.message()},
                   {.where = phase::content, .explanation = "cannot write into the Maildir: " + ec.message()});
        }

    private:
        maildir_writer writer_;
    };

    std::string_view route(const envelope&) const noexcept { return "maildir"; }
    std::vector<endpoint> hosts(const std::string&) const { return {{.name = "maildir"}}; }
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string&) const { return session_type(path); }
};

static_assert(transport_policy<maildir>);

}  // namespace postroad::transport

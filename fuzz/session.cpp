// A server that says anything to a session. The first octet picks the mode, the protocol and how the wire is protected,
// the second the messages; the rest is what the server says, line by line. Whatever it is: each transaction ends once,
// nothing is accepted without a reply that accepts, nothing is in doubt whose content had not left, no command is split
// by what a message holds, and no password leaves without TLS.
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace postroad;

void require(bool holds) {
    if (!holds) std::abort();
}

class player {
public:
    player(unsigned how, unsigned what) : session_(options(how)), plain_(how) {
        for (unsigned i = 0; i < 1 + what % 4; ++i) {
            auto m = std::make_shared<mail_object>();
            m->envelope.reverse_path = address("a@x");
            for (unsigned k = 0; k < 1 + what / 4 % 4; ++k)
                m->envelope.recipients.emplace_back("r" + std::to_string(i) + std::to_string(k) + "@y");
            if ((what & 64U) != 0)
                m->envelope.recipient_options.assign(m->envelope.recipients.size(), {.notify = {.never = true}});
            m->content =
                content::from_text("Subject: " + std::to_string(i) + "\n\n.\n" + ((what & 128U) ? "\xe9" : ""));
            mails_.push_back(std::move(m));
        }
        ended_.resize(mails_.size());
        session_.started(now_);
    }

    void hear(std::string_view octets) {
        drain();
        session_.received(octets, now_);
        accepts_ += static_cast<std::size_t>(std::ranges::count(octets, '2'));
        if (session_.wants_tls()) {
            tls_ = true;
            session_.secured(now_);
        }
        act();
    }

    void end() {
        session_.closed(errc::connection_closed, "the end", now_);
        events();
        require(session_.done() && !session_.reusable() && session_.room() == 0 && session_.deadline() == never);
        std::array<std::string_view, 1> part;
        require(session_.output(part) == 0 && closed_ == 1);
        for (std::size_t i = 0; i < given_; ++i) require(ended_[i] == 1);
    }

private:
    static smtp::session_options options(unsigned how) {
        static constexpr smtp::pipelining modes[] = {smtp::pipelining::lockstep, smtp::pipelining::envelope,
                                                     smtp::pipelining::across, smtp::pipelining::window};
        static constexpr security wires[] = {security::insecure_none, security::starttls, security::implicit,
                                             security::opportunistic};
        smtp::session_options o{
            .server = {"mx", 24, wires[how / 8 % 4], (how & 4U) != 0 ? protocol::lmtp : protocol::smtp},
            .client_name = "client.example",
            .pipelining = modes[how % 4],
            .nonce = "rOprNGfwEbeRWgbNEkqO"};
        if ((how & 32U) != 0) o.credentials = {.user = "ann", .password = secret("the-password")};
        return o;
    }

    void act() {
        events();
        while (given_ < mails_.size() && session_.room() > 0) {
            session_.submit({.id = given_, .mail = mails_[given_]}, now_);
            ++given_;
        }
        if ((plain_ & 128U) != 0 && given_ > 0 && ++turns_ % 5 == 0) session_.cancel(given_ - 1, now_);
        drain();
        events();
        if (given_ == mails_.size() && session_.reusable() &&
            std::ranges::all_of(ended_, [](int times) { return times == 1; }))
            session_.quit(now_);
    }

    void drain() {
        std::array<std::string_view, 3> parts;
        while (const auto count = session_.output(parts)) {
            std::string octets;
            for (std::size_t i = 0; i < count; ++i) octets += parts[i];
            require(!octets.empty());
            if ((plain_ & 64U) != 0) octets.resize(1);
            sent_ += octets;
            session_.consumed(octets.size(), now_);
        }
        // base64 of NUL ann NUL the-password
        const bool secured = tls_ || plain_ / 8 % 4 == 2;
        require(secured || sent_.find("AGFubgB0aGUtcGFzc3dvcmQ=") == std::string::npos);
    }

    void events() {
        while (auto e = session_.poll()) {
            require(closed_ == 0);
            if (const auto* f = std::get_if<smtp::finished>(&*e)) check(*f);
            if (std::holds_alternative<smtp::closed>(*e)) ++closed_;
        }
    }

    void check(const smtp::finished& f) {
        ++ended_[f.id];
        const auto& mail = *mails_[f.id];
        require(f.recipients.size() == mail.envelope.recipients.size());
        const bool left = sent_.find("Subject: " + std::to_string(f.id) + "\r\n") != std::string::npos;
        for (const auto& r : f.recipients) {
            if (r.status == status::accepted) require(left && r.reply.code / 100 == 2 && accepts_ > 0);
            if (r.status == status::in_doubt) require(left);
            if (r.status == status::rejected) require(f.error || r.reply.code >= 300);
        }
    }

    smtp::session session_;
    unsigned plain_;
    std::vector<mail_ptr> mails_;
    std::vector<int> ended_;
    std::string sent_;
    std::size_t given_ = 0;
    std::size_t turns_ = 0;
    std::size_t accepts_ = 0;
    int closed_ = 0;
    bool tls_ = false;
    time_point now_ = {};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    std::string_view said(reinterpret_cast<const char*>(data) + 2, size - 2);
    player p(data[0], data[1]);
    while (!said.empty()) {
        const auto line = said.substr(0, std::min(said.find('\n'), said.size() - 1) + 1);
        said.remove_prefix(line.size());
        p.hear(line);
    }
    p.end();
    return 0;
}

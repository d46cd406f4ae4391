#pragma once
// One ESMTP or LMTP connection seen from the server, without I/O. Made for tests: strict about what a client must not
// do, and wrong on demand. See docs/testing.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/net/wire_session.hpp>
#include <postroad/testing/detail/content_reader.hpp>
#include <postroad/testing/server_state.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::testing {

/// The server's side of one connection: RFC 5321 with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES,
/// CHUNKING, BINARYMIME, DSN, STARTTLS and AUTH as the options say, or LMTP (RFC 2033). What the client must not do is
/// refused as a server would, and noted in the state: commands out of order or not offered, a reply that was not waited
/// for (RFC 2920 section 3.1), bare CR and LF, NUL, long lines, 8-bit octets that were not announced, credentials in
/// the clear. Single-threaded; movable; reads no clock.
class server_session {
public:
    /// Octets of a line with its CRLF, of commands (RFC 5321 section 4.5.3.1.4; more with the parameters of
    /// extensions), of AUTH exchanges (RFC 4954 section 4) and of content (RFC 5321 section 4.5.3.1.6).
    static constexpr std::size_t command_line_limit = 512;
    static constexpr std::size_t parameter_line_limit = 2048;
    static constexpr std::size_t auth_line_limit = 12'290;
    static constexpr std::size_t text_line_limit = detail::content_reader::line_limit;

    explicit server_session(std::shared_ptr<server_state> state) : state_(std::move(state)) {}

    // As net::wire_session says.

    void started(time_point now);
    void received(std::string_view bytes, time_point now);
    void closed(error_code ec, std::string explanation, time_point now);
    void secured(time_point now);
    void tick(time_point now);
    std::size_t output(std::span<std::string_view> parts) const;
    void consumed(std::size_t n, time_point now);
    time_point deadline() const noexcept { return replies_.empty() ? never : replies_.front().due; }
    bool wants_tls() const noexcept { return tls_due_; }
    bool done() const noexcept { return done_; }

private:
    enum class mode : unsigned char { commands, auth, content, chunk, tls, deaf };
    enum class afterwards : unsigned char { nothing, tls, end };
    struct pending {
        time_point due = {};
        std::string octets = {};
        afterwards what = afterwards::nothing;
    };
    // What EHLO and a new transaction forget.
    struct transaction {
        bool open = false;
        bool mail_seen = false;  // commands pipelined behind a refused one are no violation
        bool recipient_seen = false;
        bool chunked = false;
        bool failed = false;  // a chunk was refused: only RSET helps
        bool eight_bit = false;
        bool binary = false;
        bool utf8 = false;
        bool early_checked = false;
        bool early_reply = false;  // the reply to the content is out
        stored mail = {};
    };
    // A reply that is due, and the fault that stands in its way.
    struct answer {
        std::optional<fault> f = {};
        bool effective() const noexcept { return !f || !f->send || f->takes_effect; }
    };

    const server_options& options() const noexcept { return state_->options(); }

    // Input. What a take_...() function returns is how many octets it is done with; 0: it needs more.
    std::size_t take(std::string_view input);
    std::size_t take_line(std::string_view input);
    std::size_t take_content(std::string_view input);
    std::size_t take_chunk(std::string_view input);
    void check_turn();
    bool well_formed(std::string_view line, std::size_t limit);
    void command(std::string_view line);
    std::string without_credentials(std::string_view line, std::string_view verb) const;
    void violation(std::string text) { state_->violation(number_, std::move(text)); }
    // For a check that failed: notes `why`, and gives the reply.
    std::string refuse(std::string_view reply, std::string why);

    // Commands. A check returns the reply that refuses, or nothing.
    void on_hello(std::string_view verb, std::string_view argument);
    void on_starttls(std::string_view argument);
    void on_auth(std::string_view argument);
    void on_mail(std::string_view argument);
    void on_rcpt(std::string_view argument);
    void on_data(std::string_view argument);
    void on_bdat(std::string_view argument);
    void on_reset(std::string_view argument);
    void on_quit(std::string_view argument);
    void on_other(std::string_view verb);
    std::string check_hello(std::string_view verb, std::string_view argument);
    std::string check_starttls(std::string_view argument);
    std::string check_auth(std::string_view mechanism);
    std::string check_mail(std::string_view argument, transaction& t);
    std::string check_mail_turn();
    std::string check_mail_parameter(std::string_view keyword, std::string_view value, transaction& t);
    std::string check_rcpt(std::string_view argument, std::string& path, std::string& parameters);
    std::string check_path(std::string_view path, bool sender, bool utf8);
    std::string check_content_start(std::string_view verb);
    std::string keywords() const;
    bool may_pipeline() const noexcept { return esmtp_ && options().pipelining; }
    bool starttls_offered() const noexcept {
        return options().security == security::starttls || options().security == security::opportunistic;
    }
    bool auth_offered() const noexcept { return !options().users.empty() && (tls_ || options().auth_in_clear); }

    // AUTH: each step returns its reply.
    std::string auth_step(std::string_view response);
    std::string judge_token(std::string_view name_mark, std::string_view octets);
    std::string judge(std::string_view name, std::string_view password);

    // Content.
    void begin_content();
    void end_of_chunk();
    void end_of_content();
    void note_content();
    std::string try_store(std::vector<std::string> recipients);
    void idle_fault();

    // Replies.
    answer due(phase at, std::string_view argument) { return {state_->take(at, argument)}; }
    void reply(const answer& a, std::string_view usual, afterwards what = afterwards::nothing);
    void reply(std::string_view usual) { reply(answer{}, usual); }
    std::string formatted(std::string_view text) const;
    void put(std::string octets, duration wait, afterwards what = afterwards::nothing);
    void barrier(std::string_view what);
    void release();

    std::shared_ptr<server_state> state_;
    std::shared_ptr<const void> handle_;
    std::uint64_t number_ = 0;
    time_point now_ = {};
    std::string input_;
    std::deque<pending> replies_;  // whose time has not come
    std::string out_;              // the first out_done_ octets are written
    std::size_t out_done_ = 0;
    std::uint64_t queued_ = 0;  // octets of replies ever, and written
    std::uint64_t written_ = 0;
    std::uint64_t barrier_ = 0;  // nothing may arrive before so much is written
    std::string barrier_name_;
    std::string hello_;
    std::string user_;
    std::string mechanism_;  // of the AUTH exchange under way
    std::string login_name_;
    transaction transaction_;
    detail::content_reader content_;
    std::uint64_t chunk_left_ = 0;
    std::size_t messages_ = 0;
    server_session::mode mode_ = mode::commands;
    std::string chunk_argument_;
    std::string chunk_refusal_;
    bool last_chunk_ = false;
    bool esmtp_ = false;
    bool tls_ = false;
    bool tls_due_ = false;
    bool auth_seen_ = false;
    bool skipping_ = false;  // the rest of a line that is too long
    bool done_ = false;
};

static_assert(net::wire_session<server_session>);

}  // namespace postroad::testing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/testing/impl/server_session.ipp>
#endif

#pragma once
// The client's side of one AUTH exchange without I/O (RFC 4954, RFC 4422): challenges go in, responses come out.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/secret.hpp>
#include <postroad/smtp/credentials.hpp>
#include <postroad/smtp/detail/mechanisms.hpp>
#include <postroad/smtp/redaction.hpp>
#include <postroad/smtp/scram.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::smtp {

/// What an exchange needs to know about its connection.
struct sasl_channel {
    bool encrypted = false;         ///< TLS is established and verified as the policy asks
    bool insecure_allowed = false;  ///< send credentials without TLS all the same
    std::string binding_name = {};  ///< channel binding type, "tls-exporter" (RFC 9266); empty: none
    std::string binding_data = {};  ///< its octets; empty: no -PLUS mechanism is used
    std::string host = {};          ///< the server's name and port, told to it by OAUTHBEARER
    std::uint16_t port = 0;
};

/// What a server that lists mechanisms does not bear.
struct auth_habits {
    std::vector<std::string> beyond = {};  ///< mechanisms that it lists and cannot do
    bool no_initial_response = false;      ///< none in the AUTH command
    friend bool operator==(const auth_habits&, const auth_habits&) = default;
};

/// The mechanisms that may be used with `c`, by preference: those it names, or the default ones.
POSTROAD_DECL std::vector<std::string> mechanisms_for(const credentials& c);

/// One exchange with one mechanism. A failed exchange is over: there is no second attempt with the same secret, which
/// might lock the account. Single-threaded; movable. Octets are raw on both sides; base64 is the caller's.
class authenticator {
public:
    /// Octets of a challenge.
    static constexpr std::size_t max_challenge = 12288;

    /// Picks the mechanism: the first of credentials::mechanisms, or of the default order, that `offered` (upper case)
    /// has and this channel allows. `client_nonce` is at least scram_client::min_nonce printable characters from the
    /// caller's random generator, fresh for each exchange; 18 random octets in base64 are right. Errors:
    /// errc::authentication_not_offered when `offered` is empty; errc::insecure_authentication when only missing TLS
    /// stands against a mechanism; errc::no_common_mechanism; errc::authentication_failed for a bad nonce.
    authenticator(const credentials& c, std::span<const std::string> offered, const sasl_channel& channel,
                  std::string client_nonce, error_code& ec);

    /// Its name; empty if none was found.
    std::string_view mechanism() const noexcept { return info_ ? info_->name : std::string_view{}; }

    /// Whether the client speaks first: then respond("") gives the initial response, which may be empty, and may go
    /// into the AUTH command or answer the server's first, empty, challenge.
    bool client_first() const noexcept { return info_ && info_->client_first(); }

    /// Answers a challenge. errc::authentication_failed when it does not fit the exchange: cancel it with "*"
    /// (RFC 4954 section 4). No mechanism takes more than three challenges, so an endless run of 334 ends here too.
    std::string respond(std::string_view challenge, error_code& ec);

    /// Whether a 235 may be believed now: all of ours is sent and, with SCRAM, the server has proved that it knows the
    /// password too.
    bool satisfied() const noexcept { return state_ == state::complete; }

    /// Whether anything went out that depends on the secret. Before that a refusal is the mechanism's, and another one
    /// may be tried.
    bool proved() const noexcept { return sent_; }
    /// Whether its responses depend on challenges; of the others a server may ask in any words.
    bool reads_challenges() const noexcept {
        return info_ && (info_->kind == detail::mechanism::scram || info_->kind == detail::mechanism::cram_md5);
    }

    /// Whether it proves who we are with a token, which may have expired.
    bool uses_token() const noexcept { return info_ && info_->needs_token(); }
    /// Whether the server explained why it refuses the token, or by e= in SCRAM; its reply is about to say so.
    bool refused() const noexcept { return state_ == state::refused; }
    /// What it explained in SCRAM.
    scram_refusal refusal() const noexcept { return refusal_; }

    /// Why it failed, or why the server is about to refuse. Ours alone, or a word from a fixed list.
    const std::string& explanation() const noexcept { return explanation_; }

    /// `server_text` without the secrets, their base64 and the base64 of the responses given so far, where a server
    /// echoes them. Strings shorter than four octets are left: taking them out would tell what they are.
    std::string redacted(std::string server_text) const { return hidden_.of(std::move(server_text)); }
    /// What redacted() takes out.
    const redaction& hidden() const noexcept { return hidden_; }

private:
    enum class state : unsigned char {
        awaiting_start,         // nothing said yet
        awaiting_challenge,     // one response given, another is due
        awaiting_verification,  // all said; the server has to prove itself
        complete,
        refused,  // the server explained a refusal and was answered; only its reply is missing
        failed,
    };

    const detail::mechanism_info* choose(const credentials& c, std::span<const std::string> offered,
                                         const sasl_channel& channel, error_code& ec);
    void start_scram(std::span<const std::string> offered, const sasl_channel& channel, std::string client_nonce,
                     error_code& ec);
    std::string prepared(std::string_view name, std::string_view text, error_code& ec);
    std::string answer(std::string_view challenge, error_code& ec);
    std::string answer_login(std::string_view challenge, error_code& ec);
    std::string answer_cram_md5(std::string_view challenge, error_code& ec);
    std::string answer_scram(std::string_view challenge, error_code& ec);
    std::string answer_scram_refusal(scram_refusal r, std::string_view name, error_code& ec);
    std::string answer_token(std::string_view challenge, error_code& ec);
    std::string only_response(std::string_view challenge, std::string response, error_code& ec);
    std::string initial_response() const;
    std::string fail(std::string explanation, error_code& ec);

    const detail::mechanism_info* info_ = nullptr;
    credentials credentials_;
    std::string host_;
    std::uint16_t port_ = 0;
    std::optional<scram_client> scram_;
    bool sent_ = false;  // a response that depends on the secret
    scram_refusal refusal_ = scram_refusal::unsaid;
    redaction hidden_;
    state state_ = state::awaiting_start;
    std::string explanation_;
};

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/sasl.ipp>
#endif

#pragma once
// SCRAM (RFC 5802, RFC 7677), the client's side: both ends prove that they know the password, and neither shows it.

#include <postroad/core/config.hpp>
#include <postroad/core/secret.hpp>
#include <postroad/smtp/detail/mechanisms.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postroad::smtp {

/// What a SCRAM exchange starts from.
struct scram_options {
    detail::scram_hash hash = detail::scram_hash::sha256;
    std::string user = {};
    secret password = {};
    std::string authorization_id = {};
    /// "n": no channel binding; "y": we could, the server did not offer it; "p=NAME": bound (RFC 5802 section 7).
    std::string binding_flag = "n";
    std::string binding_data = {};  ///< with "p=NAME" only
    std::string nonce = {};         ///< ours: printable, without comma, min_nonce characters or more
};

/// What a refusal says that the server explains by e= (RFC 5802 section 7).
enum class scram_refusal : unsigned char {
    unsaid,     ///< any of the others
    mechanism,  ///< the server cannot do it so, or not for this user; another mechanism may work
    password,   ///< it is wrong
    for_now,    ///< the server lacks resources
    tampering,  ///< channel binding shows that TLS, or the list of mechanisms, is not what the server sees
};

/// Three steps: first(), final(server's first message), verify(server's final message). Sans-IO; movable.
class scram_client {
public:
    static constexpr std::size_t min_nonce = 18;
    /// Fewer rounds than RFC 7677 section 4 wants make guessing cheap; more are a way to keep a client busy.
    static constexpr std::uint32_t min_iterations = 4096;
    static constexpr std::uint32_t max_iterations = 1'000'000;
    static constexpr std::size_t max_salt = 1024;  ///< octets

    explicit scram_client(scram_options options);

    /// Whether `nonce` may be used.
    static bool is_nonce(std::string_view nonce) noexcept;

    /// What the server's message says if it is a refusal; then `name` is its word, of those in the RFC: "other-error"
    /// for any other, which might repeat what we sent. After an answer, an empty one, comes the reply (RFC 4422 section
    /// 5).
    static std::optional<scram_refusal> refusal(std::string_view server_message, std::string_view& name);

    std::string first() const { return header_ + first_bare_; }
    /// The proof. On failure `problem` says why and nothing is returned. One round of HMAC takes about 1 µs, so the
    /// call takes some ms at 4096 and about a second at max_iterations.
    std::string final(std::string_view server_first, std::string& problem);
    /// Whether the server proved that it knows the password; if not, `problem` says why.
    bool verify(std::string_view server_final, std::string& problem) const;

private:
    bool prove(std::string_view salt, std::uint32_t iterations, const std::string& auth_message, std::string& proof);

    scram_options options_;
    std::string header_;      // the GS2 header
    std::string first_bare_;  // the first message without it
    secret server_signature_;
};

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/scram.ipp>
#endif

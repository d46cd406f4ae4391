#pragma once
// What a server said it can do: the lines of its reply to EHLO (RFC 5321 section 4.1.1.1) or LHLO.

#include <postroad/core/config.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::smtp {

/// The extensions of one server, filled line by line. A fresh EHLO starts from a fresh object (RFC 3207 section 4.2).
/// What is unknown or malformed is ignored: servers say odd things and still take mail.
struct capabilities {
    /// Mechanisms kept from AUTH; more are ignored. Real servers offer about ten.
    static constexpr std::size_t max_mechanisms = 32;

    /// FUTURERELEASE: how far ahead a message may be held (RFC 4865).
    struct future_release {
        std::chrono::seconds max_interval{0};
        std::string max_datetime = {};
        friend bool operator==(const future_release&, const future_release&) = default;
    };

    /// LIMITS: what one session may ask for (RFC 9422). They are hints: a 452 still has to be handled.
    struct transaction_limits {
        std::optional<std::uint32_t> rcptmax = {};        ///< recipients in one transaction
        std::optional<std::uint32_t> mailmax = {};        ///< transactions in one connection
        std::optional<std::uint32_t> rcptdomainmax = {};  ///< domains among the recipients of one transaction
        friend bool operator==(const transaction_limits&, const transaction_limits&) = default;
    };

    bool pipelining = false;        ///< RFC 2920
    bool eight_bit_mime = false;    ///< RFC 6152
    bool smtputf8 = false;          ///< RFC 6531
    bool chunking = false;          ///< RFC 3030
    bool binarymime = false;        ///< RFC 3030; of use only with chunking
    bool dsn = false;               ///< RFC 3461
    bool starttls = false;          ///< RFC 3207
    bool enhanced_codes = false;    ///< RFC 2034
    bool requiretls = false;        ///< RFC 8689; to be believed only within TLS
    bool size_declaration = false;  ///< SIZE was offered, with a limit or without: MAIL may carry SIZE= (RFC 1870)
    /// Octets a message may have; nothing if the server names no limit, zero, or what is no 64-bit number (RFC 1870).
    std::optional<std::uint64_t> size = {};
    /// SASL mechanisms, upper case, in the server's order, without duplicates. `AUTH=` of old servers is merged.
    std::vector<std::string> auth = {};
    /// Whether AUTH stands there, be it without a mechanism, as Exchange has it in the clear.
    bool auth_listed = false;
    /// DELIVERBY: the shortest time that may be asked for; zero if the server names none (RFC 2852).
    std::optional<std::chrono::seconds> deliverby = {};
    std::optional<future_release> futurerelease = {};
    /// MT-PRIORITY: the name of the priority profile; MIXER if the server names none (RFC 6710).
    std::optional<std::string> mt_priority = {};
    transaction_limits limits = {};

    /// Takes one line of the reply after the first, without its code, separator and line end: "SIZE 1000".
    /// Never fails. Of a keyword that comes twice the last usable line counts; AUTH lines add up.
    void parse_line(std::string_view line);

    friend bool operator==(const capabilities&, const capabilities&) = default;
};

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/capabilities.ipp>
#endif

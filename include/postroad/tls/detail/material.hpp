#pragma once
// Certificates, keys and pins as the settings name them, before any TLS library looks at them.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/base64.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/secret.hpp>
#include <postroad/tls/names.hpp>
#include <postroad/tls/settings.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postroad::tls::detail {

/// Octets of a file of certificates or a key; that of all public CAs has a quarter of a million.
inline constexpr std::size_t max_file = 16 * 1024 * 1024;

/// Where systems have the CAs that they trust.
inline constexpr const char* usual_cas[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // macOS, OpenBSD
    "/usr/local/share/certs/ca-root-nss.crt",             // FreeBSD
};

/// Regular files only: a pipe would wait for whoever writes into it. Links are followed, since certificates are often
/// behind one (Let's Encrypt's are).
inline bool read_file(const std::string& path, std::string& text) {
    const int number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (number < 0) return false;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(::fdopen(number, "rb"), &std::fclose);
    if (!file) {
        ::close(number);
        return false;
    }
    struct ::stat is {};
    if (::fstat(number, &is) != 0 || !S_ISREG(is.st_mode)) return false;
    char part[16384];
    while (const auto size = std::fread(part, 1, sizeof part, file.get())) {
        if (text.size() + size > max_file) return false;
        text.append(part, size);
    }
    return std::ferror(file.get()) == 0;
}

/// A program that runs with more rights than its caller does not trust whom the caller names.
inline const char* environment(const char* name) noexcept {
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    return ::secure_getenv(name);
#else
    return std::getenv(name);
#endif
}

inline std::string quoted(const std::string& path) { return "\"" + escaped(path) + "\""; }

/// PEM text and, for people, where it came from.
struct pem_source {
    std::string text = {};
    std::string where = {};
};

inline pem_source read_folder(const std::string& path) {
    pem_source result{.where = quoted(path)};
    std::error_code ec;
    std::vector<std::string> files;
    for (std::filesystem::directory_iterator entry(path, ec), end; !ec && entry != end; entry.increment(ec))
        if (std::error_code unknown; entry->is_regular_file(unknown)) files.push_back(entry->path().string());
    if (ec) throw error(errc::tls_configuration, "the CA folder " + result.where + " cannot be read: " + ec.message());
    std::sort(files.begin(), files.end());
    // A file that cannot be read spoils no other; what it holds is not trusted then.
    for (const auto& file : files) {
        static_cast<void>(read_file(file, result.text));
        result.text += '\n';
    }
    return result;
}

inline pem_source find_cas(const settings& options) {
    const auto both = [](const char* a, const char* b) {
        return error(errc::contradiction, std::string(a) + " and " + b + " are both given; one of them names the CAs");
    };
    if (!options.ca_file.empty() && !options.ca_pem.empty()) throw both("ca_file", "ca_pem");
    if (!options.ca_file.empty() && !options.ca_path.empty()) throw both("ca_file", "ca_path");
    if (!options.ca_path.empty() && !options.ca_pem.empty()) throw both("ca_path", "ca_pem");
    if (!options.ca_pem.empty()) return {options.ca_pem, "ca_pem"};
    if (!options.ca_path.empty()) return read_folder(options.ca_path);
    std::string text;
    const char* from_environment = environment("SSL_CERT_FILE");
    const bool environment = options.ca_file.empty() && from_environment && *from_environment;
    const auto file = environment ? std::string(from_environment) : options.ca_file;
    if (!file.empty()) {
        const auto where = quoted(file) + (environment ? " (SSL_CERT_FILE)" : "");
        if (!read_file(file, text)) throw error(errc::tls_configuration, "the CA file " + where + " cannot be read");
        return {std::move(text), where};
    }
    for (const char* place : usual_cas)
        if (read_file(place, text)) return {std::move(text), place};
    throw error(errc::tls_configuration, "no CA certificates are at the usual places; give ca_file");
}

/// The base64 between the first BEGIN and END lines.
inline std::string pem_content(std::string_view pem) {
    const auto from = std::min(pem.find('\n'), pem.size());
    std::string content(pem.substr(from, pem.find("-----END", from) - from));
    std::erase_if(content, [](char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t'; });
    return content;
}

/// Gives each certificate of a bundle to `load`, once, and counts what it took. One by one, because a TLS library may
/// give up the rest of a bundle at a certificate that it cannot read.
struct bundle {
    std::size_t trusted = 0, skipped = 0;

    template <class Load>
    bundle(std::string_view pem, Load load) {
        static constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----", end = "-----END CERTIFICATE-----";
        std::set<std::string_view> seen;
        for (auto from = pem.find(begin); from != pem.npos; from = pem.find(begin, from + begin.size())) {
            const auto to = pem.find(end, from);
            if (to == pem.npos || pem.find(begin, from + begin.size()) < to) {
                ++skipped;
                continue;
            }
            const auto one = pem.substr(from, to + end.size() - from);
            if (seen.insert(one).second) ++(load(std::string(one)) ? trusted : skipped);
        }
    }
};

inline void require_cas(const bundle& found, const std::string& where) {
    if (found.trusted == 0)
        throw error(errc::tls_configuration, "no CA certificate could be loaded from " + where + " (" +
                                                 std::to_string(found.skipped) + " could not be read)");
}

/// The client's certificate and key.
struct identity {
    std::string certificate = {};
    secret key = {};
    std::string certificate_from = {}, key_from = {};

    bool empty() const noexcept { return certificate.empty(); }
    bool key_is_encrypted() const noexcept { return key.reveal().find("ENCRYPTED") != std::string_view::npos; }
};

inline constexpr const char* revoked = "was revoked by its CA";
inline constexpr const char* unusable_crl =
    "cannot be looked up: the CRL of its CA is out of date, or not signed by it; fetch a newer one";

inline std::string read_named(const std::string& path, const char* what) {
    std::string text;
    if (!read_file(path, text))
        throw error(errc::tls_configuration, std::string("the ") + what + " " + quoted(path) + " cannot be read");
    return text;
}

[[noreturn]] inline void refuse_as_no_crl(const std::string& where) {
    throw error(errc::tls_configuration,
                "there is no CRL in PEM in " + where + " (openssl crl -inform DER makes PEM of DER)");
}

/// Empty text: none are given.
inline pem_source find_crls(const settings& options) {
    if (!options.crl_file.empty() && !options.crl_pem.empty())
        throw error(errc::contradiction, "crl_file and crl_pem are both given");
    if (options.crl_file.empty()) return {options.crl_pem, "crl_pem"};
    pem_source lists{read_named(options.crl_file, "CRL file"), quoted(options.crl_file)};
    // What a download that failed leaves.
    if (lists.text.empty()) refuse_as_no_crl(lists.where);
    return lists;
}

/// Gives each list to `load`. One that is not taken would let through what it revokes.
template <class Load>
void load_crls(const pem_source& crls, Load load) {
    static constexpr std::string_view begin = "-----BEGIN X509 CRL-----", end = "-----END X509 CRL-----";
    const std::string_view all = crls.text;
    std::size_t found = 0;
    for (auto from = all.find(begin); from != all.npos; from = all.find(begin, from + begin.size()), ++found) {
        const auto to = all.find(end, from);
        if (to == all.npos || !load(std::string(all.substr(from, to + end.size() - from))))
            throw error(errc::tls_configuration,
                        "CRL number " + std::to_string(found + 1) + " of " + crls.where + " cannot be read");
    }
    if (found == 0) refuse_as_no_crl(crls.where);
}

inline identity find_identity(const settings& options) {
    identity id;
    if (!options.certificate_file.empty() && !options.certificate_pem.empty())
        throw error(errc::contradiction, "certificate_file and certificate_pem are both given");
    if (!options.key_file.empty() && !options.key_pem.empty())
        throw error(errc::contradiction, "key_file and key_pem are both given");
    const bool file = !options.certificate_file.empty();
    if (!file && options.certificate_pem.empty()) {
        if (!options.key_file.empty() || !options.key_pem.empty())
            throw error(errc::tls_configuration, "a key is given without its certificate; give certificate_file");
        return id;
    }
    id.certificate_from = file ? quoted(options.certificate_file) : "certificate_pem";
    id.certificate = file ? read_named(options.certificate_file, "certificate file") : options.certificate_pem;
    if (!options.key_file.empty()) {
        id.key_from = quoted(options.key_file);
        id.key = secret(read_named(options.key_file, "key file"));
    } else if (!options.key_pem.empty()) {
        id.key_from = "key_pem";
        id.key = options.key_pem;
    } else {
        id.key_from = id.certificate_from;
        id.key = secret(id.certificate);
    }
    if (id.certificate.empty())
        throw error(errc::tls_configuration, "the certificate of " + id.certificate_from + " is empty");
    if (id.key_is_encrypted() && options.key_passphrase.empty())
        throw error(errc::tls_configuration, "the key of " + id.key_from + " is encrypted; give key_passphrase");
    return id;
}

inline void check_settings(const settings& options, bool has_tls_1_3, const char* library) {
    if (options.oldest > options.newest) throw error(errc::contradiction, "oldest is TLS 1.3 and newest is TLS 1.2");
    if (options.oldest == protocol::tls_1_3 && !has_tls_1_3)
        throw error(errc::tls_configuration,
                    std::string("oldest is TLS 1.3, and this build of ") + library + " speaks TLS 1.2 only");
    if (!options.pins.empty() && options.verify == verification::insecure_none)
        throw error(errc::contradiction, "pins are given and verify is insecure_none, which looks at no certificate");
    if ((!options.crl_file.empty() || !options.crl_pem.empty()) && options.verify == verification::insecure_none)
        throw error(errc::contradiction, "CRLs are given and verify is insecure_none, which looks at no certificate");
    // Nothing would be verified in place of the endpoint's name.
    if (!options.server_name.empty() && plain_host(options.server_name).empty())
        throw error(errc::invalid_option, "server_name is \"" + escaped(options.server_name) + "\", which is no name");
    for (const auto& pin : options.pins) {
        std::string octets;
        if (!base64_decode(pin, octets) || octets.size() != 32)
            throw error(errc::invalid_option,
                        "the pin \"" + escaped(pin) + "\" is not base64 of a SHA-256, which has 44 characters");
    }
}

inline std::string joined(const std::vector<std::string>& parts, const char* between) {
    std::string text;
    for (const auto& part : parts) text += (text.empty() ? "" : between) + part;
    return text;
}

/// Why none of `presented` (pins, the server's first) is among `wanted`.
inline std::string pin_reason(const std::vector<std::string>& wanted, const std::vector<std::string>& presented) {
    auto text = "has the key pin " + (presented.empty() ? std::string("(none)") : presented.front());
    if (presented.size() > 1) text += " (its CAs: " + joined({presented.begin() + 1, presented.end()}, ", ") + ")";
    return text + "; expected " + joined(wanted, " or ");
}

inline bool any_pinned(const std::vector<std::string>& wanted, const std::vector<std::string>& presented) {
    return std::any_of(presented.begin(), presented.end(), [&](const std::string& pin) {
        return std::find(wanted.begin(), wanted.end(), pin) != wanted.end();
    });
}

inline std::string no_certificate_name(const std::string& expected) {
    return quoted(expected) +
           " is not a host name or address that a certificate could name; write international names in their xn-- form";
}

inline std::string client_certificate_hint(bool given) {
    return given ? "; perhaps the server does not accept our certificate"
                 : "; perhaps the server wants a client certificate, which certificate_file names";
}

/// What the peer ended the handshake with (RFC 8446 section 6, RFC 5246 section 7.2).
inline std::string alert_text(int number) {
    static constexpr std::pair<int, const char*> names[] = {
        {10, "unexpected_message"},
        {20, "bad_record_mac"},
        {22, "record_overflow"},
        {40, "handshake_failure"},
        {42, "bad_certificate"},
        {43, "unsupported_certificate"},
        {44, "certificate_revoked"},
        {45, "certificate_expired"},
        {46, "certificate_unknown"},
        {47, "illegal_parameter"},
        {48, "unknown_ca"},
        {49, "access_denied"},
        {50, "decode_error"},
        {51, "decrypt_error"},
        {70, "protocol_version"},
        {71, "insufficient_security"},
        {80, "internal_error"},
        {86, "inappropriate_fallback"},
        {90, "user_canceled"},
        {109, "missing_extension"},
        {110, "unsupported_extension"},
        {112, "unrecognized_name"},
        {116, "certificate_required"},
        {120, "no_application_protocol"},
    };
    const auto* name =
        std::find_if(std::begin(names), std::end(names), [&](const auto& n) { return n.first == number; });
    return "it sent the alert " + (name == std::end(names) ? std::to_string(number) : std::string(name->second));
}

/// RFC 9266 section 2.
inline constexpr std::string_view exporter_label = "EXPORTER-Channel-Binding";

inline bool looks_like_a_reply(std::string_view octets) noexcept {
    const auto digit = [&](std::size_t i) { return octets[i] >= '0' && octets[i] <= '9'; };
    return octets.size() >= 4 && digit(0) && digit(1) && digit(2) && (octets[3] == ' ' || octets[3] == '-');
}

// No record of TLS begins with text (RFC 8446 section 5.1).
inline bool is_in_the_clear(std::string_view octets) noexcept {
    return octets.size() >= 4 &&
           postroad::detail::all_of(octets.substr(0, 4), [](char c) { return c >= ' ' && c <= '~'; });
}

// What such a server said, and what that means.
inline std::string answer_in_the_clear(std::string_view octets, security how) {
    const auto said = "answered in the clear, \"" + escaped(octets, 40) + '"';
    if (how != security::implicit) return "agreed to STARTTLS and " + said;
    return looks_like_a_reply(octets) ? said + ": this port does not begin with TLS; smtp:// starts it by STARTTLS"
                                      : said;
}

inline constexpr const char* older_version_hint = "; the server wants a version of TLS older than is allowed";

}  // namespace postroad::tls::detail

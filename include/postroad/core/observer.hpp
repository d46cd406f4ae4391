#pragma once
// Watching: everything that connections and the mailer do, as one stream of observations. See docs/troubleshooting.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad {

/// What is observed.
enum class observed : unsigned char {
    dialing,          ///< a connection is wanted
    resolved,         ///< `text`: the addresses that were found
    connected,        ///< `text`: the address that answered
    tls_established,  ///< `text`: version, cipher suite, certificate
    command,          ///< `text`: one line without its end; of AUTH only the mechanism
    content,          ///< the content of a message was handed over whole: `octets`
    reply,            ///< `answer`, and how long it `took` from the command on
    decision,         ///< `text`: what is done otherwise than asked for, and why
    retry,            ///< a message goes again after `took`; `text`: why
    late,             ///< the same, and it has taken so long that its sender should know; said once
    closed,           ///< the connection is over; `error` unless in good order, `text`: why
    outcome,          ///< of one recipient, in `text`; `result` says what became of the message for it
};

POSTROAD_DECL std::string_view to_string(observed o) noexcept;

/// One observation. What it refers to lives until observer::on() returns. Text is as it came, except that secrets are
/// taken out: escape what you print, see escaped().
struct observation {
    observed what = observed::decision;
    time_point time = {};
    std::uint64_t mailer = 0;      ///< which one of the process, where it is of one
    std::uint64_t connection = 0;  ///< which one of the mailer; 0: it is about none
    std::uint64_t message = 0;     ///< the number of the message; 0: it is about none, or not known
    std::string_view server = {};  ///< "name:port"
    phase where = phase::idle;
    std::string_view text = {};
    const reply* answer = nullptr;  ///< with observed::reply, and with observed::outcome if a reply decided
    status result = status::not_attempted;
    std::uint64_t octets = 0;
    duration took = {};
    error_code error = {};
};

/// Is told. Called on the thread that does the work, in the order of events, between two steps of it: be quick, and do
/// not call the mailer. What it throws is dropped. Null is the null model: then nothing is gathered.
class observer {
public:
    observer() = default;
    observer(const observer&) = delete;
    observer& operator=(const observer&) = delete;
    virtual ~observer() = default;

    virtual void on(const observation& o) = 0;
};

/// Several observers as one: each is told, in their order, and what one throws keeps nothing from the others. Members
/// may come and go on any thread; who goes may be told once more on another.
class observers final : public observer {
public:
    observers() = default;
    explicit observers(std::vector<std::shared_ptr<observer>> all) : all_(std::move(all)) {}

    POSTROAD_DECL void add(std::shared_ptr<observer> one);
    /// No effect if it is none of them.
    POSTROAD_DECL void remove(const std::shared_ptr<observer>& one);
    POSTROAD_DECL void on(const observation& o) override;

private:
    std::mutex mutex_;
    std::vector<std::shared_ptr<observer>> all_;
};

/// `text` with each mail address replaced by "[address]": what stands between `<` and `>`, and words with an `@`.
POSTROAD_DECL std::string without_addresses(std::string_view text);

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/core/impl/observer.ipp>
#endif

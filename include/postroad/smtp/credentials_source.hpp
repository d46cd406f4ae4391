#pragma once
// Credentials that are fetched when they are due: tokens that expire, secrets in a vault. See docs/transport.md.

#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/secret.hpp>
#include <postroad/smtp/credentials.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace postroad::smtp {

/// What a source is asked for.
struct credentials_request {
    endpoint server = {};
    /// The token that was given last and that the server refused: where it is the one that you keep, get another.
    /// Empty: none was refused.
    secret refused_token = {};
};

/// What a source answers: credentials, or why there are none.
struct credentials_answer {
    smtp::credentials credentials = {};
    error_code error = {};
    std::string explanation = {};  ///< goes into diagnostics: never a secret
};

/// Takes the answer, once; a second call does nothing. On any thread.
using credentials_handler = std::function<void(credentials_answer)>;

/// Asks a function of yours for credentials, in one of two forms:
///
///   credentials(const credentials_request&)
///       returns them or throws; called on the mailer's thread, so it must not wait for a network.
///   void(const credentials_request&, credentials_handler)
///       returns at once, and calls the handler later, on any thread. A handler that is destroyed without a call
///       counts as errc::credentials_unavailable.
///
/// While one call is under way, further questions about the same server wait for its answer, those about a refused
/// token where that was refused there, too. Copies share this, and the function; mailers that run on several threads
/// may call it at the same time.
class credentials_source {
public:
    /// None: credentials are not asked for.
    credentials_source() = default;

    template <class F>
    requires(!std::same_as<F, credentials_source> && std::is_invocable_r_v<credentials, F&, const credentials_request&>)
        credentials_source(F f)
        : state_(make([f = std::move(f)](const credentials_request& request, const credentials_handler& done) mutable {
              done({.credentials = f(request)});
          })) {}

    template <class F>
    requires(!std::same_as<F, credentials_source> &&
             std::is_invocable_v<F&, const credentials_request&, credentials_handler>) credentials_source(F f)
        : state_(make(std::move(f))) {}

    explicit operator bool() const noexcept { return state_ != nullptr; }

    /// Asks, or joins a question that is under way. Never throws what the function throws: that is an answer.
    void ask(const credentials_request& request, credentials_handler done) const {
        state_->ask(request, std::move(done));
    }

private:
    using asynchronous = std::function<void(const credentials_request&, credentials_handler)>;
    // Virtual, so that a program whose credentials are in its URL has nothing of it but this.
    struct state {
        virtual ~state() = default;
        virtual void ask(const credentials_request& request, credentials_handler done) = 0;
    };
    struct shared_state;

    POSTROAD_DECL static std::shared_ptr<state> make(asynchronous f);

    std::shared_ptr<state> state_;
};

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/credentials_source.ipp>
#endif

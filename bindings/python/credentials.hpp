#pragma once
// A function of Python that is asked for credentials. It runs on a thread of the package's own, since it may take its
// time: the mailer's thread only puts the question there.

#include "operation.hpp"

#include <postroad/smtp/credentials_source.hpp>

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace postroad::python {

/// One question. The members keep the GIL, also while the mailer is told: a thread that lets go of it while Python ends
/// does not come back.
class credentials_question {
public:
    credentials_question(const postroad::smtp::credentials_request& request, postroad::smtp::credentials base,
                         postroad::smtp::credentials_handler done)
        : server_(to_string(request.server)),
          refused_token_(request.refused_token),
          base_(std::move(base)),
          done_(std::move(done)) {}

    const std::string& server() const { return server_; }
    std::optional<std::string> refused_token() const {
        if (refused_token_.empty()) return std::nullopt;
        return std::string(refused_token_.reveal());
    }

    void answer_password(std::string user, std::string password) {
        auto c = base_;
        if (!c.user.empty() && c.user != user) return refuse("it returned another user than the mailer has");
        c.user = std::move(user);
        c.password = secret(std::move(password));
        answer(std::move(c));
    }
    void answer_token(std::string token) {
        auto c = base_;
        c.token = secret(std::move(token));
        answer(std::move(c));
    }
    void refuse(const std::string& why) {
        done_({.error = errc::credentials_unavailable, .explanation = "the function credentials: " + why});
    }

private:
    void answer(postroad::smtp::credentials c) {
        if (c.empty()) return refuse("what it returned is empty");
        try {
            postroad::smtp::check(c);
        } catch (const error& e) {
            return refuse(e.details().explanation);
        }
        done_({.credentials = std::move(c)});
    }

    std::string server_;
    secret refused_token_;
    postroad::smtp::credentials base_;
    postroad::smtp::credentials_handler done_;
};

/// A source that gives its questions to `ask`, which must not block. `base` is what each answer begins with: the user.
inline postroad::smtp::credentials_source asked_of(py::object ask, postroad::smtp::credentials base) {
    return [ask = shared_object(std::move(ask)), base = std::move(base)](
               const postroad::smtp::credentials_request& request, postroad::smtp::credentials_handler done) {
        const py::gil_scoped_acquire gil;
        try {
            (*ask)(std::make_shared<credentials_question>(request, base, std::move(done)));
        } catch (py::error_already_set& e) {
            e.discard_as_unraisable("postroad credentials");
        }
    };
}

}  // namespace postroad::python

#pragma once
// The messages of one call of send_many().

#include "composed.hpp"
#include "delivery.hpp"
#include "envelope.hpp"
#include "mailers.hpp"
#include "operation.hpp"
#include "receipts.hpp"

#include <pybind11/pybind11.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

namespace postroad::python {

/// Many messages, begun one by one and told of together. For one thread of Python at a time; what they have in common
/// is read once.
class many {
public:
    /// `mailer` throws where there is none any more.
    many(std::function<std::shared_ptr<any_mailer>()> mailer, smtp::whose_server whose,
         std::shared_ptr<receipt_maker> receipts, given_envelope envelope, wishes wanted)
        : mailer_(std::move(mailer)),
          whose_(whose),
          receipts_(std::move(receipts)),
          given_(std::move(envelope)),
          wishes_(std::move(wanted)) {}

    /// Begins to send one; `index` tells it from the others. Throws `error`.
    std::shared_ptr<operation> start(const py_message& message, std::size_t index) {
        auto m = mailer_();
        auto given = message_from(message);
        auto op = std::make_shared<operation>(m->executor(), whose_, ended_, index);
        {
            const gil_released released;
            const auto keep = std::move(m);
            if (!options_) options_ = options_of(given_);
            auto mail = mail_of(std::move(given), *options_);
            wishes_.apply(mail.envelope);
            keep->send(std::move(mail), wishes_.queued, op);
        }
        under_way_.emplace(index, op);
        return op;
    }

    /// Receipts of those that ended, in that order. Waits as completions::take() does.
    py::list ended(std::optional<double> patience, std::size_t several) {
        py::list receipts;
        for (const auto index : ended_->take(patience, several)) {
            const auto found = under_way_.extract(index);
            receipts.append(receipts_->of(*found.mapped(), py::int_(index)));
        }
        return receipts;
    }

    /// As completions::tell().
    void tell(const py::object& f) { ended_->tell(f); }

    void cancel() {
        for (const auto& [index, op] : std::exchange(under_way_, {})) op->cancel();
    }

private:
    std::function<std::shared_ptr<any_mailer>()> mailer_;
    smtp::whose_server whose_;
    std::shared_ptr<receipt_maker> receipts_;
    given_envelope given_;
    std::optional<eml_options> options_;  // what was given, read
    wishes wishes_;
    std::shared_ptr<completions> ended_ = std::make_shared<completions>();
    std::unordered_map<std::size_t, std::shared_ptr<operation>> under_way_;
};

}  // namespace postroad::python

#pragma once
// What a transport reads in the refusals of a transaction, beyond what their codes say. No I/O and no clock.

#include <postroad/core/outcome.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/smtp/session.hpp>
#include <postroad/transport/traits.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

namespace postroad::engine {

struct readings {
    bool all = false;               // each refusal was read
    transport::reading means = {};  // of those that ask to be left alone: about the most, for the longest time
    phase where = phase::rcpt;
    std::string host = {};
    std::string reply = {};

    bool any() const noexcept { return means.rest > duration::zero(); }
    std::string why() const {
        using transport::reply_subject;
        const auto minutes = std::chrono::ceil<std::chrono::minutes>(means.rest).count();
        const char* const whom = means.about == reply_subject::tenant   ? "this tenant's mail to the provider"
                                 : means.about == reply_subject::source ? "our address at this provider"
                                                                        : "this provider";
        return "a reply asks us to leave " + std::string(whom) + " alone for " + std::to_string(minutes) + " min";
    }
};

/// Changes the status of recipients whose refusal means something else than it says. What the transport throws is told
/// to `failed(text)`: that refusal means what it says.
template <class Transport, class Failed>
readings read_refusals(const Transport& t, const endpoint& host, smtp::finished& f, Failed failed) {
    using transport::reading;
    readings found;
    if constexpr (transport::reads_replies<Transport>) {
        found.all = !f.recipients.empty();
        for (auto& r : f.recipients) {
            const bool refused = r.reply.code >= 400 && (r.status == status::deferred || r.status == status::rejected);
            if (!refused) found.all = false;
            std::optional<reading> read;
            try {
                if (refused) read = transport::transport_traits<Transport>::read_reply(t, host, r);
            } catch (...) {
                failed(text_of_exception());
            }
            if (!read) {
                found.all = false;
                continue;
            }
            if (read->means != reading::term::as_said)
                r.status = read->means == reading::term::later ? status::deferred : status::rejected;
            if (read->rest == duration::zero()) continue;
            const bool more = !found.any() || read->about > found.means.about;
            if (more) {
                found.where = r.where;
                found.host = to_string(host);
                found.reply = to_string(r.reply);
            }
            found.means.about = std::max(found.means.about, read->about);
            found.means.rest = std::max(found.means.rest, read->rest);
        }
    }
    return found;
}

}  // namespace postroad::engine

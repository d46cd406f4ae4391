#pragma once
// Messages of a queue in a file, for who copies them.

#include <postroad/queueing/sqlite.hpp>

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "operation.hpp"
#include "words.hpp"

namespace postroad::python {

/// Reads the content of a stored message, a piece at a time.
class stored_content {
public:
    explicit stored_content(const content& c) : all_(c) {}

    /// What comes next; empty at the end. Throws `error`.
    py::bytes read() {
        std::string piece;
        {
            const gil_released released;
            if (!from_) from_.emplace(all_);
            piece = from_->peek();
            from_->consume(piece.size());
        }
        if (from_->failed()) throw error(from_->failure(), {.explanation = from_->explanation()});
        return {piece};
    }

private:
    content all_;
    std::optional<content::reader> from_;  // opened late: a page of them holds no blocks
};

inline py::list events_of(const notify& n) {
    py::list events;
    for (const auto& [is, name] : {std::pair{n.never, "never"}, std::pair{n.success, "success"},
                                   std::pair{n.failure, "failure"}, std::pair{n.delay, "delay"}})
        if (is) events.append(name);
    return events;
}

/// What postroad.Delivery has of it; times in microseconds.
inline py::dict asked_for(const mail_options& o) {
    py::dict d;
    if (o.returned != returned::unsaid) d["returned"] = o.returned == returned::full ? "full" : "headers";
    if (!o.envelope_id.empty()) d["envelope_id"] = text(o.envelope_id);
    if (o.deliver_by) {
        d["deliver_by"] = o.deliver_by->within.count();
        d["when_late"] = o.deliver_by->when_late == deliver_by::late::give_up ? "give_up" : "notify";
        d["trace"] = o.deliver_by->trace;
    }
    if (o.hold_for) d["hold_for"] = o.hold_for->count();
    if (o.hold_until) d["hold_until"] = std::chrono::microseconds(o.hold_until->time_since_epoch()).count();
    if (o.priority) d["priority"] = *o.priority;
    if (o.require_tls) d["require_tls"] = true;
    if (o.submitter) d["submitter"] = text(o.submitter->str());
    return d;
}

inline py::list recipient_parts(const queueing::stored_mail& s) {
    py::list all;
    const auto* const asked = s.mail ? &s.mail->envelope.recipient_options : nullptr;
    for (std::size_t i = 0; i < s.info.recipients.size(); ++i) {
        const auto& r = s.info.recipients[i];
        const auto of = asked && i < asked->size() ? (*asked)[i] : recipient_options{};
        all.append(py::make_tuple(
            text(r.address), text(to_string(r.status)), r.reply.code ? py::cast(r.reply.code) : py::none(),
            r.reply.enhanced ? py::cast(to_string(r.reply.enhanced)) : py::none(), text(r.reply.text),
            text(to_string(r.where)), events_of(of.notify), text(of.original_recipient)));
    }
    return all;
}

inline py::tuple stored_parts_of(queueing::stored_mail&& s) {
    const auto microseconds = [](queueing::journal_time t) {
        return std::chrono::floor<std::chrono::microseconds>(t.time_since_epoch()).count();
    };
    const auto perhaps = [&](const std::optional<queueing::journal_time>& t) {
        return t ? py::object(py::cast(microseconds(*t))) : py::object(py::none());
    };
    py::dict d;
    d["place"] = s.place;
    d["id"] = s.info.id;
    d["whole"] = s.info.whole;
    d["state"] = text(to_string(s.info.state));
    d["queued"] = microseconds(s.queued);
    d["due"] = perhaps(s.due);
    d["give_up"] = perhaps(s.give_up);
    d["failed"] = perhaps(s.failed);
    d["attempts"] = s.info.attempts;
    d["octets"] = s.info.octets;
    d["traffic_class"] = s.info.traffic_class;
    d["tenant"] = text(s.info.tenant);
    d["tag"] = text(s.info.tag);
    d["idempotency_key"] = text(s.idempotency_key);
    d["cut"] = s.cut;
    d["error"] = text(s.info.error);
    d["sender"] = text(s.info.sender);
    d["recipients"] = recipient_parts(s);
    d["delivery"] = s.mail ? asked_for(s.mail->envelope.options) : py::dict();
    auto content = s.mail ? py::cast(std::make_unique<stored_content>(s.mail->content)) : py::object(py::none());
    return py::make_tuple(std::move(d), std::move(content));
}

inline void define_stored_content(py::module_& m) {
    py::class_<stored_content>(m, "StoredContent").def("read", &stored_content::read);
}

/// What of a queue is on a page, and where the next begins.
inline py::tuple page_parts(queueing::stored_page&& page) {
    py::list all;
    for (auto& s : page.jobs) all.append(stored_parts_of(std::move(s)));
    return py::make_tuple(all, page.next ? py::cast(*page.next) : py::none());
}

}  // namespace postroad::python

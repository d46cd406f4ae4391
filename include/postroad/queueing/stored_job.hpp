#pragma once
// What a durable queue stores of a job beside its content: text that people can read and other versions understand.

#include <postroad/core/config.hpp>
#include <postroad/message/mail_object.hpp>
#include <postroad/queueing/job.hpp>

#include <string>
#include <string_view>

namespace postroad::queueing {

/// Lines of a key and values, with a space between; each ends with LF. In a value, %XX stands for an octet
/// (RFC 3986 section 2.1), which spaces, control characters and percent signs need. Whoever reads skips keys, and
/// further values, that it does not know.
///
/// | line | says |
/// |---|---|
/// | `from ADDRESS` | the reverse path; the null one without it |
/// | `to ADDRESS [notify=never,success,failure,delay] [original=ADDRESS]` | one recipient; at least one line |
/// | `return full`, `return headers`; `envelope-id TEXT`; `priority N`; `require-tls`; `submitter ADDRESS` |
/// mail_options | | `by SECONDS notify`, `by SECONDS give_up`, both with `trace` at their end |
/// mail_options::deliver_by | | `hold-for SECONDS`, `hold-until SECONDS` since 1970 | mail_options |
POSTROAD_DECL std::string written(const envelope& e);
/// The other way. Throws `error` (errc::storage_damaged) that shows the line.
POSTROAD_DECL envelope read_envelope(std::string_view text);

/// Of a part of a divided message, a line that stands before its envelope: `part ID PLACE...`, the message's id and
/// where the recipients stand in its envelope. Nothing for other jobs.
POSTROAD_DECL std::string written_part(const job& j);
/// The other way, into a job that has its mail. Throws `error` (errc::storage_damaged) that shows the line.
POSTROAD_DECL void read_part(std::string_view text, job& j);

/// What became of a job so far, in lines of the same kind: `attempts`, `waits`, `returns`, `doubts`, `error`, `where`,
/// `host`, `explanation`, `reply`, and for each recipient `was STATUS PHASE [CODE ENHANCED TEXT [ERROR WHY]]`, in their
/// order.
POSTROAD_DECL std::string written_progress(const job& j);
/// The other way, into a job that has its mail. Throws `error` (errc::storage_damaged) that shows the line.
POSTROAD_DECL void read_progress(std::string_view text, job& j);

}  // namespace postroad::queueing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/queueing/impl/stored_job.ipp>
#endif

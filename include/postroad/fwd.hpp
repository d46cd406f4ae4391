#pragma once
// The names of what a program passes around, declared and not defined: for headers that only mention a message, an
// outcome or a mailer. It costs nothing to include. Whoever makes or looks into one includes <postroad/postroad.hpp>.

namespace postroad {

class address;
struct mailbox;
struct mailbox_group;
class message;
class body_part;
class content;
struct envelope;
struct mail_options;
struct mail_object;
class dkim_signer;
struct delivery_report;

enum class errc;
enum class phase : unsigned char;
enum class status : unsigned char;
class error;
class send_error;
class not_accepted;
struct diagnostics;
struct reply;
struct recipient_outcome;
struct outcome;

struct endpoint;
struct send_options;
class ticket;
/// What each mailer is, whatever its policies: send(), submit(), drain() and their asynchronous forms.
class mailer_base;
/// Of the policies that are given, in any order; the others are the defaults.
template <class... Ps>
class mailer;

namespace transport {
struct smtp_options;
class smtp;
struct maildir;
struct discard;
}  // namespace transport
namespace pooling {
struct keep_alive;
struct one_shot;
}  // namespace pooling
namespace queueing {
struct direct;
struct memory;
class sqlite;
struct sqlite_options;
class amqp;
struct amqp_options;
struct job_filter;
struct job_info;
struct queue_counts;
}  // namespace queueing
namespace scheduling {
struct fifo;
}  // namespace scheduling
namespace testing {
class sink;
}  // namespace testing

}  // namespace postroad

// What is declared alone: first, so that nothing else declares it.
#include <postroad/fwd.hpp>

namespace {

// All that a header of a program may want.
struct outbox {
    postroad::mailer_base* mail = nullptr;
    postroad::mailer<postroad::transport::smtp, postroad::queueing::sqlite>* durable = nullptr;

    postroad::outcome send(const postroad::message& m, const postroad::send_options& options) const;
};

}  // namespace

#include <postroad/message/delivery_report.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/postroad.hpp>
#include <postroad/queueing/sqlite.hpp>
#include <postroad/testing/sink.hpp>

#include <doctest/doctest.h>

#include <type_traits>

postroad::outcome outbox::send(const postroad::message& m, const postroad::send_options& options) const {
    return mail->send(m, options);
}

// Compilers say where a declaration and its definition differ; a name that is declared in vain they do not see.
template <class... Ts>
constexpr bool defined = (... && (sizeof(Ts) > 0));

TEST_CASE("what fwd.hpp declares is defined, and a program's header can do with it") {
    using namespace postroad;
    static_assert(defined<address, mailbox, mailbox_group, message, body_part, content, envelope, mail_options,
                          mail_object, dkim_signer, delivery_report>);
    static_assert(
        defined<errc, phase, status, error, send_error, not_accepted, diagnostics, reply, recipient_outcome, outcome>);
    static_assert(defined<endpoint, send_options, ticket, mailer_base, mailer<>>);
    static_assert(defined<transport::smtp_options, transport::smtp, transport::maildir, transport::discard>);
    static_assert(defined<pooling::keep_alive, pooling::one_shot, scheduling::fifo, testing::sink>);
    static_assert(defined<queueing::direct, queueing::memory, queueing::sqlite, queueing::sqlite_options,
                          queueing::job_filter, queueing::job_info, queueing::queue_counts>);
    mailer mail{transport::discard{}};
    const outbox box{.mail = &mail};
    const auto m = message().from("ann@example.com").to("bob@example.org").subject("x").text("x");
    CHECK(box.send(m, {}).all_accepted());
}

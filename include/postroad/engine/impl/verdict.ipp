#pragma once

#include <postroad/engine/verdict.hpp>

#include <postroad/core/algorithm.hpp>

#include <string_view>

namespace postroad::engine {
namespace detail {

// What a code says without its circumstances. `broken` is of the wire: what it means depends on how far it had come.
enum class about : unsigned char { broken, over, later, again, outage, setting, by_reply, doubt, ours };

inline about about_of(errc e) noexcept {
    switch (e) {
        case errc::invalid_address:
        case errc::invalid_header:
        case errc::invalid_url:
        case errc::invalid_option:
        case errc::invalid_message:
        case errc::no_sender:
        case errc::no_recipients:
        case errc::unreadable_file:
        case errc::changed_file:
        case errc::message_too_large:
        case errc::eight_bit_unsupported:
        case errc::internationalised_unsupported:
        case errc::binary_unsupported:
        case errc::dsn_unsupported:
        case errc::deliver_by_unsupported:
        case errc::future_release_unsupported:
        case errc::require_tls_unsupported:
        case errc::line_too_long:
        case errc::recipients_rejected:
        case errc::would_deadlock:
        case errc::contradiction:
        case errc::already_queued:
        case errc::domain_unknown:
        case errc::domain_takes_no_mail:
        case errc::mail_loop:
        case errc::private_address:
        case errc::suppressed: return about::over;
        case errc::malformed_reply:
        case errc::reply_too_long:
        case errc::unexpected_reply:
        case errc::unsolicited_reply:
        case errc::service_closing:
        case errc::connection_closed:
        case errc::timed_out:
        case errc::tls_broken: return about::broken;
        case errc::chunking_refused:
        case errc::out_of_sequence: return about::again;
        case errc::signing_failed:
        case errc::recipients_deferred:
        case errc::queue_full:
        case errc::storage_failed:
        case errc::storage_full:
        case errc::storage_damaged:
        case errc::storage_unusable: return about::later;
        case errc::greeting_refused:
        case errc::resolve_failed:
        case errc::proxy_failed:
        case errc::tls_handshake:
        case errc::tls_injection:
        case errc::authentication_deferred:
        case errc::credentials_unavailable:
        case errc::broker_unreachable:
        case errc::policy_failed: return about::outage;
        case errc::hello_refused:
        case errc::tls_refused: return about::by_reply;
        case errc::invalid_host_name:
        case errc::invalid_credentials:
        case errc::tls_not_offered:
        case errc::tls_certificate:
        case errc::tls_configuration:
        case errc::authentication_not_offered:
        case errc::no_common_mechanism:
        case errc::authentication_rejected:
        case errc::authentication_failed:
        case errc::insecure_authentication:
        case errc::broker_refused: return about::setting;
        case errc::in_doubt: return about::doubt;
        case errc::shut_down:
        case errc::cancelled: return about::ours;
    }
    return about::broken;
}

inline about about_of(error_code ec) noexcept {
    if (ec.category() == error_category()) return about_of(static_cast<errc>(ec.value()));
    return ec == condition::cancelled ? about::ours : about::broken;
}

// RFC 3463: addresses (1.7, 1.8), what the message is (3.4, 6.y). 501, 552, 553 and 555 are about MAIL's own words.
inline bool is_about_the_message(const reply& r) noexcept {
    const auto& e = r.enhanced;
    if (e.kind == 5 &&
        ((e.subject == 1 && (e.detail == 7 || e.detail == 8)) || (e.subject == 3 && e.detail == 4) || e.subject == 6))
        return true;
    return r.code == 501 || r.code == 552 || r.code == 553 || r.code == 555;
}

inline ruling ruling_of_mail(const reply& r, connection_past past) noexcept {
    if (r.code < 500) {
        if (past.carried) return ruling::again;
        return r.code == 421 ? ruling::outage : ruling::later;
    }
    if (r.code == 530) return ruling::setting;
    if (is_out_of_order(r)) return ruling::outage;
    return is_about_the_message(r) ? ruling::settled : ruling::refused;
}

inline bool is_refusal(const recipient_outcome& r) noexcept {
    return r.reply.code != 0 && (r.status == status::deferred || r.status == status::rejected);
}

// What it was asked alone, of whomever, the server takes for out of order.
inline bool is_lost(const smtp::finished& f) noexcept {
    return f.error == errc::out_of_sequence && f.lesson == smtp::lesson::none &&
           postroad::detail::all_of(f.recipients, [](const auto& r) { return r.status == status::not_attempted; });
}

}  // namespace detail

POSTROAD_DECL bool is_lack(error_code ec) noexcept {
    if (ec.category() != error_category()) return false;
    switch (static_cast<errc>(ec.value())) {
        case errc::message_too_large:
        case errc::eight_bit_unsupported:
        case errc::internationalised_unsupported:
        case errc::binary_unsupported:
        case errc::dsn_unsupported:
        case errc::deliver_by_unsupported:
        case errc::future_release_unsupported:
        case errc::require_tls_unsupported: return true;
        default: return false;
    }
}

POSTROAD_DECL bool breaks_connection(error_code ec) {
    if (!ec) return false;
    const auto a = detail::about_of(ec);
    return a != detail::about::over && a != detail::about::ours && a != detail::about::again;
}

POSTROAD_DECL ruling ruling_of(const smtp::closed& why) {
    const auto a = detail::about_of(why.error);
    const bool for_good = why.details.reply.starts_with('5');
    return a == detail::about::setting || (a == detail::about::by_reply && for_good) ? ruling::setting : ruling::outage;
}

POSTROAD_DECL ruling ruling_of(const smtp::finished& f, connection_past past) {
    using detail::about;
    const auto& all = f.recipients;
    if (postroad::detail::any_of(all, [](const auto& r) { return r.status == status::in_doubt; })) return ruling::doubt;
    const auto all_at = [&](phase where) {
        return !all.empty() &&
               postroad::detail::all_of(all, [&](const auto& r) { return r.where == where && detail::is_refusal(r); });
    };
    if (all_at(phase::mail)) return detail::ruling_of_mail(all.front().reply, past);
    const auto all_say = [&](auto&& what) {
        return postroad::detail::all_of(all, [&](const auto& r) { return what(r.reply); });
    };
    // Any command may be answered by it (RFC 3207 section 4, RFC 4954 section 6).
    if ((all_at(phase::rcpt) || all_at(phase::data)) && all_say([](const reply& r) { return r.code == 530; }))
        return ruling::setting;
    if (all_at(phase::rcpt) && all_say(is_out_of_order)) return ruling::outage;
    if (!f.error) return ruling::settled;
    switch (detail::about_of(f.error)) {
        case about::broken:
            // Replies that are out of step on a connection that was in order may answer something else than this MAIL.
            if (f.answered && !(past.carried && f.error == condition::protocol)) return ruling::later;
            return past.carried ? ruling::again : ruling::outage;
        case about::over:
            // That there is no verified TLS now is not for good.
            if (f.error == errc::require_tls_unsupported &&
                postroad::detail::any_of(all, [](const auto& r) { return r.status == status::deferred; }))
                return ruling::later;
            return ruling::over;
        case about::later: return ruling::later;
        case about::again: return detail::is_lost(f) && !past.carried ? ruling::outage : ruling::again;
        case about::doubt: return ruling::doubt;
        case about::ours: return ruling::ours;
        case about::setting: return ruling::setting;
        case about::by_reply:
        case about::outage: return ruling::outage;
    }
    return ruling::later;
}

POSTROAD_DECL blame blame_of(ruling r) noexcept {
    switch (r) {
        case ruling::settled:
        case ruling::again:
        case ruling::elsewhere: return blame::none;
        case ruling::over:
        case ruling::later:
        case ruling::refused: return blame::message;
        case ruling::outage: return blame::outage;
        case ruling::setting: return blame::setting;
        case ruling::doubt: return blame::doubt;
        case ruling::ours: return blame::ours;
    }
    return blame::none;
}

}  // namespace postroad::engine

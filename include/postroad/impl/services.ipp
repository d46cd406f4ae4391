#pragma once

#include <postroad/message/address.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/services.hpp>

#include <algorithm>
#include <string>
#include <string_view>

namespace postroad {
namespace detail {

inline constexpr std::string_view app_password =
    "the address of the account, and an app password, which needs two-step verification";
inline constexpr std::string_view own_password = "the address of the account, and its password";
inline constexpr std::string_view ses_credentials = "SMTP credentials of Amazon SES, which are no access key";
inline constexpr std::string_view ses_page = "https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html";

inline constexpr service_limits gmail_limits = {.messages_a_day = 500,
                                                .recipients_a_message = 100,
                                                .of = "2,000 messages a day for who pays for Workspace",
                                                .source = "https://support.google.com/a/answer/166852",
                                                .seen = "2026-11-30"};
inline constexpr service_limits gmail_relay_limits = {.messages_a_day = 10'000,
                                                      .of = "each user",
                                                      .source = "https://support.google.com/a/answer/2956491",
                                                      .seen = "2026-11-30"};
inline constexpr service_limits icloud_limits = {.messages_a_day = 1000,
                                                 .recipients_a_day = 1000,
                                                 .recipients_a_message = 500,
                                                 .megabytes_a_message = 20,
                                                 .source = "https://support.apple.com/en-us/102198",
                                                 .seen = "2026-11-30"};
inline constexpr service_limits mailgun_limits = {
    .megabytes_a_message = 25,
    .source = "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages",
    .seen = "2026-11-30"};
inline constexpr service_limits outlook_limits = {
    .recipients_a_day = 5000,
    .recipients_a_message = 500,
    .of = "subscribers of Microsoft 365; fewer for others, and for new accounts",
    .source = "https://support.microsoft.com/en-us/office/279ee200-594c-40f0-9ec8-bb6af7735c2e",
    .seen = "2026-11-30"};
inline constexpr service_limits postmark_limits = {.recipients_a_message = 50,
                                                   .megabytes_a_message = 10,
                                                   .source = "https://postmarkapp.com/developer",
                                                   .seen = "2026-11-30"};
inline constexpr service_limits ses_limits = {.recipients_a_message = 50,
                                              .megabytes_a_message = 40,
                                              .of = "200 recipients a day in the sandbox",
                                              .source = "https://docs.aws.amazon.com/ses/latest/dg/quotas.html",
                                              .seen = "2026-11-30"};
inline constexpr service_limits yandex_limits = {
    .messages_a_day = 500,
    .recipients_a_day = 500,
    .recipients_a_message = 35,
    .source = "https://yandex.com/support/mail/web/letter/create/send-many-letters.html",
    .seen = "2026-11-30"};
// What it takes in a day moves with the reputation of the sender.
inline constexpr service_limits zoho_limits = {
    .recipients_a_message = 100,
    .of = "150 for who pays; 50 to 500 messages an hour",
    .source = "https://www.zoho.com/mail/help/adminconsole/rates-and-limits.html",
    .seen = "2026-11-30"};

inline constexpr service service_table[] = {
    {"126", "smtp.126.com", 465, security::implicit, "126.com",
     "the address of the account, and an authorization code from its settings",
     "https://autoconfig.thunderbird.net/v1.1/126.com"},
    {"163", "smtp.163.com", 465, security::implicit, "163.com",
     "the address of the account, and an authorization code from its settings",
     "https://autoconfig.thunderbird.net/v1.1/163.com"},
    {"aol", "smtp.aol.com", 465, security::implicit, "aol.com", "the address of the account, and an app password",
     "https://autoconfig.thunderbird.net/v1.1/aol.com"},
    {"brevo", "smtp-relay.brevo.com", 587, security::starttls, "",
     "the login and the SMTP key that Brevo shows under SMTP & API",
     "https://developers.brevo.com/docs/smtp-integration"},
    {"fastmail", "smtp.fastmail.com", 465, security::implicit, "fastmail.com",
     "the address of the account, and an app password", "https://www.fastmail.help/hc/en-us/articles/1500000278342"},
    {"gmail", "smtp.gmail.com", 465, security::implicit, "gmail.com googlemail.com",
     "the address of the account, and an app password, which needs two-step verification; or a token",
     "https://support.google.com/a/answer/176600", gmail_limits},
    {"gmail-relay", "smtp-relay.gmail.com", 587, security::starttls, "",
     "a Workspace account and its app password, or none where the address of the sender is allowed",
     "https://support.google.com/a/answer/2956491", gmail_relay_limits},
    {"gmx", "mail.gmx.net", 465, security::implicit, "gmx.net gmx.de gmx.at gmx.ch",
     "the address of the account; POP3 and IMAP must be enabled in it",
     "https://hilfe.gmx.net/pop-imap/imap/imap-serverdaten.html"},
    {"gmx-com", "mail.gmx.com", 465, security::implicit, "gmx.com",
     "the address of the account; POP3 and IMAP must be enabled in it",
     "https://autoconfig.thunderbird.net/v1.1/gmx.com"},
    {"icloud", "smtp.mail.me.com", 587, security::starttls, "icloud.com me.com mac.com", app_password,
     "https://support.apple.com/en-us/102525", icloud_limits},
    {"mailgun", "smtp.mailgun.org", 465, security::implicit, "",
     "SMTP credentials of a domain; in the EU the host is smtp.eu.mailgun.org",
     "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp", mailgun_limits},
    {"mailgun-eu", "smtp.eu.mailgun.org", 465, security::implicit, "", "SMTP credentials of a domain in the EU",
     "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp", mailgun_limits},
    {"mailjet", "in-v3.mailjet.com", 465, security::implicit, "",
     "the API key is the user, the secret key the password", "https://dev.mailjet.com/smtp-relay/configuration/"},
    {"mailru", "smtp.mail.ru", 465, security::implicit, "mail.ru inbox.ru list.ru bk.ru",
     "the address of the account, and a password for external applications",
     "https://autoconfig.thunderbird.net/v1.1/mail.ru"},
    {"office365", "smtp.office365.com", 587, security::starttls, "",
     "a token with the scope SMTP.Send; SMTP AUTH must be allowed for the mailbox",
     "https://learn.microsoft.com/en-us/exchange/clients-and-mobile-in-exchange-online/"
     "authenticated-client-smtp-submission"},
    {"orange", "smtp.orange.fr", 465, security::implicit, "orange.fr wanadoo.fr", own_password,
     "https://autoconfig.thunderbird.net/v1.1/orange.fr"},
    {"outlook", "smtp-mail.outlook.com", 587, security::starttls,
     "outlook.com outlook.de outlook.fr hotmail.com hotmail.de hotmail.fr live.com msn.com",
     "a token: passwords are not taken any more",
     "https://support.microsoft.com/en-us/office/d088b986-291d-42b8-9564-9c414e2aa040", outlook_limits},
    {"postmark", "smtp.postmarkapp.com", 587, security::starttls, "", "the server API token is both user and password",
     "https://postmarkapp.com/developer/user-guide/send-email-with-smtp", postmark_limits},
    {"qq", "smtp.qq.com", 465, security::implicit, "qq.com",
     "the address of the account, and an authorization code from its settings",
     "https://help.mail.qq.com/detail/108/1023"},
    {"resend", "smtp.resend.com", 465, security::implicit, "", "the user is \"resend\", the password an API key",
     "https://resend.com/docs/send-with-smtp"},
    {"sendgrid", "smtp.sendgrid.net", 465, security::implicit, "", "the user is \"apikey\", the password an API key",
     "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api"},
    {"ses-eu-central-1", "email-smtp.eu-central-1.amazonaws.com", 465, security::implicit, "", ses_credentials,
     ses_page, ses_limits},
    {"ses-eu-west-1", "email-smtp.eu-west-1.amazonaws.com", 465, security::implicit, "", ses_credentials, ses_page,
     ses_limits},
    {"ses-us-east-1", "email-smtp.us-east-1.amazonaws.com", 465, security::implicit, "", ses_credentials, ses_page,
     ses_limits},
    {"ses-us-west-2", "email-smtp.us-west-2.amazonaws.com", 465, security::implicit, "", ses_credentials, ses_page,
     ses_limits},
    {"t-online", "securesmtp.t-online.de", 465, security::implicit, "t-online.de",
     "the address of the account, and the password for mail programs that is set in the customer centre",
     "https://autoconfig.thunderbird.net/v1.1/t-online.de"},
    {"webde", "smtp.web.de", 465, security::implicit, "web.de",
     "the address of the account; POP3 and IMAP must be enabled in it",
     "https://autoconfig.thunderbird.net/v1.1/web.de"},
    {"yahoo", "smtp.mail.yahoo.com", 465, security::implicit,
     "yahoo.com yahoo.de yahoo.fr yahoo.co.uk ymail.com rocketmail.com", app_password,
     "https://help.yahoo.com/kb/SLN4724.html"},
    {"yandex", "smtp.yandex.com", 465, security::implicit, "yandex.com yandex.ru ya.ru",
     "the address of the account, and an app password", "https://yandex.com/support/mail/mail-clients/others.html",
     yandex_limits},
    {"zoho", "smtp.zoho.com", 465, security::implicit, "zoho.com zohomail.com", app_password,
     "https://www.zoho.com/mail/help/zoho-smtp.html", zoho_limits},
};

}  // namespace detail

POSTROAD_DECL std::string published_size(std::string_view host) {
    const auto name = detail::in_lower_case(std::string(host.substr(0, host.find(':'))));
    const auto found = std::ranges::find(services(), name, &service::host);
    if (found == services().end() || found->limits.megabytes_a_message == 0) return {};
    const auto& l = found->limits;
    return std::string(found->name) + " takes " + std::to_string(l.megabytes_a_message) +
           " MB a message, as it is sent, of which attachments take a third more than their files have: " +
           std::string(l.source);
}

POSTROAD_DECL std::string service::url() const {
    const bool implicit = security == postroad::security::implicit;
    const auto scheme = std::string(implicit ? "smtps://" : "smtp://") + std::string(host);
    return port == (implicit ? 465 : 587) ? scheme : scheme + ':' + std::to_string(port);
}

POSTROAD_DECL std::optional<std::string> detail::known_submission_url(std::string_view address_or_url) {
    if (address_or_url.find("://") != std::string_view::npos || address_or_url.find('@') == std::string_view::npos)
        return std::string(address_or_url);
    const auto* s = find_service_of(address(address_or_url).domain());
    return s ? std::optional(s->url()) : std::nullopt;
}

POSTROAD_DECL std::span<const service> services() noexcept { return detail::service_table; }

POSTROAD_DECL const service* find_service_of(std::string_view domain) {
    if (domain.empty() || domain.find(' ') != domain.npos) return nullptr;
    const auto wanted = ' ' + detail::in_lower_case(std::string(domain)) + ' ';
    for (const auto& s : services())
        if ((' ' + std::string(s.domains) + ' ').find(wanted) != std::string::npos) return &s;
    return nullptr;
}

}  // namespace postroad

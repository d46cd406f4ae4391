#pragma once
// The rows of smtp/advice.hpp. What is special stands before what is general. No row may advise what lowers security,
// nor strangers' senders what only users of a server can do.

#include <postroad/core/error.hpp>
#include <postroad/smtp/advice.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace postroad::smtp::detail {

enum class tls_first : unsigned char { any, yes, no };

/// What a row is about.
struct subject {
    enum class kind : unsigned char { anything, refusal, ours, of_system };
    kind what = kind::anything;
    int value = 0;

    constexpr subject() noexcept = default;
    constexpr subject(kind k) noexcept : what(k) {}
    constexpr subject(errc e) noexcept : what(kind::ours), value(static_cast<int>(e)) {}
    constexpr subject(std::errc e) noexcept : what(kind::of_system), value(static_cast<int>(e)) {}
};
inline constexpr subject refusal = subject::kind::refusal;

/// All that is given must fit.
struct condition {
    std::optional<whose_server> whose = {};  ///< none: whoever runs the server
    subject about = {};
    std::optional<phase> where = {};
    tls_first first = tls_first::any;
    std::uint16_t code = 0;        ///< of the reply
    std::string_view status = {};  ///< "5.7.26", or with x for any: "x.7.1"
    std::string_view said = {};    ///< words of the reply, in lower case, each at the beginning of one; "a|b": either
    std::string_view link = {};    ///< anywhere in the reply: part of a URL or a host's name; likewise
    std::string_view found = {};   ///< anywhere in our explanation; likewise
    bool for_good = false;         ///< 5yz only
};

struct advice_row {
    condition when;
    advice what;
};

namespace source {
inline constexpr std::string_view smtp = "https://www.rfc-editor.org/rfc/rfc5321#section-4.2.3";
inline constexpr std::string_view replies = "https://www.rfc-editor.org/rfc/rfc5321#section-4.2.1";
inline constexpr std::string_view size = "https://www.rfc-editor.org/rfc/rfc1870#section-6.1";
inline constexpr std::string_view hello = "https://www.rfc-editor.org/rfc/rfc5321#section-4.1.1.1";
inline constexpr std::string_view ports = "https://www.rfc-editor.org/rfc/rfc8314#section-3";
inline constexpr std::string_view injection = "https://www.rfc-editor.org/rfc/rfc3207#section-6";
inline constexpr std::string_view starttls = "https://www.rfc-editor.org/rfc/rfc3207#section-4";
inline constexpr std::string_view lines = "https://www.rfc-editor.org/rfc/rfc5321#section-2.3.8";
inline constexpr std::string_view auth = "https://www.rfc-editor.org/rfc/rfc4954#section-6";
inline constexpr std::string_view scram = "https://www.rfc-editor.org/rfc/rfc5802#section-9";
inline constexpr std::string_view scram_errors = "https://www.rfc-editor.org/rfc/rfc5802#section-7";
inline constexpr std::string_view statuses = "https://www.rfc-editor.org/rfc/rfc3463#section-3";
inline constexpr std::string_view checks = "https://www.rfc-editor.org/rfc/rfc7372#section-3";
inline constexpr std::string_view tls = "https://www.rfc-editor.org/rfc/rfc8446#section-6.2";
inline constexpr std::string_view names = "https://www.rfc-editor.org/rfc/rfc9525#section-6";
inline constexpr std::string_view chain = "https://www.rfc-editor.org/rfc/rfc5280#section-6";
inline constexpr std::string_view constraints = "https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.10";
inline constexpr std::string_view usage = "https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.12";
inline constexpr std::string_view keys = "https://www.rfc-editor.org/rfc/rfc9325#section-4";
inline constexpr std::string_view utf8 = "https://www.rfc-editor.org/rfc/rfc6531#section-3.2";
inline constexpr std::string_view greylist = "https://www.rfc-editor.org/rfc/rfc6647#section-2";
inline constexpr std::string_view registry =
    "https://www.iana.org/assignments/smtp-enhanced-status-codes/smtp-enhanced-status-codes.xhtml";
inline constexpr std::string_view postfix = "https://www.postfix.org/postconf.5.html#reject_sender_login_mismatch";
inline constexpr std::string_view postfix_client =
    "https://www.postfix.org/postconf.5.html#reject_unknown_client_hostname";
inline constexpr std::string_view postfix_count =
    "https://www.postfix.org/postconf.5.html#smtpd_client_connection_count_limit";
inline constexpr std::string_view dovecot = "https://doc.dovecot.org/main/core/config/auth/penalty.html";
inline constexpr std::string_view gmail = "https://support.google.com/a/answer/3726730";
inline constexpr std::string_view app_passwords = "https://support.google.com/accounts/answer/185833";
inline constexpr std::string_view microsoft =
    "https://learn.microsoft.com/troubleshoot/exchange/email-delivery/ndr/non-delivery-reports-in-exchange-online";
inline constexpr std::string_view microsoft_auth =
    "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission";
inline constexpr std::string_view yahoo = "https://senders.yahooinc.com/smtp-error-codes/";
inline constexpr std::string_view yahoo_passwords = "https://help.yahoo.com/kb/SLN15241.html";
inline constexpr std::string_view icloud = "https://support.apple.com/102322";
inline constexpr std::string_view ses = "https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html";
inline constexpr std::string_view sendgrid =
    "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/smtp-errors-and-troubleshooting";
inline constexpr std::string_view mailgun = "https://documentation.mailgun.com/docs/mailgun/quickstart/";
inline constexpr std::string_view ovh =
    "https://github.com/ovh/docs/blob/develop/pages/web_cloud/email_and_collaborative_solutions/troubleshooting/"
    "locked_for_spam/guide.en-gb.md";
inline constexpr std::string_view qq = "https://help.mail.qq.com/detail/108/1023";
inline constexpr std::string_view qq_refusals = "https://service.mail.qq.com/detail/122";
inline constexpr std::string_view netease = "https://help.163.com/09/1224/17/5RAJ4LMH00753VB8.html";
inline constexpr std::string_view yandex = "https://yandex.com/support/mail/mail-clients/others.html";
}  // namespace source

inline constexpr auto ours = whose_server::ours;
inline constexpr auto theirs = whose_server::strangers;

inline constexpr std::string_view they_mend = "Whoever runs the domain must mend it; it is tried again.";
inline constexpr std::string_view use_own_name =
    "Give the name that this machine's address has in DNS as client_name, or in mx://NAME.";
inline constexpr std::string_view use_submission = "Sending is at port 587 (smtp://) or 465 (smtps://).";
inline constexpr std::string_view use_own_sender = "Send from an address of the account that you log in with.";
inline constexpr std::string_view use_app_password = "Make an app password in the account's settings, and use that.";
inline constexpr std::string_view not_an_account =
    "User and password, or the token, are not those of an account there.";
inline constexpr std::string_view check_both =
    "Check both; some providers want an app password, or a token, and lock after many tries.";
inline constexpr std::string_view not_smtp = "The server began with SMTP, and what it says now is none.";
inline constexpr std::string_view web_server = "This is a web server, or the page by which a network lets people in.";
inline constexpr std::string_view mend_software = "Its software must be mended: ask who runs it.";
inline constexpr std::string_view no_ehlo =
    "The server knows no EHLO: it has neither TLS nor logins, is no mail server (FTP begins with 220, too), or a "
    "firewall between changes SMTP.";
inline constexpr std::string_view right_port_or_firewall =
    "Look at host and port; if they are right, turn the inspection off.";
inline constexpr std::string_view look_at_proxy = "Look at the proxy: name, port, user and what it lets through.";
inline constexpr std::string_view slow_down = "Send less at a time, and the rest later.";
inline constexpr std::string_view mend_records =
    "Sign with DKIM (or send through a server that does), and name the server in the domain's SPF record.";

inline constexpr advice_row advice_table[] = {
    // The way there.
    {{.about = std::errc::connection_refused, .found = "through the proxy"}, {{}, look_at_proxy, {}}},
    {{.about = errc::timed_out, .found = "through the proxy"}, {{}, look_at_proxy, {}}},
    {{.about = errc::resolve_failed, .found = "through the proxy"}, {{}, look_at_proxy, {}}},
    {{.about = errc::resolve_failed, .found = "no address of a family"},
     {{}, "Connect from an address of the family that it has, or let the other be used.", {}}},
    {{.whose = ours, .about = std::errc::connection_refused},
     {"Nothing listens at this port.", "Submission is 587 (smtp://) or 465 (smtps://), a relay is 25.", source::ports}},
    {{.whose = theirs, .about = std::errc::connection_refused}, {"Nothing listens at this port.", they_mend, {}}},
    {{.about = std::errc::network_unreachable},
     {"There is no way to that address from here.", "Look at the network, and at a firewall between.", {}}},
    {{.about = std::errc::host_unreachable},
     {"There is no way to that address from here.", "Look at the network, and at a firewall between.", {}}},
    {{.about = errc::timed_out, .found = "it was given up"},
     {"The message was not sent in the time that you gave it.", "Give it more time, or look why it waits.", {}}},
    {{.about = errc::timed_out, .found = "cannot look up"},
     {"The look-up does not answer.", "Look at the network, and at the name servers of this machine.", {}}},
    {{.about = errc::timed_out, .where = phase::resolve},
     {"The look-up does not answer.", "Look at the network, and at the name servers of this machine.", {}}},
    {{.about = errc::timed_out, .found = "the proxy did not"}, {{}, look_at_proxy, {}}},
    {{.whose = ours, .about = errc::timed_out, .found = "tls handshake was not finished"},
     {"What answers there does not speak TLS, or is stuck.",
      "If the port is 587 or 25, use smtp://, which starts TLS by STARTTLS.", source::ports}},
    {{.whose = theirs, .about = errc::timed_out, .found = "tls handshake was not finished"},
     {"The server is stuck in the TLS handshake.", they_mend, {}}},
    {{.whose = ours, .about = errc::timed_out, .where = phase::connect},
     {"A firewall may drop what goes to this port; many networks do so with port 25.", use_submission, source::ports}},
    {{.whose = theirs, .about = errc::timed_out, .where = phase::connect},
     {"A firewall may drop what goes to this port; many networks let nothing out to port 25.",
      "Ask who runs your network; if it lets mail out, whoever runs the domain must mend it.", source::ports}},
    {{.whose = ours, .about = errc::timed_out, .where = phase::tls},
     {"The server agreed to TLS and does not go on with it.", "Look at its log, and at a firewall between.",
      source::starttls}},
    {{.whose = theirs, .about = errc::timed_out, .where = phase::tls},
     {"The server is stuck in the TLS handshake.", they_mend, {}}},
    {{.whose = ours, .about = errc::timed_out, .where = phase::greeting, .first = tls_first::no},
     {"The server may expect TLS from the first octet, or lets callers wait.",
      "Use smtps:// for a port such as 465; else give it more time.", source::ports}},
    {{.whose = ours, .about = errc::timed_out},
     {{}, "The server is too slow or stuck: try later, and look at its log.", {}}},
    {{.whose = theirs, .about = errc::timed_out}, {{}, "The server is too slow or stuck; it is tried again.", {}}},
    {{.about = errc::resolve_failed},
     {{}, "Is the name spelled right? If so, look at DNS: host, or getent hosts.", {}}},
    {{.about = errc::proxy_failed}, {{}, look_at_proxy, {}}},

    // What answers is no mail server.
    {{.whose = ours, .about = errc::malformed_reply, .found = "got \"+ok"},
     {"This is a POP3 server, for reading mail.", use_submission, source::ports}},
    {{.whose = ours, .about = errc::malformed_reply, .found = "got \"* "},
     {"This is an IMAP server, for reading mail.", use_submission, source::ports}},
    {{.whose = ours, .about = errc::malformed_reply, .found = "got \"http/"},
     {web_server, use_submission, source::ports}},
    {{.whose = ours, .about = errc::malformed_reply, .found = "got \"ssh-"},
     {"This is an SSH server.", use_submission, source::ports}},
    {{.about = errc::malformed_reply, .found = "have two codes|holds a cr|holds a nul"},
     {"The server breaks the rules of replies.", mend_software, source::replies}},
    {{.about = errc::malformed_reply, .found = "without crlf"},
     {"The server ends its lines with LF alone, by which messages can be smuggled.", mend_software, source::lines}},
    {{.whose = ours, .about = errc::malformed_reply, .where = phase::greeting, .first = tls_first::no},
     {"This may be no mail server.", "If it expects TLS from the first octet, use smtps://.", source::ports}},
    {{.whose = ours, .about = errc::malformed_reply, .where = phase::greeting},
     {"This may be no mail server.", use_submission, source::ports}},
    {{.whose = theirs, .about = errc::malformed_reply, .where = phase::greeting},
     {"This may be no mail server.", they_mend, {}}},
    {{.whose = ours, .about = errc::reply_too_long, .where = phase::greeting},
     {"This may be no mail server.", use_submission, source::ports}},
    {{.whose = theirs, .about = errc::reply_too_long, .where = phase::greeting},
     {"This may be no mail server.", they_mend, {}}},
    {{.whose = ours, .about = errc::malformed_reply}, {not_smtp, "Look at its log, and at what is between.", {}}},
    {{.whose = theirs, .about = errc::malformed_reply}, {not_smtp, they_mend, {}}},
    {{.whose = ours, .about = errc::reply_too_long}, {not_smtp, "Look at its log, and at what is between.", {}}},
    {{.whose = theirs, .about = errc::reply_too_long}, {not_smtp, they_mend, {}}},
    {{.whose = ours, .about = errc::connection_closed, .where = phase::greeting, .first = tls_first::no},
     {"The server hangs up at once: it may refuse this address, or expect TLS from the first octet.",
      "Use smtps:// for port 465; else ask who runs it.", source::ports}},
    {{.about = errc::connection_closed, .where = phase::greeting},
     {"The server hangs up at once: it may refuse this address, or have too many connections.",
      "Wait, or ask who runs it.",
      {}}},
    {{.whose = ours, .about = errc::connection_closed, .where = phase::auth},
     {"The server hangs up instead of an answer to AUTH: it may have banned this address after wrong tries.",
      "Wait, and look at its log.", source::dovecot}},
    {{.whose = ours, .about = errc::tls_broken, .where = phase::auth},
     {"The server hangs up instead of an answer to AUTH: it may have banned this address after wrong tries.",
      "Wait, and look at its log.", source::dovecot}},

    // Logging in: what providers say.
    {{.whose = ours, .about = errc::authentication_rejected, .said = "application-specific"},
     {"This provider wants an app password instead of the account's.", use_app_password, source::app_passwords}},
    {{.whose = ours, .about = errc::authentication_rejected, .code = 534, .link = "google.com|gsmtp"},
     {"Google wants you to log in by a browser first.", "Do so, or use an app password or OAuth with a token.",
      source::gmail}},
    {{.whose = ours, .about = errc::authentication_rejected, .link = "google.com|gsmtp"},
     {"Google does not accept this user and password.",
      "The account's own password does not do: use an app password, or OAuth with a token.", source::app_passwords}},
    {{.whose = ours, .about = errc::authentication_rejected, .said = "smtpclientauthentication is disabled"},
     {"Logging in by SMTP is turned off for this mailbox or its organisation.",
      "Have SMTP AUTH turned on for the mailbox, and use OAuth with a token.", source::microsoft_auth}},
    {{.whose = ours, .about = errc::authentication_rejected, .said = "basic authentication is disabled"},
     {"Passwords are turned off there.", "Use OAuth, with a token.", source::microsoft_auth}},
    {{.whose = ours, .about = errc::authentication_rejected, .link = "outlook.com"},
     {"Microsoft does not accept this login.",
      "Use OAuth with a token, if passwords or SMTP AUTH are turned off for the mailbox.", source::microsoft_auth}},
    {{.whose = ours, .about = errc::authentication_rejected, .link = "#auth005"},
     {"There were too many wrong logins.", "Wait, then use an app password.", source::yahoo_passwords}},
    {{.whose = ours, .about = errc::authentication_rejected, .link = "yahoo.com|#mbr1212|#mbr1240"},
     {"Yahoo does not accept this user and password.", use_app_password, source::yahoo_passwords}},
    {{.whose = ours, .about = errc::authentication_rejected, .said = "authentication credentials invalid"},
     {"Amazon SES does not know this user and password.",
      "Use SMTP credentials, made in the SES console for this region; keys of AWS are others.", source::ses}},
    {{.whose = ours,
      .about = errc::authentication_rejected,
      .said = "bad username / password|the provided authorization grant is invalid"},
     {"SendGrid does not accept this key.", "The user is the word apikey, and the password an API key.",
      source::sendgrid}},
    {{.whose = ours,
      .about = errc::authentication_rejected,
      .said = "enter your authorization code|open smtp flag first"},
     {"QQ Mail wants an authorization code, and SMTP turned on.",
      "Turn SMTP on in the mailbox's settings, and use the code that is shown there.", source::qq}},
    {{.whose = ours, .about = errc::authentication_rejected, .said = "login fail. account is abnormal"},
     {"QQ Mail refuses the login: SMTP is off, the code is wrong, or there were too many tries.",
      "Turn SMTP on in the mailbox's settings, and use the authorization code that is shown there.", source::qq}},
    {{.whose = ours, .about = errc::authentication_rejected, .said = "user has no permission"},
     {"SMTP is turned off for this mailbox.",
      "Turn it on in the mailbox's settings, and use the authorization code that is shown there.", source::netease}},
    {{.whose = ours, .about = errc::authentication_rejected, .said = "does not have access rights to this service"},
     {"Access by mail programs is turned off for this mailbox.",
      "Turn it on in the mailbox's settings, and use an app password.", source::yandex}},
    {{.whose = ours,
      .where = phase::auth,
      .said = "too many login|too many failed|too many auth|too much fail authentication"},
     {"There were too many logins.", "Wait, and log in less often: keep connections.", source::gmail}},
    {{.whose = ours, .about = errc::authentication_deferred, .said = "maximum credits exceeded"},
     {"The account has no messages left to send.", "Look at the account's plan.", source::sendgrid}},
    {{.whose = ours, .about = errc::authentication_rejected, .said = "maximum credits exceeded"},
     {"The account has no messages left to send.", "Look at the account's plan.", source::sendgrid}},
    {{.whose = ours, .about = errc::authentication_deferred, .said = "open smtp flag first"},
     {"QQ Mail wants an authorization code, and SMTP turned on.",
      "Turn SMTP on in the mailbox's settings, and use the code that is shown there.", source::qq}},

    // Logging in: what a server says by e= in SCRAM.
    {{.whose = ours, .about = errc::authentication_rejected, .found = "reports invalid-proof"},
     {"The password is not that of this user.", check_both, source::scram_errors}},
    {{.whose = ours,
      .about = errc::authentication_rejected,
      .found = "reports unknown-user|reports invalid-username-encoding"},
     {"The server does not know this user, or has nothing for SCRAM of it.",
      "Check the user; if it is right, name another mechanism: ?auth=NAME.", source::scram_errors}},
    {{.whose = ours, .about = errc::authentication_rejected, .found = "reports other-error"},
     {"The server does not say why: the password may be wrong, or it has nothing for SCRAM of this user.",
      "Check user and password; if both are right, look at its log, or name another mechanism: ?auth=NAME.",
      source::scram_errors}},
    {{.whose = ours,
      .about = errc::authentication_rejected,
      .found = "reports invalid-encoding|reports extensions-not-supported|reports channel-binding-not-supported|"
               "reports unsupported-channel-binding-type"},
     {"The server lists this mechanism and cannot do it so.", "Name another mechanism: ?auth=NAME.",
      source::scram_errors}},
    {{.whose = ours,
      .about = errc::authentication_failed,
      .found = "reports channel-bindings-dont-match|reports server-does-support-channel-binding"},
     {"TLS may end at somebody between, such as a proxy, instead of at the server.",
      "Send no password there; ask who runs it.", source::scram_errors}},
    {{.whose = ours, .about = errc::authentication_deferred, .found = "reports no-resources"},
     {"The server lacks the resources to log anybody in.", "Try later.", source::scram_errors}},

    // Logging in: what RFC 4954 says.
    {{.whose = ours, .about = errc::authentication_rejected, .found = "auth="},
     {{}, "Name another mechanism, as the text says, or check user and password.", source::auth}},
    {{.whose = ours, .about = errc::authentication_rejected, .code = 538},
     {"This mechanism wants an encrypted connection.", "Use smtp:// or smtps://, which have TLS.", source::auth}},
    {{.whose = ours, .about = errc::authentication_rejected, .status = "5.7.13"},
     {"The account is disabled.", "Ask who runs the server.", source::registry}},
    {{.whose = ours, .where = phase::auth, .status = "x.7.12"},
     {"The server has to learn the password once by another mechanism.", "Log in once as its words say.",
      source::auth}},
    {{.whose = ours, .about = errc::authentication_rejected, .code = 535}, {not_an_account, check_both, source::auth}},
    {{.whose = ours,
      .about = errc::authentication_rejected,
      .said = "authentication fail|authentication unsuccessful|auth fail|login fail|password|credentials"},
     {not_an_account, check_both, source::auth}},
    {{.whose = ours, .about = errc::authentication_rejected, .status = "x.7.8"},
     {not_an_account, check_both, source::auth}},
    {{.whose = ours, .about = errc::authentication_rejected, .found = "refuses the token|refused the token"},
     {"The token is out of date, or for another account or server.", "Get a new one.", source::auth}},
    {{.whose = ours, .about = errc::authentication_not_offered, .found = "without a mechanism"},
     {"The server lets nobody log in this way: some want TLS first.",
      "Use smtp:// or smtps://, which have TLS; with TLS ask who runs it for a login by password.", source::auth}},
    {{.whose = ours, .about = errc::authentication_not_offered},
     {"A relay wants no login; a submission server does.",
      "Leave user and password out if this is a relay, or use the submission port, 587 or 465.", source::ports}},
    {{.whose = ours, .about = errc::no_common_mechanism, .found = "none of which postroad has"},
     {{},
      "Ask who runs the server for a login by password over TLS, for OAuth, or to relay for this machine's address.",
      source::auth}},
    {{.whose = ours,
      .about = errc::no_common_mechanism,
      .found = "usable with these credentials: oauthbearer|usable with these credentials: xoauth2"},
     {"The server does not offer what a token needs.", "Give a password instead of the token.", source::auth}},
    {{.whose = ours, .about = errc::no_common_mechanism},
     {{}, "Name one of the server's mechanisms: ?auth=NAME; OAuth needs a token instead of a password.", source::auth}},
    {{.whose = ours,
      .about = errc::authentication_failed,
      .found = "before it proved|does not know the password|signature"},
     {"The server may not be who it says it is.", "Send no password there; ask who runs it.", source::scram}},
    {{.whose = ours, .about = errc::authentication_failed, .found = "before it had asked"},
     {"The server lets in whoever says AUTH, so it may want no login.",
      "Leave user and password out, or name another mechanism: ?auth=NAME.", source::auth}},
    {{.whose = ours, .about = errc::authentication_failed},
     {"The server's part of AUTH is broken.", "Name another mechanism: ?auth=NAME.", source::auth}},
    {{.whose = ours, .about = errc::unexpected_reply, .where = phase::auth},
     {"The server's part of AUTH is broken.", "Name another mechanism: ?auth=NAME.", source::auth}},
    {{.whose = ours, .about = errc::insecure_authentication},
     {{}, "Use smtp:// or smtps://, which have TLS.", source::ports}},

    // TLS.
    {{.whose = ours, .about = errc::tls_not_offered},
     {"The scheme does not fit the port, or a firewall between hides STARTTLS.",
      "Use smtps:// for 465, smtp:// for 587; if that is right, turn the firewall's inspection of SMTP off.",
      source::ports}},
    {{.whose = theirs, .about = errc::tls_not_offered},
     {"TLS is demanded, by the domain or by you, and the server does not offer it.", they_mend, {}}},
    {{.whose = ours, .about = errc::tls_refused},
     {"The server offers STARTTLS and cannot do it.", "Look at its certificate and log.", source::starttls}},
    {{.whose = theirs, .about = errc::tls_refused},
     {"The server offers STARTTLS and cannot do it.", they_mend, source::starttls}},
    {{.about = errc::tls_injection},
     {"Somebody on the way may be tampering, or the server is broken.", "Do not go on.", source::injection}},
    {{.whose = ours, .about = errc::tls_handshake, .found = "wants a client certificate|certificate_required"},
     {{}, "Give the client's certificate: ?certificate=FILE&key=FILE.", source::tls}},
    {{.about = errc::tls_handshake, .found = "our certificate|bad_certificate|certificate_unknown|unknown_ca"},
     {"The server does not know this client's certificate.", "Ask who runs it.", source::tls}},
    {{.whose = ours, .about = errc::tls_handshake, .found = "unrecognized_name"},
     {"The server has no certificate for this name.", "Use a name that it serves.", source::tls}},
    {{.whose = theirs, .about = errc::tls_handshake, .found = "unrecognized_name"},
     {"The server has no certificate for this name.", they_mend, source::tls}},
    {{.about = errc::tls_handshake, .found = "perhaps the server wants tls 1.3"},
     {"The server speaks none of the versions that this build does.",
      "If it has older ones only, it must learn TLS 1.2; for TLS 1.3 alone postroad needs mbedTLS 3.6 or its OpenSSL "
      "engine.",
      source::keys}},
    {{.about = errc::tls_handshake, .found = "protocol_version|insufficient_security|older than is allowed"},
     {"The server speaks none of the versions and suites that are safe.", "It must learn TLS 1.2 at least.",
      source::keys}},
    {{.whose = ours, .about = errc::tls_handshake, .found = "agreed to starttls"},
     {"The server offers STARTTLS and cannot do it.", "Look at its certificate and log.", source::starttls}},
    {{.whose = ours, .about = errc::tls_handshake, .found = "in the clear, \"http/"},
     {web_server, use_submission, source::ports}},
    {{.whose = ours, .about = errc::tls_handshake, .found = "in the clear, \"* |in the clear, \"+ok"},
     {"This is a server of IMAP or POP3, for reading mail.", use_submission, source::ports}},
    {{.whose = ours, .about = errc::tls_handshake, .found = "answered in the clear"},
     {{}, "If the port is 587 or 25, use smtp://.", source::ports}},
    {{.whose = theirs, .about = errc::tls_handshake, .found = "answered in the clear"},
     {"The server offers STARTTLS and cannot do it.", they_mend, source::starttls}},
    {{.whose = ours, .about = errc::tls_handshake, .first = tls_first::yes},
     {{},
      "If the port is 587 or 25, use smtp://; else the server may lack TLS 1.2, or a cipher suite in common.",
      source::keys}},
    {{.about = errc::tls_handshake}, {{}, "The server may lack TLS 1.2, or a cipher suite in common.", source::keys}},
    {{.about = errc::tls_certificate, .found = "that expired on"},
     {{},
      "The server sends a CA's certificate that is out of date: whoever runs it must send the chain of today; is the "
      "clock here right?",
      source::chain}},
    {{.about = errc::tls_certificate, .found = "expired on"},
     {{}, "The server's certificate must be renewed; is the clock here right?", source::chain}},
    {{.about = errc::tls_certificate, .found = "not valid before"},
     {{}, "Is the clock here right? If so, the certificate was made for later.", source::chain}},
    {{.about = errc::tls_certificate, .found = "too weak"},
     {{},
      "The server needs a new certificate, with RSA of 2048 bits or more, or an elliptic curve, and SHA-256.",
      source::keys}},
    {{.about = errc::tls_certificate, .found = "was revoked"},
     {{}, "The server needs a new certificate; do not go on with this one.", source::chain}},
    {{.about = errc::tls_certificate, .found = "cannot be looked up"},
     {{}, "Fetch the newer list of its CA for crl_file; the certificate itself may be good.", source::chain}},
    {{.about = errc::tls_certificate, .found = "ed25519"},
     {{}, "The server needs a certificate with RSA or P-256 as well, or postroad its OpenSSL engine.", source::chain}},
    {{.about = errc::tls_certificate, .found = "certificates above it"},
     {{}, "The server should send its own certificate and those above it, no others.", source::chain}},
    {{.about = errc::tls_certificate, .found = "constraints are critical"},
     {{}, "The OpenSSL engine obeys them; or the server needs a certificate of another CA.", source::constraints}},
    {{.whose = ours, .about = errc::tls_certificate, .found = "does not count"},
     {{},
      "The server needs a certificate that names it in its subjectAltName; or use a name that is there.",
      source::names}},
    {{.whose = theirs, .about = errc::tls_certificate, .found = "does not count"},
     {{}, "The server needs a certificate that names it in its subjectAltName; it is tried again.", source::names}},
    {{.about = errc::tls_certificate, .found = "key pin"},
     {{}, "Look at what the server has now, and change the pin if that is right.", {}}},
    {{.about = errc::tls_certificate, .found = "may not speak for"},
     {{},
      "The server's CA is not meant for this name: the server needs a certificate of another CA.",
      source::constraints}},
    {{.whose = ours, .about = errc::tls_certificate, .found = "expected "},
     {{}, "Use the name that is in the certificate.", source::names}},
    {{.whose = theirs, .about = errc::tls_certificate, .found = "expected "},
     {{},
      "The name is that of the MX record: whoever runs the domain must mend that, or the certificate.",
      source::names}},
    {{.whose = ours, .about = errc::tls_certificate, .found = "is self-signed"},
     {{}, "If the server is your own, trust its certificate: ?ca=FILE.", source::chain}},
    {{.whose = theirs, .about = errc::tls_certificate, .found = "is self-signed"},
     {"A certificate by a CA is demanded, by the domain or by you.", they_mend, source::chain}},
    {{.whose = ours, .about = errc::tls_certificate, .found = "unknown ca"},
     {{},
      "If the CA is your own, give it: ?ca=FILE. If it is a public one, the server does not send the intermediate "
      "certificate: whoever runs it must add that.",
      source::chain}},
    {{.whose = theirs, .about = errc::tls_certificate, .found = "unknown ca"},
     {{},
      "The CA is none of the public ones, or the server does not send the intermediate certificate: whoever runs it "
      "must mend that.",
      source::chain}},
    {{.about = errc::tls_certificate, .found = "not meant for servers"},
     {{}, "The server needs a certificate for servers (serverAuth).", source::usage}},
    {{.about = errc::tls_certificate},
     {{}, "The server needs another certificate: its explanation says why.", source::chain}},

    // What providers say of messages, and in greetings.
    {{.whose = ours, .status = "x.7.139"},
     {"Logging in by SMTP is turned off for this mailbox or its organisation.",
      "Have SMTP AUTH turned on for the mailbox, and use OAuth with a token.", source::microsoft_auth}},
    {{.whose = ours, .status = "x.7.57"},
     {"The server wants a login before mail.", "Give user and password, or a token.", source::microsoft}},
    {{.whose = ours, .status = "x.7.60"},
     {"This account may not send as this sender.", use_own_sender, source::microsoft}},
    {{.whose = ours, .said = "sendasdenied"},
     {"This account may not send as this sender.", use_own_sender, source::microsoft}},
    {{.status = "5.7.133"},
     {"The recipient takes mail of their own organisation only.", "Ask its owner to let this sender in.",
      source::microsoft}},
    {{.status = "5.7.134"},
     {"The recipient takes mail of their own organisation only.", "Ask its owner to let this sender in.",
      source::microsoft}},
    {{.status = "5.1.10", .said = "recipient not found"},
     {"Nobody has this address there.", "Check it.", source::microsoft}},
    {{.whose = ours, .status = "5.1.8", .said = "access denied, bad outbound sender"},
     {"The account is blocked, since it sent what looked like spam.", "Ask the organisation's administrator.",
      source::microsoft}},
    {{.status = "5.4.1", .said = "recipient address rejected: access denied"},
     {"Nobody has this address there, or it takes no mail from outside.", "Check it.", source::microsoft}},
    {{.whose = ours, .status = "5.7.64"},
     {"The server does not know this address as one that may relay.", "Have a connector made for it, or log in.",
      source::microsoft}},
    {{.status = "5.7.509"},
     {"The sender's domain says by DMARC that such mail is refused.", mend_records, source::microsoft}},
    {{.status = "5.7.515"}, {"The sender's domain lacks SPF, DKIM or DMARC.", mend_records, source::microsoft}},
    {{.status = "5.7.705"}, {"The organisation has sent more than it may.", slow_down, source::microsoft}},
    {{.status = "5.7.708"},
     {"The server takes no mail from this address.", "Ask the organisation's administrator.", source::microsoft}},
    {{.status = "5.7.750"},
     {"The sender's domain is not registered there.", "Register it, or send from one that is.", source::microsoft}},
    {{.whose = ours, .said = "submission quota exceeded|submissionquotaexceeded|sender thread limit exceeded"},
     {"The account has sent more than it may.", slow_down, source::microsoft}},
    {{.said = "access denied, banned sending ip"},
     {"The server blocks this address.", "Have it taken off the list, as the server's words say.", source::microsoft}},
    {{.whose = ours, .status = "5.4.5", .said = "daily user sending|daily sending"},
     {"The account has sent its mail for today.", "Send the rest tomorrow.", source::gmail}},
    {{.whose = ours, .said = "daily user sending|daily sending quota"},
     {"The account has sent its mail for today.", "Send the rest tomorrow.", source::gmail}},
    {{.said = "unusual rate of unsolicited mail"},
     {"The server takes this address for one that sends spam.", "Send less, and only what is asked for.",
      source::gmail}},
    {{.said = "receiving mail too quickly|receiving mail at a rate"},
     {"The recipient gets too much mail at once.", slow_down, source::gmail}},
    {{.said = "content presents a potential security issue"},
     {"The server refuses what is attached.", "Send a link, or another kind of file.", source::gmail}},
    {{.whose = ours, .said = "mail relay denied|invalid credentials for relay", .link = "google.com|gsmtp"},
     {"Google relays for addresses and accounts that its administrator has named.", "Have this one named, or log in.",
      source::gmail}},
    {{.status = "x.7.27", .said = "sender address has null mx"},
     {"The sender's domain says that it takes no mail.", "Send from one that does.", source::registry}},
    {{.status = "x.1.10", .for_good = true},
     {"The recipient's domain says that it takes no mail.", "Check the address.", source::registry}},
    {{.link = "[tss04]|[ts01]|[ts02]|[ts03]|[tss05]"},
     {"Yahoo defers mail from this address: there is too much at once, or people complain.", slow_down, source::yahoo}},
    {{.link = "[bl21]|[bl23]"}, {"This address is on a block list of Spamhaus.", "Have it taken off.", source::yahoo}},
    {{.link = "[tss09]|[tss11]"},
     {"Yahoo takes no mail from this address, since people complain.", "Send only what is asked for, then ask Yahoo.",
      source::yahoo}},
    {{.said = "user doesn't have a", .link = "yahoo.com"},
     {"Nobody has this address there.", "Check it.", source::yahoo}},
    {{.link = "[cs01]|[hm07]|[hm08]"},
     {"iCloud Mail refuses the message by its filter.", "Look at the content, DKIM and SPF; then ask Apple.",
      source::icloud}},
    {{.link = "[hme1]"},
     {"iCloud Mail found neither SPF nor DKIM of the sender's domain.", mend_records, source::icloud}},
    {{.said = "deferred due to excessive volume"},
     {"The recipient gets too much mail at once.", slow_down, source::icloud}},
    {{.said = "email address is not verified"},
     {"Amazon SES does not know sender or recipient as verified in this region.",
      "Verify the address or its domain there; in the sandbox recipients too.", source::ses}},
    {{.link = "ses:sendrawemail|ses:sendemail"},
     {"The user of these SMTP credentials may not send.", "Give it ses:SendRawEmail by a policy of IAM.", source::ses}},
    {{.whose = ours, .said = "throttling failure: daily"},
     {"The account has sent its mail for today.", "Send the rest tomorrow.", source::ses}},
    {{.whose = ours, .said = "throttling failure"},
     {"The account sends faster than it may.", "Send fewer a second.", source::ses}},
    {{.whose = ours, .said = "maximum credits exceeded"},
     {"The account has no messages left to send.", "Look at the account's plan.", source::sendgrid}},
    {{.whose = ours,
      .said = "from address does not match a verified sender identity|you are not authorized to send from that email"},
     {"The sender is not verified in the account.", "Verify it there, or send from one that is.", source::sendgrid}},
    {{.said = "sandbox subdomains are for test purposes|free accounts are for test purposes"},
     {"This domain sends to authorised recipients only.", "Authorise the recipient, or send from a domain of your own.",
      source::mailgun}},
    {{.whose = ours, .said = "blocked for spam|account is blocked for spam", .link = "ovh"},
     {"The account is blocked, since it sent what looked like spam.", "Unblock it in the control panel.", source::ovh}},
    {{.whose = ours,
      .said = "mail from address must be same as authorization user|mail from must equal authorized user"},
     {"The sender is not the account that logged in.", use_own_sender, source::netease}},
    {{.said = "ip frequency limited|domain frequency limited|sender frequency limited|connection frequency limited"},
     {"The server gets too much from here at once.", slow_down, source::qq_refusals}},
    {{.said = "spf check failed|dmarc check failed", .link = "qq.com"},
     {"QQ Mail found that the sender's domain does not stand for this message.", mend_records, source::qq_refusals}},
    {{.said = "suspected spam|connection denied", .link = "qq.com"},
     {"QQ Mail takes this address, or the sender's domain, for one that sends spam.",
      "Send less, and only what is asked for.", source::qq_refusals}},
    {{.said = "mail is rejected by recipients", .link = "qq.com"},
     {"The recipient has blocked this sender.", "Write to them in another way.", source::qq_refusals}},
    {{.said = "mailbox not found", .link = "qq.com"},
     {"Nobody has this address there.", "Check it.", source::qq_refusals}},
    {{.said = "message too large", .link = "qq.com"},
     {"The message is too large for the server.", "Send less, or a link.", source::qq_refusals}},
    {{.said = "mail content denied"}, {"The server takes the content for spam.", "Change it.", source::qq_refusals}},
    {{.said = "dt:spm"}, {"The server takes the content for spam.", "Change it.", source::netease}},
    {{.said = "dt:rbl"}, {"This address is on a block list.", "Look which, and have it taken off.", source::netease}},
    {{.said = "hl:rep"},
     {"Many of the addresses that mail from here goes to do not exist.", "Check the list, then wait.",
      source::netease}},
    {{.said = "hl:icc"},
     {"There are too many connections from here.", "Use fewer at a time: ?connections=N.", source::netease}},
    {{.said = "hl:mep"},
     {"Mail from here names domains of senders that look forged.", "Send from a domain that is real, and your own.",
      source::netease}},
    {{.whose = ours, .said = "mi:stc"},
     {"The account has sent its mail for today.", "Send the rest tomorrow.", source::netease}},
    {{.said = "hl:ifc|mi:dmc|mi:sfq|rp:drc"},
     {"The server gets too much from here at once.", slow_down, source::netease}},
    {{.said = "message rejected under suspicion of spam"},
     {"The server takes the message for spam.", "Look at the content, DKIM and SPF.", source::yandex}},

    // What the server cannot take.
    {{.about = errc::internationalised_unsupported},
     {{}, "Write to an address in ASCII, or send through a server that has SMTPUTF8.", source::utf8}},

    // What any server says, by its enhanced code.
    {{.whose = ours, .code = 530, .said = "starttls"},
     {"The server wants TLS first.", "Use smtp:// or smtps://, which have it.", source::starttls}},
    {{.whose = theirs, .code = 530, .said = "starttls"},
     {"The server wants TLS, which it does not offer or does not get on with.", they_mend, source::starttls}},
    {{.whose = ours, .about = refusal, .code = 530},
     {"The server wants a login first.", "Give user and password, or a token.", source::auth}},
    {{.whose = theirs, .about = refusal, .code = 530},
     {"The server takes mail from its own users only.", they_mend, source::auth}},
    {{.about = refusal, .status = "x.7.25"},
     {"The server wants this address to have a name in DNS (PTR) that leads back to it.",
      "Have that made, or send through a submission server.", source::checks}},
    {{.about = refusal, .status = "x.7.23"},
     {"SPF of the sender's domain does not allow this server.", "Mend the record, or use the domain's own server.",
      source::checks}},
    {{.about = refusal, .status = "x.7.24"},
     {"SPF of the sender's domain cannot be read.", "Mend the record.", source::checks}},
    {{.about = refusal, .status = "x.7.20"},
     {"The message has no DKIM signature that is right.", "Sign it, by the sender's domain.", source::checks}},
    {{.about = refusal, .status = "x.7.21"},
     {"The message has no DKIM signature that the server accepts.", "Sign it, by the sender's domain.",
      source::checks}},
    {{.about = refusal, .status = "x.7.22"},
     {"The DKIM signature is not that of the author's domain.", "Sign by the domain in From.", source::checks}},
    {{.about = refusal, .status = "x.7.26"},
     {"Neither SPF nor DKIM of the sender's domain is right.", mend_records, source::checks}},
    {{.about = refusal, .status = "x.7.30", .said = "dkim"},
     {"The message has no DKIM signature that is right.", "Sign it, by the sender's domain.", source::gmail}},
    {{.about = refusal, .status = "x.7.27", .said = "spf"},
     {"SPF of the sender's domain does not allow this server.", "Mend the record, or use the domain's own server.",
      source::gmail}},
    {{.said = "blocked using|block list|blocklist|blacklist|black list|blacklisted|listed at"},
     {"This address, or a domain in the message, is on a block list.", "Look which, and have it taken off.",
      source::smtp}},
    {{.link = "spamhaus.org|spamcop.net|barracudacentral.org"},
     {"This address is on a block list.", "Look which, and have it taken off.", source::smtp}},
    {{.about = refusal, .said = "dmarc|dkim|spf", .for_good = true},
     {"The server found that the sender's domain does not stand for this message.", mend_records, source::gmail}},
    // Also where the session ends with it.
    {{.whose = ours,
      .said = "authentication required|authentication is required|auth required|must authenticate|"
              "client was not authenticated|not authenticated to send"},
     {"The server wants a login first.", "Give user and password, or a token.", source::auth}},
    {{.whose = theirs,
      .said = "authentication required|authentication is required|auth required|must authenticate|client was not "
              "authenticated|not authenticated to send"},
     {"The server takes mail from its own users only.", they_mend, source::auth}},
    {{.whose = ours, .code = 503},
     {"The server takes the command for one out of order.", "Look at its log.", source::smtp}},
    {{.whose = theirs, .code = 503}, {"The server takes the command for one out of order.", they_mend, source::smtp}},
    {{.whose = ours, .about = refusal, .said = "helo|ehlo"},
     {"The server does not take the name that this machine says in EHLO.",
      "Give its full name: ?helo=NAME, or client_name.", source::hello}},
    {{.whose = theirs, .about = refusal, .said = "helo|ehlo"},
     {"The server does not take the name that this machine says in EHLO.", use_own_name, source::hello}},
    {{.about = refusal, .status = "x.7.28"},
     {"The server gets too much from here at once.", slow_down, source::registry}},
    {{.whose = ours, .about = refusal, .status = "x.7.8"},
     {"The server wants a login that it accepts.", "Check user and password.", source::auth}},
    {{.about = refusal, .where = phase::mail, .status = "x.1.0", .for_good = true},
     {"The server does not take the sender's address.", {}, source::statuses}},
    {{.about = refusal, .status = "x.1.7"},
     {"The sender's address is not written as the server wants it.", "Check how it is written.", source::statuses}},
    {{.about = refusal, .status = "x.1.8"},
     {"The domain of the sender does not exist, or cannot be looked up.", "Check it.", source::statuses}},
    {{.about = refusal, .status = "x.2.1"}, {"The mailbox exists and takes nothing at present.", {}, source::statuses}},
    {{.about = refusal, .status = "x.2.2"},
     {"The mailbox is full.", "Only its owner can make room.", source::statuses}},
    {{.about = refusal, .status = "x.2.3"},
     {"The message is too large for the server.", "Send less, or a link.", source::statuses}},
    {{.about = refusal, .status = "x.3.4"},
     {"The message is too large for the server.", "Send less, or a link.", source::statuses}},
    {{.about = refusal, .status = "x.3.1"},
     {"The server's disk is full.", "Try later, or ask who runs it.", source::statuses}},
    {{.about = refusal, .status = "x.6.7"},
     {"The server does not take this address, which is not ASCII.",
      "Write to an address in ASCII, or send through a server that has SMTPUTF8.", source::utf8}},
    {{.about = refusal, .status = "x.5.3"},
     {"The message has more recipients than the server takes.", "Send it in parts.", source::statuses}},

    // By words, where the code says little.
    {{.said = "too many connections|too many concurrent"},
     {"There are too many connections from here.", "Use fewer at a time: ?connections=N.", source::postfix_count}},
    {{.said = "cannot find your hostname|cannot find your reverse hostname"},
     {"The server wants this address to have a name in DNS (PTR) that leads back to it.",
      "Have that made, or send through a submission server.", source::postfix_client}},
    {{.about = refusal, .status = "x.7.1", .said = "client host"},
     {"The server refuses this address.", "Look whether it is on a block list, and ask who runs the server.",
      source::statuses}},
    {{.whose = ours, .about = refusal, .said = "not owned by"},
     {"This account may not send as this sender.", use_own_sender, source::postfix}},
    {{.whose = ours, .about = refusal, .said = "sender address rejected"},
     {"The server does not take the sender's address.", use_own_sender, source::postfix}},
    {{.whose = theirs, .about = refusal, .said = "sender address rejected"},
     {"The server does not take the sender's address.", "Its words say why.", source::postfix}},
    {{.said = "greylist|graylist"},
     {"A server that greylists refuses the first time.", "Try again in some minutes.", source::greylist}},
    {{.about = refusal, .status = "x.1.1", .for_good = true},
     {"Nobody has this address there.", "Check it.", source::statuses}},
    {{.about = refusal, .status = "x.1.2", .for_good = true},
     {"The domain of this address does not exist, or takes no mail.", "Check it.", source::statuses}},
    {{.about = refusal, .status = "x.1.3", .for_good = true},
     {"The server cannot read the address.", "Check how it is written.", source::statuses}},
    {{.about = refusal, .status = "x.1.6", .for_good = true},
     {"The mailbox has moved.", "Ask its owner for the new address.", source::statuses}},
    {{.whose = ours, .about = refusal, .said = "relay", .for_good = true},
     {"The server does not relay for you.", "Log in, or use the server of the recipient's domain.", source::smtp}},
    {{.whose = theirs, .about = refusal, .said = "relay", .for_good = true},
     {"The server takes no mail for this domain.", "Whoever runs the domain must mend its MX records, or the server.",
      source::smtp}},

    {{.whose = ours, .about = refusal, .said = "relay access denied|relaying denied"},
     {"The server does not relay for you.", "Log in, or use the server of the recipient's domain.", source::smtp}},
    {{.about = refusal, .said = "too many recipients"},
     {"The message has more recipients than the server takes.", "Send it in parts.", source::smtp}},

    // By code alone.
    {{.about = refusal, .where = phase::mail, .code = 552},
     {"The message is too large for the server.", "Send less, or a link.", source::size}},
    {{.whose = ours, .about = refusal, .where = phase::mail, .code = 553},
     {"The server does not allow the sender's address.", use_own_sender, source::smtp}},
    {{.whose = theirs, .about = refusal, .where = phase::mail, .code = 553},
     {"The server does not allow the sender's address.", "Its words say why.", source::smtp}},
    {{.about = refusal, .where = phase::rcpt, .code = 553},
     {"The server does not allow the recipient's address.", "Check how it is written.", source::smtp}},
    {{.about = refusal, .code = 551},
     {"The recipient's mailbox is at another server.", "The server's words may say where.", source::smtp}},
    {{.about = refusal, .status = "x.7.x", .for_good = true},
     {"A rule of the server refuses it.", "Its words say which; ask who runs it.", source::statuses}},
    {{.about = refusal, .where = phase::content, .code = 552},
     {"The message is too large, or the mailbox full.", "Send less, or a link.", source::smtp}},
    {{.whose = ours, .about = errc::authentication_rejected, .for_good = true},
     {"By its code the server refuses AUTH itself, whatever user and password are.", "Its words say why.",
      source::auth}},
    {{.whose = ours, .about = errc::authentication_deferred},
     {"The server cannot log anybody in at the moment.", "Try later.", source::auth}},
    {{.about = errc::greeting_refused},
     {"The server takes no mail from here now: often too many connections, or this address on a block list.",
      "Its words say why.", source::smtp}},
    {{.about = errc::service_closing},
     {"The server ends the connection: often there are too many, or it is being restarted.", "Try later.",
      source::smtp}},
    {{.whose = ours, .about = errc::hello_refused, .found = "to lhlo"},
     {"The server may not speak LMTP.", "If it is a server of SMTP, use smtp:// or smtps://.", source::smtp}},
    {{.whose = ours, .about = errc::hello_refused, .said = "lhlo|use lhlo"},
     {"This is a server of LMTP.", "Use lmtp://.", source::smtp}},
    {{.whose = ours, .about = errc::hello_refused, .said = "please login with user|please log in with user"},
     {"This is an FTP server.", use_submission, source::ports}},
    {{.whose = ours, .about = errc::hello_refused, .code = 500}, {no_ehlo, right_port_or_firewall, source::hello}},
    {{.whose = ours, .about = errc::hello_refused, .code = 502}, {no_ehlo, right_port_or_firewall, source::hello}},
    {{.whose = ours, .about = errc::hello_refused},
     {"The server does not take the name that this machine says in EHLO, or a firewall between changes SMTP.",
      "Give the full name of this machine: ?helo=NAME, or client_name; or turn the inspection off.", source::hello}},
    {{.whose = theirs, .about = errc::hello_refused},
     {"The server does not take the name that this machine says in EHLO, or a firewall between changes SMTP.",
      use_own_name, source::hello}},
    {{.about = refusal, .code = 450}, {"Not now, says the server.", "The same may succeed later.", source::smtp}},
    {{.about = refusal, .code = 451}, {"Not now, says the server.", "The same may succeed later.", source::smtp}},
    {{.about = refusal, .code = 452}, {"Not now, says the server.", "The same may succeed later.", source::smtp}},
    {{.about = refusal, .code = 421}, {"Not now, says the server.", "The same may succeed later.", source::smtp}},
};

}  // namespace postroad::smtp::detail

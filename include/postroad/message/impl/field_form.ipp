#pragma once

#include <postroad/message/field_form.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>

namespace postroad::detail {

inline constexpr std::string_view fields_of_mailboxes =
    "Abuse-Reports-To Apparently-To Approved Author Bcc Cc Delivered-To Disposition-Notification-To Envelope-To "
    "Errors-To From Mail-Followup-To Mail-Reply-To MMHS-Authorizing-Users Original-From Original-Sender "
    "Originator-Return-Address Read-Receipt-To Reply-To Return-Receipt-To Sender To X-Confirm-Reading-To X-Original-To";

inline constexpr std::string_view fields_with_parameters =
    "Archive Content-Disposition Content-Type Injection-Info SIO-Label SIO-Label-History";

inline constexpr std::string_view fields_in_ascii =
    "Accept-Language Also-Control Alternate-Recipient Archived-At Article-Names Article-Updates "
    "Authentication-Results Auto-Submitted Autocrypt Autoforwarded Autosubmitted BIMI-Indicator BIMI-Location "
    "BIMI-Selector Cancel-Key Cancel-Lock CFBL-Address CFBL-Feedback-ID Content-Alternative Content-Base "
    "Content-Duration Content-Features Content-ID Content-Identifier Content-Language Content-Location Content-MD5 "
    "Content-Return Content-Transfer-Encoding Content-Translation-Type Control Conversion Conversion-With-Loss Date "
    "Date-Received Deferred-Delivery Delivery-Date Disclose-Recipients Disposition-Notification-Options Distribution "
    "DKIM-Signature DL-Expansion-History EDIINT-Features Eesst-Version Encoding Encrypted Expires Expiry-Date "
    "Feedback-ID Followup-To Form-Sub Generate-Delivery-Report HP-Outer Importance In-Reply-To Incomplete-Copy "
    "Injection-Date Jabber-ID Language Latest-Delivery-Time Lines Message-Context Message-ID Message-Type "
    "MIME-Version MMHS-Acp127-Message-Identifier MMHS-Codress-Message-Indicator MMHS-Copy-Precedence "
    "MMHS-Exempted-Address MMHS-Extended-Authorisation-Info MMHS-Message-Type MMHS-Other-Recipients-Indicator-CC "
    "MMHS-Other-Recipients-Indicator-To MMHS-Primary-Precedence MMHS-Subject-Indicator-Codes MT-Priority Newsgroups "
    "NNTP-Posting-Date NNTP-Posting-Host Obsoletes Original-Encoded-Information-Types Original-Message-ID "
    "Original-Recipient Path PICS-Label Posting-Version Precedence Prevent-NonDelivery-Report Priority Privicon "
    "Received Received-SPF References Relay-Version Reply-By Require-Recipient-Valid-Since Return-Path See-Also "
    "Sensitivity Solicitation Supersedes TLS-Report-Domain TLS-Report-Submitter TLS-Required VBR-Info X-Archived-At "
    "X-Auto-Response-Suppress X-PGP-Sig X-Priority X-Ricevuta X-Riferimento-Message-ID X-TipoRicevuta X-Trasporto "
    "X-VerificaSicurezza Xref";

// Names with spaces between them.
inline bool lists_field(std::string_view names, std::string_view name) noexcept {
    while (!names.empty()) {
        const auto end = std::min(names.find(' '), names.size());
        if (equal_ignoring_case(names.substr(0, end), name)) return true;
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    return false;
}

POSTROAD_DECL field_form form_of(std::string_view name) noexcept {
    const auto begins = [&](std::string_view start) {
        return equal_ignoring_case(name.substr(0, start.size()), start);
    };
    if (begins("Resent-")) name.remove_prefix(7);
    if (lists_field(fields_of_mailboxes, name)) return field_form::mailboxes;
    if (lists_field(fields_with_parameters, name)) return field_form::parameters;
    if (equal_ignoring_case(name, "Keywords")) return field_form::phrases;
    if (equal_ignoring_case(name, "List-Id")) return field_form::list_id;
    const bool is_ascii = lists_field(fields_in_ascii, name) || begins("List-") || begins("ARC-") || begins("X400-") ||
                          begins("Discarded-X400-");
    return is_ascii ? field_form::ascii : field_form::text;
}

}  // namespace postroad::detail

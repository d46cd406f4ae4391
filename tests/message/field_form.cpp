// The registry of message headers at IANA, name by name.
#include <postroad/message/field_form.hpp>
#include <postroad/message/message.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <iterator>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "failure.hpp"

using postroad::detail::field_form;
using postroad::detail::form_of;

namespace {

// Mail, netnews and MIME; the RFC that defines the syntax stands before each row.
const std::pair<field_form, const char*> registry[] = {
    // RFC 5322, 5536
    {field_form::mailboxes,
     "Approved Bcc Cc From Original-Sender Reply-To Resent-Bcc Resent-Cc Resent-From Resent-Reply-To Resent-Sender "
     "Resent-To Sender To"},
    {field_form::text, "Comments Organization Subject Summary User-Agent"},
    {field_form::phrases, "Keywords"},
    {field_form::ascii,
     "Control Date Distribution Expires Followup-To In-Reply-To Injection-Date Lines Message-ID Newsgroups Path "
     "Received References Resent-Date Resent-Message-ID Return-Path Supersedes Xref"},
    {field_form::parameters, "Archive Injection-Info"},
    // RFC 4021 and what it cites
    {field_form::ascii,
     "Accept-Language Alternate-Recipient Autoforwarded Autosubmitted Content-Identifier Content-Return Conversion "
     "Conversion-With-Loss DL-Expansion-History Deferred-Delivery Delivery-Date Discarded-X400-IPMS-Extensions "
     "Discarded-X400-MTS-Extensions Disclose-Recipients Disposition-Notification-Options Encoding Encrypted "
     "Expiry-Date "
     "Generate-Delivery-Report Importance Incomplete-Copy Language Latest-Delivery-Time List-Archive List-Help "
     "List-Owner List-Post List-Subscribe List-Unsubscribe List-Unsubscribe-Post Message-Context Message-Type "
     "Obsoletes Original-Encoded-Information-Types Original-Message-ID PICS-Label Prevent-NonDelivery-Report Priority "
     "Reply-By Sensitivity X400-Content-Identifier X400-Content-Return X400-Content-Type X400-MTS-Identifier "
     "X400-Originator X400-Received X400-Recipients X400-Trace"},
    {field_form::mailboxes, "Apparently-To Disposition-Notification-To Errors-To Originator-Return-Address"},
    {field_form::list_id, "List-ID"},
    // RFC 2045, 2183, 2424, 2557, 2912, 3282, 3297
    {field_form::ascii,
     "Content-Alternative Content-Base Content-Duration Content-Features Content-ID Content-Language Content-Location "
     "Content-MD5 Content-Transfer-Encoding Content-Translation-Type MIME-Version"},
    {field_form::parameters, "Content-Disposition Content-Type"},
    {field_form::text, "Content-Description"},
    // RFC 3798, 3834, 3865, 5064, 5518, 6017, 6376, 6758, 7208, 7259, 7293, 7681, 8460, 8601, 8617, 8689, 9477, 9788
    {field_form::ascii,
     "ARC-Authentication-Results ARC-Message-Signature ARC-Seal Archived-At Authentication-Results Auto-Submitted "
     "CFBL-Address CFBL-Feedback-ID Cancel-Key Cancel-Lock DKIM-Signature EDIINT-Features Eesst-Version Form-Sub "
     "HP-Outer Jabber-ID MT-Priority Original-Recipient Privicon Received-SPF Require-Recipient-Valid-Since "
     "Solicitation TLS-Report-Domain TLS-Report-Submitter TLS-Required VBR-Info X-Archived-At"},
    // RFC 5703, 7912, 9057, 9228
    {field_form::mailboxes, "Author Delivered-To MMHS-Authorizing-Users Original-From"},
    {field_form::text, "Original-Subject"},
    // RFC 6477
    {field_form::ascii,
     "MMHS-Acp127-Message-Identifier MMHS-Codress-Message-Indicator MMHS-Copy-Precedence MMHS-Exempted-Address "
     "MMHS-Extended-Authorisation-Info MMHS-Message-Type MMHS-Other-Recipients-Indicator-CC "
     "MMHS-Other-Recipients-Indicator-To MMHS-Primary-Precedence MMHS-Subject-Indicator-Codes"},
    {field_form::text,
     "MMHS-Handling-Instructions MMHS-Message-Instructions MMHS-Originator-PLAD MMHS-Originator-Reference"},
    // RFC 6109; of X-Mittente each value decides
    {field_form::ascii, "X-Ricevuta X-Riferimento-Message-ID X-TipoRicevuta X-Trasporto X-VerificaSicurezza"},
    {field_form::text, "X-Mittente"},
    // RFC 6857: what such a field holds is in encoded words as a whole
    {field_form::text,
     "Downgraded-Bcc Downgraded-Cc Downgraded-Disposition-Notification-To Downgraded-Final-Recipient Downgraded-From "
     "Downgraded-In-Reply-To Downgraded-Mail-From Downgraded-Message-Id Downgraded-Original-Recipient "
     "Downgraded-Rcpt-To Downgraded-References Downgraded-Reply-To Downgraded-Resent-Bcc Downgraded-Resent-Cc "
     "Downgraded-Resent-From Downgraded-Resent-Reply-To Downgraded-Resent-Sender Downgraded-Resent-To "
     "Downgraded-Return-Path Downgraded-Sender Downgraded-To"},
    // RFC 7444
    {field_form::parameters, "SIO-Label SIO-Label-History"},
    // RFC 850, 1036 and what newer ones took back
    {field_form::ascii,
     "Also-Control Article-Names Article-Updates Date-Received NNTP-Posting-Date NNTP-Posting-Host Posting-Version "
     "Relay-Version See-Also X-PGP-Sig"},
};

std::vector<std::string> words(const char* names) {
    std::istringstream in(names);
    return {std::istream_iterator<std::string>(in), {}};
}

}  // namespace

TEST_CASE("each field of the registry has the form that its RFC gives it") {
    std::size_t seen = 0;
    for (const auto& [form, names] : registry)
        for (const auto& name : words(names)) {
            CAPTURE(name);
            CHECK(form_of(name) == form);
            ++seen;
        }
    CHECK(seen == 192);
}

TEST_CASE("what is not ASCII goes into fields by their form, or is refused and the octet named") {
    const std::chrono::system_clock::time_point now{};
    for (const auto& [form, names] : registry)
        for (const auto& name : words(names)) {
            CAPTURE(name);
            auto m = postroad::message{}.from("a@x").to("b@y");
            const auto own = failure_of([&] { m.header(name, "plain"); });
            if (own.code) {  // it has a setter, or is none of a message's own
                CHECK(own.code == postroad::errc::invalid_header);
                CHECK(own.text.starts_with(name + ": "));
                continue;
            }
            const bool mailboxes = form == field_form::mailboxes;
            const std::string value = mailboxes                        ? "Jörg <a@x.example>"
                                      : form == field_form::list_id    ? "Jörg <a.example>"
                                      : form == field_form::parameters ? "a; b=\"Jörg\""
                                                                       : "a Jörg";
            const auto refused = failure_of([&] { m.header(name, value); });
            if (form == field_form::ascii) {
                CHECK(refused.code == postroad::errc::invalid_header);
                CHECK(refused.text.find("octet 3") != std::string::npos);
                continue;
            }
            const auto c = m.freeze(now).content;
            CHECK_FALSE(c.eight_bit());
            if (mailboxes) CHECK(c.text().find(" <a@x.example>\r\n") != std::string_view::npos);
            if (form == field_form::parameters) CHECK(c.text().find("b*=utf-8''J%C3%B6rg") != std::string_view::npos);
        }
}

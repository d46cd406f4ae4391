"""Well-known services by name."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Mapping, Tuple

from ._literals import ServiceSecurity


@dataclass(frozen=True)
class Service:
    """How a well-known service takes mail, as its own pages say. Mailer takes the name in place of a URL."""

    name: str
    host: str
    port: int
    security: ServiceSecurity
    """"starttls" or "implicit"."""
    hint: str
    """What the user name and the password are."""
    source: str
    """Where the service says so."""

    @property
    def url(self) -> str:
        """For Mailer."""
        return f"{'smtps' if self.security == 'implicit' else 'smtp'}://{self.host}:{self.port}"


_APP = "the address of the account, and an app password, which needs two-step verification"
_SES = "SMTP credentials of Amazon SES, which are no access key"
_AWS = "https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html"

_ROWS: Tuple[Tuple[str, str, int, ServiceSecurity, str, str], ...] = (
    (
        *("brevo", "smtp-relay.brevo.com", 587, "starttls"),
        "the login and the SMTP key that Brevo shows under SMTP & API",
        "https://developers.brevo.com/docs/smtp-integration",
    ),
    (
        *("fastmail", "smtp.fastmail.com", 465, "implicit"),
        "the address of the account, and an app password",
        "https://www.fastmail.help/hc/en-us/articles/1500000278342",
    ),
    ("gmail", "smtp.gmail.com", 465, "implicit", _APP + "; or a token", "https://support.google.com/a/answer/176600"),
    (
        *("gmail-relay", "smtp-relay.gmail.com", 587, "starttls"),
        "a Workspace account and its app password, or none where the address of the sender is allowed",
        "https://support.google.com/a/answer/2956491",
    ),
    (
        *("gmx", "mail.gmx.net", 465, "implicit"),
        "the address of the account; POP3 and IMAP must be enabled in it",
        "https://hilfe.gmx.net/pop-imap/imap/imap-serverdaten.html",
    ),
    ("icloud", "smtp.mail.me.com", 587, "starttls", _APP, "https://support.apple.com/en-us/102525"),
    (
        *("mailgun", "smtp.mailgun.org", 465, "implicit"),
        "SMTP credentials of a domain; in the EU the host is smtp.eu.mailgun.org",
        "https://documentation.mailgun.com/docs/mailgun/user-manual/smtp-protocol/smtp-relay",
    ),
    (
        *("mailgun-eu", "smtp.eu.mailgun.org", 465, "implicit"),
        "SMTP credentials of a domain in the EU",
        "https://documentation.mailgun.com/docs/mailgun/user-manual/smtp-protocol/smtp-relay",
    ),
    (
        *("mailjet", "in-v3.mailjet.com", 465, "implicit"),
        "the API key is the user, the secret key the password",
        "https://dev.mailjet.com/smtp-relay/configuration/",
    ),
    (
        *("office365", "smtp.office365.com", 587, "starttls"),
        "a token with the scope SMTP.Send; SMTP AUTH must be allowed for the mailbox",
        "https://learn.microsoft.com/en-us/exchange/clients-and-mobile-in-exchange-online/"
        "authenticated-client-smtp-submission",
    ),
    (
        *("outlook", "smtp-mail.outlook.com", 587, "starttls"),
        "a token: passwords are not taken any more",
        "https://support.microsoft.com/en-us/office/d088b986-291d-42b8-9564-9c414e2aa040",
    ),
    (
        *("postmark", "smtp.postmarkapp.com", 587, "starttls"),
        "the server API token is both user and password",
        "https://postmarkapp.com/developer/user-guide/send-email-with-smtp",
    ),
    (
        *("resend", "smtp.resend.com", 465, "implicit"),
        'the user is "resend", the password an API key',
        "https://resend.com/docs/send-with-smtp",
    ),
    (
        *("sendgrid", "smtp.sendgrid.net", 465, "implicit"),
        'the user is "apikey", the password an API key',
        "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    ),
    ("ses-eu-central-1", "email-smtp.eu-central-1.amazonaws.com", 465, "implicit", _SES, _AWS),
    ("ses-eu-west-1", "email-smtp.eu-west-1.amazonaws.com", 465, "implicit", _SES, _AWS),
    ("ses-us-east-1", "email-smtp.us-east-1.amazonaws.com", 465, "implicit", _SES, _AWS),
    ("ses-us-west-2", "email-smtp.us-west-2.amazonaws.com", 465, "implicit", _SES, _AWS),
    ("yahoo", "smtp.mail.yahoo.com", 465, "implicit", _APP, "https://help.yahoo.com/kb/SLN4724.html"),
    ("zoho", "smtp.zoho.com", 465, "implicit", _APP, "https://www.zoho.com/mail/help/zoho-smtp.html"),
)

services: Mapping[str, Service] = MappingProxyType({row[0]: Service(*row) for row in _ROWS})
"""The services by name."""


def url_of(url: str) -> str:
    """The URL of a service that is given by its name; everything else as it is."""
    return services[url].url if isinstance(url, str) and url in services else url

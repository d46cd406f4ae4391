#pragma once
// The non-template parts of the library, for one source file of a program that defines POSTROAD_SEPARATE_COMPILATION
// everywhere. `tests/layering.py --fix` keeps the list.

#ifndef POSTROAD_SEPARATE_COMPILATION
#error "postroad/src.hpp needs POSTROAD_SEPARATE_COMPILATION, defined for every source file of the program"
#endif

#include <postroad/core/impl/base64.ipp>
#include <postroad/core/impl/error.ipp>
#include <postroad/core/impl/observer.ipp>
#include <postroad/core/impl/outcome.ipp>
#include <postroad/core/impl/transcript.ipp>
#include <postroad/impl/diagnose.ipp>
#include <postroad/impl/mailer.ipp>
#include <postroad/message/impl/address.ipp>
#include <postroad/message/impl/checks.ipp>
#include <postroad/message/impl/composition.ipp>
#include <postroad/message/impl/content.ipp>
#include <postroad/message/impl/conversion.ipp>
#include <postroad/message/impl/delivery_report.ipp>
#include <postroad/message/impl/dkim.ipp>
#include <postroad/message/impl/eml.ipp>
#include <postroad/message/impl/encoding.ipp>
#include <postroad/message/impl/fields.ipp>
#include <postroad/message/impl/header.ipp>
#include <postroad/message/impl/message.ipp>
#include <postroad/message/impl/message_parts.ipp>
#include <postroad/message/impl/part.ipp>
#include <postroad/message/impl/source.ipp>
#include <postroad/net/impl/dialing.ipp>
#include <postroad/net/impl/eyeballs.ipp>
#include <postroad/net/impl/tunnel.ipp>
#include <postroad/queueing/impl/amqp_message.ipp>
#include <postroad/queueing/impl/inspection.ipp>
#include <postroad/queueing/impl/stored_job.ipp>
#include <postroad/scheduling/impl/fair_lines.ipp>
#include <postroad/scheduling/impl/retry_rules.ipp>
#include <postroad/smtp/impl/advice.ipp>
#include <postroad/smtp/impl/capabilities.ipp>
#include <postroad/smtp/impl/credentials.ipp>
#include <postroad/smtp/impl/credentials_source.ipp>
#include <postroad/smtp/impl/handshake.ipp>
#include <postroad/smtp/impl/observing.ipp>
#include <postroad/smtp/impl/parameters.ipp>
#include <postroad/smtp/impl/reply.ipp>
#include <postroad/smtp/impl/sasl.ipp>
#include <postroad/smtp/impl/saslprep.ipp>
#include <postroad/smtp/impl/scram.ipp>
#include <postroad/smtp/impl/session.ipp>
#include <postroad/testing/impl/certificates.ipp>
#include <postroad/testing/impl/fault.ipp>
#include <postroad/testing/impl/server_session.ipp>
#include <postroad/testing/impl/server_session_auth.ipp>
#include <postroad/testing/impl/server_session_mail.ipp>
#include <postroad/testing/impl/server_state.ipp>
#include <postroad/testing/impl/simulated_hosts.ipp>
#include <postroad/testing/impl/sink.ipp>
#include <postroad/tls/impl/constraints.ipp>
#include <postroad/tls/impl/insecure_none.ipp>
#include <postroad/tls/impl/mbedtls_certificate.ipp>
#include <postroad/tls/impl/mbedtls_context.ipp>
#include <postroad/tls/impl/mbedtls_engine.ipp>
#include <postroad/tls/impl/names.ipp>
#include <postroad/tls/impl/policies.ipp>
#include <postroad/transport/impl/maildir_writer.ipp>
#include <postroad/transport/impl/smtp.ipp>
#include <postroad/transport/impl/url.ipp>

#pragma once
// Reports on TLS as mail (RFC 8460 section 5.3). See docs/tls.md. Not among what postroad/postroad.hpp includes: needs
// the component postroad::tls_reports.

#include <postroad/core/error.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/body_part.hpp>
#include <postroad/message/message.hpp>
#include <postroad/net/tls_report.hpp>

#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zlib.h>

namespace postroad::net {

/// RFC 1952. Throws std::bad_alloc.
inline std::string gzipped(std::string_view text) {
    constexpr int gzip_window = 15 + 16;
    z_stream z{};
    if (::deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::bad_alloc();
    std::string out(::deflateBound(&z, static_cast<uLong>(text.size())), '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    const auto done = ::deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    ::deflateEnd(&z);
    if (done != Z_STREAM_END) throw std::bad_alloc();
    return out;
}

/// A report for `to`, an address of the domain's record. Sign it with the key of the From domain before it is sent: who
/// reads reports refuses others (section 5.3). It asks to be delivered also where TLS does not work, since that is what
/// it is about. Throws error(errc::invalid_address) for an address that is none, in `to` or `who`.
inline message compose_tls_report(const tls_report& r, const tls_reporter& who, std::string_view to) {
    const auto id = report_id(r, who);
    auto name = report_file_name(r, who);
    if (name.size() > part::max_file_name) name = id.substr(0, id.find('@')) + ".json.gz";
    std::vector<body_part> parts;
    parts.push_back(
        body_part::text("This is an aggregate TLS report from " + who.submitter + " about " + r.domain + ".\n"));
    parts.push_back(body_part::octets(source::memory(gzipped(to_json(r, who))),
                                      {.type = "application/tlsrpt+gzip", .name = std::move(name)}));
    message m;
    m.from(who.contact).to(mailbox{.address = address(to)});
    m.subject("Report Domain: " + r.domain + " Submitter: " + who.submitter + " Report-ID: <" + id + ">");
    m.message_id("<" + id + ">");
    m.header("TLS-Report-Domain", r.domain).header("TLS-Report-Submitter", who.submitter);
    m.automatic(automatic::generated).tls_not_required();
    m.body(body_part::multipart("multipart/report; report-type=\"tlsrpt\"", std::move(parts)));
    return m;
}

}  // namespace postroad::net

#pragma once
// The published keys of DKIM, looked up by a resolver. See docs/messages.md.

#include <postroad/message/dkim_check.hpp>
#include <postroad/net/dns.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace postroad::net {
namespace detail {

inline txt_answer txt_of(const dns_answer& found) {
    txt_answer result;
    if (found.status == dns_status::failed) {
        result.failure = found.why.empty() ? "no answer" : found.why;
        return result;
    }
    for (const auto& record : found.records) {
        auto text = read_txt(record);
        if (!text) return {.failure = "a TXT record that is cut"};
        result.records.push_back(*std::move(text));
    }
    return result;
}

}  // namespace detail

/// Looks up the published key of each signature and checks it, see check_key(). Calls `done` once, in the order of the
/// signatures, on whichever thread the last answer comes; the resolver says how long that may take. `resolver` must
/// live until then.
template <dns_resolver R>
void check_keys(R& resolver, const dkim_signer& signer, std::function<void(std::vector<key_check>)> done) {
    struct state {
        std::vector<dkim_signature> signatures;
        std::vector<key_check> found;
        std::atomic<std::size_t> missing;
        std::function<void(std::vector<key_check>)> done;
    };
    const auto all = std::make_shared<state>();
    all->signatures = signer.signatures();
    all->found.resize(all->signatures.size());
    all->missing = all->signatures.size();
    all->done = std::move(done);
    for (std::size_t i = 0; i < all->signatures.size(); ++i)
        resolver.ask(key_name(all->signatures[i]), record_type::txt, [all, i](const dns_answer& answer) {
            all->found[i] = check_key(all->signatures[i], detail::txt_of(answer));
            if (--all->missing == 0) all->done(std::move(all->found));
        });
}

}  // namespace postroad::net

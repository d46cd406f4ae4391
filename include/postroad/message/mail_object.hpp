#pragma once
// What travels: an envelope and frozen content (RFC 5321 section 2.3.1).

#include <postroad/message/address.hpp>
#include <postroad/message/content.hpp>

#include <memory>
#include <vector>

namespace postroad {

/// Who gets a message and where failures are reported; independent of what its header says.
struct envelope {
    address reverse_path = {};             ///< the null address `<>` is allowed (RFC 5321 section 4.5.5)
    std::vector<address> recipients = {};  ///< at least one
    friend bool operator==(const envelope&, const envelope&) = default;
};

/// An envelope and content, as one attempt after the other sends them.
struct mail_object {
    postroad::envelope envelope = {};
    postroad::content content = {};
};

/// Shared by the queue and the session that sends it.
using mail_ptr = std::shared_ptr<const mail_object>;

}  // namespace postroad

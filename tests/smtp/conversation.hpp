#pragma once
// Plays a conversation, written as text, against smtp::session. The files lie in tests/conversations/; their first line
// says the story. One step a line:
//
// clang-format off
//   option NAME VALUE      before anything else: pipelining, security, protocol, credentials (user:password), auth,
//                          chunking (no), recipients, relays (yes), convert (yes: what the client sends is seven_bit; no)
//   S: LINE                the server says it
//   S~ BYTES               the same without the line end, escapes \r \n \0 \xNN allowed
//   C: LINE                the client must have said it, and nothing else
//   ask NAME VALUE         for the messages from here on: returned, envelope-id, deliver-by, hold-for, priority,
//                          require-tls, submitter; for each of their recipients: notify, original-recipient
//   submit ADDR -> ADDR, ADDR "TEXT"   a transaction whose content is that one line, escapes allowed
//   body                   the client must have sent the content of the oldest transaction that waits to, and the end
//                          of data
//   chunk                  the same with BDAT
//   part N                 the client must have sent the first N octets of what body or chunk name; needs `take`
//   take N                 from here on, the client's octets are taken up to the Nth from here
//   take all               as at the start
//   end-of-data            the client must have sent an empty content
//   tls                    the client must want TLS, which is established now
//   close                  the server closes the connection
//   wait SECONDS           time passes
//   cancel N               the Nth transaction (from 1) is cancelled
//   quit                   the owner asks for the end
//   outcome ADDR STATUS [CODE [ENHANCED]]; ...[; error NAME][; lesson NAME]   the next transaction to end
//   closed [NAME] [lesson NAME] [reply WORDS]   the session is over, with that error and these words of the server
//   reusable | unusable
//   room N                 how many transactions it takes
// clang-format on

#include <postroad/smtp/session.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace conversation {

struct step {
    std::string kind;
    std::string text;
    int line = 0;
};

struct script {
    std::string name;
    std::vector<step> options;
    std::vector<step> steps;
};

script read(const std::filesystem::path& file);
std::vector<script> read_all();

/// How the server's octets arrive and how the client's are taken.
struct delivery {
    enum class input { whole, line, byte, split };
    input in = input::whole;
    std::size_t split_at = 0;        // of the server's octets, counted over the conversation
    std::size_t output_at_most = 0;  // octets taken at a time; 0: all
};

/// Plays it; returns what went otherwise than the script says, empty if nothing did.
std::string play(const script& s, const delivery& how);

/// Plays the first `steps` steps and then breaks the connection by `fault` ("close", "wait", "cancel", "garbage");
/// returns what broke the rules: every transaction ends exactly once, `in_doubt` exactly if its content had left and no
/// reply to it had come, and the session is over (after "cancel" it may go on).
std::string play_and_break(const script& s, std::size_t steps, const std::string& fault);

/// Octets the server sends in the script.
std::size_t server_octets(const script& s);

}  // namespace conversation

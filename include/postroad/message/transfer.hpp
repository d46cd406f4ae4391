#pragma once
// What a server takes.

namespace postroad {

/// What a server takes in bodies, each including the former.
enum class transfer : unsigned char {
    seven_bit,  ///< ASCII in lines of at most 998 octets: every server
    eight_bit,  ///< any octet but NUL, in such lines: with 8BITMIME (RFC 6152)
    binary,     ///< anything: with BINARYMIME and CHUNKING (RFC 3030 section 3)
};

}  // namespace postroad

#pragma once
// A composed message before its encodings are chosen.

#include <postroad/core/config.hpp>
#include <postroad/message/content.hpp>
#include <postroad/message/source.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::detail {

/// The body of one part, and how it looks in each kind of transfer.
class leaf {
public:
    /// Text in UTF-8, with CRLF line ends.
    static leaf text(std::string lines);
    /// Any octets.
    static leaf octets(source from);
    /// A message within the message; it must not be encoded (RFC 2046 section 5.2.1).
    static leaf message(content nested);

    enum class form : unsigned char { identity, quoted_printable, base64 };
    form as(transfer most) const noexcept { return forms_[static_cast<std::size_t>(most)]; }
    /// The value of Content-Transfer-Encoding.
    std::string_view encoding(transfer most) const;

private:
    friend class composition;
    enum class kind : unsigned char { text, octets, message };

    kind kind_ = kind::text;
    form forms_[3] = {form::identity, form::identity, form::identity};
    std::string_view widest_ = "7bit";  // of the identity form
    source source_;
    std::string text_;
    content nested_;
};

/// Text and bodies in the order in which they travel. Once frozen it does not change; contents share it.
class composition : public std::enable_shared_from_this<composition> {
public:
    /// Sources in memory up to this size are encoded at once, so that a message without larger ones is one string.
    static constexpr std::size_t inline_limit = std::size_t{64} * 1024;

    void add(std::string_view text);
    /// Returns the number of the leaf; its body is placed by add_body().
    std::size_t add_leaf(leaf l);
    /// Content-Transfer-Encoding for the leaves from `first` up to `last`: of a leaf, or of a multipart that holds
    /// them. The latter is left out where it would say 7bit.
    void add_encoding(std::size_t first, std::size_t last, bool composite);
    void add_body(std::size_t which);
    /// Whether `text` stands in the body of a leaf that is in memory and may go out as it is.
    bool contains(std::string_view text) const;

    /// What is sent to a server that takes at most `most`. Call it through a shared_ptr.
    content render(transfer most) const;
    /// The narrowest transfer from which on nothing changes any more.
    transfer widest() const noexcept;

private:
    enum class what : unsigned char { text, encoding, multipart_encoding, body };
    struct item {
        what kind = what::text;
        std::string text = {};
        std::size_t first = 0;
        std::size_t last = 0;
    };
    struct output;

    void write_encoding(const item& i, transfer most, std::string& to) const;
    void write_body(const leaf& l, transfer most, output& to) const;

    std::vector<item> items_;
    std::vector<leaf> leaves_;
};

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/composition.ipp>
#endif

#pragma once
// Where the octets of a part come from: memory, a file, or a function; and content made of such parts, read in blocks.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad {

/// Octets that can be read as often as a message is sent, always the same. Cheap to copy.
class source {
public:
    /// Fills what it is given as far as it can; returns the number of octets, 0 only at the end. May block; a throw,
    /// or a number beyond the room, ends the attempt without the end of the message.
    using read_function = std::function<std::size_t(std::span<char>)>;
    /// Begins to read from the start. Called once an attempt, by the thread that sends.
    using opener = std::function<read_function()>;

    /// No octets.
    source() = default;
    static source memory(std::string octets);
    /// A file, read while the message is sent and never held in memory as a whole. Throws errc::unreadable_file, also
    /// for what is no regular file. If its size, time of modification or identity is another when it is read, the
    /// attempt fails with errc::changed_file.
    static source file(const std::string& path);
    /// What `open` gives, `size` octets; more or less is errc::changed_file.
    static source generated(std::uint64_t size, opener open);
    /// The same, read once now to count the octets.
    static source generated(opener open);
    /// Reads all of it now, into memory: for what can be read only once.
    static source drained(const read_function& read);

    std::uint64_t size() const noexcept { return state_ ? state_->size : 0; }
    /// Null if it is not in memory.
    const std::string* in_memory() const noexcept {
        static const std::string none;
        return !state_ ? &none : state_->open ? nullptr : &state_->octets;
    }
    /// Throws `error`, or what the opener throws.
    read_function open() const;

private:
    struct state {
        std::uint64_t size = 0;
        std::string octets = {};
        opener open = {};
    };
    explicit source(state s) : state_(std::make_shared<const state>(std::move(s))) {}

    std::shared_ptr<const state> state_;
};

namespace detail {

/// How a piece goes out.
enum class piece_form : unsigned char { identity, base64 };

/// Content is a sequence of these: text, or a source where `streamed`.
struct piece {
    std::string text = {};
    source octets = {};
    piece_form form = piece_form::identity;
    bool streamed = false;

    std::uint64_t size() const noexcept;
};

/// Reads pieces one block behind the other; holds at most two blocks, whatever their size.
class piece_stream {
public:
    static constexpr std::size_t block = std::size_t{57} * 1024;  // octets read at once: whole lines of base64

    explicit piece_stream(std::span<const piece> pieces) : pieces_(pieces) { advance(0); }
    piece_stream(piece_stream&&) = default;
    piece_stream& operator=(piece_stream&&) = default;

    /// Empty at the end and after a failure.
    std::string_view view() const noexcept { return view_; }
    /// Moves on by `n` octets of view(); reads more when it is used up.
    void advance(std::size_t n) noexcept;
    /// Whether view() is all that is left.
    bool all_in_view() const noexcept { return !failed() && at_ == pieces_.size(); }
    bool failed() const noexcept { return static_cast<bool>(failure_); }
    const error_code& failure() const noexcept { return failure_; }
    const std::string& explanation() const noexcept { return explanation_; }

private:
    void load();
    void load_from_source(const piece& p);
    std::string_view next_octets(const piece& p);

    std::span<const piece> pieces_;
    std::size_t at_ = 0;          // the piece that is loaded next
    std::uint64_t taken_ = 0;     // octets of its source
    source::read_function read_;  // of that source, once opened
    std::string raw_;
    std::string encoded_;
    std::string_view view_;
    error_code failure_;
    std::string explanation_;
};

}  // namespace detail
}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/source.ipp>
#endif

#pragma once

#include <postroad/message/delivery_report.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/server_text.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace postroad::detail {

/// What such texts begin with, in lower case and with one space between words.
inline constexpr std::pair<std::string_view, delivery_action> openings[] = {
    {"has not yet been delivered to", delivery_action::delayed},
    {"this is a warning message only", delivery_action::delayed},
    {"delivery to the following recipient has been delayed", delivery_action::delayed},
    {"delivery to the following recipients has been delayed", delivery_action::delayed},
    {"the following addresses had transient non-fatal errors", delivery_action::delayed},
    {"this is the qmail-send program", delivery_action::failed},
    {"could not be delivered to one or more of its recipients", delivery_action::failed},
    {"could not be delivered to all of its recipients", delivery_action::failed},
    {"delivery to the following recipient failed permanently", delivery_action::failed},
    {"delivery to the following recipients failed", delivery_action::failed},
    {"did not reach some or all of the intended recipients", delivery_action::failed},
    {"did not reach the following recipient", delivery_action::failed},
    {"the following addresses had permanent fatal errors", delivery_action::failed},
    {"this is the postfix program at host", delivery_action::failed},
    {"this is the mail system at host", delivery_action::failed},
    {"program at host", delivery_action::failed},
    {"could not be delivered", delivery_action::failed},
    {"not able to deliver your message", delivery_action::failed},
    {"unable to deliver message", delivery_action::failed},
    {"unable to deliver your message", delivery_action::failed},
    {"unable to deliver to the following", delivery_action::failed},
    {"wasn't able to deliver", delivery_action::failed},
    {"could not deliver message", delivery_action::failed},
    {"was not delivered to", delivery_action::failed},
    {"not delivered to the following", delivery_action::failed},
    {"did not receive a copy of your message", delivery_action::failed},
    {"did not receive this message", delivery_action::failed},
    {"to the following recipients failed permanently", delivery_action::failed},
    {"failed addresses follow", delivery_action::failed},
    {"failed recipients", delivery_action::failed},
    {"this is a delivery failure notification message", delivery_action::failed},
};

/// What stands before an address on its line, in lower case; of IMail, LSMTP, MailEnable, Postini and others. It needs
/// no opening.
inline constexpr std::string_view labels[] = {
    "failed recipient:",
    "undeliverable address:",
    "unknown user:",
    "error-for:",
    "intended recipient:",
    "invalid final delivery userid:",
    "user mailbox exceeds allowed size:",
    "user's mailbox is full:",
    "delivery failed 20 attempts:",
    "undeliverable to",
    "did not reach the following recipient:",
    "recipient: [smtp:",
};

POSTROAD_DECL enhanced_code status_within(std::string_view text) noexcept {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    for (std::size_t start = 0; start + 4 < text.size(); ++start) {
        if ((text[start] != '2' && text[start] != '4' && text[start] != '5') || text[start + 1] != '.') continue;
        if (start > 0 && (digit(start - 1) || text[start - 1] == '.')) continue;
        unsigned parts[2] = {};
        auto at = start + 2;
        bool good = true;
        for (std::size_t i = 0; i < 2 && good; ++i) {
            const auto first = at;
            while (digit(at) && at < first + 3) parts[i] = parts[i] * 10 + static_cast<unsigned>(text[at++] - '0');
            good = at > first && !digit(at) && (i == 1 || (at < text.size() && text[at++] == '.'));
        }
        // an address of a host has four numbers
        if (!good || (at < text.size() && text[at] == '.' && digit(at + 1))) continue;
        return {static_cast<std::uint8_t>(text[start] - '0'), static_cast<std::uint16_t>(parts[0]),
                static_cast<std::uint16_t>(parts[1])};
    }
    return {};
}

/// Reads such a text line by line.
class server_text_reader {
public:
    std::vector<reported_recipient> read(std::string_view text) {
        std::string_view lines[3];
        for (auto& l : lines) l = next_line(text);
        for (std::size_t left = 3; left > 0 && !over_;) {
            if (!found_ && !begins_with_recipient(lines[0]))
                look_for_opening(lines);
            else
                take(lines[0]);
            if (text.empty()) --left;
            lines[0] = lines[1];
            lines[1] = lines[2];
            lines[2] = next_line(text);
        }
        finish();
        return std::move(recipients_);
    }

private:
    static std::string_view next_line(std::string_view& text) {
        const auto end = std::min(find_octet(text, '\n') + 1, text.size());
        const auto line = text.substr(0, end);
        text.remove_prefix(end);
        return line;
    }

    // It may be folded into the next lines.
    void look_for_opening(const std::string_view (&lines)[3]) {
        auto first = one_line(lines[0]);
        const auto size = first.size();
        if (size == 0 || size > max_report_text) return;
        const auto all = in_lower_case(first + ' ' + one_line(lines[1]) + ' ' + one_line(lines[2]));
        for (const auto& [words, action] : openings) {
            if (all.find(words) >= size) continue;
            found_ = true;
            action_ = action;
            return;
        }
        // a line that no more than ends the text of the server, and what follows is the sender's
        over_ = first.starts_with("---") && (all.find("message") < size || all.find("mail") < size);
    }

    // qmail: whatever its administrator has it say before
    bool begins_with_recipient(std::string_view line) {
        const auto text = trimmed(line);
        found_ = !behind_label(text).empty() || (line.starts_with('<') && text.ends_with(">:"));
        if (found_) action_ = delivery_action::failed;
        return found_;
    }
    static std::string_view behind_label(std::string_view text) noexcept {
        for (const auto label : labels)
            if (equal_ignoring_case(text.substr(0, label.size()), label)) return trimmed(text.substr(label.size()));
        return {};
    }
    // "* bob@y", "> bob@y", "'bob@y'", "Recipient: [SMTP:bob@y]"
    static std::string_view undecorated(std::string_view text) noexcept {
        if (const auto labelled = behind_label(text); !labelled.empty()) {
            text = labelled;
            if (text.ends_with(']') && text.find('[') == text.npos) text.remove_suffix(1);  // the label opened it
        }
        if (text.starts_with("* ") || text.starts_with("> ") || text.starts_with("-- ")) {
            text.remove_prefix(text.find(' '));
            text = trimmed(text);
        }
        return text;
    }

    void take(std::string_view line) {
        const auto text = trimmed(line);
        if (text.starts_with("---")) {  // the message follows
            over_ = true;
        } else if (text.empty()) {
            complete_ = complete_ || !diagnostic_.empty();
        } else if (text.ends_with("returned was:")) {  // Gmail: what was before is its own
            diagnostic_.clear();
            complete_ = false;
        } else if (recipient(text)) {
            return;
        } else if (open_ && !complete_ && diagnostic_.size() < max_report_text) {
            (diagnostic_ += diagnostic_.empty() ? "" : " ") += text;
        }
    }

    // "<bob@y>: why", "bob@y", "bob@y on 1/2/2004 10:00 AM", "'bob@y' on ...", "bob@y ... unknown host"
    bool recipient(std::string_view text) {
        text = undecorated(text);
        const bool in_quotes = text.starts_with('\'');
        if (in_quotes) text.remove_prefix(1);
        const bool in_angles = text.starts_with('<');
        if (in_angles) text.remove_prefix(1);
        const auto end = std::min(text.find_first_of(in_angles ? ">" : in_quotes ? "'" : " :\t"), text.size());
        auto rest = text.substr(std::min(end + (in_angles ? 1 : 0), text.size()));
        if (in_quotes && rest.starts_with('\'')) rest.remove_prefix(1);
        error_code ec;
        const auto a = address::parse(text.substr(0, end), ec);
        const bool fits =
            rest.empty() || rest.starts_with(':') || rest.starts_with(" on ") || rest.starts_with(" ... ");
        if (ec || a.domain().empty() || !fits || recipients_.size() == max_reported_recipients) return false;
        finish();
        if (rest.starts_with(':')) diagnostic_ = trimmed(rest.substr(1));
        if (rest.starts_with(" ... ")) diagnostic_ = trimmed(rest.substr(5));
        recipients_.push_back({.final = is_printable(a.str()) ? a.str() : report_text(a.str()), .action = action_});
        open_ = true;
        return true;
    }

    void finish() {
        if (open_) {
            recipients_.back().diagnostic = report_text(diagnostic_);
            recipients_.back().status = status_within(diagnostic_);
        }
        open_ = complete_ = false;
        diagnostic_.clear();
    }

    std::vector<reported_recipient> recipients_;
    std::string diagnostic_;
    delivery_action action_ = delivery_action::unknown;
    bool found_ = false;
    bool open_ = false;      // the last recipient may have more to it
    bool complete_ = false;  // not a diagnostic: a paragraph ended
    bool over_ = false;
};

POSTROAD_DECL std::vector<reported_recipient> read_server_text(std::string_view text) {
    return server_text_reader().read(text);
}

}  // namespace postroad::detail

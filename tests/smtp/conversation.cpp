// Compiled alone: it adds to a namespace of its header.
#include "conversation.hpp"

#include <postroad/message/content.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace conversation {

using namespace postroad;

namespace {

std::string unescape(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            result += text[i];
            continue;
        }
        switch (text[++i]) {
            case 'r': result += '\r'; break;
            case 'n': result += '\n'; break;
            case '0': result += '\0'; break;
            case 'x':
                result += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
                i += 2;
                break;
            default: result += text[i];
        }
    }
    return result;
}

std::vector<std::string> split(const std::string& text, const std::string& by) {
    std::vector<std::string> result;
    std::size_t at = 0;
    for (auto found = text.find(by); found != std::string::npos; found = text.find(by, at)) {
        result.push_back(text.substr(at, found - at));
        at = found + by.size();
    }
    result.push_back(text.substr(at));
    return result;
}

// What is on the wire for a content, made the slow way.
std::string stuffed(std::string_view content) {
    std::string result;
    bool at_start = true;
    for (const char c : content) {
        if (at_start && c == '.') result += '.';
        result += c;
        at_start = c == '\n';
    }
    return result + ".\r\n";
}

struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

smtp::session_options options_of(const script& s) {
    smtp::session_options o{.server = {"mx.example", 587, security::insecure_none}, .client_name = "client.example"};
    o.nonce = "rOprNGfwEbeRWgbNEkqO";
    for (const auto& [kind, text, line] : s.options) {
        const auto space = text.find(' ');
        const auto name = text.substr(0, space);
        const auto value = text.substr(space + 1);
        if (name == "pipelining")
            o.pipelining = smtp::pipelining_named(value);
        else if (name == "security")
            o.server.security = value == "starttls"        ? security::starttls
                                : value == "implicit"      ? security::implicit
                                : value == "opportunistic" ? security::opportunistic
                                                           : security::insecure_none;
        else if (name == "protocol")
            o.server.protocol = value == "lmtp" ? protocol::lmtp : protocol::smtp;
        else if (name == "convert")
            o.down_convert = value != "no";  // yes: all of it; header: that alone
        else if (name == "relays")
            o.relays = value == "yes";
        else if (name == "chunking")
            o.chunking = value != "no";
        else if (name == "starttls")
            o.starttls = value != "no";
        else if (name == "recipients")
            o.recipients_per_transaction = std::stoul(value);
        else if (name == "credentials")
            o.credentials = {.user = value.substr(0, value.find(':')),
                             .password = secret(value.substr(value.find(':') + 1)),
                             .mechanisms = o.credentials.mechanisms};
        else if (name == "auth")
            o.credentials.mechanisms = split(value, ",");
        else
            throw failure("line " + std::to_string(line) + ": unknown option " + name);
    }
    return o;
}

class player {
public:
    player(const script& s, const delivery& how) : session_(options_of(s)), how_(how) {
        converted_ = std::ranges::any_of(s.options, [](const step& o) { return o.text == "convert yes"; });
        header_converted_ = std::ranges::any_of(s.options, [](const step& o) { return o.text == "convert header"; });
        session_.started(now_);
    }

    void take(const step& s) {
        try {
            run(s);
        } catch (const failure& f) {
            throw failure("line " + std::to_string(s.line) + " (" + s.kind + ' ' + s.text + "): " + f.what());
        }
    }

    // The server's octets up to the next step of another kind come together.
    void flush() {
        if (pending_.empty()) return;
        std::string bytes;
        bytes.swap(pending_);
        std::size_t at = 0;
        while (at < bytes.size()) {
            auto n = bytes.size() - at;
            if (how_.in == delivery::input::byte) n = 1;
            if (how_.in == delivery::input::line) n = std::min(bytes.find('\n', at), bytes.size() - 1) + 1 - at;
            if (how_.in == delivery::input::split && fed_ < how_.split_at) n = std::min(n, how_.split_at - fed_);
            session_.received(std::string_view(bytes).substr(at, n), now_);
            at += n;
            fed_ += n;
            drain();
        }
    }

    void finish() {
        flush();
        drain();
        if (!sent_.empty()) throw failure("the client said something more: " + escaped(sent_));
        events();
        if (!outcomes_.empty()) throw failure("an outcome that the script does not name: " + outcomes_.front());
        if (closed_ && !closed_seen_) throw failure("the session ended: " + *closed_);
    }

    // For play_and_break: what became of every transaction.
    void check_rules(const std::string& fault) {
        drain();
        events();
        for (const auto& [id, times] : ended_)
            if (times != 1)
                throw failure("transaction " + std::to_string(id) + " ended " + std::to_string(times) + " times");
        if (fault == "cancel") return;
        if (!session_.done() || session_.reusable()) throw failure("the session goes on after " + fault);
        if (session_.deadline() != never) throw failure("a session that is over has a deadline");
        if (!closed_) throw failure("no closed event");
        for (const auto& t : transactions_)
            if (ended_[t.id] != 1) throw failure("transaction " + std::to_string(t.id) + " has no outcome");
        for (const auto& [id, recipients] : results_)
            for (const auto& r : recipients) {
                const auto& t = transactions_.at(id - 1);
                const bool left = has_left(t);
                if (r.status == status::in_doubt && !left) throw failure("in doubt before the content left");
                if (r.status == status::not_attempted && left && !t.body_answered && r.reply.code < 300)
                    throw failure("not attempted though the content had left");
                if (r.status == status::accepted && !t.body_answered) throw failure("accepted without a reply");
            }
    }

    void break_by(const std::string& fault) {
        flush();
        drain();
        if (fault == "close") session_.closed(errc::connection_closed, "cut", now_);
        if (fault == "garbage") session_.received(std::string_view("\0what?\r\n", 8), now_);
        if (fault == "wait") {
            // Idle, a session waits for nobody; then the owner's end stands in.
            if (session_.deadline() == never) return session_.closed(errc::connection_closed, "cut", now_);
            now_ = session_.deadline();
            session_.tick(now_);
        }
        if (fault == "cancel")
            for (const auto& t : transactions_) session_.cancel(t.id, now_);
    }

    // The server speaks: what had left whole by now has its answer.
    void note_answered() {
        for (auto& t : transactions_) t.body_answered = t.body_answered || has_left(t);
    }

private:
    struct sent_transaction {
        std::uint64_t id = 0;
        std::string wire;   // the content after DATA
        std::string chunk;  // the content after BDAT
        std::vector<std::string> recipients = {};
        bool body_sent = false;
        bool body_answered = false;
    };

    bool has_left(const sent_transaction& t) const {
        return all_sent_.find(t.wire) != std::string::npos ||
               all_sent_.find("BDAT " + std::to_string(t.chunk.size()) + " LAST\r\n" + t.chunk) != std::string::npos;
    }

    void run(const step& s) {
        if (s.kind == "S:" || s.kind == "S~") {
            drain();
            if (!sent_.empty()) throw failure("the client spoke out of turn: " + escaped(sent_));
            if (s.kind == "S:") {
                pending_ += s.text + "\r\n";
                return;
            }
            flush();
            session_.received(unescape(s.text), now_);
            drain();
            return;
        }
        flush();
        drain();
        events();
        if (s.kind == "C:")
            expect(s.text + "\r\n");
        else if (s.kind == "body") {
            const auto t = std::ranges::find_if(
                transactions_, [this](const auto& c) { return !c.body_sent && sent_.starts_with(c.wire); });
            if (t == transactions_.end()) throw failure("no content was sent, but: \"" + escaped(sent_) + '"');
            expect(t->wire);
            t->body_sent = true;
        } else if (s.kind == "chunk") {
            const auto t = std::ranges::find(transactions_, false, &sent_transaction::body_sent);
            if (t == transactions_.end()) throw failure("no transaction waits to send its content");
            expect("BDAT " + std::to_string(t->chunk.size()) + " LAST\r\n" + t->chunk);
            t->body_sent = true;
        } else if (s.kind == "end-of-data")
            expect(".\r\n");
        else if (s.kind == "ask")
            ask(s.text);
        else if (s.kind == "submit")
            submit(s.text);
        else if (s.kind == "take")
            allowance_ = s.text == "all" ? unlimited : std::stoul(s.text);
        else if (s.kind == "part")
            expect_part(std::stoul(s.text));
        else if (s.kind == "room") {
            if (session_.room() != std::stoul(s.text))
                throw failure("it has room for " + std::to_string(session_.room()));
        } else if (s.kind == "tls") {
            if (!session_.wants_tls()) throw failure("the client does not want TLS");
            session_.secured(now_);
        } else if (s.kind == "close")
            session_.closed(errc::connection_closed, "the server closed", now_);
        else if (s.kind == "wait") {
            now_ += std::chrono::seconds(std::stoi(s.text));
            session_.tick(now_);
        } else if (s.kind == "cancel")
            session_.cancel(std::stoull(s.text), now_);
        else if (s.kind == "quit")
            session_.quit(now_);
        else if (s.kind == "outcome") {
            if (outcomes_.empty()) throw failure("no transaction has ended");
            if (outcomes_.front() != s.text) throw failure("the outcome is: " + outcomes_.front());
            outcomes_.erase(outcomes_.begin());
        } else if (s.kind == "closed") {
            if (!closed_) throw failure("the session is not over");
            const auto said = s.text.find(" reply ");
            if (*closed_ != s.text.substr(0, said)) throw failure("it ended with: " + *closed_);
            if (said != std::string::npos && closed_reply_ != s.text.substr(said + 7))
                throw failure("the server's words are: " + closed_reply_);
            closed_seen_ = true;
        } else if (s.kind == "reusable" || s.kind == "unusable") {
            if (session_.reusable() != (s.kind == "reusable")) throw failure("it is not " + s.kind);
        } else
            throw failure("unknown step");
    }

    void expect(const std::string& text) {
        if (sent_.substr(0, text.size()) != text) throw failure("the client said: \"" + escaped(sent_) + '"');
        sent_.erase(0, text.size());
    }

    void drain() {
        std::array<std::string_view, 3> parts;
        while (const auto count = session_.output(parts)) {
            std::string bytes;
            for (std::size_t i = 0; i < count; ++i) bytes += parts[i];
            if (how_.output_at_most != 0) bytes.resize(std::min(bytes.size(), how_.output_at_most));
            bytes.resize(std::min(bytes.size(), allowance_));
            if (bytes.empty()) return;
            if (allowance_ != unlimited) allowance_ -= bytes.size();
            sent_ += bytes;
            all_sent_ += bytes;
            session_.consumed(bytes.size(), now_);
        }
    }

    void events() {
        while (auto e = session_.poll()) {
            if (closed_) throw failure("an event after the session was over");
            if (auto* f = std::get_if<smtp::finished>(&*e)) {
                ++ended_[f->id];
                for (std::size_t i = 0; i < f->recipients.size(); ++i)
                    f->recipients[i].address = transactions_.at(f->id - 1).recipients.at(i);
                results_[f->id] = f->recipients;
                std::string text;
                for (const auto& r : f->recipients) {
                    if (!text.empty()) text += "; ";
                    text += r.address + ' ' + std::string(to_string(r.status));
                    if (r.reply.code != 0) text += ' ' + std::to_string(r.reply.code);
                    if (r.reply.enhanced) text += ' ' + to_string(r.reply.enhanced);
                }
                if (f->error) text += "; error " + std::string(to_string(static_cast<errc>(f->error.value())));
                if (f->lesson != smtp::lesson::none) text += "; lesson " + name_of(f->lesson);
                outcomes_.push_back(text);
            } else if (auto* c = std::get_if<smtp::closed>(&*e)) {
                closed_reply_ = c->details.reply;
                closed_ = c->error ? std::string(to_string(static_cast<errc>(c->error.value()))) : std::string();
                if (c->lesson != smtp::lesson::none)
                    *closed_ += (closed_->empty() ? "lesson " : " lesson ") + name_of(c->lesson);
                if ((c->lesson == smtp::lesson::none) != c->lesson_reason.empty())
                    throw failure("a lesson without a reason, or a reason without a lesson");
            }
        }
    }

    static std::string name_of(smtp::lesson l) {
        switch (l) {
            case smtp::lesson::none: return "none";
            case smtp::lesson::no_overlap: return "no_overlap";
            case smtp::lesson::no_chunking: return "no_chunking";
            case smtp::lesson::no_pipelining: return "no_pipelining";
            case smtp::lesson::no_tls: return "no_tls";
        }
        return {};
    }

    void expect_part(std::size_t n) {
        const auto t = std::ranges::find(transactions_, false, &sent_transaction::body_sent);
        if (t == transactions_.end()) throw failure("no transaction waits to send its content");
        const auto whole =
            sent_.starts_with("BDAT ") ? "BDAT " + std::to_string(t->chunk.size()) + " LAST\r\n" + t->chunk : t->wire;
        expect(whole.substr(0, n));
    }

    void ask(const std::string& text) {
        const auto space = std::min(text.find(' '), text.size());
        const auto name = text.substr(0, space);
        const auto value = text.substr(std::min(space + 1, text.size()));
        const auto has = [&value](const char* word) { return value.find(word) != std::string::npos; };
        if (name == "returned")
            asked_.returned = value == "full" ? returned::full : returned::headers;
        else if (name == "envelope-id")
            asked_.envelope_id = value;
        else if (name == "deliver-by")
            asked_.deliver_by = {.within = std::chrono::seconds(std::stoi(value))};
        else if (name == "hold-for")
            asked_.hold_for = std::chrono::seconds(std::stoi(value));
        else if (name == "priority")
            asked_.priority = std::stoi(value);
        else if (name == "require-tls")
            asked_.require_tls = true;
        else if (name == "submitter")
            asked_.submitter = address(value);
        else if (name == "ahead")
            ahead_ = smtp::pipelining_named(value);
        else if (name == "notify")
            asked_of_recipients_.notify = {has("never"), has("success"), has("failure"), has("delay")};
        else if (name == "original-recipient")
            asked_of_recipients_.original_recipient = value;
        else
            throw failure("unknown wish " + name);
    }

    void submit(const std::string& text) {
        const auto arrow = text.find(" -> ");
        const auto quote = text.find(" \"");
        if (arrow == std::string::npos || quote == std::string::npos) throw failure("not a submit line");
        mail_object mail;
        const auto from = text.substr(0, arrow);
        mail.envelope.reverse_path = from == "<>" ? address() : address(from);
        for (const auto& to : split(text.substr(arrow + 4, quote - arrow - 4), ", "))
            mail.envelope.recipients.emplace_back(to);
        mail.envelope.options = asked_;
        if (asked_of_recipients_ != recipient_options{})
            mail.envelope.recipient_options.assign(mail.envelope.recipients.size(), asked_of_recipients_);
        mail.content = content::from_text(unescape(text.substr(quote + 2, text.size() - quote - 3)));
        const auto sent = converted_          ? mail.content.as(transfer::seven_bit)
                          : header_converted_ ? mail.content.with_ascii_header()
                                              : mail.content;
        sent_transaction t{
            .id = transactions_.size() + 1, .wire = stuffed(sent.text()), .chunk = std::string(sent.text())};
        smtp::transaction what{.id = t.id, .ahead = ahead_};
        for (const auto& to : mail.envelope.recipients) t.recipients.push_back(to.str());
        what.mail = std::make_shared<const mail_object>(std::move(mail));
        transactions_.push_back(std::move(t));
        session_.submit(std::move(what), now_);
    }

    smtp::session session_;
    delivery how_;
    time_point now_ = time_point(std::chrono::hours(1));
    std::string pending_;
    std::string sent_;  // what no step has claimed yet
    std::string all_sent_;
    static constexpr auto unlimited = std::size_t(-1);
    std::size_t allowance_ = unlimited;
    smtp::pipelining ahead_ = smtp::pipelining::envelope;
    mail_options asked_;
    recipient_options asked_of_recipients_;
    std::size_t fed_ = 0;
    std::vector<sent_transaction> transactions_;
    std::map<std::uint64_t, int> ended_;
    std::map<std::uint64_t, std::vector<recipient_outcome>> results_;
    std::vector<std::string> outcomes_;
    std::optional<std::string> closed_;
    std::string closed_reply_;
    bool closed_seen_ = false;
    bool converted_ = false;
    bool header_converted_ = false;

    friend std::string conversation::play_and_break(const script&, std::size_t, const std::string&);
};

}  // namespace

script read(const std::filesystem::path& file) {
    std::ifstream in(file);
    script s;
    s.name = file.stem().string();
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
        if (line.empty() || line[0] == '#') continue;
        const auto space = line.find(' ');
        step st{line.substr(0, space), space == std::string::npos ? "" : line.substr(space + 1), number};
        (st.kind == "option" ? s.options : s.steps).push_back(std::move(st));
    }
    if (s.steps.empty()) throw std::runtime_error("no conversation in " + file.string());
    return s;
}

std::vector<script> read_all() {
    std::vector<script> all;
    const auto folder = std::filesystem::path(__FILE__).parent_path().parent_path() / "conversations";
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".txt") all.push_back(read(entry.path()));
    std::ranges::sort(all, {}, &script::name);
    return all;
}

std::size_t server_octets(const script& s) {
    std::size_t n = 0;
    for (const auto& st : s.steps) {
        if (st.kind == "S:") n += st.text.size() + 2;
    }
    return n;
}

std::string play(const script& s, const delivery& how) try {
    player p(s, how);
    for (const auto& st : s.steps) p.take(st);
    p.finish();
    return {};
} catch (const std::exception& e) {
    return s.name + ": " + e.what();
}

std::string play_and_break(const script& s, std::size_t steps, const std::string& fault) try {
    player p(s, {});
    for (std::size_t i = 0; i < steps; ++i) {
        p.take(s.steps[i]);
        if (s.steps[i].kind == "S:") p.note_answered();
    }
    if (p.session_.done()) return {};
    p.break_by(fault);
    p.check_rules(fault);
    return {};
} catch (const std::exception& e) {
    return s.name + " broken by " + fault + " after " + std::to_string(steps) + " steps: " + e.what();
}

}  // namespace conversation

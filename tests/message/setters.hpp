#pragma once
// Every setter of a message that takes a value which ends up in a field.

#include <postroad/message/message.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace setters {

using postroad::address;
using postroad::body_part;
using postroad::mailbox;
using postroad::mailbox_group;
using postroad::mailbox_list;
using postroad::message;
using postroad::part;
using postroad::source;

struct setter {
    const char* field;   // what the error names
    const char* before;  // what stands before the value
    std::function<void(message&, std::string)> set;
};

inline mailbox named(std::string name) { return {.name = std::move(name), .address = address("a@x")}; }
inline mailbox_group group(std::string name, std::string member) {
    return {.name = std::move(name), .members = {named(std::move(member))}};
}
inline void attach(message& m, part p) { m.attach(source::memory("x"), std::move(p)); }

// Every field, name and parameter that takes a value.
inline const std::vector<setter> fields = {
    {"From", "", [](message& m, std::string v) { m.from(named(v)); }},
    {"From", "a@x, ", [](message& m, std::string v) { m.from("a@x, " + v); }},
    {"From", "", [](message& m, std::string v) { m.from(group(v, "n")); }},
    {"From", "G: ", [](message& m, std::string v) { m.from("G: " + v + " <a@x>;"); }},
    {"Sender", "", [](message& m, std::string v) { m.sender(v); }},
    {"To", "", [](message& m, std::string v) { m.to(named(v)); }},
    {"To", "\"", [](message& m, std::string v) { m.to('"' + v + "\"@x"); }},
    {"To", "", [](message& m, std::string v) { m.to(group(v, "n")); }},
    {"To", "", [](message& m, std::string v) { m.to(group("g", v)); }},
    {"Cc", "", [](message& m, std::string v) { m.cc(named(v)); }},
    {"Cc", "a@", [](message& m, std::string v) { m.cc("a@" + v); }},
    {"Cc", "", [](message& m, std::string v) { m.cc(group(v, "n")); }},
    {"Cc", "", [](message& m, std::string v) { m.cc(group("g", v)); }},
    {"Bcc", "", [](message& m, std::string v) { m.bcc(named(v)); }},
    {"Bcc", "(", [](message& m, std::string v) { m.bcc('(' + v + ") a@x"); }},
    {"Reply-To", "", [](message& m, std::string v) { m.reply_to(named(v)); }},
    {"Reply-To", "T: ", [](message& m, std::string v) { m.reply_to("T: " + v + " <a@x>;"); }},
    {"Subject", "", [](message& m, std::string v) { m.subject(v); }},
    {"X-Own", "", [](message& m, std::string v) { m.header("X-Own", v); }},
    {"Message-ID", "<", [](message& m, std::string v) { m.message_id('<' + v + "@x>"); }},
    {"In-Reply-To", "<a@x> <", [](message& m, std::string v) { m.in_reply_to("<a@x> <" + v + "@x>"); }},
    {"References", "<", [](message& m, std::string v) { m.references('<' + v + "@x>"); }},
    {"List-Id", "", [](message& m, std::string v) { m.list_id(v, "phrase"); }},
    {"List-Id", "", [](message& m, std::string v) { m.list_id("news.x", v); }},
    {"List-Unsubscribe", "https://x/",
     [](message& m, std::string v) { m.list_unsubscribe({.one_click = "https://x/" + v}); }},
    {"List-Unsubscribe", "mailto:", [](message& m, std::string v) { m.list_unsubscribe({.url = "mailto:" + v}); }},
    {"List-Help", "https://x/", [](message& m, std::string v) { m.list(postroad::list_url::help, "https://x/" + v); }},
    {"List-Archive", "https://x/",
     [](message& m, std::string v) { m.list(postroad::list_url::archive, "https://x/" + v); }},
    {"file name", "", [](message& m, std::string v) { attach(m, {.name = v}); }},
    {"Content-Type", "", [](message& m, std::string v) { attach(m, {.type = v}); }},
    {"Content-Type", "text/csv; name=\"",
     [](message& m, std::string v) { attach(m, {.type = "text/csv; name=\"" + v + '"'}); }},
    {"Content-Description", "", [](message& m, std::string v) { attach(m, {.type = "a/b", .description = v}); }},
    {"Content-ID", "", [](message& m, std::string v) { attach(m, {.type = "a/b", .content_id = v}); }},
    {"Content-Type", "text/x-", [](message& m, std::string v) { m.alternative("x", {.type = "text/x-" + v}); }},
    {"Content-Type", "text/plain; x=\"",
     [](message& m, std::string v) { m.text("x", {.type = "text/plain; x=\"" + v + '"'}); }},
    {"X-Own", "",
     [](message& m, std::string v) {
         m.html("x", {.fields = {{"X-Own", v}}});
     }},
    {"Content-Language", "",
     [](message& m, std::string v) {
         attach(m, {.type = "a/b", .fields = {{"Content-Language", v}}});
     }},
    {"Content-Type", "", [](message& m, std::string v) { m.alternative(source::memory("x"), {.type = v}); }},
    {"file name", "", [](message& m, std::string v) { m.body(body_part::octets(source::memory("x"), {.name = v})); }},
    {"Content-Description", "", [](message& m, std::string v) { m.body(body_part::text("x", {.description = v})); }},
    {"Content-Type", "multipart/mixed; x=\"",
     [](message& m, std::string v) {
         m.body(body_part::multipart("multipart/mixed; x=\"" + v + '"', {body_part::text("x")}));
     }},
    {"file name", "",
     [](message& m, std::string v) { m.attach(postroad::content::from_text("a: b\n\n"), {.name = v}); }},
    {"Disposition-Notification-To", "",
     [](message& m, std::string v) { m.header("Disposition-Notification-To", mailbox_list{named(v)}); }},
    {"Keywords", "", [](message& m, std::string v) { m.header("Keywords", v); }},
    {"Archived-At", "<", [](message& m, std::string v) { m.header("Archived-At", '<' + v + '>'); }},
    {"SIO-Label", "a; b=\"", [](message& m, std::string v) { m.header("SIO-Label", "a; b=\"" + v + '"'); }},
};

}  // namespace setters

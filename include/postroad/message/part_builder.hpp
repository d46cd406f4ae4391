#pragma once
// Builds the tree of parts of one message.

#include <postroad/message/body_part.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/composition.hpp>
#include <postroad/message/field_encoder.hpp>
#include <postroad/message/field_form.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/lines.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::detail {

/// A node of the tree of parts, in the order in which it travels.
struct entity {
    std::string fields = {};  // all but Content-Transfer-Encoding
    std::string boundary = {};
    std::vector<entity> children = {};  // none: a leaf
    std::size_t first = 0;              // its leaves
    std::size_t last = 0;
    std::string type = {};  // the media type
    std::string id = {};    // Content-ID, if any
};

inline void write_entity(composition& to, const entity& e) {
    to.add(e.fields);
    to.add_encoding(e.first, e.last, !e.children.empty());
    to.add("\r\n");
    if (e.children.empty()) return to.add_body(e.first);
    for (const auto& child : e.children) {
        to.add((&child == &e.children.front() ? "--" : "\r\n--") + e.boundary + "\r\n");
        write_entity(to, child);
    }
    to.add("\r\n--" + e.boundary + "--\r\n");
}

/// CRLF line ends, and no line end at the end that was not there.
inline std::string text_lines(std::string_view text) {
    auto lines = with_crlf(text);
    if (!text.ends_with('\n') && !text.ends_with('\r') && !lines.empty()) lines.resize(lines.size() - 2);
    return lines;
}

/// Builds the tree of one message.
class part_builder {
public:
    part_builder(composition& to, std::string boundary, bool alone)
        : to_(to), boundary_(std::move(boundary)), alone_(alone) {}

    /// Whether Content-Disposition is written where nothing but the default is said.
    enum class shown : unsigned char { always, if_said };

    /// Of a leaf; all but Content-Transfer-Encoding.
    static std::string fields(std::string_view type, const part& about, shown how) {
        header_writer w(header_charset::ascii);
        std::vector<std::pair<std::string_view, std::string_view>> parameters;
        if (!about.name.empty()) parameters.emplace_back("name", about.name);
        w.parameterised("Content-Type", type, parameters);
        parameters.clear();
        if (!about.name.empty()) parameters.emplace_back("filename", about.name);
        const bool in_line = about.disposition == disposition::in_line || !about.content_id.empty();
        if (how == shown::always || in_line || !about.name.empty())
            w.parameterised("Content-Disposition", in_line ? "inline" : "attachment", parameters);
        if (!about.content_id.empty()) w.plain("Content-ID", '<' + about.content_id + '>');
        if (!about.description.empty()) w.unstructured("Content-Description", about.description, value_kind::text);
        for (const auto& [name, value] : about.fields) own_field(w, name, value);
        return w.take();
    }

    entity text(const part& about, std::string_view body) {
        // text that ends the message ends with a line end, so it does in each encoding
        return leaf_entity(about.type, about, shown::if_said, leaf::text(alone_ ? with_crlf(body) : text_lines(body)));
    }

    entity file(const part& about, const source& octets, shown how = shown::always) {
        return leaf_entity(about.type, about, how, leaf::octets(octets));
    }

    entity message(const part& about, const content& nested, shown how = shown::always) {
        // RFC 6532 section 3.7: with UTF-8 in its header it is message/global, which may be encoded
        if (nested.eight_bit_header())
            return leaf_entity("message/global", about, how, leaf::octets(source::memory(std::string(nested.text()))));
        return leaf_entity("message/rfc822", about, how, leaf::message(nested));
    }

    /// One child stands for itself.
    entity multipart(std::string_view subtype, std::vector<entity> children) {
        if (children.size() == 1) return std::move(children.front());
        return multipart_of("multipart/" + std::string(subtype), std::move(children));
    }

    entity tree(const body_part& p) {
        using enum body_part::kind;
        switch (p.kind_) {
            case text: return this->text(p.about_, p.text_);
            case octets: return file(p.about_, p.octets_, shown::if_said);
            case message: return this->message(p.about_, p.nested_, shown::if_said);
            case multipart: break;
        }
        std::vector<entity> children;
        for (const auto& child : p.parts_) children.push_back(tree(child));
        return multipart_of(p.about_.type, std::move(children));
    }

private:
    entity multipart_of(const std::string& type, std::vector<entity> children) {
        entity e;
        e.boundary = boundary_ + '_' + std::to_string(++multiparts_);
        header_writer w(header_charset::ascii);
        std::vector<std::pair<std::string_view, std::string_view>> parameters = {{"boundary", e.boundary}};
        const auto said = parse_parameterised(type);
        e.type = said.value;
        // RFC 2387 section 3: the type of the root, which is the first part unless `start` names another
        auto root = std::ranges::find(children, said.parameter("start"), &entity::id);
        if (root == children.end() || root->id.empty()) root = children.begin();
        if (said.value == "multipart/related" && said.parameter("type").empty())
            parameters.emplace_back("type", root->type);
        w.parameterised("Content-Type", type, parameters);
        e.fields = w.take();
        e.first = children.front().first;
        e.last = children.back().last;
        e.children = std::move(children);
        return e;
    }

    static void own_field(header_writer& w, const std::string& name, const std::string& value) {
        if (is_ascii(value) || form_of(name) == field_form::text) return w.unstructured(name, value, value_kind::raw);
        const auto ascii = field_in_ascii({name, value, value}, "utf-8");
        w.unstructured(name, one_line(std::string_view(ascii).substr(name.size() + 1)), value_kind::raw);
    }

    entity leaf_entity(std::string_view type, const part& about, shown how, leaf l) {
        const auto n = to_.add_leaf(std::move(l));
        return {.fields = fields(type, about, how),
                .first = n,
                .last = n + 1,
                .type = parse_parameterised(type).value,
                .id = about.content_id.empty() ? "" : '<' + about.content_id + '>'};
    }

    composition& to_;
    std::string boundary_;
    bool alone_;  // the message has one part
    int multiparts_ = 0;
};

}  // namespace postroad::detail

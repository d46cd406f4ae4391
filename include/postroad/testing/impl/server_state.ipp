#pragma once

#include <postroad/testing/server_state.hpp>

#include <algorithm>
#include <utility>

namespace postroad::testing {

POSTROAD_DECL server_state::server_state(server_options options) : options_(std::move(options)) {
    for (const auto& f : options_.faults) faults_.push_back({.what = f});
    if (!options_.maildir.empty()) maildir_.emplace(options_.maildir, options_.durable);
}

POSTROAD_DECL std::vector<stored> server_state::messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
}

POSTROAD_DECL std::vector<std::string> server_state::violations() const {
    const std::lock_guard lock(mutex_);
    return violations_;
}

POSTROAD_DECL std::vector<std::string> server_state::commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
}

POSTROAD_DECL server_counts server_state::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

POSTROAD_DECL bool server_state::wait_for(std::size_t n, duration timeout) const {
    std::unique_lock lock(mutex_);
    return stored_.wait_for(lock, timeout, [&] { return counts_.messages >= n; });
}

POSTROAD_DECL void server_state::add(fault f) {
    const std::lock_guard lock(mutex_);
    faults_.push_back({.what = std::move(f)});
}

POSTROAD_DECL void server_state::clear_faults() {
    const std::lock_guard lock(mutex_);
    faults_.clear();
}

POSTROAD_DECL void server_state::clear() {
    const std::lock_guard lock(mutex_);
    messages_.clear();
    violations_.clear();
    commands_.clear();
    counts_ = {.connections = counts_.connections,
               .most_connections = counts_.connections,
               .connections_ever = counts_.connections_ever};
}

POSTROAD_DECL server_state::entry server_state::enter(const std::shared_ptr<server_state>& state) {
    const std::lock_guard lock(state->mutex_);
    auto& c = state->counts_;
    ++c.connections_ever;
    c.most_connections = std::max(c.most_connections, ++c.connections);
    auto leave = [state](const void*) {
        const std::lock_guard leaving(state->mutex_);
        --state->counts_.connections;
    };
    return {.handle = {static_cast<const void*>(nullptr), std::move(leave)},
            .number = c.connections_ever,
            .open = c.connections};
}

POSTROAD_DECL std::optional<fault> server_state::take(phase at, std::string_view argument, bool early) {
    const std::lock_guard lock(mutex_);
    const armed* due = nullptr;
    for (auto& f : faults_) {
        if (f.what.at != at || f.what.early != early || argument.find(f.what.match) == std::string_view::npos) continue;
        ++f.seen;
        if (!due && (f.what.nth == 0 || f.what.nth == f.seen)) due = &f;
    }
    return due ? std::optional(due->what) : std::nullopt;
}

POSTROAD_DECL bool server_state::store(stored message, std::uint64_t octets, std::string& why) {
    if (maildir_) {
        std::string text = "Return-Path: <" + message.reverse_path + ">\r\n";
        for (const auto& r : message.recipients) text += "Delivered-To: " + r + "\r\n";
        error_code ec;
        maildir_->write(text + message.content, ec);
        if (ec) {
            why = ec.message();
            return false;
        }
    }
    const std::lock_guard lock(mutex_);
    ++counts_.messages;
    counts_.octets += octets;
    if (options_.keep) messages_.push_back(std::move(message));
    stored_.notify_all();
    return true;
}

POSTROAD_DECL void server_state::violation(std::uint64_t connection, std::string text) {
    const std::lock_guard lock(mutex_);
    ++counts_.violations;
    if (violations_.size() < max_notes)
        violations_.push_back("connection " + std::to_string(connection) + ": " + std::move(text));
}

POSTROAD_DECL void server_state::command(std::string_view line) {
    const std::lock_guard lock(mutex_);
    ++counts_.commands;
    if (options_.keep && commands_.size() < max_notes) commands_.emplace_back(line);
}

POSTROAD_DECL void server_state::auth_attempt() {
    const std::lock_guard lock(mutex_);
    ++counts_.auth_attempts;
}

POSTROAD_DECL void server_state::handshake() {
    const std::lock_guard lock(mutex_);
    ++counts_.handshakes;
}

}  // namespace postroad::testing

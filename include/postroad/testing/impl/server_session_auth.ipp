#pragma once

#include <postroad/core/base64.hpp>
#include <postroad/testing/detail/text.hpp>
#include <postroad/testing/server_session.hpp>

#include <algorithm>

namespace postroad::testing {

POSTROAD_DECL std::string server_session::check_auth(std::string_view mechanism) {
    const auto& offered = options().mechanisms;
    if (!esmtp_) return refuse("503 5.5.1 say EHLO first", "AUTH before EHLO");
    if (options().users.empty()) return refuse("502 5.5.1 not offered", "AUTH is not offered");
    if (!auth_offered()) return refuse("538 5.7.11 encryption required", "credentials in the clear");
    if (!user_.empty()) return refuse("503 5.5.1 already authenticated", "AUTH after success");
    if (transaction_.open) return refuse("503 5.5.1 not now", "AUTH in a transaction");
    if (std::find(offered.begin(), offered.end(), mechanism) == offered.end())
        return refuse("504 5.5.4 mechanism not known", "AUTH with a mechanism that is not offered");
    return {};
}

POSTROAD_DECL void server_session::on_auth(std::string_view argument) {
    mechanism_ = detail::upper(detail::take_word(argument));
    login_name_.clear();
    state_->auth_attempt();
    const auto a = due(phase::auth, mechanism_);
    auto usual = check_auth(mechanism_);
    if (usual.empty() && a.effective()) {
        // RFC 4954 section 4: "=" is an initial response without octets
        if (!argument.empty()) {
            usual = auth_step(argument == "=" ? std::string_view() : argument);
        } else {
            mode_ = mode::auth;
            usual = mechanism_ == "LOGIN" ? "334 " + base64_encode("Username:") : "334 ";
        }
    }
    reply(a, usual);
    barrier("AUTH");
}

POSTROAD_DECL std::string server_session::auth_step(std::string_view response) {
    if (response == "*") return "501 5.7.0 cancelled";
    if (mechanism_.empty()) return "535 5.7.8 credentials not accepted";
    std::string octets;
    if (!base64_decode(response, octets)) return refuse("501 5.5.2 not base64", "an AUTH response is not base64");
    if (mechanism_ == "LOGIN") {
        if (!login_name_.empty()) return judge(login_name_, octets);
        login_name_ = octets;
        mode_ = mode::auth;
        return "334 " + base64_encode("Password:");
    }
    if (mechanism_ == "XOAUTH2") return judge_token("user=", octets);
    if (mechanism_ == "OAUTHBEARER") return judge_token("n,a=", octets);
    std::string_view rest = octets;
    if (std::count(rest.begin(), rest.end(), '\0') != 2)
        return refuse("501 5.5.2 malformed credentials", "an AUTH PLAIN response has not three fields");
    detail::take_word(rest, '\0');
    const auto name = detail::take_word(rest, '\0');
    return judge(name, rest);
}

POSTROAD_DECL std::string server_session::judge_token(std::string_view name_mark, std::string_view octets) {
    const auto head = detail::take_word(octets, '\x01');
    std::string_view token;
    while (!octets.empty()) {
        const auto field = detail::take_word(octets, '\x01');
        if (field.starts_with("auth=Bearer ")) token = field.substr(12);
    }
    if (head.starts_with(name_mark) && !token.empty()) {
        auto name = head.substr(name_mark.size());
        if (name.ends_with(',')) name.remove_suffix(1);
        if (auto verdict = judge(name, token); verdict.starts_with('2')) return verdict;
    }
    // RFC 7628 section 3.2.3: the reason comes as a challenge, and the next response is refused
    mechanism_.clear();
    mode_ = mode::auth;
    return "334 " + base64_encode(R"({"status":"invalid_token"})");
}

POSTROAD_DECL std::string server_session::judge(std::string_view name, std::string_view password) {
    const auto found = options().users.find(name);
    if (found == options().users.end() || found->second != password) return "535 5.7.8 credentials not accepted";
    user_ = name;
    return "235 2.7.0 welcome";
}

}  // namespace postroad::testing

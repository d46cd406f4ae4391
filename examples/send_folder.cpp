// Sends every message of a folder, and says what became of each: to a server, or to a sink of its own with STARTTLS,
// AUTH and a Maildir.
//
//   send_folder FOLDER [URL] [OPTION]...
//     --from ADDRESS    sender of all messages
//     --to ADDRESS      recipient of all messages; more than once
//     --ca FILE         certificates to trust
//     --oauth           the password in the URL is an OAuth 2.0 token
//     --envelope-id ID  asks for a report of each delivery (DSN), which comes to the sender with this ID
//     --maildir DIR     where the sink stores
//     --json            a line of JSON for each message
//
// The envelope comes from the header of each message, unless --from or --to name it; where the header has no usable
// addresses and none are named, demo@example.test stands in, and the table says so. Files are *.eml, or *.txt where
// the folder has no *.eml. Exit status: 0 if everything was accepted, 1 if not, 2 for a wrong call.

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

struct call {
    std::string folder;
    std::string url;
    std::string ca;
    std::string from;
    std::vector<std::string> to;
    std::string envelope_id;
    std::string maildir;
    bool oauth = false;
    bool json = false;
};

struct report {
    std::string file;
    std::string note;
    postroad::outcome outcome;
    postroad::error_code error;
};

call read_call(int argc, char** argv) {
    const auto usage = [] {
        std::fputs(
            "usage: send_folder FOLDER [URL] [--from ADDRESS] [--to ADDRESS]... [--ca FILE] [--oauth] "
            "[--envelope-id ID] [--maildir DIR] [--json]\n",
            stderr);
        std::exit(2);
    };
    call c;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--json" || word == "--oauth") {
            (word == "--json" ? c.json : c.oauth) = true;
            continue;
        }
        if (!word.starts_with("--")) {
            auto& place = c.folder.empty() ? c.folder : c.url;
            if (!place.empty()) usage();
            place = word;
            continue;
        }
        if (i + 1 == argc) usage();
        const std::string value = argv[++i];
        if (word == "--ca")
            c.ca = value;
        else if (word == "--from")
            c.from = value;
        else if (word == "--to")
            c.to.push_back(value);
        else if (word == "--envelope-id")
            c.envelope_id = value;
        else if (word == "--maildir")
            c.maildir = value;
        else
            usage();
    }
    if (c.folder.empty()) usage();
    return c;
}

std::vector<std::filesystem::path> messages_in(const std::filesystem::path& folder) {
    for (const auto* ending : {".eml", ".txt"}) {
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(folder))
            if (entry.is_regular_file() && entry.path().extension() == ending) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        if (!files.empty()) return files;
    }
    return {};
}

// The envelope of the call where it names one, else of the header, else one that delivers to ourselves.
postroad::mail_object read_message(const std::filesystem::path& file, const call& c, std::string& note) {
    postroad::eml_options named;
    if (!c.from.empty()) named.reverse_path = postroad::address(c.from);
    if (!c.to.empty()) named.recipients.emplace(c.to.begin(), c.to.end());
    try {
        return postroad::read_eml(file, named);
    } catch (const postroad::error& e) {
        const bool of_address = e.code() == postroad::errc::invalid_address || e.code() == postroad::errc::no_sender ||
                                e.code() == postroad::errc::no_recipients;
        if (!of_address || (named.reverse_path && named.recipients)) throw;
        note = "no usable addresses in the header: sent to demo@example.test";
        const postroad::address demo("demo@example.test");
        if (!named.reverse_path) named.reverse_path = demo;
        if (!named.recipients) named.recipients.emplace({demo});
        return postroad::read_eml(file, named);
    }
}

void ask_for_reports(postroad::envelope& e, const std::string& id) {
    e.options.envelope_id = id;
    e.options.returned = postroad::returned::headers;
    for (const auto& to : e.recipients)
        e.recipient_options.push_back({.notify = {.success = true, .failure = true}, .original_recipient = to.str()});
}

postroad::transport::smtp transport_of(const call& c, const std::string& url) {
    postroad::transport::smtp from_url{url};
    if (!c.oauth) return from_url;
    if (!from_url.other_options().empty())
        throw std::runtime_error("with --oauth, the URL's options of TLS and pooling would be lost");
    auto options = from_url.options();
    options.credentials.token = std::exchange(options.credentials.password, {});
    return postroad::transport::smtp{std::move(options)};
}

// UTF-8 stays as it is.
std::string json_string(std::string_view text) {
    std::string result = "\"";
    for (const char ch : text) {
        if (ch == '"' || ch == '\\') {
            result += '\\';
            result += ch;
        } else if (static_cast<unsigned char>(ch) < 0x20 || ch == 0x7f) {
            char code[8];
            std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(ch)));
            result += code;
        } else {
            result += ch;
        }
    }
    return result + '"';
}

std::string code_name(postroad::error_code ec) {
    return ec.category() == postroad::error_category()
               ? std::string(postroad::to_string(static_cast<postroad::errc>(ec.value())))
               : ec.message();
}

void print_json(const report& r) {
    std::string line = "{\"file\": " + json_string(r.file) + ", \"recipients\": [";
    for (const auto& to : r.outcome.recipients) {
        if (&to != r.outcome.recipients.data()) line += ", ";
        line += "{\"address\": " + json_string(to.address) +
                ", \"status\": " + json_string(postroad::to_string(to.status)) +
                ", \"code\": " + std::to_string(to.reply.code) + ", \"enhanced\": " +
                (to.reply.enhanced ? json_string(postroad::to_string(to.reply.enhanced)) : std::string("null")) +
                ", \"text\": " + json_string(to.reply.text) + "}";
    }
    line += "], \"attempts\": " + std::to_string(r.outcome.attempts) + ", \"error\": ";
    if (r.error)
        line += "{\"code\": " + json_string(code_name(r.error)) +
                ", \"text\": " + json_string(postroad::describe(r.error, r.outcome.details)) + "}";
    else
        line += "null";
    std::puts((line + "}").c_str());
}

// A line for each message, and one for each recipient who did not get it.
void print_row(const report& r) {
    const auto& to = r.outcome.recipients;
    const auto accepted =
        std::count_if(to.begin(), to.end(), [](const auto& each) { return each.status == postroad::status::accepted; });
    std::string what = std::to_string(accepted) + " of " + std::to_string(to.size()) + " accepted";
    if (r.error) what += "  " + postroad::describe(r.error, r.outcome.details);
    if (!r.note.empty()) what += "  (" + r.note + ")";
    if (!to.empty() && r.outcome.all_accepted()) what += "  " + postroad::to_string(to.back().reply);
    std::printf("%-28s %s\n", r.file.c_str(), what.c_str());
    for (const auto& each : to)
        if (each.status != postroad::status::accepted)
            std::printf("%-28s   %s %s  %s\n", "", each.address.c_str(),
                        std::string(postroad::to_string(each.status)).c_str(), postroad::to_string(each.reply).c_str());
}

void print_progress(std::size_t done, std::size_t all) {
    const auto bar = all == 0 ? 40 : done * 40 / all;
    std::fprintf(stderr, "\r[%s%s] %zu/%zu", std::string(bar, '#').c_str(), std::string(40 - bar, '.').c_str(), done,
                 all);
    if (done == all) std::fputc('\n', stderr);
}

template <class Mailer>
std::vector<report> send_all(Mailer& mail, const std::vector<std::filesystem::path>& files, const call& c) {
    std::vector<report> reports(files.size());
    std::vector<postroad::ticket> tickets(files.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
        auto& r = reports[i];
        r.file = files[i].filename().string();
        try {
            auto m = read_message(files[i], c, r.note);
            if (!c.envelope_id.empty()) ask_for_reports(m.envelope, c.envelope_id);
            tickets[i] = mail.submit(std::move(m));
        } catch (const postroad::error& e) {
            r.error = e.code();
            r.outcome.details = e.details();
        }
    }
    const bool bar = !c.json && isatty(STDERR_FILENO);
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (!reports[i].error) reports[i].outcome = tickets[i].wait(reports[i].error);
        if (bar) print_progress(i + 1, files.size());
    }
    mail.shutdown();
    return reports;
}

int run(const call& c) {
    const auto files = messages_in(c.folder);
    if (files.empty()) throw std::runtime_error("no *.eml or *.txt in " + c.folder);

    auto url = c.url;
    postroad::tls::settings trust{.ca_file = c.ca};
    std::optional<postroad::testing::sink> sink;
    std::string maildir;
    if (url.empty()) {
        maildir = c.maildir.empty()
                      ? (std::filesystem::temp_directory_path() / ("postroad-" + std::to_string(getpid()))).string()
                      : c.maildir;
        sink.emplace(postroad::testing::server_options{.security = postroad::security::starttls,
                                                       .users = {{"demo", "demo-password"}},
                                                       .require_auth = true,
                                                       .keep = false,
                                                       .maildir = maildir});
        url = sink->url("demo");
        trust = {.ca_pem = sink->ca_pem()};
    }

    // without --ca, what the URL says about TLS counts
    std::vector<report> reports;
    if (sink || !c.ca.empty()) {
        postroad::mailer mail{transport_of(c, url), postroad::tls::automatic{.options = trust}};
        reports = send_all(mail, files, c);
    } else {
        postroad::mailer mail{transport_of(c, url)};
        reports = send_all(mail, files, c);
    }

    std::size_t accepted = 0;
    for (const auto& r : reports) {
        if (c.json)
            print_json(r);
        else
            print_row(r);
        accepted += r.outcome.all_accepted();
    }
    if (!c.json) {
        std::printf("\n%zu of %zu messages accepted\n", accepted, reports.size());
        if (sink) std::printf("They lie in the Maildir %s\n", maildir.c_str());
    }
    return accepted == reports.size() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const auto c = read_call(argc, argv);
    try {
        return run(c);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "send_folder: %s\n", e.what());
        return 2;
    }
}

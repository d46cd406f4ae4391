// What TLS costs a client, in CPU and without sockets, beside plain OpenSSL:
//   tls [MIB] [HANDSHAKES]
//
// Each client talks in memory to one server, of mbedTLS; only the client's part is counted. Full handshakes verify a
// chain of two certificates with keys on P-256, resumed ones use a session of the first. A message is 2 KB in four
// writes, with a reply of 32 octets read behind each, as in lockstep.

#include <postroad/testing/certificates.hpp>
#include <postroad/tls/mbedtls_engine.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#ifdef WITH_OPENSSL
#include <postroad/tls/openssl_engine.hpp>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#endif

namespace {

using namespace postroad;
using server_engine = tls::mbedtls_engine;

constexpr const char* name = "mx.example.com";

double cpu() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

template <class Engine>
class ours {
public:
    using engine = Engine;
    ours(const std::string& ca, tls::resumption resume)
        : context_(std::make_shared<typename Engine::context_type>(tls::settings{.ca_pem = ca, .resume = resume})) {}
    std::unique_ptr<Engine> connect() const { return std::make_unique<Engine>(context_, endpoint{.name = name}); }

private:
    std::shared_ptr<const typename Engine::context_type> context_;
};

#ifdef WITH_OPENSSL
// The least that OpenSSL can do: it verifies by itself, and its buffers are read and written as they are.
class plain_openssl {
public:
    class engine {
    public:
        engine(SSL_CTX* context, SSL_SESSION* resumed) : ssl_(SSL_new(context)) {
            SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
            SSL_set_tlsext_host_name(ssl_, name);
            SSL_set1_host(ssl_, name);
            SSL_set_connect_state(ssl_);
            if (resumed) SSL_set_session(ssl_, resumed);
        }
        engine(const engine&) = delete;
        engine& operator=(const engine&) = delete;
        ~engine() {
            SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // else its session is no good
            SSL_free(ssl_);
        }
        SSL* get() const { return ssl_; }
        void received(std::string_view text) {
            BIO_write(SSL_get_rbio(ssl_), text.data(), static_cast<int>(text.size()));
        }
        std::string_view output() const {
            char* at = nullptr;
            const auto n = BIO_get_mem_data(SSL_get_wbio(ssl_), &at);
            return {at, static_cast<std::size_t>(n)};
        }
        void consumed(std::size_t) { (void)BIO_reset(SSL_get_wbio(ssl_)); }
        tls::progress handshake() {
            if (SSL_do_handshake(ssl_) == 1) return tls::progress::done;
            return output().empty() && SSL_get_error(ssl_, 0) == SSL_ERROR_SSL ? tls::progress::failed
                                                                               : tls::progress::want_input;
        }
        std::size_t write(std::string_view text) {
            return static_cast<std::size_t>(std::max(0, SSL_write(ssl_, text.data(), static_cast<int>(text.size()))));
        }
        tls::read_result read(char* to, std::size_t size) {
            const auto n = SSL_read(ssl_, to, static_cast<int>(size));
            if (n > 0) return {tls::read_state::data, static_cast<std::size_t>(n)};
            ERR_clear_error();
            return {};
        }

    private:
        SSL* ssl_;
    };

    plain_openssl(const std::string& ca, tls::resumption resume)
        : context_(SSL_CTX_new(TLS_client_method())), resume_(resume) {
        BIO* const pem = BIO_new_mem_buf(ca.data(), static_cast<int>(ca.size()));
        X509* const trusted = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), trusted);
        X509_free(trusted);
        BIO_free(pem);
        SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    }
    plain_openssl(const plain_openssl&) = delete;
    plain_openssl& operator=(const plain_openssl&) = delete;
    ~plain_openssl() {
        SSL_SESSION_free(session_);
        SSL_CTX_free(context_);
    }
    std::unique_ptr<engine> connect() { return std::make_unique<engine>(context_, session_); }
    void keep(const engine& of) {
        if (resume_ == tls::resumption::allowed && !session_) session_ = SSL_get1_session(of.get());
    }

private:
    SSL_CTX* context_;
    SSL_SESSION* session_ = nullptr;
    tls::resumption resume_;
};
#endif

// A client and the server, and what the client took of CPU.
template <class Engine>
class talk {
public:
    talk(std::unique_ptr<Engine> client, const std::shared_ptr<const tls::mbedtls_context>& server)
        : client_(std::move(client)), server_(server) {}

    Engine& client() { return *client_; }
    double taken() const { return taken_; }

    void shake() {
        auto c = tls::progress::want_input;
        auto s = tls::progress::want_input;
        timed([&] { c = client_->handshake(); });
        while (carry(s, c)) {
        }
        if (c != tls::progress::done || s != tls::progress::done) throw std::runtime_error("no handshake");
    }
    void send(std::string_view text) {
        while (!text.empty()) {
            std::size_t n = 0;
            timed([&] { n = client_->write(text); });
            text.remove_prefix(n);
            server_.received(client_->output());
            timed([&] { client_->consumed(client_->output().size()); });
            read_all(server_);
        }
    }
    void reply(std::string_view text) {
        if (server_.write(text) != text.size()) throw std::runtime_error("no room");
        timed([&] {
            client_->received(server_.output());
            read_all(*client_);
        });
        server_.consumed(server_.output().size());
    }

private:
    template <class Work>
    void timed(Work work) {
        const auto start = cpu();
        work();
        taken_ += cpu() - start;
    }
    template <class E>
    void read_all(E& from) {
        while (from.read(buffer_.data(), buffer_.size()).state == tls::read_state::data) {
        }
    }
    // Whether anything was left to carry.
    bool carry(tls::progress& s, tls::progress& c) {
        const bool any = !client_->output().empty() || !server_.output().empty();
        if (!client_->output().empty()) {
            server_.received(client_->output());
            timed([&] { client_->consumed(client_->output().size()); });
            s = server_.handshake();
        }
        if (!server_.output().empty()) {
            timed([&] {
                client_->received(server_.output());
                c = client_->handshake();
            });
            server_.consumed(server_.output().size());
        }
        return any;
    }

    std::unique_ptr<Engine> client_;
    server_engine server_;
    double taken_ = 0;
    std::vector<char> buffer_ = std::vector<char>(16384);
};

struct figures {
    double full = 1e9, resumed = 1e9, bulk = 1e9, message = 1e9;  // seconds, the best of some runs
};

struct sizes {
    std::size_t octets;
    std::size_t handshakes;
};

template <class Clients>
double handshakes(Clients& clients, const std::shared_ptr<const tls::mbedtls_context>& server, std::size_t n) {
    double taken = 0;
    for (auto left = n; left > 0; --left) {
        talk t(clients.connect(), server);
        t.shake();
        taken += t.taken();
    }
    return taken / static_cast<double>(n);
}

template <class Clients>
void measure(figures& best, const testing::authority& ca, const std::shared_ptr<const tls::mbedtls_context>& server,
             const sizes& s) {
    Clients fresh(ca.ca_pem, tls::resumption::never);
    best.full = std::min(best.full, handshakes(fresh, server, s.handshakes));

    Clients again(ca.ca_pem, tls::resumption::allowed);
    {
        talk first(again.connect(), server);
        first.shake();
        if constexpr (requires { again.keep(first.client()); }) again.keep(first.client());
    }
    best.resumed = std::min(best.resumed, handshakes(again, server, s.handshakes));

    talk t(fresh.connect(), server);
    t.shake();
    const std::string block(65536, 'x');
    auto before = t.taken();
    for (std::size_t sent = 0; sent < s.octets; sent += block.size()) t.send(block);
    best.bulk = std::min(best.bulk, (t.taken() - before) / static_cast<double>(s.octets));

    const std::string_view parts[] = {"MAIL FROM:<sender@example.com> SIZE=2048\r\n", "RCPT TO:<bob@example.com>\r\n",
                                      "DATA\r\n", std::string_view(block).substr(0, 2048)};
    const auto count = s.handshakes * 10;
    before = t.taken();
    for (std::size_t i = 0; i < count; ++i)
        for (const auto part : parts) {
            t.send(part);
            t.reply("250 2.0.0 taken, and queued as it\r\n");
        }
    best.message = std::min(best.message, (t.taken() - before) / static_cast<double>(count));
}

void print(const char* who, const figures& f) {
    std::printf("%-30s %7.0f us full %7.0f us resumed %7.0f MB/s %7.1f us a message\n", who, f.full * 1e6,
                f.resumed * 1e6, 1e-6 / f.bulk, f.message * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
    const sizes s{(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 64) << 20,
                  argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 100};
    const auto ca = testing::authority::create();
    const auto who = ca.issue({.names = {name}});
    tls::server_settings served;
    served.certificate_pem = who.certificate_pem;
    served.key_pem = who.key_pem;
    const auto server = tls::mbedtls_context::server(served);

    figures mbedtls;
    [[maybe_unused]] figures openssl, plain;
    // In turn, so that what else the machine does falls on all of them.
    for (int i = 0; i < 5; ++i) {
        measure<ours<tls::mbedtls_engine>>(mbedtls, ca, server, s);
#ifdef WITH_OPENSSL
        measure<ours<tls::openssl_engine>>(openssl, ca, server, s);
        measure<plain_openssl>(plain, ca, server, s);
#endif
    }
    print("postroad, mbedTLS", mbedtls);
#ifdef WITH_OPENSSL
    print("postroad, OpenSSL", openssl);
    print("OpenSSL by itself", plain);
#endif
}

/* tls.c - TLS 1.3 by OpenSSL over memory BIOs; see tls.h. Longer than its neighbours because with proto/crypto.c it
 * and tls_identity.c it is the only file that may include OpenSSL: contexts first, then sessions.
 *
 * Invariants:
 *   (1) Before a handshake ends OpenSSL is given at most TLS_HANDSHAKE_BYTES_MAX bytes, whatever lengths they promise.
 *   (2) A client session is never ready with a peer whose key is not pinned, resumed or not.
 *   (3) Between two calls the memory BIOs are empty but for a part of one record.
 *   (4) OpenSSL's error queue is empty when a call begins, so an error is this call's. */
#include "proto/channel/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "proto/channel/fifo.h"
#include "proto/channel/stranger.h"
#include "proto/crypto.h"
#include "proto/err.h"

/* The unit of input and output: one record's worth (RFC 8446 section 5.1). */
#define SLICE_BYTES (16 * 1024)
/* A memory BIO that grew beyond this is replaced when the session is idle. */
#define BIO_KEEP_BYTES 2048
/* How long a ticket is good for. Its key lives as long as the server's process. */
#define TICKET_SECONDS (7L * 24 * 3600)

static const unsigned char alpn_server[] = "\x0a" TLS_ALPN_NATIVE "\x08http/1.1";
static const unsigned char alpn_client[] = "\x0a" TLS_ALPN_NATIVE;

struct tls_context {
    SSL_CTX *ssl;
    bool server;
    uint8_t (*pins)[PIN_BYTES]; /* a server's own; or the keys a client trusts */
    uint32_t pin_count;
    buf ticket; /* client: the newest, as i2d_SSL_SESSION writes it */
};

struct tls_session {
    tls_context *context;
    SSL *ssl;
    uint8_t first[STRANGER_BYTES]; /* of the input, to tell what a stranger is */
    size_t first_count;
    size_t handshake_bytes; /* input given to OpenSSL before the handshake ended */
    size_t unread;          /* input given to OpenSSL that nothing came of yet */
    bool ready;
    bool ended;
    bool failed;
    bool untrusted;
};

static bool pin_of(X509 *certificate, uint8_t pin_out[PIN_BYTES]) {
    unsigned char *der = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (size <= 0)
        return false;
    crypto_sha256(span_of(der, (size_t)size), pin_out);
    OPENSSL_free(der);
    return true;
}

static bool pinned(const tls_context *context, X509 *certificate) {
    uint8_t pin[PIN_BYTES];
    if (!certificate || !pin_of(certificate, pin))
        return false;
    for (uint32_t i = 0; i < context->pin_count; i++)
        if (crypto_equal(span_of(pin, PIN_BYTES), span_of(context->pins[i], PIN_BYTES)))
            return true;
    return false;
}

/* Stands in for OpenSSL's whole chain verification: neither dates nor names nor issuers matter. */
static int verify_pin(X509_STORE_CTX *store, void *user) {
    const tls_context *context = user;
    if (pinned(context, X509_STORE_CTX_get0_cert(store))) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    tls_session *s = SSL_get_app_data(ssl);
    s->untrusted = true;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session) {
    tls_session *s = SSL_get_app_data(ssl);
    buf *ticket = &s->context->ticket;
    int size = i2d_SSL_SESSION(session, NULL);
    if (size <= 0 || !SSL_SESSION_is_resumable(session))
        return 0;
    buf_clear(ticket);
    if (!buf_reserve(ticket, (size_t)size))
        return 0;
    unsigned char *to = ticket->data;
    ticket->size = (size_t)i2d_SSL_SESSION(session, &to);
    return 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size, const unsigned char *offered,
                       unsigned int offered_size, void *user) {
    (void)ssl;
    (void)user;
    int result = SSL_select_next_proto((unsigned char **)(uintptr_t)chosen, chosen_size, alpn_server,
                                       sizeof alpn_server - 1, offered, offered_size);
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static tls_context *new_context(bool server, uint32_t pin_count) {
    tls_context *context = calloc(1, sizeof *context);
    if (!context)
        return NULL;
    context->server = server;
    context->pin_count = pin_count;
    context->pins = calloc(pin_count ? pin_count : 1, PIN_BYTES);
    context->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!context->pins || !context->ssl || !SSL_CTX_set_min_proto_version(context->ssl, TLS1_3_VERSION)) {
        tls_context_free(context);
        return NULL;
    }
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

void tls_context_free(tls_context *context) {
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    free(context->pins);
    buf_fini(&context->ticket);
    free(context);
}

/* A key that needs a passphrase is refused rather than asked about on a terminal. */
static int no_passphrase(char *to, int size, int writing, void *user) {
    (void)to;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

static lp_err use_key(SSL_CTX *ssl, span pem, lp_error *error) {
    lp_err err = LP_OK;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    if (!key || SSL_CTX_use_PrivateKey(ssl, key) != 1)
        err =
            err_set(error, LP_CORRUPT, "the server's private key cannot be read; it must be PEM without a passphrase");
    EVP_PKEY_free(key);
    BIO_free(bio);
    return err;
}

/* The leaf, then any certificates that lead from it to an authority browsers know. */
static lp_err use_certificate(tls_context *context, span pem, lp_error *error) {
    lp_err err = LP_OK;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    if (!leaf || SSL_CTX_use_certificate(context->ssl, leaf) != 1 || !pin_of(leaf, context->pins[0])) {
        err = err_set(error, LP_CORRUPT, "the server's certificate cannot be read; it must be PEM");
        goto out;
    }
    for (X509 *next; (next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL;)
        if (SSL_CTX_add0_chain_cert(context->ssl, next) != 1)
            X509_free(next);
out:
    X509_free(leaf);
    BIO_free(bio);
    return err;
}

lp_err tls_context_server(span key_pem, span certificate_pem, tls_context **context_out, lp_error *error) {
    ERR_clear_error();
    *context_out = NULL;
    tls_context *context = new_context(true, 1);
    if (!context)
        return err_plain(error, LP_NOMEM);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF); /* tickets carry all state */
    SSL_CTX_set_num_tickets(context->ssl, 1);
    SSL_CTX_set_timeout(context->ssl, TICKET_SECONDS);
    SSL_CTX_set_alpn_select_cb(context->ssl, choose_alpn, NULL);
    lp_err err = use_key(context->ssl, key_pem, error);
    if (!err)
        err = use_certificate(context, certificate_pem, error);
    if (!err && SSL_CTX_check_private_key(context->ssl) != 1)
        err = err_set(error, LP_CORRUPT,
                      "the server's private key is not of its certificate; restore both from one backup");
    ERR_clear_error();
    if (err) {
        tls_context_free(context);
        return err;
    }
    *context_out = context;
    return LP_OK;
}

void tls_context_pin(const tls_context *context, uint8_t pin_out[PIN_BYTES]) {
    memcpy(pin_out, context->pins[0], PIN_BYTES);
}

/* A session to resume, NULL if the ticket cannot be read or is of a server that is not trusted (any more). */
static SSL_SESSION *read_ticket(const tls_context *context, span ticket) {
    const unsigned char *at = ticket.data;
    SSL_SESSION *session = ticket.size ? d2i_SSL_SESSION(NULL, &at, (long)ticket.size) : NULL;
    if (session && pinned(context, SSL_SESSION_get0_peer(session)))
        return session;
    SSL_SESSION_free(session);
    ERR_clear_error();
    return NULL;
}

lp_err tls_context_client(const uint8_t (*pins)[PIN_BYTES], uint32_t count, span ticket, tls_context **context_out,
                          lp_error *error) {
    ERR_clear_error();
    *context_out = NULL;
    tls_context *context = new_context(false, count);
    if (!context || SSL_CTX_set_alpn_protos(context->ssl, alpn_client, sizeof alpn_client - 1) != 0) {
        tls_context_free(context);
        return err_plain(error, LP_NOMEM);
    }
    if (count > 0)
        memcpy(context->pins, pins, (size_t)count * PIN_BYTES);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, verify_pin, context);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ssl, keep_ticket);
    SSL_SESSION *session = read_ticket(context, ticket);
    if (session)
        buf_append_span(&context->ticket, ticket);
    SSL_SESSION_free(session);
    *context_out = context;
    return LP_OK;
}

void tls_context_ticket(tls_context *context, buf *out) {
    buf_append_span(out, buf_span(&context->ticket));
}

/* A memory BIO whose end means "no more yet". */
static BIO *new_bio(void) {
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        BIO_set_mem_eof_return(bio, -1);
    return bio;
}

static bool set_bios(SSL *ssl) {
    BIO *in = new_bio();
    BIO *out = new_bio();
    if (in && out) {
        SSL_set_bio(ssl, in, out);
        return true;
    }
    BIO_free(in);
    BIO_free(out);
    return false;
}

/* Moves what OpenSSL wrote to `network_out`. */
static void drain(tls_session *s, buf *network_out) {
    char *data;
    BIO *bio = SSL_get_wbio(s->ssl);
    long size = BIO_get_mem_data(bio, &data);
    if (size <= 0)
        return;
    buf_append(network_out, data, (size_t)size);
    BIO_reset(bio);
}

static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unknown reason";
}

static span first_bytes(const tls_session *s) {
    return span_of(s->first, s->first_count);
}

static lp_err fail(tls_session *s, lp_error *error) {
    s->failed = true;
    if (s->untrusted)
        return err_set(error, LP_UNTRUSTED,
                       "the server's key is not the one in the invitation; another server or a captive portal is "
                       "answering, or the server was set up anew: ask for a new invitation");
    if (s->ready)
        return err_set(error, LP_PROTOCOL, "the TLS connection is damaged (%s)", openssl_reason());
    if (s->first_count > 0 && !stranger_speaks_tls(first_bytes(s)))
        return stranger_describe(first_bytes(s), s->context->server, error);
    if (s->context->server)
        return err_set(error, LP_PROTOCOL, "the peer's TLS handshake failed (%s)", openssl_reason());
    return err_set(error, LP_PROTOCOL, "the server at this address is not leadpool (TLS: %s)", openssl_reason());
}

static void resume(tls_session *s) {
    SSL_SESSION *session = read_ticket(s->context, buf_span(&s->context->ticket));
    if (session)
        SSL_set_session(s->ssl, session);
    SSL_SESSION_free(session);
}

lp_err tls_session_new(tls_context *context, buf *network_out, tls_session **session_out, lp_error *error) {
    ERR_clear_error();
    *session_out = NULL;
    tls_session *s = calloc(1, sizeof *s);
    if (!s)
        return err_plain(error, LP_NOMEM);
    s->context = context;
    s->ssl = SSL_new(context->ssl);
    if (!s->ssl || !set_bios(s->ssl) || !SSL_set_app_data(s->ssl, s)) {
        tls_session_free(s);
        return err_plain(error, LP_NOMEM);
    }
    *session_out = s;
    if (context->server) {
        SSL_set_accept_state(s->ssl);
        return LP_OK;
    }
    SSL_set_connect_state(s->ssl);
    resume(s);
    SSL_do_handshake(s->ssl);
    drain(s, network_out);
    return LP_OK;
}

void tls_session_free(tls_session *s) {
    if (!s)
        return;
    SSL_free(s->ssl);
    free(s);
}

static lp_err go_on_with_handshake(tls_session *s, size_t count, lp_error *error) {
    s->handshake_bytes += count;
    int done = SSL_do_handshake(s->ssl);
    if (done != 1 && SSL_get_error(s->ssl, done) != SSL_ERROR_WANT_READ)
        return fail(s, error);
    if (done != 1 && s->handshake_bytes == TLS_HANDSHAKE_BYTES_MAX) {
        s->failed = true;
        return err_set(error, LP_PROTOCOL, "the peer's TLS handshake is longer than %d bytes", TLS_HANDSHAKE_BYTES_MAX);
    }
    if (done != 1)
        return LP_OK;
    s->untrusted = !s->context->server && !pinned(s->context, SSL_get0_peer_certificate(s->ssl));
    if (s->untrusted)
        return fail(s, error);
    s->ready = true;
    s->unread = BIO_ctrl_pending(SSL_get_rbio(s->ssl));
    return LP_OK;
}

/* What is decrypted is never longer than what it is decrypted from. */
static size_t plain_room(const tls_session *s) {
    return s->unread == 0 ? 1 : s->unread < SLICE_BYTES ? s->unread : SLICE_BYTES;
}

static lp_err decrypt(tls_session *s, buf *plain_out, lp_error *error) {
    for (;;) {
        size_t room = plain_room(s);
        size_t got;
        if (!buf_reserve(plain_out, room))
            return err_plain(error, LP_NOMEM);
        int done = SSL_read_ex(s->ssl, plain_out->data + plain_out->size, room, &got);
        if (done == 1) {
            plain_out->size += got;
            s->unread = BIO_ctrl_pending(SSL_get_rbio(s->ssl)) + (size_t)SSL_pending(s->ssl);
            continue;
        }
        int why = SSL_get_error(s->ssl, done);
        s->ended = why == SSL_ERROR_ZERO_RETURN;
        return s->ended || why == SSL_ERROR_WANT_READ ? LP_OK : fail(s, error);
    }
}

static void note_first(tls_session *s, span network) {
    for (size_t i = 0; i < network.size && s->first_count < sizeof s->first; i++)
        s->first[s->first_count++] = network.data[i];
}

static lp_err take_slice(tls_session *s, span slice, buf *plain_out, lp_error *error) {
    s->unread += slice.size;
    if (BIO_write(SSL_get_rbio(s->ssl), slice.data, (int)slice.size) != (int)slice.size)
        return err_plain(error, LP_NOMEM);
    lp_err err = s->ready ? LP_OK : go_on_with_handshake(s, slice.size, error);
    return err || !s->ready ? err : decrypt(s, plain_out, error);
}

lp_err tls_session_receive(tls_session *s, span network, buf *plain_out, buf *network_out, lp_error *error) {
    ERR_clear_error();
    note_first(s, network);
    lp_err err = LP_OK;
    while (!err && network.size > 0 && !s->ended && !s->failed) {
        size_t most = s->ready ? SLICE_BYTES : TLS_HANDSHAKE_BYTES_MAX - s->handshake_bytes;
        span slice = span_of(network.data, network.size < most ? network.size : most);
        network = span_of(network.data + slice.size, network.size - slice.size);
        err = take_slice(s, slice, plain_out, error);
        drain(s, network_out);
    }
    ERR_clear_error();
    return err;
}

lp_err tls_session_send(tls_session *s, span plain, buf *network_out, lp_error *error) {
    ERR_clear_error();
    if (!s->ready || s->failed)
        return err_plain(error, LP_CLOSED);
    while (plain.size > 0) {
        size_t most = plain.size < SLICE_BYTES ? plain.size : SLICE_BYTES;
        size_t written;
        if (SSL_write_ex(s->ssl, plain.data, most, &written) != 1)
            return err_set(error, LP_CLOSED, "the TLS connection takes no more (%s)", openssl_reason());
        drain(s, network_out);
        plain = span_of(plain.data + written, plain.size - written);
    }
    return network_out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

void tls_session_close(tls_session *s, buf *network_out) {
    ERR_clear_error();
    if (!s->ready || s->failed)
        return;
    SSL_shutdown(s->ssl);
    drain(s, network_out);
}

bool tls_session_ready(const tls_session *s) {
    return s->ready;
}

bool tls_session_begun(const tls_session *s) {
    return s->first_count > 0;
}

bool tls_session_ended(const tls_session *s) {
    return s->ended;
}

bool tls_session_native(const tls_session *s) {
    const unsigned char *chosen;
    unsigned int size;
    SSL_get0_alpn_selected(s->ssl, &chosen, &size);
    return span_equal(span_of(chosen, size), span_text(TLS_ALPN_NATIVE));
}

bool tls_session_resumed(const tls_session *s) {
    return SSL_session_reused(s->ssl) == 1;
}

lp_err tls_session_binding(tls_session *s, uint8_t binding_out[TLS_BINDING_BYTES], lp_error *error) {
    static const char label[] = "EXPORTER-Channel-Binding";
    if (SSL_export_keying_material(s->ssl, binding_out, TLS_BINDING_BYTES, label, sizeof label - 1, NULL, 0, 0) != 1)
        return err_plain(error, LP_NOMEM);
    return LP_OK;
}

size_t tls_session_held_bytes(const tls_session *s) {
    return s->ready ? s->unread : s->handshake_bytes;
}

void tls_session_trim(tls_session *s) {
    BUF_MEM *in, *out;
    BIO_get_mem_ptr(SSL_get_rbio(s->ssl), &in);
    BIO_get_mem_ptr(SSL_get_wbio(s->ssl), &out);
    if (s->ready && in->length + out->length == 0 && in->max + out->max > BIO_KEEP_BYTES)
        set_bios(s->ssl);
}

lp_err tls_websocket_accept(const char *key, char accept_out[TLS_WEBSOCKET_ACCEPT_BYTES], lp_error *error) {
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char hash[EVP_MAX_MD_SIZE];
    buf text = {0};
    buf_append_span(&text, span_text(key));
    buf_append_span(&text, span_text(suffix));
    bool good = !text.failed && EVP_Digest(text.data, text.size, hash, NULL, EVP_sha1(), NULL) == 1;
    buf_fini(&text);
    if (!good)
        return err_plain(error, LP_NOMEM);
    EVP_EncodeBlock((unsigned char *)accept_out, hash, 20);
    return LP_OK;
}

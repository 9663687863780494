/* contact.c - the server's address and identity in meta; see contact.h. */
#include "client/replica/contact.h"

#include <string.h>

#include "proto/err.h"

static lp_err read_bytes(replica *r, const char *key, buf *value_out, lp_error *error) {
    lp_err rc = replica_meta(r, key, value_out, error);
    return rc == LP_NOT_FOUND ? LP_OK : rc;
}

static lp_err take_host(span host, contact *c, lp_error *error) {
    if (host.size == 0)
        return err_set(error, LP_NOT_FOUND, "this replica has not joined a pool; join with an invitation first");
    if (host.size >= sizeof c->host || memchr(host.data, '\0', host.size))
        return err_set(error, LP_CORRUPT, "the server's host in the replica is damaged; join again");
    memcpy(c->host, host.data, host.size);
    return LP_OK;
}

static lp_err take_pin(span pin, contact *c, lp_error *error) {
    if (!c->plain && pin.size != sizeof c->pin)
        return err_set(error, LP_CORRUPT, "the server's pin in the replica is damaged; join again");
    if (pin.size == sizeof c->pin)
        memcpy(c->pin, pin.data, sizeof c->pin);
    return LP_OK;
}

lp_err contact_load(replica *r, contact *contact_out, lp_error *error) {
    contact c = {0};
    buf host = {0}, pin = {0};
    c.plain = replica_meta_int(r, "server.plain", 0) == 1;
    int64_t port = replica_meta_int(r, "server.port", 0);
    lp_err rc = read_bytes(r, "server.host", &host, error);
    if (rc == LP_OK)
        rc = read_bytes(r, "server.pin", &pin, error);
    if (rc == LP_OK && (host.failed || pin.failed))
        rc = err_plain(error, LP_NOMEM);
    if (rc == LP_OK)
        rc = take_host(buf_span(&host), &c, error);
    if (rc == LP_OK)
        rc = take_pin(buf_span(&pin), &c, error);
    if (rc == LP_OK && (port < 1 || port > UINT16_MAX))
        rc = err_set(error, LP_CORRUPT, "the server's port in the replica is damaged; join again");
    buf_fini(&host);
    buf_fini(&pin);
    if (rc != LP_OK)
        return rc;
    c.port = (uint16_t)port;
    *contact_out = c;
    return LP_OK;
}

static lp_err put_all(replica *r, const contact *c, lp_error *error) {
    buf pin = {0};
    lp_err rc = read_bytes(r, "server.pin", &pin, error);
    bool same = span_equal(buf_span(&pin), span_of(c->pin, sizeof c->pin));
    buf_fini(&pin);
    if (rc == LP_OK && !same)
        rc = replica_meta_put(r, "server.ticket", SPAN_LITERAL(""), error);
    if (rc == LP_OK)
        rc = replica_meta_put(r, "server.pin", span_of(c->pin, sizeof c->pin), error);
    if (rc == LP_OK)
        rc = replica_meta_put(r, "server.host", span_text(c->host), error);
    return rc == LP_OK ? replica_meta_put_int(r, "server.port", c->port, error) : rc;
}

lp_err contact_store(replica *r, const contact *c, lp_error *error) {
    lp_err rc = replica_begin(r, error);
    if (rc != LP_OK)
        return rc;
    rc = put_all(r, c, error);
    if (rc == LP_OK)
        return replica_commit(r, error);
    replica_rollback(r);
    return rc;
}

lp_err contact_tls(replica *r, const contact *c, tls_context **tls_out, lp_error *error) {
    buf ticket = {0};
    uint8_t pins[1][PIN_BYTES];
    memcpy(pins[0], c->pin, PIN_BYTES);
    lp_err rc = read_bytes(r, "server.ticket", &ticket, error);
    if (rc == LP_OK)
        rc = tls_context_client((const uint8_t(*)[PIN_BYTES])pins, 1, buf_span(&ticket), tls_out, error);
    buf_fini(&ticket);
    return rc;
}

static bool is_news(replica *r, span ticket) {
    buf stored = {0};
    bool known = replica_meta(r, "server.ticket", &stored, NULL) == LP_OK && span_equal(buf_span(&stored), ticket);
    buf_fini(&stored);
    return ticket.size > 0 && !known;
}

void contact_keep_ticket(replica *r, tls_context *tls) {
    buf ticket = {0};
    tls_context_ticket(tls, &ticket);
    if (!ticket.failed && is_news(r, buf_span(&ticket)) && replica_begin(r, NULL) == LP_OK) {
        if (replica_meta_put(r, "server.ticket", buf_span(&ticket), NULL) == LP_OK)
            replica_commit(r, NULL);
        else
            replica_rollback(r);
    }
    buf_fini(&ticket);
}

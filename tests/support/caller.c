/* caller.c - a device by hand; see served.h. */
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/message.h"
#include "proto/wire.h"
#include "server/os.h"
#include "tests/support/served.h"

#define STEP_MS 20000

int caller_dial(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool flush(caller *c) {
    for (span out = channel_output(c->channel); out.size > 0; out = channel_output(c->channel)) {
        ssize_t put = send(c->fd, out.data, out.size, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        channel_output_done(c->channel, (size_t)put);
    }
    return true;
}

/* Takes events until one of `wanted`. */
static bool await(caller *c, channel_event_kind wanted, channel_event *event) {
    for (;;) {
        channel_next(c->channel, event);
        if (event->kind == wanted)
            return flush(c);
        if (event->kind != CHANNEL_NOTHING)
            return false;
        uint8_t block[4096];
        struct pollfd readable = {.fd = c->fd, .events = POLLIN};
        if (!flush(c) || poll(&readable, 1, STEP_MS) != 1)
            return false;
        ssize_t got = recv(c->fd, block, sizeof block, 0);
        if (got < 0)
            return false;
        if (got == 0)
            channel_receive_end(c->channel);
        else
            channel_receive(c->channel, span_of(block, (size_t)got));
    }
}

bool caller_connect(caller *c, served *s) {
    channel_event event;
    if (!s->config.plaintext && !c->tls && tls_context_client(&s->pin, 1, span_of(NULL, 0), &c->tls, NULL) != LP_OK)
        return false;
    c->fd = caller_dial(net_port(s->net));
    if (c->fd < 0)
        return false;
    if (channel_new(&(channel_options){.tls = c->tls}, &c->channel, NULL) == LP_OK && await(c, CHANNEL_OPEN, &event) &&
        event.bytes.size <= sizeof c->binding) {
        c->binding_size = event.bytes.size;
        if (event.bytes.size)
            memcpy(c->binding, event.bytes.data, event.bytes.size);
        return true;
    }
    caller_disconnect(c);
    return false;
}

void caller_disconnect(caller *c) {
    channel_free(c->channel);
    c->channel = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void caller_free(caller *c) {
    if (c->channel)
        caller_disconnect(c);
    buf_fini(&c->answer);
    tls_context_free(c->tls);
    c->tls = NULL;
}

bool caller_send(caller *c, uint32_t id, span bytes) {
    return channel_send(c->channel, id, bytes, NULL) == LP_OK && flush(c);
}

bool caller_receive(caller *c, uint32_t *id_out, message *message_out) {
    channel_event event;
    if (!await(c, CHANNEL_MESSAGE, &event))
        return false;
    buf_clear(&c->answer);
    buf_append_span(&c->answer, event.bytes);
    *id_out = event.id;
    return message_decode(buf_span(&c->answer), message_out, NULL) == LP_OK;
}

bool caller_ask(caller *c, const message *request, message *answer_out) {
    buf bytes = {0};
    uint32_t id;
    bool ok = message_encode(request, &bytes, NULL) == LP_OK && caller_send(c, 0x80000001u, buf_span(&bytes)) &&
              caller_receive(c, &id, answer_out) && id == 0x80000001u;
    buf_fini(&bytes);
    return ok;
}

bool caller_join(caller *c, const uint8_t token[INVITE_TOKEN_BYTES], message *answer_out) {
    uint8_t key[CRYPTO_KEY_BYTES];
    const lp_env *env = server_os_env();
    env->random(env->ctx, c->seed, sizeof c->seed);
    env->random(env->ctx, c->install, sizeof c->install);
    if (crypto_public_key(c->seed, key, NULL) != LP_OK)
        return false;
    message join = {.number = MSG_JOIN,
                    .version = PROTOCOL_VERSION,
                    .token = span_of(token, INVITE_TOKEN_BYTES),
                    .public_key = span_of(key, sizeof key),
                    .install = span_of(c->install, sizeof c->install),
                    .label = span_text("test")};
    if (!caller_ask(c, &join, answer_out))
        return false;
    c->device = (uint32_t)answer_out->device;
    return true;
}

void caller_hello(caller *c, message *hello_out, uint8_t signature[CRYPTO_SIGNATURE_BYTES]) {
    const lp_env *env = server_os_env();
    buf bytes = {0};
    *hello_out = (message){.number = MSG_HELLO,
                           .version = PROTOCOL_VERSION,
                           .device = c->device,
                           .install = span_of(c->install, sizeof c->install),
                           .now_ms = env->wall_ms(env->ctx)};
    message_hello_signed(hello_out, span_of(c->binding, c->binding_size), &bytes);
    crypto_sign(c->seed, buf_span(&bytes), signature, NULL);
    hello_out->signature = span_of(signature, CRYPTO_SIGNATURE_BYTES);
    buf_fini(&bytes);
}

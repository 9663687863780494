/* auth.h - who may join and who is calling: invitations, devices, staff. All of it are documents in the store. */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "proto/invite.h"
#include "proto/message.h"
#include "server/pool/pool.h"

#define INVITE_LIFETIME_MS (INT64_C(7) * 24 * 3600 * 1000)
#define ROLE_BYTES 33
#define STAFF_NAME_BYTES 121

#define DEVICE_FORMER_MAX 32

typedef struct device {
    uint32_t number;
    lp_id staff;
    char role[ROLE_BYTES];
    char staff_name[STAFF_NAME_BYTES];
    char label[STAFF_NAME_BYTES];
    uint8_t public_key[32];
    uint8_t install[16];
    uint64_t batch; /**< highest batch number applied */
    int64_t
        revoked_ms; /**< when it was revoked, UTC ms; 0: it is not. Its pulls are refused, its pushes go to review for a while */
    uint32_t former
        [DEVICE_FORMER_MAX]; /**< numbers the device had before, latest first; its unsent changes may carry them */
    uint32_t former_count;
    bool
        shared; /**< a copy of it goes on under another number, or may under this one, and brings changes with stamps of it: nothing is taken for known */
    bool returned;  /**< not stored: when this session began it had sent something in another */
    uint64_t fence; /**< no batch up to this number is applied any more: the device gave what was in them new numbers */
} device;

/** Makes a one-time invitation for a person (made known to the pool if new). In a writer's transaction. `token_out` leaves the server
 *  only inside the invitation; the store keeps its hash. Errors: LP_INVALID name or role, those of the store. */
lp_err auth_invite(pool *p, const char *staff_name, const char *role, uint8_t token_out[INVITE_TOKEN_BYTES],
                   int64_t *expires_ms_out, lp_error *error);

/** Uses an invitation, in a writer's transaction. Again with the same token and key: the same device.
 *  Errors: LP_REFUSED unknown or used, LP_EXPIRED. */
lp_err auth_join(pool *p, const message *join, device *device_out, lp_error *error);

/** Reads a device; LP_NOT_FOUND. */
lp_err auth_device(store_reader *reader, uint32_t number, device *device_out, lp_error *error);
lp_err auth_device_load(pool *p, uint32_t number, device *device_out, lp_error *error); /**< the writer's view */
lp_err auth_device_save(pool *p, const device *d, lp_error *error);

/** What a revoked device is told: the rep reads it. */
#define REVOKED_REASON                                                                                                 \
    "this device was revoked; what it still sends within the days of grace goes to the office for review. "            \
    "Ask the office, then run leadpool wipe"
/** Revokes a device, in a writer's transaction: its document, and for everybody to see its record. */
lp_err auth_revoke(pool *p, device *d, int64_t at_ms, lp_error *error);
/** LP_REVOKED with a sentence for the rep if it is. */
lp_err auth_revoked(const device *d, lp_error *error);
/** Called for each device, in order of number, in a writer's transaction; it must not call the store. False ends the walk. */
typedef bool (*auth_device_fn)(void *ctx, const device *d);
lp_err auth_each_device(pool *p, auth_device_fn each, void *ctx, lp_error *error);
/** True if a stamp of `author` is the device's own. */
bool auth_wrote(const device *d, uint32_t author);
/** Gives the device `d` (all but its number) the next number, stores it, and makes it known. In a transaction. */
lp_err auth_add_device(pool *p, device *d, lp_error *error);
/** The same with the number it has: one this pool has forgotten. */
lp_err auth_restore_device(pool *p, const device *d, lp_error *error);
/** A document of the invitations' kind: which device a key has become. LP_NOT_FOUND. In a transaction. */
lp_err auth_used(pool *p, span key, span public_key, device *device_out, lp_error *error);
lp_err auth_note_used(pool *p, span key, const device *d, lp_error *error);

/** Takes `count` device numbers out of use. In a transaction. */
lp_err auth_skip_numbers(pool *p, uint32_t count, lp_error *error);

/** Checks a hello's signature against the device. Errors: LP_REFUSED. */
lp_err auth_hello(const device *d, const message *hello, span binding, lp_error *error);

#endif

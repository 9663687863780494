/* auth.h - who may join and who is calling: invitations, devices, staff. All of it are documents in the store. */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "proto/invite.h"
#include "proto/message.h"
#include "server/pool.h"

#define INVITE_LIFETIME_MS (INT64_C(7) * 24 * 3600 * 1000)
#define ROLE_BYTES 33
#define STAFF_NAME_BYTES 121

typedef struct device {
    uint32_t number;
    lp_id staff;
    char role[ROLE_BYTES];
    char staff_name[STAFF_NAME_BYTES];
    char label[STAFF_NAME_BYTES];
    uint8_t public_key[32];
    uint8_t install[16];
    uint64_t batch; /**< highest batch number applied */
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

/** Checks a hello's signature against the device. Errors: LP_REFUSED. */
lp_err auth_hello(const device *d, const message *hello, span binding, lp_error *error);

#endif

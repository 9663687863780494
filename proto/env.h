/* env.h - what the pure layers need from the world and may not fetch themselves: time, randomness, a lock.
 *
 * Production hands in client/os.c or server/os.c, the simulator hands in its own. Nothing in proto/, and nothing in the
 * cores of client/ and server/, calls the operating system for any of these. */
#ifndef PROTO_ENV_H
#define PROTO_ENV_H

#include <stddef.h>
#include <stdint.h>

typedef struct lp_env {
    void *ctx;
    /** Wall clock, UTC ms since 1970. May be wrong and may jump. */
    int64_t (*wall_ms)(void *ctx);
    /** Time since boot in ms, suspend included (CLOCK_BOOTTIME). Never jumps while boot_id stays. */
    int64_t (*boot_ms)(void *ctx);
    /** Fills `bytes` with cryptographically strong random bytes. Never fails: an OS that cannot is a programmer's error. */
    void (*random)(void *ctx, void *bytes, size_t size);
    /** 16 bytes that change with every boot. */
    void (*boot_id)(void *ctx, uint8_t id_out[16]);
} lp_env;

#endif

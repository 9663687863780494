/* test_os.c - the client's environment: clocks and randomness answer, and the lock excludes whoever it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/os.h"

#define GENEROUS_MS 20000

typedef struct place {
    char folder[64];
    char path[96];
    char lock_path[112];
} place;

static int setup(void **state) {
    place *p = calloc(1, sizeof *p);
    snprintf(p->folder, sizeof p->folder, "/tmp/leadpool-os-XXXXXX");
    if (!mkdtemp(p->folder))
        return -1;
    snprintf(p->path, sizeof p->path, "%s/replica", p->folder);
    snprintf(p->lock_path, sizeof p->lock_path, "%s.lock", p->path);
    *state = p;
    return 0;
}

static int teardown(void **state) {
    place *p = *state;
    unlink(p->lock_path);
    rmdir(p->folder);
    free(p);
    return 0;
}

static replica_lock *open_lock(const place *p, int32_t wait_ms) {
    replica_lock *lock = NULL;
    lp_error error;
    assert_int_equal(os_lock_open(p->path, wait_ms, &lock, &error), LP_OK);
    return lock;
}

static void clocks_are_plausible_and_do_not_run_backwards(void **state) {
    (void)state;
    const lp_env *env = os_env();
    assert_true(env->wall_ms(env->ctx) > INT64_C(1577836800000)); /* 2020 */
    int64_t boot = env->boot_ms(env->ctx), steady = os_steady_ms();
    assert_true(boot > 0);
    for (int i = 0; i < 1000; i++) {
        int64_t boot_later = env->boot_ms(env->ctx), steady_later = os_steady_ms();
        assert_true(boot_later >= boot && steady_later >= steady);
        boot = boot_later;
        steady = steady_later;
    }
}

static void the_boot_id_is_the_same_every_time(void **state) {
    (void)state;
    const lp_env *env = os_env();
    static const uint8_t zero[16];
    uint8_t first[16] = {0}, second[16] = {0};
    env->boot_id(env->ctx, first);
    env->boot_id(env->ctx, second);
    assert_memory_equal(first, second, 16);
    assert_memory_not_equal(first, zero, 16);
}

static void random_bytes_fill_the_whole_of_a_large_buffer(void **state) {
    (void)state;
    const lp_env *env = os_env();
    static uint8_t bytes[100000];
    static const uint8_t zero[16];
    env->random(env->ctx, bytes, sizeof bytes);
    for (size_t i = 0; i + 16 <= sizeof bytes; i += 16)
        assert_memory_not_equal(bytes + i, zero, 16);
}

static void a_second_handle_of_the_same_process_waits_in_vain(void **state) {
    replica_lock *a = open_lock(*state, 0), *b = open_lock(*state, 30);
    lp_error error = {0};
    assert_int_equal(a->acquire(a->ctx, &error), LP_OK);
    assert_int_equal(b->acquire(b->ctx, &error), LP_BUSY);
    assert_non_null(strstr(error.message, "try again"));
    a->release(a->ctx);
    assert_int_equal(b->acquire(b->ctx, &error), LP_OK);
    b->release(b->ctx);
    os_lock_close(a);
    os_lock_close(b);
}

static void closing_a_handle_releases_its_lock_and_no_other(void **state) {
    replica_lock *a = open_lock(*state, 0), *b = open_lock(*state, 0), *c = open_lock(*state, 0);
    assert_int_equal(a->acquire(a->ctx, NULL), LP_OK);
    os_lock_close(c); /* a classic POSIX lock would be gone now */
    assert_int_equal(b->acquire(b->ctx, NULL), LP_BUSY);
    os_lock_close(a);
    assert_int_equal(b->acquire(b->ctx, NULL), LP_OK);
    os_lock_close(b);
}

typedef struct worker {
    const place *place;
    int *counter;
} worker;

static void *count_under_the_lock(void *ctx) {
    worker *w = ctx;
    replica_lock *lock = NULL;
    if (os_lock_open(w->place->path, GENEROUS_MS, &lock, NULL) != LP_OK)
        return "open";
    const char *failure = NULL;
    for (int i = 0; i < 50 && !failure; i++) {
        if (lock->acquire(lock->ctx, NULL) != LP_OK) {
            failure = "acquire";
            break;
        }
        int fd = open(w->place->path, O_RDWR | O_CREAT, 0600);
        int value = 0;
        if (read(fd, &value, sizeof value) < 0)
            failure = "read";
        value++;
        if (pwrite(fd, &value, sizeof value, 0) != (ssize_t)sizeof value)
            failure = "write";
        close(fd);
        lock->release(lock->ctx);
    }
    os_lock_close(lock);
    return (void *)failure;
}

static void threads_and_processes_take_turns(void **state) {
    place *p = *state;
    worker w = {.place = p};
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(count_under_the_lock(&w) ? 1 : 0);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_under_the_lock, &w), 0);
    for (int i = 0; i < 2; i++) {
        void *failure = NULL;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    int fd = open(p->path, O_RDONLY), value = 0;
    assert_int_equal(read(fd, &value, sizeof value), sizeof value);
    close(fd);
    unlink(p->path);
    assert_int_equal(value, 150);
}

static void a_lock_dies_with_its_process(void **state) {
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        replica_lock *lock = NULL;
        if (os_lock_open(((place *)*state)->path, 0, &lock, NULL) != LP_OK || lock->acquire(lock->ctx, NULL) != LP_OK)
            _exit(1);
        if (write(pipe_fds[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    char byte;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    replica_lock *lock = open_lock(*state, 0);
    assert_int_equal(lock->acquire(lock->ctx, NULL), LP_BUSY);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(lock->acquire(lock->ctx, NULL), LP_OK);
    os_lock_close(lock);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void a_lock_in_a_folder_that_is_not_there_names_the_file(void **state) {
    (void)state;
    replica_lock *lock = NULL;
    lp_error error = {0};
    assert_int_equal(os_lock_open("/nowhere/at/all", 0, &lock, &error), LP_IO);
    assert_non_null(strstr(error.message, "/nowhere/at/all.lock"));
}

static void disk_space_and_host_name_answer(void **state) {
    place *p = *state;
    assert_true(os_disk_free(p->folder) > 0);
    assert_int_equal(os_disk_free("/nowhere/at/all"), 0);
    char name[65] = "", cut[2] = "xx";
    os_host_name(name, sizeof name);
    assert_true(strlen(name) > 0);
    os_host_name(cut, sizeof cut);
    assert_true(strlen(cut) <= 1);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(clocks_are_plausible_and_do_not_run_backwards),
        T(the_boot_id_is_the_same_every_time),
        T(random_bytes_fill_the_whole_of_a_large_buffer),
        T(a_second_handle_of_the_same_process_waits_in_vain),
        T(closing_a_handle_releases_its_lock_and_no_other),
        T(threads_and_processes_take_turns),
        T(a_lock_dies_with_its_process),
        T(a_lock_in_a_folder_that_is_not_there_names_the_file),
        T(disk_space_and_host_name_answer),
    };
    return cmocka_run_group_tests_name("os", tests, NULL, NULL);
}

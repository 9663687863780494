/* campaign.c - the program sim_campaign: plays schedules of many seeds on all cores, for as long as wanted; replays one; shrinks what fails.
 *
 *     sim_campaign [--seeds A-B] [--minutes M] [--store memory|sqlite] [--jobs N] [--json] [--require-all] [--twice] [--known FILE]
 *     sim_campaign --seed N [--trace] [--store ...]
 *
 * The last line is one JSON object. Exit status 1: a schedule failed, or (--require-all) something was never exercised.
 *
 * Each schedule runs in a process of its own, forked from one in which the pool is made and everybody has joined: that is both the
 * template image and the wall that keeps a crash in one schedule from the others. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/keys.h"
#include "tests/sim/schedule.h"

#define JOBS_MAX 64
#define FAILURES_MAX 50
#define CPU_SECONDS_MAX 60 /* of one schedule; it takes some milliseconds */

typedef struct failure {
    uint64_t seed;
    char what[400];
} failure;

/* What all processes share. */
typedef struct board {
    atomic_uint_least64_t next;
    atomic_uint_least64_t schedules;
    atomic_uint violations, known;
    atomic_bool stop;
    failure failures[FAILURES_MAX];
    struct {
        outcome outcome;
        world_counts counts;
    } of[JOBS_MAX];
} board;

typedef struct options {
    const store_ops *engine;
    uint64_t first, last;
    double minutes; /* 0: as many as there are seeds */
    uint32_t jobs;
    bool json, require_all, twice, replay, trace;
    const char *known; /* violations that are known and not mended yet; NULL: none */
} options;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *share(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

/* Ends a forked process: nothing of its parent's is flushed or freed twice. What it has run counts all the same where that is measured. */
static void leave(void) {
    extern void __gcov_dump(void) __attribute__((weak));
    if (__gcov_dump)
        __gcov_dump();
    _exit(0);
}

/* ---- one schedule ---- */

/* Prepared worlds, by number of devices and people, and who of them are reps; they are never touched, only copied by fork. */
static world *template_of(const schedule *s, world_counts *counts) {
    static world *made[WORLD_DEVICES_MAX + 1][3][8];
    world **w = &made[s->devices][s->people][s->reps];
    if (!*w)
        *w = schedule_prepare(s);
    (*w)->counts = counts;
    return *w;
}

/* In a process of its own. */
static void attempt(const schedule *s, outcome *result, world_counts *counts) {
    world *w = template_of(s, counts);
    result->done = false;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {CPU_SECONDS_MAX, CPU_SECONDS_MAX};
        setrlimit(RLIMIT_CPU, &limit);
        schedule_play(s, w, result);
        leave();
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (result->done)
        return;
    result->failed = true;
    if (child < 0)
        snprintf(result->what, sizeof result->what, "cannot fork: %s", strerror(errno));
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        snprintf(result->what, sizeof result->what, "it took %d s and more (I6)", CPU_SECONDS_MAX);
    else
        snprintf(result->what, sizeof result->what, "the program ended in the middle, status %#x", status);
}

/* ---- many ---- */

static void report(board *b, uint64_t seed, const char what[400]) {
    unsigned index = atomic_fetch_add(&b->violations, 1);
    if (index >= FAILURES_MAX)
        return;
    b->failures[index].seed = seed;
    memcpy(b->failures[index].what, what, sizeof b->failures[index].what);
}

/* Lines "STORE SEED WORD", a word of what is said to be wrong. True if the list has the seed and the schedule fails so; one that breaks
 * something else, or nothing any more, is a violation. */
static bool judge_known(const options *o, uint64_t seed, outcome *result) {
    char line[200], engine[16], word[16];
    unsigned long long number;
    FILE *in = o->known ? fopen(o->known, "r") : NULL;
    bool found = false;
    while (in && !found && fgets(line, sizeof line, in))
        found = sscanf(line, "%15s %llu %15s", engine, &number, word) == 3 && number == seed &&
                strcmp(engine, o->engine->name) == 0;
    if (in)
        fclose(in);
    if (!found)
        return false;
    if (!result->failed) {
        result->failed = true;
        snprintf(result->what, sizeof result->what, "nothing is wrong any more: take it out of %.300s", o->known);
    } else if (strstr(result->what, word)) {
        result->failed = false;
        return true;
    }
    return false;
}

static void work(const options *o, board *b, uint32_t self) {
    outcome *result = &b->of[self].outcome;
    while (!atomic_load(&b->stop)) {
        uint64_t seed = atomic_fetch_add(&b->next, 1);
        if (seed > o->last)
            break;
        schedule s;
        schedule_draw(&s, seed, o->engine);
        attempt(&s, result, &b->of[self].counts);
        uint64_t hash = result->hash;
        if (o->twice && !result->failed) {
            attempt(&s, result, &b->of[self].counts);
            if (!result->failed && result->hash != hash) {
                result->failed = true;
                snprintf(result->what, sizeof result->what, "the same seed took another course");
            }
        }
        if (judge_known(o, seed, result))
            atomic_fetch_add(&b->known, 1);
        if (result->failed)
            report(b, seed, result->what);
        atomic_fetch_add(&b->schedules, 1);
    }
}

/* ---- less of a failing one ---- */

/* The number of the invariant in "(I6)": a smaller schedule must break the same. */
static const char *invariant(const char *what) {
    const char *at = strstr(what, "(I");
    return at ? at : "";
}

static void shrink(schedule *s, const outcome *original, board *b) {
    outcome *result = &b->of[0].outcome;
    world_counts *counts = share(sizeof *counts);
    char wanted[8];
    snprintf(wanted, sizeof wanted, "%.4s", invariant(original->what));
    for (uint32_t width = s->count / 2; width; width /= 2)
        for (uint32_t from = 0; from < s->count; from += width) {
            schedule smaller = *s;
            bool any = false;
            for (uint32_t i = from; i < from + width && i < s->count; i++) {
                any |= !smaller.list[i].skip;
                smaller.list[i].skip = true;
            }
            if (!any)
                continue;
            attempt(&smaller, result, counts);
            if (result->failed && strncmp(invariant(result->what), wanted, strlen(wanted)) == 0)
                *s = smaller;
        }
    munmap(counts, sizeof *counts);
}

static int replay(const options *o, board *b, uint64_t seed) {
    schedule s;
    schedule_draw(&s, seed, o->engine);
    outcome first;
    attempt(&s, &b->of[0].outcome, &b->of[0].counts);
    first = b->of[0].outcome;
    if (!first.failed && !o->trace) {
        fprintf(stderr, "seed %llu: nothing is wrong, hash %016llx\n", (unsigned long long)seed,
                (unsigned long long)first.hash);
        return 0;
    }
    if (first.failed) {
        fprintf(stderr, "seed %llu: %s\nthe least that still breaks it:\n", (unsigned long long)seed, first.what);
        shrink(&s, &first, b);
    }
    schedule_print(&s, stderr);
    if (o->trace) {
        setenv("LEADPOOL_TRACE", "1", 1);
        attempt(&s, &b->of[0].outcome, &b->of[0].counts);
        fprintf(stderr, "%s; hash %016llx\n", b->of[0].outcome.failed ? b->of[0].outcome.what : "nothing is wrong",
                (unsigned long long)b->of[0].outcome.hash);
    }
    return first.failed;
}

/* ---- telling ---- */

static void print_text(const char *text) {
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            putchar(*text);
    putchar('"');
}

typedef struct telling {
    bool json;
    uint32_t missing;
} telling;

static void tell_counter(void *ctx, const char *name, uint64_t count) {
    telling *t = ctx;
    t->missing += count == 0;
    if (t->json)
        return;
    printf("%12llu  %s%s\n", (unsigned long long)count, name, count ? "" : "   <- never");
}

static void list_missing(void *ctx, const char *name, uint64_t count) {
    bool *first = ctx;
    if (count)
        return;
    printf("%s", *first ? "" : ", ");
    print_text(name);
    *first = false;
}

static int tell(const options *o, board *b, double seconds) {
    world_counts sum = {0};
    bool sqlite = o->engine == &store_sqlite_ops, first = true;
    for (uint32_t i = 0; i < o->jobs; i++)
        counts_add(&sum, &b->of[i].counts);
    telling t = {.json = o->json};
    counts_each(&sum, sqlite, tell_counter, &t);
    unsigned violations = atomic_load(&b->violations);
    unsigned listed = violations < FAILURES_MAX ? violations : FAILURES_MAX;
    for (unsigned i = 0; i < listed; i++)
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)b->failures[i].seed, b->failures[i].what);
    if (violations)
        replay(o, b, b->failures[0].seed);
    uint64_t schedules = atomic_load(&b->schedules);
    printf("{\"campaign\": \"sim\", \"store\": \"%s\", \"schedules\": %llu, \"faults\": %llu, \"violations\": %u, "
           "\"known\": %u, "
           "\"per_second\": %.1f, \"seconds\": %.1f, \"never\": [",
           o->engine->name, (unsigned long long)schedules, (unsigned long long)counts_faults(&sum), violations,
           atomic_load(&b->known), (double)schedules / seconds, seconds);
    counts_each(&sum, sqlite, list_missing, &first);
    printf("], \"failed\": [");
    for (unsigned i = 0; i < listed; i++) {
        printf("%s{\"seed\": %llu, \"what\": ", i ? ", " : "", (unsigned long long)b->failures[i].seed);
        print_text(b->failures[i].what);
        putchar('}');
    }
    printf("]}\n");
    return violations || (o->require_all && t.missing);
}

/* ---- all of it ---- */

/* Until every worker has closed its end of the pipe. */
static void watch(const options *o, board *b, int pipe_end) {
    double started = now_s();
    struct pollfd end = {.fd = pipe_end, .events = POLLIN};
    while (poll(&end, 1, 1000) == 0) {
        double seconds = now_s() - started;
        if (o->minutes > 0 && seconds > o->minutes * 60)
            atomic_store(&b->stop, true);
        if (isatty(2))
            fprintf(stderr, "\r%llu schedules, %.0f a second, %u violations ",
                    (unsigned long long)atomic_load(&b->schedules), (double)atomic_load(&b->schedules) / seconds,
                    atomic_load(&b->violations));
    }
    if (isatty(2))
        fputc('\n', stderr);
}

static int campaign(const options *o, board *b) {
    int ends[2];
    double started = now_s();
    if (pipe(ends))
        abort();
    atomic_store(&b->next, o->first);
    fflush(NULL);
    for (uint32_t i = 0; i < o->jobs; i++)
        if (fork() == 0) {
            close(ends[0]);
            work(o, b, i);
            leave();
        }
    close(ends[1]);
    watch(o, b, ends[0]);
    while (wait(NULL) > 0)
        continue;
    return tell(o, b, now_s() - started);
}

static void take_option(options *o, const char *name, const char *value) {
    char *end = NULL;
    if (strcmp(name, "--seeds") == 0) {
        o->first = strtoull(value, &end, 0);
        o->last = *end == '-' ? strtoull(end + 1, NULL, 0) : o->first;
    } else if (strcmp(name, "--seed") == 0) {
        o->replay = true;
        o->first = strtoull(value, NULL, 0);
    } else if (strcmp(name, "--minutes") == 0) {
        o->minutes = strtod(value, NULL);
    } else if (strcmp(name, "--jobs") == 0) {
        o->jobs = (uint32_t)strtoul(value, NULL, 0);
    } else if (strcmp(name, "--known") == 0 && access(value, R_OK) == 0) {
        o->known = value;
    } else if (strcmp(name, "--store") == 0 && strcmp(value, "memory") == 0) {
        o->engine = &store_memory_ops;
    } else if (strcmp(name, "--store") == 0 && strcmp(value, "sqlite") == 0) {
        o->engine = &store_sqlite_ops;
    } else {
        fprintf(stderr, "sim_campaign: %s %s is not understood; see tests/README.md\n", name, value);
        exit(2);
    }
}

int main(int argc, char **argv) {
    options o = {
        .engine = &store_memory_ops, .first = 1, .last = 1000, .jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN)};
    bool seeds = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o.json = true;
        else if (strcmp(argv[i], "--trace") == 0)
            o.trace = true;
        else if (strcmp(argv[i], "--twice") == 0)
            o.twice = true;
        else if (strcmp(argv[i], "--require-all") == 0)
            o.require_all = true;
        else if (i + 1 < argc) {
            seeds |= strcmp(argv[i], "--seeds") == 0;
            take_option(&o, argv[i], argv[i + 1]);
            i++;
        } else
            take_option(&o, argv[i], "");
    }
    if (o.minutes > 0 && !seeds)
        o.last = UINT64_MAX - 1;
    if (o.jobs == 0 || o.jobs > JOBS_MAX)
        o.jobs = 2;
    board *b = share(sizeof *b);
    keys_quick();
    return o.replay ? replay(&o, b, o.first) : campaign(&o, b);
}

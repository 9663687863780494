/* admin.c - the table of commands; see admin.h. */
#include "server/admin/admin.h"

#include <stdio.h>
#include <string.h>

#include "proto/err.h"

typedef struct command {
    const char *name;
    lp_err (*run)(const admin_args *args, lp_error *error);
    const char *flags; /* allowed beside --json and --help */
    bool config_flags;
    const char *usage;
    const char *about;
    const char *example;
} command;

static const command commands[] = {
    {"init", admin_init, "data name", false, "init --data DIR [--name NAME] [--json]",
     "makes an empty pool in DIR, with the key devices will know the server by",
     "leadpoold init --data /var/lib/leadpool --name \"Acme\""},
    {"serve", admin_serve, "data config", true,
     "serve --data DIR [--listen HOST:PORT] [--config FILE] [--OPTION VALUE]...",
     "serves the pool in DIR until SIGTERM; SIGHUP reads log_level again",
     "leadpoold serve --data /var/lib/leadpool --listen 0.0.0.0:7117"},
    {"invite", admin_invite, "data staff role scope address config", false,
     "invite --data DIR --staff NAME --role rep|manager [--scope SCOPE,...] [--address HOST:PORT] [--config FILE] "
     "[--json]",
     "makes an invitation with which one device of that person can join once, within 7 days",
     "leadpoold invite --data /var/lib/leadpool --staff \"Li Wei\" --role rep"},
    {"status", admin_status, "data", false, "status --data DIR [--json]",
     "says what the pool holds and whether it is served", "leadpoold status --data /var/lib/leadpool --json"},
    {"backup", admin_backup, "data to", false, "backup --data DIR --to FILE [--json]",
     "copies the pool to a new file while it is in use, and reads it back; keep server.key and server.crt beside it",
     "leadpoold backup --data /var/lib/leadpool --to /backup/pool-monday.db"},
    {"restore", admin_restore, "data from", false, "restore --from FILE --data DIR [--json]",
     "puts a backup in the place of the pool in DIR, keeps what was there, and has devices offer again what they have",
     "leadpoold restore --from /backup/pool-monday.db --data /var/lib/leadpool"},
    {"verify", admin_verify, "file data", false, "verify --data DIR | --file BACKUP [--json]",
     "reads everything and says whether it is sound: of a pool, served or not, or of a backup",
     "leadpoold verify --data /var/lib/leadpool"},
    {"erase", admin_erase, "data lead", false, "erase --data DIR --lead ID [--json]",
     "erases a person for good, from the pool and every device; cannot be undone",
     "leadpoold erase --data /var/lib/leadpool --lead 01930000-0000-7000-8000-000000000001"},
    {"review", admin_review, "data accept reject", false, "review --data DIR [--accept N | --reject N] [--json]",
     "lists the changes that await a decision, or applies or drops one of them",
     "leadpoold review --data /var/lib/leadpool --accept 3"},
    {"grant", admin_grant, "data staff scope", false, "grant --data DIR --staff NAME --scope pool|event:CODE [--json]",
     "lets the devices of a person hold the leads of an event, or the whole pool",
     "leadpoold grant --data /var/lib/leadpool --staff \"Li Wei\" --scope event:ifa26"},
    {"ungrant", admin_ungrant, "data staff scope", false,
     "ungrant --data DIR --staff NAME --scope pool|event:CODE [--json]",
     "ends that: what nothing else entitles a device to hold leaves it when it syncs next",
     "leadpoold ungrant --data /var/lib/leadpool --staff \"Li Wei\" --scope event:ifa26"},
    {"devices", admin_devices, "data", false, "devices --data DIR [--json]",
     "lists the devices: number, person, when they were here last, what they have read, whether they are revoked",
     "leadpoold devices --data /var/lib/leadpool"},
    {"purge", admin_purge, "data days", false, "purge --data DIR [--days N] [--json]",
     "forgets what was deleted N days ago (retention_days), once every device that was here since knows; serve does it "
     "daily",
     "leadpoold purge --data /var/lib/leadpool --days 90"},
    {"revoke", admin_revoke, "data device", false, "revoke --data DIR --device N [--json]",
     "ends a device's access: it gets nothing any more, and what it still sends goes to review for some days",
     "leadpoold revoke --data /var/lib/leadpool --device 17"},
    {"repair-clock", admin_repair_clock, "data", false, "repair-clock --data DIR [--json]",
     "takes the server's clock for right: what is stamped later than it shows comes back to now, and devices read all "
     "anew",
     "leadpoold repair-clock --data /var/lib/leadpool"},
    {"version", admin_version, "", false, "version [--json]", "prints the version", "leadpoold version"},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_overview(FILE *stream) {
    fprintf(stream, "leadpoold %s - the server of a leadpool\n\n", LEADPOOL_VERSION);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  leadpoold %s\n      %s\n", commands[i].usage, commands[i].about);
    fprintf(stream, "\nleadpoold COMMAND --help says more.\n");
}

static void print_help(const command *c) {
    printf("usage: leadpoold %s\n\n%s\n\nexample:\n  %s\n", c->usage, c->about, c->example);
    if (!c->config_flags)
        return;
    printf("\noptions, also as lines `name = value` of the config file with '_' for '-':\n");
    config_print_flags(stdout);
}

static const command *find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static bool has_flag(int argc, char *const *argv, const char *flag) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

static int run(const command *c, int argc, char *const *argv) {
    admin_args args;
    lp_error error = {.code = LP_OK};
    lp_err err = admin_args_read(argc, argv, c->flags, c->config_flags, &args, &error);
    if (err == LP_OK && args.help) {
        print_help(c);
        return 0;
    }
    bool needs_data = strncmp(c->flags, "data", 4) == 0;
    if (err == LP_OK && needs_data && !args.data)
        err = err_set(&error, LP_INVALID, "%s needs --data DIR; see leadpoold %s --help", c->name, c->name);
    if (err == LP_OK)
        err = c->run(&args, &error);
    if (err != LP_OK)
        admin_print_error(err, &error, has_flag(argc, argv, "--json"));
    return (int)lp_err_exit_code(err);
}

int admin_main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    const command *asked = help && argc > 2 ? find(argv[2]) : NULL;
    if (asked) {
        print_help(asked);
        return 0;
    }
    if (help) {
        print_overview(stdout);
        return 0;
    }
    const command *c = find(strcmp(name, "--version") == 0 ? "version" : name);
    if (c)
        return run(c, argc - 2, argv + 2);
    if (argc < 2) {
        print_overview(stderr);
        return 2;
    }
    lp_error error;
    lp_err err = err_set(&error, LP_INVALID, "there is no command '%.40s'; see leadpoold help", name);
    admin_print_error(err, &error, has_flag(argc, argv, "--json"));
    return 2;
}

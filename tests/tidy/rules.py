"""rules.py - who may include what, and what nobody may call. sources.py enforces these tables.

Paths are shell patterns from the root of the tree ("*" also matches "/"); in every table the first row that matches a file
decides for it. tests/ is exempt from layers and fences: a test may look at anything.
"""

# (files, prefixes of project headers they may include, why)
LAYERS = [
    ("include/*", ["leadpool/"], "public headers stand alone: a program that embeds leadpool has nothing else"),
    ("proto/channel/*", ["leadpool/", "proto/"], "proto/ is what both ends agree on and knows neither end"),
    ("proto/*", ["leadpool/", "proto/"], "proto/ is what both ends agree on and knows neither end"),
    ("client/cli/*", ["leadpool/", "proto/", "client/cli/", "client/os.h"],
     "the command is a program that embeds the library: what it needs of the replica belongs into leadpool.h"),
    ("client/*", ["leadpool/", "proto/", "client/"], "client and server meet in proto/ only"),
    ("server/store/*", ["leadpool/", "proto/", "server/store/"], "the store port knows rows, not sessions"),
    ("server/*", ["leadpool/", "proto/", "server/"], "client and server meet in proto/ only"),
]

# Headers of the client that only its shells may include: the core runs wherever it is handed a clock and a file.
CLIENT_SHELLS = ["client/link.[ch]", "client/loop.[ch]", "client/os.[ch]", "client/leadpool.c", "client/events.[ch]"]

# (header, files that may include it, why)
FENCES = [
    ("nng/*", ["client/link.c", "server/net/*"], "sockets live in the shells; sessions and channels are sans-I/O"),
    ("pthread.h", ["client/link.c", "client/loop.[ch]", "client/os.c", "client/events.[ch]", "client/leadpool.c",
                   "server/*_thread.[ch]", "server/net/*", "server/os.[ch]", "server/main.c", "server/serve.[ch]",
                   "server/log.[ch]", "server/store/memory*.[ch]"],
     "cores are single-threaded; whoever owns one brings the thread"),
    ("openssl/*", ["proto/crypto*.c", "proto/channel/tls*.c"], "cryptography goes through proto/crypto.h and tls.h"),
    ("sqlite3*.h", ["client/*.[ch]", "server/store/sqlite*"], "SQL stays in the replica and in the store engine"),
    ("msgpack*", ["proto/wire.c"], "untrusted bytes are scanned by wire_scan before anything unpacks them"),
    ("wslay/*", ["proto/channel/ws.c"], "one reader of WebSocket frames"),
    ("http_parser.h", ["proto/channel/http.c"], "one reader of HTTP heads"),
    ("llhttp.h", ["proto/channel/http.c"], "one reader of HTTP heads"),
    ("utf8proc.h", ["client/*.[ch]", "server/admin/admin_table.c"], "text is folded by the search index, and measured where a terminal is"),
    ("jansson.h", ["client/cli/*", "server/*.[ch]"], "JSON is for programs' output, not for the protocol"),
    ("ini.h", ["server/config*.c"], "one reader of the config file"),
    ("qrencode.h", ["server/admin/*"], "only the operator's command draws QR codes"),
    ("csv.h", ["client/cli/*"], "CSV is read by the command only"),
    ("client/link.h", CLIENT_SHELLS, "the client's core has no socket"),
    ("client/loop.h", CLIENT_SHELLS, "the client's core has no thread"),
    ("client/os.h", CLIENT_SHELLS + ["client/cli/*"], "the client's core is handed its environment"),
]
# Exceptions to a wide row above: (header, files that may not after all, why)
UNFENCED_NOT = [
    ("sqlite3*.h", CLIENT_SHELLS + ["client/cli/*"], "SQL stays in the replica and in the store engine"),
    ("jansson.h", ["server/store/*", "server/net/*", "server/session/*", "server/pool/*"],
     "JSON is for programs' output, not for the protocol"),
]

OS_FILES = ["client/os.c", "server/os.c"]
# (calls, files that may, why). Tests count here too.
BANNED = [
    (["time", "clock_gettime", "gettimeofday", "clock", "localtime"],
     OS_FILES + ["client/cli/*", "server/log*.c", "tests/*"], "time is handed in (proto/env.h), so that a schedule can be replayed"),
    (["rand", "srand", "random", "drand48", "getrandom", "getentropy", "arc4random"],
     OS_FILES + ["tests/*"], "randomness is handed in (proto/env.h), so that a schedule can be replayed"),
    (["sleep", "usleep", "nanosleep", "clock_nanosleep", "nng_msleep", "thrd_sleep"], OS_FILES,
     "nobody sleeps: wait for an event with a bound; a test that sleeps is slow or flaky"),
    (["strcpy", "strcat", "sprintf", "vsprintf", "strncpy", "strncat"], ["tests/*"],
     "no bound or no NUL: use buf, snprintf or memcpy with a size"),
    (["gets"], [], "it has no bound"),
    (["strtok", "asctime", "ctime", "gmtime"], [], "hidden static state: use the _r form or a span"),
    (["atoi", "atol", "atoll", "atof", "scanf", "sscanf"], ["tests/*"], "they cannot report bad input: use strtoll and check its end"),
    (["alloca", "system", "popen", "tmpnam", "mktemp"], ["tests/*"], "unbounded stack, shell, or a race"),
    (["setlocale"], [], "the library must not change its host's locale; numbers are read and written the same everywhere"),
]

# Text rules for every file of these kinds. TEXT_EXEMPT holds bytes that must stay as they are.
TEXT_KINDS = (".c", ".h", ".def", ".py", ".sh", ".md", ".cmake", ".txt", ".in", ".map", ".json", ".conf", ".service")
TEXT_EXEMPT = ["proto/vectors/*", "tests/*/data/*", "tests/fuzz/corpus/*", "tests/data/*"]
MACHINE_PATHS = r"(?<![\w.])/(home|root|Users|work|workspace|mnt)/"

/* http.c - exact paths, fixed answers; nothing of the pool is ever shown here. See http.h. */
#include "server/net/http.h"

#include <string.h>

typedef struct page {
    const char *path;
    const char *content_type;
    const char *body;
} page;

static const page pages[] = {
    {"/", "text/html; charset=utf-8",
     "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>leadpool</title>\n<h1>leadpool</h1>\n"
     "<p>This is a leadpool server. Devices join it with an invitation from their team.</p>\n</html>\n"},
    {"/health", "text/plain; charset=utf-8", "ok\n"},
};

static const page *find(const char *path) {
    size_t size = strcspn(path, "?");
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (strlen(pages[i].path) == size && memcmp(pages[i].path, path, size) == 0)
            return &pages[i];
    return NULL;
}

lp_err http_answer(channel *c, const char *method, const char *path, lp_error *error) {
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return channel_http_answer(c, 405, NULL, SPAN_LITERAL("only GET is answered here\n"), error);
    const page *p = find(path);
    if (!p)
        return channel_http_answer(c, 404, NULL, SPAN_LITERAL("nothing here\n"), error);
    return channel_http_answer(c, 200, p->content_type, span_text(p->body), error);
}

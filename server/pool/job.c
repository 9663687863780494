/* job.c - making and freeing jobs; see job.h. */
#include "server/pool/job.h"

#include <stdlib.h>

job *job_new(job_kind kind) {
    job *j = calloc(1, sizeof *j);
    if (j)
        j->kind = kind;
    return j;
}

void job_free(job *j) {
    if (!j)
        return;
    buf_fini(&j->request);
    buf_fini(&j->answer);
    free(j);
}

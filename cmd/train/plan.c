/* plan.c - measures and prints what --dry-run of pretrain and finetune shows. SPDX-License-Identifier: MIT */
#include <math.h>

#include "train/plan.h"

#define MEASURED 16384 /* maximum number of tokens in the measured batch */

int plan_measure(cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *ex, int64_t n, double *seconds,
                 cad_error_t *err)
{
    int64_t tokens = 0, k = 0;
    double sum = 0;
    int rc = 0;
    while (k < n && (k == 0 || tokens + ex[k].len <= MEASURED)) tokens += ex[k++].len;
    *seconds = INFINITY;
    for (int i = 0; i < 2 && rc == 0; i++) {
        struct timespec begun;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        rc = cad_trainer_add(t, loss, ex, (int)k, 1, &sum, err);
        *seconds = fmin(*seconds, seconds_since(begun) / (double)tokens);
    }
    return rc;
}

void plan_line(const char *key, int64_t value) { printf("%s\t%lld\n", key, (long long)value); }

void plan_end(const cad_model_t *model, const cad_trainer_t *t, double seconds)
{
    plan_line("parameters", cad_model_number(model, CAD_PARAMETERS));
    plan_line("bytes", (int64_t)cad_trainer_bytes(t) + 4 * cad_model_number(model, CAD_PARAMETERS));
    printf("seconds\t%.3g\n", seconds);
}

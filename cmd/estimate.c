/* estimate.c - how long a run would take. SPDX-License-Identifier: MIT */
#include <time.h>

#include "cmd.h"
#include "internal.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double seconds_per_token(cad_context_t *ctx, const cad_model_t *model, int64_t window, int threads)
{
    int64_t n = cad_min(cad_max(window, 1), 8192);
    int copies = (int)cad_max(cad_min(16384 / n, 256), threads);
    cad_window_t w = { .len = n, .core_end = n }, *all = malloc((size_t)copies * sizeof *all);
    uint8_t *tok = malloc((size_t)n);
    float *emb = malloc((size_t)cad_model_number(model, CAD_D_MODEL) * sizeof *emb);
    double best = 1e9;
    for (int64_t i = 0; tok && i < n; i++) tok[i] = (uint8_t)cad_model_number(model, (enum cad_number_t)(CAD_TOKEN_A + i * 7 % 11 % 4));
    w.tokens = tok;
    w.embedding = emb;
    for (int i = 0; all && i < copies; i++) all[i] = w; /* results over each other: only time counts */
    for (int i = 0; all && tok && emb && i < 3; i++) {
        double begin = now();
        cad_embed(ctx, all, copies, CAD_POOL_MEAN, NULL);
        if (now() - begin < best) best = now() - begin;
    }
    free(all);
    free(tok);
    free(emb);
    return best / (double)(n * copies);
}

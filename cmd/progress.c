/* progress.c - shows the progress of a run, and estimates the time of a run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <unistd.h>

#include "cmd.h"

double seconds_since(struct timespec t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t.tv_sec) + 1e-9 * (double)(now.tv_nsec - t.tv_nsec);
}

void progress_begin(progress_t *p, const options_t *o, const work_t *work, const int64_t *rows, const char *what)
{
    p->work = work;
    p->rows = rows;
    p->what = what;
    p->on = !o->quiet && isatty(STDERR_FILENO);
    clock_gettime(CLOCK_MONOTONIC, &p->start);
    p->shown = p->start;
}

void progress_tick(void *arg)
{
    progress_t *p = arg;
    double all, share;
    if (!p->on || seconds_since(p->shown) < 1) return;
    clock_gettime(CLOCK_MONOTONIC, &p->shown);
    p->printed = true;
    all = seconds_since(p->start);
    share = p->share ? p->share(p->share_arg) : 0;
    fprintf(stderr, "\r%lld %s, %.3g tokens/s", (long long)*p->rows, p->what, (double)p->work->done / all);
    if (share > 0 && share < 1) fprintf(stderr, ", %.0f%% done, about %.0f s left", 100 * share, all / share - all);
    fputs("  ", stderr);
}

void progress_end(const progress_t *p)
{
    if (p->printed) fputc('\n', stderr);
}

/* Returns the seconds per token of a forward pass on both strands, measured on windows of n tokens. */
static double seconds_per_token(cad_context_t *ctx, const cad_model_t *model, int64_t n, int threads)
{
    int copies = (int)cad_max(cad_min(16384 / n, 256), threads);
    cad_window_t w = { .len = n, .core_end = n }, *all = malloc((size_t)copies * sizeof *all);
    uint8_t *tok = malloc((size_t)n);
    float *emb = malloc((size_t)cad_model_number(model, CAD_D_MODEL) * sizeof *emb);
    double best = 1e9;
    for (int64_t i = 0; tok && i < n; i++)
        tok[i] = (uint8_t)cad_model_number(model, (enum cad_number_t)(CAD_TOKEN_A + i * 7 % 11 % 4));
    w.tokens = tok;
    w.embedding = emb;
    /* all windows overwrite the same result, since only the time counts */
    for (int i = 0; all && i < copies; i++) all[i] = w;
    for (int i = 0; all && tok && emb && i < 3; i++) {
        struct timespec begun;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        cad_embed(ctx, all, copies, CAD_POOL_MEAN, NULL);
        best = fmin(best, seconds_since(begun));
    }
    free(all);
    free(tok);
    free(emb);
    return best / (double)(n * copies);
}

void report_work(const work_t *w, cad_context_t *ctx, const cad_model_t *model, int threads, const char *what,
                 int64_t rows)
{
    int64_t typical = cad_min(cad_max(w->passes ? w->tokens / w->passes : 1, 1), 8192);
    printf("%s\t%lld\nwindows\t%lld\npasses\t%lld\ntokens\t%lld\n", what, (long long)rows, (long long)w->windows,
           (long long)w->passes, (long long)w->tokens);
    printf("seconds\t%.3g\n", seconds_per_token(ctx, model, typical, threads) * (double)w->tokens);
}

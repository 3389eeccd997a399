/* progress.c - shows the progress of a run, and estimates the time of a run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <unistd.h>

#include "cmd.h"

#define SECOND 1  /* seconds between two updates of the progress line on a terminal */
#define MINUTE 60 /* seconds between two progress lines in a log */
#define ERASE "\r\033[K"

/* ---- numbers and times in short, readable form ---- */

char *number_text(int64_t n, char buf[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), out = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0 && digits[i - 1] != '-') buf[out++] = ',';
        buf[out++] = digits[i];
    }
    buf[out] = 0;
    return buf;
}

char *short_text(double n, char buf[32])
{
    static const char unit[] = " kMGTP";
    int u = 0;
    if (n < 9999.5) return number_text((int64_t)(n + 0.5), buf);
    for (; n >= 999.5 && u < 5; u++) n /= 1000;
    snprintf(buf, 32, n < 9.95 ? "%.1f %c" : "%.0f %c", n, unit[u]);
    return buf;
}

char *duration_text(double seconds, char buf[32])
{
    long long s = seconds < 1e15 ? (long long)(seconds + 0.5) : 0, m = (s + 30) / 60, h = (m + 30) / 60;
    if (s < 100) snprintf(buf, 32, "%lld s", s);
    else if (s < 3600) snprintf(buf, 32, "%lld min %lld s", s / 60, s % 60);
    else if (h < 48) snprintf(buf, 32, "%lld h %lld min", m / 60, m % 60);
    else snprintf(buf, 32, "%lld d %lld h", h / 24, h % 24);
    return buf;
}

double seconds_since(struct timespec t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t.tv_sec) + 1e-9 * (double)(now.tv_nsec - t.tv_nsec);
}

/* ---- the progress line ---- */

/* Adds ", " and the text `part` to the progress line in buf, if both fit in width - 1 columns. */
static void add_part(char *buf, size_t size, int width, const char *part)
{
    size_t at = strlen(buf), room = cad_min(size, (size_t)(width > 1 ? width : 1));
    bool first = at && buf[at - 1] == ' '; /* the line is only "CMD: " until now, so no ", " is needed */
    if (*part && at + (first ? 0 : 2) + strlen(part) < room) sprintf(buf + at, "%s%s", first ? "" : ", ", part);
}

/* Returns the estimated number of seconds until the run ends, or -1 if it is not known. */
static double seconds_left(const progress_t *p, const progress_state_t *now, double elapsed)
{
    double done = now->share - p->before;
    return now->share > 0 && done > 0 ? elapsed * (1 - now->share) / done : -1;
}

char *progress_text(const progress_t *p, const progress_state_t *now, double elapsed, int width, char *buf, size_t size)
{
    char n[32], part[96];
    double left = seconds_left(p, now, elapsed);
    snprintf(buf, cad_min(size, (size_t)(width > 1 ? width : 1)), "%s: ", p->cmd);
    if (now->share > 0) {
        snprintf(part, sizeof part, "%d %%", (int)(100 * fmin(now->share, 1)));
        add_part(buf, size, width, part);
    }
    snprintf(part, sizeof part, "%s %s", duration_text(left < 0 ? elapsed : left, n), left < 0 ? "so far" : "left");
    add_part(buf, size, width, part);
    snprintf(part, sizeof part, "%s %s", number_text(now->items, n), p->what);
    add_part(buf, size, width, part);
    add_part(buf, size, width, now->more);
    snprintf(part, sizeof part, "%s tokens/s", short_text((double)now->tokens / fmax(elapsed, 1e-9), n));
    if (now->tokens > 0) add_part(buf, size, width, part);
    return buf;
}

static progress_state_t look(const progress_t *p)
{
    progress_state_t now = { 0 };
    if (p->look) p->look(p->arg, &now);
    return now;
}

static void draw(progress_t *p)
{
    char buf[512];
    progress_state_t now = look(p);
    int width = p->line ? screen_width() : (int)sizeof buf;
    clock_gettime(CLOCK_MONOTONIC, &p->shown);
    progress_text(p, &now, seconds_since(p->start), width, buf, sizeof buf);
    if (p->line) fprintf(stderr, ERASE "%s", buf);
    else fprintf(stderr, "caduceus %s\n", buf);
    p->drawn = p->line;
}

int option_progress(const char *cmd, const char *arg, progress_how_t *how)
{
    static const char *const name[] = { "auto", "never", "tty", "log" };
    for (int i = 0; i < 4; i++)
        if (!strcmp(arg, name[i])) {
            *how = (progress_how_t)i;
            return 0;
        }
    return cmd_fail(cmd, "--progress %s: expected auto, never, tty or log", arg);
}

void progress_open(progress_t *p, const char *cmd, progress_how_t how, bool quiet, const char *output)
{
    bool mixed = output && !strcmp(output, "-") && isatty(STDOUT_FILENO);
    *p = (progress_t) { .cmd = cmd };
    p->line = !quiet && !mixed && (how == PROGRESS_TTY || (how == PROGRESS_AUTO && screen_erases()));
    p->log = !quiet && how == PROGRESS_LOG;
    clock_gettime(CLOCK_MONOTONIC, &p->start);
    p->shown = p->start;
}

void progress_phase(progress_t *p, const char *doing)
{
    if (!p->line) return;
    fprintf(stderr, ERASE "%.*s", screen_width() - 1, p->cmd);
    fprintf(stderr, ": %.*s", (int)cad_max(screen_width() - 3 - (int)strlen(p->cmd), 0), doing);
    p->drawn = true;
}

void progress_begin(progress_t *p, const char *what, void (*state)(const void *, progress_state_t *), const void *arg)
{
    p->what = what;
    p->look = state;
    p->arg = arg;
    p->before = look(p).share;
    clock_gettime(CLOCK_MONOTONIC, &p->start);
    p->shown = p->start;
    if (p->line) draw(p);
}

void progress_tick(void *arg)
{
    progress_t *p = arg;
    if ((p->line || p->log) && seconds_since(p->shown) >= (p->line ? SECOND : MINUTE)) draw(p);
}

void progress_clear(progress_t *p)
{
    if (p->drawn) fputs(ERASE, stderr);
    p->drawn = false;
}

void progress_end(progress_t *p, bool done)
{
    progress_state_t now = look(p);
    char items[32], tokens[32], time[32];
    progress_clear(p);
    if (!done || !p->look || !(p->line || p->log)) return;
    fprintf(stderr, "caduceus %s: %s %s", p->cmd, number_text(now.items, items), p->what);
    if (now.tokens > 0) fprintf(stderr, ", %s tokens", short_text((double)now.tokens, tokens));
    fprintf(stderr, " in %s\n", duration_text(seconds_since(p->start), time));
}

/* Returns the seconds per token of a forward pass on both strands, measured on windows of n tokens. embeds: of a pass
 * for embeddings, which ends after the context's layer; else of one that predicts a base, through all layers. */
static double seconds_per_token(cad_context_t *ctx, const cad_model_t *model, int64_t n, int threads, bool embeds)
{
    int copies = (int)cad_max(cad_min(16384 / n, 256), threads);
    cad_window_t w = { .len = n, .core_beg = embeds ? 0 : n / 2, .core_end = embeds ? n : n / 2 + 1 },
                 *all = malloc((size_t)copies * sizeof *all);
    float logp[4];
    uint8_t *tok = malloc((size_t)n);
    float *emb = malloc((size_t)cad_model_number(model, CAD_D_MODEL) * sizeof *emb);
    double best = 1e9;
    for (int64_t i = 0; tok && i < n; i++)
        tok[i] = (uint8_t)cad_model_number(model, (enum cad_number_t)(CAD_TOKEN_A + i * 7 % 11 % 4));
    w.tokens = tok;
    w.embedding = emb;
    w.logp = logp;
    /* all windows write to the same result array, since only the time is used */
    for (int i = 0; all && i < copies; i++) all[i] = w;
    for (int i = 0; all && tok && emb && i < 3; i++) {
        struct timespec begun;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        if (embeds) cad_embed(ctx, all, copies, CAD_POOL_MEAN, NULL);
        else cad_score(ctx, all, copies, CAD_MASK_NONE, NULL);
        best = fmin(best, seconds_since(begun));
    }
    free(all);
    free(tok);
    free(emb);
    return best / (double)(n * copies);
}

/* Estimates the time of the work. Passes that predict bases are measured apart only if there are passes for embeddings
 * too, since only these may end before the last layer. */
static double estimate_seconds(const work_t *w, cad_context_t *ctx, const cad_model_t *model, int threads)
{
    int64_t typical = cad_min(cad_max(w->passes ? w->tokens / w->passes : 1, 1), 8192), rest = w->tokens - w->embedded;
    bool mixed = w->embedded && rest;
    double each = seconds_per_token(ctx, model, typical, threads, true);
    return each * (double)(mixed ? w->embedded : w->tokens) +
           (mixed ? seconds_per_token(ctx, model, typical, threads, false) * (double)rest : 0);
}

void report_work(report_t *r, const work_t *w, cad_context_t *ctx, const cad_model_t *model, int threads,
                 const char *what, int64_t rows)
{
    char seconds[32];
    report_count(r, what, rows);
    report_count(r, "windows", w->windows);
    report_count(r, "passes", w->passes);
    report_count(r, "tokens", w->tokens);
    snprintf(seconds, sizeof seconds, "%.3g", estimate_seconds(w, ctx, model, threads));
    report_value(r, "seconds", seconds);
}

/* scaling.c - predicts how inference scales to many threads, on a machine that has few.
 *     make bench/scaling && bench/scaling MODEL LENGTH WINDOWS [BARRIER_US]
 * Embeds WINDOWS random windows of LENGTH bases with contexts of 1 to 64 threads. Their teams are simulated: one thread
 * runs all tasks, in order, and the time of each is given to the simulated thread that is free first; the end of a
 * team's run costs BARRIER_US microseconds [5]. Prints, for each number of threads, the predicted speedup, the share of
 * their time in which threads compute, and how many runs and tasks there were. Memory bandwidth, and clock rates that
 * fall with load, are not simulated.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "base/team.h"
#include "caduceus.h"

#define MOST 64

struct cad_team_t {
    int threads;
};
static double barrier = 5e-6;
static double real, simulated; /* seconds in all runs that are done and not within another one */
static double busy;            /* seconds in tasks that start no others */
static int64_t runs, tasks;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the functions of base/team.h, which the linker puts in the place of the real ones ---- */

int __wrap_cad_team_open(cad_team_t **team, int threads, cad_error_t *err);
void __wrap_cad_team_close(cad_team_t *team);
int __wrap_cad_team_threads(const cad_team_t *team);
void __wrap_cad_team_run(cad_team_t *team, int64_t ntask, cad_task_f *fn, void *arg);

int __wrap_cad_team_open(cad_team_t **team, int threads, cad_error_t *err)
{
    (void)err;
    *team = malloc(sizeof **team);
    if (!*team) return CAD_ENOMEM;
    (*team)->threads = threads;
    return 0;
}

void __wrap_cad_team_close(cad_team_t *team) { free(team); }

int __wrap_cad_team_threads(const cad_team_t *team) { return team ? team->threads : 1; }

static int free_first(const double *busy_until, int threads)
{
    int first = 0;
    for (int i = 1; i < threads; i++)
        if (busy_until[i] < busy_until[first]) first = i;
    return first;
}

/* Runs a task; returns its time with all runs within it replaced by simulated ones. */
static double run_task(cad_task_f *fn, void *arg, int64_t task, int worker)
{
    double outer_real = real, outer_simulated = simulated, start = now(), t;
    real = simulated = 0;
    fn(arg, task, worker);
    t = now() - start;
    if (real == 0) busy += t;
    t += simulated - real;
    real = outer_real;
    simulated = outer_simulated;
    return t;
}

void __wrap_cad_team_run(cad_team_t *team, int64_t ntask, cad_task_f *fn, void *arg)
{
    double until[MOST] = { 0 }, last = 0, start = now();
    int threads = __wrap_cad_team_threads(team);
    for (int64_t i = 0; i < ntask; i++) {
        int w = free_first(until, threads);
        until[w] += run_task(fn, arg, i, w);
        if (until[w] > last) last = until[w];
    }
    runs += threads > 1;
    tasks += threads > 1 ? ntask : 0;
    real += now() - start;
    simulated += last + (threads > 1 ? barrier : 0);
}

/* ---- */

static int fail(const char *what)
{
    fprintf(stderr, "bench/scaling: %s\n", what);
    return 1;
}

/* Embeds the windows with a context of `threads` threads; returns the simulated time, or a negative number. */
static double measure(const cad_model_t *model, cad_window_t *window, int windows, int threads, cad_error_t *err)
{
    cad_context_t *ctx = NULL;
    cad_options_t o;
    double start, t;
    int rc;
    cad_options_init(&o);
    o.device = "cpu";
    o.threads = threads;
    o.max_len = window->len;
    if (cad_context_open(&ctx, model, &o, err)) return -1;
    rc = cad_embed(ctx, window, windows, CAD_POOL_MEAN, err); /* touches the memory */
    real = simulated = busy = 0;
    runs = tasks = 0;
    start = now();
    if (rc == 0) rc = cad_embed(ctx, window, windows, CAD_POOL_MEAN, err);
    t = now() - start + simulated - real;
    cad_context_close(ctx);
    return rc ? -1 : t;
}

int main(int argc, char **argv)
{
    int64_t len = argc > 3 ? atoll(argv[2]) : 0, n = argc > 3 ? atoll(argv[3]) : 0;
    cad_model_t *model = NULL;
    cad_error_t err = { 0 };
    double one = 0;
    if (len < 1 || n < 1 || n > 4096) return fail("arguments: MODEL LENGTH WINDOWS [BARRIER_US]");
    if (argc > 4) barrier = atof(argv[4]) * 1e-6;
    if (cad_model_open(&model, argv[1], &err)) return fail(err.text);
    int64_t width = cad_model_number(model, CAD_D_MODEL);
    uint8_t *tokens = malloc((size_t)(len * n));
    cad_window_t *window = calloc((size_t)n, sizeof *window);
    float *out = malloc((size_t)(n * width) * sizeof *out);
    if (!tokens || !window || !out) return fail("out of memory");
    for (int64_t i = 0; i < len * n; i++) {
        char base = "ACGT"[cad_random(1, 0, 0, (uint64_t)i) % 4];
        cad_encode(model, &base, 1, 0, tokens + i);
    }
    for (int64_t i = 0; i < n; i++)
        window[i] = (cad_window_t) {
            .tokens = tokens + i * len, .len = len, .core_end = len, .embedding = out + i * width
        };
    printf("threads\tspeedup\tbusy\truns\ttasks\n");
    for (int threads = 1; threads <= MOST; threads *= 2) {
        double t = measure(model, window, (int)n, threads, &err);
        if (t < 0) return fail(err.text);
        if (threads == 1) one = t;
        printf("%d\t%.1f\t%.0f%%\t%lld\t%lld\n", threads, one / t, 100 * busy / (t * threads), (long long)runs,
               (long long)tasks);
    }
    return 0;
}

/* ops.c - how fast a backend's operations are: nanoseconds per token, layer and strand,
 * beside the floors of an H200, then whole windows through the library.
 *     bench/ops [DEVICE [PRECISION [D_MODEL [LAYERS [WINDOW ...]]]]]
 * The model is random, of the published shape by default. An operation is timed with
 * the device awaited after it, so its launch is part of it. SPDX-License-Identifier: MIT */
#include <math.h>
#include <time.h>

#include "module.h"
#include "random.h"

#define ROUNDS 3

enum { EMBED, IN, CONV, SCAN, OUT, HEAD, OPS };
static const char *const OP[] = { "embed", "in", "conv", "scan", "out", "head" };

/* Floors in ns per token, layer and strand of the published model (D 256), on an H200:
 * matrix products at 790 TFLOP/s, memory at 4.3 TB/s, exponentials at 3.7e12/s. */
static const double FLOOR[] = { 0, 0.66, 0.48, 5.8, 0.6, 0 };

static const cad_ops_t *plain;
static double spent[OPS];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int timed(cad_lane_t *l, int op, double start, int rc)
{
    float none;
    if (rc == 0) rc = plain->read(l, CAD_AT_RES, 0, 0, &none);
    spent[op] += now() - start;
    return rc;
}

static int time_embed(cad_lane_t *l, const uint8_t *tok, cad_span_t s) { double t = now(); return timed(l, EMBED, t, plain->embed(l, tok, s)); }
static int time_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts) { double t = now(); return timed(l, IN, t, plain->in(l, layer, dir, s, parts)); }
static int time_conv(cad_lane_t *l, int layer, int dir, cad_span_t s) { double t = now(); return timed(l, CONV, t, plain->conv(l, layer, dir, s)); }
static int time_scan(cad_lane_t *l, int layer, int dir, cad_span_t s, bool add, bool gate) { double t = now(); return timed(l, SCAN, t, plain->scan(l, layer, dir, s, add, gate)); }
static int time_out(cad_lane_t *l, int layer, int dir, cad_span_t s, cad_out_t how) { double t = now(); return timed(l, OUT, t, plain->out(l, layer, dir, s, how)); }
static int time_head(cad_lane_t *l, const cad_pick_t *pick, int64_t n) { double t = now(); return timed(l, HEAD, t, plain->head(l, pick, n)); }

typedef struct { cad_ops_t plain, timing; cad_model_t *m; uint8_t *tok; int64_t *off; cad_pick_t *pick; float *logits; int64_t rows; } bench_t;

static void set_timing(bench_t *b)
{
    plain = &b->plain;
    b->timing = b->plain;
    b->timing.embed = time_embed;
    b->timing.in = time_in;
    b->timing.conv = time_conv;
    b->timing.scan = time_scan;
    b->timing.out = time_out;
    b->timing.head = time_head;
}

/* One pack of windows, every operation by itself. */
static int run_pack(bench_t *b, cad_lane_t *l, int64_t window)
{
    int n = (int)(b->rows / window), rc;
    for (int i = 0; i <= n; i++) b->off[i] = i * window;
    for (int64_t i = 0; i < n; i++) b->pick[i] = (cad_pick_t){ i * window + window / 2, 0, b->logits + i * b->m->vocab.rows };
    rc = cad_strand_forward(l, b->m, b->off, n, NULL);
    return rc ? rc : l->ops->head(l, b->pick, n);
}

static int time_ops(bench_t *b, cad_lane_t *l, int64_t window)
{
    double scale = 1e9 / ROUNDS / (double)(b->rows / window * window) / (double)b->m->cfg.n_layer;
    int rc = run_pack(b, l, window);
    memset(spent, 0, sizeof spent);
    for (int i = 0; i < ROUNDS && rc == 0; i++) rc = run_pack(b, l, window);
    for (int i = 0; i < OPS && rc == 0; i++) {
        printf("op\t%lld\t%s\t%.3f ns", (long long)window, OP[i], spent[i] * scale);
        if (FLOOR[i] > 0 && b->m->cfg.d_model == 256 && !strncmp(b->plain.name, "cuda", 4)) printf("\t%.0f %% of the floor", 100 * FLOOR[i] / (spent[i] * scale));
        putchar('\n');
    }
    return rc;
}

/* Mean embeddings of whole windows, both strands: no masks, little to copy. */
static int time_windows(const bench_t *b, const char *device, const char *precision, int64_t window, int n, cad_error_t *err)
{
    int64_t D = b->m->cfg.d_model;
    cad_window_t *w = calloc((size_t)n, sizeof *w);
    float *out = cad_alloc((size_t)(n * D), sizeof *out);
    cad_context_t *ctx = NULL;
    cad_options_t o;
    double best = 1e30;
    int rc = w && out ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory");
    cad_options_init(&o);
    o.device = device;
    o.precision = precision;
    o.max_len = window;
    for (int i = 0; i < n && rc == 0; i++) w[i] = (cad_window_t){ .tokens = b->tok, .len = window, .core_end = window, .embedding = out + i * D };
    if (rc == 0) rc = cad_context_open(&ctx, b->m, &o, err);
    for (int i = 0; i <= ROUNDS && rc == 0; i++) {
        double t = now();
        rc = cad_embed(ctx, w, n, CAD_POOL_MEAN, err);
        if (i) best = fmin(best, now() - t);
    }
    if (rc == 0) printf("windows\t%lld x %d\t%.1f ms\t%.0f tokens/s\t%.1f KB/token\n", (long long)window, n, best * 1e3, (double)(n * window) / best,
                        (double)cad_context_bytes(ctx) / 1e3 / (double)cad_max(window, b->rows));
    cad_context_close(ctx);
    free(out);
    free(w);
    return rc;
}

static int open_bench(bench_t *b, const char *device, const char *precision, int64_t D, int64_t layers, cad_error_t *err)
{
    char config[256], note[256];
    int rc;
    snprintf(config, sizeof config, "{\"d_model\": %lld, \"n_layer\": %lld, \"vocab_size\": 12, \"rcps\": true}", (long long)D, (long long)layers);
    rc = cad_device_open(&b->plain, device, precision, note, sizeof note, err);
    if (rc == 0) rc = cad_model_create(&b->m, config, 131072, 1, err);
    if (rc) return rc;
    set_timing(b);
    b->rows = strncmp(b->plain.name, "cpu", 3) ? 131072 : 16384;
    b->tok = cad_alloc((size_t)1 << 20, 1);
    b->off = cad_alloc((size_t)b->rows + 1, sizeof *b->off);
    b->pick = cad_alloc((size_t)b->rows, sizeof *b->pick);
    b->logits = cad_alloc((size_t)b->rows, (size_t)b->m->vocab.rows * sizeof(float));
    if (!b->tok || !b->off || !b->pick || !b->logits) return cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int64_t i = 0; i < 1 << 20; i++) b->tok[i] = (uint8_t)b->m->vocab.base[cad_random(7, 0, 0, (uint64_t)i) & 3];
    return 0;
}

static int bench_ops(bench_t *b, const int64_t *window, int nwindow, cad_error_t *err)
{
    cad_weights_t *w;
    cad_lane_t l = { .ops = &b->timing, .rows = b->rows, .tile = cad_min(b->plain.tile, b->rows), .tok = b->tok };
    int rc = b->plain.weights_open(&w, &b->plain, b->m, err);
    if (rc) return rc;
    l.weights = w;
    rc = b->plain.lane_open(&l, b->m);
    for (int i = 0; i < nwindow && rc == 0; i++)
        if (window[i] <= b->rows) rc = time_ops(b, &l, window[i]);
    if (rc) cad_fail(err, rc, "%s: %s", b->plain.name, l.text[0] ? l.text : cad_strerror(rc));
    b->plain.lane_close(&l);
    b->plain.weights_close(w);
    return rc;
}

int main(int argc, char **argv)
{
    static const int64_t usual[] = { 512, 1024, 16384, 131072 };
    const char *device = argc > 1 ? argv[1] : "auto", *precision = argc > 2 ? argv[2] : NULL;
    int64_t D = argc > 3 ? atoll(argv[3]) : 256, layers = argc > 4 ? atoll(argv[4]) : 16, window[16];
    int n = argc > 5 ? (int)cad_min(argc - 5, 16) : 4, rc;
    bench_t b = { .rows = 0 };
    cad_error_t err;
    for (int i = 0; i < n; i++) window[i] = argc > 5 ? cad_max(atoll(argv[5 + i]), 1) : usual[i];
    rc = open_bench(&b, device, precision, D, layers, &err);
    if (rc == 0) printf("model\tD %lld, %lld layers, PS\t%s\t%s\n", (long long)D, (long long)layers, b.plain.name, b.plain.precision);
    if (rc == 0) rc = bench_ops(&b, window, n, &err);
    for (int i = 0; i < n && rc == 0; i++) {
        int many = (int)cad_max(1, 4 * b.rows / window[i]);
        rc = time_windows(&b, device, precision, window[i], many, &err);
        if (rc == 0 && many > 1) rc = time_windows(&b, device, precision, window[i], 1, &err);
    }
    if (rc) fprintf(stderr, "bench/ops: %s\n", err.text);
    cad_model_close(b.m);
    free(b.tok);
    free(b.off);
    free(b.pick);
    free(b.logits);
    return rc != 0;
}

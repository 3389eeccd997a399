/* t_ops.c - compares every operation of every backend, in ragged shapes, with plain loops in double precision. Also
 * tests that results have the same bits for any tiling and team of threads. The CUDA backend is the module that
 * $CADUCEUS_CUDA_MODULE names, by default the shim on the CPU. `t_ops NAME` tests only the instruction set NAME or, if
 * NAME is cuda, this backend.
 * SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <math.h>

#include "blocks/mamba.h"
#include "engine/module.h"
#include "measure/reference.h"
#include "lanes.h"
#include "ops_tools.h"
#include "tap.h"

/* ---- one comparison ---- */

static bool padding_is_zero(cad_lane_t *l, const cad_model_t *m, int what, int64_t rows, int64_t width)
{
    float *a = ops_rows_of(l, m, what, 0, rows);
    int64_t stride = ops_width(m, what), bad = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = width; c < stride; c++) bad += a[r * stride + c] != 0;
    free(a);
    return bad == 0;
}

static void check_direction(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq, int dir,
                            cad_reference_t *p, const char *name)
{
    const cad_mamba_t *z = cad_mamba(&m->cfg);
    int64_t E = z->E, D = m->cfg.d_model, S = z->R + 2 * z->N, rows = off[nseq], ntile = (rows + l->tile - 1) / l->tile;
    cad_op_f *const *op = l->ops->kind[CAD_KIND_mamba];
    cad_mamba_reference_t f;
    double in = 0, conv = 0, xdbl = 0, scan, out, much = ops_slack(l->ops);
    cad_reference_direction(p, m, 0, dir, off, nseq);
    cad_mamba_reference(&f, &m->cfg, p->room, p->rows);
    for (int64_t i = 0; i < ntile; i++) {
        int64_t k = dir ? ntile - 1 - i : i;
        cad_span_t s = { off, NULL, nseq, k * l->tile, cad_min((k + 1) * l->tile, rows) };
        op[CAD_MAMBA_OP_IN](l, 0, dir, s, CAD_IN_X | CAD_IN_Z);
    }
    in = ops_error(l, m, CAD_AT_X, 0, rows, f.x, E) + ops_error(l, m, CAD_AT_Z, 0, rows, f.z, E);
    for (int64_t i = 0; i < ntile; i++) {
        int64_t k = dir ? ntile - 1 - i : i;
        cad_span_t s = { off, NULL, nseq, k * l->tile, cad_min((k + 1) * l->tile, rows) };
        op[CAD_MAMBA_OP_CONV](l, 0, dir, s, 0);
        conv = fmax(conv, ops_error(l, m, CAD_AT_U, 0, s.end - s.beg, f.u + s.beg * E, E));
        xdbl = fmax(xdbl, ops_error(l, m, CAD_AT_XDBL, 0, s.end - s.beg, f.xdbl + s.beg * S, S));
        op[CAD_MAMBA_OP_SCAN](l, 0, dir, s, CAD_SCAN_GATE);
        op[CAD_MAMBA_OP_OUT](l, 0, dir, s, CAD_OUT_KEEP);
    }
    scan = ops_error(l, m, CAD_AT_Y, 0, rows, f.y, E);
    out = ops_error(l, m, CAD_AT_H, 0, rows, p->h, D);
    tap_ok(in < 1e-6 * much, "%s in: %.2g", name, in);
    tap_ok(conv < 1e-6 * much && xdbl < 2e-6 * much, "%s conv: %.2g, x_proj: %.2g", name, conv, xdbl);
    tap_ok(scan < 4e-6 * much, "%s scan: %.2g", name, scan);
    tap_ok(out < 4e-6 * much, "%s out: %.2g", name, out);
    tap_ok(padding_is_zero(l, m, CAD_AT_Y, rows, E) && padding_is_zero(l, m, CAD_AT_H, rows, D),
           "%s padding stays zero", name);
}

/* Attention pooling, which only the CPU has. norm (rows,D): the rows that are pooled. w: any, and 0, which is the mean. */
static void check_attention(cad_lane_t *l, const cad_model_t *m, const double *norm, int64_t rows, const char *name)
{
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD);
    float *w = calloc((size_t)Dp, sizeof *w), *out = calloc((size_t)(2 * D), sizeof *out);
    double *want = ops_doubles(D), total = 0;
    cad_range_t range[] = { { 0, rows, CAD_POOL_ATTENTION, out, w }, { 0, rows, CAD_POOL_MEAN, out + D, NULL } };
    for (int64_t d = 0; d < D; d++) w[d] = (float)(3 * sin((double)(7 * d + 1)));
    for (int64_t r = 0; r < rows; r++) total += exp(cad_reference_dot(w, norm + r * D, D));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t d = 0; d < D; d++) want[d] += exp(cad_reference_dot(w, norm + r * D, D)) / total * norm[r * D + d];
    l->ops->pool(l, range, 1);
    tap_ok(ops_distance(out, D, want, 1, D) < 1e-5, "%s pool attention: %.2g", name, ops_distance(out, D, want, 1, D));
    memset(w, 0, (size_t)D * sizeof *w);
    l->ops->pool(l, range, 2);
    tap_ok(!memcmp(out, out + D, (size_t)D * sizeof *out), "%s pool attention without weights: the bytes of the mean",
           name);
    free(w);
    free(out);
    free(want);
}

static void check_head(cad_lane_t *l, const cad_model_t *m, const cad_reference_t *p, int64_t rows, const char *name)
{
    int64_t D = m->cfg.d_model, V = m->vocab.rows, row[3] = { rows - 1, 0, rows / 2 };
    float *logits = ops_floats(3 * V, 1), *pool = ops_floats((rows + 2) * D, 1);
    cad_pick_t pick[3];
    cad_range_t range[] = { { 0, rows, CAD_POOL_MEAN, pool, NULL },
                            { 0, rows, CAD_POOL_NONE, pool + D, NULL },
                            { 0, rows, CAD_POOL_MAX, pool + (rows + 1) * D, NULL } };
    double *want = ops_doubles(3 * V), *norm = ops_doubles(rows * D), *mean = ops_doubles(D), *top = ops_doubles(D);
    for (int64_t r = 0; r < rows; r++) {
        cad_reference_norm(m, p->res + r * D, m->norm_f, m->norm_f_bias, norm + r * D);
        for (int64_t d = 0; d < D; d++) {
            mean[d] += norm[r * D + d] / (double)rows;
            top[d] = r ? fmax(top[d], norm[r * D + d]) : norm[d];
        }
    }
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < 3; i++)
            for (int64_t v = 0; v < V; v++)
                want[i * V + v] = cad_reference_dot(m->embed + (s ? m->vocab.comp[v] : v) * D, norm + row[i] * D, D);
        for (int i = 0; i < 3; i++) pick[i] = (cad_pick_t) { row[i], s, logits + i * V };
        l->ops->head(l, pick, 3);
        tap_ok(ops_distance(logits, V, want, 3, V) < 1e-6, "%s head of strand %d", name, s);
    }
    l->ops->pool(l, range, 3);
    tap_ok(ops_distance(range[1].to, D, norm, rows, D) < 1e-6, "%s pool none", name);
    tap_ok(ops_distance(range[0].to, D, mean, 1, D) < 1e-5, "%s pool mean", name);
    tap_ok(ops_distance(range[2].to, D, top, 1, D) < 1e-6, "%s pool max", name);
    if (!l->ops->back) check_attention(l, m, norm, rows, name);
    free(logits);
    free(pool);
    free(want);
    free(norm);
    free(mean);
    free(top);
}

static void check_shape(const cad_ops_t *ops, const ops_shape_t *s, int64_t tile, const int64_t *off, int nseq)
{
    int64_t rows = off[nseq], D = s->D;
    char name[128];
    cad_model_t m;
    cad_weights_t *w;
    cad_lane_t l;
    cad_reference_t p;
    ops_model(&m, s);
    ops->weights_open(&w, ops, &m, NULL);
    lane_begin(&l, ops, w, &m, NULL, rows, tile);
    cad_reference_open(&p, &m, rows, NULL);
    for (int64_t r = 0; r < rows; r++) {
        l.tok[r] = (uint8_t)(r * 7 % s->V);
        for (int64_t d = 0; d < D; d++) p.res[r * D + d] = (double)m.embed[l.tok[r] * D + d];
    }
    ops->embed(&l, l.tok, (cad_span_t) { off, NULL, nseq, 0, rows });
    snprintf(name, sizeof name, "%s %s D=%d E=%d N=%d K=%d R=%d tile=%lld", ops->name, ops->precision, s->D, s->E, s->N,
             s->K, s->R, (long long)tile);
    tap_ok(ops_error(&l, &m, CAD_AT_RES, 0, rows, p.res, D) == 0, "%s embed", name);
    check_head(&l, &m, &p, rows, name);
    check_direction(&l, &m, off, nseq, 0, &p, name);
    check_direction(&l, &m, off, nseq, 1, &p, name);
    cad_reference_close(&p);
    lane_end(&l);
    ops->weights_close(w);
    ops_model_free(&m);
}

/* Tests that the results of the whole encoder have the same bits for any tile size, any team of threads and any other
 * sequences in the batch. */
static void check_invariance(const cad_ops_t *ops, const ops_shape_t *s)
{
    static const int64_t off[] = { 0, 3, 90, 200, 333 }, alone[] = { 0, 110 };
    cad_model_t m;
    cad_weights_t *w;
    cad_lane_t a, b;
    cad_team_t *team;
    ops_model(&m, s);
    ops->weights_open(&w, ops, &m, NULL);
    cad_team_open(&team, 3, NULL);
    lane_begin(&a, ops, w, &m, NULL, 333, ops->tile);
    lane_begin(&b, ops, w, &m, team, 333, 17);
    for (int i = 0; i < 333; i++) a.tok[i] = b.tok[i] = (uint8_t)((i * i + 3 * i) % s->V);
    cad_encoder_forward(&a, &m, off, 4, NULL);
    cad_encoder_forward(&b, &m, off, 4, NULL);
    tap_ok(lane_same_rows(&a, &b, &m, 0, 0, 333), "%s: tiles of 17 rows on three threads give the same bits",
           ops->name);
    memmove(b.tok, a.tok + 90, 110);
    cad_encoder_forward(&b, &m, alone, 1, NULL);
    tap_ok(lane_same_rows(&a, &b, &m, 90, 0, 110), "%s: a sequence alone gives the same bits as in a batch", ops->name);
    lane_end(&a);
    lane_end(&b);
    cad_team_close(team);
    ops->weights_close(w);
    ops_model_free(&m);
}

/* ---- rows that are not wanted ---- */

static cad_op_f *const *counted; /* the real operations, which the counting operations call */
static int64_t rows_of[CAD_MAMBA_OPS];

#define COUNT(name, op)                                                            \
    static int name(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how) \
    {                                                                              \
        rows_of[op] += s.end - s.beg;                                              \
        return counted[op](l, layer, dir, s, how);                                 \
    }
COUNT(count_in, CAD_MAMBA_OP_IN)
COUNT(count_conv, CAD_MAMBA_OP_CONV)
COUNT(count_scan, CAD_MAMBA_OP_SCAN)
COUNT(count_out, CAD_MAMBA_OP_OUT)
static cad_op_f *const COUNTING[CAD_MAMBA_OPS] = { count_in, count_conv, count_scan, count_out };

typedef enum { MERGED, ADDED, MULTIPLIED, FORWARD, BACKWARD, KINDS } kind_t;

static void make_kind(cad_model_t *m, kind_t kind)
{
    m->cfg.tied = kind == MERGED;
    m->cfg.multiply = kind == MULTIPLIED;
    m->layer->merged = kind == MERGED && !cad_mamba(&m->cfg)->bias;
    if (kind < FORWARD) return;
    m->cfg.bidirectional = false;
    m->layer->ndir = 1;
    m->layer->dir[0].reverse = kind == BACKWARD;
}

static int64_t within(int64_t beg, int64_t end)
{
    return beg + (int64_t)((ops_uniform() + 1) / 2 * (double)(end - beg));
}

/* Draws which rows of each sequence are wanted: one row, all rows, or a range, which may be empty. */
static void draw_wanted(const int64_t *off, int nseq, cad_rows_t *want)
{
    for (int q = 0; q < nseq; q++) {
        int64_t beg = within(off[q], off[q + 1]), end = within(off[q], off[q + 1]), how = within(0, 4);
        want[q] = how == 0   ? (cad_rows_t) { beg, beg + 1 }
                  : how == 1 ? (cad_rows_t) { off[q], off[q + 1] }
                             : (cad_rows_t) { beg, end };
    }
}

static bool same_wanted(cad_lane_t *all, cad_lane_t *part, const cad_model_t *m, int nseq, const cad_rows_t *want)
{
    bool same = true;
    for (int q = 0; q < nseq && same; q++)
        if (want[q].beg < want[q].end)
            same = lane_same_rows(all, part, m, want[q].beg, want[q].beg, want[q].end - want[q].beg);
    return same;
}

/* Returns true if z of row r was computed. A backend that runs all rows at once computes z of every row, wanted or
 * not. */
static bool gated(cad_lane_t *l, const cad_model_t *m, int64_t r)
{
    float *z = ops_rows_of(l, m, CAD_AT_Z, r, 1);
    bool there = !isnan(z[0]);
    free(z);
    return there;
}

/* Asks for row 150 of the pack alone (it is in the third sequence) and checks how many rows each operation runs. */
static bool one_row(cad_lane_t *l, const cad_model_t *m, const cad_ops_t *counting, const int64_t *off)
{
    static const cad_rows_t want[] = { { 0, 0 }, { 3, 3 }, { 150, 151 }, { 333, 200 } };
    bool merged = m->layer->merged, back = m->layer->dir[0].reverse;
    int64_t past = back ? 0 : 61, future = back || m->layer->ndir == 2 ? 50 : 0;
    const cad_ops_t *ops = l->ops;
    ops_poison(l, m, off, 4);
    memset(rows_of, 0, sizeof rows_of);
    l->ops = counting;
    cad_encoder_forward(l, m, off, 4, want);
    l->ops = ops;
    return rows_of[CAD_MAMBA_OP_CONV] == past + future && rows_of[CAD_MAMBA_OP_SCAN] == past + future &&
           rows_of[CAD_MAMBA_OP_IN] == past + future - merged + (merged && ops->late) &&
           rows_of[CAD_MAMBA_OP_OUT] == (merged ? 1 : m->layer->ndir) && gated(l, m, 150) &&
           (ops->tile == CAD_WHOLE || (!gated(l, m, 149) && !gated(l, m, 151)));
}

/* Tests that the bits of a wanted row do not depend on which other rows are wanted, that every row that is read was
 * computed, and that only needed rows are computed. */
static void check_wanted(const cad_ops_t *ops, const ops_shape_t *s, kind_t kind)
{
    static const int64_t off[] = { 0, 3, 90, 200, 333 };
    int64_t tile[] = { ops->tile, 17, 333 };
    int same = 0, few = 0, trials = 0, tiles = ops->tile == CAD_WHOLE ? 1 : 3, draws = tap_few ? 1 : 10;
    cad_ops_t counting = *ops;
    cad_model_t m;
    cad_weights_t *w;
    cad_lane_t all, part;
    cad_team_t *team;
    ops_model(&m, s);
    make_kind(&m, kind);
    counted = ops->kind[CAD_KIND_mamba];
    counting.kind[CAD_KIND_mamba] = COUNTING;
    ops->weights_open(&w, ops, &m, NULL);
    cad_team_open(&team, 3, NULL);
    lane_begin(&all, ops, w, &m, NULL, 333, ops->tile);
    for (int i = 0; i < 333; i++) all.tok[i] = (uint8_t)((i * i + 3 * i) % s->V);
    cad_encoder_forward(&all, &m, off, 4, NULL);
    for (int i = 0; i < tiles; i++) {
        lane_begin(&part, ops, w, &m, i == 1 ? team : NULL, 333, tile[i]);
        memcpy(part.tok, all.tok, 333);
        for (int k = 0; k < draws; k++, trials++) {
            cad_rows_t want[4];
            draw_wanted(off, 4, want);
            ops_poison(&part, &m, off, 4);
            cad_encoder_forward(&part, &m, off, 4, want);
            same += same_wanted(&all, &part, &m, 4, want);
        }
        few += one_row(&part, &m, &counting, off);
        lane_end(&part);
    }
    tap_ok(same == trials, "%s, block %d, D=%d: wanted rows alone are the same bits", ops->name, (int)kind, s->D);
    tap_ok(few == tiles, "%s, block %d, D=%d: and nothing else is computed", ops->name, (int)kind, s->D);
    lane_end(&all);
    cad_team_close(team);
    ops->weights_close(w);
    ops_model_free(&m);
}

/* Runs the operations of one direction up to the scan. how: CAD_SCAN_* */
static void scan_direction(cad_lane_t *l, const int64_t *off, int nseq, int dir, unsigned how)
{
    cad_op_f *const *op = l->ops->kind[CAD_KIND_mamba];
    int64_t rows = off[nseq], ntile = (rows + l->tile - 1) / l->tile;
    for (int64_t i = 0; i < ntile; i++) {
        int64_t k = dir ? ntile - 1 - i : i;
        cad_span_t s = { off, NULL, nseq, k * l->tile, cad_min((k + 1) * l->tile, rows) };
        op[CAD_MAMBA_OP_IN](l, 0, dir, s, CAD_IN_X | CAD_IN_Z);
        op[CAD_MAMBA_OP_CONV](l, 0, dir, s, 0);
        op[CAD_MAMBA_OP_SCAN](l, 0, dir, s, how);
    }
}

/* Tests the sum of both directions of long sequences, which a GPU scans in one launch. */
static void check_both(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq)
{
    int64_t rows = off[nseq], D = m->cfg.d_model, E = cad_mamba(&m->cfg)->E;
    double *sum = ops_doubles(rows * E), error;
    cad_reference_t p;
    cad_mamba_reference_t f;
    cad_reference_open(&p, m, rows, NULL);
    for (int64_t i = 0; i < rows * D; i++) p.res[i] = (double)m->embed[l->tok[i / D] * D + i % D];
    l->ops->embed(l, l->tok, (cad_span_t) { off, NULL, nseq, 0, rows });
    for (int dir = 0; dir < 2; dir++) {
        scan_direction(l, off, nseq, dir, dir ? CAD_SCAN_ADD | CAD_SCAN_GATE : CAD_SCAN_MORE);
        cad_reference_direction(&p, m, 0, dir, off, nseq);
        cad_mamba_reference(&f, &m->cfg, p.room, p.rows);
        for (int64_t i = 0; i < rows * E; i++) sum[i] += f.y[i];
    }
    error = ops_error(l, m, CAD_AT_Y, 0, rows, sum, E);
    tap_ok(error < 4e-6 * ops_slack(l->ops), "%s %s, R=%d: both directions of a long sequence: %.2g", l->ops->name,
           l->ops->precision, (int)cad_mamba(&m->cfg)->R, error);
    cad_reference_close(&p);
    free(sum);
}

/* Tests long sequences, which a GPU cuts into pieces or, if R is 12, scans in parallel over time: both directions, alone
 * and in a batch, and with few wanted rows. */
static void check_long(const cad_ops_t *ops, int R)
{
    const ops_shape_t small = { 16, 32, 16, 4, R, 16, true, false };
    static const int64_t off[] = { 0, 70, 4000, 4060 }, alone[] = { 0, 3930 };
    static const cad_rows_t some[][3] = { { { 0, 0 }, { 1500, 1600 }, { 4010, 4020 } },
                                          { { 3, 5 }, { 3000, 3001 }, { 4010, 4010 } } };
    cad_model_t m;
    cad_weights_t *w;
    cad_lane_t a, b;
    check_shape(ops, &small, 1000, off, 3);
    ops_model(&m, &small);
    make_kind(&m, MERGED);
    memcpy((void *)cad_param(&m.layer->dir[1], CAD_MAMBA_IN), cad_param(&m.layer->dir[0], CAD_MAMBA_IN),
           sizeof(float) * 2 * 32 * 16);
    ops->weights_open(&w, ops, &m, NULL);
    lane_begin(&a, ops, w, &m, NULL, 4060, ops->tile);
    lane_begin(&b, ops, w, &m, NULL, 4060, 500);
    for (int i = 0; i < 4060; i++) a.tok[i] = b.tok[i] = (uint8_t)((i * i + 3 * i) % 16);
    check_both(&a, &m, off, 3);
    cad_encoder_forward(&a, &m, off, 3, NULL);
    for (int k = 0; k < 2; k++) {
        ops_poison(&b, &m, off, 3);
        cad_encoder_forward(&b, &m, off, 3, some[k]);
        tap_ok(same_wanted(&a, &b, &m, 3, some[k]), "%s %s, R=%d: wanted rows of a long sequence are the same bits",
               ops->name, ops->precision, R);
    }
    memcpy(b.tok, a.tok + 70, 3930);
    cad_encoder_forward(&b, &m, alone, 1, NULL);
    tap_ok(lane_same_rows(&a, &b, &m, 70, 0, 3930), "%s %s, R=%d: a long sequence alone gives the same bits", ops->name,
           ops->precision, R);
    lane_end(&a);
    lane_end(&b);
    ops->weights_close(w);
    ops_model_free(&m);
}

static void check_backend(const cad_ops_t *ops)
{
    static const ops_shape_t shape[] = {
        { 16, 32, 16, 4, 1, 16, true, false },    { 118, 236, 16, 4, 8, 16, true, false },
        { 10, 30, 5, 3, 3, 8, true, true },       { 24, 48, 16, 4, 2, 16, false, true },
        { 1, 1, 1, 1, 1, 5, true, false },        { 33, 66, 17, 7, 20, 16, false, false },
        { 256, 512, 16, 4, 16, 16, true, false },
    };
    static const int64_t off[] = { 0, 1, 4, 5, 41, 43, 150, 171 };
    ops_seed(42);
    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++) check_shape(ops, &shape[k], k % 2 ? 171 : 23, off, 7);
    check_invariance(ops, &shape[1]);
    check_invariance(ops, &shape[2]);
    for (int k = 0; k < KINDS; k++) {
        check_wanted(ops, &shape[1], (kind_t)k);
        check_wanted(ops, &shape[2], (kind_t)k);
    }
    check_long(ops, 1);
    check_long(ops, 12);
}

/* Tests the instruction sets from the `first` to the `last` of the list. */
static void check_cpu(int precision, int first, int last)
{
    static const char *const isa[] = { "avx2", "avx512",    "neon",       "plain",
                                       "amx",  "amx-plain", "avx512bf16", "avx512bf16-plain" };
    for (int i = first; i <= last; i++) {
        const cad_ops_t *ops = NULL;
        if (!tap_wants(isa[i])) continue;
        setenv("CADUCEUS_ISA", isa[i], 1);
        if (cad_cpu_ops(&ops, precision, NULL) || strcmp(strchr(ops->name, ' ') + 1, isa[i]))
            tap_skip(isa[i], "this processor lacks it");
        else check_backend(ops);
    }
}

/* Tests that the module $CADUCEUS_CUDA_MODULE refuses a host program whose structs have other sizes. */
static void check_refusal(void)
{
    cad_host_t own, older, other;
    void *handle = dlopen(getenv("CADUCEUS_CUDA_MODULE"), RTLD_NOW | RTLD_LOCAL),
         *at = handle ? dlsym(handle, CAD_MODULE_SYMBOL) : NULL;
    cad_module_f *entry;
    cad_ops_t ops;
    cad_error_t err;
    memcpy(&entry, &at, sizeof at);
    cad_host_init(&own);
    older = other = own;
    older.abi--;
    other.lane += 8;
    tap_ok(at && entry(&own, 0, false, &ops, &err) == 0, "the module takes this host");
    tap_ok(at && entry(&older, 0, false, &ops, &err) == CAD_EARG && entry(&other, 0, false, &ops, &err) == CAD_EARG,
           "it refuses a host of another version");
    for (int k = 0; k < CAD_NKINDS; k++) {
        cad_host_t shape = own, lane = own, grad = own;
        shape.kind[k].shape += 8;
        lane.kind[k].lane += 8;
        grad.kind[k].grad_lane += 8;
        tap_ok(at && entry(&shape, 0, false, &ops, &err) == CAD_EARG &&
                   entry(&lane, 0, false, &ops, &err) == CAD_EARG && entry(&grad, 0, false, &ops, &err) == CAD_EARG,
               "and one whose structs of %s have other sizes", cad_blocks[k]->name);
    }
    if (handle) dlclose(handle);
}

static void check_cuda(const char *precision)
{
    const char *named = getenv("CADUCEUS_CUDA_MODULE"), *builddir = getenv("builddir");
    char path[4096], note[8];
    cad_ops_t ops;
    cad_error_t err;
    snprintf(path, sizeof path, "%s/.libs/caduceus-cuda-shim.so", builddir ? builddir : ".");
    if (!named || !*named) setenv("CADUCEUS_CUDA_MODULE", path, 1);
    if (tap_ok(cad_device_open(&ops, NULL, "cuda", precision, note, sizeof note, &err) == 0, "the CUDA backend opens"))
        check_backend(&ops);
    else printf("# %s\n", err.text);
}

int main(int argc, char **argv)
{
    tap_arguments(argc, argv);
    check_cpu(CAD_PRECISION_FP32, 0, 5);
    check_cpu(CAD_PRECISION_BF16X3, 4, 5); /* the others compute bf16x3 as fp32 */
    check_cpu(CAD_PRECISION_BF16, 0, 7);
    if (!tap_wants("cuda")) return tap_finish();
    check_cuda("fp32");
    check_cuda("bf16x3");
    check_cuda("bf16");
    check_refusal();
    return tap_finish();
}

/* t_mamba2.c - compares a Mamba-2 layer's operations, for every backend and in ragged shapes, with plain loops in double
 * precision. Also tests that results have the same bits for any tiling, team of threads and batch, with and without rows
 * that are not wanted; and the configuration: its switches, refusals and initial values. The CUDA backend is the module
 * that $CADUCEUS_CUDA_MODULE names, by default the shim on the CPU. `t_mamba2 NAME` tests only the instruction set NAME
 * or, if NAME is cuda, this backend.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "blocks/mamba2.h"
#include "engine/module.h"
#include "measure/reference.h"
#include "lanes.h"
#include "tap.h"

/* One model has two layers, the first of which reads tables of tokens. */
static const char *const MODEL[] = {
    "{\"d_model\": 20, \"n_layer\": 2, \"vocab_size\": 12, \"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 8, "
    "\"d_state\": 5}}",
    "{\"d_model\": 24, \"n_layer\": 2, \"vocab_size\": 12, \"rms_norm\": false, \"bidirectional_weight_tie\": false, "
    "\"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 6, \"ngroups\": 4, \"d_state\": 17, \"d_conv\": 3}}",
    "{\"d_model\": 70, \"n_layer\": 2, \"vocab_size\": 100, \"bidirectional_strategy\": \"ew_multiply\", \"ssm_cfg\": "
    "{\"layer\": \"Mamba2\", \"headdim\": 140, \"bias\": true, \"conv_bias\": false, \"d_state\": 130, \"d_conv\": 1}}",
    "{\"d_model\": 64, \"n_layer\": 2, \"vocab_size\": 12, \"bidirectional\": false, \"ssm_cfg\": {\"layer\": "
    "\"Mamba2\", \"d_state\": 64}}",
};
#define MODELS (int)(sizeof MODEL / sizeof *MODEL)

static cad_model_t *open_model(const char *config)
{
    cad_model_t *m = NULL;
    cad_error_t err = { "" };
    if (cad_model_create(&m, config, 1024, 3, &err)) printf("# %s\n", err.text);
    for (int64_t i = 0; m && i < m->vocab.rows * m->cfg.d_model; i++)
        m->embed_in[i] *= 50; /* of a size with the norm */
    return m;
}

static void open_lane(cad_lane_t *l, const cad_ops_t *ops, const cad_weights_t *w, const cad_model_t *m,
                      cad_team_t *team, int64_t rows, int64_t tile)
{
    lane_begin(l, ops, w, m, team, rows, tile);
    for (int64_t i = 0; i < rows; i++) l->tok[i] = (uint8_t)((i * i + 3 * i) % m->cfg.vocab_size);
}

/* ---- against plain loops ---- */

/* Returns the relative error of columns of an array: run k of its channels is compared with want (rows,ld). */
static double error_of(cad_lane_t *l, const cad_model_t *m, int what, int64_t runs, int64_t rows, const double *want,
                       int64_t ld)
{
    const cad_mamba2_t *s = cad_mamba2(&m->cfg);
    int64_t width = what == CAD_AT_MAMBA2_X   ? cad_mamba2_Xp(s)
                    : what == CAD_AT_MAMBA2_U ? cad_mamba2_Cp(s)
                                              : cad_mamba2_Ep(s);
    float *got = cad_alloc((size_t)(rows * width), sizeof *got);
    double num = 0, den = 1e-300;
    l->ops->read(l, CAD_KIND_mamba2, what, 0, rows, got);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < runs; k++) {
            cad_mamba2_run_t run = cad_mamba2_run(s, k);
            for (int64_t i = 0; i < run.n; i++) {
                double w = want[r * ld + run.from + i], e = (double)got[r * width + run.to + i] - w;
                num += e * e;
                den += w * w;
            }
        }
    free(got);
    return sqrt(num / den);
}

static double output_error(cad_lane_t *l, const cad_model_t *m, const cad_reference_t *p, int64_t rows)
{
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD);
    float *got = cad_alloc((size_t)(rows * Dp), sizeof *got);
    double num = 0, den = 0;
    l->ops->read(l, CAD_KIND_mamba2, CAD_AT_H, 0, rows, got);
    for (int64_t i = 0; i < rows * D; i++) {
        double e = (double)got[i / D * Dp + i % D] - p->h[i];
        num += e * e;
        den += p->h[i] * p->h[i];
    }
    free(got);
    return sqrt(num / den);
}

/* Runs one direction of layer 1 in one tile, operation by operation. h is there in models that are not merged. */
static void check_direction(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq, int dir,
                            cad_reference_t *p, const char *name)
{
    const cad_mamba2_t *s = cad_mamba2(&m->cfg);
    int64_t I = s->I, C = I + 2 * s->G * s->N, R = I + C + s->H, rows = off[nseq];
    double much = (double[]) { 1, 20, 1e4 }[cad_precision_number(l->ops->precision)], in, z, u, y, o, out = 0;
    cad_op_f *const *op = l->ops->kind[CAD_KIND_mamba2];
    cad_span_t all = { off, NULL, nseq, 0, rows };
    cad_mamba2_reference_t f;
    cad_reference_direction(p, m, 1, dir, off, nseq);
    cad_mamba2_reference(&f, &m->cfg, p->room, p->rows);
    op[CAD_MAMBA2_OP_IN](l, 1, dir, all, CAD_IN_X | CAD_IN_Z);
    op[CAD_MAMBA2_OP_CONV](l, 1, dir, all, 0);
    op[CAD_MAMBA2_OP_SCAN](l, 1, dir, all, 0);
    in = error_of(l, m, CAD_AT_MAMBA2_X, s->H + 2 * s->G + 1, rows, f.zxr + I, R);
    z = error_of(l, m, CAD_AT_MAMBA2_Z, s->H, rows, f.zxr, R);
    u = error_of(l, m, CAD_AT_MAMBA2_U, s->H + 2 * s->G, rows, f.u, C);
    y = error_of(l, m, CAD_AT_MAMBA2_Y, s->H, rows, f.y, I);
    op[CAD_MAMBA2_OP_GATE](l, 1, dir, all, 0);
    o = error_of(l, m, CAD_AT_MAMBA2_O, s->H, rows, f.o, I);
    if (l->h) op[CAD_MAMBA2_OP_OUT](l, 1, dir, all, CAD_OUT_KEEP);
    if (l->h) out = output_error(l, m, p, rows);
    tap_ok(in < 1e-6 * much && z < 1e-6 * much, "%s in: %.2g, z: %.2g", name, in, z);
    tap_ok(u < 1e-6 * much, "%s conv: %.2g", name, u);
    tap_ok(y < 2e-6 * much, "%s scan: %.2g", name, y);
    tap_ok(o < 2e-6 * much && out < 2e-6 * much, "%s gate: %.2g, out: %.2g", name, o, out);
}

static void check_model(const cad_ops_t *ops, int which)
{
    static const int64_t off[] = { 0, 1, 64, 128, 193, 393, 396 }; /* 1, 63, 64, 65, 200, 3 rows */
    cad_model_t *m = open_model(MODEL[which]);
    cad_weights_t *w;
    cad_lane_t l;
    cad_reference_t p;
    char name[128];
    ops->weights_open(&w, ops, m, NULL);
    open_lane(&l, ops, w, m, NULL, 396, 396);
    cad_reference_open(&p, m, 396, NULL);
    ops->embed(&l, l.tok, (cad_span_t) { off, NULL, 6, 0, 396 });
    for (int64_t i = 0; i < 396 * m->cfg.d_model; i++)
        p.res[i] = (double)m->embed_in[l.tok[i / m->cfg.d_model] * m->cfg.d_model + i % m->cfg.d_model];
    for (int dir = 0; dir < m->layer[1].ndir; dir++) {
        snprintf(name, sizeof name, "%s %s, model %d, direction %d:", ops->name, ops->precision, which, dir);
        check_direction(&l, m, off, 6, dir, &p, name);
    }
    cad_reference_close(&p);
    lane_end(&l);
    ops->weights_close(w);
    cad_model_close(m);
}

/* ---- the same bits ---- */

static void check_bits(const cad_ops_t *ops, int which)
{
    static const int64_t off[] = { 0, 3, 90, 290, 433 }, alone[] = { 0, 200 };
    static const cad_rows_t want[] = { { 0, 0 }, { 85, 86 }, { 120, 250 }, { 433, 300 } };
    static const int64_t tile[] = { 17, 100, 64, 433 };
    cad_model_t *m = open_model(MODEL[which]);
    cad_weights_t *w;
    cad_lane_t a, b;
    cad_team_t *team;
    bool same = true, single = true, wanted = true;
    ops->weights_open(&w, ops, m, NULL);
    cad_team_open(&team, 3, NULL);
    open_lane(&a, ops, w, m, NULL, 433, ops->tile);
    cad_encoder_forward(&a, m, off, 4, NULL);
    for (int i = 0; i < (ops->tile == CAD_WHOLE ? 1 : 4); i++) {
        open_lane(&b, ops, w, m, i % 2 ? team : NULL, 433, tile[i]);
        cad_encoder_forward(&b, m, off, 4, NULL);
        same = same && lane_same_rows(&a, &b, m, 0, 0, 433);
        cad_encoder_forward(&b, m, off, 4, want);
        wanted = wanted && lane_same_rows(&a, &b, m, 85, 85, 1) && lane_same_rows(&a, &b, m, 120, 120, 130);
        memmove(b.tok, b.tok + 90, 200);
        cad_encoder_forward(&b, m, alone, 1, NULL);
        single = single && lane_same_rows(&a, &b, m, 90, 0, 200);
        lane_end(&b);
    }
    tap_ok(same, "%s %s, model %d: the same bits for any tile and team", ops->name, ops->precision, which);
    tap_ok(single, "%s %s, model %d: a sequence alone gives the same bits", ops->name, ops->precision, which);
    tap_ok(wanted, "%s %s, model %d: wanted rows alone are the same bits", ops->name, ops->precision, which);
    lane_end(&a);
    cad_team_close(team);
    ops->weights_close(w);
    cad_model_close(m);
}

/* Runs a merged layer in segments, which cut sequences, and compares with one segment. */
static void check_segments(const cad_ops_t *ops)
{
    static const int64_t off[] = { 0, 700, 2300, 2310, 2500 }, tile[] = { 100, 17, 1100 };
    static const cad_rows_t want[][4] = { { { 20, 21 }, { 0, 0 }, { 0, 0 }, { 0, 0 } },
                                          { { 0, 0 }, { 1010, 1011 }, { 0, 0 }, { 2499, 2500 } },
                                          { { 0, 0 }, { 1990, 2200 }, { 2300, 2310 }, { 0, 0 } } };
    cad_ops_t whole = *ops;
    cad_model_t *m = open_model(MODEL[0]);
    cad_weights_t *w;
    cad_lane_t a, b;
    cad_team_t *team;
    bool same = true, wanted = true, less = true;
    whole.late = false;
    ops->weights_open(&w, ops, m, NULL);
    cad_team_open(&team, 2, NULL);
    open_lane(&a, &whole, w, m, NULL, 2500, 100);
    cad_encoder_forward(&a, m, off, 4, NULL);
    for (int i = 0; i < 3; i++) {
        open_lane(&b, ops, w, m, i ? team : NULL, 2500, tile[i]);
        less = less && (i || b.bytes < a.bytes);
        cad_encoder_forward(&b, m, off, 4, NULL);
        same = same && lane_same_rows(&a, &b, m, 0, 0, 2500);
        for (int k = 0; k < 3; k++) {
            cad_encoder_forward(&b, m, off, 4, want[k]);
            for (int q = 0; q < 4; q++)
                wanted = wanted &&
                         lane_same_rows(&a, &b, m, want[k][q].beg, want[k][q].beg, want[k][q].end - want[k][q].beg);
        }
        lane_end(&b);
    }
    tap_ok(same, "%s %s: the same bits in segments", ops->name, ops->precision);
    tap_ok(wanted, "%s %s: wanted rows too", ops->name, ops->precision);
    tap_ok(less, "%s %s: segments take less memory", ops->name, ops->precision);
    lane_end(&a);
    cad_team_close(team);
    ops->weights_close(w);
    cad_model_close(m);
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
        else {
            for (int k = 0; k < MODELS; k++) {
                check_model(ops, k);
                check_bits(ops, k);
            }
            check_segments(ops);
        }
    }
}

/* Tests that a model of more heads than a launch has rows of thread blocks is refused. */
static void check_many_heads(const cad_ops_t *ops)
{
    cad_model_t *m = open_model("{\"d_model\": 64, \"n_layer\": 1, \"vocab_size\": 12, \"ssm_cfg\": {\"layer\": "
                                "\"Mamba2\", \"expand\": 64, \"headdim\": 1, \"d_state\": 1024}}");
    cad_weights_t *w = NULL;
    cad_error_t err = { "" };
    tap_ok(ops->weights_open(&w, ops, m, &err) == CAD_EARG && !w &&
               !strcmp(err.text, "4096 heads of 1024 states are more than the CUDA kernels hold; use the CPU"),
           "refused: %s", err.text);
    cad_model_close(m);
}

static void check_cuda(const char *precision)
{
    const char *named = getenv("CADUCEUS_CUDA_MODULE"), *builddir = getenv("builddir");
    char path[4096], note[8];
    cad_ops_t ops;
    cad_error_t err = { "" };
    snprintf(path, sizeof path, "%s/.libs/caduceus-cuda-shim.so", builddir ? builddir : ".");
    if (!named || !*named) setenv("CADUCEUS_CUDA_MODULE", path, 1);
    if (!tap_ok(cad_device_open(&ops, NULL, "cuda", precision, note, sizeof note, &err) == 0,
                "the CUDA backend opens: %s", err.text))
        return;
    for (int k = 0; k < MODELS; k++) {
        check_model(&ops, k);
        check_bits(&ops, k);
    }
    check_many_heads(&ops);
}

/* ---- configuration ---- */

#define HEAD "{\"d_model\": 6, \"n_layer\": 1, \"vocab_size\": 12, "
static void refuses(const char *config, const char *why)
{
    cad_model_t *m = NULL;
    cad_error_t err = { "" };
    int rc = cad_model_create(&m, config, 1024, 3, &err);
    tap_ok(rc == CAD_EFORMAT && strstr(err.text, why), "refused: %s", err.text);
    cad_model_close(m);
}

static void check_refusals(void)
{
    refuses(HEAD "\"ssm_cfg\": {\"layer\": \"Mamba3\"}}", "\"layer\"");
    refuses(HEAD "\"ssm_cfg\": {\"layer\": \"Mamba2\"}}", "\"headdim\""); /* 64 does not divide 12 */
    refuses(HEAD "\"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 4, \"ngroups\": 2}}", "\"ngroups\"");
    refuses(HEAD "\"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 4, \"A_init_range\": [4]}}", "\"A_init_range\"");
    refuses(HEAD "\"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 4, \"d_ssm\": 8}}", "\"d_ssm\"");
    refuses(HEAD "\"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 4, \"rmsnorm\": false}}", "\"rmsnorm\"");
    refuses(HEAD "\"d_intermediate\": 12}", "\"d_intermediate\"");
    refuses(HEAD "\"attn_layer_idx\": [0]}", "\"attn_layer_idx\"");
    refuses("{\"d_model\": [6, 8], \"n_layer\": 1, \"vocab_size\": 12}", "\"d_model\" is a list");
}

static void check_initial(void)
{
    cad_model_t *m = NULL;
    cad_error_t err = { "" };
    bool good = cad_model_create(&m,
                                 HEAD "\"d_intermediate\": 0, \"attn_layer_idx\": [], \"ssm_cfg\": {\"layer\": "
                                      "\"Mamba2\", \"headdim\": 1, \"expand\": 32}}",
                                 1024, 3, &err) == 0;
    tap_ok(good && !strcmp(cad_model_text(m, CAD_TEXT_KIND), "Caduceus-Ph, Mamba-2"), "its kind is named: %s",
           err.text);
    for (int h = 0; good && h < 192; h++) {
        const cad_direction_t *d = &m->layer->dir[h % 2];
        double A = exp((double)cad_param(d, CAD_MAMBA2_A_LOG)[h]),
               dt = log1p(exp((double)cad_param(d, CAD_MAMBA2_DT_BIAS)[h]));
        good = A >= 1 && A < 16.001 && dt > 0.0009999 && dt < 0.10001;
        good = good && cad_param(d, CAD_MAMBA2_SKIP)[h] == 1 && cad_param(d, CAD_MAMBA2_NORM)[h] == 1;
    }
    tap_ok(good, "initial values lie in their ranges");
    cad_model_close(m);
}

int main(int argc, char **argv)
{
    tap_arguments(argc, argv);
    check_cpu(CAD_PRECISION_FP32, 0, 5);
    check_cpu(CAD_PRECISION_BF16X3, 4, 5); /* the others compute bf16x3 as fp32 */
    check_cpu(CAD_PRECISION_BF16, 0, 7);
    if (!tap_wants("cuda")) return tap_finish();
    check_cuda("fp32");
    check_cuda("bf16");
    check_refusals();
    check_initial();
    return tap_finish();
}

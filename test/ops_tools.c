/* ops_tools.c - random models of one Mamba layer, and comparisons of arrays of lanes. SPDX-License-Identifier: MIT */
#include <math.h>

#include "engine/engine.h"
#include "lanes.h"
#include "ops_tools.h"

static uint64_t state;

void ops_seed(uint64_t seed) { state = seed; }

double ops_uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state ^ state << 31) * 0x1p-63;
}

float *ops_floats(int64_t n, double scale)
{
    float *a = cad_alloc((size_t)n, sizeof *a);
    for (int64_t i = 0; i < n; i++) a[i] = (float)(scale * ops_uniform());
    return a;
}

/* Returns the bound of a tensor's random values. */
static double spread(int role)
{
    return role == CAD_MAMBA_DT ? 0.3 : role == CAD_MAMBA_DT_BIAS ? 3 : role == CAD_MAMBA_A_LOG ? 2 : 1;
}

static void fake_direction(cad_direction_t *d, const cad_config_t *c, bool reverse)
{
    cad_part_t part[CAD_PARTS];
    int n = cad_blocks[CAD_KIND_mamba]->parts(c, part);
    d->reverse = reverse;
    for (int i = 0; i < n; i++) {
        const int64_t *z = part[i].shape;
        if (part[i].there)
            d->param[part[i].role - CAD_T_KIND] = ops_floats(z[0] * cad_max(z[1], 1) * cad_max(z[2], 1),
                                                             spread(part[i].role));
    }
}

void ops_model(cad_model_t *m, const ops_shape_t *s)
{
    cad_layer_t *l = calloc(1, sizeof *l);
    memset(m, 0, sizeof *m);
    m->cfg = (cad_config_t) {
        .d_model = s->D, .n_layer = 1, .rms_norm = s->rms, .norm_epsilon = 1e-5, .bidirectional = true, .multiply = true
    };
    *(cad_mamba_t *)(void *)&m->cfg.shape[CAD_KIND_mamba] = (cad_mamba_t) {
        .E = s->E, .N = s->N, .K = s->K, .R = s->R, .conv_bias = true, .bias = s->bias
    };
    m->vocab.rows = s->V;
    for (int v = 0; v < s->V; v++) m->vocab.comp[v] = (uint8_t)(s->V - 1 - v);
    m->layer = l;
    m->embed = m->embed_in = ops_floats(s->V * s->D, 1);
    m->norm_f = ops_floats(s->D, 1);
    m->norm_f_bias = s->rms ? NULL : ops_floats(s->D, 1);
    l->ndir = 2;
    l->norm = ops_floats(s->D, 1);
    l->norm_bias = s->rms ? NULL : ops_floats(s->D, 1);
    for (int k = 0; k < 2; k++) fake_direction(&l->dir[k], &m->cfg, k == 1);
}

void ops_model_free(cad_model_t *m)
{
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < CAD_PARTS; i++) free((void *)m->layer->dir[k].param[i]);
    free((void *)m->layer->norm);
    free((void *)m->layer->norm_bias);
    free((void *)m->norm_f);
    free((void *)m->norm_f_bias);
    free(m->embed_in);
    free(m->layer);
}

double *ops_doubles(int64_t n) { return calloc((size_t)n, sizeof(double)); }

double ops_distance(const float *got, int64_t stride, const double *want, int64_t rows, int64_t width)
{
    double num = 0, den = 1e-300;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < width; c++) {
            double w = want[r * width + c], e = (double)got[r * stride + c] - w;
            num += e * e;
            den += w * w;
        }
    return sqrt(num / den);
}

/* ---- arrays of lanes ---- */

int64_t ops_width(const cad_model_t *m, int what)
{
    if (what < CAD_AT_KIND) return cad_round_up(m->cfg.d_model, CAD_PAD);
    return what == CAD_AT_XDBL ? cad_mamba_Sp(&m->cfg) : cad_mamba_Ep(&m->cfg);
}

float *ops_rows_of(cad_lane_t *l, const cad_model_t *m, int what, int64_t beg, int64_t n)
{
    float *a = cad_alloc((size_t)(n * ops_width(m, what)), sizeof *a);
    lane_need(l, l->ops->read(l, CAD_KIND_mamba, what, beg, n, a));
    return a;
}

double ops_error(cad_lane_t *l, const cad_model_t *m, int what, int64_t beg, int64_t n, const double *want,
                 int64_t width)
{
    float *got = ops_rows_of(l, m, what, beg, n);
    double d = ops_distance(got, ops_width(m, what), want, n, width);
    free(got);
    return d;
}

void ops_poison(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq)
{
    const cad_weights_t *w = l->weights;
    cad_weights_t *bad;
    cad_model_t nan = *m;
    int64_t n = m->vocab.rows * m->cfg.d_model;
    float *table = cad_alloc((size_t)n, sizeof *table);
    for (int64_t i = 0; i < n; i++) table[i] = NAN;
    nan.embed = nan.embed_in = table;
    l->ops->weights_open(&bad, l->ops, &nan, NULL);
    l->weights = bad;
    cad_encoder_forward(l, &nan, off, nseq, NULL);
    l->weights = w;
    l->ops->weights_close(bad);
    free(table);
}

double ops_slack(const cad_ops_t *ops)
{
    static const double factor[CAD_NPRECISIONS] = { 1, 20, 1e4 };
    return factor[cad_precision_number(ops->precision)];
}

/* lane.c - allocates and frees the memory of lanes on the CPU. A lane (cad_lane_t) computes one batch at a time and
 * holds its activations; a grad lane holds their gradients.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cpu/lane.h"

#define DECLARE(name) extern const cad_cpu_memory_t cad_cpu_memory_##name;
#define ENTRY(name) &cad_cpu_memory_##name,
CAD_KINDS(DECLARE)
static const cad_cpu_memory_t *const MEMORY[CAD_NKINDS] = { CAD_KINDS(ENTRY) };

/* Lays out the lane's activations from base onwards, except those that its tape holds (the activations kept for the
 * backward pass). Returns their size in bytes, or SIZE_MAX on overflow. base NULL: only computes the size. */
static size_t carve(cad_lane_t *l, const cad_model_t *m, char *base)
{
    cad_bump_t b = { base, 0 };
    size_t shared, most;
    l->res = l->base = l->tape ? NULL : cad_bump(&b, l->rows, l->Dp, sizeof(float));
    l->h = cad_model_apart(m) ? cad_bump(&b, l->rows, l->Dp, sizeof(float)) : NULL;
    l->a = cad_bump(&b, cad_encoder_most(l, m), l->Dp, sizeof(float));
    l->row = cad_bump(&b, 1, l->Dp, sizeof(float));
    l->sum = cad_bump(&b, l->Dp, 1, sizeof(double));
    shared = most = b.used;
    for (int k = 0; k < CAD_NKINDS; k++) {
        b.used = shared;
        if (cad_config_uses(&m->cfg, k)) MEMORY[k]->carve(l, m, &b);
        most = b.used > most ? b.used : most;
    }
    return most;
}

int cad_cpu_lane_open(cad_lane_t *l, const cad_model_t *m)
{
    l->Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    if (!l->zrows) l->zrows = l->rows;
    l->bytes = carve(l, m, NULL);
    l->own = l->bytes == SIZE_MAX ? NULL : cad_alloc(l->bytes, 1);
    if (!l->own) return CAD_ENOMEM;
    carve(l, m, l->own);
    return 0;
}

void cad_cpu_lane_close(cad_lane_t *l) { free(l->own); }

int cad_cpu_read(cad_lane_t *l, int kind, int what, int64_t beg, int64_t n, float *out)
{
    int64_t width = l->Dp, rows = 0;
    const float *from = what == CAD_AT_RES ? l->res
                        : what == CAD_AT_H ? l->h
                                           : MEMORY[kind]->array(l, what, &width, &rows);
    if (rows) beg %= rows;
    memcpy(out, from + beg * width, (size_t)(n * width) * sizeof *out);
    return 0;
}

/* ---- backward pass ---- */

void *cad_cpu_take(const cad_ops_t *ops, size_t bytes)
{
    (void)ops;
    return bytes == SIZE_MAX ? NULL : cad_alloc(bytes, 1);
}

void cad_cpu_give(const cad_ops_t *ops, void *memory)
{
    (void)ops;
    free(memory);
}

size_t cad_cpu_carve_back(cad_grad_lane_t *l, const cad_model_t *m, char *base)
{
    int64_t rows = l->f.rows, Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    cad_bump_t b = { base, 0 };
    size_t shared, most;
    l->dres = cad_bump(&b, rows, Dp, sizeof(float));
    for (int k = 0; k < 2; k++) l->keep[k] = cad_model_apart(m) ? cad_bump(&b, rows, Dp, sizeof(float)) : NULL;
    l->da = cad_bump(&b, cad_encoder_most(&l->f, m), Dp, sizeof(float));
    shared = most = b.used;
    for (int k = 0; k < CAD_NKINDS; k++) {
        b.used = shared;
        if (cad_config_uses(&m->cfg, k)) MEMORY[k]->carve_back(l, m, &b);
        most = b.used > most ? b.used : most;
    }
    return most;
}

/* kmer_sums.h - the gradient of a table of k-mers in the kernels' layout, and its conversion to the parameters' layout;
 * see engine/gradients.h. SPDX-License-Identifier: MIT
 */
#ifndef CAD_KMER_SUMS_H
#define CAD_KMER_SUMS_H

#include "blocks/kmer.h"
#include "engine/gradients.h"

typedef struct cad_kmer_sums_t {
    float *table; // (4^k+2,Dp)
} cad_kmer_sums_t;

static inline void cad_kmer_sums_place(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    (void)layer;
    ((cad_kmer_sums_t *)sums)->table = cad_bump_floats(b, cad_kmer_rows(&m->cfg),
                                                       cad_round_up(m->cfg.d_model, CAD_PAD));
}

static inline void cad_kmer_sums_add(const cad_model_t *m, const cad_tensor_t *t, const void *sums, int dir, float *to)
{
    int64_t D = m->cfg.d_model;
    (void)dir;
    if (t->role != CAD_KMER_TABLE) return;
    cad_add_rows(to, ((const cad_kmer_sums_t *)sums)->table, cad_kmer_rows(&m->cfg), D, cad_round_up(D, CAD_PAD));
}

#endif

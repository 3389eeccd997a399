/* conjoin.c - combines the results of the two strands. The forward passes of PS and Ph differ only here.
 *
 * The array `a` holds the rows of strand 0; the array `c` holds the rows of strand 1, in the order of strand 0. So row
 * t of `c` encodes position L-1-t of the reverse complement (L: length of the sequence). The logits in `c` were
 * computed with the rows of the head's table exchanged for those of the complements, so column v is the logit of token
 * v on strand 0. SPDX-License-Identifier: MIT
 */
#include "engine/engine.h"

int cad_conjoin_strands(const cad_model_t *m) { return m->cfg.rcps ? 2 : 1; }

void cad_conjoin_logits(const cad_model_t *m, int64_t n, const float *a, const float *c, float *out)
{
    float scale = m->cfg.rcps ? 1.0f : 0.5f;
    for (int64_t i = 0; i < n * m->vocab.rows; i++) out[i] = (a[i] + c[i]) * scale;
}

void cad_conjoin_embedding(int64_t n, const float *a, const float *c, float *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = (a[i] + c[i]) * 0.5f;
}

void cad_conjoin_mirror(int64_t n, int64_t D, float *rows)
{
    for (int64_t t = 0; t < n; t++, rows += D)
        for (int64_t d = 0; d < D / 2; d++) {
            float x = rows[d];
            rows[d] = rows[D - 1 - d];
            rows[D - 1 - d] = x;
        }
}

void cad_conjoin_hidden(const cad_model_t *m, int64_t n, const float *a, const float *c, float *out)
{
    int64_t D = m->cfg.d_model;
    if (!m->cfg.rcps) memcpy(out, a, (size_t)(n * D) * sizeof *out);
    for (int64_t t = 0; m->cfg.rcps && t < n; t++) {
        memcpy(out + t * 2 * D, a + t * D, (size_t)D * sizeof *out);
        for (int64_t d = 0; d < D; d++) out[t * 2 * D + D + d] = c[t * D + D - 1 - d];
    }
}

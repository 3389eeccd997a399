/* attention.h - the layer kind attention: multi-head self-attention, full or block-sparse, with rotary positions.
 *
 *     q, k, v = qkv_proj a                       widths I each, I = heads x head_dim; a: the normalised rows
 *     q, k    = rotate(q), rotate(k)             by their position in the sequence, if `rotary`
 *     y[r]    = sum over s of softmax(q[r] k[s] / sqrt(head_dim)) v[s]      for each head
 *     out     = out_proj y
 *
 * Row r attends to all rows of its sequence ("full") or, in the pattern of BigBird (Zaheer et al. 2020), to whole
 * blocks of 64 rows ("blocks"): its own block, the previous and the next one; the first and the last block of the
 * sequence; and `random` other blocks. The first and the last block attend to all rows. Random blocks depend on `seed`,
 * the layer, the number of blocks in the sequence and the row's block only.
 *
 * rotate() turns the pair of channels (i, i + d/2) of each head by the angle position x 10000^(-2i/d), d = head_dim
 * (RoFormer, Su et al. 2021). Positions count from 0 at the sequence's first row. There are no biases and no table of
 * positions, so a sequence may be longer than those of training.
 *
 * In shapes, H is the number of heads, d head_dim, I = H d. SPDX-License-Identifier: MIT
 */
#ifndef CAD_ATTENTION_H
#define CAD_ATTENTION_H

#include "base/random.h"
#include "engine/backward.h"

#define CAD_ATTENTION_BLOCK 64   /* rows of a block, of queries and of keys */
#define CAD_ATTENTION_WIDEST 128 /* largest head_dim */
#define CAD_ATTENTION_RANDOM 16  /* most random blocks */
#define CAD_ATTENTION_BASE 10000.0

typedef struct cad_attention_t {
    int64_t H, d, random, seed;
    bool blocks; /* block-sparse; false: full */
    bool rotary;
} cad_attention_t;
static inline const cad_attention_t *cad_attention(const cad_config_t *c)
{
    return (const cad_attention_t *)(const void *)&c->shape[CAD_KIND_attention];
}
static inline int64_t cad_attention_I(const cad_config_t *c) { return cad_attention(c)->H * cad_attention(c)->d; }

enum { CAD_ATTENTION_QKV = CAD_T_KIND, CAD_ATTENTION_OUT }; // (3I,D): rows of q, k, v; (D,I)
enum { CAD_ATTENTION_OP_IN, CAD_ATTENTION_OP_ATTEND, CAD_ATTENTION_OP_OUT, CAD_ATTENTION_OPS };
enum { CAD_ATTENTION_BACK_OUT, CAD_ATTENTION_BACK_ATTEND, CAD_ATTENTION_BACK_IN, CAD_ATTENTION_BACK_OPS };

typedef struct cad_attention_lane_t {
    float *qkv;  // (rows,3I) q, k and v, rotated
    float *y;    // (rows,I)
    float *stat; // (rows,2H) of each head, the largest exponent of 2 and the inverse of the sum; NULL without a tape
} cad_attention_lane_t;
static inline cad_attention_lane_t *cad_attention_lane(const cad_lane_t *l)
{
    return (cad_attention_lane_t *)(void *)&l->work[CAD_KIND_attention];
}

typedef struct cad_attention_grad_lane_t {
    float *dqkv;  // (rows,3I) gradient of qkv
    float *g;     // (rows,I) gradient of y
    float *words; // (tile,3I + max(Dp,I)) room for rounded rows (cpu/outer_tmpl.h)
} cad_attention_grad_lane_t;
static inline cad_attention_grad_lane_t *cad_attention_grad_lane(const cad_grad_lane_t *l)
{
    return (cad_attention_grad_lane_t *)(void *)&l->work[CAD_KIND_attention];
}

typedef struct { /* the blocks of keys that a block of queries reads, in ascending order */
    int64_t n;
    bool all; /* blocks 0 to n-1; `block` is not set */
    int64_t block[CAD_ATTENTION_RANDOM + 5];
} cad_attention_reads_t;

/* Inserts a block into the list, unless it is there; returns whether it was inserted. */
static inline bool cad_attention_insert(cad_attention_reads_t *r, int64_t block)
{
    int64_t at = r->n;
    for (int64_t i = 0; i < r->n; i++)
        if (r->block[i] == block) return false;
    for (; at > 0 && r->block[at - 1] > block; at--) r->block[at] = r->block[at - 1];
    r->block[at] = block;
    r->n++;
    return true;
}

/* Lists the blocks that block i of n reads in a layer. */
static inline void cad_attention_reads(const cad_attention_t *s, int layer, int64_t i, int64_t n,
                                       cad_attention_reads_t *r)
{
    const int64_t fixed[] = { 0, i - 1, i, i + 1, n - 1 };
    r->n = n;
    r->all = !s->blocks || i == 0 || i == n - 1 || n <= s->random + 5;
    if (r->all) return;
    r->n = 0;
    for (int k = 0; k < 5; k++) cad_attention_insert(r, fixed[k]);
    for (uint64_t t = 0, left = (uint64_t)s->random; left > 0; t++) {
        uint64_t bits = cad_random((uint64_t)s->seed, (uint64_t)layer, (uint64_t)i, t);
        if (cad_attention_insert(r, (int64_t)cad_below(bits, (uint64_t)n))) left--;
    }
}

static inline int64_t cad_attention_block(const cad_attention_reads_t *r, int64_t k)
{
    return r->all ? k : r->block[k];
}

#endif

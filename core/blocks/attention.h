/* attention.h - the layer kind attention: multi-head self-attention to all rows, to blocks or along the edges of a graph.
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
 * In the pattern "graph" the rows are nodes, and row r attends along at most seven edges: to itself, the previous and the
 * next row, the nearest row on either side with the same word, and the nearest row on either side with the reverse
 * complement of its word. The word of a row is the 3-mer around its base; a row whose word is not of bases lacks the last
 * four edges. An edge of type t has the embedding e[t] (I), and its score is q[r] (k[s] + e[t]) / sqrt(head_dim).
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
#include "blocks/kmer.h"
#include "engine/backward.h"

#define CAD_ATTENTION_BLOCK 64   /* rows of a block, of queries and of keys */
#define CAD_ATTENTION_WIDEST 128 /* largest head_dim */
#define CAD_ATTENTION_RANDOM 16  /* most random blocks */
#define CAD_ATTENTION_BASE 10000.0
#define CAD_ATTENTION_WORD 3 /* bases of a node's word */

/* patterns: which rows a row attends to */
enum { CAD_ATTENTION_FULL, CAD_ATTENTION_BLOCKS, CAD_ATTENTION_GRAPH, CAD_ATTENTION_PATTERNS };
/* types of edges of a graph */
enum {
    CAD_EDGE_SELF,
    CAD_EDGE_PREVIOUS,
    CAD_EDGE_NEXT,
    CAD_EDGE_SAME_BEFORE,
    CAD_EDGE_SAME_AFTER,
    CAD_EDGE_REVERSE_BEFORE,
    CAD_EDGE_REVERSE_AFTER,
    CAD_EDGES
};

typedef struct cad_attention_t {
    int64_t H, d, random, seed, pattern;
    bool rotary;
} cad_attention_t;
static inline const cad_attention_t *cad_attention(const cad_config_t *c)
{
    return (const cad_attention_t *)(const void *)&c->shape[CAD_KIND_attention];
}
static inline int64_t cad_attention_I(const cad_config_t *c) { return cad_attention(c)->H * cad_attention(c)->d; }

/* roles of tensors */
enum {
    CAD_ATTENTION_QKV = CAD_T_KIND, // (3I,D) rows of q, k and v
    CAD_ATTENTION_OUT,              // (D,I)
    CAD_ATTENTION_EDGE              // (CAD_EDGES,I) only with the pattern graph
};
enum { CAD_ATTENTION_OP_IN, CAD_ATTENTION_OP_ATTEND, CAD_ATTENTION_OP_OUT, CAD_ATTENTION_OPS };
enum { CAD_ATTENTION_BACK_OUT, CAD_ATTENTION_BACK_ATTEND, CAD_ATTENTION_BACK_IN, CAD_ATTENTION_BACK_OPS };

typedef struct cad_attention_lane_t {
    float *qkv; // (rows,3I) q, k and v, rotated
    float *y;   // (rows,I)
    // (rows,CAD_EDGES) the row at the other end of each edge, or -1; NULL unless the pattern is graph
    int32_t *edge;
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
    r->all = s->pattern != CAD_ATTENTION_BLOCKS || i == 0 || i == n - 1 || n <= s->random + 5;
    if (r->all) return;
    r->n = 0;
    for (int k = 0; k < 5; k++) cad_attention_insert(r, fixed[k]);
    for (uint64_t t = 0, left = (uint64_t)s->random; left > 0; t++) {
        uint64_t bits = cad_random((uint64_t)s->seed, (uint64_t)layer, (uint64_t)i, t);
        if (cad_attention_insert(r, (int64_t)cad_below(bits, (uint64_t)n))) left--;
    }
}

/* Finds the edges of the sequence in rows [beg, end) of tok. digit: see cad_kmer_digits. */
static inline void cad_attention_edges(const uint8_t digit[256], const uint8_t *tok, int64_t beg, int64_t end,
                                       int32_t *edge)
{
    enum { WORDS = 1 << 2 * CAD_ATTENTION_WORD };
    int64_t last[WORDS];
    for (int64_t w = 0; w < WORDS; w++) last[w] = -1;
    for (int64_t r = beg; r < end; r++) {
        int32_t *own = edge + r * CAD_EDGES;
        int64_t word = cad_kmer_word(digit, CAD_ATTENTION_WORD, tok, beg, end, r), other = 0;
        for (int t = 0; t < CAD_EDGES; t++) own[t] = -1;
        own[CAD_EDGE_SELF] = (int32_t)r;
        if (r > beg) own[CAD_EDGE_PREVIOUS] = (int32_t)(r - 1);
        if (r + 1 < end) own[CAD_EDGE_NEXT] = (int32_t)(r + 1);
        if (word >= WORDS) continue;
        for (int i = 0; i < CAD_ATTENTION_WORD; i++) other = 4 * other + 3 - (word >> 2 * i) % 4;
        own[CAD_EDGE_SAME_BEFORE] = (int32_t)last[word];
        own[CAD_EDGE_REVERSE_BEFORE] = (int32_t)last[other];
        if (last[word] >= 0) edge[last[word] * CAD_EDGES + CAD_EDGE_SAME_AFTER] = (int32_t)r;
        /* rows with the other word since the last row with this one: r is the nearest after them */
        for (int64_t p = last[other]; p >= 0 && edge[p * CAD_EDGES + CAD_EDGE_REVERSE_AFTER] < 0;
             p = edge[p * CAD_EDGES + CAD_EDGE_SAME_BEFORE])
            edge[p * CAD_EDGES + CAD_EDGE_REVERSE_AFTER] = (int32_t)r;
        last[word] = r;
    }
}

static inline int64_t cad_attention_block(const cad_attention_reads_t *r, int64_t k)
{
    return r->all ? k : r->block[k];
}

#endif

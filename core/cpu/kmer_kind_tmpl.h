/* kmer_kind_tmpl.h - compiles the layer kind of k-mer embeddings for one instruction set: its table, its operations and
 * their arrays, in the order of blocks/kmer.h.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_KMER_KIND_TMPL_H
#define CAD_KMER_KIND_TMPL_H

#include "blocks/kmer.h"
#include "blocks/kmer_sums.h"
#include "share_tmpl.h"
#include "weights_tmpl.h"

typedef struct {
    int64_t k, Dp;
    const float *table, *zero; // (4^k+2,Dp), (Dp) zeros
    uint8_t digit[256];
} kmer_t;

static void lay_kmer(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed)
{
    kmer_t *p = packed;
    p->k = cad_kmer_k(&m->cfg);
    p->Dp = w->Dp;
    p->table = lay_rows(b, cad_param(&m->layer[layer].dir[0], CAD_KMER_TABLE), cad_kmer_rows(&m->cfg), w->D, w->Dp);
    p->zero = lay_vector(b, NULL, 0, w->Dp);
    cad_kmer_digits(&m->vocab, p->digit);
}

typedef struct { /* arguments of one call of an operation */
    share_t share;
    const cad_lane_t *l;
    const kmer_t *m;
    int32_t *word; // the words of the rows of the span
    dest_t dest;
} kmer_call_t;

static kmer_call_t kmer_call(cad_lane_t *l, int layer, cad_span_t s)
{
    return (kmer_call_t) {
        .share = { .team = l->team, .span = s }, .l = l, .m = l->weights->layer[layer], .word = cad_kmer_lane(l)->word
    };
}

/* Finds the words of the rows of s. */
static void find_words(const kmer_call_t *c, cad_span_t s)
{
    for (int q = find_seq(&s, s.beg); q < s.nseq && s.off[q] < s.end; q++) {
        piece_t p = piece_of(&s, q, false);
        for (int64_t r = p.beg; r < p.end; r++)
            c->word[r - c->share.span.beg] = (int32_t)cad_kmer_word(c->m->digit, c->m->k, c->l->tok, s.off[q],
                                                                    s.off[q + 1], r);
    }
}

static void kmer_add_task(void *arg, int64_t task, int worker)
{
    const kmer_call_t *c = arg;
    cad_span_t s = rows_of_task(&c->share, task);
    int64_t Dp = c->m->Dp;
    (void)worker;
    find_words(c, s);
    for (int64_t r = s.beg; r < s.end; r++) {
        const float *from = c->m->table + c->word[r - c->share.span.beg] * Dp;
        for (int64_t i = 0; i < Dp; i += VW) finish(&c->dest, r * Dp + i, vload(from + i));
    }
}

static int kmer_add(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    kmer_call_t c = kmer_call(l, layer, s);
    (void)dir;
    c.dest = out_dest(l, c.m->zero, how);
    share_rows(&c.share, &c, kmer_add_task);
    return 0;
}

static cad_op_f *const kmer_ops[CAD_KMER_OPS] = { [CAD_KMER_OP_ADD] = kmer_add };

#ifdef CAD_ISA_BACK_OPS
#define KMER_CHANNELS 64 /* channels whose gradients one task sums */

static void lay_kmer_turned(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned)
{
    (void)b;
    (void)m;
    (void)f;
    (void)layer;
    (void)turned;
}

typedef struct { /* arguments of one call of the backward pass */
    kmer_call_t f;
    const float *dout;
    float *table; // (4^k+2,Dp) gradient of the table
} kmer_back_t;

static void find_words_task(void *arg, int64_t task, int worker)
{
    const kmer_back_t *b = arg;
    (void)worker;
    find_words(&b->f, rows_of_task(&b->f.share, task));
}

/* Adds some channels of all rows, in the order of the rows. */
static void kmer_back_task(void *arg, int64_t task, int worker)
{
    const kmer_back_t *b = arg;
    const share_t *s = &b->f.share;
    int64_t Dp = b->f.m->Dp, from = task * s->size, n = cad_min(s->size, Dp - from);
    (void)worker;
    for (int64_t r = s->span.beg; r < s->span.end; r++)
        add_row(b->table + b->f.word[r - s->span.beg] * Dp + from, b->dout + r * Dp + from, 1.0f, n);
}

static int kmer_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    kmer_back_t b = { kmer_call(&l->f, layer, s), l->dout, ((cad_kmer_sums_t *)l->grads->s.layer[layer])->table };
    (void)dir;
    (void)how;
    share_rows(&b.f.share, &b, find_words_task);
    share_channels(&b.f.share, &b, kmer_back_task, b.f.m->Dp, KMER_CHANNELS);
    return 0;
}

static cad_back_f *const kmer_back_ops[CAD_KMER_BACK_OPS] = { [CAD_KMER_BACK] = kmer_back };
static const cad_kind_sums_t KMER_SUMS = { .bytes = sizeof(cad_kmer_sums_t),
                                           .place = cad_kmer_sums_place,
                                           .add = cad_kmer_sums_add };
#endif

static const cpu_kind_t cpu_kmer = {
    .packed = sizeof(kmer_t),
    .lay = lay_kmer,
#ifdef CAD_ISA_BACK_OPS
    .turned = sizeof(char), /* there are no transposed weights, but open_layers() allocates something for each layer */
    .lay_turned = lay_kmer_turned,
    .sums = &KMER_SUMS,
#endif
};

#endif

/* embed.h - looks up the embedding of tokens, and computes the gradient of the embedding table.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_EMBED_H
#define CAD_CUDA_EMBED_H

#include "lane.h"
#include "sums.h"

typedef struct {
    float *res;         // (rows,Dp)
    const float *table; // (V,Dp)
    const uint8_t *tok; // (rows)
    int64_t Dp;
} embed_args_t;

/* blockIdx.x is a row, blockIdx.y a group of THREADS values. */
KERNEL(embed, embed_args_t)
{
    int64_t r = blockIdx.x, c = (int64_t)blockIdx.y * THREADS + threadIdx.x;
    if (c < arg.Dp) arg.res[r * arg.Dp + c] = arg.table[arg.tok[r] * arg.Dp + c];
}

/* Begins a batch: copies the tokens to the device and looks up the embedding of each row. */
static int op_embed(cad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    embed_args_t arg = { .res = l->res, .table = w->embed, .tok = g->tok, .Dp = w->Dp };
    int rc;
    if (g->graph.mode != EAGER) graph_drop(g); /* if the last batch has not ended its graph, that batch failed */
    rc = send_batch(l, tok, &s);
    if (rc == 0) rc = graph_begin(l, &s);
    if (rc || replaying(l)) return rc;
    LAUNCH(embed, s.end, ceil_div(w->Dp, THREADS), THREADS, 0, g->stream, arg);
    return launched(l, "embed");
}

/* Adds the gradient of each row to the gradient of the embedding table. tok is not read: the forward pass of this pack
 * has already copied the tokens to the device. */
static int back_embed(cad_grad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    const cad_sums_t *z = &l->grads->s;
    (void)tok;
    return thin_sum(l, NULL, gpu_of(&l->f)->tok, z->V, l->dres, z->Dp, s.end, z->embed);
}

#endif

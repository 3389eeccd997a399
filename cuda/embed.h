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
    int64_t n, Dp;
} embed_args_t; /* arguments; n = rows x Dp threads, one for each value */

KERNEL(embed, embed_args_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < arg.n) arg.res[i] = arg.table[arg.tok[i / arg.Dp] * arg.Dp + i % arg.Dp];
}

/* Begins a batch: copies the tokens to the device and looks up the embedding of each row. */
static int op_embed(cad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    embed_args_t arg = { .res = l->res, .table = w->embed, .tok = g->tok, .n = s.end * w->Dp, .Dp = w->Dp };
    int rc;
    if (g->graph.mode != EAGER) graph_drop(g); /* if the last batch has not ended its graph, that batch failed */
    rc = send_batch(l, tok, &s);
    if (rc == 0) rc = graph_begin(l, &s);
    if (rc || replaying(l)) return rc;
    LAUNCH(embed, ceil_div(arg.n, THREADS), 1, THREADS, 0, g->stream, arg);
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

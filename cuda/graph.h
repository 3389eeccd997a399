/* graph.h - CUDA graphs: the kernel launches of batches of the same shape are recorded once and then queued together,
 * because below some 8,192 rows a launch takes the host longer than the kernel takes the device. CADUCEUS_CUDA_GRAPHS=1
 * enables graphs.
 *
 * From `embed` to `head`, `pool` or `read`, the launches of a forward pass depend only on the batch's offsets, its
 * wanted rows and the number of layers (encoder.c); these form the batch's key. The second of two consecutive batches with the same key is
 * recorded. Later batches with that key are replayed: their operations do nothing, and the operation that waits queues
 * the graph. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_GRAPH_H
#define CAD_CUDA_GRAPH_H

#include "common.h"

static bool replaying(const cad_lane_t *l) { return gpu_of(l)->graph.mode == REPLAYING; }

static void graph_key(const cad_lane_t *l, const cad_span_t *s, int64_t *key)
{
    memset(key, 0, GRAPH_KEY * sizeof *key);
    *key++ = l->layers;
    *key++ = s->want ? s->nseq : -s->nseq;
    for (int q = 0; q < s->nseq; q++) {
        *key++ = s->off[q + 1];
        *key++ = s->want ? s->want[q].beg : 0;
        *key++ = s->want ? s->want[q].end : 0;
    }
}

/* Destroys the recorded graph and stops a recording in progress. */
static void graph_drop(gpu_t *g)
{
    cudaGraph_t partial = NULL;
    if (g->graph.mode == CAPTURING) {
        cudaStreamEndCapture(g->stream, &partial);
        if (partial) cudaGraphDestroy(partial);
        cudaGetLastError();
    }
    if (g->graph.exec) cudaGraphExecDestroy(g->graph.exec);
    g->graph.exec = NULL;
    g->graph.mode = EAGER;
}

/* Called after a batch has been sent to the device: decides whether its operations launch kernels directly, are
 * recorded, or are replayed. */
static int graph_begin(cad_lane_t *l, const cad_span_t *s)
{
    graph_t *t = &gpu_of(l)->graph;
    int64_t key[GRAPH_KEY];
    int rc;
    if (!t->asked || l->tape || s->nseq > GRAPH_SEQS) return 0;
    graph_key(l, s, key);
    if (memcmp(key, t->key, sizeof key)) {
        graph_drop(gpu_of(l));
        memcpy(t->key, key, sizeof key);
        return 0;
    }
    if (t->exec) {
        t->mode = REPLAYING;
        return 0;
    }
    rc = check(l, cudaStreamBeginCapture(gpu_of(l)->stream, cudaStreamCaptureModeThreadLocal), "recording");
    if (rc == 0) t->mode = CAPTURING;
    return rc;
}

/* Called by `read`. Drops the recorded graph, since `read` may be called in the middle of a batch, and the graph would
 * then have only a part of the batch's launches. */
static void graph_forget(gpu_t *g)
{
    graph_drop(g);
    memset(g->graph.key, 0, sizeof g->graph.key);
}

/* Queues the batch's graph if the batch has been recorded, just now or earlier. */
static int graph_end(cad_lane_t *l)
{
    gpu_t *g = gpu_of(l);
    graph_t *t = &g->graph;
    cudaGraph_t made = NULL;
    cudaError_t e = cudaSuccess;
    if (t->mode == EAGER) return 0;
    if (t->mode == CAPTURING) {
        e = cudaStreamEndCapture(g->stream, &made);
        if (e == cudaSuccess) e = cudaGraphInstantiateWithFlags(&t->exec, made, 0);
        if (made) cudaGraphDestroy(made);
    }
    t->mode = EAGER;
    if (e == cudaSuccess) e = cudaGraphLaunch(t->exec, g->stream);
    return check(l, e, "a recorded batch");
}

#endif

/* graph.h - batches of one shape: their launches are recorded once and then queued as one
 * CUDA graph, as below some 8,192 rows a launch takes the host longer than its kernel the
 * device. CADUCEUS_CUDA_GRAPHS=1 asks for it.
 *
 * From `embed` to `head`, `pool` or `read` a forward pass is a function of the batch's
 * offsets and wanted rows (strand.c), so these are the key. The second batch in a row
 * with one key is recorded, those after it are replayed: their operations do nothing, and
 * the operation that waits queues the graph. SPDX-License-Identifier: MIT */

static bool replaying(const cad_lane_t *l) { return gpu_of(l)->graph.mode == REPLAYING; }

static void graph_key(const cad_span_t *s, int64_t *key)
{
    memset(key, 0, GRAPH_KEY * sizeof *key);
    *key++ = s->want ? s->nseq : -s->nseq;
    for (int q = 0; q < s->nseq; q++) {
        *key++ = s->off[q + 1];
        *key++ = s->want ? s->want[q].beg : 0;
        *key++ = s->want ? s->want[q].end : 0;
    }
}

/* What was being recorded when something failed, and the graph. */
static void graph_drop(gpu_t *g)
{
    cudaGraph_t half = NULL;
    if (g->graph.mode == CAPTURING) {
        cudaStreamEndCapture(g->stream, &half);
        if (half) cudaGraphDestroy(half);
        cudaGetLastError();
    }
    if (g->graph.exec) cudaGraphExecDestroy(g->graph.exec);
    g->graph.exec = NULL;
    g->graph.mode = EAGER;
}

/* The batch is on its way to the device: how will its operations run? */
static int graph_begin(cad_lane_t *l, const cad_span_t *s)
{
    graph_t *t = &gpu_of(l)->graph;
    int64_t key[GRAPH_KEY];
    int rc;
    if (!t->asked || l->tape || s->nseq > GRAPH_SEQS) return 0;
    graph_key(s, key);
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

/* Of an operation that reads amid a batch: what was recorded is no whole batch. */
static void graph_forget(gpu_t *g)
{
    graph_drop(g);
    memset(g->graph.key, 0, sizeof g->graph.key);
}

/* Queues what was recorded, now or before. */
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

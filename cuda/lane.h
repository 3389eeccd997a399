/* lane.h - a lane's memory, and a batch on its way to the device.
 * SPDX-License-Identifier: MIT */

/* Pieces of long sequences: at most 3 for every 2 CHUNK rows, as WHOLE is 2 CHUNK. */
static int64_t most_slots(int64_t rows) { return rows / CHUNK * 3 / 2 + 2; }
static int64_t most_slabs(int64_t rows) { return rows / SLAB + 4096; }

/* Where everything lies on the device; base NULL: a dry run. Whole blocks of rows
 * come first and so stay aligned as cublasLt likes. */
static size_t carve_device(cad_lane_t *l, char *base)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    int64_t rows = l->rows, padded = cad_round_up(rows, BLOCK), slots = most_slots(rows), slabs = most_slabs(rows);
    size_t t = w->half ? sizeof(bf16_t) : sizeof(float);
    cad_bump_t b = { base, 0 };
    l->res = l->base = l->tape ? NULL : (float *)cad_bump(&b, padded, w->Dp, sizeof(float));
    l->h = w->whole ? (float *)cad_bump(&b, padded, w->Dp, sizeof(float)) : NULL;
    g->o = w->whole ? (float *)cad_bump(&b, padded, w->Dp, sizeof(float)) : NULL;
    g->a = cad_bump(&b, padded, w->Dp, t);
    g->xz = cad_bump(&b, padded, 2 * w->Ep, t);
    g->u = cad_bump(&b, padded, w->Ep, t);
    g->y = cad_bump(&b, padded, w->Ep, t);
    g->xdbl = (float *)cad_bump(&b, padded, w->Sp, sizeof(float));
    g->state = (float *)cad_bump(&b, slots, STATES * w->Ep, sizeof(float));
    g->total = (float *)cad_bump(&b, slots, w->Ep, sizeof(float));
    g->slab_sum = (double *)cad_bump(&b, slabs, w->D, sizeof(double));
    g->out_floats = cad_max(PICKS * w->V, slabs * w->D);
    g->out = (float *)cad_bump(&b, g->out_floats, 1, sizeof(float));
    g->tok = (uint8_t *)cad_bump(&b, rows, 1, 1);
    g->off = (int64_t *)cad_bump(&b, rows + 1, 1, sizeof *g->off);
    g->item = (item_t *)cad_bump(&b, rows + slots, 1, sizeof *g->item);
    g->first = (int32_t *)cad_bump(&b, rows, 1, sizeof *g->first);
    g->want = (cad_rows_t *)cad_bump(&b, rows, 1, sizeof *g->want);
    g->pick = (int64_t *)cad_bump(&b, PICKS, 1, sizeof *g->pick);
    g->slab = (slab_t *)cad_bump(&b, slabs, 1, sizeof *g->slab);
    return b.used;
}

/* The same of what is put together on the host or arrives there. */
static size_t carve_stage(gpu_t *g, int64_t rows, char *base)
{
    int64_t slabs = most_slabs(rows);
    cad_bump_t b = { base, 0 };
    g->tok_stage = (uint8_t *)cad_bump(&b, rows, 1, 1);
    g->off_stage = (int64_t *)cad_bump(&b, rows + 1, 1, sizeof *g->off);
    g->item_stage = (item_t *)cad_bump(&b, rows + most_slots(rows), 1, sizeof *g->item);
    g->first_stage = (int32_t *)cad_bump(&b, rows, 1, sizeof *g->first);
    g->want_stage = (cad_rows_t *)cad_bump(&b, rows, 1, sizeof *g->want);
    g->pick_stage = (int64_t *)cad_bump(&b, PICKS, 1, sizeof *g->pick);
    g->slab_stage = (slab_t *)cad_bump(&b, slabs, 1, sizeof *g->slab);
    g->out_stage = (float *)cad_bump(&b, g->out_floats, 1, sizeof(float));
    return b.used;
}

static int lane_memory(cad_lane_t *l, gpu_t *g)
{
    const cad_weights_t *w = l->weights;
    size_t staged;
    cudaError_t e;
    l->bytes = carve_device(l, NULL);
    staged = carve_stage(g, l->rows, NULL);
    e = cudaSetDevice(w->device);
    if (e == cudaSuccess)
        e = l->bytes < SIZE_MAX / 2 && staged < SIZE_MAX / 2 ? cudaMalloc((void **)&g->arena, l->bytes)
                                                             : cudaErrorMemoryAllocation;
    if (e == cudaSuccess) e = cudaMallocHost((void **)&g->stage, staged);
    if (e == cudaSuccess) e = cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking);
    if (e == cudaSuccess) e = cudaMemsetAsync(g->arena, 0xff, l->bytes, g->stream); /* what nobody wrote is NaN */
    if (e != cudaSuccess) {
        cudaGetLastError(); /* running out of memory is not held against what follows */
        return check(l, e, "memory for activations");
    }
    carve_device(l, g->arena);
    carve_stage(g, l->rows, g->stage);
    return 0;
}

static int lane_open(cad_lane_t *l, const cad_model_t *model)
{
    gpu_t *g = (gpu_t *)calloc(1, sizeof *g);
    const char *graphs = getenv("CADUCEUS_CUDA_GRAPHS");
    (void)model;
    l->own = g;
    if (!g) return CAD_ENOMEM;
    g->graph.asked = graphs && !strcmp(graphs, "1");
    return lane_memory(l, g);
}

static void lane_close(cad_lane_t *l)
{
    gpu_t *g = gpu_of(l);
    if (!g) return;
    cudaSetDevice(l->weights->device);
    graph_drop(g);
    if (g->stream) cudaStreamDestroy(g->stream);
    cudaFree(g->arena);
    cudaFreeHost(g->stage);
    free(g);
}

static int to_device(cad_lane_t *l, void *to, const void *from, size_t bytes)
{
    return check(l, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, gpu_of(l)->stream),
                 "copying to the device");
}

static int to_host(cad_lane_t *l, void *to, const void *from, size_t bytes)
{
    return check(l, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, gpu_of(l)->stream),
                 "copying from the device");
}

static int arrive(cad_lane_t *l)
{
    return check(l, cudaStreamSynchronize(gpu_of(l)->stream), "waiting for the device");
}
static int launched(cad_lane_t *l, const char *what) { return check(l, cudaGetLastError(), what); }

/* New weights that did not get to the device. */
static int renewed(cad_lane_t *l, bool stale)
{
    if (stale) snprintf(l->text, sizeof l->text, "out of memory for new weights");
    return stale ? CAD_ENOMEM : 0;
}

/* Sequences and their pieces. */
static void list_items(gpu_t *g, const int64_t *off, int nseq)
{
    g->items = g->slots = 0;
    for (int q = 0; q < nseq; q++) {
        int64_t len = off[q + 1] - off[q], n = len > WHOLE ? ceil_div(len, CHUNK) : len > 0;
        g->first_stage[q] = len > WHOLE ? (int32_t)g->slots : -1;
        for (int64_t k = 0; k < n; k++) {
            item_t *t = &g->item_stage[g->items++];
            t->seq = q;
            t->k = (int32_t)k;
            t->slot = len > WHOLE ? (int32_t)g->slots++ : -1;
        }
    }
}

/* A new batch: what is staged has been read, as results of the last one have arrived. */
static int send_batch(cad_lane_t *l, const uint8_t *tok, const cad_span_t *s)
{
    gpu_t *g = gpu_of(l);
    int64_t rows = s->off[s->nseq];
    int rc = check(l, cudaSetDevice(l->weights->device), "choosing the device");
    if (rc == 0) rc = arrive(l);
    if (rc == 0) rc = renewed(l, l->weights->stale);
    if (rc) return rc;
    list_items(g, s->off, s->nseq);
    memcpy(g->tok_stage, tok, (size_t)rows);
    memcpy(g->off_stage, s->off, (size_t)(s->nseq + 1) * sizeof *s->off);
    if (s->want) memcpy(g->want_stage, s->want, (size_t)s->nseq * sizeof *s->want);
    rc = to_device(l, g->tok, g->tok_stage, (size_t)rows);
    if (rc == 0) rc = to_device(l, g->off, g->off_stage, (size_t)(s->nseq + 1) * sizeof *s->off);
    if (rc == 0) rc = to_device(l, g->first, g->first_stage, (size_t)s->nseq * sizeof *g->first);
    if (rc == 0) rc = to_device(l, g->item, g->item_stage, (size_t)g->items * sizeof *g->item);
    if (rc == 0 && s->want) rc = to_device(l, g->want, g->want_stage, (size_t)s->nseq * sizeof *s->want);
    return rc;
}

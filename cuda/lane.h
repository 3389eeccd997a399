/* lane.h - allocates a lane's memory for the forward and the backward pass, and copies data to and from the device.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_LANE_H
#define CAD_CUDA_LANE_H

#include "graph.h"
#include "kind.h"

/* Returns the maximum number of slots in a batch of `rows` rows. A slot holds the state of one piece of a long
 * sequence. A sequence longer than WHOLE_ROWS (2 PIECE_ROWS) has at most 3 pieces for every 2 PIECE_ROWS rows. */
static int64_t most_slots(int64_t rows) { return rows / PIECE_ROWS * 3 / 2 + 2; }
static int64_t most_slabs(int64_t rows) { return rows / SLAB + 4096; }

/* ---- memory ---- */

/* Lays out the activations of each layer kind, and the rows that are pooled after the last layer, all at the same
 * address. They can share this memory because layers run one after the other. */
static void carve_kinds(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b, int64_t padded, int64_t slots)
{
    gpu_t *g = gpu_of(l);
    size_t start = b->used, most;
    g->normed = (float *)cad_bump(b, l->rows, l->weights->D, sizeof(float));
    most = b->used;
    EACH_KIND(k, m)
    {
        b->used = start;
        kind_at(k)->carve(l, b, padded, slots);
        most = b->used > most ? b->used : most;
    }
    b->used = most;
}

/* Lays out a lane's device memory from base onwards and returns its size. base NULL: only computes the size. */
static size_t carve_device(cad_lane_t *l, const cad_model_t *m, char *base)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    int64_t rows = l->rows, padded = cad_round_up(rows, PRODUCT_ROWS), slots = most_slots(rows),
            slabs = most_slabs(rows);
    cad_bump_t b = { .base = base, .used = 0 };
    l->res = l->base = l->tape ? NULL : (float *)cad_bump(&b, padded, w->Dp, sizeof(float));
    l->h = w->apart ? (float *)cad_bump(&b, padded, w->Dp, sizeof(float)) : NULL;
    g->a = cad_bump(&b, padded, w->Dp, w->half ? sizeof(bf16_t) : sizeof(float));
    g->parts = w->form == AS_BF16X3 ? (bf16_t *)cad_bump(&b, PRODUCT_ROWS, 3 * w->widest, sizeof(bf16_t)) : NULL;
    carve_kinds(l, m, &b, padded, slots);
    g->slab_sum = (double *)cad_bump(&b, slabs, w->D, sizeof(double));
    g->out_floats = cad_max(PICKS * w->V, slabs * w->D);
    g->out = (float *)cad_bump(&b, g->out_floats, 1, sizeof(float));
    g->tok = (uint8_t *)cad_bump(&b, rows, 1, 1);
    g->off = (int64_t *)cad_bump(&b, rows + 1, 1, sizeof *g->off);
    g->piece = (piece_t *)cad_bump(&b, rows + slots, 1, sizeof *g->piece);
    g->first = (int32_t *)cad_bump(&b, rows, 1, sizeof *g->first);
    g->want = (cad_rows_t *)cad_bump(&b, rows, 1, sizeof *g->want);
    g->pick = (int64_t *)cad_bump(&b, PICKS, 1, sizeof *g->pick);
    g->slab = (slab_t *)cad_bump(&b, slabs, 1, sizeof *g->slab);
    return b.used;
}

/* Lays out a lane's pinned host memory from base onwards and returns its size. base NULL: only computes the size. */
static size_t carve_stage(gpu_t *g, int64_t rows, char *base)
{
    int64_t slabs = most_slabs(rows);
    cad_bump_t b = { .base = base, .used = 0 };
    g->tok_stage = (uint8_t *)cad_bump(&b, rows, 1, 1);
    g->off_stage = (int64_t *)cad_bump(&b, rows + 1, 1, sizeof *g->off);
    g->piece_stage = (piece_t *)cad_bump(&b, rows + most_slots(rows), 1, sizeof *g->piece);
    g->first_stage = (int32_t *)cad_bump(&b, rows, 1, sizeof *g->first);
    g->want_stage = (cad_rows_t *)cad_bump(&b, rows, 1, sizeof *g->want);
    g->pick_stage = (int64_t *)cad_bump(&b, PICKS, 1, sizeof *g->pick);
    g->slab_stage = (slab_t *)cad_bump(&b, slabs, 1, sizeof *g->slab);
    g->out_stage = (float *)cad_bump(&b, g->out_floats, 1, sizeof(float));
    return b.used;
}

static int lane_memory(cad_lane_t *l, const cad_model_t *m, gpu_t *g)
{
    const cad_weights_t *w = l->weights;
    size_t staged;
    cudaError_t e;
    l->bytes = carve_device(l, m, NULL);
    staged = carve_stage(g, l->rows, NULL);
    e = cudaSetDevice(w->device);
    if (e == cudaSuccess)
        e = l->bytes < SIZE_MAX / 2 && staged < SIZE_MAX / 2 ? cudaMalloc((void **)&g->arena, l->bytes)
                                                             : cudaErrorMemoryAllocation;
    if (e == cudaSuccess) e = cudaMallocHost((void **)&g->stage, staged);
    if (e == cudaSuccess) e = cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking);
    for (int k = 0; k < 2 && e == cudaSuccess; k++) e = cudaEventCreateWithFlags(&g->filled[k], cudaEventDisableTiming);
    /* fill the memory with NaN, so that a read of an unwritten value is noticed */
    if (e == cudaSuccess) e = cudaMemsetAsync(g->arena, 0xff, l->bytes, g->stream);
    if (e != cudaSuccess) {
        cudaGetLastError(); /* clears CUDA's last error, so that later calls do not report it */
        return check(l, e, "memory for activations");
    }
    carve_device(l, m, g->arena);
    carve_stage(g, l->rows, g->stage);
    return 0;
}

static int lane_open(cad_lane_t *l, const cad_model_t *model)
{
    gpu_t *g = (gpu_t *)calloc(1, sizeof *g);
    const char *graphs = getenv("CADUCEUS_CUDA_GRAPHS");
    l->own = g;
    if (!g) return CAD_ENOMEM;
    g->graph.asked = graphs && !strcmp(graphs, "1");
    return lane_memory(l, model, g);
}

static void lane_close(cad_lane_t *l)
{
    gpu_t *g = gpu_of(l);
    if (!g) return;
    cudaSetDevice(l->weights->device);
    graph_drop(g);
    for (int k = 0; k < 2; k++)
        if (g->filled[k]) cudaEventDestroy(g->filled[k]);
    if (g->stream) cudaStreamDestroy(g->stream);
    cudaFree(g->arena);
    free_host(g->stage);
    free(g);
}

/* ---- copies ---- */

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

/* Waits until all work on the lane's stream is done. */
static int arrive(cad_lane_t *l)
{
    return check(l, cudaStreamSynchronize(gpu_of(l)->stream), "waiting for the device");
}

/* Returns CAD_ENOMEM if `stale` is true, which means that the last new weights could not be copied to the device. */
static int renewed(cad_lane_t *l, bool stale)
{
    if (stale) snprintf(l->text, sizeof l->text, "out of memory for new weights");
    return stale ? CAD_ENOMEM : 0;
}

/* ---- a batch ---- */

static void list_pieces(gpu_t *g, const int64_t *off, int nseq)
{
    g->pieces = g->slots = 0;
    for (int q = 0; q < nseq; q++) {
        int64_t len = off[q + 1] - off[q], n = len > WHOLE_ROWS ? ceil_div(len, PIECE_ROWS) : len > 0;
        g->first_stage[q] = len > WHOLE_ROWS ? (int32_t)g->slots : -1;
        for (int64_t k = 0; k < n; k++) {
            piece_t *t = &g->piece_stage[g->pieces++];
            t->seq = q;
            t->k = (int32_t)k;
            t->slot = len > WHOLE_ROWS ? (int32_t)g->slots++ : -1;
        }
    }
}

/* Copies a new batch to the device, by way of pinned memory. This memory can be overwritten, since arrive() has waited
 * until the copies of the last batch are complete. */
static int send_batch(cad_lane_t *l, const uint8_t *tok, const cad_span_t *s)
{
    gpu_t *g = gpu_of(l);
    int64_t rows = s->off[s->nseq];
    int rc = check(l, cudaSetDevice(l->weights->device), "choosing the device");
    if (rc == 0) rc = arrive(l);
    if (rc == 0) rc = renewed(l, l->weights->stale);
    if (rc) return rc;
    list_pieces(g, s->off, s->nseq);
    memcpy(g->tok_stage, tok, (size_t)rows);
    memcpy(g->off_stage, s->off, (size_t)(s->nseq + 1) * sizeof *s->off);
    if (s->want) memcpy(g->want_stage, s->want, (size_t)s->nseq * sizeof *s->want);
    rc = to_device(l, g->tok, g->tok_stage, (size_t)rows);
    if (rc == 0) rc = to_device(l, g->off, g->off_stage, (size_t)(s->nseq + 1) * sizeof *s->off);
    if (rc == 0) rc = to_device(l, g->first, g->first_stage, (size_t)s->nseq * sizeof *g->first);
    if (rc == 0) rc = to_device(l, g->piece, g->piece_stage, (size_t)g->pieces * sizeof *g->piece);
    if (rc == 0 && s->want) rc = to_device(l, g->want, g->want_stage, (size_t)s->nseq * sizeof *s->want);
    return rc;
}

/* ---- reading a lane's activations, for tests ---- */

static view_t view_of(const cad_lane_t *l, int kind, int what)
{
    view_t rows = { .at = l->res, .width = l->weights->Dp, .ld = l->weights->Dp, .row = 0, .half = false };
    if (what == CAD_AT_H) rows.at = l->h;
    return what < CAD_AT_KIND ? rows : kind_at(kind)->view(l, what);
}

static int op_read(cad_lane_t *l, int kind, int what, int64_t beg, int64_t n, float *out)
{
    view_t p = view_of(l, kind, what);
    size_t size = p.half ? sizeof(bf16_t) : sizeof(float), bytes = (size_t)(n * p.ld) * size;
    char *copy = (char *)malloc(bytes);
    int rc = copy ? graph_end(l) : CAD_ENOMEM;
    graph_forget(gpu_of(l));
    if (rc == 0) rc = arrive(l);
    if (rc == 0) rc = to_host(l, copy, (const char *)p.at + (size_t)((p.row + beg) * p.ld) * size, bytes);
    if (rc == 0) rc = arrive(l);
    for (int64_t r = 0; r < n && rc == 0; r++)
        for (int64_t c = 0; c < p.width; c++) {
            int64_t at = r * p.ld + c;
            out[r * p.width + c] = p.half ? from_bf16(((bf16_t *)copy)[at]) : ((float *)copy)[at];
        }
    free(copy);
    return rc;
}

/* ---- memory of the backward pass; a trainer on the device has one lane ---- */

/* Lays out the grad lane's memory from base onwards and returns its size. l->f.rows is a multiple of PRODUCT_ROWS, so
 * the operands of all matrix products are aligned. */
static size_t back_carve(cad_grad_lane_t *l, const cad_model_t *m, char *base)
{
    cad_grads_t *q = l->grads;
    const cad_sums_t *z = &q->s;
    int64_t rows = l->f.rows, parts = ceil_div(rows, SLAB) * z->V * z->Dp;
    size_t start, most;
    cad_bump_t b = { .base = base, .used = 0 };
    l->dres = (float *)cad_bump(&b, rows, z->Dp, sizeof(float));
    l->da = (float *)cad_bump(&b, rows, z->Dp, sizeof(float));
    q->a = (float *)cad_bump(&b, rows, z->Dp, sizeof(float));
    for (int k = 0; k < 2; k++)
        l->keep[k] = cad_model_apart(m) ? (float *)cad_bump(&b, rows, z->Dp, sizeof(float)) : NULL;
    start = most = b.used;
    EACH_KIND(k, m)
    {
        b.used = start;
        kind_at(k)->carve_back(l, m, &b);
        most = b.used > most ? b.used : most;
        parts = cad_max(parts, kind_at(k)->most_parts(q, rows, l->most + most_slots(rows)));
    }
    b.used = most;
    q->parts = (float *)cad_bump(&b, parts, 1, sizeof(float));
    q->dlogits = (float *)cad_bump(&b, rows, cad_max(z->V, z->D), sizeof(float));
    q->row = (int64_t *)cad_bump(&b, rows, 1, sizeof *q->row);
    return b.used;
}

static void *back_take(const cad_ops_t *ops, size_t bytes)
{
    void *p = NULL;
    cudaError_t e = cudaSetDevice(ops->device);
    if (e == cudaSuccess) e = bytes < SIZE_MAX / 2 ? cudaMalloc(&p, bytes) : cudaErrorMemoryAllocation;
    /* fill the memory with NaN, so that a read of an unwritten value is noticed */
    if (e == cudaSuccess) e = cudaMemset(p, 0xff, bytes);
    if (e == cudaSuccess) e = cudaDeviceSynchronize();
    if (e == cudaSuccess) return p;
    cudaFree(p);
    cudaGetLastError();
    return NULL;
}

static void back_give(const cad_ops_t *ops, void *memory)
{
    cudaSetDevice(ops->device);
    cudaFree(memory);
}

/* Sets n rows of dres to 0. */
static int back_start(cad_grad_lane_t *l, int64_t n)
{
    size_t bytes = (size_t)(n * l->grads->s.Dp) * sizeof(float);
    int rc = renewed(&l->f, l->grads->stale);
    return rc ? rc : check(&l->f, cudaMemsetAsync(l->dres, 0, bytes, gpu_of(&l->f)->stream), "clearing");
}

#endif

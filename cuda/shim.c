/* shim.c - emulates the part of CUDA that shim.h declares, and compiles the CUDA backend for the CPU.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "shim_fibers.h"
#include "shim_state.h"

/* ---- devices and memory ---- */

#define SHARED_BYTES 49152 /* limit of a thread block's shared memory, unless its kernel asks for more */
#define KERNELS 16         /* maximum number of kernels that ask for more shared memory than SHARED_BYTES */

/* Kernels that have asked for more shared memory, and for how much; unused places have NULL. */
static struct {
    const void *kernel;
    int64_t bytes;
} large[KERNELS];

const char *cudaGetErrorString(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorMisalignedAddress: return "misaligned address";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    default: return "threads of a block wait at different barriers";
    }
}

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = (int)setting("CADUCEUS_SHIM_DEVICES", 1);
    return *n ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    memset(p, 0, sizeof *p);
    strcpy(p->name, device && setting("CADUCEUS_SHIM_MIXED", 0) ? "host shim of another type" : "host shim");
    p->major = 9;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, int what, int device)
{
    (void)what;
    (void)device;
    *value = (int)setting("CADUCEUS_SHIM_SHARED", 232448);
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, int what, int value)
{
    (void)what;
    if (value > setting("CADUCEUS_SHIM_SHARED", 232448)) return cudaErrorInvalidValue;
    for (int i = 0; i < KERNELS; i++) {
        const void *none = NULL;
        bool mine = __atomic_compare_exchange_n(&large[i].kernel, &none, kernel, false, __ATOMIC_RELAXED,
                                                __ATOMIC_RELAXED);
        if (!mine && none != kernel) continue;
        __atomic_store_n(&large[i].bytes, value, __ATOMIC_RELAXED);
        return cudaSuccess;
    }
    return cudaErrorMemoryAllocation;
}

static int64_t shared_limit(const void *kernel)
{
    for (int i = 0; i < KERNELS; i++)
        if (__atomic_load_n(&large[i].kernel, __ATOMIC_RELAXED) == kernel)
            return __atomic_load_n(&large[i].bytes, __ATOMIC_RELAXED);
    return SHARED_BYTES;
}

cudaError_t cudaSetDevice(int device)
{
    (void)device;
    return __atomic_load_n(&card.fault, __ATOMIC_RELAXED);
}

#define SIZE_BYTES 64 /* number of bytes before each allocation, in which its size is stored */

cudaError_t cudaMalloc(void **p, size_t n)
{
    size_t most = (size_t)setting("CADUCEUS_SHIM_MEMORY", INT64_MAX);
    char *a = __atomic_load_n(&card.used, __ATOMIC_RELAXED) + n > most ? NULL : malloc(n + SIZE_BYTES);
    *p = NULL;
    if (!a) return cudaErrorMemoryAllocation;
    memcpy(a, &n, sizeof n);
    __atomic_add_fetch(&card.used, n, __ATOMIC_RELAXED);
    *p = a + SIZE_BYTES;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    size_t n;
    if (!p) return cudaSuccess;
    memcpy(&n, (char *)p - SIZE_BYTES, sizeof n);
    __atomic_sub_fetch(&card.used, n, __ATOMIC_RELAXED);
    free((char *)p - SIZE_BYTES);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t n)
{
    *p = malloc(n);
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *p)
{
    if (!p) fault(cudaErrorInvalidValue);
    free(p);
    return cudaGetLastError();
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, int kind)
{
    (void)kind;
    if (n) memcpy(to, from, n);
    return cudaGetLastError();
}

/* Makes the copies to the host up to `last`, or all if `last` is NULL. */
static void deliver(struct shim_t *s, const arrival_t *last)
{
    while (s->first) {
        arrival_t *a = s->first;
        bool done = a == last;
        memcpy(a->to, a->bytes, a->n);
        s->first = a->next;
        free(a);
        if (done) break;
    }
    if (!s->first) s->end = &s->first;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, cudaStream_t stream)
{
    arrival_t *a;
    if (stream->recording) fault(cudaErrorStreamCaptureUnsupported); /* the backend records no copies */
    if (kind != cudaMemcpyDeviceToHost) return cudaMemcpy(to, from, n, kind);
    a = malloc(sizeof *a + n);
    if (!a) return cudaErrorMemoryAllocation;
    *a = (arrival_t) { .to = to, .n = n };
    if (n) memcpy(a->bytes, from, n);
    *stream->end = a;
    stream->end = &a->next;
    return cudaGetLastError();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    *event = calloc(1, sizeof **event);
    return *event ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    free(event);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    event->stream = stream;
    event->last = stream->first;
    while (event->last && event->last->next) event->last = event->last->next;
    return cudaGetLastError();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    const arrival_t *a = event->stream->first;
    while (a && a != event->last) a = a->next;
    if (a) deliver(event->stream, a);
    return cudaGetLastError();
}

cudaError_t cudaMemset(void *p, int byte, size_t n)
{
    memset(p, byte, n);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int byte, size_t n, cudaStream_t stream)
{
    (void)stream;
    memset(p, byte, n);
    return cudaSuccess;
}

cudaError_t cudaMemset2DAsync(void *p, size_t pitch, int byte, size_t width, size_t rows, cudaStream_t stream)
{
    (void)stream;
    for (size_t r = 0; r < rows; r++) memset((char *)p + r * pitch, byte, width);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    *stream = calloc(1, sizeof **stream);
    if (!*stream) return cudaErrorMemoryAllocation;
    (*stream)->end = &(*stream)->first;
    (*stream)->seed = (unsigned)setting("CADUCEUS_SHIM_SEED", 0);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    for (int i = 0; i < FIBERS; i++) free(s->fiber[i].stack);
    deliver(s, NULL);
    free(s);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) { return cudaGetLastError(); }

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (stream->recording) fault(cudaErrorStreamCaptureUnsupported);
    deliver(stream, NULL);
    return cudaGetLastError();
}

cudaError_t cudaGetLastError(void) { return __atomic_load_n(&card.fault, __ATOMIC_RELAXED); }

/* ---- graphs ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t s, int mode)
{
    (void)mode;
    s->recording = calloc(1, sizeof *s->recording);
    if (!s->recording) return cudaErrorMemoryAllocation;
    s->recording->last = &s->recording->first;
    return cudaGetLastError();
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    *graph = s->recording;
    s->recording = NULL;
    return cudaGetLastError();
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    graph->used = true;
    *exec = graph;
    return cudaGetLastError();
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t g)
{
    for (node_t *n = g->first, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    free(g);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g) { return g->used ? cudaSuccess : cudaGraphExecDestroy(g); }

static node_t *record(cudaStream_t s, const void *args, size_t size)
{
    node_t *n = calloc(1, sizeof *n + size);
    if (!n) {
        fault(cudaErrorMemoryAllocation);
        return NULL;
    }
    memcpy(n->args, args, size);
    *s->recording->last = n;
    s->recording->last = &n->next;
    return n;
}

int shim_call(int (*library)(const void *args), const void *args, size_t size, cudaStream_t s)
{
    node_t *n;
    if (!s->recording) return library(args);
    n = record(s, args, size);
    if (n) n->library = library;
    return 0;
}

/* Returns the error with which a card refuses a launch. */
static cudaError_t refused_launch(shim_kernel_f *kernel, int64_t bx, int64_t by, int threads, size_t shared)
{
    if (bx < 1 || by < 1 || bx >= (int64_t)1 << 31 || by >= 65536 || threads < 1 || threads > FIBERS)
        return cudaErrorInvalidConfiguration;
    return (int64_t)shared > shared_limit((const void *)kernel) ? cudaErrorInvalidValue : cudaSuccess;
}

/* Allocates the fibers, and shared memory filled with NaN. */
static bool open_launch(struct shim_t *s, int threads, size_t shared)
{
    for (int i = 0; i < threads; i++)
        if (!fiber_new(s, i)) return false;
    s->shared = malloc(shared + GUARD_BYTES);
    if (!s->shared) return false;
    s->shared_bytes = shared;
    memset(s->shared, 0xff, shared);
    memset(s->shared + shared, GUARD, GUARD_BYTES);
    return true;
}

static void run_blocks(struct shim_t *s, int64_t bx, int64_t by)
{
    for (int64_t y = 0; y < by && !cudaGetLastError(); y++)
        for (int64_t x = 0; x < bx && !cudaGetLastError(); x++) {
            s->block.x = (unsigned)x;
            s->block.y = (unsigned)y;
            if (!run_block(s)) fault(cudaErrorCooperativeLaunchTooLarge);
            if (!guarded(s)) fault(cudaErrorIllegalAddress);
        }
}

static void launch(shim_kernel_f *kernel, const void *args, int64_t bx, int64_t by, int threads, size_t shared,
                   cudaStream_t s)
{
    cudaError_t e = refused_launch(kernel, bx, by, threads, shared);
    if (__atomic_add_fetch(&card.launches, 1, __ATOMIC_RELAXED) == setting("CADUCEUS_SHIM_FAULT", -1))
        e = cudaErrorIllegalAddress;
    if (e) fault(e);
    if (cudaGetLastError()) return;
    s->kernel = kernel;
    s->args = args;
    s->threads = threads;
    running = s;
    if (open_launch(s, threads, shared)) run_blocks(s, bx, by);
    else fault(cudaErrorMemoryAllocation);
    free(s->shared);
    s->shared = NULL;
}

void shim_launch(shim_kernel_f *kernel, const void *args, size_t size, int64_t bx, int64_t by, int threads,
                 size_t shared, cudaStream_t s)
{
    node_t *n;
    if (!s->recording) {
        launch(kernel, args, bx, by, threads, shared, s);
        return;
    }
    n = record(s, args, size);
    if (!n) return;
    n->kernel = kernel;
    n->bx = bx;
    n->by = by;
    n->threads = threads;
    n->shared = shared;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t g, cudaStream_t s)
{
    if (__atomic_add_fetch(&card.graphs, 1, __ATOMIC_RELAXED) == setting("CADUCEUS_SHIM_GRAPH", -1))
        fault(cudaErrorIllegalAddress);
    for (node_t *n = g->first; n && !cudaGetLastError(); n = n->next) {
        if (n->kernel) launch(n->kernel, n->args, n->bx, n->by, n->threads, n->shared, s);
        else if (n->library(n->args)) fault(cudaErrorMemoryAllocation);
    }
    return cudaGetLastError();
}

#include "backend.cu"

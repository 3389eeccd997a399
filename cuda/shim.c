/* shim.c - emulates the part of CUDA that shim.h declares, and compiles the CUDA backend for the CPU.
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "shim.h"

#define FIBERS 256
#define STACK ((size_t)1 << 16)
#define SHARED_BYTES 49152 /* limit of a thread block's shared memory, unless its kernel asks for more */
#define GUARD_BYTES 64     /* after shared memory; they keep the value GUARD */
#define GUARD 0xa5
#define COPIES 64 /* maximum number of copies to shared memory that a thread has begun and not waited for */

typedef enum { READY, AT_BARRIER, IN_WARP, DONE } state_t;

typedef struct {
    void *to;
    const void *from;
    size_t size;
} copy_t;

typedef struct {
    struct shim_t *shim;
    shim_index_t thread;
    copy_t copy[COPIES]; /* those that are not made yet */
    int copies;
    state_t state;
    bool started, odd; /* started: the fiber has run; odd: it has done an odd number of shuffles */
    ucontext_t start;
    jmp_buf at;
    char *stack;
} fiber_t;

typedef struct node_t { /* a recorded launch, or a recorded call of a library */
    struct node_t *next;
    shim_kernel_f *kernel;
    int (*library)(const void *args);
    int64_t bx, by;
    int threads;
    size_t shared;
    char args[];
} node_t;

typedef struct arrival_t { /* bytes on their way to the host */
    struct arrival_t *next;
    void *to;
    size_t n;
    char bytes[];
} arrival_t;

struct shim_event_t {
    struct shim_t *stream;
    arrival_t *last; /* the last copy before the event, or NULL */
};

struct shim_graph_t {
    node_t *first, **last;
    bool used;
};

struct shim_t { /* a stream: one thread block runs at a time */
    fiber_t fiber[FIBERS];
    fiber_t *now;
    shim_index_t block;
    shim_kernel_f *kernel;
    const void *args;
    int threads;
    unsigned rounds; /* number of calls of round_of(); it determines the order of the threads in the next call */
    unsigned seed;
    float slot[2][FIBERS]; /* two buffers for the values of shuffles, used alternately */
    jmp_buf scheduler;
    char *shared; /* shared memory and GUARD_BYTES, allocated for each launch */
    size_t shared_bytes;
    struct shim_graph_t *recording;
    arrival_t *first, **end; /* a queue */
};

static __thread struct shim_t *running;
static struct {
    size_t used;
    int64_t launches, graphs;
    cudaError_t fault;
} card;

#define KERNELS 16 /* maximum number of kernels that ask for more shared memory than SHARED_BYTES */

/* Kernels that have asked for more shared memory, and for how much; unused places have NULL. */
static struct {
    const void *kernel;
    int64_t bytes;
} large[KERNELS];

static void fault(cudaError_t e) { __atomic_store_n(&card.fault, e, __ATOMIC_RELAXED); }

static int64_t setting(const char *name, int64_t otherwise)
{
    const char *s = getenv(name);
    return s && *s ? strtoll(s, NULL, 10) : otherwise;
}

/* ---- devices and memory ---- */

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

/* ---- fibers ---- */

/* Suspends this fiber in state `why` and returns to the scheduler, which resumes the fiber later. */
static void rest(fiber_t *f, state_t why)
{
    f->state = why;
    if (!_setjmp(f->at)) _longjmp(f->shim->scheduler, 1);
}

static void fiber_main(unsigned high, unsigned low)
{
    fiber_t *f = (fiber_t *)((uintptr_t)high << 32 | low);
    for (;;) {
        f->shim->kernel(f->shim->args);
        rest(f, DONE);
    }
}

static bool fiber_new(struct shim_t *s, int i)
{
    fiber_t *f = &s->fiber[i];
    if (f->stack) return true;
    f->stack = malloc(STACK);
    if (!f->stack) return false;
    f->shim = s;
    f->thread.x = (unsigned)i;
    getcontext(&f->start);
    f->start.uc_stack.ss_sp = f->stack;
    f->start.uc_stack.ss_size = STACK;
    makecontext(&f->start, (void (*)(void))fiber_main, 2, (unsigned)((uintptr_t)f >> 32), (unsigned)(uintptr_t)f);
    return true;
}

static void resume(struct shim_t *s, fiber_t *f)
{
    bool first = !f->started;
    s->now = f;
    f->started = true;
    if (_setjmp(s->scheduler)) return;
    if (first) setcontext(&f->start);
    _longjmp(f->at, 1);
}

static unsigned mix(unsigned v)
{
    v = (v ^ v >> 16) * 0x7feb352du;
    v = (v ^ v >> 15) * 0x846ca68bu;
    return v ^ v >> 16;
}

/* Resumes each fiber that is ready, once. The order of the fibers changes from call to call. With a seed, about half of
 * the warps wait in each call. */
static void round_of(struct shim_t *s)
{
    unsigned n = (unsigned)s->threads, turn = s->seed ? mix(s->rounds + s->seed * 0x9e3779b9u) : s->rounds,
             step = (2 * (turn % 8192 * 7 % 61) + 1) % n;
    for (unsigned i = 0, at = turn % n; i < n; i++, at = at + step < n ? at + step : at + step - n)
        if (s->fiber[at].state == READY && (!s->seed || turn >> (8 + at / 32 % 8) & 1)) resume(s, &s->fiber[at]);
    s->rounds++;
}

/* Returns the number of fibers in [beg, end) that are in state `why`, or -1 if a fiber is in a state other than `why`
 * and DONE. */
static int waiting(const struct shim_t *s, int beg, int end, state_t why)
{
    int n = 0;
    for (int i = beg; i < end; i++) {
        if (s->fiber[i].state != why && s->fiber[i].state != DONE) return -1;
        n += s->fiber[i].state == why;
    }
    return n;
}

static bool release(struct shim_t *s, int beg, int end, state_t why)
{
    if (waiting(s, beg, end, why) < 1) return false;
    for (int i = beg; i < end; i++)
        if (s->fiber[i].state == why) s->fiber[i].state = READY;
    return true;
}

static bool some_ready(const struct shim_t *s)
{
    for (int i = 0; i < s->threads; i++)
        if (s->fiber[i].state == READY) return true;
    return false;
}

static bool run_block(struct shim_t *s)
{
    for (int i = 0; i < s->threads; i++) {
        s->fiber[i].state = READY;
        s->fiber[i].odd = false;
        s->fiber[i].copies = 0;
    }
    for (;;) {
        bool freed = false;
        round_of(s);
        if (waiting(s, 0, s->threads, DONE) > 0) return true;
        for (int w = 0; w < s->threads; w += 32)
            freed |= release(s, w, w + 32 < s->threads ? w + 32 : s->threads, IN_WARP);
        if (!freed && !some_ready(s) && !release(s, 0, s->threads, AT_BARRIER)) return false;
    }
}

/* Returns false if a thread block has written past the end of its shared memory. */
static bool guarded(const struct shim_t *s)
{
    for (int i = 0; i < GUARD_BYTES; i++)
        if ((unsigned char)s->shared[s->shared_bytes + i] != GUARD) return false;
    return true;
}

const shim_index_t *shim_thread(void) { return &running->now->thread; }
const shim_index_t *shim_block(void) { return &running->block; }
void *shim_shared(void) { return running->shared; }
void shim_barrier(void) { rest(running->now, AT_BARRIER); }

/* Returns v of the thread with index `other`, which is in the same warp. */
static float shuffle(float v, unsigned other)
{
    struct shim_t *s = running;
    fiber_t *f = s->now;
    float *slot = s->slot[f->odd];
    slot[f->thread.x] = v;
    f->odd = !f->odd; /* the next shuffle uses the other buffer, as some fibers may not have read this one yet */
    rest(f, IN_WARP);
    return slot[other];
}

float shim_shuffle_xor(float v, int k) { return shuffle(v, running->now->thread.x ^ ((unsigned)k & 31u)); }

float shim_shuffle_up(float v, int k, int width)
{
    unsigned own = running->now->thread.x, place = own % (unsigned)width;
    return shuffle(v, place >= (unsigned)k ? own - (unsigned)k : own);
}

void shim_aligned(const void *p, size_t size)
{
    if ((uintptr_t)p % size) fault(cudaErrorMisalignedAddress);
}

void shim_copy(void *to, const void *from, size_t size)
{
    fiber_t *f = running->now;
    shim_aligned(to, size);
    shim_aligned(from, size);
    if (f->copies == COPIES) {
        fault(cudaErrorInvalidValue);
        return;
    }
    f->copy[f->copies++] = (copy_t) { .to = to, .from = from, .size = size };
}

void shim_copies_wait(void)
{
    fiber_t *f = running->now;
    for (int i = 0; i < f->copies; i++) memcpy(f->copy[i].to, f->copy[i].from, f->copy[i].size);
    f->copies = 0;
}

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

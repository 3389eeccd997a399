/* shim_state.h - the emulation's streams, graphs and device, as shim.c and shim_fibers.h use them.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SHIM_STATE_H
#define CAD_SHIM_STATE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <ucontext.h>

#include "shim.h"

#define FIBERS 256
#define GUARD_BYTES 64 /* after shared memory; they keep the value GUARD */
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

static void fault(cudaError_t e) { __atomic_store_n(&card.fault, e, __ATOMIC_RELAXED); }

static int64_t setting(const char *name, int64_t otherwise)
{
    const char *s = getenv(name);
    return s && *s ? strtoll(s, NULL, 10) : otherwise;
}

#endif

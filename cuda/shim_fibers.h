/* shim_fibers.h - the threads of a thread block, which are fibers: barriers, shuffles, and copies to shared memory.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SHIM_FIBERS_H
#define CAD_SHIM_FIBERS_H

#include <string.h>

#include "shim_state.h"

#define STACK ((size_t)1 << 16)

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

#endif

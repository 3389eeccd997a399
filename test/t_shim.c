/* t_shim.c - the CUDA host shim refuses what a card refuses, and its order of threads shows missing barriers and waits.
 * SPDX-License-Identifier: MIT
 */
#include "../cuda/shim.c"
#include "tap.h"

typedef struct {
    float *data; // (THREADS + 4)
    int64_t n;
} args_t;

static cudaStream_t stream;

/* Each thread writes its number to shared memory, at most n of them. */
KERNEL(fill, args_t)
{
    SHARED(float, v);
    for (int64_t i = threadIdx.x; i < arg.n; i += THREADS) v[i] = (float)i;
}

KERNEL(load, args_t)
{
    float v[4];
    load4(arg.data + arg.n, v);
    arg.data[0] = v[3];
}

/* Each thread reads the number that the next thread of another warp has written. n: with a barrier between. */
KERNEL(turn, args_t)
{
    SHARED(float, v);
    int i = (int)threadIdx.x;
    v[i] = (float)i;
    if (arg.n) __syncthreads();
    arg.data[i] = v[(i + 37) % THREADS];
}

/* Copies n floats by way of shared memory; waits for the copies unless n is negative. */
KERNEL(copied, args_t)
{
    SHARED(float, v);
    int i = (int)threadIdx.x, n = (int)(arg.n < 0 ? -arg.n : arg.n);
    if (4 * i < n) copy16(v + 4 * i, arg.data + 4 * i);
    if (arg.n > 0) copies_wait();
    __syncthreads();
    if (i < n) arg.data[i] = v[n - 1 - i];
}

/* Returns the error of the launches since the last call. */
static cudaError_t outcome(void)
{
    cudaError_t e = cudaGetLastError();
    card.fault = cudaSuccess;
    return e;
}

static cudaError_t fills(int64_t bx, int64_t by, int threads, size_t shared, int64_t n)
{
    args_t arg = { NULL, n };
    LAUNCH(fill, bx, by, threads, shared, stream, arg);
    return outcome();
}

static void launches(void)
{
    tap_ok(fills(2, 3, THREADS, 512, 128) == cudaSuccess, "a launch");
    tap_ok(fills(0, 1, THREADS, 512, 128) == cudaErrorInvalidConfiguration, "an empty grid is refused");
    tap_ok(fills(1, 0, THREADS, 512, 128) == cudaErrorInvalidConfiguration, "in y too");
    tap_ok(fills(1, 65536, THREADS, 512, 128) == cudaErrorInvalidConfiguration, "a grid that is too large in y");
    tap_ok(fills(1, 1, 0, 512, 128) == cudaErrorInvalidConfiguration, "a block without threads");
    tap_ok(fills(1, 1, THREADS, 49153, 128) == cudaErrorInvalidValue, "more than 48 KB of shared memory");
    tap_ok(cudaFuncSetAttribute((const void *)fill, cudaFuncAttributeMaxDynamicSharedMemorySize, 232449) ==
               cudaErrorInvalidValue,
           "a kernel that asks for more than 227 KB is refused");
    cudaFuncSetAttribute((const void *)fill, cudaFuncAttributeMaxDynamicSharedMemorySize, 100000);
    tap_ok(fills(1, 1, THREADS, 100000, 128) == cudaSuccess, "one that has asked for 100,000 bytes has them");
    tap_ok(fills(1, 1, THREADS, 100001, 128) == cudaErrorInvalidValue, "and no more");
    tap_ok(fills(1, 1, THREADS, 512, 129) == cudaErrorIllegalAddress, "a write past shared memory");
    tap_ok(cudaFreeHost(NULL) == cudaErrorInvalidValue && outcome(), "cudaFreeHost(NULL)");
}

static void loads(float *data)
{
    args_t arg = { data, 0 };
    for (arg.n = 0; arg.n < 5; arg.n++) {
        LAUNCH(load, 1, 1, 1, 0, stream, arg);
        tap_ok(outcome() == (arg.n % 4 ? cudaErrorMisalignedAddress : cudaSuccess), "four floats from float %d",
               (int)arg.n);
    }
}

/* Returns the number of threads that read another number than the one that was written. */
static int stale(float *data, bool barrier, unsigned seed)
{
    args_t arg = { data, barrier };
    int n = 0;
    stream->seed = seed;
    LAUNCH(turn, 1, 1, THREADS, THREADS * sizeof(float), stream, arg);
    for (int i = 0; i < THREADS; i++) n += data[i] != (float)((i + 37) % THREADS);
    stream->seed = 0;
    return n;
}

static void orders(float *data)
{
    for (unsigned seed = 0; seed < 4; seed++)
        tap_ok(stale(data, true, seed) == 0 && stale(data, false, seed) > 0,
               "seed %u: a missing barrier is seen, and no other", seed);
}

/* Tests that copies to the host arrive when the host waits, those before an event also when it waits for that. */
static void arrivals(void)
{
    float from[2] = { 1, 2 }, to[2] = { 0, 0 };
    cudaEvent_t event;
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cudaMemcpyAsync(&to[0], &from[0], sizeof(float), cudaMemcpyDeviceToHost, stream);
    cudaEventRecord(event, stream);
    cudaMemcpyAsync(&to[1], &from[1], sizeof(float), cudaMemcpyDeviceToHost, stream);
    from[0] = from[1] = 3;
    tap_ok(to[0] == 0 && to[1] == 0, "copies to the host have not arrived");
    cudaEventSynchronize(event);
    tap_ok(to[0] == 1 && to[1] == 0, "one arrives with the event after it");
    cudaEventSynchronize(event);
    cudaStreamSynchronize(stream);
    tap_ok(to[0] == 1 && to[1] == 2, "all arrive with the stream");
    cudaEventDestroy(event);
}

static void copies(float *data)
{
    args_t arg = { data, 64 };
    int good = 0, bad = 0;
    for (int i = 0; i < 64; i++) data[i] = (float)i;
    LAUNCH(copied, 1, 1, THREADS, 64 * sizeof(float), stream, arg);
    for (int i = 0; i < 64; i++) good += data[i] == (float)(63 - i);
    arg.n = -64;
    LAUNCH(copied, 1, 1, THREADS, 64 * sizeof(float), stream, arg);
    for (int i = 0; i < 64; i++) bad += data[i] == (float)i;
    tap_ok(good == 64, "copies to shared memory arrive");
    tap_ok(bad == 0, "but not without a wait");
    arg.data = data + 1;
    arg.n = 64;
    LAUNCH(copied, 1, 1, THREADS, 64 * sizeof(float), stream, arg);
    tap_ok(outcome() == cudaErrorMisalignedAddress, "nor from an address that is not a multiple of 16");
}

int main(void)
{
    float *data;
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) ||
        cudaMalloc((void **)&data, (THREADS + 4) * sizeof *data))
        return 1;
    memset(data, 0, (THREADS + 4) * sizeof *data);
    launches();
    loads(data);
    orders(data);
    copies(data);
    arrivals();
    cudaFree(data);
    cudaStreamDestroy(stream);
    return tap_finish();
}

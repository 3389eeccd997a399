/* gpu-micro.cu - measures what a card makes of the instructions that the scan is built of: clocks for one instruction
 * of a warp, on one of the four parts of a multiprocessor. `make gpu-micro` builds it; gpu-check runs it.
 * SPDX-License-Identifier: MIT
 */
#include <cuda_runtime.h>
#include <stdio.h>

#define ROUNDS 256
#define UNIT 16 /* instructions in a round */
#define MOST_BLOCKS 1024

typedef enum { EXPONENTIAL, MULTIPLY_ADD, SHARED_ONE, SHARED_ALL, SHARED_EIGHT, UPDATE } mix_t;

static __device__ __forceinline__ float exponential(float x)
{
    float y;
    asm volatile("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Adds up 16 bytes of shared memory at the given address. */
static __device__ __forceinline__ float load_shared(unsigned at)
{
    float x, y, z, w;
    asm volatile("ld.volatile.shared.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(x), "=f"(y), "=f"(z), "=f"(w) : "r"(at));
    return (x + y) + (z + w);
}

template <mix_t MIX> static __device__ __forceinline__ void round_of(float *a, unsigned shared, int turn, float s)
{
    int lane = (int)threadIdx.x % 32, own = MIX == SHARED_ONE ? 0 : MIX == SHARED_ALL ? lane : lane / 4;
#pragma unroll
    for (int i = 0; i < UNIT; i++) {
        if (MIX == EXPONENTIAL) a[i] = exponential(a[i]);
        else if (MIX == MULTIPLY_ADD) a[i] = fmaf(a[i], s, s);
        else if (MIX == UPDATE) { /* of a state: s = exp2(dt a) s + x B; y += s C */
            a[i] = fmaf(exponential(a[i] * s), a[i], s * a[(i + 1) % UNIT]);
            a[(i + 5) % UNIT] = fmaf(a[i], s, a[(i + 5) % UNIT]);
        } else a[i] += load_shared(shared + (unsigned)(((own + i * 32 + turn % 2 * 32) * 16) & 16383));
    }
}

template <mix_t MIX> static __global__ void __launch_bounds__(512) measure(float *out, long long *clocks, float s)
{
    __shared__ __align__(16) float memory[4096];
    float a[UNIT], sum = 0;
    long long began;
    for (int i = threadIdx.x; i < 4096; i += blockDim.x) memory[i] = s * i;
    for (int i = 0; i < UNIT; i++) a[i] = s * (threadIdx.x + i);
    __syncthreads();
    began = clock64();
    for (int k = 0; k < ROUNDS; k++) round_of<MIX>(a, (unsigned)__cvta_generic_to_shared(memory), k, s);
    began = clock64() - began;
    for (int i = 0; i < UNIT; i++) sum += a[i];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
    if (threadIdx.x == 0) clocks[blockIdx.x] = began;
}

/* Prints one line; returns 1 after an error. One block runs on each multiprocessor. */
template <mix_t MIX> static int run(const char *name, int blocks, int warps, float *out, long long *clocks)
{
    static long long host[MOST_BLOCKS];
    double mean = 0;
    cudaError_t e;
    for (int i = 0; i < 2; i++) measure<MIX><<<blocks, warps * 32>>>(out, clocks, 1e-3f);
    e = cudaMemcpy(host, clocks, (size_t)blocks * sizeof *clocks, cudaMemcpyDeviceToHost);
    if (e != cudaSuccess) {
        fprintf(stderr, "gpu-micro: %s\n", cudaGetErrorString(e));
        return 1;
    }
    for (int i = 0; i < blocks; i++) mean += (double)host[i] / blocks;
    printf("%s, %d warps: %.2f clocks\n", name, warps, mean / (ROUNDS * UNIT * (warps / 4.0)));
    return 0;
}

int main(void)
{
    struct cudaDeviceProp p;
    float *out;
    long long *clocks;
    int bad = 0, blocks;
    cudaError_t e = cudaGetDeviceProperties(&p, 0);
    if (e != cudaSuccess) {
        fprintf(stderr, "gpu-micro: %s\n", cudaGetErrorString(e));
        return 1;
    }
    blocks = p.multiProcessorCount < MOST_BLOCKS ? p.multiProcessorCount : MOST_BLOCKS;
    e = cudaMalloc((void **)&out, (size_t)blocks * 512 * sizeof *out);
    if (e == cudaSuccess) e = cudaMalloc((void **)&clocks, (size_t)blocks * sizeof *clocks);
    if (e != cudaSuccess) {
        fprintf(stderr, "gpu-micro: %s\n", cudaGetErrorString(e));
        return 1;
    }
    for (int warps = 4; warps <= 16 && !bad; warps *= 2) {
        bad |= run<EXPONENTIAL>("an exponential (8 expected)", blocks, warps, out, clocks);
        bad |= run<MULTIPLY_ADD>("a multiplication and addition (1)", blocks, warps, out, clocks);
        bad |= run<SHARED_ONE>("16 shared bytes, one address", blocks, warps, out, clocks);
        bad |= run<SHARED_EIGHT>("16 shared bytes, 8 addresses", blocks, warps, out, clocks);
        bad |= run<SHARED_ALL>("16 shared bytes, 32 addresses (16)", blocks, warps, out, clocks);
        bad |= run<UPDATE>("an update of a state (8 to 10)", blocks, warps, out, clocks);
    }
    printf("%s, %d multiprocessors, %.1f MB of L2\n", p.name, p.multiProcessorCount, (double)p.l2CacheSize * 1e-6);
    return bad;
}

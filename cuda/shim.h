/* shim.h - declares the part of CUDA that the backend uses, implemented on the CPU, for tests without a GPU.
 *
 * The threads of a thread block are fibers. The order in which they run changes after each barrier and shuffle, so that
 * a missing barrier gives wrong results. Device memory is host memory. An asynchronous copy to shared memory is made
 * when the thread waits for it; one to the host is made when the host waits for the stream or for an event after the
 * copy. As on a GPU, launches that have no blocks or use too much shared memory are refused, and vector loads from
 * misaligned addresses and writes past the end of shared memory are faults. Tests set these environment variables:
 *     CADUCEUS_SHIM_SEED      another order of the threads for each number; above 0, warps also wait at random [0]
 *     CADUCEUS_SHIM_DEVICES   number of devices [1]
 *     CADUCEUS_SHIM_MIXED     1: devices after the first are of another type [0]
 *     CADUCEUS_SHIM_MEMORY    bytes of device memory [no limit]
 *     CADUCEUS_SHIM_SHARED    bytes of shared memory that a thread block can have, if it asks for it [232448, as an H200]
 *     CADUCEUS_SHIM_FAULT     number of the first launch that fails; all later ones fail too [none]
 *     CADUCEUS_SHIM_GRAPH     number of the graph launch that fails [none]
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SHIM_H
#define CAD_SHIM_H

#include <stddef.h>
#include <stdint.h>

/* see portable.h */
#define PACK 4096
#define CHUNK 4096

typedef enum {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorNoDevice = 100,
    cudaErrorIllegalAddress = 700,
    cudaErrorMisalignedAddress = 716,
    cudaErrorCooperativeLaunchTooLarge = 720,
    cudaErrorStreamCaptureUnsupported = 900
} cudaError_t;
enum { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum { cudaStreamNonBlocking = 1 };
typedef struct shim_t *cudaStream_t; /* a stream, with the fibers of its launches */
typedef struct shim_event_t *cudaEvent_t;
enum { cudaEventDisableTiming = 2 };
enum { cudaStreamCaptureModeThreadLocal = 1 };
typedef struct shim_blas_t *cublasLtHandle_t; /* always NULL: products are plain loops */
/* both types point to the same object; after cudaGraphInstantiate, cudaGraphDestroy does not free it */
typedef struct shim_graph_t *cudaGraph_t, *cudaGraphExec_t;
struct cudaDeviceProp {
    char name[256];
    int major, minor;
};

const char *cudaGetErrorString(cudaError_t e);
cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device);
enum { cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
cudaError_t cudaDeviceGetAttribute(int *value, int what, int device);
enum { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
cudaError_t cudaFuncSetAttribute(const void *kernel, int what, int value);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMalloc(void **p, size_t n);
cudaError_t cudaFree(void *p);
cudaError_t cudaMallocHost(void **p, size_t n);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaMemcpy(void *to, const void *from, size_t n, int kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, cudaStream_t stream);
cudaError_t cudaMemset(void *p, int byte, size_t n);
cudaError_t cudaMemsetAsync(void *p, int byte, size_t n, cudaStream_t stream);
cudaError_t cudaMemset2DAsync(void *p, size_t pitch, int byte, size_t width, size_t rows, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, int mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaGetLastError(void);

/* ---- inside a kernel ---- */
typedef struct {
    unsigned x, y;
} shim_index_t;
const shim_index_t *shim_thread(void);
const shim_index_t *shim_block(void);
void *shim_shared(void);
void shim_barrier(void);
float shim_shuffle_xor(float v, int k);
float shim_shuffle_up(float v, int k, int width);
void shim_aligned(const void *p, size_t size); /* a fault if p is not a multiple of `size` */
/* copies 4 or 16 bytes to shared memory: asynchronously, see portable.h */
void shim_copy(void *to, const void *from, size_t size);
void shim_copies_wait(void);
#define threadIdx (*shim_thread())
#define blockIdx (*shim_block())
#define __syncthreads() shim_barrier()
#define SHARED(type, name) type *name = (type *)shim_shared()

/* ---- launches ---- */
typedef void shim_kernel_f(const void *args);
void shim_launch(shim_kernel_f *kernel, const void *args, size_t size, int64_t bx, int64_t by, int threads,
                 size_t shared, cudaStream_t stream);
#define KERNEL(name, args) SHIM_KERNEL(name, args)
#define KERNEL_WIDE(name, args) SHIM_KERNEL(name, args)
#define KERNEL_ALONE(name, args) SHIM_KERNEL(name, args)
#define SHIM_KERNEL(name, args)                                        \
    static void name##_body(const args arg);                           \
    static void name(const void *p) { name##_body(*(const args *)p); } \
    static void name##_body(const args arg)
/* Calls the function `library`: at once or, while the stream is being recorded, later when the graph is launched. args:
 * its argument, of `size` bytes, which are copied into the graph. */
int shim_call(int (*library)(const void *args), const void *args, size_t size, cudaStream_t stream);
#define LAUNCH(name, bx, by, threads, shared, stream, args) \
    shim_launch(name, &(args), sizeof(args), bx, by, threads, shared, stream)

#endif

/* backend.cu - defines the CUDA backend: the tables of operations (core/engine/backend.h and backward.h) for one
 * device, and the one function that the module exports.
 *
 * A lane is a stream with its own memory on the device. A batch is copied to the device as tokens and sequence offsets;
 * only its results (logits, pooled rows) are copied back. The operations `head`, `pool`, `read` and, in training,
 * `collect` wait until their results are on the host. All others return once their kernels are queued. An error in a
 * kernel is reported by an operation that waits, or by a later launch.
 *
 * Each operation has a file with its forward and backward kernels and the code that launches them. Files named _tmpl
 * are compiled for T = float and for T = bf16_t; each lists its macro parameters. nvcc compiles this file, and shim.c
 * includes it for the CPU. SPDX-License-Identifier: MIT
 */
#include "weights.h"
#include "embed.h"
#include "head.h"
#include "mamba_kind.h"
#include "mamba2_kind.h"
#include "mamba_out.h"

#define T float
#define NAME(x) x##_fp32
#define get(v) (v)
#define put(v) (v)
#include "norm_tmpl.h"
#include "mamba_in_tmpl.h"
#include "conv_tmpl.h"
#include "mamba_conv_tmpl.h"
#include "mamba_scan_tmpl.h"
#include "mamba_time_tmpl.h"
#include "mamba_scan_back_tmpl.h"
#include "mamba2_in_tmpl.h"
#ifdef CAD_MORE_KINDS_CUDA
#include CAD_MORE_KINDS_CUDA
#endif
#undef T
#undef NAME
#undef get
#undef put

#define T bf16_t
#define NAME(x) x##_bf16
#define get(v) from_bf16(v)
#define put(v) to_bf16(v)
#include "norm_tmpl.h"
#include "mamba_in_tmpl.h"
#include "conv_tmpl.h"
#include "mamba_conv_tmpl.h"
#include "mamba_scan_tmpl.h"
#include "mamba_time_tmpl.h"
#include "mamba_scan_back_tmpl.h"
#include "mamba2_in_tmpl.h"
#ifdef CAD_MORE_KINDS_CUDA
#include CAD_MORE_KINDS_CUDA
#endif
#undef T
#undef NAME
#undef get
#undef put

/* ---- kinds of layers ---- */

#define MAMBA_OPS(suffix)                                          \
    {                                                              \
        op_in_##suffix, op_conv_##suffix, op_scan_##suffix, op_out \
    }
#define MAMBA_BACK_OPS(suffix)                                             \
    {                                                                      \
        back_out, back_scan_##suffix, back_conv_##suffix, back_in_##suffix \
    }
static cad_op_f *const mamba_ops[2][CAD_MAMBA_OPS] = { MAMBA_OPS(fp32), MAMBA_OPS(bf16) };
static cad_back_f *const mamba_back_ops[2][CAD_MAMBA_BACK_OPS] = { MAMBA_BACK_OPS(fp32), MAMBA_BACK_OPS(bf16) };

#define MAMBA2_OPS(suffix)                                                             \
    {                                                                                  \
        mamba2_in_##suffix, mamba2_conv, mamba2_scan, mamba2_gate_##suffix, mamba2_out \
    }
static cad_op_f *const mamba2_ops[2][CAD_MAMBA2_OPS] = { MAMBA2_OPS(fp32), MAMBA2_OPS(bf16) };
#define MAMBA2_BACK                                                         \
    {                                                                       \
        mamba2_back_out, mamba2_back_scan, mamba2_back_conv, mamba2_back_in \
    }
static cad_back_f *const mamba2_back_ops[2][CAD_MAMBA2_BACK_OPS] = { MAMBA2_BACK, MAMBA2_BACK };

#define KIND_OF(name) &cuda_##name,
#define SIZES_OF(name) CAD_KIND_SIZES(name),
#define OPS_OF(name) name##_ops[half],
#define BACK_OF_FP32(name) name##_back_ops[0],
#define BACK_OF_BF16(name) name##_back_ops[1],

static const kind_t *kind_at(int kind)
{
    static const kind_t *const all[CAD_GPU_NKINDS] = { CAD_GPU_KINDS(KIND_OF) };
    return all[kind];
}

/* ---- tables ---- */

#define BACK_OPS(of_type)                                                                                           \
    {                                                                                                               \
        .name = "cuda", .rows = TRAIN_ROWS, .least = PRODUCT_ROWS, .round = PRODUCT_ROWS, .tile = CAD_WHOLE,        \
        .keeps = false, .lanes = 1, .take = back_take, .give = back_give, .carve = back_carve, .open = grads_open,  \
        .close = grads_close, .renew = grads_renew, .collect = grads_collect, .collect_layer = grads_collect_layer, \
        .start = back_start, .divide = back_divide, .embed = back_embed, .kind = { CAD_GPU_KINDS(of_type) },        \
        .head = back_head, .pool = back_pool                                                                        \
    }

static const cad_back_ops_t back_fp32 = BACK_OPS(BACK_OF_FP32), back_bf16 = BACK_OPS(BACK_OF_BF16);

static void fill_ops(cad_ops_t *ops, bool half)
{
    cad_op_f *const *const by_kind[CAD_NKINDS] = { CAD_GPU_KINDS(OPS_OF) };
    memcpy(ops->kind, by_kind, sizeof by_kind);
    snprintf(ops->precision, sizeof ops->precision, "%s", half ? "bf16" : "fp32");
    ops->tile = ops->split = CAD_WHOLE;
    ops->wide = 0;
    ops->pack = PACK;
    ops->least = 2048;
    ops->lanes = 2;
    ops->weights_open = weights_open;
    ops->weights_renew = weights_renew;
    ops->weights_close = weights_close;
    ops->lane_open = lane_open;
    ops->lane_close = lane_close;
    ops->read = op_read;
    ops->embed = op_embed;
    ops->head = op_head;
    ops->pool = op_pool;
    ops->back = half ? &back_bf16 : &back_fp32;
}

/* Finds device `index`, which must have compute capability 8.0 (Ampere) or later: bfloat16 matrix products need it. */
static int find_device(cad_ops_t *ops, int index, cad_error_t *err)
{
    struct cudaDeviceProp prop;
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess) return fail(err, CAD_EDEVICE, "%s", cudaGetErrorString(e));
    if (index >= n)
        return fail(err, CAD_EDEVICE, "there %s %d CUDA device%s, counted from 0", n == 1 ? "is" : "are", n,
                    n == 1 ? "" : "s");
    e = cudaGetDeviceProperties(&prop, index);
    if (e != cudaSuccess) return fail(err, CAD_EDEVICE, "%s", cudaGetErrorString(e));
    if (prop.major < 8)
        return fail(err, CAD_EDEVICE, "%s has compute capability %d.%d; 8.0 or later is needed", prop.name, prop.major,
                    prop.minor);
    snprintf(ops->name, sizeof ops->name, "cuda %.50s", prop.name);
    ops->device = index;
    ops->devices = n;
    return 0;
}

#ifdef __cplusplus
extern "C"
#endif
    __attribute__((visibility("default"))) int
    cad_module(const cad_host_t *host, int index, bool half, cad_ops_t *ops, cad_error_t *err);

int cad_module(const cad_host_t *host, int index, bool half, cad_ops_t *ops, cad_error_t *err)
{
    static const cad_kind_sizes_t kinds[CAD_NKINDS] = { CAD_GPU_KINDS(SIZES_OF) };
    cad_host_t own = CAD_HOST_INIT;
    int rc;
    memcpy(own.kind, kinds, sizeof kinds);
    if (host->abi != own.abi || host->kinds != own.kinds || memcmp(host, &own, sizeof own))
        return CAD_EARG; /* in a host of another version cad_error_t may have another layout, so err is not written */
    rc = find_device(ops, index, err);
    if (rc == 0) fill_ops(ops, half);
    return rc;
}

/* backend.cu - the CUDA backend: its tables of operations (core/engine/ops.h and backward.h) for
 * one device, and the one symbol that the module exports.
 *
 * A lane is a stream with its own memory on the device. A batch is copied there as tokens and
 * offsets, and only results come back. Every operation except `head`, `pool` and `read`, and
 * `collect` in training, returns once its kernels are queued; an error in them shows in one of
 * those or in a later launch.
 * Each operation is a file with its forward and backward kernels and their launches. Files named
 * _tmpl are compiled for T = float and for T = bf16_t; they list their parameters.
 * nvcc compiles this file, and shim.c includes it for the CPU.
 * SPDX-License-Identifier: MIT
 */
#include "weights.h"
#include "embed.h"
#include "out.h"
#include "head.h"

#define T float
#define NAME(x) x##_fp32
#define get(v) (v)
#define put(v) (v)
#include "norm_tmpl.h"
#include "in_tmpl.h"
#include "conv_tmpl.h"
#include "scan_tmpl.h"
#include "scan_back_tmpl.h"
#undef T
#undef NAME
#undef get
#undef put

#define T bf16_t
#define NAME(x) x##_bf16
#define get(v) from_bf16(v)
#define put(v) to_bf16(v)
#include "norm_tmpl.h"
#include "in_tmpl.h"
#include "conv_tmpl.h"
#include "scan_tmpl.h"
#include "scan_back_tmpl.h"
#undef T
#undef NAME
#undef get
#undef put

/* The backward table, whose in, conv and scan are those of one T. */
#define BACK_OPS(suffix)                                                                                           \
    {                                                                                                              \
        .name = "cuda", .rows = TRAIN_ROWS, .least = PRODUCT_ROWS, .round = PRODUCT_ROWS, .tile = CAD_WHOLE,       \
        .keeps = false, .lanes = 1, .take = back_take, .give = back_give, .carve = back_carve, .open = grads_open, \
        .close = grads_close, .renew = grads_renew, .collect = grads_collect, .start = back_start,                 \
        .divide = back_divide, .embed = back_embed, .out = back_out, .scan = back_scan_##suffix,                   \
        .conv = back_conv_##suffix, .in = back_in_##suffix, .head = back_head, .pool = back_pool                   \
    }

static const cad_back_ops_t back_fp32 = BACK_OPS(fp32), back_bf16 = BACK_OPS(bf16);

static void fill_ops(cad_ops_t *ops, bool half)
{
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
    ops->in = half ? op_in_bf16 : op_in_fp32;
    ops->conv = half ? op_conv_bf16 : op_conv_fp32;
    ops->scan = half ? op_scan_bf16 : op_scan_fp32;
    ops->out = op_out;
    ops->head = op_head;
    ops->pool = op_pool;
    ops->back = half ? &back_bf16 : &back_fp32;
}

/* 8.0 is the first architecture with bfloat16 products. */
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
    return 0;
}

#ifdef __cplusplus
extern "C"
#endif
    __attribute__((visibility("default"))) int
    cad_module(const cad_host_t *host, int index, bool half, cad_ops_t *ops, cad_error_t *err);

int cad_module(const cad_host_t *host, int index, bool half, cad_ops_t *ops, cad_error_t *err)
{
    cad_host_t own = CAD_HOST_INIT;
    int rc;
    if (host->abi != own.abi || memcmp(host, &own, sizeof own))
        return CAD_EARG; /* built for another version, so the layout of err is not known */
    rc = find_device(ops, index, err);
    if (rc == 0) fill_ops(ops, half);
    return rc;
}

/* table_tmpl.h - defines the CPU backend's tables of operations for one instruction set; engine/backend.h and
 * engine/backward.h declare their types.
 *
 * Macro parameters, defined by the including file:
 *   CAD_ISA_AVX512, CAD_ISA_AVX2, CAD_ISA_BF16   see simd.h
 *   CAD_ISA_PAIRS, CAD_ISA_TILES, CAD_ISA_AMX    see project_tmpl.h and tile_tmpl.h
 *   CAD_ISA_NAME       the tables' name, such as "cpu avx512"
 *   CAD_ISA_OPS        name of the tables of operations, one for each precision
 *   CAD_ISA_BACK_OPS   name of the table of the backward pass; undefined: this table is not defined
 *
 * In all kernels, a vector holds one value of each of VW adjacent channels.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_TABLE_TMPL_H
#define CAD_TABLE_TMPL_H

#include "cpu/isa.h"
#include "embed_tmpl.h"
#include "head_tmpl.h"
#include "kinds_tmpl.h"
#include "cpu/lane.h"
#include "residual_tmpl.h"
#include "weights_tmpl.h"

#define OPS_OF(name) [CAD_KIND_##name] = name##_ops,
#define BACK_OPS_OF(name) [CAD_KIND_##name] = name##_back_ops,
#define TABLE(numbers)                                                                                     \
    {                                                                                                      \
        .name = CAD_ISA_NAME, .precision = numbers, .tile = TILE, .wide = 4, .pack = 2048, .least = 2048,  \
        .split = 16384, .late = true, .weights_open = weights_open, .weights_renew = weights_renew,        \
        .weights_close = weights_close, .lane_open = cad_cpu_lane_open, .lane_close = cad_cpu_lane_close,  \
        .read = cad_cpu_read, .embed = embed_forward, .kind = { CAD_KINDS(OPS_OF) }, .head = head_forward, \
        .pool = pool_forward,                                                                              \
    }
const cad_ops_t CAD_ISA_OPS[CAD_NPRECISIONS] = {
    [CAD_PRECISION_FP32] = TABLE("fp32"),
    [CAD_PRECISION_BF16X3] = TABLE("bf16x3"),
    [CAD_PRECISION_BF16] = TABLE("bf16"),
};
#undef TABLE

#ifdef CAD_ISA_BACK_OPS
const cad_back_ops_t CAD_ISA_BACK_OPS = {
    .name = CAD_ISA_NAME,
    .rows = 4096,
    .least = 4096,
    .round = 1,
    .tile = 128 /* a multiple of CAD_STRETCH */,
    .keeps = true,
    .lanes = 2,
    .take = cad_cpu_take,
    .give = cad_cpu_give,
    .carve = cad_cpu_carve_back,
    .open = grads_open,
    .close = grads_close,
    .renew = grads_renew,
    .collect = grads_collect,
    .collect_layer = grads_collect_layer,
    .start = residual_start,
    .divide = residual_divide,
    .embed = embed_back,
    .kind = { CAD_KINDS(BACK_OPS_OF) },
    .head = head_back,
    .pool = pool_back,
};
#endif

#endif

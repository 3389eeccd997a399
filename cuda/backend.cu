/* backend.cu - the CUDA backend: the table of operations (core/ops.h) on one device.
 *
 * A lane is a stream with its own memory on the device; a batch goes there as tokens
 * and offsets, and only results come back. Every operation but `head`, `pool` and
 * `read` returns once its kernels are queued; what goes wrong in them shows in one of
 * those or in the next launch. The same holds backwards (core/train.h), where `collect`
 * waits. Compiled by nvcc, and by shim.c for the CPU.
 * SPDX-License-Identifier: MIT
 */
#include "common.h"

#include "product.h"
#include "weights.h"
#include "graph.h"
#include "lane.h"
#include "kernels.h"
#include "gradients.h"
#include "back_kernels.h"

#define T float
#define NAME(x) x##_fp32
#define get(v) (v)
#define put(v) (v)
#include "typed.h"
#include "forward.h"
#include "back.h"
#include "back_typed.h"
#undef T
#undef NAME
#undef get
#undef put

#define T bf16_t
#define NAME(x) x##_bf16
#define get(v) from_bf16(v)
#define put(v) to_bf16(v)
#include "typed.h"
#include "forward.h"
#include "back_typed.h"
#undef T
#undef NAME
#undef get
#undef put

#include "results.h"
#include "entry.h"

/* mamba_memory.h - sizes that a Mamba layer's memory (mamba_memory.c) and kernels share. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_MEMORY_H
#define CAD_MAMBA_MEMORY_H

#include "base/base.h"

#define CAD_MAMBA_GROUP 64 /* channels over which one task of the backward scan sums dB and dC */

/* Returns the number of floats of the sums of dB and dC over one group of channels: an array (2N,tile), for N states
 * and a tile of rows, and padding. The kernel stores the sums of several rows at a time, so it may write beyond the
 * last row. */
static inline int64_t cad_cpu_part_size(int64_t tile, int64_t N) { return 2 * N * tile + CAD_PAD; }

#endif

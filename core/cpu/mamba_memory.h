/* mamba_memory.h - sizes shared by a Mamba layer's memory and kernels. SPDX-License-Identifier: MIT */
#ifndef CAD_MAMBA_MEMORY_H
#define CAD_MAMBA_MEMORY_H

#include "base/base.h"

#define CAD_MAMBA_GROUP 64 /* channels in a group, over which a task sums dB and dC */

/* Returns the number of floats of dB and dC of one group of channels: (2N,tile), and padding, since sums are stored in
 * groups of rows that may extend beyond the last row. */
static inline int64_t cad_cpu_part_size(int64_t tile, int64_t N) { return 2 * N * tile + CAD_PAD; }

#endif

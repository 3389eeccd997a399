/* mamba_memory.h - sizes shared by a Mamba layer's memory and kernels. SPDX-License-Identifier: MIT */
#ifndef CAD_MAMBA_MEMORY_H
#define CAD_MAMBA_MEMORY_H

#include "base/base.h"

#define CAD_MAMBA_GROUP 64 /* channels whose dB and dC are summed together */

/* Floats of one group's dB and dC: (2N,tile), and padding, since a sum may store rows after the last one. */
static inline int64_t cad_cpu_part_size(int64_t tile, int64_t N) { return 2 * N * tile + CAD_PAD; }

#endif

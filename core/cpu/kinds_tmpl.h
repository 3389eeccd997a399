/* kinds_tmpl.h - the layer kinds, compiled for one instruction set. Each kind has an include here; the included file
 * defines cpu_kind_t cpu_NAME and the operations NAME_ops and NAME_back_ops.
 *
 * Parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS; CAD_MORE_KINDS_CPU, a file with further kinds.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_KINDS_TMPL_H
#define CAD_KINDS_TMPL_H

#include "mamba_kind_tmpl.h"
#include "mamba2_kind_tmpl.h"
#ifdef CAD_MORE_KINDS_CPU
#include CAD_MORE_KINDS_CPU
#endif

#define CPU_KIND(name) &cpu_##name,
static const cpu_kind_t *const cpu_kind[CAD_NKINDS] = { CAD_KINDS(CPU_KIND) };

#endif

/* kinds_tmpl.h - compiles all layer kinds for one instruction set. Each kind NAME has an include here. The included
 * file defines `cpu_NAME`, of type cpu_kind_t, and the arrays of operations `NAME_ops` and `NAME_back_ops`.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass; CAD_MORE_KINDS_CPU, if
 * defined, is the name of a file with further kinds. SPDX-License-Identifier: MIT
 */
#ifndef CAD_KINDS_TMPL_H
#define CAD_KINDS_TMPL_H

#include "mamba_kind_tmpl.h"
#include "mamba2_kind_tmpl.h"
#include "attention_kind_tmpl.h"
#include "mlp_kind_tmpl.h"
#include "kmer_kind_tmpl.h"
#include "cnn_kind_tmpl.h"
#include "hyena_kind_tmpl.h"
#ifdef CAD_MORE_KINDS_CPU
#include CAD_MORE_KINDS_CPU
#endif

#define CPU_KIND(name) &cpu_##name,
static const cpu_kind_t *const cpu_kind[CAD_NKINDS] = { CAD_KINDS(CPU_KIND) };

#endif

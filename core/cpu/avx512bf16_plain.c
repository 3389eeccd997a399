/* avx512bf16_plain.c - compiles the kernels of avx512bf16.c with dot products in plain C, for tests on any processor.
 * SPDX-License-Identifier: MIT */
#define CAD_ISA_PAIRS
#define CAD_ISA_NAME "cpu avx512bf16-plain"
#define CAD_ISA_OPS cad_cpu_avx512bf16_plain
#define CAD_ISA_BACK_OPS cad_cpu_avx512bf16_plain_back
#define CAD_ISA_PROBE cad_cpu_avx512bf16_plain_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

/* avx512bf16.c - the CPU backend in bfloat16, for AVX-512 with dot-product instructions for bfloat16 (AVX512_BF16).
 * Tables of float32 and of the backward pass are those of avx512.c.
 *
 * SPDX-License-Identifier: MIT
 */
#define CAD_ISA_AVX512
#define CAD_ISA_BF16
#define CAD_ISA_NAME "cpu avx512bf16"
#define CAD_ISA_HALF_OPS cad_cpu_avx512bf16_half
#define CAD_ISA_PROBE cad_cpu_avx512bf16_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

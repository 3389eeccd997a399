/* avx512bf16.c - compiles the bfloat16 operations of the CPU backend for processors with AVX-512 and its bfloat16 dot
 * products (AVX512_BF16). For float32 operations, cpu.c uses the tables of avx512.c.
 *
 * SPDX-License-Identifier: MIT
 */
#define CAD_ISA_AVX512
#define CAD_ISA_BF16
#define CAD_ISA_PAIRS
#define CAD_ISA_NAME "cpu avx512bf16"
#define CAD_ISA_OPS cad_cpu_avx512bf16
#define CAD_ISA_BACK_OPS cad_cpu_avx512bf16_back
#define CAD_ISA_PROBE cad_cpu_avx512bf16_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

/* avx512.c - compiles the CPU backend for processors with AVX-512 F, VL, BW and DQ. SPDX-License-Identifier: MIT */
#define CAD_ISA_AVX512
#define CAD_ISA_NAME "cpu avx512"
#define CAD_ISA_OPS cad_cpu_avx512
#define CAD_ISA_BACK_OPS cad_cpu_avx512_back
#define CAD_ISA_PROBE cad_cpu_avx512_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

/* avx2.c - compiles the CPU backend for processors with AVX2 and FMA. SPDX-License-Identifier: MIT */
#define CAD_ISA_AVX2
#define CAD_ISA_NAME "cpu avx2"
#define CAD_ISA_OPS cad_cpu_avx2
#define CAD_ISA_BACK_OPS cad_cpu_avx2_back
#define CAD_ISA_PROBE cad_cpu_avx2_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

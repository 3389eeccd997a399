/* amx.c - compiles the CPU backend for AVX-512 with matrix tiles (AMX_TILE, AMX_BF16). SPDX-License-Identifier: MIT */
#define CAD_ISA_AVX512
#define CAD_ISA_BF16
#define CAD_ISA_TILES
#define CAD_ISA_AMX
#define CAD_ISA_NAME "cpu amx"
#define CAD_ISA_OPS cad_cpu_amx
#define CAD_ISA_PROBE cad_cpu_amx_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

/* neon.c - compiles the CPU backend for 64-bit ARM processors, all of which have NEON. SPDX-License-Identifier: MIT */
#define CAD_ISA_NEON
#define CAD_ISA_NAME "cpu neon"
#define CAD_ISA_OPS cad_cpu_neon
#define CAD_ISA_BACK_OPS cad_cpu_neon_back
#define CAD_ISA_PROBE cad_cpu_neon_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

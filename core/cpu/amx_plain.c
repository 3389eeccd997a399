/* amx_plain.c - compiles the kernels of amx.c with tiles in plain C: slow, and for tests on any processor.
 * SPDX-License-Identifier: MIT */
#define CAD_ISA_TILES
#define CAD_ISA_NAME "cpu amx-plain"
#define CAD_ISA_OPS cad_cpu_amx_plain
#define CAD_ISA_PROBE cad_cpu_amx_plain_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

/* plain.c - compiles the CPU backend in plain C, for any processor. SPDX-License-Identifier: MIT */
#define CAD_ISA_NAME "cpu plain"
#define CAD_ISA_OPS cad_cpu_plain
#define CAD_ISA_BACK_OPS cad_cpu_plain_back
#define CAD_ISA_PROBE cad_cpu_plain_probe
#include "table_tmpl.h"
#include "probe_tmpl.h"

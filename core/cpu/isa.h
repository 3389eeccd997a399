/* isa.h - declares the tables of operations and the probes (loops that measure speed). The file of each instruction
 * set, such as avx2.c, defines its own by including table_tmpl.h and probe_tmpl.h. cpu.c chooses among the instruction
 * sets.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_ISA_H
#define CAD_ISA_H

#include "engine/backward.h"
#include "measure/probe.h"

extern const cad_ops_t cad_cpu_plain[], cad_cpu_avx2[], cad_cpu_avx512[], cad_cpu_avx512bf16[], cad_cpu_amx[],
    cad_cpu_amx_plain[], cad_cpu_avx512bf16_plain[], cad_cpu_neon[]; /* CAD_NPRECISIONS tables each */
extern const cad_back_ops_t cad_cpu_plain_back, cad_cpu_avx2_back, cad_cpu_avx512_back, cad_cpu_neon_back,
    cad_cpu_avx512bf16_back,
    cad_cpu_avx512bf16_plain_back; /* those of avx512bf16 and its emulation are for bf16 only */
extern const cad_probe_t cad_cpu_plain_probe, cad_cpu_avx2_probe, cad_cpu_avx512_probe, cad_cpu_avx512bf16_probe,
    cad_cpu_amx_probe, cad_cpu_amx_plain_probe, cad_cpu_avx512bf16_plain_probe, cad_cpu_neon_probe;

#endif

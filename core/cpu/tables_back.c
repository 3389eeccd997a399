/* cpu_back.c - the backward table of an instruction set. SPDX-License-Identifier: MIT */
#include "engine/backward.h"

extern const cad_back_ops_t cad_cpu_plain_back, cad_cpu_avx2_back, cad_cpu_avx512_back;

const cad_back_ops_t *cad_cpu_back_ops(const cad_ops_t *ops)
{
    static const cad_back_ops_t *const table[] = {
#ifdef CAD_X86
        &cad_cpu_avx512_back,
        &cad_cpu_avx2_back,
#endif
        &cad_cpu_plain_back,
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i]->name, ops->name)) return table[i];
    return NULL;
}

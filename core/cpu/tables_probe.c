/* cpu_probe.c - the probe of an instruction set. SPDX-License-Identifier: MIT */
#include "measure/measure.h"
#include "engine/ops.h"

extern const cad_probe_t cad_cpu_plain_probe, cad_cpu_avx2_probe, cad_cpu_avx512_probe, cad_cpu_avx512bf16_probe;

int cad_cpu_probe(const cad_probe_t **probe, bool half, cad_error_t *err)
{
    static const cad_probe_t *const table[] = {
    /* best first */
#ifdef CAD_X86_BF16
        &cad_cpu_avx512bf16_probe,
#endif
#ifdef CAD_X86
        &cad_cpu_avx512_probe,
        &cad_cpu_avx2_probe,
#endif
        &cad_cpu_plain_probe,
    };
    const cad_ops_t *ops;
    int rc = cad_cpu_ops(&ops, half, err);
    if (rc) return rc;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(ops->name, table[i]->name)) {
            *probe = table[i];
            return 0;
        }
    return cad_fail(err, CAD_EARG, "%s: no probe", ops->name);
}

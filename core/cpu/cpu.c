/* cpu.c - chooses, at run time, the fastest instruction set that the processor supports. SPDX-License-Identifier: MIT
 */
#include "cpu/isa.h"

#ifdef CAD_ONLY_PLAIN /* defined by a test build that leaves out all instruction sets but plain C */
#undef CAD_X86
#undef CAD_X86_BF16
#endif

static bool always(void) { return true; }
#ifdef CAD_X86
static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif
#ifdef CAD_X86_BF16
static bool has_bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif

typedef struct {
    const char *name;
    bool (*supported)(void); /* true if this processor supports the instruction set; NULL if it is not compiled in */
    const cad_ops_t *full, *half;
    const cad_back_ops_t *back;
    const cad_probe_t *probe;
} isa_t;

/* All instruction sets, from the fastest to the slowest. */
static const isa_t ISA[] = {
#ifdef CAD_X86_BF16
    { "avx512bf16", has_bf16, &cad_cpu_avx512, &cad_cpu_avx512bf16_half, &cad_cpu_avx512_back,
      &cad_cpu_avx512bf16_probe },
#else
    { .name = "avx512bf16" },
#endif
#ifdef CAD_X86
    { "avx512", has_avx512, &cad_cpu_avx512, &cad_cpu_avx512_half, &cad_cpu_avx512_back, &cad_cpu_avx512_probe },
    { "avx2", has_avx2, &cad_cpu_avx2, &cad_cpu_avx2_half, &cad_cpu_avx2_back, &cad_cpu_avx2_probe },
#else
    { .name = "avx512" },
    { .name = "avx2" },
#endif
    { "plain", always, &cad_cpu_plain, &cad_cpu_plain_half, &cad_cpu_plain_back, &cad_cpu_plain_probe },
};
#define NISA (sizeof ISA / sizeof *ISA)

int cad_cpu_ops(const cad_ops_t **ops, bool half, cad_error_t *err)
{
    const char *most = getenv("CADUCEUS_ISA");
    bool allowed = !most || !*most;
    for (size_t i = 0; i < NISA; i++) {
        allowed = allowed || !strcmp(most, ISA[i].name);
        if (allowed && ISA[i].supported && ISA[i].supported()) {
            *ops = half ? ISA[i].half : ISA[i].full;
            return 0;
        }
    }
    return cad_fail(err, CAD_EARG, "CADUCEUS_ISA=%.20s: expected avx512bf16, avx512, avx2 or plain", most);
}

const cad_back_ops_t *cad_cpu_back_ops(const cad_ops_t *ops)
{
    for (size_t i = 0; i < NISA; i++)
        if (ISA[i].back && !strcmp(ISA[i].back->name, ops->name)) return ISA[i].back;
    return NULL;
}

int cad_cpu_probe(const cad_probe_t **probe, bool half, cad_error_t *err)
{
    const cad_ops_t *ops;
    int rc = cad_cpu_ops(&ops, half, err);
    if (rc) return rc;
    for (size_t i = 0; i < NISA; i++)
        if (ISA[i].probe && !strcmp(ISA[i].probe->name, ops->name)) {
            *probe = ISA[i].probe;
            return 0;
        }
    return cad_fail(err, CAD_EARG, "%s: no probe", ops->name);
}

/* cpu.c - choosing the instruction set at run time. SPDX-License-Identifier: MIT */
#include "engine/ops.h"

extern const cad_ops_t cad_cpu_plain, cad_cpu_avx2, cad_cpu_avx512;
extern const cad_ops_t cad_cpu_plain_half, cad_cpu_avx2_half, cad_cpu_avx512_half, cad_cpu_avx512bf16_half;

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
#define X86(there, full, half) there, full, half
#else
#define X86(there, full, half) NULL, NULL, NULL
#endif
#ifdef CAD_X86_BF16
static bool has_bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#define X86_BF16(there, full, half) there, full, half
#else
#define X86_BF16(there, full, half) NULL, NULL, NULL
#endif
static bool always(void) { return true; }

/* Best first; there: on this processor, NULL: not built. */
static const struct {
    const char *name;
    bool (*there)(void);
    const cad_ops_t *full, *half;
} ISA[] = {
    { "avx512bf16", X86_BF16(has_bf16, &cad_cpu_avx512, &cad_cpu_avx512bf16_half) },
    { "avx512", X86(has_avx512, &cad_cpu_avx512, &cad_cpu_avx512_half) },
    { "avx2", X86(has_avx2, &cad_cpu_avx2, &cad_cpu_avx2_half) },
    { "plain", always, &cad_cpu_plain, &cad_cpu_plain_half },
};

int cad_cpu_ops(const cad_ops_t **ops, bool half, cad_error_t *err)
{
    const char *most = getenv("CADUCEUS_ISA");
    bool below = !most || !*most;
    for (size_t i = 0; i < sizeof ISA / sizeof *ISA; i++) {
        below = below || !strcmp(most, ISA[i].name);
        if (below && ISA[i].there && ISA[i].there()) {
            *ops = half ? ISA[i].half : ISA[i].full;
            return 0;
        }
    }
    return cad_fail(err, CAD_EARG, "CADUCEUS_ISA=%.20s: expected avx512bf16, avx512, avx2 or plain", most);
}

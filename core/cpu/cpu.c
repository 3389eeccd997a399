/* cpu.c - chooses, at run time, the fastest instruction set that the processor supports. SPDX-License-Identifier: MIT
 */
#include "cpu/isa.h"

#ifdef CAD_ONLY_PLAIN /* defined by a test build that leaves out all instruction sets but plain C */
#undef CAD_X86
#undef CAD_X86_BF16
#undef CAD_X86_AMX
#undef CAD_ARM
#endif
#ifndef __linux__ /* has_amx asks Linux for permission */
#undef CAD_X86_AMX
#endif
#ifdef CAD_X86_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
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

/* Intel's processors multiply a vector of pairs in the time of four vectors of float32, AMD's in that of one. */
static bool is_intel(void) { return __builtin_cpu_is("intel"); }
#endif
#ifdef CAD_X86_AMX
#define REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM: permission for all threads to use a part of their state */
#define TILE_DATA 18

static bool has_amx(void)
{
    unsigned a, b, c, d;
    bool tiles = __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 24 & 1 && d >> 22 & 1;
    return tiles && has_bf16() && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

typedef struct {
    const cad_ops_t *ops;
    const cad_back_ops_t *back;
} pair_t;

typedef struct {
    const char *name;
    bool (*supported)(void); /* true if this processor supports the instruction set; NULL if it is not compiled in */
    bool (*slow)(void);      /* true if the next instruction set is faster on this processor; NULL: never */
    const cad_ops_t *ops[CAD_NPRECISIONS];
    pair_t train[CAD_NPRECISIONS]; /* the operations of the forward and backward pass that train */
    const cad_probe_t *probe;
} isa_t;

/* The tables of instruction set `set`; those of bf16 are of instruction set `narrow`. */
#define OPS(set, narrow)                                                          \
    {                                                                             \
        &cad_cpu_##set[CAD_PRECISION_FP32], &cad_cpu_##set[CAD_PRECISION_BF16X3], \
            &cad_cpu_##narrow[CAD_PRECISION_BF16]                                 \
    }
#define TRAIN(set, narrow)                                                   \
    {                                                                        \
        { &cad_cpu_##set[CAD_PRECISION_FP32], &cad_cpu_##set##_back },       \
            { &cad_cpu_##set[CAD_PRECISION_BF16X3], &cad_cpu_##set##_back }, \
        {                                                                    \
            &cad_cpu_##narrow[CAD_PRECISION_BF16], &cad_cpu_##narrow##_back  \
        }                                                                    \
    }

/* All instruction sets, from the fastest to the slowest; those after plain C are used only if they are named. */
static const isa_t ISA[] = {
#ifdef CAD_X86_AMX
    { "amx", has_amx, NULL, OPS(amx, amx), TRAIN(avx512, avx512), &cad_cpu_amx_probe },
#else
    { .name = "amx" },
#endif
#ifdef CAD_X86_BF16
    { "avx512bf16", has_bf16, is_intel, OPS(avx512, avx512bf16), TRAIN(avx512, avx512bf16), &cad_cpu_avx512bf16_probe },
#else
    { .name = "avx512bf16" },
#endif
#ifdef CAD_X86
    { "avx512", has_avx512, NULL, OPS(avx512, avx512), TRAIN(avx512, avx512), &cad_cpu_avx512_probe },
    { "avx2", has_avx2, NULL, OPS(avx2, avx2), TRAIN(avx2, avx2), &cad_cpu_avx2_probe },
#else
    { .name = "avx512" },
    { .name = "avx2" },
#endif
#ifdef CAD_ARM
    { "neon", always, NULL, OPS(neon, neon), TRAIN(neon, neon), &cad_cpu_neon_probe },
#else
    { .name = "neon" },
#endif
    { "plain", always, NULL, OPS(plain, plain), TRAIN(plain, plain), &cad_cpu_plain_probe },
#ifndef CAD_ONLY_PLAIN
    { "amx-plain", always, NULL, OPS(amx_plain, amx_plain), TRAIN(plain, plain), &cad_cpu_amx_plain_probe },
    { "avx512bf16-plain", always, NULL, OPS(plain, avx512bf16_plain), TRAIN(plain, avx512bf16_plain),
      &cad_cpu_avx512bf16_plain_probe },
#endif
};
#define NISA (sizeof ISA / sizeof *ISA)

/* Returns true if instruction set i can be used and is not slower than the next; named: the user asks for it. */
static bool is_usable(size_t i, bool named)
{
    return ISA[i].supported && ISA[i].supported() && (named || !ISA[i].slow || !ISA[i].slow());
}

int cad_cpu_ops(const cad_ops_t **ops, int precision, cad_error_t *err)
{
    const char *most = getenv("CADUCEUS_ISA");
    bool allowed = !most || !*most;
    for (size_t i = 0; i < NISA; i++) {
        bool named = most && !strcmp(most, ISA[i].name);
        allowed = allowed || named;
        if (allowed && is_usable(i, named)) {
            *ops = ISA[i].ops[precision];
            return 0;
        }
    }
    return cad_fail(err, CAD_EARG, "CADUCEUS_ISA=%.20s: expected amx, avx512bf16, avx512, avx2, neon or plain", most);
}

const cad_back_ops_t *cad_cpu_back_ops(cad_ops_t *ops)
{
    int precision = cad_precision_number(ops->precision);
    for (size_t i = 0; i < NISA; i++) {
        const isa_t *isa = &ISA[i];
        if (!isa->supported || strcmp(isa->ops[precision]->name, ops->name)) continue;
        *ops = *isa->train[precision].ops;
        return isa->train[precision].back;
    }
    return NULL;
}

int cad_cpu_probe(const cad_probe_t **probe, int precision, cad_error_t *err)
{
    const cad_ops_t *ops;
    int rc = cad_cpu_ops(&ops, precision, err);
    if (rc) return rc;
    for (size_t i = 0; i < NISA; i++)
        if (ISA[i].probe && !strcmp(ISA[i].probe->name, ops->name)) {
            *probe = ISA[i].probe;
            return 0;
        }
    return cad_fail(err, CAD_EARG, "%s: no probe", ops->name);
}

/* kmer_memory.c - lays out the words of a layer of k-mers in the memory of a lane. SPDX-License-Identifier: MIT */
#include "blocks/kmer.h"
#include "cpu/lane.h"

static void carve(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    (void)m;
    cad_kmer_lane(l)->word = cad_bump(b, l->tile, 1, sizeof(int32_t));
}

static void carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    (void)l;
    (void)m;
    (void)b;
}

extern const cad_cpu_memory_t cad_cpu_memory_kmer;
const cad_cpu_memory_t cad_cpu_memory_kmer = { .carve = carve, .carve_back = carve_back };

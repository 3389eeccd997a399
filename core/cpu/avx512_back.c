/* avx512_back.c - the CPU backend's backward table. SPDX-License-Identifier: MIT */
#define CAD_ISA_AVX512
#define CAD_BACK_OPS cad_cpu_avx512_back
#include "kernels.h"
#include "backward.h"

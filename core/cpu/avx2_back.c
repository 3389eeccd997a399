/* avx2_back.c - the CPU backend's backward table. SPDX-License-Identifier: MIT */
#define CAD_ISA_AVX2
#define CAD_BACK_OPS cad_cpu_avx2_back
#include "kernels.h"
#include "backward.h"

/* plain_back.c - the CPU backend's backward table. SPDX-License-Identifier: MIT */
#define CAD_ISA_PLAIN
#define CAD_BACK_OPS cad_cpu_plain_back
#include "kernels.h"
#include "backward.h"

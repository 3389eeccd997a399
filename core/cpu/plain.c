/* plain.c - the CPU backend for any processor. SPDX-License-Identifier: MIT */
#define CAD_ISA_PLAIN
#define CAD_OPS cad_cpu_plain
#include "kernels.h"
#include "forward.h"

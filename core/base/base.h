/* base.h - includes the headers for errors, memory and numbers, which every file needs. SPDX-License-Identifier: MIT */
#ifndef CAD_BASE_H
#define CAD_BASE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"
#include "caduceus.h"

#define CAD_PAD 16                     /* kernels pad each row of an array to a multiple of this many floats */
#define CAD_LONGEST ((int64_t)1 << 31) /* maximum number of tokens in a window */

#endif

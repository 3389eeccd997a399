/* foundation.h - makes the core's base available to the layers above io: errors, memory, whole files, threads, random
 * numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_FOUNDATION_H
#define CAD_FOUNDATION_H

#include "base/base.h"
#include "base/file.h"
#include "base/random.h"
#include "base/team.h"

#endif

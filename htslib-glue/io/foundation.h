/* foundation.h - includes the headers of core/base that the layers above io may use: errors, memory, the clock, files,
 * modules, threads, random numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_FOUNDATION_H
#define CAD_FOUNDATION_H

#include "base/base.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/loader.h"
#include "base/random.h"
#include "base/team.h"

#endif

/* foundation.h - what io shares with the core's base, for the rooms above it: errors, memory, whole files,
 * threads, random numbers. SPDX-License-Identifier: MIT */
#ifndef CAD_FOUNDATION_H
#define CAD_FOUNDATION_H

#include "base/base.h"
#include "base/file.h"
#include "base/random.h"
#include "base/team.h"

#endif

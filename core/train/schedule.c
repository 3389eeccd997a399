/* schedule.c - computes the learning rate of an update.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdbool.h>

#include "caduceus.h"

#define START 1e-6 /* learning rate at the start of the warm-up */

/* CAD_COSINE_AFTER (pretraining) counts the updates of the warm-up from 1, so the first rate is above START;
 * CAD_COSINE_OVER (as the library timm does) counts them from 0. */
double cad_schedule(enum cad_cosine_t form, int64_t step, int64_t steps, double warmup, double peak, double last)
{
    bool after = form == CAD_COSINE_AFTER;
    double rising = floor(warmup * (double)steps), s = (double)step, start = fmin(START, peak);
    double from = after ? rising : 0, turn = 3.14159265358979323846 * (s - from) / fmax(1, (double)steps - from);
    if (s < rising) return start + (peak - start) * (after ? s + 1 : s) / rising;
    return last + (peak - last) * 0.5 * (1 + cos(turn));
}

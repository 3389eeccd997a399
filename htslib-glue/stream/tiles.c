/* tiles.c - cuts regions into cores (the bases that a window scores) and windows (a core with its flanks).
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/tiles.h"

int tiling_set(tiling_t *t, int64_t window, int64_t flank, cad_error_t *err)
{
    t->window = window;
    t->flank = flank < 0 ? cad_min(1024, window / 4) : flank;
    t->core = window - 2 * t->flank;
    if (t->core < 1)
        return cad_fail(
            err, CAD_EARG,
            "--flank %lld on both sides leaves nothing of --window %lld; lower the flank or widen the window",
            (long long)t->flank, (long long)window);
    return 0;
}

/* Cuts a region of n bases into cores. Let C be the length of a core. If n > C, the region has a middle core of C
 * bases, or of C - 1 bases if only one of C and n is odd. On each side of the middle core are cores of C bases, the
 * outermost of which may be shorter. So the reverse complement of the region is cut at the same places. Sets *middle to
 * the length of the middle core, and *side to the number of bases on each side of the middle core. */
static void cut(const tiling_t *t, int64_t n, int64_t *side, int64_t *middle)
{
    *middle = n <= t->core ? n : t->core - ((t->core ^ n) & 1);
    *side = (n - *middle) / 2;
}

int64_t tiles_count(const tiling_t *t, interval_t r)
{
    int64_t side, middle;
    if (t->grid) return r.end > r.beg ? (r.end - 1) / t->core - r.beg / t->core + 1 : 0;
    cut(t, r.end - r.beg, &side, &middle);
    return (middle > 0) + 2 * ((side + t->core - 1) / t->core);
}

void tiles_get(const tiling_t *t, interval_t r, int64_t length, int64_t k, interval_t *core, interval_t *window)
{
    int64_t side, middle, C = t->core, per, first, at = (r.beg / C + k) * C;
    if (t->grid) {
        *core = (interval_t) { at, cad_min(at + C, length) };
        *window = (interval_t) { cad_max(at - t->flank, 0), cad_min(core->end + t->flank, length) };
        return;
    }
    cut(t, r.end - r.beg, &side, &middle);
    per = (side + C - 1) / C;             /* cores on each side */
    first = r.beg + side - (per - 1) * C; /* start of the second core */
    if (k < per) {
        core->beg = k ? first + (k - 1) * C : r.beg;
        core->end = first + k * C;
    } else {
        int64_t beg = r.beg + side, i = k - per;
        if (middle == 0) i++; /* skips the middle core, which is empty */
        core->beg = i ? beg + middle + (i - 1) * C : beg;
        core->end = i ? cad_min(core->beg + C, r.end) : beg + middle;
    }
    window->beg = cad_max(core->beg - t->flank, 0);
    window->end = cad_min(core->end + t->flank, length);
}

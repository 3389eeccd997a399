/* figure.c - colours, numbers, titles, axes and legends of pictures. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw/figure.h"

/* ---- colours ---- */

colour_t base_colour(int base)
{
    static const colour_t of[] = { 0x008000, 0x0000ff, 0xffa600, 0xff0000 };
    return base >= 0 && base < 4 ? of[base] : 0x999999;
}

/* Returns the colour at x (0 to 1) between n colours of equal distance. */
static colour_t between(const colour_t *of, int n, double x)
{
    double at = fmin(fmax(x, 0), 1) * (n - 1);
    int k = (int)fmin(floor(at), n - 2);
    colour_t mixed = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        double a = of[k] >> shift & 255, b = of[k + 1] >> shift & 255;
        mixed |= (colour_t)lround(a + (b - a) * (at - k)) << shift;
    }
    return mixed;
}

colour_t diverging_colour(double x)
{
    static const colour_t of[] = { 0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xffffff,
                                   0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b, 0x67001f };
    return isnan(x) ? PALE : between(of, 11, (x + 1) / 2);
}

colour_t viridis_colour(double x)
{
    static const colour_t of[] = { 0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e,
                                   0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b, 0xfde725 };
    return isnan(x) ? PALE : between(of, 10, x);
}

/* ---- numbers ---- */

double round_up(double x)
{
    static const double steps[] = { 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 };
    double ten;
    if (!(x > 0) || isinf(x)) return 1;
    ten = pow(10, floor(log10(x)));
    for (int i = 0; i < 10; i++)
        if (steps[i] * ten >= x * (1 - 1e-9)) return steps[i] * ten;
    return 10 * ten;
}

char *with_commas(int64_t n, char buf[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), k = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) buf[k++] = ',';
        buf[k++] = digits[i];
    }
    buf[k] = 0;
    return buf;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double quantile_of(const float *v, int64_t n, double q, bool *failed)
{
    float *sorted = cad_alloc((size_t)n + 1, sizeof *sorted);
    int64_t count = 0;
    double value;
    *failed |= sorted == NULL;
    if (!sorted) return 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(v[i])) sorted[count++] = fabsf(v[i]);
    qsort(sorted, (size_t)count, sizeof *sorted, by_value);
    value = count ? (double)sorted[(int64_t)(q * (double)(count - 1))] : 0;
    free(sorted);
    return value;
}

/* ---- title ---- */

void figure_title(canvas_t *c, const caption_t *t)
{
    char text[512], beg[32], end[32];
    snprintf(text, sizeof text, "%s %.200s:%s-%s", t->what, t->contig, with_commas(t->at.beg + 1, beg),
             with_commas(t->at.end, end));
    canvas_bold(c, 20, 26, 16, ALIGN_LEFT, INK, text);
    snprintf(text, sizeof text, "%.200s; %.200s", t->model, t->details);
    canvas_text(c, 20, 44, 11, ALIGN_LEFT, GREY, text);
}

/* ---- axes ---- */

/* Returns the distance of the numbers of an axis of n bases on `room` pixels: 1, 2 or 5 x 10^k bases, and at least
 * `each` pixels. */
static int64_t step_of(int64_t n, double room, double each)
{
    static const int64_t steps[] = { 1, 2, 5 };
    for (int64_t ten = 1;; ten *= 10)
        for (int i = 0; i < 3; i++)
            if ((double)(steps[i] * ten) * room >= (double)n * each) return steps[i] * ten;
}

/* Bases are numbered from 1; the first number is the first multiple of the step. */
static int64_t first_tick(interval_t at, int64_t step) { return (at.beg + step) / step * step; }

void figure_axis(canvas_t *c, interval_t at, double x, double y, double w)
{
    int64_t n = at.end - at.beg;
    char text[32], longest[32];
    double each = 8.0 * (double)strlen(with_commas(at.end, longest)) + 14;
    int64_t step = step_of(n, w, each);
    canvas_line(c, x, y, x + w, y, GREY);
    for (int64_t p = first_tick(at, step); p <= at.end; p += step) {
        double px = x + w * ((double)(p - 1 - at.beg) + 0.5) / (double)n;
        canvas_line(c, px, y, px, y + 4, GREY);
        canvas_text(c, px, y + 16, 11, ALIGN_CENTRE, INK, with_commas(p, text));
    }
}

void figure_axis_down(canvas_t *c, interval_t at, double x, double y, double h)
{
    int64_t n = at.end - at.beg, step = step_of(n, h, 24);
    char text[32];
    canvas_line(c, x, y, x, y + h, GREY);
    for (int64_t p = first_tick(at, step); p <= at.end; p += step) {
        double py = y + h * ((double)(p - 1 - at.beg) + 0.5) / (double)n;
        canvas_line(c, x - 4, py, x, py, GREY);
        canvas_text(c, x - 7, py + 4, 11, ALIGN_RIGHT, INK, with_commas(p, text));
    }
}

/* ---- legends ---- */

void figure_legend(canvas_t *c, double x, double y, double w, double lo, double hi, colour_t (*colour)(double),
                   double from, double to, const char *text)
{
    enum { STEPS = 128 };
    colour_t bar[STEPS];
    char number[32];
    for (int i = 0; i < STEPS; i++) bar[i] = colour(from + (to - from) * i / (STEPS - 1));
    canvas_image(c, x, y, w, 12, bar, STEPS, 1);
    canvas_frame(c, x, y, w, 12, GREY);
    for (int i = 0; i <= 2; i++) {
        snprintf(number, sizeof number, "%g", lo + (hi - lo) * i / 2);
        canvas_line(c, x + w * i / 2, y + 12, x + w * i / 2, y + 16, GREY);
        canvas_text(c, x + w * i / 2, y + 28, 11, ALIGN_CENTRE, INK, number);
    }
    canvas_text(c, x + w + 16, y + 11, 12, ALIGN_LEFT, INK, text);
}

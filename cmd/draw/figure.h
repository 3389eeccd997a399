/* figure.h - what all pictures share: colours, numbers, the title, axes in genome coordinates and legends.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_FIGURE_H
#define CAD_FIGURE_H

#include "draw/canvas.h"
#include "io/bed.h"

#define INK 0x222222
#define GREY 0x777777
#define PALE 0xdddddd /* lines of scales, and bases without values */
#define FIGURE_WIDTH 1000

/* what the title says */
typedef struct caption_t {
    const char *contig, *what, *model, *details;
    interval_t at; /* the region, from 0 */
} caption_t;

/* Returns the colour of A, C, G or T (0 to 3) as IGV has it, and grey for other numbers. */
colour_t base_colour(int base);
/* Returns a colour from blue (-1) over white (0) to red (1); values beyond are clipped. */
colour_t diverging_colour(double x);
/* Returns a colour of viridis, from dark blue (0) to yellow (1); values beyond are clipped. */
colour_t viridis_colour(double x);
/* Returns the least round number, such as 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 x 10^k, that is at least x; 1 if x is not
 * above 0. */
double round_up(double x);
/* Writes a number with commas between groups of three digits to buf; returns buf. */
char *with_commas(int64_t n, char buf[32]);
/* Returns the q-quantile (0 to 1) of the absolute values of v (n), leaving out NaN; 0 if there are none. */
double quantile_of(const float *v, int64_t n, double q, bool *failed);

/* Draws the title into the top 52 pixels. */
void figure_title(canvas_t *c, const caption_t *t);
/* Draws an axis of bases [at.beg, at.end) from x to x + w at y, with its numbers below. */
void figure_axis(canvas_t *c, interval_t at, double x, double y, double w);
/* Draws an axis downwards from y to y + h at x, with its numbers to the left. */
void figure_axis_down(canvas_t *c, interval_t at, double x, double y, double h);
/* Draws a colour bar from lo to hi with its numbers below and a text after it. */
void figure_legend(canvas_t *c, double x, double y, double w, double lo, double hi, colour_t (*colour)(double),
                   double from, double to, const char *text);

#endif

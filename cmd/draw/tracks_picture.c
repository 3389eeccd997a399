/* tracks_picture.c - the picture of caduceus track --png. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "draw/pictures.h"

enum { LEFT = 76, RIGHT = 24, TOP = 62, TALL = 96, GAP = 18, BOTTOM = 34, WIDTH = FIGURE_WIDTH - LEFT - RIGHT };
#define LETTER_WIDTH 5.0 /* narrower bases are drawn as bars */

typedef struct plot_t {
    const tracks_picture_t *p;
    canvas_t *c;
    int64_t n;
} plot_t;

static double clipped(const panel_t *k, double v) { return fmin(fmax(v, k->low), k->high); }

/* Returns how far below the top of a panel a value is drawn. */
static double depth_of(const panel_t *k, double v) { return TALL * (k->high - clipped(k, v)) / (k->high - k->low); }

/* Returns the mean of a track's values at bases [beg, end); NaN if there are none. */
static double mean_of(const float *v, int64_t beg, int64_t end)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = beg; i < end; i++)
        if (!isnan(v[i])) {
            sum += (double)v[i];
            n++;
        }
    return n ? sum / (double)n : (double)NAN;
}

/* Draws column x of w pixels: bases [beg, end) as a bar from 0, or from the end of the range that is nearer to 0. */
static void draw_bar(const plot_t *t, const panel_t *k, double x, double y, double w, int64_t beg, int64_t end)
{
    double zero = depth_of(k, 0), v = mean_of(k->value, beg, end), at = depth_of(k, v);
    if (isnan(v)) return;
    canvas_rect(t->c, x, y + fmin(zero, at), w, fmax(fabs(zero - at), 1), k->colour[0]);
}

/* Draws the four tracks of a base on top of each other, the highest last. */
static void draw_stack(const plot_t *t, const panel_t *k, double x, double y, double w, int64_t beg, int64_t end)
{
    double v[4], below = 0;
    int order[4] = { 0, 1, 2, 3 };
    for (int b = 0; b < 4; b++) v[b] = mean_of(k->value + b * t->n, beg, end);
    for (int i = 1; i < 4; i++) /* insertion sort */
        for (int j = i; j > 0 && v[order[j]] < v[order[j - 1]]; j--) {
            int other = order[j];
            order[j] = order[j - 1];
            order[j - 1] = other;
        }
    for (int i = 0; i < 4; i++) {
        double h = TALL * v[order[i]] / (k->high - k->low);
        if (!(h > 0)) continue;
        below += h;
        if (w < LETTER_WIDTH) canvas_rect(t->c, x, y + TALL - below, w, h, base_colour(order[i]));
        else canvas_letter(t->c, "ACGT"[order[i]], x + 0.5, y + TALL - below, w - 1, h, base_colour(order[i]));
    }
}

static void draw_base(const plot_t *t, const panel_t *k, double x, double y, double w, int64_t i)
{
    double h = TALL - depth_of(k, (double)k->value[i]);
    int base = -1;
    for (int b = 0; b < 4; b++)
        if (t->p->letter[i] == "ACGT"[b]) base = b;
    if (base >= 0 && !isnan(k->value[i]))
        canvas_letter(t->c, t->p->letter[i], x + 0.5, y + TALL - h, w - 1, h, base_colour(base));
}

static void draw_scale(const plot_t *t, const panel_t *k, double y)
{
    char text[64];
    canvas_line(t->c, LEFT - 4, y, LEFT - 4, y + TALL, GREY);
    for (int i = 0; i <= 2; i++) {
        double at = y + TALL * i / 2.0;
        canvas_line(t->c, LEFT - 8, at, LEFT - 4, at, GREY);
        canvas_line(t->c, LEFT, at, LEFT + WIDTH, at, PALE);
        snprintf(text, sizeof text, "%g", k->high + (k->low - k->high) * i / 2 + 0.0);
        canvas_text(t->c, LEFT - 11, at + 4, 11, ALIGN_RIGHT, INK, text);
    }
    snprintf(text, sizeof text, strcmp(k->unit, "1") ? "%s (%s)" : "%s", k->name, k->unit);
    canvas_upwards(t->c, 26, y + TALL / 2.0, 11, INK, text);
}

static void draw_panel(const plot_t *t, const panel_t *k, double y)
{
    int64_t columns = cad_min(t->n, WIDTH);
    double w = (double)WIDTH / (double)columns;
    draw_scale(t, k, y);
    for (int64_t x = 0; x < columns; x++) {
        int64_t beg = x * t->n / columns, end = (x + 1) * t->n / columns;
        double at = LEFT + w * (double)x;
        if (k->tracks > 1) draw_stack(t, k, at, y, w, beg, end);
        else if (k->letters && w >= LETTER_WIDTH) draw_base(t, k, at, y, w, beg);
        else draw_bar(t, k, at, y, w, beg, end);
    }
}

int draw_tracks(const tracks_picture_t *p, output_t *out, const char *path, cad_error_t *err)
{
    plot_t t = { .p = p, .n = p->caption.at.end - p->caption.at.beg };
    double y = TOP;
    int rc = canvas_open(&t.c, out, path, FIGURE_WIDTH, TOP + p->panels * (TALL + GAP) + BOTTOM, err);
    if (rc) return rc;
    figure_title(t.c, &p->caption);
    for (int k = 0; k < p->panels; k++, y += TALL + GAP) draw_panel(&t, &p->panel[k], y);
    figure_axis(t.c, p->caption.at, LEFT, y - GAP + 6, WIDTH);
    return canvas_close(t.c, err);
}

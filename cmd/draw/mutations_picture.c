/* mutations_picture.c - the picture of caduceus mutate. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "draw/pictures.h"

enum { LEFT = 76, RIGHT = 24, TOP = 62, LOGO = 64, CELL = 17, GAP = 8, AXIS = 24, NEXT = 20, LEGEND = 56 };
enum { ACROSS = 100, MOST = 2000 }; /* bases of a line; more than MOST bases are drawn in one line */

typedef struct plot_t {
    const mutations_picture_t *p;
    canvas_t *c;
    int64_t n, across; /* bases of the region, and of a line */
    double limit;      /* value of the strongest colours */
    double most;       /* largest mean, for the height of letters */
} plot_t;

/* Returns the mean of the changes of base i, with the sign turned: high where all changes are unlikely. */
static double mean_of(const plot_t *t, int64_t i)
{
    const float *v = t->p->value + 4 * i;
    return -((double)v[0] + (double)v[1] + (double)v[2] + (double)v[3]) / 3;
}

static int base_at(const plot_t *t, int64_t i)
{
    for (int b = 0; b < 4; b++)
        if (t->p->letter[i] == "ACGT"[b] && !isnan(t->p->value[4 * i])) return b;
    return -1;
}

/* ---- parts of a line of bases ---- */

static void draw_means(const plot_t *t, int64_t beg, int64_t end, double y, double width)
{
    double zero = y + LOGO * 0.75, scale = t->most > 0 ? LOGO * 0.75 / t->most : 0;
    char text[32];
    canvas_line(t->c, LEFT, zero, LEFT + width * (double)(end - beg), zero, PALE);
    for (int64_t i = beg; i < end; i++) {
        double x = LEFT + width * (double)(i - beg), h = base_at(t, i) < 0 ? 0 : mean_of(t, i) * scale;
        colour_t colour = base_colour(base_at(t, i));
        h = fmax(h, -LOGO * 0.25);
        if (width < 5 && h > 0) canvas_rect(t->c, x, zero - h, width, h, colour);
        else if (width < 5) canvas_rect(t->c, x, zero, width, -h, colour);
        else canvas_letter(t->c, t->p->letter[i], x + 0.5, zero - h, width - 1, h, colour);
    }
    snprintf(text, sizeof text, "%.3g", t->most);
    canvas_line(t->c, LEFT - 4, y, LEFT - 4, y + LOGO, GREY);
    canvas_line(t->c, LEFT - 8, y, LEFT - 4, y, GREY);
    canvas_line(t->c, LEFT - 8, zero, LEFT - 4, zero, GREY);
    canvas_text(t->c, LEFT - 11, y + 8, 11, ALIGN_RIGHT, INK, text);
    canvas_text(t->c, LEFT - 11, zero + 4, 11, ALIGN_RIGHT, INK, "0");
    canvas_upwards(t->c, 30, y + LOGO / 2.0, 11, INK, "mean loss");
}

static void draw_cells(const plot_t *t, int64_t beg, int64_t end, double y, double width)
{
    for (int64_t i = beg; i < end; i++)
        for (int b = 0; b < 4; b++) {
            double x = LEFT + width * (double)(i - beg), v = (double)t->p->value[4 * i + b] / t->limit;
            canvas_rect(t->c, x, y + CELL * b, width, CELL, diverging_colour(v));
            if (base_at(t, i) != b) continue;
            if (width < 5) canvas_rect(t->c, x, y + CELL * b + CELL / 2.0 - 1, width, 2, GREY);
            else canvas_rect(t->c, x + width / 2 - 1.5, y + CELL * b + CELL / 2.0 - 1.5, 3, 3, GREY);
        }
    for (int b = 0; b < 4; b++) {
        char letter[2] = { "ACGT"[b], 0 };
        canvas_bold(t->c, LEFT - 12, y + CELL * b + 13, 12, ALIGN_CENTRE, base_colour(b), letter);
    }
    canvas_frame(t->c, LEFT, y, width * (double)(end - beg), 4 * CELL, PALE);
}

static void draw_line(const plot_t *t, int64_t beg, int64_t end, double y)
{
    double width = (double)(FIGURE_WIDTH - LEFT - RIGHT) / (double)t->across;
    interval_t at = { t->p->caption.at.beg + beg, t->p->caption.at.beg + end };
    draw_means(t, beg, end, y, width);
    draw_cells(t, beg, end, y + LOGO + GAP, width);
    figure_axis(t->c, at, LEFT, y + LOGO + GAP + 4 * CELL + 2, width * (double)(end - beg));
}

/* ---- the picture ---- */

static void set_scales(plot_t *t, bool *failed)
{
    t->limit = round_up(quantile_of(t->p->value, 4 * t->n, 0.99, failed));
    for (int64_t i = 0; i < t->n; i++)
        if (base_at(t, i) >= 0) t->most = fmax(t->most, mean_of(t, i));
}

int draw_mutations(const mutations_picture_t *p, output_t *out, const char *path, cad_error_t *err)
{
    plot_t t = { .p = p, .n = p->caption.at.end - p->caption.at.beg };
    int64_t lines = t.n <= MOST ? (t.n + ACROSS - 1) / ACROSS : 1;
    double tall = LOGO + GAP + 4 * CELL + AXIS + NEXT, y = TOP + (double)lines * tall;
    char text[256];
    bool failed = false;
    int rc;
    t.across = (t.n + lines - 1) / lines;
    set_scales(&t, &failed);
    rc = failed ? cad_out_of_memory(err) : canvas_open(&t.c, out, path, FIGURE_WIDTH, y + LEGEND, err);
    if (rc) return rc;
    figure_title(t.c, &p->caption);
    for (int64_t k = 0; k < lines; k++)
        draw_line(&t, k * t.across, cad_min(t.n, (k + 1) * t.across), TOP + (double)k * tall);
    snprintf(text, sizeof text, "%s; blue: %s, red: %s; dot: the base itself", p->unit, p->low, p->high);
    figure_legend(t.c, LEFT, y + 4, 220, -t.limit, t.limit, diverging_colour, -1, 1, text);
    canvas_text(t.c, LEFT + 236, y + 31, 12, ALIGN_LEFT, INK, "height of letters: minus the mean of the three changes");
    return canvas_close(t.c, err);
}

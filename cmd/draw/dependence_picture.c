/* dependence_picture.c - the picture of caduceus depend. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "draw/pictures.h"

enum { LEFT = 110, TOP = 66, SIDE = 830, BOTTOM = 92, LETTERS = 120 };

typedef struct plot_t {
    const dependence_picture_t *p;
    canvas_t *c;
    int64_t n;
    double limit; /* value of the brightest colour */
} plot_t;

/* Returns the largest of the values that pixel k of `pixels` of a side stands for. */
static interval_t bases_of(const plot_t *t, int k, int pixels)
{
    return (interval_t) { k * t->n / pixels, cad_max(k * t->n / pixels + 1, (k + 1) * t->n / pixels) };
}

static float largest_in(const plot_t *t, interval_t rows, interval_t columns)
{
    float most = NAN;
    for (int64_t i = rows.beg; i < rows.end; i++)
        for (int64_t j = columns.beg; j < columns.end; j++) most = fmaxf(most, t->p->e[i * t->n + j]);
    return most;
}

static int draw_map(const plot_t *t, cad_error_t *err)
{
    int side = (int)cad_min(t->n, SIDE);
    colour_t *pixel = cad_alloc((size_t)side * (size_t)side, sizeof *pixel);
    if (!pixel) return cad_out_of_memory(err);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double v = (double)largest_in(t, bases_of(t, y, side), bases_of(t, x, side));
            pixel[y * side + x] = viridis_colour(v / t->limit);
        }
    canvas_image(t->c, LEFT, TOP, SIDE, SIDE, pixel, side, side);
    canvas_frame(t->c, LEFT, TOP, SIDE, SIDE, GREY);
    free(pixel);
    return 0;
}

static int base_of(char letter)
{
    for (int b = 0; b < 4; b++)
        if (letter == "ACGT"[b]) return b;
    return -1;
}

/* Draws the bases along both sides, if there is room for letters. */
static void draw_letters(const plot_t *t)
{
    double w = (double)SIDE / (double)t->n, size = fmin(w, 14);
    for (int64_t i = 0; i < t->n && t->n <= LETTERS; i++) {
        char letter[2] = { t->p->letter[i], 0 };
        colour_t colour = base_colour(base_of(*letter));
        double at = w * ((double)i + 0.5);
        canvas_bold(t->c, LEFT + at, TOP + SIDE + size, size, ALIGN_CENTRE, colour, letter);
        canvas_bold(t->c, LEFT - size * 0.6, TOP + at + size * 0.36, size, ALIGN_CENTRE, colour, letter);
    }
}

/* Sets the limit to what one pair in a hundred exceeds, of those that are not neighbours. */
static int set_limit(plot_t *t, cad_error_t *err)
{
    float *far = cad_alloc((size_t)t->n, (size_t)t->n * sizeof *far);
    bool failed = far == NULL;
    for (int64_t i = 0; i < t->n && !failed; i++)
        for (int64_t j = 0; j < t->n; j++) far[i * t->n + j] = llabs(i - j) > (t->n > 8) ? t->p->e[i * t->n + j] : NAN;
    if (!failed) t->limit = round_up(quantile_of(far, t->n * t->n, 0.995, &failed));
    free(far);
    return failed ? cad_out_of_memory(err) : 0;
}

int draw_dependence(const dependence_picture_t *p, output_t *out, const char *path, cad_error_t *err)
{
    plot_t t = { .p = p, .n = p->caption.at.end - p->caption.at.beg };
    double room = t.n <= LETTERS ? 16 : 0;
    int rc = set_limit(&t, err), drawn;
    if (rc == 0) rc = canvas_open(&t.c, out, path, FIGURE_WIDTH, TOP + SIDE + BOTTOM + room, err);
    if (rc) return rc;
    figure_title(t.c, &p->caption);
    drawn = draw_map(&t, err);
    draw_letters(&t);
    figure_axis(t.c, p->caption.at, LEFT, TOP + SIDE + room, SIDE);
    figure_axis_down(t.c, p->caption.at, LEFT - room, TOP, SIDE);
    canvas_upwards(t.c, 20, TOP + SIDE / 2.0, 12, INK, "changed base");
    canvas_text(t.c, LEFT + SIDE, TOP + SIDE + room + 32, 12, ALIGN_RIGHT, INK, "predicted base");
    figure_legend(t.c, LEFT, TOP + SIDE + room + 44, 220, 0, t.limit, viridis_colour, 0, 1,
                  "largest change of log2 odds; larger values have the last colour");
    rc = canvas_close(t.c, err);
    return drawn ? drawn : rc;
}

/* canvas.c - draws by cairo. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draw/canvas.h"

bool canvas_fits(const char *path) { return ends_in(path, ".png") || ends_in(path, ".svg") || ends_in(path, ".pdf"); }

#ifdef CAD_CAIRO
#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>

struct canvas_t {
    cairo_surface_t *surface;
    cairo_t *draw;
    output_t *out; /* borrowed */
    bool png;
    int rc; /* of writing */
    cad_error_t err;
};

int canvas_possible(const char *path, cad_error_t *err) { return (void)path, (void)err, 0; }

/* ---- opening and closing ---- */

static cairo_status_t write_bytes(void *canvas, const unsigned char *data, unsigned n)
{
    canvas_t *c = canvas;
    if (c->rc == 0) c->rc = output_write(c->out, data, n, &c->err);
    return c->rc ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static cairo_surface_t *open_surface(canvas_t *c, const char *path, double w, double h)
{
    if (c->png) return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(w), (int)ceil(h));
    if (ends_in(path, ".svg")) {
        cairo_surface_t *svg = cairo_svg_surface_create_for_stream(write_bytes, c, w, h);
        cairo_svg_surface_set_document_unit(svg, CAIRO_SVG_UNIT_PX);
        return svg;
    }
    return cairo_pdf_surface_create_for_stream(write_bytes, c, w, h);
}

/* Chooses the font. If the system has none, cairo's own is used. */
static void choose_font(canvas_t *c)
{
    cairo_text_extents_t size;
    cairo_select_font_face(c->draw, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_text_extents(c->draw, "A", &size);
    if (cairo_status(c->draw) == CAIRO_STATUS_SUCCESS && size.width > 0) return;
    cairo_destroy(c->draw);
    c->draw = cairo_create(c->surface);
    cairo_select_font_face(c->draw, "@cairo:", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
}

int canvas_open(canvas_t **out, output_t *to, const char *path, double width, double height, cad_error_t *err)
{
    canvas_t *c = *out = calloc(1, sizeof *c);
    if (!c) return cad_out_of_memory(err);
    c->out = to;
    c->png = ends_in(path, ".png");
    c->surface = open_surface(c, path, width, height);
    /* the same picture has the same bytes at any time */
    if (ends_in(path, ".pdf"))
        cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_CREATE_DATE, "2000-01-01T00:00:00Z");
    c->draw = cairo_create(c->surface);
    choose_font(c);
    canvas_rect(c, 0, 0, width, height, 0xffffff);
    return 0;
}

int canvas_close(canvas_t *c, cad_error_t *err)
{
    cairo_status_t status = cairo_status(c->draw);
    int rc;
    if (status == CAIRO_STATUS_SUCCESS && c->png)
        status = cairo_surface_write_to_png_stream(c->surface, write_bytes, c);
    cairo_destroy(c->draw);
    cairo_surface_finish(c->surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(c->surface);
    cairo_surface_destroy(c->surface);
    rc = c->rc;
    if (rc && err) *err = c->err;
    if (rc == 0 && status != CAIRO_STATUS_SUCCESS)
        rc = cad_fail(err, CAD_ENOMEM, "%s: cairo: %s", output_name(c->out), cairo_status_to_string(status));
    free(c);
    return rc;
}

/* ---- drawing ---- */

static void set_colour(canvas_t *c, colour_t k)
{
    cairo_set_source_rgb(c->draw, (k >> 16) / 255.0, (k >> 8 & 255) / 255.0, (k & 255) / 255.0);
}

void canvas_rect(canvas_t *c, double x, double y, double w, double h, colour_t colour)
{
    set_colour(c, colour);
    cairo_set_antialias(c->draw, CAIRO_ANTIALIAS_NONE); /* so that no seams are left between neighbours */
    cairo_rectangle(c->draw, x, y, w, h);
    cairo_fill(c->draw);
    cairo_set_antialias(c->draw, CAIRO_ANTIALIAS_DEFAULT);
}

void canvas_frame(canvas_t *c, double x, double y, double w, double h, colour_t colour)
{
    set_colour(c, colour);
    cairo_set_line_width(c->draw, 1);
    cairo_rectangle(c->draw, floor(x) + 0.5, floor(y) + 0.5, round(w), round(h));
    cairo_stroke(c->draw);
}

void canvas_line(canvas_t *c, double x0, double y0, double x1, double y1, colour_t colour)
{
    set_colour(c, colour);
    cairo_set_line_width(c->draw, 1);
    cairo_move_to(c->draw, floor(x0) + 0.5, floor(y0) + 0.5);
    cairo_line_to(c->draw, floor(x1) + 0.5, floor(y1) + 0.5);
    cairo_stroke(c->draw);
}

void canvas_text(canvas_t *c, double x, double y, double size, align_t align, colour_t colour, const char *text)
{
    cairo_text_extents_t e;
    cairo_set_font_size(c->draw, size);
    cairo_text_extents(c->draw, text, &e);
    set_colour(c, colour);
    cairo_move_to(c->draw, x - (align == ALIGN_LEFT ? 0 : align == ALIGN_CENTRE ? e.x_advance / 2 : e.x_advance), y);
    cairo_show_text(c->draw, text);
}

static void set_weight(canvas_t *c, cairo_font_weight_t weight)
{
    cairo_select_font_face(c->draw, cairo_toy_font_face_get_family(cairo_get_font_face(c->draw)),
                           CAIRO_FONT_SLANT_NORMAL, weight);
}

void canvas_bold(canvas_t *c, double x, double y, double size, align_t align, colour_t colour, const char *text)
{
    set_weight(c, CAIRO_FONT_WEIGHT_BOLD);
    canvas_text(c, x, y, size, align, colour, text);
    set_weight(c, CAIRO_FONT_WEIGHT_NORMAL);
}

void canvas_upwards(canvas_t *c, double x, double y, double size, colour_t colour, const char *text)
{
    cairo_save(c->draw);
    cairo_translate(c->draw, x, y);
    cairo_rotate(c->draw, -M_PI / 2);
    canvas_text(c, 0, 0, size, ALIGN_CENTRE, colour, text);
    cairo_restore(c->draw);
}

void canvas_letter(canvas_t *c, char letter, double x, double y, double w, double h, colour_t colour)
{
    char text[2] = { letter, 0 };
    double x0, y0, x1, y1;
    if (fabs(h) < 0.25 || w <= 0) return;
    cairo_save(c->draw);
    set_weight(c, CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(c->draw, 100);
    cairo_new_path(c->draw);
    cairo_text_path(c->draw, text);
    cairo_path_extents(c->draw, &x0, &y0, &x1, &y1);
    cairo_new_path(c->draw);
    if (x1 > x0 && y1 > y0) {
        cairo_translate(c->draw, x, y);
        cairo_scale(c->draw, w / (x1 - x0), h / (y1 - y0));
        cairo_translate(c->draw, -x0, -y0);
        cairo_move_to(c->draw, 0, 0);
        cairo_text_path(c->draw, text);
        set_colour(c, colour);
        cairo_fill(c->draw);
    }
    set_weight(c, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_restore(c->draw);
}

void canvas_image(canvas_t *c, double x, double y, double w, double h, const colour_t *pixel, int columns, int rows)
{
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, columns, rows);
    unsigned char *to = cairo_image_surface_get_data(image);
    for (int r = 0; to && r < rows; r++)
        memcpy(to + (ptrdiff_t)r * cairo_image_surface_get_stride(image), pixel + (ptrdiff_t)r * columns,
               (size_t)columns * sizeof *pixel);
    cairo_surface_mark_dirty(image);
    cairo_save(c->draw);
    cairo_translate(c->draw, x, y);
    cairo_scale(c->draw, w / columns, h / rows);
    cairo_set_source_surface(c->draw, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(c->draw), CAIRO_FILTER_NEAREST);
    cairo_rectangle(c->draw, 0, 0, columns, rows);
    cairo_fill(c->draw);
    cairo_restore(c->draw);
    cairo_surface_destroy(image);
}

#else

int canvas_possible(const char *path, cad_error_t *err)
{
    return cad_fail(err, CAD_EARG,
                    "%s: built without cairo, which draws pictures; write a table or a matrix, or build with "
                    "libcairo2-dev",
                    path);
}

int canvas_open(canvas_t **c, output_t *out, const char *path, double width, double height, cad_error_t *err)
{
    (void)out, (void)width, (void)height;
    *c = NULL;
    return canvas_possible(path, err);
}

int canvas_close(canvas_t *c, cad_error_t *err) { return (void)c, (void)err, 0; }
void canvas_rect(canvas_t *c, double x, double y, double w, double h, colour_t k)
{
    (void)c, (void)x, (void)y, (void)w, (void)h, (void)k;
}
void canvas_frame(canvas_t *c, double x, double y, double w, double h, colour_t k) { canvas_rect(c, x, y, w, h, k); }
void canvas_line(canvas_t *c, double x, double y, double w, double h, colour_t k) { canvas_rect(c, x, y, w, h, k); }
void canvas_text(canvas_t *c, double x, double y, double s, align_t a, colour_t k, const char *t)
{
    (void)a, (void)t;
    canvas_rect(c, x, y, s, s, k);
}
void canvas_bold(canvas_t *c, double x, double y, double s, align_t a, colour_t k, const char *t)
{
    canvas_text(c, x, y, s, a, k, t);
}
void canvas_upwards(canvas_t *c, double x, double y, double s, colour_t k, const char *t)
{
    canvas_text(c, x, y, s, ALIGN_LEFT, k, t);
}
void canvas_letter(canvas_t *c, char l, double x, double y, double w, double h, colour_t k)
{
    (void)l;
    canvas_rect(c, x, y, w, h, k);
}
void canvas_image(canvas_t *c, double x, double y, double w, double h, const colour_t *p, int n, int m)
{
    (void)p, (void)n, (void)m;
    canvas_rect(c, x, y, w, h, 0);
}

#endif

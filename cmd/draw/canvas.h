/* canvas.h - draws on a PNG, SVG or PDF by cairo. Lengths are in pixels of the PNG, y counts downwards. Drawing never
 * fails; canvas_close reports what went wrong. SPDX-License-Identifier: MIT */
#ifndef CAD_CANVAS_H
#define CAD_CANVAS_H

#include "io/output.h"

#define PICTURE_SUFFIXES "png svg pdf"
typedef uint32_t colour_t; /* 0xRRGGBB */
typedef enum { ALIGN_LEFT, ALIGN_CENTRE, ALIGN_RIGHT } align_t;
typedef struct canvas_t canvas_t;

/* True if the suffix of path is that of a picture. */
bool canvas_fits(const char *path);
/* Returns CAD_EARG if the program was built without cairo. */
int canvas_possible(const char *path, cad_error_t *err);
/* Opens a white canvas, which canvas_close writes to `out`. The suffix of path chooses the format. */
int canvas_open(canvas_t **c, output_t *out, const char *path, double width, double height, cad_error_t *err);
/* Writes the picture and frees c. */
int canvas_close(canvas_t *c, cad_error_t *err);

void canvas_rect(canvas_t *c, double x, double y, double w, double h, colour_t colour);
/* Draws the outline of a rectangle, one pixel wide. */
void canvas_frame(canvas_t *c, double x, double y, double w, double h, colour_t colour);
void canvas_line(canvas_t *c, double x0, double y0, double x1, double y1, colour_t colour);
void canvas_text(canvas_t *c, double x, double y, double size, align_t align, colour_t colour, const char *text);
void canvas_bold(canvas_t *c, double x, double y, double size, align_t align, colour_t colour, const char *text);
/* Draws text upwards, centred at (x,y). */
void canvas_upwards(canvas_t *c, double x, double y, double size, colour_t colour, const char *text);
/* Draws a letter that fills the rectangle; if h is negative, upside down below y. */
void canvas_letter(canvas_t *c, char letter, double x, double y, double w, double h, colour_t colour);
/* Draws an image of columns x rows pixels, first row at the top, with sharp edges between its pixels. */
void canvas_image(canvas_t *c, double x, double y, double w, double h, const colour_t *pixel, int columns, int rows);

#endif

/* pictures.h - the pictures of mutate, depend and track. SPDX-License-Identifier: MIT */
#ifndef CAD_PICTURES_H
#define CAD_PICTURES_H

#include "draw/figure.h"

/* ---- mutations_picture.c ---- */
typedef struct mutations_picture_t {
    caption_t caption;
    const char *letter;     // (n) bases of the region; others than A, C, G, T have no values
    const float *value;     // (n,4) results of changing each base to A, C, G, T; NaN: none
    const char *unit;       /* such as "llr (nats)" */
    const char *low, *high; /* what negative and positive values mean */
} mutations_picture_t;
/* Draws a heat map of all changes, and above it the bases, each as high as the mean of its changes is low. */
int draw_mutations(const mutations_picture_t *p, output_t *out, const char *path, cad_error_t *err);

/* ---- dependence_picture.c ---- */
typedef struct dependence_picture_t {
    caption_t caption;
    const char *letter; // (n)
    const float *e;     // (n,n) row i: the effects of changing base i; NaN: none
} dependence_picture_t;
int draw_dependence(const dependence_picture_t *p, output_t *out, const char *path, cad_error_t *err);

/* ---- tracks_picture.c ---- */
typedef struct panel_t { /* one score */
    const char *name, *unit;
    double low, high;   /* range of values; values beyond are clipped */
    int tracks;         /* 1; or 4, one for each base, drawn as letters on top of each other */
    bool letters;       /* true: the bases of the region are drawn, as high as the value */
    colour_t colour[4]; /* of each track */
    const float *value; // (tracks,n) NaN: none
} panel_t;
typedef struct tracks_picture_t {
    caption_t caption;
    const char *letter; // (n)
    const panel_t *panel;
    int panels;
} tracks_picture_t;
int draw_tracks(const tracks_picture_t *p, output_t *out, const char *path, cad_error_t *err);

#endif

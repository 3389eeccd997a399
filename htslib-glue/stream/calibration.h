/* calibration.h - the table of caduceus calibrate: how llr is distributed at neutral sites, in each cell. A cell is a
 * change of the middle base of a pentanucleotide (five bases). A change and its reverse complement are one cell, written
 * with C or T in the middle; so there are 512 x 3 cells.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CALIBRATION_H
#define CAD_CALIBRATION_H

#include "io/provenance.h"

enum {
    CELLS = 1024 * 4,        /* size of an array that is indexed by cell: 4 x pentanucleotide + new base */
    CELL_QUANTILES = 9,      /* number of quantiles of each cell */
    CELL_PERCENTILES = 1001, /* number of quantiles of all sites together: 0, 0.1, ..., 100 % */
    CELL_FEW = 20            /* a cell with fewer sites is unreliable */
};

typedef struct neutral_t {
    int64_t n;       /* number of neutral sites */
    double mean, sd; /* of llr; NaN if n is too small */
    double quantile[CELL_QUANTILES];
} neutral_t;
typedef struct calibration_t {
    neutral_t cell[CELLS];               /* indexed by calibration_cell; other entries are empty */
    double percentile[CELL_PERCENTILES]; /* quantiles of llr - mean of its cell, over the sites of all cells */
    char model[65];                      /* SHA-256 of the model's weights */
    char window[96];                     /* how windows were made: calibration_window */
    uint64_t digest;                     /* of the table's text */
} calibration_t;

/* Returns the cell in which the middle of five letters is changed to base alt (0 to 3). Returns -1 if a letter is not
 * A, C, G or T or if alt is the middle. */
int calibration_cell(const char *five, int alt);
/* Returns the number of the pentanucleotide of a cell's strand, 0 to 1023, for four cells each. */
static inline int calibration_context(int cell) { return cell / 4; }
/* True for the index of a cell; false for an entry of an array of CELLS that is not used. */
bool calibration_is_cell(int cell);
/* Appends the name of a cell, such as "ACTGA>G". */
void calibration_name(int cell, text_t *t);
/* Sets all cells and percentiles. value[c]: (count[c]) the llr of the sites of cell c; sorts them. */
int calibration_fill(calibration_t *c, double *const value[CELLS], const int64_t count[CELLS], cad_error_t *err);
/* Appends the text of a table: provenance, percentiles, the names of columns, and a row for each cell. */
void calibration_write(const calibration_t *c, const provenance_t *p, text_t *t);
/* Reads a table. *c is to be freed with free(). */
int calibration_read(calibration_t **c, const char *path, cad_error_t *err);
/* Writes to buf (96 bytes) how the windows of SNVs are made, as the provenance says it. */
void calibration_window(int64_t left, int64_t right, bool n_token, bool sep, char *buf);

/* Values of an llr in a cell; NaN if the cell has too few sites, or if cell is -1. */
double calibration_centred(const calibration_t *c, int cell, double llr); /* llr - mean */
double calibration_score(const calibration_t *c, int cell, double llr);   /* (llr - mean) / sd */
double calibration_percentile(const calibration_t *c, int cell,
                              double llr); /* of llr - mean among all sites, 0 to 100 */

#endif

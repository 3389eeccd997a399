/* calibration.c - computes, writes, reads and looks up the table of caduceus calibrate.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "io/foundation.h"
#include "io/pieces.h"
#include "stream/calibration.h"
#include "stream/windows.h"

#define MIDDLE(context) ((context) >> 4 & 3)
static const double QUANTILE[CELL_QUANTILES] = { 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999 };
static const char COLUMNS[] = "#context\talt\tn\tmean\tsd\tq0.1\tq1\tq5\tq25\tq50\tq75\tq95\tq99\tq99.9";
enum { COLUMN_N = 2, COLUMN_MEAN, COLUMN_SD, COLUMN_QUANTILE, COLUMN_END = COLUMN_QUANTILE + CELL_QUANTILES };

/* ---- cells ---- */

int calibration_cell(const char *five, int alt)
{
    int context = 0, reverse = 0;
    for (int i = 0; i < 5; i++) {
        int b = base_of_letter(five[i]);
        if (b == NO_BASE) return -1;
        context = context * 4 + b;
        reverse += (3 - b) << 2 * i;
    }
    if (alt < 0 || alt > 3 || alt == MIDDLE(context)) return -1;
    return MIDDLE(context) % 2 ? 4 * context + alt : 4 * reverse + 3 - alt; /* C and T are 1 and 3 */
}

bool calibration_is_cell(int cell)
{
    int middle = MIDDLE(calibration_context(cell));
    return middle % 2 && cell % 4 != middle;
}

static void put_context(int cell, text_t *t)
{
    for (int i = 4; i >= 0; i--) text_put(t, &"ACGT"[calibration_context(cell) >> 2 * i & 3], 1);
}

void calibration_name(int cell, text_t *t)
{
    put_context(cell, t);
    text_printf(t, ">%c", "ACGT"[cell % 4]);
}

void calibration_window(int64_t left, int64_t right, bool n_token, bool sep, char *buf)
{
    snprintf(buf, 96, "left=%lld right=%lld%s%s", (long long)left, (long long)right, n_token ? " n-token" : "",
             sep ? " sep" : "");
}

/* ---- statistics ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Returns quantile q (0 to 1) of n sorted values, interpolated between the two nearest; NaN if n is 0. */
static double quantile(const double *sorted, int64_t n, double q)
{
    double at = q * (double)(n - 1);
    int64_t i = (int64_t)at;
    if (n == 0) return NAN;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static void fill_cell(neutral_t *c, double *value, int64_t n)
{
    double sum = 0, squares = 0;
    if (n) qsort(value, (size_t)n, sizeof *value, ascending);
    for (int64_t i = 0; i < n; i++) sum += value[i];
    c->n = n;
    c->mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (value[i] - c->mean) * (value[i] - c->mean);
    c->sd = n > 1 ? sqrt(squares / (double)(n - 1)) : (double)NAN;
    for (int i = 0; i < CELL_QUANTILES; i++) c->quantile[i] = quantile(value, n, QUANTILE[i]);
}

int calibration_fill(calibration_t *c, double *const value[CELLS], const int64_t count[CELLS], cad_error_t *err)
{
    int64_t all = 0, at = 0;
    double *centred;
    for (int i = 0; i < CELLS; i++) all += count[i];
    centred = malloc((size_t)cad_max(all, 1) * sizeof *centred);
    if (!centred) return cad_out_of_memory(err);
    for (int i = 0; i < CELLS; i++) {
        fill_cell(&c->cell[i], value[i], count[i]);
        for (int64_t k = 0; k < count[i]; k++) centred[at++] = value[i][k] - c->cell[i].mean;
    }
    qsort(centred, (size_t)all, sizeof *centred, ascending);
    for (int i = 0; i < CELL_PERCENTILES; i++)
        c->percentile[i] = quantile(centred, all, (double)i / (CELL_PERCENTILES - 1));
    free(centred);
    return 0;
}

/* ---- values of an llr ---- */

double calibration_centred(const calibration_t *c, int cell, double llr)
{
    return cell < 0 ? (double)NAN : llr - c->cell[cell].mean;
}

double calibration_score(const calibration_t *c, int cell, double llr)
{
    return cell >= 0 && c->cell[cell].sd > 0 ? (llr - c->cell[cell].mean) / c->cell[cell].sd : (double)NAN;
}

double calibration_percentile(const calibration_t *c, int cell, double llr)
{
    double x = calibration_centred(c, cell, llr);
    int lo = 0, hi = CELL_PERCENTILES - 1;
    const double *p = c->percentile;
    if (isnan(x)) return x;
    if (x < p[lo]) return 0;
    if (x >= p[hi]) return 100;
    while (lo + 1 < hi) { /* p[lo] <= x < p[hi] */
        int mid = (lo + hi) / 2;
        if (p[mid] <= x) lo = mid;
        else hi = mid;
    }
    return 100 * (lo + (x - p[lo]) / (p[hi] - p[lo])) / (CELL_PERCENTILES - 1);
}

/* ---- the table ---- */

/* Appends a number with nine digits, so that the rounding of a mean does not show in CLLR. */
static void put_number(text_t *t, double x)
{
    if (isnan(x)) text_puts(t, ".");
    else text_printf(t, "%.9g", x == 0 ? 0 : x);
}

void calibration_write(const calibration_t *c, const provenance_t *p, text_t *t)
{
    provenance_header(p, t);
    text_puts(t, "##caduceus_percentiles=");
    for (int i = 0; i < CELL_PERCENTILES; i++) {
        if (i) text_puts(t, ",");
        put_number(t, c->percentile[i]);
    }
    text_printf(t, "\n%s\n", COLUMNS);
    for (int i = 0; i < CELLS; i++) {
        if (!calibration_is_cell(i)) continue;
        put_context(i, t);
        text_printf(t, "\t%c\t%lld\t", "ACGT"[i % 4], (long long)c -> cell[i].n);
        put_number(t, c->cell[i].mean);
        text_puts(t, "\t");
        put_number(t, c->cell[i].sd);
        for (int k = 0; k < CELL_QUANTILES; k++) {
            text_puts(t, "\t");
            put_number(t, c->cell[i].quantile[k]);
        }
        text_puts(t, "\n");
    }
}

typedef struct { /* reading a table */
    calibration_t *c;
    const char *path;
    int64_t line;
    bool columns, percentiles, model, window, seen[CELLS];
} reader_t;

static int bad(const reader_t *r, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s; make the table again with caduceus calibrate", r->path,
                    (long long)r->line, what);
}

/* Parses a finite number, or "." as NaN. */
static bool number(piece_t p, double *x)
{
    *x = NAN;
    return (p.n == 1 && *p.s == '.') || (piece_number(p, x) && isfinite(*x));
}

static int read_percentiles(reader_t *r, piece_t list, cad_error_t *err)
{
    double last = -INFINITY;
    for (int i = 0; i < CELL_PERCENTILES; i++) {
        double *x = &r->c->percentile[i];
        if (!number(piece_split(&list, ','), x) || !(*x >= last)) return bad(r, "the percentiles are damaged", err);
        last = *x;
    }
    r->percentiles = list.n == 0;
    return r->percentiles ? 0 : bad(r, "more than 1001 percentiles", err);
}

/* Keeps the part of the options that says how windows were made: from "left=" on. */
static int read_options(reader_t *r, piece_t value, cad_error_t *err)
{
    piece_t rest = value, word;
    size_t at = 0;
    while (rest.n) {
        word = piece_split(&rest, ' ');
        if (strncmp(word.s, "left=", 5) && strncmp(word.s, "right=", 6) && !piece_equal(word, (piece_t) { "sep", 3 }) &&
            !piece_equal(word, (piece_t) { "n-token", 7 }))
            continue;
        if (at + word.n + 2 > sizeof r->c->window) return bad(r, "the options are damaged", err);
        at += (size_t)snprintf(r->c->window + at, sizeof r->c->window - at, "%s%.*s", at ? " " : "", (int)word.n,
                               word.s);
    }
    r->window = at > 0;
    return 0;
}

static int read_header(reader_t *r, piece_t line, cad_error_t *err)
{
    piece_t key = piece_split(&line, '=');
    if (piece_equal(key, (piece_t) { "##caduceus_percentiles", 22 })) return read_percentiles(r, line, err);
    if (piece_equal(key, (piece_t) { "##caduceus_options", 18 })) return read_options(r, line, err);
    if (piece_equal(key, (piece_t) { "##caduceus_model_sha256", 23 })) {
        r->model = line.n == 64;
        snprintf(r->c->model, sizeof r->c->model, "%.*s", (int)cad_min((int64_t)line.n, 64), line.s);
    }
    return 0;
}

static int read_row(reader_t *r, piece_t line, cad_error_t *err)
{
    piece_t column[COLUMN_END];
    int n = 0, cell = -1;
    double x;
    neutral_t *c;
    while (line.n && n < COLUMN_END) column[n++] = piece_split(&line, '\t');
    if (n == COLUMN_END && !line.n && column[0].n == 5 && column[1].n == 1)
        cell = calibration_cell(column[0].s, base_of_letter(*column[1].s));
    if (cell < 0 || column[0].s[2] == 'A' || column[0].s[2] == 'G')
        return bad(r, "not a row of a calibration table", err);
    if (r->seen[cell]) return bad(r, "a second row of this cell", err);
    r->seen[cell] = true;
    c = &r->c->cell[cell];
    if (!number(column[COLUMN_N], &x) || !(x >= 0 && x < 1e15)) return bad(r, "n is not a number", err);
    c->n = (int64_t)x;
    if (!number(column[COLUMN_MEAN], &c->mean) || !number(column[COLUMN_SD], &c->sd) || c->sd < 0)
        return bad(r, "mean or sd is not a number", err);
    for (int k = 0; k < CELL_QUANTILES; k++)
        if (!number(column[COLUMN_QUANTILE + k], &c->quantile[k])) return bad(r, "a quantile is not a number", err);
    return 0;
}

static int read_line(reader_t *r, piece_t line, cad_error_t *err)
{
    if (line.n && line.s[line.n - 1] == '\r') line.n--;
    if (line.n > 1 && !strncmp(line.s, "##", 2)) return read_header(r, line, err);
    if (line.n && *line.s == '#') {
        r->columns = piece_equal(line, (piece_t) { COLUMNS, sizeof COLUMNS - 1 });
        return r->columns ? 0 : bad(r, "the columns are not those of a calibration table", err);
    }
    return line.n ? read_row(r, line, err) : 0;
}

static int check_whole(const reader_t *r, cad_error_t *err)
{
    int missing = 0;
    for (int i = 0; i < CELLS; i++) missing += calibration_is_cell(i) && !r->seen[i];
    if (r->columns && r->percentiles && r->model && r->window && !missing) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s: %s; make it with caduceus calibrate", r->path,
                    r->columns && r->percentiles && r->model && r->window ? "rows are missing, cut short"
                                                                          : "not a table of caduceus calibrate");
}

int calibration_read(calibration_t **out, const char *path, cad_error_t *err)
{
    reader_t *r = calloc(1, sizeof *r);
    char *text = NULL;
    size_t size = 0;
    piece_t rest;
    int rc = r ? cad_read_text(&text, &size, path, false, err) : cad_out_of_memory(err);
    *out = NULL;
    if (rc == 0 && !(r->c = calloc(1, sizeof *r->c))) rc = cad_out_of_memory(err);
    if (rc == 0) {
        r->path = path;
        r->c->digest = cad_hash(CAD_HASH, text, size);
        rest = (piece_t) { text, size };
        while (rest.n && rc == 0) {
            r->line++;
            rc = read_line(r, piece_split(&rest, '\n'), err);
        }
        if (rc == 0) rc = check_whole(r, err);
        if (rc == 0) *out = r->c;
        else free(r->c);
    }
    free(text);
    free(r);
    return rc;
}

/* bedgraph.c - reads a bedGraph: rows of contig, start, end and value. SPDX-License-Identifier: MIT */
#include "io/bed.h"
#include "io/bedgraph.h"
#include "io/row_place.h"

bool bedgraph_named(const char *path)
{
    static const char *const suffix[] = { ".bedGraph", ".bg", ".bdg", ".bedGraph.gz", ".bg.gz", ".bdg.gz" };
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++)
        if (ends_in(path, suffix[i])) return true;
    return false;
}

/* Sets *v to the value in the fourth column. */
static int value_of(const input_t *in, const bed_row_t *row, float *v, cad_error_t *err)
{
    char text[64] = "", *end = text;
    if (row->name && row->name_len < (int)sizeof text) memcpy(text, row->name, (size_t)row->name_len);
    *v = strtof(text, &end);
    if (end != text && !*end) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: the fourth column is not a number, which a bedGraph has there",
                    in->path, (long long)in->line);
}

/* Sets *contig to the row's contig, and checks the interval. last (ref->ncontig): the end of the last
 * row of each contig. */
static int check_row(const input_t *in, const fasta_t *ref, const bed_row_t *row, int64_t *last, int *contig,
                     cad_error_t *err)
{
    const contig_t *c;
    int rc = row_place(in, row, ref, &c, err);
    if (rc) return rc;
    *contig = (int)(c - ref->contig);
    if (row->span.beg < last[*contig])
        return cad_fail(
            err, CAD_EFORMAT,
            "%s:%lld: begins before the end of an earlier row of %s; sort the rows (sort -k1,1 -k2,2n), and "
            "give a base one value",
            in->path, (long long)in->line, c->name);
    last[*contig] = row->span.end;
    return 0;
}

static int take_line(const input_t *in, const kstring_t *line, const fasta_t *ref, int64_t *last, bedgraph_f *each,
                     void *arg, cad_error_t *err)
{
    bed_row_t row;
    int contig = 0, rc;
    float v;
    if (bed_line_kind(line->s, line->l) != LINE_DATA) return 0;
    rc = bed_parse(in->path, in->line, line->s, line->l, false, &row, err);
    if (rc) return rc;
    rc = value_of(in, &row, &v, err);
    if (rc == 0) rc = check_row(in, ref, &row, last, &contig, err);
    if (rc == 0 && row.span.beg < row.span.end) rc = each(arg, contig, row.span.beg, row.span.end, v, err);
    bed_free(&row);
    return rc;
}

int bedgraph_all(const char *path, const fasta_t *ref, bedgraph_f *each, void *arg, cad_error_t *err)
{
    input_t in;
    kstring_t line = { 0, 0, NULL };
    int64_t *last = calloc((size_t)ref->ncontig + 1, sizeof *last);
    int rc = input_open(&in, path, "bed", err), got = 0;
    if (rc == 0 && !last) rc = cad_out_of_memory(err);
    while (rc == 0 && (got = input_line(&in, &line, err)) > 0) rc = take_line(&in, &line, ref, last, each, arg, err);
    free(line.s);
    free(last);
    input_close(&in);
    return rc ? rc : got;
}

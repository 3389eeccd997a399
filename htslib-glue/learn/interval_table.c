/* interval_table.c - reads the bases of the rows of a table of intervals (labelled.h) from the reference.
 * SPDX-License-Identifier: MIT */
#include "learn/labelled.h"
#include "io/row_place.h"

static int bad(const labelled_t *l, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s", l->in.path, (long long)l->in.line, what);
}

void places_find(labelled_t *l)
{
    l->place[0] = cells_find(&l->cells, "region", "chrom");
    l->place[1] = cells_find(&l->cells, "start", "begin");
    l->place[2] = cells_find(&l->cells, "end", "stop");
    l->place[3] = cells_find(&l->cells, "strand", "strand");
    l->placed = !l->sequence && l->sequence_column < 0 && l->place[0] >= 0 && l->place[1] >= 0 && l->place[2] >= 0;
}

/* Finds the contig of an interval. A reference that lacks chr1 may have it as 1, as Ensembl's have. */
static const contig_t *find_contig(const labelled_t *l, const char *name)
{
    const contig_t *c = fasta_find(l->ref, name);
    return c || strncmp(name, "chr", 3) ? c : fasta_find(l->ref, name + 3);
}

static void reverse_letters(char *s, size_t n)
{
    static const char from[] = "ACGTacgtRYKMBVDHrykmbvdh", to[] = "TGCAtgcaYRMKVBHDyrmkvbhd";
    for (size_t i = 0, j = n; i < j--; i++) {
        char c = s[i];
        s[i] = s[j];
        s[j] = c;
    }
    for (size_t i = 0; i < n; i++) {
        const char *at = s[i] ? strchr(from, s[i]) : NULL;
        if (at) s[i] = to[at - from];
    }
}

int sides_fetch(labelled_t *l, const contig_t *c, int64_t beg, int64_t end, cad_error_t *err)
{
    int64_t n = l->around, from = cad_max(beg - n, 0), to = cad_min(end + n, c->length);
    int rc = 0;
    if (!n) return 0;
    if (ks_resize(&l->sides, (size_t)(2 * n) + 1) < 0) return cad_out_of_memory(err);
    memset(l->sides.s, 'N', (size_t)(2 * n));
    /* fasta_fetch appends a NUL, so the side on the right is read last, and each NUL is overwritten */
    if (beg > from) rc = fasta_fetch(l->ref, c, from, beg, l->sides.s + n - (beg - from), err);
    if (rc == 0 && to > end) rc = fasta_fetch(l->ref, c, end, to, l->sides.s + n, err);
    if (n > to - end) l->sides.s[n + to - end] = 'N';
    l->sides.l = (size_t)(2 * n);
    l->sides.s[2 * n] = 0;
    return rc;
}

int places_fetch(labelled_t *l, cad_error_t *err)
{
    const char *name = cells_get(&l->cells, l->place[0]),
               *strand = l->place[3] < 0 ? "+" : cells_get(&l->cells, l->place[3]);
    const contig_t *c = find_contig(l, name);
    int64_t beg, end;
    char hint[200];
    int rc;
    if (!cad_parse_int(cells_get(&l->cells, l->place[1]), 0, INT64_MAX, &beg) ||
        !cad_parse_int(cells_get(&l->cells, l->place[2]), beg, INT64_MAX, &end))
        return bad(l, "start and end are not those of an interval, from 0", err);
    if (*strand && !strchr("+-.", *strand)) return bad(l, "the strand is none of +, - and .", err);
    if (!c)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: the reference %s has no contig \"%.60s\"%s", l->in.path,
                        (long long)l->in.line, l->ref->path, name, fasta_hint(l->ref, name, hint, sizeof hint));
    if (end > c->length) return row_beyond(&l->in, (interval_t) { beg, end }, c, "use the reference of the table", err);
    if (ks_resize(&l->bases, (size_t)(end - beg) + 1) < 0) return cad_out_of_memory(err);
    l->bases.l = (size_t)(end - beg);
    l->bases.s[l->bases.l] = 0;
    rc = end > beg ? fasta_fetch(l->ref, c, beg, end, l->bases.s, err) : 0;
    if (rc == 0) rc = sides_fetch(l, c, beg, end, err);
    if (rc == 0 && *strand == '-') {
        reverse_letters(l->bases.s, l->bases.l);
        reverse_letters(l->sides.s, l->sides.l);
    }
    return rc;
}

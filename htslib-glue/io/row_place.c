/* row_place.c - finds the contig of a row in the reference, and checks that the row lies inside it.
 * SPDX-License-Identifier: MIT */
#include "base/base.h"
#include "io/row_place.h"

int row_contig(const input_t *in, const bed_row_t *row, const fasta_t *ref, const contig_t **c, cad_error_t *err)
{
    char hint[700];
    *c = fasta_find(ref, row->contig);
    if (*c) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: contig \"%s\" is not in %s%s", in->path, (long long)in->line,
                    row->contig, ref->path, fasta_hint(ref, row->contig, hint, sizeof hint));
}

int row_beyond(const input_t *in, interval_t span, const contig_t *c, const char *remedy, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: end %lld is past the end of %s (%lld bases); %s", in->path,
                    (long long)in->line, (long long)span.end, c->name, (long long)c->length, remedy);
}

int row_place(const input_t *in, const bed_row_t *row, const fasta_t *ref, const contig_t **c, cad_error_t *err)
{
    int rc = row_contig(in, row, ref, c, err);
    return rc || row->span.end <= (*c)->length ? rc : row_beyond(in, row->span, *c, "correct it", err);
}

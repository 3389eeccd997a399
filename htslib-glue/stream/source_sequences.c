/* source_sequences.c - the source of FASTA and FASTQ records and of rows of a CSV or TSV: each record is a region with
 * its own sequence, and its row is `name 0 length`. SPDX-License-Identifier: MIT
 */
#include "io/sequence.h"
#include "stream/region_source.h"

typedef struct sequences_t {
    int64_t nrow; /* number of records read */
} sequences_t;

static bool fits(const input_t *in)
{
    return in->kind == INPUT_FASTA || in->kind == INPUT_FASTQ || in->kind == INPUT_TABLE;
}

/* Puts a record into the pipeline. Takes ownership of the bases of seq. */
static int put_record(stream_t *s, seq_t *seq, cad_error_t *err)
{
    region_t *g = region_new(seq->name.s, seq->name.l, 1);
    if (!g) return cad_out_of_memory(err);
    if (seq->bases.l == 0)
        note(s->notes, NOTE_EMPTY, 1, "%s:%lld: an empty sequence; its scores are \".\"", s->in->path,
             (long long)s->in->line);
    g->scored = true;
    g->row = ((sequences_t *)s->state)->nrow++;
    g->ncol = 3;
    g->seq = seq->bases.s;
    g->length = (int64_t)seq->bases.l;
    g->span[0] = (interval_t) { 0, g->length };
    seq->bases = (kstring_t) { 0, 0, NULL };
    if (ksprintf(&g->text, "\t0\t%lld", (long long)g->length) < 0) {
        regions_drop(s, &g->item);
        return cad_out_of_memory(err);
    }
    g->name = g->text.s;
    g->name_len = (int)seq->name.l;
    return region_put(&s->cutter, g, err);
}

static int read_input(stream_t *s, cad_error_t *err)
{
    seq_t seq;
    int rc = table_header(s->table, 3, "", 0, err);
    memset(&seq, 0, sizeof seq);
    while (rc == 0 && (rc = seq_next(s->in, &seq, err)) > 0)
        rc = stream_wants(s, seq.name.s, 0, (int64_t)seq.bases.l) ? put_record(s, &seq, err) : 0;
    seq_free(&seq);
    return rc;
}

const source_t SOURCE_SEQUENCES = {
    REGION_MEMBERS,        .holds = "sequence records",
    .counts = "sequences", .options = " score mask skip-soft-masked embed pool no-version ",
    .any_name = true,      .size = sizeof(sequences_t),
    .fits = fits,          .check = regions_check,
    .read = read_input,
};

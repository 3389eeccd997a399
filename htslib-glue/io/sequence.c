/* sequence.c - reads records of FASTA and FASTQ, and rows of tables.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>

#include "io/sequence.h"

static void chomp(kstring_t *s)
{
    while (s->l && isspace((unsigned char)s->s[s->l - 1])) s->l--;
    if (s->s) s->s[s->l] = 0;
}

static int bad(const input_t *in, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s", in->path, (long long)in->line, what);
}

int bases_append(const input_t *in, const char *s, size_t n, kstring_t *bases, cad_error_t *err)
{
    for (size_t i = 0; i < n; i++) {
        if (isspace((unsigned char)s[i])) continue;
        if (!isalpha((unsigned char)s[i]) && !strchr("*-.", s[i]))
            return bad(in, "a character that is not a base", err);
        if (kputc(s[i], bases) < 0) return cad_fail(err, CAD_ENOMEM, "%s: out of memory", in->path);
    }
    return 0;
}

static int append_bases(const input_t *in, seq_t *s, cad_error_t *err)
{
    return bases_append(in, s->scratch.s, s->scratch.l, &s->bases, err);
}

static int read_name(const input_t *in, seq_t *s, char mark, cad_error_t *err)
{
    size_t n = 1;
    if (s->scratch.s[0] != mark)
        return bad(in, mark == '>' ? "expected a line that begins with >" : "expected a line that begins with @", err);
    while (n < s->scratch.l && !isspace((unsigned char)s->scratch.s[n])) n++;
    if (n == 1) return bad(in, "a record without a name", err);
    if (memchr(s->scratch.s, '\r', s->scratch.l))
        return bad(in, "carriage returns in place of line ends; convert it: tr '\\r' '\\n'", err);
    s->name.l = s->comment.l = s->bases.l = 0;
    if (kputsn(s->scratch.s + 1, n - 1, &s->name) < 0 || kputsn(s->scratch.s + n, s->scratch.l - n, &s->comment) < 0 ||
        kputsn("", 0, &s->bases) < 0)
        return cad_fail(err, CAD_ENOMEM, "%s: out of memory", in->path);
    return 0;
}

static int fasta_rest(input_t *in, seq_t *s, cad_error_t *err)
{
    for (;;) {
        int c = input_peek(in, err), rc;
        if (c < -1) return c + 1;
        if (c == -1 || c == '>') return 1;
        rc = input_line(in, &s->scratch, err);
        if (rc < 0) return rc;
        if ((rc = append_bases(in, s, err))) return rc;
    }
}

/* Reads the rest of a FASTQ record: lines of bases up to "+", then as many quality letters as bases. */
static int fastq_rest(input_t *in, seq_t *s, cad_error_t *err)
{
    size_t quality = 0;
    int rc;
    for (;;) {
        rc = input_line(in, &s->scratch, err);
        if (rc < 0) return rc;
        if (rc == 0) return bad(in, "the file ends inside a FASTQ record", err);
        if (s->scratch.l && s->scratch.s[0] == '+') break;
        if ((rc = append_bases(in, s, err))) return rc;
    }
    do {
        rc = input_line(in, &s->scratch, err);
        if (rc < 0) return rc;
        if (rc == 0) return quality == s->bases.l ? 1 : bad(in, "the file ends inside a FASTQ record", err);
        chomp(&s->scratch);
        quality += s->scratch.l;
    } while (quality < s->bases.l);
    return quality == s->bases.l ? 1 : bad(in, "quality is longer than the sequence", err);
}

/* ---- tables ---- */

static int split_row(const input_t *in, seq_t *s, cad_error_t *err)
{
    int rc = cells_split(&s->cells, s->scratch.s, s->scratch.l, s->separator);
    if (rc == CAD_ENOMEM) return cad_fail(err, CAD_ENOMEM, "%s: out of memory", in->path);
    return rc ? bad(in, "a quoted column does not end where it should", err) : 0;
}

/* Reads the names of a table's columns from its first line, which is in s->scratch. */
static int read_columns(const input_t *in, seq_t *s, cad_error_t *err)
{
    int rc;
    s->separator = cells_separator(s->scratch.s, s->scratch.l);
    rc = split_row(in, s, err);
    if (rc) return rc;
    s->ncol = s->cells.n;
    s->sequence_column = cells_find(&s->cells, "sequence", "seq");
    s->name_column = cells_find(&s->cells, "name", "id");
    return s->sequence_column < 0 ? bad(in, "no column is named sequence or seq", err) : 0;
}

static int read_row(const input_t *in, seq_t *s, cad_error_t *err)
{
    const char *bases;
    int rc = split_row(in, s, err);
    if (rc) return rc;
    if (s->cells.n != s->ncol)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: %d columns, and the header has %d", in->path, (long long)in->line,
                        s->cells.n, s->ncol);
    s->row++;
    s->name.l = s->comment.l = s->bases.l = 0;
    if (s->name_column < 0) rc = kputll((long long)s->row, &s->name) < 0;
    else rc = kputs(cells_get(&s->cells, s->name_column), &s->name) < 0;
    if (rc || kputsn("", 0, &s->bases) < 0) return cad_fail(err, CAD_ENOMEM, "%s: out of memory", in->path);
    if (strchr(s->name.s, '\t')) return bad(in, "a name with a tab", err);
    bases = cells_get(&s->cells, s->sequence_column);
    rc = bases_append(in, bases, strlen(bases), &s->bases, err);
    return rc ? rc : 1;
}

static int next_row(input_t *in, seq_t *s, cad_error_t *err)
{
    for (;;) {
        int rc = input_line(in, &s->scratch, err);
        if (rc == 0 && !s->ncol) return bad(in, "no header: the first line names the columns, as name,sequence", err);
        if (rc <= 0) return rc;
        if (s->scratch.l == 0 || !strcmp(s->scratch.s, "\r")) continue;
        if (s->ncol) return read_row(in, s, err);
        rc = read_columns(in, s, err);
        if (rc) return rc;
    }
}

int seq_next(input_t *in, seq_t *s, cad_error_t *err)
{
    char mark = in->kind == INPUT_FASTA ? '>' : '@';
    int rc;
    if (in->kind == INPUT_TABLE) return next_row(in, s, err);
    do {
        rc = input_line(in, &s->scratch, err);
        if (rc <= 0) return rc;
        chomp(&s->scratch);
    } while (s->scratch.l == 0);
    rc = read_name(in, s, mark, err);
    if (rc) return rc;
    return in->kind == INPUT_FASTA ? fasta_rest(in, s, err) : fastq_rest(in, s, err);
}

void seq_free(seq_t *s)
{
    free(s->name.s);
    free(s->comment.s);
    free(s->bases.s);
    free(s->scratch.s);
    cells_free(&s->cells);
    memset(s, 0, sizeof *s);
}

/* labelled.c - reads sequences with labels: CSV or TSV with a header, FASTA or FASTQ with label=X in the description or
 * NAME|X as name, BED over a reference with a column of labels, folders with a file for each class. SPDX-License-Identifier: MIT
 */
#include <strings.h>

#include "io/foundation.h"
#include "io/row_place.h"
#include "stream/region_source.h"
#include "stream/source_bed.h"
#include "learn/labelled.h"

static int bad(const labelled_t *l, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s", l->in.path, (long long)l->in.line, what);
}

static int out_of_memory(const labelled_t *l, cad_error_t *err)
{
    return cad_fail(err, CAD_ENOMEM, "%s: out of memory", l->in.path);
}

static const char *cell(const labelled_t *l, int k) { return cells_get(&l->cells, k); }

/* ---- columns of a line ---- */

/* Sets the error text for the result rc of a function of csv.h, and returns rc. */
static int cells_done(const labelled_t *l, int rc, cad_error_t *err)
{
    if (rc == CAD_ENOMEM) return out_of_memory(l, err);
    return rc ? bad(l, "a quoted column does not end where it should", err) : 0;
}

static int split_table(labelled_t *l, cad_error_t *err)
{
    return cells_done(l, cells_split(&l->cells, l->raw.s, l->raw.l, l->separator), err);
}

static int split_bed(labelled_t *l, const char *line, size_t n, cad_error_t *err)
{
    const char *s;
    size_t at = 0, len;
    int rc = 0;
    cells_clear(&l->cells);
    while (rc == 0 && bed_column(line, n, &at, &s, &len)) rc = cells_add(&l->cells, s, len);
    return cells_done(l, rc, err);
}

/* ---- finding columns ---- */

/* Returns the index of the column whose name or number (from 1) is spec; -1 if there is none. */
static int find_column(const labelled_t *l, const char *spec)
{
    int64_t k = names_find(l->header, l->cells.n, spec);
    if (k >= 0) return (int)k;
    return cad_parse_int(spec, 1, l->cells.n, &k) ? (int)k - 1 : -1;
}

static int no_column(const labelled_t *l, const char *spec, const char *option, cad_error_t *err)
{
    return cad_fail(
        err, CAD_EFORMAT,
        "%s:%lld: no column \"%.60s\" among the %d of this header; name it with %s (a BED has no header, or one that begins with #)",
        l->in.path, (long long)l->in.line, spec, l->cells.n, option);
}

static bool grow_labels(labelled_t *l)
{
    int room = l->label_room ? 2 * l->label_room : 16, *more = realloc(l->label_column, (size_t)room * sizeof *more);
    char **names = more ? realloc(l->label_name, (size_t)room * sizeof *names) : NULL;
    if (more) l->label_column = more;
    if (names) l->label_name = names;
    if (names) l->label_room = room;
    return names != NULL;
}

/* Adds a label column. Takes ownership of its name, which is malloc'd. If name is NULL, because its allocation failed,
 * returns CAD_ENOMEM. */
static int add_label(labelled_t *l, int column, char *name, cad_error_t *err)
{
    if (!name || (l->nlabel == l->label_room && !grow_labels(l))) {
        free(name);
        return out_of_memory(l, err);
    }
    l->label_column[l->nlabel] = column;
    l->label_name[l->nlabel++] = name;
    return 0;
}

/* Returns CAD_EARG if two label columns have the same name. */
static int check_labels(const labelled_t *l, cad_error_t *err)
{
    named_t *v = cad_alloc((size_t)l->nlabel + 1, sizeof *v);
    const char *twice;
    int rc = 0;
    if (!v) return out_of_memory(l, err);
    for (int i = 0; i < l->nlabel; i++) v[i] = (named_t) { l->label_name[i], i };
    names_sort(v, l->nlabel);
    twice = names_twice(v, l->nlabel);
    if (twice) rc = cad_fail(err, CAD_EFORMAT, "%s: two columns of labels are named \"%.60s\"", l->in.path, twice);
    free(v);
    return rc;
}

/* Calls fn for each element of a comma-separated list. */
static int for_each(labelled_t *l, const char *list, int (*fn)(labelled_t *, const char *, cad_error_t *),
                    cad_error_t *err)
{
    int rc = 0;
    for (const char *s = list; rc == 0; s = strchr(s, ',') + 1) {
        char *part = strndup(s, strcspn(s, ","));
        rc = part ? fn(l, part, err) : out_of_memory(l, err);
        free(part);
        if (!strchr(s, ',')) break;
    }
    return rc ? rc : check_labels(l, err);
}

static int named_label(labelled_t *l, const char *spec, cad_error_t *err)
{
    int k = find_column(l, spec);
    return k < 0 ? no_column(l, spec, "--label-column", err) : add_label(l, k, strdup(cell(l, k)), err);
}

static int find_columns(labelled_t *l, cad_error_t *err)
{
    int label;
    l->sequence_column = l->sequence ? find_column(l, l->sequence) : cells_find(&l->cells, "sequence", "seq");
    places_find(l);
    if (l->sequence_column < 0 && !l->placed)
        return no_column(l, l->sequence ? l->sequence : "sequence", "--sequence-column", err);
    if (l->placed && !l->ref)
        return cad_fail(err, CAD_EARG, "%s: the sequences of intervals need a reference: -T FASTA", l->in.path);
    l->name_column = cells_find(&l->cells, "name", "id");
    l->named = l->name_column >= 0;
    if (l->file || !l->need_labels) return 0;
    if (l->labels) return for_each(l, l->labels, named_label, err);
    label = cells_find(&l->cells, "label", "labels");
    return label < 0 ? no_column(l, "label", "--label-column", err) : add_label(l, label, strdup("label"), err);
}

static int read_header(labelled_t *l, cad_error_t *err)
{
    int rc;
    l->separator = cells_separator(l->raw.s, l->raw.l);
    if ((rc = split_table(l, err))) return rc;
    l->ncol = l->cells.n;
    l->header = cad_alloc((size_t)l->cells.n, sizeof *l->header);
    if (!l->header) return out_of_memory(l, err);
    for (int i = 0; i < l->cells.n; i++) l->header[i] = (named_t) { cell(l, i), i };
    names_sort(l->header, l->cells.n);
    rc = find_columns(l, err);
    free(l->header);
    l->header = NULL;
    return rc;
}

const char *labelled_header(const labelled_t *l, size_t *n)
{
    const char *s = l->leading.s, *end = s ? s + l->leading.l : NULL, *stop, *header = "";
    *n = 0;
    for (; s < end; s = stop + 1) {
        stop = memchr(s, '\n', (size_t)(end - s));
        if (!row_header(s, (size_t)(stop - s))) continue;
        header = s;
        *n = (size_t)(stop - s);
    }
    return header;
}

static int numbered_label(labelled_t *l, const char *spec, cad_error_t *err)
{
    int64_t k;
    char name[32];
    if (!cad_parse_int(spec, 4, 1 << 20, &k))
        return cad_fail(err, CAD_EARG, "--label-column %.60s: expected the number of a column of %s, from 4", spec,
                        l->in.path);
    snprintf(name, sizeof name, k == 4 ? "label" : "column%lld", (long long)k);
    return add_label(l, (int)k - 1, strdup(k <= l->cells.n ? cell(l, (int)k - 1) : name), err);
}

static int numbered_labels(labelled_t *l, cad_error_t *err)
{
    size_t n;
    const char *header = labelled_header(l, &n);
    int rc = split_bed(l, header, n && header[n - 1] == '\r' ? n - 1 : n, err);
    return rc ? rc : for_each(l, l->labels ? l->labels : "4", numbered_label, err);
}

/* ---- opening ---- */

static bool is_bed(const labelled_t *l)
{
    const char *s;
    size_t at = 0, n;
    int64_t v;
    int found = 0;
    for (int i = 0; i < 3 && bed_column(l->raw.s, l->raw.l - (l->raw.s[l->raw.l - 1] == '\r'), &at, &s, &n); i++) {
        char number[24];
        if (i == 0 || n >= sizeof number) continue;
        snprintf(number, sizeof number, "%.*s", (int)n, s);
        found += cad_parse_int(number, INT64_MIN, INT64_MAX, &v);
    }
    return found == 2;
}

/* Reads up to the first line of data (in a table: the column names) and keeps that line in l->raw for the next reader.
 * Appends the lines before it to l->leading. */
static int read_leading(labelled_t *l, cad_error_t *err)
{
    int rc;
    while ((rc = input_line(&l->in, &l->raw, err)) > 0) {
        if (bed_line_kind(l->raw.s, l->raw.l) == LINE_DATA) {
            l->held = true;
            return 0;
        }
        if (kputsn(l->raw.s, l->raw.l, &l->leading) < 0 || kputc('\n', &l->leading) < 0) return out_of_memory(l, err);
    }
    return rc;
}

static int open_text(labelled_t *l, cad_error_t *err)
{
    bool asked = l->format && (!strcmp(l->format, "csv") || !strcmp(l->format, "tsv"));
    int rc = read_leading(l, err);
    if (rc) return rc;
    l->table = asked || (!l->format && l->held && !is_bed(l));
    if (l->table && l->held) {
        l->held = false;
        return read_header(l, err);
    }
    if (l->table) return bad(l, "no header: the first line names the columns, as sequence,label", err);
    if (!l->ref) return cad_fail(err, CAD_EARG, "%s: the sequences of a BED need a reference: -T FASTA", l->in.path);
    if (l->sequence) return cad_fail(err, CAD_EARG, "%s: --sequence-column does not fit a BED", l->in.path);
    return l->need_labels ? numbered_labels(l, err) : 0;
}

static int open_seqs(labelled_t *l, cad_error_t *err)
{
    l->named = true;
    if (l->labels || l->sequence)
        return cad_fail(err, CAD_EARG, "%s: FASTA and FASTQ have no columns; a label is label=X in the description",
                        l->in.path);
    return l->need_labels ? add_label(l, 0, strdup("label"), err) : 0;
}

static int open_file(labelled_t *l, const char *path, cad_error_t *err)
{
    const char *f = l->format;
    int rc;
    if (f && strcmp(f, "bed") && strcmp(f, "fasta") && strcmp(f, "fastq") && strcmp(f, "csv") && strcmp(f, "tsv"))
        return cad_fail(err, CAD_EARG, "--in-format %.40s: expected csv, tsv, fasta, fastq or bed", f);
    /* a CSV or TSV is opened with the format "bed", which makes input_open read plain lines of text */
    rc = input_open(&l->in, path, f && strchr("ct", *f) ? "bed" : f, err);
    if (rc) return rc;
    if (l->in.kind >= INPUT_READS)
        return cad_fail(err, CAD_EFORMAT, "%s: reads or variants; expected a table, FASTA, FASTQ or BED", l->in.path);
    /* both are read as lines of text; l->table is true for a table */
    if (l->in.kind == INPUT_TABLE) l->in.kind = INPUT_BED;
    return l->in.kind == INPUT_BED ? open_text(l, err) : open_seqs(l, err);
}

/* Opens the table of a class, or nothing if the file is one sequence. */
static int open_class(labelled_t *l, cad_error_t *err)
{
    const class_file_t *f = &l->file[l->at];
    int rc;
    input_close(&l->in);
    l->ncol = 0;
    l->held = false;
    l->table = true;
    l->in = (input_t) { .path = f->path, .kind = INPUT_BED };
    if (f->text) return 0;
    rc = open_file(l, f->path, err);
    if (rc == 0 && !l->table)
        rc = cad_fail(err, CAD_EFORMAT, "%s: expected a table with a line of column names", f->path);
    return rc;
}

int labelled_open(labelled_t *l, cad_error_t *err)
{
    int rc;
    if (!cad_path_is_folder(l->path)) return open_file(l, l->path, err);
    l->in.path = l->path;
    if (l->labels || l->format)
        return cad_fail(err, CAD_EARG, "%s: a folder of classes; --label-column and --in-format do not fit", l->path);
    rc = class_files(l->path, &l->file, &l->files, err);
    if (rc == 0 && l->need_labels) rc = add_label(l, 0, strdup("label"), err);
    return rc ? rc : open_class(l, err);
}

/* ---- rows ---- */

static int take_class(labelled_t *l, cad_error_t *err)
{
    l->label.l = 0;
    if (!l->need_labels) return 0;
    return kputs(l->file[l->at].class, &l->label) < 0 || kputc(0, &l->label) < 0 ? out_of_memory(l, err) : 0;
}

static int take_labels(labelled_t *l, cad_error_t *err)
{
    if (l->file) return take_class(l, err);
    l->label.l = 0;
    for (int i = 0; i < l->nlabel; i++) {
        int k = l->label_column[i];
        if (k >= l->cells.n)
            return cad_fail(err, CAD_EFORMAT,
                            "%s:%lld: %d columns, and the label is in column %d; name another with --label-column",
                            l->in.path, (long long)l->in.line, l->cells.n, k + 1);
        if (kputsn(cell(l, k), strlen(cell(l, k)) + 1, &l->label) < 0) return out_of_memory(l, err);
    }
    return 0;
}

static int too_long(const labelled_t *l, int64_t n, cad_error_t *err)
{
    return cad_fail(
        err, CAD_EFORMAT,
        "%s:%lld: a sequence of %lld bases, and the window is %lld; take the middle with --crop, or raise --window",
        l->in.path, (long long)l->in.line, (long long)n, (long long)l->window);
}

/* Returns the start of the interval of l->window bases in the middle of [0, n); 0 if n is not greater than
 * l->window. */
static int64_t crop(const labelled_t *l, int64_t n) { return n > l->window ? (n - l->window) / 2 : 0; }

/* Cuts the bases on the right, or puts N before them. */
static int pad_bases(labelled_t *l, cad_error_t *err)
{
    size_t n = l->bases.l, want = (size_t)l->pad, pad = want - (size_t)cad_min((int64_t)n, l->pad);
    if (n == 0) return 0;
    if (ks_resize(&l->bases, want + 1) < 0) return out_of_memory(l, err);
    memmove(l->bases.s + pad, l->bases.s, want - pad);
    memset(l->bases.s, 'N', pad);
    l->bases.s[want] = 0;
    l->bases.l = want;
    l->padded = (int64_t)pad;
    if (pad) l->sides.l = 0;
    return 0;
}

static int crop_bases(labelled_t *l, cad_error_t *err)
{
    int64_t n = (int64_t)l->bases.l, beg = crop(l, n);
    if (l->pad) return pad_bases(l, err);
    if (n <= l->window) return 0;
    if (!l->crop) return too_long(l, n, err);
    l->sides.l = 0;
    memmove(l->bases.s, l->bases.s + beg, (size_t)l->window);
    l->bases.l = (size_t)l->window;
    l->bases.s[l->bases.l] = 0;
    return 0;
}

static int table_row(labelled_t *l, cad_error_t *err)
{
    const char *s;
    int rc = split_table(l, err);
    if (rc) return rc;
    if (l->cells.n != l->ncol)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: %d columns, and the header has %d", l->in.path,
                        (long long)l->in.line, l->cells.n, l->ncol);
    l->name.l = 0;
    if (l->named && kputs(cell(l, l->name_column), &l->name) < 0) return out_of_memory(l, err);
    if (l->placed) rc = places_fetch(l, err);
    if (l->placed) return rc ? rc : take_labels(l, err);
    s = cell(l, l->sequence_column);
    rc = bases_append(&l->in, s, strlen(s), &l->bases, err);
    return rc ? rc : take_labels(l, err);
}

/* Reads the bases of a BED row from the reference. */
static int fetch(labelled_t *l, const bed_row_t *row, cad_error_t *err)
{
    const contig_t *c;
    int64_t n = row->span.end - row->span.beg, beg = row->span.beg + (l->pad ? 0 : crop(l, n));
    int rc = row_place(&l->in, row, l->ref, &c, err);
    if (rc) return rc;
    if (!l->pad && n > l->window && !l->crop) return too_long(l, n, err);
    n = cad_min(n, l->pad ? l->pad : l->window);
    if (ks_resize(&l->bases, (size_t)n + 1) < 0) return out_of_memory(l, err);
    l->bases.l = (size_t)n;
    l->bases.s[n] = 0;
    rc = n ? fasta_fetch(l->ref, c, beg, beg + n, l->bases.s, err) : 0;
    return rc ? rc : sides_fetch(l, c, beg, beg + n, err);
}

static int bed_row(labelled_t *l, cad_error_t *err)
{
    bed_row_t row;
    int rc = bed_parse(l->in.path, l->in.line, l->raw.s, l->raw.l, false, &row, err);
    if (rc) return rc;
    if (!l->ncol) l->ncol = row.ncol;
    if (l->ncol != row.ncol)
        rc = cad_fail(err, CAD_EFORMAT, "%s:%lld: %d columns, but the rows before it have %d", l->in.path,
                      (long long)l->in.line, row.ncol, l->ncol);
    if (rc == 0) rc = fetch(l, &row, err);
    if (rc == 0 && l->pad) rc = pad_bases(l, err);
    if (rc == 0) rc = split_bed(l, l->text.s, l->text.l, err);
    bed_free(&row);
    return rc ? rc : take_labels(l, err);
}

/* Sets the row's label to X if the description of the FASTA or FASTQ record has a word label=X, or else if the name ends
 * in |X. */
static int described_label(labelled_t *l, cad_error_t *err)
{
    const char *s = l->seq.comment.s, *bar = strrchr(l->seq.name.s, '|');
    l->label.l = 0;
    if (!l->nlabel) return 0;
    for (; *s; s += strcspn(s, " \t")) {
        s += strspn(s, " \t");
        if (strncmp(s, "label=", 6)) continue;
        return kputsn(s + 6, strcspn(s + 6, " \t"), &l->label) < 0 || kputc(0, &l->label) < 0 ? out_of_memory(l, err)
                                                                                              : 0;
    }
    if (bar && bar[1]) return kputs(bar + 1, &l->label) < 0 || kputc(0, &l->label) < 0 ? out_of_memory(l, err) : 0;
    return cad_fail(err, CAD_EFORMAT,
                    "%s:%lld: record %.60s has no label; write label=X after its name, or NAME|X as its name",
                    l->in.path, (long long)l->line, l->seq.name.s);
}

static int next_seq(labelled_t *l, cad_error_t *err)
{
    int64_t before = l->in.line;
    int rc = seq_next(&l->in, &l->seq, err);
    if (rc <= 0) return rc;
    l->data = true;
    l->row++;
    l->line = before + 1;
    l->name.l = 0;
    if (kputs(l->seq.name.s, &l->name) < 0 || kputsn(l->seq.bases.s, l->seq.bases.l, &l->bases) < 0)
        return out_of_memory(l, err);
    rc = described_label(l, err);
    if (rc == 0) rc = crop_bases(l, err);
    return rc ? rc : 1;
}

/* Reads the next line into l->raw. Skips blank lines of a table, but not of a BED. */
static int next_line(labelled_t *l, cad_error_t *err)
{
    int rc = 1;
    do {
        if (!l->held) rc = input_line(&l->in, &l->raw, err);
        l->held = false;
        if (rc <= 0) return rc;
        l->data = l->table ? l->raw.l && strcmp(l->raw.s, "\r") : bed_line_kind(l->raw.s, l->raw.l) == LINE_DATA;
    } while (l->table && !l->data);
    l->cr = l->raw.l && l->raw.s[l->raw.l - 1] == '\r';
    l->text.l = 0;
    if (kputsn(l->raw.s, l->raw.l - l->cr, &l->text) < 0) return out_of_memory(l, err);
    if (!l->data) return 1;
    l->row++;
    l->line = l->in.line;
    rc = l->table ? table_row(l, err) : bed_row(l, err);
    if (rc == 0 && l->table) rc = crop_bases(l, err);
    return rc ? rc : 1;
}

/* Reads a file that is one sequence. */
static int text_row(labelled_t *l, cad_error_t *err)
{
    char *text = NULL;
    size_t n = 0;
    int rc = cad_read_text(&text, &n, l->in.path, false, err);
    l->data = true;
    l->row++;
    l->line = l->in.line = 1;
    while (n && strchr("\n\r\t ", text[n - 1])) n--;
    if (rc == 0) rc = bases_append(&l->in, text, n, &l->bases, err);
    if (rc == 0) rc = crop_bases(l, err);
    if (rc == 0) rc = take_labels(l, err);
    free(text);
    return rc ? rc : 1;
}

static int next_row(labelled_t *l, cad_error_t *err)
{
    l->bases.l = l->sides.l = 0;
    l->padded = 0;
    if (kputsn("", 0, &l->bases) < 0) return out_of_memory(l, err);
    if (l->file && l->file[l->at].text) return l->in.line ? 0 : text_row(l, err);
    return l->in.kind == INPUT_BED ? next_line(l, err) : next_seq(l, err);
}

int labelled_next(labelled_t *l, cad_error_t *err)
{
    int rc = next_row(l, err);
    while (rc == 0 && l->at + 1 < l->files) {
        l->at++;
        rc = open_class(l, err);
        if (rc == 0) rc = next_row(l, err);
    }
    return rc;
}

void labelled_close(labelled_t *l)
{
    for (int i = 0; i < l->nlabel; i++) free(l->label_name[i]);
    free(l->label_name);
    free(l->label_column);
    free(l->text.s);
    free(l->name.s);
    free(l->bases.s);
    free(l->sides.s);
    free(l->label.s);
    free(l->leading.s);
    free(l->raw.s);
    class_files_free(l->file, l->files);
    cells_free(&l->cells);
    seq_free(&l->seq);
    input_close(&l->in);
    memset(l, 0, sizeof *l);
}

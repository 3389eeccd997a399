/* files.h - the files that caduceus reads and writes; a section per source file.
 * Coordinates are 0-based half-open unless a comment says otherwise.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_FILES_H
#define CAD_FILES_H

#include <htslib/bgzf.h>
#include <htslib/faidx.h>
#include <htslib/hts.h>
#include <htslib/kstring.h>
#include <htslib/sam.h>
#include <htslib/thread_pool.h>
#include <htslib/vcf.h>

#include "internal.h"

/* ---- notes.c: warnings that do not stop, signals ---- */
typedef enum {
    NOTE_EMPTY, NOTE_CLIPPED, NOTE_IUPAC, NOTE_UNSCORED, NOTE_BROWSER, NOTE_INDEX,
    NOTE_NO_SEQUENCE, NOTE_UNMAPPED, NOTE_NO_CONTIG, NOTE_REF_MISMATCH, NOTE_UNSCORABLE, NOTE_VALUE, NOTE_FITTED, NOTE_KINDS
} note_kind_t;
typedef struct notes_t {
    const char *cmd;
    bool quiet;
    int64_t count[NOTE_KINDS];
} notes_t;
/* Prints the first of its kind, counts all. */
void note(notes_t *n, note_kind_t kind, int64_t times, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* One closing line with the counts, if there are any. */
void notes_summary(const notes_t *n);
/* Signal handlers, htslib's own messages off, no network references. */
void glue_init(void);
/* Removes the temporaries, says that memory is out and ends the process: for
 * libraries that do not survive a failed allocation. */
void glue_out_of_memory(void) __attribute__((noreturn));
void glue_verbosity(int level);
const char *glue_htslib_version(void);

/* ---- output.c ---- */
typedef struct output_t output_t;
/* path: a file, or "-" for stdout. A regular or absent file is written under a
 * temporary name beside it and renamed by output_close; anything else directly. */
int output_open(output_t **out, const char *path, bool bgzf, cad_error_t *err);
int output_beside(output_t **out, const char *path, const char *suffix, cad_error_t *err); /* path + suffix */
int output_write(output_t *out, const void *data, size_t n, cad_error_t *err);
/* Overwrites bytes of a seekable, uncompressed output; spooled outputs are always
 * seekable. */
int output_patch(output_t *out, uint64_t at, const void *data, size_t n, cad_error_t *err);
/* Makes a direct output seekable by spooling it through a temporary file. */
int output_spool(output_t *out, cad_error_t *err);
/* A file without a name in $TMPDIR, gone when closed: a descriptor, or -1. */
int output_scratch(const char *name, cad_error_t *err);
/* All bytes written and synced, but nothing renamed yet. */
int output_sync(output_t *out, cad_error_t *err);
/* Its bytes, once synced. */
int64_t output_bytes(const output_t *out);
/* Syncs, renames. Frees out whatever happens. */
int output_close(output_t *out, cad_error_t *err);
/* Closes all n of them, those that are NULL left out: syncs all, then renames them; a signal
 * comes before or after that. Those closed become NULL. */
int outputs_close(output_t **const out[], int n, cad_error_t *err);
/* Removes the temporary and frees out; NULL is allowed. */
void output_abort(output_t *out);
/* A longer path ends in the suffix, in any case of letters. */
bool ends_in(const char *path, const char *suffix);
bool output_is_gz(const char *path);
/* The output is a file, not a pipe or device: a .json may lie beside it. */
bool output_is_file(const output_t *out);
bool output_is_terminal(const output_t *out);
/* Where its bytes are until it is closed; NULL unless it is a file. */
const char *output_temporary(const output_t *out);
/* An htslib file over the output, which closes it. */
int output_hts(output_t *out, const char *mode, htsFile **fp, cad_error_t *err);
/* Reports that writing through that file failed: CAD_EIO. */
int output_failed(output_t *out, cad_error_t *err);
/* An output must not be an input, nor two outputs one file, also through links;
 * "-" is what the shell connected. 0 or CAD_EARG; NULL is nothing. */
int refuse_twice(const char *output, const char *other, cad_error_t *err);
int refuse_same(const char *output, const char *input, cad_error_t *err);

/* path and suffix joined, malloc'd; NULL when out of memory. */
char *suffixed(const char *path, const char *suffix);

/* ---- text.c: a line being built; errors stick until it is written ---- */
typedef struct text_t { kstring_t s; bool failed; } text_t;
void text_put(text_t *t, const char *s, size_t n);
void text_puts(text_t *t, const char *s);
void text_printf(text_t *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* %.6g, "." for NaN. */
void text_number(text_t *t, double v);
void text_clear(text_t *t);
void text_free(text_t *t);
int text_write(output_t *out, const text_t *t, cad_error_t *err);

/* ---- input.c: what an input is; lines of plain, gzip or BGZF text ---- */
typedef enum { INPUT_BED, INPUT_FASTA, INPUT_FASTQ, INPUT_READS, INPUT_VARIANTS } input_kind_t;
typedef struct input_t {
    const char *path;    /* for messages; "standard input" for "-" */
    BGZF *fp;            /* of text */
    struct hFILE *h;     /* of reads and variants, for records_open; else NULL */
    input_kind_t kind;
    char *buf;
    size_t at, fill;
    int64_t line;        /* number of the last line read, from 1 */
    int64_t bytes, size; /* read so far; of the file, 0 when unknown */
    bool eof;
} input_t;
/* format: NULL to detect, or bed, fasta, fastq, sam, bam, cram, vcf, bcf. */
int input_open(input_t *in, const char *path, const char *format, cad_error_t *err);
/* One line without its \n (a \r is kept): 1, 0 at the end, or CAD_E*. */
int input_line(input_t *in, kstring_t *line, cad_error_t *err);
/* The next byte without consuming it, -1 at the end, or CAD_E* below -1. */
int input_peek(input_t *in, cad_error_t *err);
void input_close(input_t *in);

/* ---- provenance.c: keys and values, borrowed ---- */
#define PROVENANCE_KEYS 12
typedef struct provenance_t { int n; const char *key[PROVENANCE_KEYS], *value[PROVENANCE_KEYS]; } provenance_t;
void provenance_add(provenance_t *p, const char *key, const char *value);
void provenance_header(const provenance_t *p, text_t *t); /* "##caduceus_key=value" lines, less what is a part's own */
bool provenance_of_part(const char *key);
void provenance_json(const provenance_t *p, text_t *t);
int provenance_write(const provenance_t *p, output_t *out, cad_error_t *err); /* as JSON */

/* ---- records.c: alignment and variant files ---- */
/* Threads that compress; none for fewer than two. */
int records_pool(htsThreadPool *pool, int threads, cad_error_t *err);
/* Takes over the input's handle. reference: of CRAM, or NULL. */
int records_open(htsFile **fp, input_t *in, const char *reference, cad_error_t *err);
/* Lets the pool decompress BGZF: after the header, for reading to the end. */
int records_threads(htsFile *fp, htsThreadPool *pool, cad_error_t *err);
/* htslib would follow @SQ UR of a CRAM's header; references are local. unless_m5: only
 * where M5 is missing. */
void records_forget_remote(sam_hdr_t *h, bool unless_m5);
/* Before jumping by an index: 0, or CAD_EIO if the file was cut short. */
int records_whole(htsFile *fp, const char *path, cad_error_t *err);
/* What -r needs besides an index: BGZF. */
int records_blocks(htsFile *fp, const char *path, cad_error_t *err);
/* htslib turns SAM records without POS or CIGAR, or with a contig that the header lacks,
 * into unaligned ones. The former are put right, the latter refused; others stay. */
int records_as_written(htsFile *fp, sam_hdr_t *h, bam1_t *b, const char *path, cad_error_t *err);
/* The same after the last record of a stream. */
int records_end(htsFile *fp, const char *path, cad_error_t *err);
typedef struct format_t { htsFormat hts; bool bgzf; char level; } format_t; /* level: a digit, or 0 */
/* What -O asks for, or the path's suffix, else the input's; f->hts.specific may
 * hold options already. */
int format_choose(format_t *f, bool reads, const char *asked, const char *path, const htsFormat *in, cad_error_t *err);
typedef enum { INDEX_NONE, INDEX_CSI, INDEX_BAI, INDEX_TBI } index_t;
typedef struct records_out_t {
    const char *path;    /* set by the caller, as the next three */
    format_t format;
    index_t index;
    bool embed;          /* of CRAM: a reference that is not found is made up and embedded */
    htsFile *fp;         /* NULL: a dry run */
    output_t *part;      /* beside a shard, or NULL; set by the caller, then its own */
    output_t *out, *index_out; /* its own, as what follows */
    char *index_path;
    int shift;
    bool any;            /* the last record's place, for records_in_order */
    uint32_t contig;
    int64_t pos;
} records_out_t;
/* Looks at the options, names the index; nothing is opened yet. */
int records_plan(records_out_t *o, cad_error_t *err);
/* Opens the outputs: early, so that a wrong path costs nothing. */
int records_create(records_out_t *o, cad_error_t *err);
/* Writes the header, one of the two. */
int records_begin(records_out_t *o, sam_hdr_t *reads, bcf_hdr_t *variants, const char *reference, htsThreadPool *pool, cad_error_t *err);
/* Before a record is written; name: for the message. */
int records_in_order(records_out_t *o, int contig, int64_t pos, const char *name, cad_error_t *err);
/* Reports that a record or the header could not be written. */
int records_failed(records_out_t *o, cad_error_t *err);
/* Saves the index; syncs and renames all or nothing. */
int records_close(records_out_t *o, const provenance_t *p, cad_error_t *err);
void records_free(records_out_t *o);

/* ---- fasta.c: an indexed reference ---- */
typedef struct contig_t { char *name; int64_t length, offset, bases, width; } contig_t;
typedef struct fasta_t {
    BGZF *fp;            /* with its .gzi loaded if compressed */
    contig_t *contig;    /* in the order of the index */
    int ncontig;
    int *by_name;        /* contig numbers sorted by name */
    struct alias_t *alias; /* more names, sorted */
    int nalias;
    char *tmp_dir, *tmp_fai, *tmp_gzi; /* index built in a temporary place */
    int ticket[3];        /* of these */
    const char *path;
    char checksum[65];   /* SHA-256 of the "name\tlength\n" lines */
} fasta_t;
int fasta_open(fasta_t *f, const char *path, notes_t *notes, cad_error_t *err);
void fasta_close(fasta_t *f);
const contig_t *fasta_find(const fasta_t *f, const char *name);
bool fasta_has(const void *fasta, const char *name); /* for names_t */
/* Text like `; the FASTA has "chr20"` or "". */
const char *fasta_hint(const fasta_t *f, const char *name, char *buf, size_t size);
/* Bases [beg, end) as written, into seq (end-beg+1 bytes). */
int fasta_fetch(const fasta_t *f, const contig_t *c, int64_t beg, int64_t end, char *seq, cad_error_t *err);

/* ---- alias.c: other names of its contigs, which fasta_find knows too ---- */
int fasta_alias(fasta_t *f, const char *path, cad_error_t *err);
const contig_t *alias_find(const fasta_t *f, const char *name); /* NULL: not one of them */
void alias_free(fasta_t *f);

/* ---- bed.c ---- */
typedef struct interval_t { int64_t beg, end; } interval_t;
typedef struct bed_row_t {
    char *contig;        /* malloc'd */
    interval_t span;
    int ncol;
    const char *name;    /* column 4, in the line; NULL if there is none */
    int name_len;
    interval_t *block;   /* BED12 blocks if asked for, else NULL */
    int nblock;
} bed_row_t;
/* A data line: 0 or CAD_EFORMAT. */
int bed_parse(const char *path, int64_t number, const char *line, size_t len, bool split,
              bed_row_t *row, cad_error_t *err);
void bed_free(bed_row_t *row);
typedef enum { LINE_DATA, LINE_BLANK, LINE_COMMENT, LINE_BROWSER } line_kind_t;
line_kind_t bed_line_kind(const char *line, size_t len);
/* Columns of a line: tab-separated if it has a tab, else by blanks. */
int bed_columns(const char *line, size_t len);
/* The next column; *at is 0 before the first. */
bool bed_column(const char *line, size_t len, size_t *at, const char **column, size_t *n);
/* "#chrom\tstart..." for ncol columns. */
void bed_header(text_t *t, int ncol);

/* ---- regions.c: -r, -R, -t, -L ---- */
typedef struct regions_t regions_t;
typedef struct names_t { /* the contig names there are */
    const void *dict;
    bool (*has)(const void *dict, const char *name);
    const char *path;     /* where they come from */
    const fasta_t *hint;  /* it is these; or NULL */
    bool some;            /* of a BED, one row's contig must be there, not every row's */
    bool point;           /* chr:beg is that base alone, as in bcftools, not all from it on */
} names_t;
int regions_new(regions_t **r, cad_error_t *err);
/* "chr", "chr:beg" or "chr:beg-end", 1-based inclusive, comma-separated. names: NULL
 * if they are not known beforehand. Contigs of a FASTA go by its own names from there on. */
int regions_add_text(regions_t *r, const char *text, const names_t *names, cad_error_t *err);
int regions_add_bed(regions_t *r, const char *path, const names_t *names, cad_error_t *err);
int regions_add_span(regions_t *r, const char *contig, interval_t span, cad_error_t *err);
void regions_finish(regions_t *r);
/* Span k of a contig, in order and apart; false if there are no more. */
bool regions_get(const regions_t *r, const char *contig, int k, interval_t *span);
bool regions_overlap(const regions_t *r, const char *contig, int64_t beg, int64_t end);
/* The same as regions_get within the contig, with a warning if that cuts it; NULL: the
 * whole contig. 1, 0 if there are no more, CAD_EARG if it begins past the end. */
int regions_within(const regions_t *r, const contig_t *c, int k, interval_t *span, notes_t *notes, cad_error_t *err);
void regions_free(regions_t *r);

/* ---- splits.c: intervals of a reference under the names in column 4, as train and valid ---- */
typedef struct splits_t {
    int n;
    char **name;          // (n) in the order in which they first come; none: (1) NULL
    regions_t **span;     // (n)
    const char *path;     /* of the first file; for messages */
} splits_t;
/* The rows of a BED; of several files, one after the other. */
int splits_add(splits_t *s, const char *path, const fasta_t *ref, notes_t *notes, cad_error_t *err);
void splits_finish(splits_t *s);
/* The number of the split, or CAD_EARG with the names that there are. */
int splits_find(const splits_t *s, const char *option, const char *name, cad_error_t *err);
void splits_free(splits_t *s);

/* ---- seqs.c: FASTA and FASTQ records ---- */
typedef struct seq_t { kstring_t name, comment, bases, scratch; } seq_t; /* comment: the rest of the name's line */
/* The next record: 1, 0 at the end, or CAD_E*. */
int seq_next(input_t *in, seq_t *s, cad_error_t *err);
void seq_free(seq_t *s);
/* Letters without blanks onto the bases; anything that is no base is an error. */
int bases_append(const input_t *in, const char *s, size_t n, kstring_t *bases, cad_error_t *err);

/* ---- npy.c ---- */
#define NPY_HEADER 128 /* bytes before the rows */
typedef struct npy_t { output_t *out; int64_t rows, width; } npy_t;
/* Begins a matrix of `width` columns in n->out. */
int npy_begin(npy_t *n, int64_t width, cad_error_t *err);
int npy_write(npy_t *n, const float *row, int64_t rows, cad_error_t *err);
/* Writes the header; n->out is then to be closed. */
int npy_finish(npy_t *n, cad_error_t *err);

/* The header of a matrix, NPY_HEADER bytes. */
void npy_header(char h[NPY_HEADER + 1], int64_t rows, int64_t width);

/* ---- npz.c: several matrices, named "0.npy", "1.npy" ... for their rows ---- */
typedef struct npz_t {
    output_t *out;        /* set by the caller */
    struct entry_t *entry; /* its own, as what follows */
    size_t n;
    uint64_t at, size;
    int64_t left;         /* numbers of the array that are to come */
    uint32_t crc;
    int64_t *empty, width; // (nempty) arrays without rows, which may come amid another and are written last
    size_t nempty;
} npz_t;
/* Begins the next array; its rows, one or more, then come in any portions. */
int npz_array(npz_t *z, int64_t row, int64_t rows, int64_t width, cad_error_t *err);
/* An array without rows. */
int npz_empty(npz_t *z, int64_t row, int64_t width, cad_error_t *err);
int npz_rows(npz_t *z, const float *v, int64_t n, cad_error_t *err); /* n numbers */
/* Writes the directory; z->out is then to be closed. */
int npz_finish(npz_t *z, cad_error_t *err);
void npz_free(npz_t *z);

/* ---- bigwig.c ---- */
typedef struct bigwig_t bigwig_t;
/* Of contigs in the order in which values will come. `to` stays the caller's. */
int bigwig_open(bigwig_t **w, output_t *to, const contig_t *contig, int ncontig, cad_error_t *err);
/* Contigs and positions ascend. */
int bigwig_add(bigwig_t *w, int contig, int64_t pos, float v, cad_error_t *err);
/* Writes the indexes and zoom levels; `to` is then to be closed. */
int bigwig_finish(bigwig_t *w, cad_error_t *err);
void bigwig_free(bigwig_t *w);

/* ---- bigread.c: reading it back ---- */
#define BIGWIG_BLOCK (24 + 8 * 4096) /* bytes of a block, uncompressed */
typedef struct bigread_t {
    const char *path;
    int fd;
    contig_t *contig;     /* names and lengths */
    int ncontig;
    uint64_t index;
    unsigned char raw[BIGWIG_BLOCK], packed[BIGWIG_BLOCK + BIGWIG_BLOCK / 8 + 64];
} bigread_t;
int bigread_open(bigread_t *r, const char *path, cad_error_t *err);
typedef int bigread_f(void *arg, int contig, int64_t pos, float v, cad_error_t *err);
/* Every value, in order. */
int bigread_all(bigread_t *r, bigread_f *each, void *arg, cad_error_t *err);
void bigread_close(bigread_t *r);

#endif

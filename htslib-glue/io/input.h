/* input.h - detects the kind of an input, and reads lines of plain, gzip or BGZF text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_INPUT_H
#define CAD_INPUT_H

#include <htslib/bgzf.h>
#include <htslib/kstring.h>

#include "io/text.h"

/* Format of an input. INPUT_TABLE: CSV or TSV with a line of column names. htslib opens INPUT_READS and those after
 * it. */
typedef enum {
    INPUT_BED,
    INPUT_REGIONS,
    INPUT_FASTA,
    INPUT_FASTQ,
    INPUT_TABLE,
    INPUT_READS,
    INPUT_VARIANTS
} input_kind_t;
typedef struct input_t {
    const char *path; /* path for messages, "standard input" for "-"; borrowed */
    BGZF *fp;         /* handle of an input of text lines; else NULL */
    struct hFILE *h;  /* handle of an input of reads or variants, until records_open takes it; else NULL */
    input_kind_t kind;
    char *buf;
    size_t at;     /* number of bytes of buf that have been read as lines */
    size_t fill;   /* number of bytes of buf that are filled */
    int64_t line;  /* number of the last line read, from 1 */
    int64_t bytes; /* decompressed bytes read so far */
    int64_t size;  /* bytes of the file; 0: unknown */
    size_t most;   /* maximum length of a line in bytes; 0: no limit */
    bool eof;
} input_t;
/* Opens an input. format: a name that input_formats lists; NULL: the format is detected. Returns 0 or a negative
 * CAD_E*; call input_close also after a failure. */
int input_open(input_t *in, const char *path, const char *format, cad_error_t *err);
/* Reads one line. Drops its \n, but keeps a \r. Returns 1, 0 at the end, or a negative CAD_E*. */
int input_line(input_t *in, kstring_t *line, cad_error_t *err);
/* Returns the next byte without consuming it, -1 at the end, or CAD_E* - 1 on failure. */
int input_peek(input_t *in, cad_error_t *err);
/* Appends the names of formats, such as "bed, fasta or fastq". Omits the formats for which takes(kind) returns false.
 * If takes is NULL, omits none. */
void input_formats(bool (*takes)(input_kind_t kind), text_t *t);
void input_close(input_t *in); /* a zeroed in is allowed */

#endif

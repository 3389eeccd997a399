/* input.h - detects the kind of an input, and reads lines of plain, gzip or BGZF text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_INPUT_H
#define CAD_INPUT_H

#include <htslib/bgzf.h>
#include <htslib/kstring.h>

#include "io/text.h"

typedef enum { INPUT_BED, INPUT_REGIONS, INPUT_FASTA, INPUT_FASTQ, INPUT_READS, INPUT_VARIANTS } input_kind_t;
typedef struct input_t {
    const char *path; /* for messages; "standard input" if the input is "-"; borrowed */
    BGZF *fp;         /* for lines of text; else NULL */
    struct hFILE *h;  /* for reads and variants, until records_open takes ownership of it; else NULL */
    input_kind_t kind;
    char *buf;
    size_t at;     /* bytes of buf that are consumed */
    size_t fill;   /* bytes of buf that are filled */
    int64_t line;  /* number of the last line read, from 1 */
    int64_t bytes; /* decompressed bytes read so far */
    int64_t size;  /* bytes of the file; 0: unknown */
    bool eof;
} input_t;
/* Opens an input. format: a name that input_formats lists; NULL: the format is detected. Returns 0 or a negative
 * CAD_E*; call input_close also after a failure. */
int input_open(input_t *in, const char *path, const char *format, cad_error_t *err);
/* Reads one line without its \n (a \r is kept). Returns 1, 0 at the end, or a negative CAD_E*. */
int input_line(input_t *in, kstring_t *line, cad_error_t *err);
/* Returns the next byte without consuming it; -1 at the end; on failure a negative CAD_E* less one. */
int input_peek(input_t *in, cad_error_t *err);
/* Appends the names of formats, such as "bed, fasta or fastq", of the kinds for which takes() returns true (takes
 * NULL: all). */
void input_formats(bool (*takes)(input_kind_t kind), text_t *t);
void input_close(input_t *in); /* a zeroed in is allowed */

#endif

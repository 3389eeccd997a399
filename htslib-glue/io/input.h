/* input.h - what an input is; lines of plain, gzip or BGZF text. SPDX-License-Identifier: MIT */
#ifndef CAD_INPUT_H
#define CAD_INPUT_H

#include <htslib/bgzf.h>
#include <htslib/kstring.h>

#include "base/base.h"

typedef enum { INPUT_BED, INPUT_FASTA, INPUT_FASTQ, INPUT_READS, INPUT_VARIANTS } input_kind_t;
typedef struct input_t {
    const char *path; /* for messages; "standard input" for "-" */
    BGZF *fp;         /* of text */
    struct hFILE *h;  /* of reads and variants, for records_open; else NULL */
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

#endif

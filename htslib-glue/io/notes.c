/* notes.c - prints and counts warnings (notes), which do not stop a run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>

#include "io/notes.h"
#include "io/screen.h"

void note(notes_t *n, note_kind_t kind, int64_t times, const char *fmt, ...)
{
    va_list ap;
    bool first = n->count[kind] == 0;
    if (times <= 0) return;
    n->count[kind] += times;
    if (!first || n->quiet) return;
    fflush(stdout);
    screen_erase();
    fprintf(stderr, "caduceus %s: warning: ", n->cmd);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void notes_summary(const notes_t *n)
{
    static const char *const name[NOTE_KINDS] = { "empty region(s)",
                                                  "region(s) clipped at a contig end",
                                                  "letters other than ACGTN read as N",
                                                  "region(s) or read(s) with nothing to score",
                                                  "track or browser line(s) dropped",
                                                  "remark(s) on the index",
                                                  "read(s) without a sequence",
                                                  "read(s) not aligned",
                                                  "allele(s) or read(s) on contigs that the FASTA lacks",
                                                  "allele(s) whose REF differs from the FASTA",
                                                  "allele(s) that cannot be scored",
                                                  "value(s) of QUAL, INFO, FORMAT or tags that could not be kept",
                                                  "number(s) rounded to six digits",
                                                  "read(s) with letters in SEQ that BAM cannot hold",
                                                  "read(s) that CRAM changes",
                                                  "interval(s) to which the Markov models were fitted",
                                                  "remark(s) on the header",
                                                  "record(s) whose END lies before POS",
                                                  "input(s) with nothing to do",
                                                  "sequence(s) far longer than those of training",
                                                  "remark(s) on the calibration",
                                                  "unphased genotype(s) left as REF beside alleles" };
    const char *sep = "";
    int64_t any = 0;
    for (int i = 0; i < NOTE_KINDS; i++) any += n->count[i];
    if (!any || n->quiet) return;
    screen_erase();
    fprintf(stderr, "caduceus %s: in all: ", n->cmd);
    for (int i = 0; i < NOTE_KINDS; i++) {
        if (!n->count[i]) continue;
        fprintf(stderr, "%s%lld %s", sep, (long long)n->count[i], name[i]);
        sep = ", ";
    }
    fputc('\n', stderr);
}

/* haplotypes.h - puts the ALT alleles of a VCF into the haplotypes of its samples, and scores them there.
 *
 * The queue holds the records around the one that is put next: neighbours.c reads ahead and keeps what lies behind. A
 * haplotype is the reference with the alleles that it carries in these records (haplotypes.c). SPDX-License-Identifier:
 * MIT
 */
#ifndef CAD_HAPLOTYPES_H
#define CAD_HAPLOTYPES_H

#include "stream/genotypes.h"
#include "stream/variants.h"

/* The effect of an ALT allele on the sequence of a haplotype that carries it. SEGMENT_SILENT: none, as for * and <*>.
 * SEGMENT_SKIPPED: one that cannot be applied, as for <DEL>. */
typedef enum { SEGMENT_APPLIES, SEGMENT_SILENT, SEGMENT_SKIPPED } segment_kind_t;
typedef struct segment_t { /* an ALT allele, trimmed */
    segment_kind_t kind;
    interval_t ref;
    kstring_t alt;
} segment_t;
typedef struct neighbour_t { /* a record in the queue */
    struct neighbour_t *next;
    variant_t *record; /* the record, until it is put into the pipeline; NULL: it is only a neighbour */
    int64_t line;
    int64_t beg, end;   /* the bases of REF */
    int64_t removed;    /* most bases that this record removes from a haplotype */
    int64_t before;     /* sum of `removed` over the contig's earlier records */
    calls_t calls;      /* without calls.kind: no chosen sample carries an ALT */
    segment_t *segment; // (nalt)
    int nalt;
} neighbour_t;
struct haplotypes_t {
    samples_t samples;
    genotypes_t buffers;
    flanks_t flanks;
    int64_t reach; /* bases on each side of an allele that its windows, and the search for its extent, can use */
    neighbour_t *first, *last;
    neighbour_t *next; /* the first one that is still to be put */
    neighbour_t *now;  /* the one that is being put, or NULL */
    int rid;           /* contig of the queue; -1: none yet */
    int64_t pos;       /* position of the last record */
    bool *seen;        // (contigs) the contigs that have been left
    /* buffers for one haplotype: */
    const segment_t **carried; // (ncarried) in order
    int ncarried, room;
    kstring_t seq, hap[2];
    allele_t allele;
};

/* Notes about an allele's haplotypes, as bits; haplotypes.c has their names. */
enum { NEAR_UNPHASED = 1, NEAR_OVERLAP = 2, NEAR_SKIPPED = 4 };

/* ---- neighbours.c ---- */
/* Opens the queue if the options name samples. */
int haplotypes_open(variants_t *v, cad_error_t *err);
/* Adds a record, which the queue then owns. chosen: it is to be scored and written; otherwise it is only a neighbour.
 * Puts the records that have all of their neighbours. */
int haplotypes_add(variants_t *v, variant_t *d, bool chosen, cad_error_t *err);
/* Puts all records that are left, and empties the queue. */
int haplotypes_flush(variants_t *v, cad_error_t *err);
/* True if no record waits. h NULL: true. */
bool haplotypes_idle(const struct haplotypes_t *h);
/* Returns the bases whose records are read for those of a span: from well before it to the end of the contig. Reading
 * stops when no record waits. */
interval_t haplotypes_span(const struct haplotypes_t *h, interval_t span);
void haplotypes_close(variants_t *v);

/* ---- haplotypes.c ---- */
/* Puts the windows of the alleles of the record h->now in the haplotypes of the samples. */
int haplotypes_put(variants_t *v, variant_t *d, const contig_t *c, cad_error_t *err);
/* Stores the results of a window. */
void haplotypes_take(const variants_t *v, variant_t *d, const job_t *j);
/* Appends the notes in `near` to t, joined by &, after another note if `more` is true. */
void haplotypes_note(unsigned near, bool more, text_t *t);

/* ---- variant_format.c ---- */
/* Declares the FORMAT fields. */
int formats_declare(variants_t *v, cad_error_t *err);
/* Sets the FORMAT fields of a record. */
int formats_put(variants_t *v, variant_t *d, cad_error_t *err);

#endif

/* effects.h - what variants.c and effects.c share. SPDX-License-Identifier: MIT */
#ifndef CAD_EFFECTS_H
#define CAD_EFFECTS_H

#include "stream/variants.h"

typedef struct site_t { /* an SNV's place; neighbouring records may share it */
    int users;
    const contig_t *contig;
    int64_t pos;
    float logp[4];
    float *embedding; // (D) of the reference haplotype, or NULL
} site_t;

typedef struct result_t { /* of one ALT */
    allele_t allele;
    site_t *site;        /* of an SNV */
    double sum[2];       /* log p of the compared bases: REF, ALT haplotype */
    float *embedding[2]; // (D), or NULL
    bool scored;
} result_t;

typedef struct variant_t {
    item_t item; /* first: what the pipeline sees */
    bcf1_t *rec;
    int nalt, room;
    result_t *alt; // (room), nalt in use
    struct variant_t *spare;
} variant_t;

/* ---- effects.c ---- */
/* A spare record, or a new one; NULL: out of memory. */
variant_t *variant_new(variants_t *v);
/* Makes it spare again. */
void variant_drop(variants_t *v, variant_t *d);
/* Puts it and its alleles' windows into the pipeline, which then owns it. */
int variant_put(variants_t *v, variant_t *d, cad_error_t *err);
void site_leave(site_t *s);
/* "file:line", or the file alone when an index was used. */
const char *variant_place(const variants_t *v, char buf[4200]);

#endif

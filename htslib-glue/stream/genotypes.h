/* genotypes.h - the samples of a VCF that a run reads, and their genotypes at one record.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_GENOTYPES_H
#define CAD_GENOTYPES_H

#include "io/foundation.h"
#include "io/records.h"
#include "stream/settings.h"

typedef struct samples_t {
    int n;
    int *index;      // (n) numbers of the samples in the header, ascending; malloc'd
    uint64_t digest; /* of the names */
} samples_t;
/* Finds the samples that the options name. path: the input, for messages. */
int samples_choose(samples_t *s, const variants_options_t *o, const bcf_hdr_t *h, const char *path, cad_error_t *err);
void samples_free(samples_t *s);

/* How the alleles of a call are assigned to haplotypes. CALL_NONE: the call has no ALT allele. CALL_SAME: all alleles
 * are equal, so it does not matter, as in a haploid call. CALL_PHASED: by their order, within the call's phase set.
 * CALL_UNPHASED: this is not known. */
enum { CALL_NONE, CALL_SAME, CALL_PHASED, CALL_UNPHASED, CALL_KIND = 3, CALL_COUNTED = 4 };
enum { ALLELE_MISSING = 0xfffe, ALLELE_ABSENT = 0xffff };
/* Phase sets: SET_USUAL is that of phased calls without PS. SET_ANY: the call fits all phase sets. SET_NO: it fits
 * none. */
#define SET_USUAL INT64_MIN
#define SET_ANY (INT64_MIN + 1)
#define SET_NO (INT64_MIN + 2)

typedef struct calls_t { /* the genotypes of the chosen samples at one record */
    int samples, ploidy; /* ploidy: the largest of all samples */
    uint16_t *allele;    // (samples, ploidy) 0: REF, 1: the first ALT, ...; ALLELE_ABSENT beyond the sample's ploidy
    uint8_t *kind;       // (samples) one of CALL_*, with CALL_COUNTED; NULL: no sample has an ALT allele
    int64_t *set;        // (samples) phase sets; NULL: the record has no PS
} calls_t;
typedef struct genotypes_t { /* buffers for reading */
    int32_t *gt, *ps;
    char **text;
    int ngt, nps, ntext;
} genotypes_t;
/* Reads the genotypes of a record. place: the record, for messages. */
int calls_read(calls_t *c, genotypes_t *buffers, const samples_t *s, const bcf_hdr_t *h, bcf1_t *rec, const char *place,
               cad_error_t *err);
/* Checks that the header declares GT, and PS, if at all, as a number or a text. */
int calls_declared(const bcf_hdr_t *h, const char *path, cad_error_t *err);
void calls_free(calls_t *c);
void genotypes_free(genotypes_t *g);
int call_kind(const calls_t *c, int sample);
int call_ploidy(const calls_t *c, int sample);
/* Returns the phase set of a call: SET_ANY for equal alleles without PS, SET_NO for an unphased call. */
int64_t call_set(const calls_t *c, int sample);
/* Returns allele k of the sample, ALLELE_ABSENT if there is none. */
int call_allele(const calls_t *c, int sample, int k);

#endif

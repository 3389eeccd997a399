/* eqtl.h - declarations shared by the files of caduceus protocol eqtl. SPDX-License-Identifier: MIT */
#ifndef CAD_EQTL_H
#define CAD_EQTL_H

#include "learn/eqtl_rows.h"
#include "protocol/protocol.h"

#define BUCKETS 3

/* A trained SVM: variants of one distance, one C and one seed. */
typedef struct eqtl_run_t {
    int bucket;
    bool published; /* trained as the published code does; otherwise, validation rows are set aside */
    double cost;
    int64_t seed;
    int64_t trained, validated, vectors; /* rows; support vectors */
    double valid, test;                  /* AUROC of the decision values on validation and test rows, or NaN */
    double hard;                         /* AUROC of the predicted classes of the test rows */
} eqtl_run_t;

typedef struct eqtl_t {
    const protocol_args_t *a;
    eqtl_rows_t rows;
    char *parts;   /* the folder DIR/features */
    text_t recipe; /* what the features depend on */
    int64_t window, width;
    float *feature; // (variants,width) embeddings of REF and ALT; NaN: none
    int64_t parts_done, part_rows;
    eqtl_run_t *run; // (runs) ordered by published, bucket, cost, seed
    int64_t runs;
    int64_t training[BUCKETS], testing[BUCKETS], positive[BUCKETS]; /* rows with features; positive: of `testing` */
    int64_t unscored;                                               /* rows without features */
} eqtl_t;

/* ---- eqtl_features.c: DIR/features/ ---- */
/* Sets recipe, window and width, and compares the recipe with that of the folder. */
int features_begin(eqtl_t *e, cad_error_t *err);
/* Computes the parts that are left, or those of this shard, and counts in parts_done those that are there. */
int features_compute(eqtl_t *e, cad_error_t *err);
/* Returns the number of parts. */
int64_t features_parts(const eqtl_t *e);
/* Reads all parts. */
int features_read(eqtl_t *e, cad_error_t *err);

/* ---- eqtl_runs.c ---- */
extern const char *const BUCKET_NAME[BUCKETS];
/* Counts the rows of each bucket, and trains and measures all runs. */
int eqtl_runs(eqtl_t *e, cad_error_t *err);

/* ---- eqtl_tables.c ---- */
/* Writes DIR/runs.tsv, table.tsv and table.md, and prints the last. */
int eqtl_tables(const eqtl_t *e, cad_error_t *err);

#endif

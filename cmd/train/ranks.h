/* ranks.h - the processes (ranks) that train one model together, which a launcher such as mpirun or srun has started.
 * Without a launcher there is one rank, and these functions do nothing. SPDX-License-Identifier: MIT
 */
#ifndef CAD_RANKS_H
#define CAD_RANKS_H

#include "cmd.h"
#include "train/mpi_module.h"

typedef struct ranks_t {
    const char *cmd;
    int rank, ranks;      /* 0 and 1 without a launcher */
    double patience;      /* seconds to wait for another rank, beyond three times `longest` */
    double longest;       /* the longest time, in seconds, that this rank has computed between two messages */
    double since;         /* when the last message ended */
    double begun, inside; /* when training began, and the seconds in messages since then */
    bool open;            /* true if mpi is open */
    char device[24];      /* text of ranks_device */
    bool named;           /* the device was named, or is this rank's alone */
    cad_mpi_t mpi;
} ranks_t;

/* Joins the ranks that a launcher has started. patience: see above. */
int ranks_open(ranks_t *r, const char *cmd, int64_t patience, cad_error_t *err);
/* The rank that writes, prints and saves. */
bool ranks_first(const ranks_t *r);
/* Compares a text of the form "key=value key=value" with that of rank 0. If they differ, returns CAD_EARG on this rank. */
int ranks_agree(ranks_t *r, const char *text, cad_error_t *err);
/* Joins the trainers. mixed: their instruction sets may differ. */
int ranks_join(ranks_t *r, cad_trainer_t *trainer, bool mixed, cad_error_t *err);
/* Sets `bytes` bytes at data, on every rank, to those of rank 0. */
int ranks_share(ranks_t *r, void *data, size_t bytes, cad_error_t *err);
/* Sets *flag, on every rank, to true if it is true on one of them. */
int ranks_any(ranks_t *r, bool *flag, cad_error_t *err);
/* Returns the device of this rank: "cuda" becomes "cuda:K", K being the rank's number on its machine, unless
 * CUDA_VISIBLE_DEVICES lists a single device. */
const char *ranks_device(ranks_t *r, const char *device);
/* Fails if a step has fewer items (windows, rows) than there are ranks. */
int ranks_enough(const ranks_t *r, int64_t items, const char *what, cad_error_t *err);
/* Prints how much of the time this rank has spent in messages, which includes waiting for other ranks. */
void ranks_tell(const ranks_t *r);
/* Ends. After an error (rc not 0) prints err, which is cleared, and ends all ranks. */
void ranks_close(ranks_t *r, int rc, cad_error_t *err);

#endif

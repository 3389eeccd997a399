/* mpi_module.h - the interface between training and the MPI module, which is loaded at run time (mpi/mpi_module.c).
 *
 * A module is built once for OpenMPI and once for MPICH, whose binary interfaces differ. It exports one function,
 * CAD_MPI_SYMBOL, of type cad_mpi_open_f. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MPI_MODULE_H
#define CAD_MPI_MODULE_H

#include <stddef.h>

#define CAD_MPI_ABI 1
#define CAD_MPI_SYMBOL "cad_mpi_open"

typedef struct { /* the processes (ranks) that a launcher such as mpirun has started */
    int rank, ranks;
    char node[128]; /* name of this rank's machine */
    /* These return 0, 1 if the other rank did not answer within `seconds`, or -1 with the reason in text (size). What one
     * rank sends to another arrives in order. broadcast sets data on every rank to that of rank 0. */
    int (*send)(int to, const void *data, size_t bytes, double seconds, char *text, size_t size);
    int (*receive)(int from, void *data, size_t bytes, double seconds, char *text, size_t size);
    int (*broadcast)(void *data, size_t bytes, double seconds, char *text, size_t size);
    void (*abort)(void); /* ends all ranks, or at least this one */
    void (*close)(void); /* every rank calls it at its end */
} cad_mpi_t;

/* Starts MPI and fills *m. Returns 0, or -1 with a text. abi: CAD_MPI_ABI of the caller. */
typedef int cad_mpi_open_f(int abi, cad_mpi_t *m, char *text, size_t size);

#endif

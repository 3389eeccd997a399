/* block.h - defines the type of a layer kind, cad_block_t.
 *
 * The cad_block_t of a kind, such as Mamba-2, has its tensors, its shape as read from config.json, the order of its
 * operations in the forward and the backward pass, the activations it keeps for training, its costs, and its forward
 * pass in double precision. Each kind has a file in core/blocks/ (mamba.c is the first) and files with its operations
 * in each backend. CAD_KINDS lists all kinds. SPDX-License-Identifier: MIT
 */
#ifndef CAD_BLOCK_H
#define CAD_BLOCK_H

#include "base/base.h"

/* The names of all layer kinds. Test programs add their own through CAD_MORE_KINDS. */
#ifndef CAD_MORE_KINDS
#define CAD_MORE_KINDS(kind)
#endif
#define CAD_GPU_KINDS(kind) kind(mamba) kind(mamba2) CAD_MORE_KINDS(kind) /* kinds that every backend has */
#define CAD_CPU_KINDS(kind) \
    kind(attention) kind(mlp) kind(kmer) kind(cnn) kind(hyena) /* kinds that only the CPU backend has */
#define CAD_KINDS(kind) CAD_GPU_KINDS(kind) CAD_CPU_KINDS(kind)

#define CAD_KIND_INDEX(name) CAD_KIND_##name,
#define CAD_KIND_ONE(name) +1
/* values of cad_layer_t.kind; they are the indexes of every table of kinds */
enum { CAD_KINDS(CAD_KIND_INDEX) CAD_NKINDS };
enum { CAD_GPU_NKINDS = 0 CAD_GPU_KINDS(CAD_KIND_ONE) }; /* kinds below this index are in CAD_GPU_KINDS */

#define CAD_PARTS 24        /* maximum number of tensors of one direction of a layer */
#define CAD_KIND_OPS 8      /* maximum number of operations of a kind */
#define CAD_SHAPE_BYTES 128 /* size of the largest shape struct of a kind */

#define CAD_WORK_BYTES 128 /* size of the largest struct of activations that a kind keeps in a lane */

typedef union cad_work_t {
    void *align;
    unsigned char bytes[CAD_WORK_BYTES];
} cad_work_t;
typedef union cad_shape_t {
    double align;
    unsigned char bytes[CAD_SHAPE_BYTES];
} cad_shape_t;

struct json_t;
typedef struct cad_config_t cad_config_t;
typedef struct cad_reader_t cad_reader_t;
typedef struct cad_lane_t cad_lane_t;
typedef struct cad_grad_lane_t cad_grad_lane_t;
typedef struct cad_span_t cad_span_t;
typedef struct cad_sweep_t cad_sweep_t;
typedef struct cad_kept_t cad_kept_t;
typedef struct cad_cost_t cad_cost_t;
typedef struct cad_reference_t cad_reference_t;

typedef struct cad_part_t { /* describes one tensor of a direction */
    int role;               /* CAD_T_KIND + i, i < CAD_PARTS; unique within the kind */
    const char *leaf;       /* name after the prefix "mixer.mamba_fwd." (cad_direction_name) or, undirected, "mixer." */
    int64_t shape[3];       /* unused axes are 0 */
    bool there;             /* present in this configuration */
    bool projects;          /* a projection: shared by both directions where projections are tied */
    int flip;               /* the axis of length D, which the fused-norm fold reverses, or -1 */
    bool decays;            /* subject to AdamW's weight decay */
    bool fixed;             /* stored, but not trained: it has no gradient */
    /* number of further names under which files may store the same tensor: the first 1 of `leaf` is 3, 5, ... */
    int repeats;
} cad_part_t;

/* The sizes of the structs of a layer kind that the library and a backend's module share; engine/module.h compares the
 * two sides' sizes. */
typedef struct cad_kind_sizes_t {
    uint32_t shape, lane, grad_lane;
} cad_kind_sizes_t;
#define CAD_KIND_SIZES(name)                                                                  \
    {                                                                                         \
        sizeof(cad_##name##_t), sizeof(cad_##name##_lane_t), sizeof(cad_##name##_grad_lane_t) \
    }

typedef struct cad_block_t {
    const char *name; /* the kind's name in config.json's "layer_kinds" */
    /* the kind's name in ssm_cfg.layer of config.json; NULL: published code does not have this kind */
    const char *layer;
    const char *title; /* the kind's name in the text CAD_TEXT_KIND; NULL: the text does not name it */
    int64_t length;    /* the default length of a window in tokens; 0: that of Mamba */

    cad_kind_sizes_t sizes;

    /* ---- configuration and tensors ---- */
    /* For a config.json that names no kind of layers: returns whether the model's layers are of this kind, as the
     * tensors of layer 0 show. axes(arg, leaf) returns the number of axes of the tensor with that leaf name, such as
     * "A_log", or 0 if the tensor is missing. NULL: this kind cannot be recognised by its tensors. */
    bool (*recognise)(int (*axes)(const void *arg, const char *leaf), const void *arg);
    /* Reads this kind's shape from the JSON object in r: the object of config.json that cad_config_shape_key names.
     * cfg->d_model is already set. */
    void (*configure)(cad_shape_t *shape, const cad_config_t *cfg, cad_reader_t *r);
    /* Returns this kind's shape in cfg as a JSON object; NULL when out of memory. */
    struct json_t *(*write)(const cad_config_t *cfg);
    /* Returns the number `what` (CAD_D_INNER, ...), as cad_model_number does; -1 if this kind lacks it. */
    int64_t (*number)(const cad_config_t *cfg, enum cad_number_t what);
    /* Returns the most tokens that a sequence may have. NULL: any number. */
    int64_t (*longest)(const cad_config_t *cfg);
    /* Writes what the text CAD_TEXT_DETAILS says of this kind: " key=value" for each number. */
    void (*describe)(const cad_config_t *cfg, char *text, size_t size);
    /* Fills part with the tensors of one direction, in published order; returns their number. */
    int (*parts)(const cad_config_t *cfg, cad_part_t part[CAD_PARTS]);
    /* Returns initial value i of a tensor, in its published layout, from 64 random bits. */
    double (*initial)(const cad_config_t *cfg, int role, int64_t i, uint64_t bits);
    /* True if the projections have biases. Tied directions are then not merged (see cad_layer_t), since each of them
     * adds the bias. */
    bool (*biased)(const cad_config_t *cfg);

    /* ---- forward pass: engine/encoder.c ---- */
    /* A tile ends at a multiple of this many rows, counted from the first row of the sequence, or at the end of the
     * sequence; 0: a tile may end at any row. */
    int64_t chunk;
    /* True if each direction applies the gate z itself, before the directions are added. z is then computed once,
     * together with x, and kept for all rows of a segment (engine/encoder.c). */
    bool gates_each;
    /* True if the layer has no direction of time: it has one set of weights, also in a bidirectional model, the names
     * of its tensors lack "mamba_fwd.", and its shape is always in NAME_cfg. */
    bool undirected;
    /* True if the layer has no norm: it reads no channels of the residual, and cad_layer_t.norm is NULL. */
    bool bare;
    /* True if the output of a row depends on x of every row of its sequence. The encoder then runs two sweeps: the
     * first computes x of all rows, the second computes the output. In the backward pass, back_step() is called once
     * for all rows, after back_out() and before back_in() of all tiles. Needs `undirected`. */
    bool reads_all;
    /* Returns S, the number of rows that one row of the output stands for: a sequence of n rows has n/S after the layer,
     * rounded up, and the output replaces the residual. NULL: rows stay as they are. Needs `reads_all`; the second
     * sweep, and back_out(), run over the rows of the output. */
    int64_t (*stride)(const cad_config_t *cfg);
    /* Called between these two sweeps, and after x has been computed again for the backward pass: computes what needs x
     * of whole sequences at once. NULL: nothing. */
    int (*gather)(cad_lane_t *l, int layer, cad_span_t all);
    /* True if a layer without a direction reads earlier rows only. The model then predicts the next token
     * (cad_config_next). */
    bool causal;
    int nop;
    const char *op[CAD_KIND_OPS]; /* names of the kind's `nop` operations, in the order of a backend's table */
    /* Runs the operations of one tile of a sweep, for one direction. */
    int (*step)(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w);
    /* Called at the start of a forward or backward pass with a tape. Says where the scan stores states that the tape
     * does not hold: in a backward pass, in the memory of `back`; in a forward pass, in which back is NULL, nowhere. */
    void (*begin)(cad_lane_t *l, cad_grad_lane_t *back);
    /* Points the lane's arrays to the activations that the tape keeps for one layer. */
    void (*enter)(cad_lane_t *l, const cad_kept_t *kept);

    /* ---- backward pass: train/backward.c ---- */
    /* Recomputes the gate z for the rows of a tile. */
    int (*gate)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s);
    /* Computes the gradient of y from the gradient of the output of a unit (train/backward.c: the directions that share
     * one `out`). Called once for all directions of the unit. */
    int (*back_out)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s);
    /* Computes the gradient of x from the gradient of y, for one direction. add: the array y already holds y of the
     * other direction, and y of this direction is added to it. */
    int (*back_step)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add);
    /* Computes the gradients of the projections, the norm and the residual. Called once for all directions of the
     * unit. */
    int (*back_in)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s);
    /* Lays out, for one layer, the activations that a tape keeps, and stores their addresses in kept. rows: number of
     * rows; most: maximum number of sequences. */
    void (*keep)(const cad_config_t *cfg, int ndir, int64_t rows, int64_t most, cad_bump_t *b, cad_kept_t *kept);

    /* ---- measuring ---- */
    /* `costs` fills cost[nop] with the cost of each operation for one tls (token in one layer of one strand); `traffic`
     * returns the bytes of memory traffic of a tls. See measure.h. */
    void (*costs)(const cad_config_t *cfg, int ndir, bool merged, cad_cost_t *cost);
    double (*traffic)(const cad_config_t *cfg, int ndir, bool merged);
    /* `reference_room` returns the number of doubles of scratch memory that `reference` needs for `rows` rows.
     * `reference` runs one direction over nseq packed sequences: it reads the normalised rows r->a or, if the kind is
     * bare, the tokens r->tok, and writes r->h. */
    int64_t (*reference_room)(const cad_config_t *cfg, int64_t rows);
    void (*reference)(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq);
} cad_block_t;

/* Checks at compile time that a kind fits into the sizes above. The kind's shape is a cad_NAME_t; its structs in a lane
 * and a grad lane are cad_NAME_lane_t and cad_NAME_grad_lane_t. ops: the number of its operations; roles: one more than
 * the largest role of its tensors. */
#define CAD_KIND_FITS(name, ops, roles)                                                                        \
    _Static_assert(sizeof(cad_##name##_t) <= sizeof(cad_shape_t) &&                                            \
                       sizeof(cad_##name##_lane_t) <= sizeof(cad_work_t) &&                                    \
                       sizeof(cad_##name##_grad_lane_t) <= sizeof(cad_work_t) && (int)(ops) <= CAD_KIND_OPS && \
                       (int)(roles)-CAD_T_KIND <= CAD_PARTS,                                                   \
                   "this kind needs more room than model/block.h has")

/* The table of all layer kinds, indexed by kind; defined in core/blocks/blocks.c. */
extern const cad_block_t *const cad_blocks[CAD_NKINDS];

#endif

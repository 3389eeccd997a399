/* caduceus.h - run Caduceus DNA language models.
 *
 * Schiff et al., "Caduceus: Bi-Directional Equivariant Long-Range DNA Sequence
 * Modeling", ICML 2024 (arXiv 2403.03234). D = d_model, V = rows of the
 * embedding, L = length of a sequence in tokens; one base is one token.
 *
 * Conventions
 *   - A fallible function returns 0 or a negative CAD_E* code and, if `err` is
 *     not NULL, writes one line of text into it. Objects come back through the
 *     first argument, which is set to NULL on failure.
 *   - The library never prints, exits or installs signal handlers.
 *   - A model is immutable: any number of threads and contexts may share it. It
 *     must outlive its contexts. A context serves one caller at a time and owns
 *     its worker threads.
 *   - Coordinates are 0-based, intervals half-open. Arrays are float32, C order.
 *   - Results do not depend on the number of threads, nor on what else is
 *     computed in the same call.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CADUCEUS_H
#define CADUCEUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CAD_API __attribute__((visibility("default")))
#else
#define CAD_API
#endif

#define CAD_ENOMEM (-1)  /* memory could not be allocated */
#define CAD_EIO (-2)     /* a file could not be opened, read or written */
#define CAD_EFORMAT (-3) /* a file's contents are not what they should be */
#define CAD_EARG (-4)    /* an argument is out of range or does not fit the model */
#define CAD_EDEVICE (-5) /* a device or its driver is missing or failed */

typedef struct cad_error_t {
    char text[768];
} cad_error_t;
typedef struct cad_model_t cad_model_t;
typedef struct cad_context_t cad_context_t;

/* Version of the library, e.g. "0.2.0". Static; never freed. */
CAD_API const char *cad_version(void);

/* A short name of a CAD_E* code. Static; never freed. */
CAD_API const char *cad_strerror(int code);

/* ---- model -------------------------------------------------------------- */

/* Opens a checkpoint: a folder holding config.json and model.safetensors (or
 * model.safetensors.index.json and its shards), a .safetensors file beside its
 * config.json, or "hf:ORG/NAME[@REV]" for a snapshot in the local hub cache.
 * All weights are read into memory and checked (shapes, ties, NaN). */
CAD_API int cad_model_open(cad_model_t **model, const char *path, cad_error_t *err);

/* Frees a model; NULL is allowed. */
CAD_API void cad_model_close(cad_model_t *model);

enum cad_number_t {
    CAD_D_MODEL = 1,   /* D */
    CAD_N_LAYER,       /* blocks */
    CAD_D_INNER,       /* E = expand x D */
    CAD_D_STATE,       /* N */
    CAD_D_CONV,        /* K */
    CAD_DT_RANK,       /* R */
    CAD_VOCAB,         /* V */
    CAD_LABELS,        /* classes of the head, 0 for a language model */
    CAD_MAX_LEN,       /* tokens: model_max_length of tokenizer_config.json if
                          it is at most 2^20, else 131072 */
    CAD_PARAMETERS,    /* trained numbers, a tied tensor counted once */
    CAD_RCPS,          /* 1: Caduceus-PS, 0: Caduceus-Ph */
    CAD_BIDIRECTIONAL, /* 1 or 0 */
    CAD_HIDDEN_WIDTH,  /* last_hidden_state: 2D (PS) or D (Ph) */
    CAD_TOKEN_A,       /* token ids, also the columns of logits */
    CAD_TOKEN_C,
    CAD_TOKEN_G,
    CAD_TOKEN_T,
    CAD_TOKEN_MASK, /* -1 if the vocabulary lacks it, as the following */
    CAD_TOKEN_PAD,
    CAD_TOKEN_SEP,
    CAD_TOKEN_UNK,
    CAD_TOKEN_N
};
/* One property of the model; -1 for an unknown one. */
CAD_API int64_t cad_model_number(const cad_model_t *model, enum cad_number_t what);

enum cad_text_t {
    CAD_TEXT_SHA256 = 1, /* of the weight file (shards: of all, in the index's order) */
    CAD_TEXT_DTYPE,      /* stored type(s) of the weights: F32, F16, BF16, F64 or a list */
    CAD_TEXT_STATUS,     /* "status" of the file's metadata, "" if absent */
    CAD_TEXT_KIND,       /* "Caduceus-PS" or "Caduceus-Ph" */
    CAD_TEXT_DETAILS,    /* the switches of config.json, one line */
    CAD_TEXT_VOCABULARY  /* "table", "plant" or the file it came from */
};
/* One property as text, owned by the model; "" for an unknown one. */
CAD_API const char *cad_model_text(const cad_model_t *model, enum cad_text_t what);

#define CAD_N_AS_TOKEN 1u /* encode N and IUPAC codes as token N, not as PAD */

/* Encodes n letters into n token ids; upper and lower case alike. Anything but
 * A, C, G, T becomes PAD as in pretraining (UNK where the vocabulary has no N).
 * Returns how many letters were neither A, C, G, T nor N (IUPAC and others). */
CAD_API int64_t cad_encode(const cad_model_t *model, const char *seq, int64_t n, unsigned flags, uint8_t *tokens);

/* out[i] = complement of tokens[n-1-i]; out and tokens must not overlap. */
CAD_API void cad_reverse_complement(const cad_model_t *model, const uint8_t *tokens, int64_t n, uint8_t *out);

/* ---- making and saving models ------------------------------------------- */

/* A new model with the paper's initial values. config: the text of a config.json;
 * the vocabulary is the published table (or, by its complement_map, PlantCaduceus'),
 * its rows rounded up to pad_vocab_size_multiple. max_len: what CAD_MAX_LEN is to
 * be, 1 to 2^20. The same seed gives the same model. A classifier's config gives
 * one. CAD_TEXT_SHA256 is "". */
CAD_API int cad_model_create(cad_model_t **model, const char *config, int64_t max_len, uint64_t seed, cad_error_t *err);

/* A classifier (or regressor) of `labels` outputs, 1 to 2^20, on a copy of the
 * encoder of a language model or classifier; score's initial values are N(0, 0.02^2)
 * by the seed. The backbone may be closed afterwards. */
CAD_API int cad_model_classifier(cad_model_t **model, const cad_model_t *backbone, int64_t labels, uint64_t seed,
                                 cad_error_t *err);

/* Writes a checkpoint as published into folder dir, which is made if absent:
 * config.json, model.safetensors (float32), tokenizer_config.json and, if the model
 * was opened with one, its tokenizer.json or vocab.txt. Files of these names are
 * replaced once all are written; on failure they are left as they were. status:
 * text for the file's metadata (UTF-8; see CAD_TEXT_STATUS), "" for none, NULL
 * for the model's own. Weights that are NaN or infinite are refused (CAD_EARG),
 * and so is a folder with another model's tokenizer. */
CAD_API int cad_model_save(const cad_model_t *model, const char *dir, const char *status, cad_error_t *err);

/* ---- context ------------------------------------------------------------ */

/* How a context is to run. Fill it with cad_options_init, then change members;
 * `size` lets later versions add some. */
typedef struct cad_options_t {
    size_t size;           /* of this struct, as the caller was compiled */
    const char *device;    /* "cpu", "cuda", "cuda:I" (counted from 0), or "auto": cuda
                               where its module, a driver and a device are found, else
                               cpu; default NULL, which is auto */
    const char *precision; /* "fp32" or "bf16": bfloat16 inputs of matrix
                               products, all else float32; default NULL: fp32 on the
                               CPU, bf16 on CUDA */
    int threads;           /* compute threads in all, 1 to 4096; default 1. A device
                               has its own */
    int64_t max_len;       /* the longest sequence that will be given, in tokens;
                               default the model's CAD_MAX_LEN */
} cad_options_t;
#define cad_options_init(options) cad_options_init_sized((options), sizeof(cad_options_t))
CAD_API void cad_options_init_sized(cad_options_t *options, size_t size);

/* Opens a context; options NULL: the defaults. Memory for activations is reserved
 * here, once; the calls below allocate room for results on their way to the
 * caller. */
CAD_API int cad_context_open(cad_context_t **ctx, const cad_model_t *model, const cad_options_t *options,
                             cad_error_t *err);

/* Joins the worker threads and frees the context; NULL is allowed. */
CAD_API void cad_context_close(cad_context_t *ctx);

/* Device and instruction set in use, e.g. "cpu avx512", and the precision, "fp32" or
 * "bf16". Owned by the context. */
CAD_API const char *cad_context_device(const cad_context_t *ctx);
CAD_API const char *cad_context_precision(const cad_context_t *ctx);

/* Why "auto" computes on the CPU, and whether bf16 is slow there; "" if neither, or if
 * the device was left to NULL and no CUDA module is installed. Owned by the context. */
CAD_API const char *cad_context_note(const cad_context_t *ctx);

/* Bytes of working memory reserved by cad_context_open (touched only as needed). */
CAD_API size_t cad_context_bytes(const cad_context_t *ctx);

/* 1 if this is a device's name as cad_options_t takes it, whether or not there is such a
 * device here; else 0. */
CAD_API int cad_device_known(const char *device);

/* ---- computing ---------------------------------------------------------- */

/* The published forward pass of one sequence: tokens (L), hidden (L,
 * CAD_HIDDEN_WIDTH) or NULL, logits (L,V) or NULL. A Ph model's logits are the
 * plain strand's, not conjoined. A classifier has none (CAD_EARG). */
CAD_API int cad_forward(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *hidden, float *logits,
                        cad_error_t *err);

/* Both strands conjoined, logits (L,V): for PS as published, for Ph the mean of
 * the strand's and of its reverse complement's, turned back. */
CAD_API int cad_forward_conjoined(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *logits,
                                  cad_error_t *err);

/* Classifier logits (CAD_LABELS). `tokens_rc` is the second strand; NULL means
 * the reverse complement for PS and a single strand for Ph. */
CAD_API int cad_classify(cad_context_t *ctx, const uint8_t *tokens, const uint8_t *tokens_rc, int64_t len,
                         float *logits, cad_error_t *err);

enum cad_pool_t { CAD_POOL_NONE, CAD_POOL_MEAN, CAD_POOL_MAX };

/* A window: a core to be scored, and its flanks as context. */
typedef struct cad_window_t {
    const uint8_t *tokens;      /* (len), the caller's */
    int64_t len;                /* tokens in the window, flanks included */
    int64_t core_beg, core_end; /* the core: [core_beg, core_end) of tokens */
    const uint8_t *skip;        /* (len): non-zero = visible but unscored; or NULL */
    float *logp;                /* cad_score's result (core length, 4), the caller's */
    float *embedding;           /* cad_embed's result, the caller's */
} cad_window_t;

#define CAD_MASK_NONE 0    /* one pass, every base visible */
#define CAD_MASK_EACH (-1) /* one pass a base */
                           /* K > 0: K passes, each masking every K-th base */

/* Natural log-probabilities of A, C, G, T at every scored position of n windows'
 * cores: log softmax of the conjoined logits over the four bases. A position is
 * scored if its token is A, C, G or T and it is not skipped; other rows of logp
 * are NaN. A scored position is masked in its own pass (see CAD_MASK_*). */
CAD_API int cad_score(cad_context_t *ctx, cad_window_t *windows, int n, int64_t mask, cad_error_t *err);

/* Embeddings of n windows' cores, nothing masked. At position t it is
 * (a_t + c_{L-1-t})/2, a and c the last hidden states of the two strands.
 * MEAN and MAX: embedding (D); NONE: (core length, D). */
CAD_API int cad_embed(cad_context_t *ctx, cad_window_t *windows, int n, enum cad_pool_t pool, cad_error_t *err);

/* Classifier logits (n, CAD_LABELS) of n windows: both strands of each conjoined, Ph's
 * too, and pooled over the core as config.json's pooling_strategy says. */
CAD_API int cad_classify_all(cad_context_t *ctx, const cad_window_t *windows, int n, float *logits, cad_error_t *err);

/* Forward passes of both strands that cad_score would run for this window; the
 * cost is that number times len. */
CAD_API int64_t cad_passes(const cad_model_t *model, const cad_window_t *window, int64_t mask);

/* Entropy -sum p log2 p, in bits, of one row of logp. */
CAD_API double cad_entropy(const float logp[4]);

/* ---- training ----------------------------------------------------------- */

/* How to train. Fill it with cad_recipe_init, then change members. The optimiser
 * is AdamW (Loshchilov and Hutter 2019) with the gradient's global norm clipped;
 * biases, embeddings, A_log and D do not decay. */
typedef struct cad_recipe_t {
    size_t size;                                /* of this struct, as the caller was compiled */
    int threads;                                /* default 1; results do not depend on it */
    int recompute;                              /* 1: keep each layer's input alone and run it again:
                               a third of the memory, a third more time; a CUDA
                               device always does */
    int freeze;                                 /* 1: only score.weight is trained */
    int64_t max_tokens;                         /* of the longest sequence; default CAD_MAX_LEN */
    enum cad_pool_t pool;                       /* a classifier's: CAD_POOL_MEAN (default) or MAX */
    double beta1, beta2, epsilon, weight_decay; /* 0.9, 0.95, 1e-8, 0.1 */
    double clip;                                /* 1.0; 0: the gradient is not clipped */
    const char *device;                         /* NULL, "auto", "cpu", "cuda" or "cuda:I", and */
    const char *precision;                      /* NULL, "fp32" or "bf16", as in cad_options_t; */
                                                /* gradients, moments and parameters are float32 always */
} cad_recipe_t;
#define cad_recipe_init(recipe) cad_recipe_init_sized((recipe), sizeof(cad_recipe_t))
CAD_API void cad_recipe_init_sized(cad_recipe_t *recipe, size_t size);

/* A trainer serves one caller at a time and owns its threads. The model is the
 * caller's, changes with every update and must outlive the trainer; a context keeps
 * the weights that it was opened with. recipe NULL: the defaults. */
typedef struct cad_trainer_t cad_trainer_t;
CAD_API int cad_trainer_open(cad_trainer_t **trainer, cad_model_t *model, const cad_recipe_t *recipe, cad_error_t *err);
CAD_API void cad_trainer_close(cad_trainer_t *trainer); /* NULL is allowed */

/* As of a context: device, precision, and its note. */
CAD_API const char *cad_trainer_device(const cad_trainer_t *trainer);
CAD_API const char *cad_trainer_precision(const cad_trainer_t *trainer);
CAD_API const char *cad_trainer_note(const cad_trainer_t *trainer);

/* Bytes of memory reserved (touched only as needed); updates done so far. */
CAD_API size_t cad_trainer_bytes(const cad_trainer_t *trainer);
CAD_API int64_t cad_trainer_steps(const cad_trainer_t *trainer);

enum cad_loss_t {
    CAD_LOSS_TOKENS,  /* cross-entropy over all V columns at positions with a weight */
    CAD_LOSS_CLASSES, /* softmax cross-entropy; target: probabilities (labels) */
    CAD_LOSS_BINARY,  /* a logistic loss for each label, summed; target: 0 to 1 */
    CAD_LOSS_SQUARED  /* squared error, summed over labels */
};

typedef struct cad_example_t { /* all arrays are the caller's */
    const uint8_t *tokens;     /* (len): what the model sees, masks included */
    int64_t len;
    const uint8_t *labels; /* TOKENS: (len) the true tokens */
    const float *weight;   /* TOKENS: (len) of each position's loss; 0: none */
    const float *target;   /* the other losses: (CAD_LABELS) */
} cad_example_t;

/* Masks a window as pretraining does: of 15 % of the positions, chosen by seed and
 * window (any number), 80 % become MASK, 10 % a random token, 10 % stay. masked,
 * weight: (len); weight is 1 where a loss is due, 0 elsewhere, at PAD and at what N
 * is encoded as. Returns how many are 1. The vocabulary must have a MASK. */
CAD_API int64_t cad_mask(const cad_model_t *model, uint64_t seed, uint64_t window, const uint8_t *tokens, int64_t len,
                         uint8_t *masked, float *weight);

/* The losses of n examples, in nats: their sum is added to *sum and, if scale is
 * not 0, scale times its gradient to the trainer's. A PS model sees both strands,
 * a Ph model the one given. Nothing to score adds nothing. */
CAD_API int cad_trainer_add(cad_trainer_t *trainer, enum cad_loss_t loss, const cad_example_t *examples, int n,
                            double scale, double *sum, cad_error_t *err);

/* One step of AdamW with the gradient gathered since the last, which is then 0.
 * norm, if not NULL: the gradient's before clipping. A gradient that is not
 * finite is CAD_EARG; it becomes 0 too, and nothing else changes. */
CAD_API int cad_trainer_update(cad_trainer_t *trainer, double lr, double *norm, cad_error_t *err);

/* The gradient gathered so far of the tensor of this published name (without the
 * prefix "caduceus."), in its published layout: out (its size). CAD_EARG if there
 * is none, CAD_EDEVICE if a device failed. Both twins of a tied pair count under the
 * first one's name. */
CAD_API int cad_trainer_gradient(cad_trainer_t *trainer, const char *name, float *out);

/* Parameters, moments and steps in one file, written whole or not at all. note:
 * the caller's own text (or NULL), which load returns: malloc'd, the caller's to
 * free. Gathered gradients are neither saved nor changed. Where load fails, trainer and
 * model may hold part of the file: close them. */
CAD_API int cad_trainer_save(const cad_trainer_t *trainer, const char *path, const char *note, cad_error_t *err);
CAD_API int cad_trainer_load(cad_trainer_t *trainer, const char *path, char **note, cad_error_t *err);

#ifdef __cplusplus
}
#endif
#endif

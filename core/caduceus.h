/* caduceus.h - run Caduceus DNA language models.
 *
 * Schiff et al., "Caduceus: Bi-Directional Equivariant Long-Range DNA Sequence
 * Modeling", ICML 2024 (arXiv 2403.03234). D = d_model, V = rows of the
 * embedding, L = length of a sequence in tokens; one base is one token.
 *
 * Conventions
 *   - A function that can fail returns 0 or a negative CAD_E* code and, if `err`
 *     is not NULL, writes one line of text into it. Objects are returned through
 *     the first argument, which is set to NULL on failure.
 *   - The library never prints, exits or installs signal handlers.
 *   - Any number of threads and contexts may use one model at the same time. A call
 *     that changes it (a trainer's update, or any that takes a non-const model) must
 *     be the only call on the model itself; open contexts may compute meanwhile, with
 *     the weights that they were opened with. A model must outlive its contexts and
 *     trainers.
 *   - A context or a trainer serves one caller at a time and owns its threads.
 *   - Pointers in structs are borrowed for the call, unless stated otherwise.
 *   - Coordinates are 0-based, intervals half-open. Arrays are float32, in C order.
 *   - Results depend neither on the number of threads nor on the other sequences
 *     of the same call.
 *   - A struct with a member `size` may grow in later versions. Initialise it with
 *     its *_init macro, which stores the size that the caller was compiled with.
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

/* Opens a checkpoint: a folder with config.json and model.safetensors (or
 * model.safetensors.index.json and its shards), a .safetensors file beside its
 * config.json, or "hf:ORG/NAME[@REV]" for a snapshot in the local hub cache.
 * Reads all weights into memory and checks them (shapes, tied pairs, NaN). */
CAD_API int cad_model_open(cad_model_t **model, const char *path, cad_error_t *err);

/* Frees a model; NULL is allowed. */
CAD_API void cad_model_close(cad_model_t *model);

enum cad_number_t {
    CAD_D_MODEL = 1,   /* D */
    CAD_N_LAYER,       /* layers */
    CAD_D_INNER,       /* E = expand x D */
    CAD_D_STATE,       /* N */
    CAD_D_CONV,        /* K */
    CAD_DT_RANK,       /* R */
    CAD_VOCAB,         /* V */
    CAD_LABELS,        /* outputs of a classifier; 0 for a language model */
    CAD_MAX_LEN,       /* the model's window in tokens: model_max_length of
                          tokenizer_config.json if at most 2^20, else 131072 */
    CAD_PARAMETERS,    /* number of trained values; a tied tensor counts once */
    CAD_RCPS,          /* 1: Caduceus-PS, 0: Caduceus-Ph */
    CAD_BIDIRECTIONAL, /* 1 or 0 */
    CAD_HIDDEN_WIDTH,  /* width of last_hidden_state: 2D (PS) or D (Ph) */
    CAD_TOKEN_A,       /* token ids; logits have one column for each id */
    CAD_TOKEN_C,
    CAD_TOKEN_G,
    CAD_TOKEN_T,
    CAD_TOKEN_MASK, /* this and the following: -1 if the vocabulary lacks it */
    CAD_TOKEN_PAD,
    CAD_TOKEN_SEP,
    CAD_TOKEN_UNK,
    CAD_TOKEN_N
};
/* One property of the model; -1 for an unknown one. */
CAD_API int64_t cad_model_number(const cad_model_t *model, enum cad_number_t what);

enum cad_text_t {
    CAD_TEXT_SHA256 = 1, /* of the weight file that was opened (shards: of all, in the index's order);
                            training and cad_head_write do not change it */
    CAD_TEXT_DTYPE,      /* stored type(s) of the weights: F32, F16, BF16, F64 or a list */
    CAD_TEXT_STATUS,     /* "status" in the file's metadata, "" if absent */
    CAD_TEXT_KIND,       /* "Caduceus-PS" or "Caduceus-Ph" */
    CAD_TEXT_DETAILS,    /* dimensions and switches of config.json, one line */
    CAD_TEXT_VOCABULARY, /* "table", "plant" or the file it came from */
    CAD_TEXT_FOLDER      /* the folder that it was opened from; "" for a model that was made */
};
/* One property as text, owned by the model; "" for an unknown one. */
CAD_API const char *cad_model_text(const cad_model_t *model, enum cad_text_t what);

/* Encode N and IUPAC codes as token N, not as PAD; no effect if the vocabulary lacks N. */
#define CAD_N_AS_TOKEN 1u

/* Encodes n letters, upper or lower case, as n token ids. Letters other than A, C,
 * G and T become PAD as in pretraining (UNK where the vocabulary has no N).
 * Returns the number of letters other than A, C, G, T and N (IUPAC and others). */
CAD_API int64_t cad_encode(const cad_model_t *model, const char *seq, int64_t n, unsigned flags, uint8_t *tokens);

/* 0, 1, 2 or 3 if the token is A, C, G or T, else -1. */
CAD_API int cad_token_base(const cad_model_t *model, uint8_t token);

/* out[i] = complement of tokens[n-1-i]; out and tokens must not overlap. */
CAD_API void cad_reverse_complement(const cad_model_t *model, const uint8_t *tokens, int64_t n, uint8_t *out);

typedef struct cad_summary_t {
    char kind[32], dtype[64]; /* as CAD_TEXT_KIND and CAD_TEXT_DTYPE */
    int64_t d_model, n_layer, labels, max_len, parameters;
} cad_summary_t;
/* Describes a checkpoint, named as for cad_model_open, from config.json and the headers of its
 * weight files. Succeeds where cad_model_open would, but for damaged values: they are not read. */
CAD_API int cad_model_summary(cad_summary_t *summary, const char *path, cad_error_t *err);

/* ---- the local cache of the Hugging Face hub ---------------------------- */

/* The cache is where huggingface_hub keeps it: $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else
 * hub in $HF_HOME, else huggingface/hub in $XDG_CACHE_HOME, else in ~/.cache. Values may hold
 * ~, ~USER, $NAME and ${NAME}; an empty variable counts as not set. These functions read the
 * environment and the cache; they write nothing and use no network. */

typedef struct cad_hub_name_t {
    char model[97];     /* "ORG/NAME" */
    char revision[256]; /* a branch, a tag or a commit; "main" if none is given */
} cad_hub_name_t;
/* Takes "ORG/NAME", "ORG/NAME@REV" or the same after "hf:" apart, and checks it. */
CAD_API int cad_hub_parse(cad_hub_name_t *name, const char *text, cad_error_t *err);

enum cad_hub_part_t {
    CAD_HUB_CACHE = 1, /* the cache */
    CAD_HUB_TOKEN,     /* the file of the user's token: $HF_TOKEN_PATH, else token beside hub */
    CAD_HUB_MODEL,     /* the folder of a model */
    CAD_HUB_REF,       /* the file that holds the commit of revision `leaf`, without a line end */
    CAD_HUB_SNAPSHOT,  /* the folder of a model's files at commit `leaf`: links to blobs */
    CAD_HUB_BLOB,      /* a file's bytes; leaf: their SHA-256, or git's hash */
    CAD_HUB_LOCK       /* the file that is locked while blob `leaf` is downloaded */
};
/* The path of a part of the cache, which need not be there; to be freed with free(). model is
 * "ORG/NAME"; model and leaf are NULL for the first two, leaf also for CAD_HUB_MODEL. */
CAD_API int cad_hub_path(char **path, enum cad_hub_part_t part, const char *model, const char *leaf, cad_error_t *err);

typedef struct cad_snapshot_t {
    const char *model;     /* "ORG/NAME" */
    const char *commit;    /* "" for a model without snapshots */
    const char *revisions; /* branches and tags that point to the commit, separated by commas */
    const char *path;      /* of the snapshot's folder; without snapshots, of the model's */
    int64_t bytes;         /* size of its files */
} cad_snapshot_t;
/* Returns 0 to go on; another value ends the listing, which returns it. */
typedef int cad_hub_visit_f(void *arg, const cad_snapshot_t *snapshot);
/* Calls visit for each snapshot of each model in the cache, sorted by folder. A cache that does
 * not exist holds nothing. */
CAD_API int cad_hub_list(cad_hub_visit_f *visit, void *arg, cad_error_t *err);

/* ---- making and saving models ------------------------------------------- */

/* Makes a model with the paper's initial values. config: the text of a config.json.
 * The vocabulary is the published table (or PlantCaduceus', if complement_map is
 * theirs), its rows rounded up to pad_vocab_size_multiple. max_len: the model's
 * CAD_MAX_LEN, 1 to 2^20. The same seed gives the same model. A classifier's config
 * gives a classifier. CAD_TEXT_SHA256 is "". */
CAD_API int cad_model_create(cad_model_t **model, const char *config, int64_t max_len, uint64_t seed, cad_error_t *err);

/* Makes a classifier (or regressor) of `labels` outputs, 1 to 2^20, on a copy of the
 * encoder of a language model or classifier. The initial values of score are
 * N(0, 0.02^2), drawn by the seed. The backbone may be closed afterwards. */
CAD_API int cad_model_classifier(cad_model_t **model, const cad_model_t *backbone, int64_t labels, uint64_t seed,
                                 cad_error_t *err);

/* Sets the model's CAD_MAX_LEN, 1 to 2^20 tokens. Open contexts and trainers keep
 * the length that they were opened with. */
CAD_API int cad_model_set_max_len(cad_model_t *model, int64_t max_len, cad_error_t *err);

/* The text of the config.json that cad_model_save would write; to be freed with
 * free(). NULL on failure. */
CAD_API int cad_model_config(char **config, const cad_model_t *model, cad_error_t *err);

/* Replaces members of a config.json by those of `changes`, the text of a JSON object, and
 * adds new ones. A member is replaced whole: an object such as ssm_cfg is not merged.
 * *merged: the new text, to be freed with free(); NULL on failure. */
CAD_API int cad_config_merge(char **merged, const char *config, const char *changes, cad_error_t *err);

/* How a model is saved: call cad_save_init, then change members. */
typedef struct cad_save_t {
    size_t size;        /* of this struct, as the caller was compiled */
    const char *status; /* text for the file's metadata (UTF-8; see CAD_TEXT_STATUS): "" for none; default
                           NULL, the model's own */
    const char *dtype;  /* "F32" (default, also NULL), "F16" or "BF16": weights are rounded to nearest */
    const char *card;   /* text of the README.md to write; default NULL, none */
    int bare;           /* 1: write a tied tensor under one of its names; default 0, under each: transformers
                           4.51 and later need both */
    int with_files;     /* 1: keep names of Python classes in the model's own folder (auto_map): the caller
                           copies these files; default 0, the hub's classes are named instead */
} cad_save_t;
#define cad_save_init(how) cad_save_init_sized((how), sizeof(cad_save_t))
CAD_API void cad_save_init_sized(cad_save_t *how, size_t size);

/* Writes a checkpoint as published into folder dir, which is made if absent:
 * config.json, model.safetensors, tokenizer_config.json and, if the model
 * was opened with one, its tokenizer.json or vocab.txt. Keys of config.json and
 * tokenizer_config.json that the library does not know stay as they were read. All files
 * are written before the first one replaces an old one; on failure the old ones stay.
 * Refuses (CAD_EARG) weights that are NaN, infinite or too large for the type, and a folder
 * with another model's tokenizer. */
CAD_API int cad_model_export(const cad_model_t *model, const char *dir, const cad_save_t *how, cad_error_t *err);

/* cad_model_export with the default settings and this status. */
CAD_API int cad_model_save(const cad_model_t *model, const char *dir, const char *status, cad_error_t *err);

/* Checks that cad_model_save can write this model's tokenizer into the existing
 * folder dir: no other model's is there, and a file can be made. Changes nothing. */
CAD_API int cad_model_save_check(const cad_model_t *model, const char *dir, cad_error_t *err);

/* ---- a classifier's head ------------------------------------------------ */

enum cad_pool_t { CAD_POOL_NONE, CAD_POOL_MEAN, CAD_POOL_MAX };

enum cad_head_kind_t {
    CAD_HEAD_CLASSES, /* one of K classes: softmax over the logits */
    CAD_HEAD_LABELS,  /* any of K labels: logistic function of each logit */
    CAD_HEAD_VALUES   /* K numbers: value = logit x scale + mean */
};

/* The meaning of a classifier's K outputs, as config.json stores it (problem_type,
 * caduceus_pooling, id2label, target_mean, target_scale). The arrays are allocated by
 * the library and owned by the head; names may be replaced by other malloc'd texts. */
typedef struct cad_head_t {
    size_t size;               /* of this struct, as the caller was compiled */
    enum cad_head_kind_t kind; /* default CAD_HEAD_CLASSES */
    enum cad_pool_t pool;      /* over positions: CAD_POOL_MEAN (default) or CAD_POOL_MAX */
    int64_t n;                 /* K */
    char **name;               // (K) UTF-8, without control characters
    double *mean, *scale;      // (K); NULL unless CAD_HEAD_VALUES
} cad_head_t;
#define cad_head_init(head) cad_head_init_sized((head), sizeof(cad_head_t))
CAD_API void cad_head_init_sized(cad_head_t *head, size_t size);

/* Allocates the arrays of a head for n outputs (1 or more): names are NULL, numbers are
 * 0. kind must be set, and there must be no arrays yet. */
CAD_API int cad_head_room(cad_head_t *head, int64_t n, cad_error_t *err);

/* Reads the head of a classifier; CAD_EARG for a language model. Call cad_head_init first.
 * Arrays that the head already has are dropped, not freed. A name that config.json lacks
 * becomes LABEL_0, LABEL_1 and so on. On failure the head has no arrays. */
CAD_API int cad_head_read(cad_head_t *head, const cad_model_t *model, cad_error_t *err);

/* Stores the head in a classifier of as many outputs: cad_model_save writes it, and
 * contexts opened from now on pool as it says. */
CAD_API int cad_head_write(const cad_head_t *head, cad_model_t *model, cad_error_t *err);

/* Frees the arrays; kind and pool stay. A head without arrays is allowed. */
CAD_API void cad_head_free(cad_head_t *head);

/* ---- context ------------------------------------------------------------ */

/* Settings of a context: call cad_options_init, then change members. */
typedef struct cad_options_t {
    size_t size; /* of this struct, as the caller was compiled */
    /* "cpu", "cuda", "cuda:I" (counted from 0), or "auto": cuda where its module, a driver
     * and a device are found, else cpu. Default NULL, which is auto. */
    const char *device;
    /* "fp32", or "bf16": bfloat16 inputs of matrix products, all else float32. Default
     * NULL: fp32 on the CPU, bf16 on CUDA. */
    const char *precision;
    int threads;     /* compute threads in all, 1 to 4096; default 1. A device has its own */
    int64_t max_len; /* length of the longest sequence, in tokens; default CAD_MAX_LEN */
} cad_options_t;
#define cad_options_init(options) cad_options_init_sized((options), sizeof(cad_options_t))
CAD_API void cad_options_init_sized(cad_options_t *options, size_t size);

/* Opens a context; options NULL: the defaults. Reserves memory for activations here,
 * once; later calls allocate room for intermediate results only. A context keeps the
 * weights and the head that the model had when it was opened. */
CAD_API int cad_context_open(cad_context_t **ctx, const cad_model_t *model, const cad_options_t *options,
                             cad_error_t *err);

/* Joins the worker threads and frees the context; NULL is allowed. */
CAD_API void cad_context_close(cad_context_t *ctx);

/* The device and instruction set in use, e.g. "cpu avx512"; the precision, "fp32" or
 * "bf16". Owned by the context. */
CAD_API const char *cad_context_device(const cad_context_t *ctx);
CAD_API const char *cad_context_precision(const cad_context_t *ctx);

/* Why "auto" computes on the CPU, and whether bf16 is slow there; "" if neither applies,
 * or if the device is NULL and no CUDA module is installed. Owned by the context. */
CAD_API const char *cad_context_note(const cad_context_t *ctx);

/* Bytes of working memory reserved by cad_context_open (touched only as needed). */
CAD_API size_t cad_context_bytes(const cad_context_t *ctx);

/* 1 if cad_options_t accepts this name of a device, present on this machine or not;
 * else 0. NULL, which is auto, gives 1. */
CAD_API int cad_device_known(const char *device);

/* ---- computing ----------------------------------------------------------
 *
 * A sequence or window without tokens (unless stated otherwise), one with more tokens than the
 * context's max_len (but see cad_score), and a token of CAD_VOCAB or more are refused (CAD_EARG). After an error
 * the output arrays are unchanged, except after cad_score's CAD_EFORMAT. */

/* The published forward pass of one sequence: tokens (L), hidden (L,
 * CAD_HIDDEN_WIDTH) or NULL, logits (L,V) or NULL; do not pass NULL for both. A Ph model's
 * logits are those of the given strand alone, not conjoined. A classifier has no such
 * logits: for it they must be NULL, or the call returns CAD_EARG. */
CAD_API int cad_forward(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *hidden, float *logits,
                        cad_error_t *err);

/* Both strands conjoined, logits (L,V): for PS as published; for Ph the mean of the
 * strand's logits and its reverse complement's, reverse-complemented back. A classifier
 * is refused (CAD_EARG). */
CAD_API int cad_forward_conjoined(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *logits,
                                  cad_error_t *err);

/* Classifier logits (CAD_LABELS) of one sequence, pooled over all its positions as the
 * context's head says. tokens_rc (len): the second strand, in its own order; NULL means
 * the reverse complement for PS and a single strand for Ph. A language model is refused
 * (CAD_EARG). */
CAD_API int cad_classify(cad_context_t *ctx, const uint8_t *tokens, const uint8_t *tokens_rc, int64_t len,
                         float *logits, cad_error_t *err);

/* A window: a core to be scored, with flanks that the model sees as well. cad_score
 * ignores embedding; cad_embed ignores skip and logp; cad_classify_all ignores skip, logp
 * and embedding; cad_passes ignores len, logp and embedding. */
typedef struct cad_window_t {
    const uint8_t *tokens;      /* (len) */
    int64_t len;                /* tokens in the window, flanks included */
    int64_t core_beg, core_end; /* the core: [core_beg, core_end) of tokens */
    const uint8_t *skip;        /* (len): non-zero = visible but not scored; or NULL */
    float *logp;                /* (core length, 4) written by cad_score */
    float *embedding;           /* written by cad_embed; its shape is given there */
} cad_window_t;

#define CAD_MASK_NONE 0    /* one pass, every base visible */
#define CAD_MASK_EACH (-1) /* one pass for each base, which is masked in it */
                           /* K > 0: K passes, each masking every K-th base */

/* Natural log-probabilities of A, C, G, T at the scored positions of n windows'
 * cores: log softmax of the conjoined logits over the four bases. A position is
 * scored if its token is A, C, G or T and it is not skipped; other rows of logp
 * are NaN. Each scored position is masked in one pass (see CAD_MASK_*). An empty core,
 * or window, is allowed, and the length of a window without scored positions is not limited.
 * CAD_EARG also for a classifier, for a mask below CAD_MASK_EACH, and for any but
 * CAD_MASK_NONE if the vocabulary lacks MASK. CAD_EFORMAT: a logit is not finite; logp then
 * holds no usable values. */
CAD_API int cad_score(cad_context_t *ctx, cad_window_t *windows, int n, int64_t mask, cad_error_t *err);

/* Embeddings of n windows' cores, with nothing masked. The embedding at position t is
 * (a_t + c_{L-1-t})/2, where a and c are the last hidden states of the two strands.
 * MEAN and MAX: embedding (D); NONE: (core length, D). An empty core is refused
 * (CAD_EARG). */
CAD_API int cad_embed(cad_context_t *ctx, cad_window_t *windows, int n, enum cad_pool_t pool, cad_error_t *err);

/* Classifier logits (n, CAD_LABELS) of n windows: both strands are conjoined, for Ph
 * too, and pooled over the core as the context's head says. An empty core and a language
 * model are refused (CAD_EARG). */
CAD_API int cad_classify_all(cad_context_t *ctx, const cad_window_t *windows, int n, float *logits, cad_error_t *err);

/* The number of forward passes (of both strands) that cad_score runs for this window.
 * The cost is that number times len. Nothing is checked: the core must lie within tokens,
 * and a mask below CAD_MASK_EACH counts as CAD_MASK_NONE. */
CAD_API int64_t cad_passes(const cad_model_t *model, const cad_window_t *window, int64_t mask);

/* Entropy -sum p log2 p, in bits, of one row of logp. */
CAD_API double cad_entropy(const float logp[4]);

/* ---- training ----------------------------------------------------------- */

/* Settings of training: call cad_recipe_init, then change members. The optimiser is
 * AdamW (Loshchilov and Hutter 2019); the gradient is clipped by its global norm.
 * Biases, embeddings, A_log and D do not decay. */
typedef struct cad_recipe_t {
    size_t size; /* of this struct, as the caller was compiled */
    int threads; /* default 1; results do not depend on it */
    /* 1: keep only each layer's input and recompute the rest: a third of the memory, a third
     * more time. A CUDA device always does. Default 0. */
    int recompute;
    int freeze;                                 /* 1: train only score.weight; default 0 */
    int64_t max_tokens;                         /* of the longest sequence; default CAD_MAX_LEN */
    enum cad_pool_t pool;                       /* of a classifier: CAD_POOL_MEAN (default) or MAX */
    double beta1, beta2, epsilon, weight_decay; /* 0.9, 0.95, 1e-8, 0.1 */
    double clip;                                /* 1.0; 0: the gradient is not clipped */
    /* As in cad_options_t. Gradients, moments and parameters are always float32. */
    const char *device, *precision;
} cad_recipe_t;
#define cad_recipe_init(recipe) cad_recipe_init_sized((recipe), sizeof(cad_recipe_t))
CAD_API void cad_recipe_init_sized(cad_recipe_t *recipe, size_t size);

/* Opens a trainer; recipe NULL: the defaults. The model is borrowed, changes with
 * every update and must outlive the trainer. */
typedef struct cad_trainer_t cad_trainer_t;
CAD_API int cad_trainer_open(cad_trainer_t **trainer, cad_model_t *model, const cad_recipe_t *recipe, cad_error_t *err);

/* Joins the trainer's threads and frees it; NULL is allowed. The model stays. */
CAD_API void cad_trainer_close(cad_trainer_t *trainer);

/* Device, precision and note, as for a context. Owned by the trainer. */
CAD_API const char *cad_trainer_device(const cad_trainer_t *trainer);
CAD_API const char *cad_trainer_precision(const cad_trainer_t *trainer);
CAD_API const char *cad_trainer_note(const cad_trainer_t *trainer);

/* Bytes of memory reserved (touched only as needed); number of updates so far. */
CAD_API size_t cad_trainer_bytes(const cad_trainer_t *trainer);
CAD_API int64_t cad_trainer_steps(const cad_trainer_t *trainer);

enum cad_loss_t {
    CAD_LOSS_TOKENS,  /* cross-entropy over all V columns at positions with a weight */
    CAD_LOSS_CLASSES, /* softmax cross-entropy; target: K probabilities */
    CAD_LOSS_BINARY,  /* logistic loss, summed over labels; target: K numbers in [0, 1] */
    CAD_LOSS_SQUARED  /* squared error, summed over labels; target: K numbers */
};

typedef struct cad_example_t {
    const uint8_t *tokens; /* (len) as the model sees them, masks included */
    int64_t len;
    const uint8_t *labels; /* TOKENS: (len) the true tokens; else NULL */
    const float *weight;   /* TOKENS: (len) weight of each position's loss; else NULL */
    const float *target;   /* other losses: (CAD_LABELS); else NULL */
} cad_example_t;

/* Masks a window of len tokens as pretraining does: chooses 15 % of the positions by
 * seed and window (any number); 80 % of these become MASK, 10 % a random token, 10 %
 * stay. masked, weight: (len). weight is 1 at chosen positions, but 0 at PAD and at
 * the token for N, and 0 elsewhere. Returns the number of ones. masked may be tokens. The
 * vocabulary must have a MASK (CAD_TOKEN_MASK is not -1); this is not checked. */
CAD_API int64_t cad_mask(const cad_model_t *model, uint64_t seed, uint64_t window, const uint8_t *tokens, int64_t len,
                         uint8_t *masked, float *weight);

/* Adds the sum of n examples' losses (in nats) to *sum and, if scale is not 0, scale
 * times its gradient to the trainer's gradient. The caller sets *sum before the first
 * call. A PS model sees both strands, a Ph model the given one. An example without scored
 * positions adds nothing. Weights and the number of updates do not change. CAD_EARG: nothing has
 * changed. After any other error *sum and the gradient may include some of the examples. */
CAD_API int cad_trainer_add(cad_trainer_t *trainer, enum cad_loss_t loss, const cad_example_t *examples, int n,
                            double scale, double *sum, cad_error_t *err);

/* Makes one update by AdamW with the gradient added up since the last one, then clears
 * it. lr: the learning rate. norm, if not NULL: the gradient's norm before clipping.
 * After an error, weights, moments and the number of updates are unchanged. CAD_EARG: the
 * gradient is not finite; *norm is set and the gradient cleared. Another error: a device
 * failed; *norm is not set, and the gradient is not to be used. */
CAD_API int cad_trainer_update(cad_trainer_t *trainer, double lr, double *norm, cad_error_t *err);

enum cad_cosine_t {
    CAD_COSINE_AFTER, /* the cosine begins where the warm-up ends (pretraining) */
    CAD_COSINE_OVER   /* the cosine spans all updates, as timm's; the warm-up replaces its
                         beginning (fine-tuning) */
};

/* The learning rate of update `step` (from 0) of `steps`: it rises linearly from 1e-6
 * (or from peak, if that is lower) to peak in the first floor(warmup x steps) updates,
 * then falls to last as half a cosine. warmup: 0 to 1. A pure function. */
CAD_API double cad_schedule(enum cad_cosine_t form, int64_t step, int64_t steps, double warmup, double peak,
                            double last);

/* Copies the gradient added up so far of the tensor with this published name (without
 * the prefix "caduceus."), in its published layout, to out. out has room for all values
 * of the tensor; its shape is that of the file that cad_model_save writes. CAD_EARG if there
 * is no such tensor, CAD_EDEVICE if a device failed; there is no text of the error. The
 * gradient of a tied pair is that of its first name. */
CAD_API int cad_trainer_gradient(cad_trainer_t *trainer, const char *name, float *out);

/* Saves parameters, moments and the number of updates in one file, whole or not at
 * all. note: any text, or NULL. Load returns it in *note, to be freed with free().
 * Both leave the gradient alone. If load fails, trainer and model may hold part of the
 * file: close them. */
CAD_API int cad_trainer_save(const cad_trainer_t *trainer, const char *path, const char *note, cad_error_t *err);
CAD_API int cad_trainer_load(cad_trainer_t *trainer, const char *path, char **note, cad_error_t *err);

#ifdef __cplusplus
}
#endif
#endif

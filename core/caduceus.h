/* caduceus.h - run Caduceus DNA language models.
 *
 * Schiff et al., "Caduceus: Bi-Directional Equivariant Long-Range DNA Sequence Modeling", ICML 2024 (arXiv
 * 2403.03234). D = d_model, V = rows of the embedding table, L = length of a sequence in tokens; one base is one
 * token. PS and Ph are the paper's two architectures: Caduceus-PS is equivariant to reverse complementing by
 * construction, Caduceus-Ph by averaging both strands.
 *
 * Conventions
 *   - A function that can fail returns 0 or a negative CAD_E* code and, if `err`
 *     is not NULL, writes one line of text into it. Objects are returned through
 *     the first argument, which is set to NULL on failure. A function without `err`
 *     says all by its code: its comment gives each code one cause.
 *   - The library never prints, exits or installs signal handlers.
 *   - Any number of threads and contexts may use one model at the same time. A call
 *     that changes the model (a trainer's update, or any that takes a non-const model)
 *     must not overlap another call on it, except that open contexts may compute with the
 *     weights that they were opened with. A model must outlive its contexts and trainers.
 *   - A context or a trainer serves one caller at a time and owns its threads.
 *   - The library uses pointers in structs only during the call, unless stated
 *     otherwise, and does not free them.
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
#define CAD_EFORMAT (-3) /* a file is malformed */
#define CAD_EARG (-4)    /* an argument is out of range or does not fit the model */
#define CAD_EDEVICE (-5) /* a device or its driver is missing or failed */

typedef struct cad_error_t {
    char text[768];
} cad_error_t;
typedef struct cad_model_t cad_model_t;
typedef struct cad_context_t cad_context_t;

/* Returns the version of the library, e.g. "0.2.0". Static; do not free it. */
CAD_API const char *cad_version(void);

/* Returns a short name of a CAD_E* code. Static; do not free it. */
CAD_API const char *cad_strerror(int code);

/* ---- model -------------------------------------------------------------- */

/* Opens a checkpoint: a folder with config.json and model.safetensors (or model.safetensors.index.json and its
 * shards), a .safetensors file with a config.json in the same folder, or "hf:ORG/NAME[@REV]", or its address, for a snapshot in the
 * local hub cache. Reads all weights into memory and checks them (shapes, equality of tied tensors, NaN). */
CAD_API int cad_model_open(cad_model_t **model, const char *path, cad_error_t *err);

/* Opens a checkpoint and adds a LoRA adapter in peft's layout: a folder, or hf:ORG/NAME[@REV], with adapter_config.json
 * and adapter_model.safetensors (or .bin). adapter NULL: no adapter; but if path is an adapter's folder, opens the base
 * model that this adapter names and adds the adapter. An adapter that changes the projections of the two directions
 * differently unties them. CAD_TEXT_SHA256 then covers the weight files of both model and adapter. */
CAD_API int cad_model_open_adapted(cad_model_t **model, const char *path, const char *adapter, cad_error_t *err);

/* Frees a model; NULL is allowed. */
CAD_API void cad_model_close(cad_model_t *model);

enum cad_number_t {
    CAD_D_MODEL = 1, /* D */
    CAD_N_LAYER,     /* number of layers */
    CAD_D_INNER,     /* E = expand x D */
    CAD_D_STATE,     /* N */
    CAD_D_CONV,      /* K */
    CAD_DT_RANK,     /* R */
    CAD_VOCAB,       /* V */
    CAD_LABELS,      /* number of a classifier's outputs; 0 for a language model */
    /* longest sequence in tokens: model_max_length of tokenizer_config.json if that is at most 2^20, else 131072
     * (Mamba-2: 8192) */
    CAD_MAX_LEN,
    CAD_PARAMETERS,    /* number of trained values; a tied tensor counts once */
    CAD_RCPS,          /* 1: Caduceus-PS, 0: Caduceus-Ph */
    CAD_BIDIRECTIONAL, /* 1 or 0 */
    CAD_HIDDEN_WIDTH,  /* width of last_hidden_state: 2D (PS) or D (Ph) */
    CAD_TOKEN_A,       /* token ids; logits have one column for each token id */
    CAD_TOKEN_C,
    CAD_TOKEN_G,
    CAD_TOKEN_T,
    CAD_TOKEN_MASK, /* this id and the ids after it are -1 if the vocabulary lacks the token */
    CAD_TOKEN_PAD,
    CAD_TOKEN_SEP,
    CAD_TOKEN_UNK,
    CAD_TOKEN_N
};
/* Returns one property of the model; -1 if the property is unknown or the model lacks it. */
CAD_API int64_t cad_model_number(const cad_model_t *model, enum cad_number_t what);

enum cad_text_t {
    /* SHA-256 of the weight file that was opened (of all shards, in the index's order); training and
     * cad_head_write do not change it */
    CAD_TEXT_SHA256 = 1,
    CAD_TEXT_DTYPE,   /* stored type of the weights: F32, F16, BF16 or F64, or several, separated by commas */
    CAD_TEXT_STATUS,  /* "status" in the weight file's metadata, "" if absent */
    CAD_TEXT_KIND,    /* "Caduceus-PS" or "Caduceus-Ph"; with Mamba-2 layers "Caduceus-PS, Mamba-2" */
    CAD_TEXT_DETAILS, /* dimensions and switches of config.json, one line */
    /* "table" (the published vocabulary), "plant" (PlantCaduceus) or the name of the file that was read */
    CAD_TEXT_VOCABULARY,
    CAD_TEXT_ADAPTER, /* the folder of the adapter that the model was opened with, or "" */
    CAD_TEXT_FOLDER   /* the folder that the model was opened from; "" if it was not opened but created */
};
/* Returns one property as text, owned by the model; "" if the property is unknown. */
CAD_API const char *cad_model_text(const cad_model_t *model, enum cad_text_t what);

/* Flag of cad_encode: N and IUPAC codes become token N, not PAD; no effect if the vocabulary lacks N. */
#define CAD_N_AS_TOKEN 1u

/* Encodes n letters, upper or lower case, as n token ids. Letters other than A, C,
 * G and T become PAD as in pretraining (UNK where the vocabulary has no N).
 * Returns the number of letters other than A, C, G, T and N (IUPAC and others). */
CAD_API int64_t cad_encode(const cad_model_t *model, const char *seq, int64_t n, unsigned flags, uint8_t *tokens);

/* Returns 0, 1, 2 or 3 if the token is A, C, G or T, else -1. */
CAD_API int cad_token_base(const cad_model_t *model, uint8_t token);

/* Sets out[i] to the complement of tokens[n-1-i]; out and tokens must not overlap. */
CAD_API void cad_reverse_complement(const cad_model_t *model, const uint8_t *tokens, int64_t n, uint8_t *out);

typedef struct cad_summary_t {
    char kind[32], dtype[64]; /* the same texts as CAD_TEXT_KIND and CAD_TEXT_DTYPE */
    int64_t d_model, n_layer, labels, max_len, parameters;
} cad_summary_t;
/* Describes a checkpoint, whose path is as for cad_model_open, from config.json and the headers of its weight files.
 * Succeeds where cad_model_open would; but the values of the weights are not read, so it also succeeds if the values
 * are damaged. */
CAD_API int cad_model_summary(cad_summary_t *summary, const char *path, cad_error_t *err);

/* ---- the local cache of the Hugging Face hub ---------------------------- */

/* The cache is where huggingface_hub keeps it: $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else hub in $HF_HOME, else
 * huggingface/hub in $XDG_CACHE_HOME, else in ~/.cache. The values of these variables may hold ~, ~USER, $NAME and
 * ${NAME}; an empty variable counts as not set. These functions read the environment and the cache; they write nothing
 * and use no network. */

typedef struct cad_hub_name_t {
    char model[97];     /* "ORG/NAME" */
    char revision[256]; /* a branch, a tag or a commit; "main" if none is given */
} cad_hub_name_t;
/* Returns 1 if a text names a model of the hub: it begins with "hf:", or is the address (URL) of a page of the hub, at
 * huggingface.co, hf.co or $HF_ENDPOINT; else 0. */
CAD_API int cad_hub_named(const char *text);
/* Splits "ORG/NAME" or "ORG/NAME@REV", with or without the prefix "hf:", or the address of a model's page or file, into
 * *name, and checks the parts. */
CAD_API int cad_hub_parse(cad_hub_name_t *name, const char *text, cad_error_t *err);

enum cad_hub_part_t {
    CAD_HUB_CACHE = 1, /* the folder of the cache */
    CAD_HUB_TOKEN,     /* the file of the user's token: $HF_TOKEN_PATH, else "token" in the folder that contains hub */
    CAD_HUB_MODEL,     /* the folder of a model */
    CAD_HUB_REF,       /* the file that holds the commit of revision `leaf`, without a line end */
    CAD_HUB_SNAPSHOT,  /* the folder of a model's files at commit `leaf`: links to blobs */
    CAD_HUB_BLOB,      /* the file with the bytes of a model's file; leaf: their SHA-256, or git's hash */
    CAD_HUB_LOCK       /* the file that is locked while blob `leaf` is downloaded */
};
/* Sets *path to the path of a part of the cache, which need not exist; free it with free(). model: "ORG/NAME", or NULL
 * for CAD_HUB_CACHE and CAD_HUB_TOKEN. leaf: NULL for these two and for CAD_HUB_MODEL. */
CAD_API int cad_hub_path(char **path, enum cad_hub_part_t part, const char *model, const char *leaf, cad_error_t *err);

typedef struct cad_snapshot_t {
    const char *model;     /* "ORG/NAME" */
    const char *commit;    /* "" for a model without snapshots */
    const char *revisions; /* branches and tags that point to the commit, separated by commas */
    const char *path;      /* path of the snapshot's folder; for a model without snapshots, of the model's folder */
    int64_t bytes;         /* size of the files in the folder */
} cad_snapshot_t;
/* Returns 0 to continue. Any other value ends cad_hub_list, which then returns that value. */
typedef int cad_hub_visit_f(void *arg, const cad_snapshot_t *snapshot);
/* Calls visit for each snapshot of each model in the cache, in the order of their folders' names. If the cache does not
 * exist, does not call visit and returns 0. */
CAD_API int cad_hub_list(cad_hub_visit_f *visit, void *arg, cad_error_t *err);

/* ---- making and saving models ------------------------------------------- */

/* Makes a model with the paper's initial values. config: the text of a config.json. The vocabulary is the
 * published one, or PlantCaduceus's if complement_map is PlantCaduceus's; its number of rows is rounded up to a
 * multiple of pad_vocab_size_multiple. max_len: CAD_MAX_LEN of the model, 1 to 2^20. The same seed gives the same
 * model. A classifier's config gives a classifier. CAD_TEXT_SHA256 is "". */
CAD_API int cad_model_create(cad_model_t **model, const char *config, int64_t max_len, uint64_t seed, cad_error_t *err);

/* Makes a classifier (or regressor) of `labels` outputs, 1 to 2^20, with a copy of the encoder of backbone, which
 * is a language model or a classifier. The initial values of score.weight are drawn from N(0, 0.02^2) by the seed.
 * The backbone may be closed afterwards. */
CAD_API int cad_model_classifier(cad_model_t **model, const cad_model_t *backbone, int64_t labels, uint64_t seed,
                                 cad_error_t *err);

/* Sets the model's CAD_MAX_LEN, 1 to 2^20 tokens. Open contexts and trainers keep
 * the length that they were opened with. */
CAD_API int cad_model_set_max_len(cad_model_t *model, int64_t max_len, cad_error_t *err);

/* Sets *config to the text of the config.json that cad_model_save would write; free it with free(). *config is
 * NULL on failure. */
CAD_API int cad_model_config(char **config, const cad_model_t *model, cad_error_t *err);

/* Replaces members of a config.json by those of `changes`, the text of a JSON object, and adds new ones. A member
 * that is itself an object, such as ssm_cfg, is replaced as a whole, not merged. *merged: the new text, to be
 * freed with free(); NULL on failure. */
CAD_API int cad_config_merge(char **merged, const char *config, const char *changes, cad_error_t *err);

/* How a model is saved: call cad_save_init, then change members. */
typedef struct cad_save_t {
    size_t size; /* size of this struct when the caller was compiled; set by cad_save_init */
    /* text for the metadata of model.safetensors (UTF-8; see CAD_TEXT_STATUS); "": none; NULL (default): the status
     * that the model was opened with */
    const char *status;
    const char *dtype; /* "F32" (default, also NULL), "F16" or "BF16": weights are rounded to nearest */
    const char *card;  /* text of the README.md to write; NULL (default): none */
    /* 1: a tied tensor is written under one of its names; 0 (default): under each, as transformers 4.51 and later
     * need both */
    int bare;
    /* 1: auto_map in config.json still names the Python classes in the model's own folder, and the caller copies the
     * files of these classes; 0 (default): auto_map names the hub's classes */
    int with_files;
} cad_save_t;
#define cad_save_init(how) cad_save_init_sized((how), sizeof(cad_save_t))
CAD_API void cad_save_init_sized(cad_save_t *how, size_t size);

/* Writes a checkpoint in the published format to folder dir, which is made if absent: config.json,
 * model.safetensors, tokenizer_config.json and, if the model was opened with one, tokenizer.json or vocab.txt. Keys
 * of config.json and tokenizer_config.json that the library does not know stay as they were read. All new files are
 * complete before the first of them replaces an old file; on failure the old files stay. Refuses (CAD_EARG) weights
 * that are NaN, infinite or too large for the type, and a folder with the tokenizer of another model. */
CAD_API int cad_model_export(const cad_model_t *model, const char *dir, const cad_save_t *how, cad_error_t *err);

/* Does the same as cad_model_export with the default settings and this status. */
CAD_API int cad_model_save(const cad_model_t *model, const char *dir, const char *status, cad_error_t *err);

/* Checks that cad_model_save can write this model's tokenizer into the existing folder dir: that dir holds no tokenizer
 * of another model, and that a file can be made in dir. Changes nothing. */
CAD_API int cad_model_save_check(const cad_model_t *model, const char *dir, cad_error_t *err);

/* ---- a classifier's head ------------------------------------------------ */

enum cad_pool_t { CAD_POOL_NONE, CAD_POOL_MEAN, CAD_POOL_MAX };

enum cad_head_kind_t {
    CAD_HEAD_CLASSES, /* one of K classes: softmax over the logits */
    CAD_HEAD_LABELS,  /* any of K labels: logistic function of each logit */
    CAD_HEAD_VALUES   /* K numbers: value = logit x scale + mean */
};

/* The meaning of a classifier's K outputs, as config.json stores it (problem_type, caduceus_pooling, id2label,
 * target_mean, target_scale, caduceus_longest). The arrays are allocated by the library and owned by the head; the caller may free a
 * name and put another malloc'd text in its place. */
typedef struct cad_head_t {
    size_t size;               /* size of this struct when the caller was compiled; set by cad_head_init */
    enum cad_head_kind_t kind; /* default CAD_HEAD_CLASSES */
    enum cad_pool_t pool;      /* how positions are pooled: CAD_POOL_MEAN (default) or CAD_POOL_MAX */
    int64_t n;                 /* K, the number of outputs */
    char **name;               // (K) UTF-8, without control characters
    double *mean, *scale;      // (K) each; NULL unless kind is CAD_HEAD_VALUES
    int64_t longest;           /* length of the longest sequence that it was trained on; 0: not known */
} cad_head_t;
#define cad_head_init(head) cad_head_init_sized((head), sizeof(cad_head_t))
CAD_API void cad_head_init_sized(cad_head_t *head, size_t size);

/* Allocates the arrays of a head for n outputs (1 or more). All names are NULL, all numbers 0. Set `kind` first; the
 * head must not have arrays yet. */
CAD_API int cad_head_room(cad_head_t *head, int64_t n, cad_error_t *err);

/* Reads the head of a classifier; returns CAD_EARG for a language model. Call cad_head_init first. Arrays that the head
 * already has are overwritten without being freed. A name that config.json lacks becomes LABEL_0, LABEL_1 and so on. On
 * failure the head has no arrays. */
CAD_API int cad_head_read(cad_head_t *head, const cad_model_t *model, cad_error_t *err);

/* Stores the head in a classifier that has the same number of outputs. cad_model_save will write the head, and contexts
 * opened afterwards use the head's pooling. */
CAD_API int cad_head_write(const cad_head_t *head, cad_model_t *model, cad_error_t *err);

/* Removes the bias of a classifier's head, which Python's classes lack, if this can be done without changing a result.
 * For CAD_HEAD_VALUES the bias is added to target_mean. For CAD_HEAD_CLASSES a bias that is the same for all classes is
 * dropped, since it cancels in the softmax. In any other case returns CAD_EARG with the reason. A model without a bias
 * stays unchanged. No context or trainer may be open on the model. */
CAD_API int cad_head_fold_bias(cad_model_t *model, cad_error_t *err);

/* Frees the head's arrays and keeps its kind and pool. A head without arrays is allowed. */
CAD_API void cad_head_free(cad_head_t *head);

/* ---- context ------------------------------------------------------------ */

/* Settings of a context: call cad_options_init, then change members. */
typedef struct cad_options_t {
    size_t size; /* size of this struct when the caller was compiled; set by cad_options_init */
    /* "cpu", "cuda", "cuda:I" (device I, counted from 0), or "auto": CUDA if its module, a driver and a device are
     * found, else the CPU. Default NULL, which means auto. */
    const char *device;
    /* "fp32", or "bf16": inputs of matrix products are bfloat16, all else is float32. Default NULL: fp32 on the
     * CPU, bf16 on CUDA. */
    const char *precision;
    int threads;     /* number of CPU threads that compute, 1 to 4096; default 1 */
    int64_t max_len; /* length of the longest sequence, in tokens; default CAD_MAX_LEN */
} cad_options_t;
#define cad_options_init(options) cad_options_init_sized((options), sizeof(cad_options_t))
CAD_API void cad_options_init_sized(cad_options_t *options, size_t size);

/* Opens a context; options NULL means the defaults. Memory for activations is reserved once, here; later calls
 * allocate only memory for intermediate results. A context keeps the weights and the head that the model had when
 * the context was opened. */
CAD_API int cad_context_open(cad_context_t **ctx, const cad_model_t *model, const cad_options_t *options,
                             cad_error_t *err);

/* As cad_context_open, and hands the model's weights over, so that they are held in memory once, not twice. The model
 * keeps its numbers, texts and vocabulary, and must stay open; opening another context or a trainer, saving, and making
 * a classifier of it then fail with CAD_EARG, also if this call failed. No other thread may use the model meanwhile. */
CAD_API int cad_context_open_last(cad_context_t **ctx, cad_model_t *model, const cad_options_t *options,
                                  cad_error_t *err);

/* Joins the worker threads and frees the context; NULL is allowed. */
CAD_API void cad_context_close(cad_context_t *ctx);

/* cad_context_device returns the device and instruction set in use, e.g. "cpu avx512". cad_context_precision returns
 * "fp32" or "bf16". The texts are owned by the context. */
CAD_API const char *cad_context_device(const cad_context_t *ctx);
CAD_API const char *cad_context_precision(const cad_context_t *ctx);

/* Returns the reasons for a slow run: why "auto" fell back to the CPU (not given if no module or driver is installed,
 * unless $CADUCEUS_CUDA_MODULE names a module), and that the CPU has no bfloat16 instructions, so that bf16 is slower
 * than fp32. "" if there is no reason. The text is owned by the context. */
CAD_API const char *cad_context_note(const cad_context_t *ctx);

/* Returns the bytes of working memory that cad_context_open reserved. A call touches only the part that it needs. */
CAD_API size_t cad_context_bytes(const cad_context_t *ctx);

/* Returns the number of tokens that cad_score and cad_embed have computed with this context so far. Each forward pass
 * of a window, which covers both strands, counts the window's length once. Any thread may call this function while
 * another thread computes. A window that is still being computed counts in part. */
CAD_API int64_t cad_context_done(const cad_context_t *ctx);

/* Returns 1 if cad_options_t accepts this device name, whether or not this machine has the device; else 0. NULL,
 * which means auto, gives 1. */
CAD_API int cad_device_known(const char *device);

/* ---- computing ----------------------------------------------------------
 *
 * The following are refused (CAD_EARG): a sequence or window without tokens (unless stated otherwise), a sequence or
 * window with more tokens than the context's max_len (but see cad_score), and a token id of CAD_VOCAB or more. After an
 * error the output arrays are unchanged, except when cad_score returns CAD_EFORMAT. */

/* Computes the published forward pass of one sequence: tokens (L); hidden (L, CAD_HIDDEN_WIDTH) or NULL; logits (L,V)
 * or NULL, but not both NULL. The logits of a Ph model are those of the given strand alone, not conjoined. A classifier
 * has no such logits: `logits` must be NULL, or the call returns CAD_EARG. */
CAD_API int cad_forward(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *hidden, float *logits,
                        cad_error_t *err);

/* Computes logits (L,V) of both strands conjoined. For PS these are the published logits. For Ph they are the mean
 * of two sets of logits: those of the given strand, and those of its reverse complement, reversed and complemented
 * back. A classifier is refused (CAD_EARG). */
CAD_API int cad_forward_conjoined(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *logits,
                                  cad_error_t *err);

/* Computes the classifier's logits (CAD_LABELS) of one sequence, pooled over all its positions as the context's head
 * says. tokens_rc (len): tokens of the second strand, in that strand's own order; NULL means the reverse complement for
 * PS, and no second strand for Ph. A language model is refused (CAD_EARG). */
CAD_API int cad_classify(cad_context_t *ctx, const uint8_t *tokens, const uint8_t *tokens_rc, int64_t len,
                         float *logits, cad_error_t *err);

/* A window: its core is scored; the flanks around the core are read by the model too. cad_score ignores embedding;
 * cad_embed ignores skip and logp; cad_classify_all ignores skip, logp and embedding; cad_passes ignores logp and
 * embedding. */
typedef struct cad_window_t {
    const uint8_t *tokens;      /* (len) */
    int64_t len;                /* tokens in the window, flanks included */
    int64_t core_beg, core_end; /* the core: tokens core_beg to core_end - 1 */
    const uint8_t *skip;        /* (len) non-zero: visible to the model but not scored; or NULL */
    float *logp;                /* (core length, 4), written by cad_score */
    float *embedding;           /* written by cad_embed, which states its shape */
} cad_window_t;

#define CAD_MASK_NONE 0    /* one forward pass, in which every base is visible */
#define CAD_MASK_EACH (-1) /* one forward pass for each base, in which that base is masked */
                           /* K > 0: K forward passes, each of which masks every K-th base */

/* Computes natural log-probabilities of A, C, G, T at the scored positions of n windows' cores: log softmax of the
 * conjoined logits over the four bases. A position is scored if its token is A, C, G or T and `skip` does not exclude
 * it; rows of logp of other positions are NaN. Each scored position is masked in one forward pass, or in none (see
 * CAD_MASK_*). An empty core and an empty window are allowed, and a window without scored positions may be longer than
 * max_len. Returns CAD_EARG also for a classifier, for a mask below CAD_MASK_EACH, and for a mask other than
 * CAD_MASK_NONE if the vocabulary lacks MASK. Returns CAD_EFORMAT if a logit is not finite; logp then holds no usable
 * values. */
CAD_API int cad_score(cad_context_t *ctx, cad_window_t *windows, int n, int64_t mask, cad_error_t *err);

/* Computes embeddings of n windows' cores, with nothing masked. The embedding at position t is (a_t + c_{L-1-t})/2,
 * where `a` and `c` are the last hidden states of the two strands, each in its own order. The shape of `embedding` is
 * (D) for CAD_POOL_MEAN and CAD_POOL_MAX, and (core length, D) for CAD_POOL_NONE. An empty core is refused
 * (CAD_EARG). */
CAD_API int cad_embed(cad_context_t *ctx, cad_window_t *windows, int n, enum cad_pool_t pool, cad_error_t *err);

/* Computes the classifier's logits (n, CAD_LABELS) of n windows: the mean of both strands, for Ph too, is pooled over
 * the core as the context's head says. An empty core and a language model are refused (CAD_EARG). */
CAD_API int cad_classify_all(cad_context_t *ctx, const cad_window_t *windows, int n, float *logits, cad_error_t *err);

/* Returns the number of forward passes (of both strands) that cad_score runs for this window. The cost of a window
 * is that number times len. Returns CAD_EARG if cad_score would refuse the window (the core does not lie within it, or
 * the vocabulary does not have one of its tokens) or the mask (below CAD_MASK_EACH). */
CAD_API int64_t cad_passes(const cad_model_t *model, const cad_window_t *window, int64_t mask);

/* Returns the entropy -sum p log2 p, in bits, of one row of logp. */
CAD_API double cad_entropy(const float logp[4]);

/* ---- training ----------------------------------------------------------- */

/* Settings of training: call cad_recipe_init, then change members. The optimiser is AdamW (Loshchilov and Hutter
 * 2019); the gradient is clipped by its global norm. Weight decay does not apply to biases, embeddings,
 * A_log and D. */
typedef struct cad_recipe_t {
    size_t size; /* size of this struct when the caller was compiled; set by cad_recipe_init */
    int threads; /* number of CPU threads, 1 to 4096; default 1. Results do not depend on it */
    /* 1: keep only the input of each layer and recompute the other activations, which takes a third of the memory
     * and a third more time. A CUDA device always does this. Default 0. */
    int recompute;
    int freeze;                                 /* 1: train only the head, score.weight and score.bias; default 0 */
    int64_t max_tokens;                         /* tokens of the longest sequence; default CAD_MAX_LEN */
    enum cad_pool_t pool;                       /* how a classifier pools: CAD_POOL_MEAN (default) or CAD_POOL_MAX */
    double beta1, beta2, epsilon, weight_decay; /* default 0.9, 0.95, 1e-8, 0.1 */
    double clip;                                /* largest norm of the gradient, default 1.0; 0: no clipping */
    /* device and precision, as in cad_options_t. Gradients, moments and parameters are always float32. */
    const char *device, *precision;
} cad_recipe_t;
#define cad_recipe_init(recipe) cad_recipe_init_sized((recipe), sizeof(cad_recipe_t))
CAD_API void cad_recipe_init_sized(cad_recipe_t *recipe, size_t size);

/* Opens a trainer; recipe NULL means the defaults. The trainer changes the model with every update; the model must
 * outlive the trainer. */
typedef struct cad_trainer_t cad_trainer_t;
CAD_API int cad_trainer_open(cad_trainer_t **trainer, cad_model_t *model, const cad_recipe_t *recipe, cad_error_t *err);

/* Joins the trainer's threads and frees the trainer; NULL is allowed. The model stays open. */
CAD_API void cad_trainer_close(cad_trainer_t *trainer);

/* Return the same as cad_context_device, cad_context_precision and cad_context_note, for a trainer. The texts are owned
 * by the trainer. */
CAD_API const char *cad_trainer_device(const cad_trainer_t *trainer);
CAD_API const char *cad_trainer_precision(const cad_trainer_t *trainer);
CAD_API const char *cad_trainer_note(const cad_trainer_t *trainer);

/* cad_trainer_bytes returns the bytes of memory that the trainer has reserved; they are touched only as needed.
 * cad_trainer_steps returns the number of updates made. */
CAD_API size_t cad_trainer_bytes(const cad_trainer_t *trainer);
CAD_API int64_t cad_trainer_steps(const cad_trainer_t *trainer);

enum cad_loss_t {
    CAD_LOSS_TOKENS,  /* cross-entropy over all V tokens, at positions whose weight is above 0 */
    CAD_LOSS_CLASSES, /* softmax cross-entropy; target: K probabilities (K = CAD_LABELS) */
    CAD_LOSS_BINARY,  /* logistic loss, summed over labels; target: K numbers in [0, 1] */
    CAD_LOSS_SQUARED  /* squared error, summed over labels; target: K numbers */
};

typedef struct cad_example_t {
    const uint8_t *tokens; /* (len) the model's input: masked positions hold MASK */
    int64_t len;
    const uint8_t *labels; /* CAD_LOSS_TOKENS: (len) the true tokens; other losses: NULL */
    const float *weight;   /* CAD_LOSS_TOKENS: (len) weight of each position's loss; other losses: NULL */
    const float *target;   /* CAD_LOSS_TOKENS: NULL; other losses: (CAD_LABELS) the target */
} cad_example_t;

/* Masks a window of len tokens as pretraining does. The seed and `window` (any number that identifies the window)
 * choose 15 % of the positions; of these, 80 % become MASK, 10 % a random token, and 10 % stay as they are.
 * masked, weight: (len). weight is 1 at chosen positions, except at PAD and at the token for N, and 0 elsewhere.
 * Returns the number of positions whose weight is 1. masked may be the same array as tokens. The vocabulary must
 * have a MASK token (CAD_TOKEN_MASK is not -1); this is not checked. */
CAD_API int64_t cad_mask(const cad_model_t *model, uint64_t seed, uint64_t window, const uint8_t *tokens, int64_t len,
                         uint8_t *masked, float *weight);

/* Adds the sum of the losses (in nats) of n examples to *sum and, if scale is not 0, scale times the gradient of that
 * sum to the trainer's gradient. The caller sets *sum before the first call. A PS model computes both strands of an
 * example, a Ph model the given strand only. An example without scored positions adds nothing. The weights and the
 * number of updates do not change. After CAD_EARG nothing has changed. After any other error *sum and the gradient may
 * include some of the examples. */
CAD_API int cad_trainer_add(cad_trainer_t *trainer, enum cad_loss_t loss, const cad_example_t *examples, int n,
                            double scale, double *sum, cad_error_t *err);

/* Sets a callback that can show progress. Each time cad_trainer_add has computed some of its examples, it calls
 * watch(arg, tokens) on its caller's thread; tokens is the number of tokens in those examples. watch NULL removes the
 * callback. */
CAD_API void cad_trainer_watch(cad_trainer_t *trainer, void (*watch)(void *arg, int64_t tokens), void *arg);

/* Makes one update by AdamW with the gradient added up since the last update, then clears the gradient. lr: the
 * learning rate. norm, if not NULL: receives the gradient's norm before clipping. After an error, weights, moments
 * and the number of updates are unchanged. CAD_EARG: the gradient is not finite; *norm is set and the gradient is
 * cleared. Another error: a device failed; *norm is not set, and the gradient must not be used. */
CAD_API int cad_trainer_update(cad_trainer_t *trainer, double lr, double *norm, cad_error_t *err);

enum cad_cosine_t {
    CAD_COSINE_AFTER, /* the cosine begins where the warm-up ends; used for pretraining */
    /* the cosine spans all updates, and the warm-up replaces its beginning, as in the library timm; used for
     * fine-tuning */
    CAD_COSINE_OVER
};

/* Returns the learning rate of update `step` (from 0) of `steps`: it rises linearly from 1e-6 (or from peak, if that
 * is lower) to peak in the first floor(warmup x steps) updates, then falls to `last` along half a cosine. warmup: 0
 * to 1. */
CAD_API double cad_schedule(enum cad_cosine_t form, int64_t step, int64_t steps, double warmup, double peak,
                            double last);

/* Copies to out a tensor's gradient, added up since the last update, in the published layout. name: the tensor's
 * published name, without the prefix "caduceus.". out must have room for all values of the tensor, whose shape is that
 * in the file that cad_model_save writes. Returns CAD_EARG if there is no such tensor, CAD_EDEVICE if a device failed;
 * then nothing is written to out. The gradient of two tied tensors is found under the name of the first. */
CAD_API int cad_trainer_gradient(cad_trainer_t *trainer, const char *name, float *out);

/* cad_trainer_save writes parameters, moments and the number of updates to one file, completely or not at all. note:
 * any text, or NULL. cad_trainer_load reads them and sets *note to that text, to be freed with free(). Neither function
 * changes the gradient. If cad_trainer_load fails, the trainer and the model may hold some of the file's values: close
 * both. */
CAD_API int cad_trainer_save(const cad_trainer_t *trainer, const char *path, const char *note, cad_error_t *err);
CAD_API int cad_trainer_load(cad_trainer_t *trainer, const char *path, char **note, cad_error_t *err);

#ifdef __cplusplus
}
#endif
#endif

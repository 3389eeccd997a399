/* caduceus.h - runs Caduceus DNA language models.
 *
 * Schiff et al., "Caduceus: Bi-Directional Equivariant Long-Range DNA Sequence Modeling", ICML 2024 (arXiv 2403.03234).
 * In shapes, D = d_model, V = rows of the embedding table, L = length of a sequence in tokens; one base is one token.
 * PS and Ph are the paper's two architectures: Caduceus-PS is equivariant to reverse complementing by construction,
 * Caduceus-Ph by averaging both strands.
 *
 * Conventions
 *   - A function that can fail returns 0 or a negative CAD_E* code and, if `err`
 *     is not NULL, writes one line of text to it. Objects are returned through
 *     the first argument, which is set to NULL on failure. The comment of a
 *     function without `err` says what each code means.
 *   - The library never prints, exits or installs signal handlers.
 *   - Any number of threads and contexts may use one model at the same time. A call
 *     that changes the model (a trainer's update, or any function that takes a
 *     non-const model) must not overlap with another call that uses the model.
 *     Exception: open contexts may compute meanwhile, with the weights that they were
 *     opened with. A model must outlive its contexts and trainers.
 *   - A context or a trainer serves one caller at a time and owns its threads.
 *   - The library uses the pointers in a caller's struct only during the call, unless
 *     stated otherwise, and does not free them.
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

/* Returns the version of the library, e.g. "0.3.0". The text is static; do not free it. */
CAD_API const char *cad_version(void);

/* Returns a short description of a CAD_E* code. The text is static; do not free it. */
CAD_API const char *cad_strerror(int code);

/* ---- model -------------------------------------------------------------- */

/* Opens a checkpoint. path: a folder with config.json and model.safetensors (or model.safetensors.index.json and its
 * shards), a .safetensors file with a config.json in the same folder, or a snapshot in the local hub cache, given as
 * "hf:ORG/NAME[@REV]" or as the address of its page. Reads all weights into memory and checks them (shapes, equality of
 * tied tensors, NaN). */
CAD_API int cad_model_open(cad_model_t **model, const char *path, cad_error_t *err);

/* Opens a checkpoint and adds a LoRA adapter in peft's layout. adapter: a folder, or hf:ORG/NAME[@REV], with
 * adapter_config.json and adapter_model.safetensors (or .bin). adapter NULL: no adapter; but if path is an adapter's
 * folder, opens the base model that this adapter names and adds the adapter. If the adapter changes the projections of
 * a layer's two directions differently, these are no longer tied. CAD_TEXT_SHA256 covers the weight files of both model
 * and adapter. */
CAD_API int cad_model_open_adapted(cad_model_t **model, const char *path, const char *adapter, cad_error_t *err);

/* Frees a model; NULL is allowed. */
CAD_API void cad_model_close(cad_model_t *model);

enum cad_number_t {
    CAD_D_MODEL = 1, /* D */
    CAD_N_LAYER,     /* number of layers */
    CAD_D_INNER,     /* width of a layer's inner channels: expand x D */
    CAD_D_STATE,     /* number of states of a channel (d_state) */
    CAD_D_CONV,      /* number of taps of the convolution (d_conv) */
    CAD_DT_RANK,     /* rank of dt's projection (dt_rank) */
    CAD_VOCAB,       /* V, the rows of the embedding table */
    CAD_LABELS,      /* number of a classifier's outputs; 0 for a language model */
    /* longest sequence in tokens: model_max_length of tokenizer_config.json if that is at most 2^20, else 131072
     * (Mamba-2: 8192; with hyena layers max_seq_len, which it never exceeds) */
    CAD_MAX_LEN,
    CAD_PARAMETERS,    /* number of trainable values; a tied tensor counts once */
    CAD_RCPS,          /* 1: Caduceus-PS, 0: Caduceus-Ph */
    CAD_BIDIRECTIONAL, /* 1 if layers have two directions, else 0 */
    CAD_HIDDEN_WIDTH,  /* width of last_hidden_state: 2D (PS) or D (Ph) */
    CAD_TOKEN_A,       /* token ids; logits have one column for each token id */
    CAD_TOKEN_C,
    CAD_TOKEN_G,
    CAD_TOKEN_T,
    CAD_TOKEN_MASK, /* this id and the following ones are -1 if the vocabulary lacks the token */
    CAD_TOKEN_PAD,
    CAD_TOKEN_SEP,
    CAD_TOKEN_UNK,
    CAD_TOKEN_N,
    CAD_BIN, /* bases that the outputs of a classifier stand for (cad_head_t.bin) */
    /* bases that a row of the last layer stands for: 1, unless layers pool rows. If it is more, only cad_classify,
     * cad_classify_all, cad_embed with CAD_POOL_MEAN and the training of classifiers work, since no base has a row of its
     * own; others return CAD_EARG */
    CAD_STRIDE,
    /* 1 if the logits of a position are those of the next token, as in HyenaDNA, else 0: they are those of its own token,
     * which is masked */
    CAD_NEXT
};
/* Returns one property of the model; -1 if the property is unknown or the model lacks it. */
CAD_API int64_t cad_model_number(const cad_model_t *model, enum cad_number_t what);

enum cad_text_t {
    /* SHA-256 of the weight file that was opened; for shards, of all of them in the index's order. Training and
     * cad_head_write do not change this text */
    CAD_TEXT_SHA256 = 1,
    CAD_TEXT_DTYPE,   /* stored type of the weights: F32, F16, BF16 or F64, or several, separated by commas */
    CAD_TEXT_STATUS,  /* "status" in the weight file's metadata, "" if absent */
    CAD_TEXT_KIND,    /* "Caduceus-PS" or "Caduceus-Ph"; with Mamba-2 layers "Caduceus-PS, Mamba-2" */
    CAD_TEXT_DETAILS, /* dimensions and switches of config.json, one line */
    /* "table" (the built-in vocabulary of the published models), "plant" (that of PlantCaduceus), or the name of the
     * tokenizer file that was read */
    CAD_TEXT_VOCABULARY,
    CAD_TEXT_ADAPTER, /* the folder of the adapter that the model was opened with, or "" */
    CAD_TEXT_FOLDER   /* the folder that the model was opened from; "" if it was not opened but created */
};
/* Returns one property as text, owned by the model; "" if the property is unknown. */
CAD_API const char *cad_model_text(const cad_model_t *model, enum cad_text_t what);

/* Flag of cad_encode: N and IUPAC codes become token N instead of PAD; no effect if the vocabulary lacks N. */
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
/* Describes a checkpoint from config.json and the headers of its weight files. path: as for cad_model_open. The
 * function succeeds where cad_model_open would, and also where only the values of the weights are damaged, since it
 * does not read them. */
CAD_API int cad_model_summary(cad_summary_t *summary, const char *path, cad_error_t *err);

/* ---- the local cache of the Hugging Face hub ---------------------------- */

/* The cache is the folder that huggingface_hub uses: $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else hub in $HF_HOME,
 * else huggingface/hub in $XDG_CACHE_HOME, else huggingface/hub in ~/.cache. The values of these variables may contain
 * ~, ~USER, $NAME and ${NAME}; an empty variable counts as not set. The following functions read the environment and
 * the cache; they write nothing and use no network. */

typedef struct cad_hub_name_t {
    char model[97];     /* "ORG/NAME" */
    char revision[256]; /* a branch, a tag or a commit; "main" if none is given */
} cad_hub_name_t;
/* Returns 1 if a text names a model of the hub, that is, if it begins with "hf:" or is the address (URL) of a page of
 * the hub at huggingface.co, hf.co or $HF_ENDPOINT; else 0. */
CAD_API int cad_hub_named(const char *text);
/* Splits text into model and revision, checks both and stores them in *name. text: "ORG/NAME" or "ORG/NAME@REV", with
 * or without the prefix "hf:", or the address of a page of the model or of one of its files. */
CAD_API int cad_hub_parse(cad_hub_name_t *name, const char *text, cad_error_t *err);

enum cad_hub_part_t {
    CAD_HUB_CACHE = 1, /* the folder of the cache */
    CAD_HUB_TOKEN,     /* the file of the user's token: $HF_TOKEN_PATH, else "token" in the folder that contains hub */
    CAD_HUB_MODEL,     /* the folder of a model */
    CAD_HUB_REF,       /* the file that holds the commit of revision `leaf`, without a line end */
    CAD_HUB_SNAPSHOT,  /* the folder of a model's files at commit `leaf`; the files are links to blobs */
    CAD_HUB_BLOB,      /* a blob: the content of one of the model's files; leaf: its SHA-256 or its git hash */
    CAD_HUB_LOCK       /* the file that is locked while blob `leaf` is downloaded */
};
/* Sets *path to the path of a part of the cache, which need not exist; free *path with free(). model: "ORG/NAME", or
 * NULL for CAD_HUB_CACHE and CAD_HUB_TOKEN. leaf: as described above; NULL for these two parts and for
 * CAD_HUB_MODEL. */
CAD_API int cad_hub_path(char **path, enum cad_hub_part_t part, const char *model, const char *leaf, cad_error_t *err);

typedef struct cad_snapshot_t {
    const char *model;     /* "ORG/NAME" */
    const char *commit;    /* "" for a model without snapshots */
    const char *revisions; /* branches and tags that point to the commit, separated by commas */
    const char *path;      /* path of the snapshot's folder; for a model without snapshots, of the model's folder */
    int64_t bytes;         /* size of the files in the folder */
} cad_snapshot_t;
/* A function that cad_hub_list calls for each snapshot. It returns 0 to continue; any other value ends cad_hub_list,
 * which then returns that value. */
typedef int cad_hub_visit_f(void *arg, const cad_snapshot_t *snapshot);
/* Calls visit for each snapshot of each model in the cache, sorted by the names of their folders. If the cache does not
 * exist, returns 0 without calling visit. */
CAD_API int cad_hub_list(cad_hub_visit_f *visit, void *arg, cad_error_t *err);

/* ---- making and saving models ------------------------------------------- */

/* Makes a model with the paper's initial values. config: the text of a config.json; if it describes a classifier, the
 * model is a classifier. The vocabulary is the published one, or PlantCaduceus's if complement_map is PlantCaduceus's;
 * its number of rows is rounded up to a multiple of pad_vocab_size_multiple. max_len: CAD_MAX_LEN of the model, 1 to
 * 2^20. The same seed gives the same model. CAD_TEXT_SHA256 of the model is "". */
CAD_API int cad_model_create(cad_model_t **model, const char *config, int64_t max_len, uint64_t seed, cad_error_t *err);

/* Makes a classifier (or regressor) with `labels` outputs, 1 to 2^20. Its encoder is a copy of that of `backbone`,
 * which is a language model or a classifier and may be closed afterwards. The initial values of score.weight are drawn
 * from N(0, 0.02^2), as the seed determines. */
CAD_API int cad_model_classifier(cad_model_t **model, const cad_model_t *backbone, int64_t labels, uint64_t seed,
                                 cad_error_t *err);

/* Sets the model's CAD_MAX_LEN, 1 to 2^20 tokens. Open contexts and trainers keep
 * the length that they were opened with. */
CAD_API int cad_model_set_max_len(cad_model_t *model, int64_t max_len, cad_error_t *err);

/* Sets *config to the text of the config.json that cad_model_save would write; free it with free(). *config is
 * NULL on failure. */
CAD_API int cad_model_config(char **config, const cad_model_t *model, cad_error_t *err);

/* Merges two texts: replaces members of config, the text of a config.json, by those of `changes`, the text of a JSON
 * object, and adds new ones. A member that is itself an object, such as ssm_cfg, is replaced as a whole. *merged: the
 * new text, to be freed with free(); NULL on failure. */
CAD_API int cad_config_merge(char **merged, const char *config, const char *changes, cad_error_t *err);

/* How a model is saved: call cad_save_init, then change members. */
typedef struct cad_save_t {
    size_t size; /* size of this struct when the caller was compiled; set by cad_save_init */
    /* text (UTF-8) for "status" in the metadata of model.safetensors; "": none; NULL (default): the status that the
     * model was opened with */
    const char *status;
    const char *dtype; /* "F32" (default, also NULL), "F16" or "BF16": weights are rounded to nearest */
    const char *card;  /* text of the README.md to write; NULL (default): none */
    /* 1: a tied tensor is written under one of its two names; 0 (default): under both, which transformers 4.51 and
     * later need */
    int bare;
    /* 1: auto_map in config.json keeps naming Python files in the model's own folder, and the caller copies these
     * files; 0 (default): auto_map names the classes on the hub */
    int with_files;
} cad_save_t;
#define cad_save_init(how) cad_save_init_sized((how), sizeof(cad_save_t))
CAD_API void cad_save_init_sized(cad_save_t *how, size_t size);

/* Writes a checkpoint in the published format to folder dir, which is made if absent: config.json, model.safetensors,
 * tokenizer_config.json and, if the model was opened with one, tokenizer.json or vocab.txt. Keys of config.json and
 * tokenizer_config.json that the library does not know stay as they were read. All new files are complete before the
 * first of them replaces an old file; on failure the old files stay. Returns CAD_EARG if a weight is NaN, infinite or
 * too large for the type, or if the folder has a tokenizer of another model. */
CAD_API int cad_model_export(const cad_model_t *model, const char *dir, const cad_save_t *how, cad_error_t *err);

/* Does the same as cad_model_export with the default settings and this status. */
CAD_API int cad_model_save(const cad_model_t *model, const char *dir, const char *status, cad_error_t *err);

/* Checks that cad_model_save can write to the existing folder dir: that dir has no tokenizer of another model, and that
 * a file can be made in dir. Changes nothing. */
CAD_API int cad_model_save_check(const cad_model_t *model, const char *dir, cad_error_t *err);

/* ---- a classifier's head ------------------------------------------------ */

/* CAD_POOL_ATTENTION, for classifiers only: the sum of p[r] h[r] over the rows h[r] (D) of each strand, where p is the
 * softmax over rows of w . h[r]; w (D) is the tensor pool.weight of the head. */
enum cad_pool_t { CAD_POOL_NONE, CAD_POOL_MEAN, CAD_POOL_MAX, CAD_POOL_ATTENTION };

enum cad_head_kind_t {
    CAD_HEAD_CLASSES, /* the example is in one of K classes: softmax over the logits */
    CAD_HEAD_LABELS,  /* the example has any of K labels: logistic function of each logit */
    CAD_HEAD_VALUES,  /* K numbers are predicted: value = logit x scale + mean */
    CAD_HEAD_COUNTS   /* K rates are predicted, as of counts: value = exp(logit) x scale */
};

/* The meaning of a classifier's K outputs, as config.json stores it (problem_type, caduceus_pooling, id2label,
 * target_mean, target_scale, caduceus_longest, caduceus_pad). The arrays are allocated by the library and owned by the head. The
 * caller may free a name and replace it by another malloc'd text. */
typedef struct cad_head_t {
    size_t size;               /* size of this struct when the caller was compiled; set by cad_head_init */
    enum cad_head_kind_t kind; /* default CAD_HEAD_CLASSES */
    /* how the rows of all positions are pooled: CAD_POOL_MEAN (default), CAD_POOL_MAX or, unless bin is set,
     * CAD_POOL_ATTENTION */
    enum cad_pool_t pool;
    int64_t n;            /* K, the number of outputs */
    char **name;          // (K) UTF-8, without control characters
    double *mean, *scale; // (K) each; NULL unless kind is CAD_HEAD_VALUES or CAD_HEAD_COUNTS
    int64_t longest;      /* length of the longest sequence that the head was trained on; 0: not known */
    int64_t bin; /* bases that K outputs stand for: 1 each base, b bins of b bases; default 0, the whole sequence */
    int64_t pad; /* sequences were padded on the left or cut on the right to this length; default 0, neither */
} cad_head_t;
#define cad_head_init(head) cad_head_init_sized((head), sizeof(cad_head_t))
CAD_API void cad_head_init_sized(cad_head_t *head, size_t size);

/* Allocates the arrays of a head for n outputs (1 or more). All names are NULL and all numbers 0 afterwards. Set
 * head->kind first; the head must not have arrays yet. */
CAD_API int cad_head_room(cad_head_t *head, int64_t n, cad_error_t *err);

/* Reads the head of a classifier; returns CAD_EARG for a language model. Call cad_head_init first. Arrays that the head
 * already has are overwritten without being freed. A name that config.json lacks becomes LABEL_0, LABEL_1 and so on. On
 * failure the head has no arrays. */
CAD_API int cad_head_read(cad_head_t *head, const cad_model_t *model, cad_error_t *err);

/* Stores the head in a classifier that has the same number of outputs. cad_model_save will write the head, and contexts
 * opened afterwards use the head's pooling. Changing it to CAD_POOL_ATTENTION adds the tensor pool.weight, all 0, which
 * gives the mean, and changing it from there removes the tensor; then no context or trainer may be open on the model. */
CAD_API int cad_head_write(const cad_head_t *head, cad_model_t *model, cad_error_t *err);

/* Removes the bias of a classifier's head if this changes no result; Python's classes have no such bias. For
 * CAD_HEAD_VALUES the bias is added to target_mean. For CAD_HEAD_CLASSES a bias that is the same for all classes is
 * dropped, since it cancels in the softmax. In any other case returns CAD_EARG with the reason. A model without a bias
 * stays unchanged. No context or trainer may be open on the model. */
CAD_API int cad_head_fold_bias(cad_model_t *model, cad_error_t *err);

/* Frees the head's arrays; its kind and pool stay. A head without arrays is allowed. */
CAD_API void cad_head_free(cad_head_t *head);

/* ---- context ------------------------------------------------------------ */

/* Settings of a context: call cad_options_init, then change members. */
typedef struct cad_options_t {
    size_t size; /* size of this struct when the caller was compiled; set by cad_options_init */
    /* "cpu", "cuda", "cuda:I" (CUDA device I, counted from 0), "cuda:I,J,..." or "cuda:all" (several devices of one
     * type; the results are the same bytes; not for training), or "auto": the first CUDA device if there is one and its
     * module and driver are found, else the CPU. Default NULL, which means auto. */
    const char *device;
    /* How exact the layers' projections are: "fp32"; "bf16x3": inputs are rounded to the sum of two bfloat16 numbers
     * (errors of logits up to 2e-5, relative to their Frobenius norm), or to float32 where that is as fast; "bf16":
     * inputs are rounded to bfloat16 and exponentials of the scan to 1.3e-4 (errors up to 1e-2). All else is float32.
     * Default NULL: fp32 on the CPU, bf16 on CUDA. */
    const char *precision;
    int threads;     /* number of CPU threads that compute, 1 to 4096; default 1 */
    int64_t max_len; /* length of the longest sequence, in tokens; default CAD_MAX_LEN */
    /* The layer after which cad_embed and cad_forward read hidden states: 1 to CAD_N_LAYER, or -1 (the last) to
     * -CAD_N_LAYER, counted from the end. A hidden state is the residual stream after that layer, normalised by the
     * model's final norm. Default 0: the last layer, as published. Logits and classes always come from the last. */
    int layer;
    /* 1: cad_score divides by the sum over the whole vocabulary, so that the probabilities of A, C, G and T do not add
     * up to 1; 0 (default): by the sum over these four. */
    int vocab_softmax;
} cad_options_t;
#define cad_options_init(options) cad_options_init_sized((options), sizeof(cad_options_t))
CAD_API void cad_options_init_sized(cad_options_t *options, size_t size);

/* Opens a context; options NULL means the defaults. Memory for activations is reserved once, here; later calls
 * allocate only memory for intermediate results. A context keeps the weights and the head that the model had when
 * the context was opened. */
CAD_API int cad_context_open(cad_context_t **ctx, const cad_model_t *model, const cad_options_t *options,
                             cad_error_t *err);

/* Opens a context as cad_context_open does, and hands the model's weights over to it, so that the weights are in memory
 * once instead of twice. The model keeps its numbers, texts and vocabulary, and must stay open. Afterwards, also if
 * this call fails, the following return CAD_EARG: opening another context or a trainer on the model, saving it, and
 * making a classifier of it. No other thread may use the model during this call. */
CAD_API int cad_context_open_last(cad_context_t **ctx, cad_model_t *model, const cad_options_t *options,
                                  cad_error_t *err);

/* Joins the worker threads and frees the context; NULL is allowed. */
CAD_API void cad_context_close(cad_context_t *ctx);

/* cad_context_device returns the device and instruction set in use, e.g. "cpu avx512". cad_context_precision returns
 * "fp32", "bf16x3" or "bf16". The texts are owned by the context. */
CAD_API const char *cad_context_device(const cad_context_t *ctx);
CAD_API const char *cad_context_precision(const cad_context_t *ctx);

/* Returns the reasons why the context may be slow, "" if there are none: why "auto" uses the CPU (left out if no module
 * or no driver is installed, except if $CADUCEUS_CUDA_MODULE names a module), and that the CPU has no matrix tiles
 * (AMX), so that bf16x3 is computed as fp32. The text is owned by the context. */
CAD_API const char *cad_context_note(const cad_context_t *ctx);

/* Returns the bytes of working memory that cad_context_open reserved. A call touches only the part that it needs. */
CAD_API size_t cad_context_bytes(const cad_context_t *ctx);

/* Returns the number of tokens that this context has computed in all calls of cad_score and cad_embed. Each forward
 * pass of a window, which covers both strands, counts the window's length once; a window that is still being computed
 * counts in part. Any thread may call this function while another thread computes. */
CAD_API int64_t cad_context_done(const cad_context_t *ctx);

/* Returns 1 if cad_options_t accepts this device name, whether or not this machine has the device; else 0. NULL,
 * which means auto, gives 1. */
CAD_API int cad_device_known(const char *device);

/* Returns 1 if cad_options_t accepts this precision, else 0. precision: not NULL. */
CAD_API int cad_precision_known(const char *precision);

/* ---- computing ----------------------------------------------------------
 *
 * All functions below return CAD_EARG for a sequence or window without tokens (unless stated otherwise), for a sequence
 * or window with more tokens than the context's max_len (but see cad_score), and for a token id of CAD_VOCAB or more.
 * After an error the output arrays are unchanged, except when cad_score returns CAD_EFORMAT. */

/* Computes the published forward pass of one sequence of L = len tokens. hidden: (L, CAD_HIDDEN_WIDTH), or NULL;
 * logits: (L,V), or NULL; not both may be NULL. hidden is read after the context's layer (cad_options_t). The logits of a Ph model are those of the given strand alone. A
 * classifier has no such logits: for a classifier, returns CAD_EARG if logits is not NULL. */
CAD_API int cad_forward(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *hidden, float *logits,
                        cad_error_t *err);

/* Computes logits (L,V) from both strands. For PS these are the published logits. For Ph they are the mean of the
 * logits of the given strand and those of its reverse complement, reversed and complemented back. Returns CAD_EARG for
 * a classifier. */
CAD_API int cad_forward_conjoined(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *logits,
                                  cad_error_t *err);

/* Computes the classifier's logits (CAD_LABELS) of one sequence. Rows are pooled over all positions, as the head in the
 * context says. tokens_rc (len): tokens of the second strand, in the order of the second strand; NULL means the reverse
 * complement for PS, and no second strand for Ph. Returns CAD_EARG for a language model. */
CAD_API int cad_classify(cad_context_t *ctx, const uint8_t *tokens, const uint8_t *tokens_rc, int64_t len,
                         float *logits, cad_error_t *err);

/* A window of a sequence: the model reads all of its tokens, and the core is scored or embedded; the tokens around the
 * core are its flanks. cad_score ignores embedding; cad_embed ignores skip and logp; cad_classify_all ignores skip,
 * logp and embedding; cad_passes ignores logp and embedding. */
typedef struct cad_window_t {
    const uint8_t *tokens;      /* (len) */
    int64_t len;                /* tokens in the window, flanks included */
    int64_t core_beg, core_end; /* the core: tokens core_beg to core_end - 1 */
    const uint8_t *skip;        /* (len) non-zero where a position is not scored, though the model reads it; or NULL */
    float *logp;                /* (core length, 4), written by cad_score */
    float *embedding;           /* written by cad_embed, which states its shape */
} cad_window_t;

#define CAD_MASK_NONE 0    /* one forward pass, in which every base is visible */
#define CAD_MASK_EACH (-1) /* one forward pass for each base, in which that base is masked */
                           /* a number K > 0: K forward passes, each of which masks every K-th base */

/* Computes natural log-probabilities of A, C, G, T at the scored positions of n windows' cores: log softmax, over the
 * four bases (but see vocab_softmax of cad_options_t), of the logits that cad_forward_conjoined gives. A position is scored if its token is A, C, G or T and
 * `skip` does not exclude it; the rows of logp of other positions become NaN. Each scored position is masked in one
 * forward pass, or in none (see CAD_MASK_*). An empty core and an empty window are allowed, and a window without scored
 * positions may be longer than max_len. Also returns CAD_EARG for a classifier, for a mask below CAD_MASK_EACH, and for
 * a mask other than CAD_MASK_NONE if the vocabulary lacks MASK. Returns CAD_EFORMAT if a logit is not finite; logp then
 * holds no usable values. */
CAD_API int cad_score(cad_context_t *ctx, cad_window_t *windows, int n, int64_t mask, cad_error_t *err);

/* Computes embeddings of n windows' cores; nothing is masked. The embedding at position t is (a_t + c_{L-1-t})/2, where
 * `a` and `c` are the hidden states of the two strands after the context's layer, each in its own order. The shape of `embedding` is (D) for
 * CAD_POOL_MEAN and CAD_POOL_MAX, and (core length, D) for CAD_POOL_NONE. Returns CAD_EARG for an empty core and for
 * CAD_POOL_ATTENTION. */
CAD_API int cad_embed(cad_context_t *ctx, cad_window_t *windows, int n, enum cad_pool_t pool, cad_error_t *err);

/* Computes the classifier's logits (n, CAD_LABELS) of n windows. Both strands are computed, for Ph too, and the mean of
 * their rows is pooled over the core as the head in the context says. Returns CAD_EARG for an empty core and for a
 * language model. */
CAD_API int cad_classify_all(cad_context_t *ctx, const cad_window_t *windows, int n, float *logits, cad_error_t *err);

/* Computes the logits of a head that has outputs for each base or bin (cad_head_t.bin is b, not 0). Writes to each
 * window's `embedding` the logits (ceil(core length / b), CAD_LABELS); the first bin begins with the core, and the last
 * one may be shorter. Both strands are computed, for Ph too, and the mean of the bin's rows is used. Returns CAD_EARG for
 * an empty core and for other heads; those refuse the other two functions. */
CAD_API int cad_classify_bins(cad_context_t *ctx, const cad_window_t *windows, int n, cad_error_t *err);

/* Returns the number of forward passes, each of both strands, that cad_score runs for this window. The cost of a window
 * is this number times len. Returns CAD_EARG if cad_score would refuse the window (its core does not lie within it, or a
 * token is not in the vocabulary) or the mask (below CAD_MASK_EACH). */
CAD_API int64_t cad_passes(const cad_model_t *model, const cad_window_t *window, int64_t mask);

/* Returns the entropy -sum p log2 p, in bits, of one row of logp. */
CAD_API double cad_entropy(const float logp[4]);

/* ---- training ----------------------------------------------------------- */

/* Settings of training: call cad_recipe_init, then change members. The optimiser is AdamW (Loshchilov and Hutter 2019).
 * If the norm of the whole gradient exceeds `clip`, the gradient is scaled down to it. Weight decay does not apply to
 * biases, embeddings, A_log and D. */
typedef struct cad_recipe_t {
    size_t size; /* size of this struct when the caller was compiled; set by cad_recipe_init */
    int threads; /* number of CPU threads, 1 to 4096; default 1. Results do not depend on it */
    /* 1: keep only the input of each layer and recompute the other activations, which takes a third of the memory
     * and a third more time. A CUDA device always does this. Default 0. */
    int recompute;
    int freeze;         /* 1: train only the head, score.weight, score.bias and pool.weight; default 0 */
    int64_t max_tokens; /* tokens of the longest sequence; default CAD_MAX_LEN */
    /* how a classifier pools rows: CAD_POOL_MEAN (default), CAD_POOL_MAX or, if its head pools so, CAD_POOL_ATTENTION */
    enum cad_pool_t pool;
    double beta1, beta2, epsilon, weight_decay; /* default 0.9, 0.95, 1e-8, 0.1 */
    double clip;                                /* largest norm of the gradient, default 1.0; 0: no clipping */
    /* device and precision, as in cad_options_t. Gradients, moments and parameters are always float32. */
    const char *device, *precision;
    /* LoRA (Hu et al. 2021): if lora is above 0, trains low-rank changes of projections, W + alpha/lora B A with A
     * (lora,in) and B (out,lora), and the head, and keeps all other weights. lora: the rank, up to 256; default 0.
     * lora_alpha: default 0, which means lora. lora_targets: names of projections, separated by commas; default NULL,
     * which means those of in_proj, x_proj, out_proj, qkv_proj, fc1 and fc2 that the model has. lora_seed determines the
     * initial values of A; those of B are 0. */
    int64_t lora;
    double lora_alpha;
    const char *lora_targets;
    uint64_t lora_seed;
    int64_t bin;  /* bases that a classifier's outputs stand for, as in cad_head_t; default 0 */
    double focal; /* CAD_LOSS_FOCAL: the exponent, 0 to 100; default 2 */
} cad_recipe_t;
#define cad_recipe_init(recipe) cad_recipe_init_sized((recipe), sizeof(cad_recipe_t))
CAD_API void cad_recipe_init_sized(cad_recipe_t *recipe, size_t size);

/* Opens a trainer; recipe NULL means the defaults. The trainer changes the model with every update; the model must
 * outlive the trainer. */
typedef struct cad_trainer_t cad_trainer_t;
CAD_API int cad_trainer_open(cad_trainer_t **trainer, cad_model_t *model, const cad_recipe_t *recipe, cad_error_t *err);

/* Joins the trainer's threads and frees the trainer; NULL is allowed. The model stays open. */
CAD_API void cad_trainer_close(cad_trainer_t *trainer);

/* These three functions return for a trainer what cad_context_device, cad_context_precision and cad_context_note return
 * for a context. The texts are owned by the trainer. */
CAD_API const char *cad_trainer_device(const cad_trainer_t *trainer);
CAD_API const char *cad_trainer_precision(const cad_trainer_t *trainer);
CAD_API const char *cad_trainer_note(const cad_trainer_t *trainer);

/* cad_trainer_bytes returns the bytes of memory that the trainer has reserved; memory is touched only when needed.
 * cad_trainer_steps returns the number of updates that the trainer has made. */
CAD_API size_t cad_trainer_bytes(const cad_trainer_t *trainer);
CAD_API int64_t cad_trainer_steps(const cad_trainer_t *trainer);

/* Returns the number of values that the trainer changes: CAD_PARAMETERS, or fewer with LoRA or freeze. */
CAD_API int64_t cad_trainer_trained(const cad_trainer_t *trainer);

enum cad_loss_t {
    CAD_LOSS_TOKENS,  /* cross-entropy over all V tokens, at positions whose weight is above 0 */
    CAD_LOSS_CLASSES, /* softmax cross-entropy; target: K probabilities (K = CAD_LABELS) */
    CAD_LOSS_BINARY,  /* logistic loss, summed over labels; target: K numbers in [0, 1] */
    CAD_LOSS_SQUARED, /* squared error, summed over labels; target: K numbers */
    CAD_LOSS_POISSON, /* exp(x) - y x, summed over labels, for logits x; target y: K numbers of at least 0 */
    CAD_LOSS_FOCAL    /* CAD_LOSS_CLASSES, where the loss of class k has the factor (1 - p_k)^focal (Lin et al. 2017) */
};

typedef struct cad_example_t {
    const uint8_t *tokens; /* (len) the model's input: masked positions hold MASK */
    int64_t len;
    const uint8_t *labels; /* CAD_LOSS_TOKENS: (len) the true tokens; other losses: NULL */
    const float *weight;   /* CAD_LOSS_TOKENS: (len) weight of each position's loss; other losses: (1), or NULL: 1 */
    const float *target;   /* CAD_LOSS_TOKENS: NULL; other losses: (CAD_LABELS) the target */
    /* With cad_recipe_t.bin = b, a sequence has ceil(len / b) bins, and these are: labels (bins), for CAD_LOSS_CLASSES, the
     * true classes, if target is NULL; weight (bins), or NULL, which means 1; target (bins, CAD_LABELS). */
} cad_example_t;

/* Masks a window of len tokens as pretraining does. The seed and `window` (any number that identifies the window)
 * determine which 15 % of the positions are chosen; of these, 80 % become MASK, 10 % a random token, and 10 % stay as
 * they are. masked (len): the new tokens; may be the same array as tokens. weight (len): 1 at chosen positions, except
 * at PAD and at the token for N, and 0 elsewhere. Returns the number of positions whose weight is 1. The vocabulary
 * must have a MASK token (CAD_TOKEN_MASK is not -1); this is not checked. If the model predicts the next token (CAD_NEXT),
 * nothing is masked, weight is 1 at each position whose next token is neither PAD nor that for N, and labels of an example
 * are tokens + 1. */
CAD_API int64_t cad_mask(const cad_model_t *model, uint64_t seed, uint64_t window, const uint8_t *tokens, int64_t len,
                         uint8_t *masked, float *weight);

/* Adds the sum of the losses (in nats) of n examples to *sum, which the caller has set. If scale is not 0, also adds
 * scale times the gradient of that sum to the trainer's gradient. A PS model computes both strands of an example, a Ph
 * model the given strand only. An example without scored positions adds nothing. The weights and the number of updates
 * do not change. After CAD_EARG nothing has changed. After any other error *sum and the gradient may include some of
 * the examples. */
CAD_API int cad_trainer_add(cad_trainer_t *trainer, enum cad_loss_t loss, const cad_example_t *examples, int n,
                            double scale, double *sum, cad_error_t *err);

/* Other processes (ranks) that train the same model, one trainer in each. The functions return 0, or a code with a text in
 * err; every rank calls them in an order that matches the others'. send and receive move bytes between two ranks; what
 * one rank sends to another arrives in order. broadcast sets data on every rank to that of rank 0. */
typedef struct cad_peers_t {
    size_t size;     /* sizeof(cad_peers_t) where the caller was compiled */
    int rank, ranks; /* number of this process, from 0, and number of processes */
    int (*send)(void *arg, int to, const void *data, size_t bytes, cad_error_t *err);
    int (*receive)(void *arg, int from, void *data, size_t bytes, cad_error_t *err);
    int (*broadcast)(void *arg, void *data, size_t bytes, cad_error_t *err);
    void *arg; /* first argument of these functions */
} cad_peers_t;

/* Joins a trainer with those of the other ranks, before the first cad_trainer_add; *peers is copied. Parameters, moments and the number of updates become
 * those of rank 0. From then on every rank calls cad_trainer_add with the same examples, of which it computes a share,
 * cad_trainer_update and cad_trainer_save: losses and weights are, to the bit, those of a single process. Each rank keeps
 * the moments and the gradient of a share of the parameters, so cad_trainer_gradient returns CAD_EARG. Returns CAD_EARG if
 * a rank's model or packs differ from rank 0's, or what a function of peers returns; the trainer must then be closed. */
CAD_API int cad_trainer_join(cad_trainer_t *trainer, const cad_peers_t *peers, cad_error_t *err);

/* Sets a callback that can show progress. Each time cad_trainer_add has computed some of its examples, it calls
 * watch(arg, tokens) on its caller's thread; tokens is the number of tokens in those examples. With
 * other ranks, only this rank's share counts. watch NULL removes the
 * callback. */
CAD_API void cad_trainer_watch(cad_trainer_t *trainer, void (*watch)(void *arg, int64_t tokens), void *arg);

/* Makes one AdamW update with the gradient that was added since the last update, then sets the gradient to 0. lr: the
 * learning rate. norm, if not NULL: receives the gradient's norm before clipping. CAD_EARG: the gradient is not finite;
 * *norm is set, the gradient becomes 0, and weights, moments and the number of updates are unchanged. CAD_EFORMAT: the
 * update made a weight NaN or infinite; it is not undone. Any other error: a device failed; *norm is not set, and the
 * gradient must not be used. */
CAD_API int cad_trainer_update(cad_trainer_t *trainer, double lr, double *norm, cad_error_t *err);

/* Writes the adapters that a trainer with LoRA has trained to folder dir, in the layout of the Python package peft:
 * adapter_config.json and adapter_model.safetensors, which also has the head; and config.json and
 * tokenizer_config.json, which say what the head's outputs mean. base: the base model that adapter_config.json names, as
 * the absolute path of its folder or as ORG/NAME[@REV] on the hub. Of how, only status and card are used. Open the
 * folder with cad_model_open_adapted. Returns CAD_EARG if the trainer trains no adapters. */
CAD_API int cad_trainer_adapter(const cad_trainer_t *trainer, const char *dir, const char *base, const cad_save_t *how,
                                cad_error_t *err);

enum cad_cosine_t {
    CAD_COSINE_AFTER, /* the cosine begins where the warm-up ends; used for pretraining */
    /* the cosine spans all updates, and the warm-up replaces its beginning, as in the library timm; used for
     * fine-tuning */
    CAD_COSINE_OVER
};

/* Returns the learning rate of update `step` (from 0) of `steps`. In the first floor(warmup x steps) updates the rate
 * rises linearly from 1e-6 (or from peak, if peak is lower) to peak; then it falls to `last` along half a cosine.
 * warmup: 0 to 1. */
CAD_API double cad_schedule(enum cad_cosine_t form, int64_t step, int64_t steps, double warmup, double peak,
                            double last);

/* Copies to out the gradient of a tensor that was added since the last update, in the published layout. name: the
 * tensor's published name without the prefix "caduceus."; of two tied tensors, the name of the first. With LoRA only
 * the adapters' tensors have gradients: name is then as backbone.[...].in_proj.lora_A.weight. out must have
 * room for all values of the tensor, whose shape is the one in the file that cad_model_save writes. Returns CAD_EARG if
 * there is no such tensor, CAD_EDEVICE if a device failed; then nothing is written to out. */
CAD_API int cad_trainer_gradient(cad_trainer_t *trainer, const char *name, float *out);

/* cad_trainer_save writes parameters, moments, the number of updates and `note` (any text, or NULL) to one file,
 * completely or not at all. With other ranks, rank 0 writes. cad_trainer_load reads them and sets *note to that text, to be freed with free(). Neither
 * function changes the gradient. If cad_trainer_load fails, the trainer and the model may hold some of the file's
 * values: close both. */
CAD_API int cad_trainer_save(const cad_trainer_t *trainer, const char *path, const char *note, cad_error_t *err);
CAD_API int cad_trainer_load(cad_trainer_t *trainer, const char *path, char **note, cad_error_t *err);

#ifdef __cplusplus
}
#endif
#endif

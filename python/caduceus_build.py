"""Declares the part of caduceus.h that the package uses, and builds the extension caduceus._caduceus.

The extension is cffi's "API mode": the compiler checks every declaration below against the installed header, so a
library of another shape is an error when the package is built, not a wrong number later. It uses Python's limited API:
one build serves every Python 3. SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import os
import shlex
import subprocess

from cffi import FFI

DECLARATIONS = """
#define CAD_ENOMEM ...
#define CAD_EIO ...
#define CAD_EFORMAT ...
#define CAD_EARG ...
#define CAD_EDEVICE ...
#define CAD_N_AS_TOKEN ...
#define CAD_MASK_NONE ...
#define CAD_MASK_EACH ...

typedef struct cad_error_t { char text[...]; ...; } cad_error_t;
typedef ... cad_model_t;
typedef ... cad_context_t;
const char *cad_version(void);
const char *cad_strerror(int code);

int cad_model_open_adapted(cad_model_t **model, const char *path, const char *adapter, cad_error_t *err);
void cad_model_close(cad_model_t *model);
enum cad_number_t { CAD_D_MODEL, CAD_N_LAYER, CAD_VOCAB, CAD_LABELS, CAD_MAX_LEN, CAD_PARAMETERS, CAD_HIDDEN_WIDTH,
    CAD_TOKEN_A, CAD_TOKEN_C, CAD_TOKEN_G, CAD_TOKEN_T, ... };
int64_t cad_model_number(const cad_model_t *model, enum cad_number_t what);
enum cad_text_t { CAD_TEXT_SHA256, CAD_TEXT_KIND, CAD_TEXT_FOLDER, ... };
const char *cad_model_text(const cad_model_t *model, enum cad_text_t what);
int64_t cad_encode(const cad_model_t *model, const char *seq, int64_t n, unsigned flags, uint8_t *tokens);

enum cad_pool_t { CAD_POOL_NONE, CAD_POOL_MEAN, CAD_POOL_MAX, CAD_POOL_ATTENTION, ... };
enum cad_head_kind_t { CAD_HEAD_CLASSES, CAD_HEAD_LABELS, CAD_HEAD_VALUES, ... };
typedef struct cad_head_t {
    enum cad_head_kind_t kind;
    enum cad_pool_t pool;
    int64_t n;
    char **name;
    double *mean, *scale;
    ...;
} cad_head_t;
void cad_head_init_sized(cad_head_t *head, size_t size);
int cad_head_read(cad_head_t *head, const cad_model_t *model, cad_error_t *err);
void cad_head_free(cad_head_t *head);

typedef struct cad_options_t {
    const char *device, *precision;
    int threads;
    int64_t max_len;
    int layer;
    ...;
} cad_options_t;
void cad_options_init_sized(cad_options_t *options, size_t size);
int cad_context_open(cad_context_t **ctx, const cad_model_t *model, const cad_options_t *options, cad_error_t *err);
void cad_context_close(cad_context_t *ctx);
const char *cad_context_device(const cad_context_t *ctx);
const char *cad_context_precision(const cad_context_t *ctx);
const char *cad_context_note(const cad_context_t *ctx);

int cad_forward(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *hidden, float *logits, cad_error_t *err);
int cad_forward_conjoined(cad_context_t *ctx, const uint8_t *tokens, int64_t len, float *logits, cad_error_t *err);
typedef struct cad_window_t {
    const uint8_t *tokens;
    int64_t len;
    int64_t core_beg, core_end;
    const uint8_t *skip;
    float *logp;
    float *embedding;
    ...;
} cad_window_t;
int cad_score(cad_context_t *ctx, cad_window_t *windows, int n, int64_t mask, cad_error_t *err);
int cad_embed(cad_context_t *ctx, cad_window_t *windows, int n, enum cad_pool_t pool, cad_error_t *err);
int cad_classify_all(cad_context_t *ctx, const cad_window_t *windows, int n, float *logits, cad_error_t *err);
double cad_entropy(const float logp[4]);
"""


def pkg_config(*arguments: str) -> str:
    """Returns what pkg-config prints about libcaduceus."""
    command = [os.environ.get("PKG_CONFIG", "pkg-config"), *arguments, "caduceus"]
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as e:
        raise SystemExit(
            "caduceus: pkg-config does not find libcaduceus: install it (make install), and name the folder of "
            "caduceus.pc in PKG_CONFIG_PATH if its prefix is not /usr"
        ) from e


def run_path() -> list[str]:
    """Returns the library's folder if the loader does not search it by itself."""
    libdir = pkg_config("--variable=libdir")
    return [] if libdir.startswith(("/usr/lib", "/lib")) else [libdir]


ffi = FFI()
ffi.cdef(DECLARATIONS)
ffi.set_source(
    "caduceus._caduceus",
    "#include <caduceus.h>",
    extra_compile_args=shlex.split(pkg_config("--cflags")),
    extra_link_args=shlex.split(pkg_config("--libs")),
    runtime_library_dirs=run_path(),
    py_limited_api=True,
)

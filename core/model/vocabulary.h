/* vocabulary.h - defines a vocabulary: the token ids of letters, and their complements. SPDX-License-Identifier: MIT */
#ifndef CAD_VOCABULARY_H
#define CAD_VOCABULARY_H

#include "base/file.h"
#include "model/config.h"

typedef struct cad_vocab_t {
    int rows;                            /* V, the rows of the embedding table; the vocabulary may have fewer tokens */
    int base[4], mask, pad, sep, unk, n; /* token ids; -1: none */
    uint8_t comp[256];
    /* token id of each ASCII letter; `letter` maps N to PAD, `letter_n` maps N to the token N */
    uint8_t letter[256], letter_n[256];
    char source[64];
    char *text; /* content of the tokenizer file that `source` names, or NULL */
    size_t size;
} cad_vocab_t;
/* Reads the tokenizer file in dir; if there is none or dir is NULL, uses a built-in vocabulary. The model frees
 * v->text. */
int cad_vocab_read(cad_vocab_t *v, const cad_config_t *cfg, const char *dir, int64_t rows, cad_error_t *err);
int cad_vocab_copy(cad_vocab_t *v, const cad_vocab_t *from, cad_error_t *err);
/* If the vocabulary was read from a tokenizer file, opens *f as that file in dir and writes its text; the caller
 * publishes or aborts *f. Fails if dir has a tokenizer file that would be read instead. */
int cad_vocab_write(const cad_vocab_t *v, const char *dir, cad_file_t *f, cad_error_t *err);

#endif

/* vocabulary.c - reads vocabularies: the token ids of letters and their complements. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <jansson.h>
#include <unistd.h>

#include "model/model.h"
#include "model/vocabulary.h"

/* Vocabulary of the published models; rows after N are padding. */
static const struct {
    const char *token;
    int id;
} TABLE[] = {
    { "[SEP]", 1 }, { "[MASK]", 3 }, { "[PAD]", 4 }, { "[UNK]", 6 }, { "A", 7 },
    { "C", 8 },     { "G", 9 },      { "T", 10 },    { "N", 11 },
};
/* Vocabulary of PlantCaduceus: it has no N and no SEP; every other letter is UNK. */
static const struct {
    const char *token;
    int id;
} PLANT[] = {
    { "[PAD]", 0 }, { "[MASK]", 1 }, { "[UNK]", 2 }, { "a", 3 }, { "c", 4 }, { "g", 5 }, { "t", 6 },
};

static void vocab_clear(cad_vocab_t *v, int rows)
{
    memset(v, 0, sizeof *v);
    v->rows = rows;
    v->mask = v->pad = v->sep = v->unk = v->n = -1;
    for (int i = 0; i < 4; i++) v->base[i] = -1;
}

static void vocab_add(cad_vocab_t *v, const char *token, int id)
{
    static const char *const base = "ACGT";
    if (!strcmp(token, "[SEP]")) v->sep = id;
    else if (!strcmp(token, "[MASK]")) v->mask = id;
    else if (!strcmp(token, "[PAD]")) v->pad = id;
    else if (!strcmp(token, "[UNK]")) v->unk = id;
    else if (token[0] && !token[1]) {
        int c = toupper((unsigned char)token[0]);
        const char *at = strchr(base, c);
        if (at && (v->base[at - base] < 0 || isupper((unsigned char)token[0]))) v->base[at - base] = id;
        if (c == 'N') v->n = id;
    }
}

/* Reads tokenizer.json: {"model": {"vocab": {token: id}}} or {"vocab": ...}. */
static int read_json(cad_vocab_t *v, const char *path, cad_error_t *err)
{
    json_t *root, *map, *id;
    const char *token;
    int rc = cad_json_parse(&root, v->text, v->size, path, err);
    if (rc) return rc;
    map = json_object_get(json_object_get(root, "model"), "vocab");
    if (!map) map = json_object_get(root, "vocab");
    if (!json_is_object(map)) rc = cad_fail(err, CAD_EFORMAT, "%s: has no \"vocab\" map", path);
    json_object_foreach(map, token, id)
    {
        json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
        if (n < 0 || n >= v->rows) {
            rc = cad_fail(err, CAD_EFORMAT, "%s: the id of token \"%s\" is not one of the model's %d rows", path, token,
                          v->rows);
            break;
        }
        vocab_add(v, token, (int)n);
    }
    json_decref(root);
    return rc;
}

/* Reads vocab.txt: one token per line; its id is the line number, from 0. */
static int read_lines(cad_vocab_t *v, const char *path, cad_error_t *err)
{
    const char *at = v->text, *end = at + v->size;
    char token[64];
    for (int id = 0; at < end; id++) {
        size_t n = strcspn(at, "\n");
        snprintf(token, sizeof token, "%.*s", (int)strcspn(at, "\r\n"), at);
        if (id >= v->rows && token[0])
            return cad_fail(err, CAD_EFORMAT, "%s:%d: more tokens than the model's %d rows", path, id + 1, v->rows);
        vocab_add(v, token, id);
        at += n + 1;
    }
    return 0;
}

static const struct {
    const char *name;
    int (*read)(cad_vocab_t *, const char *, cad_error_t *);
} FILES[] = {
    { "tokenizer.json", read_json }, { "vocab.txt", read_lines }, /* the first file that exists is read */
};
enum { NFILES = sizeof FILES / sizeof *FILES };

static int read_files(cad_vocab_t *v, const char *dir, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < NFILES && rc == 0 && !v->text; i++) {
        char *path = cad_path_join(dir, FILES[i].name);
        rc = path ? cad_read_text(&v->text, &v->size, path, true, err) : cad_out_of_memory(err);
        if (rc == 0 && v->text) rc = FILES[i].read(v, path, err);
        if (v->text) snprintf(v->source, sizeof v->source, "%s", FILES[i].name);
        free(path);
    }
    return rc;
}

static bool plant_complement(const cad_config_t *cfg)
{
    return cfg->comp[3] == 6 && cfg->comp[6] == 3 && cfg->comp[4] == 5 && cfg->comp[5] == 4;
}

static void vocab_builtin(cad_vocab_t *v, bool plant)
{
    if (plant)
        for (size_t i = 0; i < sizeof PLANT / sizeof *PLANT; i++) vocab_add(v, PLANT[i].token, PLANT[i].id);
    else
        for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) vocab_add(v, TABLE[i].token, TABLE[i].id);
    snprintf(v->source, sizeof v->source, "%s", plant ? "plant" : "table");
}

/* Removes those tokens of a built-in vocabulary for which the model has no row. */
static void drop_missing(cad_vocab_t *v)
{
    int *id[] = { &v->mask, &v->pad, &v->sep, &v->unk, &v->n };
    for (size_t i = 0; i < sizeof id / sizeof *id; i++)
        if (*id[i] >= v->rows) *id[i] = -1;
}

static int check_tokens(const cad_vocab_t *v, const char *place, cad_error_t *err)
{
    const char *file = v->text ? v->source : "config.json";
    for (int b = 0; b < 4; b++)
        if (v->base[b] < 0 || v->base[b] >= v->rows)
            return cad_fail(err, CAD_EFORMAT, "%s%s: the vocabulary has no token %c within the model's %d rows", place,
                            file, "ACGT"[b], v -> rows);
    for (int b = 1; b < 4; b++)
        for (int a = 0; a < b; a++)
            if (v->base[a] == v->base[b])
                return cad_fail(err, CAD_EFORMAT, "%s%s: the vocabulary gives %c and %c the same id", place, file,
                                "ACGT"[a], "ACGT"[b]);
    if (v->pad < 0 && v->unk < 0)
        return cad_fail(err, CAD_EFORMAT, "%s%s: the vocabulary has neither [PAD] nor [UNK]", place, file);
    return 0;
}

static int set_complement(cad_vocab_t *v, const cad_config_t *cfg, const char *place, cad_error_t *err)
{
    for (int i = 0; i < 256; i++) v->comp[i] = (uint8_t)i;
    for (int b = 0; b < 4 && !cfg->has_comp; b++) v->comp[v->base[b]] = (uint8_t)v->base[3 - b];
    for (int i = 0; i < v->rows; i++)
        if (cfg->comp[i] >= 0) v->comp[i] = (uint8_t)cfg->comp[i];
    for (int i = 0; i < v->rows; i++)
        if (v->comp[i] >= v->rows || v->comp[v->comp[i]] != i)
            return cad_fail(err, CAD_EFORMAT, "%sconfig.json: complement_map is not its own inverse at token %d", place,
                            i);
    for (int b = 0; b < 4; b++)
        if (v->comp[v->base[b]] != v->base[3 - b])
            return cad_fail(err, CAD_EFORMAT,
                            "%sconfig.json: complement_map does not exchange A with T and C with G (%s vocabulary)",
                            place, v->source);
    return 0;
}

/* keep: N is a token of its own, as in the pretraining of HyenaDNA; in that of Caduceus it was replaced by PAD. */
static void set_letters(cad_vocab_t *v, bool keep)
{
    int other = v->n < 0 ? v->unk : keep ? v->n : v->pad;
    if (other < 0) other = v->pad >= 0 ? v->pad : v->unk;
    memset(v->letter, other, sizeof v->letter);
    memset(v->letter_n, v->n >= 0 ? v->n : other, sizeof v->letter_n);
    for (int b = 0; b < 4; b++) {
        unsigned char up = (unsigned char)"ACGT"[b], low = (unsigned char)"acgt"[b];
        v->letter[up] = v->letter[low] = v->letter_n[up] = v->letter_n[low] = (uint8_t)v->base[b];
    }
}

int cad_vocab_read(cad_vocab_t *v, const cad_config_t *cfg, const char *dir, int64_t rows, cad_error_t *err)
{
    char place[4352];
    int rc;
    vocab_clear(v, (int)rows);
    rc = dir ? read_files(v, dir, err) : 0;
    if (rc) return rc;
    if (!v->text) vocab_builtin(v, plant_complement(cfg));
    snprintf(place, sizeof place, "%s%s", dir ? dir : "", dir ? "/" : "");
    drop_missing(v);
    if ((rc = check_tokens(v, place, err))) return rc;
    rc = set_complement(v, cfg, place, err);
    if (rc == 0) set_letters(v, cfg->hyenadna);
    return rc;
}

int cad_vocab_copy(cad_vocab_t *v, const cad_vocab_t *from, cad_error_t *err)
{
    *v = *from;
    if (!from->text) return 0;
    v->text = malloc(from->size + 1);
    if (!v->text) return cad_out_of_memory(err);
    memcpy(v->text, from->text, from->size + 1);
    return 0;
}

/* Fails if dir has a tokenizer file that would be read instead of the one with this vocabulary. */
static int refuse_others(const cad_vocab_t *v, const char *dir, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < NFILES && rc == 0 && !(v->text && !strcmp(v->source, FILES[i].name)); i++) {
        char *path = cad_path_join(dir, FILES[i].name);
        if (!path) rc = cad_out_of_memory(err);
        else if (access(path, F_OK) == 0)
            rc = cad_fail(err, CAD_EARG, "%s: belongs to another model; choose an empty folder", path);
        free(path);
    }
    return rc;
}

int cad_vocab_write(const cad_vocab_t *v, const char *dir, cad_file_t *f, cad_error_t *err)
{
    char *path;
    int rc = refuse_others(v, dir, err);
    if (rc || !v->text) return rc;
    path = cad_path_join(dir, v->source);
    rc = path ? cad_file_open(f, path, err) : cad_out_of_memory(err);
    free(path);
    return rc ? rc : cad_file_write(f, v->text, v->size, err);
}

int64_t cad_encode(const cad_model_t *model, const char *seq, int64_t n, unsigned flags, uint8_t *tokens)
{
    const uint8_t *map = flags & CAD_N_AS_TOKEN ? model->vocab.letter_n : model->vocab.letter;
    int64_t odd = 0;
    for (int64_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)seq[i];
        tokens[i] = map[c];
        odd += tokens[i] == map['N'] && c != 'N' && c != 'n';
    }
    return odd;
}

int cad_token_base(const cad_model_t *model, uint8_t token)
{
    for (int b = 0; b < 4; b++)
        if (model->vocab.base[b] == token) return b;
    return -1;
}

void cad_reverse_complement(const cad_model_t *model, const uint8_t *tokens, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = model->vocab.comp[tokens[n - 1 - i]];
}

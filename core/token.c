/* token.c - vocabularies, encoding, complement. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>

#include "internal.h"

/* The table of the published models; the rows after N are padding. */
static const struct { const char *token; int id; } TABLE[] = {
    { "[SEP]", 1 }, { "[MASK]", 3 }, { "[PAD]", 4 }, { "[UNK]", 6 },
    { "A", 7 }, { "C", 8 }, { "G", 9 }, { "T", 10 }, { "N", 11 },
};
/* PlantCaduceus: no N, no SEP; anything but acgt is UNK. */
static const struct { const char *token; int id; } PLANT[] = {
    { "[PAD]", 0 }, { "[MASK]", 1 }, { "[UNK]", 2 },
    { "a", 3 }, { "c", 4 }, { "g", 5 }, { "t", 6 },
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

static int open_text(FILE **f, char **path, const char *dir, const char *name, cad_error_t *err)
{
    struct stat sb;
    *f = NULL;
    *path = cad_path_join(dir, name);
    if (!*path) return cad_fail(err, CAD_ENOMEM, "out of memory");
    *f = fopen(*path, "rb");
    if (!*f && errno != ENOENT) return cad_fail(err, CAD_EIO, "%s: %s", *path, strerror(errno));
    if (*f && fstat(fileno(*f), &sb) == 0 && S_ISDIR(sb.st_mode)) {
        fclose(*f);
        *f = NULL;
        return cad_fail(err, CAD_EIO, "%s: %s", *path, strerror(EISDIR));
    }
    return 0;
}

/* tokenizer.json: {"model": {"vocab": {token: id}}} or {"vocab": ...}. */
static int read_json(cad_vocab_t *v, FILE *f, const char *path, cad_error_t *err)
{
    json_error_t je;
    json_t *root = json_loadf(f, JSON_REJECT_DUPLICATES, &je), *map, *id;
    const char *token;
    int rc = 0;
    if (!root) return cad_fail(err, CAD_EFORMAT, "%s:%d: %s", path, je.line, je.text);
    map = json_object_get(json_object_get(root, "model"), "vocab");
    if (!map) map = json_object_get(root, "vocab");
    if (!json_is_object(map)) rc = cad_fail(err, CAD_EFORMAT, "%s: has no \"vocab\" map", path);
    json_object_foreach(map, token, id) {
        json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
        if (n < 0 || n >= v->rows) {
            rc = cad_fail(err, CAD_EFORMAT, "%s: the id of token \"%s\" is not one of the model's %d rows", path, token, v->rows);
            break;
        }
        vocab_add(v, token, (int)n);
    }
    json_decref(root);
    return rc;
}

/* vocab.txt: one token a line, the line number is its id. */
static int read_lines(cad_vocab_t *v, FILE *f, const char *path, cad_error_t *err)
{
    char line[256];
    for (int id = 0; fgets(line, sizeof line, f); id++) {
        line[strcspn(line, "\r\n")] = 0;
        if (id >= v->rows && line[0])
            return cad_fail(err, CAD_EFORMAT, "%s:%d: more tokens than the model's %d rows", path, id + 1, v->rows);
        vocab_add(v, line, id);
    }
    return ferror(f) ? cad_fail(err, CAD_EIO, "%s: read error", path) : 0;
}

static int read_file(cad_vocab_t *v, const char *dir, const char *name,
                     int (*read)(cad_vocab_t *, FILE *, const char *, cad_error_t *),
                     bool *found, cad_error_t *err)
{
    char *path;
    FILE *f;
    int rc = open_text(&f, &path, dir, name, err);
    *found = f != NULL;
    if (f) {
        rc = read(v, f, path, err);
        fclose(f);
        snprintf(v->source, sizeof v->source, "%s", name);
    }
    free(path);
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

/* Tokens of the builtin tables that the model has no row for. */
static void drop_missing(cad_vocab_t *v)
{
    int *id[] = { &v->mask, &v->pad, &v->sep, &v->unk, &v->n };
    for (size_t i = 0; i < sizeof id / sizeof *id; i++)
        if (*id[i] >= v->rows) *id[i] = -1;
}

static int set_complement(cad_vocab_t *v, const cad_config_t *cfg, const char *dir, cad_error_t *err)
{
    for (int i = 0; i < 256; i++) v->comp[i] = (uint8_t)i;
    for (int b = 0; b < 4 && !cfg->has_comp; b++) v->comp[v->base[b]] = (uint8_t)v->base[3 - b];
    for (int i = 0; i < v->rows; i++)
        if (cfg->comp[i] >= 0) v->comp[i] = (uint8_t)cfg->comp[i];
    for (int i = 0; i < v->rows; i++)
        if (v->comp[i] >= v->rows || v->comp[v->comp[i]] != i)
            return cad_fail(err, CAD_EFORMAT, "%s/config.json: complement_map is not its own inverse at token %d", dir, i);
    for (int b = 0; b < 4; b++)
        if (v->comp[v->base[b]] != v->base[3 - b])
            return cad_fail(err, CAD_EFORMAT, "%s/config.json: complement_map does not exchange A with T and C with G (%s vocabulary)", dir, v->source);
    return 0;
}

static void set_letters(cad_vocab_t *v)
{
    int other = v->n < 0 ? v->unk : v->pad; /* pretraining replaced N by PAD */
    if (other < 0) other = v->pad >= 0 ? v->pad : v->unk;
    memset(v->letter, other, sizeof v->letter);
    memset(v->letter_n, v->n >= 0 ? v->n : other, sizeof v->letter_n);
    for (int b = 0; b < 4; b++) {
        unsigned char up = (unsigned char)"ACGT"[b], low = (unsigned char)"acgt"[b];
        v->letter[up] = v->letter[low] = v->letter_n[up] = v->letter_n[low] = (uint8_t)v->base[b];
    }
}

int cad_vocab_read(cad_vocab_t *v, const cad_config_t *cfg, const char *dir,
                   int64_t rows, cad_error_t *err)
{
    const char *file;
    bool found;
    int rc;
    vocab_clear(v, (int)rows);
    rc = read_file(v, dir, "tokenizer.json", read_json, &found, err);
    if (rc == 0 && !found) rc = read_file(v, dir, "vocab.txt", read_lines, &found, err);
    if (rc) return rc;
    file = found ? v->source : "config.json";
    if (!found) vocab_builtin(v, plant_complement(cfg));
    drop_missing(v);
    for (int b = 0; b < 4; b++)
        if (v->base[b] < 0 || v->base[b] >= v->rows)
            return cad_fail(err, CAD_EFORMAT, "%s/%s: the vocabulary has no token %c within the model's %d rows", dir, file, "ACGT"[b], v->rows);
    for (int b = 1; b < 4; b++)
        for (int a = 0; a < b; a++)
            if (v->base[a] == v->base[b]) return cad_fail(err, CAD_EFORMAT, "%s/%s: the vocabulary gives %c and %c the same id", dir, file, "ACGT"[a], "ACGT"[b]);
    if (v->pad < 0 && v->unk < 0)
        return cad_fail(err, CAD_EFORMAT, "%s/%s: the vocabulary has neither [PAD] nor [UNK]", dir, file);
    rc = set_complement(v, cfg, dir, err);
    if (rc == 0) set_letters(v);
    return rc;
}

int64_t cad_encode(const cad_model_t *model, const char *seq, int64_t n, unsigned flags,
                   uint8_t *tokens)
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

void cad_reverse_complement(const cad_model_t *model, const uint8_t *tokens, int64_t n,
                            uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = model->vocab.comp[tokens[n - 1 - i]];
}

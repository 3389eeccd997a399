/* eqtl_features.c - the features of caduceus protocol eqtl: embeddings by caduceus embed, in parts of some variants each,
 * so that a stopped run goes on and shards share the work. DIR/features/recipe.txt says what they depend on.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/stat.h>

#include "io/fasta.h"
#include "io/npy.h"
#include "protocol/eqtl.h"

#define PART 256           /* variants of a part */
#define WINDOW_MOST 131072 /* the paper's window */
#define RECIPE "recipe.txt"

int64_t features_parts(const eqtl_t *e) { return (e->rows.variants + PART - 1) / PART; }

static int64_t part_variants(const eqtl_t *e, int64_t k) { return cad_min(PART, e->rows.variants - k * PART); }

/* ---- the recipe ---- */

static int put_reference(eqtl_t *e, cad_error_t *err)
{
    notes_t notes = { .cmd = "protocol", .quiet = true };
    fasta_t ref;
    int rc = fasta_open(&ref, e->a->reference, &notes, err);
    if (rc) return rc;
    text_printf(&e->recipe, " contigs=%s", ref.checksum);
    fasta_close(&ref);
    return 0;
}

static int put_model(eqtl_t *e, cad_error_t *err)
{
    cad_model_t *model = NULL;
    int rc = options_load_model(&e->a->o, &model, err);
    if (rc) return rc;
    e->window = e->a->window ? e->a->window : cad_min(WINDOW_MOST, cad_model_number(model, CAD_MAX_LEN));
    e->width = 2 * cad_model_number(model, CAD_D_MODEL);
    text_printf(&e->recipe, "protocol=eqtl model=%s window=%lld precision=%s%s%s",
                cad_model_text(model, CAD_TEXT_SHA256), (long long)e->window,
                e->a->o.precision ? e->a->o.precision : "default", e->a->o.adapter ? " adapter=" : "",
                e->a->o.adapter ? e->a->o.adapter : "");
    cad_model_close(model);
    return 0;
}

static void put_variants(eqtl_t *e)
{
    uint64_t digest = CAD_HASH;
    for (int64_t i = 0; i < e->rows.variants; i++) {
        const eqtl_variant_t *v = &e->rows.variant[i];
        digest = text_digest(v->contig, digest);
        digest = cad_hash(digest, &v->pos, sizeof v->pos);
        digest = text_digest(v->alleles, digest);
    }
    text_printf(&e->recipe, " variants=%lld:%016llx", (long long)e->rows.variants, (unsigned long long)digest);
}

static int make_folders(const eqtl_t *e, cad_error_t *err)
{
    int rc = cad_folder_make(e->a->output, NULL, err);
    return rc ? rc : cad_folder_make(e->parts, NULL, err);
}

/* Compares the recipe with that of the features in the folder, or writes it. */
static int check_recipe(const eqtl_t *e, cad_error_t *err)
{
    char *path = cad_path_join(e->parts, RECIPE), *text = NULL;
    size_t n = 0;
    int rc = path ? cad_read_text(&text, &n, path, true, err) : cad_out_of_memory(err);
    if (rc == 0 && text && strcmp(text, e->recipe.s.s)) {
        text[strcspn(text, "\n")] = 0;
        rc = cad_fail(err, CAD_EARG, "%s: the features are of other settings (%.250s; now %.250s); choose another -o",
                      path, text, e->recipe.s.s);
    } else if (rc == 0 && !text && !e->a->dry_run) {
        rc = make_folders(e, err);
        if (rc == 0) rc = protocol_file(e->parts, RECIPE, &e->recipe, err);
    }
    free(text);
    free(path);
    return rc;
}

int features_begin(eqtl_t *e, cad_error_t *err)
{
    int rc = put_model(e, err);
    if (rc == 0) rc = put_reference(e, err);
    if (rc) return rc;
    put_variants(e);
    text_puts(&e->recipe, "\n");
    return e->recipe.failed ? cad_out_of_memory(err) : check_recipe(e, err);
}

/* ---- parts ---- */

/* Returns DIR/features/K.SUFFIX, malloc'd; NULL when out of memory. */
static char *part_path(const eqtl_t *e, int64_t k, const char *suffix)
{
    char *path;
    return asprintf(&path, "%s/%05lld.%s", e->parts, (long long)k, suffix) < 0 ? NULL : path;
}

static bool part_is_there(const eqtl_t *e, int64_t k)
{
    char *path = part_path(e, k, "npy");
    struct stat sb;
    bool yes = path && stat(path, &sb) == 0 && sb.st_size == NPY_HEADER + part_variants(e, k) * e->width * 4;
    free(path);
    return yes;
}

static int write_vcf(const eqtl_t *e, int64_t k, cad_error_t *err)
{
    const eqtl_variant_t *v = e->rows.variant + k * PART;
    char name[32];
    text_t t = { 0 };
    int rc;
    text_puts(&t, "##fileformat=VCFv4.2\n");
    for (int64_t i = 0, n = part_variants(e, k); i < n; i++)
        if (i == 0 || strcmp(v[i].contig, v[i - 1].contig)) text_printf(&t, "##contig=<ID=%s>\n", v[i].contig);
    text_puts(&t, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n");
    for (int64_t i = 0, n = part_variants(e, k); i < n; i++)
        text_printf(&t, "%s\t%lld\t.\t%s\t.\t.\t.\n", v[i].contig, (long long)v[i].pos, v[i].alleles);
    snprintf(name, sizeof name, "%05lld.vcf", (long long)k);
    rc = protocol_file(e->parts, name, &t, err);
    text_free(&t);
    return rc;
}

static int compute_part(const eqtl_t *e, int64_t k, cad_error_t *err)
{
    words_t w = { .n = 0 };
    char *vcf = part_path(e, k, "vcf"), *npy = part_path(e, k, "npy");
    int rc = vcf && npy ? write_vcf(e, k, err) : cad_out_of_memory(err);
    words_add(&w, "embed");
    words_add(&w, "--quiet");
    words_model(&w, &e->a->o);
    words_pair(&w, "-T", e->a->reference);
    words_add(&w, "--window=%lld", (long long)e->window);
    words_add(&w, "--anchor=%lld", (long long)(e->window / 2));
    words_pair(&w, "-o", npy);
    words_pair(&w, "--", vcf);
    if (rc == 0) rc = words_run(&w, &CMD_EMBED, err);
    words_free(&w);
    free(vcf);
    free(npy);
    return rc;
}

int features_compute(eqtl_t *e, cad_error_t *err)
{
    const shard_t *share = &e->a->shard;
    int64_t n = features_parts(e);
    int rc = 0;
    for (int64_t k = 0; k < n && rc == 0 && !e->a->dry_run; k++) {
        if ((share->of && k % share->of != share->index - 1) || part_is_there(e, k)) continue;
        rc = compute_part(e, k, err);
        if (rc == 0 && !e->a->o.quiet)
            cmd_say("protocol", "features: part %lld of %lld", (long long)k + 1, (long long)n);
    }
    for (int64_t k = 0; k < n; k++) e->parts_done += part_is_there(e, k);
    return rc;
}

/* ---- reading ---- */

static int read_part(const eqtl_t *e, int64_t k, cad_error_t *err)
{
    char header[NPY_HEADER + 1], found[NPY_HEADER];
    char *path = part_path(e, k, "npy");
    size_t n = (size_t)(part_variants(e, k) * e->width);
    FILE *f = path ? fopen(path, "rb") : NULL;
    int rc = path ? 0 : cad_out_of_memory(err);
    npy_header(header, part_variants(e, k), e->width);
    if (rc == 0 && !f) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    if (rc == 0 && (fread(found, 1, sizeof found, f) != sizeof found || memcmp(header, found, sizeof found) ||
                    fread(e->feature + k * PART * e->width, sizeof *e->feature, n, f) != n))
        rc = cad_fail(err, CAD_EFORMAT, "%s: not a matrix of %lld rows and %lld columns; remove it", path,
                      (long long)part_variants(e, k), (long long)e->width);
    if (f) fclose(f);
    free(path);
    return rc;
}

/* Returns a value that embed has written beside a part; "" if there is none. */
static const char *origin(const json_t *part, const char *key)
{
    const char *s = json_string_value(json_object_get(part, key));
    return s ? s : "";
}

/* Compares what embed has written beside part k with that of part 0: other shards may have run elsewhere. */
static int compare_origin(const eqtl_t *e, int64_t k, cad_error_t *err)
{
    static const char *const key[] = { "model_sha256", "contigs_sha256", "options", "precision" };
    char *path[] = { part_path(e, 0, "npy.json"), part_path(e, k, "npy.json") };
    json_t *part[] = { path[0] ? json_load_file(path[0], 0, NULL) : NULL,
                       path[1] ? json_load_file(path[1], 0, NULL) : NULL };
    int rc = path[0] && path[1] ? 0 : cad_out_of_memory(err);
    for (int i = 0; i < 2 && rc == 0; i++)
        if (!part[i]) rc = cad_fail(err, CAD_EFORMAT, "%s: not there or damaged; remove the .npy beside it", path[i]);
    for (int i = 0; i < 4 && rc == 0; i++)
        if (strcmp(origin(part[0], key[i]), origin(part[1], key[i])))
            rc = cad_fail(err, CAD_EARG, "%s: %s is %.60s, and %.60s in %s; remove the .npy beside one of them",
                          path[1], key[i], origin(part[1], key[i]), origin(part[0], key[i]), path[0]);
    for (int i = 0; i < 2; i++) {
        json_decref(part[i]);
        free(path[i]);
    }
    return rc;
}

int features_read(eqtl_t *e, cad_error_t *err)
{
    int rc = 0;
    e->feature = cad_alloc((size_t)e->rows.variants * (size_t)e->width, sizeof *e->feature);
    if (!e->feature) return cad_out_of_memory(err);
    for (int64_t k = 0; k < features_parts(e) && rc == 0; k++) {
        rc = compare_origin(e, k, err);
        if (rc == 0) rc = read_part(e, k, err);
    }
    return rc;
}

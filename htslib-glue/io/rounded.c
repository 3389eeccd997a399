/* rounded.c - counts the numbers in BAM and BCF records that are rounded when htslib writes them as text, with six
 * digits.
 *
 * SPDX-License-Identifier: MIT
 */
/* makes htslib's macros read unaligned words byte by byte, since C forbids unaligned access */
#define HTS_ALLOW_UNALIGNED 0
#include <htslib/hts_endian.h>
#include <math.h>

#include "io/records.h"
#include "io/rounded.h"

#define TEXT 64 /* htslib's kputd needs 50 bytes, so it does not reallocate a text of this size */

/* Writes x to `text` in the same way as htslib. */
static void as_text(double x, char text[TEXT])
{
    kstring_t s = { 0, TEXT, text };
    kputd(x, &s);
}

static bool is_rounded(double x, bool single)
{
    char text[TEXT];
    if (isnan(x) || (fabs(x) < 1e6 && x == (double)(int)x)) return false;
    as_text(x, text);
    return single ? strtof(text, NULL) != (float)x : strtod(text, NULL) != x;
}

/* ---- tags ---- */

/* Returns the size in bytes of a tag's value at s, including its type letter; 0 if the value does not end before
 * `end`. */
static size_t value_size(const uint8_t *s, const uint8_t *end)
{
    static const char letter[] = "AcCsSiIfd";
    static const uint8_t bytes[] = { 1, 1, 1, 2, 2, 4, 4, 4, 8 };
    size_t room = (size_t)(end - s), n = 0;
    const char *at = *s ? strchr(letter, *s) : NULL;
    if (at) n = 1 + bytes[at - letter];
    else if (*s == 'Z' || *s == 'H') n = 1 + strnlen((const char *)s + 1, room - 1) + 1;
    /* an array: type letter, count of 4 bytes, values */
    else if (*s == 'B' && room >= 6 && s[1] && (at = strchr(letter, s[1])))
        n = 6 + (size_t)le_to_u32(s + 2) * bytes[at - letter];
    return n <= room ? n : 0;
}

static void read_value(notes_t *notes, const char *path, const bam1_t *b, const uint8_t *tag, double x, bool single)
{
    char text[TEXT];
    if (!is_rounded(x, single)) return;
    as_text(x, text);
    note(notes, NOTE_ROUNDED, 1, "%s: read %s: %.2s %.*g is rounded to %s", path, bam_get_qname(b), (const char *)tag,
         single ? 9 : 17, x, text);
}

void rounded_read(notes_t *notes, const char *path, const bam1_t *b)
{
    const uint8_t *tag = bam_get_aux(b), *end = b->data + b->l_data;
    for (size_t n; end - tag > 3 && (n = value_size(tag + 2, end)); tag += 2 + n) {
        const uint8_t *s = tag + 2;
        if (*s == 'f') read_value(notes, path, b, tag, (double)le_to_float(s + 1), true);
        if (*s == 'd') read_value(notes, path, b, tag, le_to_double(s + 1), false);
        if (*s != 'B' || s[1] != 'f') continue;
        for (uint32_t i = 0; i < le_to_u32(s + 2); i++)
            read_value(notes, path, b, tag, (double)le_to_float(s + 6 + 4 * (size_t)i), true);
    }
}

/* ---- fields of a variant ---- */

typedef struct place_t { /* the record, for messages */
    notes_t *notes;
    const char *path;
    const bcf_hdr_t *h;
    const bcf1_t *rec;
} place_t;

static void variant_value(const place_t *p, const char *column, const char *key, float x)
{
    char text[TEXT];
    if (!is_rounded((double)x, true)) return;
    as_text((double)x, text);
    note(p->notes, NOTE_ROUNDED, 1, "%s: %s:%lld: %s%s %.9g is rounded to %s", p->path, bcf_seqname_safe(p->h, p->rec),
         (long long)p->rec->pos + 1, column, key, (double)x, text);
}

/* Notes the values that are rounded among n values v of BCF's type Float. Missing values and ends of lists are NaN,
 * which is never rounded. */
static void variant_values(const place_t *p, const char *column, int key, const uint8_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        variant_value(p, column, bcf_hdr_int2id(p->h, BCF_DT_ID, key), le_to_float(v + 4 * i));
}

int rounded_variant(notes_t *notes, const char *path, const bcf_hdr_t *h, bcf1_t *rec, const char (*own)[64], int n,
                    cad_error_t *err)
{
    place_t p = { notes, path, h, rec };
    if (records_unpack(rec, BCF_UN_ALL, err)) return CAD_ENOMEM;
    variant_value(&p, "QUAL", "", rec->qual);
    for (int i = 0; i < rec->n_info; i++) {
        const bcf_info_t *f = &rec->d.info[i];
        bool ours = false;
        for (int k = 0; k < n && !ours; k++) ours = !strcmp(own[k], bcf_hdr_int2id(h, BCF_DT_ID, f->key));
        if (f->vptr && f->type == BCF_BT_FLOAT && !ours) variant_values(&p, "INFO/", f->key, f->vptr, (size_t)f->len);
    }
    for (int i = 0; i < rec->n_fmt; i++) {
        const bcf_fmt_t *f = &rec->d.fmt[i];
        if (f->p && f->type == BCF_BT_FLOAT) variant_values(&p, "FORMAT/", f->id, f->p, (size_t)f->n * rec->n_sample);
    }
    return 0;
}

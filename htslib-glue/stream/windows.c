/* windows.c - converts letters to tokens, and tokens to bases. No other file does this. SPDX-License-Identifier: MIT */
#include "stream/windows.h"

interval_t window_relative(interval_t x, interval_t window)
{
    return (interval_t) { x.beg - window.beg, x.end - window.beg };
}

static int64_t encode(const encoding_t *e, const char *seq, interval_t at, uint8_t *tokens)
{
    return cad_encode(e->model, seq + at.beg, at.end - at.beg, e->flags, tokens + at.beg);
}

void window_note_odd(notes_t *notes, int64_t odd, const char *name, int name_len, interval_t at)
{
    note(notes, NOTE_IUPAC, odd, "%.*s:%lld-%lld holds letters other than A, C, G, T and N; they are read as N",
         name_len, name, (long long)at.beg + 1, (long long)at.end);
}

/* Encodes the core (the bases that this window scores) and its two flanks separately, because the note about unknown
 * letters counts only the core's letters. The letters of a flank are counted in the core of another window. */
static void encode_tokens(const encoding_t *e, const letters_t *l, job_t *j)
{
    interval_t core = window_relative(l->core, l->window);
    int64_t n = l->window.end - l->window.beg, odd;
    encode(e, l->seq, (interval_t) { 0, core.beg }, j->tokens);
    odd = encode(e, l->seq, core, j->tokens);
    encode(e, l->seq, (interval_t) { core.end, n }, j->tokens);
    if (e->sep) j->tokens[n] = (uint8_t)cad_model_number(e->model, CAD_TOKEN_SEP);
    if (l->name) window_note_odd(e->notes, odd, l->name, l->name_len, l->core);
}

int window_encode(const encoding_t *e, const letters_t *l, job_t *j, cad_error_t *err)
{
    int64_t n = l->window.end - l->window.beg;
    j->len = n + e->sep;
    j->tokens = malloc((size_t)n + 1);
    if (e->skip_soft) j->skip = calloc((size_t)n + 1, 1);
    if (!j->tokens || (e->skip_soft && !j->skip)) return cad_out_of_memory(err);
    encode_tokens(e, l, j);
    for (int64_t i = 0; j->skip && i < n; i++) j->skip[i] = l->seq[i] >= 'a' && l->seq[i] <= 'z';
    return 0;
}

double window_sum(const bases_t *bases, const job_t *j, bool ends_halved)
{
    double sum = 0;
    for (int64_t t = j->scored.beg; t < j->scored.end; t++) {
        bool halved = ends_halved && (t == j->scored.beg || t == j->scored.end - 1);
        int b = bases->of[j->tokens[t]];
        if (b == NO_BASE) continue; /* never true for alleles, since allele_set has checked these bases */
        sum += (halved ? 0.5 : 1) * (double)j->logp[4 * (t - j->scored.beg) + b];
    }
    return sum;
}

void bases_init(bases_t *b, const cad_model_t *model)
{
    memset(b->of, NO_BASE, sizeof b->of);
    for (int i = 0; i < NO_BASE; i++) b->of[cad_model_number(model, CAD_TOKEN_A + i) & 255] = (uint8_t)i;
}

/* Maps a letter to its base (0 to 3) + 1, or to 0 if the letter is not a base. */
static const uint8_t LETTER[256] = {
    ['A'] = 1, ['a'] = 1, ['C'] = 2, ['c'] = 2, ['G'] = 3, ['g'] = 3, ['T'] = 4, ['t'] = 4
};

int base_of_letter(char letter)
{
    uint8_t b = LETTER[(unsigned char)letter];
    return b ? b - 1 : NO_BASE;
}

void bases_of_letters(const char *seq, int64_t n, uint8_t *base)
{
    for (int64_t i = 0; i < n; i++) base[i] = (uint8_t)base_of_letter(seq[i]);
}

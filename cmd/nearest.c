/* nearest.c - finds the known word that a misspelt word was meant to be. SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "nearest.h"

#define LONGEST 63 /* longer words are not compared */

nearest_t nearest_begin(const char *word, size_t n) { return (nearest_t) { .word = word, .n = n, .distance = n }; }

/* Returns the edit distance of a and b: the least number of insertions, deletions, replacements and swaps of
 * neighbouring letters that turn a into b. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t row[3][LONGEST + 1], *before = row[0], *last = row[1], *now = row[2];
    for (size_t j = 0; j <= nb; j++) last[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *spare = before;
        now[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t change = last[j - 1] + (a[i - 1] != b[j - 1]),
                   gap = (last[j] < now[j - 1] ? last[j] : now[j - 1]) + 1;
            now[j] = change < gap ? change : gap;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        before = last;
        last = now;
        now = spare;
    }
    return last[nb];
}

void nearest_try(nearest_t *x, const char *candidate)
{
    size_t n = strlen(candidate), distance;
    if (x->n == 0 || x->n > LONGEST || n > LONGEST) return;
    distance = edit_distance(x->word, x->n, candidate, n);
    /* if the word is a candidate with "-" and more added, as --output-file and --output, the distance is 1 */
    if (n >= 4 && n < x->n && x->word[n] == '-' && !memcmp(x->word, candidate, n)) distance = 1;
    if (3 * distance > (x->n > 3 ? x->n : 3) || (x->best && distance >= x->distance)) return;
    x->best = candidate;
    x->distance = distance;
}

/* names.c - finds columns by name in a sorted list, so that many columns are also found fast. SPDX-License-Identifier:
 * MIT */
#include "learn/names.h"

static int by_name(const void *a, const void *b)
{
    const named_t *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : x->column < y->column ? -1 : x->column > y->column;
}

void names_sort(named_t *v, int64_t n)
{
    if (n) qsort(v, (size_t)n, sizeof *v, by_name);
}

int64_t names_find(const named_t *v, int64_t n, const char *name)
{
    int64_t lo = 0, hi = n;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (strcmp(v[mid].name, name) < 0) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && !strcmp(v[lo].name, name) ? v[lo].column : -1;
}

const char *names_twice(const named_t *v, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (!strcmp(v[i - 1].name, v[i].name)) return v[i].name;
    return NULL;
}

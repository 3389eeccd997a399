/* resume.c - the training state that --resume continues. SPDX-License-Identifier: MIT */
#include "io/foundation.h"
#include "train/resume.h"

void resume_differences(const char *a, const char *b, text_t *t)
{
    size_t n;
    for (const char *s = a; *s; s += n + (s[n] == ' ')) {
        const char *at = b;
        n = strcspn(s, " ");
        while (*at && (strncmp(at, s, n) || (at[n] && at[n] != ' ')))
            at += strcspn(at, " ") + (at[strcspn(at, " ")] == ' ');
        if (!*at && n) text_printf(t, " %.*s", (int)n, s);
    }
}

int resume_compare(const char *begun, const char *now, const char *path, cad_error_t *err)
{
    text_t had = { 0 }, has = { 0 };
    int rc;
    if (!strcmp(begun, now)) return 0;
    resume_differences(begun, now, &had);
    resume_differences(now, begun, &has);
    if (had.failed || has.failed) rc = cad_out_of_memory(err);
    else
        rc = cad_fail(err, CAD_EARG,
                      "%s: begun with%s%s%s; go on with the same data and settings, or give another "
                      "folder",
                      path, had.s.l ? had.s.s : "out", had.s.l && has.s.l ? ", not" : "", has.s.l ? has.s.s : "");
    text_free(&had);
    text_free(&has);
    return rc;
}

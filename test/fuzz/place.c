/* place.c - the folder in which fuzz targets write their files. SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <htslib/bgzf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"

static char folder[4096];

static void leave(void)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    if (d && chdir(folder) == 0)
        while ((e = readdir(d))) unlink(e->d_name); /* fails for . and .. */
    if (d) closedir(d);
    rmdir(folder);
}

void place_enter(void)
{
    static const char reference[] =
        ">c\nACGTACGTTGCATTGACCAGTNNACGTATT\nGACCAGTACGATCAGGCATCAGGACTTA\n>d\nacgtRYKMNACGT\n";
    const char *tmp = getenv("TMPDIR");
    if (*folder) return;
    snprintf(folder, sizeof folder, "%s/caduceus-fuzz.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder) || chdir(folder) || atexit(leave)) abort();
    place_put("ref.fa", (place_t) { (const uint8_t *)reference, sizeof reference - 1 }, 0);
}

int place_next(place_t *rest, place_t *file)
{
    const size_t n = strlen(PLACE_CUT);
    const uint8_t *cut;
    if (!rest->data) return 0;
    *file = *rest;
    cut = memmem(rest->data, rest->size, PLACE_CUT, n);
    rest->data = NULL;
    if (!cut) return 1;
    *rest = (place_t) { cut + n, file->size - n - (size_t)(cut - file->data) };
    file->size = (size_t)(cut - file->data);
    return 1;
}

void place_put(const char *name, place_t file, int bgzf)
{
    if (bgzf) {
        BGZF *f = bgzf_open(name, "w0");
        if (!f || bgzf_write(f, file.data, file.size) != (ssize_t)file.size || bgzf_close(f)) abort();
        return;
    }
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(file.data, 1, file.size, f) != file.size || fclose(f)) abort();
}

void place_remove(const char *const names[])
{
    for (int i = 0; names[i]; i++) unlink(names[i]);
}

int place_begins(place_t file, const char *bytes, size_t n) { return file.size >= n && !memcmp(file.data, bytes, n); }

/* bar.c - formats sizes, and draws the progress bar of a download. SPDX-License-Identifier: MIT */
#include "bar.h"
#include "cmd.h"

const char *size_text(int64_t bytes, char buf[24])
{
    static const char *const unit[] = { "B", "kB", "MB", "GB", "TB" };
    double n = (double)bytes;
    int u = 0;
    for (; n >= 999.5 && u < 4; u++) n /= 1000;
    snprintf(buf, 24, n < 9.95 && u ? "%.1f %s" : "%.0f %s", n, unit[u]);
    return buf;
}

void bar_begin(bar_t *b, bool quiet, int64_t total)
{
    *b = (bar_t) { .on = !quiet && screen_erases(), .quiet = quiet, .total = total };
    clock_gettime(CLOCK_MONOTONIC, &b->start);
    b->shown = b->start;
}

static void draw(const bar_t *b)
{
    static const char full[] = "####################";
    double seconds = seconds_since(b->start), rate = seconds > 0 ? (double)b->fetched / seconds : 0;
    double share = b->total ? (double)b->done / (double)b->total : 1;
    char done[24], total[24], speed[24], left[40] = "", text[32], line[256];
    int n = (int)(20 * share);
    if (rate > 0) snprintf(left, sizeof left, ", %s left", duration_text((double)(b->total - b->done) / rate, text));
    snprintf(line, sizeof line, "%-24.24s [%-20.*s] %3.0f%% %s of %s, %s/s%s", b->name ? b->name : "", n, full,
             100 * share, size_text(b->done, done), size_text(b->total, total), size_text((int64_t)rate, speed), left);
    screen_erase();
    fprintf(stderr, "%.*s", screen_width() - 1, line);
}

void bar_add(bar_t *b, int64_t n, bool fetched)
{
    b->done += n;
    if (fetched) b->fetched += n;
    if (!b->on || seconds_since(b->shown) < 0.2) return;
    clock_gettime(CLOCK_MONOTONIC, &b->shown);
    draw(b);
}

void bar_clear(const bar_t *b)
{
    if (b->on) screen_erase();
}

void bar_waits(const bar_t *b)
{
    if (b->quiet) return;
    cmd_say("model pull", "%s: waiting for another process that fetches it", b->name);
}

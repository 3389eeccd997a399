/* t_progress.c - the progress line, and numbers and times as people read them. SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "tap.h"

static void text_is(const char *want, const char *got)
{
    tap_ok(!strcmp(want, got), "%s", want);
    if (strcmp(want, got)) printf("# got: %s\n", got);
}

static void numbers(void)
{
    char b[32];
    text_is("0", number_text(0, b));
    text_is("999", number_text(999, b));
    text_is("2,185", number_text(2185, b));
    text_is("-1,000", number_text(-1000, b));
    text_is("9,223,372,036,854,775,807", number_text(INT64_MAX, b));
    text_is("9,999", short_text(9999.4, b));
    text_is("34 k", short_text(34123, b));
    text_is("1.0 M", short_text(999600, b));
    text_is("4.1 M", short_text(4.1e6, b));
    text_is("12 G", short_text(1.2e10, b));
    text_is("80 s", duration_text(80, b));
    text_is("3 min 20 s", duration_text(200, b));
    text_is("7 h 22 min", duration_text(26520, b));
    text_is("1 h 0 min", duration_text(3600, b));
    text_is("3 d 4 h", duration_text(76 * 3600.0, b));
}

static void lines(void)
{
    static const progress_t p = { .cmd = "annotate", .what = "variants" };
    static const progress_t begun = { .cmd = "pretrain", .what = "steps", .before = 0.5 };
    progress_state_t now = { .share = 0.25, .items = 2185, .tokens = 3400000 }, none = { 0 };
    char b[200];
    text_is("annotate: 25 %, 5 min 0 s left, 2,185 variants, 34 k tokens/s", progress_text(&p, &now, 100, 200, b, 200));
    text_is("annotate: 25 %, 5 min 0 s left, 2,185 variants", progress_text(&p, &now, 100, 50, b, 200));
    text_is("annotate: 25 %, 5 min 0 s left", progress_text(&p, &now, 100, 40, b, 200));
    text_is("annotate: 25 %", progress_text(&p, &now, 100, 16, b, 200));
    text_is("anno", progress_text(&p, &now, 100, 5, b, 200));
    text_is("annotate: 3 s so far, 0 variants", progress_text(&p, &none, 3, 80, b, 200));
    now.share = 0.75; /* half of the remaining work took 100 seconds, so the other half takes another 100 seconds */
    strcpy(now.more, "loss 1.2345");
    text_is("pretrain: 75 %, 1 min 40 s left, 2,185 steps, loss 1.2345, 34 k tokens/s",
            progress_text(&begun, &now, 100, 200, b, 200));
    for (int width = 2; width < 90; width++)
        if ((int)strlen(progress_text(&begun, &now, 100, width, b, 200)) >= width) tap_ok(0, "width %d", width);
    tap_ok(1, "no line is as wide as the terminal");
}

int main(void)
{
    numbers();
    lines();
    return tap_finish();
}

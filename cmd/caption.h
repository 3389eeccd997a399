/* caption.h - what a picture says about its run. SPDX-License-Identifier: MIT */
#ifndef CAD_CAPTION_H
#define CAD_CAPTION_H

#include "draw/figure.h"
#include "run.h"

/* Returns the title and the line below it, which names the model and the options. what: the words before the region.
 * The caption borrows all texts, also those of the run. */
caption_t run_caption(run_t *r, const char *what, const char *contig, interval_t at);

#endif

/* account.h - reads the hub's address and the user's token from the environment. SPDX-License-Identifier: MIT */
#ifndef CAD_ACCOUNT_H
#define CAD_ACCOUNT_H

#include "io/foundation.h"

typedef struct account_t {
    char *endpoint;      /* $HF_ENDPOINT, without a slash at its end */
    char *token;         /* $HF_TOKEN or, if not set, the text of the token file; NULL: there is none */
    const char *trusted; /* file of trusted certificates that an environment variable names, or NULL; borrowed */
    int64_t patience;    /* a connection is closed after this many seconds without a byte */
} account_t;
/* Fills *a from the environment. Call account_free also after a failure. */
int account_read(account_t *a, cad_error_t *err);
void account_free(account_t *a);

#endif

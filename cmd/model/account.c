/* account.c - reads the hub's address and the user's token from the environment. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "account.h"

#define PATIENCE 30

static const char *variable(const char *name)
{
    const char *s = getenv(name);
    return s && *s ? s : NULL;
}

/* Sets a->token to the text, without the white space around it. from: name of the text's origin, for messages. */
static int take_token(account_t *a, const char *text, const char *from, cad_error_t *err)
{
    size_t n;
    while (isspace((unsigned char)*text)) text++;
    n = strlen(text);
    while (n && isspace((unsigned char)text[n - 1])) n--;
    if (n == 0) return 0;
    if (n > 1024) return cad_fail(err, CAD_EARG, "%s: too long for a token", from);
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] == 127) return cad_fail(err, CAD_EARG, "%s: is not a token", from);
    a->token = strndup(text, n);
    return a->token ? 0 : cad_out_of_memory(err);
}

static int find_token(account_t *a, cad_error_t *err)
{
    const char *text = variable("HF_TOKEN");
    char *path = NULL, *file = NULL;
    size_t size;
    int rc;
    if (!text) text = variable("HUGGING_FACE_HUB_TOKEN");
    if (text) return take_token(a, text, "$HF_TOKEN", err);
    rc = cad_hub_path(&path, CAD_HUB_TOKEN, NULL, NULL, err);
    if (rc == 0) rc = cad_read_text(&file, &size, path, true, err);
    if (rc == 0 && file) rc = take_token(a, file, path, err);
    free(file);
    free(path);
    return rc;
}

static int find_endpoint(account_t *a, cad_error_t *err)
{
    const char *s = variable("HF_ENDPOINT");
    size_t n;
    if (!s) s = "https://huggingface.co";
    n = strlen(s);
    while (n && s[n - 1] == '/') n--;
    if (strncasecmp(s, "https://", 8) && strncasecmp(s, "http://", 7))
        return cad_fail(err, CAD_EARG, "$HF_ENDPOINT %.200s: expected a URL such as https://huggingface.co", s);
    a->endpoint = strndup(s, n);
    return a->endpoint ? 0 : cad_out_of_memory(err);
}

/* Returns the file of trusted certificates that an environment variable names, or NULL. */
static const char *certificates(void)
{
    static const char *const name[] = { "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE" };
    const char *s = NULL;
    for (size_t i = 0; i < sizeof name / sizeof *name && !s; i++) s = variable(name[i]);
    return s;
}

int account_read(account_t *a, cad_error_t *err)
{
    const char *wait = variable("HF_HUB_DOWNLOAD_TIMEOUT");
    int rc;
    *a = (account_t) { .patience = PATIENCE, .trusted = certificates() };
    if (wait && !cad_parse_int(wait, 1, 86400, &a->patience))
        return cad_fail(err, CAD_EARG, "$HF_HUB_DOWNLOAD_TIMEOUT %.40s: expected a number of seconds from 1 to 86400",
                        wait);
    rc = find_endpoint(a, err);
    return rc ? rc : find_token(a, err);
}

void account_free(account_t *a)
{
    free(a->endpoint);
    free(a->token);
}

/* fetch.c - gets files from the hub over HTTP, with libcurl.
 *
 * libcurl is loaded only when it is needed, because it brings some twenty libraries with it. Linking it would
 * quadruple the time that every command takes to start. This file, not libcurl, follows redirects, so that the token
 * is sent only to the endpoint. SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <ctype.h>
#include <dlfcn.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "account.h"
#include "fetch.h"

#define REDIRECTS 10
#define LONGEST_WAIT 60 /* maximum number of seconds between two tries */

/* ---- libcurl ---- */

#define FUNCTIONS(f)                                                                                            \
    f(global_init) f(easy_init) f(easy_setopt) f(easy_getinfo) f(easy_perform) f(easy_cleanup) f(easy_strerror) \
        f(slist_append) f(slist_free_all) f(url) f(url_set) f(url_get) f(url_cleanup) f(free)
#define MEMBER(name) __typeof__(curl_##name) *name;
#define LOAD(name) ok = ok && (*(void **)&c->name = dlsym(library, "curl_" #name));
typedef struct {
    FUNCTIONS(MEMBER)
} curl_t;

static int load_curl(curl_t *c, cad_error_t *err)
{
#ifdef __APPLE__
    static const char *const so[] = { "libcurl.4.dylib" };
#else
    static const char *const so[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };
#endif
    void *library = NULL;
    bool ok;
    for (size_t i = 0; i < sizeof so / sizeof *so && !library; i++) library = dlopen(so[i], RTLD_NOW | RTLD_LOCAL);
    ok = library != NULL;
    FUNCTIONS(LOAD)
    if (!ok)
        return cad_fail(err, CAD_EIO, "libcurl is not installed, or does not fit: %s; on Debian: apt install libcurl4",
                        dlerror());
    return c->global_init(CURL_GLOBAL_DEFAULT) ? cad_fail(err, CAD_EIO, "libcurl does not start") : 0;
}

/* ---- a request ---- */

typedef struct { /* the last answer of the server */
    char code[64], message[256], type[64];
    char body[1024]; /* first bytes of the body, if the answer is an error */
    size_t nbody;
    int64_t wait;  /* seconds of Retry-After, or 0 */
    int64_t begin; /* position of the first byte, from Content-Range; -1: not given */
    bool begun;    /* true once the first byte of the body has arrived */
} answer_t;

struct fetch_t {
    curl_t c;
    CURL *h;
    const cad_hub_name_t *name;
    account_t account;
    char why[CURL_ERROR_SIZE]; /* error message of libcurl */
    int retries;
    bool reached; /* the server has answered at least once */
    struct timespec heard;
    sink_t *sink;
    answer_t answer;
    int rc; /* error that the sink (the receiver of the file's bytes) returned, or 0 */
    cad_error_t *err;
};

static double since(struct timespec t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t.tv_sec) + 1e-9 * (double)(now.tv_nsec - t.tv_nsec);
}

static long status_of(fetch_t *f)
{
    long status = 0;
    f->c.easy_getinfo(f->h, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Copies the value of a header line to `to` if the header has this name. */
static void take(const char *line, size_t n, const char *name, char *to, size_t size)
{
    size_t k = strlen(name);
    if (n <= k || strncasecmp(line, name, k) || line[k] != ':') return;
    for (k++; k < n && (line[k] == ' ' || line[k] == '\t'); k++) {}
    while (n > k && isspace((unsigned char)line[n - 1])) n--;
    snprintf(to, size, "%.*s", (int)cad_min((int64_t)(n - k), (int64_t)size - 1), line + k);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    fetch_t *f = arg;
    answer_t *a = &f->answer;
    char wait[24] = "", range[64] = "";
    n *= size;
    clock_gettime(CLOCK_MONOTONIC, &f->heard);
    if (n > 5 && !strncasecmp(line, "HTTP/", 5)) *a = (answer_t) { .begin = -1 };
    take(line, n, "X-Error-Code", a->code, sizeof a->code);
    take(line, n, "X-Error-Message", a->message, sizeof a->message);
    take(line, n, "Content-Type", a->type, sizeof a->type);
    take(line, n, "Retry-After", wait, sizeof wait);
    take(line, n, "Content-Range", range, sizeof range);
    if (*wait) cad_parse_int(wait, 0, INT32_MAX, &a->wait);
    if (!strncasecmp(range, "bytes ", 6) && isdigit((unsigned char)range[6])) a->begin = strtoll(range + 6, NULL, 10);
    return n;
}

static int fail(fetch_t *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reports an error about the file being fetched; returns CAD_EIO. */
static int fail(fetch_t *f, const char *fmt, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (f->sink->name) return cad_fail(f->err, CAD_EIO, "%s: %s: %s", f->name->model, f->sink->name, text);
    return cad_fail(f->err, CAD_EIO, "%s@%s: %s", f->name->model, f->name->revision, text);
}

/* Called at the first byte of a file. If the server sends only the requested rest of the file, checks that it begins at
 * the byte that the sink needs next. If the server sends the whole file instead, rewinds the sink. */
static int begin_file(fetch_t *f, long status)
{
    f->answer.begun = true;
    if (f->sink->size >= 0 && !strncasecmp(f->answer.type, "text/html", 9))
        return fail(f,
                    "the server sent an HTML page in place of the file; is there a proxy or a login page in between?");
    if (status == 206 && f->answer.begin != f->sink->at)
        return fail(f, "the server sent another part of the file than was asked for; run the command again");
    return status == 206 || f->sink->at == 0 ? 0 : f->sink->rewind(f->sink, f->err);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    fetch_t *f = arg;
    answer_t *a = &f->answer;
    long status = status_of(f);
    n *= size;
    clock_gettime(CLOCK_MONOTONIC, &f->heard);
    if (status != 200 && status != 206) {
        size_t some = (size_t)cad_min((int64_t)n, (int64_t)(sizeof a->body - a->nbody));
        memcpy(a->body + a->nbody, data, some);
        a->nbody += some;
        return n;
    }
    if (!a->begun) f->rc = begin_file(f, status);
    if (f->rc == 0 && f->sink->size >= 0 && (int64_t)n > f->sink->size - f->sink->at)
        f->rc = fail(f, "the server sends more than the %lld bytes in its list of files; run the command again",
                     (long long)f->sink->size);
    if (f->rc == 0) f->rc = f->sink->write(f->sink, data, n, f->err);
    return f->rc ? CURL_WRITEFUNC_ERROR : n;
}

/* Called regularly by libcurl. If no byte has arrived for account.patience seconds, returns 1, which ends the
 * connection; else 0. */
static int on_time(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const fetch_t *f = arg;
    (void)a, (void)b, (void)c, (void)d;
    return since(f->heard) > (double)f->account.patience;
}

/* ---- URLs ---- */

/* Writes a component of a URL, such as its host, to `to`; "" if the URL has no such component. */
static void part_of(fetch_t *f, const char *url, CURLUPart part, char *to, size_t size)
{
    CURLU *u = f->c.url();
    char *text = NULL;
    *to = 0;
    if (u && !f->c.url_set(u, CURLUPART_URL, url, 0) && !f->c.url_get(u, part, &text, CURLU_DEFAULT_PORT))
        snprintf(to, size, "%s", text);
    f->c.free(text);
    f->c.url_cleanup(u);
}

/* True if both URLs have the same scheme, host and port. */
static bool same_origin(fetch_t *f, const char *a, const char *b)
{
    static const CURLUPart part[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
    bool same = true;
    for (int i = 0; i < 3; i++) {
        char x[512], y[512];
        part_of(f, a, part[i], x, sizeof x);
        part_of(f, b, part[i], y, sizeof y);
        same = same && *x && !strcasecmp(x, y);
    }
    return same;
}

/* Makes one request. Returns libcurl's code. Sets *next to the URL that the answer redirects to, malloc'd, or to
 * NULL. */
static CURLcode request(fetch_t *f, const char *url, char **next)
{
    struct curl_slist *headers = NULL;
    char line[1200], range[32], *to = NULL;
    CURLcode code;
    if (f->account.token && same_origin(f, url, f->account.endpoint)) {
        snprintf(line, sizeof line, "Authorization: Bearer %s", f->account.token);
        headers = f->c.slist_append(NULL, line);
        if (!headers) return CURLE_OUT_OF_MEMORY;
    }
    snprintf(range, sizeof range, "%lld-", (long long)f->sink->at);
    f->c.easy_setopt(f->h, CURLOPT_URL, url);
    f->c.easy_setopt(f->h, CURLOPT_HTTPHEADER, headers);
    f->c.easy_setopt(f->h, CURLOPT_RANGE, f->sink->at ? range : NULL);
    f->answer = (answer_t) { .begin = -1 };
    f->why[0] = 0;
    clock_gettime(CLOCK_MONOTONIC, &f->heard);
    code = f->c.easy_perform(f->h);
    f->c.slist_free_all(headers);
    f->c.easy_getinfo(f->h, CURLINFO_REDIRECT_URL, &to);
    *next = code == CURLE_OK && to && status_of(f) / 100 == 3 ? strdup(to) : NULL;
    return code;
}

/* Makes a request and follows its redirects. Returns 0 and sets *code, or a negative code if a redirect must not be
 * followed. */
static int follow(fetch_t *f, const char *path, CURLcode *code)
{
    size_t size = strlen(f->account.endpoint) + strlen(path) + 2;
    char *url = malloc(size), *next = NULL;
    int hops = 0, rc = 0;
    if (!url) return cad_out_of_memory(f->err);
    snprintf(url, size, "%s/%s", f->account.endpoint, path);
    while (rc == 0 && (*code = request(f, url, &next)) == CURLE_OK && next) {
        char host[256];
        part_of(f, next, CURLUPART_HOST, host, sizeof host);
        if (++hops > REDIRECTS)
            rc = fail(f, "the server redirects in a circle (more than %d times); check $HF_ENDPOINT", REDIRECTS);
        else if (!strncasecmp(url, "https:", 6) && strncasecmp(next, "https:", 6))
            rc = fail(f, "the server redirects to %s without TLS; this is not followed", host);
        free(url);
        url = next;
        next = NULL;
    }
    free(url);
    return rc;
}

/* ---- reporting errors ---- */

static int fail_curl(fetch_t *f, CURLcode code)
{
    const char *why = f->why[0] ? f->why : f->c.easy_strerror(code);
    const sink_t *s = f->sink;
    char part[64] = "";
    if (s->at && s->size > 0)
        snprintf(part, sizeof part, " after %lld of %lld bytes", (long long)s->at, (long long)s->size);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return fail(f, "%s; check the network, $HF_ENDPOINT, or name a proxy in $https_proxy", why);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY: return fail(f, "the proxy fails: %s; check $https_proxy and $http_proxy", why);
    case CURLE_COULDNT_CONNECT:
        return fail(f, "no connection%s: %s; check the network, $https_proxy and $HF_ENDPOINT", part, why);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return fail(f, "TLS fails: %s; where a proxy signs certificates, name its own in $SSL_CERT_FILE", why);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT: return fail(f, "%s; $HF_ENDPOINT must be a URL such as https://huggingface.co", why);
    case CURLE_OUT_OF_MEMORY: return cad_out_of_memory(f->err);
    case CURLE_ABORTED_BY_CALLBACK:
        return fail(f, "nothing came for %lld s%s; run the command again to continue the download",
                    (long long)f->account.patience, part);
    default: return fail(f, "the connection was cut%s: %s; run the command again to continue the download", part, why);
    }
}

/* Returns the error message that the hub sent. */
static const char *words(fetch_t *f)
{
    answer_t *a = &f->answer;
    json_t *root = a->message[0] ? NULL : json_loadb(a->body, a->nbody, 0, NULL);
    const char *text = json_string_value(json_object_get(root, "error"));
    if (text) snprintf(a->message, sizeof a->message, "%s", text);
    json_decref(root);
    return a->message[0] ? a->message : a->code;
}

static int fail_denied(fetch_t *f, long status)
{
    const char *text = words(f);
    if (!strcmp(f->answer.code, "GatedRepo"))
        return fail(f,
                    "the model is gated: %.200s; ask for access at %s/%s, then set $HF_TOKEN to a token of yours "
                    "(from %s/settings/tokens)%s",
                    text, f->account.endpoint, f->name->model, f->account.endpoint,
                    f->account.token ? "; the one given has no access yet" : "");
    if (f->account.token)
        return fail(
            f, "the hub refuses the token (HTTP %ld: %.200s); check $HF_TOKEN or make a new one at %s/settings/tokens",
            status, text, f->account.endpoint);
    return fail(f,
                "no such model, or a private one (HTTP %ld: %.200s); check its name, and set $HF_TOKEN for one that is "
                "private or gated",
                status, text);
}

static int fail_absent(fetch_t *f)
{
    const char *code = f->answer.code;
    if (!strcmp(code, "RevisionNotFound"))
        return fail(f, "no such revision; %s/%s/tree/main lists branches and tags", f->account.endpoint,
                    f->name->model);
    if (!strcmp(code, "EntryNotFound")) return fail(f, "the hub lists this file but does not have it; try again later");
    return fail(f, "no such model at %s (HTTP 404); check its name%s", f->account.endpoint,
                f->account.token ? "" : ", and set $HF_TOKEN if it is private");
}

static int fail_proxy(fetch_t *f, long status)
{
    return fail(f, "the proxy refuses (HTTP %ld)%s", status,
                status == 407 ? "; give user and password in $https_proxy, as in http://USER:PASSWORD@HOST:PORT"
                              : "; check $https_proxy and $http_proxy");
}

static int fail_status(fetch_t *f, long status)
{
    switch (status) {
    case 401:
    case 403: return fail_denied(f, status);
    case 404: return fail_absent(f);
    case 407: return fail_proxy(f, status);
    case 429: return fail(f, "the hub limits requests (HTTP 429); wait some minutes, or set $HF_TOKEN");
    default:
        return fail(f, "the server answers HTTP %ld%s%.200s; try again later", status, *words(f) ? ": " : "", words(f));
    }
}

/* ---- trying again ---- */

static bool passing_status(long status)
{
    return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

/* True for a fault that may not occur in another try. A failure to connect counts only if the server has answered
 * before; otherwise it is reported at once. */
static bool passing_code(const fetch_t *f, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_ABORTED_BY_CALLBACK: return f->reached;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
    }
}

static void pause_before(int tries, int64_t wait)
{
    double seconds = wait ? (double)wait : 0.25 * (double)(1 << tries);
    struct timespec t = { .tv_sec = (time_t)seconds };
    t.tv_nsec = (long)(1e9 * (seconds - (double)t.tv_sec));
    nanosleep(&t, NULL);
}

/* Reports the error `code` of libcurl. Returns 1 if another try is worthwhile, else CAD_EIO. */
static int after_curl(fetch_t *f, CURLcode code)
{
    long proxy = 0;
    f->c.easy_getinfo(f->h, CURLINFO_HTTP_CONNECTCODE, &proxy);
    if (proxy >= 400) return fail_proxy(f, proxy);
    fail_curl(f, code);
    return passing_code(f, code) ? 1 : CAD_EIO;
}

/* Reports that the server answered with an HTTP error status. Returns 1 if another try is worthwhile, else CAD_EIO. */
static int after_status(fetch_t *f, long status)
{
    fail_status(f, status);
    return passing_status(status) && f->answer.wait <= LONGEST_WAIT ? 1 : CAD_EIO;
}

/* Tries once. Returns 0 if the whole file arrived, 1 if another try is worthwhile, or a negative code. */
static int attempt(fetch_t *f, const char *path)
{
    CURLcode code = CURLE_OK;
    long status;
    int rc = follow(f, path, &code);
    if (rc) return rc;
    if (f->rc) return f->rc; /* the sink failed, for example because the disk is full */
    if (code != CURLE_OK) return after_curl(f, code);
    f->reached = true;
    status = status_of(f);
    if (status == 416 && f->sink->at) return (rc = f->sink->rewind(f->sink, f->err)) ? rc : 1;
    if (status != 200 && status != 206) return after_status(f, status);
    return f->sink->size < 0 || f->sink->at == f->sink->size ? 0 : after_curl(f, CURLE_PARTIAL_FILE);
}

int fetch_get(fetch_t *f, const char *path, sink_t *sink, cad_error_t *err)
{
    int tries = 0, rc;
    f->sink = sink;
    f->err = err;
    f->rc = 0;
    for (;;) {
        int64_t before = sink->at;
        if ((rc = attempt(f, path)) <= 0) return rc;
        if (sink->at > before) tries = 0;
        if (f->retries == 0 || ++tries > f->retries) return CAD_EIO;
        pause_before(tries, f->answer.wait);
        if (sink->size < 0 && (rc = sink->rewind(sink, err))) return rc;
    }
}

/* ---- opening ---- */

static int set_up(fetch_t *f, cad_error_t *err)
{
    curl_t *c = &f->c;
    if (!(f->h = c->easy_init())) return cad_out_of_memory(err);
    if (c->easy_setopt(f->h, CURLOPT_PROTOCOLS_STR, "http,https"))
        return cad_fail(err, CAD_EIO, "libcurl is older than 7.85; install a later one");
    c->easy_setopt(f->h, CURLOPT_ERRORBUFFER, f->why);
    c->easy_setopt(f->h, CURLOPT_USERAGENT, "caduceus/" PACKAGE_VERSION);
    c->easy_setopt(f->h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    c->easy_setopt(f->h, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * f->account.patience));
    c->easy_setopt(f->h, CURLOPT_BUFFERSIZE, 1L << 18);
    c->easy_setopt(f->h, CURLOPT_WRITEFUNCTION, on_body);
    c->easy_setopt(f->h, CURLOPT_WRITEDATA, (void *)f);
    c->easy_setopt(f->h, CURLOPT_HEADERFUNCTION, on_header);
    c->easy_setopt(f->h, CURLOPT_HEADERDATA, (void *)f);
    c->easy_setopt(f->h, CURLOPT_XFERINFOFUNCTION, on_time);
    c->easy_setopt(f->h, CURLOPT_XFERINFODATA, (void *)f);
    c->easy_setopt(f->h, CURLOPT_NOPROGRESS, 0L);
    if (f->account.trusted) c->easy_setopt(f->h, CURLOPT_CAINFO, f->account.trusted);
    return 0;
}

int fetch_open(fetch_t **out, const cad_hub_name_t *name, int retries, cad_error_t *err)
{
    fetch_t *f = calloc(1, sizeof *f);
    int rc;
    *out = f;
    if (!f) return cad_out_of_memory(err);
    f->name = name;
    f->retries = retries;
    rc = account_read(&f->account, err);
    if (rc == 0) rc = load_curl(&f->c, err);
    return rc ? rc : set_up(f, err);
}

void fetch_close(fetch_t *f)
{
    if (!f) return;
    if (f->h) f->c.easy_cleanup(f->h);
    account_free(&f->account);
    free(f);
}

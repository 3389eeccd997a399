/* pickle.h - reads the values of a Python pickle and executes nothing.
 *
 * A pickle is a program for a stack machine. This reader executes the instructions that make values; where Python would
 * call a function, the reader only notes the function and the arguments. Values refer to each other by number and may
 * form cycles, so callers follow them to a fixed depth only. SPDX-License-Identifier: MIT
 */
#ifndef CAD_PICKLE_H
#define CAD_PICKLE_H

#include "base/base.h"

typedef enum {
    CAD_PY_NONE, /* None, and any value of a type that the reader does not keep, such as an integer above 64 bits */
    CAD_PY_BOOL,
    CAD_PY_INT,
    CAD_PY_FLOAT,
    CAD_PY_TEXT,   /* a str, or bytes */
    CAD_PY_TUPLE,  /* a tuple or a frozenset */
    CAD_PY_LIST,   /* a list or a set */
    CAD_PY_DICT,   /* a dict or a collections.OrderedDict */
    CAD_PY_GLOBAL, /* a function or a class, given by its name */
    CAD_PY_STORED, /* an object that is stored outside the pickle and named by a persistent id */
    CAD_PY_OBJECT, /* the result of calling a function or class; the call is not run */
    CAD_PY_PIECE   /* internal: consecutive items of a list or dict */
} cad_py_type_t;

typedef struct {
    uint32_t type; /* cad_py_type_t */
    uint32_t n;    /* number of bytes of a text, of items of a tuple, list or piece, or of keys and values of a dict */
    union {
        int64_t number; /* INT, BOOL */
        double real;
        /* Indexes, by type. TEXT: a, offset of the text's first byte. TUPLE: a, index of its first item. LIST, DICT: a,
         * its first piece; b, its last piece. PIECE: a, index of its first item; b, the next piece. GLOBAL: a, module;
         * b, name. OBJECT: a, function; b, arguments. STORED: a, the persistent id. */
        struct {
            uint32_t a, b;
        } at;
    };
} cad_py_t;

typedef struct {
    const unsigned char *text; // (size) the pickle
    size_t size;
    cad_py_t *value; // (nvalue) value 0 is None
    uint32_t *item;  // (nitem) indexes of the values that tuples and pieces contain
    uint32_t root;   /* index of the value that the whole pickle describes */
    uint32_t nvalue, nitem;
    void *memory; /* one allocation that holds all arrays */
} cad_pickle_t;

#define CAD_PICKLE_BYTES 32 /* maximum bytes of memory for each byte of a pickle */

/* Reads a pickle of protocol 2 to 5. text must outlive p; path is for messages. Free p also after a failure. */
int cad_pickle_read(cad_pickle_t *p, const unsigned char *text, size_t size, const char *path, cad_error_t *err);
void cad_pickle_free(cad_pickle_t *p);

/* Returns item i of a tuple; 0 (the index of None) if the value is no tuple or has fewer items. */
uint32_t cad_py_item(const cad_pickle_t *p, uint32_t tuple, uint32_t i);
/* cad_py_next returns the next key and value of a dict, or false at the end. Begin with a cursor whose members are
 * zero. */
typedef struct {
    uint32_t piece, i;
    bool begun;
} cad_py_cursor_t;
bool cad_py_next(const cad_pickle_t *p, uint32_t dict, cad_py_cursor_t *c, uint32_t *key, uint32_t *value);
/* Returns the value of a text key in a dict: the last one if the key occurs twice, as in Python; 0 (None) if there is
 * none. */
uint32_t cad_py_get(const cad_pickle_t *p, uint32_t dict, const char *key);
/* cad_py_is returns true if v is this text, cad_py_is_global if v is the function or class with this name,
 * "module.name". */
bool cad_py_is(const cad_pickle_t *p, uint32_t v, const char *text);
bool cad_py_is_global(const cad_pickle_t *p, uint32_t v, const char *name);
/* Writes a description of v to buf, for messages, such as "an object of a.b.C", "a list" or the name of a global;
 * returns buf. */
const char *cad_py_describe(const cad_pickle_t *p, uint32_t v, char *buf, size_t size);

#endif

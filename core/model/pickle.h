/* pickle.h - reads the values of a Python pickle and executes nothing.
 *
 * A pickle is a program for a stack machine. This reader runs the instructions that make values; where Python would
 * call a function, it only notes the function and the arguments. Values refer to each other by number and may form
 * cycles, so callers follow them to a fixed depth only.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_PICKLE_H
#define CAD_PICKLE_H

#include "base/base.h"

typedef enum {
    CAD_PY_NONE, /* also any value of a type that is not kept, such as an integer above 64 bits */
    CAD_PY_BOOL,
    CAD_PY_INT,
    CAD_PY_FLOAT,
    CAD_PY_TEXT,   /* a str, or bytes */
    CAD_PY_TUPLE,  /* also a frozenset */
    CAD_PY_LIST,   /* also a set */
    CAD_PY_DICT,   /* also a collections.OrderedDict */
    CAD_PY_GLOBAL, /* a function or a class by its name */
    CAD_PY_STORED, /* an object outside the pickle, named by a persistent id */
    CAD_PY_OBJECT, /* the result of calling a function or class; the call is not run */
    CAD_PY_PIECE   /* internal: some items of a list or dict */
} cad_py_type_t;

typedef struct {
    uint32_t type; /* cad_py_type_t */
    uint32_t n;    /* bytes of a text; items of a tuple, list or piece; keys and values of a dict */
    union {
        int64_t number; /* INT, BOOL */
        double real;
        /* Meaning of a and b. TEXT: offset of its first byte. TUPLE: index of its first item. LIST, DICT: its first
         * piece, its last piece. PIECE: index of its first item, the next piece. GLOBAL: module, name. OBJECT: function,
         * arguments. STORED: the persistent id. */
        struct {
            uint32_t a, b;
        } at;
    };
} cad_py_t;

typedef struct {
    const unsigned char *text; // (size) the pickle
    size_t size;
    cad_py_t *value; // (nvalue) value 0 is None
    uint32_t *item;  // (nitem) the values that tuples and pieces contain
    uint32_t root;   /* the value that the whole pickle describes */
    uint32_t nvalue, nitem;
    void *memory; /* holds all arrays */
} cad_pickle_t;

#define CAD_PICKLE_BYTES 32 /* maximum bytes of memory for each byte of a pickle */

/* Reads a pickle of protocol 2 to 5. text must outlive p; path is for messages. Free p also after a failure. */
int cad_pickle_read(cad_pickle_t *p, const unsigned char *text, size_t size, const char *path, cad_error_t *err);
void cad_pickle_free(cad_pickle_t *p);

/* Returns item i of a tuple; 0 (None) if the value is no tuple or has fewer items. */
uint32_t cad_py_item(const cad_pickle_t *p, uint32_t tuple, uint32_t i);
/* cad_py_next walks over the keys and values of a dict. Begin with a zeroed cursor. Returns false at the end. */
typedef struct {
    uint32_t piece, i;
    bool begun;
} cad_py_cursor_t;
bool cad_py_next(const cad_pickle_t *p, uint32_t dict, cad_py_cursor_t *c, uint32_t *key, uint32_t *value);
/* Returns the value of a text key, the last one if the key occurs twice, as in Python; 0 if there is none. */
uint32_t cad_py_get(const cad_pickle_t *p, uint32_t dict, const char *key);
/* cad_py_is: true if v is this text. cad_py_is_global: true if v is the function or class "module.name". */
bool cad_py_is(const cad_pickle_t *p, uint32_t v, const char *text);
bool cad_py_is_global(const cad_pickle_t *p, uint32_t v, const char *name);
/* Writes a description of v to buf, for messages: "an object of a.b.C", "a list", the name of a global ...; returns
 * buf. */
const char *cad_py_describe(const cad_pickle_t *p, uint32_t v, char *buf, size_t size);

#endif

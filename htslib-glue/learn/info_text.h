/* info_text.h - reads values from the INFO column of a VCF, as text. SPDX-License-Identifier: MIT */
#ifndef CAD_INFO_TEXT_H
#define CAD_INFO_TEXT_H

#include "io/input.h"

/* A key of INFO, as the header declares it. */
typedef struct info_key_t {
    const char *name; /* NULL: there is no such key */
    bool flag;        /* Type=Flag */
    bool each;        /* Number=A: a value for each allele; otherwise the whole text is that of all alleles */
} info_key_t;
/* Sets flag and each if this line of the header declares the key. */
void info_declare(const char *line, info_key_t *key);
/* Returns the value of a key in INFO and sets *n to its length, up to the next semicolon; "" for a flag; NULL if INFO
 * lacks the key. */
const char *info_value(const char *info, const char *key, size_t *n);
/* Returns item i of a list of n bytes, which commas separate, and sets *len to its length; an empty one if the list is
 * shorter. */
const char *info_item(const char *s, size_t n, int i, size_t *len);
/* Returns the number of items of a list of n bytes. */
int info_count(const char *s, size_t n);
/* Returns the value of a key for allele i, and sets *len to its length; NULL if INFO lacks the key. */
const char *info_of_allele(const char *info, const info_key_t *key, int i, size_t *len);
/* Checks that a key that has a value for each allele has as many. in: the file, for messages. */
int info_check(const input_t *in, const char *info, const info_key_t *key, int alleles, cad_error_t *err);

#endif

/* fuzz.h: what the fuzz targets share. A target ends the program where a property does not hold. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qh_status.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len);

#define HOLDS(property)                                                            \
    do {                                                                           \
        if (!(property)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #property); \
            abort();                                                               \
        }                                                                          \
    } while (0)

/* The first bytes of an input say how it is cut and which limits hold; the rest is what is read. */
enum { N_CHOICES = 3 };

/* A copy that fits exactly, so that the address sanitizer sees one byte too far. Zero bytes, too, have an
 * address of their own. */
static inline char *exact_copy(const void *data, size_t len)
{
    char *copy = malloc(len);
    HOLDS(copy != NULL);
    return len > 0 ? memcpy(copy, data, len) : copy;
}

#endif

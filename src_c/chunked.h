/* chunked.h: decode the chunked transfer coding in place (RFC 9112 section 7.1), resumable at any byte.
 *
 *   chunked-body = *chunk last-chunk trailer-section CRLF
 *   chunk        = chunk-size [chunk-ext] CRLF chunk-data CRLF
 *   chunk-size   = 1*HEXDIG                        bounded; leading zeros count as extension
 *   last-chunk   = 1*"0" [chunk-ext] CRLF
 *   chunk-ext    = *(BWS ";" ...)                  skipped, bounded over the whole body
 *   trailer      = *(field-line CRLF)              checked, bounded, dropped; it may be folded
 *
 * Every line ends with exactly CRLF. Blanks between size and CRLF or ";" are let pass (BWS), as is common;
 * nothing else is. */
#ifndef QH_CHUNKED_H
#define QH_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "qh_status.h"

typedef struct qh_chunk_limits {
    uint64_t size_cap;      /* the largest chunk size; below 2^62 */
    uint32_t extension_cap; /* bytes between a chunk size and its CRLF, and of leading zeros, over one body */
    uint32_t trailer_cap;   /* bytes of the trailer section */
} qh_chunk_limits;

/* Each state names what the next byte must be. */
typedef enum qh_chunked_state {
    QH_CHUNK_SIZE_FIRST = 0, /* the first digit of a chunk size */
    QH_CHUNK_SIZE,           /* more digits, or what may follow them */
    QH_CHUNK_BLANK,          /* blanks after the size: ";" or CR must follow */
    QH_CHUNK_EXTENSION,      /* inside extensions, up to CR */
    QH_CHUNK_QUOTED,         /* inside a quoted string of an extension, which no line end may cut */
    QH_CHUNK_ESCAPED,        /* behind a backslash in one */
    QH_CHUNK_SIZE_LF,        /* the LF behind size and extensions */
    QH_CHUNK_DATA,           /* chunk data, `left` bytes of it */
    QH_CHUNK_DATA_CR,        /* the CR behind chunk data */
    QH_CHUNK_DATA_LF,        /* the LF behind chunk data */
    QH_CHUNK_TRAILER_FIRST,  /* the first byte of a trailer line, or the CR of the final blank line */
    QH_CHUNK_TRAILER_NAME,   /* inside a trailer's field name */
    QH_CHUNK_TRAILER_VALUE,  /* inside its value, up to CR */
    QH_CHUNK_TRAILER_LF,     /* the LF of a trailer line */
    QH_CHUNK_END_LF,         /* the LF of the final blank line */
    QH_CHUNK_FINISHED,       /* nothing more */
} qh_chunked_state;

typedef struct qh_chunked {
    qh_chunked_state state;
    uint32_t n_extension; /* bytes spent on extensions, blanks and superfluous zeros so far */
    uint32_t n_trailer;   /* bytes of trailer section so far */
    uint64_t left;        /* chunk size while it is read, then chunk data still to come */
} qh_chunked;

/* Decodes data[0..len): chunk data moves down to data[0..*data_len), *used tells how many raw bytes are
 * spent. Returns QH_AGAIN (all used), QH_DONE (the body is whole; bytes behind *used belong to nobody) or
 * an error (what stands in *data_len is still good data). A zeroed struct is the start state. */
qh_status qh_chunked_decode(qh_chunked *chunked, char *data, size_t len, const qh_chunk_limits *limits,
                            size_t *used, size_t *data_len);

#endif

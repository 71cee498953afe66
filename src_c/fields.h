/* fields.h: index the field lines of a head and report the facts that framing needs, in one pass.
 * It decides nothing: what a pair of Content-Length values or a coding list means is framing's to say.
 * It is run before llhttp has judged the head, so it relies on nothing but the length. */
#ifndef QH_FIELDS_H
#define QH_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "qh_status.h"

/* One field line; offsets count from the first byte of the head. A folded value (obs-fold) runs on over
 * its continuation lines and contains their line ends. */
typedef struct qh_field {
    uint32_t name_at, name_len;
    uint32_t value_at, value_len; /* without the white space around it */
} qh_field;

/* How the Content-Length fields came out. */
typedef enum qh_length_state {
    QH_LENGTH_NONE = 0, /* no such field */
    QH_LENGTH_ONE,      /* one value, or the same text repeated */
    QH_LENGTH_BAD,      /* not 1*DIGIT below 2^63, or values that differ */
} qh_length_state;

typedef struct qh_head_facts {
    uint32_t reason_at, reason_len; /* in the status line */
    uint16_t status;                /* three digits; 0 where the status line has another shape */
    uint8_t major, minor;
    uint8_t length_state;       /* qh_length_state */
    uint64_t length;            /* with QH_LENGTH_ONE */
    uint32_t n_fields;          /* field lines, continuations not counted */
    uint32_t n_codings;         /* transfer codings named, over all Transfer-Encoding fields */
    uint32_t n_chunked;         /* how many of them are `chunked` */
    uint32_t n_identity;        /* how many are `identity` */
    uint8_t chunked_is_last;    /* the last coding named is `chunked` */
    uint8_t codings_malformed;  /* an empty element, a parameter, a fold, or something that is no token */
    uint8_t connection_close;   /* a `close` token in Connection */
    uint8_t connection_keep;    /* a `keep-alive` token in Connection */
    uint8_t has_fold;           /* a continuation line (obs-fold) */
} qh_head_facts;

/* Indexes head[0..len), a whole head with its blank line. Up to `n_cap` fields are put into `fields`
 * (which may be NULL with n_cap 0: facts alone). Returns QH_DONE, or QH_E_FIELD_LINE for a line without
 * colon, an empty or non-token name, a continuation right after the status line, a blank continuation
 * line, or a CR or NUL inside a line (RFC 9112 section 5). */
qh_status qh_fields_index(const char *head, size_t len, qh_field *fields, size_t n_cap, qh_head_facts *facts);

/* tchar of RFC 9110 section 5.6.2. */
extern const uint8_t qh_is_tchar[256];

#endif

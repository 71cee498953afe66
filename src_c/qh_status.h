/* qh_status.h: what a kernel call came to. One enum for all of them, so that one place above can turn a
 * status into an exception. Errors are the values from QH_E_FIRST on; `qh_is_error` tells them apart. */
#ifndef QH_STATUS_H
#define QH_STATUS_H

#include <stdbool.h>

typedef enum qh_status {
    QH_AGAIN = 0, /* all input was used; call again with more (or when the descriptor is ready) */
    QH_DONE,      /* the head, body or write is complete */
    QH_FULL,      /* the sink has no room left: give it more and call again */
    QH_BUDGET,    /* this turn's share is used up; there may be more to receive right now */

    QH_E_FIRST,
    QH_E_NOT_HTTP = QH_E_FIRST, /* the answer does not begin with "HTTP/" */
    QH_E_HEAD_TOO_LARGE,        /* head bytes, over all interim answers together, above head_cap */
    QH_E_LINE_TOO_LONG,         /* one line of the head above line_cap */
    QH_E_TOO_MANY_FIELDS,       /* more field lines than n_fields_cap */
    QH_E_FIELD_LINE,            /* a field line without a name, a colon, or with a forbidden byte */

    QH_E_CHUNK_SIZE,      /* a chunk size line that is not 1*HEXDIG [extensions] CRLF */
    QH_E_CHUNK_TOO_LARGE, /* a chunk size above size_cap */
    QH_E_CHUNK_EXTENSION, /* extensions above extension_cap, or a control byte in one */
    QH_E_CHUNK_END,       /* chunk data not followed by CRLF */
    QH_E_TRAILER,         /* a malformed trailer section */
    QH_E_TRAILERS_TOO_LARGE, /* trailer section above trailer_cap */

    QH_E_TRUNCATED, /* the stream ended before the body did */
    QH_E_RECEIVE,   /* recv or connect failed: the errno stands beside it */
    QH_E_SEND,      /* send failed: the errno stands beside it */
    QH_E_SINK,      /* writing the body to its destination failed: the errno stands beside it */
    QH_E_SOURCE,    /* the file that is being sent could not be read, or (errno 0) has become shorter */
} qh_status;

static inline bool qh_is_error(qh_status status) { return status >= QH_E_FIRST; }

#endif

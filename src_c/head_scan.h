/* head_scan.h: find the end of a head (status line and field lines up to the blank line) in bytes that
 * come in pieces. Resumable at any byte, bounded in bytes, line length and lines. It judges nothing
 * else: whether the head is valid HTTP is llhttp's to say. */
#ifndef QH_HEAD_SCAN_H
#define QH_HEAD_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "qh_status.h"

typedef struct qh_head_limits {
    uint32_t head_cap;     /* bytes of heads, interim answers included */
    uint32_t line_cap;     /* bytes of one line, line end included */
    uint32_t n_fields_cap; /* field lines (continuations count) of one head */
} qh_head_limits;

typedef struct qh_head_scan {
    size_t position;   /* bytes looked at */
    size_t line_start; /* where the line under way began */
    size_t spent_len;  /* bytes of the interim heads before this one */
    uint32_t n_lines;  /* complete lines seen; 0 while the status line is open */
} qh_head_scan;

/* Looks at head[0..len), where `head` always points at the first byte of the same head and `len` grows
 * from call to call. Returns QH_AGAIN, QH_DONE with *head_len set to the length of the head including
 * its blank line, or an error (again and again, if called on). A blank line ends with LF or CRLF, so that a head with bare LF ends too
 * and can be refused with a reason. */
qh_status qh_head_scan_step(qh_head_scan *scan, const char *head, size_t len, const qh_head_limits *limits,
                            size_t *head_len);

/* Goes on to the next head on the same connection; `head_len` bytes of an interim one are behind us. */
void qh_head_scan_next(qh_head_scan *scan, size_t head_len);

#endif

/* head_scan.c: see head_scan.h. One memchr per line; nothing is looked at twice. */
#include "head_scan.h"

#include <string.h>

static const char PREFIX[] = "HTTP/";
enum { PREFIX_LEN = sizeof PREFIX - 1 };

void qh_head_scan_next(qh_head_scan *scan, size_t head_len)
{
    scan->spent_len += head_len;
    scan->position = scan->line_start = 0;
    scan->n_lines = 0;
}

qh_status qh_head_scan_step(qh_head_scan *scan, const char *head, size_t len, const qh_head_limits *limits,
                            size_t *head_len)
{
    /* A peer that does not speak HTTP at all is told apart by its first bytes, not by its 64th KiB. */
    if (memcmp(head, PREFIX, len < PREFIX_LEN ? len : PREFIX_LEN) != 0)
        return QH_E_NOT_HTTP;

    while (scan->position < len) {
        const char *from = head + scan->position;
        const char *lf = memchr(from, '\n', len - scan->position);
        size_t end = lf ? (size_t)(lf - head) + 1 : len;

        if (end - scan->line_start > limits->line_cap)
            return QH_E_LINE_TOO_LONG;
        if (scan->spent_len + end > limits->head_cap)
            return QH_E_HEAD_TOO_LARGE;
        if (!lf) {
            scan->position = end;
            return QH_AGAIN;
        }
        size_t line_len = end - 1 - scan->line_start;
        bool blank = line_len == 0 || (line_len == 1 && head[scan->line_start] == '\r');
        if (!blank && scan->n_lines > limits->n_fields_cap) /* the first line is the status line */
            return QH_E_TOO_MANY_FIELDS;
        scan->position = scan->line_start = end;
        if (blank) {
            *head_len = end;
            return QH_DONE;
        }
        scan->n_lines++;
    }
    return QH_AGAIN;
}

/* chunked.c: see chunked.h, whose grammar this follows state by state. Data moves by memmove; only the
 * bytes of the framing itself are looked at one at a time. */
#include "chunked.h"

#include <string.h>

#include "fields.h"

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(unsigned char c) { return c == ' ' || c == '\t'; }
/* Visible, blank or obs-text: all that may stand in an extension or a trailer value. */
static bool is_text(unsigned char c) { return c >= 0x20 ? c != 0x7f : c == '\t'; }

/* The byte after the last digit of a chunk size; false where it may not follow. */
static bool end_size(qh_chunked *chunked, unsigned char c)
{
    if (c == '\r')
        chunked->state = QH_CHUNK_SIZE_LF;
    else if (c == ';')
        chunked->state = QH_CHUNK_EXTENSION;
    else if (is_blank(c))
        chunked->state = QH_CHUNK_BLANK;
    else
        return false;
    return true;
}

/* One byte of framing: everything but chunk data. */
static qh_status step(qh_chunked *chunked, unsigned char c, const qh_chunk_limits *limits)
{
    int digit;
    switch (chunked->state) {
    case QH_CHUNK_SIZE_FIRST:
        if ((digit = hex_value(c)) < 0)
            return QH_E_CHUNK_SIZE;
        if ((uint64_t)digit > limits->size_cap)
            return QH_E_CHUNK_TOO_LARGE;
        chunked->left = (uint64_t)digit;
        chunked->state = QH_CHUNK_SIZE;
        return QH_AGAIN;

    case QH_CHUNK_SIZE:
        if ((digit = hex_value(c)) >= 0) {
            if (chunked->left == 0 && ++chunked->n_extension > limits->extension_cap)
                return QH_E_CHUNK_EXTENSION; /* endless zeros */
            if (chunked->left > limits->size_cap >> 4)
                return QH_E_CHUNK_TOO_LARGE;
            chunked->left = chunked->left << 4 | (uint64_t)digit;
            if (chunked->left > limits->size_cap)
                return QH_E_CHUNK_TOO_LARGE;
            return QH_AGAIN;
        }
        if (!end_size(chunked, c))
            return QH_E_CHUNK_SIZE;
        break;

    case QH_CHUNK_BLANK:
        if (!end_size(chunked, c))
            return QH_E_CHUNK_SIZE;
        break;

    case QH_CHUNK_EXTENSION:
        if (c == '\r')
            chunked->state = QH_CHUNK_SIZE_LF;
        else if (c == '"')
            chunked->state = QH_CHUNK_QUOTED;
        else if (!is_text(c))
            return QH_E_CHUNK_EXTENSION;
        break;

    case QH_CHUNK_QUOTED:
        if (!is_text(c))
            return QH_E_CHUNK_EXTENSION;
        if (c == '"')
            chunked->state = QH_CHUNK_EXTENSION;
        else if (c == '\\')
            chunked->state = QH_CHUNK_ESCAPED;
        break;

    case QH_CHUNK_ESCAPED:
        if (!is_text(c))
            return QH_E_CHUNK_EXTENSION;
        chunked->state = QH_CHUNK_QUOTED;
        break;

    case QH_CHUNK_SIZE_LF:
        if (c != '\n')
            return QH_E_CHUNK_SIZE;
        chunked->state = chunked->left ? QH_CHUNK_DATA : QH_CHUNK_TRAILER_FIRST;
        return QH_AGAIN;

    case QH_CHUNK_DATA_CR:
        if (c != '\r')
            return QH_E_CHUNK_END;
        chunked->state = QH_CHUNK_DATA_LF;
        return QH_AGAIN;

    case QH_CHUNK_DATA_LF:
        if (c != '\n')
            return QH_E_CHUNK_END;
        chunked->state = QH_CHUNK_SIZE_FIRST;
        return QH_AGAIN;

    case QH_CHUNK_TRAILER_FIRST:
        if (c == '\r') {
            chunked->state = QH_CHUNK_END_LF;
            return QH_AGAIN;
        }
        if (is_blank(c) && chunked->n_trailer > 0)
            chunked->state = QH_CHUNK_TRAILER_VALUE; /* obs-fold: the value above runs on */
        else if (qh_is_tchar[c])
            chunked->state = QH_CHUNK_TRAILER_NAME;
        else
            return QH_E_TRAILER;
        break;

    case QH_CHUNK_TRAILER_NAME:
        if (c == ':')
            chunked->state = QH_CHUNK_TRAILER_VALUE;
        else if (!qh_is_tchar[c])
            return QH_E_TRAILER;
        break;

    case QH_CHUNK_TRAILER_VALUE:
        if (c == '\r')
            chunked->state = QH_CHUNK_TRAILER_LF;
        else if (!is_text(c))
            return QH_E_TRAILER;
        break;

    case QH_CHUNK_TRAILER_LF:
        if (c != '\n')
            return QH_E_TRAILER;
        chunked->state = QH_CHUNK_TRAILER_FIRST;
        break;

    case QH_CHUNK_END_LF:
        if (c != '\n')
            return QH_E_TRAILER;
        chunked->state = QH_CHUNK_FINISHED;
        return QH_DONE;

    case QH_CHUNK_DATA:
    case QH_CHUNK_FINISHED:
        return QH_DONE; /* not framing: the caller never comes here */
    }
    /* What was read is an extension, a blank or a trailer: it counts against its bound. */
    if (chunked->state >= QH_CHUNK_TRAILER_FIRST)
        return ++chunked->n_trailer > limits->trailer_cap ? QH_E_TRAILERS_TOO_LARGE : QH_AGAIN;
    if (chunked->state != QH_CHUNK_SIZE_LF && ++chunked->n_extension > limits->extension_cap)
        return QH_E_CHUNK_EXTENSION;
    return QH_AGAIN;
}

/* Moves n bytes down, for the short chunks that a call to memmove would cost most of the time. The copy is rounded up to
 * 16 bytes where nothing else is hurt: what it overruns has been used already. */
static inline void move_down(char *to, const char *from, size_t n, const char *end)
{
    if (n > 64 || from - to < 16 || end - from < 80) {
        memmove(to, from, n);
        return;
    }
    for (size_t i = 0; i < n; i += 16)
        memcpy(to + i, from + i, 16);
}

enum { PLAIN_HEAD_MAX = 9 }; /* 7 digits and CRLF */

/* The length of a plain chunk that is whole in at[0..len): digits without a leading zero, CRLF, data, CRLF. *head_len is
 * where its data begins. 0: it is something else, and step() has to look at it byte by byte. */
static size_t plain_chunk(const char *at, size_t len, uint64_t size_cap, size_t *head_len)
{
    uint64_t size = 0;
    size_t n = 0;
    int digit;
    if (len < PLAIN_HEAD_MAX + 2 || at[0] == '0')
        return 0;
    while (n < PLAIN_HEAD_MAX - 2 && (digit = hex_value((unsigned char)at[n])) >= 0) {
        size = size << 4 | (unsigned)digit;
        n++;
    }
    *head_len = n + 2;
    if (n == 0 || at[n] != '\r' || at[n + 1] != '\n' || size > size_cap || size + 2 > len - *head_len)
        return 0;
    const char *end = at + *head_len + size;
    return end[0] == '\r' && end[1] == '\n' ? (size_t)size : 0;
}

qh_status qh_chunked_decode(qh_chunked *chunked, char *data, size_t len, const qh_chunk_limits *limits,
                            size_t *used, size_t *data_len)
{
    size_t at = 0, kept = 0;
    qh_status status = chunked->state == QH_CHUNK_FINISHED ? QH_DONE : QH_AGAIN;

    while (at < len && status == QH_AGAIN) {
        if (chunked->state == QH_CHUNK_SIZE_FIRST) {
            size_t head_len, n = plain_chunk(data + at, len - at, limits->size_cap, &head_len);
            if (n > 0) {
                move_down(data + kept, data + at + head_len, n, data + len);
                at += head_len + n + 2;
                kept += n;
                continue;
            }
        }
        if (chunked->state == QH_CHUNK_DATA) {
            size_t n = len - at < chunked->left ? len - at : (size_t)chunked->left;
            if (at != kept)
                memmove(data + kept, data + at, n);
            at += n;
            kept += n;
            if ((chunked->left -= n) == 0)
                chunked->state = QH_CHUNK_DATA_CR;
            continue;
        }
        status = step(chunked, (unsigned char)data[at], limits);
        at += !qh_is_error(status);
    }
    *used = at;
    *data_len = kept;
    return status;
}

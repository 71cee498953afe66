/* check.h: a table-test harness. A row is one test: it has a name, any number of expectations, and prints
 * at most one line, for the first expectation that failed. The context says which variation of the row
 * (split, sink, ...) was running. */
#ifndef CHECK_H
#define CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qh_status.h"

/* Bytes with a length, since NUL is a byte like any other here. */
typedef struct bytes {
    const char *at;
    size_t len;
} bytes;
#define B(literal) {(literal), sizeof(literal) - 1}
#define N_ROWS(table) (sizeof(table) / sizeof *(table))

static struct {
    char row[160], context[160];
    unsigned n_passed, n_failed;
    bool open, failed;
} check;

static inline void check_close_row(void)
{
    if (check.open) {
        if (check.failed)
            check.n_failed++;
        else
            check.n_passed++;
    }
    check.open = check.failed = false;
    check.context[0] = '\0';
}

/* Begins the row of this name. */
__attribute__((format(printf, 1, 2))) static inline void row(const char *format, ...)
{
    va_list arguments;
    check_close_row();
    va_start(arguments, format);
    vsnprintf(check.row, sizeof check.row, format, arguments);
    va_end(arguments);
    check.open = true;
}

__attribute__((format(printf, 1, 2))) static inline void context(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check.context, sizeof check.context, format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static inline bool expect(bool good, const char *format, ...)
{
    if (!good && !check.failed) {
        va_list arguments;
        bool has = check.context[0];
        printf("FAILED %s%s%s%s: ", check.row, has ? " (" : "", check.context, has ? ")" : "");
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        putchar('\n');
        fflush(stdout);
        check.failed = true;
    }
    return good;
}

static inline void expect_n(const char *what, uint64_t got, uint64_t want)
{
    expect(got == want, "%s is %llu, not %llu", what, (unsigned long long)got, (unsigned long long)want);
}

static inline const char *status_name(qh_status status)
{
    static const char *const NAMES[] = {
        [QH_AGAIN] = "AGAIN",
        [QH_DONE] = "DONE",
        [QH_FULL] = "FULL",
        [QH_BUDGET] = "BUDGET",
        [QH_E_NOT_HTTP] = "E_NOT_HTTP",
        [QH_E_HEAD_TOO_LARGE] = "E_HEAD_TOO_LARGE",
        [QH_E_LINE_TOO_LONG] = "E_LINE_TOO_LONG",
        [QH_E_TOO_MANY_FIELDS] = "E_TOO_MANY_FIELDS",
        [QH_E_FIELD_LINE] = "E_FIELD_LINE",
        [QH_E_CHUNK_SIZE] = "E_CHUNK_SIZE",
        [QH_E_CHUNK_TOO_LARGE] = "E_CHUNK_TOO_LARGE",
        [QH_E_CHUNK_EXTENSION] = "E_CHUNK_EXTENSION",
        [QH_E_CHUNK_END] = "E_CHUNK_END",
        [QH_E_TRAILER] = "E_TRAILER",
        [QH_E_TRAILERS_TOO_LARGE] = "E_TRAILERS_TOO_LARGE",
        [QH_E_TRUNCATED] = "E_TRUNCATED",
        [QH_E_RECEIVE] = "E_RECEIVE",
        [QH_E_SEND] = "E_SEND",
        [QH_E_SINK] = "E_SINK",
        [QH_E_SOURCE] = "E_SOURCE",
    };
    return (size_t)status < N_ROWS(NAMES) && NAMES[status] ? NAMES[status] : "?";
}

static inline bool expect_status(qh_status got, qh_status want)
{
    return expect(got == want, "status is %s, not %s", status_name(got), status_name(want));
}

/* What is printable of some bytes, for a failure's one line; two of them may be alive. */
static inline const char *escaped(const char *at, size_t len)
{
    static char texts[2][200];
    static unsigned turn;
    char *text = texts[turn++ % 2], *to = text;
    for (size_t i = 0; i < len && to < text + sizeof texts[0] - 8; i++) {
        unsigned char c = (unsigned char)at[i];
        to += c >= 0x20 && c < 0x7f ? sprintf(to, "%c", c) : sprintf(to, "\\x%02x", c);
    }
    *to = '\0';
    return text;
}

static inline void expect_bytes(const char *what, const char *got, size_t got_len, bytes want)
{
    expect(got_len == want.len && (want.len == 0 || memcmp(got, want.at, want.len) == 0), "%s is '%s', not '%s'",
           what, escaped(got, got_len), escaped(want.at, want.len));
}

/* Stops where the test itself cannot go on: no sockets, no memory. */
static inline void require(bool good, const char *what)
{
    if (!good) {
        perror(what);
        exit(2);
    }
}

/* To be returned from main. */
static inline int check_summary(const char *unit)
{
    check_close_row();
    printf("%s: %u passed, %u failed\n", unit, check.n_passed, check.n_failed);
    return check.n_failed > 0;
}

#endif

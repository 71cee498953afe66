/* test_head_scan.c: heads found whole, byte by byte and at every cut; limits at the edge and one beyond. */
#include "head_scan.h"

#include "guarded.h"

#define STATUS "HTTP/1.1 200 OK\r\n" /* 17 bytes */
#define INTERIM "HTTP/1.1 100 Continue\r\n\r\n"

/* The heads a row holds stand in `good`; `rest` is what lies behind the last one or was not looked at. */
typedef struct head_row {
    const char *name;
    bytes good, rest;
    qh_status status;
    unsigned n_heads;      /* interim ones and the final one */
    qh_head_limits limits; /* zeros: the usual ones */
} head_row;

static const qh_head_limits USUAL = {.head_cap = 64 << 10, .line_cap = 32 << 10, .n_fields_cap = 256};

static const head_row ROWS[] = {
    {"status_line_alone_done", B(STATUS "\r\n"), B(""), QH_DONE, 1, {0}},
    {"one_field_done", B(STATUS "A: b\r\n\r\n"), B(""), QH_DONE, 1, {0}},
    {"bytes_behind_not_counted", B(STATUS "A: b\r\n\r\n"), B("body\r\n\r\n"), QH_DONE, 1, {0}},
    {"second_head_behind_not_counted", B(STATUS "\r\n"), B(STATUS "\r\n"), QH_DONE, 1, {0}},
    {"bare_lf_done", B("HTTP/1.1 200 OK\nA: b\n\n"), B("body"), QH_DONE, 1, {0}},
    {"mixed_line_ends_done", B("HTTP/1.1 200 OK\r\nA: b\n\r\n"), B("\n"), QH_DONE, 1, {0}},
    {"lf_then_crlf_done", B("HTTP/1.1 200 OK\n\r\n"), B(""), QH_DONE, 1, {0}},
    {"crlf_then_lf_done", B(STATUS "\n"), B("\r\n"), QH_DONE, 1, {0}},
    {"bare_cr_ends_no_line", B(STATUS "A: b\r\r\rC\r\n\r\n"), B(""), QH_DONE, 1, {0}},
    {"two_cr_before_lf_not_blank", B(STATUS "\r\r\nA: b\r\n\r\n"), B(""), QH_DONE, 1, {0}},
    {"one_byte_line_not_blank", B(STATUS "A\n\r\n"), B(""), QH_DONE, 1, {0}},
    {"blank_with_space_not_blank", B(STATUS " \r\n\r\n"), B(""), QH_DONE, 1, {0}},
    {"nul_is_a_byte_like_any", B(STATUS "A: \0\r\n\r\n"), B(""), QH_DONE, 1, {0}},
    {"no_status_text_done", B("HTTP/\n\n"), B(""), QH_DONE, 1, {0}},

    {"nothing_again", B(""), B(""), QH_AGAIN, 0, {0}},
    {"prefix_begun_again", B("HTT"), B(""), QH_AGAIN, 0, {0}},
    {"status_line_open_again", B("HTTP/1.1 200 OK"), B(""), QH_AGAIN, 0, {0}},
    {"cr_seen_again", B(STATUS "A: b\r\n\r"), B(""), QH_AGAIN, 0, {0}},
    {"field_open_again", B(STATUS "A: b"), B(""), QH_AGAIN, 0, {0}},

    {"other_protocol_refused", B(""), B("RTSP/1.0 200 OK\r\n\r\n"), QH_E_NOT_HTTP, 0, {0}},
    {"lower_case_refused", B(""), B("http/1.1 200 OK\r\n\r\n"), QH_E_NOT_HTTP, 0, {0}},
    {"blank_line_first_refused", B(""), B("\r\n" STATUS "\r\n"), QH_E_NOT_HTTP, 0, {0}},
    {"lf_first_refused", B(""), B("\n" STATUS "\r\n"), QH_E_NOT_HTTP, 0, {0}},
    {"space_first_refused", B(""), B(" " STATUS "\r\n"), QH_E_NOT_HTTP, 0, {0}},
    {"fifth_byte_wrong_refused", B(""), B("HTTP:1.1 200\r\n\r\n"), QH_E_NOT_HTTP, 0, {0}},
    {"nul_in_prefix_refused", B(""), B("HT\0P/1.1 200\r\n\r\n"), QH_E_NOT_HTTP, 0, {0}},
    {"html_refused", B(""), B("<html>\n\n"), QH_E_NOT_HTTP, 0, {0}},
    {"tls_alert_refused", B(""), B("\x15\x03\x01\x00\x02\x02\x46"), QH_E_NOT_HTTP, 0, {0}},

    {"interim_then_final_done", B(INTERIM STATUS "\r\n"), B("x"), QH_DONE, 2, {0}},
    {"three_interim_done", B(INTERIM INTERIM INTERIM STATUS "A: b\r\n\r\n"), B(""), QH_DONE, 4, {0}},
    {"interim_then_nothing_again", B(INTERIM), B(""), QH_AGAIN, 1, {0}},
    {"interim_then_garbage_refused", B(INTERIM), B("garbage"), QH_E_NOT_HTTP, 1, {0}},
    {"interim_then_blank_line_refused", B(INTERIM), B("\r\n" STATUS "\r\n"), QH_E_NOT_HTTP, 1, {0}},

    {"head_at_cap_done", B(STATUS "A: b\r\n\r\n"), B("b"), QH_DONE, 1, {25, 99, 9}},
    {"head_above_cap_refused", B(""), B(STATUS "A: b\r\n\r\n"), QH_E_HEAD_TOO_LARGE, 0, {24, 99, 9}},
    {"open_line_above_cap_refused", B(""), B(STATUS "A: bbbbbbbbbbbbbbb"), QH_E_HEAD_TOO_LARGE, 0, {24, 99, 9}},
    {"interim_counts_at_cap_done", B(INTERIM STATUS "\r\n"), B("b"), QH_DONE, 2, {44, 99, 9}},
    {"interim_counts_above_cap_refused", B(INTERIM), B(STATUS "\r\n"), QH_E_HEAD_TOO_LARGE, 1, {43, 99, 9}},
    {"endless_interim_refused", B(INTERIM INTERIM), B(INTERIM STATUS), QH_E_HEAD_TOO_LARGE, 2, {60, 99, 9}},

    {"line_at_cap_done", B(STATUS "A: b\r\n\r\n"), B(""), QH_DONE, 1, {99, 17, 9}},
    {"status_line_above_cap_refused", B(""), B(STATUS "A: b\r\n\r\n"), QH_E_LINE_TOO_LONG, 0, {99, 16, 9}},
    {"field_line_above_cap_refused", B(""), B(STATUS "A: bbbbbbbbbbbbbbb\r\n"), QH_E_LINE_TOO_LONG, 0, {99, 17, 9}},
    {"open_field_line_above_cap_refused", B(""), B(STATUS "A: bbbbbbbbbbbbbbb"), QH_E_LINE_TOO_LONG, 0, {99, 17, 9}},

    {"no_fields_at_cap_done", B(STATUS "\r\n"), B(""), QH_DONE, 1, {99, 99, 0}},
    {"one_field_above_cap_refused", B(""), B(STATUS "A:\r\n\r\n"), QH_E_TOO_MANY_FIELDS, 0, {99, 99, 0}},
    {"fields_at_cap_done", B(STATUS "A:\r\nB:\r\nC:\r\n\r\n"), B(""), QH_DONE, 1, {99, 99, 3}},
    {"fields_above_cap_refused", B(""), B(STATUS "A:\r\nB:\r\nC:\r\n\r\n"), QH_E_TOO_MANY_FIELDS, 0, {99, 99, 2}},
    {"continuations_count_refused", B(""), B(STATUS "A:\r\n b\r\n c\r\n\r\n"), QH_E_TOO_MANY_FIELDS, 0, {99, 99, 2}},
    {"fields_per_head_at_cap_done", B("HTTP/1.1 103\r\nA:\r\n\r\n" STATUS "B:\r\n\r\n"), B(""), QH_DONE, 2,
     {99, 99, 1}},
};

static guarded region;

/* The bytes up to `len`, moved to another place for each look, as a growing buffer may. */
static qh_status look(qh_head_scan *scan, const head_row *row, const char *head, size_t len, guard_side side,
                      size_t *head_len)
{
    const qh_head_limits *limits = row->limits.head_cap ? &row->limits : &USUAL;
    return qh_head_scan_step(scan, guarded_copy(&region, head, len, side), len, limits, head_len);
}

static void run(const head_row *row, const char *raw, size_t len, size_t way, guard_side side,
                bool again_after_error)
{
    qh_head_scan scan = {0};
    qh_status status = QH_AGAIN;
    unsigned n_heads = 0;
    size_t begin = 0, at = 0, head_len = 0;

    while (at < len && !qh_is_error(status) && (status == QH_AGAIN || n_heads < row->n_heads)) {
        if (way == len) /* a look at nothing new changes nothing */
            expect_status(look(&scan, row, raw + begin, at - begin, side, &head_len), QH_AGAIN);
        at += piece_len(way, len, at);
        while ((status = look(&scan, row, raw + begin, at - begin, side, &head_len)) == QH_DONE) {
            n_heads++;
            begin += head_len;
            expect_n("position", scan.position, head_len);
            if (n_heads == row->n_heads && row->status == QH_DONE)
                break;
            qh_head_scan_next(&scan, head_len);
            if (begin == at) {
                status = QH_AGAIN;
                break;
            }
        }
    }
    expect_status(status, row->status);
    expect_n("heads", n_heads, row->n_heads);
    if (row->status == QH_DONE)
        expect_n("length of the heads", begin, row->good.len);
    if (again_after_error && qh_is_error(status)) {
        qh_status after = look(&scan, row, raw + begin, at - begin, side, &head_len);
        expect(qh_is_error(after), "%s became %s", status_name(status), status_name(after));
    }
}

static void run_all_ways(const head_row *row, const char *more, bool again_after_error)
{
    char raw[512];
    size_t len = row->good.len + row->rest.len;
    memcpy(raw, row->good.at, row->good.len);
    memcpy(raw + row->good.len, row->rest.at, row->rest.len);
    FOR_EACH_WAY(way, side, len) {
        context_way(way, len, side, more);
        run(row, raw, len, way, side, again_after_error);
    }
}

int main(void)
{
    for (size_t i = 0; i < N_ROWS(ROWS); i++) {
        row("head_scan_%s", ROWS[i].name);
        run_all_ways(&ROWS[i], "", false);
    }
    row("head_scan_step_after_error_remains_error");
    for (size_t i = 0; i < N_ROWS(ROWS); i++)
        run_all_ways(&ROWS[i], ROWS[i].name, true);
    return check_summary("head_scan");
}

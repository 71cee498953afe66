/* test_fields.c: the index of a head and the facts that framing asks for. Every head is read in exact-fit
 * memory, with and without room for its fields, and cut off at every byte. */
#include "fields.h"

#include "guarded.h"

#define LINE "HTTP/1.1 200 OK\r\n"

static guarded input, output;

/* ------------------------------------------------------------------------------------ running one head */
typedef struct index_result {
    qh_status status;
    qh_head_facts facts;
    qh_field *fields; /* in guarded memory, until the next run */
} index_result;

static index_result index_head(const char *head, size_t len, size_t n_cap, guard_side side)
{
    index_result result;
    const char *copy = guarded_copy(&input, head, len, side);
    result.fields = (qh_field *)guarded_room(&output, n_cap * sizeof(qh_field), side);
    result.status = qh_fields_index(copy, len, n_cap ? result.fields : NULL, n_cap, &result.facts);
    return result;
}

static void expect_fields_inside(const index_result *result, size_t len, size_t n_cap)
{
    for (size_t i = 0; i < result->facts.n_fields && i < n_cap; i++) {
        const qh_field *f = &result->fields[i];
        expect(f->name_len > 0 && f->name_at + (size_t)f->name_len < f->value_at + (size_t)f->value_len + 1 &&
                   f->value_at + (size_t)f->value_len <= len,
               "field %zu is outside of the head", i);
    }
}

/* Facts alone, the exact room, less and more room than needed, both guards: all the same outcome. */
static index_result index_every_way(const char *head, size_t len)
{
    index_result first = index_head(head, len, 0, GUARD_BEHIND);
    size_t n_fields = first.facts.n_fields, n_caps[] = {0, 1, n_fields ? n_fields - 1 : 0, n_fields, n_fields + 3};
    for (size_t i = 0; i < 2 * N_ROWS(n_caps); i++) {
        size_t n_cap = n_caps[i / 2];
        index_result other = index_head(head, len, n_cap, i % 2 ? GUARD_BEFORE : GUARD_BEHIND);
        expect_status(other.status, first.status);
        expect(memcmp(&other.facts, &first.facts, sizeof first.facts) == 0, "facts differ with room for %zu", n_cap);
        expect_fields_inside(&other, len, n_cap);
    }
    return index_head(head, len, n_fields, GUARD_BEHIND);
}

/* A head cut off anywhere may have any outcome, but reads nothing outside. */
static void index_every_prefix(const char *head, size_t len)
{
    for (size_t n = 0; n < len; n++) {
        context("cut off at %zu", n);
        index_every_way(head, n);
    }
    context("%s", "");
}

static index_result run(const char *head, size_t len)
{
    index_every_prefix(head, len);
    return index_every_way(head, len);
}

static index_result run_lines(const char *lines, size_t lines_len)
{
    char head[512];
    size_t line_len = sizeof LINE - 1;
    memcpy(head, LINE, line_len);
    memcpy(head + line_len, lines, lines_len);
    memcpy(head + line_len + lines_len, "\r\n", 2);
    return run(head, line_len + lines_len + 2);
}

/* ---------------------------------------------------------------------------------------- field lines */
/* `fields` is how the index reads: name=value| for each. */
static const struct {
    const char *name;
    bytes lines;
    qh_status status;
    bytes fields;
} LINE_ROWS[] = {
    {"none_done", B(""), QH_DONE, B("")},
    {"one_done", B("A: b\r\n"), QH_DONE, B("A=b|")},
    {"several_done", B("A: b\r\nCc: dd\r\nE:f\r\n"), QH_DONE, B("A=b|Cc=dd|E=f|")},
    {"repeated_name_kept_apart", B("A: b\r\nA: c\r\na: b\r\n"), QH_DONE, B("A=b|A=c|a=b|")},
    {"empty_value_done", B("A:\r\nB: \t \r\n"), QH_DONE, B("A=|B=|")},
    {"blanks_around_value_trimmed", B("A: \t b c \t\r\n"), QH_DONE, B("A=b c|")},
    {"colons_in_value_kept", B("A::b:\r\n"), QH_DONE, B("A=:b:|")},
    {"8_bit_value_kept", B("A: \xe4\xff\x80\r\n"), QH_DONE, B("A=\xe4\xff\x80|")},
    {"every_tchar_in_name_done", B("!#$%&'*+-.^_`|~09AZaz: b\r\n"), QH_DONE, B("!#$%&'*+-.^_`|~09AZaz=b|")},
    {"bare_lf_done", B("A: b\nC: d\n"), QH_DONE, B("A=b|C=d|")},
    {"behind_blank_line_ignored", B("A: b\r\n\r\nC: d\r\n"), QH_DONE, B("A=b|")},
    {"behind_blank_lf_ignored", B("A: b\n\nC d\0"), QH_DONE, B("A=b|")},

    {"fold_runs_on", B("A: b\r\n c\r\nD: e\r\n"), QH_DONE, B("A=b\r\n c|D=e|")},
    {"fold_with_tab_runs_on", B("A: b\r\n\tc\r\n"), QH_DONE, B("A=b\r\n\tc|")},
    {"folds_run_on", B("A: b\r\n c\r\n  d \r\n"), QH_DONE, B("A=b\r\n c\r\n  d|")},
    {"fold_of_empty_value_trimmed", B("A:\r\n b\r\n"), QH_DONE, B("A=b|")},
    {"fold_of_blanks_refused", B("A: b\r\n \t\r\nC: d\r\n"), QH_E_FIELD_LINE, B("")},
    {"fold_of_a_blank_before_end_refused", B("A: b\r\n \r\n"), QH_E_FIELD_LINE, B("")},
    {"fold_with_colon_is_value", B("A: b\r\n C: d\r\n"), QH_DONE, B("A=b\r\n C: d|")},
    {"fold_bare_lf_runs_on", B("A: b\n c\n"), QH_DONE, B("A=b\n c|")},
    {"fold_after_status_line_refused", B(" A: b\r\n"), QH_E_FIELD_LINE, B("")},
    {"tab_fold_after_status_line_refused", B("\tA: b\r\n"), QH_E_FIELD_LINE, B("")},
    {"blanks_after_status_line_refused", B("  \r\nA: b\r\n"), QH_E_FIELD_LINE, B("")},
    {"fold_nul_refused", B("A: b\r\n c\0d\r\n"), QH_E_FIELD_LINE, B("")},
    {"fold_cr_refused", B("A: b\r\n c\rd\r\n"), QH_E_FIELD_LINE, B("")},

    {"no_colon_refused", B("Name\r\n"), QH_E_FIELD_LINE, B("")},
    {"no_colon_later_refused", B("A: b\r\nName\r\n"), QH_E_FIELD_LINE, B("A=b|")},
    {"empty_name_refused", B(": b\r\n"), QH_E_FIELD_LINE, B("")},
    {"space_before_colon_refused", B("A : b\r\n"), QH_E_FIELD_LINE, B("")},
    {"tab_before_colon_refused", B("A\t: b\r\n"), QH_E_FIELD_LINE, B("")},
    {"space_in_name_refused", B("A B: c\r\n"), QH_E_FIELD_LINE, B("")},
    {"name_then_cr_refused", B("A\r: b\r\n"), QH_E_FIELD_LINE, B("")},
    {"cr_before_name_refused", B("\rA: b\r\n"), QH_E_FIELD_LINE, B("")},
    {"value_nul_refused", B("A: b\0c\r\n"), QH_E_FIELD_LINE, B("")},
    {"value_only_nul_refused", B("A:\0\r\n"), QH_E_FIELD_LINE, B("")},
    {"value_cr_refused", B("A: b\rc\r\n"), QH_E_FIELD_LINE, B("")},
    {"value_cr_smuggled_field_refused", B("A: b\rC: d\r\n"), QH_E_FIELD_LINE, B("")},
    {"value_cr_cr_lf_refused", B("A: b\r\r\n"), QH_E_FIELD_LINE, B("")},
    {"value_first_cr_refused", B("A:\rb\r\n"), QH_E_FIELD_LINE, B("")},
};

static void run_line_rows(void)
{
    for (size_t i = 0; i < N_ROWS(LINE_ROWS); i++) {
        row("fields_line_%s", LINE_ROWS[i].name);
        index_result result = run_lines(LINE_ROWS[i].lines.at, LINE_ROWS[i].lines.len);
        const char *head = input.memory + GUARDED_CAP - (sizeof LINE - 1 + LINE_ROWS[i].lines.len + 2);
        char text[512];
        size_t text_len = 0;
        for (size_t k = 0; k < result.facts.n_fields; k++) {
            const qh_field *f = &result.fields[k];
            const bytes parts[] = {
                {head + f->name_at, f->name_len}, B("="), {head + f->value_at, f->value_len}, B("|")};
            for (size_t p = 0; p < N_ROWS(parts); text_len += parts[p++].len)
                memcpy(text + text_len, parts[p].at, parts[p].len);
        }
        expect_status(result.status, LINE_ROWS[i].status);
        expect_bytes("index", text, text_len, LINE_ROWS[i].fields);
        if (result.status == QH_DONE)
            expect_n("has_fold", result.facts.has_fold, strncmp(LINE_ROWS[i].name, "fold", 4) == 0);
    }
}

#define TCHAR "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

/* Which of all bytes may stand between `before` and `after`? */
static const struct {
    const char *name, *before, *after, *forbidden, *allowed;
} BYTE_ROWS[] = {
    {"first_of_name", "", "A: b\r\n", NULL, TCHAR "\n"}, /* LF ends the head */
    {"in_name", "A: b\r\nA", "A: b\r\n", NULL, TCHAR ":"},
    {"in_value", "A: b", "c\r\n", "\r\n", NULL}, /* LF begins a line without colon */
    {"in_fold", "A: b\r\n ", "c\r\n", "\r\n", NULL},
};

static void run_byte_rows(void)
{
    for (size_t i = 0; i < N_ROWS(BYTE_ROWS); i++) {
        row("fields_every_byte_%s_allowed_or_refused", BYTE_ROWS[i].name);
        for (unsigned c = 0; c < 256; c++) {
            char lines[64];
            int n = snprintf(lines, sizeof lines, "%s?%s", BYTE_ROWS[i].before, BYTE_ROWS[i].after);
            lines[strlen(BYTE_ROWS[i].before)] = (char)c;
            bool good = BYTE_ROWS[i].allowed ? c && strchr(BYTE_ROWS[i].allowed, (int)c)
                                             : c && !strchr(BYTE_ROWS[i].forbidden, (int)c);
            index_result result = run_lines(lines, (size_t)n);
            context("byte 0x%02x", c);
            expect_status(result.status, good ? QH_DONE : QH_E_FIELD_LINE);
        }
    }
}

/* ---------------------------------------------------------------------------------------- status line */
static const struct {
    const char *name;
    bytes line;
    unsigned status, major, minor;
    bytes reason;
} STATUS_ROWS[] = {
    {"usual_known", B("HTTP/1.1 200 OK"), 200, 1, 1, B("OK")},
    {"1_0_known", B("HTTP/1.0 404 Not Found"), 404, 1, 0, B("Not Found")},
    {"2_9_known", B("HTTP/2.9 999 x"), 999, 2, 9, B("x")},
    {"000_known", B("HTTP/1.1 000 x"), 0, 1, 1, B("x")},
    {"no_reason_known", B("HTTP/1.1 200 "), 200, 1, 1, B("")},
    {"no_reason_no_space_known", B("HTTP/1.1 200"), 200, 1, 1, B("")},
    {"reason_with_spaces_kept", B("HTTP/1.1 200  a b "), 200, 1, 1, B(" a b ")},
    {"reason_8_bit_kept", B("HTTP/1.1 200 \xe4"), 200, 1, 1, B("\xe4")},
    {"two_digits_unknown", B("HTTP/1.1 20"), 0, 0, 0, B("")},
    {"two_digits_and_reason_unknown", B("HTTP/1.1 20 OK"), 0, 0, 0, B("")},
    {"four_digits_unknown", B("HTTP/1.1 2000 OK"), 0, 0, 0, B("")},
    {"reason_without_space_unknown", B("HTTP/1.1 200OK"), 0, 0, 0, B("")},
    {"tab_before_reason_unknown", B("HTTP/1.1 200\tOK"), 0, 0, 0, B("")},
    {"tab_before_status_unknown", B("HTTP/1.1\t200 OK"), 0, 0, 0, B("")},
    {"two_spaces_unknown", B("HTTP/1.1  200 OK"), 0, 0, 0, B("")},
    {"no_space_unknown", B("HTTP/1.1200 OK"), 0, 0, 0, B("")},
    {"no_minor_unknown", B("HTTP/1 200 OK!"), 0, 0, 0, B("")},
    {"long_minor_unknown", B("HTTP/1.10 200 OK"), 0, 0, 0, B("")},
    {"letter_minor_unknown", B("HTTP/1.x 200 OK"), 0, 0, 0, B("")},
    {"comma_version_unknown", B("HTTP/1,1 200 OK"), 0, 0, 0, B("")},
    {"letter_major_unknown", B("HTTP/x.1 200 OK"), 0, 0, 0, B("")},
    {"lower_case_unknown", B("http/1.1 200 OK"), 0, 0, 0, B("")},
    {"other_protocol_unknown", B("RTSP/1.0 200 OK"), 0, 0, 0, B("")},
    {"sign_in_status_unknown", B("HTTP/1.1 +20 OK"), 0, 0, 0, B("")},
    {"hex_in_status_unknown", B("HTTP/1.1 2a0 OK"), 0, 0, 0, B("")},
    {"empty_line_unknown", B(""), 0, 0, 0, B("")},
};

static void run_status_rows(void)
{
    for (size_t i = 0; i < N_ROWS(STATUS_ROWS); i++) {
        char head[64];
        size_t len = STATUS_ROWS[i].line.len;
        memcpy(head, STATUS_ROWS[i].line.at, len);
        memcpy(head + len, "\r\nA: b\r\n\r\n", 10);
        row("fields_status_line_%s", STATUS_ROWS[i].name);
        index_result result = run(head, len + 10);
        const qh_head_facts *facts = &result.facts;
        expect_status(result.status, QH_DONE);
        expect_n("status", facts->status, STATUS_ROWS[i].status);
        expect_n("major", facts->major, STATUS_ROWS[i].major);
        expect_n("minor", facts->minor, STATUS_ROWS[i].minor);
        expect_n("fields", facts->n_fields, 1);
        expect_bytes("reason", head + facts->reason_at, facts->reason_len, STATUS_ROWS[i].reason);
    }
}

static const struct {
    const char *name;
    bytes head;
} REFUSED_ROWS[] = {
    {"nul_in_reason", B("HTTP/1.1 200 O\0K\r\n\r\n")},
    {"nul_in_status", B("HTTP/1.1 20\0\r\n\r\n")},
    {"cr_in_reason", B("HTTP/1.1 200 O\rK\r\n\r\n")},
    {"cr_cr_lf", B("HTTP/1.1 200 OK\r\r\n\r\n")},
    {"smuggled_field", B("HTTP/1.1 200 OK\rA: b\r\n\r\n")},
};

static void run_refused_rows(void)
{
    for (size_t i = 0; i < N_ROWS(REFUSED_ROWS); i++) {
        row("fields_status_line_%s_refused", REFUSED_ROWS[i].name);
        expect_status(run(REFUSED_ROWS[i].head.at, REFUSED_ROWS[i].head.len).status, QH_E_FIELD_LINE);
    }
}

/* -------------------------------------------------------------------------------------------- framing */
#define CL "Content-Length: "
static const struct {
    const char *name, *lines;
    qh_length_state state;
    uint64_t length;
} LENGTH_ROWS[] = {
    {"none_none", "", QH_LENGTH_NONE, 0},
    {"zero_one", CL "0\r\n", QH_LENGTH_ONE, 0},
    {"number_one", CL "12345\r\n", QH_LENGTH_ONE, 12345},
    {"any_case_one", "cOnTeNt-LeNgTh:5\r\n", QH_LENGTH_ONE, 5},
    {"blanks_around_one", "Content-Length: \t5\t \r\n", QH_LENGTH_ONE, 5},
    {"leading_zeros_one", CL "0005\r\n", QH_LENGTH_ONE, 5},
    {"25_zeros_one", CL "0000000000000000000000005\r\n", QH_LENGTH_ONE, 5},
    {"folded_bad", "Content-Length:\r\n 5\r\n", QH_LENGTH_BAD, 0},
    {"2_63_minus_1_one", CL "9223372036854775807\r\n", QH_LENGTH_ONE, INT64_MAX},
    {"2_63_bad", CL "9223372036854775808\r\n", QH_LENGTH_BAD, 0},
    {"2_64_minus_1_bad", CL "18446744073709551615\r\n", QH_LENGTH_BAD, 0},
    {"2_64_wraps_to_0_bad", CL "18446744073709551616\r\n", QH_LENGTH_BAD, 0},
    {"2_64_wraps_to_5_bad", CL "18446744073709551621\r\n", QH_LENGTH_BAD, 0},
    {"20_digits_bad", CL "10000000000000000000\r\n", QH_LENGTH_BAD, 0},
    {"40_digits_bad", CL "1000000000000000000000000000000000000000\r\n", QH_LENGTH_BAD, 0},
    {"empty_bad", "Content-Length:\r\n", QH_LENGTH_BAD, 0},
    {"blanks_bad", "Content-Length: \t \r\n", QH_LENGTH_BAD, 0},
    {"plus_bad", CL "+5\r\n", QH_LENGTH_BAD, 0},
    {"minus_bad", CL "-5\r\n", QH_LENGTH_BAD, 0},
    {"minus_zero_bad", CL "-0\r\n", QH_LENGTH_BAD, 0},
    {"hex_bad", CL "0x5\r\n", QH_LENGTH_BAD, 0},
    {"hex_digit_bad", CL "a\r\n", QH_LENGTH_BAD, 0},
    {"point_bad", CL "5.0\r\n", QH_LENGTH_BAD, 0},
    {"exponent_bad", CL "5e1\r\n", QH_LENGTH_BAD, 0},
    {"space_inside_bad", CL "1 0\r\n", QH_LENGTH_BAD, 0},
    {"tab_inside_bad", CL "1\t0\r\n", QH_LENGTH_BAD, 0},
    {"fold_inside_bad", CL "1\r\n 0\r\n", QH_LENGTH_BAD, 0},
    {"underscore_bad", CL "1_0\r\n", QH_LENGTH_BAD, 0},
    {"unit_bad", CL "5 bytes\r\n", QH_LENGTH_BAD, 0},
    {"semicolon_bad", CL "5;5\r\n", QH_LENGTH_BAD, 0},
    {"quoted_bad", CL "\"5\"\r\n", QH_LENGTH_BAD, 0},
    {"8_bit_digit_bad", CL "\xb5\r\n", QH_LENGTH_BAD, 0},
    {"vertical_tab_bad", CL "\v5\r\n", QH_LENGTH_BAD, 0},
    {"repeated_one", CL "5\r\n" CL "5\r\n", QH_LENGTH_ONE, 5},
    {"repeated_far_one", CL "5\r\nA: b\r\nContent-length:5\r\nA: b\r\n" CL "5 \r\n", QH_LENGTH_ONE, 5},
    {"list_one", CL "5, 5\r\n", QH_LENGTH_ONE, 5},
    {"list_no_space_one", CL "5,5,5\r\n", QH_LENGTH_ONE, 5},
    {"list_folded_bad", CL "5,\r\n 5\r\n", QH_LENGTH_BAD, 0},
    {"list_and_repeated_one", CL "5, 5\r\n" CL "5\r\n", QH_LENGTH_ONE, 5},
    {"repeated_differs_bad", CL "5\r\n" CL "6\r\n", QH_LENGTH_BAD, 0},
    {"repeated_zero_differs_bad", CL "0\r\n" CL "6\r\n", QH_LENGTH_BAD, 0},
    {"list_differs_bad", CL "5, 6\r\n", QH_LENGTH_BAD, 0},
    {"list_ends_same_bad", CL "5, 6, 5\r\n", QH_LENGTH_BAD, 0},
    {"other_spelling_bad", CL "5\r\n" CL "05\r\n", QH_LENGTH_BAD, 0},
    {"list_other_spelling_bad", CL "05, 5\r\n", QH_LENGTH_BAD, 0},
    {"list_zero_other_spelling_bad", CL "0, 00\r\n", QH_LENGTH_BAD, 0},
    {"list_empty_first_bad", CL ",5\r\n", QH_LENGTH_BAD, 0},
    {"list_empty_last_bad", CL "5,\r\n", QH_LENGTH_BAD, 0},
    {"list_empty_inside_bad", CL "5,,5\r\n", QH_LENGTH_BAD, 0},
    {"list_only_comma_bad", CL ",\r\n", QH_LENGTH_BAD, 0},
    {"bad_then_good_bad", CL "x\r\n" CL "5\r\n", QH_LENGTH_BAD, 0},
    {"bad_then_zero_bad", CL "x\r\n" CL "0\r\n", QH_LENGTH_BAD, 0},
    {"empty_then_good_bad", "Content-Length:\r\n" CL "5\r\n", QH_LENGTH_BAD, 0},
    {"good_then_bad_bad", CL "5\r\n" CL "x\r\n", QH_LENGTH_BAD, 0},
    {"folded_then_good_bad", "Content-Length:\r\n 5\r\n" CL "5\r\n", QH_LENGTH_BAD, 0},
    {"good_then_folded_bad", CL "5\r\n" "Content-Length:\r\n 5\r\n", QH_LENGTH_BAD, 0},
    {"longer_name_none", "Content-Lengthy: 5\r\n", QH_LENGTH_NONE, 0},
    {"shorter_name_none", "Content-Lengt: 5\r\n", QH_LENGTH_NONE, 0},
    {"prefixed_name_none", "X-Content-Length: 5\r\n", QH_LENGTH_NONE, 0},
    {"underscore_name_none", "Content_Length: 5\r\n", QH_LENGTH_NONE, 0},
    {"in_other_value_none", "A: Content-Length: 5\r\n", QH_LENGTH_NONE, 0},
    {"in_fold_none", "A: b\r\n Content-Length: 5\r\n", QH_LENGTH_NONE, 0},
};

static void run_length_rows(void)
{
    for (size_t i = 0; i < N_ROWS(LENGTH_ROWS); i++) {
        row("fields_content_length_%s", LENGTH_ROWS[i].name);
        index_result result = run_lines(LENGTH_ROWS[i].lines, strlen(LENGTH_ROWS[i].lines));
        expect_status(result.status, QH_DONE);
        expect_n("state", result.facts.length_state, LENGTH_ROWS[i].state);
        if (LENGTH_ROWS[i].state == QH_LENGTH_ONE)
            expect_n("length", result.facts.length, LENGTH_ROWS[i].length);
    }
}

#define TE "Transfer-Encoding: "
static const struct {
    const char *name, *lines;
    unsigned n_codings, n_chunked, n_identity;
    bool last, malformed;
} CODING_ROWS[] = {
    {"none_none", "", 0, 0, 0, false, false},
    {"chunked_last", TE "chunked\r\n", 1, 1, 0, true, false},
    {"any_case_last", "tRANSFER-eNCODING:CHUNKed\r\n", 1, 1, 0, true, false},
    {"tab_behind_last", TE "\tchunked\t\r\n", 1, 1, 0, true, false},
    {"folded_malformed", "Transfer-Encoding:\r\n chunked\r\n", 1, 1, 0, true, true},
    {"gzip_not_last", TE "gzip\r\n", 1, 0, 0, false, false},
    {"list_last", TE "gzip, chunked\r\n", 2, 1, 0, true, false},
    {"list_no_space_last", TE "gzip,chunked\r\n", 2, 1, 0, true, false},
    {"list_tabs_last", TE "gzip\t,\tchunked\r\n", 2, 1, 0, true, false},
    {"list_folded_malformed", TE "gzip,\r\n\tbr\r\n", 2, 0, 0, false, true},
    {"two_fields_last", TE "gzip\r\n" TE "chunked\r\n", 2, 1, 0, true, false},
    {"chunked_first_not_last", TE "chunked, gzip\r\n", 2, 1, 0, false, false},
    {"chunked_first_field_not_last", TE "chunked\r\n" TE "identity\r\n", 2, 1, 1, false, false},
    {"chunked_twice_counted", TE "chunked, chunked\r\n", 2, 2, 0, true, false},
    {"chunked_twice_in_fields_counted", TE "chunked\r\n" TE "Chunked\r\n", 2, 2, 0, true, false},
    {"chunked_inside_not_last", TE "gzip, chunked, br\r\n", 3, 1, 0, false, false},
    {"look_alikes_no_chunked", TE "xchunked, chunkedx, chunke, x-chunked\r\n", 4, 0, 0, false, false},
    {"long_s_no_chunked", TE "chunk\xc5\xbf" "d\r\n", 1, 0, 0, false, true},
    {"identity_counted", TE "identity\r\n", 1, 0, 1, false, false},
    {"identities_counted", TE "IDENTITY, chunked, identity\r\n", 3, 1, 2, false, false},
    {"empty_malformed", "Transfer-Encoding:\r\n", 1, 0, 0, false, true},
    {"empty_first_malformed", TE ", chunked\r\n", 2, 1, 0, true, true},
    {"empty_last_malformed", TE "chunked,\r\n", 2, 1, 0, false, true},
    {"empty_inside_malformed", TE "gzip,,chunked\r\n", 3, 1, 0, true, true},
    {"quoted_malformed", TE "\"chunked\"\r\n", 1, 0, 0, false, true},
    {"quoted_comma_malformed", TE "\"gzip, chunked\"\r\n", 2, 0, 0, false, true},
    {"parameter_malformed", TE "chunked;q=1\r\n", 1, 0, 0, false, true},
    {"parameter_of_other_malformed", TE "gzip;q=1, chunked\r\n", 2, 1, 0, true, true},
    {"semicolon_malformed", TE "chunked;\r\n", 1, 0, 0, false, true},
    {"space_inside_malformed", TE "chun ked\r\n", 1, 0, 0, false, true},
    {"two_words_malformed", TE "chunked identity\r\n", 1, 0, 0, false, true},
    {"fold_inside_malformed", TE "chun\r\n ked\r\n", 1, 0, 0, false, true},
    {"vertical_tab_malformed", TE "\vchunked\r\n", 1, 0, 0, false, true},
    {"8_bit_malformed", TE "chunked\xa0\r\n", 1, 0, 0, false, true},
    {"malformed_then_good_malformed", "Transfer-Encoding:\r\n" TE "chunked\r\n", 2, 1, 0, true, true},
    {"look_alike_name_none", "Transfer-Encodings: chunked\r\nX-" TE "chunked\r\nTE: x\r\n", 0, 0, 0, false, false},
    {"underscore_name_none", "Transfer_Encoding: chunked\r\n", 0, 0, 0, false, false},
};

static void run_coding_rows(void)
{
    for (size_t i = 0; i < N_ROWS(CODING_ROWS); i++) {
        row("fields_transfer_encoding_%s", CODING_ROWS[i].name);
        index_result result = run_lines(CODING_ROWS[i].lines, strlen(CODING_ROWS[i].lines));
        expect_status(result.status, QH_DONE);
        expect_n("codings", result.facts.n_codings, CODING_ROWS[i].n_codings);
        expect_n("chunked", result.facts.n_chunked, CODING_ROWS[i].n_chunked);
        expect_n("identity", result.facts.n_identity, CODING_ROWS[i].n_identity);
        expect_n("chunked is last", result.facts.chunked_is_last, CODING_ROWS[i].last);
        expect_n("malformed", result.facts.codings_malformed, CODING_ROWS[i].malformed);
    }
}

static const struct {
    const char *name, *lines;
    bool close, keep;
} CONNECTION_ROWS[] = {
    {"none_neither", "", false, false},
    {"close_close", "Connection: close\r\n", true, false},
    {"keep_alive_keep", "Connection: keep-alive\r\n", false, true},
    {"any_case_close", "cONNECTION:CLOSE\r\n", true, false},
    {"any_case_keep", "CONNECTION: Keep-Alive\r\n", false, true},
    {"both_both", "Connection: keep-alive, close\r\n", true, true},
    {"list_found", "Connection: a,\tclose\t ,upgrade\r\n", true, false},
    {"empty_elements_found", "Connection: ,,close,\r\n", true, false},
    {"later_field_found", "Connection: upgrade\r\nA: b\r\nConnection: close\r\n", true, false},
    {"stays_found", "Connection: close\r\nConnection: upgrade\r\n", true, false},
    {"folded_found", "Connection: upgrade,\r\n close\r\n", true, false},
    {"empty_neither", "Connection:\r\n", false, false},
    {"look_alikes_neither", "Connection: closed, xclose, clos, keepalive, keep-alive2\r\n", false, false},
    {"quoted_neither", "Connection: \"close\"\r\n", false, false},
    {"parameter_neither", "Connection: close;q=1\r\n", false, false},
    {"two_words_neither", "Connection: close now\r\n", false, false},
    {"proxy_connection_neither", "Proxy-Connection: close\r\n", false, false},
    {"keep_alive_field_neither", "Keep-Alive: close\r\n", false, false},
};

static void run_connection_rows(void)
{
    for (size_t i = 0; i < N_ROWS(CONNECTION_ROWS); i++) {
        row("fields_connection_%s", CONNECTION_ROWS[i].name);
        index_result result = run_lines(CONNECTION_ROWS[i].lines, strlen(CONNECTION_ROWS[i].lines));
        expect_status(result.status, QH_DONE);
        expect_n("close", result.facts.connection_close, CONNECTION_ROWS[i].close);
        expect_n("keep-alive", result.facts.connection_keep, CONNECTION_ROWS[i].keep);
    }
}

int main(void)
{
    run_line_rows();
    run_byte_rows();
    run_status_rows();
    run_refused_rows();
    run_length_rows();
    run_coding_rows();
    run_connection_rows();
    return check_summary("fields");
}

/* test_chunked.c: the chunked coding, every row decoded whole, byte by byte and at every cut. */
#include "chunked.h"

#include "guarded.h"

/* A row's bytes are `good` (used up) and `rest` (where it stops); `data` is what comes out. */
typedef struct chunked_row {
    const char *name;
    bytes good, rest;
    qh_status status;
    bytes data;
} chunked_row;

#define SIZE_CAP_TEXT "3fffffffffffffff"
static const qh_chunk_limits LIMITS = {
    .size_cap = ((uint64_t)1 << 62) - 1, .extension_cap = 12, .trailer_cap = 24};

#define END "0\r\n\r\n"
#define HELLO "5\r\nhello\r\n"
#define TOO_LARGE QH_E_TRAILERS_TOO_LARGE

static const chunked_row ROWS[] = {
    /* whole bodies */
    {"empty_body_done", B(END), B(""), QH_DONE, B("")},
    {"one_chunk_done", B(HELLO END), B(""), QH_DONE, B("hello")},
    {"chunks_done", B(HELLO "1\r\n,\r\n6\r\n world\r\n" END), B(""), QH_DONE, B("hello, world")},
    {"lower_hex_done", B("a\r\n0123456789\r\n" END), B(""), QH_DONE, B("0123456789")},
    {"upper_hex_done", B("C\r\n0123456789ab\r\n" END), B(""), QH_DONE, B("0123456789ab")},
    {"two_digits_done", B("10\r\n0123456789abcdef\r\n" END), B(""), QH_DONE, B("0123456789abcdef")},
    {"leading_zeros_done", B("0005\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"end_of_many_zeros_done", B(HELLO "00000\r\n\r\n"), B(""), QH_DONE, B("hello")},
    {"line_ends_in_data_done", B("6\r\n\r\n0\r\n\r\r\n" END), B(""), QH_DONE, B("\r\n0\r\n\r")},
    {"framing_in_data_done", B("5\r\n" END "\r\n" END), B(""), QH_DONE, B(END)},
    {"nul_and_8_bit_in_data_done", B("4\r\n\0\xff\x80\0\r\n" END), B(""), QH_DONE, B("\0\xff\x80\0")},
    {"bytes_behind_left_alone", B(HELLO END), B("HTTP/1.1 200 OK\r\n"), QH_DONE, B("hello")},
    {"crlf_behind_left_alone", B(HELLO END), B("\r\n"), QH_DONE, B("hello")},
    {"chunk_behind_left_alone", B(HELLO END), B(HELLO END), QH_DONE, B("hello")},

    /* bodies that go on */
    {"nothing_again", B(""), B(""), QH_AGAIN, B("")},
    {"digit_again", B("5"), B(""), QH_AGAIN, B("")},
    {"size_cr_again", B("5\r"), B(""), QH_AGAIN, B("")},
    {"data_again", B("5\r\nhel"), B(""), QH_AGAIN, B("hel")},
    {"data_without_crlf_again", B("5\r\nhello"), B(""), QH_AGAIN, B("hello")},
    {"data_cr_again", B("5\r\nhello\r"), B(""), QH_AGAIN, B("hello")},
    {"chunk_again", B(HELLO), B(""), QH_AGAIN, B("hello")},
    {"zero_again", B(HELLO "0"), B(""), QH_AGAIN, B("hello")},
    {"zero_line_again", B(HELLO "0\r\n"), B(""), QH_AGAIN, B("hello")},
    {"final_cr_again", B(HELLO "0\r\n\r"), B(""), QH_AGAIN, B("hello")},
    {"extension_again", B("5;a=b"), B(""), QH_AGAIN, B("")},
    {"trailer_name_again", B("0\r\nA"), B(""), QH_AGAIN, B("")},
    {"trailer_value_again", B("0\r\nA: b"), B(""), QH_AGAIN, B("")},
    {"trailer_cr_again", B("0\r\nA: b\r"), B(""), QH_AGAIN, B("")},

    /* chunk sizes */
    {"size_0x_refused", B("0"), B("x5\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_plus_refused", B(""), B("+5\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_minus_refused", B(""), B("-5\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_empty_refused", B(""), B("\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_empty_lf_refused", B(""), B("\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_only_extension_refused", B(""), B(";a=b\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_space_before_refused", B(""), B(" 5\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_tab_before_refused", B(""), B("\t5\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_space_inside_refused", B("1 "), B("0\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_underscore_refused", B("1"), B("_0\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_point_refused", B("5"), B(".0\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_g_refused", B(""), B("g\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_upper_g_refused", B(""), B("G\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_at_sign_refused", B(""), B("@\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_slash_refused", B(""), B("/\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_colon_refused", B("5"), B(":\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_h_suffix_refused", B("5"), B("h\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_comma_refused", B("5"), B(",5\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_quoted_refused", B(""), B("\"5\"\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_nul_refused", B("5"), B("\0\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_nul_first_refused", B(""), B("\0" "5\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_vertical_tab_refused", B("5"), B("\v\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_8_bit_digit_refused", B(""), B("\xb5\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_control_digit_refused", B(""), B("\x10\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_lf_only_refused", B("5"), B("\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_cr_only_refused", B("5\r"), B("hello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_cr_cr_lf_refused", B("5\r"), B("\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"size_cr_space_lf_refused", B("5\r"), B(" \nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"last_size_lf_only_refused", B(HELLO "0"), B("\n\r\n"), QH_E_CHUNK_SIZE, B("hello")},
    {"size_at_cap_again", B(SIZE_CAP_TEXT "\r\nhel"), B(""), QH_AGAIN, B("hel")},
    {"size_at_cap_zeros_before_again", B("000" SIZE_CAP_TEXT "\r\nhel"), B(""), QH_AGAIN, B("hel")},
    {"size_above_cap_refused", B("400000000000000"), B("0\r\n"), QH_E_CHUNK_TOO_LARGE, B("")},
    {"size_64_bit_refused", B("fffffffffffffff"), B("f\r\n"), QH_E_CHUNK_TOO_LARGE, B("")},
    {"size_17_digits_refused", B("1000000000000000"), B("0\r\n"), QH_E_CHUNK_TOO_LARGE, B("")},
    {"size_17_digits_wrap_to_5_refused", B("1000000000000000"), B("5\r\n"), QH_E_CHUNK_TOO_LARGE, B("")},
    {"size_minus_one_refused", B("FFFFFFFFFFFFFFF"), B("F\r\n"), QH_E_CHUNK_TOO_LARGE, B("")},
    {"size_of_later_chunk_above_cap_refused", B(HELLO "800000000000000"), B("0\r\n"), QH_E_CHUNK_TOO_LARGE, B("hello")},

    /* blanks and extensions: bytes between size and CRLF, and zeros too many, at most 12 over the body */
    {"space_after_size_done", B("5 \r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"blanks_after_size_done", B("5 \t \r\nhello\r\n0\t\r\n\r\n"), B(""), QH_DONE, B("hello")},
    {"blanks_before_extension_done", B("5 \t;a\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"space_then_lf_refused", B("5 "), B("\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"extension_name_done", B("5;a\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_value_done", B("5;a=b\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_quoted_done", B("5;a=\"b;c\"\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extensions_done", B("5;a;b=c; d\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_empty_done", B("5;\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_8_bit_done", B("5;\xff\t\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_of_last_chunk_done", B(HELLO "0;a=b\r\n\r\n"), B(""), QH_DONE, B("hello")},
    {"extension_of_digits_done", B("5;ffffffff\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_lf_only_refused", B("5;a"), B("\nhello\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_cr_inside_refused", B("5;a\r"), B("b\r\nhello\r\n"), QH_E_CHUNK_SIZE, B("")},
    {"extension_quoted_cr_refused", B("5;a=\""), B("\rb\"\r\nhello\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_quoted_crlf_refused", B("5;a=\""), B("\r\nhello\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_quoted_nul_refused", B("5;a=\""), B("\0\"\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_escaped_quote_done", B("5;a=\"\\\"b\"\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_escaped_backslash_done", B("5;a=\"\\\\\"\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_escaped_cr_refused", B("5;a=\"\\"), B("\r\n\"\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_escaped_end_of_quote_refused", B("5;a=\"\\\""), B("\r\nhello\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_backslash_unquoted_done", B("5;a=\\\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_quoted_above_cap_refused", B("5;a=\"67890123"), B("4\"\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_quoted_lf_refused", B("5;a=\""), B("\nb\"\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_nul_refused", B("5;a"), B("\0\r\nhello\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_delete_refused", B("5;a"), B("\x7f\r\nhello\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extension_at_cap_done", B("5;2345678901;\r\nhello\r\n" END), B(""), QH_DONE, B("hello")},
    {"extension_above_cap_refused", B("5;2345678901;"), B("3\r\nhello\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"extensions_add_up_at_cap_done", B("1;23456\r\na\r\n1;23456\r\nb\r\n" END), B(""), QH_DONE, B("ab")},
    {"extensions_add_up_above_cap_refused", B("1;23456\r\na\r\n1;23456"), B("7\r\n"), QH_E_CHUNK_EXTENSION, B("a")},
    {"blanks_at_cap_done", B("1            \r\na\r\n" END), B(""), QH_DONE, B("a")},
    {"blanks_above_cap_refused", B("1            "), B(" \r\na\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"semicolon_above_cap_refused", B("1            "), B(";\r\na\r\n"), QH_E_CHUNK_EXTENSION, B("")},
    {"zeros_at_cap_done", B(HELLO "0000000000000\r\n\r\n"), B(""), QH_DONE, B("hello")},
    {"zeros_above_cap_refused", B(HELLO "0000000000000"), B("0\r\n\r\n"), QH_E_CHUNK_EXTENSION, B("hello")},
    {"zeros_before_digit_above_cap_refused", B("0000000000000"), B("5\r\nhello"), QH_E_CHUNK_EXTENSION, B("")},

    /* what follows the data */
    {"data_longer_than_size_refused", B("5\r\nhello"), B("o\r\n" END), QH_E_CHUNK_END, B("hello")},
    {"data_shorter_than_size_refused", B("5\r\nhel\r\n"), B(END), QH_E_CHUNK_END, B("hel\r\n")},
    {"data_then_lf_only_refused", B("5\r\nhello"), B("\n" END), QH_E_CHUNK_END, B("hello")},
    {"data_then_cr_only_refused", B("5\r\nhello\r"), B(END), QH_E_CHUNK_END, B("hello")},
    {"data_then_cr_cr_lf_refused", B("5\r\nhello\r"), B("\r\n" END), QH_E_CHUNK_END, B("hello")},
    {"data_then_size_refused", B("5\r\nhello"), B("0\r\n\r\n"), QH_E_CHUNK_END, B("hello")},
    {"data_then_nul_refused", B("5\r\nhello"), B("\0\r\n"), QH_E_CHUNK_END, B("hello")},
    {"data_then_space_refused", B("5\r\nhello"), B(" \r\n"), QH_E_CHUNK_END, B("hello")},

    /* the trailer section: at most 24 bytes */
    {"trailer_dropped_done", B(HELLO "0\r\nA: b\r\n\r\n"), B("x"), QH_DONE, B("hello")},
    {"trailers_dropped_done", B("0\r\nA: b\r\nContent-Length:5\r\n\r\n"), B(""), QH_DONE, B("")},
    {"trailer_empty_value_done", B("0\r\nA:\r\n\r\n"), B(""), QH_DONE, B("")},
    {"trailer_8_bit_value_done", B("0\r\nA: \xe4\t:;\"\r\n\r\n"), B(""), QH_DONE, B("")},
    {"trailer_at_cap_done", B("0\r\nName: 1234567890123456\r\n\r\n"), B(""), QH_DONE, B("")},
    {"trailer_above_cap_refused", B("0\r\nName: 12345678901234567\r"), B("\n\r\n"), TOO_LARGE, B("")},
    {"trailer_cr_above_cap_refused", B("0\r\nName: 123456789012345678"), B("\r\n\r\n"), TOO_LARGE, B("")},
    {"trailer_name_above_cap_refused", B("0\r\nNameNameNameNameNameName"), B("N: 1\r\n"), TOO_LARGE, B("")},
    {"trailer_colon_above_cap_refused", B("0\r\nNameNameNameNameNameName"), B(": 1\r\n"), TOO_LARGE, B("")},
    {"trailers_add_up_above_cap_refused", B("0\r\nA: 2\r\nB: 8\r\nC: 4\r\nD: 0\r\n"), B("E: 5"), TOO_LARGE, B("")},
    {"trailer_no_colon_refused", B("0\r\nName"), B("\r\n\r\n"), QH_E_TRAILER, B("")},
    {"trailer_no_name_refused", B("0\r\n"), B(": b\r\n\r\n"), QH_E_TRAILER, B("")},
    {"trailer_space_in_name_refused", B("0\r\nA"), B(" : b\r\n\r\n"), QH_E_TRAILER, B("")},
    {"trailer_fold_first_refused", B("0\r\n"), B(" A: b\r\n\r\n"), QH_E_TRAILER, B("")},
    {"trailer_fold_dropped_done", B("0\r\nA: b\r\n c\r\n\td\r\nE: f\r\n\r\n"), B("x"), QH_DONE, B("")},
    {"trailer_fold_above_cap_refused", B("0\r\nA: b\r\n 901234567890123\r\n"), B(" 5\r\n"), TOO_LARGE, B("")},
    {"trailer_fold_lf_only_refused", B("0\r\nA: b\r\n c"), B("\n\r\n"), QH_E_TRAILER, B("")},
    {"trailer_lf_only_refused", B("0\r\nA: b"), B("\n\r\n"), QH_E_TRAILER, B("")},
    {"trailer_cr_inside_refused", B("0\r\nA: b\r"), B("c\r\n\r\n"), QH_E_TRAILER, B("")},
    {"trailer_nul_refused", B("0\r\nA: b"), B("\0\r\n\r\n"), QH_E_TRAILER, B("")},
    {"end_lf_only_refused", B("0\r\n"), B("\n"), QH_E_TRAILER, B("")},
    {"end_cr_only_refused", B("0\r\n\r"), B("x"), QH_E_TRAILER, B("")},
    {"end_cr_cr_lf_refused", B("0\r\n\r"), B("\r\n"), QH_E_TRAILER, B("")},
    {"end_data_after_zero_refused", B("0\r\nhello"), B("\r\n"), QH_E_TRAILER, B("")},
};

static guarded region;

typedef struct outcome {
    qh_chunked state;
    qh_status status;
    size_t used, data_len;
    char data[256];
} outcome;

/* Decodes one piece, which stands at the guard. */
static void decode(outcome *out, const char *raw, size_t len, const qh_chunk_limits *limits, guard_side side)
{
    size_t used, data_len;
    char *data = guarded_copy(&region, raw, len, side);
    out->status = qh_chunked_decode(&out->state, data, len, limits, &used, &data_len);
    expect(used <= len && data_len <= used, "used %zu and data %zu of %zu", used, data_len, len);
    expect(out->status != QH_AGAIN || used == len, "used %zu of %zu, and yet AGAIN", used, len);
    memcpy(out->data + out->data_len, data, data_len);
    out->data_len += data_len;
    out->used += used;
}

static outcome decode_in_pieces(const char *raw, size_t len, size_t way, const qh_chunk_limits *limits, guard_side side)
{
    outcome out = {.status = QH_AGAIN};
    for (size_t at = 0, n; at < len && out.status == QH_AGAIN; at += n) {
        n = piece_len(way, len, at);
        if (way == len) { /* nothing changes nothing */
            decode(&out, raw, 0, limits, side);
            expect_status(out.status, QH_AGAIN);
        }
        decode(&out, raw + at, n, limits, side);
    }
    return out;
}

static size_t row_bytes(const chunked_row *row, char *raw)
{
    memcpy(raw, row->good.at, row->good.len);
    memcpy(raw + row->good.len, row->rest.at, row->rest.len);
    return row->good.len + row->rest.len;
}

static void run(const chunked_row *r)
{
    char raw[256];
    size_t len = row_bytes(r, raw);
    outcome whole = decode_in_pieces(raw, len, 0, &LIMITS, GUARD_BEHIND);
    row("chunked_%s", r->name);
    FOR_EACH_WAY(way, side, len) {
        context_way(way, len, side, "");
        outcome out = decode_in_pieces(raw, len, way, &LIMITS, side);
        expect_status(out.status, r->status);
        expect_n("used", out.used, r->good.len);
        expect_bytes("data", out.data, out.data_len, r->data);
        expect(memcmp(&out.state, &whole.state, sizeof whole.state) == 0, "state differs from the whole's");
    }
}

/* What has ended stays so: the rest brings no data, and an error remains one. */
static void run_on_after_end(const chunked_row *r)
{
    char raw[256];
    size_t len = row_bytes(r, raw);
    if (r->status == QH_AGAIN)
        return;
    FOR_EACH_WAY(way, side, len) {
        outcome out = decode_in_pieces(raw, len, way, &LIMITS, side);
        size_t used = out.used, data_len = out.data_len;
        context_way(way, len, side, r->name);
        decode(&out, raw + used, len - used, &LIMITS, side);
        expect(out.status == r->status || (qh_is_error(out.status) && qh_is_error(r->status)), "%s became %s",
               status_name(r->status), status_name(out.status));
        expect(out.used == used && out.data_len == data_len, "took more after the end");
    }
}

/* Which of all bytes are let pass behind `before`? */
typedef struct byte_row {
    const char *name, *before, *allowed;
    bool text_allowed; /* and all that is visible, blank or 8 bit */
    qh_status refused;
} byte_row;

#define HEX "0123456789abcdefABCDEF"
#define TCHAR "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"
static const byte_row BYTE_ROWS[] = {
    {"first_of_size", "", HEX, false, QH_E_CHUNK_SIZE},
    {"after_size", "5", HEX " \t;\r", false, QH_E_CHUNK_SIZE},
    {"after_blank", "5 ", " \t;\r", false, QH_E_CHUNK_SIZE},
    {"in_extension", "5;", "\t\r", true, QH_E_CHUNK_EXTENSION},
    {"in_quoted_extension", "5;a=\"", "\t", true, QH_E_CHUNK_EXTENSION},
    {"behind_backslash", "5;a=\"\\", "\t", true, QH_E_CHUNK_EXTENSION},
    {"after_data", "1\r\na", "\r", false, QH_E_CHUNK_END},
    {"after_data_cr", "1\r\na\r", "\n", false, QH_E_CHUNK_END},
    {"first_of_trailer", "0\r\n", TCHAR "\r", false, QH_E_TRAILER},
    {"first_of_next_trailer", "0\r\nA:\r\n", TCHAR "\r \t", false, QH_E_TRAILER},
    {"in_trailer_name", "0\r\nA", TCHAR ":", false, QH_E_TRAILER},
    {"in_trailer_value", "0\r\nA:", "\t\r", true, QH_E_TRAILER},
};

static void run_bytes(const byte_row *r)
{
    size_t before_len = strlen(r->before);
    row("chunked_every_byte_%s_allowed_or_refused", r->name);
    for (unsigned c = 0; c < 256; c++) {
        bool allowed = (c && strchr(r->allowed, (int)c)) || (r->text_allowed && c >= 0x20 && c != 0x7f);
        char raw[16];
        memcpy(raw, r->before, before_len);
        raw[before_len] = (char)c;
        context("byte 0x%02x", c);
        outcome out = decode_in_pieces(raw, before_len + 1, 0, &LIMITS, GUARD_BEHIND);
        expect_status(out.status, allowed ? QH_AGAIN : r->refused);
    }
}

/* A size against a cap, in the smallest and largest caps there are. */
static const struct {
    const char *name, *size;
    uint64_t cap;
    qh_status status;
} CAP_ROWS[] = {
    {"one_digit_at_cap_again", "5\r", 5, QH_AGAIN},
    {"one_digit_above_cap_refused", "6\r", 5, QH_E_CHUNK_TOO_LARGE},
    {"zero_at_cap_zero_again", "0\r", 0, QH_AGAIN},
    {"one_above_cap_zero_refused", "1\r", 0, QH_E_CHUNK_TOO_LARGE},
    {"two_digits_at_cap_again", "1f\r", 0x1f, QH_AGAIN},
    {"two_digits_above_cap_refused", "20\r", 0x1f, QH_E_CHUNK_TOO_LARGE},
    {"two_digits_one_above_cap_refused", "15\r", 0x14, QH_E_CHUNK_TOO_LARGE},
    {"many_digits_above_cap_refused", "fffff\r", 0x1f, QH_E_CHUNK_TOO_LARGE},
    {"32_bit_at_cap_again", "ffffffff\r", UINT32_MAX, QH_AGAIN},
    {"32_bit_above_cap_refused", "100000000\r", UINT32_MAX, QH_E_CHUNK_TOO_LARGE},
};

/* ---------------------------------------------------------------------- whole chunks, taken at one look */
/* Where a chunk is whole in the input, it is not looked at byte by byte: all that comes of it must be as if. */
enum { STREAM_CAP = 220 << 10, MARGIN = 80 };
static const qh_chunk_limits WIDE = {.size_cap = 1 << 30, .extension_cap = 1 << 10, .trailer_cap = 1 << 10};

typedef struct stream {
    size_t len, data_len;
    char raw[STREAM_CAP], data[STREAM_CAP];
} stream;

static void add_raw(stream *s, const char *raw, size_t len)
{
    memcpy(s->raw + s->len, raw, len);
    s->len += len;
}

/* A chunk of n bytes; `format` is how its size is written. */
static void add_chunk(stream *s, const char *format, size_t n)
{
    char size[32];
    add_raw(s, size, (size_t)snprintf(size, sizeof size, format, n));
    add_raw(s, "\r\n", 2);
    for (size_t i = 0; i < n; i++, s->data_len++) /* framing, too, may stand in data */
        s->data[s->data_len] = s->raw[s->len++] =
            i % 5 ? (char)(s->data_len * 7 + (s->data_len >> 8)) : "\r\n0a;"[n % 5];
    add_raw(s, "\r\n", 2);
}

typedef struct decoding {
    qh_chunked state;
    qh_status status;
    size_t used, data_len;
    char *data;
} decoding;

/* Decodes one piece at the guard, in the middle of bytes that must stay as they are. */
static void decode_piece(decoding *d, const char *raw, size_t len, const qh_chunk_limits *limits, guard_side side)
{
    size_t used, data_len;
    char *data = guarded_copy(&region, raw, len, side);
    char *margin = side == GUARD_BEFORE ? data + len : data - MARGIN, before[MARGIN];
    memcpy(before, memset(margin, 0xa5, MARGIN), MARGIN);
    d->status = qh_chunked_decode(&d->state, data, len, limits, &used, &data_len);
    expect(used <= len && data_len <= used, "used %zu and data %zu of %zu", used, data_len, len);
    expect(memcmp(data + used, raw + used, len - used) == 0, "bytes behind what was used have changed");
    expect(memcmp(margin, before, MARGIN) == 0, "bytes beside the input were overwritten");
    memcpy(d->data + d->data_len, data, data_len);
    d->data_len += data_len;
    d->used += used;
}

static decoding decode_way(const char *raw, size_t len, size_t way, const qh_chunk_limits *limits, guard_side side)
{
    static char memories[2][STREAM_CAP]; /* byte by byte, and otherwise: two may be alive */
    decoding d = {.status = QH_AGAIN, .data = memories[way == len]};
    for (size_t at = 0, n; at < len && d.status == QH_AGAIN; at += n) {
        n = piece_len(way, len, at);
        decode_piece(&d, raw + at, n, limits, side);
    }
    return d;
}

static void expect_same(const decoding *got, const decoding *want)
{
    expect_status(got->status, want->status);
    expect_n("used", got->used, want->used);
    expect(memcmp(&got->state, &want->state, sizeof want->state) == 0, "state differs from that byte by byte");
    expect_bytes("data", got->data, got->data_len, (bytes){want->data, want->data_len});
}

static void expect_stream(const stream *s, size_t used, size_t way, guard_side side)
{
    decoding d = decode_way(s->raw, s->len, way, &WIDE, side);
    expect_status(d.status, QH_DONE);
    expect_n("used", d.used, used);
    expect(d.data_len == s->data_len && memcmp(d.data, s->data, s->data_len) == 0, "data differs");
}

/* Behind `n_short` and `n_long` chunks, before n_behind bytes of somebody else: data moves down by 3 to 50 bytes. */
static size_t make_stream(stream *s, unsigned n_short, unsigned n_long, size_t n, size_t n_behind)
{
    s->len = s->data_len = 0;
    for (unsigned i = 0; i < n_short; i++)
        add_chunk(s, "%zx", 1);
    for (unsigned i = 0; i < n_long; i++)
        add_chunk(s, "%zX", 26);
    add_chunk(s, "%zx", n);
    add_raw(s, END, 5);
    size_t used = s->len;
    for (size_t i = 0; i < n_behind; i++)
        s->raw[s->len++] = (char)('A' + i % 26);
    return used;
}

static void test_sizes(void)
{
    static stream s;
    for (size_t n = 1; n <= 70; n++) {
        row("chunked_chunk_of_%zu_whole_done", n);
        for (unsigned n_short = 0; n_short < 6; n_short++)
            for (unsigned n_long = 0; n_long < 3; n_long++)
                for (size_t n_behind = 0; n_behind < 90; n_behind += n_behind + n > 68 && n_behind + n < 76 ? 1 : 8)
                    for (guard_side side = GUARD_BEHIND; side < N_GUARD_SIDES; side++) {
                        size_t used = make_stream(&s, n_short, n_long, n, n_behind);
                        context("behind %u and %u chunks, %zu bytes behind, guard %d", n_short, n_long, n_behind, side);
                        expect_stream(&s, used, 0, side);
                    }
        row("chunked_chunk_of_%zu_cut_anywhere_done", n);
        for (unsigned before = 0; before < 4; before++) {
            size_t used = make_stream(&s, before % 2 * 4, before / 2, n, before * 30);
            FOR_EACH_WAY(way, side, s.len) {
                context_way(way, s.len, side, "");
                expect_stream(&s, used, way, side);
            }
        }
    }
}

static void test_large_sizes(void)
{
    static const size_t SIZES[] = {255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537};
    static stream s;
    for (size_t i = 0; i < N_ROWS(SIZES); i++) {
        size_t n = SIZES[i], used = make_stream(&s, 2, 1, n, 40);
        row("chunked_chunk_of_%zu_cut_anywhere_done", n);
        FOR_EACH_WAY(way, side, s.len) {
            bool in_data = way > 80 && way + 80 < s.len;
            if (in_data && way % (n < 5000 ? 61 : 9973) != 0)
                continue;
            context_way(way, s.len, side, "");
            expect_stream(&s, used, way, side);
        }
    }

    enum { LEN = 1 << 24 }; /* the first size of seven digits, the most that is looked at as one */
    static const char *const FORMATS[] = {"%x\r\n", "%08x\r\n"}, *const NAMES[] = {"seven", "eight"};
    for (size_t i = 0; i < N_ROWS(FORMATS); i++) {
        char *raw = malloc(LEN + 64);
        qh_chunked state = {0};
        size_t head_len, raw_used, data_len;
        require(raw != NULL, "malloc");
        row("chunked_chunk_of_16_mib_in_%s_digits_done", NAMES[i]);
        head_len = (size_t)sprintf(raw, FORMATS[i], LEN);
        for (size_t k = 0; k < LEN; k++)
            raw[head_len + k] = (char)(k * 7 + (k >> 8) + (k >> 16));
        memcpy(raw + head_len + LEN, "\r\n" END, 7);
        expect_status(qh_chunked_decode(&state, raw, head_len + LEN + 7, &WIDE, &raw_used, &data_len), QH_DONE);
        expect_n("used", raw_used, head_len + LEN + 7);
        expect_n("data", data_len, LEN);
        for (size_t k = 0; k < LEN; k++)
            if (raw[k] != (char)(k * 7 + (k >> 8) + (k >> 16))) {
                expect(false, "byte %zu differs", k);
                break;
            }
        free(raw);
    }
}

/* A chunk among others, with enough behind it; `used` and `data_len` tell where the second one stops. */
#define ABC "0123456789abcdefghij" /* 20 bytes */
static const struct {
    const char *name, *size;
    uint64_t size_cap;
    uint32_t extension_cap;
    qh_status status;
    size_t used, data_len;
} SIZE_LINE_ROWS[] = {
    {"lower_case_at_cap_done", "14", 20, 0, QH_DONE, 38, 22},
    {"one_above_cap_refused", "14", 19, 0, QH_E_CHUNK_TOO_LARGE, 8, 2},
    {"one_above_cap_data_missing_refused", "15", 20, 0, QH_E_CHUNK_TOO_LARGE, 8, 2},
    {"one_digit_at_cap_then_data_too_long_refused", "f", 15, 0, QH_E_CHUNK_END, 25, 17},
    {"one_digit_above_cap_refused", "e", 13, 0, QH_E_CHUNK_TOO_LARGE, 7, 2},
    {"seven_digits_above_cap_refused", "fffffff", 0xffffffe, 0, QH_E_CHUNK_TOO_LARGE, 13, 2},
    {"seven_digits_at_cap_again", "fffffff", 0xfffffff, 0, QH_AGAIN, 0, 0},
    {"eight_digits_at_cap_again", "ffffffff", UINT32_MAX, 0, QH_AGAIN, 0, 0},
    {"eight_digits_above_cap_refused", "10000000", 0xfffffff, 0, QH_E_CHUNK_TOO_LARGE, 14, 2},
    {"sixteen_digits_refused", "1000000000000014", UINT32_MAX, 0, QH_E_CHUNK_TOO_LARGE, 15, 2},
    {"leading_zero_at_extension_cap_done", "014", 20, 1, QH_DONE, 39, 22},
    {"leading_zeros_above_extension_cap_refused", "0014", 20, 1, QH_E_CHUNK_EXTENSION, 9, 2},
    {"leading_zeros_seven_digits_done", "0000014", 20, 5, QH_DONE, 43, 22},
    {"leading_zeros_eight_digits_done", "00000014", 20, 6, QH_DONE, 44, 22},
    {"extension_at_its_cap_done", "14;ab", 20, 3, QH_DONE, 41, 22},
    {"extension_above_its_cap_refused", "14;ab", 20, 2, QH_E_CHUNK_EXTENSION, 11, 2},
    {"blank_at_extension_cap_done", "14 ", 20, 1, QH_DONE, 39, 22},
    {"blank_above_extension_cap_refused", "14 ", 20, 0, QH_E_CHUNK_EXTENSION, 9, 2},
    {"no_digit_refused", "", 20, 0, QH_E_CHUNK_SIZE, 7, 2},
    {"g_refused", "g", 20, 0, QH_E_CHUNK_SIZE, 7, 2},
    {"at_sign_refused", "1@", 20, 0, QH_E_CHUNK_SIZE, 8, 2},
    {"too_short_for_data_refused", "13", 20, 0, QH_E_CHUNK_END, 30, 21},
    {"too_long_for_data_refused", "16", 30, 0, QH_E_CHUNK_END, 33, 24},
};

static void run_size_line_rows(void)
{
    for (size_t i = 0; i < N_ROWS(SIZE_LINE_ROWS); i++) {
        char raw[256];
        qh_chunk_limits limits = {SIZE_LINE_ROWS[i].size_cap, SIZE_LINE_ROWS[i].extension_cap, 0};
        size_t len = (size_t)sprintf(raw, "2\r\nhi\r\n%s\r\n" ABC "\r\n" END "%060d", SIZE_LINE_ROWS[i].size, 0);
        bool again = SIZE_LINE_ROWS[i].status == QH_AGAIN;
        size_t data_len = again ? len - 9 - strlen(SIZE_LINE_ROWS[i].size) + 2 : SIZE_LINE_ROWS[i].data_len;
        decoding bytewise = decode_way(raw, len, len, &limits, GUARD_BEHIND);
        row("chunked_size_line_%s", SIZE_LINE_ROWS[i].name);
        FOR_EACH_WAY(way, side, len) {
            context_way(way, len, side, "");
            decoding d = decode_way(raw, len, way, &limits, side);
            expect_status(d.status, SIZE_LINE_ROWS[i].status);
            expect_n("used", d.used, again ? len : SIZE_LINE_ROWS[i].used);
            expect_n("data", d.data_len, data_len);
            expect(memcmp(d.data, "hi" ABC, d.data_len < 22 ? d.data_len : 22) == 0, "data differs");
            expect_same(&d, &bytewise);
        }
    }
}

/* Every byte of a stream replaced by every other, left out, or there twice. */
static void test_every_byte_wrong(void)
{
    static const char GOOD[] = "1\r\na\r\n2\r\nhi\r\n14\r\n" ABC "\r\n1A\r\n" ABC "uvwxyz\r\n" END ABC ABC ABC ABC;
    enum { LEN = sizeof GOOD - 1 };
    for (unsigned what = 0; what < 3; what++) {
        row("chunked_any_byte_%s_as_byte_by_byte", what == 0 ? "replaced" : what == 1 ? "left_out" : "doubled");
        for (size_t at = 0; at < LEN - 80; at++)
            for (unsigned c = 0; c < (what == 0 ? 256 : 1); c++) {
                /* GOOD[0..kept), where it is replaced another byte, and GOOD[from..) */
                char raw[LEN + 1];
                size_t kept = at + (what == 2), to = kept + (what == 0), from = at + (what != 2), len = to + LEN - from;
                memcpy(raw, GOOD, kept);
                raw[kept] = (char)c;
                memcpy(raw + to, GOOD + from, LEN - from);
                context("byte %zu, 0x%02x", at, c);
                decoding bytewise = decode_way(raw, len, len, &WIDE, GUARD_BEHIND);
                for (guard_side side = GUARD_BEHIND; side < N_GUARD_SIDES; side++) {
                    decoding whole = decode_way(raw, len, 0, &WIDE, side);
                    expect_same(&whole, &bytewise);
                }
            }
    }
}

/* Streams of every kind of chunk in any order, in any two pieces. */
static void test_mixed(void)
{
    static const char *const FORMATS[] = {"%zx", "%zX", "%zx", "0%zx", "%zx;a", "%zx ", "000000%zX", "%zx;a=\"\r\""};
    static stream s;
    uint64_t seed = 1;
    row("chunked_mixed_streams_as_byte_by_byte");
    for (unsigned round = 0; round < 3000; round++) {
        s.len = s.data_len = 0;
        for (unsigned n = (unsigned)(seed >> 60); n > 0; n--) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t kind = seed >> 33 & 63;
            add_chunk(&s, FORMATS[kind < 60 ? kind % 7 : 7], 1 + (seed >> 40) % (seed >> 63 ? 16 : 90));
        }
        add_raw(&s, END, seed >> 50 & 7 ? 5 : 0);
        s.len -= s.len > 0 && (seed >> 45 & 7) == 0;
        decoding bytewise = decode_way(s.raw, s.len, s.len, &WIDE, GUARD_BEHIND);
        for (unsigned k = 0; k < 4 && s.len > 0; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t way = k ? (seed >> 33) % s.len : 0;
            guard_side side = seed >> 62 & 1 ? GUARD_BEFORE : GUARD_BEHIND;
            char round_text[32];
            snprintf(round_text, sizeof round_text, "round %u", round);
            context_way(way, s.len, side, round_text);
            decoding d = decode_way(s.raw, s.len, way, &WIDE, side);
            expect_same(&d, &bytewise);
        }
        seed = seed * 6364136223846793005u + 1442695040888963407u;
    }
}

int main(void)
{
    for (size_t i = 0; i < N_ROWS(ROWS); i++)
        run(&ROWS[i]);
    row("chunked_bytes_after_the_end_nothing_taken");
    for (size_t i = 0; i < N_ROWS(ROWS); i++)
        run_on_after_end(&ROWS[i]);
    for (size_t i = 0; i < N_ROWS(BYTE_ROWS); i++)
        run_bytes(&BYTE_ROWS[i]);
    for (size_t i = 0; i < N_ROWS(CAP_ROWS); i++) {
        qh_chunk_limits limits = {CAP_ROWS[i].cap, 0, 0};
        size_t len = strlen(CAP_ROWS[i].size);
        row("chunked_size_%s", CAP_ROWS[i].name);
        FOR_EACH_WAY(way, side, len) {
            context_way(way, len, side, "");
            expect_status(decode_in_pieces(CAP_ROWS[i].size, len, way, &limits, side).status, CAP_ROWS[i].status);
        }
    }
    test_sizes();
    test_large_sizes();
    run_size_line_rows();
    test_every_byte_wrong();
    test_mixed();
    return check_summary("chunked");
}

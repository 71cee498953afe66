/* fuzz_chunked.c: any bytes as a chunked body. Byte by byte, where no shortcut is taken, in two pieces, three or
 * one: the same data, the same state, the same end; never more data than input; what has ended stays so; and
 * nothing is changed but what was used. */
#include "chunked.h"
#include "fuzz.h"

enum { INPUT_MAX = 4096, FRAME_MAX = 512, RAW_MAX = INPUT_MAX + 2 * FRAME_MAX, MARGIN = 80 };

typedef struct outcome {
    qh_chunked state;
    qh_status status;
    size_t used, data_len;
    char data[RAW_MAX];
} outcome;

static void forget(outcome *out) { memset(out, 0, offsetof(outcome, data)); }

/* Decodes raw[0..len), which stands at data[0..len). */
static void decode(outcome *out, char *data, const char *raw, size_t len, const qh_chunk_limits *limits)
{
    size_t used, data_len;
    out->status = qh_chunked_decode(&out->state, data, len, limits, &used, &data_len);
    HOLDS(data_len <= used && used <= len);
    HOLDS(out->status != QH_AGAIN || used == len);
    HOLDS(out->status != QH_FULL && out->status != QH_BUDGET);
    HOLDS(out->state.state <= QH_CHUNK_FINISHED && (out->status == QH_DONE) == (out->state.state == QH_CHUNK_FINISHED));
    HOLDS(memcmp(data + used, raw + used, len - used) == 0); /* it may belong to somebody */
    memcpy(out->data + out->data_len, data, data_len);
    out->used += used;
    out->data_len += data_len;
}

static void decode_exact(outcome *out, const char *raw, size_t len, const qh_chunk_limits *limits)
{
    char *data = exact_copy(raw, len);
    decode(out, data, raw, len, limits);
    free(data);
}

/* In the middle of other bytes, as a body in its sink. */
static void decode_amid(outcome *out, const char *raw, size_t len, const qh_chunk_limits *limits)
{
    static char around[MARGIN + RAW_MAX + MARGIN];
    char *data = around + MARGIN;
    memset(around, 0xa5, MARGIN);
    memcpy(data, raw, len);
    memset(data + len, 0x5a, MARGIN);
    decode(out, data, raw, len, limits);
    for (size_t i = 0; i < MARGIN; i++)
        HOLDS(around[i] == (char)0xa5 && data[len + i] == 0x5a);
}

static void expect_same(const outcome *a, const outcome *b)
{
    HOLDS(a->status == b->status && a->used == b->used && a->data_len == b->data_len);
    HOLDS(memcmp(&a->state, &b->state, sizeof a->state) == 0);
    HOLDS(memcmp(a->data, b->data, a->data_len) == 0);
}

static void expect_ended(const outcome *ended, const char *raw, size_t len, const qh_chunk_limits *limits)
{
    static outcome after;
    memcpy(&after, ended, offsetof(outcome, data));
    decode_exact(&after, raw + ended->used, len - ended->used, limits);
    HOLDS(after.used == ended->used && after.data_len == ended->data_len);
    HOLDS(ended->status == QH_DONE ? after.status == QH_DONE : qh_is_error(after.status));
}

static size_t repeat(char *to, const char *text, size_t n)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * len, text, len);
    return n * len;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    static const qh_chunk_limits LIMITS[] = {
        {((uint64_t)1 << 62) - 1, 16 << 10, 16 << 10}, {20, 4, 12}, {((uint64_t)1 << 62) - 1, 0, 0}, {0xfff, 1, 1}};
    static outcome bytes, whole, pieces;
    static char raw[RAW_MAX];
    if (input_len < N_CHOICES || input_len > INPUT_MAX)
        return 0;
    /* Short moves far down are made where enough has come before and behind: short inputs have it, too. */
    const qh_chunk_limits *limits = &LIMITS[input[0] % 4];
    size_t len = repeat(raw, "2\r\n--\r\n", input[0] / 4 % 8);
    memcpy(raw + len, input + N_CHOICES, input_len - N_CHOICES);
    len += input_len - N_CHOICES;
    len += repeat(raw + len, "5\r\nhello\r\n", input[0] / 32 * 5);
    size_t first = (size_t)input[1] * 2 % (len + 1), second = first + input[2] % (len + 1 - first);
    size_t ends[] = {first, second, len};

    forget(&bytes);
    for (size_t i = 0; i < len && bytes.status == QH_AGAIN; i++)
        decode(&bytes, (char[1]){raw[i]}, raw + i, 1, limits);
    if (len == 0)
        decode_exact(&bytes, raw, 0, limits);
    forget(&whole);
    decode_exact(&whole, raw, len, limits);
    expect_same(&whole, &bytes);
    forget(&whole);
    decode_amid(&whole, raw, len, limits);
    expect_same(&whole, &bytes);
    forget(&pieces);
    for (size_t i = 0, at = 0; i < 3 && pieces.status == QH_AGAIN; at = ends[i++])
        decode_exact(&pieces, raw + at, ends[i] - at, limits);
    expect_same(&pieces, &bytes);

    HOLDS(whole.state.left <= limits->size_cap || qh_is_error(whole.status));
    HOLDS(whole.state.n_extension <= limits->extension_cap + 1 && whole.state.n_trailer <= limits->trailer_cap + 1);
    if (whole.status != QH_AGAIN)
        expect_ended(&whole, raw, len, limits);
    return 0;
}

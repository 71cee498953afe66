/* fuzz_chunked.c: any bytes as a chunked body. In two pieces, three or one: the same data, the same state, the
 * same end; never more data than input; and what has ended stays so. */
#include "chunked.h"
#include "fuzz.h"

enum { INPUT_MAX = 4096 };

typedef struct outcome {
    qh_chunked state;
    qh_status status;
    size_t used, data_len;
    char data[INPUT_MAX];
} outcome;

static void decode(outcome *out, const uint8_t *raw, size_t len, const qh_chunk_limits *limits)
{
    size_t used, data_len;
    char *data = exact_copy(raw, len);
    out->status = qh_chunked_decode(&out->state, data, len, limits, &used, &data_len);
    HOLDS(data_len <= used && used <= len);
    HOLDS(out->status != QH_AGAIN || used == len);
    HOLDS(out->status != QH_FULL && out->status != QH_BUDGET);
    HOLDS(out->state.state <= QH_CHUNK_FINISHED && (out->status == QH_DONE) == (out->state.state == QH_CHUNK_FINISHED));
    memcpy(out->data + out->data_len, data, data_len);
    out->used += used;
    out->data_len += data_len;
    free(data);
}

static void expect_ended(const outcome *ended, const uint8_t *raw, size_t len, const qh_chunk_limits *limits)
{
    static outcome after;
    memcpy(&after, ended, offsetof(outcome, data));
    decode(&after, raw + ended->used, len - ended->used, limits);
    HOLDS(after.used == ended->used && after.data_len == ended->data_len);
    HOLDS(ended->status == QH_DONE ? after.status == QH_DONE : qh_is_error(after.status));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    static const qh_chunk_limits LIMITS[] = {
        {((uint64_t)1 << 62) - 1, 16 << 10, 16 << 10}, {20, 4, 12}, {((uint64_t)1 << 62) - 1, 0, 0}, {0xfff, 1, 1}};
    static outcome whole, pieces;
    if (input_len < N_CHOICES || input_len > INPUT_MAX)
        return 0;
    const uint8_t *raw = input + N_CHOICES;
    size_t len = input_len - N_CHOICES;
    const qh_chunk_limits *limits = &LIMITS[input[0] % 4];
    size_t first = input[1] % (len + 1), second = first + input[2] % (len + 1 - first);
    size_t ends[] = {first, second, len};

    memset(&whole, 0, offsetof(outcome, data));
    memset(&pieces, 0, offsetof(outcome, data));
    decode(&whole, raw, len, limits);
    for (size_t i = 0, at = 0; i < 3 && pieces.status == QH_AGAIN; at = ends[i++])
        decode(&pieces, raw + at, ends[i] - at, limits);

    HOLDS(pieces.status == whole.status && pieces.used == whole.used && pieces.data_len == whole.data_len);
    HOLDS(memcmp(&pieces.state, &whole.state, sizeof whole.state) == 0);
    HOLDS(memcmp(pieces.data, whole.data, whole.data_len) == 0);
    HOLDS(whole.state.left <= limits->size_cap || qh_is_error(whole.status));
    HOLDS(whole.state.n_extension <= limits->extension_cap + 1 && whole.state.n_trailer <= limits->trailer_cap + 1);
    if (whole.status != QH_AGAIN)
        expect_ended(&whole, raw, len, limits);
    return 0;
}

/* fuzz_head_scan.c: any bytes as heads, one behind the other. However they come, they end at the same places,
 * within their limits, and an error remains one. */
#include "fuzz.h"
#include "head_scan.h"

typedef struct outcome {
    qh_head_scan scan;
    qh_status status;
    size_t begin; /* where the head under way begins */
    unsigned n_heads;
} outcome;

static qh_status look(outcome *out, const uint8_t *raw, size_t len, const qh_head_limits *limits, size_t *head_len)
{
    char *head = exact_copy(raw + out->begin, len - out->begin);
    qh_status status = qh_head_scan_step(&out->scan, head, len - out->begin, limits, head_len);
    HOLDS(status != QH_FULL && status != QH_BUDGET);
    HOLDS(status != QH_AGAIN || out->scan.position == len - out->begin);
    if (status == QH_DONE) {
        HOLDS(*head_len == out->scan.position && *head_len <= len - out->begin && head[*head_len - 1] == '\n');
        HOLDS(head[*head_len - 2] == '\n' || (head[*head_len - 2] == '\r' && head[*head_len - 3] == '\n'));
        HOLDS(*head_len + out->scan.spent_len <= limits->head_cap);
        HOLDS(out->scan.n_lines >= 1 && out->scan.n_lines - 1 <= limits->n_fields_cap);
    }
    free(head);
    return status;
}

/* Looks at raw[0..len), of which the last call saw a part; goes on over heads that end. */
static void scan_to(outcome *out, const uint8_t *raw, size_t len, const qh_head_limits *limits)
{
    size_t head_len;
    while ((out->status = look(out, raw, len, limits, &head_len)) == QH_DONE) {
        out->n_heads++;
        out->begin += head_len;
        qh_head_scan_next(&out->scan, head_len);
        HOLDS(out->scan.spent_len == out->begin);
    }
}

/* Where a head is wrong in several ways (a line too long, all of it too long, another protocol) it depends on
 * what came at once which of them is told. */
static qh_status normalized(qh_status status)
{
    return status == QH_E_LINE_TOO_LONG || status == QH_E_NOT_HTTP ? QH_E_HEAD_TOO_LARGE : status;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    static const qh_head_limits LIMITS[] = {{64 << 10, 32 << 10, 256}, {64, 24, 3}, {32, 32, 0}, {90, 20, 1}};
    if (input_len < N_CHOICES)
        return 0;
    const uint8_t *raw = input + N_CHOICES;
    size_t len = input_len - N_CHOICES;
    const qh_head_limits *limits = &LIMITS[input[0] % 4];
    size_t first = input[1] % (len + 1), second = first + input[2] % (len + 1 - first);
    size_t ends[] = {first, second, len};
    outcome whole = {0}, pieces = {0};

    scan_to(&whole, raw, len, limits);
    for (size_t i = 0; i < 3 && pieces.status == QH_AGAIN; i++)
        scan_to(&pieces, raw, ends[i], limits);
    HOLDS(normalized(pieces.status) == normalized(whole.status));
    HOLDS(pieces.n_heads == whole.n_heads && pieces.begin == whole.begin);
    if (whole.status == QH_AGAIN) {
        HOLDS(memcmp(&pieces.scan, &whole.scan, sizeof whole.scan) == 0);
    } else {
        size_t head_len;
        HOLDS(qh_is_error(look(&whole, raw, len, limits, &head_len)));
        HOLDS(qh_is_error(look(&pieces, raw, len, limits, &head_len)));
    }
    return 0;
}

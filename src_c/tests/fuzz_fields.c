/* fuzz_fields.c: any bytes as a head. The facts do not depend on room for the fields, on the case of letters,
 * or on what lies behind the head; every field lies inside it and is what it may be. */
#include "fields.h"
#include "fuzz.h"
#include "head_scan.h"

enum { INPUT_MAX = 4096 };

static qh_status facts_of(const void *head, size_t len, qh_head_facts *facts)
{
    char *copy = exact_copy(head, len);
    memset(facts, 0xff, sizeof *facts);
    qh_status status = qh_fields_index(copy, len, NULL, 0, facts);
    HOLDS(status == QH_DONE || status == QH_E_FIELD_LINE);
    free(copy);
    return status;
}

static void expect_plausible(const qh_head_facts *facts, size_t len)
{
    HOLDS(facts->status <= 999 && facts->major <= 9 && facts->minor <= 9);
    HOLDS((size_t)facts->reason_at + facts->reason_len <= len);
    HOLDS(facts->length_state <= QH_LENGTH_BAD);
    HOLDS(facts->length_state != QH_LENGTH_ONE || facts->length <= INT64_MAX);
    HOLDS(facts->n_chunked + facts->n_identity <= facts->n_codings && facts->chunked_is_last <= facts->n_chunked);
    HOLDS(facts->chunked_is_last <= 1 && facts->codings_malformed <= 1 && facts->has_fold <= 1);
    HOLDS(facts->connection_close <= 1 && facts->connection_keep <= 1);
    HOLDS(facts->n_codings == 0 || facts->n_fields > 0);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static void expect_good_field(const char *head, size_t len, const qh_field *field)
{
    size_t name_end = (size_t)field->name_at + field->name_len, value_end = (size_t)field->value_at + field->value_len;
    HOLDS(field->name_len > 0 && name_end < len && head[name_end] == ':' && head[field->name_at - 1] == '\n');
    HOLDS(name_end < field->value_at && value_end <= len);
    for (size_t i = field->name_at; i < name_end; i++)
        HOLDS(qh_is_tchar[(uint8_t)head[i]]);
    for (size_t i = field->value_at; i < value_end; i++) {
        HOLDS(head[i] != '\0');
        HOLDS(head[i] != '\r' || head[i + 1] == '\n'); /* both only as a fold */
        HOLDS(head[i] != '\n' || is_blank(head[i + 1]));
    }
    if (field->value_len > 0)
        HOLDS(!is_blank(head[field->value_at]) && !is_blank(head[value_end - 1]));
}

/* With room for `n_cap` fields, which is filled and not one more. */
static void expect_same_with_room(const void *head, size_t len, size_t n_cap, qh_status status,
                                  const qh_head_facts *facts)
{
    qh_head_facts other;
    char *copy = exact_copy(head, len);
    qh_field *fields = malloc(n_cap * sizeof *fields);
    HOLDS(qh_fields_index(copy, len, fields, n_cap, &other) == status);
    HOLDS(memcmp(&other, facts, sizeof other) == 0);
    for (size_t i = 0; i < n_cap && i < facts->n_fields; i++)
        expect_good_field(copy, len, &fields[i]);
    free(fields);
    free(copy);
}

/* Names and tokens are the same in the other case; the protocol's name in the status line is not. */
static void expect_same_in_other_case(const uint8_t *head, size_t len, qh_status status, const qh_head_facts *facts)
{
    char other[INPUT_MAX];
    qh_head_facts other_facts;
    bool in_fields = false;
    for (size_t i = 0; i < len; i++) {
        bool letter = (head[i] | 0x20) >= 'a' && (head[i] | 0x20) <= 'z';
        other[i] = (char)(in_fields && letter ? head[i] ^ 0x20 : head[i]);
        in_fields = in_fields || head[i] == '\n';
    }
    HOLDS(facts_of(other, len, &other_facts) == status);
    HOLDS(memcmp(&other_facts, facts, sizeof other_facts) == 0);
}

static void expect_same_without_rest(const uint8_t *head, size_t len, qh_status status, const qh_head_facts *facts)
{
    static const qh_head_limits NO_LIMITS = {UINT32_MAX, UINT32_MAX, UINT32_MAX - 1};
    qh_head_scan scan = {0};
    size_t head_len;
    qh_head_facts other;
    if (qh_head_scan_step(&scan, (const char *)head, len, &NO_LIMITS, &head_len) != QH_DONE)
        return;
    HOLDS(facts_of(head, head_len, &other) == status);
    HOLDS(memcmp(&other, facts, sizeof other) == 0);
    HOLDS(status != QH_DONE || facts->has_fold || facts->n_fields == scan.n_lines - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    qh_head_facts facts;
    if (input_len < N_CHOICES || input_len > INPUT_MAX)
        return 0;
    const uint8_t *head = input + N_CHOICES;
    size_t len = input_len - N_CHOICES;
    qh_status status = facts_of(head, len, &facts);
    expect_plausible(&facts, len);
    expect_same_with_room(head, len, facts.n_fields, status, &facts);
    expect_same_with_room(head, len, input[0] % 8, status, &facts);
    expect_same_in_other_case(head, len, status, &facts);
    expect_same_without_rest(head, len, status, &facts);
    return 0;
}

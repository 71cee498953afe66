/* fuzz_sink.c: any sequence of writes, reservations, releases and growths. What was written is there and nothing else is; space
 * is reserved for what is still to come and no more; memory grows with what was received, never with what was claimed. */
#include <sys/mman.h>

#include "fuzz_system.h"
#include "sink.h"

enum { INPUT_MAX = 4096, ROOM = 8 << 10 };
#define MIB ((uint64_t)1 << 20)

static const char *advised_at; /* the memory that advice may be about */
static size_t advised_cap;

int __wrap_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice)
{
    HOLDS(advice == MADV_HUGEPAGE && (uintptr_t)at % 4096 == 0 && len > 0);
    HOLDS((char *)at + 4096 > advised_at && (char *)at <= advised_at);
    HOLDS((uintptr_t)at + len <= (((uintptr_t)advised_at + advised_cap) | 4095) + 1); /* its last page, and not one more */
    return 0;
}

typedef struct reader {
    const uint8_t *at, *end;
} reader;

static unsigned next(reader *in) { return in->at < in->end ? *in->at++ : 0; }

/* A number of any size: mostly small ones, some at the borders of powers of two. */
static uint64_t number(reader *in)
{
    unsigned how = next(in), exponent = how % 64;
    return ((uint64_t)1 << exponent) + next(in) * (how & 64 ? 1u : 0u) - (how & 128 ? 1u : 0u);
}

static char written[ROOM];

static void write_some(qh_sink *sink, reader *in, size_t *n_written)
{
    size_t len = next(in), left = sink->cap - sink->len;
    if (*n_written + len > ROOM)
        return;
    for (size_t i = 0; i < len; i++)
        written[*n_written + i] = (char)(*n_written * 31 + i);
    char *data = exact_copy(written + *n_written, len);
    qh_status status = qh_sink_write(sink, data, len);
    free(data);
    if (sink->kind == QH_SINK_MEMORY && len > left) {
        HOLDS(status == QH_FULL && left == sink->cap - sink->len); /* all or nothing */
        return;
    }
    HOLDS(status == QH_DONE || (status == QH_E_SINK && file.refuses && sink->error == file.refuses && len > 0));
    *n_written += status == QH_DONE ? len : 0;
}

static void reserve(qh_sink *sink, uint64_t n_left)
{
    uint64_t before = sink->reserved_to;
    file.reserved_to = 0;
    qh_sink_reserve(sink, n_left);
    if (sink->kind != QH_SINK_DESCRIPTOR || sink->reserved_to == before)
        return;
    HOLDS(file.reserved_to == sink->reserved_to && sink->reserved_to > before);
    HOLDS(sink->reserved_to - sink->offset <= 64 * MIB && sink->reserved_to - sink->offset <= n_left && n_left >= MIB);
}

static void release(qh_sink *sink)
{
    size_t len = file.len;
    uint64_t ahead = sink->reserved_to > sink->offset;
    qh_sink_release(sink);
    HOLDS(file.len == len);
    if (sink->kind == QH_SINK_DESCRIPTOR && ahead)
        HOLDS(sink->reserved_to <= sink->offset || len > sink->offset); /* bytes of somebody's lie behind it */
}

static void expect_growth(uint64_t n_received, uint64_t cap_before, uint64_t n_claimed)
{
    size_t len = (size_t)(n_received < cap_before ? n_received : cap_before), cap = (size_t)cap_before;
    size_t next_cap = qh_memory_next_cap(len, cap, n_claimed);
    HOLDS(next_cap >= cap);
    HOLDS(next_cap > cap || cap == SIZE_MAX || (n_claimed > len && n_claimed <= cap)); /* or the loop would stand still */
    HOLDS(next_cap <= MIB || next_cap / 64 <= cap); /* in proportion to what has come, not to the claim */
    HOLDS(!(n_claimed > len && next_cap > cap) || next_cap <= n_claimed);
}

/* A server that claims much and sends little: how much memory it makes us take. */
static void expect_bounded(uint64_t n_claimed, uint64_t n_sent)
{
    size_t cap = 0;
    for (unsigned steps = 0; cap < n_sent && cap < n_claimed; steps++) {
        size_t len = cap; /* it is full */
        cap = qh_memory_next_cap(len, cap, n_claimed);
        HOLDS(cap > len && steps < 16);
    }
    HOLDS(cap <= MIB || cap / 64 <= n_sent);
}

static void advise(reader *in)
{
    static char pages[64];
    advised_at = pages + next(in) % 64;
    advised_cap = (size_t)(number(in) % ((uint64_t)1 << 40)); /* nobody touches it: advice is only a range */
    qh_memory_advise((char *)(uintptr_t)advised_at, advised_cap, next(in) & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    static char memory[ROOM];
    reader in = {input, input + input_len};
    if (input_len < 2 || input_len > INPUT_MAX)
        return 0;
    qh_sink sink = {.fd = -1};
    unsigned kind = next(&in), cap = next(&in) * 16;
    uint64_t start = kind & 8 ? kind / 16 * 8 : 0;
    size_t n_written = (size_t)start;
    memset(written, 0, n_written);
    if (kind % 3 == QH_SINK_MEMORY)
        qh_sink_init_memory(&sink, memory, 0, cap), n_written = 0;
    else if (kind % 3 == QH_SINK_DESCRIPTOR)
        qh_sink_init_descriptor(&sink, FILE_FD, start);
    memset(file.bytes, 0, ROOM);
    file.len = n_written;
    file.refuses = 0;
    file.reserved_to = 0;
    file.when.seed = input[0] & 4 ? 1 + input[1] : 0;

    while (in.at < in.end) {
        unsigned what = next(&in) % 8;
        if (what < 3)
            write_some(&sink, &in, &n_written);
        else if (what == 3)
            reserve(&sink, number(&in));
        else if (what == 4)
            release(&sink);
        else if (what == 5)
            expect_growth(number(&in), number(&in), number(&in));
        else if (what == 6)
            expect_bounded(number(&in), number(&in) % ((uint64_t)1 << 50));
        else if (next(&in) & 1)
            advise(&in);
        else
            file.refuses = next(&in) & 1 ? ENOSPC : 0;
        if (sink.kind == QH_SINK_MEMORY)
            HOLDS(sink.len == n_written && memcmp(memory, written, n_written) == 0);
        if (sink.kind == QH_SINK_DESCRIPTOR && !sink.error)
            HOLDS(sink.offset == n_written && file.len == n_written && memcmp(file.bytes, written, n_written) == 0);
        if (sink.error)
            break; /* such a sink is not used any more */
    }
    return 0;
}

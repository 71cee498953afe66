/* fuzz_body.c: any bytes as a body of any framing, received by the kernel itself, handed to it, or put where it says, in
 * any pieces and into any sink. Each way has the same end, the same bytes in the sink, the same surplus; a sink is never
 * written beyond its room; nothing is received of what lies behind a body of known length. */
#include "body.h"
#include "fuzz_system.h"

enum { INPUT_MAX = 2048, SCRATCH_CAP = 512 << 10, N_BODY_CHOICES = 10, MARGIN = 64 };
typedef enum way { BY_BYTE, FED, RECEIVED, PUT_IN_PLACE, MIXED, N_WAYS } way;

typedef struct outcome {
    qh_status status;
    int error;
    bool whole;
    uint64_t n_received;
    size_t used; /* of the input, surplus not counted */
    size_t len;
    char bytes[INPUT_MAX];
} outcome;

static const qh_chunk_limits LIMITS[] = {
    {((uint64_t)1 << 62) - 1, 16 << 10, 16 << 10}, {20, 4, 12}, {((uint64_t)1 << 62) - 1, 0, 0}, {0xfff, 1, 1}};
static char memory[INPUT_MAX + MARGIN], scratch_memory[SCRATCH_CAP];

typedef struct plan {
    qh_framing framing;
    uint64_t length;
    const qh_chunk_limits *limits;
    qh_sink_kind kind;
    size_t growth;
    int file_error;
    peer_end end;
} plan;

static void begin(qh_body *body, qh_sink *sink, const plan *p, schedule when)
{
    if (p->kind == QH_SINK_MEMORY)
        qh_sink_init_memory(sink, memory, 0, p->growth);
    else if (p->kind == QH_SINK_DESCRIPTOR)
        qh_sink_init_descriptor(sink, FILE_FD, 0);
    else
        *sink = (qh_sink){.fd = -1};
    file.len = file.reserved_to = 0;
    file.refuses = p->file_error;
    file.when = peer.when = when;
    peer.taken = peer.delivered = 0;
    peer.end = p->end;
    qh_body_init(body, p->framing, p->length, p->limits, sink);
    memset(memory, 0x5a, peer.len + MARGIN);
}

/* The owner of a full sink gives it more room, but never so much at once that what comes could not fill it again. */
static void grow(qh_sink *sink, size_t n)
{
    HOLDS(sink->kind == QH_SINK_MEMORY && sink->len <= sink->cap && sink->cap + n <= sizeof memory);
    sink->cap += n;
}

static void expect_inside(const qh_body *body)
{
    const qh_sink *sink = body->sink;
    HOLDS(body->n_received <= INPUT_MAX && (body->framing != QH_FRAMING_LENGTH || body->whole == (body->left == 0)));
    if (sink->kind == QH_SINK_MEMORY)
        HOLDS(sink->len <= sink->cap && sink->len == body->n_received);
    if (sink->kind == QH_SINK_DESCRIPTOR)
        HOLDS(sink->error || (sink->offset == body->n_received && file.len == body->n_received));
}

static bool is_over(qh_status status) { return status == QH_DONE || qh_is_error(status); }

/* Feeds raw[at..end); *at is how far it came. */
static qh_status feed(qh_body *body, const char *raw, size_t *at, size_t end)
{
    qh_status status;
    size_t used;
    do {
        char one, *copy = end - *at == 1 ? memcpy(&one, raw + *at, 1) : exact_copy(raw + *at, end - *at);
        status = qh_body_feed(body, copy, end - *at, &used);
        HOLDS(used <= end - *at && (status != QH_AGAIN || used == end - *at) && status != QH_BUDGET);
        HOLDS(status != QH_FULL || used == 0);
        if (!qh_is_error(status))
            HOLDS(memcmp(copy + used, raw + *at + used, end - *at - used) == 0);
        if (copy != &one)
            free(copy);
        *at += used;
        if (status == QH_FULL)
            grow(body->sink, end - *at - (body->sink->cap - body->sink->len));
    } while (status == QH_FULL);
    return status;
}

/* As a channel does: asks where to, puts some there. */
static qh_status put(qh_body *body, const char *raw, size_t *at, size_t end, schedule *when)
{
    qh_status status = QH_AGAIN;
    qh_scratch scratch = {scratch_memory, SCRATCH_CAP};
    while (*at < end && status == QH_AGAIN) {
        size_t room_len, n_surplus;
        char *room = qh_body_room(body, scratch, &room_len);
        HOLDS(body->framing != QH_FRAMING_LENGTH || room_len <= body->left);
        if (room_len == 0) {
            grow(body->sink, 1 + chance(when, 3));
            continue;
        }
        size_t n = room_len < end - *at ? room_len : end - *at;
        n = some_of(when, n);
        memcpy(room, raw + *at, n);
        status = qh_body_took(body, room, n, &n_surplus);
        HOLDS(n_surplus <= n && (n_surplus == 0 || status == QH_DONE || status == QH_E_SINK));
        HOLDS(n_surplus == 0 || memcmp(body->surplus, raw + *at + n - n_surplus, n_surplus) == 0);
        *at += n - n_surplus;
    }
    return status;
}

static qh_status receive(qh_body *body, const plan *p, size_t *at, size_t end, schedule *when)
{
    qh_status status;
    qh_scratch scratch = {scratch_memory, SCRATCH_CAP};
    size_t n_surplus, before = peer.taken = *at;
    peer.delivered = end;
    do {
        uint64_t left = body->left;
        status = qh_body_receive(body, PEER_FD, scratch, 1 + chance(when, 3) * 100, &n_surplus);
        HOLDS(n_surplus <= peer.taken - before && (n_surplus == 0 || status == QH_DONE || status == QH_E_SINK));
        HOLDS(p->framing != QH_FRAMING_LENGTH || (n_surplus == 0 && peer.taken - before <= left));
        HOLDS(n_surplus == 0 || memcmp(body->surplus, peer.bytes + peer.taken - n_surplus, n_surplus) == 0);
        before = peer.taken;
        if (status == QH_FULL)
            grow(body->sink, 1 + chance(when, 3));
        if (status == QH_E_RECEIVE && body->error == EINTR)
            HOLDS(false); /* it goes on by itself */
    } while (status == QH_BUDGET || status == QH_FULL || (status == QH_AGAIN && peer_is_readable()));
    *at = peer.taken - n_surplus;
    return status;
}

static void run(outcome *out, const plan *p, way how, const char *raw, size_t len, schedule when)
{
    qh_body body;
    qh_sink sink;
    qh_status status = QH_AGAIN;
    size_t at = 0;
    begin(&body, &sink, p, when);
    if (body.whole)
        status = QH_DONE;
    while (at < len && !is_over(status)) {
        size_t end = how == BY_BYTE ? at + 1 : at + some_of(&when, len - at);
        way now = how == MIXED ? (way)(FED + chance(&when, 3)) : how;
        status = now == RECEIVED       ? receive(&body, p, &at, end, &when)
                 : now == PUT_IN_PLACE ? put(&body, raw, &at, end, &when)
                                       : feed(&body, raw, &at, end);
        expect_inside(&body);
    }
    if (!is_over(status)) {
        peer.delivered = len;
        peer.taken = at;
        if (p->end == ENDS && how != RECEIVED)
            status = qh_body_end_of_stream(&body);
        else if (p->end != STAYS_OPEN && how == RECEIVED)
            status = receive(&body, p, &at, len, &when);
        else if (p->end == RESETS)
            status = QH_E_RECEIVE;
    }
    out->status = status;
    out->error = sink.error;
    out->whole = body.whole;
    out->n_received = body.n_received;
    out->used = at;
    out->len = sink.kind == QH_SINK_MEMORY ? sink.len : sink.kind == QH_SINK_DESCRIPTOR ? file.len : 0;
    memcpy(out->bytes, sink.kind == QH_SINK_MEMORY ? memory : file.bytes, out->len);
    if (sink.kind == QH_SINK_DESCRIPTOR) {
        HOLDS(sink.reserved_to <= sink.offset || sink.reserved_to - sink.offset <= (uint64_t)64 << 20);
        qh_sink_release(&sink);
        HOLDS(file.len == out->len && file.reserved_to <= file.len);
    }
    for (size_t i = sink.cap; sink.kind == QH_SINK_MEMORY && i < peer.len + MARGIN; i++)
        HOLDS(memory[i] == 0x5a); /* nothing behind the room that was given, ever */
}

/* A body that is not chunked is what its length says; by hand, not by the kernel. */
static void expect_plain(const outcome *out, const plan *p, const char *raw, size_t len)
{
    size_t n = p->framing == QH_FRAMING_NONE     ? 0
               : p->framing == QH_FRAMING_LENGTH ? (p->length < len ? (size_t)p->length : len)
                                                 : len;
    HOLDS(out->used == n && out->n_received == n && (p->kind == QH_SINK_NOTHING || memcmp(out->bytes, raw, n) == 0));
    bool is_whole = p->framing == QH_FRAMING_NONE || (p->framing == QH_FRAMING_LENGTH && n == p->length) ||
                    (p->framing == QH_FRAMING_CLOSE && p->end == ENDS);
    HOLDS(out->whole == is_whole && (out->status == QH_DONE) == is_whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    static outcome first, other;
    static const size_t GROWTH[] = {0, 1, 7, INPUT_MAX};
    if (input_len < N_BODY_CHOICES || input_len > INPUT_MAX)
        return 0;
    const char *raw = (const char *)input + N_BODY_CHOICES;
    size_t len = input_len - N_BODY_CHOICES;
    plan p = {.framing = input[0] % 4,
              .kind = input[0] / 4 % 3,
              .growth = GROWTH[input[0] / 16 % 4],
              .end = input[1] % 3,
              .limits = &LIMITS[input[1] / 4 % 4],
              .length = input[2] < 250 ? input[2] : UINT64_MAX >> (input[2] % 8 + 1)};
    if (input[1] / 16 == 15 && p.kind == QH_SINK_DESCRIPTOR)
        p.file_error = ENOSPC;
    schedule when = {0};
    memcpy(&when.seed, input + 3, N_BODY_CHOICES - 3);
    peer.bytes = raw;
    peer.len = len;

    run(&first, &p, BY_BYTE, raw, len, (schedule){0});
    if (p.framing != QH_FRAMING_CHUNKED && !p.file_error)
        expect_plain(&first, &p, raw, len);
    for (way how = FED; how < N_WAYS; how++) {
        run(&other, &p, how, raw, len, how % 2 ? when : (schedule){0});
        HOLDS(other.status == first.status && other.error == first.error);
        if (p.file_error)
            continue; /* how much was taken before the disk was full depends on the pieces */
        HOLDS(other.whole == first.whole && other.n_received == first.n_received);
        HOLDS(other.used == first.used || qh_is_error(first.status));
        HOLDS(other.len == first.len && memcmp(other.bytes, first.bytes, first.len) == 0);
    }
    return 0;
}

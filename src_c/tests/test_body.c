/* test_body.c: bodies of every framing through both entries, alone and mixed at every cut, into every sink;
 * streams that end, break off or cannot be written. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "body.h"
#include "guarded.h"
#include "sockets.h"

static const qh_chunk_limits LIMITS = {.size_cap = 1 << 30, .extension_cap = 16, .trailer_cap = 32};
static char scratch_memory[1 << 20];

/* ------------------------------------------------------------------------------- one body on its way */
typedef enum entry { RECEIVE_ALL, FEED_ALL, FEED_THEN_RECEIVE, ALTERNATE, N_ENTRIES } entry;
static const char *const ENTRY_NAMES[] = {"received", "fed", "fed then received", "alternating"};

/* How a sink is set up: memory grows by `growth` whenever it is full. */
typedef struct sink_kind {
    const char *name;
    qh_sink_kind kind;
    size_t growth, scratch_len, budget;
} sink_kind;
static const sink_kind SINKS[] = {
    {"memory grown byte by byte", QH_SINK_MEMORY, 1, 0, 1},
    {"memory grown by 5", QH_SINK_MEMORY, 5, 0, SIZE_MAX},
    {"roomy memory", QH_SINK_MEMORY, 4096, 0, SIZE_MAX},
    {"descriptor, small scratch", QH_SINK_DESCRIPTOR, 0, 3, SIZE_MAX},
    {"descriptor", QH_SINK_DESCRIPTOR, 0, sizeof scratch_memory, SIZE_MAX},
    {"descriptor, budget 1", QH_SINK_DESCRIPTOR, 0, sizeof scratch_memory, 1},
    {"nothing", QH_SINK_NOTHING, 0, 16, SIZE_MAX},
};
enum { FILE_OFFSET = 3 };

typedef struct transfer {
    qh_body body;
    qh_sink sink;
    const sink_kind *kind;
    pair sockets;
    int file;
    size_t n_sent, n_fed, n_surplus; /* into the socket, used by feed, surplus of receive */
    char surplus[16];
} transfer;

static void begin(transfer *t, qh_framing framing, uint64_t length, const sink_kind *kind, pair sockets)
{
    static guarded nowhere;
    *t = (transfer){.kind = kind, .sockets = sockets, .file = -1};
    if (kind->kind == QH_SINK_DESCRIPTOR) {
        require((t->file = memfd_create("body", MFD_CLOEXEC)) >= 0, "memfd_create");
        qh_sink_init_descriptor(&t->sink, t->file, FILE_OFFSET);
    } else if (kind->kind == QH_SINK_MEMORY) {
        qh_sink_init_memory(&t->sink, guarded_room(&nowhere, 0, GUARD_BEHIND), 0, 0);
    }
    qh_body_init(&t->body, framing, length, &LIMITS, &t->sink);
}

static void finish(transfer *t)
{
    if (t->file >= 0)
        close(t->file);
    close_pair(t->sockets);
}

/* Moves memory to a larger place, so that each byte beyond the room it has is at the guard. */
static void grow(qh_sink *sink, size_t growth)
{
    static guarded places[2];
    static unsigned turn;
    char *room = guarded_room(&places[turn++ % 2], sink->cap + growth, GUARD_BEHIND);
    if (sink->len > 0)
        memcpy(room, sink->memory, sink->len);
    sink->memory = room;
    sink->cap += growth;
}

static qh_status receive(transfer *t)
{
    qh_scratch scratch = {scratch_memory, t->kind->scratch_len};
    qh_status status;
    do {
        size_t n_surplus;
        status = qh_body_receive(&t->body, t->sockets.ours, scratch, t->kind->budget, &n_surplus);
        t->n_surplus += n_surplus;
        if (n_surplus > 0 && n_surplus <= sizeof t->surplus) /* it is good until the next receive */
            memcpy(t->surplus, t->body.surplus, n_surplus);
        if (status == QH_FULL)
            grow(&t->sink, t->kind->growth);
        expect(n_surplus == 0 || status == QH_DONE, "surplus with %s", status_name(status));
    } while (status == QH_FULL || status == QH_BUDGET);
    return status;
}

static qh_status feed(transfer *t, const char *raw, size_t len)
{
    static guarded input;
    char *data = guarded_copy(&input, raw, len, GUARD_BEHIND);
    qh_status status;
    size_t used, at = 0;
    do {
        status = qh_body_feed(&t->body, data + at, len - at, &used);
        at += used;
        if (status == QH_FULL)
            grow(&t->sink, t->kind->growth);
    } while (status == QH_FULL);
    expect(at <= len && (status != QH_AGAIN || at == len), "used %zu of %zu with %s", at, len, status_name(status));
    t->n_fed += at;
    return status;
}

static qh_status pass(transfer *t, bool fed, const char *raw, size_t len)
{
    if (fed)
        return feed(t, raw, len);
    put(t->sockets.peer, raw, len);
    t->n_sent += len;
    return receive(t);
}

static qh_status pass_in_pieces(transfer *t, const char *raw, size_t len, size_t way, entry how)
{
    qh_status status = QH_AGAIN;
    unsigned i = 0;
    for (size_t at = 0, n; at < len && status == QH_AGAIN; at += n, i++) {
        bool fed = how == FEED_ALL || (how == FEED_THEN_RECEIVE && i == 0) || (how == ALTERNATE && i % 2);
        n = piece_len(way, len, at);
        status = pass(t, fed, raw + at, n);
    }
    return status;
}

static qh_status end_stream(transfer *t, entry how)
{
    if (how == FEED_ALL)
        return qh_body_end_of_stream(&t->body);
    require(shutdown(t->sockets.peer, SHUT_WR) == 0, "shutdown");
    return receive(t);
}

/* The payload as it arrived; nothing remains of what a sink of nothing took. */
static bytes payload(transfer *t)
{
    static char text[512];
    if (t->kind->kind == QH_SINK_MEMORY)
        return (bytes){t->sink.memory, t->sink.len};
    return (bytes){text, (size_t)pread(t->file, text, sizeof text, FILE_OFFSET)};
}

static void expect_payload(transfer *t, bytes want)
{
    expect_n("n_received", t->body.n_received, want.len);
    if (t->kind->kind == QH_SINK_NOTHING)
        return;
    bytes got = payload(t);
    expect_bytes("payload", got.at, got.len, want);
    if (t->file >= 0)
        expect_n("offset", t->sink.offset, FILE_OFFSET + want.len);
}

/* --------------------------------------------------------------------------------------- whole bodies */
#define CHUNKS "5\r\nhello\r\n1;a=b\r\n,\r\n0006\r\n world\r\n0\r\nA: b\r\n\r\n"

/* `raw` is the body, `behind` what follows it; `closes`: the stream ends there. */
typedef struct body_row {
    const char *name;
    qh_framing framing;
    uint64_t length;
    bytes raw, behind;
    bool closes;
    qh_status status;
    bytes payload;
} body_row;

static const body_row ROWS[] = {
    {"none_done", QH_FRAMING_NONE, 0, B(""), B("x"), false, QH_DONE, B("")},
    {"length_zero_done", QH_FRAMING_LENGTH, 0, B(""), B("x"), false, QH_DONE, B("")},
    {"length_one_done", QH_FRAMING_LENGTH, 1, B("a"), B(""), false, QH_DONE, B("a")},
    {"length_exact_done", QH_FRAMING_LENGTH, 12, B("hello, world"), B(""), false, QH_DONE, B("hello, world")},
    {"length_nul_bytes_done", QH_FRAMING_LENGTH, 4, B("\0\r\n\xff"), B(""), true, QH_DONE, B("\0\r\n\xff")},
    {"length_surplus_left_alone", QH_FRAMING_LENGTH, 5, B("hello"), B("evil"), false, QH_DONE, B("hello")},
    {"length_more_to_come_again", QH_FRAMING_LENGTH, 6, B("hello"), B(""), false, QH_AGAIN, B("hello")},
    {"length_huge_more_to_come_again", QH_FRAMING_LENGTH, INT64_MAX, B("hello"), B(""), false, QH_AGAIN, B("hello")},
    {"length_cut_off_truncated", QH_FRAMING_LENGTH, 6, B("hello"), B(""), true, QH_E_TRUNCATED, B("hello")},
    {"length_nothing_came_truncated", QH_FRAMING_LENGTH, 6, B(""), B(""), true, QH_E_TRUNCATED, B("")},
    {"chunked_done", QH_FRAMING_CHUNKED, 0, B(CHUNKS), B(""), false, QH_DONE, B("hello, world")},
    {"chunked_empty_done", QH_FRAMING_CHUNKED, 0, B("0\r\n\r\n"), B(""), true, QH_DONE, B("")},
    {"chunked_surplus_counted", QH_FRAMING_CHUNKED, 0, B(CHUNKS), B("evil"), false, QH_DONE, B("hello, world")},
    {"chunked_more_to_come_again", QH_FRAMING_CHUNKED, 0, B("5\r\nhello\r\n"), B(""), false, QH_AGAIN, B("hello")},
    {"chunked_cut_off_truncated", QH_FRAMING_CHUNKED, 0, B("5\r\nhello\r\n"), B(""), true, QH_E_TRUNCATED, B("hello")},
    {"chunked_in_chunk_truncated", QH_FRAMING_CHUNKED, 0, B("9\r\nhello"), B(""), true, QH_E_TRUNCATED, B("hello")},
    {"chunked_bad_size_refused", QH_FRAMING_CHUNKED, 0, B("1\r\na\r\n"), B("x\r\n"), false, QH_E_CHUNK_SIZE, B("a")},
    {"chunked_bad_end_refused", QH_FRAMING_CHUNKED, 0, B("1\r\na"), B("b\r\n"), false, QH_E_CHUNK_END, B("a")},
    {"chunked_bad_trailer_refused", QH_FRAMING_CHUNKED, 0, B("0\r\n"), B(":\r\n"), false, QH_E_TRAILER, B("")},
    {"close_done", QH_FRAMING_CLOSE, 0, B("hello, world"), B(""), true, QH_DONE, B("hello, world")},
    {"close_empty_done", QH_FRAMING_CLOSE, 0, B(""), B(""), true, QH_DONE, B("")},
    {"close_more_to_come_again", QH_FRAMING_CLOSE, 0, B("hello"), B(""), false, QH_AGAIN, B("hello")},
};

static void run(const body_row *r, size_t way, entry how, const sink_kind *kind)
{
    char raw[256];
    size_t len = r->raw.len + r->behind.len;
    transfer t;
    memcpy(raw, r->raw.at, r->raw.len);
    memcpy(raw + r->raw.len, r->behind.at, r->behind.len);
    begin(&t, r->framing, r->length, kind, local_pair());

    qh_status status = pass_in_pieces(&t, raw, len, way, how);
    if (r->closes && status == QH_AGAIN)
        status = end_stream(&t, how);
    expect_status(status, r->status);
    expect_payload(&t, r->payload);
    expect_n("whole", t.body.whole, r->status == QH_DONE);
    if (status == QH_DONE) {
        size_t taken = t.n_fed + t.n_sent - t.n_surplus - bytes_waiting(t.sockets.ours);
        expect_n("taken", taken, r->raw.len);
        expect(r->framing == QH_FRAMING_CHUNKED || t.n_surplus == 0, "bytes behind the body were taken");
        expect_bytes("surplus", t.surplus, t.n_surplus, (bytes){r->behind.at, t.n_surplus});
        expect_status(feed(&t, "more", 4), QH_DONE);
        expect_status(receive(&t), QH_DONE);
        expect_payload(&t, r->payload);
    }
    finish(&t);
}

static void run_every_way(const body_row *r)
{
    size_t len = r->raw.len + r->behind.len;
    for (size_t way = 0; way <= len; way++)
        for (entry how = 0; how < N_ENTRIES; how++)
            for (size_t k = 0; k < N_ROWS(SINKS); k++) {
                char text[120];
                snprintf(text, sizeof text, "%s, %s", ENTRY_NAMES[how], SINKS[k].name);
                context_way(way, len, GUARD_BEHIND, text);
                run(r, way, how, &SINKS[k]);
            }
}

/* Every body of known end, cut off after any of its bytes: never taken for whole. */
static void test_cut_off(void)
{
    for (size_t i = 0; i < N_ROWS(ROWS); i++) {
        body_row cut = ROWS[i];
        if (cut.status != QH_DONE || cut.framing == QH_FRAMING_CLOSE || cut.raw.len == 0)
            continue;
        row("body_%s_but_cut_off_anywhere_truncated", cut.name);
        for (cut.raw.len = 0; cut.raw.len < ROWS[i].raw.len; cut.raw.len++)
            for (size_t k = 0; k < N_ROWS(SINKS); k++)
                for (entry how = 0; how < N_ENTRIES; how++) {
                    transfer t;
                    context("after %zu, %s, %s", cut.raw.len, ENTRY_NAMES[how], SINKS[k].name);
                    begin(&t, cut.framing, cut.length, &SINKS[k], local_pair());
                    expect_status(pass_in_pieces(&t, cut.raw.at, cut.raw.len, 0, how), QH_AGAIN);
                    expect_status(end_stream(&t, how), QH_E_TRUNCATED);
                    expect_payload(&t, (bytes){cut.payload.at, (size_t)t.body.n_received});
                    finish(&t);
                }
    }
}

/* ------------------------------------------------------------------------- streams and sinks that break */
static void test_reset(void)
{
    static const qh_framing FRAMINGS[] = {QH_FRAMING_LENGTH, QH_FRAMING_CHUNKED, QH_FRAMING_CLOSE};
    static const char *const NAMES[] = {"length", "chunked", "close"};
    for (size_t i = 0; i < N_ROWS(FRAMINGS); i++) {
        row("body_%s_reset_failed_with_errno", NAMES[i]);
        for (size_t k = 0; k < N_ROWS(SINKS); k++) {
            transfer t;
            bool chunked = FRAMINGS[i] == QH_FRAMING_CHUNKED;
            const bytes raw = chunked ? (bytes)B("9\r\nhello") : (bytes)B("hello");
            context("%s", SINKS[k].name);
            begin(&t, FRAMINGS[i], 9, &SINKS[k], tcp_pair());
            put(t.sockets.peer, raw.at, raw.len);
            await_readable(t.sockets.ours);
            expect_status(receive(&t), QH_AGAIN);
            reset_by(t.sockets.peer);
            t.sockets.peer = -1;
            await_readable(t.sockets.ours);
            expect_status(receive(&t), QH_E_RECEIVE);
            expect_n("errno", (uint64_t)t.body.error, ECONNRESET);
            expect_payload(&t, (bytes)B("hello"));
            finish(&t);
        }
    }
}

static void limit_file_size(rlim_t cap)
{
    struct rlimit limit;
    require(getrlimit(RLIMIT_FSIZE, &limit) == 0, "getrlimit");
    limit.rlim_cur = cap < limit.rlim_max ? cap : limit.rlim_max;
    require(setrlimit(RLIMIT_FSIZE, &limit) == 0, "setrlimit");
}

static void test_disk_full(void)
{
    static const struct {
        const char *name, *path; /* NULL: a file that may be 8 bytes long */
        entry how;
        int error;
        uint64_t n_written;
    } FULL_ROWS[] = {
        {"disk_full_received", "/dev/full", RECEIVE_ALL, ENOSPC, 0},
        {"disk_full_fed", "/dev/full", FEED_ALL, ENOSPC, 0},
        {"file_at_its_limit_received", NULL, RECEIVE_ALL, EFBIG, 8},
        {"file_at_its_limit_fed", NULL, FEED_ALL, EFBIG, 8},
    };
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < N_ROWS(FULL_ROWS); i++) {
        transfer t;
        row("body_%s_failed_with_errno", FULL_ROWS[i].name);
        begin(&t, QH_FRAMING_LENGTH, 12, &SINKS[4], local_pair());
        close(t.file);
        t.file = FULL_ROWS[i].path ? open(FULL_ROWS[i].path, O_WRONLY | O_CLOEXEC) : nameless_file();
        qh_sink_init_descriptor(&t.sink, t.file, 0);
        limit_file_size(8);
        qh_status status = pass_in_pieces(&t, "hello, world", 12, 0, FULL_ROWS[i].how);
        limit_file_size(RLIM_INFINITY);
        expect_status(status, QH_E_SINK);
        expect_n("errno", (uint64_t)t.sink.error, (uint64_t)FULL_ROWS[i].error);
        expect_n("offset", t.sink.offset, FULL_ROWS[i].n_written);
        finish(&t);
    }
}

static void test_memory_full(void)
{
    transfer t;
    size_t n_surplus, used;
    char more[] = "more";
    row("body_memory_full_nothing_taken");
    begin(&t, QH_FRAMING_LENGTH, 100, &SINKS[1], local_pair());
    put(t.sockets.peer, "hello", 5);
    for (int i = 0; i < 2; i++) {
        expect_status(qh_body_receive(&t.body, t.sockets.ours, (qh_scratch){0}, 99, &n_surplus), QH_FULL);
        expect_status(qh_body_feed(&t.body, more, 4, &used), QH_FULL);
        expect_n("used", used, 0);
        expect_n("waiting", bytes_waiting(t.sockets.ours), 5);
    }
    finish(&t);
}

static void test_end_of_stream(void)
{
    static const struct {
        const char *name;
        qh_framing framing;
        uint64_t length;
        qh_status status;
    } END_ROWS[] = {
        {"none_done", QH_FRAMING_NONE, 0, QH_DONE},
        {"length_zero_done", QH_FRAMING_LENGTH, 0, QH_DONE},
        {"length_truncated", QH_FRAMING_LENGTH, 1, QH_E_TRUNCATED},
        {"chunked_truncated", QH_FRAMING_CHUNKED, 0, QH_E_TRUNCATED},
        {"close_done", QH_FRAMING_CLOSE, 0, QH_DONE},
    };
    for (size_t i = 0; i < N_ROWS(END_ROWS); i++) {
        qh_body body;
        qh_sink sink = {.kind = QH_SINK_NOTHING};
        row("body_end_of_stream_%s", END_ROWS[i].name);
        qh_body_init(&body, END_ROWS[i].framing, END_ROWS[i].length, &LIMITS, &sink);
        for (int k = 0; k < 2; k++)
            expect_status(qh_body_end_of_stream(&body), END_ROWS[i].status);
    }
}

/* ------------------------------------------------------------------------------------- larger bodies */
enum { LARGE = 5 << 20, CHUNK = 5000 };

static char at_of_large(size_t i) { return (char)(i * 7 + (i >> 8) * 13 + (i >> 16)); }

/* A large body as it goes over the wire. */
static char *make_large(qh_framing framing, size_t *len)
{
    char *raw = malloc(LARGE + LARGE / CHUNK * 16 + 64), *to = raw;
    require(raw != NULL, "malloc");
    for (size_t i = 0; i < LARGE; i++) {
        if (framing == QH_FRAMING_CHUNKED && i % CHUNK == 0)
            to += sprintf(to, "%s%x\r\n", i ? "\r\n" : "", (unsigned)(LARGE - i < CHUNK ? LARGE - i : CHUNK));
        *to++ = at_of_large(i);
    }
    if (framing == QH_FRAMING_CHUNKED)
        to += sprintf(to, "\r\n0\r\n\r\n");
    *len = (size_t)(to - raw);
    return raw;
}

static bool is_large(const char *memory)
{
    for (size_t i = 0; i < LARGE; i++)
        if (memory[i] != at_of_large(i))
            return false;
    return true;
}

/* After each step: the file ends where the writing ended, whatever was reserved behind that. */
static void expect_file_not_longer(const transfer *t)
{
    struct stat about;
    if (t->file < 0)
        return;
    require(fstat(t->file, &about) == 0, "fstat");
    expect_n("file length", (uint64_t)about.st_size, t->sink.offset);
    expect(t->body.framing != QH_FRAMING_LENGTH || t->body.whole || !t->sink.reserves ||
               t->sink.reserved_to >= t->sink.offset + t->body.left || t->body.left < 1 << 20,
           "%llu reserved at %llu", (unsigned long long)t->sink.reserved_to, (unsigned long long)t->sink.offset);
}

static void run_large(qh_framing framing, const sink_kind *kind)
{
    size_t len, at = 0, n_surplus, largest = 0;
    char *raw = make_large(framing, &len), *memory = malloc(LARGE);
    transfer t;
    qh_status status = QH_AGAIN;
    require(memory != NULL, "malloc");
    begin(&t, framing, LARGE, kind, local_pair());
    if (kind->kind == QH_SINK_MEMORY)
        qh_sink_init_memory(&t.sink, memory, 0, LARGE);
    if (kind->kind == QH_SINK_DESCRIPTOR) {
        close(t.file);
        t.file = nameless_file();
        qh_sink_init_descriptor(&t.sink, t.file, 0);
    }
    while (!qh_is_error(status) && status != QH_DONE && !check.failed) {
        ssize_t n = at < len ? send(t.sockets.peer, raw + at, len - at, MSG_DONTWAIT) : 0;
        at += n > 0 ? (size_t)n : 0;
        if (at == len && framing == QH_FRAMING_CLOSE)
            shutdown(t.sockets.peer, SHUT_WR);
        uint64_t before = t.body.n_received;
        status = qh_body_receive(&t.body, t.sockets.ours, (qh_scratch){scratch_memory, sizeof scratch_memory}, 100000,
                                 &n_surplus);
        if (t.body.n_received - before > largest)
            largest = (size_t)(t.body.n_received - before);
        if (status == QH_FULL && framing == QH_FRAMING_CLOSE) /* only the end is still to come */
            status = t.body.n_received == LARGE ? qh_body_end_of_stream(&t.body) : status;
        if (status == QH_FULL && framing == QH_FRAMING_CHUNKED) { /* only framing is still to come: any room will do */
            require((memory = realloc(memory, LARGE + 64)) != NULL, "realloc");
            t.sink.memory = memory;
            t.sink.cap = LARGE + 64;
        }
        expect_file_not_longer(&t);
    }
    expect_status(status, QH_DONE);
    expect_n("n_received", t.body.n_received, LARGE);
    expect(largest < 100000 + (256 << 10), "%zu bytes at once with a budget of 100000", largest);
    if (t.file >= 0)
        require(pread(t.file, memory, LARGE, 0) == LARGE, "pread");
    expect(kind->kind == QH_SINK_NOTHING || is_large(memory), "payload differs");
    finish(&t);
    free(memory);
    free(raw);
}

/* Memory that is almost full: what little room is left is worth a receive only where nothing has come yet. */
enum { ROOM_MIN = 16 << 10, ROOM_LEN = 300 << 10 };
static const struct {
    const char *name;
    size_t len, cap, n_waiting; /* in use, in all, and in the socket */
    qh_status statuses[3];
    size_t lens[3]; /* in use after each receive */
} ROOM_ROWS[] = {
    {"roomy_filled", 0, 100 << 10, 50 << 10, {QH_AGAIN, QH_AGAIN, QH_AGAIN}, {50 << 10, 50 << 10, 50 << 10}},
    {"full_to_the_last_byte_full", 0, 40 << 10, 50 << 10, {QH_FULL, QH_FULL, QH_FULL}, {40 << 10, 40 << 10, 40 << 10}},
    {"little_from_the_start_filled", 0, ROOM_MIN - 1, 50 << 10, {QH_FULL, QH_FULL, QH_FULL},
     {ROOM_MIN - 1, ROOM_MIN - 1, ROOM_MIN - 1}},
    {"little_left_filled", 40 << 10, (40 << 10) + 5, 50 << 10, {QH_FULL, QH_FULL, QH_FULL},
     {(40 << 10) + 5, (40 << 10) + 5, (40 << 10) + 5}},
    {"little_left_behind_a_receive_next_time", 0, (256 << 10) + 100, 270 << 10, {QH_BUDGET, QH_FULL, QH_FULL},
     {256 << 10, (256 << 10) + 100, (256 << 10) + 100}},
    {"just_less_than_enough_next_time", 0, (256 << 10) + ROOM_MIN - 1, 280 << 10, {QH_BUDGET, QH_FULL, QH_FULL},
     {256 << 10, (256 << 10) + ROOM_MIN - 1, (256 << 10) + ROOM_MIN - 1}},
    {"just_enough_filled", 0, (256 << 10) + ROOM_MIN, 280 << 10, {QH_FULL, QH_FULL, QH_FULL},
     {(256 << 10) + ROOM_MIN, (256 << 10) + ROOM_MIN, (256 << 10) + ROOM_MIN}},
    {"none_left_behind_a_receive_full", 0, 256 << 10, 280 << 10, {QH_FULL, QH_FULL, QH_FULL},
     {256 << 10, 256 << 10, 256 << 10}},
};

static void run_room_rows(void)
{
    static char out[ROOM_LEN], memory[ROOM_LEN];
    static const int LARGE_BUFFER = 4 << 20;
    for (size_t i = 0; i < ROOM_LEN; i++)
        out[i] = at_of_large(i);
    for (size_t i = 0; i < N_ROWS(ROOM_ROWS); i++) {
        pair both = local_pair();
        qh_body body;
        qh_sink sink;
        size_t n_surplus, from = ROOM_ROWS[i].len, at = 0;
        row("body_memory_%s", ROOM_ROWS[i].name);
        require(setsockopt(both.peer, SOL_SOCKET, SO_SNDBUFFORCE, &LARGE_BUFFER, sizeof LARGE_BUFFER) == 0 ||
                    setsockopt(both.peer, SOL_SOCKET, SO_SNDBUF, &LARGE_BUFFER, sizeof LARGE_BUFFER) == 0,
                "SO_SNDBUF");
        for (ssize_t n; at < ROOM_ROWS[i].n_waiting; at += (size_t)n)
            if ((n = send(both.peer, out + at, ROOM_ROWS[i].n_waiting - at, MSG_DONTWAIT)) <= 0)
                break;
        if (at < ROOM_ROWS[i].n_waiting) { /* a socket here does not hold that much */
            close_pair(both);
            continue;
        }
        qh_sink_init_memory(&sink, memory, from, ROOM_ROWS[i].cap);
        qh_body_init(&body, QH_FRAMING_CLOSE, 0, &LIMITS, &sink);
        for (size_t k = 0; k < 3; k++) {
            context("receive %zu", k);
            expect_status(qh_body_receive(&body, both.ours, (qh_scratch){0}, 1 << 20, &n_surplus),
                          ROOM_ROWS[i].statuses[k]);
            expect_n("len", sink.len, ROOM_ROWS[i].lens[k]);
            expect(memcmp(memory + from, out, sink.len - from) == 0, "payload differs");
        }
        expect_n("waiting", bytes_waiting(both.ours), at - (sink.len - from));
        close_pair(both);
    }
}

int main(void)
{
    for (size_t i = 0; i < N_ROWS(ROWS); i++) {
        row("body_%s", ROWS[i].name);
        run_every_way(&ROWS[i]);
    }
    test_cut_off();
    test_reset();
    test_disk_full();
    test_memory_full();
    test_end_of_stream();
    run_room_rows();
    for (size_t k = 2; k < N_ROWS(SINKS); k += 2) {
        row("body_large_into_%s_done", SINKS[k].kind == QH_SINK_MEMORY ? "memory" : k == 4 ? "descriptor" : "nothing");
        for (qh_framing framing = QH_FRAMING_LENGTH; framing <= QH_FRAMING_CLOSE; framing++) {
            context("framing %d", framing);
            run_large(framing, &SINKS[k]);
        }
    }
    return check_summary("body");
}

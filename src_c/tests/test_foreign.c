/* test_foreign.c: connections whose bytes their owner moves: what it brings goes the same way as what the loop receives itself,
 * in whatever pieces it comes; and what the loop tells the owner. */
#include <sys/resource.h>

#include "guarded.h"
#include "turn_internal.h"
#include "world.h"

#define OK "HTTP/1.1 200 OK\r\n\r\n" /* 19 bytes */
#define CHUNKS "5\r\nhello\r\n1;a=b\r\n,\r\n0006\r\n world\r\n0\r\nA: b\r\n\r\n"

static char scratch_memory[1 << 20];

/* ------------------------------------------------------------------------------------------- whole answers */
/* What comes, framing being n(one), a digit (length), c(hunked) or e(nd of the stream); what the owner has of it in the end. */
static const struct answer_row {
    const char *name;
    char framing;
    bytes raw;
    bool closes;
    const char *log;
    size_t n_surplus;
} ANSWERS[] = {
    {"no_body", 'n', B(OK), false, "200[] end", 0},
    {"no_body_surplus", 'n', B(OK "evil"), false, "200[] end", 4},
    {"length", '5', B(OK "hello"), false, "200[hello] end", 0},
    {"length_zero", '0', B(OK), false, "200[] end", 0},
    {"length_surplus", '5', B(OK "helloevil"), false, "200[hello] end", 4},
    {"length_more_to_come", '6', B(OK "hello"), false, "200[hello", 0},
    {"length_cut", '6', B(OK "hello"), true, "200[hello] E_TRUNCATED", 0},
    {"chunked", 'c', B(OK CHUNKS), false, "200[hello, world] end", 0},
    {"chunked_surplus", 'c', B(OK CHUNKS "evil"), false, "200[hello, world] end", 4},
    {"chunked_cut", 'c', B(OK "5\r\nhello\r\n"), true, "200[hello] E_TRUNCATED", 0},
    {"until_end", 'e', B(OK "hello, world"), true, "200[hello, world] end", 0},
    {"until_end_nothing", 'e', B(OK), true, "200[] end", 0},
    {"until_end_more_to_come", 'e', B(OK "hello"), false, "200[hello", 0},
    {"head_cut", 'n', B("HTTP/1.1 200 OK\r\n"), true, "E_TRUNCATED", 0},
    {"nothing_came", 'n', B(""), true, "E_TRUNCATED", 0},
    {"head_no_http", 'n', B("SSH-2.0-x\r\n\r\n"), false, "E_NOT_HTTP", 0},
};

typedef struct manner {
    const char *name;
    qh_sink_kind kind;
    size_t growth; /* of memory, whenever it is full */
    bool pipelined;
} manner;
static const manner MANNERS[] = {
    {"memory grown byte by byte", QH_SINK_MEMORY, 1, false}, {"memory grown by 5", QH_SINK_MEMORY, 5, false},
    {"roomy memory", QH_SINK_MEMORY, 200, false},            {"descriptor", QH_SINK_DESCRIPTOR, 0, false},
    {"nothing", QH_SINK_NOTHING, 0, false},                  {"pipelined", QH_SINK_MEMORY, 200, true},
};

typedef struct owner {
    world world;
    const manner *manner;
    char framing;
    qh_sink sink;
    bool in_body, over;
    size_t n_surplus, n_first;
    char memory[256], log[128];
} owner;

static void begin_foreign(world *w)
{
    begin_world(w, local_pair(), true);
    w->conn.foreign = true;
}

static void begin_owner(owner *o, const manner *m, char framing)
{
    memset(o, 0, sizeof *o);
    begin_foreign(&o->world);
    o->manner = m;
    o->framing = framing;
    o->world.conn.pipelined = m->pipelined;
    begin_head(&o->world);
}

static void end_owner(owner *o)
{
    if (o->sink.kind == QH_SINK_DESCRIPTOR)
        close(o->sink.fd);
    end_world(&o->world);
}

static void log_text(owner *o, const char *text, size_t len)
{
    size_t at = strlen(o->log);
    snprintf(o->log + at, sizeof o->log - at, "%.*s", (int)len, text);
}

static void log_payload(owner *o)
{
    char text[sizeof o->memory];
    size_t len = (size_t)o->world.conn.body.n_received;
    if (o->sink.kind == QH_SINK_NOTHING)
        return;
    if (o->sink.kind == QH_SINK_MEMORY) {
        expect_n("bytes in the sink", o->sink.len, len);
        memcpy(text, o->memory, len);
    } else {
        expect_n("bytes in the file", (uint64_t)pread(o->sink.fd, text, sizeof text, 0), len);
    }
    log_text(o, text, len);
}

static void finish_body(owner *o, const char *how, size_t n_surplus)
{
    log_payload(o);
    log_text(o, "] ", 2);
    log_text(o, how, 99);
    o->n_surplus += n_surplus;
    o->in_body = false;
    o->over = true;
}

static void take_head(owner *o, const qh_event *event)
{
    qh_conn *conn = &o->world.conn;
    char *data = event->data + event->head_len;
    size_t len = event->n - event->head_len, used = 0, at = 0;
    qh_framing framing = o->framing == 'n'   ? QH_FRAMING_NONE
                         : o->framing == 'c' ? QH_FRAMING_CHUNKED
                         : o->framing == 'e' ? QH_FRAMING_CLOSE
                                             : QH_FRAMING_LENGTH;
    log_text(o, "200[", 4);
    o->in_body = true;
    if (o->manner->kind == QH_SINK_MEMORY)
        qh_sink_init_memory(&o->sink, o->memory, 0, 0);
    else if (o->manner->kind == QH_SINK_DESCRIPTOR)
        qh_sink_init_descriptor(&o->sink, memfd_create("body", MFD_CLOEXEC), 0);
    qh_body_init(&conn->body, framing, framing == QH_FRAMING_LENGTH ? (uint64_t)(o->framing - '0') : 0, &USUAL_CHUNKS, &o->sink);
    qh_status status;
    do { /* what came behind the head */
        status = qh_body_feed(&conn->body, data + at, len - at, &used);
        at += used;
        if (status == QH_FULL)
            o->sink.cap += o->manner->growth;
    } while (status == QH_FULL);
    if (status == QH_AGAIN)
        expect(qh_conn_start_body(&o->world.loop, conn) == 0, "no start");
    else
        finish_body(o, status == QH_DONE ? "end" : status_name(status), len - at);
}

static void take_events(owner *o)
{
    qh_event event;
    while (qh_loop_next_event(&o->world.loop, &event)) {
        if (event.kind == QH_EVENT_HEAD) {
            take_head(o, &event);
        } else if (event.kind == QH_EVENT_FIRST_BYTES) {
            o->n_first++;
        } else if (event.kind == QH_EVENT_FULL) {
            o->sink.cap += o->manner->growth;
            expect(o->sink.cap <= sizeof o->memory, "the sink grows and grows");
            expect(qh_conn_resume_body(&o->world.loop, &o->world.conn) == 0, "no resume");
        } else if (event.kind == QH_EVENT_END) {
            finish_body(o, "end", event.n);
        } else if (event.kind == QH_EVENT_FAILED && o->in_body) {
            finish_body(o, status_name(event.status), 0);
        } else if (event.kind == QH_EVENT_FAILED) {
            log_text(o, status_name(event.status), 99);
            o->over = true;
        } else {
            expect(event.kind == QH_EVENT_PROGRESS, "event %d", event.kind);
        }
    }
}

/* Brings one piece, in as many steps as there is room; how much of it was wanted. */
static size_t bring(owner *o, const char *data, size_t len)
{
    size_t at = 0, n;
    char *room;
    while (at < len && !o->over && !check.failed) {
        if (!qh_conn_room(&o->world.loop, &o->world.conn, &room, &n))
            break;
        n = n < len - at ? n : len - at;
        memcpy(room, data + at, n);
        qh_conn_took(&o->world.loop, &o->world.conn, n);
        at += n;
        take_events(o);
    }
    return at;
}

static void run_answer(const struct answer_row *r, const manner *m, size_t way)
{
    owner o;
    size_t at = 0, n, taken;
    begin_owner(&o, m, r->framing);
    for (; at < r->raw.len && !o.over && !check.failed; at += taken) {
        n = piece_len(way, r->raw.len, at);
        taken = bring(&o, r->raw.at + at, n);
        expect(taken == n || o.over, "%zu of %zu bytes were wanted", taken, n);
    }
    if (r->closes && !o.over) {
        qh_conn_end_of_stream(&o.world.loop, &o.world.conn, 0);
        take_events(&o);
    }
    if (!o.over)
        log_payload(&o);
    if (m->kind != QH_SINK_NOTHING)
        expect(strcmp(o.log, r->log) == 0, "'%s', not '%s'", o.log, r->log);
    else
        expect(strncmp(o.log, r->log, 3) == 0 && strcmp(strrchr(o.log, ' ') ? strrchr(o.log, ' ') : "",
                                                        strrchr(r->log, ']') ? strrchr(r->log, ']') + 1 : "") == 0,
               "'%s' for '%s'", o.log, r->log);
    if (o.over && strncmp(r->log, "200", 3) == 0)
        expect_n("surplus", o.n_surplus + r->raw.len - at, r->n_surplus);
    expect(o.n_first <= 1, "its first bytes were told %zu times", o.n_first);
    end_owner(&o);
}

static void run_answers(void)
{
    for (size_t i = 0; i < N_ROWS(ANSWERS); i++) {
        row("foreign_answer_%s", ANSWERS[i].name);
        for (size_t way = 0; way <= ANSWERS[i].raw.len; way++)
            for (size_t m = 0; m < N_ROWS(MANNERS); m++) {
                context_way(way, ANSWERS[i].raw.len, GUARD_BEHIND, MANNERS[m].name);
                run_answer(&ANSWERS[i], &MANNERS[m], way);
            }
    }
}

/* ------------------------------------------------------------- bodies in two steps, against bodies received */
static const struct twin_row {
    const char *name;
    qh_framing framing;
    uint64_t length;
    bytes raw;
} TWINS[] = {
    {"length", QH_FRAMING_LENGTH, 12, B("hello, world")},
    {"length_more_to_come", QH_FRAMING_LENGTH, 99, B("hello")},
    {"length_surplus", QH_FRAMING_LENGTH, 5, B("helloevil")},
    {"chunked", QH_FRAMING_CHUNKED, 0, B(CHUNKS)},
    {"chunked_surplus", QH_FRAMING_CHUNKED, 0, B(CHUNKS "evil")},
    {"chunked_more_to_come", QH_FRAMING_CHUNKED, 0, B("5\r\nhello\r\n")},
    {"chunked_bad_size", QH_FRAMING_CHUNKED, 0, B("1\r\na\r\nx\r\n")},
    {"chunked_bad_trailer", QH_FRAMING_CHUNKED, 0, B("0\r\n:\r\n\r\n")},
    {"until_end", QH_FRAMING_CLOSE, 0, B("hello, world")},
};
static const struct {
    const char *name;
    qh_sink_kind kind;
    size_t growth, scratch_cap;
} TWIN_SINKS[] = {
    {"memory grown byte by byte", QH_SINK_MEMORY, 1, 64}, {"memory, scratch of 3", QH_SINK_MEMORY, 50, 3},
    {"roomy memory", QH_SINK_MEMORY, 500, 4096},          {"descriptor", QH_SINK_DESCRIPTOR, 0, 4096},
    {"descriptor, scratch of 3", QH_SINK_DESCRIPTOR, 0, 3}, {"nothing, scratch of 3", QH_SINK_NOTHING, 0, 3},
};

typedef struct twin {
    qh_body body;
    qh_sink sink;
    qh_scratch scratch;
    size_t growth, n_used, n_surplus; /* raw bytes used by the body; received behind it */
    char memory[512];
} twin;

static void begin_twin(twin *t, const struct twin_row *r, size_t k)
{
    memset(t, 0, sizeof *t);
    t->growth = TWIN_SINKS[k].growth;
    t->scratch = (qh_scratch){scratch_memory, TWIN_SINKS[k].scratch_cap};
    if (TWIN_SINKS[k].kind == QH_SINK_MEMORY)
        qh_sink_init_memory(&t->sink, t->memory, 0, 0);
    else if (TWIN_SINKS[k].kind == QH_SINK_DESCRIPTOR)
        qh_sink_init_descriptor(&t->sink, memfd_create("body", MFD_CLOEXEC), 0);
    qh_body_init(&t->body, r->framing, r->length, &USUAL_CHUNKS, &t->sink);
}

static qh_status receive_piece(twin *t, pair sockets, const char *raw, size_t len)
{
    qh_status status;
    put(sockets.peer, raw, len);
    do {
        size_t n_surplus;
        status = qh_body_receive(&t->body, sockets.ours, t->scratch, SIZE_MAX, &n_surplus);
        t->n_surplus += n_surplus;
        if (status == QH_FULL)
            t->sink.cap += t->growth;
    } while (status == QH_FULL || status == QH_BUDGET);
    t->n_used += len - bytes_waiting(sockets.ours);
    return status;
}

static qh_status bring_piece(twin *t, const char *raw, size_t len)
{
    qh_status status = QH_AGAIN;
    for (size_t at = 0, n; at < len && status == QH_AGAIN; at += n) {
        size_t n_surplus = 0;
        char *room = qh_body_room(&t->body, t->scratch, &n);
        expect(t->body.framing != QH_FRAMING_LENGTH || n <= t->body.left, "room for more than the body");
        n = n < len - at ? n : len - at;
        if (n == 0) {
            expect(t->sink.kind == QH_SINK_MEMORY && t->sink.len == t->sink.cap, "no room, and not full");
            t->sink.cap += t->growth;
            continue;
        }
        memcpy(room, raw + at, n);
        status = qh_body_took(&t->body, room, n, &n_surplus);
        expect(n_surplus == 0 || (status == QH_DONE && memcmp(t->body.surplus, raw + at + n - n_surplus, n_surplus) == 0),
               "surplus differs");
        t->n_surplus += n_surplus;
        t->n_used += n;
    }
    return status;
}

static void expect_twins(twin *a, twin *b, qh_status got, qh_status want)
{
    char text[2][512] = {{0}, {0}};
    expect_status(got, want);
    expect_n("whole", b->body.whole, a->body.whole);
    if (!qh_is_error(want) && want != QH_DONE)
        expect_n("left", b->body.left, a->body.left);
    expect_n("n_received", b->body.n_received, a->body.n_received);
    if (want == QH_DONE) /* how far a receive looks ahead is its own affair */
        expect_n("used", b->n_used - b->n_surplus, a->n_used - a->n_surplus);
    if (a->sink.kind == QH_SINK_MEMORY) {
        expect_bytes("payload", b->memory, b->sink.len, (bytes){a->memory, a->sink.len});
    } else if (a->sink.kind == QH_SINK_DESCRIPTOR) {
        ssize_t n = pread(a->sink.fd, text[0], sizeof text[0], 0), m = pread(b->sink.fd, text[1], sizeof text[1], 0);
        expect_bytes("payload", text[1], (size_t)m, (bytes){text[0], (size_t)n});
        expect_n("offset", b->sink.offset, a->sink.offset);
        close(a->sink.fd);
        close(b->sink.fd);
    }
}

static void run_twins(void)
{
    for (size_t i = 0; i < N_ROWS(TWINS); i++) {
        const struct twin_row *r = &TWINS[i];
        row("body_room_%s_as_received", r->name);
        for (size_t way = 0; way <= r->raw.len; way++)
            for (size_t k = 0; k < N_ROWS(TWIN_SINKS); k++) {
                twin a, b;
                pair sockets = local_pair();
                qh_status want = QH_AGAIN, got = QH_AGAIN;
                context_way(way, r->raw.len, GUARD_BEHIND, TWIN_SINKS[k].name);
                begin_twin(&a, r, k);
                begin_twin(&b, r, k);
                for (size_t at = 0, n; at < r->raw.len && want == QH_AGAIN; at += n) {
                    n = piece_len(way, r->raw.len, at);
                    want = receive_piece(&a, sockets, r->raw.at + at, n);
                }
                for (size_t at = 0, n; at < r->raw.len && got == QH_AGAIN; at += n) {
                    n = piece_len(way, r->raw.len, at);
                    got = bring_piece(&b, r->raw.at + at, n);
                }
                expect_twins(&a, &b, got, want);
                close_pair(sockets);
            }
    }
}

/* ---------------------------------------------------------------------------------------- what the owner hears */
static void begin_body_of(world *w, qh_sink *sink, qh_framing framing, uint64_t length)
{
    qh_body_init(&w->conn.body, framing, length, &USUAL_CHUNKS, sink);
    require(qh_conn_start_body(&w->loop, &w->conn) == 0, "qh_conn_start_body");
}

static bool wants_bytes(world *w)
{
    char *room;
    size_t len;
    return qh_conn_room(&w->loop, &w->conn, &room, &len);
}

static void bring_text(world *w, const char *text)
{
    char *room;
    size_t len;
    require(qh_conn_room(&w->loop, &w->conn, &room, &len) && len >= strlen(text), "room");
    memcpy(room, text, strlen(text));
    qh_conn_took(&w->loop, &w->conn, strlen(text));
}

static void test_phases(void)
{
    world w;
    qh_sink sink = {0};
    row("foreign_room_idle_or_taken_nothing_waited_for");
    begin_foreign(&w);
    expect(!wants_bytes(&w), "an idle one waits for bytes");
    begin_head(&w);
    expect(wants_bytes(&w), "no head is waited for");
    bring_text(&w, OK);
    expect(!wants_bytes(&w), "the owner has the word, and more is waited for");
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    begin_body_of(&w, &sink, QH_FRAMING_LENGTH, 2);
    expect(wants_bytes(&w), "no body is waited for");
    bring_text(&w, "ok");
    expect(!wants_bytes(&w), "more is waited for behind the body");
    turn(&w, 0);
    expect_trace(&w, "end");
    require(qh_conn_rest(&w.loop, &w.conn) == 0, "qh_conn_rest");
    expect(!wants_bytes(&w) && !w.conn.input, "it does not rest");
    end_world(&w);

    row("foreign_full_without_any_memory_told_until_there_is_room");
    begin_foreign(&w);
    qh_sink_init_memory(&sink, NULL, 0, 0);
    begin_body_of(&w, &sink, QH_FRAMING_LENGTH, 5);
    for (int i = 0; i < 3; i++) {
        char *room;
        size_t len = 1;
        expect(qh_conn_room(&w.loop, &w.conn, &room, &len) && len == 0, "%zu bytes of room in nothing", len);
        qh_conn_took(&w.loop, &w.conn, 0);
        expect(!wants_bytes(&w), "it is full, and waits for more");
        turn(&w, 0);
        expect_trace(&w, "full");
        require(qh_conn_resume_body(&w.loop, &w.conn) == 0, "qh_conn_resume_body");
        turn(&w, 0); /* there is more, as a rule */
        expect_trace(&w, "readable");
    }
    expect_n("received", w.conn.body.n_received, 0);
    end_world(&w);
}

static void test_readable(void)
{
    world w;
    qh_sink sink = {0};
    row("foreign_readable_told_in_each_phase_but_taken");
    begin_foreign(&w);
    put(w.sockets.peer, "x", 1);
    for (int i = 0; i < 2; i++) { /* level-triggered */
        turn(&w, 0);
        expect_trace(&w, "readable");
    }
    begin_head(&w);
    turn(&w, 0);
    expect_trace(&w, "readable");
    bring_text(&w, OK); /* out of what the owner had */
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    turn(&w, 0);
    expect(w.conn.dozing && w.conn.interest == 0, "it spins");
    expect_trace(&w, "");
    begin_body_of(&w, &sink, QH_FRAMING_CLOSE, 0);
    turn(&w, 0);
    expect_trace(&w, "readable");
    require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause");
    turn(&w, 0);
    expect_trace(&w, "");
    require(qh_conn_pause(&w.loop, &w.conn, false) == 0, "qh_conn_pause");
    turn(&w, 0);
    expect_trace(&w, "readable");
    end_world(&w);

    row("foreign_writable_told_while_wanted");
    begin_foreign(&w);
    turn(&w, 0);
    expect_trace(&w, "");
    w.conn.wants_room = true;
    require(qh_conn_watch(&w.loop, &w.conn) == 0, "qh_conn_watch");
    for (int i = 0; i < 2; i++) {
        turn(&w, 0);
        expect_trace(&w, "writable");
    }
    put(w.sockets.peer, "x", 1);
    turn(&w, 0);
    expect_trace(&w, "writable readable");
    w.conn.wants_room = false;
    require(qh_conn_watch(&w.loop, &w.conn) == 0, "qh_conn_watch");
    turn(&w, 0);
    expect_trace(&w, "readable");
    end_world(&w);

    row("foreign_writable_told_while_paused");
    begin_foreign(&w);
    w.conn.wants_room = true;
    require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause");
    put(w.sockets.peer, "x", 1);
    turn(&w, 0);
    expect_trace(&w, "writable");
    end_world(&w);

    row("foreign_output_sent_told_once_and_counted_by_the_owner");
    begin_foreign(&w);
    w.conn.tells_sent = false;
    qh_conn_send_later(&w.loop, &w.conn, "hello", 5);
    turn(&w, 0);
    expect_trace(&w, "sent:5");
    expect_n("n_sent", w.conn.n_sent, 0);
    end_world(&w);

    row("foreign_output_in_parts_told_when_all_is_sent");
    begin_foreign(&w);
    static char out[1 << 20], in[1 << 16];
    qh_conn_send_later(&w.loop, &w.conn, out, sizeof out);
    turn(&w, 0);
    expect(w.conn.out_left > 0, "all was sent at once");
    expect_trace(&w, "");
    for (int i = 0; i < 10000 && !w.trace[0]; i++) {
        while (recv(w.sockets.peer, in, sizeof in, 0) > 0)
            ;
        turn(&w, 0);
    }
    expect(strncmp(w.trace, "sent:", 5) == 0 && !strchr(w.trace, ' '), "events are '%s'", w.trace);
    expect_n("out_left", w.conn.out_left, 0);
    end_world(&w);
}

static void test_call_again(void)
{
    world w;
    qh_sink sink = {0};
    row("foreign_call_again_told_without_the_poller");
    begin_foreign(&w);
    begin_head(&w);
    qh_conn_call_again(&w.loop, &w.conn);
    qh_conn_call_again(&w.loop, &w.conn);
    require(qh_turn(&w.loop, 5000) == 0, "qh_turn"); /* does not wait */
    qh_event event;
    expect(qh_loop_next_event(&w.loop, &event) && event.kind == QH_EVENT_READABLE, "not told");
    turn(&w, 0);
    expect_trace(&w, ""); /* once */

    row("foreign_call_again_beside_the_poller_told_once");
    put(w.sockets.peer, "x", 1);
    qh_conn_call_again(&w.loop, &w.conn);
    turn(&w, 0);
    expect_trace(&w, "readable");

    row("foreign_call_again_while_taken_told_when_roused");
    bring_text(&w, OK);
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    char byte;
    require(recv(w.sockets.ours, &byte, 1, 0) == 1, "recv");
    w.conn.has_more = true;
    qh_conn_call_again(&w.loop, &w.conn);
    turn(&w, 0);
    expect_trace(&w, "");
    begin_body_of(&w, &sink, QH_FRAMING_LENGTH, 5);
    turn(&w, 0);
    expect_trace(&w, "readable");
    w.conn.has_more = false;

    row("foreign_call_again_in_the_body_of_the_last_head_told");
    bring_text(&w, "hello");
    turn(&w, 0);
    expect_trace(&w, "end");
    require(qh_conn_rest(&w.loop, &w.conn) == 0, "qh_conn_rest");

    row("foreign_call_again_behind_an_interim_head_told");
    w.conn.has_more = false;
    begin_head(&w);
    bring_text(&w, OK);
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    w.conn.has_more = true;
    size_t head_len;
    expect_status(qh_conn_next_head(&w.loop, &w.conn, "", 0, &head_len), QH_AGAIN);
    turn(&w, 0);
    expect_trace(&w, "readable");
    bring_text(&w, OK);
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    begin_body_of(&w, &sink, QH_FRAMING_LENGTH, 5);
    turn(&w, 0);
    expect_trace(&w, "readable");
    w.conn.has_more = false;

    row("foreign_call_again_while_paused_told_when_resumed");
    require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause");
    qh_conn_call_again(&w.loop, &w.conn);
    turn(&w, 0);
    expect_trace(&w, "");
    require(qh_conn_pause(&w.loop, &w.conn, false) == 0, "qh_conn_pause");
    turn(&w, 0);
    expect_trace(&w, "readable");
    bring_text(&w, "hello");
    turn(&w, 0);
    expect_trace(&w, "end");

    row("foreign_has_more_at_rest_told");
    w.conn.has_more = true;
    require(qh_conn_rest(&w.loop, &w.conn) == 0, "qh_conn_rest");
    turn(&w, 0);
    expect_trace(&w, "readable");
    end_world(&w);
}

static void test_ends(void)
{
    static const struct {
        const char *name, *phase;
        int error;
        const char *trace;
    } END_ROWS[] = {
        {"idle", "idle", 0, "idle_end"},
        {"idle_broken", "idle", ECONNRESET, "idle_end"},
        {"head", "head", 0, "failed:E_TRUNCATED"},
        {"head_broken", "head", ECONNRESET, "failed:E_RECEIVE:reset"},
        {"length", "length", 0, "failed:E_TRUNCATED"},
        {"until_end", "close", 0, "end"},
        {"until_end_broken", "close", ECONNRESET, "failed:E_RECEIVE:reset"},
        {"chunked", "chunked", 0, "failed:E_TRUNCATED"},
    };
    for (size_t i = 0; i < N_ROWS(END_ROWS); i++) {
        world w;
        qh_sink sink = {0};
        const char *phase = END_ROWS[i].phase;
        row("foreign_end_of_stream_%s", END_ROWS[i].name);
        begin_foreign(&w);
        if (strcmp(phase, "head") == 0)
            begin_head(&w);
        else if (strcmp(phase, "idle") != 0)
            begin_body_of(&w, &sink, phase[0] == 'l' ? QH_FRAMING_LENGTH : phase[1] == 'l' ? QH_FRAMING_CLOSE : QH_FRAMING_CHUNKED,
                          5);
        qh_conn_end_of_stream(&w.loop, &w.conn, END_ROWS[i].error);
        expect(!wants_bytes(&w), "it waits for more");
        turn(&w, 0);
        expect_trace(&w, END_ROWS[i].trace);
        end_world(&w);
    }
    world w;
    row("foreign_stale_told");
    begin_foreign(&w);
    begin_head(&w);
    qh_conn_tell_stale(&w.loop, &w.conn);
    expect(!wants_bytes(&w), "it waits for more");
    turn(&w, 0);
    expect_trace(&w, "stale");
    end_world(&w);
}

/* Two answers and a half behind each other. */
static void test_pipelined(void)
{
    static const char RAW[] = OK "5\r\nhello\r\n0\r\n\r\n" OK "HTTP/1.1 2";
    world w;
    qh_sink sink = {0};
    size_t head_len = 0;
    row("foreign_pipelined_kept_for_the_next");
    begin_foreign(&w);
    w.conn.pipelined = true;
    begin_head(&w);
    bring_text(&w, OK);
    turn(&w, 0);
    begin_body_of(&w, &sink, QH_FRAMING_CHUNKED, 0);
    bring_text(&w, RAW + 19);
    turn(&w, 0);
    expect_trace(&w, "head:19+0 end+29");
    begin_head(&w);
    expect_status(qh_conn_scan_input(&w.conn, &head_len), QH_DONE);
    expect_n("head_len", head_len, 19);
    expect(qh_conn_keep(&w.conn, w.conn.input + w.conn.input_at + head_len, 10), "not kept");
    begin_head(&w);
    expect_status(qh_conn_scan_input(&w.conn, &head_len), QH_AGAIN);
    bring_text(&w, "00 OK\r\n\r\nbody");
    turn(&w, 0);
    expect_trace(&w, "head:19+4");
    end_world(&w);
}

/* More connections than a ring has room for, each with two events for its READABLE. */
static void test_ring(void)
{
    enum { N_CROWD = 1100 };
    static qh_conn conns[N_CROWD];
    static pair sockets[N_CROWD];
    static unsigned n_first[N_CROWD], n_failed[N_CROWD];
    qh_loop loop;
    qh_event event;
    unsigned n_turns = 0, n_told = 0;
    struct rlimit limit;
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    if (limit.rlim_cur < N_CROWD + 100 && limit.rlim_max >= N_CROWD + 100) {
        limit.rlim_cur = N_CROWD + 100;
        require(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    }
    row("foreign_many_with_two_events_each_none_lost");
    require(qh_loop_open(&loop) == 0, "qh_loop_open");
    for (size_t i = 0; i < N_CROWD; i++) {
        sockets[i] = i % 2 ? (pair){sockets[i - 1].peer, sockets[i - 1].ours} : local_pair();
        conns[i] = (qh_conn){.owner = (void *)i};
        require(qh_conn_open(&loop, &conns[i], sockets[i].ours, true) == 0, "qh_conn_open");
        conns[i].foreign = true;
        require(qh_conn_expect_head(&loop, &conns[i], &USUAL_HEAD) == 0, "qh_conn_expect_head");
        qh_conn_call_again(&loop, &conns[i]);
    }
    for (; n_turns < 50 && n_told < 2 * N_CROWD; n_turns++) {
        require(qh_turn(&loop, 0) == 0, "qh_turn");
        while (qh_loop_next_event(&loop, &event)) {
            qh_conn *conn = qh_loop_conn(&loop, event.slot, event.generation);
            if (!expect(conn != NULL, "an event of nobody"))
                continue;
            size_t i = (size_t)conn->owner;
            if (event.kind == QH_EVENT_READABLE) {
                char *room;
                size_t len;
                require(qh_conn_room(&loop, conn, &room, &len), "qh_conn_room");
                memcpy(room, "SSH-2.0\r\n\r\n", 11); /* not a head: first bytes, and failed */
                qh_conn_took(&loop, conn, 11);
            } else {
                n_told++;
                n_first[i] += event.kind == QH_EVENT_FIRST_BYTES;
                n_failed[i] += event.kind == QH_EVENT_FAILED;
            }
        }
    }
    for (size_t i = 0; i < N_CROWD; i++) {
        expect(n_first[i] == 1 && n_failed[i] == 1, "connection %zu was told %u and %u times", i, n_first[i], n_failed[i]);
        qh_conn_close(&loop, &conns[i], false);
    }
    qh_loop_close(&loop);
}

int main(void)
{
    run_answers();
    run_twins();
    test_phases();
    test_readable();
    test_call_again();
    test_ends();
    test_pipelined();
    test_ring();
    return check_summary("foreign");
}

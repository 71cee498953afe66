/* test_pipeline.c: several answers on their way over one connection: what is received behind one is kept for
 * the next, in whatever pieces they come; and the input buffer it is kept in. */
#include "guarded.h"
#include "turn_internal.h"
#include "world.h"

#define OK "HTTP/1.1 200 OK\r\n\r\n"             /* 19 bytes */
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n" /* 25 bytes */
#define NONE "HTTP/1.1 204 N\r\n\r\n"            /* 18 bytes */
#define CHUNKS "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"

/* What the peer sends in answer to as many requests as `framings` has letters: n(one), a digit (length), c(hunked) or
 * e(nd of the stream). `log` is what the owner gets of it, in whatever pieces it comes. */
static const struct pipeline_row {
    const char *name, *framings, *answers;
    bool closes;
    const char *log;
} PIPELINES[] = {
    {"one", "n", OK, false, "200[] rest"},
    {"no_bodies", "nnn", NONE OK NONE, false, "204[] 200[] 204[] rest"},
    {"length_bodies", "539", OK "hello" OK "you" OK "something", false, "200[hello] 200[you] 200[something] rest"},
    {"length_zero", "0n0", OK OK OK, false, "200[] 200[] 200[] rest"},
    {"chunked_bodies", "cc", OK CHUNKS OK CHUNKS, false, "200[helloyou] 200[helloyou] rest"},
    {"chunked_bodies_with_trailer", "cnc", OK "1\r\na\r\n0\r\nA: b\r\n\r\n" NONE OK "0\r\n\r\n", false,
     "200[a] 204[] 200[] rest"},
    {"every_framing", "5cn3e", OK "hello" OK CHUNKS NONE OK "you" OK "to the end", true,
     "200[hello] 200[helloyou] 204[] 200[you] 200[to the end] rest"},
    {"interim_heads", "5nn", CONTINUE OK "hello" CONTINUE CONTINUE NONE CONTINUE OK, false,
     "100 200[hello] 100 100 204[] 100 200[] rest"},
    {"interim_behind_chunks", "c5", OK CHUNKS CONTINUE OK "hello", false, "200[helloyou] 100 200[hello] rest"},
    {"head_in_body", "9n", OK "HTTP/1.1 " NONE, false, "200[HTTP/1.1 ] 204[] rest"},
    {"more_than_asked_for", "n5", NONE OK "helloevil", false, "204[] 200[hello] rest"},
    {"last_still_open", "n5", NONE OK "hel", false, "204[] 200[hel"},
    {"last_head_open", "nc", NONE "HTTP/1.1 200 OK\r\n", false, "204[] "},
    {"last_missing", "n5", NONE, false, "204[] "},
    {"last_interim_alone", "n5", NONE CONTINUE, false, "204[] 100 "},
    {"last_never_came", "n5", NONE, true, "204[] E_TRUNCATED"},
    {"last_head_cut_off", "cn", OK CHUNKS "HTTP/1.1 2", true, "200[helloyou] E_TRUNCATED"},
    {"last_body_cut_off", "n5", NONE OK "hel", true, "204[] 200[helE_TRUNCATED"},
    {"garbage_behind_no_body", "nn", NONE "garbage", false, "204[] E_NOT_HTTP"},
    {"garbage_behind_length", "5n", OK "hello" "garbage", false, "200[hello] E_NOT_HTTP"},
    {"garbage_behind_chunks", "cn", OK CHUNKS "garbage", false, "200[helloyou] E_NOT_HTTP"},
    {"malformed_chunk", "cn", OK "3\r\nyou\r\n0x\r\n" NONE, false, "200[youE_CHUNK_SIZE"},
    {"head_too_large", "nn", NONE "HTTP/1.1 200 OK\r\nA: 3456789012345678901234567890123456789\r\n\r\n", false,
     "204[] E_LINE_TOO_LONG"},
};
static const qh_head_limits SMALL_HEAD = {.head_cap = 100, .line_cap = 40, .n_fields_cap = 3};

/* Whether the owner asked for more than one answer before the first came, or while it was told of it; and where bodies
 * go. */
typedef struct manner {
    const char *name;
    bool late;
    qh_sink_kind kind;
    size_t growth;
} manner;
static const manner MANNERS[] = {
    {"asked ahead", false, QH_SINK_MEMORY, 64},
    {"asked ahead, little memory", false, QH_SINK_MEMORY, 1},
    {"asked ahead, bodies dropped", false, QH_SINK_NOTHING, 0},
    {"asked late", true, QH_SINK_MEMORY, 64},
    {"asked late, bodies dropped", true, QH_SINK_NOTHING, 0},
};

typedef struct owner {
    world world;
    const manner *manner;
    const char *framing;
    qh_sink sink;
    bool over;
    size_t n_logged; /* of the body under way */
    char memory[128], log[256];
} owner;

static void add_log(owner *o, const char *text, size_t len)
{
    size_t at = strlen(o->log);
    snprintf(o->log + at, sizeof o->log - at, "%.*s", (int)len, text);
}

static void log_body(owner *o)
{
    if (o->sink.kind == QH_SINK_MEMORY)
        add_log(o, o->memory + o->n_logged, o->sink.len - o->n_logged);
    else /* nobody knows what it was: as many bytes */
        for (size_t i = o->n_logged; i < o->world.conn.body.n_received; i++)
            add_log(o, "?", 1);
    o->n_logged = o->sink.kind == QH_SINK_MEMORY ? o->sink.len : (size_t)o->world.conn.body.n_received;
}

static void take_head(owner *o, char *data, size_t head_len, size_t n);

static void fail(owner *o, qh_status status)
{
    add_log(o, status_name(status), 99);
    o->over = true;
}

static void finish_answer(owner *o)
{
    qh_conn *conn = &o->world.conn;
    size_t head_len;
    add_log(o, "] ", 2);
    if (*++o->framing == '\0') {
        add_log(o, "rest", 4);
        o->over = true;
        expect(qh_conn_rest(&o->world.loop, conn) == 0, "no rest");
        expect(!conn->input && conn->input_cap == 0 && conn->input_len == 0 && !conn->pipelined,
               "input is kept at rest");
        return;
    }
    expect(qh_conn_expect_head(&o->world.loop, conn, &SMALL_HEAD) == 0, "qh_conn_expect_head");
    qh_status status = qh_conn_scan_input(conn, &head_len);
    if (status == QH_DONE)
        take_head(o, conn->input + conn->input_at, head_len, conn->input_len - conn->input_at);
    else if (status != QH_AGAIN)
        fail(o, status);
    else
        expect_n("phase", conn->phase, QH_PHASE_HEAD);
}

static void begin_body(owner *o, char *data, size_t len)
{
    qh_conn *conn = &o->world.conn;
    char c = *o->framing;
    qh_framing framing = c == 'n'   ? QH_FRAMING_NONE
                         : c == 'c' ? QH_FRAMING_CHUNKED
                         : c == 'e' ? QH_FRAMING_CLOSE
                                    : QH_FRAMING_LENGTH;
    size_t used = 0;
    qh_status status;
    if (o->manner->kind == QH_SINK_MEMORY)
        qh_sink_init_memory(&o->sink, o->memory, 0, 0);
    else
        o->sink = (qh_sink){.kind = o->manner->kind};
    qh_body_init(&conn->body, framing, framing == QH_FRAMING_LENGTH ? (uint64_t)(c - '0') : 0, &USUAL_CHUNKS, &o->sink);
    o->n_logged = 0;
    while ((status = qh_body_feed(&conn->body, data, len, &used)) == QH_FULL)
        o->sink.cap += o->manner->growth;
    log_body(o);
    if (qh_is_error(status)) {
        fail(o, status);
    } else if (status == QH_AGAIN) {
        expect(qh_conn_start_body(&o->world.loop, conn) == 0, "qh_conn_start_body");
    } else {
        expect(qh_conn_keep(conn, data + used, len - used), "qh_conn_keep");
        expect_n("kept", conn->input_len - conn->input_at, len - used);
        finish_answer(o);
    }
}

static void take_head(owner *o, char *data, size_t head_len, size_t n)
{
    qh_conn *conn = &o->world.conn;
    for (;;) {
        expect(memcmp(data, "HTTP/1.1 ", 9) == 0 && memcmp(data + head_len - 4, "\r\n\r\n", 4) == 0, "that is no head");
        add_log(o, data + 9, 3);
        if (data[9] != '1')
            break;
        add_log(o, " ", 1);
        qh_status status = qh_conn_next_head(&o->world.loop, conn, data + head_len, n - head_len, &head_len);
        if (qh_is_error(status))
            fail(o, status);
        if (status != QH_DONE)
            return;
        data = conn->input + conn->input_at;
        n = conn->input_len - conn->input_at;
    }
    add_log(o, "[", 1);
    begin_body(o, data + head_len, n - head_len);
}

static void take(owner *o, const qh_event *event)
{
    qh_conn *conn = &o->world.conn;
    expect(!o->over, "an event after the end");
    switch (event->kind) {
    case QH_EVENT_HEAD:
        if (conn->pipelined && expect(event->data == conn->input + conn->input_at, "the head is not in the input"))
            expect_n("input", conn->input_len - conn->input_at, event->n);
        conn->pipelined = true;
        take_head(o, event->data, event->head_len, event->n);
        break;
    case QH_EVENT_FULL:
        log_body(o);
        o->sink.cap += o->manner->growth;
        expect(qh_conn_resume_body(&o->world.loop, conn) == 0, "qh_conn_resume_body");
        break;
    case QH_EVENT_END:
        log_body(o);
        expect_n("kept", conn->input_len - conn->input_at, event->n);
        finish_answer(o);
        break;
    case QH_EVENT_FAILED:
        log_body(o);
        fail(o, event->status);
        break;
    case QH_EVENT_PROGRESS:
        log_body(o);
        break;
    default:
        expect(event->kind == QH_EVENT_FIRST_BYTES, "an event of kind %d", event->kind);
    }
}

static void take_turns(owner *o)
{
    qh_event event;
    for (int n_quiet = 0; n_quiet < 2 && !o->over;) {
        require(qh_turn(&o->world.loop, 0) == 0, "qh_turn");
        n_quiet = o->world.loop.ring_len ? 0 : n_quiet + 1;
        while (qh_loop_next_event(&o->world.loop, &event))
            take(o, &event);
    }
}

/* Payload that was dropped is "?" in the log. */
static void expect_log(owner *o, const char *want)
{
    char text[256] = "";
    bool in_body = false;
    for (size_t i = 0; want[i]; i++) {
        in_body = want[i] == '[' || (in_body && want[i] != ']' && strncmp(want + i, "E_", 2) != 0);
        text[i] = in_body && want[i] != '[' && o->manner->kind == QH_SINK_NOTHING ? '?' : want[i];
    }
    expect(strcmp(o->log, text) == 0, "the owner got '%s', not '%s'", o->log, text);
}

static void run_pipeline(const struct pipeline_row *r, const manner *how, size_t way)
{
    owner o = {.manner = how, .framing = r->framings};
    size_t len = strlen(r->answers);
    begin_world(&o.world, local_pair(), true);
    o.world.conn.pipelined = !how->late;
    qh_conn_expect_head(&o.world.loop, &o.world.conn, &SMALL_HEAD);
    for (size_t at = 0, n; at < len && !o.over; at += n) {
        n = piece_len(way, len, at);
        put(o.world.sockets.peer, r->answers + at, n);
        take_turns(&o);
    }
    if (r->closes && !o.over) {
        close_peer(&o.world);
        take_turns(&o);
    }
    expect_log(&o, r->log);
    end_world(&o.world);
}

static void run_pipelines(void)
{
    for (size_t i = 0; i < N_ROWS(PIPELINES); i++) {
        size_t len = strlen(PIPELINES[i].answers);
        for (size_t k = 0; k < N_ROWS(MANNERS); k++) {
            row("pipeline_%s_%s", PIPELINES[i].name, MANNERS[k].name);
            for (size_t way = 0; way <= len; way++) {
                context_way(way, len, GUARD_BEHIND, "");
                run_pipeline(&PIPELINES[i], &MANNERS[k], way);
            }
        }
    }
}

/* ------------------------------------------------------------------------------------ the input buffer */
enum { RECEIVE_MAX = 64 << 10, ROOM_MIN = 16 << 10, HEAD_LEN = 1000 };
static const qh_head_limits LARGE_HEAD = {.head_cap = 1 << 20, .line_cap = 1 << 20, .n_fields_cap = 256};

/* A head of `len` bytes that says which it is. */
static void put_head(int fd, unsigned number, size_t len)
{
    static char head[1 << 20];
    size_t at = (size_t)sprintf(head, "HTTP/1.1 200 OK\r\nNumber: %06u\r\nA:", number);
    memset(head + at, 'a' + (int)(number % 26), len - at);
    memcpy(head + len - 4, "\r\n\r\n", 4);
    put(fd, head, len);
}

static bool is_head(const char *head, unsigned number, size_t len)
{
    char begin[64];
    size_t at = (size_t)sprintf(begin, "HTTP/1.1 200 OK\r\nNumber: %06u\r\nA:", number);
    bool good = memcmp(head, begin, at) == 0 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0;
    for (; good && at < len - 4; at++)
        good = head[at] == 'a' + (char)(number % 26);
    return good;
}

static void begin_pipelined(world *w, pair sockets)
{
    begin_world(w, sockets, true);
    w->conn.pipelined = true;
    require(qh_conn_expect_head(&w->loop, &w->conn, &LARGE_HEAD) == 0, "qh_conn_expect_head");
}

/* Takes the heads that are in the input, from `number` on; the next one then. */
static unsigned take_heads(world *w, unsigned number)
{
    size_t head_len;
    qh_conn *conn = &w->conn;
    for (;; number++) {
        require(qh_conn_expect_head(&w->loop, conn, &LARGE_HEAD) == 0, "qh_conn_expect_head");
        if (qh_conn_scan_input(conn, &head_len) != QH_DONE)
            return number;
        expect_n("phase", conn->phase, QH_PHASE_TAKEN);
        expect(head_len == HEAD_LEN && is_head(conn->input + conn->input_at, number, head_len), "head %u differs",
               number);
        expect(qh_conn_keep(conn, conn->input + conn->input_at + head_len, conn->input_len - conn->input_at - head_len),
               "qh_conn_keep");
    }
}

static void expect_input(const world *w, size_t at, size_t len, size_t cap)
{
    expect_n("input_at", w->conn.input_at, at);
    expect_n("input_len", w->conn.input_len, len);
    expect_n("input_cap", w->conn.input_cap, cap);
}

/* Keeps what the HEAD event of this turn told of, from its head on, as an owner of the turn before would. */
static void keep_told(world *w, const char *trace)
{
    turn(w, 0);
    expect_trace(w, trace);
    w->conn.scan = (qh_head_scan){0};
}

static void test_many_heads(void)
{
    world w;
    row("pipeline_heads_of_one_receive_moved_down_only_for_room");
    begin_pipelined(&w, local_pair());
    for (unsigned i = 0; i < 70; i++)
        put_head(w.sockets.peer, i, HEAD_LEN);
    keep_told(&w, "head:1000+64536");
    expect_input(&w, 0, RECEIVE_MAX, ROOM_MIN + RECEIVE_MAX);
    expect_n("arena", w.loop.arena_len, 0);
    char *input = w.conn.input;
    expect_n("heads", take_heads(&w, 0), 65);
    expect_input(&w, 65000, RECEIVE_MAX, ROOM_MIN + RECEIVE_MAX);
    expect(w.conn.answer_begun, "part of an answer is there, and it has not begun");

    keep_told(&w, "head:1000+4000"); /* there is just room enough; its beginning was there, nothing tells of that */
    expect_input(&w, 65000, 70000, ROOM_MIN + RECEIVE_MAX);
    expect_n("heads", take_heads(&w, 65), 70);
    expect_input(&w, 70000, 70000, ROOM_MIN + RECEIVE_MAX);
    expect(!w.conn.answer_begun, "the answer has begun, and nothing of it has come");

    put_head(w.sockets.peer, 70, HEAD_LEN);
    put(w.sockets.peer, "HTTP", 4);
    keep_told(&w, "head:1000+4");
    expect_input(&w, 0, 1004, ROOM_MIN + RECEIVE_MAX);
    expect_n("heads", take_heads(&w, 70), 71);
    expect(w.conn.input == input, "the input has moved to elsewhere");
    end_world(&w);

    row("pipeline_part_of_a_head_moved_down_with_its_scan");
    begin_pipelined(&w, local_pair());
    for (unsigned i = 0; i < 66; i++)
        put_head(w.sockets.peer, i, HEAD_LEN);
    keep_told(&w, "head:1000+64536");
    expect_n("heads", take_heads(&w, 0), 65);
    turn(&w, 0); /* 66 are there */
    w.trace[0] = '\0';
    expect_n("heads", take_heads(&w, 65), 66);
    put(w.sockets.peer, "HTTP/1.1 200 OK\r\nNumber: 000066\r\nA:", 35);
    turn(&w, 0);
    expect_trace(&w, "first");
    expect_input(&w, 0, 35, ROOM_MIN + RECEIVE_MAX);
    end_world(&w);
}

static void test_growth(void)
{
    world w;
    row("pipeline_large_head_input_grows_and_is_used_again");
    begin_pipelined(&w, local_pair());
    put_head(w.sockets.peer, 0, 150 << 10);
    size_t cap = ROOM_MIN + RECEIVE_MAX;
    turn(&w, 0);
    expect_trace(&w, "first");
    expect_input(&w, 0, RECEIVE_MAX, cap);
    turn(&w, 0); /* into the room of 16 KiB that is left */
    expect_input(&w, 0, cap, cap);
    turn(&w, 0);
    expect_input(&w, 0, cap + RECEIVE_MAX, cap + ROOM_MIN + RECEIVE_MAX);
    turn(&w, 0);
    expect_trace(&w, "head:153600+0");
    expect_input(&w, 0, 150 << 10, cap + ROOM_MIN + RECEIVE_MAX);
    expect(is_head(w.conn.input, 0, 150 << 10), "the head differs");

    qh_sink sink = {.kind = QH_SINK_NOTHING};
    qh_body_init(&w.conn.body, QH_FRAMING_CHUNKED, 0, &USUAL_CHUNKS, &sink);
    require(qh_conn_start_body(&w.loop, &w.conn) == 0, "qh_conn_start_body");
    expect_input(&w, 0, 0, cap + ROOM_MIN + RECEIVE_MAX); /* there is another to come */
    put(w.sockets.peer, CHUNKS OK, sizeof CHUNKS - 1 + 19);
    turn(&w, 0);
    expect_trace(&w, "end+19");
    expect_input(&w, 0, 19, cap + ROOM_MIN + RECEIVE_MAX);
    expect(memcmp(w.conn.input, OK, 19) == 0, "another head was kept");

    require(qh_conn_rest(&w.loop, &w.conn) == 0, "qh_conn_rest");
    expect_input(&w, 0, 0, 0);
    expect(!w.conn.input && !w.conn.pipelined, "input is kept at rest");
    end_world(&w);
}

/* A head in pieces, and then the owner asks for another answer: what has come stays. */
static void test_pipelined_in_head(void)
{
    world w;
    size_t head_len;
    row("pipeline_asked_within_a_head_nothing_lost");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    put(w.sockets.peer, OK, 10);
    turn(&w, 0);
    expect_trace(&w, "first");
    expect_input(&w, 0, 10, 10 + 1024);
    w.conn.pipelined = true;
    put(w.sockets.peer, &(OK NONE)[10], 9 + 18);
    turn(&w, 0);
    expect_trace(&w, "head:19+18");
    expect(memcmp(w.conn.input, OK NONE, 37) == 0, "another head was kept");
    expect(qh_conn_keep(&w.conn, w.conn.input + 19, 18), "qh_conn_keep");
    begin_head(&w);
    expect_status(qh_conn_scan_input(&w.conn, &head_len), QH_DONE);
    expect_n("head_len", head_len, 18);
    end_world(&w);
}

static void test_keep(void)
{
    world w;
    size_t head_len = 99;
    row("pipeline_keep_from_elsewhere_takes_the_place_of_what_was");
    begin_world(&w, local_pair(), true);
    w.conn.pipelined = true;
    expect(qh_conn_keep(&w.conn, NULL, 0) && !w.conn.input, "nothing was kept, and that took memory");
    begin_head(&w);
    expect_status(qh_conn_scan_input(&w.conn, &head_len), QH_AGAIN);
    expect(qh_conn_keep(&w.conn, OK "abc", 22), "qh_conn_keep");
    expect_input(&w, 0, 22, 22 + RECEIVE_MAX);
    expect(qh_conn_keep(&w.conn, w.conn.input + 19, 3), "qh_conn_keep");
    expect_input(&w, 19, 22, 22 + RECEIVE_MAX);
    expect(qh_conn_keep(&w.conn, w.conn.input + 22, 0), "qh_conn_keep"); /* all of it is used up */
    expect_input(&w, 22, 22, 22 + RECEIVE_MAX);
    expect_status(qh_conn_scan_input(&w.conn, &head_len), QH_AGAIN);
    expect(!w.conn.answer_begun && head_len == 99 && w.conn.phase == QH_PHASE_HEAD, "there is a head, of nothing");
    expect(qh_conn_keep(&w.conn, NONE, 18), "qh_conn_keep");
    expect_input(&w, 0, 18, 22 + RECEIVE_MAX);
    expect_status(qh_conn_scan_input(&w.conn, &head_len), QH_DONE);
    expect_n("head_len", head_len, 18);
    expect(qh_conn_keep(&w.conn, NULL, 0), "qh_conn_keep");
    expect_input(&w, 0, 0, 22 + RECEIVE_MAX);
    end_world(&w);
}

/* Many answers with bodies of all sizes up to 20 KB: the input stays small, and nothing is lost or mixed up. */
static void test_stream(void)
{
    enum { N_ANSWERS = 400 };
    static char raw[N_ANSWERS * 20100], memory[20000];
    static size_t starts[N_ANSWERS];
    world w;
    size_t raw_len = 0, at = 0, body_len = 0, largest_cap = 0;
    unsigned number = 0;
    qh_sink sink;
    row("pipeline_of_many_answers_all_told_in_order_and_input_stays_small");
    for (unsigned i = 0; i < N_ANSWERS; i++) {
        size_t n = (size_t)i * i * 7919 % 20000;
        starts[i] = raw_len;
        raw_len += (size_t)sprintf(raw + raw_len, "HTTP/1.1 200 OK\r\nLength: %06zu\r\n\r\n", n);
        for (size_t k = 0; k < n; k++)
            raw[raw_len++] = (char)(i * 31 + k);
    }
    begin_pipelined(&w, local_pair());
    for (unsigned n_turns = 0; n_turns < 100000 && (at < raw_len || w.conn.phase != QH_PHASE_HEAD); n_turns++) {
        size_t n = 1 + n_turns * 7907 % 40000;
        ssize_t sent = send(w.sockets.peer, raw + at, n < raw_len - at ? n : raw_len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += sent > 0 ? (size_t)sent : 0;
        require(qh_turn(&w.loop, 0) == 0, "qh_turn");
        largest_cap = w.conn.input_cap > largest_cap ? w.conn.input_cap : largest_cap;
        for (qh_event event; qh_loop_next_event(&w.loop, &event);) {
            qh_status status = QH_AGAIN;
            char *data = event.data;
            size_t len = event.n, head_len = event.head_len, used = 0;
            bool has_head = event.kind == QH_EVENT_HEAD, ended = event.kind == QH_EVENT_END;
            expect(event.kind != QH_EVENT_FAILED, "failed with %s", status_name(event.status));
            while (has_head || ended) {
                if (has_head) {
                    expect(head_len == 35 && memcmp(data, raw + starts[number], 35) == 0, "head %u differs", number);
                    body_len = (size_t)strtoul(data + 25, NULL, 10);
                    qh_sink_init_memory(&sink, memory, 0, body_len);
                    qh_body_init(&w.conn.body, QH_FRAMING_LENGTH, body_len, &USUAL_CHUNKS, &sink);
                    status = qh_body_feed(&w.conn.body, data + head_len, len - head_len, &used);
                    if (status != QH_DONE) {
                        require(status == QH_AGAIN && qh_conn_start_body(&w.loop, &w.conn) == 0, "qh_conn_start_body");
                        break;
                    }
                    expect(qh_conn_keep(&w.conn, data + head_len + used, len - head_len - used), "qh_conn_keep");
                }
                expect(memcmp(memory, raw + starts[number] + 35, body_len) == 0, "body %u differs", number);
                number++;
                require(qh_conn_expect_head(&w.loop, &w.conn, &LARGE_HEAD) == 0, "qh_conn_expect_head");
                ended = false;
                has_head = qh_conn_scan_input(&w.conn, &head_len) == QH_DONE;
                data = w.conn.input + w.conn.input_at;
                len = w.conn.input_len - w.conn.input_at;
            }
        }
    }
    expect(at == raw_len && number == N_ANSWERS, "%u answers, %zu of %zu bytes", number, at, raw_len);
    expect(w.conn.phase == QH_PHASE_HEAD && w.conn.input_at == w.conn.input_len, "something is left");
    expect(largest_cap <= ROOM_MIN + 2 * RECEIVE_MAX, "%zu bytes of input", largest_cap);
    end_world(&w);
}

int main(void)
{
    run_pipelines();
    test_many_heads();
    test_growth();
    test_pipelined_in_head();
    test_keep();
    test_stream();
    return check_summary("pipeline");
}

/* fuzz_owner.h: who owns the connection of fuzz_conn.c: asks, takes heads, has bodies received, as an exchange does, and
 * notes what it gets. With a foreign connection it moves the bytes, too, as a socket object that gives what it likes. */
#ifndef FUZZ_OWNER_H
#define FUZZ_OWNER_H

#include "fields.h"
#include "fuzz_poller.h"
#include "turn_internal.h"

enum { INPUT_MAX = 2048, LOG_CAP = 3 * INPUT_MAX, N_REQUESTS_MAX = 4, HELD_CAP = 700 };
#define REQUEST "GET / HTTP/1.1\r\n\r\n"
enum { REQUEST_LEN = sizeof REQUEST - 1 };

typedef struct plan {
    qh_head_limits heads;
    const qh_chunk_limits *chunks;
    unsigned n_requests;
    bool pipelined, foreign, connecting, tells_sent;
    bool refused;  /* the connecting fails */
    bool is_early; /* the peer does not wait for the request */
    bool unasked;  /* something comes just when the next request goes out */
    bool by_file;  /* the end of a request comes out of a file */
    qh_sink_kind kind;
    size_t growth;
} plan;

typedef struct owner {
    const plan *p;
    qh_conn conn;
    qh_sink sink;
    schedule when;
    unsigned n_asked, n_answered; /* requests */
    bool is_over, is_open, keeps, needs_room;
    char held[HELD_CAP]; /* foreign: received, and not taken yet */
    size_t held_at, held_end;
    bool has_ended;
    int error;
    size_t log_len;
    char log[LOG_CAP];
} owner;

static qh_loop loop;
static char memory[INPUT_MAX + HELD_CAP];
static size_t marks[N_REQUESTS_MAX], n_marks; /* where the peer waits for one more request */

static bool is_early;

/* How far the peer goes before it waits for a request. */
static size_t allowed(void)
{
    unsigned n_requests = (unsigned)(peer.n_sent / REQUEST_LEN);
    if (is_early)
        return peer.len;
    return n_requests == 0 ? 0 : n_requests <= n_marks ? marks[n_requests - 1] : peer.len;
}

static void note(owner *o, char what, const char *data, size_t len)
{
    HOLDS(o->log_len + len + 1 <= LOG_CAP);
    o->log[o->log_len++] = what;
    if (len > 0)
        memcpy(o->log + o->log_len, data, len);
    o->log_len += len;
}

/* Which of several faults of a head is told depends on what has come at once. */
static void fail(owner *o, qh_status status)
{
    char code = (char)(status <= QH_E_FIELD_LINE ? QH_E_NOT_HTTP : status);
    note(o, '!', &code, 1);
    o->is_over = true;
}

static void note_body(owner *o)
{
    size_t n = (size_t)o->conn.body.n_received;
    const char *from = o->sink.kind == QH_SINK_MEMORY ? memory : file.bytes;
    if (o->sink.kind == QH_SINK_MEMORY)
        HOLDS(o->sink.len == o->conn.body.n_received && o->sink.len <= o->sink.cap);
    if (o->sink.kind == QH_SINK_NOTHING) {
        char count = (char)n;
        note(o, '#', &count, 1);
    } else {
        note(o, '[', from, n);
    }
}

static void ask(owner *o)
{
    static const char PLENTY[] = REQUEST REQUEST REQUEST REQUEST;
    qh_conn *conn = &o->conn;
    unsigned n = o->p->pipelined ? o->p->n_requests : 1;
    if (o->n_asked == 0 || !o->p->pipelined) {
        if (o->p->foreign) {
            conn->request_end = conn->n_sent + REQUEST_LEN;
            qh_conn_send_later(&loop, conn, PLENTY, n * REQUEST_LEN);
        } else if (n == 1) {
            size_t len = o->p->by_file ? REQUEST_LEN / 2 : REQUEST_LEN;
            qh_conn_send(&loop, conn, PLENTY, len, o->n_asked > 0);
            if (len < REQUEST_LEN)
                qh_conn_send_file(&loop, conn, FILE_FD, len, REQUEST_LEN - len);
        } else {
            conn->pipelined = true;
            qh_conn_send(&loop, conn, PLENTY, REQUEST_LEN, false);
            qh_conn_send_later(&loop, conn, PLENTY, n * REQUEST_LEN);
        }
        conn->pipelined = n > 1;
        o->n_asked += n;
    }
    HOLDS(qh_conn_expect_head(&loop, conn, &o->p->heads) == 0);
}

static void take_head(owner *o, const char *data, size_t head_len, size_t n);

/* An answer is complete; `n_surplus` bytes came behind it. */
static void finish(owner *o, size_t n_surplus)
{
    size_t head_len;
    qh_conn *conn = &o->conn;
    note_body(o);
    note(o, '.', NULL, 0);
    o->n_answered++;
    if (!o->keeps || (n_surplus > 0 && !conn->pipelined)) {
        note(o, 'c', NULL, 0);
        o->is_over = true;
    } else if (o->n_answered == o->p->n_requests) {
        if (n_surplus > 0) {
            note(o, 'c', NULL, 0);
            o->is_over = true;
            return;
        }
        HOLDS(qh_conn_rest(&loop, conn) == 0);
    } else if (conn->pipelined) {
        HOLDS(qh_conn_expect_head(&loop, conn, &o->p->heads) == 0);
        qh_status status = qh_conn_scan_input(conn, &head_len);
        if (status == QH_DONE)
            take_head(o, conn->input + conn->input_at, head_len, conn->input_len - conn->input_at);
        else if (qh_is_error(status))
            fail(o, status);
    } else {
        HOLDS(qh_conn_rest(&loop, conn) == 0);
        bool is_silent = peer.taken == allowed() && !peer_is_readable() && o->held_at == o->held_end;
        if (is_silent && !o->p->unasked && chance(&o->when, 2) == 0)
            ask(o);
        else
            o->is_open = true; /* it is asked when it has been silent for a while: what comes unasked for is always seen */
    }
}

static void begin_sink(owner *o)
{
    if (o->p->kind == QH_SINK_MEMORY)
        qh_sink_init_memory(&o->sink, memory, 0, o->p->growth);
    else if (o->p->kind == QH_SINK_DESCRIPTOR)
        qh_sink_init_descriptor(&o->sink, FILE_FD, 0);
    else
        o->sink = (qh_sink){.fd = -1};
    file.len = 0;
}

static void begin_body(owner *o, const qh_head_facts *facts, char *data, size_t rest)
{
    size_t used = 0;
    qh_conn *conn = &o->conn;
    qh_status status = QH_AGAIN;
    qh_framing framing = facts->status == 204 || facts->status == 304      ? QH_FRAMING_NONE
                         : facts->n_codings > 0                             ? QH_FRAMING_CHUNKED
                         : facts->length_state == QH_LENGTH_ONE             ? QH_FRAMING_LENGTH
                                                                            : QH_FRAMING_CLOSE;
    o->keeps = framing != QH_FRAMING_CLOSE && !facts->connection_close && !o->p->is_early;
    if (facts->status >= 300 && o->p->is_early)
        HOLDS(qh_conn_stop_sending(&loop, conn) == 0);
    begin_sink(o);
    qh_body_init(&conn->body, framing, facts->length, o->p->chunks, &o->sink);
    if (conn->body.whole) {
        status = QH_DONE;
    } else if (rest > 0) {
        size_t wanted = framing == QH_FRAMING_LENGTH && facts->length < rest ? (size_t)facts->length : rest;
        if (o->sink.kind == QH_SINK_MEMORY && o->sink.cap < wanted)
            o->sink.cap = wanted;
        status = qh_body_feed(&conn->body, data, rest, &used);
    }
    if (status == QH_AGAIN) {
        HOLDS(qh_conn_start_body(&loop, conn) == 0);
    } else if (qh_is_error(status)) {
        note_body(o);
        fail(o, status);
    } else {
        HOLDS(status == QH_DONE);
        if (conn->pipelined || rest == used)
            HOLDS(qh_conn_keep(conn, data + used, rest - used));
        finish(o, rest - used);
    }
}

static void take_head(owner *o, const char *data, size_t head_len, size_t n)
{
    qh_head_facts facts;
    qh_conn *conn = &o->conn;
    for (;;) {
        HOLDS(head_len > 0 && head_len <= n && conn->phase == QH_PHASE_TAKEN);
        qh_status status = qh_fields_index(data, head_len, NULL, 0, &facts);
        if (qh_is_error(status) || facts.status < 100) {
            fail(o, QH_E_NOT_HTTP);
            return;
        }
        note(o, facts.status < 200 ? 'i' : 'h', data, head_len);
        if (facts.status >= 200)
            break;
        size_t rest = n - head_len;
        status = qh_conn_next_head(&loop, conn, data + head_len, rest, &head_len);
        if (status == QH_AGAIN)
            return;
        if (qh_is_error(status)) {
            fail(o, status);
            return;
        }
        data = conn->input + conn->input_at;
        n = conn->input_len - conn->input_at;
    }
    begin_body(o, &facts, (char *)(uintptr_t)data + head_len, n - head_len);
}

/* What the owner of a foreign connection does with its own descriptor, as with an object that gives what it likes. */
static void move_bytes(owner *o)
{
    qh_conn *conn = &o->conn;
    char *room = NULL;
    size_t len = 0;
    if (o->held_at == o->held_end && !o->has_ended && peer_is_readable()) {
        ssize_t n = __wrap_recv(PEER_FD, o->held, HELD_CAP, 0);
        if (n < 0 && errno == EINTR) {
            conn->has_more = true;
            qh_conn_call_again(&loop, conn);
            return;
        }
        o->held_at = 0;
        o->held_end = n > 0 ? (size_t)n : 0;
        o->has_ended = n <= 0;
        o->error = n < 0 ? errno : 0;
    }
    size_t n = o->held_end - o->held_at;
    if (!qh_conn_room(&loop, conn, &room, &len)) {
        conn->has_more = conn->phase != QH_PHASE_IDLE;
        if (conn->has_more)
            qh_conn_call_again(&loop, conn);
        else if (n > 0 || o->has_ended)
            qh_conn_end_of_stream(&loop, conn, 0);
        return;
    }
    n = some_of(&o->when, n < len ? n : len);
    if (n > 0) {
        memcpy(room, o->held + o->held_at, n);
        o->held_at += n;
    }
    if (n > 0 || (len == 0 && o->held_at < o->held_end))
        qh_conn_took(&loop, conn, n);
    else if (o->has_ended)
        qh_conn_end_of_stream(&loop, conn, o->error);
    conn->has_more = n > 0 && (o->held_at < o->held_end || o->has_ended);
    if (conn->has_more)
        qh_conn_call_again(&loop, conn);
}

static void react(owner *o, const qh_event *event)
{
    qh_conn *conn = &o->conn;
    switch (event->kind) {
    case QH_EVENT_CONNECTED:
        HOLDS(event->error == (o->p->refused ? ECONNREFUSED : 0));
        if (event->error) {
            note(o, 'r', NULL, 0);
            o->is_over = true;
        } else {
            ask(o);
        }
        break;
    case QH_EVENT_HEAD:
        take_head(o, event->data, event->head_len, event->n);
        break;
    case QH_EVENT_PROGRESS:
        HOLDS(conn->in_body && conn->body.n_received > 0);
        break;
    case QH_EVENT_FULL:
        HOLDS(conn->phase == QH_PHASE_TAKEN && o->sink.len == o->sink.cap);
        o->needs_room = true;
        if (chance(&o->when, 3) == 1)
            HOLDS(qh_conn_pause(&loop, conn, true) == 0);
        break;
    case QH_EVENT_END:
        HOLDS(conn->phase == QH_PHASE_TAKEN && conn->body.whole);
        finish(o, event->n);
        break;
    case QH_EVENT_FAILED:
        HOLDS(conn->phase == QH_PHASE_TAKEN && qh_is_error(event->status));
        if (conn->in_body)
            note_body(o);
        fail(o, event->status);
        break;
    case QH_EVENT_STALE:
    case QH_EVENT_IDLE_END:
        note(o, 'c', NULL, 0);
        o->is_over = true;
        break;
    case QH_EVENT_READABLE:
        HOLDS(o->p->foreign);
        move_bytes(o);
        break;
    case QH_EVENT_SENT:
        conn->n_sent += o->p->foreign ? event->n : 0;
        HOLDS(o->p->foreign || o->p->tells_sent);
        break;
    case QH_EVENT_FIRST_BYTES:
        HOLDS(conn->answer_begun);
        break;
    case QH_EVENT_TIMER:
        break;
    case QH_EVENT_WRITABLE:
        HOLDS(false); /* never wanted */
    }
}

#endif

/* receive.c: what a connection receives, and what it waits for. Every receive is towards a destination: heads into the loop's
 * arena, or the connection's own input where more than one answer may come; bodies into their sink. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "turn_internal.h"

#define HEAD_RECEIVE_MAX ((size_t)64 << 10)
#define INPUT_ROOM_MIN ((size_t)16 << 10) /* less room than this: the input is moved down, or grows */
#define BODY_BUDGET ((size_t)1 << 20) /* for one connection in one turn, so that no one starves the rest */

/* ------------------------------------------------------------------------------------------ the input */
static void forget_input(qh_conn *conn)
{
    conn->input_at = conn->input_len = 0;
    if (conn->input && !conn->pipelined) {
        free(conn->input);
        conn->input = NULL;
        conn->input_cap = 0;
    }
}

/* Makes room for `len` bytes behind the input, and a little more. */
static bool make_input_room(qh_conn *conn, size_t len)
{
    if (conn->input_cap - conn->input_len >= len)
        return true;
    if (conn->input_at > 0) {
        conn->input_len -= conn->input_at;
        memmove(conn->input, conn->input + conn->input_at, conn->input_len);
        conn->input_at = 0;
    }
    if (conn->input_cap - conn->input_len < len) {
        size_t cap = conn->input_len + len + (conn->pipelined ? HEAD_RECEIVE_MAX : 1024);
        char *input = realloc(conn->input, cap);
        if (!input)
            return false;
        conn->input = input;
        conn->input_cap = cap;
    }
    return true;
}

static bool append_input(qh_conn *conn, const char *data, size_t len)
{
    if (!make_input_room(conn, len))
        return false;
    if (len > 0) /* else there may be no input at all yet */
        memcpy(conn->input + conn->input_len, data, len);
    conn->input_len += len;
    return true;
}

bool qh_conn_keep(qh_conn *conn, const char *data, size_t len)
{
    if (conn->input && data >= conn->input && data <= conn->input + conn->input_len) {
        conn->input_at = (size_t)(data - conn->input);
        return true;
    }
    conn->input_at = conn->input_len = 0;
    return append_input(conn, data, len);
}

/* ----------------------------------------------------------------------------------------- the phases */
/* The owner is ready again for what the socket has. */
static int rouse(qh_loop *loop, qh_conn *conn)
{
    if (conn->has_more)
        qh_conn_call_again(loop, conn);
    if (!conn->dozing)
        return 0;
    conn->dozing = false;
    return qh_conn_watch(loop, conn);
}

int qh_conn_expect_head(qh_loop *loop, qh_conn *conn, const qh_head_limits *limits)
{
    conn->head_limits = *limits;
    conn->scan = (qh_head_scan){0};
    conn->answer_begun = conn->in_body = false;
    conn->phase = QH_PHASE_HEAD;
    return rouse(loop, conn);
}

int qh_conn_start_body(qh_loop *loop, qh_conn *conn)
{
    forget_input(conn);
    conn->in_body = true;
    conn->phase = QH_PHASE_BODY;
    return rouse(loop, conn);
}

int qh_conn_resume_body(qh_loop *loop, qh_conn *conn)
{
    if (conn->fd < 0) /* closed while somebody looked for room */
        return 0;
    if (!conn->paused) /* there is more in the socket, as a rule */
        qh_list_append(&loop->unfinished, conn, QH_UNFINISHED);
    return qh_conn_start_body(loop, conn);
}

int qh_conn_rest(qh_loop *loop, qh_conn *conn)
{
    conn->pipelined = false;
    forget_input(conn);
    conn->in_body = false;
    conn->phase = QH_PHASE_IDLE;
    return rouse(loop, conn);
}

int qh_conn_pause(qh_loop *loop, qh_conn *conn, bool paused)
{
    conn->paused = paused;
    if (paused)
        qh_list_remove(&loop->unfinished, conn, QH_UNFINISHED);
    else if (conn->phase == QH_PHASE_BODY) /* what is in the socket already would wait for the next packet */
        qh_list_append(&loop->unfinished, conn, QH_UNFINISHED);
    else if (conn->has_more)
        qh_conn_call_again(loop, conn);
    return qh_conn_watch(loop, conn);
}

/* ---------------------------------------------------------------------------------------------- heads */
static void tell_head(qh_loop *loop, qh_conn *conn, char *data, size_t head_len, size_t n)
{
    qh_event *event = qh_ring_add(loop, conn, QH_EVENT_HEAD);
    event->data = data;
    event->head_len = head_len;
    event->n = n;
    conn->answer_begun = true;
    conn->phase = QH_PHASE_TAKEN;
}

/* n bytes of a head stand at `room`: in the arena, or with `in_place` behind the input. */
static void head_bytes_came(qh_loop *loop, qh_conn *conn, char *room, size_t n, bool in_place)
{
    size_t head_len;
    char *data = room;
    conn->last_moved_ns = loop->now_ns;
    conn->n_sent_then = conn->n_sent;
    conn->quiet_turn = loop->n_turns;
    conn->quiet_ns = loop->now_ns;

    if (in_place) {
        conn->input_len += n;
    } else if (conn->input_len > 0 && !append_input(conn, room, n)) { /* the head came in pieces */
        qh_conn_fail(loop, conn, QH_E_RECEIVE, ENOMEM);
        return;
    }
    if (conn->input_len > 0) {
        data = conn->input + conn->input_at;
        n = conn->input_len - conn->input_at;
    }
    qh_status status = qh_head_scan_step(&conn->scan, data, n, &conn->head_limits, &head_len);
    if (status == QH_DONE) {
        if (data == room && !in_place)
            loop->arena_len += n;
        tell_head(loop, conn, data, head_len, n);
        return;
    }
    if (!conn->answer_begun) {
        conn->answer_begun = true;
        qh_ring_add(loop, conn, QH_EVENT_FIRST_BYTES);
    }
    if (status != QH_AGAIN)
        qh_conn_fail(loop, conn, status, 0);
    else if (conn->input_len == 0 && !append_input(conn, room, n))
        qh_conn_fail(loop, conn, QH_E_RECEIVE, ENOMEM);
}

void qh_conn_receive_head(qh_loop *loop, qh_conn *conn)
{
    bool in_place = conn->pipelined; /* what comes will stay longer than this turn */
    if (in_place && !make_input_room(conn, INPUT_ROOM_MIN)) {
        qh_conn_fail(loop, conn, QH_E_RECEIVE, ENOMEM);
        return;
    }
    char *room = in_place ? conn->input + conn->input_len : loop->arena + loop->arena_len;
    size_t len = in_place ? conn->input_cap - conn->input_len : QH_ARENA_CAP - loop->arena_len;
    if (len > HEAD_RECEIVE_MAX)
        len = HEAD_RECEIVE_MAX;
    ssize_t got = recv(conn->fd, room, len, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0)
            qh_conn_fail(loop, conn, QH_E_TRUNCATED, 0);
        else if (!qh_would_block() && errno != EINTR)
            qh_conn_fail(loop, conn, QH_E_RECEIVE, errno);
        return;
    }
    conn->drained = (size_t)got < len;
    head_bytes_came(loop, conn, room, (size_t)got, in_place);
}

qh_status qh_conn_scan_input(qh_conn *conn, size_t *head_len)
{
    if (conn->input_at == conn->input_len)
        return QH_AGAIN;
    conn->answer_begun = true;
    qh_status status = qh_head_scan_step(&conn->scan, conn->input + conn->input_at, conn->input_len - conn->input_at,
                                         &conn->head_limits, head_len);
    if (status != QH_AGAIN)
        conn->phase = QH_PHASE_TAKEN;
    return status;
}

qh_status qh_conn_next_head(qh_loop *loop, qh_conn *conn, const char *data, size_t len, size_t *head_len)
{
    qh_head_scan_next(&conn->scan, conn->scan.position);
    if (!qh_conn_keep(conn, data, len))
        return QH_E_RECEIVE;
    conn->phase = QH_PHASE_HEAD;
    qh_status status = qh_conn_scan_input(conn, head_len);
    if (status == QH_AGAIN && rouse(loop, conn) < 0) /* the owner may hold the rest, and the socket have no more */
        return QH_E_RECEIVE;
    return status;
}

/* ---------------------------------------------------------------------------------------------- bodies */
/* What a receive for the body has come to; n_before: its bytes before that. */
static void body_bytes_came(qh_loop *loop, qh_conn *conn, qh_status status, size_t n_surplus, uint64_t n_before)
{
    qh_body *body = &conn->body;
    conn->quiet_turn = loop->n_turns;
    conn->quiet_ns = loop->now_ns;
    if (status != QH_AGAIN || body->n_received > n_before)
        conn->last_moved_ns = loop->now_ns;

    if (status == QH_DONE && conn->pipelined && !qh_conn_keep(conn, body->surplus, n_surplus)) {
        qh_conn_fail(loop, conn, QH_E_RECEIVE, ENOMEM);
    } else if (status == QH_DONE) {
        qh_ring_add(loop, conn, QH_EVENT_END)->n = n_surplus;
        conn->in_body = false;
        conn->phase = QH_PHASE_TAKEN;
    } else if (qh_is_error(status)) {
        qh_conn_fail(loop, conn, status, status == QH_E_SINK ? body->sink->error : body->error);
    } else if (status == QH_FULL) {
        qh_ring_add(loop, conn, QH_EVENT_FULL);
        conn->phase = QH_PHASE_TAKEN;
    } else {
        if (status == QH_BUDGET)
            qh_list_append(&loop->unfinished, conn, QH_UNFINISHED);
        if (body->n_received > n_before)
            qh_ring_add(loop, conn, QH_EVENT_PROGRESS);
    }
}

void qh_conn_receive_body(qh_loop *loop, qh_conn *conn)
{
    qh_body *body = &conn->body;
    uint64_t n_before = body->n_received;
    size_t n_surplus;
    conn->n_sent_then = conn->n_sent;
    qh_status status = qh_body_receive(body, conn->fd, loop->scratch, BODY_BUDGET, &n_surplus);
    conn->drained = body->drained;
    body_bytes_came(loop, conn, status, n_surplus, n_before);
}

/* ------------------------------------------------------------------- bytes that the owner has received */
void qh_conn_call_again(qh_loop *loop, qh_conn *conn)
{
    if (!conn->paused && conn->phase != QH_PHASE_TAKEN)
        qh_list_append(&loop->unfinished, conn, QH_UNFINISHED);
}

bool qh_conn_room(qh_loop *loop, qh_conn *conn, char **room, size_t *len)
{
    if (conn->phase == QH_PHASE_BODY) {
        *room = qh_body_room(&conn->body, loop->scratch, len);
        return true;
    }
    if (conn->phase != QH_PHASE_HEAD)
        return false;
    if (!make_input_room(conn, INPUT_ROOM_MIN)) {
        qh_conn_fail(loop, conn, QH_E_RECEIVE, ENOMEM);
        return false;
    }
    *room = conn->input + conn->input_len;
    *len = conn->input_cap - conn->input_len;
    return true;
}

void qh_conn_took(qh_loop *loop, qh_conn *conn, size_t n)
{
    if (conn->phase == QH_PHASE_HEAD) {
        head_bytes_came(loop, conn, conn->input + conn->input_len, n, true);
        return;
    }
    size_t len, n_surplus = 0;
    uint64_t n_before = conn->body.n_received;
    char *room = qh_body_room(&conn->body, loop->scratch, &len);
    conn->n_sent_then = conn->n_sent;
    qh_status status = n > 0 ? qh_body_took(&conn->body, room, n, &n_surplus) : QH_FULL;
    body_bytes_came(loop, conn, status, n_surplus, n_before);
}

void qh_conn_end_of_stream(qh_loop *loop, qh_conn *conn, int error)
{
    if (conn->phase == QH_PHASE_IDLE) {
        qh_ring_add(loop, conn, QH_EVENT_IDLE_END);
        conn->phase = QH_PHASE_TAKEN;
    } else if (error == 0 && conn->phase == QH_PHASE_BODY) {
        body_bytes_came(loop, conn, qh_body_end_of_stream(&conn->body), 0, conn->body.n_received);
    } else {
        qh_conn_fail(loop, conn, error ? QH_E_RECEIVE : QH_E_TRUNCATED, error);
    }
}

void qh_conn_tell_stale(qh_loop *loop, qh_conn *conn)
{
    conn->phase = QH_PHASE_TAKEN;
    qh_ring_add(loop, conn, QH_EVENT_STALE);
}

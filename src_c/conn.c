/* conn.c: the connection's part of turn.h: its way into and out of the loop, and what a visit does in each
 * phase. Every receive is towards a destination: heads into the loop's arena, bodies into their sink. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "turn_internal.h"

#define HEAD_RECEIVE_MAX ((size_t)64 << 10)
#define INPUT_ROOM_MIN ((size_t)16 << 10) /* less room than this: the input is moved down, or grows */
#define BODY_BUDGET ((size_t)1 << 20) /* for one connection in one turn, so that no one starves the rest */

static bool would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

/* ------------------------------------------------------------------------------ in and out of the loop */
static uint64_t token(const qh_conn *conn) { return (uint64_t)conn->generation << 32 | conn->slot; }

/* Brings the poller's idea of a connection up to date. */
static int watch(qh_loop *loop, qh_conn *conn)
{
    int flags = conn->paused || conn->dozing ? 0 : QH_READABLE;
    if (conn->phase == QH_PHASE_CONNECTING)
        flags = QH_WRITABLE;
    else if (conn->out_left > 0 && !conn->outbox.listed)
        flags |= QH_WRITABLE; /* the socket took only a part */
    if (flags == conn->interest)
        return 0;
    int result = conn->interest == 0 ? qh_poller_add(&loop->poller, conn->fd, flags, token(conn))
                 : flags == 0        ? qh_poller_remove(&loop->poller, conn->fd)
                                     : qh_poller_change(&loop->poller, conn->fd, flags, token(conn));
    if (result == 0)
        conn->interest = (uint8_t)flags;
    return result;
}

static int add_slots(qh_loop *loop)
{
    uint32_t n = loop->n_slots ? loop->n_slots * 2 : 64;
    qh_conn **conns = realloc(loop->conns, n * sizeof *conns);
    if (conns)
        loop->conns = conns;
    uint32_t *generations = realloc(loop->generations, n * sizeof *generations);
    if (generations)
        loop->generations = generations;
    if (!conns || !generations)
        return -1;
    memset(conns + loop->n_slots, 0, (n - loop->n_slots) * sizeof *conns);
    memset(generations + loop->n_slots, 0, (n - loop->n_slots) * sizeof *generations);
    loop->n_slots = n;
    return 0;
}

int qh_conn_open(qh_loop *loop, qh_conn *conn, int fd, bool connected)
{
    if (loop->n_conns == loop->n_slots && add_slots(loop) < 0)
        return -1;
    uint32_t slot = fd > 0 ? (uint32_t)fd % loop->n_slots : 0; /* descriptors are dense: a hit as a rule */
    while (loop->conns[slot])
        slot = (slot + 1) % loop->n_slots;
    *conn = (qh_conn){.owner = conn->owner,
                      .fd = fd,
                      .slot = slot,
                      .generation = loop->generations[slot],
                      .phase = connected ? QH_PHASE_IDLE : QH_PHASE_CONNECTING,
                      .last_moved_ns = loop->now_ns};
    if (watch(loop, conn) < 0) {
        conn->fd = -1; /* the descriptor stays the caller's */
        return -1;
    }
    loop->conns[slot] = conn;
    loop->n_conns++;
    return 0;
}

void qh_conn_close(qh_loop *loop, qh_conn *conn, bool keep_fd)
{
    qh_list_remove(&loop->outbox, conn, QH_OUTBOX);
    qh_list_remove(&loop->unfinished, conn, QH_UNFINISHED);
    loop->conns[conn->slot] = NULL;
    loop->generations[conn->slot]++;
    loop->n_conns--;
    if (conn->interest) /* closing would not do: a child process may hold the socket, too */
        (void)qh_poller_remove(&loop->poller, conn->fd);
    if (!keep_fd)
        close(conn->fd);
    free(conn->input);
    *conn = (qh_conn){.owner = conn->owner, .fd = -1};
}

static void give_output(qh_loop *loop, qh_conn *conn, const char *data, size_t len)
{
    conn->out = data;
    conn->out_left = len;
    qh_list_append(&loop->outbox, conn, QH_OUTBOX);
}

void qh_conn_send(qh_loop *loop, qh_conn *conn, const char *data, size_t len, bool check)
{
    conn->check_before_send = check && !(conn->drained && conn->quiet_turn == loop->n_turns);
    conn->request_end = conn->n_sent + len;
    give_output(loop, conn, data, len);
}

void qh_conn_send_later(qh_loop *loop, qh_conn *conn, const char *data, size_t len)
{
    give_output(loop, conn, data, len);
}

int qh_conn_stop_sending(qh_loop *loop, qh_conn *conn)
{
    conn->out_left = 0;
    qh_list_remove(&loop->outbox, conn, QH_OUTBOX);
    return watch(loop, conn);
}

/* The owner is ready again for what the socket has. */
static int rouse(qh_loop *loop, qh_conn *conn)
{
    if (!conn->dozing)
        return 0;
    conn->dozing = false;
    return watch(loop, conn);
}

static void forget_input(qh_conn *conn)
{
    conn->input_at = conn->input_len = 0;
    if (conn->input && !conn->pipelined) {
        free(conn->input);
        conn->input = NULL;
        conn->input_cap = 0;
    }
}

int qh_conn_expect_head(qh_loop *loop, qh_conn *conn, const qh_head_limits *limits)
{
    conn->head_limits = *limits;
    conn->scan = (qh_head_scan){0};
    conn->answer_begun = false;
    conn->phase = QH_PHASE_HEAD;
    return rouse(loop, conn);
}

int qh_conn_start_body(qh_loop *loop, qh_conn *conn)
{
    forget_input(conn);
    conn->phase = QH_PHASE_BODY;
    return rouse(loop, conn);
}

int qh_conn_resume_body(qh_loop *loop, qh_conn *conn)
{
    if (!conn->paused) /* there is more in the socket, as a rule */
        qh_list_append(&loop->unfinished, conn, QH_UNFINISHED);
    return qh_conn_start_body(loop, conn);
}

int qh_conn_rest(qh_loop *loop, qh_conn *conn)
{
    conn->pipelined = false;
    forget_input(conn);
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
    return watch(loop, conn);
}

/* ------------------------------------------------------------------------------------------ sending */
static void fail(qh_loop *loop, qh_conn *conn, qh_status status, int error)
{
    qh_event *event = qh_ring_add(loop, conn, QH_EVENT_FAILED);
    event->status = status;
    event->error = error;
    conn->phase = QH_PHASE_TAKEN;
}

/* Whether nothing can be received: an idle connection that has something to say is not fit for use. */
static bool is_silent(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && would_block();
}

void qh_conn_flush(qh_loop *loop, qh_conn *conn)
{
    if (conn->check_before_send) {
        conn->check_before_send = false;
        if (!is_silent(conn->fd)) {
            conn->out_left = 0;
            conn->phase = QH_PHASE_TAKEN;
            qh_ring_add(loop, conn, QH_EVENT_STALE);
            return;
        }
    }
    ssize_t n;
    do
        n = send(conn->fd, conn->out, conn->out_left, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && !would_block()) {
        /* An early answer may lie in the socket all the same: it is read first, and then tells more. */
        int error = errno;
        bool is_later = conn->n_sent >= conn->request_end; /* the answer under way may be whole all the same */
        conn->out_left = 0;
        if (!is_later && (is_silent(conn->fd) || conn->phase == QH_PHASE_TAKEN))
            fail(loop, conn, QH_E_SEND, error);
        (void)watch(loop, conn);
        return;
    }
    if (n > 0) {
        conn->out += n;
        conn->out_left -= (size_t)n;
        conn->n_sent += (size_t)n;
        conn->last_moved_ns = loop->now_ns;
        if (conn->tells_sent)
            qh_ring_add(loop, conn, QH_EVENT_SENT)->n = (size_t)n;
    }
    if (watch(loop, conn) < 0)
        fail(loop, conn, QH_E_SEND, errno);
}

/* ---------------------------------------------------------------------------------------- receiving */
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

static void tell_head(qh_loop *loop, qh_conn *conn, char *data, size_t head_len, size_t n)
{
    qh_event *event = qh_ring_add(loop, conn, QH_EVENT_HEAD);
    event->data = data;
    event->head_len = head_len;
    event->n = n;
    conn->answer_begun = true;
    conn->phase = QH_PHASE_TAKEN;
}

static void receive_head(qh_loop *loop, qh_conn *conn)
{
    bool in_place = conn->pipelined; /* what comes will stay longer than this turn */
    if (in_place && !make_input_room(conn, INPUT_ROOM_MIN)) {
        fail(loop, conn, QH_E_RECEIVE, ENOMEM);
        return;
    }
    char *room = in_place ? conn->input + conn->input_len : loop->arena + loop->arena_len;
    size_t len = in_place ? conn->input_cap - conn->input_len : QH_ARENA_CAP - loop->arena_len;
    if (len > HEAD_RECEIVE_MAX)
        len = HEAD_RECEIVE_MAX;
    ssize_t got = recv(conn->fd, room, len, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0)
            fail(loop, conn, QH_E_TRUNCATED, 0);
        else if (!would_block() && errno != EINTR)
            fail(loop, conn, QH_E_RECEIVE, errno);
        return;
    }
    size_t n = (size_t)got, head_len;
    conn->last_moved_ns = loop->now_ns;
    conn->drained = n < len;
    conn->quiet_turn = loop->n_turns;

    char *data = room;
    if (in_place) {
        conn->input_len += n;
    } else if (conn->input_len > 0 && !append_input(conn, room, n)) { /* the head came in pieces */
        fail(loop, conn, QH_E_RECEIVE, ENOMEM);
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
        fail(loop, conn, status, 0);
    else if (conn->input_len == 0 && !append_input(conn, room, n))
        fail(loop, conn, QH_E_RECEIVE, ENOMEM);
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

qh_status qh_conn_next_head(qh_conn *conn, const char *data, size_t len, size_t *head_len)
{
    qh_head_scan_next(&conn->scan, conn->scan.position);
    if (!qh_conn_keep(conn, data, len))
        return QH_E_RECEIVE;
    conn->phase = QH_PHASE_HEAD;
    return qh_conn_scan_input(conn, head_len);
}

static void receive_body(qh_loop *loop, qh_conn *conn)
{
    qh_body *body = &conn->body;
    uint64_t before = body->n_received;
    size_t n_surplus;
    qh_status status = qh_body_receive(body, conn->fd, loop->scratch, BODY_BUDGET, &n_surplus);
    conn->drained = body->drained;
    conn->quiet_turn = loop->n_turns;
    if (status != QH_AGAIN)
        conn->last_moved_ns = loop->now_ns;

    if (status == QH_DONE && conn->pipelined && !qh_conn_keep(conn, body->surplus, n_surplus)) {
        fail(loop, conn, QH_E_RECEIVE, ENOMEM);
    } else if (status == QH_DONE) {
        qh_ring_add(loop, conn, QH_EVENT_END)->n = n_surplus;
        conn->phase = QH_PHASE_TAKEN;
    } else if (qh_is_error(status)) {
        fail(loop, conn, status, status == QH_E_SINK ? body->sink->error : body->error);
    } else if (status == QH_FULL) {
        qh_ring_add(loop, conn, QH_EVENT_FULL);
        conn->phase = QH_PHASE_TAKEN;
    } else {
        if (status == QH_BUDGET)
            qh_list_append(&loop->unfinished, conn, QH_UNFINISHED);
        if (body->n_received > before) {
            conn->last_moved_ns = loop->now_ns;
            qh_ring_add(loop, conn, QH_EVENT_PROGRESS);
        }
    }
}

void qh_conn_visit(qh_loop *loop, qh_conn *conn, int flags)
{
    if (conn->phase == QH_PHASE_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
            error = errno;
        conn->phase = QH_PHASE_IDLE;
        conn->last_moved_ns = loop->now_ns;
        if (error == 0 && watch(loop, conn) < 0)
            error = errno;
        if (error != 0)
            conn->phase = QH_PHASE_TAKEN; /* nothing more will come of it */
        qh_ring_add(loop, conn, QH_EVENT_CONNECTED)->error = error;
        return;
    }
    if (flags & QH_WRITABLE && conn->out_left > 0 && !conn->outbox.listed)
        qh_conn_flush(loop, conn);
    if (!(flags & QH_READABLE) || conn->paused)
        return;
    if (conn->phase == QH_PHASE_HEAD) {
        receive_head(loop, conn);
    } else if (conn->phase == QH_PHASE_BODY) {
        receive_body(loop, conn);
    } else if (conn->phase == QH_PHASE_IDLE) {
        char byte;
        ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && would_block())
            return;
        qh_ring_add(loop, conn, QH_EVENT_IDLE_END)->n = n > 0;
        conn->phase = QH_PHASE_TAKEN;
    } else {
        conn->dozing = true;
        (void)watch(loop, conn); /* else the next turn finds it readable, and tries again */
    }
}

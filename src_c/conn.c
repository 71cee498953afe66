/* conn.c: the connection's part of turn.h, but for receiving (receive.c): its way into and out of the loop, what the poller
 * has to know of it, sending, and the visit. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "turn_internal.h"

/* ------------------------------------------------------------------------------ in and out of the loop */
static uint64_t token(const qh_conn *conn) { return (uint64_t)conn->generation << 32 | conn->slot; }

static bool has_output(const qh_conn *conn) { return conn->out_left > 0 || conn->file_left > 0; }

int qh_conn_watch(qh_loop *loop, qh_conn *conn)
{
    int flags = conn->paused || conn->dozing ? 0 : QH_READABLE;
    if (conn->phase == QH_PHASE_CONNECTING)
        flags = QH_WRITABLE;
    else if ((has_output(conn) && !conn->outbox.listed) || conn->wants_room)
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
    if (qh_conn_watch(loop, conn) < 0) {
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
    if (conn->cannot_send)
        return;
    conn->out = data;
    conn->out_left = len;
    qh_list_append(&loop->outbox, conn, QH_OUTBOX);
}

void qh_conn_send(qh_loop *loop, qh_conn *conn, const char *data, size_t len, bool check)
{
    bool was_quiet = conn->drained && conn->quiet_turn == loop->n_turns;
    conn->check_before_send = check && !was_quiet;
    conn->check_if_late = check && was_quiet;
    conn->request_end = conn->n_sent + len;
    give_output(loop, conn, data, len);
}

void qh_conn_send_file(qh_loop *loop, qh_conn *conn, int file, uint64_t offset, uint64_t len)
{
    if (conn->cannot_send)
        return;
    conn->file = file;
    conn->file_at = offset;
    conn->file_left = len;
    conn->request_end = conn->n_sent + conn->out_left + len;
    qh_list_append(&loop->outbox, conn, QH_OUTBOX);
}

void qh_conn_send_later(qh_loop *loop, qh_conn *conn, const char *data, size_t len)
{
    give_output(loop, conn, data, len);
}

int qh_conn_stop_sending(qh_loop *loop, qh_conn *conn)
{
    conn->out_left = 0;
    conn->file_left = 0;
    qh_list_remove(&loop->outbox, conn, QH_OUTBOX);
    return qh_conn_watch(loop, conn);
}

/* ------------------------------------------------------------------------------------------ sending */
#define FILE_BUDGET ((size_t)1 << 20)
#define QUIET_NS 1000000u /* a socket that was empty so long ago need not be looked at: no more comes in between than after */

void qh_conn_fail(qh_loop *loop, qh_conn *conn, qh_status status, int error)
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
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && qh_would_block();
}

/* So much at once that the visit is worth it; the position in the file is ours, not the file's. sendfile has no MSG_NOSIGNAL:
 * the SIGPIPE that it raises in this thread is taken back, one that was waiting already is not ours. */
static ssize_t write_file(qh_conn *conn)
{
    off_t at = (off_t)conn->file_at;
    sigset_t pipes, before, waiting;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipes, &before);
    bool was_waiting = sigismember(&before, SIGPIPE) && sigpending(&waiting) == 0 && sigismember(&waiting, SIGPIPE);
    ssize_t n = sendfile(conn->fd, conn->file, &at, conn->file_left < FILE_BUDGET ? (size_t)conn->file_left : FILE_BUDGET);
    int error = errno;
    if (n < 0 && error == EPIPE && !was_waiting)
        (void)sigtimedwait(&pipes, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    conn->file_at = (uint64_t)at;
    errno = error;
    return n;
}

/* Whether an errno of sendfile is about the file, not the socket. */
static bool is_of_file(int error)
{
    return error == EIO || error == EINVAL || error == EBADF || error == EOVERFLOW || error == ESPIPE || error == ESTALE;
}

void qh_conn_flush(qh_loop *loop, qh_conn *conn)
{
    bool is_late = conn->check_if_late && loop->now_ns - conn->quiet_ns > QUIET_NS;
    conn->check_if_late = false;
    if (conn->check_before_send || is_late) {
        conn->check_before_send = false;
        if (!is_silent(conn->fd)) {
            conn->out_left = 0;
            conn->phase = QH_PHASE_TAKEN;
            qh_ring_add(loop, conn, QH_EVENT_STALE);
            return;
        }
    }
    ssize_t n;
    bool is_file = conn->out_left == 0 && conn->file_left > 0;
    do
        n = is_file ? write_file(conn) : send(conn->fd, conn->out, conn->out_left, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (is_file && (n == 0 || (n < 0 && is_of_file(errno)))) { /* it became shorter, or cannot be read */
        conn->file_left = 0;
        qh_conn_fail(loop, conn, QH_E_SOURCE, n < 0 ? errno : 0);
        (void)qh_conn_watch(loop, conn);
        return;
    }
    if (n < 0 && !qh_would_block()) {
        /* An early answer may lie in the socket all the same: it is read first, and then tells more. */
        int error = errno;
        /* The answer under way may be whole all the same, where this belongs to a later one, or it came early. */
        bool is_later = conn->n_sent >= conn->request_end || conn->in_body;
        conn->cannot_send = true;
        conn->out_left = 0;
        conn->file_left = 0;
        if (!is_later && (is_silent(conn->fd) || conn->phase == QH_PHASE_TAKEN))
            qh_conn_fail(loop, conn, QH_E_SEND, error);
        (void)qh_conn_watch(loop, conn);
        return;
    }
    if (n > 0) {
        if (is_file) { /* sendfile has moved file_at */
            conn->file_left -= (uint64_t)n;
        } else {
            conn->out += n;
            conn->out_left -= (size_t)n;
        }
        conn->last_moved_ns = loop->now_ns;
        if (!conn->foreign)
            conn->n_sent += (size_t)n;
        if (conn->foreign ? conn->out_left == 0 : conn->tells_sent)
            qh_ring_add(loop, conn, QH_EVENT_SENT)->n = (size_t)n;
    }
    if (qh_conn_watch(loop, conn) < 0)
        qh_conn_fail(loop, conn, QH_E_SEND, errno);
}

/* ------------------------------------------------------------------------------------------- the visit */
void qh_conn_visit(qh_loop *loop, qh_conn *conn, int flags)
{
    if (conn->phase == QH_PHASE_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
            error = errno;
        conn->phase = QH_PHASE_IDLE;
        conn->last_moved_ns = loop->now_ns;
        if (error == 0 && qh_conn_watch(loop, conn) < 0)
            error = errno;
        if (error != 0)
            conn->phase = QH_PHASE_TAKEN; /* nothing more will come of it */
        qh_ring_add(loop, conn, QH_EVENT_CONNECTED)->error = error;
        return;
    }
    if (flags & QH_WRITABLE && has_output(conn) && !conn->outbox.listed)
        qh_conn_flush(loop, conn);
    if (flags & QH_WRITABLE && conn->wants_room)
        qh_ring_add(loop, conn, QH_EVENT_WRITABLE);
    if (!(flags & QH_READABLE) || conn->paused)
        return;
    if (conn->foreign && conn->phase != QH_PHASE_TAKEN) {
        conn->quiet_turn = loop->n_turns;
        qh_ring_add(loop, conn, QH_EVENT_READABLE);
        loop->n_owed += QH_EVENTS_OWED;
    } else if (conn->phase == QH_PHASE_HEAD) {
        qh_conn_receive_head(loop, conn);
    } else if (conn->phase == QH_PHASE_BODY) {
        qh_conn_receive_body(loop, conn);
    } else if (conn->phase == QH_PHASE_IDLE) {
        char byte;
        ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && qh_would_block())
            return;
        qh_ring_add(loop, conn, QH_EVENT_IDLE_END)->n = n > 0;
        conn->phase = QH_PHASE_TAKEN;
    } else {
        conn->dozing = true;
        (void)qh_conn_watch(loop, conn); /* else the next turn finds it readable, and tries again */
    }
}

/* turn.c: the loop's part of turn.h: what it owns, its ring of events, and the turn itself. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "turn_internal.h"

enum {
    READY_CAP = 256,
    DIRECT_MAX = 16,  /* turns in a row without the poller: timers and other descriptors have to have their say */
    MISSES_MAX = 4,
    RETRY_AFTER = 64, /* then one time in so many */
};
#define ARENA_MIN ((size_t)16 << 10) /* less room than this: the turn ends, the ring is emptied first */
#define SCRATCH_CAP ((size_t)1 << 20)

uint64_t qh_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int qh_loop_open(qh_loop *loop)
{
    *loop = (qh_loop){0};
    if (qh_poller_open(&loop->poller) < 0)
        return -1;
    loop->ring = malloc(QH_RING_CAP * sizeof *loop->ring);
    loop->arena = malloc(QH_ARENA_CAP);
    loop->scratch = (qh_scratch){malloc(SCRATCH_CAP), SCRATCH_CAP};
    if (loop->ring && loop->arena && loop->scratch.memory) {
        loop->now_ns = qh_monotonic_ns();
        return 0;
    }
    qh_loop_close(loop);
    errno = ENOMEM;
    return -1;
}

void qh_loop_abandon(qh_loop *loop)
{
    qh_poller_close(&loop->poller);
    loop->ring_len = 0; /* what has happened is the parent's to tell */
}

void qh_loop_close(qh_loop *loop)
{
    qh_poller_close(&loop->poller);
    free(loop->ring);
    free(loop->arena);
    free(loop->scratch.memory);
    free(loop->conns);
    free(loop->generations);
    *loop = (qh_loop){.poller = {-1, -1, -1}};
}

bool qh_loop_next_event(qh_loop *loop, qh_event *event)
{
    if (loop->ring_len == 0)
        return false;
    *event = loop->ring[loop->ring_first];
    loop->ring_first = (loop->ring_first + 1) % QH_RING_CAP;
    loop->ring_len--;
    return true;
}

qh_conn *qh_loop_conn(const qh_loop *loop, uint32_t slot, uint32_t generation)
{
    return slot < loop->n_slots && loop->generations[slot] == generation ? loop->conns[slot] : NULL;
}

/* Where one connection is all there is and it is known to have more, or has just been asked, it is visited at once: with
 * luck the poller need not be asked. Without luck that is a system call in vain, so a run of misses makes us try less often. */
static bool visit_directly(qh_loop *loop)
{
    qh_conn *asked = loop->last_sent, *conn = loop->unfinished.first ? loop->unfinished.first : asked;
    if (!conn || loop->n_conns != 1 || loop->n_direct >= DIRECT_MAX)
        return false;
    if (conn == loop->unfinished.first)
        qh_list_remove(&loop->unfinished, conn, QH_UNFINISHED);
    else if (conn->phase != QH_PHASE_HEAD || conn->foreign || (loop->n_missed >= MISSES_MAX && ++loop->n_missed % RETRY_AFTER != 0))
        return false;
    loop->now_ns = qh_monotonic_ns();
    qh_conn_visit(loop, conn, QH_READABLE);
    if (conn == asked)
        loop->n_missed = loop->ring_len > 0 ? 0 : loop->n_missed + 1;
    return loop->ring_len > 0;
}

static void flush_outbox(qh_loop *loop)
{
    qh_conn *conn;
    if (loop->outbox.first)
        loop->now_ns = qh_monotonic_ns(); /* slots may have taken their time */
    while (qh_ring_has_room(loop) && (conn = loop->outbox.first)) {
        qh_list_remove(&loop->outbox, conn, QH_OUTBOX);
        qh_conn_flush(loop, conn);
        loop->last_sent = conn;
    }
}

int qh_turn(qh_loop *loop, int timeout_ms)
{
    loop->n_turns++;
    loop->arena_len = 0;
    loop->n_owed = 0;
    loop->last_sent = NULL;
    flush_outbox(loop);
    if (loop->ring_len > 0 && (loop->n_direct < DIRECT_MAX || !qh_ring_has_room(loop))) {
        loop->n_direct++; /* what was sent is told before anybody waits for answers, but not for ever */
        return 0;
    }
    if (timeout_ms != 0 && visit_directly(loop)) {
        loop->n_direct++;
        return 0;
    }
    loop->n_direct = 0;

    qh_ready ready[READY_CAP];
    uint32_t n_free = (QH_RING_CAP - loop->ring_len) / QH_EVENTS_PER_VISIT;
    int n = qh_poller_wait(&loop->poller, ready, n_free < READY_CAP ? (int)n_free : READY_CAP,
                           loop->unfinished.first || loop->ring_len > 0 ? 0 : timeout_ms);
    if (n < 0)
        return -1;
    loop->now_ns = qh_monotonic_ns();
    for (int i = 0; i < n; i++) {
        if (ready[i].token == QH_TOKEN_TIMER) {
            qh_ring_add(loop, NULL, QH_EVENT_TIMER);
            continue;
        }
        if (ready[i].token == QH_TOKEN_WAKE)
            continue;
        qh_conn *conn = qh_loop_conn(loop, (uint32_t)ready[i].token, (uint32_t)(ready[i].token >> 32));
        if (!conn || !qh_ring_has_room(loop) || QH_ARENA_CAP - loop->arena_len < ARENA_MIN) /* reported again next turn */
            continue;
        int also = conn->unfinished.listed ? QH_READABLE : 0; /* its owner may hold bytes that the poller knows nothing of */
        qh_list_remove(&loop->unfinished, conn, QH_UNFINISHED);
        qh_conn_visit(loop, conn, ready[i].flags | also);
    }
    /* The poller reports those stopped by their budget, too, unless it had too many others: nobody waits. */
    qh_conn *conn;
    for (uint32_t i = loop->n_conns; i > 0 && qh_ring_has_room(loop) && (conn = loop->unfinished.first); i--) {
        if (conn->quiet_turn == loop->n_turns || QH_ARENA_CAP - loop->arena_len < ARENA_MIN)
            break; /* served in this turn already, or no room to serve it */
        qh_list_remove(&loop->unfinished, conn, QH_UNFINISHED);
        qh_conn_visit(loop, conn, QH_READABLE);
    }
    return 0;
}

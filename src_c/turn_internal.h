/* turn_internal.h: what conn.c, receive.c and turn.c share and nobody else sees: the intrusive lists of connections,
 * the writing end of the ring, and the visit that a turn pays to a connection. */
#ifndef QH_TURN_INTERNAL_H
#define QH_TURN_INTERNAL_H

#include <errno.h>

#include "turn.h"

enum {
    QH_RING_CAP = 1024,
    QH_EVENTS_PER_VISIT = 3, /* the most one visit to a connection adds */
    QH_EVENTS_OWED = 2,      /* the owner of a foreign connection may make so many more out of READABLE, beside its place */
};
#define QH_ARENA_CAP ((size_t)1 << 20)

/* The lists of a loop, named by where a connection keeps its link. It stands in each at most once. */
#define QH_OUTBOX offsetof(qh_conn, outbox)
#define QH_UNFINISHED offsetof(qh_conn, unfinished)

static inline qh_link *qh_list_link(qh_conn *conn, size_t which) { return (qh_link *)((char *)conn + which); }

static inline void qh_list_append(qh_list *list, qh_conn *conn, size_t which)
{
    qh_link *link = qh_list_link(conn, which);
    if (link->listed)
        return;
    *link = (qh_link){.previous = list->last, .listed = true};
    if (list->last)
        qh_list_link(list->last, which)->next = conn;
    else
        list->first = conn;
    list->last = conn;
}

static inline void qh_list_remove(qh_list *list, qh_conn *conn, size_t which)
{
    qh_link *link = qh_list_link(conn, which);
    if (!link->listed)
        return;
    if (link->previous)
        qh_list_link(link->previous, which)->next = link->next;
    else
        list->first = link->next;
    if (link->next)
        qh_list_link(link->next, which)->previous = link->previous;
    else
        list->last = link->previous;
    *link = (qh_link){0};
}

/* For one visit, what owners may still add, and the timer. */
static inline bool qh_ring_has_room(const qh_loop *loop)
{
    return loop->ring_len + loop->n_owed + QH_EVENTS_PER_VISIT + 1 <= QH_RING_CAP;
}

/* Adds an event about `conn` (NULL: about the loop) to a ring that has room. */
static inline qh_event *qh_ring_add(qh_loop *loop, const qh_conn *conn, qh_event_kind kind)
{
    qh_event *event = &loop->ring[(loop->ring_first + loop->ring_len++) % QH_RING_CAP];
    *event = (qh_event){.kind = kind};
    if (conn) {
        event->slot = conn->slot;
        event->generation = conn->generation;
    }
    return event;
}

static inline bool qh_would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

/* Tells that a connection is of no more use. */
void qh_conn_fail(qh_loop *loop, qh_conn *conn, qh_status status, int error);
/* The poller says that there is something to receive: in phase HEAD, in phase BODY. */
void qh_conn_receive_head(qh_loop *loop, qh_conn *conn);
void qh_conn_receive_body(qh_loop *loop, qh_conn *conn);
/* Writes as much of the output as the socket takes now. */
void qh_conn_flush(qh_loop *loop, qh_conn *conn);
/* Does what a connection waits for, now that the poller says these flags. */
void qh_conn_visit(qh_loop *loop, qh_conn *conn, int flags);

#endif

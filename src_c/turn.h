/* turn.h: one turn of the loop, all in C: send what waits, poll, receive, find heads, decode bodies on
 * everything that is ready, and note what somebody must know in a bounded ring of events.
 *
 * A connection's life as seen from here:
 *
 *   CONNECTING --connected--> IDLE --qh_conn_expect_head--> HEAD --(HEAD event)--> TAKEN
 *                              ^                              ^                      |
 *                              |                              |  qh_conn_next_head   |
 *                              |                              +---(interim answer)---+
 *                              |                                                     | qh_conn_start_body
 *                              +----------- qh_conn_rest <---- TAKEN <--(END)----- BODY
 *
 * Sending goes on beside all of these. In IDLE a readable socket is news by itself: the peer has closed or
 * sent what nobody asked for. In TAKEN the owner has the word and nothing is read; where that lasts and bytes
 * come, the connection dozes: it leaves the poll set until the owner has decided.
 *
 * A foreign connection's bytes are moved by its owner (TLS, a socket of the user's): the loop only tells when the socket is
 * readable, and the owner brings what it has read (qh_conn_room, qh_conn_took). From there on all goes the same way.
 *
 * A pipelined connection has more than one answer to come. What was received behind an answer is kept in its
 * input then, and qh_conn_scan_input finds the next head there, without a turn. */
#ifndef QH_TURN_H
#define QH_TURN_H

#include <stddef.h>
#include <stdint.h>

#include "body.h"
#include "head_scan.h"
#include "poller.h"

typedef enum qh_phase {
    QH_PHASE_CONNECTING, /* waits for the socket to become writable */
    QH_PHASE_IDLE,       /* connected; nothing may come */
    QH_PHASE_HEAD,       /* waits for the rest of a head */
    QH_PHASE_TAKEN,      /* an event is with the owner; nothing is read until it has decided */
    QH_PHASE_BODY,       /* receives a body */
} qh_phase;

typedef enum qh_event_kind {
    QH_EVENT_CONNECTED,   /* or not: `error` is the errno, 0 for success */
    QH_EVENT_SENT,        /* `n` bytes of the output given last were written; out_left tells the rest (tells_sent only);
                             foreign: all of the output was */
    QH_EVENT_STALE,       /* an idle connection turned out closed or unasked-for bytes lie in it: not sent */
    QH_EVENT_FIRST_BYTES, /* the answer has begun, its head is not whole yet */
    QH_EVENT_HEAD,        /* a head of `head_len` bytes at `data`, `n` bytes in all: the rest is what follows it */
    QH_EVENT_PROGRESS,    /* body bytes have come */
    QH_EVENT_FULL,        /* the sink needs more room */
    QH_EVENT_END,         /* the body is whole; `n` surplus bytes came behind it */
    QH_EVENT_FAILED,      /* `status` and `error` tell why */
    QH_EVENT_IDLE_END,    /* in IDLE: the peer closed (n 0) or sent bytes unasked (n 1) */
    QH_EVENT_TIMER,       /* the loop's timer went off */
    QH_EVENT_READABLE,    /* foreign: the owner may read */
    QH_EVENT_WRITABLE,    /* foreign, wants_room: the owner may write */
} qh_event_kind;

typedef struct qh_event {
    uint32_t slot, generation; /* of the connection; a stale pair belongs to one that is gone */
    qh_event_kind kind;
    qh_status status;
    int error;
    char *data; /* valid until the connection's next call, and at most until the ring is empty again */
    size_t head_len;
    size_t n;
} qh_event;

struct qh_conn;
typedef struct qh_list {
    struct qh_conn *first, *last;
} qh_list;
typedef struct qh_link {
    struct qh_conn *previous, *next;
    bool listed;
} qh_link;

typedef struct qh_conn {
    void *owner; /* the owner's own: nothing here looks at it */
    int fd;
    uint32_t slot, generation;
    qh_phase phase;
    uint8_t interest;       /* flags the poller has now; 0: not in its set */
    bool paused;            /* by the owner: leaves the poll set */
    bool foreign;           /* the owner moves the bytes */
    bool has_more;          /* foreign: the owner holds bytes that no poller knows of */
    bool wants_room;        /* foreign: the owner waits for a WRITABLE event */
    bool dozing;            /* bytes have come that the owner is not ready for: out of the poll set until it is */
    bool in_body;           /* a body is being received, though its sink may be full now (TAKEN) */
    bool answer_begun;      /* FIRST_BYTES or HEAD was told for this exchange */
    bool drained;           /* the last receive emptied the socket, in turn `quiet_turn`, at `quiet_ns` */
    uint64_t quiet_turn, quiet_ns;
    uint64_t last_moved_ns; /* CLOCK_MONOTONIC of the last byte sent or received, connect included */
    const char *out;        /* borrowed: the owner keeps it until out_left is 0 */
    size_t out_left;
    bool check_before_send, check_if_late; /* always; only if that receive was not just now */
    bool tells_sent;        /* the owner wants SENT events */
    bool cannot_send;       /* that has failed: what came now would stand behind a gap, and pass for what is missing */
    int file;               /* where file_left bytes of output come from, after `out`: a descriptor, borrowed */
    uint64_t file_at, file_left;
    uint64_t n_sent;        /* bytes written in all; foreign: the owner's count */
    uint64_t n_sent_then;   /* n_sent at the last receive: what came behind an answer can answer only what was out by then */
    uint64_t request_end;   /* n_sent when the request under way is written whole; what follows belongs to later ones */
    bool pipelined;         /* what comes behind an answer is kept: another one's */
    char *input;            /* received and not used up: a head in pieces, later answers; NULL: never needed */
    size_t input_at, input_len, input_cap; /* input[input_at .. input_len) */
    qh_head_scan scan;
    qh_head_limits head_limits;
    qh_body body;
    qh_link outbox, unfinished;
} qh_conn;

typedef struct qh_loop {
    qh_poller poller;
    qh_conn **conns; /* by slot */
    uint32_t *generations;
    uint32_t n_slots, n_conns;
    uint64_t n_turns;
    uint64_t now_ns;
    struct qh_conn *last_sent; /* in this turn */
    uint32_t n_direct;  /* turns in a row that did without the poller */
    uint32_t n_missed;  /* answers in a row that were not there yet when looked for at once */
    qh_list outbox;     /* connections with output to write */
    qh_list unfinished; /* stopped by their budget: ready without the poller's word */
    qh_event *ring;     /* events[ring_first .. ring_first + ring_len) are waiting */
    uint32_t ring_first, ring_len;
    uint32_t n_owed; /* room kept in the ring for what owners of foreign connections make of their events */
    char *arena; /* what was received in search of heads, until the ring is empty */
    size_t arena_len;
    qh_scratch scratch;
} qh_loop;

uint64_t qh_monotonic_ns(void);
/* Each int function returns 0, or -1 with errno set. */
int qh_loop_open(qh_loop *loop);
void qh_loop_close(qh_loop *loop);
/* In a forked child: lets go of the epoll set, which is the parent's too, without changing it. */
void qh_loop_abandon(qh_loop *loop);

/* Takes a connecting (or connected) non-blocking socket over into the loop. `conn` belongs to the caller
 * and must stay where it is until qh_conn_close, which closes the socket unless `keep_fd`. */
int qh_conn_open(qh_loop *loop, qh_conn *conn, int fd, bool connected);
void qh_conn_close(qh_loop *loop, qh_conn *conn, bool keep_fd);

/* Output to write in the next turn, once connected. With `check`, an idle connection is looked at first (STALE). */
void qh_conn_send(qh_loop *loop, qh_conn *conn, const char *data, size_t len, bool check);
/* Output straight out of a file, from an offset on; it must be a regular one that the kernel can send from. */
void qh_conn_send_file(qh_loop *loop, qh_conn *conn, int file, uint64_t offset, uint64_t len);
/* Output that belongs to later requests: `data` begins with what of the output is not written yet, and takes its place. */
void qh_conn_send_later(qh_loop *loop, qh_conn *conn, const char *data, size_t len);
/* Forgets what of the output is not written yet: the answer came first. */
int qh_conn_stop_sending(qh_loop *loop, qh_conn *conn);
int qh_conn_expect_head(qh_loop *loop, qh_conn *conn, const qh_head_limits *limits);
/* Keeps data[0..len), which the last event told of, for later answers; false: no memory. */
bool qh_conn_keep(qh_conn *conn, const char *data, size_t len);
/* Looks for the expected head in what was kept. QH_DONE with *head_len: it begins at input[input_at]. QH_AGAIN: the
 * rest of it, or all, is still to come. Else an error. */
qh_status qh_conn_scan_input(qh_conn *conn, size_t *head_len);
/* The interim head of the last HEAD event is done with: goes on with the `len` bytes behind it, as qh_conn_scan_input. */
qh_status qh_conn_next_head(qh_loop *loop, qh_conn *conn, const char *data, size_t len, size_t *head_len);
/* The body set up in conn->body is to be received; nothing is kept any more. */
int qh_conn_start_body(qh_loop *loop, qh_conn *conn);
/* After FULL: the sink has room again. */
int qh_conn_resume_body(qh_loop *loop, qh_conn *conn);
/* The exchange is over, the connection may be used again. */
int qh_conn_rest(qh_loop *loop, qh_conn *conn);
int qh_conn_pause(qh_loop *loop, qh_conn *conn, bool paused);

/* -- what the owner of a foreign connection calls. Those from qh_conn_room on may add events to the ring, which keeps room for three
 * of a READABLE event's owner and for one of any other's. */
/* Brings the poll set up to date after wants_room was changed. */
int qh_conn_watch(qh_loop *loop, qh_conn *conn);
/* Has READABLE told in the next turn, whatever the poller says. */
void qh_conn_call_again(qh_loop *loop, qh_conn *conn);
/* Where bytes of the head or body that is waited for should go: *len bytes at *room, 0 where the sink is full; false: nothing is
 * waited for. Good until the next call. */
bool qh_conn_room(qh_loop *loop, qh_conn *conn, char **room, size_t *len);
/* That room now holds n bytes; 0 where it was none: the sink is asked for more (FULL). */
void qh_conn_took(qh_loop *loop, qh_conn *conn, size_t n);
/* The stream is at its end; `error` is the errno of a broken one. */
void qh_conn_end_of_stream(qh_loop *loop, qh_conn *conn, int error);
/* The connection turned out stale before anything was sent on it. */
void qh_conn_tell_stale(qh_loop *loop, qh_conn *conn);

/* One turn. Waits up to timeout_ms only where nothing else is to do. Events are then in the ring; -1 with
 * errno where polling failed (EINTR among them). The ring must be empty. */
int qh_turn(qh_loop *loop, int timeout_ms);

/* Takes the next event out of the ring; false where there is none. */
bool qh_loop_next_event(qh_loop *loop, qh_event *event);
/* The connection an event is about, or NULL where that is gone. */
qh_conn *qh_loop_conn(const qh_loop *loop, uint32_t slot, uint32_t generation);

#endif

/* body.h: one body, two entries, one state. `qh_body_receive` reads a socket towards the destination;
 * `qh_body_feed` takes bytes that are here already (behind a head, out of TLS, from a foreign socket).
 * Both may be mixed at any byte. */
#ifndef QH_BODY_H
#define QH_BODY_H

#include "chunked.h"
#include "sink.h"

typedef enum qh_framing {
    QH_FRAMING_NONE = 0, /* no body */
    QH_FRAMING_LENGTH,   /* Content-Length */
    QH_FRAMING_CHUNKED,  /* Transfer-Encoding: chunked */
    QH_FRAMING_CLOSE,    /* up to the end of the stream */
} qh_framing;

typedef struct qh_body {
    qh_framing framing;
    bool whole;          /* every byte of it has come */
    bool drained;        /* the last receive took all that the socket had */
    int error;           /* errno, with QH_E_RECEIVE */
    uint64_t n_received; /* body bytes handed to the sink, framing not counted */
    uint64_t left;       /* with QH_FRAMING_LENGTH */
    char *surplus;       /* where the last receive put what came behind the body; good until the next one */
    qh_chunked chunked;
    qh_chunk_limits limits;
    qh_sink *sink; /* borrowed */
} qh_body;

/* The room between the loop and a descriptor sink, one for all connections of a loop. */
typedef struct qh_scratch {
    char *memory;
    size_t cap;
} qh_scratch;

/* A body of `length` bytes (with QH_FRAMING_LENGTH) into `sink`, which must live as long as it. */
void qh_body_init(qh_body *body, qh_framing framing, uint64_t length, const qh_chunk_limits *limits,
                  qh_sink *sink);

/* Receives until the socket has no more (QH_AGAIN), the body is whole (QH_DONE), the sink is full
 * (QH_FULL), about `budget` bytes were received (QH_BUDGET), or an error. Never takes bytes behind a body
 * of known length; what comes behind a chunked body is counted in *n_surplus and stands at
 * body->surplus. */
qh_status qh_body_receive(qh_body *body, int fd, qh_scratch scratch, size_t budget, size_t *n_surplus);

/* The same in two steps, for bytes that somebody else receives: `qh_body_room` says where they should go (*len bytes of room, 0
 * where the sink is full, never more than what is left of a body of known length), `qh_body_took` that n of them stand there. */
char *qh_body_room(qh_body *body, qh_scratch scratch, size_t *len);
qh_status qh_body_took(qh_body *body, char *room, size_t n, size_t *n_surplus);

/* Takes data[0..len), which it may overwrite; *used tells how much. QH_AGAIN (all used), QH_DONE (bytes
 * behind *used are surplus), QH_FULL (with a chunked body *used counts what was taken), or an error. */
qh_status qh_body_feed(qh_body *body, char *data, size_t len, size_t *used);

/* The stream has ended: QH_DONE where that is the body's end, else QH_E_TRUNCATED. */
qh_status qh_body_end_of_stream(qh_body *body);

#endif

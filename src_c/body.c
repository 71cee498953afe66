/* body.c: see body.h. Bytes travel from the socket to where they stay: into the sink's own memory, decoded
 * there in place, or through the loop's scratch memory in writes of its full size. */
#include "body.h"

#include <errno.h>
#include <sys/socket.h>

#define RECEIVE_MAX ((size_t)256 << 10) /* one receive: larger ones fall out of the cache */
#define STREAM_FROM ((size_t)32 << 10)  /* so much at once: the peer is fast, more has come meanwhile as a rule */
#define ROOM_MIN ((size_t)16 << 10)     /* for less it is not worth to receive again in the same visit */

void qh_body_init(qh_body *body, qh_framing framing, uint64_t length, const qh_chunk_limits *limits,
                  qh_sink *sink)
{
    *body = (qh_body){.framing = framing, .left = length, .limits = *limits, .sink = sink};
    body->whole = framing == QH_FRAMING_NONE || (framing == QH_FRAMING_LENGTH && length == 0);
}

qh_status qh_body_end_of_stream(qh_body *body)
{
    if (body->framing == QH_FRAMING_CLOSE)
        body->whole = true;
    return body->whole ? QH_DONE : QH_E_TRUNCATED;
}

/* Accounts for raw bytes that stand at `data`, decoding chunked ones there; *kept body bytes remain. */
static qh_status account(qh_body *body, char *data, size_t len, size_t *used, size_t *kept)
{
    qh_status status = QH_AGAIN;
    if (body->framing == QH_FRAMING_CHUNKED) {
        status = qh_chunked_decode(&body->chunked, data, len, &body->limits, used, kept);
        body->whole = status == QH_DONE;
    } else {
        if (body->framing == QH_FRAMING_LENGTH) {
            if (len > body->left)
                len = (size_t)body->left;
            body->left -= len;
            body->whole = body->left == 0;
        }
        *used = *kept = len;
        status = body->whole ? QH_DONE : QH_AGAIN;
    }
    body->n_received += *kept;
    return status;
}

qh_status qh_body_feed(qh_body *body, char *data, size_t len, size_t *used)
{
    size_t kept;
    qh_sink *sink = body->sink;
    *used = 0;
    if (body->whole)
        return QH_DONE;
    /* Decoded data is never longer than raw data: where this fits, what comes out fits. */
    if (sink->kind == QH_SINK_MEMORY) {
        size_t wanted = body->framing == QH_FRAMING_LENGTH && len > body->left ? (size_t)body->left : len;
        if (wanted > sink->cap - sink->len)
            return QH_FULL;
    }
    qh_status status = account(body, data, len, used, &kept);
    qh_status written = qh_sink_write(sink, data, kept);
    return qh_is_error(written) ? written : status;
}

/* One receive into `room`, told apart into bytes, end, nothing and error. */
static qh_status receive(qh_body *body, int fd, char *room, size_t len, size_t *n_got)
{
    ssize_t n;
    if (body->framing == QH_FRAMING_LENGTH && len > body->left)
        len = (size_t)body->left;
    if (len > RECEIVE_MAX)
        len = RECEIVE_MAX;
    do
        n = recv(fd, room, len, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *n_got = n > 0 ? (size_t)n : 0;
    body->drained = n < (ssize_t)len;
    if (n > 0)
        return QH_BUDGET; /* there may be more */
    if (n == 0)
        return qh_body_end_of_stream(body);
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return QH_AGAIN;
    body->error = errno;
    return QH_E_RECEIVE;
}

static qh_status receive_to_memory(qh_body *body, int fd, size_t budget, size_t *n_surplus)
{
    qh_sink *sink = body->sink;
    for (size_t n_total = 0; n_total < budget;) {
        size_t n, used, kept;
        if (sink->len == sink->cap)
            return QH_FULL;
        char *room = sink->memory + sink->len;
        qh_status status = receive(body, fd, room, sink->cap - sink->len, &n);
        if (n == 0)
            return status;
        status = account(body, room, n, &used, &kept);
        sink->len += kept;
        n_total += n;
        body->surplus = room + used;
        *n_surplus = status == QH_DONE ? n - used : 0;
        if (status != QH_AGAIN)
            return status;
        if (body->drained && n < STREAM_FROM)
            return QH_AGAIN;
        if (sink->cap - sink->len < ROOM_MIN && sink->len < sink->cap && n_total > ROOM_MIN)
            return QH_BUDGET; /* a reader may take what has come and make room; else the rest is filled next time */
    }
    return QH_BUDGET;
}

/* Gathers several receives in the scratch memory, so that writes are large. */
static qh_status receive_through_scratch(qh_body *body, int fd, qh_scratch scratch, size_t budget,
                                         size_t *n_surplus)
{
    qh_sink *sink = body->sink;
    qh_status status = QH_BUDGET;
    size_t gathered = 0, n_total = 0;
    if (body->framing == QH_FRAMING_LENGTH)
        qh_sink_reserve(sink, body->left);

    while (status == QH_BUDGET && n_total < budget) {
        size_t n, used, kept;
        status = receive(body, fd, scratch.memory + gathered, scratch.cap - gathered, &n);
        if (n > 0) {
            n_total += n;
            status = account(body, scratch.memory + gathered, n, &used, &kept);
            body->surplus = scratch.memory + gathered + used;
            *n_surplus = status == QH_DONE ? n - used : 0;
            gathered += kept;
            if (status == QH_AGAIN && (!body->drained || n >= STREAM_FROM))
                status = QH_BUDGET;
        }
        if (gathered > 0 && (status != QH_BUDGET || scratch.cap - gathered < RECEIVE_MAX || n_total >= budget)) {
            qh_status written = qh_sink_write(sink, scratch.memory, gathered);
            if (qh_is_error(written))
                return written;
            gathered = 0;
        }
    }
    return status;
}

char *qh_body_room(qh_body *body, qh_scratch scratch, size_t *len)
{
    qh_sink *sink = body->sink;
    bool in_place = sink->kind == QH_SINK_MEMORY;
    *len = in_place ? sink->cap - sink->len : scratch.cap;
    if (*len > scratch.cap)
        *len = scratch.cap; /* as much as one visit may take */
    if (body->framing == QH_FRAMING_LENGTH && *len > body->left)
        *len = (size_t)body->left;
    return in_place ? sink->memory + sink->len : scratch.memory;
}

qh_status qh_body_took(qh_body *body, char *room, size_t n, size_t *n_surplus)
{
    size_t used, kept;
    qh_sink *sink = body->sink;
    qh_status status = account(body, room, n, &used, &kept);
    body->surplus = room + used;
    *n_surplus = status == QH_DONE ? n - used : 0;
    if (sink->kind == QH_SINK_MEMORY) {
        sink->len += kept;
        return status;
    }
    if (body->framing == QH_FRAMING_LENGTH)
        qh_sink_reserve(sink, body->left + kept);
    qh_status written = qh_sink_write(sink, room, kept);
    return qh_is_error(written) ? written : status;
}

qh_status qh_body_receive(qh_body *body, int fd, qh_scratch scratch, size_t budget, size_t *n_surplus)
{
    *n_surplus = 0;
    if (body->whole)
        return QH_DONE;
    return body->sink->kind == QH_SINK_MEMORY ? receive_to_memory(body, fd, budget, n_surplus)
                                             : receive_through_scratch(body, fd, scratch, budget, n_surplus);
}

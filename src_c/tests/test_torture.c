/* test_torture.c: every adversarial answer with every call of each kind failing in turn, for each kind of sink: what comes is what
 * comes without a fault, or an error is told; nothing hangs, nothing is lost, and the loop serves the next connection.
 * The linker puts the __wrap_ functions in place of the calls (see the Makefile); answers.py makes build/answers.h. */
#include <signal.h>

#include "answers.h"
#include "fields.h"
#include "turn_internal.h"
#include "world.h"

typedef enum call {
    CALL_RECV,
    CALL_SEND,
    CALL_PWRITE,
    CALL_FALLOCATE,
    CALL_REALLOC,
    CALL_MALLOC,
    CALL_EPOLL_CTL,
    CALL_EPOLL_WAIT,
    CALL_GETSOCKOPT,
    N_CALLS
} call;
enum { HALF = -1, NOTHING = -2, FOR_EVER = 1 << 30 }; /* in the place of an errno: half is written, nothing is */

static const struct fault_row {
    call which;
    int error;
    unsigned n_bad;
} FAULTS[] = {
    {CALL_RECV, EINTR, 1},      {CALL_RECV, EAGAIN, 1},      {CALL_RECV, ECONNRESET, 1},  {CALL_RECV, ENOMEM, FOR_EVER},
    {CALL_SEND, EINTR, 1},      {CALL_SEND, EAGAIN, 1},      {CALL_SEND, EPIPE, 1},       {CALL_SEND, ENOBUFS, FOR_EVER},
    {CALL_SEND, HALF, 1},       {CALL_PWRITE, EINTR, 1},     {CALL_PWRITE, ENOSPC, 1},    {CALL_PWRITE, EIO, FOR_EVER},
    {CALL_PWRITE, HALF, 1},     {CALL_PWRITE, NOTHING, 1},   {CALL_FALLOCATE, EINTR, 1},  {CALL_FALLOCATE, ENOSPC, 1},
    {CALL_REALLOC, ENOMEM, 1},  {CALL_REALLOC, ENOMEM, FOR_EVER}, {CALL_MALLOC, ENOMEM, 1},
    {CALL_EPOLL_CTL, ENOMEM, 1}, {CALL_EPOLL_CTL, ENOSPC, FOR_EVER}, {CALL_EPOLL_WAIT, EINTR, 1},
    {CALL_EPOLL_WAIT, ENOMEM, 1}, {CALL_GETSOCKOPT, ENOMEM, 1},
};

/* From the n-th call on, so many fail; 0: none. */
static struct {
    call which;
    unsigned n, n_bad, n_calls, n_hit;
    int error;
} armed;
static unsigned n_runs, n_faults;

static bool fails(call which)
{
    if (armed.n == 0 || armed.which != which)
        return false;
    armed.n_calls++;
    if (armed.n_calls < armed.n || armed.n_calls - armed.n >= armed.n_bad)
        return false;
    armed.n_hit++;
    errno = armed.error;
    return true;
}

#define WRAPPED(type, name, which, failure, parameters, arguments) \
    type __real_##name parameters;                                 \
    type __wrap_##name parameters;                                 \
    type __wrap_##name parameters { return fails(which) ? (failure) : __real_##name arguments; }

/* Half of it, nothing, or an error. */
#define WRITING(name, which, parameters, arguments, half_arguments) \
    ssize_t __real_##name parameters;                               \
    ssize_t __wrap_##name parameters;                               \
    ssize_t __wrap_##name parameters                                \
    {                                                               \
        if (!fails(which))                                          \
            return __real_##name arguments;                         \
        if (errno == HALF && len > 1)                               \
            return __real_##name half_arguments;                    \
        return errno == NOTHING ? 0 : errno == HALF ? __real_##name arguments : -1; \
    }

WRAPPED(ssize_t, recv, CALL_RECV, -1, (int fd, void *room, size_t len, int flags), (fd, room, len, flags))
WRITING(send, CALL_SEND, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags), (fd, data, len / 2, flags))
WRITING(pwrite, CALL_PWRITE, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at), (fd, data, len / 2, at))
WRAPPED(int, fallocate, CALL_FALLOCATE, -1, (int fd, int mode, off_t from, off_t len), (fd, mode, from, len))
WRAPPED(void *, realloc, CALL_REALLOC, NULL, (void *memory, size_t len), (memory, len))
WRAPPED(void *, malloc, CALL_MALLOC, NULL, (size_t len), (len))
struct epoll_event;
WRAPPED(int, epoll_ctl, CALL_EPOLL_CTL, -1, (int set, int what, int fd, struct epoll_event *event), (set, what, fd, event))
WRAPPED(int, epoll_wait, CALL_EPOLL_WAIT, -1, (int set, struct epoll_event *events, int n, int timeout),
        (set, events, n, timeout))
WRAPPED(int, getsockopt, CALL_GETSOCKOPT, -1, (int fd, int level, int name, void *value, socklen_t *len),
        (fd, level, name, value, len))

/* ------------------------------------------------------------------------------------------- one exchange */
enum { ROOM = 64 << 10, TURNS_MAX = 400, N_PIECES = 3 };
static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nprobe";

/* How it ended: "end", the name of an error, "open" where it waits for more. */
typedef struct outcome {
    const char *end;
    char payload[ROOM];
    size_t len;
} outcome;

typedef struct exchange {
    qh_loop *loop;
    qh_conn conn;
    pair sockets;
    const struct answer *answer;
    qh_sink sink;
    qh_sink_kind kind;
    bool head_done, was_kept;
    size_t n_put;
    outcome *outcome;
} exchange;

static void end_with(exchange *x, const char *end)
{
    if (!x->outcome->end)
        x->outcome->end = end;
}

/* What the Python side decides (protocol/framing.py); false: the head is refused. */
static bool decide(const qh_head_facts *facts, bool is_head, qh_framing *framing)
{
    *framing = QH_FRAMING_CLOSE;
    if (facts->length_state == QH_LENGTH_BAD || facts->status < 100 || facts->status == 101 || facts->major != 1)
        return false;
    if (is_head || facts->status == 204 || facts->status == 205 || facts->status == 304)
        *framing = QH_FRAMING_NONE;
    else if (facts->n_codings > 0) {
        *framing = QH_FRAMING_CHUNKED;
        return facts->n_codings == 1 && facts->chunked_is_last && !facts->codings_malformed &&
               facts->length_state == QH_LENGTH_NONE && facts->minor > 0;
    } else if (facts->length_state == QH_LENGTH_ONE)
        *framing = QH_FRAMING_LENGTH;
    return true;
}

static void body_ended(exchange *x)
{
    end_with(x, "end");
    if (qh_conn_rest(x->loop, &x->conn) < 0)
        qh_conn_close(x->loop, &x->conn, false);
}

static void take_body(exchange *x, char *data, size_t len, const qh_head_facts *facts)
{
    qh_framing framing;
    qh_status status = QH_AGAIN;
    size_t used = 0;
    x->head_done = true;
    if (!decide(facts, x->answer->is_head, &framing)) {
        end_with(x, "refused");
        return;
    }
    qh_body_init(&x->conn.body, framing, facts->length, &USUAL_CHUNKS, &x->sink);
    if (x->conn.body.whole)
        status = QH_DONE;
    else if (len > 0)
        while ((status = qh_body_feed(&x->conn.body, data, len, &used)) == QH_FULL && x->sink.cap < ROOM)
            x->sink.cap = ROOM;
    if (qh_is_error(status))
        end_with(x, status_name(status));
    else if (status == QH_DONE)
        body_ended(x);
    else if (qh_conn_start_body(x->loop, &x->conn) < 0)
        end_with(x, "not_watched");
}

static void take_heads(exchange *x, char *data, size_t head_len, size_t n)
{
    qh_head_facts facts;
    for (;;) {
        qh_status status = qh_fields_index(data, head_len, NULL, 0, &facts);
        if (qh_is_error(status)) {
            end_with(x, status_name(status));
            return;
        }
        if (facts.status / 100 != 1 || facts.status == 101)
            break;
        status = qh_conn_next_head(x->loop, &x->conn, data + head_len, n - head_len, &head_len);
        if (qh_is_error(status))
            end_with(x, status_name(status));
        if (status != QH_DONE)
            return;
        data = x->conn.input + x->conn.input_at;
        n = x->conn.input_len - x->conn.input_at;
    }
    take_body(x, data + head_len, n - head_len, &facts);
}

static void take(exchange *x, const qh_event *event)
{
    if (x->outcome->end || x->conn.fd < 0)
        return;
    switch (event->kind) {
    case QH_EVENT_CONNECTED:
        if (event->error)
            end_with(x, "not_connected");
        else if (qh_conn_expect_head(x->loop, &x->conn, &USUAL_HEAD) < 0)
            end_with(x, "not_watched");
        else
            qh_conn_send(x->loop, &x->conn, REQUEST, sizeof REQUEST - 1, false);
        break;
    case QH_EVENT_HEAD:
        take_heads(x, event->data, event->head_len, event->n);
        break;
    case QH_EVENT_FULL:
        x->sink.cap = x->sink.cap + 1000 < ROOM ? x->sink.cap + 1000 : ROOM;
        if (x->sink.len == x->sink.cap || qh_conn_resume_body(x->loop, &x->conn) < 0)
            end_with(x, "not_watched");
        break;
    case QH_EVENT_END:
        body_ended(x);
        break;
    case QH_EVENT_FAILED:
        end_with(x, status_name(event->status));
        break;
    case QH_EVENT_STALE:
    case QH_EVENT_IDLE_END:
        end_with(x, "stale");
        break;
    default:
        break;
    }
}

/* The peer's next bytes, or its end. */
static bool put_more(exchange *x)
{
    size_t n = x->answer->len - x->n_put;
    if (x->sockets.peer < 0)
        return false;
    if (n > 0) {
        size_t piece = x->answer->len / N_PIECES + 1;
        n = n < piece ? n : piece;
        if (write(x->sockets.peer, x->answer->data + x->n_put, n) < 0) /* it has gone */
            n = x->answer->len - x->n_put;
        x->n_put += n;
        return true;
    }
    if (!x->answer->closes)
        return false;
    close(x->sockets.peer);
    x->sockets.peer = -1;
    return true;
}

/* Until it has ended, or nothing more can come. */
static void turn_on(exchange *x)
{
    unsigned n_turns = 0, n_quiet = 0;
    while (!x->outcome->end && n_quiet < 4) {
        qh_event event;
        unsigned n_events = 0;
        if (qh_turn(x->loop, 0) < 0 && errno != EINTR)
            end_with(x, "not_polled");
        for (; qh_loop_next_event(x->loop, &event); n_events++)
            take(x, &event);
        if (n_events == 0)
            n_quiet = put_more(x) ? 0 : n_quiet + 1;
        if (!expect(++n_turns < TURNS_MAX, "it goes on for ever"))
            end_with(x, "hang");
    }
    end_with(x, "open");
}

static void play(qh_loop *loop, const struct answer *answer, qh_sink_kind kind, bool pipelined, outcome *result)
{
    static char memory[ROOM];
    exchange x = {.loop = loop, .sockets = local_pair(), .answer = answer, .kind = kind, .outcome = result};
    int file = -1;
    result->end = NULL;
    result->len = 0;
    if (kind == QH_SINK_DESCRIPTOR)
        qh_sink_init_descriptor(&x.sink, file = nameless_file(), 0);
    else
        qh_sink_init_memory(&x.sink, memory, 0, 1000);
    if (qh_conn_open(loop, &x.conn, x.sockets.ours, false) < 0) {
        end_with(&x, "not_opened");
        close(x.sockets.ours);
    } else {
        x.conn.tells_sent = true;
        x.conn.pipelined = pipelined;
        turn_on(&x);
        if (x.conn.fd >= 0)
            qh_conn_close(loop, &x.conn, false);
    }
    if (x.sockets.peer >= 0)
        close(x.sockets.peer);
    if (file >= 0) {
        ssize_t n = pread(file, result->payload, ROOM, 0);
        result->len = n > 0 ? (size_t)n : 0;
        close(file);
    } else {
        memcpy(result->payload, memory, result->len = x.sink.len);
    }
    n_runs++;
}

/* ----------------------------------------------------------------------------------------------- the runs */
static void expect_probe(qh_loop *loop, qh_sink_kind kind)
{
    static const struct answer PROBE = {"probe", (const unsigned char *)OK, sizeof OK - 1, false, false};
    static outcome probe;
    play(loop, &PROBE, kind, false, &probe);
    expect(strcmp(probe.end, "end") == 0, "the next one ended with %s", probe.end);
    expect_bytes("the next one", probe.payload, probe.len, (bytes)B("probe"));
}

static void expect_like(const outcome *clean, const outcome *got)
{
    bool is_whole = strcmp(got->end, "end") == 0;
    expect(!is_whole || strcmp(clean->end, "end") == 0, "it is whole, and was %s", clean->end);
    expect(strcmp(got->end, "open") != 0 || strcmp(clean->end, "open") == 0, "it waits for more, and was %s", clean->end);
    expect(!is_whole || got->len == clean->len, "%zu bytes as a whole of %zu", got->len, clean->len);
    expect(got->len <= clean->len && memcmp(got->payload, clean->payload, got->len) == 0, "other bytes than were sent");
}

/* Every n of one fault; with a loop of its own for each, which may fail to open. */
static void torture(const struct answer *answer, qh_sink_kind kind, bool pipelined, const struct fault_row *fault,
                    const outcome *clean)
{
    static outcome got;
    for (unsigned n = 1;; n++) {
        qh_loop loop;
        context("%s, sink %d%s, call %d error %d, n %u", answer->name, kind, pipelined ? ", pipelined" : "", fault->which,
                fault->error, n);
        armed.which = fault->which;
        armed.n = n;
        armed.n_bad = fault->n_bad;
        armed.error = fault->error;
        armed.n_calls = armed.n_hit = 0;
        if (qh_loop_open(&loop) == 0) {
            play(&loop, answer, kind, pipelined, &got);
            armed.n = 0;
            expect_like(clean, &got);
            expect_probe(&loop, kind);
            qh_loop_close(&loop);
        }
        armed.n = 0;
        n_faults += armed.n_hit > 0;
        if (armed.n_hit == 0)
            return;
    }
}

static int next_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

int main(void)
{
    static outcome clean;
    int first = next_descriptor();
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < N_ROWS(ANSWERS); i++) {
        row("torture_%s", ANSWERS[i].name);
        for (int how = 0; how < 3; how++) {
            qh_sink_kind kind = how == 1 ? QH_SINK_DESCRIPTOR : QH_SINK_MEMORY;
            qh_loop loop;
            context("clean");
            require(qh_loop_open(&loop) == 0, "qh_loop_open");
            play(&loop, &ANSWERS[i], kind, how == 2, &clean);
            expect_probe(&loop, kind);
            qh_loop_close(&loop);
            for (size_t f = 0; f < N_ROWS(FAULTS); f++)
                torture(&ANSWERS[i], kind, how == 2, &FAULTS[f], &clean);
        }
        expect_n("the next descriptor", (uint64_t)next_descriptor(), (uint64_t)first);
    }
    printf("torture: %u exchanges, %u with a call that failed\n", n_runs, n_faults);
    return check_summary("torture");
}

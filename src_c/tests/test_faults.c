/* test_faults.c: system calls and allocations that fail, are interrupted, or do less than asked. The linker
 * puts the __wrap_ functions here in place of the real ones (see the Makefile). */
#include "turn_internal.h"
#include "world.h"

typedef enum call {
    CALL_RECV,
    CALL_SEND,
    CALL_PWRITE,
    CALL_FALLOCATE,
    CALL_READ,
    CALL_MALLOC,
    CALL_REALLOC,
    CALL_EPOLL_CTL,
    CALL_GETSOCKOPT,
    N_CALLS
} call;

/* Calls that let `n_good` pass, then the next `n_bad` fail with this errno. */
typedef struct fault {
    unsigned n_good, n_bad;
    int error;
} fault;
static fault faults[N_CALLS];
enum { NOTHING_WRITTEN = -1, HALF_WRITTEN = -2 }; /* instead of an errno, for pwrite */

/* These sockets always have as much to receive as is asked for: from `source`, or whatever is there. */
enum { N_ENDLESS = 3 };
static int endless_fds[N_ENDLESS] = {-1, -1, -1};
static const char *source;
static size_t source_left, n_writes;
static void no_endless(void) { memset(endless_fds, -1, sizeof endless_fds); }

static bool fails(call which)
{
    fault *f = &faults[which];
    if (f->n_bad == 0 || (f->n_good > 0 && f->n_good--))
        return false;
    f->n_bad--;
    errno = f->error;
    return true;
}

#define WRAPPED(type, name, which, failure, parameters, arguments) \
    type __real_##name parameters;                                 \
    type __wrap_##name parameters;                                 \
    type __wrap_##name parameters { return fails(which) ? (failure) : __real_##name arguments; }

WRAPPED(ssize_t, send, CALL_SEND, -1, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags))
WRAPPED(int, fallocate, CALL_FALLOCATE, -1, (int fd, int mode, off_t from, off_t len), (fd, mode, from, len))
WRAPPED(ssize_t, read, CALL_READ, -1, (int fd, void *data, size_t len), (fd, data, len))
WRAPPED(void *, malloc, CALL_MALLOC, NULL, (size_t len), (len))
WRAPPED(void *, realloc, CALL_REALLOC, NULL, (void *memory, size_t len), (memory, len))
struct epoll_event;
WRAPPED(int, epoll_ctl, CALL_EPOLL_CTL, -1, (int set, int what, int fd, struct epoll_event *event),
        (set, what, fd, event))
WRAPPED(int, getsockopt, CALL_GETSOCKOPT, -1, (int fd, int level, int name, void *value, socklen_t *len),
        (fd, level, name, value, len))

ssize_t __real_recv(int fd, void *room, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *room, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *room, size_t len, int flags)
{
    if (fails(CALL_RECV))
        return -1;
    bool endless = false;
    for (size_t i = 0; i < N_ENDLESS; i++)
        endless = endless || fd == endless_fds[i];
    if (!endless)
        return __real_recv(fd, room, len, flags);
    if (source) {
        len = len < source_left ? len : source_left;
        memcpy(room, source, len);
        source += len;
        source_left -= len;
    }
    return (ssize_t)len;
}

ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    n_writes++;
    if (!fails(CALL_PWRITE))
        return __real_pwrite(fd, data, len, offset);
    if (errno == HALF_WRITTEN)
        return __real_pwrite(fd, data, len / 2, offset);
    return errno == NOTHING_WRITTEN ? 0 : -1;
}

static void set_fault(call which, fault f) { faults[which] = f; }
static void clear_faults(void) { memset(faults, 0, sizeof faults); }

/* ------------------------------------------------------------------------------ faults of a connection */
#define OK "HTTP/1.1 200 OK\r\n\r\n"

static void turns(world *w)
{
    for (int i = 0; i < 4; i++)
        turn(w, 0);
}
static void head_comes(world *w)
{
    begin_head(w);
    put(w->sockets.peer, OK, 19);
    turns(w);
}
static void head_comes_in_pieces(world *w)
{
    static const char LONG_FIELD[2000] = {'a'};
    begin_head(w);
    put(w->sockets.peer, OK, 17);
    turns(w);
    put(w->sockets.peer, LONG_FIELD, sizeof LONG_FIELD);
    turns(w);
}
static void body_comes(world *w)
{
    static qh_sink sink = {.kind = QH_SINK_NOTHING};
    qh_body_init(&w->conn.body, QH_FRAMING_LENGTH, 9, &USUAL_CHUNKS, &sink);
    qh_conn_start_body(&w->loop, &w->conn);
    put(w->sockets.peer, "hello", 5);
    turns(w);
}
static void unasked_byte_comes(world *w)
{
    put(w->sockets.peer, "x", 1);
    turns(w);
}
static void sends(world *w)
{
    qh_conn_send(&w->loop, &w->conn, "hello", 5, false);
    turns(w);
}
static void timer_goes_off(world *w)
{
    require(qh_poller_arm(&w->loop.poller, 1) == 0, "qh_poller_arm");
    turn(w, 1000);
    turns(w);
}

static const struct {
    const char *name;
    call which;
    fault fault;
    void (*scene)(world *);
    const char *trace;
} CONN_ROWS[] = {
    {"head_interrupted_told_later", CALL_RECV, {0, 1, EINTR}, head_comes, "head:19+0"},
    {"head_receive_fails_told", CALL_RECV, {0, 1, ENOMEM}, head_comes, "failed:E_RECEIVE:memory"},
    {"head_not_there_after_all_told_later", CALL_RECV, {0, 1, EAGAIN}, head_comes, "head:19+0"},
    {"head_first_piece_no_memory_told", CALL_REALLOC, {0, 1, ENOMEM}, head_comes_in_pieces,
     "first failed:E_RECEIVE:memory"},
    {"head_next_piece_no_memory_told", CALL_REALLOC, {1, 1, ENOMEM}, head_comes_in_pieces,
     "first failed:E_RECEIVE:memory"},
    {"body_interrupted_told", CALL_RECV, {0, 3, EINTR}, body_comes, "progress"},
    {"body_receive_fails_told", CALL_RECV, {0, 1, ENOMEM}, body_comes, "failed:E_RECEIVE:memory"},
    {"body_not_there_after_all_told_later", CALL_RECV, {0, 1, EAGAIN}, body_comes, "progress"},
    {"idle_nothing_there_after_all_told_later", CALL_RECV, {0, 1, EAGAIN}, unasked_byte_comes, "idle_bytes"},
    {"send_interrupted_sent", CALL_SEND, {0, 3, EINTR}, sends, "sent:5"},
    {"send_no_room_sent_later", CALL_SEND, {0, 1, EAGAIN}, sends, "sent:5"},
    {"send_fails_told", CALL_SEND, {0, 1, ENOMEM}, sends, "failed:E_SEND:memory"},
    {"timer_read_interrupted_told_once", CALL_READ, {0, 1, EINTR}, timer_goes_off, "timer"},
};

static void run_conn_rows(void)
{
    for (size_t i = 0; i < N_ROWS(CONN_ROWS); i++) {
        world w;
        row("faults_%s", CONN_ROWS[i].name);
        begin_world(&w, local_pair(), true);
        set_fault(CONN_ROWS[i].which, CONN_ROWS[i].fault);
        CONN_ROWS[i].scene(&w);
        expect_trace(&w, CONN_ROWS[i].trace);
        expect_n("faults left", faults[CONN_ROWS[i].which].n_bad, 0);
        clear_faults();
        end_world(&w);
    }
}

static void test_not_watched_after_part(void)
{
    static const char out[1 << 20];
    world w;
    row("faults_send_part_not_watched_failed_behind_sent");
    begin_world(&w, local_pair(), true);
    set_fault(CALL_EPOLL_CTL, (fault){0, 1, ENOMEM});
    qh_conn_send(&w.loop, &w.conn, out, sizeof out, false);
    turn(&w, 0);
    clear_faults();
    expect(strncmp(w.trace, "sent:", 5) == 0 && strstr(w.trace, " failed:E_SEND:memory"), "events are '%s'", w.trace);
    end_world(&w);
}

static void test_nothing_behind_a_gap(void)
{
    world w;
    char got[32];
    row("faults_send_of_a_later_request_fails_nothing_is_sent_behind_it");
    begin_world(&w, local_pair(), true);
    qh_conn_send(&w.loop, &w.conn, "first", 5, false);
    turns(&w);
    set_fault(CALL_SEND, (fault){0, 1, ENOBUFS});
    qh_conn_send_later(&w.loop, &w.conn, "second", 6);
    turns(&w);
    clear_faults();
    qh_conn_send_later(&w.loop, &w.conn, "third.", 6);
    turns(&w);
    expect_n("bytes sent", (long)recv(w.sockets.peer, got, sizeof got, MSG_DONTWAIT), 5);
    expect_n("bytes counted", (long)w.conn.n_sent, 5);
    end_world(&w);
}

static void test_connecting(void)
{
    static const struct {
        const char *name;
        call which;
    } CONNECT_ROWS[] = {{"no_error_to_be_had", CALL_GETSOCKOPT}, {"not_watched", CALL_EPOLL_CTL}};
    for (size_t i = 0; i < N_ROWS(CONNECT_ROWS); i++) {
        struct sockaddr_in address;
        int from = listener(&address);
        world w;
        row("faults_connecting_%s_told", CONNECT_ROWS[i].name);
        begin_world(&w, (pair){begin_connect(&address), -1}, false);
        set_fault(CONNECT_ROWS[i].which, (fault){0, 1, ENOMEM});
        turn_until_event(&w);
        clear_faults();
        expect_trace(&w, "connected:memory");
        end_world(&w);
        close(from);
    }
}

static void test_pause_refused(void)
{
    world w;
    row("faults_pausing_refused_error");
    begin_world(&w, local_pair(), true);
    set_fault(CALL_EPOLL_CTL, (fault){0, 1, ENOMEM});
    expect(qh_conn_pause(&w.loop, &w.conn, true) == -1 && errno == ENOMEM, "it was paused");
    clear_faults();
    end_world(&w);
}

static void test_next_head_no_memory(void)
{
    world w;
    char more[] = "HTTP/1.1 2";
    size_t head_len;
    row("faults_next_head_no_memory_error");
    begin_world(&w, local_pair(), true);
    head_comes(&w);
    set_fault(CALL_REALLOC, (fault){0, 1, ENOMEM});
    expect_status(qh_conn_next_head(&w.loop, &w.conn, more, 10, &head_len), QH_E_RECEIVE);
    clear_faults();
    end_world(&w);
}

/* ----------------------------------------------------------------------------------- faults of the input */
#define CHUNKS "5\r\nhello\r\n0\r\n\r\n"

static void pipelined_head_comes(world *w)
{
    w->conn.pipelined = true;
    head_comes(w);
}
static void pipelined_head_grows(world *w)
{
    static const char FIELD[70 << 10] = {'a'};
    const qh_head_limits limits = {1 << 20, 1 << 20, 9};
    w->conn.pipelined = true;
    require(qh_conn_expect_head(&w->loop, &w->conn, &limits) == 0, "qh_conn_expect_head");
    put(w->sockets.peer, OK, 17);
    turns(w);
    put(w->sockets.peer, FIELD, sizeof FIELD);
    turns(w);
}
static void surplus_comes(world *w)
{
    static qh_sink sink = {.kind = QH_SINK_NOTHING};
    w->conn.pipelined = true;
    qh_body_init(&w->conn.body, QH_FRAMING_CHUNKED, 0, &USUAL_CHUNKS, &sink);
    require(qh_conn_start_body(&w->loop, &w->conn) == 0, "qh_conn_start_body");
    put(w->sockets.peer, CHUNKS OK, sizeof CHUNKS - 1 + 19);
    turns(w);
}
static void pipelined_within_head(world *w)
{
    begin_head(w);
    put(w->sockets.peer, OK, 10);
    turns(w);
    w->conn.pipelined = true;
    put(w->sockets.peer, &OK[10], 9);
    turns(w);
}

static const struct {
    const char *name;
    call which;
    fault fault;
    void (*scene)(world *);
    const char *trace;
} INPUT_ROWS[] = {
    {"pipelined_head_no_memory_told", CALL_REALLOC, {0, 1, ENOMEM}, pipelined_head_comes, "failed:E_RECEIVE:memory"},
    {"pipelined_head_no_more_memory_told", CALL_REALLOC, {1, 1, ENOMEM}, pipelined_head_grows,
     "first failed:E_RECEIVE:memory"},
    {"pipelined_within_head_no_memory_told", CALL_REALLOC, {1, 1, ENOMEM}, pipelined_within_head,
     "first failed:E_RECEIVE:memory"},
    {"pipelined_head_interrupted_told_later", CALL_RECV, {0, 1, EINTR}, pipelined_head_comes, "head:19+0"},
    {"pipelined_head_not_there_after_all_told_later", CALL_RECV, {0, 1, EAGAIN}, pipelined_head_comes, "head:19+0"},
    {"pipelined_head_receive_fails_told", CALL_RECV, {0, 1, ENOMEM}, pipelined_head_comes, "failed:E_RECEIVE:memory"},
    {"surplus_no_memory_told", CALL_REALLOC, {0, 1, ENOMEM}, surplus_comes, "failed:E_RECEIVE:memory"},
};

static void run_input_rows(void)
{
    for (size_t i = 0; i < N_ROWS(INPUT_ROWS); i++) {
        world w;
        row("faults_%s", INPUT_ROWS[i].name);
        begin_world(&w, local_pair(), true);
        set_fault(INPUT_ROWS[i].which, INPUT_ROWS[i].fault);
        INPUT_ROWS[i].scene(&w);
        expect_trace(&w, INPUT_ROWS[i].trace);
        expect_n("faults left", faults[INPUT_ROWS[i].which].n_bad, 0);
        clear_faults();
        expect(w.conn.input_len <= w.conn.input_cap && (w.conn.input || !w.conn.input_cap), "the input is broken");
        require(qh_conn_rest(&w.loop, &w.conn) == 0, "qh_conn_rest");
        expect(!w.conn.input, "input is kept at rest");
        end_world(&w);
    }
}

/* Whatever allocation fails: it is told, once, and memory is given back; else the answers are there. */
static void test_pipeline_no_memory(void)
{
    row("faults_pipelined_answers_no_memory_anywhere_told");
    for (unsigned n_good = 0;; n_good++) {
        world w;
        context("after %u", n_good);
        begin_world(&w, local_pair(), true);
        for (call which = CALL_MALLOC; which <= CALL_REALLOC; which++)
            set_fault(which, (fault){n_good, 1, ENOMEM});
        pipelined_head_comes(&w);
        bool whole = strcmp(w.trace, "head:19+0") == 0;
        if (whole) {
            w.trace[0] = '\0';
            surplus_comes(&w);
            whole = strcmp(w.trace, "end+19") == 0;
        }
        if (whole && expect(qh_conn_keep(&w.conn, NULL, 0), "qh_conn_keep")) {
            w.trace[0] = '\0';
            pipelined_head_grows(&w);
            whole = strcmp(w.trace, "first") == 0;
        }
        bool used_up = faults[CALL_REALLOC].n_bad == 0;
        clear_faults();
        expect(whole != used_up, "a fault was not told, or another was: '%s'", w.trace);
        if (!whole)
            expect(strstr(w.trace, "failed:E_RECEIVE:memory") != NULL, "events are '%s'", w.trace);
        end_world(&w);
        if (whole || n_good > 20) {
            expect(n_good >= 2, "only %u allocations", n_good);
            return;
        }
    }
}

static void test_foreign_no_memory(void)
{
    world w;
    char *room;
    size_t len;
    row("faults_foreign_no_memory_for_head_failed");
    begin_world(&w, local_pair(), true);
    w.conn.foreign = true;
    begin_head(&w);
    set_fault(CALL_REALLOC, (fault){0, 1, ENOMEM});
    expect(!qh_conn_room(&w.loop, &w.conn, &room, &len), "there is room");
    expect(!qh_conn_room(&w.loop, &w.conn, &room, &len), "there is room afterwards");
    turn(&w, 0);
    expect_trace(&w, "failed:E_RECEIVE:memory");
    clear_faults();
    end_world(&w);

    row("faults_foreign_wants_room_not_watched_error");
    begin_world(&w, local_pair(), true);
    w.conn.foreign = w.conn.wants_room = true;
    set_fault(CALL_EPOLL_CTL, (fault){0, 1, ENOMEM});
    expect(qh_conn_watch(&w.loop, &w.conn) == -1 && errno == ENOMEM, "it is watched");
    clear_faults();
    end_world(&w);
}

static void test_keep_no_memory(void)
{
    world w;
    row("faults_keep_no_memory_false_and_can_be_tried_again");
    begin_world(&w, local_pair(), true);
    w.conn.pipelined = true;
    set_fault(CALL_REALLOC, (fault){0, 1, ENOMEM});
    expect(!qh_conn_keep(&w.conn, OK, 19), "it was kept");
    expect(!w.conn.input && w.conn.input_len == 0, "something is left of it");
    expect(qh_conn_keep(&w.conn, OK, 19) && w.conn.input_len == 19, "it was not kept");
    clear_faults();
    end_world(&w);
}

/* ------------------------------------------------------------------------------------ faults of dozing */
static void test_dozing(void)
{
    world w;
    row("faults_dozing_refused_tried_again");
    begin_world(&w, local_pair(), true);
    head_comes(&w);
    w.trace[0] = '\0';
    set_fault(CALL_EPOLL_CTL, (fault){0, 2, ENOMEM});
    put(w.sockets.peer, "more", 4);
    for (int i = 0; i < 2; i++) {
        turn(&w, 60000);
        expect(w.conn.dozing && w.conn.interest == QH_READABLE, "it dozes");
    }
    turn(&w, 60000);
    expect(w.conn.dozing && w.conn.interest == 0, "it does not doze");
    expect_trace(&w, "");
    clear_faults();
    end_world(&w);

    for (int how = 0; how < 4; how++) {
        static const char *const NAMES[] = {"head_expected", "body_started", "body_resumed", "at_rest"};
        row("faults_dozing_%s_not_watched_error", NAMES[how]);
        begin_world(&w, local_pair(), true);
        head_comes(&w);
        put(w.sockets.peer, "more", 4);
        turns(&w);
        expect(w.conn.dozing, "it does not doze");
        set_fault(CALL_EPOLL_CTL, (fault){0, 1, ENOMEM});
        int result = how == 0   ? qh_conn_expect_head(&w.loop, &w.conn, &USUAL_HEAD)
                     : how == 1 ? qh_conn_start_body(&w.loop, &w.conn)
                     : how == 2 ? qh_conn_resume_body(&w.loop, &w.conn)
                                : qh_conn_rest(&w.loop, &w.conn);
        expect(result == -1 && errno == ENOMEM, "the error was not told");
        clear_faults();
        end_world(&w);
    }
}

/* Whether the wake-up that was waiting is still there: the poller was not asked. */
static bool is_wake_waiting(world *w)
{
    return poll(&(struct pollfd){.fd = w->loop.poller.wake_fd, .events = POLLIN}, 1, 0) == 1;
}

/* One connection alone that never runs dry: served without the poller, which has its say all the same. */
static void test_budget_alone(void)
{
    enum { DIRECT_MAX = 16 };
    world w;
    qh_sink sink = {.kind = QH_SINK_NOTHING};
    row("faults_endless_body_alone_poller_asked_now_and_then");
    begin_world(&w, local_pair(), true);
    qh_body_init(&w.conn.body, QH_FRAMING_LENGTH, INT64_MAX, &USUAL_CHUNKS, &sink);
    require(qh_conn_start_body(&w.loop, &w.conn) == 0, "qh_conn_start_body");
    require(qh_conn_resume_body(&w.loop, &w.conn) == 0, "qh_conn_resume_body");
    endless_fds[0] = w.conn.fd;
    for (unsigned n_turns = 1; n_turns <= 5 * (DIRECT_MAX + 1); n_turns++) {
        context("turn %u", n_turns);
        require(qh_poller_wake(&w.loop.poller) == 0, "qh_poller_wake");
        turn(&w, 60000);
        expect_trace(&w, "progress");
        expect_n("received", w.conn.body.n_received, (uint64_t)n_turns << 20);
        expect(is_wake_waiting(&w) == (n_turns % (DIRECT_MAX + 1) != 0), "the poller was asked, or was not");
    }
    no_endless(); /* nothing more is there, and it is waited for */
    require(!is_wake_waiting(&w), "wake");
    uint64_t from = now_ns();
    expect_n("events", turn(&w, 20), 0);
    expect(now_ns() - from >= 19000000, "it did not wait");
    expect(!w.loop.unfinished.first, "it still waits for its turn");
    end_world(&w);
}

/* The bytes of a later request cannot be written, whatever the reason: no matter to the answer under way. */
static void test_send_later(void)
{
    world w;
    static qh_sink sink = {.kind = QH_SINK_NOTHING};
    row("faults_send_later_fails_body_under_way_goes_on");
    begin_world(&w, local_pair(), true);
    w.conn.tells_sent = false;
    begin_head(&w);
    sends(&w);
    head_comes(&w);
    qh_body_init(&w.conn.body, QH_FRAMING_LENGTH, 5, &USUAL_CHUNKS, &sink);
    require(qh_conn_start_body(&w.loop, &w.conn) == 0, "qh_conn_start_body");
    set_fault(CALL_SEND, (fault){0, 1, ECONNRESET});
    qh_conn_send_later(&w.loop, &w.conn, "later", 5);
    turns(&w);
    expect_trace(&w, "head:19+0");
    put(w.sockets.peer, "hello", 5);
    turns(&w);
    expect_trace(&w, "end");
    clear_faults();
    end_world(&w);

    row("faults_send_later_no_room_at_first_sent_later");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    sends(&w);
    set_fault(CALL_SEND, (fault){0, 2, EAGAIN});
    qh_conn_send_later(&w.loop, &w.conn, "later", 5);
    turns(&w);
    clear_faults();
    expect_trace(&w, "sent:5 sent:5");
    expect_n("waiting", bytes_waiting(w.sockets.peer), 10);
    end_world(&w);
}

/* --------------------------------------------------------------------------------- faults of a loop */
static void test_loop_no_memory(void)
{
    int next = dup(0);
    row("faults_loop_open_no_memory_error_and_nothing_left");
    close(next);
    for (unsigned n_good = 0; n_good < 3; n_good++) {
        qh_loop loop;
        set_fault(CALL_MALLOC, (fault){n_good, 1, ENOMEM});
        expect(qh_loop_open(&loop) == -1 && errno == ENOMEM, "it opened");
        clear_faults();
        expect(!loop.ring && !loop.arena && !loop.scratch.memory && loop.poller.fd == -1, "something is left");
    }
    for (unsigned n_good = 0; n_good < 2; n_good++) {
        qh_loop loop;
        set_fault(CALL_EPOLL_CTL, (fault){n_good, 1, ENOMEM});
        expect(qh_loop_open(&loop) == -1 && errno == ENOMEM, "it opened");
        clear_faults();
    }
    int after = dup(0);
    expect_n("next descriptor", (uint64_t)after, (uint64_t)next);
    close(after);
}

static void test_slots_no_memory(void)
{
    row("faults_conn_open_no_memory_error_and_can_be_tried_again");
    for (unsigned n_good = 0; n_good < 2; n_good++) {
        qh_loop loop;
        qh_conn conn = {0};
        pair both = local_pair();
        require(qh_loop_open(&loop) == 0, "qh_loop_open");
        set_fault(CALL_REALLOC, (fault){n_good, 1, ENOMEM});
        expect(qh_conn_open(&loop, &conn, both.ours, true) == -1, "it was taken");
        clear_faults();
        expect_n("connections", loop.n_conns, 0);
        expect(qh_conn_open(&loop, &conn, both.ours, true) == 0, "it was not taken");
        qh_conn_close(&loop, &conn, false);
        close(both.peer);
        qh_loop_close(&loop);
    }
}

/* One connection that never runs dry, and one that has a head: a turn serves both, and the next turn does
 * not wait for the poller, whose socket says nothing. */
static void test_budget(void)
{
    enum { BUDGET = 1 << 20, RECEIVE = 256 << 10 };
    world w;
    qh_conn other = {0};
    pair both = local_pair();
    qh_sink sink = {.kind = QH_SINK_NOTHING};
    row("faults_endless_body_budget_spent_others_served_and_no_waiting");
    begin_world(&w, local_pair(), true);
    require(qh_conn_open(&w.loop, &other, both.ours, true) == 0, "qh_conn_open");
    qh_conn_expect_head(&w.loop, &other, &USUAL_HEAD);
    qh_body_init(&w.conn.body, QH_FRAMING_CLOSE, 0, &USUAL_CHUNKS, &sink);
    qh_conn_start_body(&w.loop, &w.conn);
    endless_fds[0] = w.conn.fd;

    put(w.sockets.peer, "x", 1);
    turn(&w, 1000);
    expect_trace(&w, "progress");
    uint64_t received = w.conn.body.n_received;
    expect(received >= BUDGET && received < BUDGET + RECEIVE, "%llu bytes in a turn", (unsigned long long)received);
    expect(w.loop.unfinished.first == &w.conn, "it does not wait for its turn");
    require(__real_recv(w.conn.fd, (char[1]){0}, 1, MSG_DONTWAIT) == 1, "recv"); /* the poller has no news now */

    put(both.peer, OK, 19);
    turn(&w, 60000);
    expect(strcmp(w.trace, "head:19+0 progress") == 0, "events are '%s'", w.trace);
    turn(&w, 60000);
    expect(w.conn.body.n_received >= 3 * (uint64_t)BUDGET && w.conn.body.n_received < 3 * (BUDGET + RECEIVE),
           "%llu bytes in three turns", (unsigned long long)w.conn.body.n_received);

    w.trace[0] = '\0';
    require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause"); /* a paused one does not keep it busy */
    turn(&w, 20);
    expect_trace(&w, "");
    require(qh_conn_pause(&w.loop, &w.conn, false) == 0, "qh_conn_pause");
    turn(&w, 60000);
    expect_trace(&w, "progress");
    no_endless();
    turn(&w, 0);
    turn(&w, 20);
    expect_trace(&w, "");
    expect(!w.loop.unfinished.first, "it still waits for its turn");
    qh_conn_close(&w.loop, &other, false);
    close(both.peer);
    end_world(&w);
}

static void test_budget_many(void)
{
    world w;
    qh_conn others[N_ENDLESS] = {{0}};
    pair both[N_ENDLESS];
    qh_sink sink = {.kind = QH_SINK_NOTHING};
    row("faults_endless_bodies_each_its_share_every_turn");
    begin_world(&w, local_pair(), true);
    for (size_t i = 0; i < N_ENDLESS; i++) {
        both[i] = local_pair();
        require(qh_conn_open(&w.loop, &others[i], both[i].ours, true) == 0, "qh_conn_open");
        qh_body_init(&others[i].body, QH_FRAMING_LENGTH, INT64_MAX, &USUAL_CHUNKS, &sink);
        qh_conn_start_body(&w.loop, &others[i]);
        require(qh_conn_pause(&w.loop, &others[i], false) == 0, "qh_conn_pause"); /* as if resumed just now */
        endless_fds[i] = others[i].fd;
    }
    for (uint64_t n_turns = 1; n_turns <= 5; n_turns++) {
        expect_n("events", turn(&w, 60000), N_ENDLESS);
        for (size_t i = 0; i < N_ENDLESS; i++)
            expect_n("received", others[i].body.n_received, n_turns << 20);
    }
    no_endless();
    for (size_t i = 0; i < N_ENDLESS; i++) {
        qh_conn_close(&w.loop, &others[i], false);
        close(both[i].peer);
    }
    end_world(&w);
}

/* Receives that are full every time are gathered and written in stretches of about a MiB. */
static void test_gathering(void)
{
    enum { LEN = 7 << 19, CHUNK = 70000, MIB = 1 << 20, NOBODY = 1000000 };
    static const char *const NAMES[] = {"length", "chunked", "close"};
    static char data[LEN], raw[LEN + LEN / CHUNK * 16 + 32], file[LEN], scratch[MIB];
    for (size_t i = 0; i < LEN; i++)
        data[i] = (char)(i * 7 + (i >> 8) * 13 + (i >> 16));
    for (qh_framing framing = QH_FRAMING_LENGTH; framing <= QH_FRAMING_CLOSE; framing++) {
        qh_body body;
        qh_sink sink;
        int fd = nameless_file();
        size_t n_surplus, raw_len = 0;
        qh_status status;
        for (size_t i = 0, n; i < LEN; i += n, raw_len += n) {
            n = LEN - i < CHUNK ? LEN - i : CHUNK;
            if (framing == QH_FRAMING_CHUNKED)
                raw_len += (size_t)sprintf(raw + raw_len, "%s%zx\r\n", i ? "\r\n" : "", n);
            memcpy(raw + raw_len, data + i, n);
        }
        if (framing == QH_FRAMING_CHUNKED)
            raw_len += (size_t)sprintf(raw + raw_len, "\r\n0\r\n\r\n");
        row("faults_full_receives_of_%s_body_gathered_and_written_in_order", NAMES[framing - QH_FRAMING_LENGTH]);
        qh_sink_init_descriptor(&sink, fd, 0);
        qh_body_init(&body, framing, LEN, &USUAL_CHUNKS, &sink);
        source = raw;
        source_left = raw_len;
        n_writes = 0;
        endless_fds[0] = NOBODY;
        do
            status = qh_body_receive(&body, NOBODY, (qh_scratch){scratch, sizeof scratch}, MIB, &n_surplus);
        while (status == QH_BUDGET);
        no_endless();
        source = NULL;
        expect_status(status, QH_DONE);
        expect(pread(fd, file, LEN, 0) == LEN && memcmp(file, data, LEN) == 0, "the file differs");
        expect(n_writes <= LEN / MIB + 2, "%zu writes", n_writes);
        close(fd);
    }
}

/* ------------------------------------------------------------------------------------ faults of a sink */
static const struct {
    const char *name;
    fault fault;
    qh_status status;
    int error;
    uint64_t offset;
} WRITE_ROWS[] = {
    {"interrupted_goes_on", {0, 3, EINTR}, QH_DONE, 0, 8},
    {"half_goes_on", {0, 1, HALF_WRITTEN}, QH_DONE, 0, 8},
    {"nothing_disk_full", {0, 1, NOTHING_WRITTEN}, QH_E_SINK, ENOSPC, 0},
    {"fails_told", {0, 1, EIO}, QH_E_SINK, EIO, 0},
};

static void run_write_rows(void)
{
    for (size_t i = 0; i < N_ROWS(WRITE_ROWS); i++) {
        qh_sink sink;
        char text[8] = "";
        int fd = nameless_file();
        row("faults_write_%s", WRITE_ROWS[i].name);
        qh_sink_init_descriptor(&sink, fd, 0);
        set_fault(CALL_PWRITE, WRITE_ROWS[i].fault);
        expect_status(qh_sink_write(&sink, "12345678", 8), WRITE_ROWS[i].status);
        clear_faults();
        expect_n("errno", (uint64_t)sink.error, (uint64_t)WRITE_ROWS[i].error);
        expect_n("offset", sink.offset, WRITE_ROWS[i].offset);
        expect_bytes("file", text, (size_t)pread(fd, text, 8, 0), (bytes){"12345678", WRITE_ROWS[i].offset});
        close(fd);
    }
}

static void test_reserve(void)
{
    static const struct {
        const char *name;
        int error;
        bool reserves;
    } RESERVE_ROWS[] = {
        {"interrupted_tried_again_later", EINTR, true},
        {"disk_full_left_alone", ENOSPC, false},
        {"not_supported_left_alone", EOPNOTSUPP, false},
    };
    for (size_t i = 0; i < N_ROWS(RESERVE_ROWS); i++) {
        qh_sink sink;
        int fd = nameless_file();
        row("faults_reserve_%s", RESERVE_ROWS[i].name);
        qh_sink_init_descriptor(&sink, fd, 0);
        bool reserves = RESERVE_ROWS[i].reserves && !is_in_memory(fd); /* there it is not even tried */
        set_fault(CALL_FALLOCATE, (fault){0, 1, RESERVE_ROWS[i].error});
        qh_sink_reserve(&sink, 1 << 20);
        clear_faults();
        expect_n("reserves", sink.reserves, reserves);
        expect_n("reserved_to", sink.reserved_to, 0);
        expect_status(qh_sink_write(&sink, "hello", 5), QH_DONE);
        close(fd);
    }
}

int main(void)
{
    run_conn_rows();
    test_not_watched_after_part();
    test_nothing_behind_a_gap();
    test_connecting();
    test_pause_refused();
    test_next_head_no_memory();
    run_input_rows();
    test_pipeline_no_memory();
    test_foreign_no_memory();
    test_keep_no_memory();
    test_dozing();
    test_budget_alone();
    test_send_later();
    test_loop_no_memory();
    test_slots_no_memory();
    test_budget();
    test_budget_many();
    test_gathering();
    run_write_rows();
    test_reserve();
    return check_summary("faults");
}

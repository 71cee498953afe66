/* test_turn.c: the loop with many connections at once: its ring and arena at their bounds, the timer, the
 * wake-up, signals, and a child that inherits it. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "turn_internal.h"
#include "world.h"

#define MS ((uint64_t)1000000)

/* --------------------------------------------------------------------------------- many connections */
typedef struct crowd {
    qh_loop loop;
    size_t n;
    qh_conn *conns;
    pair *sockets;
    unsigned *n_events; /* of each connection, of the kind that is counted */
} crowd;

/* As many as `n`, or as descriptors can be had. */
static void begin_crowd(crowd *c, size_t n)
{
    struct rlimit limit;
    require(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    *c = (crowd){.n = n < (limit.rlim_cur - 64) / 2 ? n : (limit.rlim_cur - 64) / 2};
    c->conns = calloc(c->n, sizeof *c->conns);
    c->sockets = calloc(c->n, sizeof *c->sockets);
    c->n_events = calloc(c->n, sizeof *c->n_events);
    require(c->conns && c->sockets && c->n_events && qh_loop_open(&c->loop) == 0, "begin_crowd");
    for (size_t i = 0; i < c->n; i++) {
        c->sockets[i] = local_pair();
        require(qh_conn_open(&c->loop, &c->conns[i], c->sockets[i].ours, true) == 0, "qh_conn_open");
        c->conns[i].tells_sent = true;
        qh_conn_expect_head(&c->loop, &c->conns[i], &USUAL_HEAD);
    }
}

static void end_crowd(crowd *c)
{
    for (size_t i = 0; i < c->n; i++) {
        qh_conn_close(&c->loop, &c->conns[i], false);
        close(c->sockets[i].peer);
    }
    expect_n("connections", c->loop.n_conns, 0);
    qh_loop_close(&c->loop);
    free(c->conns);
    free(c->sockets);
    free(c->n_events);
}

/* Turns the loop until nothing comes any more; `take` sees each event. Returns the number of turns. */
static unsigned turn_crowd(crowd *c, void (*take)(crowd *, size_t, const qh_event *))
{
    unsigned n_turns = 0;
    uint32_t n_waiting;
    do {
        qh_event event;
        require(qh_turn(&c->loop, 0) == 0, "qh_turn");
        n_waiting = c->loop.ring_len;
        expect(n_waiting <= QH_RING_CAP, "%u events in a ring of %u", n_waiting, QH_RING_CAP);
        while (qh_loop_next_event(&c->loop, &event)) {
            qh_conn *conn = qh_loop_conn(&c->loop, event.slot, event.generation);
            if (expect(conn != NULL, "an event of nobody"))
                take(c, (size_t)(conn - c->conns), &event);
        }
        n_turns += n_waiting > 0;
    } while (n_waiting > 0 && n_turns < 1000);
    return n_turns;
}

static void expect_each(crowd *c, const char *what, unsigned n)
{
    for (size_t i = 0; i < c->n; i++)
        expect(c->n_events[i] == n, "%s of connection %zu: %u, not %u", what, i, c->n_events[i], n);
}

static void count_events(crowd *c, size_t i, const qh_event *event)
{
    (void)event;
    c->n_events[i]++;
}

static void test_ring(void)
{
    crowd c;
    row("turn_many_connections_send_ring_never_overflows");
    begin_crowd(&c, 1100);
    for (size_t i = 0; i < c.n; i++)
        qh_conn_send(&c.loop, &c.conns[i], "hello", 5, false);
    unsigned n_turns = turn_crowd(&c, count_events);
    expect_each(&c, "writes", 1);
    expect(c.n < QH_RING_CAP || n_turns > 1, "%zu events in one turn", c.n);
    end_crowd(&c);

    row("turn_many_connections_fail_ring_never_overflows");
    begin_crowd(&c, 400);
    for (size_t i = 0; i < c.n; i++)
        put(c.sockets[i].peer, "x", 1);
    turn_crowd(&c, count_events);
    expect_each(&c, "first bytes and failures", 2);
    end_crowd(&c);
}

/* The most a visit tells: output that was waiting is written, the answer begins, and it is none. */
static void test_ring_three_events(void)
{
    static char out[1 << 20];
    static char in[sizeof out];
    crowd c;
    row("turn_three_events_a_visit_ring_never_overflows");
    begin_crowd(&c, 350);
    for (size_t i = 0; i < c.n; i++)
        qh_conn_send(&c.loop, &c.conns[i], out, sizeof out, false);
    require(qh_turn(&c.loop, 0) == 0, "qh_turn");
    for (qh_event event; qh_loop_next_event(&c.loop, &event);)
        ;
    for (size_t i = 0; i < c.n; i++) {
        expect(c.conns[i].out_left > 0, "all of it was written at once");
        require(recv(c.sockets[i].peer, in, sizeof in, MSG_DONTWAIT) > 0, "recv");
        put(c.sockets[i].peer, "x", 1);
    }
    require(qh_turn(&c.loop, 0) == 0, "qh_turn");
    expect_n("events", c.loop.ring_len, 3 * 256);
    for (qh_event event; qh_loop_next_event(&c.loop, &event);)
        ;
    end_crowd(&c);
}

/* Bodies that go on without the poller's word. */
static void test_ring_unfinished(void)
{
    static qh_sink sink = {.kind = QH_SINK_NOTHING};
    crowd c;
    row("turn_many_bodies_resumed_ring_never_overflows_and_each_told_once");
    begin_crowd(&c, 1100);
    for (size_t i = 0; i < c.n; i++) {
        qh_body_init(&c.conns[i].body, QH_FRAMING_CLOSE, 0, &USUAL_CHUNKS, &sink);
        require(qh_conn_resume_body(&c.loop, &c.conns[i]) == 0, "qh_conn_resume_body");
        put(c.sockets[i].peer, "hello", 5);
    }
    turn_crowd(&c, count_events);
    expect_each(&c, "progress", 1);
    expect(!c.loop.unfinished.first && !c.loop.unfinished.last, "one still waits for its turn");
    end_crowd(&c);
}

/* --------------------------------------------------------------------------------- heads and the arena */
enum { LARGE_HEAD_MAX = 64 << 10 };

/* A head that says whose it is in every byte of its fields. */
static void make_large_head(char *head, size_t len, size_t i)
{
    size_t at = (size_t)sprintf(head, "HTTP/1.1 200 OK\r\n");
    while (at + 1002 < len) {
        memset(head + at, 'a' + (int)(i % 26), 1000);
        head[at + 1 + i / 26] = ':';
        memcpy(head + at + 998, "\r\n", 2);
        at += 1000;
    }
    memset(head + at, 'z', len - at);
    memcpy(head + len - 4, "\r\n\r\n", 4);
}

static void test_arena(size_t head_len)
{
    static char heads[200][LARGE_HEAD_MAX];
    crowd c;
    unsigned n_turns = 0;
    row("turn_many_heads_of_%zu_bytes_arena_never_overflows_and_all_told", head_len);
    begin_crowd(&c, N_ROWS(heads));
    for (size_t i = 0; i < c.n; i++) {
        make_large_head(heads[i], head_len, i);
        put(c.sockets[i].peer, heads[i], head_len);
    }
    for (size_t n_heads = 0; n_heads < c.n && n_turns < 100; n_turns++) {
        qh_event event;
        require(qh_turn(&c.loop, 0) == 0, "qh_turn");
        expect(c.loop.arena_len <= QH_ARENA_CAP, "%zu bytes in the arena", c.loop.arena_len);
        while (qh_loop_next_event(&c.loop, &event)) { /* after the turn: all of them must still be there */
            qh_conn *conn = qh_loop_conn(&c.loop, event.slot, event.generation);
            if (event.kind == QH_EVENT_FIRST_BYTES) /* the last of a turn may have found room for a part only */
                continue;
            expect(event.kind == QH_EVENT_HEAD && event.head_len == head_len && event.n == head_len,
                   "event %d of %zu bytes", event.kind, event.n);
            expect(memcmp(event.data, heads[conn - c.conns], head_len) == 0, "another's head");
            n_heads++;
        }
    }
    expect(n_turns > 1 && n_turns < 100, "%u turns", n_turns);
    end_crowd(&c);
}

/* Heads have taken all room of this turn: a body that waits for its turn has the next. */
static void test_arena_unfinished(void)
{
    enum { HEAD_LEN = 60 << 10 };
    static char head[HEAD_LEN];
    static qh_sink sink = {.kind = QH_SINK_NOTHING};
    crowd c;
    row("turn_arena_full_of_heads_body_resumed_waits_for_the_next_turn");
    begin_crowd(&c, 30);
    make_large_head(head, HEAD_LEN, 0);
    for (size_t i = 1; i < c.n; i++)
        put(c.sockets[i].peer, head, HEAD_LEN);
    qh_body_init(&c.conns[0].body, QH_FRAMING_CLOSE, 0, &USUAL_CHUNKS, &sink);
    require(qh_conn_resume_body(&c.loop, &c.conns[0]) == 0, "qh_conn_resume_body");
    require(qh_turn(&c.loop, 0) == 0, "qh_turn");
    expect(QH_ARENA_CAP - c.loop.arena_len < 16 << 10, "%zu bytes in the arena", c.loop.arena_len);
    expect(c.loop.unfinished.first == &c.conns[0], "it does not wait for its turn");
    turn_crowd(&c, count_events);
    expect(!c.loop.unfinished.first && c.n_events[0] == 0, "it still waits for its turn");
    end_crowd(&c);
}

/* ---------------------------------------------------------------------------------- slots, generations */
static void test_slots(void)
{
    crowd c;
    qh_conn again = {0};
    row("turn_many_slots_each_connection_found");
    begin_crowd(&c, 300);
    for (size_t i = 0; i < c.n; i++)
        expect(qh_loop_conn(&c.loop, c.conns[i].slot, c.conns[i].generation) == &c.conns[i], "%zu is not found", i);
    expect_n("connections", c.loop.n_conns, c.n);
    uint32_t n_slots = c.loop.n_slots;
    for (unsigned i = 0; i < 1000; i++) { /* slots are used again, never under the same generation */
        pair both = local_pair();
        require(qh_conn_open(&c.loop, &again, both.ours, true) == 0, "qh_conn_open");
        uint32_t slot = again.slot, generation = again.generation;
        qh_conn_close(&c.loop, &again, false);
        close(both.peer);
        expect(!qh_loop_conn(&c.loop, slot, generation), "a closed one is found");
    }
    expect_n("slots", c.loop.n_slots, n_slots);
    end_crowd(&c);
}

/* ------------------------------------------------------------------------- waiting, timer, wake, signals */
static void test_waiting(void)
{
    world w;
    row("turn_nothing_to_do_waits_that_long");
    begin_world(&w, local_pair(), true);
    uint64_t from = now_ns();
    turn(&w, 30);
    expect_trace(&w, "");
    expect(now_ns() - from >= 29 * MS, "it did not wait");
    expect(w.loop.now_ns >= from, "the time stands still");

    row("turn_timer_told_once");
    require(qh_poller_arm(&w.loop.poller, 1) == 0, "qh_poller_arm");
    turn(&w, 5000);
    turn(&w, 0);
    expect_trace(&w, "timer");

    row("turn_woken_no_event_no_waiting");
    require(qh_poller_wake(&w.loop.poller) == 0, "qh_poller_wake");
    turn(&w, 5000);
    expect_trace(&w, "");

    row("turn_output_waiting_no_waiting");
    qh_conn_send(&w.loop, &w.conn, "hello", 5, false);
    turn(&w, 60000);
    expect_trace(&w, "sent:5");

    row("turn_descriptor_readable_for_a_foreign_loop");
    struct pollfd one = {.fd = w.loop.poller.fd, .events = POLLIN};
    expect(poll(&one, 1, 0) == 0, "it is readable, and nothing has happened");
    begin_head(&w);
    put(w.sockets.peer, "HTTP/1.1 200 OK\r\n\r\n", 19);
    expect(poll(&one, 1, 5000) == 1, "it is not readable");
    turn(&w, 60000);
    expect_trace(&w, "head:19+0");
    end_world(&w);
}

static void ignore_signal(int number) { (void)number; }

static void test_signal(void)
{
    world w;
    struct itimerval soon = {.it_value.tv_usec = 20000}, never = {0};
    struct sigaction action = {.sa_handler = ignore_signal};
    row("turn_interrupted_by_signal_error_eintr");
    begin_world(&w, local_pair(), true);
    require(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0, "setitimer");
    expect(qh_turn(&w.loop, 10000) == -1 && errno == EINTR, "the signal was not told");
    setitimer(ITIMER_REAL, &never, NULL);
    put(w.sockets.peer, "x", 1); /* and it goes on */
    turn(&w, 0);
    expect_trace(&w, "idle_bytes");
    end_world(&w);
}

/* ---------------------------------------------------------------------------------------------- forking */
static void test_abandon(void)
{
    world w;
    int state;
    row("turn_abandoned_by_child_parent_goes_on");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        qh_loop_abandon(&w.loop);
        bool let_go = w.loop.poller.fd == -1 && w.loop.poller.timer_fd == -1 && w.loop.poller.wake_fd == -1;
        qh_conn_close(&w.loop, &w.conn, false);
        let_go = let_go && qh_turn(&w.loop, 0) == -1;
        qh_loop_close(&w.loop);
        _exit(let_go ? 0 : 1);
    }
    require(waitpid(child, &state, 0) == child, "waitpid");
    expect(WIFEXITED(state) && WEXITSTATUS(state) == 0, "the child did not let go");
    put(w.sockets.peer, "HTTP/1.1 200 OK\r\n\r\n", 19);
    turn(&w, 5000);
    expect_trace(&w, "head:19+0");
    end_world(&w);
}

static void test_closed_beside_child(void)
{
    world w;
    int both[2], state;
    char byte = 0;
    row("turn_connection_closed_while_child_holds_it_never_told_again");
    begin_world(&w, local_pair(), true);
    require(pipe(both) == 0, "pipe");
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) { /* holds the socket open until the parent has looked */
        close(both[1]);
        _exit(read(both[0], &byte, 1) < 0);
    }
    qh_conn_close(&w.loop, &w.conn, false);
    put(w.sockets.peer, "x", 1);
    struct pollfd one = {.fd = w.loop.poller.fd, .events = POLLIN};
    expect(poll(&one, 1, 20) == 0, "it still tells of the connection");
    turn(&w, 0);
    expect_trace(&w, "");
    close(both[0]);
    close(both[1]);
    require(waitpid(child, &state, 0) == child, "waitpid");
    end_world(&w);
}

static void test_empty_loop(void)
{
    qh_loop loop;
    qh_event event;
    row("turn_empty_loop_abandoned_and_closed_harmless");
    require(qh_loop_open(&loop) == 0, "qh_loop_open");
    expect(!qh_loop_next_event(&loop, &event), "an event in a new loop");
    expect(!qh_loop_conn(&loop, 0, 0), "a connection in a new loop");
    qh_loop_abandon(&loop);
    for (int i = 0; i < 2; i++)
        qh_loop_close(&loop);
}

/* ------------------------------------------------------------------------- one connection alone, at once */
enum { DIRECT_MAX = 16, MISSES_MAX = 4, RETRY_AFTER = 64 };
#define OK "HTTP/1.1 200 OK\r\n\r\n"

/* One turn, in which a wake-up is waiting; whether the poller was asked, and so has taken it back. */
static bool turn_asks_poller(world *w, int timeout_ms)
{
    struct pollfd wake = {.fd = w->loop.poller.wake_fd, .events = POLLIN};
    require(qh_poller_wake(&w->loop.poller) == 0, "qh_poller_wake");
    turn(w, timeout_ms);
    return poll(&wake, 1, 0) == 0;
}

static void begin_alone(world *w)
{
    begin_world(w, local_pair(), true);
    w->conn.tells_sent = false;
}

/* Sends a request to which the answer is there already, if any. */
static void ask(world *w, const char *answer)
{
    begin_head(w);
    put(w->sockets.peer, answer, strlen(answer));
    qh_conn_send(&w->loop, &w->conn, "x", 1, false);
}

static void test_direct(void)
{
    static const struct {
        const char *name;
        int timeout_ms;
        bool paused, told, taken, not_sent, asks;
        const char *trace;
    } DIRECT_ROWS[] = {
        {"poller_not_asked", 60000, false, false, false, false, false, "head:19+0"},
        {"for_ever_poller_not_asked", -1, false, false, false, false, false, "head:19+0"},
        {"without_waiting_poller_asked", 0, false, false, false, false, true, "head:19+0"},
        {"while_paused_poller_asked", 60000, true, false, false, false, true, ""},
        {"while_sending_is_told_poller_not_asked_and_nothing_read", 60000, false, true, false, false, false, "sent:1"},
        {"while_owner_decides_poller_asked", 60000, false, false, true, false, true, ""},
        {"nothing_sent_poller_asked", 60000, false, false, false, true, true, "head:19+0"},
    };
    for (size_t i = 0; i < N_ROWS(DIRECT_ROWS); i++) {
        world w;
        row("turn_answer_there_%s", DIRECT_ROWS[i].name);
        begin_alone(&w);
        w.conn.tells_sent = DIRECT_ROWS[i].told;
        ask(&w, OK);
        if (DIRECT_ROWS[i].not_sent)
            require(qh_conn_stop_sending(&w.loop, &w.conn) == 0, "qh_conn_stop_sending");
        if (DIRECT_ROWS[i].taken)
            w.conn.phase = QH_PHASE_TAKEN;
        require(qh_conn_pause(&w.loop, &w.conn, DIRECT_ROWS[i].paused) == 0, "qh_conn_pause");
        uint64_t from = now_ns();
        expect(turn_asks_poller(&w, DIRECT_ROWS[i].timeout_ms) == DIRECT_ROWS[i].asks,
               "the poller was asked, or was not");
        expect_trace(&w, DIRECT_ROWS[i].trace);
        expect(DIRECT_ROWS[i].told || w.loop.now_ns >= from, "the time stands still");
        end_world(&w);
    }
}

static void test_direct_two(void)
{
    world w;
    qh_conn other = {0};
    pair both = local_pair();
    row("turn_answer_there_but_two_connections_poller_asked");
    begin_alone(&w);
    require(qh_conn_open(&w.loop, &other, both.ours, true) == 0, "qh_conn_open");
    for (int i = 0; i < 3; i++) {
        ask(&w, OK);
        expect(turn_asks_poller(&w, 60000), "the poller was not asked");
        expect_trace(&w, "head:19+0");
    }
    qh_conn_close(&w.loop, &other, false);
    ask(&w, OK);
    expect(!turn_asks_poller(&w, 60000), "it is alone now, and the poller was asked");
    expect_trace(&w, "head:19+0");
    close(both.peer);
    end_world(&w);
}

/* An endless run of answers that are there at once: every so many turns, all others have their say. */
static void test_direct_run(void)
{
    world w;
    row("turn_many_answers_there_timer_told_all_the_same");
    begin_alone(&w);
    for (int round = 0; round < 3; round++) {
        require(qh_poller_arm(&w.loop.poller, 1) == 0, "qh_poller_arm");
        for (int i = 0; i < DIRECT_MAX; i++) {
            ask(&w, OK);
            expect_n("events", turn(&w, 60000), 1);
            expect_trace(&w, "head:19+0");
        }
        ask(&w, OK);
        turn(&w, 60000);
        expect(strcmp(w.trace, "timer head:19+0") == 0 || strcmp(w.trace, "head:19+0 timer") == 0, "events are '%s'",
               w.trace);
        w.trace[0] = '\0';
    }

    row("turn_many_answers_there_woken_all_the_same");
    for (int i = 0; i <= DIRECT_MAX; i++) {
        ask(&w, OK);
        expect(turn_asks_poller(&w, 60000) == (i == DIRECT_MAX), "turn %d asked the poller, or did not", i);
    }
    row("turn_answer_there_turns_that_ask_begin_the_run_anew");
    for (int i = 0; i < 3 * DIRECT_MAX; i++) {
        bool waits = i % 10 == 9;
        ask(&w, OK);
        expect(turn_asks_poller(&w, waits ? 0 : 60000) == waits, "turn %d asked the poller, or did not", i);
    }
    end_world(&w);
}

/* Answers that are not there yet when looked for: the attempts cost, and become fewer; one that succeeds brings them
 * back. */
static void test_direct_misses(void)
{
    world w;
    row("turn_answers_late_looked_for_less_often");
    begin_alone(&w);
    for (unsigned i = 1; i <= MISSES_MAX + 3; i++) {
        ask(&w, "");
        expect(turn_asks_poller(&w, 60000), "there was no answer, and the poller was not asked");
        expect_trace(&w, "");
        expect_n("missed", w.loop.n_missed, i);
    }
    unsigned n_asked = 0; /* now the answers are there, and are looked for again after a while */
    for (bool asks = true; asks && n_asked < 2 * RETRY_AFTER; n_asked++) {
        w.trace[0] = '\0';
        ask(&w, OK);
        asks = turn_asks_poller(&w, 60000);
        expect_trace(&w, "head:19+0");
    }
    expect_n("turns until then", n_asked, RETRY_AFTER - (MISSES_MAX + 3));
    expect_n("missed", w.loop.n_missed, 0);
    ask(&w, OK);
    expect(!turn_asks_poller(&w, 60000), "it is not looked for at once again");
    expect_trace(&w, "head:19+0");

    row("turn_answer_late_waited_for");
    uint64_t from = now_ns();
    ask(&w, "");
    while (poll(&(struct pollfd){.fd = w.loop.poller.wake_fd, .events = POLLIN}, 1, 0) > 0)
        turn(&w, 0); /* no wake-ups are left */
    turn(&w, 30);
    expect_trace(&w, "");
    expect(now_ns() - from >= 29 * MS, "it did not wait");
    end_world(&w);
}

/* It has more for certain: it was stopped by its budget, or has room again. */
static void test_direct_unfinished(void)
{
    static char memory[8];
    world w;
    qh_sink sink;
    row("turn_body_resumed_poller_not_asked");
    begin_alone(&w);
    qh_sink_init_memory(&sink, memory, 0, 2);
    qh_body_init(&w.conn.body, QH_FRAMING_LENGTH, 8, &USUAL_CHUNKS, &sink);
    require(qh_conn_start_body(&w.loop, &w.conn) == 0, "qh_conn_start_body");
    put(w.sockets.peer, "abcdef", 6);
    turn(&w, 60000);
    expect_trace(&w, "full");
    for (sink.cap = 4; sink.cap <= 6; sink.cap += 2) {
        require(qh_conn_resume_body(&w.loop, &w.conn) == 0, "qh_conn_resume_body");
        expect(!turn_asks_poller(&w, 60000), "the poller was asked");
        expect_trace(&w, "full");
        expect(!w.loop.unfinished.first, "it still waits for its turn");
    }
    expect(memcmp(memory, "abcdef", 6) == 0, "payload differs");

    row("turn_body_resumed_nothing_there_poller_asked_and_waits");
    sink.cap = 8;
    require(qh_conn_resume_body(&w.loop, &w.conn) == 0, "qh_conn_resume_body");
    expect(turn_asks_poller(&w, 60000), "the poller was not asked");
    expect_trace(&w, "");
    uint64_t from = now_ns();
    turn(&w, 30);
    expect(now_ns() - from >= 29 * MS, "it did not wait");
    put(w.sockets.peer, "gh", 2);
    turn(&w, 60000);
    expect_trace(&w, "end");
    expect_n("missed", w.loop.n_missed, 0); /* it was not asked anything */
    end_world(&w);
}

/* The connection is gone, or says so. */
static void test_direct_end(void)
{
    world w;
    row("turn_peer_gone_told_without_poller");
    begin_alone(&w);
    ask(&w, OK);
    char in[8];
    turn(&w, 60000);
    begin_head(&w);
    require(recv(w.sockets.peer, in, sizeof in, 0) == 1 && shutdown(w.sockets.peer, SHUT_WR) == 0, "shutdown");
    qh_conn_send(&w.loop, &w.conn, "x", 1, false);
    expect(!turn_asks_poller(&w, 60000), "the poller was asked");
    expect_trace(&w, "head:19+0 failed:E_TRUNCATED");
    end_world(&w);

    row("turn_answer_in_two_parts_second_by_poller");
    begin_alone(&w);
    ask(&w, "HTTP/1.1 2");
    expect(!turn_asks_poller(&w, 60000), "the poller was asked");
    put(w.sockets.peer, "00 OK\r\n\r\n", 9);
    expect(turn_asks_poller(&w, 60000), "the poller was not asked");
    expect_trace(&w, "first head:19+0");
    end_world(&w);
}

/* An upload in blocks, the next one given when SENT tells that the last is out, to a peer that takes all at once. */
static void test_upload_to_fast_peer(void)
{
    static char block[64 << 10], in[1 << 20];
    world w;
    unsigned n_timer = 0;
    row("turn_upload_to_a_fast_peer_timer_told_all_the_same");
    begin_alone(&w);
    w.conn.tells_sent = true;
    require(qh_poller_arm(&w.loop.poller, 1) == 0, "qh_poller_arm");
    qh_conn_send(&w.loop, &w.conn, block, sizeof block, false);
    for (unsigned i = 0; i < 1000 && n_timer == 0; i++) {
        require(qh_turn(&w.loop, 1000) == 0, "qh_turn");
        while (recv(w.sockets.peer, in, sizeof in, MSG_DONTWAIT) > 0)
            ;
        for (qh_event event; qh_loop_next_event(&w.loop, &event);) {
            n_timer += event.kind == QH_EVENT_TIMER;
            if (event.kind == QH_EVENT_SENT && w.conn.out_left == 0)
                qh_conn_send(&w.loop, &w.conn, block, sizeof block, false);
        }
    }
    expect(n_timer > 0, "no timer in a thousand turns");
    end_world(&w);
}

int main(void)
{
    test_ring();
    test_ring_three_events();
    test_ring_unfinished();
    test_arena(40 << 10); /* what is left of the arena holds a part of one more */
    test_arena(60 << 10); /* too little is left for that */
    test_arena(LARGE_HEAD_MAX); /* nothing is left */
    test_arena_unfinished();
    test_slots();
    test_waiting();
    test_signal();
    test_abandon();
    test_closed_beside_child();
    test_empty_loop();
    test_direct();
    test_direct_two();
    test_direct_run();
    test_direct_misses();
    test_upload_to_fast_peer();
    test_direct_unfinished();
    test_direct_end();
    return check_summary("turn");
}

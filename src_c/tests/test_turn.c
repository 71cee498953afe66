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

int main(void)
{
    test_ring();
    test_ring_three_events();
    test_arena(40 << 10); /* what is left of the arena holds a part of one more */
    test_arena(60 << 10); /* too little is left for that */
    test_arena(LARGE_HEAD_MAX); /* nothing is left */
    test_slots();
    test_waiting();
    test_signal();
    test_abandon();
    test_closed_beside_child();
    test_empty_loop();
    return check_summary("turn");
}

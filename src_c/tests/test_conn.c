/* test_conn.c: the life of one connection in a loop: opening, sending, idling, pausing, breaking off. */
#include "world.h"

#define OK "HTTP/1.1 200 OK\r\n\r\n" /* 19 bytes */
#define CHUNKS "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"

/* --------------------------------------------------------------------------------- opening and closing */
static void test_connected(void)
{
    struct sockaddr_in address;
    int from = listener(&address);
    world w;
    row("conn_connecting_accepted_connected");
    begin_world(&w, (pair){begin_connect(&address), -1}, false);
    turn_until_event(&w);
    expect_trace(&w, "connected");
    expect(w.conn.last_moved_ns == w.loop.now_ns, "the connection was not noted as heard of");
    expect_n("phase", w.conn.phase, QH_PHASE_IDLE);
    expect_n("interest", w.conn.interest, QH_READABLE);
    end_world(&w);
    close(from);
}

static void test_refused(void)
{
    struct sockaddr_in address;
    world w;
    row("conn_connecting_refused_told_with_errno");
    close(listener(&address));
    begin_world(&w, (pair){begin_connect(&address), -1}, false);
    turn_until_event(&w);
    expect_trace(&w, "connected:refused");
    end_world(&w);
}

static void test_open_refused(void)
{
    world w;
    qh_conn conn = {0};
    row("conn_open_bad_descriptor_nothing_changed");
    begin_world(&w, local_pair(), true);
    expect(qh_conn_open(&w.loop, &conn, 9999, true) == -1 && errno == EBADF, "it was taken");
    expect_n("connections", w.loop.n_conns, 1);
    end_world(&w);
}

static void test_closed(void)
{
    static int owner;
    world w;
    qh_event event;
    row("conn_closed_with_event_waiting_event_stale");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    w.conn.owner = &owner;
    put(w.sockets.peer, OK, 19);
    require(qh_turn(&w.loop, 0) == 0, "qh_turn");
    int fd = w.conn.fd;
    qh_conn_close(&w.loop, &w.conn, true);
    expect(w.conn.owner == &owner, "the owner was lost");
    expect(qh_loop_next_event(&w.loop, &event), "the event was lost");
    expect(!qh_loop_conn(&w.loop, event.slot, event.generation), "the event finds a connection");
    require(qh_conn_open(&w.loop, &w.conn, fd, true) == 0, "qh_conn_open");
    w.conn.tells_sent = true; /* kept open: it is still good */
    expect_n("slot", w.conn.slot, event.slot);
    expect(!qh_loop_conn(&w.loop, event.slot, event.generation), "the event finds the next connection");
    expect(qh_loop_conn(&w.loop, w.conn.slot, w.conn.generation) == &w.conn, "the next connection is not found");
    expect(!qh_loop_conn(&w.loop, 99999, 0), "no slot, and yet a connection");
    end_world(&w);
}

/* -------------------------------------------------------------------------------------------- sending */
static void test_partial_send(void)
{
    enum { LEN = 3 << 20 };
    char *out = malloc(LEN), *in = malloc(LEN);
    size_t n_told = 0, n_in = 0, n_events = 0;
    world w;
    qh_event event;
    require(out && in, "malloc");
    for (size_t i = 0; i < LEN; i++)
        out[i] = (char)(i * 31 + (i >> 9));
    row("conn_send_larger_than_the_socket_all_sent");
    begin_world(&w, local_pair(), true);
    qh_conn_send(&w.loop, &w.conn, out, LEN, false);
    for (int i = 0; i < 10000 && n_in < LEN; i++) {
        require(qh_turn(&w.loop, 0) == 0, "qh_turn");
        for (; qh_loop_next_event(&w.loop, &event); n_events++) {
            expect_n("kind", event.kind, QH_EVENT_SENT);
            n_told += event.n;
        }
        expect_n("told", n_told, LEN - w.conn.out_left);
        expect_n("interest", w.conn.interest, w.conn.out_left ? QH_READABLE | QH_WRITABLE : QH_READABLE);
        ssize_t n = recv(w.sockets.peer, in + n_in, LEN - n_in < 99999 ? LEN - n_in : 99999, MSG_DONTWAIT);
        n_in += n > 0 ? (size_t)n : 0;
    }
    expect(n_in == LEN && memcmp(in, out, LEN) == 0, "%zu bytes arrived", n_in);
    expect(n_events > 1, "it was no partial write");
    end_world(&w);
    free(in);
    free(out);
}

static void test_stop_sending(void)
{
    static const char out[1 << 20];
    world w;
    row("conn_stop_sending_rest_forgotten");
    begin_world(&w, local_pair(), true);
    qh_conn_send(&w.loop, &w.conn, out, sizeof out, false);
    turn(&w, 0);
    expect(w.conn.out_left > 0 && w.conn.interest & QH_WRITABLE, "all was sent");
    for (int i = 0; i < 2; i++) { /* half written, then not begun */
        w.trace[0] = '\0';
        require(qh_conn_stop_sending(&w.loop, &w.conn) == 0, "qh_conn_stop_sending");
        expect_n("interest", w.conn.interest, QH_READABLE);
        turn(&w, 0);
        expect_trace(&w, "");
        qh_conn_send(&w.loop, &w.conn, out, sizeof out, false);
    }
    end_world(&w);
}

/* The peer closes; what it wrote before that is read before the failure to send is told. */
static void test_send_failed(void)
{
    static const struct {
        const char *name, *answer;
        bool expects_head;
        const char *trace;
    } FAILED_ROWS[] = {
        {"nothing_read_failed", "", true, "failed:E_TRUNCATED"},
        {"nothing_asked_idle_end", "", false, "idle_end"},
        {"early_answer_read_first", OK, true, "head:19+0"},
        {"early_part_of_answer_read_first", "HTTP/1.1", true, "first failed:E_TRUNCATED"},
    };
    for (size_t i = 0; i < N_ROWS(FAILED_ROWS); i++) {
        world w;
        row("conn_send_to_closed_peer_%s", FAILED_ROWS[i].name);
        begin_world(&w, local_pair(), true);
        if (FAILED_ROWS[i].expects_head)
            begin_head(&w);
        put(w.sockets.peer, FAILED_ROWS[i].answer, strlen(FAILED_ROWS[i].answer));
        close_peer(&w);
        qh_conn_send(&w.loop, &w.conn, "hello", 5, false);
        for (int k = 0; k < 4; k++)
            turn(&w, 0);
        expect_trace(&w, FAILED_ROWS[i].trace);
        expect_n("out_left", w.conn.out_left, 0);
        end_world(&w);
    }

    world w;
    row("conn_send_after_head_to_closed_peer_failed_with_errno");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    put(w.sockets.peer, OK "hello", 24);
    turn(&w, 0);
    put(w.sockets.peer, "more", 4); /* lies in the socket, but the owner has the word: nobody would read it */
    close_peer(&w);
    qh_conn_send(&w.loop, &w.conn, "hello", 5, false);
    turn(&w, 0);
    expect_trace(&w, "head:19+5 failed:E_SEND:pipe");
    end_world(&w);

    row("conn_send_with_nothing_to_read_failed_with_errno");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    require(shutdown(w.sockets.ours, SHUT_WR) == 0, "shutdown"); /* it cannot send, and yet nothing lies there */
    qh_conn_send(&w.loop, &w.conn, "hello", 5, false);
    turn(&w, 0);
    expect_trace(&w, "failed:E_SEND:pipe");
    end_world(&w);
}

/* ----------------------------------------------------------------------------------- idling and reuse */
typedef enum peer_does { PEER_NOTHING, PEER_CLOSES, PEER_SPEAKS, PEER_RESETS } peer_does;

static void peer_does_it(world *w, peer_does what)
{
    if (what == PEER_SPEAKS)
        put(w->sockets.peer, "HTTP", 4);
    else if (what == PEER_CLOSES)
        close_peer(w);
    else if (what == PEER_RESETS)
        reset_by(w->sockets.peer);
    if (what == PEER_RESETS)
        w->sockets.peer = -1;
    if (what != PEER_NOTHING)
        await_readable(w->sockets.ours);
}

static void test_idle(void)
{
    static const struct {
        const char *name;
        peer_does what;
        const char *idle_trace, *send_trace;
    } IDLE_ROWS[] = {
        {"silent", PEER_NOTHING, "", "sent:5"},
        {"closed", PEER_CLOSES, "idle_end", "stale"},
        {"unasked_bytes", PEER_SPEAKS, "idle_bytes", "stale"},
        {"reset", PEER_RESETS, "idle_end", "stale"},
    };
    for (size_t i = 0; i < N_ROWS(IDLE_ROWS); i++) {
        world w;
        row("conn_idle_%s_told_once", IDLE_ROWS[i].name);
        begin_world(&w, tcp_pair(), true);
        peer_does_it(&w, IDLE_ROWS[i].what);
        for (int k = 0; k < 3; k++)
            turn(&w, 0);
        expect_trace(&w, IDLE_ROWS[i].idle_trace);
        end_world(&w);

        row("conn_reused_after_%s_looked_at_first", IDLE_ROWS[i].name);
        begin_world(&w, tcp_pair(), true);
        peer_does_it(&w, IDLE_ROWS[i].what);
        qh_conn_send(&w.loop, &w.conn, "hello", 5, true);
        turn(&w, 0);
        expect_trace(&w, IDLE_ROWS[i].send_trace);
        end_world(&w);
    }
}

/* An exchange without a body is over; the peer closes `n_turns_between` turns later, before the next one. */
static void test_reuse(unsigned n_turns_between, const char *name, const char *trace)
{
    world w;
    row("conn_reused_%s", name);
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    put(w.sockets.peer, OK, 19);
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    for (unsigned i = 0; i < n_turns_between; i++)
        turn(&w, 0);
    if (n_turns_between)
        close_peer(&w);
    qh_conn_rest(&w.loop, &w.conn);
    qh_conn_send(&w.loop, &w.conn, "hello", 5, true);
    expect_n("check", w.conn.check_before_send, n_turns_between > 0);
    turn(&w, 0);
    expect_trace(&w, trace);
    end_world(&w);
}

/* The owner has taken its time between the answer and the next request, within one turn. */
static void test_reuse_late(void)
{
    world w;
    row("conn_reused_in_that_turn_but_late_looked_at_first");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    put(w.sockets.peer, OK, 19);
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    qh_conn_rest(&w.loop, &w.conn);
    close_peer(&w);
    nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    qh_conn_send(&w.loop, &w.conn, "hello", 5, true);
    expect(!w.conn.check_before_send, "it is looked at whatever the time");
    turn(&w, 0);
    expect_trace(&w, "stale");
    end_world(&w);
}

/* Only the first byte of a request is held back by an unfit connection; later, an answer is no surprise. */
static void test_early_answer_after_check(void)
{
    static const char out[1 << 20];
    static char in[sizeof out];
    world w;
    row("conn_reused_answer_while_sending_not_stale");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    qh_conn_send(&w.loop, &w.conn, out, sizeof out, true);
    turn(&w, 0);
    expect(w.conn.out_left > 0, "all of it was written at once");
    w.trace[0] = '\0';
    put(w.sockets.peer, OK, 19);
    require(recv(w.sockets.peer, in, sizeof in, MSG_DONTWAIT) > 0, "recv");
    turn(&w, 0);
    expect(strncmp(w.trace, "sent:", 5) == 0 && strstr(w.trace, " head:19+0"), "events are '%s'", w.trace);
    end_world(&w);
}

/* ------------------------------------------------------------------------------------------- pausing */
static void test_pause(void)
{
    static const struct {
        const char *name;
        bool in_body;
        const char *trace;
    } PAUSE_ROWS[] = {{"head", false, "head:19+0"}, {"body", true, "progress"}};
    for (size_t i = 0; i < N_ROWS(PAUSE_ROWS); i++) {
        world w;
        qh_sink sink = {.kind = QH_SINK_NOTHING};
        row("conn_paused_in_%s_nothing_read_until_resumed", PAUSE_ROWS[i].name);
        begin_world(&w, local_pair(), true);
        begin_head(&w);
        if (PAUSE_ROWS[i].in_body) {
            qh_body_init(&w.conn.body, QH_FRAMING_CLOSE, 0, &USUAL_CHUNKS, &sink);
            qh_conn_start_body(&w.loop, &w.conn);
        }
        for (int k = 0; k < 2; k++)
            expect(qh_conn_pause(&w.loop, &w.conn, true) == 0, "pausing failed");
        put(w.sockets.peer, OK, 19);
        turn(&w, 0);
        expect_trace(&w, "");
        expect_n("interest", w.conn.interest, 0);
        expect_n("waiting", bytes_waiting(w.sockets.ours), 19);
        qh_conn_send(&w.loop, &w.conn, "hello", 5, false); /* sending goes on beside it */
        expect(qh_conn_pause(&w.loop, &w.conn, true) == 0 && w.conn.interest == 0, "pausing failed");
        turn(&w, 0);
        expect_trace(&w, "sent:5");
        for (int k = 0; k < 2; k++)
            expect(qh_conn_pause(&w.loop, &w.conn, false) == 0, "resuming failed");
        turn(&w, 0);
        expect_trace(&w, PAUSE_ROWS[i].trace);
        turn(&w, 0);
        expect_trace(&w, "");
        end_world(&w);
    }
}

/* Output is waiting, so that the poller still tells of the peer's end, which counts as readable. */
static void test_paused_and_peer_gone(void)
{
    static const char out[1 << 20];
    world w;
    row("conn_paused_while_peer_goes_nothing_read_until_resumed");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause");
    qh_conn_send(&w.loop, &w.conn, out, sizeof out, false);
    turn(&w, 0);
    expect_n("interest", w.conn.interest, QH_WRITABLE);
    w.trace[0] = '\0';
    put(w.sockets.peer, OK, 19);
    close_peer(&w);
    turn(&w, 0);
    turn(&w, 0);
    expect_n("waiting", bytes_waiting(w.sockets.ours), 19);
    expect_trace(&w, "");
    require(qh_conn_pause(&w.loop, &w.conn, false) == 0, "qh_conn_pause");
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    end_world(&w);
}

static void test_paused_and_resumed_or_closed_between(void)
{
    world w;
    qh_sink sink = {.kind = QH_SINK_NOTHING};
    row("conn_resumed_then_paused_or_closed_nothing_read");
    for (int k = 0; k < 2; k++) {
        begin_world(&w, local_pair(), true);
        qh_body_init(&w.conn.body, QH_FRAMING_CLOSE, 0, &USUAL_CHUNKS, &sink);
        qh_conn_start_body(&w.loop, &w.conn);
        put(w.sockets.peer, "hello", 5);
        require(qh_conn_pause(&w.loop, &w.conn, true) == 0 && qh_conn_pause(&w.loop, &w.conn, false) == 0, "pause");
        expect(w.loop.unfinished.first == &w.conn, "it does not wait for its turn");
        if (k == 0)
            require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "pause");
        else
            qh_conn_close(&w.loop, &w.conn, false);
        expect(!w.loop.unfinished.first && !w.loop.unfinished.last, "it still waits for its turn");
        turn(&w, 0);
        expect_trace(&w, "");
        end_world(&w);
    }
}

/* Three wait for their turn; the one in the middle is taken out, by a pause or for good. */
static void test_taken_out_of_the_middle(void)
{
    for (int closes = 0; closes < 2; closes++) {
        world w;
        qh_conn others[2] = {{0}};
        pair both[2] = {local_pair(), local_pair()};
        qh_sink sink = {.kind = QH_SINK_NOTHING};
        row("conn_%s_between_others_that_wait_others_still_wait", closes ? "closed" : "paused");
        begin_world(&w, local_pair(), true);
        for (int i = 0; i < 2; i++)
            require(qh_conn_open(&w.loop, &others[i], both[i].ours, true) == 0, "qh_conn_open");
        qh_conn *all[] = {&others[0], &w.conn, &others[1]};
        for (int i = 0; i < 3; i++) {
            qh_body_init(&all[i]->body, QH_FRAMING_CLOSE, 0, &USUAL_CHUNKS, &sink);
            require(qh_conn_resume_body(&w.loop, all[i]) == 0, "qh_conn_resume_body");
        }
        if (closes)
            qh_conn_close(&w.loop, &w.conn, false);
        else
            require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause");
        expect(w.loop.unfinished.first == &others[0] && w.loop.unfinished.last == &others[1],
               "another stands at an end");
        expect(others[0].unfinished.next == &others[1] && others[1].unfinished.previous == &others[0],
               "they do not stand side by side");
        turn(&w, 0);
        expect(!w.loop.unfinished.first && !w.loop.unfinished.last, "one still waits");
        for (int i = 0; i < 2; i++) {
            qh_conn_close(&w.loop, &others[i], false);
            close(both[i].peer);
        }
        end_world(&w);
    }
}

/* ---------------------------------------------------------------------------------------- breaking off */
static void test_reset(void)
{
    static const struct {
        const char *name, *before, *trace;
        qh_framing framing;
    } RESET_ROWS[] = {
        {"before_head", "", "failed:E_RECEIVE:reset", QH_FRAMING_NONE},
        {"in_head", "HTTP/1.1", "first failed:E_RECEIVE:reset", QH_FRAMING_NONE},
        {"in_length_body", "hello", "progress failed:E_RECEIVE:reset", QH_FRAMING_LENGTH},
        {"in_chunked_body", "9\r\nhello", "progress failed:E_RECEIVE:reset", QH_FRAMING_CHUNKED},
        {"in_body_to_close", "hello", "progress failed:E_RECEIVE:reset", QH_FRAMING_CLOSE},
    };
    for (size_t i = 0; i < N_ROWS(RESET_ROWS); i++) {
        world w;
        qh_sink sink = {.kind = QH_SINK_NOTHING};
        row("conn_reset_%s_failed_with_errno", RESET_ROWS[i].name);
        begin_world(&w, tcp_pair(), true);
        begin_head(&w);
        if (RESET_ROWS[i].framing != QH_FRAMING_NONE) {
            qh_body_init(&w.conn.body, RESET_ROWS[i].framing, 9, &USUAL_CHUNKS, &sink);
            qh_conn_start_body(&w.loop, &w.conn);
        }
        put(w.sockets.peer, RESET_ROWS[i].before, strlen(RESET_ROWS[i].before));
        if (RESET_ROWS[i].before[0])
            turn_until_event(&w);
        peer_does_it(&w, PEER_RESETS);
        for (int k = 0; k < 3; k++)
            turn(&w, 0);
        expect_trace(&w, RESET_ROWS[i].trace);
        end_world(&w);
    }
}

static void test_disk_full(void)
{
    world w;
    qh_sink sink;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    row("conn_body_disk_full_failed_with_errno");
    begin_world(&w, local_pair(), true);
    qh_sink_init_descriptor(&sink, fd, 0);
    qh_body_init(&w.conn.body, QH_FRAMING_LENGTH, 9, &USUAL_CHUNKS, &sink);
    qh_conn_start_body(&w.loop, &w.conn);
    put(w.sockets.peer, "hello", 5);
    turn(&w, 0);
    expect_trace(&w, "failed:E_SINK:disk_full");
    end_world(&w);
    close(fd);
}

static void test_surplus(void)
{
    world w;
    qh_sink sink = {.kind = QH_SINK_NOTHING};
    row("conn_body_bytes_behind_chunks_counted");
    begin_world(&w, local_pair(), true);
    qh_body_init(&w.conn.body, QH_FRAMING_CHUNKED, 0, &USUAL_CHUNKS, &sink);
    qh_conn_start_body(&w.loop, &w.conn);
    put(w.sockets.peer, CHUNKS "evil", sizeof CHUNKS - 1 + 4);
    turn(&w, 0);
    expect_trace(&w, "end+4");
    expect(w.conn.last_moved_ns == w.loop.now_ns && w.conn.drained, "the receive was not noted");
    end_world(&w);
}

/* ------------------------------------------------------------------------------------------- dozing */
static void expect_no_spinning(world *w)
{
    struct pollfd one = {.fd = w->loop.poller.fd, .events = POLLIN};
    uint64_t from = now_ns();
    expect(poll(&one, 1, 0) == 0, "the poller still tells of it");
    expect_n("events", turn(w, 20), 0);
    expect(now_ns() - from >= 19000000, "the turn did not wait");
}

/* The owner has taken a head, and does not decide; then `more` comes. */
static void begin_dozing(world *w, const char *more)
{
    begin_world(w, local_pair(), true);
    begin_head(w);
    put(w->sockets.peer, OK, 19);
    turn(w, 0);
    turn(w, 0);
    expect_trace(w, "head:19+0");
    expect(!w->conn.dozing && w->conn.interest == QH_READABLE, "it dozes, and nothing has come");
    put(w->sockets.peer, more, strlen(more));
    for (int i = 0; i < 2; i++) {
        turn(w, 0);
        expect_trace(w, "");
        expect(w->conn.dozing && w->conn.interest == 0, "it does not doze");
    }
    expect_n("waiting", bytes_waiting(w->sockets.ours), strlen(more));
    expect_no_spinning(w);
}

typedef enum rousing { ROUSE_HEAD, ROUSE_BODY, ROUSE_RESUMED, ROUSE_REST } rousing;

static int rouse_by(world *w, rousing how)
{
    static qh_sink sink = {.kind = QH_SINK_NOTHING};
    qh_body_init(&w->conn.body, QH_FRAMING_LENGTH, 19, &USUAL_CHUNKS, &sink);
    return how == ROUSE_HEAD      ? qh_conn_expect_head(&w->loop, &w->conn, &USUAL_HEAD)
           : how == ROUSE_BODY    ? qh_conn_start_body(&w->loop, &w->conn)
           : how == ROUSE_RESUMED ? qh_conn_resume_body(&w->loop, &w->conn)
                                  : qh_conn_rest(&w->loop, &w->conn);
}

static void test_dozing(void)
{
    static const struct {
        const char *name;
        rousing how;
        const char *trace;
    } ROUSED_ROWS[] = {
        {"head_expected", ROUSE_HEAD, "head:19+0"},
        {"body_started", ROUSE_BODY, "end"},
        {"body_resumed", ROUSE_RESUMED, "end"},
        {"at_rest", ROUSE_REST, "idle_bytes"},
    };
    for (size_t i = 0; i < N_ROWS(ROUSED_ROWS); i++) {
        world w;
        row("conn_dozing_until_%s", ROUSED_ROWS[i].name);
        begin_dozing(&w, OK);
        expect(rouse_by(&w, ROUSED_ROWS[i].how) == 0, "it cannot be roused");
        expect(!w.conn.dozing && w.conn.interest == QH_READABLE, "it still dozes");
        turn(&w, 5000);
        expect_trace(&w, ROUSED_ROWS[i].trace);
        end_world(&w);

        row("conn_dozing_paused_and_%s_nothing_read_until_resumed", ROUSED_ROWS[i].name);
        begin_dozing(&w, OK);
        for (int k = 0; k < 2; k++) {
            expect(qh_conn_pause(&w.loop, &w.conn, k == 0) == 0, "pausing failed");
            expect(w.conn.dozing && w.conn.interest == 0, "pausing has roused it");
            expect_no_spinning(&w);
        }
        require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause");
        expect(rouse_by(&w, ROUSED_ROWS[i].how) == 0, "it cannot be roused");
        expect(!w.conn.dozing && w.conn.interest == 0, "it is watched, though paused");
        expect_no_spinning(&w);
        require(qh_conn_pause(&w.loop, &w.conn, false) == 0, "qh_conn_pause");
        turn(&w, 5000);
        expect_trace(&w, ROUSED_ROWS[i].trace);
        end_world(&w);
    }
}

static void test_dozing_end(void)
{
    static const char *const TRACES[] = {"failed:E_TRUNCATED", "failed:E_TRUNCATED", "failed:E_TRUNCATED", "idle_end"};
    static const char *const NAMES[] = {"head_expected", "body_started", "body_resumed", "at_rest"};
    for (rousing how = ROUSE_HEAD; how <= ROUSE_REST; how++) {
        world w;
        row("conn_dozing_at_the_end_of_the_stream_told_when_%s", NAMES[how]);
        begin_world(&w, local_pair(), true);
        begin_head(&w);
        put(w.sockets.peer, OK, 19);
        turn(&w, 0);
        close_peer(&w);
        turn(&w, 0);
        expect_trace(&w, "head:19+0");
        expect(w.conn.dozing && w.conn.interest == 0, "it does not doze");
        expect_no_spinning(&w);
        expect(rouse_by(&w, how) == 0, "it cannot be roused");
        turn(&w, 5000);
        turn(&w, 0);
        expect_trace(&w, TRACES[how]);
        expect_no_spinning(&w);
        end_world(&w);
    }
}

static void test_dozing_closed(void)
{
    world w;
    row("conn_dozing_closed_and_opened_again_watched");
    begin_dozing(&w, OK);
    int fd = w.conn.fd;
    qh_conn_close(&w.loop, &w.conn, true);
    expect(!w.conn.dozing && w.loop.n_conns == 0, "it still dozes");
    expect_no_spinning(&w);
    require(qh_conn_open(&w.loop, &w.conn, fd, true) == 0, "qh_conn_open");
    turn(&w, 5000);
    expect_trace(&w, "idle_bytes");
    turn(&w, 0);
    expect(w.conn.dozing, "it does not doze after its end was told"); /* the owner may take its time with that, too */
    expect_no_spinning(&w);
    end_world(&w);
}

static void test_dozing_after_failure(void)
{
    world w;
    row("conn_failed_and_left_alone_no_spinning");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    close_peer(&w);
    turn(&w, 0);
    turn(&w, 0);
    expect_trace(&w, "failed:E_TRUNCATED");
    expect_no_spinning(&w);
    end_world(&w);

    struct sockaddr_in address;
    row("conn_refused_and_left_alone_no_spinning");
    close(listener(&address));
    begin_world(&w, (pair){begin_connect(&address), -1}, false);
    turn_until_event(&w);
    turn(&w, 0);
    expect_trace(&w, "connected:refused");
    expect_no_spinning(&w);
    end_world(&w);
}

/* Sending goes on beside it. */
static void test_dozing_and_sending(void)
{
    static const char out[1 << 20];
    static char in[sizeof out];
    for (int closes = 0; closes < 2; closes++) {
        world w;
        size_t n_in = 0;
        row("conn_dozing_output_%s", closes ? "fails_told_once" : "goes_on");
        begin_dozing(&w, "more");
        qh_conn_send(&w.loop, &w.conn, out, sizeof out, false);
        turn(&w, 0);
        expect(w.conn.out_left > 0, "all of it was written at once");
        expect_n("interest", w.conn.interest, QH_WRITABLE);
        w.trace[0] = '\0';
        expect_no_spinning(&w);
        if (closes) {
            close_peer(&w);
            turn(&w, 0);
            turn(&w, 0);
            expect(strncmp(w.trace, "failed:E_SEND:", 14) == 0 && !strchr(w.trace, ' '), "events are '%s'", w.trace);
            w.trace[0] = '\0';
        }
        for (int i = 0; !closes && i < 1000 && n_in < sizeof out; i++) {
            ssize_t n = recv(w.sockets.peer, in, sizeof in, MSG_DONTWAIT);
            n_in += n > 0 ? (size_t)n : 0;
            turn(&w, 0);
        }
        expect(closes || n_in == sizeof out, "%zu bytes arrived", n_in);
        expect(w.conn.dozing && w.conn.interest == 0 && w.conn.out_left == 0, "it does not doze any more");
        expect_no_spinning(&w);
        end_world(&w);
    }
}

/* A full sink is the owner's word, too: what has come waits for room. */
static void test_dozing_while_full(void)
{
    static char memory[8];
    for (int paused = 0; paused < 2; paused++) {
        world w;
        qh_sink sink;
        row("conn_dozing_while_full_%s", paused ? "paused_resumed_then_received" : "received_once_resumed");
        begin_world(&w, local_pair(), true);
        qh_sink_init_memory(&sink, memory, 0, 4);
        qh_body_init(&w.conn.body, QH_FRAMING_LENGTH, 8, &USUAL_CHUNKS, &sink);
        require(qh_conn_start_body(&w.loop, &w.conn) == 0, "qh_conn_start_body");
        put(w.sockets.peer, "abcdefgh", 8);
        turn(&w, 0);
        expect_trace(&w, "full");
        turn(&w, 0);
        expect(w.conn.dozing, "it does not doze");
        expect_no_spinning(&w);
        require(!paused || qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause");
        sink.cap = 8;
        expect(qh_conn_resume_body(&w.loop, &w.conn) == 0 && !w.conn.dozing, "it cannot be resumed");
        expect(w.loop.unfinished.first == (paused ? NULL : &w.conn), "it waits for its turn, or does not");
        if (paused) {
            expect_no_spinning(&w);
            require(qh_conn_pause(&w.loop, &w.conn, false) == 0, "qh_conn_pause");
        }
        turn(&w, 60000);
        expect_trace(&w, "end");
        expect(memcmp(memory, "abcdefgh", 8) == 0, "payload differs");
        end_world(&w);
    }
}

/* ------------------------------------------------------------------------- output of later requests */
static void test_send_later(void)
{
    enum { LEN = 1 << 20, MORE = 100 };
    static char out[LEN], both[LEN + MORE], in[LEN + MORE + 1];
    for (int told = 0; told < 2; told++) {
        world w;
        size_t n_in = 0;
        for (size_t i = 0; i < LEN; i++)
            out[i] = (char)(i * 31 + (i >> 9));
        row("conn_send_later_behind_the_rest_of_the_first_%s", told ? "told" : "not_told");
        begin_world(&w, local_pair(), true);
        w.conn.tells_sent = told;
        qh_conn_send(&w.loop, &w.conn, out, LEN, false);
        expect_n("request_end", w.conn.request_end, LEN);
        turn(&w, 0);
        size_t n_first = w.conn.n_sent, rest = LEN - n_first;
        expect(n_first > 0 && rest > 0 && w.conn.out_left == rest, "it was no partial write");
        expect(told == (w.trace[0] != '\0'), "events are '%s'", w.trace);
        memcpy(both, out + n_first, rest);
        memset(both + rest, 'm', MORE);
        qh_conn_send_later(&w.loop, &w.conn, both, rest + MORE);
        memset(out, '?', LEN); /* it is not needed any more */
        expect_n("request_end", w.conn.request_end, LEN);
        for (int i = 0; i < 1000 && n_in < LEN + MORE; i++) {
            ssize_t n = recv(w.sockets.peer, in + n_in, sizeof in - n_in, MSG_DONTWAIT);
            n_in += n > 0 ? (size_t)n : 0;
            turn(&w, 0);
        }
        expect_n("sent", w.conn.n_sent, LEN + MORE);
        expect_n("arrived", n_in, LEN + MORE);
        for (size_t i = 0; i < LEN + MORE; i++)
            if (!expect(in[i] == (i < LEN ? (char)(i * 31 + (i >> 9)) : 'm'), "byte %zu differs", i))
                break;
        expect(told == (w.trace[0] != '\0'), "events are '%s'", w.trace);
        qh_conn_send(&w.loop, &w.conn, "hello", 5, false);
        expect_n("request_end", w.conn.request_end, LEN + MORE + 5);
        end_world(&w);
    }
}

/* The server closes behind an answer, as it may; the requests for more are in vain, the answer is not. */
static void test_send_later_failed(void)
{
    static const struct {
        const char *name, *answer, *trace;
        qh_phase phase;
    } LATER_ROWS[] = {
        {"head_still_read", OK, "head:19+0", QH_PHASE_HEAD},
        {"no_answer_truncated", "", "failed:E_TRUNCATED", QH_PHASE_HEAD},
        {"body_still_read", "hello", "end", QH_PHASE_BODY},
        {"body_cut_off_truncated", "hel", "progress failed:E_TRUNCATED", QH_PHASE_BODY},
        {"body_not_begun_truncated", "", "failed:E_TRUNCATED", QH_PHASE_BODY},
        {"owner_deciding_not_told", "hello", "", QH_PHASE_TAKEN},
    };
    for (size_t i = 0; i < N_ROWS(LATER_ROWS); i++) {
        world w;
        char in[8];
        qh_sink sink = {.kind = QH_SINK_NOTHING};
        row("conn_send_later_to_closed_peer_%s", LATER_ROWS[i].name);
        begin_world(&w, local_pair(), true);
        w.conn.tells_sent = false;
        begin_head(&w);
        qh_conn_send(&w.loop, &w.conn, "first", 5, false);
        turn(&w, 0);
        require(recv(w.sockets.peer, in, sizeof in, 0) == 5, "recv");
        if (LATER_ROWS[i].phase != QH_PHASE_HEAD) {
            put(w.sockets.peer, OK, 19);
            turn(&w, 0);
            expect_trace(&w, "head:19+0");
        }
        if (LATER_ROWS[i].phase == QH_PHASE_BODY) {
            qh_body_init(&w.conn.body, QH_FRAMING_LENGTH, 5, &USUAL_CHUNKS, &sink);
            require(qh_conn_start_body(&w.loop, &w.conn) == 0, "qh_conn_start_body");
        }
        put(w.sockets.peer, LATER_ROWS[i].answer, strlen(LATER_ROWS[i].answer));
        close_peer(&w);
        qh_conn_send_later(&w.loop, &w.conn, "later", 5);
        for (int k = 0; k < 4; k++)
            turn(&w, 0);
        expect_trace(&w, LATER_ROWS[i].trace);
        expect(w.conn.out_left == 0 && !(w.conn.interest & QH_WRITABLE), "it tries on");
        expect_n("sent", w.conn.n_sent, 5);
        expect_no_spinning(&w);
        end_world(&w);
    }

    world w;
    row("conn_send_later_but_first_not_sent_yet_failed");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    require(shutdown(w.sockets.ours, SHUT_WR) == 0, "shutdown");
    qh_conn_send(&w.loop, &w.conn, "first", 5, false);
    qh_conn_send_later(&w.loop, &w.conn, "firstlater", 10);
    turn(&w, 0);
    expect_trace(&w, "failed:E_SEND:pipe");
    end_world(&w);

    row("conn_send_later_behind_a_check_looked_at_first");
    begin_world(&w, local_pair(), true);
    qh_conn_send(&w.loop, &w.conn, "first", 5, true);
    qh_conn_send_later(&w.loop, &w.conn, "firstlater", 10);
    close_peer(&w);
    turn(&w, 0);
    expect_trace(&w, "stale");
    expect(w.conn.n_sent == 0 && w.conn.out_left == 0, "something was sent");
    end_world(&w);
}

int main(void)
{
    test_connected();
    test_refused();
    test_open_refused();
    test_closed();
    test_partial_send();
    test_stop_sending();
    test_send_failed();
    test_idle();
    test_reuse(0, "in_the_turn_that_emptied_the_socket_not_looked_at", "sent:5");
    test_reuse(2, "turns_after_the_last_receive_looked_at_first", "stale");
    test_reuse_late();
    test_early_answer_after_check();
    test_pause();
    test_paused_and_peer_gone();
    test_paused_and_resumed_or_closed_between();
    test_taken_out_of_the_middle();
    test_reset();
    test_disk_full();
    test_surplus();
    test_dozing();
    test_dozing_end();
    test_dozing_closed();
    test_dozing_after_failure();
    test_dozing_and_sending();
    test_dozing_while_full();
    test_send_later();
    test_send_later_failed();
    return check_summary("conn");
}

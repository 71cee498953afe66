/* test_send_file.c: output straight out of a file. The linker puts __wrap_sendfile in place of the real one (see the Makefile). */
#include <signal.h>
#include <sys/sendfile.h>

#include "turn_internal.h"
#include "world.h"

#define OK "HTTP/1.1 200 OK\r\n\r\n"

/* The next calls: so many fail with this errno, and each may write at most so much (0: as much as it likes). */
static struct {
    unsigned n_bad;
    int error;
    size_t cap, n_calls;
} fault;

ssize_t __real_sendfile(int out, int in, off_t *at, size_t len);
ssize_t __wrap_sendfile(int out, int in, off_t *at, size_t len);
ssize_t __wrap_sendfile(int out, int in, off_t *at, size_t len)
{
    fault.n_calls++;
    if (fault.n_bad) {
        fault.n_bad--;
        errno = fault.error;
        return -1;
    }
    return __real_sendfile(out, in, at, fault.cap && fault.cap < len ? fault.cap : len);
}

static char at_of_file(size_t i) { return (char)(i * 7 + i / 251); }

static int file_of(size_t len)
{
    int fd = nameless_file();
    static char block[1 << 16];
    for (size_t at = 0, n; at < len; at += n) {
        n = len - at < sizeof block ? len - at : sizeof block;
        for (size_t i = 0; i < n; i++)
            block[i] = at_of_file(at + i);
        require(pwrite(fd, block, n, (off_t)at) == (ssize_t)n, "pwrite");
    }
    return fd;
}

typedef struct sending {
    world w;
    int file;
    size_t n_read; /* by the peer, without the head */
    size_t head_left;
} sending;

static const char HEAD[] = "PUT / HTTP/1.1\r\n\r\n";
enum { HEAD_LEN = sizeof HEAD - 1 };

static void begin_sending(sending *s, pair sockets, size_t file_len, bool has_head)
{
    memset(&fault, 0, sizeof fault);
    *s = (sending){.file = file_of(file_len), .head_left = has_head ? HEAD_LEN : 0};
    begin_world(&s->w, sockets, true);
    begin_head(&s->w);
    if (has_head)
        qh_conn_send(&s->w.loop, &s->w.conn, HEAD, HEAD_LEN, false);
}

static void end_sending(sending *s)
{
    close(s->file);
    end_world(&s->w);
    memset(&fault, 0, sizeof fault);
}

/* What the peer has got, against head and file from `offset` on. */
static void read_peer(sending *s, uint64_t offset)
{
    static char in[1 << 16];
    for (ssize_t n; (n = recv(s->w.sockets.peer, in, sizeof in, MSG_DONTWAIT)) > 0;)
        for (ssize_t i = 0; i < n; i++) {
            char want = s->head_left ? HEAD[HEAD_LEN - s->head_left] : at_of_file((size_t)offset + s->n_read);
            if (s->head_left)
                s->head_left--;
            else
                s->n_read++;
            if (in[i] != want) {
                expect(false, "byte %zu differs", s->n_read);
                return;
            }
        }
}

static void send_all(sending *s, uint64_t offset)
{
    for (int i = 0; i < 100000 && (s->w.conn.out_left || s->w.conn.file_left); i++) {
        turn(&s->w, 0);
        s->w.trace[0] = '\0';
        read_peer(s, offset);
    }
    for (int i = 0; i < 3; i++) {
        turn(&s->w, 1);
        read_peer(s, offset);
    }
}

static void test_whole(void)
{
    static const struct {
        const char *name;
        size_t file_len;
        uint64_t offset, len;
        bool has_head;
        size_t cap;
    } WHOLE_ROWS[] = {
        {"small", 5, 0, 5, false, 0},
        {"small_behind_head", 5, 0, 5, true, 0},
        {"nothing", 0, 0, 0, false, 0},
        {"nothing_behind_head", 5, 5, 0, true, 0},
        {"part_of_a_file", 100, 30, 40, true, 0},
        {"large", 5 << 20, 0, 5 << 20, true, 0},
        {"large_from_an_offset", (5 << 20) + 77, 77, 5 << 20, true, 0},
        {"byte_by_byte", 300, 0, 300, true, 1},
        {"odd_pieces", 1 << 20, 3, (1 << 20) - 3, true, 4099},
    };
    for (size_t i = 0; i < N_ROWS(WHOLE_ROWS); i++)
        for (int tcp = 0; tcp < 2; tcp++) {
            sending s;
            qh_conn *conn = &s.w.conn;
            row("send_file_%s_arrives%s", WHOLE_ROWS[i].name, tcp ? "_over_tcp" : "");
            begin_sending(&s, tcp ? tcp_pair() : local_pair(), WHOLE_ROWS[i].file_len, WHOLE_ROWS[i].has_head);
            fault.cap = WHOLE_ROWS[i].cap;
            require(lseek(s.file, 2, SEEK_SET) == 2, "lseek"); /* where the file stands is of no concern, and stays */
            uint64_t whole = WHOLE_ROWS[i].len + (WHOLE_ROWS[i].has_head ? HEAD_LEN : 0);
            qh_conn_send_file(&s.w.loop, conn, s.file, WHOLE_ROWS[i].offset, WHOLE_ROWS[i].len);
            expect_n("request_end", conn->request_end, whole);
            send_all(&s, WHOLE_ROWS[i].offset);
            for (int k = 0; tcp && k < 200 && s.n_read < WHOLE_ROWS[i].len; k++) { /* loopback is not at once */
                turn(&s.w, 5);
                read_peer(&s, WHOLE_ROWS[i].offset);
            }
            expect_n("arrived", s.n_read, WHOLE_ROWS[i].len);
            expect_n("n_sent", conn->n_sent, whole);
            expect_n("interest", conn->interest, QH_READABLE);
            expect_n("the file's own position", (uint64_t)lseek(s.file, 0, SEEK_CUR), 2);
            put(s.w.sockets.peer, OK, 19);
            s.w.trace[0] = '\0';
            turn_until_event(&s.w);
            expect_trace(&s.w, "head:19+0");
            end_sending(&s);
        }
}

/* Nobody reads: the socket takes a part, and the loop waits for the poller's word. */
static void test_partial(void)
{
    sending s;
    row("send_file_partly_written_waits_without_spinning");
    begin_sending(&s, local_pair(), 4 << 20, true);
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 4 << 20);
    for (int i = 0; i < 20; i++)
        turn(&s.w, 0);
    expect(s.w.conn.file_left > 0 && s.w.conn.interest & QH_WRITABLE, "all was sent");
    size_t before = fault.n_calls;
    for (int i = 0; i < 20; i++)
        expect_n("events", turn(&s.w, 0), 0);
    expect_n("calls in vain", fault.n_calls, before);
    expect_n("sent and left", s.w.conn.n_sent + s.w.conn.file_left, HEAD_LEN + (4 << 20));
    expect_n("place in the file", s.w.conn.file_at, s.w.conn.n_sent - HEAD_LEN);

    row("send_file_stop_sending_rest_forgotten");
    require(qh_conn_stop_sending(&s.w.loop, &s.w.conn) == 0, "qh_conn_stop_sending");
    expect_n("interest", s.w.conn.interest, QH_READABLE);
    uint64_t n_sent = s.w.conn.n_sent;
    read_peer(&s, 0);
    turn(&s.w, 0);
    read_peer(&s, 0);
    expect_n("arrived", s.n_read, n_sent - HEAD_LEN);
    expect_n("n_sent", s.w.conn.n_sent, n_sent);
    end_sending(&s);

    row("send_file_stop_sending_before_it_began_nothing_sent");
    begin_sending(&s, local_pair(), 100, false);
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
    require(qh_conn_stop_sending(&s.w.loop, &s.w.conn) == 0, "qh_conn_stop_sending");
    send_all(&s, 0);
    expect_n("arrived", s.n_read, 0);
    expect_trace(&s.w, "");
    end_sending(&s);

    row("send_file_paused_goes_on");
    begin_sending(&s, local_pair(), 2 << 20, true);
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 2 << 20);
    require(qh_conn_pause(&s.w.loop, &s.w.conn, true) == 0, "qh_conn_pause");
    send_all(&s, 0);
    expect_n("arrived", s.n_read, 2 << 20);
    end_sending(&s);

    row("send_file_interrupted_or_no_room_goes_on");
    for (int i = 0; i < 2; i++) {
        begin_sending(&s, local_pair(), 100, false);
        fault.n_bad = 3;
        fault.error = i ? EAGAIN : EINTR;
        qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
        send_all(&s, 0);
        expect_n("arrived", s.n_read, 100);
        end_sending(&s);
    }
}

static void test_source_fails(void)
{
    sending s;
    row("send_file_shorter_than_told_source_error");
    begin_sending(&s, local_pair(), 60, true);
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
    for (int i = 0; i < 4; i++)
        turn(&s.w, 0);
    expect_trace(&s.w, "sent:18 sent:60 failed:E_SOURCE");
    expect(s.w.conn.file_left == 0 && s.w.conn.phase == QH_PHASE_TAKEN, "it tries on");
    end_sending(&s);

    row("send_file_shrinks_while_sent_source_error");
    begin_sending(&s, local_pair(), 4 << 20, true);
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 4 << 20);
    for (int i = 0; i < 5; i++)
        turn(&s.w, 0);
    expect(s.w.conn.file_left > 0, "all was sent");
    require(ftruncate(s.file, 10) == 0, "ftruncate");
    static char in[1 << 16]; /* what is in the socket may be the file's own pages: what they hold now is anybody's guess */
    uint64_t n_read = 0;
    for (int i = 0; i < 1000 && s.w.conn.phase != QH_PHASE_TAKEN; i++) {
        for (ssize_t n; (n = recv(s.w.sockets.peer, in, sizeof in, MSG_DONTWAIT)) > 0;)
            n_read += (uint64_t)n;
        turn(&s.w, 0);
    }
    expect(s.w.conn.phase == QH_PHASE_TAKEN && s.w.conn.file_left == 0, "not noticed");
    expect_n("arrived", n_read, s.w.conn.n_sent);
    end_sending(&s);

    static const struct {
        const char *name;
        int error;
    } READ_ROWS[] = {{"input_output", EIO}, {"not_to_be_sent", EINVAL}, {"closed", EBADF}, {"too_large", EOVERFLOW}};
    for (size_t i = 0; i < N_ROWS(READ_ROWS); i++) {
        row("send_file_read_error_%s_source_error", READ_ROWS[i].name);
        begin_sending(&s, local_pair(), 100, false);
        fault.n_bad = 1;
        fault.error = READ_ROWS[i].error;
        qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
        qh_event event = {0};
        require(qh_turn(&s.w.loop, 0) == 0, "qh_turn");
        expect(qh_loop_next_event(&s.w.loop, &event) && event.kind == QH_EVENT_FAILED && event.status == QH_E_SOURCE &&
                   event.error == READ_ROWS[i].error,
               "event %d, status %d, errno %d", event.kind, event.status, event.error);
        expect(s.w.conn.file_left == 0, "it tries on");
        end_sending(&s);
    }
}

static void begin_answer(sending *s, qh_sink *sink, uint64_t length)
{
    qh_body_init(&s->w.conn.body, QH_FRAMING_LENGTH, length, &USUAL_CHUNKS, sink);
    require(qh_conn_start_body(&s->w.loop, &s->w.conn) == 0, "qh_conn_start_body");
}

/* The peer goes while the file is sent. */
static void test_peer_gone(void)
{
    sending s;
    qh_sink sink = {0};
    char memory[8];
    row("send_file_peer_gone_nothing_to_read_failed");
    begin_sending(&s, local_pair(), 100, false);
    require(shutdown(s.w.sockets.ours, SHUT_WR) == 0, "shutdown");
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
    turn(&s.w, 0);
    expect_trace(&s.w, "failed:E_SEND:pipe");
    expect_n("file_left", s.w.conn.file_left, 0);
    end_sending(&s);

    row("send_file_peer_gone_behind_an_early_answer_answer_read_first");
    begin_sending(&s, local_pair(), 100, false);
    put(s.w.sockets.peer, OK, 19);
    close_peer(&s.w);
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
    for (int i = 0; i < 3; i++)
        turn(&s.w, 0);
    expect_trace(&s.w, "head:19+0");
    end_sending(&s);

    row("send_file_fails_while_the_answer_comes_answer_read_on");
    begin_sending(&s, local_pair(), 100, false);
    put(s.w.sockets.peer, OK, 19);
    turn(&s.w, 0);
    begin_answer(&s, &sink, 5);
    require(shutdown(s.w.sockets.ours, SHUT_WR) == 0, "shutdown");
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
    turn(&s.w, 0);
    expect_trace(&s.w, "head:19+0");
    expect_n("file_left", s.w.conn.file_left, 0);
    put(s.w.sockets.peer, "hello", 5);
    turn(&s.w, 0);
    expect_trace(&s.w, "end");
    end_sending(&s);

    row("send_file_fails_while_the_sink_is_full_answer_read_on");
    for (int paused = 0; paused < 2; paused++) {
        begin_sending(&s, local_pair(), 100, false);
        put(s.w.sockets.peer, OK, 19);
        turn(&s.w, 0);
        qh_sink_init_memory(&sink, memory, 0, 3);
        begin_answer(&s, &sink, 5);
        put(s.w.sockets.peer, "hello", 5);
        turn(&s.w, 0);
        turn(&s.w, 0);
        expect_trace(&s.w, "head:19+0 full");
        require(qh_conn_pause(&s.w.loop, &s.w.conn, paused) == 0, "qh_conn_pause");
        require(shutdown(s.w.sockets.ours, SHUT_WR) == 0, "shutdown");
        qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
        turn(&s.w, 0);
        expect_trace(&s.w, "");
        sink.cap = sizeof memory;
        require(qh_conn_resume_body(&s.w.loop, &s.w.conn) == 0, "qh_conn_resume_body");
        require(qh_conn_pause(&s.w.loop, &s.w.conn, false) == 0, "qh_conn_pause");
        turn(&s.w, 0);
        expect_trace(&s.w, "end");
        expect_bytes("body", memory, sink.len, (bytes)B("hello"));
        end_sending(&s);
    }

    row("send_fails_behind_the_whole_answer_told");
    begin_sending(&s, local_pair(), 100, false);
    put(s.w.sockets.peer, OK, 19);
    turn(&s.w, 0);
    sink = (qh_sink){0};
    begin_answer(&s, &sink, 5);
    put(s.w.sockets.peer, "hello", 5);
    turn(&s.w, 0);
    expect_trace(&s.w, "head:19+0 end");
    require(shutdown(s.w.sockets.ours, SHUT_WR) == 0, "shutdown");
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
    turn(&s.w, 0);
    expect_trace(&s.w, "failed:E_SEND:pipe");
    end_sending(&s);
}

/* sendfile knows no MSG_NOSIGNAL. */
static volatile sig_atomic_t n_signals;
static void note_signal(int number) { n_signals += number == SIGPIPE; }

static void test_no_signal(void)
{
    sending s;
    sigset_t now;
    row("send_file_to_a_peer_gone_no_signal");
    n_signals = 0;
    begin_sending(&s, local_pair(), 100, false);
    close_peer(&s.w);
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
    turn(&s.w, 0);
    expect_n("signals", (uint64_t)n_signals, 0);
    require(sigpending(&now) == 0, "sigpending");
    expect(!sigismember(&now, SIGPIPE), "one is left for later");
    require(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0, "pthread_sigmask");
    expect(!sigismember(&now, SIGPIPE), "it is still blocked");
    end_sending(&s);

    row("send_file_to_a_peer_gone_signal_of_others_kept");
    sigset_t pipes;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    require(pthread_sigmask(SIG_BLOCK, &pipes, NULL) == 0 && raise(SIGPIPE) == 0, "raise");
    begin_sending(&s, local_pair(), 100, false);
    close_peer(&s.w);
    qh_conn_send_file(&s.w.loop, &s.w.conn, s.file, 0, 100);
    turn(&s.w, 0);
    require(sigpending(&now) == 0, "sigpending");
    expect(sigismember(&now, SIGPIPE), "it was taken");
    require(pthread_sigmask(SIG_UNBLOCK, &pipes, NULL) == 0, "pthread_sigmask");
    expect_n("signals", (uint64_t)n_signals, 1);
    end_sending(&s);
}

int main(void)
{
    struct sigaction action = {.sa_handler = note_signal};
    require(sigaction(SIGPIPE, &action, NULL) == 0, "sigaction");
    test_whole();
    test_partial();
    test_source_fails();
    test_peer_gone();
    test_no_signal();
    return check_summary("send_file");
}

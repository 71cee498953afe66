/* fuzz_conn.c: a connection from its first request to its end, through turns of the loop: heads and interim heads, bodies
 * of every framing, answers asked ahead and kept, stale connections, sinks that are full, pauses; its bytes moved by the
 * loop, or by its owner. The peer sends the same once at once and once in another schedule (pieces, interruptions, partial
 * writes, pauses, connections that doze, poller words in vain): what the owner is told and gets is the same.
 *
 * The owner does what an exchange does. 0xff 0xff in the input: the peer waits there for the next request. */
#include "fuzz_owner.h"

enum { N_CONN_CHOICES = 9, TURNS_MAX = 20000 };

static void expect_sound(const owner *o)
{
    const qh_conn *conn = &o->conn;
    HOLDS(loop.ring_len == 0 && loop.n_conns == 1 && conn->fd == PEER_FD);
    HOLDS(conn->interest == (polled.interest < 0 ? 0 : polled.interest));
    HOLDS((loop.outbox.first == conn) == conn->outbox.listed && (loop.unfinished.first == conn) == conn->unfinished.listed);
    HOLDS(conn->input_at <= conn->input_len && conn->input_len <= conn->input_cap && conn->input_cap <= 512 << 10);
    HOLDS(loop.arena_len <= QH_ARENA_CAP && conn->last_moved_ns <= time_ns);
    HOLDS(!conn->paused || !(conn->interest & QH_READABLE));
}

/* What the owner does between two turns, of its own accord. */
static void act(owner *o)
{
    qh_conn *conn = &o->conn;
    if (o->needs_room && chance(&o->when, 2) == 0) {
        o->needs_room = false;
        o->sink.cap += 1 + chance(&o->when, 9);
        HOLDS(o->sink.cap <= sizeof memory);
        HOLDS(qh_conn_resume_body(&loop, conn) == 0);
        if (conn->paused)
            HOLDS(qh_conn_pause(&loop, conn, false) == 0);
    } else if (!o->needs_room && conn->paused) {
        HOLDS(qh_conn_pause(&loop, conn, false) == 0);
    } else if (!o->needs_room && conn->phase != QH_PHASE_CONNECTING && chance(&o->when, 8) == 1) {
        HOLDS(qh_conn_pause(&loop, conn, true) == 0);
    }
}

/* True where nothing more is to be expected of a peer that stays silent. */
static bool turn(owner *o)
{
    qh_event event;
    size_t before = peer.taken, log_before = o->log_len, sent_before = peer.n_sent;
    unsigned n = 0, interrupted_before = peer.n_interrupted;
    int result = qh_turn(&loop, chance(&o->when, 2) == 0 ? 1 : 0);
    HOLDS(result == 0 || errno == EINTR);
    while (qh_loop_next_event(&loop, &event)) {
        n += event.kind != QH_EVENT_TIMER;
        if (event.kind == QH_EVENT_TIMER)
            continue;
        HOLDS(qh_loop_conn(&loop, event.slot, event.generation) == &o->conn);
        if (!o->is_over)
            react(o, &event);
    }
    if (peer.n_interrupted != interrupted_before)
        return false;
    return result == 0 && n == 0 && before == peer.taken && log_before == o->log_len && sent_before == peer.n_sent;
}

static void run(owner *o, const plan *p, schedule when)
{
    memset(o, 0, offsetof(owner, log));
    o->p = p;
    o->when = peer.when = polled.when = file.when = when;
    polled.interest = -1;
    peer.taken = peer.delivered = peer.n_sent = 0;
    peer.is_gone = p->refused;
    is_early = p->is_early;
    loop.n_turns = loop.n_direct = loop.n_missed = 0;
    file.refuses = 0;
    HOLDS(qh_conn_open(&loop, &o->conn, PEER_FD, !p->connecting) == 0);
    o->conn.foreign = p->foreign;
    o->conn.tells_sent = p->tells_sent;
    if (!p->connecting)
        ask(o);

    for (unsigned n_quiet = 0, n_turns = 0; !o->is_over; n_turns++) {
        HOLDS(n_turns < TURNS_MAX);
        size_t end = allowed();
        if (peer.delivered < end)
            peer.delivered += some_of(&o->when, end - peer.delivered);
        act(o);
        bool is_quiet = turn(o) && peer.delivered == allowed() && !o->needs_room && !o->conn.paused;
        is_quiet = is_quiet && o->conn.phase != QH_PHASE_CONNECTING;
        n_quiet = is_quiet && o->conn.out_left == 0 && o->conn.file_left == 0 ? n_quiet + 1 : 0;
        if (o->is_over)
            break;
        expect_sound(o);
        if (n_quiet > 3) {
            HOLDS(!peer_is_readable() || o->has_ended); /* nobody has come for it */
            HOLDS(o->held_at == o->held_end);
            if (!o->is_open)
                break;
            o->is_open = false;
            n_quiet = 0;
            ask(o);
            peer.delivered += p->unasked && peer.delivered < peer.len;
        }
    }
    if (!o->is_over && o->conn.in_body)
        note_body(o);
    for (size_t i = 0; i < peer.n_sent; i++)
        HOLDS(peer.sent[i] == REQUEST[i % REQUEST_LEN]);
    qh_conn_close(&loop, &o->conn, false);
    HOLDS(polled.interest == -1 && loop.n_conns == 0 && !loop.outbox.first && !loop.unfinished.first && !o->conn.input);
    while (qh_loop_next_event(&loop, &(qh_event){0}))
        ;
}

/* Takes the marks out of the input. */
static size_t unmark(char *to, const uint8_t *from, size_t len)
{
    size_t n = 0;
    n_marks = 0;
    for (size_t i = 0; i < len; i++) {
        if (from[i] == 0xff && i + 1 < len && from[i + 1] == 0xff && n_marks < N_REQUESTS_MAX) {
            marks[n_marks++] = n;
            i++;
        } else {
            to[n++] = (char)from[i];
        }
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    static const qh_head_limits HEADS[] = {{64 << 10, 32 << 10, 256}, {100, 40, 3}};
    static const qh_chunk_limits CHUNKS[] = {{((uint64_t)1 << 62) - 1, 16 << 10, 16 << 10}, {20, 4, 12}};
    static const size_t GROWTH[] = {INPUT_MAX, 1, 9, 100};
    static owner whole, pieces;
    static char raw[INPUT_MAX];
    if (input_len < N_CONN_CHOICES || input_len > INPUT_MAX)
        return 0;
    if (!loop.ring)
        HOLDS(qh_loop_open(&loop) == 0);
    peer.bytes = raw;
    peer.len = unmark(raw, input + N_CONN_CHOICES, input_len - N_CONN_CHOICES);
    peer.end = input[0] / 64 % 3;
    plan p = {.heads = HEADS[input[0] & 1],
              .chunks = &CHUNKS[input[0] / 2 & 1],
              .pipelined = input[0] & 4,
              .foreign = input[0] & 8,
              .n_requests = 1 + input[0] / 16 % N_REQUESTS_MAX,
              .kind = input[1] % 4 % 3,
              .growth = GROWTH[input[1] / 4 % 4],
              .connecting = input[1] & 16,
              .tells_sent = input[1] & 32,
              .refused = (input[1] & 0xd0) == 0xd0,
              .is_early = input[2] & 1,
              .unasked = (input[2] & 10) == 2 && !(input[0] & 8), /* a foreign owner looks itself */
              .by_file = input[2] & 4};
    if (p.is_early)
        p.n_requests = 1; /* which of its answers came to which request would depend on the pieces */
    schedule when = {0};
    memcpy(&when.seed, input + 3, N_CONN_CHOICES - 3);

    run(&whole, &p, (schedule){0});
    p.foreign = p.foreign || input[2] & 8;
    run(&pieces, &p, when);
    HOLDS(pieces.log_len == whole.log_len && memcmp(pieces.log, whole.log, whole.log_len) == 0);
    return 0;
}

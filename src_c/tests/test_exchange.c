/* test_exchange.c: whole answers on a connection in a loop, with their interim heads and bodies: what the
 * owner gets is the same in whatever pieces they come. */
#include "guarded.h"
#include "world.h"

#define OK "HTTP/1.1 200 OK\r\n\r\n"          /* 19 bytes */
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n" /* 25 bytes */
#define CHUNKS "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"

/* The answer to be sent by the peer; `trace` is how it is told when it comes whole, the rest holds in
 * whatever pieces it comes: the heads in a row, the payload, and the end. */
static const struct exchange_row {
    const char *name, *answer;
    qh_framing framing;
    uint64_t length;
    bool closes;
    const char *trace, *heads, *payload, *end;
} EXCHANGES[] = {
    {"no_body", OK, QH_FRAMING_NONE, 0, false, "head:19+0", OK, "", "end"},
    {"no_body_surplus", OK "evil", QH_FRAMING_NONE, 0, false, "head:19+4", OK, "", "end"},
    {"length", OK "hello", QH_FRAMING_LENGTH, 5, false, "head:19+5", OK, "hello", "end"},
    {"length_surplus", OK "helloevil", QH_FRAMING_LENGTH, 5, false, "head:19+9", OK, "hello", "end"},
    {"length_cut_off", OK "hel", QH_FRAMING_LENGTH, 5, true, "head:19+3 failed:E_TRUNCATED", OK, "hel",
     "E_TRUNCATED"},
    {"chunked", OK CHUNKS, QH_FRAMING_CHUNKED, 0, false, "head:19+23", OK, "helloyou", "end"},
    {"chunked_surplus", OK CHUNKS "evil", QH_FRAMING_CHUNKED, 0, false, "head:19+27", OK, "helloyou", "end"},
    {"chunked_malformed", OK "3\r\nyou\r\n0x\r\n", QH_FRAMING_CHUNKED, 0, false, "head:19+12", OK, "you",
     "E_CHUNK_SIZE"},
    {"chunked_cut_off", OK "9\r\nyou", QH_FRAMING_CHUNKED, 0, true, "head:19+6 failed:E_TRUNCATED", OK, "you",
     "E_TRUNCATED"},
    {"close", OK "hello", QH_FRAMING_CLOSE, 0, true, "head:19+5 end", OK, "hello", "end"},
    {"interim", CONTINUE OK "hello", QH_FRAMING_LENGTH, 5, false, "head:25+24", CONTINUE OK, "hello", "end"},
    {"many_interim", CONTINUE CONTINUE CONTINUE OK CHUNKS, QH_FRAMING_CHUNKED, 0, false, "head:25+92",
     CONTINUE CONTINUE CONTINUE OK, "helloyou", "end"},
    {"interim_alone", CONTINUE, QH_FRAMING_NONE, 0, false, "head:25+0", CONTINUE, "", "open"},
    {"interim_then_end", CONTINUE, QH_FRAMING_NONE, 0, true, "head:25+0 failed:E_TRUNCATED", CONTINUE, "",
     "E_TRUNCATED"},
    {"interim_then_part", CONTINUE "HTTP/1.1 2", QH_FRAMING_NONE, 0, true, "head:25+10 failed:E_TRUNCATED", CONTINUE,
     "", "E_TRUNCATED"},
    {"interim_then_garbage", CONTINUE "garbage", QH_FRAMING_NONE, 0, false, "head:25+7", CONTINUE, "", "E_NOT_HTTP"},
    {"nothing", "", QH_FRAMING_NONE, 0, true, "failed:E_TRUNCATED", "", "", "E_TRUNCATED"},
    {"head_cut_off", "HTTP/1.1 200 OK\r\n", QH_FRAMING_NONE, 0, true, "first failed:E_TRUNCATED", "", "",
     "E_TRUNCATED"},
    {"head_open", "HTTP/1.1 200 OK\r\n", QH_FRAMING_NONE, 0, false, "first", "", "", "open"},
    {"not_http", "SSH-2.0-x\r\n", QH_FRAMING_NONE, 0, false, "first failed:E_NOT_HTTP", "", "", "E_NOT_HTTP"},
};

/* The owner: what an exchange above would do about each event. */
typedef struct exchange {
    world world;
    const struct exchange_row *row;
    qh_sink sink;
    char memory[64], heads[256];
    const char *end; /* NULL: it goes on */
} exchange;

static void end_with(exchange *x, qh_status status)
{
    x->end = status == QH_DONE ? "end" : status_name(status);
    qh_conn_rest(&x->world.loop, &x->world.conn);
}

static void take_body(exchange *x, char *data, size_t len)
{
    qh_status status;
    size_t used;
    qh_sink_init_memory(&x->sink, x->memory, 0, 0);
    qh_body_init(&x->world.conn.body, x->row->framing, x->row->length, &USUAL_CHUNKS, &x->sink);
    while ((status = qh_body_feed(&x->world.conn.body, data, len, &used)) == QH_FULL)
        x->sink.cap += 4;
    if (status == QH_AGAIN)
        qh_conn_start_body(&x->world.loop, &x->world.conn);
    else
        end_with(x, status);
}

static void take_head(exchange *x, char *data, size_t head_len, size_t n)
{
    qh_conn *conn = &x->world.conn;
    for (;;) {
        strncat(x->heads, data, head_len);
        if (data[9] != '1')
            break;
        qh_status status = qh_conn_next_head(&x->world.loop, conn, data + head_len, n - head_len, &head_len);
        if (qh_is_error(status))
            end_with(x, status);
        if (status != QH_DONE)
            return;
        data = conn->input + conn->input_at;
        n = conn->input_len - conn->input_at;
    }
    take_body(x, data + head_len, n - head_len);
}

static void take(exchange *x, const qh_event *event)
{
    note(&x->world, event);
    expect(x->end == NULL, "an event after the end");
    switch (event->kind) {
    case QH_EVENT_FIRST_BYTES:
        expect(x->heads[0] == '\0', "first bytes after a head");
        break;
    case QH_EVENT_HEAD:
        take_head(x, event->data, event->head_len, event->n);
        break;
    case QH_EVENT_FULL:
        x->sink.cap += 4;
        qh_conn_start_body(&x->world.loop, &x->world.conn);
        break;
    case QH_EVENT_END:
        end_with(x, QH_DONE);
        break;
    case QH_EVENT_FAILED:
        end_with(x, event->status);
        break;
    default:
        expect(event->kind == QH_EVENT_PROGRESS, "an event of kind %d", event->kind);
    }
}

static void take_turns(exchange *x)
{
    qh_event event;
    uint32_t n_events;
    do {
        require(qh_turn(&x->world.loop, 0) == 0, "qh_turn");
        n_events = x->world.loop.ring_len;
        while (qh_loop_next_event(&x->world.loop, &event))
            take(x, &event);
    } while (n_events > 0 && !x->end);
}

static void run_exchange(const struct exchange_row *r, size_t way)
{
    exchange x = {.row = r};
    size_t len = strlen(r->answer);
    begin_world(&x.world, local_pair(), true);
    begin_head(&x.world);
    for (size_t at = 0, n; at < len && !x.end; at += n) {
        n = piece_len(way, len, at);
        put(x.world.sockets.peer, r->answer + at, n);
        take_turns(&x);
    }
    if (r->closes && !x.end) {
        close_peer(&x.world);
        take_turns(&x);
    }
    if (way == 0)
        expect_trace(&x.world, r->trace);
    expect_bytes("heads", x.heads, strlen(x.heads), (bytes){r->heads, strlen(r->heads)});
    expect_bytes("payload", x.memory, x.sink.len, (bytes){r->payload, strlen(r->payload)});
    expect(strcmp(x.end ? x.end : "open", r->end) == 0, "it ended with %s, not %s", x.end ? x.end : "open", r->end);
    end_world(&x.world);
}

int main(void)
{
    for (size_t i = 0; i < N_ROWS(EXCHANGES); i++) {
        size_t len = strlen(EXCHANGES[i].answer);
        row("exchange_%s_%s", EXCHANGES[i].name, EXCHANGES[i].end);
        for (size_t way = 0; way <= len; way++) {
            context_way(way, len, GUARD_BEHIND, "");
            run_exchange(&EXCHANGES[i], way);
        }
    }
    return check_summary("exchange");
}

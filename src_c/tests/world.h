/* world.h: a loop with one connection of ours and its peer, and what happens to it told as text, so that a
 * test says "first head:19+5 progress end" instead of comparing structs. */
#ifndef WORLD_H
#define WORLD_H

#include <time.h>

#include "sockets.h"
#include "turn.h"

typedef struct world {
    qh_loop loop;
    qh_conn conn;
    pair sockets;
    char trace[512];
} world;

static const qh_head_limits USUAL_HEAD = {.head_cap = 64 << 10, .line_cap = 32 << 10, .n_fields_cap = 256};
static const qh_chunk_limits USUAL_CHUNKS = {.size_cap = 1 << 30, .extension_cap = 16, .trailer_cap = 32};

/* `connected`: IDLE from the start, as a socket taken over is. */
static inline void begin_world(world *w, pair sockets, bool connected)
{
    memset(w, 0, sizeof *w);
    w->sockets = sockets;
    require(qh_loop_open(&w->loop) == 0, "qh_loop_open");
    require(qh_conn_open(&w->loop, &w->conn, sockets.ours, connected) == 0, "qh_conn_open");
    w->conn.tells_sent = true;
}

static inline void close_peer(world *w)
{
    close(w->sockets.peer);
    w->sockets.peer = -1;
}

static inline void end_world(world *w)
{
    if (w->conn.fd >= 0)
        qh_conn_close(&w->loop, &w->conn, false);
    w->sockets.ours = -1;
    close_pair(w->sockets);
    qh_loop_close(&w->loop);
}

static inline const char *error_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } NAMES[] = {{ECONNREFUSED, ":refused"}, {ECONNRESET, ":reset"}, {EPIPE, ":pipe"},   {ENOSPC, ":disk_full"},
                 {ENOMEM, ":memory"},        {EBADF, ":bad_fd"},     {0, ""}};
    for (size_t i = 0; i < N_ROWS(NAMES); i++)
        if (NAMES[i].error == error)
            return NAMES[i].name;
    return strerror(error);
}

static inline void event_text(char *text, size_t cap, const qh_event *event)
{
    switch (event->kind) {
    case QH_EVENT_CONNECTED:
        snprintf(text, cap, "connected%s", error_name(event->error));
        break;
    case QH_EVENT_SENT:
        snprintf(text, cap, "sent:%zu", event->n);
        break;
    case QH_EVENT_READABLE:
        snprintf(text, cap, "readable");
        break;
    case QH_EVENT_WRITABLE:
        snprintf(text, cap, "writable");
        break;
    case QH_EVENT_STALE:
        snprintf(text, cap, "stale");
        break;
    case QH_EVENT_FIRST_BYTES:
        snprintf(text, cap, "first");
        break;
    case QH_EVENT_HEAD:
        snprintf(text, cap, "head:%zu+%zu", event->head_len, event->n - event->head_len);
        break;
    case QH_EVENT_PROGRESS:
        snprintf(text, cap, "progress");
        break;
    case QH_EVENT_FULL:
        snprintf(text, cap, "full");
        break;
    case QH_EVENT_END:
        snprintf(text, cap, event->n ? "end+%zu" : "end", event->n);
        break;
    case QH_EVENT_FAILED:
        snprintf(text, cap, "failed:%s%s", status_name(event->status), error_name(event->error));
        break;
    case QH_EVENT_IDLE_END:
        snprintf(text, cap, event->n ? "idle_bytes" : "idle_end");
        break;
    case QH_EVENT_TIMER:
        snprintf(text, cap, "timer");
        break;
    }
}

/* Adds an event to the trace; several events of progress on end are told once. */
static inline void note(world *w, const qh_event *event)
{
    char text[64];
    size_t len = strlen(w->trace);
    event_text(text, sizeof text, event);
    if (len >= 8 && strcmp(w->trace + len - 8, "progress") == 0 && strcmp(text, "progress") == 0)
        return;
    snprintf(w->trace + len, sizeof w->trace - len, "%s%s", len ? " " : "", text);
}

/* One turn, its events noted; how many there were. */
static inline unsigned turn(world *w, int timeout_ms)
{
    qh_event event;
    unsigned n = 0;
    require(qh_turn(&w->loop, timeout_ms) == 0, "qh_turn");
    for (; qh_loop_next_event(&w->loop, &event); n++)
        note(w, &event);
    return n;
}

/* Turns until something has happened, or for a while. */
static inline void turn_until_event(world *w)
{
    for (int i = 0; i < 50 && turn(w, 100) == 0; i++)
        ;
}

/* What was noted since the last look. */
static inline void expect_trace(world *w, const char *want)
{
    expect(strcmp(w->trace, want) == 0, "events are '%s', not '%s'", w->trace, want);
    w->trace[0] = '\0';
}

static inline void begin_head(world *w) { qh_conn_expect_head(&w->loop, &w->conn, &USUAL_HEAD); }

static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif

/* poller.h: the seam to the operating system's readiness interface. Everything above speaks in tokens and
 * these flags. One poller is one pollable descriptor: its sockets, a timer and a wake-up from other
 * threads are behind it, so that a foreign event loop can watch that descriptor alone. */
#ifndef QH_POLLER_H
#define QH_POLLER_H

#include <stdbool.h>
#include <stdint.h>

enum { QH_READABLE = 1, QH_WRITABLE = 2 };

/* Tokens that are not a connection's. */
#define QH_TOKEN_TIMER UINT64_MAX
#define QH_TOKEN_WAKE (UINT64_MAX - 1)

typedef struct qh_poller {
    int fd;       /* what a foreign loop watches */
    int timer_fd;
    int wake_fd;
} qh_poller;

typedef struct qh_ready {
    uint64_t token;
    uint8_t flags; /* an error or hang-up counts as both: the next call on the socket will tell */
} qh_ready;

/* Each returns 0, or -1 with errno set. */
int qh_poller_open(qh_poller *poller);
void qh_poller_close(qh_poller *poller);
int qh_poller_add(qh_poller *poller, int fd, int flags, uint64_t token);
int qh_poller_change(qh_poller *poller, int fd, int flags, uint64_t token);
int qh_poller_remove(qh_poller *poller, int fd);

/* Waits up to timeout_ms (-1: for ever); returns how many of ready[0..cap) were filled, or -1 with errno.
 * A timer or wake-up that is reported has been taken back. */
int qh_poller_wait(qh_poller *poller, qh_ready *ready, int cap, int timeout_ms);

/* The timer goes off once at this time of CLOCK_MONOTONIC (0: never). */
int qh_poller_arm(qh_poller *poller, uint64_t deadline_ns);
/* Makes the descriptor readable; may be called from any thread and from signal handlers. */
int qh_poller_wake(qh_poller *poller);

#endif

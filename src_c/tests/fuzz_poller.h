/* fuzz_poller.h: a poller and a clock that say what a schedule wants, in the place of the system's: the one connection that
 * is in the set is ready where the peer of fuzz_system.h is; words in vain, interruptions, other tokens and sudden leaps of
 * time come in between. */
#ifndef FUZZ_POLLER_H
#define FUZZ_POLLER_H

#include <time.h>

#include "fuzz_system.h"
#include "poller.h"

static struct {
    int interest; /* -1: not in the set */
    uint64_t token;
    schedule when;
} polled;
static uint64_t time_ns;

int __wrap_qh_poller_add(qh_poller *poller, int fd, int flags, uint64_t token);
int __wrap_qh_poller_add(qh_poller *poller, int fd, int flags, uint64_t token)
{
    (void)poller;
    HOLDS(fd == PEER_FD && polled.interest == -1 && flags != 0);
    polled.interest = flags;
    polled.token = token;
    return 0;
}

int __wrap_qh_poller_change(qh_poller *poller, int fd, int flags, uint64_t token);
int __wrap_qh_poller_change(qh_poller *poller, int fd, int flags, uint64_t token)
{
    (void)poller;
    HOLDS(fd == PEER_FD && polled.interest > 0 && flags != 0 && flags != polled.interest && token == polled.token);
    polled.interest = flags;
    return 0;
}

int __wrap_qh_poller_remove(qh_poller *poller, int fd);
int __wrap_qh_poller_remove(qh_poller *poller, int fd)
{
    (void)poller;
    HOLDS(fd == PEER_FD && polled.interest > 0);
    polled.interest = -1;
    return 0;
}

int __wrap_qh_poller_wait(qh_poller *poller, qh_ready *ready, int cap, int timeout_ms);
int __wrap_qh_poller_wait(qh_poller *poller, qh_ready *ready, int cap, int timeout_ms)
{
    static const uint64_t OTHERS[] = {QH_TOKEN_TIMER, QH_TOKEN_WAKE, 0x700000001}; /* the last is of one that is gone */
    int n = 0, flags = peer_is_readable() ? QH_READABLE : 0;
    unsigned how = chance(&polled.when, 8);
    (void)poller;
    (void)timeout_ms;
    HOLDS(cap >= 4);
    if (how == 1) { /* interrupted, by a signal */
        errno = EINTR;
        return -1;
    }
    flags |= how == 2 ? QH_READABLE : 0; /* in vain */
    flags |= how == 3 ? 0 : QH_WRITABLE;
    if (how >= 4 && how < 4 + 3)
        ready[n++] = (qh_ready){.token = OTHERS[how - 4], .flags = QH_READABLE};
    flags &= polled.interest;
    if (polled.interest > 0 && flags)
        ready[n++] = (qh_ready){.token = polled.token, .flags = (uint8_t)flags};
    return n;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    time_ns += 1000 + (chance(&polled.when, 16) == 1 ? 2000000 : 0);
    *now = (struct timespec){.tv_sec = (time_t)(time_ns / 1000000000u), .tv_nsec = (long)(time_ns % 1000000000u)};
    return 0;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) { return fd == PEER_FD ? 0 : __real_close(fd); }

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    HOLDS(fd == PEER_FD && level == SOL_SOCKET && name == SO_ERROR && *len == sizeof(int));
    *(int *)value = peer.is_gone ? ECONNREFUSED : 0;
    return 0;
}

#endif

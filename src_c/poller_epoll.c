/* poller_epoll.c: poller.h on Linux: epoll, timerfd, eventfd. Level-triggered: what one turn leaves
 * unread is reported again, which saves the receive that would only say EAGAIN. */
#define _GNU_SOURCE
#include "poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MAX = 256 };

int qh_poller_open(qh_poller *poller)
{
    *poller = (qh_poller){.fd = epoll_create1(EPOLL_CLOEXEC), .timer_fd = -1, .wake_fd = -1};
    if (poller->fd < 0)
        return -1;
    poller->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    poller->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (poller->timer_fd >= 0 && poller->wake_fd >= 0 &&
        qh_poller_add(poller, poller->timer_fd, QH_READABLE, QH_TOKEN_TIMER) == 0 &&
        qh_poller_add(poller, poller->wake_fd, QH_READABLE, QH_TOKEN_WAKE) == 0)
        return 0;
    int error = errno;
    qh_poller_close(poller);
    errno = error;
    return -1;
}

void qh_poller_close(qh_poller *poller)
{
    int *fds[] = {&poller->wake_fd, &poller->timer_fd, &poller->fd};
    for (int i = 0; i < 3; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

static int control(qh_poller *poller, int operation, int fd, int flags, uint64_t token)
{
    struct epoll_event event = {.data.u64 = token};
    event.events = (flags & QH_READABLE ? EPOLLIN : 0u) | (flags & QH_WRITABLE ? EPOLLOUT : 0u);
    return epoll_ctl(poller->fd, operation, fd, &event);
}

int qh_poller_add(qh_poller *poller, int fd, int flags, uint64_t token)
{
    return control(poller, EPOLL_CTL_ADD, fd, flags, token);
}

int qh_poller_change(qh_poller *poller, int fd, int flags, uint64_t token)
{
    return control(poller, EPOLL_CTL_MOD, fd, flags, token);
}

int qh_poller_remove(qh_poller *poller, int fd) { return control(poller, EPOLL_CTL_DEL, fd, 0, 0); }

static void take_back(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

int qh_poller_wait(qh_poller *poller, qh_ready *ready, int cap, int timeout_ms)
{
    struct epoll_event events[WAIT_MAX];
    int n = epoll_wait(poller->fd, events, cap < WAIT_MAX ? cap : WAIT_MAX, timeout_ms);
    for (int i = 0; i < n; i++) {
        uint32_t got = events[i].events;
        bool broken = got & (EPOLLERR | EPOLLHUP);
        ready[i].token = events[i].data.u64;
        ready[i].flags = (uint8_t)((got & EPOLLIN || broken ? QH_READABLE : 0) |
                                   (got & EPOLLOUT || broken ? QH_WRITABLE : 0));
        if (ready[i].token == QH_TOKEN_TIMER)
            take_back(poller->timer_fd);
        else if (ready[i].token == QH_TOKEN_WAKE)
            take_back(poller->wake_fd);
    }
    return n;
}

int qh_poller_arm(qh_poller *poller, uint64_t deadline_ns)
{
    struct itimerspec when = {0};
    when.it_value.tv_sec = (time_t)(deadline_ns / 1000000000u);
    when.it_value.tv_nsec = (long)(deadline_ns % 1000000000u);
    return timerfd_settime(poller->timer_fd, TFD_TIMER_ABSTIME, &when, 0);
}

int qh_poller_wake(qh_poller *poller)
{
    uint64_t one = 1;
    return write(poller->wake_fd, &one, sizeof one) == sizeof one || errno == EAGAIN ? 0 : -1;
}

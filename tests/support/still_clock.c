/* still_clock.c: put before the C library (LD_PRELOAD), it lets a test say what time it is in its own process.
 *
 * From still_clock_start() on the clocks stand, and go on only by still_clock_advance(). Timer descriptors go off when they are
 * passed, and not before; epoll_wait does not wait for a time-out, or skips to it (still_clock_skip). What waits for another
 * thread (locks, conditions, sleeps) waits in real time: its deadlines are told in ours and translated. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { N_TIMERS = 64 };
#define NS 1000000000LL

static struct {
    bool is_still;
    int64_t monotonic_ns, wall_ns;
    int skip_ms; /* -1: a time-out never comes; else it comes when nothing else has come for so long */
    int64_t n_skips;
} now = {.skip_ms = -1};
static struct {
    int fd; /* an event descriptor; 0: none is here */
    int64_t deadline_ns;
} timers[N_TIMERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name, &real_##name))
static void *real_close, *real_epoll_wait, *real_timerfd_create, *real_timerfd_settime, *real_sem_timedwait,
    *real_sem_clockwait, *real_pthread_cond_timedwait, *real_clock_nanosleep;

static void *real(const char *name, void **kept)
{
    if (!*kept && strncmp(name, "pthread_cond", 12) == 0) /* of these there are two kinds on some machines: those of today first */
        *kept = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    if (!*kept)
        *kept = dlsym(RTLD_NEXT, name);
    if (!*kept)
        abort();
    return *kept;
}

/* Not through the library: a sanitizer's allocator asks for the time, and looking names up may allocate. */
static int real_clock_gettime(clockid_t clock, struct timespec *ts) { return (int)syscall(SYS_clock_gettime, clock, ts); }

static int64_t real_ns(clockid_t clock)
{
    struct timespec ts;
    real_clock_gettime(clock, &ts);
    return ts.tv_sec * NS + ts.tv_nsec;
}

static struct timespec timespec_of(int64_t ns) { return (struct timespec){.tv_sec = ns / NS, .tv_nsec = ns % NS}; }
static int64_t ns_of(const struct timespec *ts) { return ts->tv_sec * NS + ts->tv_nsec; }
static bool is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

static bool is_ours(clockid_t clock)
{
    return now.is_still && (is_wall(clock) || clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
                            clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_BOOTTIME);
}

/* -- what a test calls */
void still_clock_start(void)
{
    now.monotonic_ns = real_ns(CLOCK_MONOTONIC);
    now.wall_ns = real_ns(CLOCK_REALTIME);
    now.is_still = true;
}

static void fire_due(void)
{
    for (int i = 0; i < N_TIMERS; i++)
        if (timers[i].fd && timers[i].deadline_ns && timers[i].deadline_ns <= now.monotonic_ns) {
            uint64_t one = 1;
            timers[i].deadline_ns = 0;
            if (write(timers[i].fd, &one, sizeof one) < 0)
                abort();
        }
}

void still_clock_advance(int64_t ns)
{
    pthread_mutex_lock(&lock);
    now.monotonic_ns += ns;
    now.wall_ns += ns;
    fire_due();
    pthread_mutex_unlock(&lock);
}

void still_clock_set_wall(int64_t ns) { now.wall_ns = ns; }
void still_clock_skip(int ms) { now.skip_ms = ms; }
int64_t still_clock_n_skips(void) { return now.n_skips; }
int64_t still_clock_real_ns(void) { return real_ns(CLOCK_MONOTONIC); }

/* When the next timer goes off; 0: none will. */
int64_t still_clock_next(void)
{
    int64_t next = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < N_TIMERS; i++)
        if (timers[i].fd && timers[i].deadline_ns && (next == 0 || timers[i].deadline_ns < next))
            next = timers[i].deadline_ns;
    pthread_mutex_unlock(&lock);
    return next;
}

/* -- what the program calls */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
    if (!is_ours(clock))
        return real_clock_gettime(clock, ts);
    *ts = timespec_of(is_wall(clock) ? now.wall_ns : now.monotonic_ns);
    return 0;
}

int timerfd_create(int clock, int flags)
{
    if (!is_ours(clock))
        return REAL(timerfd_create)(clock, flags);
    int fd = eventfd(0, (flags & TFD_NONBLOCK ? EFD_NONBLOCK : 0) | (flags & TFD_CLOEXEC ? EFD_CLOEXEC : 0));
    pthread_mutex_lock(&lock);
    for (int i = 0; fd >= 0; i++) {
        if (i == N_TIMERS)
            abort();
        if (timers[i].fd == 0) {
            timers[i].fd = fd;
            timers[i].deadline_ns = 0;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < N_TIMERS; i++)
        if (timers[i].fd == fd) {
            uint64_t count;
            int64_t value = ns_of(&when->it_value);
            if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
                abort();
            timers[i].deadline_ns = value && !(flags & TFD_TIMER_ABSTIME) ? now.monotonic_ns + value : value;
            fire_due();
            pthread_mutex_unlock(&lock);
            return 0;
        }
    pthread_mutex_unlock(&lock);
    return REAL(timerfd_settime)(fd, flags, when, before);
}

int close(int fd)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < N_TIMERS; i++)
        if (timers[i].fd == fd)
            timers[i].fd = 0;
    pthread_mutex_unlock(&lock);
    return REAL(close)(fd);
}

int epoll_wait(int fd, struct epoll_event *events, int cap, int timeout_ms)
{
    if (!now.is_still || timeout_ms == 0)
        return REAL(epoll_wait)(fd, events, cap, timeout_ms);
    int n = REAL(epoll_wait)(fd, events, cap, now.skip_ms);
    if (n != 0)
        return n;
    int64_t next = still_clock_next(), end = timeout_ms < 0 ? INT64_MAX : now.monotonic_ns + timeout_ms * 1000000LL;
    if (next == 0 && timeout_ms < 0)
        return REAL(epoll_wait)(fd, events, cap, -1);
    now.n_skips++;
    still_clock_advance((next && next < end ? next : end) - now.monotonic_ns);
    return REAL(epoll_wait)(fd, events, cap, 0);
}

/* -- deadlines of those who wait for another thread */
static struct timespec translated(clockid_t clock, const struct timespec *until)
{
    int64_t ours = is_wall(clock) ? now.wall_ns : now.monotonic_ns;
    return timespec_of(real_ns(is_wall(clock) ? CLOCK_REALTIME : CLOCK_MONOTONIC) + (ns_of(until) - ours));
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    struct timespec there = is_ours(clock) ? translated(clock, until) : *until;
    return REAL(sem_clockwait)(sem, clock, &there);
}

int sem_timedwait(sem_t *sem, const struct timespec *until)
{
    struct timespec there = now.is_still ? translated(CLOCK_REALTIME, until) : *until;
    return REAL(sem_timedwait)(sem, &there);
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    /* which clock it is made for cannot be asked: the one that is nearer */
    int64_t to_wall = llabs(ns_of(until) - now.wall_ns), to_monotonic = llabs(ns_of(until) - now.monotonic_ns);
    struct timespec there = now.is_still ? translated(to_wall < to_monotonic ? CLOCK_REALTIME : CLOCK_MONOTONIC, until) : *until;
    return REAL(pthread_cond_timedwait)(cond, mutex, &there);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *left)
{
    struct timespec there = is_ours(clock) && (flags & TIMER_ABSTIME) ? translated(clock, request) : *request;
    return REAL(clock_nanosleep)(clock, flags, &there, left);
}

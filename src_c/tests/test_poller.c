/* test_poller.c: the readiness interface alone: tokens and flags, the timer, the wake-up, and that all of it
 * is one descriptor to a foreign loop. */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "poller.h"
#include "sockets.h"
#include "world.h"

enum { BOTH = QH_READABLE | QH_WRITABLE };
#define MS ((uint64_t)1000000)

/* What is ready at once, as one line: token=flags for each. */
static const char *ready_text(qh_poller *poller, int timeout_ms)
{
    static char text[200];
    qh_ready ready[8];
    int n = qh_poller_wait(poller, ready, (int)N_ROWS(ready), timeout_ms);
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        size_t len = strlen(text);
        if (ready[i].token == QH_TOKEN_TIMER || ready[i].token == QH_TOKEN_WAKE)
            snprintf(text + len, sizeof text - len, "%s ", ready[i].token == QH_TOKEN_WAKE ? "wake" : "timer");
        else
            snprintf(text + len, sizeof text - len, "%llx=%s%s ", (unsigned long long)ready[i].token,
                     ready[i].flags & QH_READABLE ? "r" : "", ready[i].flags & QH_WRITABLE ? "w" : "");
    }
    return n < 0 ? strerror(errno) : text;
}

static void expect_ready(qh_poller *poller, int timeout_ms, const char *want)
{
    const char *got = ready_text(poller, timeout_ms);
    expect(strcmp(got, want) == 0, "ready is '%s', not '%s'", got, want);
    struct pollfd one = {.fd = poller->fd, .events = POLLIN};
    bool takes_back = !want[0] || strchr("tw", want[0]);
    expect(poll(&one, 1, 0) == !takes_back, "a foreign loop sees something else");
}

/* ----------------------------------------------------------------------------------------- sockets */
typedef enum peer_state { SILENT, SPOKE, CLOSED, BROKEN } peer_state;

static const struct {
    const char *name;
    int flags;
    peer_state peer;
    const char *ready;
} SOCKET_ROWS[] = {
    {"readable_silent_nothing", QH_READABLE, SILENT, ""},
    {"readable_spoke_readable", QH_READABLE, SPOKE, "7=r "},
    {"readable_closed_readable", QH_READABLE, CLOSED, "7=r "},
    {"writable_silent_writable", QH_WRITABLE, SILENT, "7=w "},
    {"writable_spoke_writable", QH_WRITABLE, SPOKE, "7=w "},
    {"both_silent_writable", BOTH, SILENT, "7=w "},
    {"both_spoke_both", BOTH, SPOKE, "7=rw "},
    {"nothing_spoke_nothing", 0, SPOKE, ""},
    {"readable_broken_both", QH_READABLE, BROKEN, "7=rw "},
    {"writable_broken_both", QH_WRITABLE, BROKEN, "7=rw "},
    {"nothing_broken_both", 0, BROKEN, "7=rw "},
};

static pair make_peer(peer_state state)
{
    pair both = tcp_pair();
    if (state == SPOKE)
        put(both.peer, "hello", 5);
    if (state == CLOSED)
        close(both.peer);
    if (state == BROKEN)
        reset_by(both.peer);
    if (state != SILENT)
        await_readable(both.ours);
    if (state == CLOSED || state == BROKEN)
        both.peer = -1;
    return both;
}

static void run_socket_rows(void)
{
    for (size_t i = 0; i < N_ROWS(SOCKET_ROWS); i++) {
        qh_poller poller;
        pair both = make_peer(SOCKET_ROWS[i].peer);
        row("poller_watch_%s", SOCKET_ROWS[i].name);
        require(qh_poller_open(&poller) == 0, "qh_poller_open");
        expect(qh_poller_add(&poller, both.ours, SOCKET_ROWS[i].flags, 7) == 0, "adding failed");
        for (int k = 0; k < 2; k++) /* level-triggered: told again */
            expect_ready(&poller, 0, SOCKET_ROWS[i].ready);
        close_pair(both);
        qh_poller_close(&poller);
    }
}

static void test_change(void)
{
    qh_poller poller;
    pair both = make_peer(SPOKE);
    row("poller_changed_and_removed_new_flags_and_token");
    require(qh_poller_open(&poller) == 0, "qh_poller_open");
    expect(qh_poller_change(&poller, both.ours, BOTH, 7) == -1 && errno == ENOENT, "changed what is not there");
    expect(qh_poller_add(&poller, both.ours, QH_READABLE, 7) == 0, "adding failed");
    expect(qh_poller_add(&poller, both.ours, QH_READABLE, 8) == -1 && errno == EEXIST, "added twice");
    expect(qh_poller_change(&poller, both.ours, BOTH, UINT64_MAX - 2) == 0, "changing failed");
    expect_ready(&poller, 0, "fffffffffffffffd=rw ");
    expect(qh_poller_remove(&poller, both.ours) == 0, "removing failed");
    expect_ready(&poller, 0, "");
    expect(qh_poller_remove(&poller, both.ours) == -1 && errno == ENOENT, "removed twice");
    close_pair(both);
    qh_poller_close(&poller);
}

static void test_cap(void)
{
    enum { N = 300 };
    static pair pairs[N];
    static qh_ready ready[N];
    static const struct {
        int cap, n;
    } CAPS[] = {{1, 1}, {5, 5}, {256, 256}, {N, 256}};
    bool seen[N] = {false};
    qh_poller poller;
    row("poller_wait_many_ready_up_to_cap_told_and_all_in_turn");
    require(qh_poller_open(&poller) == 0, "qh_poller_open");
    for (int i = 0; i < N; i++) {
        pairs[i] = local_pair();
        require(qh_poller_add(&poller, pairs[i].ours, QH_WRITABLE, (uint64_t)i) == 0, "qh_poller_add");
    }
    for (size_t i = 0; i < N_ROWS(CAPS); i++) {
        int n = qh_poller_wait(&poller, ready, CAPS[i].cap, 0);
        expect_n("ready", (uint64_t)n, (uint64_t)CAPS[i].n);
        for (int k = 0; k < n; k++)
            seen[ready[k].token] = true;
    }
    for (int i = 0; i < N; i++) {
        expect(seen[i], "%d was never told", i);
        close_pair(pairs[i]);
    }
    qh_poller_close(&poller);
}

/* -------------------------------------------------------------------------------------- timer and wake */
static void test_timer(void)
{
    qh_poller poller;
    row("poller_timer_goes_off_once_not_before");
    require(qh_poller_open(&poller) == 0, "qh_poller_open");
    expect_ready(&poller, 0, "");
    uint64_t deadline = now_ns() + 30 * MS;
    expect(qh_poller_arm(&poller, deadline) == 0, "arming failed");
    expect_ready(&poller, 0, "");
    expect_ready(&poller, 5000, "timer ");
    expect(now_ns() >= deadline, "it came early");
    expect_ready(&poller, 60, "");

    row("poller_timer_in_the_past_goes_off_at_once");
    expect(qh_poller_arm(&poller, 1) == 0, "arming failed");
    expect_ready(&poller, 5000, "timer ");

    row("poller_timer_armed_again_last_deadline_counts");
    expect(qh_poller_arm(&poller, 1) == 0 && qh_poller_arm(&poller, now_ns() + 60000 * MS) == 0, "arming failed");
    expect_ready(&poller, 0, "");

    row("poller_timer_disarmed_never_goes_off");
    expect(qh_poller_arm(&poller, 1) == 0 && qh_poller_arm(&poller, 0) == 0, "arming failed");
    expect_ready(&poller, 20, "");
    qh_poller_close(&poller);
}

static qh_poller woken;
static void *wake_from_thread(void *unused)
{
    (void)unused;
    return qh_poller_wake(&woken) == 0 ? &woken : NULL;
}
static void wake_from_handler(int number)
{
    (void)number;
    (void)qh_poller_wake(&woken);
}

static void test_wake(void)
{
    pthread_t thread;
    void *result;
    require(qh_poller_open(&woken) == 0, "qh_poller_open");

    row("poller_woken_often_told_once");
    for (int i = 0; i < 1000; i++)
        expect(qh_poller_wake(&woken) == 0, "waking failed");
    expect_ready(&woken, 0, "wake ");
    expect_ready(&woken, 0, "");

    row("poller_woken_from_thread_wait_ends");
    require(pthread_create(&thread, NULL, wake_from_thread, NULL) == 0, "pthread_create");
    expect_ready(&woken, 5000, "wake ");
    expect(pthread_join(thread, &result) == 0 && result, "waking failed");

    row("poller_woken_from_signal_handler_told");
    signal(SIGUSR1, wake_from_handler);
    raise(SIGUSR1);
    expect_ready(&woken, 0, "wake ");

    row("poller_woken_beyond_count_no_error");
    uint64_t most = UINT64_MAX - 1; /* the counter is full: it is readable, which is all that counts */
    require(write(woken.wake_fd, &most, sizeof most) == sizeof most, "eventfd");
    expect(qh_poller_wake(&woken) == 0, "waking failed");
    expect_ready(&woken, 0, "wake ");

    row("poller_woken_after_close_error");
    qh_poller_close(&woken);
    expect(qh_poller_wake(&woken) == -1 && errno == EBADF, "waking succeeded");
}

/* ------------------------------------------------------------------------------------ opening, closing */
static void test_open_without_descriptors(void)
{
    struct rlimit before, limit;
    int next = dup(0);
    row("poller_open_without_descriptors_error_and_nothing_left");
    close(next);
    require(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit");
    limit = before;
    for (rlim_t n = 0; n < 3; n++) {
        qh_poller poller;
        limit.rlim_cur = (rlim_t)next + n;
        require(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
        int result = qh_poller_open(&poller), error = errno;
        require(setrlimit(RLIMIT_NOFILE, &before) == 0, "setrlimit");
        context("%d free", (int)n);
        expect(result == -1 && error == EMFILE, "it opened, or errno is %d", error);
        expect(poller.fd == -1 && poller.timer_fd == -1 && poller.wake_fd == -1, "a descriptor is left");
    }
    int after = dup(0);
    expect_n("next descriptor", (uint64_t)after, (uint64_t)next);
    close(after);
}

static void test_close(void)
{
    qh_poller poller;
    row("poller_closed_twice_harmless");
    require(qh_poller_open(&poller) == 0, "qh_poller_open");
    for (int i = 0; i < 2; i++) {
        qh_poller_close(&poller);
        expect(poller.fd == -1 && poller.timer_fd == -1 && poller.wake_fd == -1, "a descriptor is left");
    }
    qh_ready ready;
    expect(qh_poller_wait(&poller, &ready, 1, 0) == -1 && errno == EBADF, "it still waits");
}

int main(void)
{
    run_socket_rows();
    test_change();
    test_cap();
    test_timer();
    test_wake();
    test_open_without_descriptors();
    test_close();
    return check_summary("poller");
}

/* fuzz_poller.c: any sequence of calls of the poller, held against a model: what is in the set and ready is told, each
 * once, with the flags that were asked for; nothing else is; a wake-up and a timer are told once. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fuzz.h"
#include "poller.h"

enum { N_FDS = 4, READY_MAX = 16, FIRST_TOKEN = 100 };

static qh_poller poller;
static int fds[N_FDS];

typedef struct model {
    int interest; /* 0: not in the set */
    uint64_t count;
} model;

static int readiness(const model *m)
{
    return (m->count > 0 ? QH_READABLE : 0) | (m->count < UINT64_MAX - 1 ? QH_WRITABLE : 0);
}

static void expect_wait(const model *models, bool woken, bool rang, int cap)
{
    qh_ready ready[READY_MAX];
    unsigned told = 0;
    int n_ready = woken + rang, n = qh_poller_wait(&poller, ready, cap, 0);
    for (int i = 0; i < N_FDS; i++)
        n_ready += (models[i].interest & readiness(&models[i])) != 0;
    HOLDS(n == (n_ready < cap ? n_ready : cap));
    for (int i = 0; i < n; i++) {
        uint64_t token = ready[i].token;
        unsigned which = token == QH_TOKEN_TIMER ? 30 : token == QH_TOKEN_WAKE ? 31 : (unsigned)token - FIRST_TOKEN;
        HOLDS(which < N_FDS || which >= 30);
        HOLDS(!(told & 1u << which));
        told |= 1u << which;
        if (which == 30)
            HOLDS(rang && ready[i].flags == QH_READABLE);
        else if (which == 31)
            HOLDS(woken && ready[i].flags == QH_READABLE);
        else
            HOLDS(ready[i].flags == (models[which].interest & readiness(&models[which])));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    model models[N_FDS] = {{0, 0}};
    bool woken = false, rang = false;
    if (poller.fd == 0) {
        HOLDS(qh_poller_open(&poller) == 0);
        for (int i = 0; i < N_FDS; i++)
            HOLDS((fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) >= 0);
    }
    for (size_t i = 0; i + 1 < input_len && i < 64; i += 2) {
        unsigned which = input[i + 1] % N_FDS;
        int flags = 1 + input[i + 1] / 4 % 3;
        model *m = &models[which];
        uint64_t count;
        switch (input[i] % 8) {
        case 0:
            if (m->interest == 0) {
                HOLDS(qh_poller_add(&poller, fds[which], flags, FIRST_TOKEN + which) == 0);
                m->interest = flags;
            } else {
                HOLDS(qh_poller_add(&poller, fds[which], flags, FIRST_TOKEN + which) == -1 && errno == EEXIST);
            }
            break;
        case 1:
            HOLDS(qh_poller_change(&poller, fds[which], flags, FIRST_TOKEN + which) == (m->interest ? 0 : -1));
            m->interest = m->interest ? flags : 0;
            break;
        case 2:
            HOLDS(qh_poller_remove(&poller, fds[which]) == (m->interest ? 0 : -1));
            m->interest = 0;
            break;
        case 3:
            if (m->count == 0) {
                count = input[i + 1] & 64 ? UINT64_MAX - 1 : 1;
                HOLDS(write(fds[which], &count, sizeof count) == sizeof count);
                m->count = count;
            }
            break;
        case 4:
            HOLDS(read(fds[which], &count, sizeof count) == (m->count ? (ssize_t)sizeof count : -1));
            m->count = 0;
            break;
        case 5:
            HOLDS(qh_poller_wake(&poller) == 0);
            woken = true;
            break;
        case 6:
            rang = input[i + 1] & 1; /* long ago, or never */
            HOLDS(qh_poller_arm(&poller, rang ? 1 : 0) == 0);
            break;
        case 7:
            expect_wait(models, woken, rang, READY_MAX);
            woken = rang = false;
            break;
        }
    }
    expect_wait(models, woken, rang, READY_MAX);
    expect_wait(models, false, false, 1 + input_len % 3);
    for (int i = 0; i < N_FDS; i++) {
        uint64_t count;
        HOLDS(models[i].interest == 0 || qh_poller_remove(&poller, fds[i]) == 0);
        HOLDS(models[i].count == 0 || read(fds[i], &count, sizeof count) == sizeof count);
    }
    HOLDS(qh_poller_arm(&poller, 0) == 0);
    return 0;
}

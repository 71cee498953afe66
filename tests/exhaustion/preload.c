/* preload.c: functions of the C library that fail as a machine in need makes them fail. What the environment does not ask for
 * is as ever. QH_CONNECT, QH_SOCKET: an errno for each such call, or "errno/n" for every n-th one. Names that begin with "stuck"
 * are looked up for ever, those with "good" are 127.0.0.1. QH_NO_THREADS: none can be started. QH_CLOSE: the errno by which a
 * file of LARGE bytes is closed, as by a network file system that had no room for them. qh_n_waits: calls of epoll_wait. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE 200000
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

long qh_n_waits;

static int fails(const char *name, int *n_calls)
{
    const char *asked = getenv(name);
    if (!asked)
        return 0;
    const char *slash = strchr(asked, '/');
    if (slash && ++*n_calls % atoi(slash + 1))
        return 0;
    errno = atoi(asked);
    return 1;
}

int epoll_wait(int fd, struct epoll_event *events, int cap, int timeout)
{
    qh_n_waits++;
    return REAL(epoll_wait)(fd, events, cap, timeout);
}

int close(int fd)
{
    static int n_calls;
    struct stat about;
    int is_large = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size >= LARGE;
    int result = REAL(close)(fd);
    return is_large && fails("QH_CLOSE", &n_calls) ? -1 : result;
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    static int n_calls;
    return fails("QH_CONNECT", &n_calls) ? -1 : REAL(connect)(fd, address, len);
}

int socket(int domain, int type, int protocol)
{
    static int n_calls;
    return fails("QH_SOCKET", &n_calls) ? -1 : REAL(socket)(domain, type, protocol);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    if (name && strncmp(name, "stuck", 5) == 0)
        for (;;)
            pause();
    return REAL(getaddrinfo)(name && strncmp(name, "good", 4) == 0 ? "127.0.0.1" : name, service, hints, found);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*function)(void *), void *argument)
{
    return getenv("QH_NO_THREADS") ? EAGAIN : REAL(pthread_create)(thread, how, function, argument);
}

/* sockets.h: connected pairs of sockets and files without a name, for the kernels that do I/O. Index 0 is
 * ours (non-blocking), index 1 the peer's. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "check.h"

typedef struct pair {
    int ours, peer;
} pair;

static inline pair local_pair(void)
{
    int fds[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0, "socketpair");
    return (pair){fds[0], fds[1]};
}

/* A TCP socket that listens on a free port of the loopback address. */
static inline int listener(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0 && bind(fd, (struct sockaddr *)address, len) == 0 && listen(fd, 16) == 0 &&
                getsockname(fd, (struct sockaddr *)address, &len) == 0,
            "listen");
    return fd;
}

/* A socket of ours on its way to `address`. */
static inline int begin_connect(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EINPROGRESS),
            "connect");
    return fd;
}

static inline pair tcp_pair(void)
{
    struct sockaddr_in address;
    int from = listener(&address);
    pair both = {.ours = begin_connect(&address)};
    both.peer = accept4(from, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    require(both.peer >= 0, "accept");
    close(from);
    return both;
}

static inline void close_pair(pair both)
{
    if (both.ours >= 0)
        close(both.ours);
    if (both.peer >= 0)
        close(both.peer);
}

/* Closes a TCP socket with RST. */
static inline void reset_by(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    require(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0 && close(fd) == 0, "reset");
}

static inline void put(int fd, const char *data, size_t len)
{
    require(len == 0 || send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len, "send");
}

/* Loopback TCP delivers soon, but not at once. */
static inline void await_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    require(poll(&one, 1, 5000) == 1, "poll");
}

static inline size_t bytes_waiting(int fd)
{
    int n;
    require(ioctl(fd, FIONREAD, &n) == 0, "FIONREAD");
    return (size_t)n;
}

/* On the disk, where space can be reserved; gone with its descriptor. */
static inline int nameless_file(void)
{
    const char *folder = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof path, "%s/qhttp-test-XXXXXX", folder ? folder : "/tmp");
    int fd = mkostemp(path, O_CLOEXEC);
    require(fd >= 0 && unlink(path) == 0, "mkstemp");
    return fd;
}

/* Or not on the disk: TMPDIR may be anywhere. */
static inline bool is_in_memory(int fd)
{
    struct statfs about;
    require(fstatfs(fd, &about) == 0, "fstatfs");
    return about.f_type == 0x01021994; /* tmpfs */
}

#endif

/* fuzz_system.h: a peer and a file that are memory, in the place of the system's (the linker puts the __wrap_ functions here
 * before the real ones): a kernel that moves bytes runs a hundred thousand times a second, in any schedule. Their descriptors
 * are numbers that no real one has; calls on others go to the system. */
#ifndef FUZZ_SYSTEM_H
#define FUZZ_SYSTEM_H

#include <errno.h>
#include <stdbool.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fuzz.h"

enum { PEER_FD = 1 << 20, FILE_FD, FILE_CAP = 16 << 10, SENT_CAP = 4 << 10 };
typedef enum peer_end { STAYS_OPEN, ENDS, RESETS } peer_end;

/* What decides when how much is done, in the place of chance: a generator with the input's choices as its seed. */
typedef struct schedule {
    uint64_t seed; /* 0: everything at once */
} schedule;

static inline unsigned chance(schedule *when, unsigned n)
{
    if (when->seed == 0)
        return 0;
    when->seed = when->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(when->seed >> 33) % n;
}

/* As much of `len` as is done now: all, or some of it. */
static inline size_t some_of(schedule *when, size_t len)
{
    unsigned how = chance(when, 4);
    if (len < 2 || how == 0)
        return len;
    return how == 1 ? 1 : 1 + chance(when, (unsigned)(len < 256 ? len : 256));
}

static struct {
    const char *bytes;
    size_t taken, delivered, len; /* bytes[taken .. delivered) can be received */
    peer_end end;                 /* behind all of them */
    bool is_gone;                 /* nothing can be sent any more */
    schedule when;
    char sent[SENT_CAP];
    size_t n_sent;
    unsigned n_interrupted; /* calls that would have received something */
} peer;

static inline bool peer_is_readable(void)
{
    return peer.taken < peer.delivered || (peer.end != STAYS_OPEN && peer.delivered == peer.len);
}

ssize_t __wrap_recv(int fd, void *room, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *room, size_t len, int flags)
{
    HOLDS(fd == PEER_FD && len > 0);
    size_t n = peer.delivered - peer.taken;
    if (flags & MSG_PEEK ? false : chance(&peer.when, 16) == 1) {
        peer.n_interrupted++;
        errno = EINTR;
        return -1;
    }
    if (n == 0) {
        if (!peer_is_readable() || peer.end == RESETS) {
            errno = peer_is_readable() ? ECONNRESET : EAGAIN;
            return -1;
        }
        return 0;
    }
    n = n < len ? n : len;
    n = flags & MSG_PEEK ? n : some_of(&peer.when, n);
    memcpy(room, peer.bytes + peer.taken, n);
    peer.taken += flags & MSG_PEEK ? 0 : n;
    return (ssize_t)n;
}

static ssize_t take_output(const void *data, size_t len)
{
    static const int ERRORS[] = {EINTR, EAGAIN};
    if (peer.is_gone) {
        errno = EPIPE;
        return -1;
    }
    unsigned refused = chance(&peer.when, 8);
    if (refused == 1 || refused == 2) {
        errno = ERRORS[refused - 1];
        return -1;
    }
    size_t n = some_of(&peer.when, len);
    HOLDS(peer.n_sent + n <= SENT_CAP);
    memcpy(peer.sent + peer.n_sent, data, n);
    peer.n_sent += n;
    return (ssize_t)n;
}

ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
    HOLDS(fd == PEER_FD && len > 0 && flags & MSG_NOSIGNAL);
    return take_output(data, len);
}

/* What is sent out of a file is what stands at its place in the request: the peer can tell. */
ssize_t __wrap_sendfile(int fd, int from, off_t *at, size_t len);
ssize_t __wrap_sendfile(int fd, int from, off_t *at, size_t len)
{
    static const char BYTES[] = "GET / HTTP/1.1\r\n\r\n";
    HOLDS(fd == PEER_FD && from == FILE_FD && *at >= 0 && len > 0 && (size_t)*at + len <= sizeof BYTES - 1);
    ssize_t n = take_output(BYTES + *at, len);
    *at += n > 0 ? n : 0;
    return n;
}

static struct {
    char bytes[FILE_CAP];
    size_t len;
    uint64_t reserved_to;
    int refuses; /* errno of every write or reservation; 0: none */
    schedule when;
} file;

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
    HOLDS(fd == FILE_FD && len > 0 && at >= 0 && (size_t)at + len <= FILE_CAP);
    if (file.refuses || chance(&file.when, 8) == 1) {
        errno = file.refuses ? file.refuses : EINTR;
        return -1;
    }
    size_t n = some_of(&file.when, len);
    memcpy(file.bytes + at, data, n);
    if ((size_t)at + n > file.len)
        file.len = (size_t)at + n;
    return (ssize_t)n;
}

int __wrap_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    HOLDS(fd == FILE_FD && mode == 1 /* KEEP_SIZE */ && from >= 0 && len > 0 && len <= 64 << 20);
    unsigned how = chance(&file.when, 8);
    if (how == 1 || how == 2) {
        errno = how == 1 ? EINTR : EOPNOTSUPP;
        return -1;
    }
    file.reserved_to = (uint64_t)from + (uint64_t)len;
    return 0;
}

int __wrap_fstatfs(int fd, struct statfs *about);
int __wrap_fstatfs(int fd, struct statfs *about)
{
    HOLDS(fd == FILE_FD);
    *about = (struct statfs){.f_type = chance(&file.when, 4) == 1 ? 0x01021994 : 0};
    return 0;
}

off_t __real_lseek(int fd, off_t at, int whence);
off_t __wrap_lseek(int fd, off_t at, int whence);
off_t __wrap_lseek(int fd, off_t at, int whence)
{
    return fd == FILE_FD ? (off_t)file.len : __real_lseek(fd, at, whence);
}

int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len)
{
    if (fd != FILE_FD)
        return __real_ftruncate(fd, len);
    HOLDS(len == (off_t)file.len); /* nothing of what was written is lost */
    file.reserved_to = file.len;
    return 0;
}

#endif

/* place_faults.h: the calls of the system that place.c makes, one of which fails on demand (the linker puts the __wrap_
 * functions here in their place). */
#ifndef PLACE_FAULTS_H
#define PLACE_FAULTS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef enum call {
    ANY_CALL,
    CALL_OPEN,
    CALL_WRITE,
    CALL_FSYNC,
    CALL_FLOCK,
    CALL_FSTAT,
    CALL_LSTAT,
    CALL_FTRUNCATE,
    CALL_RENAME,
    CALL_LINK,
    CALL_LINKAT,
    CALL_SYSCALL,
} call;

static struct {
    bool is_on, has_struck;
    call which;            /* of these calls */
    unsigned n_good, n_bad; /* so many go well, then so many fail */
    int error;
    bool has_no_flag;      /* renameat2 knows none, as on old file systems */
    bool writes_little;    /* half of what it is given */
    bool writes_nothing;   /* a failing write says 0, not -1 */
} fault;

static bool fails(call this)
{
    if (!fault.is_on || (fault.which != ANY_CALL && fault.which != this) || fault.n_bad == 0)
        return false;
    if (fault.n_good > 0) {
        fault.n_good--;
        return false;
    }
    fault.n_bad--;
    fault.has_struck = true;
    errno = fault.error;
    return true;
}

#define WRAPPED(which, name, parameters, arguments) \
    int __real_##name parameters;                   \
    int __wrap_##name parameters;                   \
    int __wrap_##name parameters { return fails(which) ? -1 : __real_##name arguments; }
WRAPPED(CALL_FSYNC, fsync, (int fd), (fd))
WRAPPED(CALL_FLOCK, flock, (int fd, int operation), (fd, operation))
WRAPPED(CALL_FSTAT, fstat, (int fd, struct stat *about), (fd, about))
WRAPPED(CALL_LSTAT, lstat, (const char *path, struct stat *about), (path, about))
WRAPPED(CALL_FTRUNCATE, ftruncate, (int fd, off_t len), (fd, len))
WRAPPED(CALL_RENAME, rename, (const char *from, const char *to), (from, to))
WRAPPED(CALL_LINK, link, (const char *from, const char *to), (from, to))
WRAPPED(CALL_LINKAT, linkat, (int from_fd, const char *from, int to_fd, const char *to, int flags),
        (from_fd, from, to_fd, to, flags))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list given;
    va_start(given, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(given, mode_t) : 0;
    va_end(given);
    return fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    if (fault.is_on && fault.writes_little && len > 1)
        len = len / 2;
    return fails(CALL_WRITE) ? fault.writes_nothing ? 0 : -1 : __real_write(fd, data, len);
}

/* renameat2, which old C libraries have no wrapper for. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list given;
    va_start(given, number);
    int from_fd = va_arg(given, int);
    const char *from = va_arg(given, const char *);
    int to_fd = va_arg(given, int);
    const char *to = va_arg(given, const char *);
    unsigned flags = va_arg(given, unsigned);
    va_end(given);
    if (number == SYS_renameat2 && fault.is_on && fault.has_no_flag) {
        errno = EINVAL;
        return -1;
    }
    return fails(CALL_SYSCALL) ? -1 : __real_syscall(number, from_fd, from, to_fd, to, flags);
}

#endif
